"""A waterfall between rocks, and rocks for other builders.

What a reader gets wrong: the falling water moves, the rock behind it does not.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Image8,
    blank,
    fbm,
    mix,
    premultiplied,
    rgb,
    rgba,
    smoothstep,
)
from actors.backends.embedded.scenes.forest import _hanging_boughs
from actors.backends.embedded.scenes.motion import Swaying, Veil
from actors.backends.embedded.scenes.particles import Drift, Swarm, dot_sprites
from actors.backends.embedded.scenes.parts import airborne, far_trees, grove, leafage, tree_bank
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.water import Cascade, Mirror


def rocks(
    stage: Stage,
    layer: Image8,
    spots: list[tuple[float, float, float]],
    colour: Array,
    *,
    moss: Array | None = None,
    away: float = 0.0,
) -> None:
    """Boulders at (x, foot, size): faceted outlines with a lit top, a dark foot and grain."""
    rng = stage.rng
    for x, foot, size in sorted(spots, key=lambda s: s[1]):
        n = 11
        angle = np.linspace(np.pi, 2 * np.pi, n) + rng.normal(0, 0.05, n)
        r = size * rng.uniform(0.78, 1.12, n)
        outline = np.stack([x + np.cos(angle) * r, foot + np.sin(angle) * r * 0.72], -1)
        outline = np.vstack([outline, [(x + size, foot + size * 0.06), (x - size, foot + size * 0.06)]])
        y0, y1, x0, x1 = (
            int(max(foot - size * 1.1, 0)),
            int(min(foot + size * 0.2, layer.shape[0])),
            int(max(x - size * 1.3, 0)),
            int(min(x + size * 1.3, layer.shape[1])),
        )
        if y1 - y0 < 3 or x1 - x0 < 3:
            continue
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(mask, [((outline - (x0, y0)) * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
        grain = fbm(rng, y1 - y0, x1 - x0, cell=max(size * 0.7, 6), octaves=5, gain=0.62)
        gy, gx = np.gradient(cv2.GaussianBlur(grain, (0, 0), max(size * 0.02, 0.6)))
        up = np.clip((foot - np.arange(y0, y1, dtype=np.float32)[:, None]) / size, 0, 1)
        across = (np.arange(x0, x1, dtype=np.float32)[None, :] - x) / size
        light = np.clip(
            0.22
            + 0.5 * up
            + 0.3 * across * stage.sun_side
            + (gy * 1.2 - gx * stage.sun_side) * size * 0.22
            + 0.35 * (grain - 0.5),
            0,
            1,
        )
        body = np.broadcast_to(colour, (*light.shape, 3))
        if moss is not None:
            body = mix(body, moss, smoothstep(0.45, 0.75, up + 0.5 * (grain - 0.5)) * 0.7)
        shaded = stage.hazed(stage.lit(body * (0.6 + 0.5 * light[..., None]), light), away)
        piece = premultiplied(shaded, mask.astype(np.float32) / 255)
        from actors.backends.embedded.scenes.canvas import stack_over

        stack_over(layer, piece, x0, y0)


def waterfall(stage: Stage) -> None:
    """A fall over a rock face into a pool, ferns and trees around."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(0.6)
    paint_sky(stage, int(h * 0.4), clouds=0.2)
    far_trees(stage, int(h * 0.42), tall=230, distance=0.6, spiky=0.5)
    cx = w * (0.3 if rng.random() < 0.5 else 0.7)
    top, foot = int(h * 0.12), int(h * 0.66)
    face = fbm(rng, h, w, cell=170, octaves=6, gain=0.58, stretch=0.45)
    ledges = fbm(rng, h, w, cell=60, octaves=4, stretch=3.5)
    relief = face * 0.7 + ledges * 0.45
    gx = np.gradient(cv2.GaussianBlur(relief, (0, 0), 1.6), axis=1) * 26 * -stage.sun_side
    gy = np.gradient(cv2.GaussianBlur(relief, (0, 0), 1.6), axis=0) * 24
    light = np.clip(0.52 + gx + gy + 0.4 * (face - 0.5), 0, 1)
    stone = stage.colour("rock") * 0.85
    moss = mix(stage.colour("foliage"), stage.colour("foliage_lit"), 0.35)
    cover = smoothstep(0.5, 0.7, ledges + 0.25 * (face - 0.5) + gy * 0.5)
    body = mix(np.broadcast_to(stone, (h, w, 3)), moss, cover * 0.85)
    cliff = stage.hazed(stage.lit(body * (0.55 + 0.7 * light[..., None]), light), 0.18)
    x = np.arange(w, dtype=np.float32)[None, :]
    y = np.arange(h, dtype=np.float32)[:, None]
    brow = (
        top
        + stage.px(70) * (fbm(rng, 1, w, cell=160, octaves=4) - 0.4)
        + stage.px(120) * np.clip(np.abs(x - cx) / w - 0.12, 0, 1)
    )
    alpha = smoothstep(-2, 4, y - brow)
    stage.add_still(premultiplied(cliff, alpha))
    half = stage.px(58) * (0.75 + 0.5 * ((y - top) / (foot - top)))
    wobble = stage.px(26) * (fbm(rng, h, 1, cell=130, octaves=3) - 0.5)
    fall = smoothstep(
        1.0,
        0.72,
        np.abs(x - cx - wobble) / half + 0.2 * (fbm(rng, h, w, cell=30, octaves=3, stretch=0.4) - 0.5),
    )
    fall = (
        fall
        * smoothstep(float(top) + 6, float(top) + 24, y + 0 * x)
        * smoothstep(float(foot) + 10, float(foot) - 4, y + 0 * x)
    )
    thin = (
        smoothstep(1.0, 0.5, np.abs(x - cx - stage.px(150) * np.sign(w / 2 - cx)) / stage.px(17))
        * smoothstep(h * 0.26, h * 0.3, y)
        * smoothstep(float(foot), float(foot) - 6, y)
        * 0.75
    )
    stage.add(
        Cascade(
            rng,
            np.maximum(fall, thin),
            light=stage.lit(rgb("#f4f9fc"), 0.9),
            dark=stage.lit(rgb("#8fa6ac"), 0.4),
        )
    )
    pool = np.zeros((h, w), np.float32)
    edge = foot - 6 + stage.px(24) * (fbm(rng, 1, w, cell=120, octaves=3) - 0.5)
    pool[:] = smoothstep(-1, 3, y - edge)
    from actors.backends.embedded.scenes.scene import snapshot

    stage.add(
        Mirror(
            rng,
            snapshot(stage.plate, stage.layers),
            pool,
            horizon=int(h * 0.5),
            deep=stage.lit(rgb("#3a6258"), 0.7),
            calm=0.35,
            scale=0.7,
            clarity=0.8,
            shore=foot - 4,
            wind=2.0,
        )
    )
    stones = blank(h, w)
    spots = [
        (
            cx + float(rng.normal(0, 150)),
            foot + float(rng.uniform(-4, 18)),
            stage.px(float(rng.uniform(16, 42))),
        )
        for _ in range(10)
    ]
    spots += [
        (
            float(rng.choice([-1, 1]) * rng.uniform(0.3, 0.55) + 0.5) * w,
            h * float(rng.uniform(0.74, 1.02)),
            stage.px(float(rng.uniform(40, 110))),
        )
        for _ in range(9)
    ]
    rocks(stage, stones, spots, stage.colour("rock") * 0.75, moss=moss)
    stage.add_still(stones)
    mask = np.exp(
        -(((x - cx) / stage.px(230)) ** 2) - ((y - foot + stage.px(10)) / stage.px(90)) ** 2
    ).astype(np.float32)
    mask[mask < 0.02] = 0
    stage.add(
        Veil(
            rng,
            mask,
            stage.lit(rgb("#f2f7fa"), 0.9),
            strength=0.8,
            speed=(stage.px(40), stage.px(-30)),
            size=stage.px(130),
            rise=stage.px(46),
        )
    )
    spray = dot_sprites(np.clip(stage.lit(np.ones(3), 0.9), 0, 1), (3, 4, 6), 1.2, 0.5)
    stage.add(
        Swarm(
            rng,
            spray,
            Drift(16, -40, 30, 0.8),
            count=70,
            region=(int(cx - stage.px(190)), int(foot - stage.px(130)), int(cx + stage.px(190)), foot + 10),
            fade=True,
        )
    )
    bank = tree_bank(stage, "broadleaf", int(stage.px(520)), 2)
    grove(
        stage,
        bank,
        [(w * 0.02, h * 0.72, stage.px(520)), (w * 0.98, h * 0.74, stage.px(560))],
        away=0.1,
        sway=10,
        shadows=False,
    )
    _ferns(stage)
    _hanging_boughs(stage, "broadleaf")
    airborne(stage, horizon)


