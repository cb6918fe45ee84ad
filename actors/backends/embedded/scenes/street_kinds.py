"""What each kind of street has of its own: the far end, furniture, people, cars, cloth, smoke, fog.

What a reader gets wrong: `furnish` draws still things into the road's pictures and returns the layers that
move among them; `in_front` adds what hangs before all that.
"""

from __future__ import annotations

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
    rgba,
    smoothstep,
    stack_over,
)
from actors.backends.embedded.scenes.facades import facade
from actors.backends.embedded.scenes.figures import Banner, cloth
from actors.backends.embedded.scenes.houses import House, Lamp, Row, awning, awning_layers, chimneys
from actors.backends.embedded.scenes.lights import Lamps, glow_sprite
from actors.backends.embedded.scenes.motion import Layer, Veil
from actors.backends.embedded.scenes.particles import Drift, Flock, Swarm, dot_sprites
from actors.backends.embedded.scenes.parts import grove, tree_bank
from actors.backends.embedded.scenes.perspective import Road
from actors.backends.embedded.scenes.smoke import Smoke
from actors.backends.embedded.scenes.streetcloth import cloth_shadows, lane_banner, pennants
from actors.backends.embedded.scenes.streetlife import Cars, Signs, Tumbleweed
from actors.backends.embedded.scenes.strollers import Stroll, Strollers

_CLOTHS = (
    ("#b23a32", "#f0e8d8"),
    ("#2f6a4e", "#f0e8d8"),
    ("#d8a03a", "#f4ecd8"),
    ("#3a5f8a", "#eef0ee"),
    ("#8a3050", "#efe0d4"),
)


def far_end(road: Road, name: str, row: Row) -> None:
    """What closes the street at its end, deep in the air."""
    from actors.backends.embedded.scenes.street import _KINDS

    stage = road.stage
    rng = stage.rng
    if name in ("village", "western", "market", "cafe"):
        _skyline_hill(road, row.end * 1.5, 9.0 if name != "western" else 16.0, flat=name == "western")
    if name in ("western",):
        return
    if name in ("cafe", "village", "market"):
        _church(road, row.end * 1.3, float(rng.uniform(-0.3, 0.3)) * row.half)
    look = _KINDS[name].look
    layers = ((1.35, 1.5), (1.02, 1.0)) if name in ("neon", "boulevard") else ((1.02, 0.85),)
    for far, grow in layers:
        z = row.end * far
        x = -row.half * 2.2
        while x < row.half * 2.2:
            wide = float(rng.uniform(*row.wide))
            tall = float(rng.uniform(*row.tall)) * grow
            open_end = name in ("neon", "boulevard", "village") and abs(x + wide / 2) < row.half * 0.55
            if not open_end:
                ppm = float(np.clip(road.scale(z), 8, 30))
                front = facade(rng, look, wide, tall, ppm, stage.sky_low)
                colour = stage.lit(front.albedo, 0.4) + front.glow
                colour = stage.hazed(np.clip(colour, 0, 1), road.away(z))
                texture = premultiplied(colour, np.ones(colour.shape[:2], np.float32))
                road.lay(texture, ((x, tall, z), (x + wide, tall, z), (x + wide, 0, z), (x, 0, z)))
            x += wide


def _skyline_hill(road: Road, z: float, tall: float, *, flat: bool) -> None:
    stage = road.stage
    w = stage.width
    line = fbm(stage.rng, 1, w, cell=w * 0.4, octaves=6)[0]
    if flat:
        line = smoothstep(0.42, 0.54, line) * 0.8 + 0.25 * line
    else:
        line = line + 0.06 * fbm(stage.rng, 1, w, cell=14, octaves=3)[0]
    crest = road.horizon + 3 - stage.px(tall * 6) * (0.25 + line)
    y = np.arange(stage.height, dtype=np.float32)[:, None]
    alpha = smoothstep(-1, 1, y - crest[None, :]) * (y < road.horizon + 6)
    base = rgb("#b07850") if flat else stage.colour("foliage")
    tone = fbm(stage.rng, stage.height, w, cell=30, octaves=4)
    colour = stage.hazed(stage.lit(base * (0.75 + 0.4 * tone[..., None]), 0.6), 0.8)
    stack_over(road.picture, premultiplied(np.clip(colour, 0, 1), alpha))


