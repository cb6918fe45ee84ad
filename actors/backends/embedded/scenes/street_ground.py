"""The ground of a street: cobbles, asphalt, earth, snow, its light, and where it is wet.

What a reader gets wrong: wet ground is darker than dry ground; what makes it bright is the reflection laid
over it afterwards.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Image8,
    fbm,
    mix,
    premultiplied,
    rgb,
    smoothstep,
    stack_over,
    stock_texture,
)
from actors.backends.embedded.scenes.houses import Lamp
from actors.backends.embedded.scenes.kinds_of_street import Kind
from actors.backends.embedded.scenes.perspective import Road, cobbles, lamplight, lay_ground, slabs


def street_ground(
    road: Road, kind: Kind, lamps: list[Lamp], sunlit: tuple[float, float], dark: bool
) -> Image8:
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


def wetness(road: Road, kind: Kind) -> Array:
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


def drain_picture(picture: Image8 | None) -> None:
    if picture is not None:
        grey = cv2.cvtColor(np.ascontiguousarray(picture[..., :3]), cv2.COLOR_RGB2GRAY)
        picture[..., :3] = grey[..., None]
