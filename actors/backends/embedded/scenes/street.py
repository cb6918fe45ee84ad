"""Streets: cafes, neon, shops in the rain, a village, a market, a boulevard, an alley, noir, the frontier.

What a reader gets wrong: a kind of street is a row of `_KINDS` (how its houses stand and look) plus one
function for what only that street has.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Image8,
    desaturate,
    fbm,
    mix,
    premultiplied,
    rgb,
    smoothstep,
    stack_over,
    stock_texture,
)
from actors.backends.embedded.scenes.facades import Look
from actors.backends.embedded.scenes.houses import House, Lamp, Row, lay_houses
from actors.backends.embedded.scenes.lights import Lamps, glow_sprite
from actors.backends.embedded.scenes.motion import Still
from actors.backends.embedded.scenes.parts import airborne
from actors.backends.embedded.scenes.perspective import Road, cobbles, lamplight, lay_ground, slabs
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.streetlife import Pools, WetGround

_STONE = ("#c9b08a", "#bf9a74", "#d4c2a2", "#b8a088", "#c7a48c", "#a89a88")


@dataclass(frozen=True)
class Kind:
    """One kind of street. Lamp posts stand every `lamps` metres (0: none)."""

    row: Row
    look: Look
    ground: str
    pavement: float = 1.8
    lamps: float = 0.0
    lamp_colour: str = "#ffc478"
    power: float = 1.0
    spill: float = 1.0
    flicker: float = 0.1
    haze: float = 70.0


_KINDS: dict[str, Kind] = {
    "cafe": Kind(
        Row(4.6, (9.5, 14.0), (6.0, 9.5), end=70),
        Look(_STONE, lit=0.4, shop=0.85, shop_lit=0.95, shutters=0.55, bay=2.1),
        "cobbles",
        lamps=9.0,
        power=1.1,
        flicker=0.1,
        spill=1.3,
    ),
    "neon": Kind(
        Row(6.2, (14, 30), (8, 13), end=110),
        Look(
            ("#3a384c", "#2c2b3c", "#44405a", "#2a3040"),
            "panels",
            lit=0.45,
            shop=1.0,
            shop_lit=1.0,
            bay=1.9,
            window=(1.3, 1.7),
            trim="#4a485e",
            lamp=("#8ad8ff", "#ff7ac8", "#ffd0a0", "#b08aff", "#7af0e0"),
        ),
        "asphalt",
        lamp_colour="#ff70c0",
        spill=1.7,
        flicker=0.16,
    ),
    "shops": Kind(
        Row(3.8, (9, 13), (5.5, 8.5), end=60),
        Look(("#7a5a4a", "#8a6a52", "#6a5a50", "#8c7c68"), "brick", lit=0.3, shop=0.95, shop_lit=0.9),
        "cobbles",
        pavement=1.5,
        lamps=11.0,
        power=1.5,
        spill=2.0,
        flicker=0.08,
    ),
    "village": Kind(
        Row(5.4, (4.4, 6.2), (7.0, 10.0), end=75, gable=3.6, eaves=0.5, gap=2.2),
        Look(
            ("#d9c6a4", "#cdb48c", "#e0d2b8", "#c8aa84"),
            "timber",
            ground_floor=2.6,
            floor=2.5,
            bay=2.6,
            window=(0.95, 1.15),
            trim="#5a4432",
            shutters=0.3,
        ),
        "dirt",
        pavement=0.0,
    ),
    "market": Kind(
        Row(6.2, (8.5, 12.5), (6.5, 9.5), end=80),
        Look(_STONE, shop=0.7, shutters=0.7, bay=2.1),
        "cobbles",
        pavement=0.0,
        haze=60.0,
    ),
    "boulevard": Kind(
        Row(10.5, (16, 34), (11, 18), end=170),
        Look(
            ("#4a4652", "#54505c", "#3e3c4a", "#5a5048"),
            "panels",
            lit=0.5,
            shop=1.0,
            shop_lit=0.95,
            bay=2.4,
            window=(1.5, 1.9),
            lamp=("#ffd9a0", "#ffe8c8", "#ffc070", "#d8e6ff"),
        ),
        "asphalt",
        pavement=3.6,
        lamps=13.0,
        power=3.0,
        spill=2.2,
        flicker=0.13,
    ),
    "alley": Kind(
        Row(2.5, (9, 13), (6, 9), end=46),
        Look(
            ("#5a5452", "#4d4f53", "#625650"), "brick", lit=0.06, bay=3.4, window=(0.9, 1.3), trim="#6a6a6c"
        ),
        "cobbles",
        pavement=0.0,
        lamp_colour="#f4dfb4",
        flicker=0.2,
        haze=22.0,
    ),
    "noir": Kind(
        Row(4.4, (11, 18), (6.5, 10), end=75),
        Look(
            ("#6a6a6c", "#58585a", "#7a7a7a"),
            "brick",
            lit=0.16,
            shop=0.8,
            shop_lit=0.5,
            trim="#9a9a9a",
            lamp=("#e8e8e8", "#ffffff", "#d0d0d0"),
        ),
        "cobbles",
        lamps=13.0,
        lamp_colour="#f0f0f0",
        power=1.9,
        spill=1.3,
        flicker=0.1,
    ),
    "western": Kind(
        Row(7.0, (5.2, 8.6), (6.0, 8.5), end=80, gap=2.0),
        Look(
            ("#9a7a58", "#8a6a4c", "#a88a68", "#7d6248", "#b09a7a"),
            "boards",
            ground_floor=3.1,
            floor=2.7,
            bay=2.3,
            window=(0.95, 1.5),
            trim="#c8b490",
        ),
        "dust",
        pavement=0.0,
        haze=60.0,
    ),
}


def street(stage: Stage) -> None:
    """A street in one-point perspective, as the scene's `kind`, `wet`, `snow`, `rain`, `fog`, `dust` say."""
    from actors.backends.embedded.scenes import street_kinds

    name = str(stage.option("kind", "cafe"))
    kind = _KINDS[name]
    if stage.option("mono"):
        _drain(stage)
    if name == "village" and stage.option("snow"):
        kind = replace(kind, look=replace(kind.look, lit=0.75), spill=1.5, lamps=12.0, flicker=0.07)
    horizon = stage.row(float(stage.rng.uniform(0.5, 0.55)))
    dark = float(stage.key.mean()) < 0.62
    paint_sky(stage, horizon + 10, sun=not dark, speed=3.4)
    wet = 0.85 if stage.option("wet") else 0.0
    road = Road(stage, half=kind.row.half, horizon=horizon, wet=wet)
    road.haze_depth = kind.haze
    street_kinds.far_end(road, name, kind.row)
    lamps = _lamps(road, kind)
    side = stage.sun_side
    sunlit = (
        (0.32, 0.32)
        if dark
        else (float(np.clip(0.5 + side, 0.12, 0.95)), float(np.clip(0.5 - side, 0.12, 0.95)))
    )
    houses = lay_houses(
        road, kind.row, kind.look, lamps, sunlit=sunlit, snow=bool(stage.option("snow")), lamp_share=1.0
    )
    spill = _spill(road, kind, houses)
    ground = _ground(road, kind, lamps + spill, sunlit, dark)
    extras = street_kinds.furnish(road, name, kind.row, houses, lamps, dark)
    if stage.option("mono"):
        for picture in (ground, road.picture, road.mirrored):
            _grey(picture)
    stage.add(Still(ground))
    wet_layer = None
    if road.mirrored is not None:
        share = _wetness(road, kind)
        mirrored_sky(road)
        wet_layer = WetGround(
            stage.rng,
            road.mirrored,
            share,
            horizon=road.horizon - 2,
            stir=1.5 if stage.option("rain") else 1.15,
            speed=1.4 if stage.option("rain") else 1.0,
        )
        stage.add(wet_layer)
    stage.add(Still(road.picture))
    for layer in extras:
        stage.add(layer)
    _glow(road, kind, lamps, spill)
    street_kinds.in_front(road, name, kind.row, houses)
    if name != "western":  # its heat shimmers behind the houses, not over them
        airborne(stage, horizon)


