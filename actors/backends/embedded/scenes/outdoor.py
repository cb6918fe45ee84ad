"""Open land: fields and meadows, vineyards, rolling hills, melting snow, deserts.

What a reader gets wrong: one builder draws many scenes; what differs stands in the taxonomy's `options`, not
here.
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
    rgba,
    smoothstep,
    tile_noise,
)
from actors.backends.embedded.scenes.figures import Plume, Sails
from actors.backends.embedded.scenes.lights import glow_sprite
from actors.backends.embedded.scenes.motion import Shade, Swaying, Veil
from actors.backends.embedded.scenes.particles import Drift, Swarm, dot_sprites
from actors.backends.embedded.scenes.parts import (
    airborne,
    far_trees,
    fog,
    grove,
    hills,
    leafage,
    meadow,
    mountains,
    tree_bank,
)
from actors.backends.embedded.scenes.plants import Leafage, blades
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import (
    dunes,
    ground_picture,
    mesas,
    paint_ground,
    render_terrain,
    ridged,
    rolling,
)
from actors.backends.embedded.scenes.water import Mirror


def field(stage: Stage) -> None:
    """Meadow, prairie, crop or lawn, with whatever stands on it."""
    rng, w = stage.rng, stage.width
    horizon = stage.row(float(rng.uniform(0.46, 0.53)))
    paint_sky(stage, horizon)
    peaks = stage.number("mountains", 0)
    if peaks:
        mountains(stage, horizon, tall=peaks, snow=0.9 if stage.option("snow") else 0.65)
    elif not stage.option("snow") and stage.spec.palette.get("grass") != stage.spec.palette.get("soil"):
        hills(stage, horizon, tall=float(rng.uniform(0.5, 0.9)))
    if stage.option("treeline") or (stage.option("rows") and rng.random() < 0.7):
        far_trees(
            stage,
            horizon + 3,
            tall=float(rng.uniform(34, 58)),
            distance=0.5,
            spiky=0.8 if stage.option("snow") else 0.1,
        )
    feature = str(stage.option("feature", ""))
    tall = stage.number("tall", 0.4)
    if feature == "barn":
        _barn(stage, horizon)
    elif feature == "windmill":
        _windmill(stage, horizon)
    if stage.option("snow"):
        _snowfield(stage, horizon)
    elif stage.option("sunflowers"):
        _sunflowers(stage, horizon)
    elif stage.option("rows"):
        _crop_rows(stage, horizon)
    else:
        flowers = stage.number("flowers", 0)
        colours = [rgb(c) for c in ("#f4f1ea", "#f2c53a", "#d8567c", "#7a6fd0", "#e8742c")]
        if stage.spec.palette.get("grass_tip") == "#f2f5f8":
            flowers = 0.0
        meadow(
            stage,
            horizon,
            tall=tall,
            flowers=flowers,
            flower_colours=colours,
            heads=stage.spec.palette.get("grass_tip") in ("#f0d386", "#e8cf8c"),
        )
    if feature == "road":
        _road(stage, horizon)
    if feature in ("tree", "trees", "acacia"):
        _field_trees(stage, horizon, feature)
    if feature == "cabin":
        _cabin(stage, horizon)
    if stage.option("pumpkins"):
        _pumpkins(stage, horizon)
    if stage.option("fog") or stage.has("mist_drifts"):
        fog(
            stage,
            horizon - int(stage.px(70)),
            horizon + int(stage.px(190)),
            strength=0.75 if stage.option("pumpkins") else 0.5,
        )
    if stage.spec.builder == "field" and "soft shadows" in " ".join(stage.spec.motion) + "their shadows":
        mask = np.zeros((stage.height, w), np.float32)
        mask[horizon + 4 :] = 1
        if stage.has("clouds_drift") and tall < 0.45 and not stage.option("snow"):
            stage.add(
                Shade(rng, mask, depth=0.12, size=stage.px(420), speed=(stage.px(60), 0), flat=3.0, beta=2.4)
            )
    airborne(stage, horizon)


def _field_trees(stage: Stage, horizon: int, feature: str) -> None:
    rng, w = stage.rng, stage.width
    species = "acacia" if feature == "acacia" else "broadleaf"
    bank = tree_bank(stage, species, int(stage.px(430)), 2, leaves=3600)
    far = [
        (float(rng.uniform(0, w)), horizon + stage.px(10), stage.px(float(rng.uniform(50, 90))))
        for _ in range(9)
    ]
    grove(stage, bank, far, away=0.6, sway=3, flutter=0.6)
    side = 0.12 if rng.random() < 0.5 else 0.88
    near = [
        (
            w * (side + float(rng.uniform(-0.06, 0.06))),
            horizon + stage.px(70),
            stage.px(float(rng.uniform(360, 440))),
        )
    ]
    if feature == "trees":
        near.append((w * (1 - side), horizon + stage.px(36), stage.px(float(rng.uniform(200, 260)))))
    grove(stage, bank, near, away=0.06, sway=10)


def _snowfield(stage: Stage, horizon: int) -> None:
    white = rgb("#f1f4f8")
    picture = ground_picture(
        stage, horizon, white * 0.86, white, texture="gravel", scale=0.8, rough=0.06, patch=0.9
    )
    drift = on_ground(tile_noise(stage.rng, 512, 2.2), horizon, stage.height, stage.width, scale=0.3)
    picture = np.clip(picture * (1 + 0.07 * drift[..., None] * np.array((1.1, 1.0, 0.85))), 0, 1).astype(
        np.float32
    )
    paint_ground(stage, horizon, picture)
    if stage.option("treeline"):
        bank = tree_bank(stage, "snowpine", int(stage.px(360)), 2)
        rng, w = stage.rng, stage.width
        places = [
            (
                float(rng.uniform(0, w)),
                horizon + stage.px(float(rng.uniform(8, 26))),
                stage.px(float(rng.uniform(90, 150))),
            )
            for _ in range(22)
        ]
        grove(stage, bank, places, away=0.4, sway=4, flutter=0.6)
        near = [
            (w * float(rng.uniform(-0.02, 0.12)), horizon + stage.px(110), stage.px(430)),
            (w * float(rng.uniform(0.9, 1.03)), horizon + stage.px(90), stage.px(400)),
        ]
        grove(stage, bank, near, away=0.08, sway=8, flutter=0.8)


def _crop_rows(stage: Stage, horizon: int) -> None:
    """Rows that run to a vanishing point (lavender), or bands of colour across (tulips)."""
    rng, w, h = stage.rng, stage.width, stage.height
    rows = h - horizon
    y = np.arange(rows, dtype=np.float32)[:, None] + 1
    x = (np.arange(w, dtype=np.float32)[None, :] - w * float(rng.uniform(0.4, 0.6))) * rows / y
    lane = (x / stage.px(150)) % 1.0
    ridge = np.clip(1 - np.abs(lane - 0.5) * 2.6, 0, 1)
    clumps = on_ground(tile_noise(rng, 512, 1.2), horizon, h, w, scale=1.2) * 0.18
    soil, crop, tip = stage.colour("soil"), stage.colour("grass"), stage.colour("grass_tip")
    if stage.option("tulips"):
        colours = np.stack(
            [rgb(c) for c in ("#d8342c", "#f2c230", "#e86a9a", "#f0e6dc", "#8a3a8c", "#ee7a2a")]
        )
        index = (np.floor(x / stage.px(150)).astype(int)) % len(colours)
        tip3 = colours[index]
        crop3 = tip3 * 0.55 + stage.colour("foliage") * 0.25
    else:
        tip3, crop3 = np.broadcast_to(tip, (*ridge.shape, 3)), np.broadcast_to(crop, (*ridge.shape, 3))
    shade = np.clip(ridge * 1.1 + clumps, 0, 1)
    body = mix(crop3 * 0.55, tip3, np.clip(shade * 0.9 + clumps, 0, 1))
    near = smoothstep(0.02, 0.25, y / rows)
    cover = smoothstep(0.08, 0.35, ridge + clumps * 0.7) * near + (1 - near)
    picture = mix(np.broadcast_to(soil * 0.62, body.shape), body, cover)
    picture = stage.hazed(
        stage.lit(np.clip(picture, 0, 1), 0.75), np.broadcast_to((1 - (y / rows) ** 0.5) * 0.75, ridge.shape)
    )
    meadow(stage, horizon, tall=0.0, ground=picture, sheen=0.14)
    for k in range(5):
        u = ((k + 0.7) / 5) ** 1.2
        foot = horizon + (h * 1.05 - horizon) * u
        layer = blank(h, w)
        count = int(1500 - 700 * u)
        lanes = rng.integers(-14, 15, count) + 0.5 + rng.normal(0, 0.13, count)
        depth_rows = rng.uniform(-0.1, 0.08, count) * rows * 0.9
        foot_y = np.sort(np.clip(foot + depth_rows, horizon + 4, h + 60))
        x0 = float(w * 0.5 + (np.argmax(ridge[-1]) * 0))
        vx = w * 0.5 if x0 else 0
        shift = (np.arange(w)[np.argmin(np.abs(x[-1]))] - vx) * 1.0
        px = vx + shift + (lanes * stage.px(150)) * (foot_y - horizon) / rows
        high = stage.px(105) * (foot_y - horizon) / rows * rng.uniform(0.7, 1.1, count)
        away = float(np.clip(0.75 - u, 0, 1)) * 0.7
        if stage.option("tulips"):
            palette = [stage.hazed(stage.lit(c, 0.9), away) for c in colours]
            stem = rgba(stage.hazed(stage.lit(stage.colour("foliage"), 0.5), away))
            which = (np.floor(lanes).astype(int)) % len(palette)
        else:
            palette = [stage.hazed(stage.lit(mix(crop, tip, t), 0.9), away) for t in (0.2, 0.6, 1.0)]
            stem = rgba(stage.hazed(stage.lit(stage.colour("foliage") * 0.9, 0.5), away))
            which = rng.integers(0, 3, count)
        for i in range(count):
            if not -30 < px[i] < w + 30:
                continue
            top = foot_y[i] - high[i]
            lean = rng.normal(0, 0.12) * high[i]
            cv2.line(
                layer,
                (int(px[i] * 8), int(foot_y[i] * 8)),
                (int((px[i] + lean) * 8), int(top * 8)),
                stem,
                1,
                cv2.LINE_AA,
                3,
            )
            r = max(high[i] * (0.1 if stage.option("tulips") else 0.055), 0.9)
            long_ = r * (1.25 if stage.option("tulips") else 4.2)
            c = palette[which[i]] * rng.uniform(0.85, 1.08)
            cv2.ellipse(
                layer,
                (int(px[i] + lean), int(top)),
                (max(int(r), 1), max(int(long_), 1)),
                0,
                0,
                360,
                rgba(c),
                -1,
                cv2.LINE_AA,
            )
            if r > 3 and stage.option("tulips"):
                cv2.ellipse(
                    layer,
                    (int(px[i] + lean - r * 0.25), int(top - r * 0.2)),
                    (max(int(r * 0.4), 1), max(int(long_ * 0.6), 1)),
                    0,
                    0,
                    360,
                    rgba(np.minimum(c * 1.15, 1)),
                    -1,
                    cv2.LINE_AA,
                )
        tall_px = stage.px(105) * (foot - horizon) / rows
        yy = np.arange(h, dtype=np.float32)[:, None]
        weight = np.clip((foot - yy) / max(tall_px, 4), 0, 1.1) ** 1.4 * np.ones((1, w), np.float32)
        stage.add(
            Swaying(layer, weight, stage.wind, sway=stage.px(3) + tall_px * 0.2, flutter=0.5, sheen=0.1)
        )


def _sunflowers(stage: Stage, horizon: int) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    meadow(stage, horizon, tall=0.0)
    leaf_dark, leaf_lit = stage.colour("foliage"), stage.colour("foliage_lit")
    for k in range(6):
        u = ((k + 0.8) / 6) ** 1.5
        foot = horizon + (h * 1.5 - horizon) * u
        high = stage.px(400) * u
        r = stage.px(46) * u
        away = float(np.clip(0.8 - u * 1.3, 0, 1)) * 0.7
        layer = blank(h, w)
        gap = max(r * 1.9, 6)
        for x in np.arange(-gap, w + gap, gap) + rng.normal(
            0, gap * 0.22, len(np.arange(-gap, w + gap, gap))
        ):
            top = foot - high * float(rng.uniform(0.88, 1.08))
            size = r * float(rng.uniform(0.8, 1.15))
            stem = rgba(stage.hazed(stage.lit(leaf_dark, 0.5), away))
            cv2.line(
                layer,
                (int(x * 8), int(min(foot, h + 40) * 8)),
                (int(x * 8), int(top * 8)),
                stem,
                max(int(size * 0.16), 1),
                cv2.LINE_AA,
                3,
            )
            for j in range(5):
                y = top + size * 1.1 + (high * 0.55) * j / 5
                way = -1 if j % 2 else 1
                tone = rgba(
                    stage.hazed(stage.lit(mix(leaf_dark, leaf_lit, float(rng.uniform(0.1, 0.8))), 0.7), away)
                )
                cv2.ellipse(
                    layer,
                    (int(x + way * size * 0.62), int(y)),
                    (max(int(size * 0.72), 1), max(int(size * 0.36), 1)),
                    way * -22,
                    0,
                    360,
                    tone,
                    -1,
                    cv2.LINE_AA,
                )
            flat = float(rng.uniform(0.72, 0.98))
            petals = 17 if size > 5 else 9
            for ring, tone in ((1.0, "#dd9a16"), (0.86, "#f7c325")):
                c = rgba(stage.hazed(stage.lit(rgb(tone), 0.95), away))
                for a in np.arange(petals) * 2 * np.pi / petals + (0.18 if ring < 1 else 0):
                    at = (
                        int(x + np.cos(a) * size * 0.68 * ring),
                        int(top + np.sin(a) * size * 0.68 * flat * ring),
                    )
                    cv2.ellipse(
                        layer,
                        at,
                        (max(int(size * 0.36), 1), max(int(size * 0.14), 1)),
                        float(np.degrees(np.arctan2(np.sin(a) * flat, np.cos(a)))),
                        0,
                        360,
                        c,
                        -1,
                        cv2.LINE_AA,
                    )
            cv2.ellipse(
                layer,
                (int(x), int(top)),
                (max(int(size * 0.44), 1), max(int(size * 0.44 * flat), 1)),
                0,
                0,
                360,
                rgba(stage.hazed(stage.lit(rgb("#4a2f18"), 0.7), away)),
                -1,
                cv2.LINE_AA,
            )
            cv2.ellipse(
                layer,
                (int(x), int(top)),
                (max(int(size * 0.25), 1), max(int(size * 0.25 * flat), 1)),
                0,
                0,
                360,
                rgba(stage.hazed(stage.lit(rgb("#7a5a24"), 0.7), away)),
                -1,
                cv2.LINE_AA,
            )
        y = np.arange(h, dtype=np.float32)[:, None]
        weight = np.clip((min(foot, h * 1.2) - y) / high, 0, 1.1) ** 1.5 * np.ones((1, w), np.float32)
        stage.add(Swaying(layer, weight, stage.wind, sway=stage.px(5) + high * 0.06, flutter=1.0, sheen=0.1))


def _barn(stage: Stage, horizon: int) -> None:
    rng = stage.rng
    layer = blank(stage.height, stage.width)
    left = bool(rng.random() < 0.5)
    x0, width = stage.width * (0.06 if left else 0.64), stage.px(330)
    base, eave, ridge = horizon + stage.px(26), horizon - stage.px(88), horizon - stage.px(160)
    gable = width * 0.36
    red, roof = rgb("#8c3a2a"), rgb("#6f6660")

    def quad(points: list[tuple[float, float]], colour: Array) -> None:
        cv2.fillConvexPoly(layer, (np.array(points) * 8).astype(np.int32), rgba(colour), cv2.LINE_AA, 3)

    side_light = 0.85 if (stage.sun_side < 0) == left else 0.35
    quad(
        [(x0 + gable, eave), (x0 + width, eave + 6), (x0 + width, base), (x0 + gable, base)],
        stage.lit(red, 0.35 + 0.5 * (1 - side_light)),
    )
    quad(
        [(x0, eave), (x0 + gable / 2, ridge), (x0 + gable, eave), (x0 + gable, base), (x0, base)],
        stage.lit(red, side_light),
    )
    quad(
        [
            (x0 + gable / 2 - 6, ridge - 6),
            (x0 + width - gable * 0.36, ridge),
            (x0 + width + 8, eave + 12),
            (x0 + gable - 4, eave + 6),
        ],
        stage.lit(roof, 0.9),
    )
    quad(
        [
            (x0 + gable * 0.3, base),
            (x0 + gable * 0.3, base - 74),
            (x0 + gable * 0.7, base - 74),
            (x0 + gable * 0.7, base),
        ],
        stage.lit(red * 0.3, 0.2),
    )
    quad(
        [
            (x0 + gable * 0.42, eave - 2),
            (x0 + gable * 0.58, eave - 2),
            (x0 + gable * 0.58, eave - 26),
            (x0 + gable * 0.42, eave - 26),
        ],
        stage.lit(red * 0.3, 0.2),
    )
    boards = fbm(rng, stage.height, stage.width, cell=7, octaves=2, stretch=0.25)
    grey = layer[..., :3].astype(np.float32) * (0.8 + 0.4 * boards[..., None])
    layer[..., :3] = np.minimum(np.clip(grey, 0, 255), layer[..., 3:4]).astype(np.uint8)
    hazy = layer[..., :3].astype(np.float32) * 0.86 + (stage.haze * 255 * 0.14) * (layer[..., 3:4] / 255)
    layer[..., :3] = np.clip(hazy, 0, 255).astype(np.uint8)
    stage.add_still(cv2.GaussianBlur(layer, (0, 0), 0.7))


def _windmill(stage: Stage, horizon: int) -> None:
    rng = stage.rng
    x = stage.width * (0.16 if rng.random() < 0.5 else 0.84) + stage.px(float(rng.uniform(-30, 30)))
    base, top = horizon + stage.px(20), horizon - stage.px(190)
    layer = blank(stage.height, stage.width)
    wall, wide = rgb("#d9cfbd"), stage.px(46)
    for k in range(24):
        a, b = -1 + k / 12, -1 + (k + 1) / 12
        light = np.clip(0.5 + 0.6 * (a + b) / 2 * stage.sun_side - 0.15 * abs(a), 0.05, 1)
        quad = np.array(
            [
                (x + a * wide, base),
                (x + b * wide, base),
                (x + b * wide * 0.66, top),
                (x + a * wide * 0.66, top),
            ]
        )
        cv2.fillConvexPoly(
            layer, (quad * 8).astype(np.int32), rgba(stage.hazed(stage.lit(wall, light), 0.1)), cv2.LINE_AA, 3
        )
    cap = np.array(
        [
            (x - wide * 0.78, top + 6),
            (x + wide * 0.78, top + 6),
            (x + wide * 0.3, top - stage.px(40)),
            (x - wide * 0.3, top - stage.px(40)),
        ]
    )
    cv2.fillConvexPoly(
        layer, (cap * 8).astype(np.int32), rgba(stage.lit(rgb("#5a4a3c"), 0.6)), cv2.LINE_AA, 3
    )
    for dy in (70, 128):
        cv2.ellipse(
            layer,
            (int(x), int(top + stage.px(dy))),
            (int(stage.px(7)), int(stage.px(11))),
            0,
            0,
            360,
            rgba(wall * 0.2),
            -1,
            cv2.LINE_AA,
        )
    stage.add_still(cv2.GaussianBlur(layer, (0, 0), 0.7))
    n = int(stage.px(330))
    sails = blank(n, n)
    c = n / 2
    for k in range(4):
        a = k * np.pi / 2 + 0.4
        ux, uy, vx, vy = np.cos(a), np.sin(a), -np.sin(a), np.cos(a)
        cv2.line(
            sails,
            (int(c * 8), int(c * 8)),
            (int((c + ux * n * 0.48) * 8), int((c + uy * n * 0.48) * 8)),
            rgba(stage.lit(rgb("#5a4632"), 0.6)),
            4,
            cv2.LINE_AA,
            3,
        )
        lo, hi, wd = n * 0.1, n * 0.47, n * 0.075
        cloth = np.array(
            [
                (c + ux * lo + vx * 3, c + uy * lo + vy * 3),
                (c + ux * hi + vx * 3, c + uy * hi + vy * 3),
                (c + ux * hi + vx * wd, c + uy * hi + vy * wd),
                (c + ux * lo + vx * wd, c + uy * lo + vy * wd),
            ]
        )
        cv2.fillConvexPoly(
            sails, (cloth * 8).astype(np.int32), rgba(stage.lit(rgb("#efe6d2"), 0.9), 0.85), cv2.LINE_AA, 3
        )
        for j in range(7):
            p = lo + (hi - lo) * j / 6
            cv2.line(
                sails,
                (int((c + ux * p) * 8), int((c + uy * p) * 8)),
                (int((c + ux * p + vx * wd) * 8), int((c + uy * p + vy * wd) * 8)),
                rgba(stage.lit(rgb("#6a543c"), 0.5)),
                1,
                cv2.LINE_AA,
                3,
            )
    stage.add(Sails(sails, x, top - stage.px(8), turns_per_s=0.11))


def _road(stage: Stage, horizon: int) -> None:
    w, h = stage.width, stage.height
    rows = h - horizon
    vx = w * 0.5 + stage.px(float(stage.rng.uniform(-120, 120)))
    y = np.arange(rows, dtype=np.float32)[:, None]
    x = np.arange(w, dtype=np.float32)[None, :]
    half = 3 + (y / rows) * w * 0.34
    centre = vx + (w * 0.5 - vx) * (y / rows)
    offset = np.abs(x - centre) / half
    edge = fbm(stage.rng, rows, w, cell=30, octaves=3) * 0.12
    alpha = smoothstep(1.02, 0.93, offset + edge)
    tar = ground_picture(
        stage, horizon, rgb("#75706a"), rgb("#8d8780"), texture="gravel", scale=2.4, rough=0.25
    )
    stripe = (np.abs(offset) < 0.022) & (((rows / (y + 3)) * 2.2 % 1.0) < 0.5)
    tar = mix(tar, stage.lit(rgb("#e6dfcf"), 0.8), stripe.astype(np.float32) * 0.8)
    full, a = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.float32)
    full[horizon:], a[horizon:] = tar, alpha
    stage.add_still(premultiplied(full, a))


def _cabin(stage: Stage, horizon: int) -> None:
    rng = stage.rng
    layer = blank(stage.height, stage.width)
    left = bool(rng.random() < 0.5)
    x0 = stage.width * (0.13 if left else 0.66)
    base, w = horizon + stage.px(64), stage.px(250)
    eave, ridge = base - stage.px(92), base - stage.px(170)
    wood, snow = rgb("#6a4a34"), stage.lit(rgb("#f3f6fa"), 0.85)
    cv2.fillConvexPoly(
        layer,
        np.array([(x0, eave), (x0 + w, eave), (x0 + w, base), (x0, base)]).astype(np.int32),
        rgba(stage.lit(wood, 0.5)),
        cv2.LINE_AA,
    )
    for k in range(9):
        y = int(eave + (base - eave) * k / 9)
        cv2.line(layer, (int(x0), y), (int(x0 + w), y), rgba(stage.lit(wood * 0.55, 0.3)), 2, cv2.LINE_AA)
    roof = np.array(
        [(x0 - w * 0.09, eave + 8), (x0 + w * 0.12, ridge), (x0 + w * 0.88, ridge), (x0 + w * 1.09, eave + 8)]
    )
    cv2.fillConvexPoly(layer, roof.astype(np.int32), rgba(snow), cv2.LINE_AA)
    lower = np.array(
        [
            (x0 - w * 0.09, eave + 8),
            (x0 + w * 1.09, eave + 8),
            (x0 + w * 1.07, eave + 16),
            (x0 - w * 0.07, eave + 16),
        ]
    )
    cv2.fillConvexPoly(layer, lower.astype(np.int32), rgba(snow * 0.72), cv2.LINE_AA)
    for u in (0.16, 0.68):
        cv2.rectangle(
            layer,
            (int(x0 + w * u), int(eave + 28)),
            (int(x0 + w * (u + 0.16)), int(eave + 62)),
            rgba(rgb("#ffc766")),
            -1,
        )
        cv2.rectangle(
            layer,
            (int(x0 + w * u), int(eave + 28)),
            (int(x0 + w * (u + 0.16)), int(eave + 62)),
            rgba(stage.lit(wood * 0.5, 0.4)),
            2,
        )
    cv2.rectangle(
        layer,
        (int(x0 + w * 0.43), int(eave + 24)),
        (int(x0 + w * 0.57), int(base)),
        rgba(stage.lit(wood * 0.6, 0.4)),
        -1,
    )
    cx = x0 + w * 0.7
    cv2.rectangle(
        layer,
        (int(cx), int(ridge - stage.px(34))),
        (int(cx + stage.px(22)), int(ridge + 20)),
        rgba(stage.lit(rgb("#7d7672"), 0.5)),
        -1,
    )
    mound = np.zeros((stage.height, stage.width), np.uint8)
    cv2.ellipse(
        mound, (int(x0 + w / 2), int(base + 12)), (int(w * 0.78), int(stage.px(26))), 0, 0, 360, 255, -1
    )
    soft = cv2.GaussianBlur(mound, (0, 0), 6).astype(np.float32) / 255
    stage.add_still(cv2.GaussianBlur(layer, (0, 0), 0.8))
    stage.add_still(premultiplied(snow * 0.95, soft))
    stage.add(
        Plume(
            rng,
            cx + stage.px(11),
            ridge - stage.px(36),
            size=stage.px(26),
            colour=mix(stage.haze, np.ones(3), 0.2),
            strength=0.5,
        )
    )


def _pumpkins(stage: Stage, horizon: int) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    layer = blank(h, w)
    spots = sorted(
        (float(horizon + (h - horizon) * rng.uniform(0.05, 1) ** 1.4), float(rng.uniform(0, w)))
        for _ in range(46)
    )
    for y, x in spots:
        u = (y - horizon) / (h - horizon)
        r = stage.px(5 + 52 * u) * float(rng.uniform(0.75, 1.15))
        away = (1 - u) * 0.8
        for k, at in enumerate((-0.66, 0.66, -0.36, 0.36, 0.0)):
            light = np.clip(0.5 + 0.5 * at * stage.sun_side + 0.1 * k, 0, 1)
            c = stage.hazed(stage.lit(mix(rgb("#b4501a"), rgb("#ef8a30"), light), 0.6), away)
            cv2.ellipse(
                layer,
                (int(x + at * r), int(y)),
                (max(int(r * 0.42), 1), max(int(r * 0.66), 1)),
                0,
                0,
                360,
                rgba(c),
                -1,
                cv2.LINE_AA,
            )
            cv2.ellipse(
                layer,
                (int(x + at * r - r * 0.08), int(y - r * 0.22)),
                (max(int(r * 0.2), 1), max(int(r * 0.3), 1)),
                0,
                0,
                360,
                rgba(np.minimum(c * 1.14, 1)),
                -1,
                cv2.LINE_AA,
            )
        cv2.line(
            layer,
            (int(x), int(y - r * 0.55)),
            (int(x + r * 0.2), int(y - r * 0.95)),
            rgba(stage.lit(rgb("#5a5a30"), 0.5)),
            max(int(r * 0.16), 1),
            cv2.LINE_AA,
        )
    stage.add_still(cv2.GaussianBlur(layer, (0, 0), 0.8))


def vineyard(stage: Stage) -> None:
    """Trellised rows that run away on both sides of a lane, near leaves large."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.42, 0.47)))
    paint_sky(stage, horizon)
    hills(stage, horizon, tall=0.9)
    soil = stage.colour("soil")
    ground = ground_picture(stage, horizon, soil * 0.72, soil * 1.05, texture="gravel", scale=1.8, rough=0.5)
    grass = ground_picture(
        stage,
        horizon,
        stage.colour("grass") * 0.7,
        stage.colour("grass_tip") * 0.85,
        texture="grass",
        scale=1.8,
    )
    rows_n = h - horizon
    y = np.arange(rows_n, dtype=np.float32)[:, None] + 1
    x = (np.arange(w, dtype=np.float32)[None, :] - w * 0.5) * rows_n / y
    lane = np.abs(((x / stage.px(560) + 0.5) % 1.0) - 0.5) * 2
    paint_ground(
        stage, horizon, mix(grass, ground, smoothstep(0.25, 0.55, lane + 0.2 * fbm(rng, rows_n, w, cell=24)))
    )
    dapple = np.zeros((h, w), np.float32)
    dapple[horizon + 8 :] = 1
    stage.add(Shade(rng, dapple, depth=0.28, size=stage.px(70), flat=2.4, hard=1.5))
    leaf_dark, leaf_lit = stage.colour("foliage"), stage.colour("foliage_lit")
    depths = np.geomspace(7.0, 1.02, 7)
    for k, (far, near) in enumerate(zip(depths[:-1], depths[1:], strict=True)):
        layer = blank(h, w)
        weight = np.zeros((h, w), np.float32)
        away = float(np.clip((far - 1.2) / 6, 0, 1)) ** 0.8 * 0.75
        own = leafage(stage, away=away)
        wide = own.lit
        for row_index in (-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5):
            lateral = row_index * stage.px(560)
            if abs(lateral) / far > w * 0.75:
                continue
            n = int(520 / (1 + 0.25 * abs(row_index)))
            z = rng.uniform(near, far, n)
            up = rng.beta(2.2, 1.6, n)
            px = w / 2 + (lateral + rng.normal(0, stage.px(34), n)) / z
            ground_y = horizon + rows_n / z
            py = ground_y - (stage.px(95) + up * stage.px(330)) / z
            inner = -np.sign(row_index)
            shade = np.clip(0.18 + 0.62 * up + 0.25 * inner * stage.sun_side + rng.normal(0, 0.2, n), 0, 1)
            size = stage.px(25) / z * rng.uniform(0.6, 1.2, n)
            order = np.argsort(-z)
            for post in np.arange(np.ceil(near / 0.5) * 0.5, far, 0.5):
                bx, by = w / 2 + lateral / post, horizon + rows_n / post
                cv2.line(
                    layer,
                    (int(bx), int(by)),
                    (int(bx), int(by - stage.px(400) / post)),
                    rgba(own.wood),
                    max(int(stage.px(9) / post), 1),
                    cv2.LINE_AA,
                )
            stems = rng.uniform(near, far, 10)
            for z1 in stems:
                bx, by = w / 2 + lateral / z1, horizon + rows_n / z1
                cv2.line(
                    layer,
                    (int(bx), int(by)),
                    (int(bx + stage.px(14) / z1), int(by - stage.px(180) / z1)),
                    rgba(own.wood),
                    max(int(stage.px(13) / z1), 1),
                    cv2.LINE_AA,
                )
            angle = rng.uniform(0, 6.28, n)
            for i in order:
                if not (-60 < px[i] < w + 60 and -60 < py[i] < h + 60):
                    continue
                colour = mix(own.dark, wide, float(shade[i]))
                _vine_leaf(layer, float(px[i]), float(py[i]), float(size[i]), float(angle[i]), colour)
        yy = np.arange(h, dtype=np.float32)[:, None]
        mid = (near + far) / 2
        weight[:] = np.clip(
            (horizon + rows_n / mid - stage.px(70) / mid - yy) / (stage.px(330) / mid), 0.0, 1
        )
        stage.add(
            Swaying(
                layer,
                weight,
                stage.wind,
                sway=stage.px(15) / near,
                flutter=stage.px(4.5) / near,
                glint=0.2,
                drop=0.3,
            )
        )
        del k
    airborne(stage, horizon)


