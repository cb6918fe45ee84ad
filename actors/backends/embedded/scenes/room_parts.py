"""What day and evening rooms share: a lit space, curtains, the reach of a light, dust.

What a reader gets wrong: `side` is -1 for left and 1 for right; everything of interest keeps to one of them,
because the person stands in the middle.
"""

from __future__ import annotations

import numpy as np

from actors.backends.embedded.scenes.canvas import Array, Colour, mix
from actors.backends.embedded.scenes.indoor_motion import Curtain
from actors.backends.embedded.scenes.particles import Drift, Swarm, dot_sprites
from actors.backends.embedded.scenes.space import Lamp, Space
from actors.backends.embedded.scenes.stage import Stage


def side_of(stage: Stage) -> int:
    """-1 when the window is on the left, 1 on the right."""
    return -1 if stage.rng.random() < 0.5 else 1


def span(side: int, inner: float, outer: float) -> tuple[float, float]:
    return (inner, outer) if side > 0 else (-outer, -inner)


def picture_size(stage: Stage) -> tuple[int, int]:
    return stage.width, stage.height


def halo(stage: Stage, x: float, y: float, reach: float, *, flat: float = 1.0) -> Array:
    """Where a light at (x, y) px is felt: 1 there, falling off over `reach` px."""
    gx = (np.arange(stage.width, dtype=np.float32) - x)[None, :]
    gy = (np.arange(stage.height, dtype=np.float32) - y)[:, None] * flat
    return np.asarray(np.exp(-np.sqrt(gx * gx + gy * gy) / reach), np.float32)


def motes(stage: Stage, count: int = 80, region: tuple[int, int, int, int] | None = None) -> None:
    """Dust in the light."""
    stage.add(
        Swarm(
            stage.rng,
            dot_sprites(np.clip(stage.sun * 0.85, 0, 1), (4, 5, 7), 1.6, 0.5),
            Drift(18, -7, 24, 0.3),
            count=count,
            region=region or (0, 0, stage.width, stage.height),
            additive=True,
            twinkle=0.8,
        )
    )


def curtains(
    stage: Stage,
    space: Space,
    x: tuple[float, float],
    top: float,
    bottom: float,
    *,
    dark: Colour,
    light: Colour,
    sheer: float,
    billow: float,
    folds: float = 7.0,
    pace: float = 1.0,
    share: float = 0.36,
) -> None:
    """A pair of curtains before a window in the back wall."""
    wide = x[1] - x[0]
    z = space.deep - 0.2
    for side, left in ((1.0, x[0] - 0.2), (-1.0, x[1] + 0.2 - wide * share - 0.1)):
        goal = space.corners((left, top, z), (wide * share + 0.1, 0, 0), (0, bottom - top, 0))
        stage.add(
            Curtain(
                stage.rng,
                goal,
                picture_size(stage),
                dark=dark,
                light=light,
                folds=folds,
                sheer=sheer,
                billow=billow * side,
                pace=pace,
                direction=side,
            )
        )


def curtain_rod(space: Space, x: tuple[float, float], y: float, colour: Colour) -> None:
    z = space.deep - 0.22
    space.box((x[0] - 0.35, x[1] + 0.35), (y, y + 0.04), (z, z + 0.04), colour)


def day_space(stage: Stage, x: tuple[float, float], power: float = 1.0) -> Space:
    space = Space(stage, yaw=float(stage.rng.uniform(-0.05, 0.05)), tall=3.0, deep=6.3, wide=7.0)
    space.ambient = stage.ambient * 1.02
    middle = (x[0] + x[1]) / 2
    space.lamps = [
        Lamp((middle, 1.6, space.deep - 0.9), stage.key, 0.5 * power, 2.0),
        Lamp((middle * 0.6, 1.8, space.deep - 2.6), stage.key, 0.42 * power, 2.8),
        Lamp((-middle * 0.4, 2.2, 1.6), mix(stage.key, np.ones(3), 0.4), 0.55 * power, 4.0),
    ]
    return space