def _drain(stage: Stage) -> None:
    """Black and white: every colour of the scene loses its hue before anything is painted."""
    for name in ("sky_top", "sky_low", "sun", "key", "ambient", "haze"):
        setattr(stage, name, desaturate(getattr(stage, name), 1.0))


def mirrored_sky(road: Road) -> None:
    """Where no wall is mirrored, wet ground shows the sky."""
    assert road.mirrored is not None
    stage = road.stage
    rows = min(stage.height - road.horizon, road.horizon)
    sky = np.zeros((stage.height, stage.width, 3), np.float32)
    sky[road.horizon : road.horizon + rows] = stage.plate[road.horizon - rows : road.horizon][::-1]
    under = premultiplied(sky, np.ones((stage.height, stage.width), np.float32))
    stack_over(under, road.mirrored)
    road.mirrored = under


def _grey(picture: Image8 | None) -> None:
    if picture is not None:
        grey = cv2.cvtColor(np.ascontiguousarray(picture[..., :3]), cv2.COLOR_RGB2GRAY)
        picture[..., :3] = grey[..., None]


def _lamps(road: Road, kind: Kind) -> list[Lamp]:
    rng = road.stage.rng
    colour = rgb(kind.lamp_colour)
    out: list[Lamp] = []
    if kind.lamps:
        start = road.near() * float(rng.uniform(1.15, 1.4))
        for k, z in enumerate(np.arange(start, min(kind.row.end * 0.8, 75), kind.lamps)):
            for side in (-1, 1):
                depth = float(z) + (kind.lamps * 0.5 if side > 0 else 0.0)
                x = side * (kind.row.half - max(kind.pavement, 1.2) * 0.75)
                out.append((x, 3.6 if kind.row.half < 8 else 5.6, depth, colour, kind.power))
            del k
    elif road.stage.option("kind") == "alley":
        out.append((kind.row.half - 0.7, 3.6, 9.5, colour, 2.4))
    return out


