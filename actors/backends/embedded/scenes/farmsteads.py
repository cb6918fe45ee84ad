"""What stands on a field: barn, windmill, cabin, pumpkins.

What a reader gets wrong: the buildings stay still; only sails and smoke are layers that move.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    blank,
    fbm,
    mix,
    premultiplied,
    rgb,
    rgba,
)
from actors.backends.embedded.scenes.figures import Plume, Sails
from actors.backends.embedded.scenes.stage import Stage


def _barn(stage: Stage, horizon: int) -> None:
    rng = stage.rng
    layer = blank(stage.height, stage.width)
    left = bool(rng.random() < 0.5)
    x0, width = stage.width * (0.06 if left else 0.64), stage.px(330)
    base, eave, ridge = horizon + stage.px(26), horizon - stage.px(88), horizon - stage.px(160)
    gable = width * 0.36
    red, roof = rgb("#8c3a2a"), rgb("#6f6660")

    def quad(points: list[tuple[float, float]], colour: Array) -> None:
        cv2.fillConvexPoly(layer, (np.array(points) * 8).astype(np.int32), rgba(colour), cv2.LINE_AA, 3)

    side_light = 0.85 if (stage.sun_side < 0) == left else 0.35
    quad(
        [(x0 + gable, eave), (x0 + width, eave + 6), (x0 + width, base), (x0 + gable, base)],
        stage.lit(red, 0.35 + 0.5 * (1 - side_light)),
    )
    quad(
        [(x0, eave), (x0 + gable / 2, ridge), (x0 + gable, eave), (x0 + gable, base), (x0, base)],
        stage.lit(red, side_light),
    )
    quad(
        [
            (x0 + gable / 2 - 6, ridge - 6),
            (x0 + width - gable * 0.36, ridge),
            (x0 + width + 8, eave + 12),
            (x0 + gable - 4, eave + 6),
        ],
        stage.lit(roof, 0.9),
    )
    quad(
        [
            (x0 + gable * 0.3, base),
            (x0 + gable * 0.3, base - 74),
            (x0 + gable * 0.7, base - 74),
            (x0 + gable * 0.7, base),
        ],
        stage.lit(red * 0.3, 0.2),
    )
    quad(
        [
            (x0 + gable * 0.42, eave - 2),
            (x0 + gable * 0.58, eave - 2),
            (x0 + gable * 0.58, eave - 26),
            (x0 + gable * 0.42, eave - 26),
        ],
        stage.lit(red * 0.3, 0.2),
    )
    boards = fbm(rng, stage.height, stage.width, cell=7, octaves=2, stretch=0.25)
    grey = layer[..., :3].astype(np.float32) * (0.8 + 0.4 * boards[..., None])
    layer[..., :3] = np.minimum(np.clip(grey, 0, 255), layer[..., 3:4]).astype(np.uint8)
    hazy = layer[..., :3].astype(np.float32) * 0.86 + (stage.haze * 255 * 0.14) * (layer[..., 3:4] / 255)
    layer[..., :3] = np.clip(hazy, 0, 255).astype(np.uint8)
    stage.add_still(cv2.GaussianBlur(layer, (0, 0), 0.7))


def _windmill(stage: Stage, horizon: int) -> None:
    rng = stage.rng
    x = stage.width * (0.16 if rng.random() < 0.5 else 0.84) + stage.px(float(rng.uniform(-30, 30)))
    base, top = horizon + stage.px(20), horizon - stage.px(190)
    layer = blank(stage.height, stage.width)
    wall, wide = rgb("#d9cfbd"), stage.px(46)
    for k in range(24):
        a, b = -1 + k / 12, -1 + (k + 1) / 12
        light = np.clip(0.5 + 0.6 * (a + b) / 2 * stage.sun_side - 0.15 * abs(a), 0.05, 1)
        quad = np.array(
            [
                (x + a * wide, base),
                (x + b * wide, base),
                (x + b * wide * 0.66, top),
                (x + a * wide * 0.66, top),
            ]
        )
        cv2.fillConvexPoly(
            layer, (quad * 8).astype(np.int32), rgba(stage.hazed(stage.lit(wall, light), 0.1)), cv2.LINE_AA, 3
        )
    cap = np.array(
        [
            (x - wide * 0.78, top + 6),
            (x + wide * 0.78, top + 6),
            (x + wide * 0.3, top - stage.px(40)),
            (x - wide * 0.3, top - stage.px(40)),
        ]
    )
    cv2.fillConvexPoly(
        layer, (cap * 8).astype(np.int32), rgba(stage.lit(rgb("#5a4a3c"), 0.6)), cv2.LINE_AA, 3
    )
    for dy in (70, 128):
        cv2.ellipse(
            layer,
            (int(x), int(top + stage.px(dy))),
            (int(stage.px(7)), int(stage.px(11))),
            0,
            0,
            360,
            rgba(wall * 0.2),
            -1,
            cv2.LINE_AA,
        )
    stage.add_still(cv2.GaussianBlur(layer, (0, 0), 0.7))
    n = int(stage.px(330))
    sails = blank(n, n)
    c = n / 2
    for k in range(4):
        a = k * np.pi / 2 + 0.4
        ux, uy, vx, vy = np.cos(a), np.sin(a), -np.sin(a), np.cos(a)
        cv2.line(
            sails,
            (int(c * 8), int(c * 8)),
            (int((c + ux * n * 0.48) * 8), int((c + uy * n * 0.48) * 8)),
            rgba(stage.lit(rgb("#5a4632"), 0.6)),
            4,
            cv2.LINE_AA,
            3,
        )
        lo, hi, wd = n * 0.1, n * 0.47, n * 0.075
        cloth = np.array(
            [
                (c + ux * lo + vx * 3, c + uy * lo + vy * 3),
                (c + ux * hi + vx * 3, c + uy * hi + vy * 3),
                (c + ux * hi + vx * wd, c + uy * hi + vy * wd),
                (c + ux * lo + vx * wd, c + uy * lo + vy * wd),
            ]
        )
        cv2.fillConvexPoly(
            sails, (cloth * 8).astype(np.int32), rgba(stage.lit(rgb("#efe6d2"), 0.9), 0.85), cv2.LINE_AA, 3
        )
        for j in range(7):
            p = lo + (hi - lo) * j / 6
            cv2.line(
                sails,
                (int((c + ux * p) * 8), int((c + uy * p) * 8)),
                (int((c + ux * p + vx * wd) * 8), int((c + uy * p + vy * wd) * 8)),
                rgba(stage.lit(rgb("#6a543c"), 0.5)),
                1,
                cv2.LINE_AA,
                3,
            )
    stage.add(Sails(sails, x, top - stage.px(8), turns_per_s=0.11))


def _cabin(stage: Stage, horizon: int) -> None:
    rng = stage.rng
    layer = blank(stage.height, stage.width)
    left = bool(rng.random() < 0.5)
    x0 = stage.width * (0.13 if left else 0.66)
    base, w = horizon + stage.px(64), stage.px(250)
    eave, ridge = base - stage.px(92), base - stage.px(170)
    wood, snow = rgb("#6a4a34"), stage.lit(rgb("#f3f6fa"), 0.85)
    cv2.fillConvexPoly(
        layer,
        np.array([(x0, eave), (x0 + w, eave), (x0 + w, base), (x0, base)]).astype(np.int32),
        rgba(stage.lit(wood, 0.5)),
        cv2.LINE_AA,
    )
    for k in range(9):
        y = int(eave + (base - eave) * k / 9)
        cv2.line(layer, (int(x0), y), (int(x0 + w), y), rgba(stage.lit(wood * 0.55, 0.3)), 2, cv2.LINE_AA)
    roof = np.array(
        [(x0 - w * 0.09, eave + 8), (x0 + w * 0.12, ridge), (x0 + w * 0.88, ridge), (x0 + w * 1.09, eave + 8)]
    )
    cv2.fillConvexPoly(layer, roof.astype(np.int32), rgba(snow), cv2.LINE_AA)
    lower = np.array(
        [
            (x0 - w * 0.09, eave + 8),
            (x0 + w * 1.09, eave + 8),
            (x0 + w * 1.07, eave + 16),
            (x0 - w * 0.07, eave + 16),
        ]
    )
    cv2.fillConvexPoly(layer, lower.astype(np.int32), rgba(snow * 0.72), cv2.LINE_AA)
    for u in (0.16, 0.68):
        cv2.rectangle(
            layer,
            (int(x0 + w * u), int(eave + 28)),
            (int(x0 + w * (u + 0.16)), int(eave + 62)),
            rgba(rgb("#ffc766")),
            -1,
        )
        cv2.rectangle(
            layer,
            (int(x0 + w * u), int(eave + 28)),
            (int(x0 + w * (u + 0.16)), int(eave + 62)),
            rgba(stage.lit(wood * 0.5, 0.4)),
            2,
        )
    cv2.rectangle(
        layer,
        (int(x0 + w * 0.43), int(eave + 24)),
        (int(x0 + w * 0.57), int(base)),
        rgba(stage.lit(wood * 0.6, 0.4)),
        -1,
    )
    cx = x0 + w * 0.7
    cv2.rectangle(
        layer,
        (int(cx), int(ridge - stage.px(34))),
        (int(cx + stage.px(22)), int(ridge + 20)),
        rgba(stage.lit(rgb("#7d7672"), 0.5)),
        -1,
    )
    mound = np.zeros((stage.height, stage.width), np.uint8)
    cv2.ellipse(
        mound, (int(x0 + w / 2), int(base + 12)), (int(w * 0.78), int(stage.px(26))), 0, 0, 360, 255, -1
    )
    soft = cv2.GaussianBlur(mound, (0, 0), 6).astype(np.float32) / 255
    stage.add_still(cv2.GaussianBlur(layer, (0, 0), 0.8))
    stage.add_still(premultiplied(snow * 0.95, soft))
    stage.add(
        Plume(
            rng,
            cx + stage.px(11),
            ridge - stage.px(36),
            size=stage.px(26),
            colour=mix(stage.haze, np.ones(3), 0.2),
            strength=0.5,
        )
    )


def _pumpkins(stage: Stage, horizon: int) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    layer = blank(h, w)
    spots = sorted(
        (float(horizon + (h - horizon) * rng.uniform(0.05, 1) ** 1.4), float(rng.uniform(0, w)))
        for _ in range(46)
    )
    for y, x in spots:
        u = (y - horizon) / (h - horizon)
        r = stage.px(5 + 52 * u) * float(rng.uniform(0.75, 1.15))
        away = (1 - u) * 0.8
        for k, at in enumerate((-0.66, 0.66, -0.36, 0.36, 0.0)):
            light = np.clip(0.5 + 0.5 * at * stage.sun_side + 0.1 * k, 0, 1)
            c = stage.hazed(stage.lit(mix(rgb("#b4501a"), rgb("#ef8a30"), light), 0.6), away)
            cv2.ellipse(
                layer,
                (int(x + at * r), int(y)),
                (max(int(r * 0.42), 1), max(int(r * 0.66), 1)),
                0,
                0,
                360,
                rgba(c),
                -1,
                cv2.LINE_AA,
            )
            cv2.ellipse(
                layer,
                (int(x + at * r - r * 0.08), int(y - r * 0.22)),
                (max(int(r * 0.2), 1), max(int(r * 0.3), 1)),
                0,
                0,
                360,
                rgba(np.minimum(c * 1.14, 1)),
                -1,
                cv2.LINE_AA,
            )
        cv2.line(
            layer,
            (int(x), int(y - r * 0.55)),
            (int(x + r * 0.2), int(y - r * 0.95)),
            rgba(stage.lit(rgb("#5a5a30"), 0.5)),
            max(int(r * 0.16), 1),
            cv2.LINE_AA,
        )
    stage.add_still(cv2.GaussianBlur(layer, (0, 0), 0.8))
