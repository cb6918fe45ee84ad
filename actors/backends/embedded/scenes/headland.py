"""A headland that juts into the sea, and its lighthouse.

What a reader gets wrong: only the beam of the lighthouse moves.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    blank,
    fbm,
    mix,
    premultiplied,
    rgb,
    rgba,
    smoothstep,
)
from actors.backends.embedded.scenes.lights import Lamps, glow_sprite
from actors.backends.embedded.scenes.motion import Swaying, Veil
from actors.backends.embedded.scenes.plants import blades
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import ground_picture


def _headland(stage: Stage, horizon: int) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    side = -1 if rng.random() < 0.5 else 1
    x = np.linspace(-1, 1, w, dtype=np.float32)[None, :] * side
    y = np.arange(h, dtype=np.float32)[:, None]
    crest = (
        horizon
        - stage.px(70) * smoothstep(0.15, 0.75, x)
        - stage.px(24) * fbm(rng, 1, w, cell=120, octaves=4)
        + stage.px(330) * smoothstep(0.42, 0.05, x)
    )
    drop = fbm(rng, h, w, cell=90, octaves=6, gain=0.6, stretch=0.45)
    body = smoothstep(-1, 2, y - crest)
    foot = h * 0.8 + stage.px(60) * (fbm(rng, 1, w, cell=90, octaves=4) - 0.5)
    gx = np.gradient(cv2.GaussianBlur(drop, (0, 0), 1.5), axis=1) * 26 * -side * stage.sun_side
    light = np.clip(0.42 + gx + 0.5 * (drop - 0.5), 0, 1)
    stone = stage.colour("rock") * 0.8
    green = mix(stage.colour("grass"), stage.colour("grass_tip"), 0.35)
    grassy = smoothstep(stage.px(64), stage.px(20), (y - crest) + stage.px(40) * (drop - 0.5))
    colour = mix(
        np.broadcast_to(stone, (h, w, 3)) * (0.6 + 0.6 * light[..., None]),
        green * (0.75 + 0.4 * drop[..., None]),
        grassy,
    )
    cliff = stage.hazed(stage.lit(np.clip(colour, 0, 1), np.clip(light + 0.35 * grassy, 0, 1)), 0.16)
    stage.add_still(premultiplied(cliff, body * smoothstep(4, -4, y - foot)))
    mask = np.exp(-(((y - foot) / stage.px(26)) ** 2)) * smoothstep(0.02, 0.2, x)
    mask = np.asarray(mask, np.float32)
    mask[mask < 0.02] = 0
    stage.add(
        Veil(
            rng,
            mask,
            np.clip(stage.lit(np.ones(3), 0.9), 0, 1),
            strength=0.95,
            speed=(stage.px(70), stage.px(-50)),
            size=stage.px(90),
            rise=stage.px(40),
            contrast=1.6,
        )
    )
    if not stage.option("nolight"):
        _lighthouse(
            stage,
            w * (0.5 + side * 0.33),
            float(crest[0, int(np.clip(w * (0.5 + side * 0.33), 0, w - 1))]) + stage.px(6),
        )
    near = ground_picture(
        stage,
        int(h * 0.7),
        stage.colour("grass") * 0.6,
        stage.colour("grass_tip") * 0.85,
        texture="grass",
        scale=1.9,
    )
    full = np.zeros((h, w, 3), np.float32)
    full[int(h * 0.7) :] = near
    brow = h * 0.84 + stage.px(40) * (fbm(rng, 1, w, cell=260, octaves=4) - 0.5)
    stage.add_still(premultiplied(full, smoothstep(-2, 3, y - brow)))
    for u, high in ((0.87, 70), (0.95, 100), (1.05, 140)):
        layer, weight = blades(
            rng,
            h,
            w,
            foot=(h * u - 12, h * u + 24),
            tall=stage.px(high),
            count=2100,
            dark=stage.lit(stage.colour("grass") * 0.7, 0.5),
            tip=stage.lit(stage.colour("grass_tip"), 0.95),
            lean=0.4,
        )
        stage.add(Swaying(layer, weight, stage.wind, sway=stage.px(30), flutter=0.8, sheen=0.16))


def _lighthouse(stage: Stage, x: float, foot: float) -> None:
    layer = blank(stage.height, stage.width)
    tall, wide = stage.px(230), stage.px(27)
    top = foot - tall
    for k in range(20):
        a, b = -1 + k / 10, -1 + (k + 1) / 10
        light = float(np.clip(0.55 + 0.55 * (a + b) / 2 * stage.sun_side - 0.2 * abs(a), 0.1, 1))
        for j in range(5):
            u0, u1 = j / 5, (j + 1) / 5
            tone = stage.hazed(stage.lit(rgb("#b8382e") if j % 2 else rgb("#f2efe8"), light), 0.15)
            w0, w1 = wide * (1 - 0.36 * u0), wide * (1 - 0.36 * u1)
            quad = np.array(
                [
                    (x + a * w0, foot - tall * u0),
                    (x + b * w0, foot - tall * u0),
                    (x + b * w1, foot - tall * u1),
                    (x + a * w1, foot - tall * u1),
                ]
            )
            cv2.fillConvexPoly(layer, (quad * 8).astype(np.int32), rgba(tone), cv2.LINE_AA, 3)
    dark = stage.lit(rgb("#3a3634"), 0.6)
    cv2.rectangle(
        layer, (int(x - wide * 0.85), int(top - 5)), (int(x + wide * 0.85), int(top + 3)), rgba(dark), -1
    )
    cv2.rectangle(
        layer,
        (int(x - wide * 0.45), int(top - stage.px(30))),
        (int(x + wide * 0.45), int(top - 5)),
        rgba(rgb("#ffe9b0")),
        -1,
    )
    for a in (-0.45, -0.15, 0.15, 0.45):
        cv2.line(
            layer,
            (int(x + a * wide), int(top - stage.px(30))),
            (int(x + a * wide), int(top - 5)),
            rgba(dark),
            1,
        )
    roof = np.array(
        [(x - wide * 0.6, top - stage.px(30)), (x, top - stage.px(54)), (x + wide * 0.6, top - stage.px(30))]
    )
    cv2.fillConvexPoly(
        layer, (roof * 8).astype(np.int32), rgba(stage.lit(rgb("#8a2f28"), 0.7)), cv2.LINE_AA, 3
    )
    stage.add_still(cv2.GaussianBlur(layer, (0, 0), 0.6))
    stage.add(
        Lamps(
            stage.rng,
            [(x, top - stage.px(18))],
            [glow_sprite(rgb("#fff0c0"), int(stage.px(150)) | 1, 0.5, core=0.7)],
            depth=0.7,
            lively=0.5,
        )
    )
