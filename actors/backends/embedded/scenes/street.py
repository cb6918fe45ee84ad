"""Streets: cafes, neon, shops in the rain, a village, a market, a boulevard, an alley, noir, the frontier.

What a reader gets wrong: a kind of street is a row of `KINDS` (how its houses stand and look) plus one
function for what only that street has.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from actors.backends.embedded.scenes import street_kinds
from actors.backends.embedded.scenes.canvas import (
    desaturate,
    rgb,
)
from actors.backends.embedded.scenes.houses import House, Lamp, lay_houses
from actors.backends.embedded.scenes.kinds_of_street import KINDS, Kind
from actors.backends.embedded.scenes.lights import Lamps, glow_sprite
from actors.backends.embedded.scenes.motion import Still
from actors.backends.embedded.scenes.parts import airborne
from actors.backends.embedded.scenes.perspective import Road
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.street_ground import drain_picture, mirrored_sky, street_ground, wetness
from actors.backends.embedded.scenes.streetlife import Pools, WetGround


def street(stage: Stage) -> None:
    """A street in one-point perspective, as the scene's `kind`, `wet`, `snow`, `rain`, `fog`, `dust` say."""
    name = str(stage.option("kind", "cafe"))
    kind = KINDS[name]
    if stage.option("mono"):
        _drain(stage)
    if name == "village" and stage.option("snow"):
        kind = replace(kind, look=replace(kind.look, lit=0.75), spill=1.5, lamps=12.0, flicker=0.07)
    horizon = stage.row(float(stage.rng.uniform(0.5, 0.55)))
    dark = float(stage.key.mean()) < 0.62
    paint_sky(stage, horizon + 10, speed=2.8, sun=not dark)
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
    ground = street_ground(road, kind, lamps + spill, sunlit, dark)
    extras = street_kinds.furnish(road, name, kind.row, houses, lamps, dark)
    if stage.option("mono"):
        for picture in (ground, road.picture, road.mirrored):
            drain_picture(picture)
    stage.add(Still(ground))
    wet_layer = None
    if road.mirrored is not None:
        share = wetness(road, kind)
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
