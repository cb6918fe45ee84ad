"""Scenes that are mostly sky: mountains under the stars, northern lights over a lake, a sea of clouds.

What a reader gets wrong: a cloud bank is built of lit spheres on a picture that wraps round sideways, so that
its bank can drift for as long as a clip lasts without a seam.
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
    smoothstep,
    tile_noise,
)
from actors.backends.embedded.scenes.lights import Aurora
from actors.backends.embedded.scenes.motion import Flow, Shade, Swaying, Veil
from actors.backends.embedded.scenes.parts import airborne, grove, mountains, tree_bank
from actors.backends.embedded.scenes.plants import blades
from actors.backends.embedded.scenes.scene import snapshot
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import ground_picture, tree_line
from actors.backends.embedded.scenes.water import Mirror


def nightsky(stage: Stage) -> None:
    """Ridges under the Milky Way, or a snowy lake under northern lights."""
    if stage.option("aurora"):
        _aurora_lake(stage)
    else:
        _milky_way(stage)


def clouds(stage: Stage) -> None:
    """A sea of cumulus banks at several depths, seen from among them."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.5, 0.56)))
    paint_sky(stage, horizon, clouds=0.42, speed=1.3)
    stage.plate[horizon:] = mix(stage.sky_low, stage.haze, 0.5)
    way = 1.0 if rng.random() < 0.5 else -1.0
    bright, dark = rgb(stage.spec.light.cloud_lit), rgb(stage.spec.light.cloud_dark)
    banks = ((-0.05, 46, 24), (0.06, 74, 50), (0.2, 120, 92), (0.42, 180, 140), (0.74, 250, 190))
    for k, (drop, size, speed) in enumerate(banks):
        crest = horizon + (h - horizon) * drop
        away = 1 - k / (len(banks) - 1)
        tone = mix(dark, rgb("#7f78c0"), 0.45 + 0.25 * float(rng.random()))
        bank = _cloud_bank(
            stage,
            crest,
            stage.px(size),
            lit=mix(mix(bright, rgb("#fff2dc"), 0.5) * 0.97, stage.haze, 0.5 * away),
            dark=mix(tone * 0.62, stage.haze, 0.55 * away),
        )
        top = int(max(crest - stage.px(size) * 2.2, 0))
        rows = np.linspace(0.86, 1.1, h - top, dtype=np.float32)
        stage.add(Flow(np.ascontiguousarray(bank[top:]), top, way * stage.px(speed) * rows))
        if k < len(banks) - 1:
            y = np.arange(h, dtype=np.float32)[:, None]
            mask = np.exp(-(((y - crest - stage.px(size) * 0.9) / stage.px(size * 0.55)) ** 2))
            mask = np.asarray(mask * np.ones((1, w)), np.float32)
            mask[mask < 0.02] = 0
            stage.add(
                Veil(
                    rng,
                    mask,
                    mix(stage.haze, np.ones(3), 0.45),
                    strength=0.4,
                    speed=(way * stage.px(speed * 1.6), way * stage.px(speed * 0.7)),
                    size=stage.px(size * 2.6),
                    rise=stage.px(8),
                )
            )
    y = np.arange(h, dtype=np.float32)[:, None]
    low = np.asarray(smoothstep(horizon - h * 0.1, horizon + h * 0.15, y) * np.ones((1, w)), np.float32)
    stage.add(Shade(rng, low, depth=0.11, size=stage.px(240), speed=(way * stage.px(70), 10), hard=1.3))
    airborne(stage, horizon)


