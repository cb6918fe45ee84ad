"""What each kind of street has of its own: the far end, furniture, people, cars, cloth, smoke, fog.

What a reader gets wrong: `furnish` draws still things into the road's pictures and returns the layers that
move among them; `in_front` adds what hangs before all that.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
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
from actors.backends.embedded.scenes.houses import House, Lamp, Row, chimneys
from actors.backends.embedded.scenes.kinds_of_street import KINDS
from actors.backends.embedded.scenes.motion import HeatHaze, Layer
from actors.backends.embedded.scenes.neon import hotel_sign, neon_signs
from actors.backends.embedded.scenes.particles import Flock
from actors.backends.embedded.scenes.perspective import Road
from actors.backends.embedded.scenes.smoke import Smoke
from actors.backends.embedded.scenes.street_air import (
    alley_fog,
    drifting_smoke,
    dust,
    steam,
    street_trees,
    string_lights,
)
from actors.backends.embedded.scenes.street_furniture import (
    alley_things,
    lamp_posts,
    porches,
    stalls_and_awnings,
    tables,
)
from actors.backends.embedded.scenes.streetcloth import cloth_shadows, lane_banner, pennants
from actors.backends.embedded.scenes.streetlife import Cars, Tumbleweed
from actors.backends.embedded.scenes.strollers import Stroll, Strollers


def far_end(road: Road, name: str, row: Row) -> None:
    """What closes the street at its end, deep in the air."""
    stage = road.stage
    rng = stage.rng
    if name in ("village", "western", "market", "cafe"):
        far_hill(road, row.end * 1.5, 9.0 if name != "western" else 16.0, flat=name == "western")
    if name in ("western",):
        return
    if name in ("cafe", "village", "market"):
        church(road, row.end * 1.3, float(rng.uniform(-0.3, 0.3)) * row.half)
    look = KINDS[name].look
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


def far_hill(road: Road, z: float, tall: float, *, flat: bool) -> None:
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


def church(road: Road, z: float, x: float) -> None:
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
    lamp_posts(road, name, lamps)
    if name in ("cafe", "market"):
        layers += stalls_and_awnings(road, name, row, houses)
    if name == "cafe":
        tables(road, row)
    if name == "western":
        layers += porches(road, row, houses)
    if name == "neon":
        layers += neon_signs(road, row)
    if name == "alley":
        alley_things(road, row)
    if name == "noir":
        layers += hotel_sign(road, row)
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
        layers.insert(
            0,
            HeatHaze(
                stage.rng,
                road.horizon - int(stage.px(26)),
                road.horizon + int(stage.px(34)),
                strength=stage.px(0.9),
            ),
        )
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
        layers.append(strollers(road, row, dark, 13 if stage.has("people_walk") else 5))
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
                    rise=scale * 1.3,
                    light_side=stage.sun_side,
                )
            )
    if name == "market":
        layers.append(cloth_shadows(road, 0.36))
        layers += pennants(road, (9.0, 14.0, 21.0, 32.0), 5.6)
        low, high = road.at(0, 6.5, 20)[1], road.at(0, 3.2, 20)[1]
        grey = stage.hazed(stage.lit(rgb("#6a6c74"), 0.5), 0.15)
        layers.append(
            Flock(
                stage.rng,
                width=stage.width,
                top=int(low),
                bottom=int(high),
                colour=grey,
                count=14,
                size=stage.px(18),
            )
        )
    if stage.has("banners_sway") and name == "village":
        layers += wall_banners(road, row)
        layers += lane_banner(road, 17.0, 5.0)
        layers += pennants(road, (12.5, 27.0), 5.6, ("#8a2f28", "#d8c8a0", "#b88a3c"))
        layers.append(drifting_smoke(road, 0.62))
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


def wall_banners(road: Road, row: Row) -> list[Layer]:
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


def in_front(road: Road, name: str, row: Row, houses: list[House]) -> None:
    """What hangs before the street: lights across it, leaves, steam, fog, dust."""
    del houses
    stage = road.stage
    if name == "cafe":
        string_lights(road, row)
        street_trees(road, row)
    if stage.has("steam_rises"):
        steam(road, name, row)
    if stage.option("fog"):
        alley_fog(road, row)
    if stage.has("sand_blows"):
        dust(road)
