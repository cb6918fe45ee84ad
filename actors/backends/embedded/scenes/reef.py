"""A coral reef seen through the glass of an undersea dome.

What a reader gets wrong: under water everything far turns into the colour of the water, so each row of corals
is mixed with it by its distance, and light comes as shafts from above and as a moving net on the sand.
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
    on_ground,
    premultiplied,
    rgb,
    rgba,
    smoothstep,
    stock_texture,
    tile_noise,
    vertical_gradient,
)
from actors.backends.embedded.scenes.lights import Beams
from actors.backends.embedded.scenes.masonry import soft
from actors.backends.embedded.scenes.motion import Shade, Swaying
from actors.backends.embedded.scenes.particles import Shoal
from actors.backends.embedded.scenes.parts import airborne
from actors.backends.embedded.scenes.plants import blades
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.water import Caustics


def reef(stage: Stage) -> None:
    """The water, the reef in rows, the life in it, and the dome's ribs in front."""
    rng, w, h = stage.rng, stage.width, stage.height
    far = stage.colour("sea")
    deep = stage.colour("sea_deep")
    stage.plate[:] = vertical_gradient(
        h, w, [(0, rgb("#7fdcea")), (0.16, rgb("#39b4cf")), (0.5, far * 0.9), (1, deep)]
    )
    x = np.linspace(0, 1, w, dtype=np.float32)[None, :]
    y = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    pool = np.exp(-((((x - stage.sun_x) / 0.34) ** 2) + (y / 0.42) ** 2))
    stage.plate = mix(stage.plate, rgb("#d8fbff"), pool * 0.62)
    surface = np.asarray(smoothstep(0.26, 0.0, y) * np.ones((1, w)), np.float32)
    stage.add(
        Shade(rng, surface, depth=0.16, size=stage.px(130), speed=(stage.px(50), 20), flat=3.5, hard=1.6)
    )
    horizon = stage.row(float(rng.uniform(0.5, 0.55)))
    for base, tall, away in ((0.0, 150, 0.86), (0.03, 120, 0.66)):
        stage.add_still(_bommies(stage, horizon + int(h * base), stage.px(tall), away))
        stage.add(
            Shoal(
                rng,
                width=w,
                y=horizon - stage.px(float(rng.uniform(60, 190))),
                colour=mix(rgb("#2f6f8a"), far, away * 0.8),
                belly=mix(rgb("#d8ecf0"), far, away * 0.8),
                count=34,
                size=stage.px(9),
                speed=stage.px(60) * (1 if rng.random() < 0.5 else -1),
            )
        )
    _sand(stage, horizon)
    shafts = np.asarray(smoothstep(1.0, 0.25, y) * np.ones((1, w)), np.float32)
    stage.add(
        Beams(
            rng,
            shafts,
            (stage.sun_x * w, -0.35 * h),
            rgb("#b8f4ff"),
            strength=0.34,
            speed=1.5,
            fine=14.0,
        )
    )
    _coral_rows(stage, horizon)
    for size, level, count, speed in ((16, 0.3, 15, 92), (24, 0.48, 8, -120)):
        stage.add(
            Shoal(
                rng,
                width=w,
                y=h * (level + float(rng.uniform(-0.06, 0.06))),
                colour=rgb("#f2b53a") if size < 20 else rgb("#3f6fb8"),
                belly=rgb("#fff0b8"),
                count=count,
                size=stage.px(size),
                speed=stage.px(speed),
            )
        )
    airborne(stage, horizon)
    _dome(stage)
    stage.vignette = 0.3


def _in_water(stage: Stage, colour: Colour | Array, away: float) -> Array:
    return mix(np.asarray(colour) * np.array((0.72, 0.95, 1.0), np.float32), stage.colour("sea") * 0.9, away)


def _bommies(stage: Stage, base: int, tall: float, away: float) -> Image8:
    """Far coral heads: a bumpy blue outline with a lit upper side."""
    rng, w, h = stage.rng, stage.width, stage.height
    line = fbm(rng, 1, w, cell=tall * 2.6, octaves=5, gain=0.55)[0]
    crest = base - tall * smoothstep(0.35, 0.85, line) * (0.6 + 0.5 * line)
    y = np.arange(h, dtype=np.float32)[:, None]
    lumps = fbm(rng, h, w, cell=tall * 0.4, octaves=5, gain=0.6)
    light = np.clip(0.4 + np.gradient(cv2.GaussianBlur(lumps, (0, 0), 2), axis=0) * 16 + 0.4 * lumps, 0, 1)
    body = mix(stage.colour("rock") * 0.6, stage.colour("rock") * 1.3, light)
    inside = smoothstep(-1.5, 1.5, y - crest[None, :] - 5 * (lumps - 0.5)) * smoothstep(50, 0, y - base)
    return premultiplied(_in_water(stage, body, away), inside)


