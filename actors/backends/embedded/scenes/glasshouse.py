"""A greenhouse: iron ribs and glass, benches and hanging baskets full of ferns.

What a reader gets wrong: the house is almost all holes; what is seen through the glass is the stage's plate,
drawn first.
"""

from __future__ import annotations

import numpy as np

from actors.backends.embedded.scenes.canvas import mix, premultiplied, rgb
from actors.backends.embedded.scenes.furniture import outside, table, vessel
from actors.backends.embedded.scenes.indoor_motion import Dapple
from actors.backends.embedded.scenes.motion import Veil
from actors.backends.embedded.scenes.parts import leafage
from actors.backends.embedded.scenes.potted import fern, greenery
from actors.backends.embedded.scenes.space import Lamp, Space
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.surfaces import pane_grid, plaster, tiles


def greenhouse(stage: Stage) -> None:
    """A glass greenhouse full of hanging plants."""
    rng, w, h = stage.rng, stage.width, stage.height
    outside(stage, trees=10, tall=0.8, blur=7.0)
    stage.add_still(premultiplied(rgb("#f2f6f2"), np.full((h, w), 0.22, np.float32)))
    space = Space(stage, wide=5.6, deep=8.0, tall=2.7, yaw=float(rng.uniform(-0.05, 0.05)), focal=0.86)
    space.ambient = stage.ambient * 1.0
    space.lamps = [Lamp((0, 3.6, 5), stage.key, 0.5, 4.0)]
    iron = rgb("#dfe4de")
    half, near, ridge = space.wide / 2, 1.3, 4.1
    reach = space.deep - near
    slope = pane_grid(reach, 3.0, iron, 9, 4, 0.05, ppm=120)
    space.place(slope[::-1], (-half, space.tall, near), (0, 0, reach), (half, ridge - space.tall, 0))
    space.place(slope[::-1], (half, space.tall, near), (0, 0, reach), (-half, ridge - space.tall, 0))
    gable = pane_grid(space.wide, ridge, iron * 0.96, 8, 5, 0.05)
    yy, xx = np.mgrid[0 : gable.shape[0], 0 : gable.shape[1]].astype(np.float32)
    under = yy / gable.shape[0] * ridge > (ridge - space.tall) * np.abs(xx / gable.shape[1] * 2 - 1)
    gable[..., 3] *= under
    space.place(gable, (-half, ridge, space.deep), (space.wide, 0, 0), (0, -ridge, 0))
    side = pane_grid(reach, space.tall, iron, 9, 3, 0.05, ppm=120)
    space.place(side, (-half, space.tall, near), (0, 0, reach), (0, -space.tall, 0))
    space.place(side, (half, space.tall, near), (0, 0, reach), (0, -space.tall, 0))
    low = plaster(rng, 4, 0.6, rgb("#b9a894"), rough=0.2)
    space.place(low, (-half, 0.55, near), (0, 0, reach), (0, -0.55, 0))
    space.place(low, (half, 0.55, near), (0, 0, reach), (0, -0.55, 0))
    space.place(low, (-half, 0.55, space.deep), (space.wide, 0, 0), (0, -0.55, 0))
    space.place(
        tiles(rng, space.wide, reach, rgb("#b8b0a2"), rgb("#aca394"), 0.62),
        (-half, 0, space.deep),
        (space.wide, 0, 0),
        (0, 0, -reach),
    )
    for s in (-1, 1):
        x = (-half + 0.15, -1.1) if s < 0 else (1.1, half - 0.15)
        for z in (6.6, 5.0, 3.2):
            table(space, x, (z, z + 1.2), 0.78, rgb("#8f7a62"))
            for k in range(5):
                clay = rgb("#b5694a") * float(rng.uniform(0.75, 1.1))
                vessel(space, x[0] + 0.15 + 0.27 * k, 0.78, z + 0.15, 0.22, 0.19, clay, belly=1.6)
    hung: list[tuple[float, float, float]] = []
    for z in (6.4, 5.2, 4.1):
        for s in (-1, 1):
            for share in (0.0, 1.0):
                x_at = s * (0.7 + 0.95 * share + float(rng.uniform(-0.2, 0.2)))
                y_at = float(rng.uniform(2.0, 2.5))
                hung.append((x_at, y_at, z))
                roof = 3.9 - 0.5 * abs(x_at)
                chain = np.broadcast_to(rgb("#4a4a44"), (4, 4, 3)).astype(np.float32)
                space.place(
                    chain,
                    (x_at - 0.008, roof, z),
                    (0.016, 0, 0),
                    (0, y_at - 3.9 + 0.5 * abs(x_at), 0),
                )
                vessel(space, x_at, y_at - 0.16, z, 0.3, 0.2, rgb("#6a5240"), belly=1.4)
    stage.add_still(space.finish(blur=1.6, bloom=0.35))
    own = leafage(stage, dark=stage.colour("foliage") * 0.8, lit=stage.colour("foliage_lit") * 0.74)
    far = leafage(
        stage,
        dark=mix(stage.colour("foliage"), stage.haze, 0.25),
        lit=mix(stage.colour("foliage_lit"), stage.haze, 0.25),
    )
    back_bank = [fern(rng, 150, far, fronds=17, broad=0.2), fern(rng, 150, far, fronds=13, broad=0.3)]
    bank = [
        fern(rng, 230, own, fronds=19, broad=0.17),
        fern(rng, 230, own, fronds=13, broad=0.3),
        fern(rng, 220, own, fronds=23, broad=0.12),
    ]
    drooping = [
        fern(rng, 190, own, fronds=25, hang=1.0, broad=0.15),
        fern(rng, 190, own, fronds=21, hang=1.0, broad=0.2),
    ]

    def row(z: float, size: float, sides: float, y: float, count: int) -> list[tuple[float, float, float]]:
        out = []
        for s in (-1, 1):
            for _ in range(count):
                x = s * float(rng.uniform(sides, half - 0.1))
                px, py = space.spot(x, y, z)
                tall = size * float(rng.uniform(0.75, 1.2)) * space.scale(x, y, z)
                out.append((px, py + 0.22 * tall, tall))
        return out

    greenery(stage, back_bank, row(7.6, 1.3, 0.3, 0.4, 6) + row(6.8, 0.9, 1.0, 0.75, 4), sway=5, blur=2.2)
    greenery(stage, bank, row(5.4, 0.85, 1.1, 0.9, 6), sway=8, blur=1.4, glint=0.2)
    baskets = []
    for x_at, y_at, z in hung:
        px, py = space.spot(x_at, y_at, z)
        size = float(rng.uniform(0.8, 1.1)) * space.scale(x_at, y_at, z)
        baskets.append((px, py + 0.7 * size, size))
    greenery(stage, drooping, baskets, sway=11, blur=1.2, glint=0.2)
    greenery(stage, bank, row(3.8, 0.95, 1.3, 0.95, 5), sway=11, blur=1.6, glint=0.2)
    mask = np.zeros((h, w), np.float32)
    y = np.arange(h, dtype=np.float32)[:, None] / h
    mask[:] = np.exp(-(((y - 0.62) / 0.26) ** 2))
    stage.add(
        Veil(
            rng,
            mask,
            rgb("#f4f8f2"),
            strength=0.28,
            speed=(stage.px(75), stage.px(-40)),
            size=stage.px(330),
            contrast=1.3,
        )
    )
    patch = np.ones((180, 300), np.float32)
    goal = np.array([(-20, h * 0.5), (w + 20, h * 0.5), (w + 20, h + 20), (-20, h + 20)], np.float64)
    fade = np.linspace(0.2, 1, 180, dtype=np.float32)[:, None]
    stage.add(
        Dapple(
            rng,
            goal,
            (w, h),
            patch * fade,
            gain=np.array((0.34, 0.33, 0.24), np.float32),
            leaf=0.05,
            soft=2.4,
            sway=8,
        )
    )
