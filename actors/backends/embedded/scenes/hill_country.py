"""Ridges behind ridges with fog between them, and the hills where snow melts.

What a reader gets wrong: the fog lies between the ridges, so it is added while they are, back to front.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    fbm,
    mix,
    on_ground,
    rgb,
    smoothstep,
    tile_noise,
)
from actors.backends.embedded.scenes.lights import glow_sprite
from actors.backends.embedded.scenes.motion import Swaying
from actors.backends.embedded.scenes.particles import Drift, Swarm
from actors.backends.embedded.scenes.parts import (
    airborne,
    far_trees,
    fog,
    grove,
    tree_bank,
)
from actors.backends.embedded.scenes.plants import Leafage, blades
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import (
    ground_picture,
    paint_ground,
    render_terrain,
    ridged,
    rolling,
)
from actors.backends.embedded.scenes.water import Mirror


def hill_country(stage: Stage) -> None:
    """Ranges of hills or mountains one behind the other, fog between them."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.5, 0.56)))
    silhouette = bool(stage.option("silhouette"))
    paint_sky(stage, horizon, speed=5.0 if silhouette else 2.4)
    peaks = bool(stage.option("mountains"))
    pace = stage.number("pace", 2.5)
    ink = stage.spec.style == "ink"
    base = stage.colour("foliage") * (0.25 if silhouette else 0.8)
    light_side = stage.colour("grass") * (0.3 if silhouette else 0.9)
    fog_tone = np.clip(mix(stage.haze, stage.sky_low, 0.4) * 1.12 + 0.04, 0, 1)
    spans = [(5.0, 11.0, 0.72), (2.7, 4.6, 0.5), (1.6, 2.5, 0.26), (1.0, 1.5, 0.08)]
    for k, (near, far, air) in enumerate(spans):
        heights = ridged(rng, 512, 2.05) if peaks and k < 3 else rolling(rng, 512, 2.1)

        def paint(height: Array, light: Array, slope: Array, noise: Array) -> Array:
            del slope
            body = mix(
                base, light_side, np.clip(0.35 + 0.5 * (light - 0.5) + 0.22 * noise + 0.2 * height, 0, 1)
            )
            return stage.lit(body, light * (0.25 if silhouette else 0.9))

        rise = (0.5 if peaks else 0.42) * near**0.62 * (1.45 if ink and k < 2 else 1.0)
        stage.add_still(
            render_terrain(
                stage,
                heights,
                horizon=horizon + int(stage.px(16 * k)),
                near=near,
                far=far,
                rise=rise * (0.5 if k == 3 else 1),
                camera=0.3,
                paint=paint,
                cell=0.021 if peaks and k < 3 else 0.013,
                haze_from=air,
                haze=mix(stage.haze, stage.sky_low, 0.3),
            )
        )
        if k < 3 and (stage.has("fog_drifts") or stage.has("mist_drifts")):
            y0 = horizon + int(stage.px(-100 + 56 * k))
            fog(
                stage,
                y0,
                y0 + int(stage.px(210)),
                strength=0.95 - 0.04 * k,
                colour=fog_tone,
                speed=(40 + 26 * k) * pace,
                size=(300 + 90 * k) / pace**0.7,
                contrast=1.7,
            )
    if stage.option("lanterns"):
        glow = rgb("#ffb45c")
        sprites = [[glow_sprite(glow, s, 0.8, core=1.0)] for s in (21, 33, 47, 67)]
        stage.add(
            Swarm(
                rng,
                sprites,
                Drift(14, -46, 26, 0.2),
                count=90,
                region=(0, 0, w, int(h * 0.86)),
                additive=True,
                depth=(0.3, 1.0),
            )
        )
    if stage.has("foliage_sways"):
        bank = tree_bank(stage, "pine", int(stage.px(430)), 2)
        places = [
            (w * float(rng.uniform(-0.02, 0.16)), h * 1.02, stage.px(float(rng.uniform(250, 430))))
            for _ in range(4)
        ]
        places += [
            (w * float(rng.uniform(0.84, 1.02)), h * 1.03, stage.px(float(rng.uniform(230, 400))))
            for _ in range(4)
        ]
        grove(stage, bank, places, away=0.1, sway=15, shadows=False)
    if stage.has("grass_sways") or (peaks and stage.has("foliage_sways")):
        _near_grass(stage, dark=silhouette, tall=230 if silhouette else 150)
    if silhouette:
        _lone_tree(stage, horizon)
    airborne(stage, horizon)


def _near_grass(stage: Stage, dark: bool = False, tall: float = 150) -> None:
    h, w = stage.height, stage.width
    low, tip = stage.colour("grass"), stage.colour("grass_tip")
    if dark:
        low, tip = low * 0.14, tip * 0.8
    for foot, high, n in ((h * 0.99, tall * 0.7, 1700), (h * 1.06, tall, 1500)):
        layer, weight = blades(
            stage.rng,
            h,
            w,
            foot=(foot - 20, foot + 24),
            tall=stage.px(high),
            count=n,
            dark=stage.lit(low * 0.8, 0.4),
            tip=stage.lit(tip, 0.9),
            lean=0.2,
            thin=0.8,
        )
        stage.add(Swaying(layer, weight, stage.wind, sway=stage.px(46), flutter=0.9, sheen=0.42))


