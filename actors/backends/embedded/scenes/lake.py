"""Still water: lakes, harbours, rivers, ice, a raked garden.

What a reader gets wrong: the water mirrors the picture painted so far, so what stands behind it comes first.
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
    rgb,
    rgba,
    smoothstep,
    stock_texture,
    tile_noise,
)
from actors.backends.embedded.scenes.figures import Boats, boat
from actors.backends.embedded.scenes.lights import Lamps, glow_sprite
from actors.backends.embedded.scenes.motion import Swaying, Veil
from actors.backends.embedded.scenes.parts import (
    airborne,
    far_trees,
    fog,
    grove,
    hills,
    leafage,
    mountains,
    tree_bank,
)
from actors.backends.embedded.scenes.plants import blades
from actors.backends.embedded.scenes.scene import snapshot
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import ground_picture, paint_ground
from actors.backends.embedded.scenes.water import Mirror
from actors.backends.embedded.scenes.woods import _hanging_boughs, rocks


def lake(stage: Stage) -> None:
    """Still or slow water with what stands behind it."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.46, 0.5)))
    paint_sky(stage, horizon, speed=1.8)
    peaks, trees = stage.number("mountains", 0), stage.number("trees", 0)
    harbour = bool(stage.option("harbour"))
    if peaks:
        mountains(stage, horizon, tall=peaks, snow=0.7)
    else:
        hills(stage, horizon, tall=0.7, camera=0.1)
    if harbour:
        _waterfront(stage, horizon)
    else:
        far_trees(
            stage, horizon + 3, tall=70 + 70 * trees, distance=0.5, spiky=0.7 if peaks and not trees else 0.0
        )
        if trees:
            bank = tree_bank(stage, "broadleaf", int(stage.px(420)), 3)
            places = [
                (float(rng.uniform(0, w)), horizon + stage.px(6), stage.px(float(rng.uniform(90, 190))))
                for _ in range(int(12 * trees))
            ]
            grove(stage, bank, places, away=0.35, sway=4, flutter=0.8, shadows=False)
    if stage.option("bridge"):
        _bridge(stage, horizon)
    if stage.option("frozen"):
        _ice(stage, horizon)
    else:
        alpha = np.zeros((h, w), np.float32)
        alpha[horizon + 2 :] = 1
        deep = stage.colour("sea_deep", "#2f4f58") if harbour or stage.option("zen") else rgb("#2f4a52")
        stage.add(
            Mirror(
                rng,
                snapshot(stage.plate, stage.layers),
                alpha,
                horizon=horizon,
                deep=stage.lit(deep, 0.75),
                calm=0.1 if peaks or harbour else 0.4,
                scale=1.0,
                clarity=0.92,
                glitter=stage.sun,
                glitter_x=stage.sun_x,
                glitter_strength=stage.number("glitter", 0.8),
                wind=stage.number("wind", 2.8 if peaks or harbour else 1.6),
                relief=2.7 if peaks or harbour else 1.0,
            )
        )
    if harbour:
        _moored(stage, horizon)
        if stage.option("lit"):
            _harbour_lamps(stage, horizon)
    _bank(stage)
    if stage.option("zen"):
        _zen(stage, horizon)
    if trees >= 0.7 and not stage.option("zen"):
        bank = tree_bank(stage, "broadleaf", int(stage.px(620)), 1, leaves=5200)
        side = 0.04 if rng.random() < 0.5 else 0.96
        grove(stage, bank, [(w * side, h * 0.9, stage.px(640))], away=0.0, sway=12)
        _hanging_boughs(stage, "broadleaf")
    if stage.has("mist_drifts"):
        fog(stage, horizon - 30, horizon + int(stage.px(110)), strength=0.5)
    airborne(stage, horizon)