def _sand(stage: Stage, horizon: int) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    rows = h - horizon
    ripple = on_ground(tile_noise(rng, 512, 1.5), horizon, h, w, scale=0.5)
    grain = on_ground(stock_texture("gravel"), horizon, h, w, scale=1.1)
    sand = stage.colour("soil")[None, None] * (0.72 + 0.07 * ripple + 0.12 * (grain - 1))[..., None]
    v = np.linspace(0, 1, rows, dtype=np.float32)[:, None] * np.ones((1, w), np.float32)
    picture = mix(
        sand * np.array((0.62, 0.9, 0.94), np.float32), stage.colour("sea") * 0.85, (1 - v**0.6) * 0.95
    )
    full, alpha = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.float32)
    full[horizon:], alpha[horizon:] = np.clip(picture, 0, 1), smoothstep(0, 0.1, v)
    stage.add_still(premultiplied(full, alpha))
    mask = np.zeros((h, w), np.float32)
    mask[horizon:] = smoothstep(0.05, 0.45, v)
    stage.add(
        Caustics(rng, mask, rgb("#c8fff4"), strength=0.5, size=stage.px(95), flat=2.4),
    )


def _coral_rows(stage: Stage, horizon: int) -> None:
    """Rows of corals and sea grass from far to near, thick at the sides and thin in the middle."""
    rng, w, h = stage.rng, stage.width, stage.height
    colours = [rgb(c) for c in ("#e0705a", "#e8a04c", "#b85a9a", "#d8c86a", "#8a6fc0", "#c8486a")]
    for k, (u, size, away) in enumerate(
        ((0.08, 46, 0.62), (0.2, 74, 0.42), (0.4, 118, 0.22), (0.68, 190, 0.06))
    ):
        layer = blank(h, w)
        foot = horizon + (h - horizon) * u
        for _ in range(34 - 5 * k):
            x = float(rng.uniform(-0.02, 1.02))
            if abs(x - 0.5) < 0.08 + 0.09 * k:
                continue
            tall = stage.px(size) * float(rng.uniform(0.6, 1.15))
            at = (w * x, foot + tall * float(rng.uniform(-0.12, 0.2)))
            tone = colours[int(rng.integers(0, len(colours)))] * float(rng.uniform(0.75, 1.05))
            shape = rng.random()
            if shape < 0.45:
                _branching(layer, rng, at, tall, tone, lambda c, a=away: _in_water(stage, c, a))
            elif shape < 0.75:
                _boulder(layer, rng, at, tall * 0.55, _in_water(stage, tone * 0.8, away), stage)
            else:
                _fan(layer, rng, at, tall, _in_water(stage, tone * 0.9, away))
        grass, sway = blades(
            rng,
            h,
            w,
            foot=(foot - stage.px(size * 0.15), foot + stage.px(size * 0.3)),
            tall=stage.px(size * 1.05),
            count=420,
            dark=_in_water(stage, stage.colour("grass") * 0.7, away),
            tip=_in_water(stage, stage.colour("grass_tip"), away),
            thin=1.5,
            lean=0.1,
        )
        spread = np.abs(np.linspace(-1, 1, w, dtype=np.float32))
        patches = fbm(rng, 1, w, cell=stage.px(150), octaves=3)[0] - 0.5
        keep = smoothstep(0.18 + 0.1 * k, 0.6 + 0.06 * k, spread + 0.9 * patches)
        stage.add(
            Swaying(
                (grass * keep[None, :, None]).astype(np.uint8),
                sway,
                stage.wind,
                sway=stage.px(12 + size * 0.26),
                flutter=0.5,
                sheen=0.22,
                drop=0.2,
            )
        )
        stage.add_still(soft(layer))


def _branching(
    layer: Image8,
    rng: np.random.Generator,
    at: tuple[float, float],
    tall: float,
    colour: Colour,
    wet: object,
) -> None:
    """Staghorn coral: forked fingers, paler at the tips."""
    assert callable(wet)
    dark, pale = wet(colour * 0.5), wet(np.minimum(colour * 1.25 + 0.08, 1))

    def grow(x: float, y: float, angle: float, length: float, depth: int) -> None:
        x1, y1 = x + np.cos(angle) * length, y - np.sin(angle) * length
        tone = mix(dark, pale, 1 - depth / 5)
        thick = max(int(tall * 0.018 * (1 + depth * 0.55)), 1)
        points = np.array([(x, y), (x1, y1)]) * 8
        cv2.polylines(layer, [points.astype(np.int32)], False, rgba(tone), thick, cv2.LINE_AA, 3)
        if depth:
            for way in (-1, 1):
                grow(
                    x1,
                    y1,
                    angle + way * float(rng.uniform(0.18, 0.55)),
                    length * float(rng.uniform(0.68, 0.86)),
                    depth - 1,
                )

    for _ in range(3):
        grow(
            at[0] + float(rng.normal(0, tall * 0.1)),
            at[1],
            np.pi / 2 + float(rng.normal(0, 0.4)),
            tall * 0.26,
            4,
        )


