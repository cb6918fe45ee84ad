"""Dunes with blowing sand, and mesas.

What a reader gets wrong: the dunes stay; the sand that blows over them is a veil in the colour of the sand.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    blank,
    fbm,
    mix,
    on_ground,
    premultiplied,
    radial,
    rgb,
    smoothstep,
    tile_noise,
)
from actors.backends.embedded.scenes.motion import Shade, Swaying, Veil
from actors.backends.embedded.scenes.particles import Drift, Swarm, dot_sprites
from actors.backends.embedded.scenes.parts import (
    airborne,
)
from actors.backends.embedded.scenes.plants import blades
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import (
    dunes,
    ground_picture,
    mesas,
    render_terrain,
)


def desert(stage: Stage) -> None:
    """Dunes with blowing sand, or mesas."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.42, 0.48)))
    paint_sky(stage, horizon)
    if stage.option("moons"):
        _two_moons(stage, horizon)
    sand, rock = stage.colour("soil"), stage.colour("rock")
    if stage.option("mesas"):

        def strata(height: Array, light: Array, slope: Array, noise: Array) -> Array:
            bands = 0.5 + 0.5 * np.sin(height * 46 + noise * 0.8)
            wall = mix(rock * 0.72, rock * 1.2, bands)
            flat = mix(sand * 0.85, sand * 1.05, np.clip(0.5 + 0.3 * noise, 0, 1))
            return stage.lit(mix(flat, wall, smoothstep(0.5, 1.6, slope)), light)

        tables = mesas(rng, 512)
        stage.add_still(
            render_terrain(
                stage,
                tables,
                horizon=horizon + 6,
                near=1.6,
                far=10,
                rise=0.62,
                camera=0.34,
                paint=strata,
                cell=0.0115,
                offset=_overlook(rng, tables),
                haze_from=0.08,
                steps=360,
            )
        )
        ground = ground_picture(
            stage, int(h * 0.74), sand * 0.8, sand * 1.05, texture="gravel", scale=2.2, rough=0.5
        )
        _near_plain(stage, int(h * 0.74), ground)
        for foot, high, n in ((h * 0.8, 44, 260), (h * 0.93, 84, 240), (h * 1.03, 120, 260)):
            clump = np.sort(rng.choice(np.linspace(0, w, 24), 9, replace=False))
            layer, weight = blades(
                rng,
                h,
                w,
                foot=(foot - 14, foot + 14),
                tall=stage.px(high),
                count=n * 3,
                dark=stage.lit(stage.colour("grass") * 0.7, 0.5),
                tip=stage.lit(stage.colour("grass_tip"), 0.95),
                spread=0.35,
            )
            near = np.exp(-(((np.arange(w)[None, :] - clump[:, None]) / stage.px(46)) ** 2)).max(0)
            layer = (layer * np.clip(near * 1.6, 0, 1)[None, :, None]).astype(np.uint8)
            stage.add(Swaying(layer, weight, stage.wind, sway=stage.px(26), flutter=0.8, sheen=0.2))
        mask = np.zeros((h, w), np.float32)
        mask[horizon - int(stage.px(60)) : int(h * 0.8)] = 1
        stage.add(
            Shade(
                rng,
                np.asarray(cv2.GaussianBlur(mask, (0, 0), 12), np.float32),
                depth=0.2,
                size=stage.px(360),
                speed=(stage.px(80), 0),
                flat=3,
                beta=2.3,
            )
        )
        dust = stage.hazed(stage.lit(mix(sand, np.ones(3), 0.3), 0.95), 0.3)
        bands = (
            (h * 0.6, h * 0.78, 0.5, 190.0),
            (h * 0.72, h * 0.9, 0.42, 260.0),
            (h * 0.82, h, 0.4, 360.0),
        )
        _blown_sand(stage, bands, dust)
        airborne(stage, horizon)
        return

    def sandy(height: Array, light: Array, slope: Array, noise: Array) -> Array:
        del height, slope
        body = mix(sand * 0.86, sand * 1.06, np.clip(0.5 + 0.16 * noise, 0, 1))
        return stage.lit(body * (0.72 + 0.34 * light[..., None]), np.clip(light * 1.5 - 0.35, 0, 1))

    field_ = dunes(rng, 512)
    stage.add_still(
        render_terrain(
            stage,
            field_,
            horizon=horizon,
            near=0.9,
            far=10,
            rise=0.46,
            camera=0.42,
            paint=sandy,
            cell=0.012,
            haze_from=0.02,
            steps=420,
        )
    )
    y = np.arange(h, dtype=np.float32)[:, None]
    start = int(h * 0.66)
    near = ground_picture(
        stage,
        start - int(stage.px(110)),
        sand * 0.84,
        sand * 1.04,
        texture="gravel",
        scale=1.3,
        rough=0.12,
        patch=0.4,
    )
    ripples = on_ground(_ripple_tile(rng), start - int(stage.px(110)), h, w, scale=0.9)
    near = np.clip(near * (1 + 0.07 * ripples[..., None]), 0, 1)
    full, alpha = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.float32)
    full[start - int(stage.px(110)) :] = near
    crest = start + stage.px(34) * np.sin(np.linspace(0.4, 3.4, w) + float(rng.uniform(0, 2)))[None, :]
    alpha = smoothstep(-2, 3, y - crest).astype(np.float32) * np.ones((1, w), np.float32)
    stage.add_still(premultiplied(full, alpha))
    tone = stage.hazed(stage.lit(mix(sand, np.ones(3), 0.25), 0.95), 0.3)
    bands = (
        (horizon - 26, horizon + 90, 0.68, 190),
        (horizon + 50, horizon + 190, 0.7, 290),
        (start - 40, h, 0.66, 400),
    )
    _blown_sand(stage, bands, tone)
    way = 1 if stage.wind._direction > 0 else -1
    stage.add(
        Swarm(
            rng,
            dot_sprites(np.clip(tone * 1.1, 0, 1), (3, 4, 5), 1.0, 0.6),
            Drift(way * 420, 16, 10, 0.8),
            count=170,
            region=(0, horizon, w, h),
            depth=(0.3, 1.0),
        )
    )
    airborne(stage, horizon)


