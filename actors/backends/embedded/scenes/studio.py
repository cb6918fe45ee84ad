"""Empty studios: a seamless backdrop on which light, leaf shadows or haze move slowly; the wet window.

What a reader gets wrong: there is almost nothing in these pictures, so all of their life is light: patches
and veils are large and soft, but their contrast has to carry.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    blank,
    fbm,
    mix,
    premultiplied,
    radial,
    rgb,
    smoothstep,
    vertical_gradient,
)
from actors.backends.embedded.scenes.indoor_motion import Dapple, Glow, sun_patch
from actors.backends.embedded.scenes.lights import Beams
from actors.backends.embedded.scenes.motion import Veil
from actors.backends.embedded.scenes.particles import Drift, Rain, Swarm, add_light, dot_sprites
from actors.backends.embedded.scenes.room_parts import halo
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.wet_glass import WetGlass


def studio(stage: Stage) -> None:
    """White, concrete, pastel or dark, by the option `kind`."""
    kinds = {"white": _white, "concrete": _concrete, "pastel": _pastel, "dark": _dark}
    kinds[str(stage.option("kind", "white"))](stage)


def _cyclorama(stage: Stage, bend: float, *, tone: float, pool: float, lift: float) -> Array:
    """A seamless curve of wall into floor; returns the row-wise share of floor."""
    w, h = stage.width, stage.height
    wall, floor = stage.colour("wall"), stage.colour("floor")
    y = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, w, dtype=np.float32)[None, :]
    ground = smoothstep(bend - 0.05, bend + 0.12, y) * np.ones_like(x)
    side = float(stage.rng.uniform(0.25, 0.6)) * (-1 if stage.sun_x < 0.5 else 1)
    light = tone + pool * np.exp(-(((x - side) / 0.8) ** 2) - ((y - 0.38) / 0.55) ** 2)
    light = (
        light
        + lift * ground * np.exp(-(((y - 0.92) / 0.2) ** 2))
        - 0.05 * np.exp(-(((y - bend - 0.02) / 0.07) ** 2))
    )
    base = mix(wall, floor, ground)
    grain = fbm(stage.rng, h, w, cell=stage.px(420), octaves=3) - 0.5
    stage.plate = np.clip(base * (light * (1 + 0.02 * grain))[..., None], 0, 1).astype(np.float32)
    return np.asarray(ground, np.float32)


def _corners(
    stage: Stage, quad: list[tuple[float, float]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([(x * stage.width, y * stage.height) for x, y in quad], np.float64)


def _white(stage: Stage) -> None:
    rng = stage.rng
    _cyclorama(stage, 0.7, tone=0.68, pool=0.12, lift=0.08)
    left = stage.sun_x < 0.5
    w, h = 300, 190
    edge = sun_patch(w, h, cols=3, rows=1, bar=0.03, soft=5.0, slant=0.35)
    quad = [(-0.05, -0.12), (0.98, 0.02), (1.06, 0.86), (0.02, 0.7)]
    if not left:
        quad = [(1 - x, y) for x, y in quad]
    stage.add(
        Dapple(
            rng,
            _corners(stage, quad),
            (stage.width, stage.height),
            np.clip(edge * 0.9 + 0.1, 0, 1).astype(np.float32) * _rim(w, h),
            gain=np.array((0.5, 0.475, 0.435), np.float32),
            leaf=0.06,
            soft=2.8,
            sway=15.0,
            count=11,
            pace=1.2,
        )
    )
    glow = [
        halo(stage, stage.width * x, stage.height * y, stage.px(420))
        for x, y in ((0.12, 0.3), (0.88, 0.35), (0.3, 0.95), (0.75, 0.9))
    ]
    stage.add(Glow(rng, glow, depth=0.035, lively=0.2, tint=(1.0, 1.0, 1.0)))
    stage.vignette = 0.1


def _rim(w: int, h: int) -> Array:
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    u, v = np.minimum(x, w - 1 - x) / w, np.minimum(y, h - 1 - y) / h
    return np.asarray(smoothstep(0.0, 0.05, u) * smoothstep(0.0, 0.06, v), np.float32)


def _concrete(stage: Stage) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    wall, second = stage.colour("wall"), stage.colour("wall2")
    broad = fbm(rng, h, w, cell=stage.px(420), octaves=5)
    fine = fbm(rng, h, w, cell=stage.px(26), octaves=4) - 0.5
    streak = fbm(rng, w, h, cell=stage.px(60), octaves=3, stretch=7).T - 0.5
    body = mix(second * 0.86, wall * 1.04, broad) * (1 + 0.10 * fine + 0.10 * streak)[..., None]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    floor_row = stage.row(0.86)
    for share in (0.07, 0.38, 0.69, 1.0):
        seam = np.abs(x - w * (share - 0.03))
        body *= (
            1
            - 0.22 * smoothstep(stage.px(2.6), stage.px(0.6), seam)
            + 0.05 * smoothstep(stage.px(7), stage.px(3.5), seam)
        )[..., None]
    for row in (0.02, 0.44):
        seam = np.abs(y - h * row)
        body *= (1 - 0.22 * smoothstep(stage.px(2.6), stage.px(0.6), seam))[..., None]
    for px_, py_ in [
        (c + d, r) for c in (0.04, 0.35, 0.66) for d in (0.06, 0.25) for r in (0.13, 0.34, 0.56, 0.76)
    ]:
        hole = np.hypot(x - px_ * w, y - py_ * h)
        body *= (1 - 0.5 * smoothstep(stage.px(8), stage.px(5), hole))[..., None]
    shade = 0.4 + 0.22 * np.exp(-(((x / w - stage.sun_x) / 0.7) ** 2))
    shade *= 1 - 0.3 * smoothstep(0.55, 1.0, y / floor_row)
    picture = mix(stage.lit(np.clip(body, 0, 1), shade), np.clip(body, 0, 1) * 0.66, 0.5) * 0.8
    ground = y > floor_row
    gloss = (y - floor_row) / (h - floor_row)
    floor = (
        stage.lit(stage.colour("floor") * (0.95 + 0.2 * fine)[..., None], 0.45)
        * (0.55 + 0.2 * gloss)[..., None]
    )
    picture = np.where(ground[..., None], floor, picture)
    picture *= (1 - 0.35 * np.exp(-np.abs(y - floor_row) / stage.px(12)))[..., None]
    stage.plate = np.clip(cv2.GaussianBlur(picture, (0, 0), stage.px(1.1)), 0, 1).astype(np.float32)
    left = stage.sun_x < 0.5
    quad = [(0.02, -0.1), (0.9, -0.02), (1.12, 0.9), (0.24, 0.74)]
    if not left:
        quad = [(1 - x_, y_) for x_, y_ in quad]
    tw, th = 320, 200
    patch = sun_patch(tw, th, cols=2, rows=2, bar=0.012, soft=1.4, slant=0.0)
    stage.add(
        Dapple(
            rng,
            _corners(stage, quad),
            (w, h),
            patch,
            gain=np.array((1.05, 0.92, 0.72), np.float32),
            leaf=0.055,
            soft=1.7,
            sway=10.0,
            count=12,
        )
    )
    _dust(stage, 70)


def _dust(stage: Stage, count: int, region: tuple[int, int, int, int] | None = None) -> None:
    stage.add(
        Swarm(
            stage.rng,
            dot_sprites(np.clip(stage.sun * 0.9, 0, 1), (4, 5, 8), 1.6, 0.5),
            Drift(20, -8, 26, 0.3),
            count=count,
            region=region or (0, 0, stage.width, stage.height),
            additive=True,
            twinkle=0.8,
        )
    )


def _pastel(stage: Stage) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    peach, lilac = stage.colour("wall"), stage.colour("wall2")
    x = np.linspace(-1, 1, w, dtype=np.float32)[None, :]
    y = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    way = 1 if rng.random() < 0.5 else -1
    share = np.clip(0.5 + 0.45 * way * x + 0.55 * (0.5 - y), 0, 1)
    low = mix(stage.colour("floor"), stage.sky_low, 0.3)
    base = mix(mix(peach, lilac, share), low, smoothstep(0.66, 0.92, y) * np.ones_like(x) * 0.7)
    stage.plate = np.clip(base * 0.9, 0, 1).astype(np.float32)
    full = np.ones((h, w), np.float32)
    soft = smoothstep(1.05, 0.6, y) * np.ones_like(x) * 0.9 + 0.1
    deep, warm = mix(lilac, rgb("#8f86d6"), 0.55), mix(peach, rgb("#ff9f8a"), 0.45)
    for colour, speed, size, strength in (
        (deep, (125.0, -50.0), 560.0, 0.62),
        (warm, (-110.0, 60.0), 520.0, 0.58),
        (rgb("#fff4ec"), (150.0, 70.0), 430.0, 0.6),
    ):
        stage.add(
            Veil(
                rng,
                np.asarray(soft if strength > 0.59 else full, np.float32),
                colour,
                strength=strength,
                speed=(stage.px(speed[0]), stage.px(speed[1])),
                size=stage.px(size),
                flat=1.5,
                contrast=1.5,
            )
        )
    stage.add(
        Swarm(
            rng,
            dot_sprites(stage.colour("accent"), (6, 9, 14, 20), 1.4, 0.5),
            Drift(10, -38, 18, 0.3),
            count=60,
            region=(0, 0, w, h),
            additive=True,
            twinkle=0.7,
        )
    )
    stage.vignette = 0.08


def _dark(stage: Stage) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    bend = 0.72
    y = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, w, dtype=np.float32)[None, :]
    wall, floor = stage.colour("wall"), stage.colour("floor")
    side = -0.35 if stage.sun_x < 0.5 else 0.35
    pool = np.exp(-(((x - side) / 0.62) ** 2) - ((y - 0.5) / 0.34) ** 2)
    puddle = np.exp(-(((x - side * 0.5) / 0.75) ** 2) - ((y - 0.9) / 0.13) ** 2)
    light = 0.7 + 2.6 * pool
    base = mix(
        wall * light[..., None],
        floor * (0.7 + 2.8 * puddle)[..., None],
        smoothstep(bend - 0.01, bend + 0.03, y) * np.ones_like(x),
    )
    grain = fbm(rng, h, w, cell=stage.px(200), octaves=5)
    base *= (0.86 + 0.28 * grain)[..., None]
    stage.plate = np.clip(base * mix(np.ones(3), stage.colour("accent"), 0.35), 0, 1).astype(np.float32)
    fall = (smoothstep(1.05, 0.5, y) * (0.6 + 0.4 * np.exp(-((x / 0.9) ** 2)))).astype(np.float32)
    accent = stage.colour("accent")
    for at, strength, speed in (
        (stage.sun_x * 0.6 + 0.02, 0.34, 0.8),
        (1.02 - stage.sun_x * 0.3, 0.26, -0.65),
    ):
        stage.add(
            Beams(
                rng,
                np.asarray(fall * np.ones((h, w), np.float32), np.float32),
                (w * at, -0.28 * h),
                accent,
                strength=strength,
                speed=speed,
                fine=8.5,
            )
        )
    haze = np.asarray(smoothstep(0.1, 0.55, y) * smoothstep(1.0, 0.75, y) * np.ones_like(x), np.float32)
    stage.add(
        Veil(
            rng,
            haze,
            mix(stage.colour("wall"), accent, 0.42),
            strength=0.34,
            speed=(stage.px(90), stage.px(-55)),
            size=stage.px(330),
            flat=1.8,
            contrast=1.5,
        )
    )
    _dust(stage, 90)


class Bokeh:
    """Out-of-focus lights of a street: discs that swell and fade a little, some passing slowly along."""

    def __init__(self, stage: Stage, *, horizon: float, count: int) -> None:
        rng, w, h = stage.rng, stage.width, stage.height
        tones = ["#ffc27a", "#ffdca8", "#ff8a5a", "#ff5a4a", "#bfe0ff", "#7fd0c0", "#ffe9c8"]
        self._x = rng.uniform(0, w, count)
        self._y = horizon * h + rng.normal(0, 0.11 * h, count)
        r = stage.px(1.0) * rng.uniform(16, 40, count)
        self._v = np.where(
            rng.random(count) < 0.45, rng.choice([-1.0, 1.0], count) * rng.uniform(35, 85, count), 0.0
        )
        self._y = np.where(self._v != 0, horizon * h + rng.uniform(0.08, 0.22, count) * h, self._y)
        self._hz, self._p = rng.uniform(0.25, 0.8, count), rng.uniform(0, 6.28, count)
        self._span = w * 1.2
        self._sprites = []
        for k in range(count):
            size = int(r[k] * 2) | 1
            disc = np.clip(radial(size, 1.0) * size / 9, 0, 1) * (0.75 + 0.25 * (1 - radial(size, 0.6)))
            level = float(rng.uniform(0.22, 0.6))
            tone = rgb(tones[int(rng.integers(0, len(tones)))])
            self._sprites.append(np.clip(disc[..., None] * tone * level * 255, 0, 255).astype(np.uint8))

    def draw(self, canvas: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], seconds: float) -> None:
        x = (self._x + self._v * seconds) % self._span - 0.1 * self._span / 1.2
        level = 0.68 + 0.32 * np.sin(2 * np.pi * self._hz * seconds + self._p)
        for i, sprite in enumerate(self._sprites):
            half = sprite.shape[0] // 2
            add_light(canvas, sprite, int(x[i]) - half, int(self._y[i]) - half, float(level[i]))


def window(stage: Stage) -> None:
    """A rain-covered window that fills the picture, a blurred street behind it."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = float(rng.uniform(0.5, 0.56))
    top, low = mix(stage.sky_top, stage.sky_low, 0.35), stage.sky_low
    street = mix(stage.colour("soil"), stage.sky_top, 0.5) * 0.62
    picture = vertical_gradient(
        h,
        w,
        [
            (0, top * 0.85),
            (horizon - 0.12, low * 0.95),
            (horizon + 0.06, low * 0.62),
            (horizon + 0.12, street),
            (1, street * 0.72),
        ],
    )
    layer = blank(h, w)
    x = -0.03
    while x < 1.02:
        wide = float(rng.uniform(0.07, 0.16))
        gap = abs(x + wide / 2 - 0.5)
        tall = float(rng.uniform(0.22, 0.4)) * (0.5 + 1.3 * gap)
        tone = mix(stage.colour("wall") * 0.5, stage.haze * 0.75, float(rng.uniform(0.3, 0.7)))
        box = (int(x * w), int((horizon + 0.09 - tall) * h), int((x + wide) * w), int((horizon + 0.12) * h))
        cv2.rectangle(layer, box[:2], box[2:], (*(float(v) * 255 for v in tone), 255.0), -1)
        for _ in range(int(rng.integers(3, 9))):
            cx, cy = (
                rng.integers(box[0], max(box[2] - 12, box[0] + 1)),
                rng.integers(box[1], max(box[3] - 30, box[1] + 1)),
            )
            warm = rgb("#ffce8e") * float(rng.uniform(0.5, 0.95))
            cv2.rectangle(
                layer,
                (int(cx), int(cy)),
                (int(cx) + int(stage.px(14)), int(cy) + int(stage.px(20))),
                (*(float(v) * 255 for v in warm), 255.0),
                -1,
            )
        x += wide * float(rng.uniform(0.85, 1.2))
    town = layer.astype(np.float32) / 255
    picture = np.asarray(picture * (1 - town[..., 3:]) + town[..., :3], np.float32)
    small = cv2.resize(picture, (w // 4, h // 4), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), stage.px(4.2))
    stage.plate = np.clip(cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC), 0, 1).astype(np.float32)
    stage.add(Bokeh(stage, horizon=horizon, count=46))
    mist = np.ones((h, w), np.float32) * 0.5
    stage.add(
        Veil(
            rng,
            mist,
            stage.haze * 0.95,
            strength=0.42,
            speed=(stage.px(110), stage.px(-40)),
            size=stage.px(420),
            flat=2.2,
            contrast=1.3,
        )
    )
    stage.add(Rain(rng, width=w, height=h, count=260, slant=0.06, alpha=0.16))
    stage.add(WetGlass(rng, (0, 0, w, h), size=stage.px(9.5), still=900, running=46))
    frame = np.zeros((h, w), np.float32)
    side = 0.06 if rng.random() < 0.5 else 0.94
    bar = stage.px(26)
    xs = np.arange(w, dtype=np.float32)[None, :]
    ys = np.arange(h, dtype=np.float32)[:, None]
    post = smoothstep(bar, bar * 0.85, np.abs(xs - side * w)) * np.ones_like(ys)
    sill = smoothstep(h - stage.px(52), h - stage.px(47), ys) * np.ones_like(xs)
    frame = np.maximum(post, sill)
    lightness = 0.62 - 0.3 * np.abs(xs - side * w) / bar * (post > 0.5) + 0.1 * np.ones_like(ys)
    wood = mix(rgb("#2c2f33"), rgb("#6a6e72"), np.clip(lightness, 0, 1))
    layer8 = premultiplied(wood, frame)
    stage.add_still(np.asarray(cv2.GaussianBlur(layer8, (0, 0), stage.px(1.6)), np.uint8))