def _boulder(
    layer: Image8,
    rng: np.random.Generator,
    at: tuple[float, float],
    radius: float,
    colour: Array,
    stage: Stage,
) -> None:
    """Brain coral: a lit dome with winding furrows."""
    size = max(int(radius * 2), 8)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    inside = np.sqrt(np.clip(1 - x * x - y * y, 0, 1))
    furrow = np.abs(fbm(rng, size, size, cell=max(radius * 0.28, 4), octaves=3) - 0.5) * 4
    light = np.clip(0.25 + 0.6 * -y * 0.8 + 0.35 * inside + 0.25 * x * stage.sun_side, 0.1, 1)
    tone = colour * (light * (0.72 + 0.4 * np.clip(furrow, 0, 1)))[..., None] * 1.15
    sprite = premultiplied(tone, smoothstep(1.0, 0.93, np.sqrt(x * x + y * y)))
    sprite = sprite[: int(size * 0.74)]
    from actors.backends.embedded.scenes.canvas import stack_over

    stack_over(layer, sprite, int(at[0] - size / 2), int(at[1] - sprite.shape[0]))


def _fan(
    layer: Image8, rng: np.random.Generator, at: tuple[float, float], tall: float, colour: Array
) -> None:
    """A sea fan: fine ribs in a flat spread."""
    for k in range(46):
        angle = np.pi / 2 + (k / 45 - 0.5) * 2.1
        length = tall * (0.72 + 0.2 * np.cos((k / 45 - 0.5) * 3)) * float(rng.uniform(0.85, 1.05))
        bend = float(rng.normal(0, 0.1))
        points = [
            (
                at[0] + np.cos(angle + bend * t) * length * t,
                at[1] - np.sin(angle + bend * t) * length * t,
            )
            for t in np.linspace(0, 1, 7)
        ]
        tone = colour * float(rng.uniform(0.65, 1.1))
        cv2.polylines(
            layer,
            [(np.array(points) * 8).astype(np.int32)],
            False,
            rgba(np.minimum(tone, 1)),
            1 + (k % 3 == 0),
            cv2.LINE_AA,
            3,
        )


def _dome(stage: Stage) -> None:
    """The ribs and the rim of the glass dome, and the dark floor inside it."""
    w, h = stage.width, stage.height
    s = 2
    big = blank(h * s, w * s)
    steel, edge = rgb("#123040"), rgb("#4f8fa4")
    apex = (0.5 * w, -0.55 * h)
    sill = 0.87 * h
    for place in (-1.02, -0.62, -0.24, 0.24, 0.62, 1.02):
        foot = (w * (0.5 + 0.56 * place), sill)
        bulge = 0.2 * place * w
        t = np.linspace(0, 1, 50)
        px = (1 - t) ** 2 * apex[0] + 2 * t * (1 - t) * ((apex[0] + foot[0]) / 2 + bulge) + t**2 * foot[0]
        py = (1 - t) ** 2 * apex[1] + 2 * t * (1 - t) * (0.05 * h) + t**2 * foot[1]
        for offset, tone, thick in ((0, steel, 15), (-5 * np.sign(place), edge * 0.8, 3)):
            line = np.stack([(px + stage.px(offset)) * s, py * s], -1)
            cv2.polylines(
                big,
                [(line * 8).astype(np.int32)],
                False,
                rgba(tone),
                max(int(stage.px(thick) * s), 1),
                cv2.LINE_AA,
                3,
            )
    for level, sag in ((0.2, 0.1), (sill / h, 0.03)):
        t = np.linspace(-0.05, 1.05, 60)
        py = h * (level - sag * 4 * t * (1 - t) + sag)
        line = np.stack([t * w * s, py * s], -1)
        for shift, tone, thick in ((0, steel, 17), (-6, edge * 0.7, 3)):
            moved = line + np.array([0, stage.px(shift) * s])
            cv2.polylines(
                big,
                [(moved * 8).astype(np.int32)],
                False,
                rgba(tone),
                max(int(stage.px(thick) * s), 1),
                cv2.LINE_AA,
                3,
            )
    stage.add_still(np.asarray(cv2.resize(big, (w, h), interpolation=cv2.INTER_AREA), np.uint8))
    y = np.arange(h, dtype=np.float32)[:, None]
    floor = smoothstep(-1, 1, y - sill - stage.px(6)) * np.ones((1, w), np.float32)
    tone = mix(rgb("#0d2734"), rgb("#1c4a5c"), smoothstep(h, sill, y) * np.ones((1, w), np.float32))
    grain = 0.94 + 0.12 * fbm(stage.rng, h, w, cell=30, octaves=5, stretch=6)
    stage.add_still(premultiplied(tone * grain[..., None], floor))
    x = np.linspace(-1, 1, w, dtype=np.float32)[None, :]
    stage.add(
        Caustics(
            stage.rng,
            np.asarray(floor * smoothstep(1.1, 0.2, np.abs(x)), np.float32),
            rgb("#6fd0dc"),
            strength=0.22,
            size=stage.px(80),
            flat=2.0,
        )
    )
    shine = np.exp(-(((x + 0.62 + 0.25 * y / h) / 0.05) ** 2)) * smoothstep(0.62, 0.1, y / h) * 0.1
    stage.add_still(premultiplied(rgb("#d8f8ff"), shine))