def _lone_tree(stage: Stage, horizon: int) -> None:
    night = np.array((0.05, 0.035, 0.03), np.float32)
    own = Leafage(night, mix(night, stage.key * 0.3, 0.4), night, night * 1.4)
    from actors.backends.embedded.scenes.plants import broadleaf

    bank = [broadleaf(stage.rng, int(stage.px(330)), own, side=stage.sun_side, leaves=3000)]
    x = stage.width * (0.13 if stage.sun_x > 0.5 else 0.87)
    grove(
        stage,
        bank,
        [
            (x, horizon + stage.px(200), stage.px(330)),
            (x + stage.px(150), horizon + stage.px(175), stage.px(170)),
        ],
        away=0.0,
        sway=8,
        shadows=False,
    )


def snowmelt(stage: Stage) -> None:
    """Snow patches, green between them, a brook of meltwater, budding trees."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.4, 0.46)))
    paint_sky(stage, horizon)
    far_trees(stage, horizon + 6, tall=95, distance=0.55)
    bank = tree_bank(stage, "bare", int(stage.px(520)), 3, leaves=4200)
    grove(
        stage,
        bank,
        [
            (float(rng.uniform(0, w)), horizon + stage.px(22), stage.px(float(rng.uniform(140, 220))))
            for _ in range(8)
        ],
        away=0.4,
        sway=5,
    )
    grass = ground_picture(
        stage, horizon, stage.colour("grass") * 0.6, stage.colour("grass_tip"), texture="grass", scale=1.9
    )
    snow = ground_picture(
        stage, horizon, rgb("#dfe6ee"), rgb("#ffffff"), texture="gravel", scale=1.0, rough=0.08
    )
    wide, broken = tile_noise(rng, 512, 1.9), tile_noise(rng, 512, 1.7)
    patch = 0.62 * on_ground(wide, horizon, h, w, scale=0.11, turn=0.5) + 0.6 * on_ground(
        broken, horizon, h, w, scale=0.29, turn=1.1
    )
    rim = on_ground(tile_noise(rng, 512, 1.2), horizon, h, w, scale=0.9) * 0.22
    cover = smoothstep(-0.12, 0.12, patch + rim)
    edge = smoothstep(-0.42, -0.05, patch + rim) * (1 - cover)
    picture = mix(grass, snow, cover)
    picture = mix(picture, picture * np.array((0.62, 0.56, 0.45), np.float32), edge * 0.7)
    tops = (
        1 + 0.16 * np.gradient(cv2.GaussianBlur(patch, (0, 0), 3), axis=0)[..., None] * 8 * cover[..., None]
    )
    picture = np.clip(picture * np.clip(tops, 0.75, 1.1), 0, 1).astype(np.float32)
    rows = h - horizon
    y = np.arange(rows, dtype=np.float32)[:, None] / rows
    x = np.arange(w, dtype=np.float32)[None, :] / w
    side = 1 if rng.random() < 0.5 else -1
    centre = 0.5 + side * (0.10 + 0.27 * np.sin(2.2 * y**0.6 + 0.4) + 0.05 * np.sin(11 * y))
    half = 0.008 + 0.15 * y**1.1
    ragged = 0.25 * (fbm(rng, rows, w, cell=36, octaves=4) - 0.5)
    inside = smoothstep(1.0, 0.85, np.abs(x - centre) / half + ragged)
    bank_wet = smoothstep(1.5, 1.0, np.abs(x - centre) / half + ragged)
    picture = mix(picture, picture * 0.5, bank_wet * 0.6)
    paint_ground(stage, horizon, picture)
    from actors.backends.embedded.scenes.scene import snapshot

    alpha = np.zeros((h, w), np.float32)
    alpha[horizon:] = inside
    stage.add(
        Mirror(
            rng,
            snapshot(stage.plate, stage.layers),
            alpha,
            horizon=horizon,
            deep=stage.lit(rgb("#3b4a4c"), 0.6),
            calm=0.1,
            scale=0.5,
            clarity=0.95,
            shore=horizon + int(rows * 0.16),
            glitter=stage.sun,
            glitter_x=0.5 + side * 0.2,
            glitter_strength=0.9,
            wind=2.2,
        )
    )
    for u in (0.3, 0.55, 0.8, 1.05):
        foot = horizon + rows * u
        layer, weight = blades(
            rng,
            h,
            w,
            foot=(foot - 26, foot + 22),
            tall=stage.px(14 + 52 * u),
            count=int(2400 - 900 * u),
            dark=stage.lit(stage.colour("grass") * 0.8, 0.5),
            tip=stage.lit(stage.colour("grass_tip"), 0.95),
            thin=1.6,
        )
        keep = np.zeros((h, w), np.float32)
        keep[horizon:] = (1 - cover) * (1 - inside)
        grown = cv2.dilate(keep, np.ones((int(stage.px(20)), 3), np.uint8), anchor=(1, 0))
        layer = (layer * cv2.GaussianBlur(grown, (0, 0), 2)[..., None]).astype(np.uint8)
        stage.add(Swaying(layer, weight, stage.wind, sway=stage.px(7 + 17 * u), flutter=0.6, sheen=0.24))
    grove(
        stage,
        bank,
        [
            (w * (0.5 - side * 0.36), horizon + stage.px(80), stage.px(520)),
            (w * (0.5 + side * 0.47), horizon + stage.px(120), stage.px(600)),
        ],
        away=0.04,
        sway=20,
        flutter=2.2,
    )
    airborne(stage, horizon)