def _church(road: Road, z: float, x: float) -> None:
    stage = road.stage
    wall = stage.hazed(stage.lit(rgb("#b0a48c"), 0.6), road.away(z) * 0.97)
    dark = stage.hazed(stage.lit(rgb("#5a5450"), 0.4), road.away(z) * 0.97)
    s = 1.0
    for a, b, c, d, tone in (
        (-2.2, 2.2, 0, 19, wall),
        (-2.5, 2.5, 18.6, 19.2, wall * 0.9),
        (-0.5, 0.5, 13, 16.4, dark),
    ):
        p, q = road.at(x + a * s, d * s, z), road.at(x + b * s, c * s, z)
        cv2.rectangle(road.picture, (int(p[0]), int(p[1])), (int(q[0]), int(q[1])), rgba(tone), -1)
    spire = [road.at(x - 2.5, 19.2, z), road.at(x, 30.0, z), road.at(x + 2.5, 19.2, z)]
    cv2.fillConvexPoly(road.picture, (np.array(spire) * 8).astype(np.int32), rgba(dark), cv2.LINE_AA, 3)


def furnish(
    road: Road, name: str, row: Row, houses: list[House], lamps: list[Lamp], dark: bool
) -> list[Layer]:
    """Still furniture into the road's pictures; returns the layers that move."""
    stage = road.stage
    layers: list[Layer] = []
    _posts(road, name, lamps)
    if name in ("cafe", "market"):
        layers += _stalls_and_awnings(road, name, row, houses)
    if name == "cafe":
        _tables(road, row)
    if name == "western":
        layers += _porches(road, row, houses)
    if name == "neon":
        layers += _neon(road, row)
    if name == "alley":
        _alley(road, row)
    if name == "noir":
        layers += _hotel_sign(road, row)
    if name in ("neon", "boulevard"):
        lanes = [(1.6, False, 1), (-1.6, True, 0)]
        if name == "boulevard":
            lanes = [(1.7, False, 1), (-1.7, True, 0), (5.0, False, 1), (-5.0, True, 0)]
        layers.append(
            Cars(
                stage.rng,
                lanes,
                [rgb("#fff2d6"), rgb("#ff3a28")],
                centre=road.centre,
                horizon=road.horizon,
                focal=road.focal,
                camera=road.camera,
                near=11.0 if name == "boulevard" else 15.0,
                far=row.end,
                count=8 if name == "boulevard" else 4,
                speed=12.0 if name == "boulevard" else 9.0,
            )
        )
    if name == "western":
        layers.append(
            Tumbleweed(
                stage.rng,
                x=stage.width * 0.05,
                y=road.at(0, 0, 24)[1],
                size=int(stage.px(40)),
                speed=stage.px(120),
                colour=stage.lit(rgb("#9a7a4a"), 0.7),
            )
        )
    if stage.has("people_walk") or name in ("neon", "boulevard", "shops"):
        layers.append(strollers(road, row, dark, 9 if stage.has("people_walk") else 5))
    if stage.has("smoke_drifts"):
        for x, y, scale in chimneys(road, row, houses, snow=bool(stage.option("snow")))[:9]:
            layers.append(
                Smoke(
                    stage.rng,
                    x,
                    y,
                    size=scale * 0.75,
                    reach=scale * 7.5,
                    lean=scale * 3.2 * stage.wind._direction,
                    dark=mix(stage.haze * 0.55, stage.ambient * 0.8, 0.5),
                    lit=np.clip(mix(stage.haze, stage.key, 0.5) * (0.95 if not dark else 0.8), 0, 1),
                    strength=0.8,
                    rise=scale * 0.9,
                    light_side=stage.sun_side,
                )
            )
    if name == "market":
        layers.append(cloth_shadows(road, 0.34))
        layers += pennants(road, (11.0, 17.0, 25.0, 36.0), 5.6)
        low, high = road.at(0, 6.5, 20)[1], road.at(0, 3.2, 20)[1]
        grey = stage.hazed(stage.lit(rgb("#6a6c74"), 0.5), 0.15)
        layers.append(
            Flock(
                stage.rng,
                width=stage.width,
                top=int(low),
                bottom=int(high),
                colour=grey,
                count=9,
                size=stage.px(17),
            )
        )
    if stage.has("banners_sway") and name == "village":
        layers += _banners(road, row)
        layers += lane_banner(road, 17.0, 5.0)
        layers += pennants(road, (12.5, 27.0), 5.6, ("#8a2f28", "#d8c8a0", "#b88a3c"))
        layers.append(drifting_smoke(road, 0.5))
    return layers


