"""Old stone in open country: overgrown arches, a temple above the sea; and the entry to all old stone places.

What a reader gets wrong: stone never moves. The life of these scenes is grass, ivy, trees, cloth, water and
sky, so each is given enough room beside the walls.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Image8,
    blank,
    fbm,
    mix,
    premultiplied,
    rgb,
    rgba,
    smoothstep,
    stack_over,
)
from actors.backends.embedded.scenes.courtyards import castle, roman
from actors.backends.embedded.scenes.masonry import column, reveal, soft, wall_layer, worn_edge
from actors.backends.embedded.scenes.overgrowth import arch, grid, ivy, sides_only, tufts
from actors.backends.embedded.scenes.parts import (
    airborne,
    far_trees,
    grove,
    hills,
    meadow,
    tree_bank,
)
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import ground_picture
from actors.backends.embedded.scenes.water import Surf
from actors.backends.embedded.scenes.woods import rocks


def ruins(stage: Stage) -> None:
    """What `kind` says: `arches`, `castle`, `temple` or `roman`."""
    kinds = {"arches": _arches, "castle": castle, "temple": _temple, "roman": roman}
    kinds[str(stage.option("kind", "arches"))](stage)


def _arches(stage: Stage) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.5, 0.55)))
    paint_sky(stage, horizon, speed=1.3)
    hills(stage, horizon, tall=0.6)
    far_trees(stage, horizon + 4, tall=46, distance=0.45)
    y, x = grid(stage)
    course = stage.px(25)
    foot = horizon + stage.px(52)
    edge = worn_edge(rng, w, course=course, wild=7.0)
    across: Array = np.linspace(-1, 1, w, dtype=np.float32)
    lean = 1.0 if rng.random() < 0.5 else -1.0
    crest = foot - stage.px(205) - edge - stage.px(70) * smoothstep(0.1, 1.0, across * lean)
    gap = float(rng.uniform(0.25, 0.5)) * -lean
    crest = crest + stage.px(190) * np.exp(-(((across - gap) / 0.13) ** 2))
    inside = smoothstep(-1, 1, y - crest[None, :]) * smoothstep(6, -6, y - foot)
    half = stage.px(72)
    step = stage.px(238)
    start = w * 0.5 - 2.5 * step + float(rng.uniform(-0.3, 0.3)) * step
    spring = foot - stage.px(128)
    rims = np.zeros_like(inside)
    for k in range(7):
        opening = arch(x, y, start + k * step, half, spring)
        ring = arch(x, y, start + k * step, half + course * 0.8, spring) * (y < spring + course)
        rims = np.maximum(rims, ring - opening)
        inside = inside * (1 - opening)
    light = 0.72 - 0.45 * reveal(inside, stage, stage.px(20)) + 0.16 * np.clip(rims, 0, 1)
    stage.add_still(
        soft(wall_layer(stage, inside, course=course, light=np.asarray(light, np.float32), away=0.16))
    )
    ivy(
        stage,
        [
            (
                start + k * step + step * 0.5 + float(rng.uniform(-30, 30)),
                float(crest[int(np.clip(start + (k + 0.5) * step, 0, w - 1))]) + course * 0.3,
                stage.px(50),
                stage.px(float(rng.uniform(90, 190))),
            )
            for k in range(-1, 7)
            if rng.random() < 0.75
        ],
        count=5200,
        size=stage.px(5),
        sway=9,
    )
    meadow(stage, int(foot) - 4, tall=0.62, sheen=0.2)
    blocks = blank(h, w)
    spots = [
        (
            w * (0.5 + side * float(rng.uniform(0.2, 0.48))),
            h * float(rng.uniform(0.7, 0.9)),
            stage.px(float(rng.uniform(46, 90))),
        )
        for side in (-1, 1, -1, 1)
    ]
    rocks(stage, blocks, spots, stage.colour("rock"), moss=stage.colour("foliage"))
    stage.add_still(blocks)
    for _, at, size in spots:
        tufts(stage, at + size * 0.1, stage.px(52), 500, sides_only(stage, 0.2, 0.55))
    bank = tree_bank(stage, "broadleaf", int(stage.px(460)), 1, leaves=4200)
    side = 0.03 if lean < 0 else 0.97
    grove(stage, bank, [(w * side, foot + stage.px(40), stage.px(450))], away=0.08, sway=12)
    tufts(stage, h * 1.03, stage.px(120), 1300, sides_only(stage, -0.1, 0.5))
    airborne(stage, horizon)


def _temple(stage: Stage) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.5, 0.54)))
    paint_sky(stage, horizon, speed=2.1)
    low = stage.sky_low
    stage.add(
        Surf(
            rng,
            width=w,
            horizon=horizon,
            shore=stage.row(0.86),
            reach=int(stage.px(40)),
            far=mix(low, stage.haze, 0.5) * 0.9,
            middle=mix(low * 0.55, rgb("#3a5a7c"), 0.6),
            near=rgb("#27405c"),
            foam=np.clip(stage.lit(rgb("#f6fafb"), 0.8), 0, 1),
            glitter=stage.sun,
            glitter_x=stage.sun_x,
            glitter_strength=1.0,
            power=0.5,
            swash=False,
        )
    )
    y, _ = grid(stage)
    line = h * 0.745 + stage.px(30) * (fbm(rng, 1, w, cell=stage.px(190), octaves=5) - 0.5)
    ground = int(line.min()) - 30
    picture = ground_picture(
        stage,
        ground - int(stage.px(70)),
        stage.colour("soil") * 0.62,
        stage.colour("grass_tip") * 0.85,
        texture="grass",
        scale=1.8,
        rough=0.6,
    )
    full = np.zeros((h, w, 3), np.float32)
    full[ground - int(stage.px(70)) :] = picture
    stage.add_still(premultiplied(full, smoothstep(-1, 3, y - line)))
    _colonnade(stage, line[0])
    for u, tall in ((0.02, 40), (0.3, 76), (0.62, 118), (1.05, 165)):
        keep = sides_only(stage, -0.2, 0.3) if u < 0.5 else np.ones(w, np.float32)
        foot = h * 0.755 + h * 0.25 * u
        tufts(stage, foot, stage.px(tall), 1700, keep)
    airborne(stage, horizon)


def _colonnade(stage: Stage, line: Array) -> None:
    """Two rows of columns that run from the sides toward the sea, some broken, lintels on the whole ones."""
    rng, w, h = stage.rng, stage.width, stage.height
    layer = blank(h, w)
    vanish = h * 0.53
    depths = np.array([2.9, 2.25, 1.75, 1.36, 1.06])
    for side in (-1, 1):
        tops: list[tuple[float, float, float] | None] = []
        for k, d in enumerate(depths):
            x = w * 0.5 + side * w * (0.52 if side > 0 else 0.55) / d * 0.92
            foot = vanish + (h * 0.93 - vanish) / d
            foot = max(foot, float(line[int(np.clip(x, 0, w - 1))]) + stage.px(6))
            tall = h * 0.98 / d
            whole = rng.random() < 0.68 or k == 4
            share = 1.0 if whole else float(rng.uniform(0.25, 0.7))
            pillar = column(stage, int(tall), broken=share, away=0.1 + 0.1 * (d - 1))
            stack_over(layer, pillar, int(x - pillar.shape[1] / 2), int(foot - pillar.shape[0]))
            tops.append((x, foot - tall, tall) if whole else None)
            if k and tops[k] is not None and tops[k - 1] is not None:
                _lintel(stage, layer, tops[k - 1], tops[k])
    stage.add_still(soft(layer))


def _lintel(
    stage: Stage,
    layer: Image8,
    far: tuple[float, float, float] | None,
    near: tuple[float, float, float] | None,
) -> None:
    if far is None or near is None:
        return
    stone = stage.colour("rock")
    for low, high, tone, lit in ((0.0, 0.07, 0.95, 0.45), (0.07, 0.085, 1.15, 0.75), (0.085, 0.13, 1.0, 0.5)):
        quad = np.array(
            [
                (far[0], far[1] - far[2] * high),
                (near[0], near[1] - near[2] * high),
                (near[0], near[1] - near[2] * low),
                (far[0], far[1] - far[2] * low),
            ]
        )
        colour = stage.hazed(stage.lit(stone * tone, lit), 0.12)
        cv2.fillConvexPoly(layer, (quad * 8).astype(np.int32), rgba(colour), cv2.LINE_AA, 3)