def _ferns(stage: Stage) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    layer, weight = blank(h, w), np.zeros((h, w), np.float32)
    own = leafage(stage)
    for _ in range(15):
        side = float(rng.choice([-1, 1]))
        x0 = w * (0.5 + side * float(rng.uniform(0.3, 0.5)))
        y0 = h * float(rng.uniform(0.84, 1.04))
        for _ in range(8):
            a = float(rng.uniform(0.5, 2.6))
            reach = stage.px(float(rng.uniform(60, 130)))
            t = np.linspace(0, 1, 16)
            fx, fy = x0 + np.cos(a) * reach * t, y0 - np.sin(a) * reach * t + reach * 0.5 * t**2
            tone = mix(own.dark, own.lit, float(rng.uniform(0.2, 0.9)))
            for i in range(1, 16):
                size = reach * 0.16 * np.sin(np.pi * min(t[i] * 0.85 + 0.12, 1))
                for way in (-1, 1):
                    blade = np.array(
                        [
                            (fx[i], fy[i]),
                            (fx[i] + way * size * 0.9, fy[i] - size * 0.2),
                            (fx[i] + 3, fy[i] + 3),
                        ]
                    )
                    cv2.fillConvexPoly(
                        layer,
                        (blade * 8).astype(np.int32),
                        rgba(tone * (0.85 if way < 0 else 1.0)),
                        cv2.LINE_AA,
                        3,
                    )
    y = np.arange(h, dtype=np.float32)[:, None]
    weight[:] = np.clip((h * 1.0 - y) / (h * 0.2), 0, 1)
    stage.add(Swaying(layer, weight, stage.wind, sway=stage.px(14), flutter=stage.px(2), glint=0.12))
