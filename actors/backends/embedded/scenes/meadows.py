"""Fields, meadows, snowfields, crops and lawns, with whatever stands on them.

What a reader gets wrong: one builder draws many scenes; what differs stands in the taxonomy's `options`, not
here.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    blank,
    fbm,
    mix,
    on_ground,
    premultiplied,
    rgb,
    rgba,
    smoothstep,
    tile_noise,
)
from actors.backends.embedded.scenes.farmsteads import _barn, _cabin, _pumpkins, _windmill
from actors.backends.embedded.scenes.motion import Shade, Swaying
from actors.backends.embedded.scenes.parts import (
    airborne,
    far_trees,
    fog,
    grove,
    hills,
    meadow,
    mountains,
    tree_bank,
)
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import (
    ground_picture,
    paint_ground,
)


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
        grove(stage, bank, places, away=0.4, sway=9, flutter=1.4)
        near = [
            (w * float(rng.uniform(-0.02, 0.12)), horizon + stage.px(110), stage.px(430)),
            (w * float(rng.uniform(0.9, 1.03)), horizon + stage.px(90), stage.px(400)),
        ]
        grove(stage, bank, near, away=0.08, sway=22, flutter=2.0)


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
            for ring, yellow in ((1.0, "#dd9a16"), (0.86, "#f7c325")):
                c = rgba(stage.hazed(stage.lit(rgb(yellow), 0.95), away))
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