def _overlook(rng: np.random.Generator, tables: Array) -> tuple[float, float]:
    """Where to stand, (column, row) of the height field: low land before the eye, tables beyond."""
    size = tables.shape[0]

    def level(x: float, y: float, rows: tuple[int, int], half: int) -> float:
        down = (np.arange(*rows) + int(y)) % size
        across = (np.arange(-half, half) + int(x)) % size
        return float(tables[np.ix_(down, across)].mean())

    spots = rng.uniform(0, size, (24, 2))
    score = [level(x, y, (130, 260), 120) - 0.8 * level(x, y, (260, 420), 170) for x, y in spots]
    best = spots[int(np.argmin(score))]
    return float(best[0]), float(best[1])


def _near_plain(stage: Stage, top: int, ground: Array) -> None:
    """Flat ground from row `top` down, its far edge uneven, as the lip of an overlook is."""
    full = np.zeros((stage.height, stage.width, 3), np.float32)
    full[top:] = ground
    lip = top + stage.px(4) + stage.px(46) * fbm(stage.rng, 1, stage.width, cell=260, octaves=6)
    alpha = smoothstep(-1.5, 1.5, np.arange(stage.height, dtype=np.float32)[:, None] - lip)
    full *= (0.8 + 0.2 * smoothstep(0, float(stage.px(26)), np.arange(stage.height)[:, None] - lip))[
        ..., None
    ]
    stage.add_still(premultiplied(full, alpha))


def _blown_sand(stage: Stage, bands: tuple[tuple[float, float, float, float], ...], tone: Array) -> None:
    """Veils of sand along the ground; a band is its top and bottom row, strength 0..1 and px/s at 1280."""
    y = np.arange(stage.height, dtype=np.float32)[:, None]
    way = 1 if stage.wind._direction > 0 else -1
    for k, (top, bottom, strength, speed) in enumerate(bands):
        middle, half = (top + bottom) / 2, (bottom - top) / 2
        mask = np.exp(-(((y - middle) / (half * 0.75)) ** 2)) * np.ones((1, stage.width), np.float32)
        mask[mask < 0.02] = 0
        stage.add(
            Veil(
                stage.rng,
                mask,
                tone,
                strength=strength,
                speed=(way * stage.px(speed), way * stage.px(speed * 1.7)),
                size=stage.px(190 + 60 * k),
                flat=5.0,
                contrast=1.5,
            )
        )


def _ripple_tile(rng: np.random.Generator) -> Array:
    warp = tile_noise(rng, 512, 2.2)
    y = np.arange(512, dtype=np.float32)[:, None]
    return np.asarray(np.sin(2 * np.pi * (y / 512 * 40 + warp * 0.9)), np.float32)


def _two_moons(stage: Stage, horizon: int) -> None:
    for size, x, y in ((stage.px(210), 0.78, 0.36), (stage.px(84), 0.58, 0.2)):
        n = int(size) | 1
        disc = np.clip(radial(n, 1.0) * n / 2, 0, 1)
        marks = fbm(stage.rng, n, n, cell=n * 0.3, octaves=5)
        gx = np.linspace(-1, 1, n, dtype=np.float32)
        ball = np.clip(0.35 - 0.75 * gx[None, :] * 0.8 - 0.25 * gx[:, None] + 0.3, 0, 1)
        colour = mix(stage.sky_top * 1.3, mix(rgb("#f0d8c8"), rgb("#c89aa0"), marks), ball)
        layer = blank(stage.height, stage.width)
        px, py = int(x * stage.width - n / 2), int(y * horizon / 0.6 - n / 2)
        py, px = max(py, 2), min(px, stage.width - n - 2)
        layer[py : py + n, px : px + n] = premultiplied(colour, disc * 0.92)
        stage.add_still(layer)
