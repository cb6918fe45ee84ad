"""Surfaces of rooms as flat textures: plaster, brick, panels, boards, bookshelves, tiles.

What a reader gets wrong: these are albedo in 0..1 without light; the space in which they are hung lights
them. Sizes are metres, `ppm` is texture pixels a metre.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from actors.backends.embedded.scenes.canvas import Array, Colour, Rng, fbm, mix, rgb, smoothstep

PPM = 170.0


def _size(wide: float, tall: float, ppm: float) -> tuple[int, int]:
    return max(int(tall * ppm), 4), max(int(wide * ppm), 4)


def plaster(
    rng: Rng, wide: float, tall: float, colour: Colour, *, rough: float = 0.05, ppm: float = PPM
) -> Array:
    h, w = _size(wide, tall, ppm)
    broad = fbm(rng, h, w, cell=ppm * 1.3, octaves=4) - 0.5
    fine = fbm(rng, h, w, cell=ppm * 0.07, octaves=3) - 0.5
    return np.asarray(np.clip(colour * (1 + rough * (2.2 * broad + 1.1 * fine))[..., None], 0, 1), np.float32)


def brick(rng: Rng, wide: float, tall: float, dark: Colour, light: Colour, *, ppm: float = PPM) -> Array:
    h, w = _size(wide, tall, ppm)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / np.float32(ppm)
    x += 0.010 * (fbm(rng, h, w, cell=ppm * 0.12, octaves=3) - 0.5)
    y += 0.010 * (fbm(rng, h, w, cell=ppm * 0.12, octaves=3) - 0.5)
    long_, high = 0.225, 0.076
    row = np.floor(y / high)
    along = x / long_ + 0.5 * (row % 2)
    column = np.floor(along)
    table = rng.random((64, 64), np.float32)
    kind = table[(row.astype(int) % 64), (column.astype(int) % 64)]
    u, v = along - column, y / high - row
    edge = np.minimum(np.minimum(u, 1 - u) * long_, np.minimum(v, 1 - v) * high)
    joint = smoothstep(0.011, 0.005, edge)
    grain = fbm(rng, h, w, cell=ppm * 0.05, octaves=3) - 0.5
    stain = fbm(rng, h, w, cell=ppm * 0.9, octaves=4)
    body = mix(dark, light, np.clip(0.15 + 0.75 * kind, 0, 1)) * (0.72 + 0.5 * stain + 0.5 * grain)[..., None]
    body *= (1 - 0.12 * smoothstep(0.4, 0.95, v) + 0.06 * smoothstep(0.3, 0.05, v))[..., None]
    mortar = mix(light, rgb("#b9aea0"), 0.62) * 0.66 * (0.85 + 0.3 * stain)[..., None]
    return np.asarray(np.clip(mix(body, mortar, joint), 0, 1), np.float32)


def boards(
    rng: Rng,
    wide: float,
    deep: float,
    colour: Colour,
    *,
    ppm: float = PPM,
    board: float = 0.14,
    across: bool = False,
) -> Array:
    """Floor boards that run away from the viewer (`across`: sideways)."""
    if across:
        return np.ascontiguousarray(boards(rng, deep, wide, colour, ppm=ppm, board=board).transpose(1, 0, 2))
    h, w = _size(wide, deep, ppm)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / np.float32(ppm)
    k = np.floor(x / board).astype(int)
    count = int(wide / board) + 2
    offset = rng.uniform(0, 1.8, count).astype(np.float32)[k]
    piece = np.floor((y + offset) / 1.8).astype(int)
    tone = rng.random((count, 64), np.float32)[k, piece % 64]
    grain = fbm(rng, w, h, cell=ppm * 0.035, octaves=3, stretch=14).T - 0.5
    rings = fbm(rng, w, h, cell=ppm * 0.16, octaves=3, stretch=7).T
    body = colour * (0.74 + 0.34 * tone + 0.42 * grain + 0.2 * (rings - 0.5))[..., None]
    gap = np.minimum((x / board) % 1, 1 - (x / board) % 1) * board
    end = np.minimum(((y + offset) / 1.8) % 1, 1 - ((y + offset) / 1.8) % 1) * 1.8
    dark = np.maximum(smoothstep(0.007, 0.002, gap), smoothstep(0.006, 0.002, end))
    return np.asarray(np.clip(body * (1 - 0.62 * dark)[..., None], 0, 1), np.float32)


def tiles(rng: Rng, wide: float, tall: float, first: Colour, second: Colour, size: float) -> Array:
    """A chequered floor."""
    h, w = _size(wide, tall, PPM)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / np.float32(PPM * size)
    odd = ((np.floor(x) + np.floor(y)) % 2).astype(np.float32)
    grain = fbm(rng, h, w, cell=PPM * 0.4, octaves=5) - 0.5
    gap = np.minimum(np.minimum(x % 1, 1 - x % 1), np.minimum(y % 1, 1 - y % 1))
    body = mix(first, second, odd) * (1 + 0.3 * grain)[..., None]
    return np.asarray(np.clip(body * (1 - 0.5 * smoothstep(0.02, 0.008, gap))[..., None], 0, 1), np.float32)


def bevel(sheet: Array, x0: int, y0: int, x1: int, y1: int, step: int, *, raised: bool = True) -> None:
    """A framed panel: light from above falls on its upper or its lower edges."""
    bright, dim = (1.18, 0.72) if raised else (0.7, 1.16)
    part = sheet[y0:y1, x0:x1]
    part[:step] *= bright
    part[-step:] *= dim
    part[:, :step] *= 0.5 + 0.5 * bright
    part[:, -step:] *= 0.5 + 0.5 * dim


def panels(
    rng: Rng, wide: float, tall: float, wall: Colour, wood: Colour, *, dado: float = 1.0, ppm: float = PPM
) -> Array:
    """A painted wall over a wainscot of framed panels, with skirting and cornice."""
    sheet = plaster(rng, wide, tall, wall, rough=0.05, ppm=ppm)
    h, w = sheet.shape[:2]
    top = h - int(dado * ppm)
    grain = fbm(rng, h - top, w, cell=ppm * 0.03, octaves=3, stretch=0.12) - 0.5
    sheet[top:] = wood * (1 + 0.16 * grain)[..., None]
    step = max(int(0.018 * ppm), 2)
    for y, high in ((top - int(0.02 * ppm), 0.06), (h - int(0.16 * ppm), 0.16)):
        sheet[y : y + int(high * ppm)] = wood * 1.05
        bevel(sheet, 0, y, w, min(y + int(high * ppm), h), step)
    count = max(round(wide / 0.62), 1)
    for k in range(count):
        x0, x1 = int((k + 0.13) * w / count), int((k + 0.87) * w / count)
        y0, y1 = top + int(0.13 * ppm), h - int(0.26 * ppm)
        bevel(sheet, x0, y0, x1, y1, step, raised=False)
        inset = int(0.07 * ppm)
        bevel(sheet, x0 + inset, y0 + inset, x1 - inset, y1 - inset, step)
    cornice = int(0.14 * ppm)
    sheet[:cornice] = mix(wood, wall, 0.35) * 1.08
    for y in (int(0.05 * ppm), int(0.09 * ppm)):
        sheet[y : y + 3] *= 0.7
    sheet[cornice : cornice + int(0.05 * ppm)] *= 0.72
    return np.asarray(np.clip(sheet, 0, 1), np.float32)


def skirted(sheet: Array, trim: Colour, *, high: float = 0.14, ppm: float = PPM) -> Array:
    """A skirting board along the foot of a wall texture."""
    rows = int(high * ppm)
    sheet[-rows:] = trim
    bevel(sheet, 0, sheet.shape[0] - rows, sheet.shape[1], sheet.shape[0], max(rows // 8, 2))
    return sheet


_BINDINGS = (
    "#6e2420",
    "#243a52",
    "#2f4a34",
    "#7a5228",
    "#3a2a24",
    "#8a7a58",
    "#4a2438",
    "#a08a5c",
    "#5a2c1c",
    "#1f2c34",
    "#9a4a2c",
    "#c2b08a",
)


def bookcase(
    rng: Rng, wide: float, tall: float, wood: Colour, *, shelves: int = 7, ppm: float = PPM
) -> Array:
    """A bookcase full of books, seen from the front."""
    h, w = _size(wide, tall, ppm)
    grain = fbm(rng, h, w, cell=ppm * 0.05, octaves=3, stretch=0.1) - 0.5
    sheet = np.asarray(wood * (1 + 0.3 * grain)[..., None], np.float32)
    board, post, head = int(0.035 * ppm), int(0.06 * ppm), int(0.14 * ppm)
    foot = int(0.12 * ppm)
    colours = [rgb(c) for c in _BINDINGS]
    rows = np.linspace(head, h - foot, shelves + 1).astype(int)
    bays = max(round(wide / 0.95), 1)
    cols = np.linspace(post / 2, w - post / 2, bays + 1).astype(int)
    for top, bottom in pairwise(rows):
        for left, right in pairwise(cols):
            x0, x1, y0, y1 = left + post // 2, right - post // 2, int(top) + board, int(bottom)
            sheet[y0:y1, x0:x1] = wood * 0.2
            x = x0
            favourite = int(rng.integers(0, len(colours)))
            height = float(rng.uniform(0.62, 0.84))
            while x < x1 - 3:
                thick = int(rng.uniform(0.018, 0.055) * ppm)
                if rng.random() < 0.16:
                    favourite = int(rng.integers(0, len(colours)))
                    height = float(rng.uniform(0.6, 0.88))
                if rng.random() < 0.045:
                    x += int(rng.uniform(0.04, 0.16) * ppm)
                    continue
                right_edge = min(x + thick, x1)
                y = int(y1 - (y1 - y0) * min(height + float(rng.normal(0, 0.035)), 0.93))
                pick = favourite if rng.random() < 0.6 else int(rng.integers(0, len(colours)))
                base = colours[pick] * float(rng.uniform(0.62, 1.12))
                across = np.linspace(-1, 1, max(right_edge - x, 1), dtype=np.float32)
                round_ = (1.06 - 0.42 * np.abs(across + 0.25) ** 2)[None, :, None]
                sheet[y:y1, x:right_edge] = base * round_
                if rng.random() < 0.6:
                    gold = rgb("#c9a860") * float(rng.uniform(0.6, 1.0))
                    for share in (0.14, 0.2, 0.78) if rng.random() < 0.5 else (0.3,):
                        band = int(y + (y1 - y) * share)
                        sheet[band : band + max(int(0.008 * ppm), 1), x:right_edge] = gold * round_[:, :, 0:1]
                sheet[y:y1, right_edge - 1 : right_edge] *= 0.45
                x = right_edge
            shade = smoothstep(0, 0.09 * ppm, np.arange(y1 - y0))[:, None, None]
            sheet[y0:y1, x0:x1] *= 0.3 + 0.7 * shade
            sheet[y1 - 2 : y1, x0:x1] *= 0.6
        bevel(sheet, 0, int(top), w, int(top) + board, 2)
    for x in cols:
        bevel(sheet, max(int(x) - post // 2, 0), head // 2, min(int(x) + post // 2, w), h, 2)
    bevel(sheet, 0, 0, w, head, 3)
    bevel(sheet, 0, int(head * 0.55), w, head, 2)
    bevel(sheet, 0, h - foot, w, h, 3)
    return np.asarray(np.clip(sheet, 0, 1), np.float32)


def painting(rng: Rng, wide: float, tall: float, frame: Colour, tones: list[Colour]) -> Array:
    """A framed picture: soft bands of colour, a land or a cloud as one likes."""
    h, w = _size(wide, tall, PPM)
    value = fbm(rng, h, w, cell=h * 0.7, octaves=4, stretch=2.2) * 0.8 + np.linspace(0, 0.5, h)[:, None]
    stops = np.linspace(0.2, 1.0, len(tones))
    sheet = np.stack([np.interp(value, stops, [float(t[c]) for t in tones]) for c in range(3)], -1)
    edge = max(int(0.045 * PPM), 3)
    out = np.broadcast_to(frame, (h, w, 3)).astype(np.float32).copy()
    out[edge:-edge, edge:-edge] = rgb("#eee8dc")
    mat = edge + int(0.05 * PPM)
    out[mat:-mat, mat:-mat] = sheet[mat:-mat, mat:-mat]
    bevel(out, 0, 0, w, h, 3)
    bevel(out, edge, edge, w - edge, h - edge, 2, raised=False)
    return out


def rug(rng: Rng, wide: float, deep: float, ground: Colour, second: Colour) -> Array:
    """A woven rug with borders and a figured field."""
    h, w = _size(wide, deep, 100)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    field = np.sin(x * 0.35) * np.sin(y * 0.35) + 0.6 * np.sin((x + y) * 0.12) * np.sin((x - y) * 0.12)
    out = mix(ground, second, smoothstep(0.1, 0.5, field) * 0.6)
    edge = np.minimum(np.minimum(x, w - 1 - x), np.minimum(y, h - 1 - y))
    for at in (8, 26):
        out = mix(out, second, smoothstep(4, 2, np.abs(edge - at)))
    weave = fbm(rng, h, w, cell=6, octaves=2) - 0.5
    return np.asarray(np.clip(out * (1 + 0.35 * weave)[..., None], 0, 1), np.float32)


def pane_grid(
    wide: float, tall: float, colour: Colour, cols: int, rows: int, bar: float, ppm: float = PPM
) -> Array:
    """A window frame with glazing bars as RGBA; the panes are clear."""
    h, w = _size(wide, tall, ppm)
    sheet = np.zeros((h, w, 4), np.float32)

    def bar_at(x0: int, y0: int, x1: int, y1: int) -> None:
        sheet[y0:y1, x0:x1, :3] = colour
        sheet[y0:y1, x0:x1, 3] = 1
        edge = max((min(x1 - x0, y1 - y0)) // 4, 1)
        bevel(sheet[..., :3], x0, y0, x1, y1, edge)

    thick = max(int(bar * ppm), 2)
    for k in range(1, cols):
        x = int(w * k / cols)
        bar_at(x - thick // 2, 0, x + thick - thick // 2, h)
    for k in range(1, rows):
        y = int(h * k / rows)
        bar_at(0, y - thick // 2, w, y + thick - thick // 2)
    outer = int(thick * 1.9)
    bar_at(0, 0, w, outer)
    bar_at(0, h - outer, w, h)
    bar_at(0, 0, outer, h)
    bar_at(w - outer, 0, w, h)
    sheet[..., :3] = np.clip(sheet[..., :3], 0, 1)
    return sheet


def wood_block(rng: Rng, wide: float, tall: float, colour: Colour, *, upright: bool = False) -> Array:
    """Plain wood for furniture."""
    h, w = _size(wide, tall, PPM)
    grain = (
        fbm(rng, w, h, cell=PPM * 0.05, octaves=3, stretch=9).T
        if upright
        else fbm(rng, h, w, cell=PPM * 0.05, octaves=3, stretch=9)
    )
    return np.asarray(np.clip(colour * (0.8 + 0.4 * grain)[..., None], 0, 1), np.float32)
