"""City towers: one tower with its windows, and planes of them one behind the other.

What a reader gets wrong: windows that flicker are cells of the towers nobody stands in front of; a nearer
tower strikes those that it hides from the list.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Image8,
    blank,
    fbm,
    mix,
    premultiplied,
    rgb,
    rgba,
    smoothstep,
    stack_over,
)
from actors.backends.embedded.scenes.lights import Blinking, Lamps, glow_sprite
from actors.backends.embedded.scenes.stage import Stage

Cell = tuple[int, int, int, int]


def tower(
    stage: Stage, *, wide: int, tall: int, away: float, lit: float, neon: bool = False
) -> tuple[Image8, list[Cell]]:
    """One tower with a light and a dark face; returns it with its lit window cells (x, y, w, h)."""
    rng = stage.rng
    colour = np.zeros((tall, wide, 3), np.float32)
    alpha = np.ones((tall, wide), np.float32)
    wall = mix(stage.colour("wall"), stage.colour("wall2"), float(rng.random())) * float(
        rng.uniform(0.75, 1.1)
    )
    wall = mix(wall, rgb("#6f7c90"), float(rng.uniform(0, 0.7)))
    split = int(wide * (0.3 + 0.4 * rng.random()))
    left_lit = stage.sun_x < 0.5
    for a, b, is_lit in ((0, split, left_lit), (split, wide, not left_lit)):
        y = np.linspace(0, 1, tall, dtype=np.float32)[:, None]
        amount = (0.85 if is_lit else 0.18) - 0.15 * y
        colour[:, a:b] = stage.lit(
            np.broadcast_to(wall, (tall, b - a, 3)), np.broadcast_to(amount, (tall, b - a))
        )
    pane_w = max(int(stage.px(float(rng.uniform(3, 6.5)) * (1.25 - 0.75 * away))), 2)
    pane_h = max(int(stage.px(float(rng.uniform(4, 7)) * (1.25 - 0.75 * away))), 2)
    lit = lit * float(rng.uniform(0.35, 1.3))
    glass = stage.lit(mix(stage.sky_low, stage.sky_top, 0.5) * 0.6, 0.4)
    strips = rng.random() < 0.35
    cells: list[Cell] = []
    lamps = [
        rgb(c)
        for c in (
            ("#8ad8ff", "#ff7ac8", "#c08aff", "#ffd8a0")
            if neon
            else ("#ffd9a0", "#ffc478", "#ffe8c8", "#e6eeff")
        )
    ]
    gap = max(pane_w // 2, 1)
    for row in range(pane_h, tall - pane_h, pane_h + max(pane_h // 2, 1)):
        band = rng.random()
        for x in range(gap, wide - pane_w, pane_w + (0 if strips else gap)):
            if abs(x + pane_w / 2 - split) < pane_w * 0.7:
                continue
            shade = 0.9 if (x < split) == left_lit else 0.62
            cell = colour[row : row + pane_h, x : x + pane_w]
            cell[...] = glass * shade * float(rng.uniform(0.85, 1.15))
            if rng.random() < lit * (0.45 + 1.1 * band):
                lamp = lamps[int(rng.integers(0, len(lamps)))] * float(rng.uniform(0.45, 1.0))
                cell[...] = lamp
                cells.append((x, row, pane_w, pane_h))
    colour[: max(pane_h // 2, 2)] *= 1.2
    tone = stage.hazed(np.clip(colour, 0, 1), away)
    for cx, cy, cw, ch in cells:
        pane = (slice(cy, cy + ch), slice(cx, cx + cw))
        tone[pane] = mix(tone[pane], colour[pane], 0.6)
    if rng.random() < 0.4 and wide > 30:
        step, inset = int(tall * rng.uniform(0.05, 0.2)), int(wide * rng.uniform(0.1, 0.25))
        alpha[:step, :inset] = 0
        alpha[:step, wide - inset :] = 0
        cells = [c for c in cells if c[1] > step or inset < c[0] < wide - inset - c[2]]
    if neon:
        strip = lamps[int(rng.integers(0, 3))]
        for x in (1, split, wide - 2):
            if rng.random() < 0.6:
                reach = int(tall * rng.uniform(0.4, 1.0))
                tone[:reach, max(x - 1, 0) : x + max(int(stage.px(2)), 1)] = strip * float(
                    rng.uniform(0.6, 1.0)
                )
        point = int(wide * 0.5)
        rise = np.arange(tall)[:, None] < np.abs(np.arange(wide)[None, :] - point) * float(
            rng.uniform(0.5, 1.8)
        )
        if rng.random() < 0.7:
            alpha[rise] = 0
            cells = [c for c in cells if not rise[c[1], c[0]]]
    low = np.linspace(0, 1, tall, dtype=np.float32)[:, None, None]
    tone = mix(
        tone,
        np.broadcast_to(stage.haze, tone.shape),
        (0.32 * low**2 * stage.haze_amount)[..., 0] * np.ones((1, wide)),
    )
    return premultiplied(tone, alpha), cells


def towers(
    stage: Stage,
    base: int,
    *,
    planes: tuple[tuple[float, float, float], ...],
    lit: float,
    neon: bool = False,
) -> None:
    """Planes of (away 0..1, mean height px of a 720-row picture, width px), far first, feet at row `base`."""
    rng = stage.rng
    picture = blank(stage.height, stage.width)
    flicker: list[Cell] = []
    beacons: list[tuple[float, float]] = []
    for away, high, wide in planes:
        x = -stage.px(wide) * float(rng.random())
        rise = fbm(rng, 1, 64, cell=20, octaves=3)[0]
        while x < stage.width:
            w = max(int(stage.px(wide * float(rng.uniform(0.6, 1.35)))), 12)
            swell = 0.45 + 1.1 * float(rise[int(np.clip(x / stage.width * 63, 0, 63))])
            tall = max(int(stage.px(high * swell * float(rng.uniform(0.6, 1.3)))), 20)
            shape, cells = tower(stage, wide=w, tall=tall, away=away, lit=lit, neon=neon)
            top = base - tall
            if rng.random() < 0.35:
                cx, mast = int(x + w / 2), int(tall * rng.uniform(0.06, 0.2))
                tone = stage.hazed(stage.ambient * 0.4, away)
                cv2.line(
                    picture, (cx, top), (cx, top - mast), rgba(tone), max(int(stage.px(2)), 1), cv2.LINE_AA
                )
                beacons.append((float(cx), float(top - mast)))
            stack_over(picture, shape, int(x), top)
            flicker = [c for c in flicker if not (x <= c[0] < x + w and c[1] >= top)]
            for cx, cy, cw, ch in cells:
                spot = (int(x) + cx, top + cy, cw, ch)
                if 0 <= spot[0] < stage.width - cw and 0 <= spot[1] < stage.height - ch:
                    flicker.append(spot)
            x += w + stage.px(float(rng.uniform(-0.1, 0.5)) * wide * (0.5 if away < 0.5 else 0.1))
    fill = np.zeros((stage.height, stage.width), np.float32)
    y = np.arange(stage.height, dtype=np.float32)[:, None]
    nearest = min(p[0] for p in planes)
    fill[:] = smoothstep(-stage.px(26), stage.px(4), y - base)
    dim = stage.hazed(stage.lit(stage.colour("wall") * 0.45, 0.15), nearest)
    stage.add_still(premultiplied(dim, fill))
    stage.add_still(picture)
    if flicker and stage.has("lights_flicker"):
        pick = rng.choice(len(flicker), min(len(flicker), 1300), replace=False)
        colours = [
            rgb(c) for c in (("#66c8ff", "#ff70c0", "#ffd0a0") if neon else ("#ffcf90", "#ffe2b8", "#d8e4ff"))
        ]
        stage.add(Blinking(rng, [flicker[int(i)] for i in pick], colours, strength=0.9, hz=0.8))
    if beacons and stage.has("lights_flicker"):
        stage.add(
            Lamps(rng, beacons[:30], [glow_sprite(rgb("#ff5040"), 25, 0.6, core=0.9)], depth=0.95, lively=0.7)
        )