def _cloud_bank(stage: Stage, crest: float, size: float, *, lit: Colour, dark: Colour) -> Image8:
    """A bank of cumulus with its crest at row `crest`, `size` px the radius of its large domes; wraps
    sideways.
    """
    rng, h = stage.rng, stage.height
    half = 0.5
    wide, tall = int((stage.width + stage.px(560)) * half) // 2 * 2, int(h * half)
    heights = np.full((tall, wide), -1e3, np.float32)
    outline = (fbm(rng, 1, wide, cell=size * 3 * half, octaves=3)[0] - 0.5) * size * 1.9 * half
    blend = smoothstep(wide * 0.8, wide, np.arange(wide))
    outline = outline * (1 - blend) + outline[0] * blend
    gy, gx = np.mgrid[0:tall, 0:wide].astype(np.float32)
    depth = min(tall - crest * half + size, 5 * size * half)
    count = int(np.clip(wide * depth / (size * half) ** 2 * 2.6, 90, 520))
    for _ in range(count):
        x = float(rng.uniform(0, wide))
        down = float(rng.random()) ** 1.3
        y = crest * half + outline[int(x) % wide] + down * depth
        r = size * half * float(rng.uniform(0.25, 1.0)) * (0.6 + 0.4 * min(down * 3, 1))
        y += r * 0.7
        z = down * size * 1.6 * half
        for shift in (-wide, 0, wide):
            x0, x1 = int(max(x + shift - r, 0)), int(min(x + shift + r + 1, wide))
            y0, y1 = int(max(y - r, 0)), int(min(y + r + 1, tall))
            if x0 >= x1 or y0 >= y1:
                continue
            d2 = (gx[y0:y1, x0:x1] - x - shift) ** 2 + (gy[y0:y1, x0:x1] - y) ** 2
            dome = np.where(d2 < r * r, z + np.sqrt(np.maximum(r * r - d2, 0)), -1e3)
            np.maximum(heights[y0:y1, x0:x1], dome, out=heights[y0:y1, x0:x1])
    # rough the outline: read the domes through a displacement that tiles with the bank
    noise = cv2.resize(tile_noise(rng, 256, 1.55), (wide, max(wide, tall)))[:tall]
    noise2 = np.roll(noise[:, ::-1], wide // 3, axis=1)
    # some columns of the other end at both sides, so that blurring knows that the bank wraps round
    pad = int(size)
    around = ((pad, pad),)
    noise, noise2 = (np.pad(part, ((0, 0), *around), mode="wrap") for part in (noise, noise2))
    outline = np.pad(outline, around, mode="wrap")
    gy, gx = np.mgrid[0:tall, -pad : wide + pad].astype(np.float32)
    push = size * half * 0.2
    mx = np.asarray((gx + push * noise) % wide, np.float32)
    solid = (heights > -500).astype(np.float32)
    relief = np.where(heights > -500, heights, 0).astype(np.float32)
    my = np.asarray(gy + push * noise2, np.float32)
    solid = np.asarray(
        cv2.remap(solid, mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
    )
    relief = np.asarray(
        cv2.remap(relief, mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
    )
    relief = cv2.GaussianBlur(relief, (0, 0), max(size * half * 0.05, 0.8)) + noise * push * 0.4
    soft = cv2.GaussianBlur(relief, (0, 0), max(size * half * 0.22, 1.0))
    gxr, gyr = np.gradient(relief)[1], np.gradient(relief)[0]
    sxr, syr = np.gradient(soft)[1], np.gradient(soft)[0]
    nx, ny = 0.45 * gxr + 0.75 * sxr, 0.45 * gyr + 0.75 * syr
    length = np.sqrt(nx * nx + ny * ny + 1)
    light = (-nx * stage.sun_side * 0.55 + ny * 0.75 + 0.45) / length
    hollow = np.clip((soft - relief) / (size * half * 0.5), -0.4, 1)
    shade = np.clip(0.3 + 0.62 * light - 0.4 * hollow, 0, 1)
    below = (gy - crest * half - outline[None, :]) / (size * half)
    shade = shade * (1 - 0.55 * smoothstep(0.0, 2.4, below)) + 0.1 * smoothstep(0.6, -0.2, below)
    colour = mix(dark, lit, smoothstep(0.05, 0.8, shade))
    rim = np.clip(1 - cv2.GaussianBlur(solid, (0, 0), max(size * half * 0.09, 0.8)), 0, 1)
    colour = mix(colour, np.minimum(stage.sun * 1.02, 1), np.clip(rim * 0.8, 0, 0.6))
    alpha = smoothstep(0.1, 0.95, cv2.GaussianBlur(solid, (0, 0), max(size * half * 0.035, 0.8)))
    full = cv2.resize(
        np.dstack([colour, alpha])[:, pad : pad + wide], (wide * 2, h), interpolation=cv2.INTER_LINEAR
    )
    return premultiplied(full[..., :3], full[..., 3])


def _milky_way(stage: Stage) -> None:
    rng, h = stage.rng, stage.height
    horizon = stage.row(float(rng.uniform(0.62, 0.66)))
    paint_sky(stage, horizon, clouds=0.0, sun=False)
    _galaxy(stage, horizon)
    _night_clouds(stage, horizon)
    mountains(stage, horizon, tall=0.85, snow=0.5, haze_from=0.3)
    for base, tall, away in ((0.02, 60, 0.5), (0.06, 46, 0.2)):
        stage.add_still(
            tree_line(
                stage,
                int(horizon + h * base),
                tall=stage.px(tall),
                dark=stage.colour("foliage") * 0.3,
                lit=stage.colour("foliage") * 0.6,
                distance=away,
                spiky=0.8,
            )
        )
    _night_grass(stage, horizon + int(h * 0.06))
    airborne(stage, horizon)


def _galaxy(stage: Stage, bottom: int) -> None:
    """The band of the Milky Way, with its dark lanes, painted on the plate."""
    rng, w = stage.rng, stage.width
    y, x = np.mgrid[0:bottom, 0:w].astype(np.float32)
    lean = float(rng.uniform(0.35, 0.6)) * (1 if rng.random() < 0.5 else -1)
    middle = w * (0.5 + float(rng.uniform(-0.12, 0.12)))
    across = (x - middle - lean * w * (0.5 - y / bottom)) / w
    cloudy = fbm(rng, bottom, w, cell=stage.px(170), octaves=6, gain=0.62)
    lanes = fbm(rng, bottom, w, cell=stage.px(120), octaves=6, gain=0.6, stretch=0.7)
    bend = across + 0.06 * (cloudy - 0.5)
    band = np.exp(-((bend / 0.13) ** 2)) * (0.35 + 0.9 * cloudy)
    core = np.exp(-((bend / 0.055) ** 2)) * np.clip(y / bottom, 0.2, 1)
    dark = smoothstep(0.5, 0.66, lanes) * np.exp(-((bend / 0.075) ** 2))
    glow = band[..., None] * rgb("#5a6a9c") * 0.75 + core[..., None] * rgb("#b08a78") * 0.42
    dust = (rng.random((bottom, w), np.float32) ** 26) * (0.12 + 0.9 * band)
    air = np.exp(-((bottom - y) / (0.28 * bottom)))[..., None] * rgb("#35606a") * 0.5
    sky = stage.plate[:bottom] + (glow * (1 - 0.72 * dark[..., None])) + dust[..., None] * 0.8 + air
    stage.plate[:bottom] = np.clip(sky, 0, 1)


def _night_clouds(stage: Stage, bottom: int) -> None:
    """Thin moonlit streaks of cloud that cross the sky quickly."""
    rng, w = stage.rng, stage.width
    way = 1.0 if rng.random() < 0.5 else -1.0
    y = np.arange(stage.height, dtype=np.float32)[:, None]
    for top, low, size, speed, strength in ((0.12, 0.7, 330, 140, 0.42), (0.5, 1.02, 250, 95, 0.62)):
        mask = smoothstep(top - 0.2, top + 0.15, y / bottom) * smoothstep(low + 0.05, low - 0.25, y / bottom)
        mask = np.asarray(mask * np.ones((1, w)), np.float32)
        mask[mask < 0.02] = 0
        stage.add(
            Veil(
                rng,
                mask,
                rgb("#8090ad"),
                strength=strength,
                speed=(way * stage.px(speed), way * stage.px(speed * 0.6)),
                size=stage.px(size),
                flat=3.2,
                contrast=2.2,
            )
        )


def _night_grass(stage: Stage, top: int) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    dark, tip = stage.colour("grass") * 0.9, stage.colour("grass_tip")
    picture = ground_picture(stage, top, dark * 0.5, dark * 0.95, texture="grass", scale=1.7, rough=0.6)
    full = np.zeros((h, w, 3), np.float32)
    full[top:] = picture
    y = np.arange(h, dtype=np.float32)[:, None]
    line = top + stage.px(16) * (fbm(rng, 1, w, cell=160, octaves=4) - 0.5)
    full[max(top - 20, 0) : top] = picture[0:1]
    stage.add_still(premultiplied(full, smoothstep(-1, 2, y - line)))
    for k in range(5):
        u = (k + 0.6) / 5
        foot = top + (h * 1.08 - top) * u
        layer, weight = blades(
            rng,
            h,
            w,
            foot=(foot - stage.px(26), foot + stage.px(22)),
            tall=stage.px(26 + 120 * u),
            count=1900,
            dark=stage.lit(dark * 0.45, 0.5),
            tip=stage.lit(tip * 1.25, 1.0),
            lean=0.3,
        )
        stage.add(
            Swaying(layer, weight, stage.wind, sway=stage.px(12 + 26 * u), flutter=0.7, sheen=0.3, drop=0.3)
        )


class _LiveMirror(Mirror):
    """A mirror of what is on the canvas at that moment, for skies that move much."""

    def draw(self, canvas: Image8, seconds: float) -> None:
        size = (self._picture.shape[1], self._picture.shape[0])
        self._picture = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
        super().draw(canvas, seconds)


def _aurora_lake(stage: Stage) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.5, 0.55)))
    paint_sky(stage, horizon, clouds=0.0, sun=False)
    glow = np.linspace(0, 1, horizon, dtype=np.float32)[:, None, None] ** 2
    stage.plate[:horizon] = np.clip(stage.plate[:horizon] + glow * rgb("#1d5a4a") * 0.55, 0, 1)
    stage.add(Aurora(rng, width=w, bottom=int(horizon * 0.98), low=rgb("#4dffa0"), high=rgb("#8a4fd0") * 0.8))
    stage.key = mix(stage.key, rgb("#7fd0b0"), 0.5)
    mountains(stage, horizon, tall=0.6, snow=1.2, haze_from=0.3, wooded=False)
    stage.add_still(
        tree_line(
            stage,
            horizon + 3,
            tall=stage.px(64),
            dark=stage.colour("foliage") * 0.35,
            lit=stage.colour("foliage_lit") * 0.8,
            distance=0.35,
            spiky=0.85,
        )
    )
    alpha = np.zeros((h, w), np.float32)
    alpha[horizon + 2 :] = 1
    stage.add(
        _LiveMirror(
            rng,
            snapshot(stage.plate, stage.layers),
            alpha,
            horizon=horizon,
            deep=rgb("#0d2a3a"),
            calm=0.5,
            clarity=0.95,
            wind=1.3,
        )
    )
    _snow_bank(stage)
    bank = tree_bank(stage, "snowpine", int(stage.px(420)), 2)
    places = [
        (w * x, h * float(rng.uniform(0.86, 0.95)), stage.px(float(rng.uniform(330, 520))))
        for x in (-0.01, 0.09, 0.92, 1.0)
    ]
    places.append((w * float(rng.uniform(0.16, 0.2)), h * 0.85, stage.px(210)))
    grove(stage, bank, places, away=0.05, sway=6, flutter=0.6, shadows=False)
    airborne(stage, horizon)


def _snow_bank(stage: Stage) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    y = np.arange(h, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, w, dtype=np.float32)[None, :]
    line = h * (0.87 - 0.05 * np.abs(x)) + stage.px(34) * (fbm(rng, 1, w, cell=220, octaves=4) - 0.5)
    drift: Array = fbm(rng, h, w, cell=stage.px(120), octaves=6, stretch=5.0, gain=0.42)
    slope = np.gradient(cv2.GaussianBlur(drift, (0, 0), 2), axis=0) * stage.px(13)
    tone = np.clip(0.72 + slope + 0.16 * (drift - 0.5), 0.2, 1.1)
    snow = stage.lit(rgb("#eef4fb") * tone[..., None], np.clip(tone, 0, 1))
    snow = snow * (1.25 - 0.5 * smoothstep(0, h * 0.16, y - line))[..., None]
    bank = blank(h, w)
    bank[:] = premultiplied(np.clip(snow, 0, 1), smoothstep(-1, 3, y - line))
    stage.add_still(bank)
