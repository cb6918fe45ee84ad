"""Rooms by day: a living room, a breakfast room, an artist's loft.

What a reader gets wrong: the sun patch on the wall comes from no computed ray; it is placed where a low sun
through the window beside it could fall, and leaf shadows sway in it.
"""

from __future__ import annotations

import numpy as np

from actors.backends.embedded.scenes.canvas import mix, rgb
from actors.backends.embedded.scenes.figures import Plume
from actors.backends.embedded.scenes.furniture import (
    outside,
    sofa,
    table,
    vessel,
    window,
)
from actors.backends.embedded.scenes.indoor_motion import (
    Dapple,
    sun_patch,
)
from actors.backends.embedded.scenes.potted import houseplant
from actors.backends.embedded.scenes.room_parts import (
    curtain_rod,
    curtains,
    day_space,
    motes,
    picture_size,
    side_of,
    span,
)
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.surfaces import (
    boards,
    brick,
    painting,
    panels,
    plaster,
    rug,
    skirted,
)


def sunny_room(stage: Stage) -> None:
    """Living room or breakfast room: a bright window with sheer curtains, leaf shadows on the wall."""
    rng = stage.rng
    breakfast = bool(stage.option("table"))
    side = side_of(stage)
    win = span(side, 0.95, 2.75) if breakfast else span(side, 0.85, 3.05)
    bottom = 0.85 if breakfast else 0.35
    outside(stage)
    space = day_space(stage, win, 0.55 if breakfast else 0.72)
    wall, trim = stage.colour("wall"), stage.colour("trim")
    if breakfast:
        wall = mix(wall, rgb("#c9d8cc"), 0.55)
    back = skirted(plaster(rng, space.wide, space.tall, wall, rough=0.035), trim)
    flank = skirted(plaster(rng, space.deep - 1.2, space.tall, wall * 0.97, rough=0.035), trim)
    space.walls(
        back,
        flank,
        boards(rng, space.wide, 5.0, stage.colour("floor")),
        plaster(rng, 4, 4, rgb("#f0ece4"), rough=0.02),
    )
    window(space, win, (bottom, 2.5), trim=trim, cols=3 if breakfast else 4, rows=3)
    curtain_rod(space, win, 2.62, rgb("#8a7458"))
    z = space.deep
    if breakfast:
        sx = -side * 2.2
        space.box(
            (sx - 1.0, sx + 1.0),
            (0, 0.9),
            (z - 0.55, z),
            rgb("#dfe0d6"),
            panels(rng, 2.0, 0.9, rgb("#dfe0d6"), rgb("#dfe0d6"), dado=0.82),
        )
        space.box((sx - 1.04, sx + 1.04), (0.9, 0.95), (z - 0.6, z), stage.colour("shelf"))
        for k in range(2):
            space.box(
                (sx - 0.95, sx + 0.95),
                (1.62 + 0.42 * k, 1.66 + 0.42 * k),
                (z - 0.25, z),
                stage.colour("shelf"),
            )
            for j in range(7):
                tone = [rgb("#f2ede2"), rgb("#7f9aa8"), rgb("#d8b070"), rgb("#c8d0c0")][
                    int(rng.integers(0, 4))
                ]
                vessel(
                    space,
                    sx - 0.8 + 0.26 * j,
                    1.66 + 0.42 * k,
                    z - 0.14,
                    float(rng.uniform(0.1, 0.17)),
                    float(rng.uniform(0.1, 0.24)),
                    tone,
                    belly=float(rng.uniform(0.4, 1.0)),
                )
    else:
        sx = -side * 1.75
        sofa(
            space,
            (sx - 1.15, sx + 1.15),
            (z - 1.25, z - 0.15),
            mix(rgb("#a9b2ac"), stage.colour("fabric"), 0.3),
        )
        tones = [rgb("#5f7f86"), rgb("#d9c8a8"), rgb("#c98a60"), rgb("#f0e6d4")]
        for k, (wide, tall) in enumerate(((0.62, 0.8), (0.62, 0.8))):
            space.place(
                painting(rng, wide, tall, rgb("#6a5440"), tones),
                (sx - 0.8 + 0.9 * k, 2.2, z - 0.02),
                (wide, 0, 0),
                (0, -tall, 0),
            )
        space.place(
            rug(rng, 3.4, 1.9, rgb("#d8cdb8"), rgb("#8f9aa0")),
            (-1.7 - side * 0.4, 0.01, 5.3),
            (3.4, 0, 0),
            (0, 0, -1.6),
        )
    steam: list[tuple[float, float, float]] = []
    if breakfast:
        tx = -side * 1.7
        table(space, (tx - 0.95, tx + 0.75), (4.15, 5.0), 0.76, stage.colour("shelf"))
        vessel(space, tx - 0.3, 0.76, 4.5, 0.28, 0.24, rgb("#e8e4da"), belly=0.8)
        vessel(space, tx + 0.2, 0.76, 4.35, 0.12, 0.1, rgb("#8fa8b4"))
        vessel(space, tx + 0.45, 0.76, 4.5, 0.12, 0.1, rgb("#e8d8b0"))
        px_, py_ = space.spot(tx - 0.3, 1.0, 4.5)
        steam.append((px_, py_, space.scale(tx, 1.0, 4.5)))
    space.polish(0.14)
    stage.add_still(space.finish(blur=1.4, bloom=0.5))
    tw, th = 300, 200
    bars = sun_patch(tw, th, cols=3, rows=2, bar=0.02, soft=2.2, slant=0.3 * side)
    a, b = (-side * 3.3, -side * 0.35)
    left, right = min(a, b), max(a, b)
    goal = space.corners((left, 2.62, z), (right - left, side * 0.12, 0), (-side * 0.28, -2.1, 0))
    stage.add(
        Dapple(
            rng,
            goal,
            picture_size(stage),
            bars,
            gain=np.clip(stage.key, 0, 1) * np.array((0.85, 0.77, 0.62), np.float32),
            leaf=0.06,
            soft=1.7,
            sway=14.0,
            count=10,
        )
    )
    cloth = stage.colour("fabric")
    curtains(
        stage,
        space,
        win,
        2.62,
        0.04,
        dark=cloth * np.array((0.66, 0.64, 0.62), np.float32),
        light=np.minimum(cloth * 1.06, 1),
        sheer=0.38,
        billow=0.17,
        folds=7,
        pace=1.2,
        share=0.46,
    )
    if stage.option("plant"):
        houseplant(stage, space, side * 3.0, 5.0, tall=1.5)
    for x, y, m in steam:
        stage.add(
            Plume(
                rng, x, y, size=0.16 * m, colour=np.ones(3, np.float32), strength=0.5, lean=10, rise=0.16 * m
            )
        )
    motes(stage, 90)