def _vine_leaf(
    layer: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    x: float,
    y: float,
    size: float,
    angle: float,
    colour: Array,
) -> None:
    if size < 5:
        cv2.circle(layer, (int(x * 8), int(y * 8)), int(max(size, 1.2) * 7), rgba(colour), -1, cv2.LINE_AA, 3)
        return
    a = np.array([0.0, 0.7, 1.25, 1.9, 2.5, 3.14, 3.8, 4.4, 5.0, 5.6]) + angle
    r = size * np.array([1.0, 0.62, 0.95, 0.58, 0.85, 0.4, 0.85, 0.58, 0.95, 0.62])
    outline = np.stack([x + np.cos(a) * r, y + np.sin(a) * r * 0.82], -1)
    cv2.fillPoly(layer, [(outline * 8).astype(np.int32)], rgba(colour), cv2.LINE_AA, 3)
    half = np.vstack([outline[:6], [(x, y)]])
    cv2.fillPoly(layer, [(half * 8).astype(np.int32)], rgba(np.minimum(colour * 1.13, 1)), cv2.LINE_AA, 3)


def hill_country(stage: Stage) -> None:
    """Ranges of hills or mountains one behind the other, fog between them."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.5, 0.56)))
    paint_sky(stage, horizon)
    peaks = bool(stage.option("mountains"))
    silhouette = bool(stage.option("silhouette"))
    ink = stage.spec.style == "ink"
    base = stage.colour("foliage") * (0.25 if silhouette else 0.8)
    light_side = stage.colour("grass") * (0.3 if silhouette else 0.9)
    fog_tone = mix(stage.haze, stage.sky_low, 0.4)
    spans = [(5.0, 11.0, 0.72), (2.7, 4.6, 0.5), (1.6, 2.5, 0.26), (1.0, 1.5, 0.08)]
    for k, (near, far, air) in enumerate(spans):
        heights = ridged(rng, 512) if peaks and k < 3 else rolling(rng, 512, 2.1)

        def paint(height: Array, light: Array, slope: Array, noise: Array) -> Array:
            del slope
            body = mix(
                base, light_side, np.clip(0.35 + 0.5 * (light - 0.5) + 0.22 * noise + 0.2 * height, 0, 1)
            )
            return stage.lit(body, light * (0.25 if silhouette else 0.9))

        rise = (0.62 if peaks else 0.42) * near**0.62 * (1.45 if ink and k < 2 else 1.0)
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
                cell=0.013,
                haze_from=air,
                haze=mix(stage.haze, stage.sky_low, 0.3),
            )
        )
        if k < 3 and (stage.has("fog_drifts") or stage.has("mist_drifts")):
            y0 = horizon + int(stage.px(-50 + 62 * k))
            fog(
                stage,
                y0,
                y0 + int(stage.px(150)),
                strength=0.85 - 0.12 * k,
                colour=fog_tone,
                speed=40 + 26 * k,
                size=300 + 90 * k,
            )
    if stage.option("lanterns"):
        glow = rgb("#ffb45c")
        sprites = [[glow_sprite(glow, s, 0.8, core=1.0)] for s in (15, 23, 35, 51)]
        stage.add(
            Swarm(
                rng,
                sprites,
                Drift(9, -30, 20, 0.16),
                count=46,
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
        grove(stage, bank, places, away=0.1, sway=9, shadows=False)
    if stage.has("grass_sways"):
        _near_grass(stage, dark=silhouette)
    if silhouette:
        _lone_tree(stage, horizon)
    airborne(stage, horizon)


def _near_grass(stage: Stage, dark: bool = False, tall: float = 150) -> None:
    h, w = stage.height, stage.width
    low, tip = stage.colour("grass"), stage.colour("grass_tip")
    if dark:
        low, tip = low * 0.12, tip * 0.3
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
        stage.add(Swaying(layer, weight, stage.wind, sway=stage.px(26), flutter=0.6, sheen=0.1))


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
    patch = on_ground(tile_noise(rng, 512, 1.9), horizon, h, w, scale=0.34)
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
    half = 0.006 + 0.10 * y**1.1
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
            calm=0.2,
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
        keep = cv2.GaussianBlur(
            cv2.dilate(keep, np.ones((int(stage.px(20)), 3), np.uint8), anchor=(1, 0)), (0, 0), 2
        )
        layer = (layer * keep[..., None]).astype(np.uint8)
        stage.add(Swaying(layer, weight, stage.wind, sway=stage.px(4 + 9 * u), flutter=0.4, sheen=0.12))
    grove(
        stage,
        bank,
        [
            (w * (0.5 - side * 0.36), horizon + stage.px(80), stage.px(520)),
            (w * (0.5 + side * 0.47), horizon + stage.px(120), stage.px(600)),
        ],
        away=0.04,
        sway=11,
        flutter=1.6,
    )
    airborne(stage, horizon)


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

        stage.add_still(
            render_terrain(
                stage,
                mesas(rng, 512),
                horizon=horizon + 6,
                near=1.6,
                far=10,
                rise=0.62,
                camera=0.34,
                paint=strata,
                cell=0.016,
                haze_from=0.08,
                steps=360,
            )
        )
        ground = ground_picture(
            stage, int(h * 0.74), sand * 0.8, sand * 1.05, texture="gravel", scale=2.2, rough=0.5
        )
        paint_ground(stage, int(h * 0.74), ground)
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
            stage.add(Swaying(layer, weight, stage.wind, sway=stage.px(16), flutter=0.6, sheen=0.1))
        mask = np.zeros((h, w), np.float32)
        mask[horizon - int(stage.px(60)) : int(h * 0.8)] = 1
        stage.add(
            Shade(
                rng,
                cv2.GaussianBlur(mask, (0, 0), 12),
                depth=0.2,
                size=stage.px(360),
                speed=(stage.px(80), 0),
                flat=3,
                beta=2.3,
            )
        )
        airborne(stage, horizon)
        return

    def sandy(height: Array, light: Array, slope: Array, noise: Array) -> Array:
        del height, slope
        body = mix(sand * 0.86, sand * 1.06, np.clip(0.5 + 0.16 * noise, 0, 1))
        return stage.lit(body, np.clip(light * 1.25 - 0.15, 0, 1))

    field_ = dunes(rng, 512)
    stage.add_still(
        render_terrain(
            stage,
            field_,
            horizon=horizon,
            near=0.9,
            far=10,
            rise=0.36,
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
    for k, (top, bottom, strength, speed) in enumerate(
        (
            (horizon - 26, horizon + 90, 0.5, 150),
            (horizon + 50, horizon + 190, 0.5, 230),
            (start - 40, h, 0.5, 340),
        )
    ):
        middle, half = (top + bottom) / 2, (bottom - top) / 2
        mask = np.exp(-(((y - middle) / (half * 0.75)) ** 2)) * np.ones((1, w), np.float32)
        mask[mask < 0.02] = 0
        way = 1 if stage.wind._direction > 0 else -1
        stage.add(
            Veil(
                rng,
                mask,
                tone,
                strength=strength,
                speed=(way * stage.px(speed), way * stage.px(speed * 1.7)),
                size=stage.px(190 + 60 * k),
                flat=5.0,
                contrast=1.35,
            )
        )
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
