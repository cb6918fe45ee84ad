"""Plants of rooms: ferns and palms in pots, hanging baskets, masses of leaves on a bench.

What a reader gets wrong: a fern hangs or stands by how it is painted (`hang`); its root is at 0.78 of
the height of the sprite from the top, or at 0.3 when it hangs.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import Colour, Rng, blank, mix, rgb, rgba, smoothstep, soften
from actors.backends.embedded.scenes.motion import Swaying
from actors.backends.embedded.scenes.parts import leafage
from actors.backends.embedded.scenes.plants import Leafage, Sprite, plant, resized
from actors.backends.embedded.scenes.space import Space
from actors.backends.embedded.scenes.stage import Stage


def fern(
    rng: Rng, size: int, tone: Leafage, *, fronds: int = 15, hang: float = 0.0, broad: float = 0.3
) -> Sprite:
    """A plant of arching fronds; `hang` 1 lets them fall over (a basket), 0 sends them up (a palm)."""
    wide, tall = int(size * 2.1), int(size * (1.25 + 0.5 * hang))
    layer = blank(tall, wide)
    x0, y0 = wide / 2, tall * (0.3 if hang > 0.5 else 0.78)
    for rank, k in enumerate(rng.permutation(fronds)):
        nearer = rank / fronds
        spread = (k + 0.5) / fronds * 2 - 1 + float(rng.normal(0, 0.08))
        angle = np.pi / 2 - spread * (1.25 if hang < 0.5 else 1.75)
        length = size * float(rng.uniform(0.5, 1.0)) * (1.0 - 0.2 * abs(spread) * (1 - hang))
        droop = 0.38 + hang * float(rng.uniform(0.3, 0.85))
        steps = 26
        t = np.linspace(0, 1, steps)
        px = x0 + np.cos(angle) * length * t
        py = y0 - np.sin(angle) * length * t * (1 - 0.3 * hang) + length * droop * t**2.1
        light = float(np.clip(0.08 + 0.6 * nearer + rng.normal(0, 0.1), 0.0, 0.85))
        stem = rgba(mix(tone.dark, tone.lit, light * 0.6))
        line = (np.stack([px, py], 1) * 8).astype(np.int32)
        cv2.polylines(layer, [line], False, stem, max(int(size * 0.008), 1), cv2.LINE_AA, 3)
        for i in range(2, steps):
            tx, ty = px[i] - px[i - 1], py[i] - py[i - 1]
            n = float(np.hypot(tx, ty)) or 1.0
            tx, ty = tx / n, ty / n
            reach = length * broad * np.sin(np.pi * min(t[i] * 0.93 + 0.07, 1)) ** 0.7
            for sign in (-1.0, 1.0):
                ex = px[i] + reach * (0.55 * tx - sign * 0.8 * ty)
                ey = py[i] + reach * (0.55 * ty + sign * 0.8 * tx) + reach * 0.25
                mx, my = (px[i] + ex) / 2, (py[i] + ey) / 2
                bx, by = (py[i] - ey) * 0.11, (ex - px[i]) * 0.11
                leaf = np.array([(px[i], py[i]), (mx + bx, my + by), (ex, ey), (mx - bx, my - by)])
                level = float(np.clip(light + 0.3 * (t[i] - 0.4) + 0.1 * sign + rng.normal(0, 0.09), 0, 1))
                shade = rgba(mix(tone.dark, tone.lit, level))
                cv2.fillConvexPoly(layer, (leaf * 8).astype(np.int32), shade, cv2.LINE_AA, 3)
    gy, gx = np.mgrid[0:tall, 0:wide].astype(np.float32)
    weight = np.clip(np.hypot(gx - x0, gy - y0) / size, 0, 1) ** 1.3
    return Sprite(layer, weight.astype(np.float32))


def greenery(
    stage: Stage,
    bank: list[Sprite],
    places: list[tuple[float, float, float]],
    *,
    sway: float = 7.0,
    blur: float = 1.0,
    glint: float = 0.1,
    flutter: float = 1.2,
) -> None:
    """Plants at (x, foot y, tall px) as one swaying layer in front of the room."""
    layer = blank(stage.height, stage.width)
    weight = np.zeros((stage.height, stage.width), np.float32)
    for x, foot, tall in sorted(places, key=lambda p: p[1]):
        sprite = resized(
            bank[int(stage.rng.integers(0, len(bank)))],
            max(int(tall), 8),
            flip=bool(stage.rng.random() < 0.5),
        )
        plant(layer, weight, sprite, x, foot)
    # nothing sways at the picture's edges, where there is no more of it to come in
    column = np.arange(stage.width, dtype=np.float32)
    weight *= smoothstep(0, stage.px(50), np.minimum(column, stage.width - 1 - column))[None, :]
    stage.add(
        Swaying(
            soften(layer, stage.px(blur)),
            weight,
            stage.wind,
            sway=stage.px(sway),
            flutter=stage.px(flutter),
            glint=glint,
            drop=0.1,
        )
    )


def pot(
    stage: Stage, x: float, foot: float, wide: float, tall: float, colour: Colour, *, blur: float = 1.2
) -> None:
    """A round pot, lit from the side of the light; px."""
    layer = blank(stage.height, stage.width)
    u = np.linspace(-1, 1, 40)
    for a, b in pairwise(u):
        side = -1.0 if stage.sun_side < 0 else 1.0
        bright = 0.45 + 0.6 * max(np.cos((a - side * 0.45) * 1.5), 0.0)
        tone = rgba(np.clip(stage.lit(colour, 0.6) * bright, 0, 1))
        quad = np.array(
            [
                (x + a * wide / 2, foot - tall),
                (x + b * wide / 2, foot - tall),
                (x + b * wide * 0.36, foot + (1 - b * b) * wide * 0.05),
                (x + a * wide * 0.36, foot + (1 - a * a) * wide * 0.05),
            ]
        )
        cv2.fillConvexPoly(layer, (quad * 8).astype(np.int32), tone, cv2.LINE_AA, 3)
    cv2.ellipse(
        layer,
        (int(x), int(foot - tall)),
        (int(wide / 2), int(wide * 0.08)),
        0,
        0,
        360,
        rgba(stage.lit(colour * 0.25, 0.3)),
        -1,
        cv2.LINE_AA,
    )
    stage.add_still(soften(layer, stage.px(blur)))


def houseplant(
    stage: Stage, space: Space, x: float, z: float, *, tall: float = 1.3, pot_colour: Colour | None = None
) -> None:
    """A palm in a pot on the floor at (x, z) m."""
    m = space.scale(x, 0.3, z)
    px_, foot = space.spot(x, 0.0, z)
    high = 0.36 * m
    own = leafage(stage)
    bank = [fern(stage.rng, int(tall * m * 0.8), own, fronds=13, broad=0.26)]
    pot(stage, px_, foot, 0.42 * m, high, pot_colour if pot_colour is not None else rgb("#8c6a50"))
    greenery(stage, bank, [(px_, foot - high * 0.9 + 0.22 * tall * m, tall * m)], sway=9)