def _bank(stage: Stage) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    if stage.option("harbour"):
        top = int(h * 0.83)
        quay = ground_picture(
            stage,
            top - int(stage.px(60)),
            stage.colour("soil") * 0.75,
            stage.colour("soil") * 1.02,
            texture="brick",
            scale=2.0,
            rough=0.5,
        )
        full, a = np.zeros((h, w, 3), np.float32), np.zeros((h, w), np.float32)
        full[top - int(stage.px(60)) :] = quay
        y = np.arange(h, dtype=np.float32)[:, None]
        a[:] = smoothstep(-1, 1, y - top)
        full[top : top + max(int(stage.px(6)), 2)] *= 1.18
        stage.add_still(premultiplied(np.clip(full, 0, 1), a))
        return
    y = np.arange(h, dtype=np.float32)[:, None]
    x = np.linspace(0, 1, w, dtype=np.float32)[None, :]
    line = h * (0.86 - 0.07 * np.abs(x - 0.5) * 2) + stage.px(26) * (
        fbm(rng, 1, w, cell=130, octaves=4) - 0.5
    )
    top = int(line.min()) - 30
    dark, tip = (
        (stage.colour("soil") * 0.7, stage.colour("soil"))
        if stage.option("frozen")
        else (stage.colour("grass") * 0.6, stage.colour("grass_tip") * 0.9)
    )
    picture = ground_picture(stage, top - int(stage.px(60)), dark, tip, texture="grass", scale=1.9)
    full = np.zeros((h, w, 3), np.float32)
    full[top - int(stage.px(60)) :] = picture
    alpha = smoothstep(-2, 4, y - line)
    wet = smoothstep(12, 0, y - line)
    full = mix(full, full * 0.45, wet)
    stage.add_still(premultiplied(full, alpha))
    count = 2000 if stage.option("reeds") else 1500
    for u, high in ((0.86, 60), (0.94, 76), (1.03, 100)):
        layer, weight = blades(
            rng,
            h,
            w,
            foot=(h * u - 8, h * u + 24),
            tall=stage.px(high),
            count=count,
            dark=stage.lit(stage.colour("grass") * 0.75, 0.5),
            tip=stage.lit(stage.colour("grass_tip"), 0.9),
        )
        x1 = np.abs(np.linspace(-1, 1, w, dtype=np.float32))
        keep = (
            smoothstep(0.1, 0.6, x1 + 0.2 * (fbm(rng, 1, w, cell=120, octaves=2)[0] - 0.5))
            if u < 0.9
            else np.ones(w, np.float32)
        )
        stage.add(
            Swaying(
                (layer * keep[None, :, None]).astype(np.uint8),
                weight,
                stage.wind,
                sway=stage.px(24),
                flutter=0.6,
                sheen=0.2,
            )
        )
    if stage.option("reeds"):
        layer, weight = blades(
            rng,
            h,
            w,
            foot=(h * 0.84, h * 0.9),
            tall=stage.px(190),
            count=420,
            dark=stage.lit(stage.colour("grass") * 0.7, 0.5),
            tip=stage.lit(stage.colour("grass_tip"), 0.95),
            thin=0.9,
            heads=stage.lit(rgb("#6a4a30"), 0.6),
        )
        keep = smoothstep(0.5, 0.8, np.abs(np.linspace(-1, 1, w, dtype=np.float32)))
        stage.add(
            Swaying(
                (layer * keep[None, :, None]).astype(np.uint8),
                weight,
                stage.wind,
                sway=stage.px(38),
                flutter=0.6,
                sheen=0.12,
            )
        )


def _ice(stage: Stage, horizon: int) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    picture = ground_picture(
        stage, horizon, rgb("#b9cbd9"), rgb("#eef4f9"), texture="gravel", scale=0.7, rough=0.06, patch=1.0
    )
    mirror = snapshot(stage.plate, stage.layers)[: horizon + 2][::-1].astype(np.float32) / 255
    rows = h - horizon
    flip = cv2.GaussianBlur(cv2.resize(mirror, (w, rows)), (0, 0), 9)
    frost = on_ground(tile_noise(rng, 512, 1.6), horizon, h, w, scale=0.5)
    share = np.clip(0.5 - 0.35 * frost - 0.25 * np.linspace(0, 1, rows)[:, None], 0.05, 0.75)
    picture = mix(picture, flip, share)
    cracks = np.abs(on_ground(tile_noise(rng, 512, 1.9), horizon, h, w, scale=0.42))
    picture = mix(picture, np.clip(picture * 1.25, 0, 1), smoothstep(0.035, 0.0, cracks) * 0.8)
    paint_ground(stage, horizon, picture)
    y = np.arange(h, dtype=np.float32)[:, None]
    mask = smoothstep(horizon, horizon + 40, y) * np.ones((1, w), np.float32)
    way = 1 if stage.wind._direction > 0 else -1
    stage.add(
        Veil(
            rng,
            mask,
            np.ones(3, np.float32) * 0.97,
            strength=0.5,
            speed=(way * stage.px(190), way * stage.px(330)),
            size=stage.px(230),
            flat=6.0,
            contrast=1.5,
        )
    )