def strollers(road: Road, row: Row, dark: bool, count: int) -> Strollers:
    """Passers-by beyond the middle distance, along both sides and a few across."""
    rng = road.stage.rng
    walks: list[Stroll] = []
    for k in range(count):
        side = -1 if k % 2 else 1
        x = side * float(rng.uniform(0.25, 0.75)) * row.half
        z = float(rng.uniform(15, 42))
        if k % 3 == 2:
            walks.append(Stroll(-side * row.half * 0.9, z, side * row.half * 0.9, z + 3, 1.25))
        else:
            reach = 9.0 if rng.random() < 0.5 else -9.0
            walks.append(Stroll(x, z, x * 1.05, max(z + reach, 12.0), float(rng.uniform(1.0, 1.4))))
    bright = 0.4 if dark else 0.95
    return Strollers(rng, walks, road, bright=bright)


def _posts(road: Road, name: str, lamps: list[Lamp]) -> None:
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
            road.line((x, 0, z), (x, 0.6, z), tone, 0.2)
        bulb = np.clip(np.asarray(colour) * 0.5 + 0.6, 0, 1)
        road.line((x, height - 0.22, z), (x, height + 0.2, z), bulb, 0.3)
        road.line((x - 0.22, height + 0.26, z), (x + 0.22, height + 0.26, z), tone, 0.1)
        for dx in (-0.16, 0.16):
            road.line((x + dx, height - 0.24, z), (x + dx * 1.3, height + 0.24, z), tone, 0.035)


def _stalls_and_awnings(road: Road, name: str, row: Row, houses: list[House]) -> list[Layer]:
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
                if rng.random() < 0.12:
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
    return awning_layers(road, layers, 15.0 if name == "market" else 10.0)



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
        cell[...] = c * rng.uniform(0.55, 1.15, (*cell.shape[:2], 1))
        cell[:, -2:] = rgb("#5a4430")
    goods = cv2.resize(cv2.GaussianBlur(goods, (0, 0), 0.8), (w, h))
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


def _tables(road: Road, row: Row) -> None:
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


def _porches(road: Road, row: Row, houses: list[House]) -> list[Layer]:
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


