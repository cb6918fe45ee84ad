"""The open sea: beaches, cliffs, piers and terraces above it.

What a reader gets wrong: waves come towards the beach; the horizon and everything on land stay still.
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
from actors.backends.embedded.scenes.headland import _headland
from actors.backends.embedded.scenes.motion import Swaying
from actors.backends.embedded.scenes.parts import (
    airborne,
    leafage,
)
from actors.backends.embedded.scenes.plants import blades, palm, plant
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import ground_picture, paint_ground
from actors.backends.embedded.scenes.water import Surf


def coast(stage: Stage) -> None:
    """Beach, headland, pier, terrace or open sea."""
    rng, w, h = stage.rng, stage.width, stage.height
    kind = str(stage.option("kind", "beach"))
    horizon = stage.row(
        {"beach": 0.44, "headland": 0.42, "pier": 0.46, "terrace": 0.4, "sea": 0.5}[kind]
        + float(rng.uniform(-0.02, 0.03))
    )
    paint_sky(stage, horizon, speed=2.6 if stage.option("rough") or kind == "pier" else 1.8)
    sea, deep = stage.colour("sea", "#2f6f88"), stage.colour("sea_deep", "#1c4a68")
    low = stage.sun_y < 0.35 or stage.spec.light.stars > 0.4
    far = mix(stage.lit(deep, 0.8), stage.sky_low, 0.42)
    middle = mix(stage.lit(mix(deep, sea, 0.6), 0.85), stage.sky_low, 0.12)
    near = mix(stage.lit(mix(sea, rgb("#bfe6d8"), 0.25), 0.95), stage.sky_low, 0.08)
    beach = kind == "beach"
    shore = stage.row(0.68) if beach else h
    if beach:
        sand = stage.colour("soil")
        top = shore - int(stage.px(70))
        ground = ground_picture(
            stage, top, sand * 0.86, sand * 1.05, texture="gravel", scale=1.6, rough=0.13, patch=0.5
        )
        bumps = on_ground(tile_noise(rng, 512, 1.5), top, h, w, scale=0.8)
        ground = np.clip(ground * (1 + 0.035 * bumps[..., None]), 0, 1)
        wet_line = shore + stage.px(95)
        y = np.arange(top, h, dtype=np.float32)[:, None]
        wet = smoothstep(
            wet_line, wet_line - stage.px(46), y + stage.px(16) * (fbm(rng, 1, w, cell=220, octaves=3) - 0.5)
        )
        gloss = mix(ground * 0.6, stage.sky_low, 0.3)
        paint_ground(stage, top, mix(ground, gloss, wet * 0.85))
    stage.add(
        Surf(
            rng,
            width=w,
            horizon=horizon,
            shore=shore if beach else h,
            reach=int(stage.px(110)),
            far=far,
            middle=middle,
            near=near,
            foam=np.clip(stage.lit(rgb("#f6fafb"), 0.95), 0, 1),
            glitter=stage.sun,
            glitter_x=stage.sun_x,
            glitter_strength=0.95 if low else 0.35,
            power=0.8
            if stage.option("calm") or kind in ("sea", "terrace", "pier")
            else (1.25 if stage.option("rough") else 1.0),
            tilt=float(rng.uniform(-0.25, 0.25)) if beach else 0.0,
            swash=beach,
            wind=3.0 if kind == "pier" else 1.3,
            relief={"pier": 3.9, "sea": 2.6, "terrace": 1.8}.get(kind, 1.9 if stage.option("calm") else 1.2),
        )
    )
    if kind == "headland":
        _headland(stage, horizon)
    elif kind == "pier":
        _pier(stage, horizon)
    elif kind == "terrace":
        _terrace(stage, horizon)
    if stage.option("palms"):
        own = leafage(stage)
        layer, weight = blank(h, w), np.zeros((h, w), np.float32)
        for x, foot, tall, lean in (
            (0.03, 0.94, 640, 0.35),
            (0.13, 0.8, 470, 0.5),
            (0.97, 0.9, 600, -0.4),
            (0.9, 0.76, 380, -0.55),
        ):
            plant(
                layer,
                weight,
                palm(
                    rng,
                    int(stage.px(tall)),
                    own,
                    side=stage.sun_side,
                    lean=lean + float(rng.uniform(-0.15, 0.15)),
                ),
                w * x,
                h * foot,
            )
        stage.add(
            Swaying(
                layer, weight, stage.wind, sway=stage.px(26), flutter=stage.px(2.4), glint=0.12, drop=0.25
            )
        )
    if stage.option("dune"):
        for u, high in ((0.93, 110), (1.04, 170)):
            layer, weight = blades(
                rng,
                h,
                w,
                foot=(h * u - 16, h * u + 20),
                tall=stage.px(high),
                count=1500,
                dark=stage.lit(stage.colour("grass") * 0.75, 0.5),
                tip=stage.lit(stage.colour("grass_tip"), 0.95),
                thin=0.7,
                lean=0.35,
            )
            x1 = np.abs(np.linspace(-1, 1, w, dtype=np.float32))
            keep = smoothstep(0.32, 0.75, x1 + 0.25 * (fbm(rng, 1, w, cell=150, octaves=3)[0] - 0.5))
            stage.add(
                Swaying(
                    (layer * keep[None, :, None]).astype(np.uint8),
                    weight,
                    stage.wind,
                    sway=stage.px(30),
                    flutter=0.6,
                    sheen=0.14,
                )
            )
    airborne(stage, horizon)


def _pier(stage: Stage, horizon: int) -> None:
    w, h = stage.width, stage.height
    planks = ground_picture(
        stage, horizon, rgb("#8a7058"), rgb("#b09478"), texture="gravel", scale=1.2, rough=0.15
    )
    rows = h - horizon
    y = np.arange(rows, dtype=np.float32)[:, None] + 1
    x = np.arange(w, dtype=np.float32)[None, :]
    depth = rows / y
    board = (depth * 9) % 1.0
    gap = smoothstep(0.06, 0.0, np.minimum(board, 1 - board)) * smoothstep(14, 3, depth)
    tone = 0.88 + 0.24 * ((np.floor(depth * 9) * 0.618) % 1.0)
    worn = planks * (1 - 0.65 * gap * np.ones((1, w)))[..., None] * (tone * np.ones((1, w)))[..., None]
    half = 4 + y * (w * 0.36 / rows)
    alpha = smoothstep(1, -1, np.abs(x - w / 2) - half)
    full, a = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.float32)
    full[horizon:], a[horizon:] = np.clip(worn, 0, 1), alpha
    layer = premultiplied(full, a)
    wood = stage.lit(rgb("#6a5442"), 0.6)
    for side in (-1, 1):
        last = None
        for d in np.geomspace(26, 1.02, 16):
            px, py = w / 2 + side * (4 + rows / d * (w * 0.36 / rows)), horizon + rows / d
            high = stage.px(330) / d
            cv2.line(
                layer,
                (int(px), int(py + high * 0.3)),
                (int(px), int(py - high)),
                rgba(wood * (1.1 if side * stage.sun_side < 0 else 0.85)),
                max(int(stage.px(30) / d), 1),
                cv2.LINE_AA,
            )
            if last is not None:
                for lift, thick in ((0.95, 20), (0.5, 14)):
                    cv2.line(
                        layer,
                        (int(last[0]), int(last[1] - last[2] * lift)),
                        (int(px), int(py - high * lift)),
                        rgba(wood),
                        max(int(stage.px(thick) / d), 1),
                        cv2.LINE_AA,
                    )
            last = (px, py, high)
    stage.add_still(cv2.GaussianBlur(layer, (0, 0), 0.6))


def _terrace(stage: Stage, horizon: int) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    top = int(h * 0.74)
    floor = ground_picture(
        stage,
        top - int(stage.px(130)),
        rgb("#d8ccb8"),
        rgb("#efe6d6"),
        texture="brick",
        scale=1.5,
        rough=0.35,
    )
    full, a = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.float32)
    full[top - int(stage.px(130)) :] = floor
    a[top:] = 1
    stage.add_still(premultiplied(full, a))
    layer = np.zeros((h, w, 3), np.float32)
    plaster = 0.95 + 0.08 * (fbm(rng, h, w, cell=80, octaves=5) - 0.5)
    layer[:] = stage.lit(np.clip(rgb("#f7f3ea") * plaster[..., None], 0, 1), 0.95)
    mask = np.zeros((h, w), np.float32)
    y0, y1 = int(h * 0.62), top + int(stage.px(6))
    mask[y0:y1] = 1
    layer[y0 + int(stage.px(14)) : y1] *= np.array((0.86, 0.9, 0.96), np.float32)
    side = -1 if rng.random() < 0.5 else 1
    x = np.linspace(-1, 1, w, dtype=np.float32)[None, :] * side
    tower = np.broadcast_to(x > 0.66, (h, w)).copy()
    tower[: int(h * 0.16)] = False
    tower[top + 6 :] = False
    mask[tower] = 1
    shade = np.broadcast_to((x > 0.66) & (x < 0.70), (h, w)) & tower
    layer[shade] *= 0.8
    stage.add_still(cv2.GaussianBlur(premultiplied(layer, mask), (0, 0), 0.7))
    blue = blank(h, w)
    cx = w * (0.5 + side * 0.42)
    cv2.rectangle(
        blue,
        (int(cx - stage.px(46)), int(h * 0.36)),
        (int(cx + stage.px(46)), int(h * 0.6)),
        rgba(stage.lit(rgb("#2f6fa8"), 0.7)),
        -1,
    )
    for k in range(8):
        cv2.line(
            blue,
            (int(cx - stage.px(46)), int(h * (0.37 + 0.03 * k))),
            (int(cx + stage.px(46)), int(h * (0.37 + 0.03 * k))),
            rgba(stage.lit(rgb("#1f4f80"), 0.6)),
            2,
        )
    stage.add_still(blue)
    from actors.backends.embedded.scenes.plants import Leafage, _leaves

    vine, weight = blank(h, w), np.zeros((h, w), np.float32)
    green = leafage(stage)
    pink = Leafage(stage.lit(rgb("#a02a66"), 0.3), stage.lit(rgb("#f06fb0"), 1.0), green.wood, green.wood_lit)
    for own, n, slim in ((green, 1700, 0.6), (pink, 2300, 0.85)):
        t = rng.random(n) ** 0.7
        px = w * (0.5 + side * (0.5 - 0.33 * t)) + rng.normal(0, stage.px(42), n)
        py = h * (0.1 + 0.10 * t + 0.42 * (1 - t) * rng.random(n)) + rng.normal(0, stage.px(26), n)
        shade_ = np.clip(0.6 + rng.normal(0, 0.25, n) - 0.3 * (py / h - 0.2), 0, 1)
        _leaves(
            vine,
            rng,
            px.astype(np.float32),
            py.astype(np.float32),
            (stage.px(8) * rng.uniform(0.6, 1.2, n)).astype(np.float32),
            shade_.astype(np.float32),
            own,
            slim=slim,
        )
    yy = np.arange(h, dtype=np.float32)[:, None]
    weight[:] = np.clip((yy - h * 0.06) / (h * 0.3), 0.1, 1)
    stage.add(
        Swaying(vine, weight, stage.wind, sway=stage.px(17), flutter=stage.px(2.6), glint=0.16, drop=0.25)
    )