def house_row(
    stage: Stage, base: int, *, tall: float, colours: list[Array], distance: float, lit: bool
) -> list[tuple[float, float]]:
    """A row of gabled houses on a waterfront or slope, `tall` px; returns the places of lit windows."""
    rng, w, h = stage.rng, stage.width, stage.height
    layer = blank(h, w)
    lights: list[tuple[float, float]] = []
    x = -30.0
    while x < w + 30:
        wide = tall * float(rng.uniform(0.55, 0.95))
        high = tall * float(rng.uniform(0.65, 1.05))
        wall = colours[int(rng.integers(0, len(colours)))] * float(rng.uniform(0.88, 1.05))
        tone = stage.hazed(stage.lit(wall, float(rng.uniform(0.5, 0.95))), distance)
        cv2.rectangle(layer, (int(x), int(base - high)), (int(x + wide), base), rgba(tone), -1)
        roof = stage.hazed(
            stage.lit(stage.colour("roof", "#8a4a36") * float(rng.uniform(0.8, 1.1)), 0.7), distance
        )
        ridge = high * float(rng.uniform(0.2, 0.42))
        shape = np.array(
            [
                (x - 3, base - high + 2),
                (x + wide * 0.22, base - high - ridge),
                (x + wide * 0.78, base - high - ridge),
                (x + wide + 3, base - high + 2),
            ]
        )
        cv2.fillConvexPoly(layer, (shape * 8).astype(np.int32), rgba(roof), cv2.LINE_AA, 3)
        floors, cols = max(int(high / (tall * 0.24)), 1), max(int(wide / (tall * 0.2)), 1)
        for f in range(floors):
            for c in range(cols):
                wx, wy = x + wide * (c + 0.5) / cols, base - high + high * (f + 0.55) / floors
                s = tall * 0.04
                glowing = lit and rng.random() < 0.55
                pane = rgb("#ffcf7a") if glowing else stage.hazed(tone * 0.35, distance * 0.5)
                cv2.rectangle(
                    layer, (int(wx - s), int(wy - s * 1.4)), (int(wx + s), int(wy + s * 1.4)), rgba(pane), -1
                )
                if glowing:
                    lights.append((wx, wy))
        shade = np.array(
            [(x + wide - 2, base - high), (x + wide, base - high), (x + wide, base), (x + wide - 2, base)]
        )
        cv2.fillConvexPoly(layer, shade.astype(np.int32), rgba(tone * 0.6), cv2.LINE_AA)
        x += wide + float(rng.choice([0.0, 0.0, tall * 0.08]))
    grain = 0.93 + 0.14 * fbm(rng, h, w, cell=14, octaves=3)
    layer[..., :3] = np.minimum(layer[..., :3] * grain[..., None], 255).astype(np.uint8)
    stage.add_still(cv2.GaussianBlur(layer, (0, 0), 0.7))
    return lights


def _waterfront(stage: Stage, horizon: int) -> None:
    pastel = [rgb(c) for c in ("#e8d8bc", "#d9a878", "#e6c2a4", "#cfd6d2", "#d88a6a", "#f0e8d8")]
    far_trees(stage, horizon - int(stage.px(30)), tall=60, distance=0.5)
    lit = bool(stage.option("lit"))
    first = house_row(
        stage, horizon - int(stage.px(26)), tall=stage.px(84), colours=pastel, distance=0.34, lit=lit
    )
    second = house_row(stage, horizon + 3, tall=stage.px(104), colours=pastel, distance=0.2, lit=lit)
    if lit:
        sprites = [glow_sprite(rgb("#ffb860"), int(stage.px(34)) | 1, 0.5)]
        stage.add(Lamps(stage.rng, first + second, sprites, depth=0.3))