def _banners(road: Road, row: Row) -> list[Layer]:
    stage = road.stage
    rng = stage.rng
    layers: list[Layer] = []
    colours = [rgb(c) for c in ("#8a2f28", "#2f4f78", "#c09030", "#3f6a44")]
    for k, z in enumerate((34.0, 24.0, 17.0, 12.0)):
        side = -1 if k % 2 else 1
        scale = road.scale(z)
        high, x = 5.0, side * (row.half - 1.0)
        pole = stage.hazed(stage.lit(rgb("#4a3826"), 0.5), road.away(z))
        road.line((side * (row.half + 0.2), high + 0.06, z), (x - side * 0.75, high + 0.06, z), pole, 0.09)
        colour = stage.hazed(stage.lit(colours[k % 4], 0.75), road.away(z))
        trim = stage.hazed(stage.lit(rgb("#d8b45a"), 0.8), road.away(z))
        picture = cloth(max(int(1.3 * scale), 10), max(int(2.5 * scale), 16), colour, trim, rng=rng)
        h, w = picture.shape[:2]
        cv2.circle(picture, (w // 2, int(h * 0.4)), int(w * 0.26), rgba(trim), -1, cv2.LINE_AA)
        cv2.circle(picture, (w // 2, int(h * 0.4)), int(w * 0.17), rgba(colour * 0.8), -1, cv2.LINE_AA)
        y = np.arange(h)[:, None] - h * 0.86
        cut = np.abs(np.arange(w)[None, :] - w / 2) * 0.28
        picture[(y > 0) & (y > cut * 1.0 + h * 0.02)] = 0
        px, py = road.at(x, high, z)
        layers.append(Banner(rng, picture, int(px - w / 2), int(py), amplitude=scale * 0.22, hz=0.55))
    return layers


def _neon(road: Road, row: Row) -> list[Layer]:
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
        light = _tubes(rng, h, w, colour)
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


def _tubes(rng: np.random.Generator, h: int, w: int, colour: Colour) -> Array:
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


def _hotel_sign(road: Road, row: Row) -> list[Layer]:
    stage = road.stage
    side = -1 if stage.rng.random() < 0.5 else 1
    z = 15.0
    h, w = int(5.0 * road.scale(z)), int(1.1 * road.scale(z))
    light = _tubes(stage.rng, h, w, rgb("#f4f4f4"))
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


def _alley(road: Road, row: Row) -> None:
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


def in_front(road: Road, name: str, row: Row, houses: list[House]) -> None:
    """What hangs before the street: lights across it, leaves, steam, fog, dust."""
    del houses
    stage = road.stage
    if name == "cafe":
        _string_lights(road, row)
        _street_trees(road, row)
    if stage.has("steam_rises"):
        _steam(road, name, row)
    if stage.option("fog"):
        _alley_fog(road, row)
    if stage.has("sand_blows"):
        _dust(road)


def _string_lights(road: Road, row: Row) -> None:
    stage = road.stage
    layer = blank(stage.height, stage.width)
    spots, sprites = [], []
    bank = {n: glow_sprite(rgb("#ffd28a"), n, 0.45, core=0.9) for n in (11, 17, 27, 41)}
    for z in (34.0, 25.0, 18.0, 13.0):
        t = np.linspace(-1, 1, 15)
        high = 5.1 - 0.75 * (1 - t * t) + 0.0 * t
        points = [road.at(float(x) * row.half, float(y), z) for x, y in zip(t, high, strict=True)]
        cv2.polylines(
            layer,
            [(np.array(points) * 8).astype(np.int32)],
            False,
            rgba(rgb("#1c1814"), 0.8),
            1,
            cv2.LINE_AA,
            3,
        )
        size = min(bank, key=lambda n: abs(n - road.scale(z) * 0.42))
        for p in points[1:-1]:
            spots.append((p[0], p[1] + 2))
            sprites.append(bank[size])
    stage.add_still(layer)
    stage.add(Lamps(stage.rng, spots, sprites, depth=0.35, lively=0.8, swing=stage.px(2.0)))


def _street_trees(road: Road, row: Row) -> None:
    stage = road.stage
    side = -1 if stage.rng.random() < 0.5 else 1
    bank = tree_bank(stage, "oak", int(stage.px(430)), 2, leaves=3000)
    for group in (((side, 26.0), (-side, 21.0)), ((side, 8.3),)):
        places = []
        for where, z in group:
            x, foot = road.at(where * (row.half - 0.75), 0, z)
            places.append((x, foot, road.scale(z) * (6.4 if z > 12 else 7.0)))
        grove(
            stage,
            bank,
            places,
            away=road.away(group[0][1]) * 0.7,
            sway=15.0,
            flutter=2.4,
            glint=0.2,
            shadows=False,
        )


def _steam(road: Road, name: str, row: Row) -> None:
    stage = road.stage
    spots = (
        [(-0.45 * row.half, 11.0, 0.9), (0.55 * row.half, 21.0, 1.1)]
        if name != "alley"
        else [(-1.1, 9.0, 0.9), (1.2, 15.0, 1.0)]
    )
    for x, z, size in spots:
        px, py = road.at(x, 0, z)
        scale = road.scale(z)
        stage.add(
            Smoke(
                stage.rng,
                px,
                py,
                size=scale * size * 0.5,
                reach=scale * 3.6,
                lean=scale * 1.0 * stage.wind._direction,
                dark=stage.haze * 1.1,
                lit=np.clip(mix(stage.haze * 1.7, np.ones(3), 0.4), 0, 1),
                strength=0.62,
                rise=scale * 0.8,
                spread=1.7,
            )
        )


def drifting_smoke(road: Road, strength: float) -> Veil:
    """Hearth smoke that drifts over the roofs and along the lane."""
    stage = road.stage
    y = np.arange(stage.height, dtype=np.float32)[:, None]
    middle = road.horizon - stage.px(120)
    mask = np.exp(-(((y - middle) / stage.px(130)) ** 2)) * np.ones((1, stage.width), np.float32)
    mask[mask < 0.02] = 0
    way = stage.wind._direction
    tone = mix(stage.haze, stage.ambient, 0.3)
    speed = (way * stage.px(95), way * stage.px(-40))
    return Veil(
        stage.rng, mask, tone, strength=strength, speed=speed, size=stage.px(230), flat=2.0, contrast=1.5
    )


def _alley_fog(road: Road, row: Row) -> None:
    stage = road.stage
    h, w = stage.height, stage.width
    y = np.arange(h, dtype=np.float32)[:, None]
    x = np.arange(w, dtype=np.float32)[None, :]
    lamp = road.at(row.half - 0.7, 3.6, 9.5)
    glow = np.exp(-np.hypot(x - lamp[0], y - lamp[1]) / stage.px(210))
    tone = mix(stage.haze * 1.25, rgb("#d8c8a8"), 0.25)
    for k, (middle, half, strength, speed) in enumerate(
        ((road.horizon, 150.0, 0.75, 60.0), (road.horizon + stage.px(120), 170.0, 0.6, 105.0))
    ):
        mask = np.exp(-(((y - middle) / stage.px(half)) ** 2)) * np.ones((1, w), np.float32)
        mask[mask < 0.02] = 0
        way = stage.wind._direction
        stage.add(
            Veil(
                stage.rng,
                mask,
                tone,
                strength=strength,
                speed=(way * stage.px(speed), way * stage.px(-0.4 * speed)),
                size=stage.px(230 + 80 * k),
                flat=1.7,
                contrast=1.35,
            )
        )
    lit = np.asarray(np.clip(glow * 1.3, 0, 1), np.float32)
    lit[lit < 0.02] = 0
    stage.add(
        Veil(
            stage.rng,
            lit,
            rgb("#f4e2bc"),
            strength=0.62,
            speed=(stage.px(70) * stage.wind._direction, stage.px(-30)),
            size=stage.px(150),
            flat=1.4,
            contrast=1.2,
        )
    )


def _dust(road: Road) -> None:
    stage = road.stage
    h, w = stage.height, stage.width
    y = np.arange(h, dtype=np.float32)[:, None]
    way = stage.wind._direction
    tone = stage.hazed(stage.lit(mix(stage.colour("soil"), np.ones(3), 0.25), 0.95), 0.3)
    for k, (middle, half, strength, speed) in enumerate(
        (
            (road.horizon + stage.px(24), 46.0, 0.6, 120.0),
            (road.horizon + stage.px(95), 60.0, 0.6, 240.0),
            (road.horizon + stage.px(230), 90.0, 0.5, 380.0),
        )
    ):
        mask = np.exp(-(((y - middle) / stage.px(half)) ** 2)) * np.ones((1, w), np.float32)
        mask[mask < 0.02] = 0
        stage.add(
            Veil(
                stage.rng,
                mask,
                tone,
                strength=strength,
                speed=(way * stage.px(speed), way * stage.px(speed * 1.6)),
                size=stage.px(190 + 70 * k),
                flat=3.2,
                contrast=1.4,
            )
        )
    stage.add(
        Swarm(
            stage.rng,
            dot_sprites(np.clip(tone * 1.08, 0, 1), (3, 4, 5), 1.0, 0.55),
            Drift(way * 400, 12, 12, 0.8),
            count=110,
            region=(0, road.horizon, w, h),
        )
    )
