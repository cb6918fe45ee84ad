"""Facades as flat pictures: walls with windows, doors, shop fronts and cornices, before any perspective.

What a reader gets wrong: a facade is two pictures. `albedo` is what daylight falls on; `glow` is light the
wall sends out itself (lit panes, shop fronts) and is added after the albedo was lit.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import Array, Colour, Rng, fbm, mix, rgb, stock_texture


@dataclass(frozen=True)
class Look:
    """How the houses of a street look. Lengths in metres, shares 0..1."""

    walls: tuple[str, ...]
    surface: str = "plaster"
    """`plaster`, `brick`, `boards`, `timber` or `panels`."""
    ground_floor: float = 3.7
    floor: float = 3.2
    bay: float = 2.4
    window: tuple[float, float] = (1.05, 1.75)
    lit: float = 0.0
    shop: float = 0.0
    shop_lit: float = 0.0
    shutters: float = 0.0
    trim: str = "#d8d0c0"
    lamp: tuple[str, ...] = ("#ffc070", "#ffd9a0", "#ffb060")


@dataclass
class Facade:
    """(h, w, 3) float32 pictures at `ppm` px a metre; row 0 is the top."""

    albedo: Array
    glow: Array
    ppm: float
    shop: bool
    shop_colour: Colour | None


def facade(rng: Rng, look: Look, wide: float, tall: float, ppm: float, sky: Colour) -> Facade:
    """One house front, `wide` x `tall` metres; `sky` is what dark panes mirror."""
    h, w = max(int(tall * ppm), 16), max(int(wide * ppm), 16)
    wall = rgb(look.walls[int(rng.integers(0, len(look.walls)))])
    wall = wall * float(rng.uniform(0.88, 1.1)) * rng.uniform(0.96, 1.04, 3).astype(np.float32)
    albedo = surface(rng, look, wall, h, w, ppm)
    glow = np.zeros_like(albedo)
    shop = bool(rng.random() < look.shop)
    shop_colour: Colour | None = None
    ground = min(look.ground_floor, tall * 0.6)
    if shop:
        shop_colour = _shop(rng, look, albedo, glow, ground, ppm, sky, wall)
    bays = max(round(wide / look.bay), 1)
    floors = max(int((tall - ground - 0.4) / look.floor), 0)
    for floor in range(-1 if not shop else 0, floors):
        door = int(rng.integers(0, bays)) if floor < 0 else -1
        for bay in range(bays):
            x = (bay + 0.5) * wide / bays
            if bay == door:
                _door(rng, albedo, x, tall, ppm, wall)
                continue
            base = 1.0 if floor < 0 else ground + floor * look.floor + 0.75
            lit = rng.random() < look.lit * (1.25 if floor < 0 else 1)
            _window(rng, look, albedo, glow, (x, tall - base), ppm, sky, bool(lit), wall)
    trim = rgb(look.trim) * 0.9
    if look.surface == "boards":
        _painted_sign(rng, albedo, wide, tall, ppm)
        _band(albedo, 0.0, 0.16, ppm, wall * 1.15)
    if look.surface in ("plaster", "brick", "panels"):
        _band(albedo, 0.0, 0.28, ppm, trim)
        _band(albedo, 0.36, 0.46, ppm, mix(wall, trim, 0.7))
        if floors > 0:
            _band(albedo, tall - ground - 0.1, tall - ground + 0.12, ppm, mix(wall, trim, 0.75))
    y = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    grime = fbm(rng, h, w, cell=ppm * 1.4, octaves=4, stretch=0.35)
    albedo *= (1 - 0.22 * np.clip(grime - 0.45, 0, 1) - 0.25 * np.clip((y - 0.86) * 6, 0, 1) * grime)[
        ..., None
    ]
    return Facade(np.clip(albedo, 0, 1), glow, ppm, shop, shop_colour)


def surface(rng: Rng, look: Look, wall: Colour, h: int, w: int, ppm: float) -> Array:
    rough = fbm(rng, h, w, cell=max(ppm * 2.0, 8), octaves=5)
    tone = 0.9 + 0.24 * (rough - 0.5)
    if look.surface == "brick":
        side = 1024
        photo = stock_texture("brick")[:side, :side]
        scale = ppm / 150
        small = cv2.resize(
            photo, (max(int(side * scale), 24), max(int(side * scale), 24)), interpolation=cv2.INTER_AREA
        )
        reps = (h // small.shape[0] + 1, w // small.shape[1] + 1)
        tone = tone * (0.3 + 0.7 * np.tile(small, reps)[:h, :w])
    elif look.surface == "boards":
        y = np.arange(h, dtype=np.float32)[:, None] / ppm / 0.22
        grain = fbm(rng, h, w, cell=8, octaves=3, stretch=7.0)
        tone = tone * (0.8 + 0.3 * grain) * (1 - 0.38 * (y % 1 < 0.14))
        tone = tone * (0.9 + 0.2 * rng.random(int(h / ppm / 0.22) + 2)[np.floor(y).astype(int)])
    picture = np.asarray(wall * tone[..., None], np.float32)
    if look.surface == "timber":
        _beams(rng, picture, h, w, ppm)
    elif look.surface == "panels":
        step = max(int(ppm * 1.6), 4)
        picture[:, ::step] *= 0.8
        picture[:: max(int(ppm * 3.2), 4)] *= 0.8
    return picture


def _beams(rng: Rng, picture: Array, h: int, w: int, ppm: float) -> None:
    wood = rgb("#4a3626") * float(rng.uniform(0.7, 1.15))
    stone = int(h - 1.5 * ppm)
    photo = cv2.resize(stock_texture("gravel")[:768, :768], (w, max(h - stone, 2)))
    picture[stone:] = rgb("#8d8678") * (0.35 + 0.6 * photo[: h - stone, :, None])
    c = (float(wood[0]), float(wood[1]), float(wood[2]))
    thick = max(int(0.2 * ppm), 2)
    step = 1.5 * ppm
    for row in np.arange(stone, -1, -1.45 * ppm):
        cv2.line(picture, (0, int(row)), (w, int(row)), c, thick)
    columns = np.arange(0, w + step, step)
    for k, x in enumerate(columns):
        cv2.line(picture, (int(x), 0), (int(x), stone), c, thick)
        if k % 3 == int(rng.integers(0, 3)) and k + 1 < len(columns):
            top = stone - 2.9 * ppm
            cv2.line(picture, (int(x), int(top)), (int(x + step), int(top + 1.45 * ppm)), c, thick)


def _box(
    picture: Array, x0: float, y0: float, x1: float, y1: float, colour: Array, add: bool = False
) -> None:
    h, w = picture.shape[:2]
    a, b, c, d = max(int(x0), 0), max(int(y0), 0), min(int(x1) + 1, w), min(int(y1) + 1, h)
    if a < c and b < d:
        part = picture[b:d, a:c]
        part[...] = part + colour if add else colour


def _band(picture: Array, top: float, bottom: float, ppm: float, colour: Array) -> None:
    w = picture.shape[1]
    _box(picture, 0, top * ppm, w, bottom * ppm, colour)
    shadow = picture[int(bottom * ppm) + 1 : int((bottom + 0.14) * ppm) + 1]
    shadow *= 0.72


def _door(rng: Rng, albedo: Array, x: float, tall: float, ppm: float, wall: Array) -> None:
    wood = rgb(("#5a3a28", "#3c4a3c", "#31414e", "#6a2f28")[int(rng.integers(0, 4))])
    x0, x1, y0, y1 = (x - 0.55) * ppm, (x + 0.55) * ppm, (tall - 2.25) * ppm, tall * ppm
    _box(albedo, x0 - 0.12 * ppm, y0 - 0.12 * ppm, x1 + 0.12 * ppm, y1, wall * 1.15)
    _box(albedo, x0, y0, x1, y1, wood * 0.8)
    for a in (0.12, 0.56):
        for b in (0.15, 1.2):
            _box(albedo, x0 + a * ppm, y0 + b * ppm, x0 + (a + 0.36) * ppm, y0 + (b + 0.8) * ppm, wood * 1.15)


def _window(
    rng: Rng,
    look: Look,
    albedo: Array,
    glow: Array,
    at: tuple[float, float],
    ppm: float,
    sky: Colour,
    lit: bool,
    wall: Array,
) -> None:
    wide, tall = look.window
    x0, x1 = (at[0] - wide / 2) * ppm, (at[0] + wide / 2) * ppm
    y1 = at[1] * ppm
    y0 = y1 - tall * ppm
    trim = mix(wall, rgb(look.trim), 0.75)
    edge = 0.13 * ppm
    _box(albedo, x0 - edge, y0 - edge, x1 + edge, y1 + edge * 0.6, trim)
    _box(albedo, x0 - edge * 1.4, y1 + edge * 0.5, x1 + edge * 1.4, y1 + edge * 1.4, trim * 1.1)
    _box(albedo, x0 - edge, y1 + edge * 1.4, x1 + edge, y1 + edge * 2.3, wall * 0.7)
    rows, cols = max(int(y1 - y0), 1), max(int(x1 - x0), 1)
    ramp = np.linspace(1, 0, rows, dtype=np.float32)[:, None, None] * np.ones((1, cols, 1), np.float32)
    pane = (0.1 + 0.32 * ramp) * sky + 0.03
    _paste(albedo, pane, x0, y0)
    if lit:
        lamp = rgb(look.lamp[int(rng.integers(0, len(look.lamp)))]) * float(rng.uniform(0.5, 1.0))
        light = lamp * (0.45 + 0.55 * fbm(rng, rows, cols, cell=max(rows * 0.6, 3), octaves=3)[..., None])
        light = light * (0.7 + 0.3 * ramp)
        if rng.random() < 0.5:
            drape = int(cols * rng.uniform(0.14, 0.3))
            light[:, :drape] *= 0.5
            light[:, cols - drape :] *= 0.5
        _paste(albedo, np.zeros_like(light), x0, y0)
        _paste(glow, light, x0, y0)
    bar = max(0.045 * ppm, 1)
    for picture, tone in ((albedo, trim * 0.85), (glow, np.zeros(3, np.float32))):
        _box(picture, (x0 + x1) / 2 - bar / 2, y0, (x0 + x1) / 2 + bar / 2, y1, tone)
        _box(picture, x0, y0 + 0.36 * rows - bar / 2, x1, y0 + 0.36 * rows + bar / 2, tone)
    _box(albedo, x0, y0, x1, y0 + 0.1 * ppm, sky * 0.08)
    if rng.random() < look.shutters:
        tint = rgb(("#4a6350", "#5d7488", "#7a4a3a", "#6a6a60")[int(rng.integers(0, 4))])
        for s0, s1 in ((x0 - edge - 0.46 * ppm, x0 - edge), (x1 + edge, x1 + edge + 0.46 * ppm)):
            _box(albedo, s0, y0, s1, y1, tint)
            for k in range(0, rows, max(int(0.11 * ppm), 2)):
                _box(albedo, s0 + 1, y0 + k, s1 - 1, y0 + k + 0.02 * ppm, tint * 0.68)


def _paste(picture: Array, part: Array, x: float, y: float) -> None:
    h, w = picture.shape[:2]
    x0, y0 = int(x), int(y)
    a, b = max(x0, 0), max(y0, 0)
    c, d = min(x0 + part.shape[1], w), min(y0 + part.shape[0], h)
    if a < c and b < d:
        picture[b:d, a:c] = part[b - y0 : d - y0, a - x0 : c - x0]


def _painted_sign(rng: Rng, albedo: Array, wide: float, tall: float, ppm: float) -> None:
    """A name in large letters on the false front."""
    ground = rgb(("#d8c8a0", "#7a3a2c", "#3f5a4c", "#c8a868", "#4a5a6e")[int(rng.integers(0, 5))])
    ink = rgb("#3a2a20") if float(ground.mean()) > 0.5 else rgb("#e8d8b0")
    x0, x1, y0, y1 = 0.12 * wide * ppm, 0.88 * wide * ppm, 0.5 * ppm, min(1.55, 0.25 * tall) * ppm
    worn = 0.75 + 0.4 * fbm(rng, max(int(y1 - y0), 2), max(int(x1 - x0), 2), cell=ppm * 0.5, octaves=4)
    _paste(albedo, np.asarray(ground * worn[..., None], np.float32), x0, y0)
    x = x0 + 0.3 * ppm
    while x < x1 - 0.5 * ppm:
        step = float(rng.uniform(0.3, 0.5)) * ppm
        if rng.random() < 0.88:
            low, high = y1 - 0.2 * ppm, y0 + 0.2 * ppm
            _box(albedo, x, high, x + 0.09 * ppm, low, ink)
            bar = float(rng.choice((high, (high + low) / 2, low - 0.08 * ppm)))
            _box(albedo, x, bar, x + step * 0.65, bar + 0.08 * ppm, ink)
            if rng.random() < 0.6:
                _box(albedo, x + step * 0.6, high, x + step * 0.6 + 0.08 * ppm, low, ink)
        x += step


def _interior(rng: Rng, rows: int, cols: int, lamp: Colour, ppm: float) -> Array:
    """A lit room behind glass, out of focus: lamps under the ceiling, shelves with goods, a dark display."""
    y = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    x = np.linspace(0, 1, cols, dtype=np.float32)[None, :]
    level = 0.62 - 0.3 * y + 0.0 * x
    for _ in range(2):
        px, py = float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.08, 0.2))
        level = level + 0.55 * np.exp(-(((x - px) * cols) ** 2 + ((y - py) * rows) ** 2) / (0.3 * ppm) ** 2)
    light = np.asarray(level[..., None] * lamp, np.float32)
    shelf = 0.42 * ppm
    for row in np.arange(0.24 * rows, rows - shelf * 0.5, shelf):
        px = 0.0
        while px < cols:
            wide = float(rng.uniform(0.07, 0.24)) * ppm
            if rng.random() < 0.75:
                high = shelf * float(rng.uniform(0.3, 0.8))
                tone = rng.uniform(0.25, 0.95, 3).astype(np.float32)
                a, b = int(row + shelf - high), int(row + shelf)
                light[a:b, int(px) : int(px + wide * 0.85)] *= 0.35 + 0.65 * tone
            px += wide
        light[int(row + shelf) : int(row + shelf + max(0.04 * ppm, 1))] *= 0.45
    for _ in range(int(rng.integers(1, 3))):
        px, wide = float(rng.uniform(0.1, 0.9)) * cols, float(rng.uniform(0.1, 0.2)) * ppm
        top = rows - float(rng.uniform(0.6, 1.25)) * ppm
        light[max(int(top), 0) :, max(int(px - wide), 0) : int(px + wide)] *= 0.3
        head = max(int(top - 0.14 * ppm), 0)
        light[head : max(int(top), 0), max(int(px - wide * 0.5), 0) : int(px + wide * 0.5)] *= 0.3
    return np.asarray(cv2.GaussianBlur(light, (0, 0), max(0.028 * ppm, 0.5)), np.float32)


def _shop(
    rng: Rng,
    look: Look,
    albedo: Array,
    glow: Array,
    ground: float,
    ppm: float,
    sky: Colour,
    wall: Array,
) -> Colour | None:
    """A glazed ground floor with a fascia; returns the colour of its light when it is lit."""
    h, w = albedo.shape[:2]
    front = rgb(("#3a4a44", "#4e3428", "#2f3c50", "#5a2a2c", "#55503c")[int(rng.integers(0, 5))])
    top = h - (ground - 0.25) * ppm
    _box(albedo, 0.15 * ppm, top, w - 0.15 * ppm, h, front * 0.9)
    sign = front * 1.25 if rng.random() < 0.6 else rgb("#d8c8a4") * 0.8
    _box(albedo, 0.25 * ppm, top + 0.08 * ppm, w - 0.25 * ppm, top + 0.62 * ppm, sign)
    word, x = mix(rgb("#efdfb4"), sign, 0.15), 0.9 * ppm
    while x < w - 1.2 * ppm:
        step = float(rng.uniform(0.12, 0.34)) * ppm
        if rng.random() < 0.8:
            _box(albedo, x, top + 0.25 * ppm, x + step * 0.72, top + 0.47 * ppm, word)
        x += step
    lit = rng.random() < look.shop_lit
    lamp = rgb(look.lamp[int(rng.integers(0, len(look.lamp)))])
    y0, y1 = top + 0.75 * ppm, h - 0.62 * ppm
    panes = max(int(w / ppm / 1.35), 1)
    door = int(rng.integers(0, panes))
    for k in range(panes):
        x0 = (0.3 * ppm) + k * (w - 0.6 * ppm) / panes
        x1 = x0 + (w - 0.6 * ppm) / panes - 0.12 * ppm
        low = h - 0.12 * ppm if k == door else y1
        rows, cols = max(int(low - y0), 2), max(int(x1 - x0), 2)
        ramp = np.linspace(1, 0, rows, dtype=np.float32)[:, None, None] * np.ones((1, cols, 1), np.float32)
        if lit:
            light = _interior(rng, rows, cols, lamp, ppm)
            _paste(albedo, np.full_like(light, 0.02), x0, y0)
            _paste(glow, light, x0, y0)
        else:
            _paste(albedo, (0.06 + 0.3 * ramp) * sky + 0.03, x0, y0)
    if lit:
        fascia = glow[max(int(top), 0) : int(top + 0.66 * ppm)]
        fascia += (albedo[max(int(top), 0) : int(top + 0.66 * ppm)] * lamp) * 0.4
        return lamp
    return None
