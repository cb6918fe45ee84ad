"""Rows of vines, seen down the lane between two of them.

What a reader gets wrong: every vine row is its own swaying layer, nearer rows over farther ones.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    blank,
    fbm,
    mix,
    rgba,
    smoothstep,
)
from actors.backends.embedded.scenes.motion import Shade, Swaying
from actors.backends.embedded.scenes.parts import (
    airborne,
    hills,
    leafage,
)
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import (
    ground_picture,
    paint_ground,
)


def vineyard(stage: Stage) -> None:
    """Trellised rows that run away on both sides of a lane, near leaves large."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.42, 0.47)))
    paint_sky(stage, horizon)
    hills(stage, horizon, tall=0.9)
    soil = stage.colour("soil")
    ground = ground_picture(stage, horizon, soil * 0.72, soil * 1.05, texture="gravel", scale=1.8, rough=0.5)
    grass = ground_picture(
        stage,
        horizon,
        stage.colour("grass") * 0.7,
        stage.colour("grass_tip") * 0.85,
        texture="grass",
        scale=1.8,
    )
    rows_n = h - horizon
    y = np.arange(rows_n, dtype=np.float32)[:, None] + 1
    x = (np.arange(w, dtype=np.float32)[None, :] - w * 0.5) * rows_n / y
    lane = np.abs(((x / stage.px(560) + 0.5) % 1.0) - 0.5) * 2
    paint_ground(
        stage, horizon, mix(grass, ground, smoothstep(0.25, 0.55, lane + 0.2 * fbm(rng, rows_n, w, cell=24)))
    )
    dapple = np.zeros((h, w), np.float32)
    dapple[horizon + 8 :] = 1
    stage.add(Shade(rng, dapple, depth=0.28, size=stage.px(70), flat=2.4, hard=1.5))
    depths = np.geomspace(7.0, 1.02, 7)
    for k, (far, near) in enumerate(pairwise(depths)):
        layer = blank(h, w)
        weight = np.zeros((h, w), np.float32)
        away = float(np.clip((far - 1.2) / 6, 0, 1)) ** 0.8 * 0.75
        own = leafage(stage, away=away)
        wide = own.lit
        for row_index in (-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5):
            lateral = row_index * stage.px(560)
            if abs(lateral) / far > w * 0.75:
                continue
            n = int(520 / (1 + 0.25 * abs(row_index)))
            z = rng.uniform(near, far, n)
            up = rng.beta(2.2, 1.6, n)
            px = w / 2 + (lateral + rng.normal(0, stage.px(34), n)) / z
            ground_y = horizon + rows_n / z
            py = ground_y - (stage.px(95) + up * stage.px(330)) / z
            inner = -np.sign(row_index)
            shade = np.clip(0.18 + 0.62 * up + 0.25 * inner * stage.sun_side + rng.normal(0, 0.2, n), 0, 1)
            size = stage.px(25) / z * rng.uniform(0.6, 1.2, n)
            order = np.argsort(-z)
            for post in np.arange(np.ceil(near / 0.5) * 0.5, far, 0.5):
                bx, by = w / 2 + lateral / post, horizon + rows_n / post
                cv2.line(
                    layer,
                    (int(bx), int(by)),
                    (int(bx), int(by - stage.px(400) / post)),
                    rgba(own.wood),
                    max(int(stage.px(9) / post), 1),
                    cv2.LINE_AA,
                )
            stems = rng.uniform(near, far, 10)
            for z1 in stems:
                bx, by = w / 2 + lateral / z1, horizon + rows_n / z1
                cv2.line(
                    layer,
                    (int(bx), int(by)),
                    (int(bx + stage.px(14) / z1), int(by - stage.px(180) / z1)),
                    rgba(own.wood),
                    max(int(stage.px(13) / z1), 1),
                    cv2.LINE_AA,
                )
            angle = rng.uniform(0, 6.28, n)
            for i in order:
                if not (-60 < px[i] < w + 60 and -60 < py[i] < h + 60):
                    continue
                colour = mix(own.dark, wide, float(shade[i]))
                _vine_leaf(layer, float(px[i]), float(py[i]), float(size[i]), float(angle[i]), colour)
        yy = np.arange(h, dtype=np.float32)[:, None]
        mid = (near + far) / 2
        weight[:] = np.clip(
            (horizon + rows_n / mid - stage.px(70) / mid - yy) / (stage.px(330) / mid), 0.0, 1
        )
        stage.add(
            Swaying(
                layer,
                weight,
                stage.wind,
                sway=stage.px(15) / near,
                flutter=stage.px(4.5) / near,
                glint=0.2,
                drop=0.3,
            )
        )
        del k
    airborne(stage, horizon)


def _vine_leaf(
    layer: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    x: float,
    y: float,
    size: float,
    angle: float,
    colour: Array,
) -> None:
    if size < 5:
        cv2.circle(layer, (int(x * 8), int(y * 8)), int(max(size, 1.2) * 7), rgba(colour), -1, cv2.LINE_AA, 3)
        return
    a = np.array([0.0, 0.7, 1.25, 1.9, 2.5, 3.14, 3.8, 4.4, 5.0, 5.6]) + angle
    r = size * np.array([1.0, 0.62, 0.95, 0.58, 0.85, 0.4, 0.85, 0.58, 0.95, 0.62])
    outline = np.stack([x + np.cos(a) * r, y + np.sin(a) * r * 0.82], -1)
    cv2.fillPoly(layer, [(outline * 8).astype(np.int32)], rgba(colour), cv2.LINE_AA, 3)
    half = np.vstack([outline[:6], [(x, y)]])
    cv2.fillPoly(layer, [(half * 8).astype(np.int32)], rgba(np.minimum(colour * 1.13, 1)), cv2.LINE_AA, 3)
