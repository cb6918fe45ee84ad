"""What stands along a street: lamp posts, stalls under awnings, cafe tables, porches, an alley's pipes.

What a reader gets wrong: still things go into the road's pictures at once; only cloth and hanging signs are
returned as layers.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Image8,
    blank,
    premultiplied,
    rgb,
    rgba,
)
from actors.backends.embedded.scenes.figures import Banner
from actors.backends.embedded.scenes.houses import House, Lamp, Row, awning, awning_layers
from actors.backends.embedded.scenes.motion import Layer
from actors.backends.embedded.scenes.perspective import Road

_CLOTHS = (
    ("#b23a32", "#f0e8d8"),
    ("#2f6a4e", "#f0e8d8"),
    ("#d8a03a", "#f4ecd8"),
    ("#3a5f8a", "#eef0ee"),
    ("#8a3050", "#efe0d4"),
)


def lamp_posts(road: Road, name: str, lamps: list[Lamp]) -> None:
    stage = road.stage
    for x, height, z, colour, _ in sorted(lamps, key=lambda p: -p[2]):
        tone = stage.hazed(stage.lit(rgb("#2c2e30"), 0.3), road.away(z))
        side = 1.0 if x > 0 else -1.0
        if name == "alley":
            road.line((x + 0.7, height + 0.2, z), (x, height + 0.3, z), tone, 0.06)
        elif height > 5:
            post = x + side * 0.9
            road.line((post, 0, z), (post, height, z), tone, 0.15)
            road.line((post, height, z), (x, height + 0.12, z), tone, 0.1)
            road.line((x - 0.3, height + 0.08, z), (x + 0.3, height + 0.08, z), tone, 0.12)
            continue
        else:
            road.line((x, 0, z), (x, height - 0.25, z), tone, 0.1)
            road.box((x - 0.1, 0, z), (x + 0.1, 0.55, z), tone)
        bulb = np.clip(np.asarray(colour) * 0.5 + 0.6, 0, 1)
        road.box((x - 0.15, height - 0.24, z), (x + 0.15, height + 0.22, z), bulb)
        road.line((x - 0.22, height + 0.26, z), (x + 0.22, height + 0.26, z), tone, 0.1)
        for dx in (-0.16, 0.16):
            road.line((x + dx, height - 0.24, z), (x + dx * 1.3, height + 0.24, z), tone, 0.035)


def stalls_and_awnings(road: Road, name: str, row: Row, houses: list[House]) -> list[Layer]:
    stage = road.stage
    rng = stage.rng
    layers: dict[int, tuple[Image8, Array]] = {
        side: (blank(stage.height, stage.width), np.zeros((stage.height, stage.width), np.float32))
        for side in (-1, 1)
    }
    light = 0.75 if name == "market" else 0.4
    if name == "market":
        z = 46.0
        while z > 6.5:
            deep = float(rng.uniform(2.6, 3.4))
            for side in (-1, 1):
                if z > 15 and rng.random() < 0.12:
                    continue
                _stall(road, row, side, z, z + deep)
                layer, weight = layers[side]
                awning(
                    road,
                    layer,
                    weight,
                    side=side,
                    first=z - 0.2,
                    last=z + deep + 0.1,
                    wall=row.half - 0.3,
                    out=2.5,
                    high=3.45,
                    low=2.3,
                    colours=_CLOTHS[int(rng.integers(0, len(_CLOTHS)))],
                    light=light * (1.15 if side * stage.sun_side < 0 else 0.55),
                )
            z -= deep + float(rng.uniform(0.4, 1.2))
    else:
        for house in houses:
            if house.shop and house.first < 50 and house.last > 5:
                layer, weight = layers[house.side]
                warm = None if house.shop_colour is None else house.shop_colour * 0.5
                awning(
                    road,
                    layer,
                    weight,
                    side=house.side,
                    first=max(house.first + 0.4, 3.5),
                    last=house.last - 0.4,
                    wall=row.half,
                    out=1.7,
                    high=3.8,
                    low=2.55,
                    colours=_CLOTHS[int(rng.integers(0, len(_CLOTHS)))],
                    light=light,
                    glow=warm,
                )
    return awning_layers(road, layers, 21.0 if name == "market" else 10.0)


def _stall(road: Road, row: Row, side: int, first: float, last: float) -> None:
    stage = road.stage
    rng = stage.rng
    inner, outer = side * (row.half - 2.2), side * (row.half - 0.6)
    wood = stage.lit(rgb("#7a5c40"), 0.45)
    h, w = 24, 96
    colours = [rgb(c) for c in ("#c8402c", "#e8a02c", "#7aa03a", "#e8d05a", "#8a3a6a", "#d8742c")]
    goods = np.zeros((h, w, 3), np.float32)
    boxes = 6
    for k in range(boxes):
        c = colours[int(rng.integers(0, len(colours)))]
        cell = goods[:, k * w // boxes : (k + 1) * w // boxes]
        cell[...] = c * rng.uniform(0.55, 1.15, (*cell.shape[:2], 1)) * rng.uniform(0.8, 1.1)
        cell[:, -2:] = rgb("#5a4430")
    goods = np.asarray(cv2.GaussianBlur(goods, (0, 0), 0.8), np.float32)
    lit = stage.hazed(stage.lit(np.clip(goods, 0, 1), 0.55), road.away(first))
    a, b = (first, last) if side < 0 else (last, first)
    top = premultiplied(lit if side < 0 else lit[:, ::-1], np.ones((h, w), np.float32))
    road.lay(top, ((outer, 1.15, a), (outer, 1.15, b), (inner, 0.8, b), (inner, 0.8, a)))
    tone = stage.hazed(wood, road.away(first))
    boards = premultiplied(
        tone * (0.75 + 0.35 * rng.random((12, 40, 1)).astype(np.float32)), np.ones((12, 40), np.float32)
    )
    road.lay(boards, ((inner, 0.8, a), (inner, 0.8, b), (inner, 0.1, b), (inner, 0.1, a)))
    left, right = (outer, inner) if side < 0 else (inner, outer)
    road.lay(boards, ((left, 0.85, first), (right, 0.85, first), (right, 0.1, first), (left, 0.1, first)))
    for z in (last, first):
        road.line((side * (row.half - 2.75), 0, z), (side * (row.half - 2.75), 2.4, z), tone, 0.07)


def tables(road: Road, row: Row) -> None:
    stage = road.stage
    rng = stage.rng
    iron = rgb("#2a2622")
    for z in np.arange(26.0, 7.5, -2.1):
        for side in (-1, 1):
            if rng.random() < 0.2:
                continue
            x = side * (row.half - float(rng.uniform(1.3, 2.1)))
            z1 = float(z) + float(rng.uniform(-0.4, 0.4))
            tone = stage.hazed(stage.lit(iron, 0.5), road.away(z1))
            top = stage.hazed(stage.lit(rgb("#d8cdb8"), 0.75), road.away(z1))
            road.line((x, 0, z1), (x, 0.72, z1), tone, 0.05)
            road.line((x - 0.22, 0.02, z1), (x + 0.22, 0.02, z1), tone, 0.05)
            road.line((x - 0.36, 0.74, z1), (x + 0.36, 0.74, z1), top, 0.06)
            for dx in (-0.72, 0.72):
                cx = x + dx
                back = cx + 0.16 * np.sign(dx)
                wood = stage.hazed(stage.lit(rgb("#6a4430"), 0.7), road.away(z1))
                road.line((cx - 0.2, 0.46, z1), (cx + 0.2, 0.46, z1), wood, 0.06)
                road.line((back, 0.0, z1), (back + 0.04 * np.sign(dx), 0.92, z1), wood, 0.05)
                road.line((cx - 0.17, 0, z1), (cx - 0.15, 0.46, z1), wood, 0.04)
            glow = rgb("#ffcf8a")
            road.line((x, 0.77, z1), (x, 0.88, z1), glow, 0.08)


def porches(road: Road, row: Row, houses: list[House]) -> list[Layer]:
    stage = road.stage
    rng = stage.rng
    layers: list[Layer] = []
    for house in houses:
        side, tone = house.side, stage.colour("wall2") * float(rng.uniform(0.8, 1.15))
        lit = 0.9 if side * stage.sun_side < 0 else 0.35
        a, b = (house.first, house.last) if side < 0 else (house.last, house.first)
        x0, x1 = side * row.half, side * (row.half - 2.0)
        shade = premultiplied(np.zeros(3, np.float32), np.full((8, 8), 0.42, np.float32))
        road.lay(shade, ((x0, 2.75, a), (x0, 2.75, b), (x0, 0, b), (x0, 0, a)))
        deck = stage.hazed(stage.lit(tone * 1.1, 0.5), road.away(house.first))
        full = np.ones((12, 32), np.float32)
        grain = 0.8 + 0.3 * rng.random((12, 32, 1)).astype(np.float32)
        road.lay(premultiplied(deck * grain, full), ((x0, 0.3, a), (x0, 0.3, b), (x1, 0.3, b), (x1, 0.3, a)))
        road.lay(premultiplied(deck * 0.6, full), ((x1, 0.3, a), (x1, 0.3, b), (x1, 0, b), (x1, 0, a)))
        roof = stage.hazed(stage.lit(tone * 0.95, lit), road.away(house.first))
        road.lay(premultiplied(roof * grain, full), ((x0, 3.1, a), (x0, 3.1, b), (x1, 2.7, b), (x1, 2.7, a)))
        road.lay(premultiplied(roof * 0.7, full), ((x1, 2.7, a), (x1, 2.7, b), (x1, 2.5, b), (x1, 2.5, a)))
        for z in np.arange(house.last - 0.15, max(house.first, 4.0), -2.1):
            post = stage.hazed(stage.lit(rgb("#a08664"), lit * 0.8), road.away(float(z)))
            road.line((x1, 0.3, float(z)), (x1, 2.6, float(z)), post, 0.14)
        if 9 < house.first < 34 and rng.random() < 0.75:
            layers.append(_hanging_sign(road, side * (row.half - 2.6), 2.45, house.first + 1.0))
    return layers


def _hanging_sign(road: Road, x: float, height: float, z: float) -> Banner:
    stage = road.stage
    scale = road.scale(z)
    w, h = max(int(1.5 * scale), 12), max(int(0.75 * scale), 8)
    board = stage.hazed(stage.lit(rgb("#8a6848"), 0.6), road.away(z))
    layer = blank(h, w)
    chain = max(int(h * 0.28), 2)
    for cx in (w // 5, w - w // 5):
        cv2.line(layer, (cx, 0), (cx, chain), rgba(board * 0.3), max(int(scale * 0.03), 1), cv2.LINE_AA)
    cv2.rectangle(layer, (1, chain), (w - 2, h - 2), rgba(board), -1)
    cv2.rectangle(layer, (1, chain), (w - 2, h - 2), rgba(board * 0.5), max(int(scale * 0.05), 1))
    for k in range(5):
        left = int(w * (0.16 + 0.14 * k))
        cv2.rectangle(
            layer,
            (left, chain + (h - chain) // 3),
            (left + int(w * 0.09), h - (h - chain) // 3),
            rgba(board * 0.35),
            -1,
        )
    px, py = road.at(x, height, z)
    return Banner(stage.rng, layer, int(px - w / 2), int(py), amplitude=scale * 0.1, hz=0.6)


def alley_things(road: Road, row: Row) -> None:
    """Pipes, a fire escape, bins."""
    stage = road.stage
    rng = stage.rng
    for side, z in ((-1, 22.0), (1, 16.0), (-1, 12.0), (1, 8.5), (-1, 6.4)):
        tone = stage.hazed(stage.lit(rgb("#34302e"), 0.5), road.away(z))
        x = side * (row.half - 0.12)
        road.line((x, 0.1, z), (x, 9.0, z), tone, 0.14)
        road.line((x, 2.6, z), (x, 2.75, z), tone * 1.4, 0.22)
    side = -1 if rng.random() < 0.5 else 1
    for level in (4.2, 7.2):
        for k in range(9):
            z = 11.0 + k * 0.5
            tone = stage.hazed(stage.lit(rgb("#1c1c1e"), 0.4), road.away(z))
            x0, x1 = side * row.half, side * (row.half - 0.95)
            road.line((x0, level, z), (x1, level, z), tone, 0.07)
            road.line((x1, level, z), (x1, level + 0.95, z), tone, 0.04)
            if k:
                p, q = road.at(x1, level + 0.95, z), road.at(x1, level + 0.95, z - 0.5)
                cv2.line(
                    road.picture,
                    (int(p[0]), int(p[1])),
                    (int(q[0]), int(q[1])),
                    rgba(tone),
                    2,
                    cv2.LINE_AA,
                )
    for z in (15.0, 10.0):
        x = -side * (row.half - 0.5)
        tone = stage.hazed(stage.lit(rgb("#4a5450"), 0.5), road.away(z))
        road.line((x, 0.0, z), (x, 1.05, z), tone, 0.66)
        road.line((x - 0.37, 1.08, z), (x + 0.37, 1.08, z), tone * 1.3, 0.1)
