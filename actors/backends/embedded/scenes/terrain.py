"""Land: a height field seen in true perspective (mountains, hills, dunes, mesas), textured flat ground, tree
lines.

What a reader gets wrong: `render_terrain` is a column renderer over distance steps. It shows land that starts
some way off; the ground at the viewer's feet is painted flat by `paint_ground`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Colour,
    Image8,
    fbm,
    mix,
    on_ground,
    premultiplied,
    smoothstep,
    stock_texture,
    tile_noise,
)
from actors.backends.embedded.scenes.stage import Stage

Painter = Callable[[Array, Array, Array, Array], Array]
"""(height 0..1, light 0..1, slope 0.., noise) on the (steps, columns) grid -> colours (steps, columns, 3)."""


def ridged(rng: np.random.Generator, size: int, beta: float = 1.9) -> Array:
    """Tiling mountain heights 0..1 with sharp crests."""
    base, rough = tile_noise(rng, size, beta), tile_noise(rng, size, 1.65)
    crest = 1 - np.abs(np.tanh(base * 0.9))
    out = crest * 0.8 + 0.2 * np.clip(0.5 + 0.25 * rough, 0, 1) * crest
    return np.asarray((out - out.min()) / np.ptp(out), np.float32)


def rolling(rng: np.random.Generator, size: int, beta: float = 2.3) -> Array:
    out = tile_noise(rng, size, beta)
    return np.asarray(np.clip(0.5 + 0.22 * out, 0, 1), np.float32)


def dunes(rng: np.random.Generator, size: int) -> Array:
    """Tiling dune heights: long asymmetric crests."""
    warp = tile_noise(rng, size, 2.2)
    y = np.linspace(0, 1, size, endpoint=False, dtype=np.float32)[:, None]
    phase = (y * 7 + warp * 0.42) % 1.0
    face = np.where(phase < 0.72, phase / 0.72, (1 - phase) / 0.28)
    big = 0.5 + 0.22 * tile_noise(rng, size, 2.6)
    out = cv2.GaussianBlur((face**1.3 * 0.6 + big * 0.5).astype(np.float32), (0, 0), size / 400)
    return np.asarray(out / out.max(), np.float32)


def mesas(rng: np.random.Generator, size: int) -> Array:
    """Tiling table mountains: plateaus with steep, stepped walls."""
    out = tile_noise(rng, size, 2.0) + 0.12 * tile_noise(rng, size, 1.3)
    stepped = (
        0.55 * smoothstep(0.75, 0.88, out)
        + 0.3 * smoothstep(1.05, 1.14, out)
        + 0.15 * smoothstep(-0.1, 0.7, out)
    )
    return np.asarray(stepped, np.float32)


def render_terrain(
    stage: Stage,
    heights: Array,
    *,
    horizon: int,
    near: float,
    far: float,
    rise: float,
    camera: float,
    paint: Painter,
    cell: float = 0.02,
    haze_from: float = 0.0,
    steps: int = 260,
    offset: tuple[float, float] | None = None,
    haze: Colour | None = None,
) -> Image8:
    """A full-size premultiplied RGBA of the land between distances `near` and `far` (units of the picture's
    focal length).

    `rise` is the height of a field value of 1, `camera` the height of the eye, `cell` the world size of one
    field texel.
    """
    width, height = stage.width, stage.height
    size = heights.shape[0]
    ox, oz = offset or (float(stage.rng.uniform(0, size)), float(stage.rng.uniform(0, size)))
    z = np.geomspace(near, far, steps, dtype=np.float32)[:, None]
    focal = width * 0.9
    x = (np.arange(width, dtype=np.float32)[None, :] - width / 2) / focal * z
    u = ((x / cell) + ox) % size
    v = np.broadcast_to(z / cell + oz, u.shape) % size
    gz, gx = np.gradient(heights)

    def sample(field: Any) -> Array:
        return np.asarray(
            cv2.remap(
                np.ascontiguousarray(field, np.float32),
                u.astype(np.float32),
                v.astype(np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_WRAP,
            )
        )

    h = sample(heights) * smoothstep(0.9, 1.7, z / near)
    sx, sz = sample(gx) * rise / cell, sample(gz) * rise / cell
    sun = np.array([stage.sun_side * 1.1, 0.35 + 0.9 * stage.sun_y, -0.35], np.float32)
    sun /= np.linalg.norm(sun)
    light = (-sx * sun[0] + sun[1] - sz * sun[2]) / np.sqrt(1 + sx * sx + sz * sz)
    light = np.clip(0.15 + 0.95 * light, 0, 1)
    noise = (
        sample(tile_noise(stage.rng, 256, 1.1)[:size, :size])
        if size <= 256
        else sample(np.tile(tile_noise(stage.rng, 256, 1.1), (size // 256, size // 256)))
    )
    colour = paint(h, light, np.sqrt(sx * sx + sz * sz), noise)
    distance = np.clip((np.log(z) - np.log(near)) / (np.log(far) - np.log(near)), 0, 1)
    tint = stage.haze if haze is None else haze
    amount = np.clip(haze_from + (1 - haze_from) * distance**1.3, 0, 1) * min(stage.haze_amount, 0.95)
    colour = mix(colour, tint, np.broadcast_to(amount, h.shape))
    rows = horizon + (camera - h * rise) / z * focal
    top = np.minimum.accumulate(rows, axis=0)
    whole = np.clip(np.ceil(top), 0, height).astype(np.int64)
    counts = np.zeros((height + 1, width), np.int32)
    columns = np.broadcast_to(np.arange(width), whole.shape)
    np.add.at(counts, (whole.ravel(), columns.ravel()), 1)
    above = np.cumsum(counts[::-1], axis=0)[::-1]
    index = np.clip(above[1 : height + 1], 0, steps)
    seen = index < steps
    k = np.minimum(index, steps - 1)
    cols = np.broadcast_to(np.arange(width), k.shape)
    y = np.arange(height, dtype=np.float32)[:, None]
    before = np.maximum(k - 1, 0)
    upper, lower = top[k, cols], top[before, cols]
    share = np.clip((y - upper) / np.maximum(lower - upper, 1e-3), 0, 1) * (k > 0)
    # a steep face is seen through few steps: its colour is taken from ragged columns and its grain from the
    # height on the face, or it would look like a picture pulled downward
    grain = tile_noise(stage.rng, 512, 1.25)
    steep = smoothstep(0.5, 2.2, np.sqrt(sx * sx + sz * sz))[k, cols]
    deep = z[k, 0] + (z[before, 0] - z[k, 0]) * share
    across = (cols - width / 2) * deep / focal
    up = (y - horizon) * deep / focal
    face = cell * 0.45

    def on_face(u_scale: float, v_scale: float) -> Array:
        return np.asarray(
            cv2.remap(
                grain,
                (across / face * u_scale % 512).astype(np.float32),
                (up / face * v_scale % 512).astype(np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_WRAP,
            )
        )

    broad, fine = (np.clip(n, -1.3, 1.3) for n in (on_face(0.5, 0.9), on_face(2.1, 2.6)))
    ragged = np.clip(cols + stage.px(16) * steep * broad, 0, width - 1).astype(np.int64)
    picture = mix(colour[k, ragged], colour[before, ragged], share)
    rough = steep * (1 - amount[k, 0])
    picture = np.clip(picture * (1 + rough * (0.13 * broad + 0.10 * fine))[..., None], 0, 1)
    edge = np.where(seen, 1.0, 0.0).astype(np.float32)
    crest = top[-1][None, :]
    edge = np.maximum(edge, np.clip(y - crest + 1, 0, 1)) * np.where(seen | (y > crest - 1), 1, 0)
    return premultiplied(picture, edge)


def ground_picture(
    stage: Stage,
    horizon: int,
    dark: Colour,
    light: Colour,
    *,
    texture: str = "gravel",
    scale: float = 1.4,
    patch: float = 0.5,
    rough: float = 0.8,
) -> Array:
    """Flat ground below `horizon` as (height - horizon, width, 3), lit, hazed toward the horizon."""
    rows = stage.height - horizon
    grain = on_ground(stock_texture(texture), horizon, stage.height, stage.width, scale=scale, turn=0.3)
    patches = (
        on_ground(tile_noise(stage.rng, 512, 1.7), horizon, stage.height, stage.width, scale=0.22) * 0.25
        + 0.5
    )
    colour = mix(dark, light, np.clip(patches * patch + (1 - patch) * 0.5, 0, 1))
    colour = colour * (1 + (grain[..., None] - 1) * rough)
    away = 1 - np.linspace(0, 1, rows, dtype=np.float32)[:, None] ** 0.45
    return stage.hazed(
        stage.lit(np.clip(colour, 0, 1), 0.62), np.broadcast_to(away * 0.9, (rows, stage.width))
    )


def paint_ground(stage: Stage, horizon: int, picture: Array) -> None:
    """Add a flat ground as a still layer with a soft upper edge."""
    full = np.zeros((stage.height, stage.width, 3), np.float32)
    full[horizon:] = picture
    alpha = np.zeros((stage.height, stage.width), np.float32)
    alpha[horizon:] = 1
    stage.add_still(premultiplied(full, alpha))


def tree_line(
    stage: Stage,
    base: int,
    *,
    tall: float,
    dark: Colour,
    lit: Colour,
    distance: float,
    spiky: float = 0.0,
    sharp: float = 1.0,
) -> Image8:
    """A far row of trees: bumpy outline, clumps with a light side. `tall` px, `base` the row of its foot."""
    rng, width = stage.rng, stage.width
    line = fbm(rng, 1, width, cell=tall * 3.2, octaves=5, gain=0.55)[0]
    fine = fbm(rng, 1, width, cell=tall * 0.4, octaves=3, gain=0.6)[0]
    profile = tall * (0.25 + 0.75 * line) * (0.8 + 0.4 * fine)
    if spiky:
        x = np.arange(width)
        step = max(tall * 0.42, 4)
        saw = 1 - np.abs(((x / step + 0.8 * line * 3) % 1) * 2 - 1)
        profile = profile * (1 - spiky) + spiky * tall * (0.35 + 0.65 * line) * (0.35 + 0.65 * saw)
    y = np.arange(stage.height, dtype=np.float32)[:, None]
    inside = np.clip((y - (base - profile[None, :])) * 0.8, 0, 1) * np.clip(base + 1 - y, 0, 1)
    band0, band1 = max(int(base - tall * 1.4), 0), min(base + 2, stage.height)
    texture = np.full((stage.height, width), 0.5, np.float32)
    part = fbm(rng, band1 - band0, width, cell=tall * 0.45, octaves=4, gain=0.65)
    up = np.clip((base - y[band0:band1]) / np.maximum(profile[None, :], 1), 0, 1)
    slope = np.gradient(cv2.GaussianBlur(part, (0, 0), 1.5), axis=1) * 14 * -stage.sun_side
    texture[band0:band1] = np.clip(0.15 + 0.5 * up + 0.9 * (part - 0.5) * sharp + slope, 0, 1)
    colour = stage.hazed(stage.lit(mix(dark, lit, texture), np.clip(texture, 0, 1)), distance)
    return premultiplied(colour, inside)
