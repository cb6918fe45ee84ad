"""Skies: gradient, sun or moon, clouds that drift at the pace of their height, stars.

What a reader gets wrong: clouds are one noise seen on a plane overhead, so they shrink toward the horizon,
and the rows near the horizon drift slower than those above; a cloud picture that slides as one piece looks
like a poster.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    fbm,
    luma,
    mix,
    premultiplied,
    radial,
    rgb,
    smoothstep,
    tile_noise,
    vertical_gradient,
)
from actors.backends.embedded.scenes.lights import Stars
from actors.backends.embedded.scenes.motion import Flow
from actors.backends.embedded.scenes.stage import Stage


def paint_sky(
    stage: Stage, horizon: int, *, clouds: float | None = None, speed: float = 1.0, sun: bool = True
) -> None:
    """Fill the plate from the top to below `horizon` and add drifting clouds and stars."""
    width = stage.width
    rng = stage.rng
    h = max(horizon + 4, 8)
    mid = mix(stage.sky_top, stage.sky_low, 0.45)
    sky = vertical_gradient(
        h,
        width,
        [(0, stage.sky_top), (0.5, mid), (0.88, stage.sky_low), (1, mix(stage.sky_low, stage.haze, 0.5))],
    )
    sun_px = (stage.sun_x * width, h * (1 - stage.sun_y))
    x = (np.arange(width, dtype=np.float32) - sun_px[0])[None, :]
    y = (np.arange(h, dtype=np.float32) - sun_px[1])[:, None]
    distance = np.sqrt(x * x + (y * 1.15) ** 2) / width
    low = 1 - stage.sun_y
    night = stage.spec.light.stars > 0.5
    if sun:
        wide = np.exp(-distance * (3.2 + 2.5 * stage.sun_y)) * (0.18 + 0.5 * low) * (0.35 if night else 1)
        sky = mix(sky, stage.sun, np.clip(wide, 0, 0.85))
        near = np.exp(-((distance / (0.035 if night else 0.055)) ** 1.2)) * (
            0.35 if night else 0.75 * (0.4 + 0.6 * low)
        )
        sky = mix(sky, np.minimum(stage.sun * 1.06, 1), np.clip(near, 0, 0.98))
    stage.plate[:h] = sky
    stage.plate[h:] = stage.sky_low
    if stage.spec.light.stars > 0.05:
        count = int(700 * stage.spec.light.stars)
        stage.add(Stars(rng, width=width, bottom=h, count=count, strength=0.4 + 0.6 * stage.spec.light.stars))
    if night and sun:
        _moon(stage, sun_px)
    cover = stage.spec.light.cloud_cover if clouds is None else clouds
    if cover > 0.02:
        _clouds(stage, h, cover, speed, sun_px)


def _moon(stage: Stage, at: tuple[float, float]) -> None:
    size = int(stage.px(54)) | 1
    disc = np.clip(radial(size, 1.0) * size / 2, 0, 1)
    marks = fbm(stage.rng, size, size, cell=size * 0.45, octaves=3)
    layer = np.zeros((stage.height, stage.width, 4), np.uint8)
    x, y = int(at[0] - size / 2), int(at[1] - size / 2)
    y = max(y, 4)
    x = min(max(x, 0), stage.width - size)
    layer[y : y + size, x : x + size] = premultiplied(mix(stage.sun * 0.78, stage.sun, marks), disc)
    stage.add_still(cv2.GaussianBlur(layer, (0, 0), 0.7))


def _clouds(stage: Stage, h: int, cover: float, speed: float, sun_px: tuple[float, float]) -> None:
    rng = stage.rng
    spare = stage.px(max(420.0, 205.0 * speed))
    wide = stage.width + int(spare)
    top_speed = stage.px(30) * speed * float(rng.uniform(0.85, 1.2)) * (1 if rng.random() < 0.5 else -1)
    noise = tile_noise(rng, 512, 1.75)
    detail = tile_noise(rng, 512, 1.35)
    y = np.arange(h, dtype=np.float32)[:, None]
    up = (h - y) / h
    depth = 1 / (up + 0.13)
    x = (np.arange(wide, dtype=np.float32) - wide / 2)[None, :] / stage.width
    scale = float(rng.uniform(60, 85))
    u = x * depth * scale + float(rng.uniform(0, 512))
    v = np.broadcast_to(depth * scale * 0.62 + float(rng.uniform(0, 512)), u.shape)

    def field(du: float, dv: float) -> Array:
        a = cv2.remap(
            noise,
            ((u + du) % 512).astype(np.float32),
            ((v + dv) % 512).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        b = cv2.remap(
            detail,
            ((u * 3.1 + du) % 512).astype(np.float32),
            ((v * 3.1 + dv) % 512).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        return np.asarray(a + 0.22 * b, np.float32)

    density = field(0, 0)
    threshold = float(np.quantile(density, 1 - min(cover, 0.97)))
    alpha = smoothstep(threshold - 0.12, threshold + (0.75 if cover < 0.7 else 1.1), density)
    to_sun = np.sign(sun_px[0] - stage.width / 2) or 1.0
    relief = density - field(3.0 * to_sun, -2.0 if stage.sun_y > 0.3 else 1.5)
    thick = np.clip((density - threshold) / 1.6, 0, 1)
    bright = np.clip(0.72 + 0.55 * relief - 0.62 * thick, 0, 1)
    lit, dark = rgb(stage.spec.light.cloud_lit), rgb(stage.spec.light.cloud_dark)
    colour = mix(dark, lit, bright)
    # toward the sun clouds glow, toward the horizon they take the colour of the air
    glow = np.exp(
        -np.abs((np.arange(wide, dtype=np.float32)[None, :] - sun_px[0] - spare / 2) / stage.width) * 3
    ) * (1 - stage.sun_y)
    colour = mix(
        colour,
        np.minimum(stage.sun * 1.1, 1),
        np.clip(glow * 0.45 * (0.4 + bright), 0, 0.8) * np.ones_like(bright),
    )
    far = np.clip(1 - up * 3.2, 0, 1)
    colour = mix(colour, stage.sky_low, (far * 0.55) * np.ones_like(alpha))
    alpha = np.asarray(alpha * (0.96 - 0.6 * far) * (0.92 if luma(lit) > 0.3 else 0.8), np.float32)
    layer = premultiplied(colour, alpha)
    speeds = (top_speed * (0.12 + 0.88 * up[:, 0] ** 0.9)).astype(np.float32)
    stage.add(Flow(layer, 0, speeds))
