"""Lit signs: boards at right angles to the walls, with tubes of light that read as letters from afar.

What a reader gets wrong: the board itself is still and mirrored in the wet road; the pulse is light added on
top of it.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Colour,
    Image8,
    premultiplied,
    rgb,
)
from actors.backends.embedded.scenes.houses import Row
from actors.backends.embedded.scenes.motion import Layer
from actors.backends.embedded.scenes.perspective import Road
from actors.backends.embedded.scenes.streetlife import Signs


def neon_signs(road: Road, row: Row) -> list[Layer]:
    """Boards at right angles to the walls, tubes of light on them, and their colour on the wet road."""
    stage = road.stage
    rng = stage.rng
    colours = [rgb(c) for c in ("#ff4fb4", "#38d8ff", "#ff8a3a", "#a05aff", "#5affc0", "#ffd84a")]
    signs: list[tuple[int, int, Image8]] = []
    for z in np.geomspace(62, 9.5, 15):
        side = -1 if rng.random() < 0.5 else 1
        wide, tall = float(rng.uniform(0.8, 1.5)), float(rng.uniform(2.2, 5.0))
        if rng.random() < 0.35:
            wide, tall = float(rng.uniform(2.0, 3.0)), float(rng.uniform(0.8, 1.5))
        low = float(rng.uniform(3.2, 6.5)) + (1.5 if z > 25 else 0)
        colour = colours[int(rng.integers(0, len(colours)))]
        ppm = float(np.clip(road.scale(float(z)), 12, 110))
        h, w = max(int(tall * ppm), 10), max(int(wide * ppm), 8)
        light = tubes(rng, h, w, colour)
        board = premultiplied(np.clip(light * 0.85 + 0.03, 0, 1), np.ones((h, w), np.float32))
        x0, x1 = (
            (row.half - wide - 0.15, row.half - 0.15)
            if side > 0
            else (-row.half + 0.15, -row.half + wide + 0.15)
        )
        zf = float(z)
        road.lay(board, ((x0, low + tall, zf), (x1, low + tall, zf), (x1, low, zf), (x0, low, zf)))
        px, py = road.at(x0, low + tall, zf)
        qx, qy = road.at(x1, low, zf)
        sw, sh = max(int(qx - px), 4), max(int(qy - py), 4)
        pad = int(max(sw, sh) * 0.55)
        halo = np.zeros((sh + 2 * pad, sw + 2 * pad, 3), np.float32)
        halo[pad : pad + sh, pad : pad + sw] = cv2.resize(light, (sw, sh), interpolation=cv2.INTER_AREA)
        small = cv2.resize(
            halo, (halo.shape[1] // 4 + 1, halo.shape[0] // 4 + 1), interpolation=cv2.INTER_AREA
        )
        wide_halo = cv2.resize(cv2.GaussianBlur(small, (0, 0), pad / 10 + 1), (halo.shape[1], halo.shape[0]))
        sprite = np.clip((halo * 0.35 + wide_halo * 1.1) * 255, 0, 255).astype(np.uint8)
        signs.append((int(px) - pad, int(py) - pad, sprite))
    return [Signs(rng, signs, depth=0.55, lively=0.8)]


def tubes(rng: np.random.Generator, h: int, w: int, colour: Colour) -> Array:
    """Glowing strokes that look like letters from afar, in a lit frame."""
    layer = np.zeros((h, w, 3), np.float32)
    c = (float(colour[0]), float(colour[1]), float(colour[2]))
    edge = max(min(h, w) // 14, 1)
    cv2.rectangle(layer, (edge, edge), (w - 1 - edge, h - 1 - edge), c, max(edge // 2, 1))
    cells = max(round(h / w * 1.1), 1) if h > w else max(round(w / h * 1.3), 1)
    for k in range(cells):
        if h > w:
            x0, x1, y0, y1 = w * 0.24, w * 0.76, h * (k + 0.16) / cells, h * (k + 0.84) / cells
        else:
            x0, x1, y0, y1 = w * (k + 0.18) / cells, w * (k + 0.82) / cells, h * 0.24, h * 0.76
        thick = max(int(min(x1 - x0, y1 - y0) * 0.16), 1)
        for _ in range(4):
            gx, gy = np.array([x0, (x0 + x1) / 2, x1]), np.array([y0, (y0 + y1) / 2, y1])
            p = (int(gx[rng.integers(0, 3)]), int(gy[rng.integers(0, 3)]))
            q = (
                (p[0], int(gy[rng.integers(0, 3)]))
                if rng.random() < 0.5
                else (int(gx[rng.integers(0, 3)]), p[1])
            )
            cv2.line(layer, p, q, c, thick, cv2.LINE_AA)
    core = np.clip(layer.max(axis=2, keepdims=True) * 0.35, 0, 1)
    return np.asarray(layer + core * (layer.max(axis=2, keepdims=True) > 0.3) + 0.07 * colour, np.float32)


def hotel_sign(road: Road, row: Row) -> list[Layer]:
    stage = road.stage
    side = -1 if stage.rng.random() < 0.5 else 1
    z = 15.0
    h, w = int(5.0 * road.scale(z)), int(1.1 * road.scale(z))
    light = tubes(stage.rng, h, w, rgb("#f4f4f4"))
    x0, x1 = (row.half - 1.3, row.half - 0.2) if side > 0 else (-row.half + 0.2, -row.half + 1.3)
    board = premultiplied(np.clip(light * 0.7 + 0.04, 0, 1), np.ones((h, w), np.float32))
    road.lay(board, ((x0, 8.8, z), (x1, 8.8, z), (x1, 3.8, z), (x0, 3.8, z)))
    px, py = road.at(x0, 8.8, z)
    pad = w
    halo = np.zeros((h + 2 * pad, w + 2 * pad, 3), np.float32)
    halo[pad : pad + h, pad : pad + w] = light
    soft = cv2.GaussianBlur(halo, (0, 0), w * 0.3)
    sprite = np.clip((halo * 0.3 + soft * 0.5) * 255, 0, 255).astype(np.uint8)
    return [Signs(stage.rng, [(int(px) - pad, int(py) - pad, sprite)], depth=0.6)]