def loft(stage: Stage) -> None:
    rng = stage.rng
    side = side_of(stage)
    win = span(side, 0.7, 3.1)
    outside(stage, trees=4, tall=0.62, clouds=3.0)
    space = day_space(stage, win)
    space.tall = 3.5
    back = skirted(
        brick(rng, space.wide, space.tall, stage.colour("wall2"), stage.colour("wall") * 1.08),
        stage.colour("trim"),
    )
    flank = brick(rng, space.deep - 1.2, space.tall, stage.colour("wall2"), stage.colour("wall"))
    space.walls(
        back,
        flank,
        boards(rng, space.wide, 5.0, stage.colour("floor")),
        boards(rng, 5, 5, rgb("#7a6450"), board=0.3),
    )
    z = space.deep
    middle = (win[0] + win[1]) / 2
    iron = rgb("#2c2e30")
    window(space, (win[0], middle - 0.08), (0.5, 3.2), trim=iron, cols=3, rows=5, bar=0.03)
    window(space, (middle + 0.08, win[1]), (0.5, 3.2), trim=iron, cols=3, rows=5, bar=0.03)
    ex = -side * 2.3
    for k, (wide, tall, x) in enumerate(((0.9, 1.15, ex - 0.75), (0.7, 0.9, ex + 0.45))):
        tones = [rgb("#2f4a5f"), rgb("#b8603a"), rgb("#e0c890"), rgb("#f0e8dc")]
        space.shadow((x, x + wide), (z - 0.25, z), 0.4)
        space.place(
            painting(rng, wide, tall, rgb("#e6ddcc"), tones if k else tones[::-1]),
            (x, tall + 0.02, z - 0.16 - 0.1 * k),
            (wide, 0, 0),
            (0, -tall, 0.08),
        )
    bench = stage.colour("shelf")
    table(space, (ex - 1.0, ex + 0.9), (4.7, 5.3), 0.84, bench)
    for k in range(6):
        tone = [rgb("#d8d0c0"), rgb("#6a8a9a"), rgb("#b86a48"), rgb("#e0b860")][int(rng.integers(0, 4))]
        vessel(
            space,
            ex - 0.85 + 0.26 * k,
            0.84,
            5.0,
            float(rng.uniform(0.09, 0.15)),
            float(rng.uniform(0.1, 0.24)),
            tone,
        )
    space.polish(0.16)
    stage.add_still(space.finish(blur=1.4, bloom=0.4))
    patch = sun_patch(300, 200, cols=3, rows=2, bar=0.02, soft=2.0, slant=0.3 * side)
    a, b = (-side * 3.35, -side * 0.1)
    left, right = min(a, b), max(a, b)
    goal = space.corners((left, 3.1, z), (right - left, side * 0.15, 0), (-side * 0.3, -2.3, 0))
    stage.add(
        Dapple(
            rng,
            goal,
            picture_size(stage),
            patch,
            gain=np.array((0.95, 0.84, 0.66), np.float32),
            leaf=0.06,
            soft=1.8,
            sway=14.0,
            count=10,
        )
    )
    linen = rgb("#d8cfbe")
    curtains(
        stage,
        space,
        win,
        3.3,
        0.05,
        dark=linen * 0.5,
        light=linen * 1.04,
        sheer=0.2,
        billow=0.17,
        folds=6,
        share=0.27,
        pace=1.15,
    )
    if stage.option("plant"):
        houseplant(stage, space, side * 3.05, 4.9, tall=1.5)
    motes(stage, 60)
