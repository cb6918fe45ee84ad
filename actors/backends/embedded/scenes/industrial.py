"""The industrial wasteland: stacks and cooling towers in the smog, ruined frames, pipes, rubble, embers.

What a reader gets wrong: nearly everything here is a silhouette; depth comes from how much rust-coloured air
lies before it, so each plane of ruins is followed by a veil.
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
    soften,
    stack_over,
)
from actors.backends.embedded.scenes.lights import Lamps, glow_sprite
from actors.backends.embedded.scenes.motion import Veil
from actors.backends.embedded.scenes.parts import airborne
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.smoke import Smoke
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import ground_picture


def industrial(stage: Stage) -> None:
    """Ruined towers and pipes in a rust-coloured haze."""
    rng, h, w = stage.rng, stage.height, stage.width
    horizon = stage.row(float(rng.uniform(0.56, 0.62)))
    paint_sky(stage, horizon, speed=2.8)
    beacons: list[tuple[float, float]] = []
    _plane(stage, horizon + 6, 0.9, stage.px(170), beacons)
    stage.add(_smog(stage, horizon - stage.px(60), 110, 0.62, 95))
    tops = _stacks(stage, horizon + int(stage.px(14)), 0.62, beacons)
    for x, y, size in tops:
        stage.add(
            Smoke(
                rng,
                x,
                y,
                size=size,
                reach=max(size * 5.5, stage.px(260)),
                lean=stage.wind._direction * stage.px(210),
                dark=stage.hazed(stage.colour("roof") * 0.8, 0.3),
                lit=stage.hazed(mix(stage.haze, stage.sun, 0.3), 0.4),
                strength=0.9,
                rise=stage.px(66),
                light_side=stage.sun_side * 2,
            )
        )
    _plane(stage, horizon + int(stage.px(34)), 0.42, stage.px(230), beacons)
    stage.add(_smog(stage, horizon + stage.px(10), 90, 0.62, 130))
    ground = ground_picture(
        stage,
        horizon + int(stage.px(30)),
        stage.colour("soil") * 0.5,
        stage.colour("soil") * 0.95,
        texture="gravel",
        scale=2.4,
        rough=0.7,
    )
    paint = np.zeros((h, w, 3), np.float32)
    alpha = np.zeros((h, w), np.float32)
    top = horizon + int(stage.px(30))
    paint[top:], alpha[top:] = ground, 1
    stage.add_still(premultiplied(np.clip(paint, 0, 1), alpha))
    _puddles_and_rubble(stage, horizon)
    _near_ruins(stage, horizon, beacons)
    stage.add(_smog(stage, horizon + stage.px(150), 110, 0.5, 210))
    if stage.has("lights_flicker"):
        bank = [
            glow_sprite(rgb(c), int(stage.px(n)) | 1, 0.7, core=1.0)
            for c, n in (("#ff4028", 60), ("#ffa040", 46), ("#ff4028", 90))
        ]
        stage.add(Lamps(rng, beacons, bank, depth=0.9, lively=0.6))
    airborne(stage, horizon)


def _smog(stage: Stage, middle: float, half: float, strength: float, speed: float) -> Veil:
    y = np.arange(stage.height, dtype=np.float32)[:, None]
    mask = np.exp(-(((y - middle) / stage.px(half)) ** 2)) * np.ones((1, stage.width), np.float32)
    mask[mask < 0.02] = 0
    way = stage.wind._direction
    return Veil(
        stage.rng,
        mask,
        mix(stage.haze, stage.sun, 0.25),
        strength=strength,
        speed=(way * stage.px(speed), way * stage.px(-0.4 * speed)),
        size=stage.px(280),
        flat=2.4,
        contrast=1.35,
    )


def _tone(stage: Stage, away: float, light: float = 0.3) -> Array:
    return stage.hazed(stage.lit(stage.colour("wall") * 0.8, light), away)


def _plane(stage: Stage, base: int, away: float, tall: float, beacons: list[tuple[float, float]]) -> None:
    """A broken line of halls, frames, tanks and cranes."""
    rng, w = stage.rng, stage.width
    layer = blank(stage.height, stage.width)
    x = -stage.px(40)
    grow = 1.5 - away
    while x < w:
        wide = stage.px(float(rng.uniform(60, 150))) * grow
        high = tall * float(rng.uniform(0.35, 1.0))
        roll = float(rng.random())
        dark, lit = _tone(stage, away, 0.12), _tone(stage, away, 0.75)
        if roll < 0.4:
            _hall(stage, layer, x, base, wide, high * 0.8, dark, lit)
        elif roll < 0.75:
            _frame(stage, layer, x, base, wide * 0.7, high, dark)
            if rng.random() < 0.5:
                beacons.append((x + wide * 0.35, base - high))
        else:
            _tank(stage, layer, x, base, wide * 0.7, high * 0.4, dark, lit)
        x += wide * float(rng.uniform(0.75, 1.15))
    for _ in range(2):
        y = base - tall * float(rng.uniform(0.14, 0.4))
        cv2.line(
            layer,
            (0, int(y)),
            (w, int(y + stage.px(6))),
            rgba(_tone(stage, away, 0.2)),
            max(int(stage.px(7 * grow)), 1),
            cv2.LINE_AA,
        )
        cv2.line(
            layer,
            (0, int(y - stage.px(2 * grow))),
            (w, int(y + stage.px(6 - 2 * grow))),
            rgba(_tone(stage, away, 0.7)),
            1,
            cv2.LINE_AA,
        )
    stage.add_still(layer)


def _hall(
    stage: Stage, layer: Image8, x: float, base: int, wide: float, high: float, dark: Array, lit: Array
) -> None:
    rng = stage.rng
    h, w = max(int(high), 6), max(int(wide), 6)
    noise = fbm(rng, h, w, cell=max(high * 0.3, 6), octaves=5)
    colour = mix(dark, lit, 0.25 + 0.3 * noise)
    side = int(w * (0.62 if stage.sun_x > 0.5 else 0.38))
    part = colour[:, side:] if stage.sun_x > 0.5 else colour[:, :side]
    part[...] = part * 1.18
    edge = fbm(rng, 1, w, cell=max(w * 0.25, 5), octaves=5, gain=0.65)[0]
    alpha = (np.arange(h)[:, None] > (np.clip(edge - 0.42, 0, 1) * 1.5 * h * 0.6)[None, :]).astype(np.float32)
    cell = max(int(stage.px(13)), 4)
    for row in range(cell, h - cell, cell * 2):
        for col in range(cell, w - cell, int(cell * 1.7)):
            hole = rng.random()
            if hole < 0.3:
                alpha[row : row + cell, col : col + cell] = 0
            elif hole < 0.75:
                colour[row : row + cell, col : col + cell] *= 0.62
    stack_over(layer, premultiplied(np.clip(colour, 0, 1), alpha), int(x), base - h)


def _frame(stage: Stage, layer: Image8, x: float, base: int, wide: float, high: float, dark: Array) -> None:
    """A lattice tower or the skeleton of a building."""
    thick = max(int(wide * 0.03), 1)
    taper = float(stage.rng.uniform(0.45, 1.0))
    steps = max(int(high / max(wide * 0.55, 6)), 2)
    last: tuple[float, float, float] | None = None
    for k in range(steps + 1):
        u = k / steps
        half = wide / 2 * (1 - (1 - taper) * u)
        y = base - high * u
        cx = x + wide / 2
        cv2.line(layer, (int(cx - half), int(y)), (int(cx + half), int(y)), rgba(dark), thick, cv2.LINE_AA)
        if last is not None:
            for s in (-1, 1):
                cv2.line(
                    layer,
                    (int(cx + s * last[0]), int(last[1])),
                    (int(cx + s * half), int(y)),
                    rgba(dark),
                    thick + 1,
                    cv2.LINE_AA,
                )
                cv2.line(
                    layer,
                    (int(cx + s * last[0]), int(last[1])),
                    (int(cx - s * half), int(y)),
                    rgba(dark),
                    max(thick - 1, 1),
                    cv2.LINE_AA,
                )
        last = (half, y, cx)


def _tank(
    stage: Stage, layer: Image8, x: float, base: int, wide: float, high: float, dark: Array, lit: Array
) -> None:
    columns = 24
    for k in range(columns):
        a, b = k / columns, (k + 1) / columns
        mid = 2 * (a + b) / 2 - 1
        light = float(np.clip(0.3 + 0.65 * mid * (1 if stage.sun_x > 0.5 else -1), 0, 1))
        tone = mix(dark, lit, light)
        cap = high * 0.1 * np.sqrt(max(1 - mid * mid, 0))
        cv2.rectangle(
            layer, (int(x + a * wide), int(base - high - cap)), (int(x + b * wide), base), rgba(tone), -1
        )


def _stacks(
    stage: Stage, base: int, away: float, beacons: list[tuple[float, float]]
) -> list[tuple[float, float, float]]:
    """Chimneys and cooling towers; returns (x, y, size) of what smokes."""
    rng, w = stage.rng, stage.width
    layer = blank(stage.height, stage.width)
    tops: list[tuple[float, float, float]] = []
    slots = (np.arange(6) + 0.5 + rng.uniform(-0.28, 0.28, 6)) / 6 * w
    for k, cx in enumerate(slots):
        cooling = k % 3 == int(rng.integers(0, 3))
        high = stage.px(float(rng.uniform(150, 210)) if cooling else float(rng.uniform(200, 310)))
        foot = stage.px(float(rng.uniform(60, 84))) if cooling else stage.px(float(rng.uniform(11, 17)))
        n, columns = 26, 20
        for j in range(n):
            u0, u1 = j / n, (j + 1) / n
            r0, r1 = (
                (foot * (0.58 + 0.42 * (1 - 1.32 * u) ** 2)) if cooling else foot * (1 - 0.35 * u)
                for u in (u0, u1)
            )
            for c in range(columns):
                a, b = -1 + 2 * c / columns, -1 + 2 * (c + 1) / columns
                light = float(np.clip(0.3 + 0.6 * (a + b) / 2 * (1 if stage.sun_x > 0.5 else -1), 0, 1))
                band = 0.75 if not cooling and j in (22, 23, 18, 19) else 1.0
                tone = mix(_tone(stage, away, 0.1), _tone(stage, away, 0.85), light) * band
                quad = np.array(
                    [
                        (cx + a * r0, base - high * u0),
                        (cx + b * r0, base - high * u0),
                        (cx + b * r1, base - high * u1),
                        (cx + a * r1, base - high * u1),
                    ]
                )
                cv2.fillConvexPoly(layer, (quad * 8).astype(np.int32), rgba(tone), cv2.LINE_8, 3)
        tops.append((float(cx), float(base - high), foot * (0.95 if cooling else 2.0)))
        if not cooling:
            beacons.append((float(cx), float(base - high * 0.9)))
    stage.add_still(soften(layer, 0.8))
    return tops


def _puddles_and_rubble(stage: Stage, horizon: int) -> None:
    rng, h, w = stage.rng, stage.height, stage.width
    top = horizon + int(stage.px(46))
    rows = h - top
    y = np.arange(rows, dtype=np.float32)[:, None] / rows
    patch = fbm(rng, rows, w, cell=120, octaves=4, stretch=4.5)
    alpha = smoothstep(0.6, 0.68, patch) * (0.8 - 0.35 * y)
    full, cover = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.float32)
    full[top:] = mix(stage.sky_low, stage.sky_top, y * np.ones((1, w)) * 0.9) * 0.85
    cover[top:] = alpha
    stage.add_still(premultiplied(np.clip(full, 0, 1), cover))
    layer = blank(h, w)
    count = 420
    depth = np.sort(rng.random(count) ** 1.6)
    for u in depth:
        foot = top + (h * 1.03 - top) * u
        x = float(rng.uniform(0, w))
        calm = abs(x / w - 0.5) < 0.2
        size = stage.px(3 + 26 * u) * float(rng.uniform(0.4, 1.2)) * (0.45 if calm else 1.0)
        n = int(rng.integers(4, 7))
        angle = np.sort(rng.uniform(0, 2 * np.pi, n))
        points = np.stack([x + np.cos(angle) * size, foot + np.sin(angle) * size * 0.5], -1)
        away = float(np.clip(0.4 - 0.4 * u, 0, 1))
        base = stage.hazed(stage.lit(stage.colour("rock") * float(rng.uniform(0.45, 0.8)), 0.2), away)
        cv2.fillConvexPoly(layer, (points * 8).astype(np.int32), rgba(base), cv2.LINE_AA, 3)
        upper = np.stack(
            [x + np.cos(angle) * size * 0.8, foot - size * 0.22 + np.sin(angle) * size * 0.28], -1
        )
        lit = stage.hazed(stage.lit(stage.colour("rock") * 0.8, 0.8), away)
        cv2.fillConvexPoly(
            layer, (upper * 8).astype(np.int32), rgba(lit * float(rng.uniform(0.7, 1.0))), cv2.LINE_AA, 3
        )
    stage.add_still(soften(layer, 0.9))


def _near_ruins(stage: Stage, horizon: int, beacons: list[tuple[float, float]]) -> None:
    """Broken columns and pipes at both sides, close by."""
    rng, h, w = stage.rng, stage.height, stage.width
    layer = blank(h, w)
    for side in (-1, 1):
        edge = 0.0 if side < 0 else float(w)
        wide = stage.px(float(rng.uniform(150, 210)))
        high = stage.px(float(rng.uniform(330, 440)))
        base = h * 0.83
        dark, lit = _tone(stage, 0.1, 0.05), _tone(stage, 0.1, 0.7)
        _hall(
            stage,
            layer,
            edge - wide * 0.4 if side < 0 else edge - wide * 0.6,
            int(base),
            wide,
            high,
            dark,
            lit,
        )
        _frame(stage, layer, edge - side * wide * 1.3 - wide * 0.2, int(base), wide * 0.34, high * 0.72, dark)
        beacons.append((edge - side * wide * 1.3 - wide * 0.03, base - high * 0.72))
        for k in range(4):
            y = base - high * (0.22 + 0.13 * k)
            end = edge - side * wide * float(rng.uniform(1.1, 1.9))
            thick = max(int(stage.px(float(rng.uniform(9, 19)))), 2)
            p, q = (int(edge), int(y)), (int(end), int(y))
            cv2.line(layer, p, q, rgba(dark), thick, cv2.LINE_AA)
            lift = thick // 3
            cv2.line(
                layer,
                (p[0], p[1] - lift),
                (q[0], q[1] - lift),
                rgba(mix(dark, lit, 0.7)),
                max(thick // 5, 1),
                cv2.LINE_AA,
            )
            cv2.line(layer, q, (q[0], int(base)), rgba(dark), thick, cv2.LINE_AA)
    stage.add_still(soften(layer, 1.3))
    del horizon