def _moored(stage: Stage, horizon: int) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    rows = h * 0.8 - horizon
    hulls = [rgb(c) for c in ("#2f5f8a", "#f2efe8", "#b4432f", "#3f7a62", "#e0b24c", "#d8dde0")]
    spots: list[tuple[float, float]] = []
    sprites = []
    for k, x in enumerate((0.05, 0.18, 0.31, 0.66, 0.8, 0.94)):
        u = float(rng.uniform(0.12, 0.85))
        length = int(stage.px(70 + 190 * u))
        hull = stage.hazed(stage.lit(hulls[k], 0.8), 0.25 * (1 - u))
        deck = stage.hazed(stage.lit(rgb("#efe4cf"), 0.9), 0.25 * (1 - u))
        spots.append((w * (x + float(rng.uniform(-0.03, 0.03))), horizon + rows * u + 6))
        sprites.append(boat(rng, length, hull, deck, mast=bool(rng.random() < 0.6)))
    order = np.argsort([s[1] for s in spots])
    stage.add(Boats(rng, [spots[i] for i in order], [sprites[i] for i in order], lift=stage.px(11)))


def _harbour_lamps(stage: Stage, horizon: int) -> None:
    rng, w = stage.rng, stage.width
    spots = [(w * (k + 0.5) / 9, horizon - stage.px(14)) for k in range(9)]
    stage.add(
        Lamps(rng, spots, [glow_sprite(rgb("#ffca80"), int(stage.px(110)) | 1, 0.6, core=0.8)], depth=0.25)
    )


def _bridge(stage: Stage, horizon: int) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    top, foot = horizon - stage.px(86), horizon + stage.px(12)
    y = np.arange(h, dtype=np.float32)[:, None]
    x = np.arange(w, dtype=np.float32)[None, :]
    hump = top - stage.px(34) * np.cos((x - w / 2) / w * 2.6)
    body = smoothstep(-1, 1, y - hump) * smoothstep(1, -1, y - foot)
    for k in range(5):
        cx, r = w * (0.1 + 0.2 * k), w * 0.072
        arch = ((x - cx) / r) ** 2 + ((y - foot) / (stage.px(74))) ** 2
        body = body * smoothstep(0.96, 1.03, np.sqrt(arch))
    side = int(stage.px(330))
    brick = cv2.resize(
        np.ascontiguousarray(stock_texture("brick").T), (side, side), interpolation=cv2.INTER_AREA
    )
    tex = np.tile(brick, (h // side + 1, w // side + 1))[:h, :w]
    stain = fbm(rng, h, w, cell=110, octaves=5)
    stone = stage.colour("rock") * (0.72 + 0.4 * stain[..., None]) * (0.35 + 0.65 * tex[..., None])
    light = np.full((h, w), 0.6, np.float32)
    light[np.broadcast_to(y < hump + stage.px(14), (h, w))] = 0.95
    stage.add_still(premultiplied(stage.hazed(stage.lit(np.clip(stone, 0, 1), light), 0.16), body))


def _zen(stage: Stage, horizon: int) -> None:
    from actors.backends.embedded.scenes.plants import broadleaf

    rng, w, h = stage.rng, stage.width, stage.height
    stones = blank(h, w)
    spots = [
        (w * x, h * y, stage.px(s))
        for x, y, s in (
            (0.12, 0.72, 60),
            (0.2, 0.75, 36),
            (0.78, 0.66, 44),
            (0.86, 0.7, 78),
            (0.94, 0.73, 40),
            (0.66, 0.6, 22),
        )
    ]
    rocks(stage, stones, spots, stage.colour("rock"), moss=stage.colour("grass"))
    stage.add_still(stones)
    maple = broadleaf(
        rng,
        int(stage.px(470)),
        leafage(stage),
        side=stage.sun_side,
        leaves=5200,
        leaf=0.75,
        spread=0.85,
        trunk=0.24,
        slim=0.8,
    )
    side = 0.1 if rng.random() < 0.5 else 0.9
    grove(stage, [maple], [(w * side, h * 0.84, stage.px(540))], away=0.02, sway=10, shadows=False)
