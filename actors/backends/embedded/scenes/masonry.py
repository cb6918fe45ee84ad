"""Old stone: walls of squared blocks, round columns, worn outlines.

What a reader gets wrong: a wall is drawn flat, in the picture's own plane; only columns and floors are placed
in depth. Colours that come out of here are albedos, not yet lit.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Image8,
    Rng,
    fbm,
    mix,
    premultiplied,
    smoothstep,
)
from actors.backends.embedded.scenes.stage import Stage


def ashlar(rng: Rng, height: int, width: int, course: float, *, worn: float = 1.0) -> Array:
    """Brightness (height, width) around 1 of a wall of squared blocks, `course` px high, in broken bond."""
    y = np.arange(height, dtype=np.float32)[:, None] + 3 * worn * (
        fbm(rng, height, width, cell=course * 2.5, octaves=3) - 0.5
    )
    x = np.arange(width, dtype=np.float32)[None, :] + 3 * worn * (
        fbm(rng, height, width, cell=course * 2.5, octaves=3) - 0.5
    )
    row = np.floor(y / course).astype(np.int64)
    rows = int(row.max() - row.min()) + 2
    shift = rng.random(rows).astype(np.float32)
    long_ = rng.uniform(1.5, 2.4, rows).astype(np.float32)
    index = np.clip(row - row.min(), 0, rows - 1)
    along = x / (course * long_[index]) + shift[index]
    block = np.floor(along).astype(np.int64)
    tone = ((np.sin((index * 127.1 + block * 311.7) % 6283.0) * 43758.5) % 1.0).astype(np.float32)
    near = np.minimum(along - block, 1 - (along - block)) * course * long_[index]
    up = y / course - row
    near_y = np.minimum(up, 1 - up) * course
    joint = smoothstep(course * 0.10, course * 0.02, np.minimum(near, near_y))
    lip = smoothstep(0.3, 0.0, up) * 0.09 - smoothstep(0.72, 1.0, up) * 0.10
    rough = fbm(rng, height, width, cell=course * 0.5, octaves=4, gain=0.65) - 0.5
    stain = fbm(rng, height, width, cell=course * 5, octaves=4, stretch=0.6) - 0.5
    value = 1 + 0.26 * (tone - 0.5) + lip + 0.34 * rough + 0.36 * stain * worn
    return np.asarray(value * (1 - 0.5 * joint), np.float32)


def wall_layer(
    stage: Stage, inside: Array, *, course: float, light: Array | float = 0.75, away: float = 0.1
) -> Image8:
    """A stone wall where `inside` (h, w) is 1, in the scene's light and air."""
    rng, w, h = stage.rng, stage.width, stage.height
    value = ashlar(rng, h, w, course)
    warm = fbm(rng, h, w, cell=course * 4, octaves=3)
    stone = mix(stage.colour("rock"), stage.colour("soil"), warm * 0.8)
    lichen = smoothstep(0.58, 0.74, fbm(rng, h, w, cell=course * 1.8, octaves=5, gain=0.6)) * 0.4
    stone = mix(stone, stage.colour("foliage") * 1.1, lichen)
    lit = stage.lit(np.clip(stone * value[..., None], 0, 1), np.broadcast_to(light, (h, w)))
    return premultiplied(stage.hazed(lit, away), inside)


def reveal(inside: Array, stage: Stage, thick: float) -> Array:
    """Where one looks into the thickness of a wall (h, w): the side of each opening turned from the light."""
    side = 1 if stage.sun_side >= 0 else -1
    hole = 1 - inside
    shift = np.roll(hole, round(-side * thick), axis=1)
    lower = np.roll(hole, -round(thick * 0.35), axis=0)
    return np.asarray(inside * np.clip(shift + 0.6 * lower, 0, 1), np.float32)


def column(stage: Stage, tall: int, *, broken: float = 1.0, fluted: bool = True, away: float = 0.1) -> Image8:
    """A fluted column with base and capital, `tall` px when whole; `broken` < 1 leaves only that share of
    it.
    """
    rng = stage.rng
    tall = max(tall, 24)
    half = tall * 0.062
    wide = int(half * 3.4) + 4
    y = np.linspace(0, 1, tall, dtype=np.float32)[:, None]
    x = (np.arange(wide, dtype=np.float32)[None, :] - wide / 2) / half
    taper = 0.83 + 0.17 * y**1.4
    cap = smoothstep(0.075, 0.055, y)
    slab = (y < 0.035).astype(np.float32)
    base = smoothstep(0.945, 0.96, y)
    plinth = (y > 0.975).astype(np.float32)
    radius = taper + 0.34 * cap * (1 - y / 0.075) + 0.12 * slab + 0.2 * base + 0.16 * plinth
    u = x / radius
    body = smoothstep(1.0, 1 - 1.3 / half, np.abs(u))
    turn = np.arcsin(np.clip(u, -1, 1))
    light = np.clip(
        0.42 + 0.55 * np.sin(turn) * stage.sun_side + 0.22 * np.cos(turn) - 0.1 * np.abs(u), 0.05, 1
    )
    shaft = (1 - cap) * (1 - base)
    if fluted and half > 5:
        flute = np.abs(np.sin(turn * 10))
        light = light * (1 - shaft * 0.26 * (1 - smoothstep(0.0, 0.55, flute)))
    drums = smoothstep(0.006, 0.001, np.abs((y * 5.3) % 1 - 0.5) / 5.3) * shaft
    grain = 1 + 0.3 * (fbm(rng, tall, wide, cell=max(half, 6), octaves=5, gain=0.6) - 0.5)
    grain = grain * (1 + 0.3 * (fbm(rng, tall, wide, cell=half * 4, octaves=3) - 0.5))
    under = 1 - 0.4 * smoothstep(0.13, 0.08, y) * (1 - cap)
    colour = stage.colour("rock") * 1.12 * (grain * under * (1 - 0.3 * drums))[..., None]
    picture = stage.hazed(stage.lit(np.clip(colour, 0, 1), light), away)
    if broken < 1:
        edge = 1 - broken + 0.03 * (fbm(rng, 1, wide, cell=half * 0.7, octaves=3) - 0.5)
        body = body * smoothstep(-0.004, 0.004, y - edge)
    return premultiplied(picture, body)


def worn_edge(rng: Rng, width: int, *, course: float, wild: float) -> Array:
    """Heights (width,) in px that a broken wall keeps above its lowest line: steps of whole blocks, a little
    ragged.
    """
    line = fbm(rng, 1, width, cell=course * 7, octaves=4)[0]
    steps = np.floor(line * wild) * course
    return np.asarray(steps + course * 0.4 * fbm(rng, 1, width, cell=course * 0.6, octaves=3)[0], np.float32)


def soft(layer: Image8) -> Image8:
    return np.asarray(cv2.GaussianBlur(layer, (0, 0), 0.6), np.uint8)
