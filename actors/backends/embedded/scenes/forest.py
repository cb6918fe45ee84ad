"""Forests: trunks behind trunks, undergrowth, hanging boughs, a campfire.

What a reader gets wrong: trunks stay still; leaves and ferns are layers of their own that sway.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    blank,
    fbm,
    mix,
    on_ground,
    rgb,
    rgba,
    smoothstep,
    tile_noise,
)
from actors.backends.embedded.scenes.figures import Walkers
from actors.backends.embedded.scenes.lights import Beams, Fire, Lamps, glow_sprite
from actors.backends.embedded.scenes.motion import Shade, Swaying
from actors.backends.embedded.scenes.parts import airborne, far_trees, fog, grove, leafage, tree_bank
from actors.backends.embedded.scenes.plants import _leaves, blades, flower_heads
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import ground_picture, paint_ground


def forest(stage: Stage) -> None:
    """Trees both sides of a path or clearing, one species or one colouring."""
    rng, w, h = stage.rng, stage.width, stage.height
    species = str(stage.option("species", "broadleaf"))
    density = stage.number("density", 0.7)
    horizon = stage.row(float(rng.uniform(0.5, 0.56)))
    night = stage.spec.light.stars > 0.5
    if stage.option("fire"):
        stage.ambient, stage.key = stage.ambient * 1.9, np.minimum(stage.key * 1.4, 1)
    paint_sky(stage, horizon, clouds=None if density < 0.8 else 0.2)
    spiky = 0.85 if species in ("pine", "snowpine") else 0.0
    for high, away in ((190, 0.85), (140, 0.65)):
        far_trees(stage, horizon + 5, tall=high * (0.7 + 0.5 * density), distance=away, spiky=spiky)
    _forest_floor(stage, horizon)
    leaves = 4200 if species != "birch" else 3000
    bank = tree_bank(
        stage, species, int(stage.px(560)), 3 if species not in ("pine", "snowpine") else 2, leaves=leaves
    )
    rows = h - horizon
    trunks = density * 10
    for k, (u, away) in enumerate(((0.05, 0.62), (0.11, 0.45), (0.22, 0.26), (0.42, 0.08))):
        n = max(int(trunks * (1.5 - 0.4 * k)), 2)
        tall = stage.px(190 + 1080 * u) * (1.12 if spiky else 1.0)
        gap = (0.05 + 0.30 * u) if density < 0.85 else (0.04 + 0.26 * u)
        places = []
        for i in range(n):
            side = -1 if i % 2 else 1
            x = 0.5 + side * (gap + float(rng.random()) * (0.62 - gap) * (0.9 if k < 3 else 0.8))
            places.append(
                (
                    w * x,
                    horizon + rows * u * float(rng.uniform(0.8, 1.2)),
                    tall * float(rng.uniform(0.82, 1.15)),
                )
            )
        if species == "birch":
            _birch_trunks(stage, places, away)
        grove(
            stage,
            bank,
            places,
            away=away,
            sway=4 + 8 * u * 2,
            flutter=0.7 + 1.6 * u,
            glint=0.14,
            blur=0.0 if k > 1 else 0.6,
        )
        if k == 1 and (stage.option("fog") or stage.has("mist_drifts")):
            fog(stage, horizon - int(stage.px(90)), horizon + int(stage.px(110)), strength=0.6)
    if stage.has("people_walk"):
        lanes = [
            (
                w * (0.5 + s * 0.012),
                horizon + rows * 0.06,
                w * (0.5 + s * 0.07),
                horizon + rows * 0.17,
                stage.px(34),
                stage.px(70),
            )
            for s in (-1, 1, 0.4)
        ]
        stage.add(
            Walkers(
                rng,
                [lanes[0], (*lanes[1][2:4], *lanes[1][0:2], lanes[1][5], lanes[1][4]), lanes[2]],
                tint=stage.key,
                bright=0.8,
                speed=10,
            )
        )
    if stage.option("fire"):
        _campfire(stage, horizon)
    if stage.option("grass") or species in ("pine",):
        _undergrowth(stage, horizon, flowers=bool(stage.option("flowers")))
    if stage.option("flowers"):
        pass
    if species not in ("pine", "snowpine"):
        _hanging_boughs(stage, species)
    if stage.option("rays") or stage.has("light_rays"):
        mask = np.ones((h, w), np.float32)
        y = np.arange(h, dtype=np.float32)[:, None]
        mask *= smoothstep(h * 1.0, h * 0.35, y)
        stage.add(Beams(rng, mask, (stage.sun_x * w, -0.25 * h), stage.sun, strength=0.24, fine=9))
    if stage.option("fog"):
        fog(stage, horizon + int(stage.px(10)), horizon + int(stage.px(220)), strength=0.4, speed=80)
    airborne(stage, horizon)
    if night:
        stage.vignette = 0.45


def _forest_floor(stage: Stage, horizon: int) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    snow = stage.spec.palette.get("soil") == "#dfe6ee"
    if snow:
        white = rgb("#eef2f7")
        picture = ground_picture(
            stage, horizon, white * 0.84, white, texture="gravel", scale=0.9, rough=0.08, patch=0.9
        )
        picture *= 1 + 0.06 * on_ground(tile_noise(rng, 512, 2.0), horizon, h, w, scale=0.5)[..., None]
        picture = np.clip(picture, 0, 1)
    elif stage.option("litter"):
        soil, leaf, lit = stage.colour("soil"), stage.colour("foliage"), stage.colour("foliage_lit")
        picture = ground_picture(
            stage,
            horizon,
            mix(soil, leaf, 0.4) * 0.75,
            mix(leaf, lit, 0.4),
            texture="grass",
            scale=2.6,
            rough=0.85,
            patch=0.8,
        )
    else:
        picture = ground_picture(
            stage,
            horizon,
            stage.colour("grass") * 0.55,
            mix(stage.colour("grass"), stage.colour("grass_tip"), 0.6),
            texture="grass",
            scale=1.9,
            rough=0.75,
        )
    if stage.option("path"):
        rows = h - horizon
        y = np.arange(rows, dtype=np.float32)[:, None] / rows
        x = np.arange(w, dtype=np.float32)[None, :] / w
        bend = float(rng.uniform(-0.12, 0.12))
        centre = 0.5 + bend * (1 - y) * y * 2
        half = 0.012 + 0.27 * y
        ragged = 0.22 * (fbm(rng, rows, w, cell=34, octaves=4) - 0.5)
        inside = smoothstep(1.0, 0.86, np.abs(x - centre) / half + ragged)
        soil = rgb("#e8edf3") * 0.94 if snow else mix(stage.colour("soil"), rgb("#b8ab98"), 0.35)
        lane = ground_picture(
            stage, horizon, soil * 0.82, soil * 1.08, texture="gravel", scale=2.0, rough=0.1 if snow else 0.4
        )
        picture = mix(picture, lane, inside * (0.92 if not snow else 0.6))
    paint_ground(stage, horizon, picture)
    mask = np.zeros((h, w), np.float32)
    mask[horizon + 6 :] = 1
    if stage.spec.light.stars < 0.5 and not snow:
        depth = 0.34 if stage.has("light_dapples") or stage.has("light_rays") else 0.2
        stage.add(Shade(rng, mask, depth=depth, size=stage.px(64), flat=2.6, hard=1.7, tint=(1, 1, 0.95)))


def _birch_trunks(stage: Stage, places: list[tuple[float, float, float]], away: float) -> None:
    rng = stage.rng
    layer = blank(stage.height, stage.width)
    white = stage.hazed(stage.lit(rgb("#e9e5da"), 0.8), away)
    for x, foot, tall in sorted(places, key=lambda p: p[1]):
        wide = tall * 0.017
        for k in range(5):
            a = -1 + k * 0.5
            tone = white * float(np.clip(0.75 + 0.3 * a * stage.sun_side, 0.45, 1.05))
            cv2.line(
                layer,
                (int((x + a * wide * 0.7) * 8), int(foot * 8)),
                (int((x + a * wide * 0.35) * 8), int((foot - tall * 0.72) * 8)),
                rgba(tone),
                max(int(wide * 0.6), 1),
                cv2.LINE_AA,
                3,
            )
        for _ in range(16):
            y = foot - tall * float(rng.uniform(0.02, 0.68))
            cv2.line(
                layer,
                (int(x - wide * float(rng.uniform(0.2, 1))), int(y)),
                (int(x + wide * float(rng.uniform(0, 0.8))), int(y + 1)),
                rgba(white * 0.25, 0.8),
                max(int(tall * 0.006), 1),
                cv2.LINE_AA,
            )
    stage.add_still(layer)


def _hanging_boughs(stage: Stage, species: str) -> None:
    """Leafy boughs that hang into the picture from above, out of focus a little."""
    rng, w, h = stage.rng, stage.width, stage.height
    layer = blank(h, w)
    weight = np.zeros((h, w), np.float32)
    own = leafage(stage)
    for side in (-1, 1):
        for _ in range(5):
            x0 = w * (0.5 + side * float(rng.uniform(0.34, 0.56)))
            length = stage.px(float(rng.uniform(150, 330)))
            angle = np.pi / 2 + side * float(rng.uniform(0.35, 1.15))
            t = np.linspace(0, 1, 14)
            bx = x0 + np.cos(angle) * length * t
            by = -20 + np.sin(angle) * length * 0.75 * t + 16 * t**2
            points = (np.stack([bx, by], -1) * 8).astype(np.int32)
            cv2.polylines(layer, [points], False, rgba(own.wood), max(int(stage.px(5)), 1), cv2.LINE_AA, 3)
            n = 340
            pick = rng.integers(0, 14, n)
            xs = bx[pick] + rng.normal(0, stage.px(30), n)
            ys = by[pick] + rng.normal(0, stage.px(24), n) + stage.px(8)
            shade = np.clip(0.42 + 0.3 * (ys - by[pick]) / stage.px(-40) + rng.normal(0, 0.22, n), 0, 1)
            size = stage.px(7.5 if species != "blossom" else 6) * rng.uniform(0.6, 1.3, n)
            _leaves(
                layer,
                rng,
                xs.astype(np.float32),
                ys.astype(np.float32),
                size.astype(np.float32),
                shade.astype(np.float32),
                own,
                slim=0.5 if species != "blossom" else 0.85,
            )
    y = np.arange(h, dtype=np.float32)[:, None]
    weight[:] = np.clip((y + stage.px(30)) / stage.px(260), 0, 1)
    stage.add(
        Swaying(
            np.asarray(cv2.GaussianBlur(layer, (0, 0), stage.px(1.2)), np.uint8),
            weight,
            stage.wind,
            sway=stage.px(24),
            flutter=stage.px(3),
            glint=0.16,
            drop=0.3,
        )
    )


def _undergrowth(stage: Stage, horizon: int, flowers: bool = False) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    rows = h - horizon
    for u in (0.18, 0.4, 0.68, 1.02):
        foot = horizon + rows * u
        high = stage.px(16 + 64 * u)
        layer, weight = blades(
            rng,
            h,
            w,
            foot=(foot - rows * 0.1, foot + rows * 0.08),
            tall=high,
            count=int(2400 - 900 * u),
            dark=stage.hazed(stage.lit(stage.colour("grass") * 0.75, 0.4), 0.5 * (1 - u)),
            tip=stage.hazed(stage.lit(stage.colour("grass_tip"), 0.9), 0.5 * (1 - u)),
            thin=1.4,
        )
        if flowers:
            colours = [
                stage.lit(rgb(c), 0.9) for c in ("#e86a9a", "#f4f1ea", "#8a6fd8", "#f2b83a", "#e8583c")
            ]
            flower_heads(
                layer,
                rng,
                foot=(foot - rows * 0.1, foot),
                tall=high * 1.15,
                count=int(230 - 100 * u),
                colours=colours,
                size=stage.px(3 + 7 * u),
                stem=stage.lit(stage.colour("grass"), 0.4),
            )
        if stage.option("fire") and 0.3 < u < 0.9:
            beside = np.abs(np.arange(w, dtype=np.float32) - stage.sun_x * w)
            keep = smoothstep(stage.px(90), stage.px(170), beside)
            layer = (layer * keep[None, :, None]).astype(np.uint8)
        if stage.option("path"):
            x = np.abs(np.arange(w, dtype=np.float32) / w - 0.5)
            half = 0.012 + 0.27 * u
            keep = smoothstep(half * 0.95, half * 1.25, x)
            layer = (layer * keep[None, :, None]).astype(np.uint8)
        stage.add(Swaying(layer, weight, stage.wind, sway=stage.px(5 + 10 * u), flutter=0.5, sheen=0.14))


def _campfire(stage: Stage, horizon: int) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    x, y = w * (0.2 if rng.random() < 0.5 else 0.8), horizon + (h - horizon) * 0.5
    layer = blank(h, w)
    for k in range(13):
        a = 2 * np.pi * k / 13
        at = (int(x + np.cos(a) * stage.px(74)), int(y + np.sin(a) * stage.px(20) + 6))
        cv2.ellipse(
            layer,
            at,
            (int(stage.px(15)), int(stage.px(11))),
            0,
            0,
            360,
            rgba(rgb("#6a4a36") * float(rng.uniform(0.5, 1.1))),
            -1,
            cv2.LINE_AA,
        )
    for k in range(6):
        a = float(rng.uniform(-0.5, 0.5))
        cv2.line(
            layer,
            (int(x - stage.px(46)), int(y + 8 - k)),
            (int(x + stage.px(46) * np.cos(a)), int(y - stage.px(30) * abs(np.sin(a * 2)) - k * 2)),
            rgba(rgb("#4a2c18")),
            int(stage.px(9)),
            cv2.LINE_AA,
        )
    stage.add_still(layer)
    stage.add(Fire(rng, int(x), int(y + stage.px(8)), int(stage.px(150)), int(stage.px(210))))
    big = glow_sprite(rgb("#ff8a34"), int(stage.px(1500)) | 1, 0.8)
    small = glow_sprite(rgb("#ffab54"), int(stage.px(460)) | 1, 0.5)
    stage.add(
        Lamps(rng, [(x, y - stage.px(60)), (x, y - stage.px(40))], [big, small], depth=0.62, lively=1.2)
    )
    stage.sun_x = x / w