def _spill(road: Road, kind: Kind, houses: list[House]) -> list[Lamp]:
    """Light that falls out of shop windows and lit rooms onto the ground."""
    out: list[Lamp] = []
    for house in houses:
        lit = house.shop_colour
        if lit is None and kind.look.lit > 0.5:
            lit = rgb(kind.look.lamp[0])
        if lit is not None:
            z = (house.first + house.last) / 2
            out.append((house.side * (kind.row.half - 0.5), 1.2, z, lit, kind.spill * 0.55))
    return out


def _ground(road: Road, kind: Kind, lamps: list[Lamp], sunlit: tuple[float, float], dark: bool) -> Image8:
    stage = road.stage
    rng = stage.rng
    x, depth = road.ground_metres()
    rows = stage.height - road.horizon
    grain = stock_texture("gravel")[:1024, :1024]
    if kind.ground == "cobbles":
        tone = road.texture(cobbles(rng), 350.0)
        base = stage.colour("soil") * 0.82
    elif kind.ground == "asphalt":
        tone = 1 + 0.45 * (road.texture(grain, 620.0) - 1)
        base = rgb("#3c3c42")
    else:
        tone = 1 + 0.4 * (road.texture(grain, 300.0) - 1)
        base = stage.colour("soil") * (1.0 if kind.ground == "dust" else 0.85)
    patch = fbm(rng, rows, stage.width, cell=120, octaves=5, stretch=3.0)
    albedo = base * (tone * (0.86 + 0.28 * patch))[..., None]
    if kind.ground in ("dirt", "dust"):
        rut = np.exp(-(((np.abs(x - 0.3) - 0.85) / 0.28) ** 2)) * (0.3 if kind.ground == "dust" else 0.22)
        albedo = albedo * (1 - rut * (0.5 + patch))[..., None]
    if kind.pavement:
        edge = kind.row.half - kind.pavement
        paving = road.texture(slabs(rng), 150.0)
        walk = smoothstep(edge - 0.02, edge + 0.02, np.abs(x))
        stone = rgb("#8e8a86") if kind.ground == "asphalt" else mix(base, rgb("#9a948c"), 0.5)
        albedo = mix(albedo, stone * paving[..., None], walk)
        gutter = np.exp(-(((np.abs(x) - edge + 0.1) / 0.09) ** 2))
        kerb = np.exp(-(((np.abs(x) - edge - 0.08) / 0.07) ** 2))
        albedo = albedo * (1 - 0.55 * gutter + 0.35 * kerb)[..., None]
    if kind.ground == "asphalt":
        dash = ((depth % 7.0) < 2.6) & (np.abs(x) < 0.07 + 0.0 * x)
        wide = kind.row.half > 8
        marks = (
            dash.astype(np.float32)
            if not wide
            else dash | (np.abs(np.abs(x) - 3.3) < 0.07) & ((depth % 7.0) < 2.6)
        )
        paint = cv2.GaussianBlur(np.asarray(marks, np.float32), (0, 0), 0.8) * (0.55 + 0.4 * patch)
        albedo = mix(albedo, rgb("#c8c4b8"), np.clip(paint, 0, 0.8))
    if stage.option("wet"):
        albedo = albedo * 0.5
    if stage.option("snow"):
        track = np.exp(-(((np.abs(x) - 0.8) / 0.35) ** 2)) * 0.5 + 0.25 * np.exp(-((x / 2.2) ** 2))
        lump = fbm(rng, rows, stage.width, cell=60, octaves=5, stretch=3.5)
        snow = rgb("#eef3f8") * (0.8 + 0.3 * lump[..., None])
        albedo = mix(snow, albedo * 0.8 + 0.25, np.clip(track * (0.5 + lump), 0, 0.75))
    shade = np.clip(sunlit[0] * 0.5 + sunlit[1] * 0.5 + 0.1, 0, 1)
    if not dark:
        # the sunlit wall's opposite throws its shadow over part of the street
        tall, way = np.mean(kind.row.tall) * 0.55, -1.0 if stage.sun_side < 0 else 1.0
        line = way * (kind.row.half - tall)
        jag = 0.6 * (fbm(rng, 1, stage.width, cell=90, octaves=3)[0][None, :] - 0.5)
        inside = smoothstep(-0.35, 0.35, way * x - way * line + jag)
        light_map: Array | float = np.asarray(0.88 - 0.66 * inside, np.float32)
    else:
        light_map = np.full_like(x, shade)
    colour = stage.lit(np.clip(albedo, 0, 1), light_map)
    corner = 0.55 + 0.45 * smoothstep(0.0, 1.4, kind.row.half - np.abs(x))
    colour = colour * corner[..., None]
    if lamps:
        small = (stage.width // 8, max(rows // 8, 2))
        sx = np.asarray(cv2.resize(x, small, interpolation=cv2.INTER_AREA), np.float32)
        sz = np.asarray(cv2.resize(depth, small, interpolation=cv2.INTER_AREA), np.float32)
        light = lamplight(sx, 0.0, sz, lamps)
        light = np.asarray(cv2.resize(light, (stage.width, rows)), np.float32)
        colour = colour + albedo * light * (0.3 if stage.option("snow") else 1.0)
    share = (1 - np.exp(-depth / road.haze_depth)) * stage.haze_amount
    return lay_ground(road, mix(np.clip(colour, 0, 1), stage.haze, np.clip(share, 0, 0.96)))


def _wetness(road: Road, kind: Kind) -> Array:
    """Share of reflection: film of water everywhere, more in puddles and at a flat angle."""
    stage = road.stage
    rows = stage.height - road.horizon
    x, depth = road.ground_metres()
    patch = road.texture(fbm(stage.rng, 512, 512, cell=170, octaves=4), 90.0)
    puddle = smoothstep(0.48, 0.62, patch)
    y = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    fresnel = 0.85 - 0.45 * y
    share = road.wet * fresnel * (0.5 + 0.45 * puddle)
    walk = smoothstep(0.0, 0.1, np.abs(x) - (kind.row.half - kind.pavement))
    share = share * (1 - 0.35 * walk) * smoothstep(0, 6, np.arange(rows, dtype=np.float32)[:, None])
    del depth
    full = np.zeros((stage.height, stage.width), np.float32)
    full[road.horizon :] = share
    return full


def _glow(road: Road, kind: Kind, lamps: list[Lamp], spill: list[Lamp]) -> None:
    """Halos at the lamps, and their light wavering on what they light."""
    stage = road.stage
    pools, spots, sprites = [], [], []
    bank = {n: glow_sprite(rgb(kind.lamp_colour), n, 0.5, core=0.9) for n in (21, 41, 81, 141, 221)}
    for x, height, depth, colour, power in lamps:
        px, py = road.at(x, height, depth)
        scale = road.scale(depth)
        size = min(bank, key=lambda n: abs(n - scale * 1.9))
        spots.append((px, py))
        sprites.append(bank[size])
        foot = road.at(x, 0, depth)[1]
        pools.append((px, (py + foot) / 2, scale * 2.4, (foot - py) * 0.85))
        del colour, power
    for x, height, depth, _, _ in spill:
        if depth < 45:
            px, py = road.at(x, height, depth)
            pools.append((px, py, road.scale(depth) * 2.2, road.scale(depth) * 1.9))
    if pools and stage.has("lights_flicker"):
        stage.add(
            Pools(
                stage.rng,
                pools,
                width=stage.width,
                height=stage.height,
                depth=kind.flicker,
                tint=(1.0, 1.0, 1.0) if stage.option("mono") else (1.0, 0.94, 0.8),
            )
        )
    if spots:
        stage.add(Lamps(stage.rng, spots, sprites, depth=0.3, lively=0.9))
