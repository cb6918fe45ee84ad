"""Rows of houses on both sides of a street, and what hangs on them: roofs, awnings, stalls, lamps.

What a reader gets wrong: houses are laid from far to near, so a nearer one covers what it should; all lengths
are metres of the `Road`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Colour,
    Image8,
    blank,
    fbm,
    mix,
    premultiplied,
    rgb,
)
from actors.backends.embedded.scenes.facades import Look, facade, surface
from actors.backends.embedded.scenes.motion import Layer, Swaying
from actors.backends.embedded.scenes.perspective import Point, Road, hazed_columns, lamplight

Lamp = tuple[float, float, float, Array, float]


@dataclass(frozen=True)
class Row:
    """How the houses of one street stand: lengths in metres."""

    half: float
    tall: tuple[float, float]
    wide: tuple[float, float]
    end: float = 95.0
    gable: float = 0.0
    """Height of a pitched roof over the eaves; 0 is a flat top."""
    eaves: float = 0.0
    gap: float = 0.0


@dataclass(frozen=True)
class House:
    """Where one house was laid."""

    side: int
    first: float
    last: float
    tall: float
    shop: bool
    shop_colour: Colour | None


def house_plan(road: Road, row: Row) -> list[tuple[int, float, float, float]]:
    """(side, near depth, far depth, height), the farthest first."""
    rng, out = road.stage.rng, []
    for side in (-1, 1):
        z = road.near() * float(rng.uniform(0.45, 0.7))
        while z < row.end:
            wide = float(rng.uniform(*row.wide)) * (1.0 if z < 45 else 1.7)
            out.append((side, z, z + wide, float(rng.uniform(*row.tall))))
            z += wide + (row.gap * float(rng.uniform(0.4, 1.0)) if rng.random() < 0.6 else 0)
    return sorted(out, key=lambda h: -h[1])


def lay_houses(
    road: Road,
    row: Row,
    look: Look,
    lamps: list[Lamp],
    *,
    sunlit: tuple[float, float],
    snow: bool = False,
    lamp_share: float = 1.0,
) -> list[House]:
    """Both rows, far to near; `sunlit` is the share of key light on the left and on the right wall."""
    stage, out = road.stage, []
    rng = stage.rng
    sky = mix(stage.sky_low, stage.sky_top, 0.4)
    for side, first, last, tall in house_plan(road, row):
        ppm = float(np.clip(road.scale(first) * 0.9, 8, 64))
        front = facade(rng, look, last - first, tall, ppm, sky)
        h, w = front.albedo.shape[:2]
        amount = sunlit[0] if side < 0 else sunlit[1]
        y = np.linspace(0, 1, h, dtype=np.float32)[:, None] * np.ones((1, w), np.float32)
        colour = stage.lit(front.albedo, np.clip(amount * (1.1 - 0.35 * y), 0, 1))
        near_lamps = [p for p in lamps if first - 14 < p[2] < last + 14]
        if near_lamps:
            depth = np.linspace(first, last, max(w // 8, 2), dtype=np.float32)[None, :]
            height = np.linspace(tall, 0, max(h // 8, 2), dtype=np.float32)[:, None]
            shape = (height.shape[0], depth.shape[1])
            light = lamplight(
                np.full(shape, side * row.half, np.float32),
                np.broadcast_to(height, shape).astype(np.float32),
                np.broadcast_to(depth, shape).astype(np.float32),
                near_lamps,
            )
            light = np.asarray(cv2.resize(light, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
            colour = colour + front.albedo * light * lamp_share
        colour = hazed_columns(road, np.asarray(colour + front.glow, np.float32), first, last)
        if side > 0:
            colour = colour[:, ::-1]
        _end_wall(road, row, look, side, first, tall, amount)
        if row.gable:
            _pitched(road, row, side, first, last, tall, amount, snow)
        texture = premultiplied(colour, np.ones((h, w), np.float32))
        x = side * row.half
        near, far = (x, tall, first), (x, tall, last)
        road.lay(texture, _wall(side, near, far))
        if row.eaves:
            _eaves(road, row, side, first, last, tall, snow)
        out.append(House(side, first, last, tall, front.shop, front.shop_colour))
    return out


def _wall(side: int, near: Point, far: Point) -> tuple[Point, Point, Point, Point]:
    a, b = (near, far) if side < 0 else (far, near)
    return (a, b, (b[0], 0.0, b[2]), (a[0], 0.0, a[2]))


def _flat(road: Road, colour: Array, depth: float) -> Image8:
    tone = road.stage.hazed(np.clip(colour, 0, 1), road.away(depth))
    return premultiplied(tone, np.ones((8, 8), np.float32))


def _end_wall(road: Road, row: Row, look: Look, side: int, first: float, tall: float, amount: float) -> None:
    stage = road.stage
    ppm = float(np.clip(road.scale(first) * 0.7, 6, 40))
    top = tall + row.gable
    deep = 9.0
    h, w = max(int(top * ppm), 8), max(int(deep * ppm), 8)
    wall = rgb(look.walls[int(stage.rng.integers(0, len(look.walls)))])
    albedo = surface(stage.rng, look, wall, h, w, ppm)
    colour = stage.hazed(stage.lit(np.clip(albedo, 0, 1), 0.3 - 0.15 * amount), road.away(first))
    alpha = np.ones((h, w), np.float32)
    if row.gable:
        x = np.abs(np.linspace(-1, 1, w, dtype=np.float32))[None, :]
        y = np.linspace(0, top, h, dtype=np.float32)[:, None]
        alpha = np.asarray(np.clip((y - x * row.gable) * ppm, 0, 1), np.float32)
    inner, outer = side * row.half, side * (row.half + deep)
    a, b = (inner, outer) if side > 0 else (outer, inner)
    texture = premultiplied(np.clip(colour, 0, 1), alpha)
    road.lay(texture, ((a, top, first), (b, top, first), (b, 0, first), (a, 0, first)))


def _pitched(
    road: Road, row: Row, side: int, first: float, last: float, tall: float, amount: float, snow: bool
) -> None:
    """A roof that slopes up from the eaves, with courses of tiles or a blanket of snow, and a chimney."""
    stage = road.stage
    rng = stage.rng
    h, w = 96, 128
    tile = rgb("#f0f4f8") if snow else stage.colour("roof", "#6a4636")
    tone = 0.85 + 0.3 * fbm(rng, h, w, cell=30, octaves=4)
    if not snow:
        tone = tone * np.where(np.arange(h)[:, None] % 6 < 1, 0.72, 1.0) * rng.uniform(0.92, 1.08, (h, w))
    colour = stage.lit(np.clip(tile * tone[..., None], 0, 1), np.clip(amount + 0.15, 0, 1))
    colour = hazed_columns(road, colour, first, last)
    if side > 0:
        colour = colour[:, ::-1]
    out = row.half - 0.4
    ridge = row.half + 4.5
    low, high = tall - 0.15, tall + row.gable
    a, b = (first - 0.2, last + 0.2) if side < 0 else (last + 0.2, first - 0.2)
    road.lay(
        premultiplied(colour, np.ones((h, w), np.float32)),
        ((side * ridge, high, a), (side * ridge, high, b), (side * out, low, b), (side * out, low, a)),
    )


def _eaves(road: Road, row: Row, side: int, first: float, last: float, tall: float, snow: bool) -> None:
    stage = road.stage
    tone = rgb("#eef2f6") if snow else rgb("#4a3a2e")
    texture = _flat(road, stage.lit(tone, 0.5), first)
    x0, x1 = side * row.half, side * (row.half - row.eaves)
    a, b = (first, last) if side < 0 else (last, first)
    road.lay(texture, ((x1, tall, a), (x1, tall, b), (x1, tall - 0.2, b), (x1, tall - 0.2, a)))
    dark = _flat(road, stage.lit(rgb("#3a2e26"), 0.1), first)
    road.lay(dark, ((x0, tall, a), (x0, tall, b), (x1, tall - 0.2, b), (x1, tall - 0.2, a)))


def chimneys(
    road: Road, row: Row, houses: list[House], *, snow: bool = False
) -> list[tuple[float, float, float]]:
    """A chimney on some roofs; returns (x px, y px, px a metre) of their tops."""
    stage, out = road.stage, []
    for house in houses:
        if house.first > 45 or house.first < road.near() * 0.9 or stage.rng.random() < 0.25:
            continue
        z = (house.first + house.last) / 2
        x, base = house.side * (row.half + 2.6), house.tall + row.gable * 0.45
        tone = stage.hazed(stage.lit(rgb("#7a5a4a"), 0.5), road.away(z))
        road.box((x - 0.4, base - 0.5, z), (x + 0.4, base + 1.6, z), tone)
        road.box((x, base - 0.5, z), (x + 0.4, base + 1.6, z), tone * 0.82)
        road.box((x - 0.48, base + 1.6, z), (x + 0.48, base + 1.8, z), tone * (1.1 if not snow else 1.7))
        px, py = road.at(x, base + 1.8, z)
        out.append((px, py, road.scale(z)))
    return out


def striped(rng: np.random.Generator, colours: tuple[str, str], stripes: int, rows: int = 64) -> Array:
    """An awning cloth (rows, cols, 3): stripes run down the slope."""
    cols = stripes * 16
    band = (np.arange(cols) // 16) % 2
    flat = np.where(band[:, None] == 0, rgb(colours[0]), rgb(colours[1])).astype(np.float32)
    cloth = np.repeat(flat[None], rows, axis=0)
    return np.asarray(cloth * (0.93 + 0.14 * fbm(rng, rows, cols, cell=40, octaves=3))[..., None], np.float32)


def awning(
    road: Road,
    layer: Image8,
    weight: Array,
    *,
    side: int,
    first: float,
    last: float,
    wall: float,
    out: float,
    high: float,
    low: float,
    colours: tuple[str, str],
    light: float,
    glow: Array | None = None,
) -> None:
    """A cloth roof from the wall at `wall` metres out over the pavement, with a scalloped valance."""
    stage = road.stage
    cloth = striped(stage.rng, colours, max(int((last - first) / 0.45), 3))
    colour = stage.lit(cloth, light)
    if glow is not None:
        colour = colour + cloth * glow
    colour = hazed_columns(road, np.asarray(colour, np.float32), first, last)
    if side > 0:
        colour = colour[:, ::-1]
    h, w = colour.shape[:2]
    a, b = (first, last) if side < 0 else (last, first)
    x0, x1 = side * wall, side * (wall - out)
    slope = premultiplied(colour, np.ones((h, w), np.float32))
    wave = 0.72 + 0.22 * np.abs(np.sin(np.arange(w, dtype=np.float32) * np.pi / 16))
    rows = np.linspace(0, 1, 24, dtype=np.float32)[:, None]
    valance = premultiplied(colour[-24:] * 0.85, (rows < wave[None, :]).astype(np.float32))
    ramp = np.linspace(0, 1, h, dtype=np.float32)[:, None] ** 1.2 * np.ones((1, w), np.float32)
    field = np.repeat((ramp * 255).astype(np.uint8)[..., None], 4, axis=2)
    full = np.full((24, w, 4), 255, np.uint8)
    top = ((x0, high, a), (x0, high, b), (x1, low, b), (x1, low, a))
    hang = ((x1, low, a), (x1, low, b), (x1, low - 0.38, b), (x1, low - 0.38, a))
    sway = blank(stage.height, stage.width)
    for texture, bend, quad in ((slope, field, top), (valance, full, hang)):
        road.lay_on(layer, texture, quad)
        road.lay_on(sway, bend, quad)
        road.lay_mirrored(texture, quad)
    np.maximum(weight, cv2.GaussianBlur(sway[..., 0], (0, 0), 3).astype(np.float32) / 255, out=weight)


def awning_layers(road: Road, layers: dict[int, tuple[Image8, Array]], sway: float) -> list[Layer]:
    """The awnings of each side as one swaying layer."""
    px = road.stage.px(sway)
    return [
        Swaying(layer, weight, road.stage.wind, sway=px, flutter=px * 0.35, sheen=0.36)
        for layer, weight in layers.values()
    ]
