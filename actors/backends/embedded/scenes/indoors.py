"""The builder `room`, and rooms by evening and in the rain: libraries, a coffee shop.

What a reader gets wrong: the person stands in the middle, so windows, fires and lamps keep to the sides, and
the view outside is drawn before the room, which is a still layer with holes.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes import nightlife
from actors.backends.embedded.scenes.canvas import Array, mix, rgb
from actors.backends.embedded.scenes.figures import Plume
from actors.backends.embedded.scenes.furniture import (
    fireplace,
    outside,
    shaded_lamp,
    table,
    vessel,
    window,
)
from actors.backends.embedded.scenes.glasshouse import greenhouse
from actors.backends.embedded.scenes.indoor_motion import (
    Glow,
    HangingLamps,
)
from actors.backends.embedded.scenes.lights import Fire, Lamps, glow_sprite
from actors.backends.embedded.scenes.particles import Rain
from actors.backends.embedded.scenes.room_parts import (
    curtain_rod,
    curtains,
    day_space,
    halo,
    motes,
    side_of,
    span,
)
from actors.backends.embedded.scenes.space import Lamp, Space
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.sunrooms import loft, sunny_room
from actors.backends.embedded.scenes.surfaces import (
    boards,
    bookcase,
    brick,
    painting,
    panels,
    plaster,
    rug,
    wood_block,
)
from actors.backends.embedded.scenes.wet_glass import WetGlass


def room(stage: Stage) -> None:
    """One room, chosen by the options of the scene."""
    kind = str(stage.option("kind", ""))
    if kind == "greenhouse":
        greenhouse(stage)
    elif kind == "club":
        nightlife.club(stage)
    elif kind == "arcade":
        nightlife.arcade(stage)
    elif stage.option("counter"):
        _coffee_shop(stage)
    elif stage.option("shelves"):
        _library(stage)
    elif stage.option("brick"):
        loft(stage)
    else:
        sunny_room(stage)


def _library(stage: Stage) -> None:
    rng = stage.rng
    old = not stage.option("window")
    space = Space(stage, yaw=float(rng.uniform(-0.06, 0.06)), tall=3.1, deep=6.2, wide=6.8)
    side = side_of(stage)
    wall, wood, trim = stage.colour("wall"), stage.colour("shelf"), stage.colour("trim")
    fx = -side * 1.9
    amber = rgb("#ffb468")
    space.ambient = stage.ambient * 0.62
    space.lamps = [
        Lamp((fx, 0.6, 5.0), rgb("#ff9a48"), 1.5, 1.1),
        Lamp((0.0, 2.7, 3.6), amber, 0.55, 2.6),
        Lamp((side * 2.7, 1.9, 5.0), amber, 1.0, 1.0),
        Lamp((-side * 3.1, 2.0, 4.2), amber, 0.6, 1.0),
    ]
    back = panels(rng, space.wide, space.tall, wall, trim * 1.1)
    flank = panels(rng, space.deep - 1.2, space.tall, wall, trim * 1.1)
    space.walls(
        back,
        flank,
        boards(rng, space.wide, 5.0, stage.colour("floor")),
        plaster(rng, 4, 4, rgb("#cbb89c"), rough=0.03),
    )
    space.place(
        rug(rng, 4.2, 2.6, stage.colour("fabric") * 0.8, rgb("#c0a070")),
        (-2.1, 0.01, 6.0),
        (4.2, 0, 0),
        (0, 0, -2.6),
    )
    depth = 0.34
    z = space.deep - depth

    def case(x: tuple[float, float], tall: float) -> None:
        space.shadow(x, (z, space.deep), 0.5)
        space.box(x, (0.0, tall), (z, space.deep), wood, bookcase(rng, x[1] - x[0], tall, wood, shelves=7))

    mask: Array | None = None
    spans = [(-0.85, 0.2), (0.2, 1.25)] if side > 0 else [(-1.25, -0.2), (-0.2, 0.85)]
    if old:
        spans += [(1.35, 2.35), (2.35, 3.35)] if side > 0 else [(-2.35, -1.35), (-3.35, -2.35)]
    for piece in spans:
        case(piece, 2.72)
    case(span(-side, 2.9, 3.4), 2.72)
    # shelves along the walls at both sides, seen at a slant
    for flank_side in (-1, 1):
        sheet = bookcase(rng, 3.4, 2.72, wood, shelves=7)
        x = flank_side * (space.wide / 2 - 0.3)
        if flank_side < 0:
            space.place(sheet, (x, 2.72, 2.3), (0, 0, 3.4), (0, -2.72, 0))
        else:
            space.place(sheet, (x, 2.72, 5.7), (0, 0, -3.4), (0, -2.72, 0))
    win = span(side, 1.75, 2.95)
    if not old:
        stage.plate[:] = mix(
            stage.sky_low, stage.sky_top, np.linspace(1, 0, stage.height)[:, None] * np.ones((1, stage.width))
        )
        outside_night(stage, space, win)
        mask = window(space, win, (0.95, 2.45), trim=trim * 1.3, cols=3, rows=4)
        curtain_rod(space, win, 2.6, rgb("#8a6a3a"))
    foot_x, foot_y, m = fireplace(
        space, fx, stone=stage.colour("rock") * (0.8 if old else 1.0), wood=wood * 0.9, bricks=False
    )
    lamps: list[tuple[float, float]] = []
    frame = painting(rng, 0.95, 0.72, rgb("#9a7638"), [rgb("#3a4a4a"), rgb("#8a8a6a"), rgb("#d8c090")])
    space.place(frame, (fx - 0.48, 2.35, space.deep - 0.44), (0.95, 0, 0), (0, -0.72, 0))
    if old:
        for x in (fx - 0.75, fx + 0.75):
            lamps.append(shaded_lamp(space, x, 1.72, space.deep - 0.5, size=0.1, light=rgb("#ffdc9a")))
    tx = side * 2.55
    table(space, (tx - 0.35, tx + 0.35), (4.8, 5.3), 0.62, wood)
    lamps.append(shaded_lamp(space, tx, 1.16, 5.05, size=0.19, light=rgb("#ffd08a"), stem=0.32))
    for k in range(3):
        vessel(
            space,
            fx - 0.5 + k * 0.45,
            1.37,
            space.deep - 0.55,
            0.12,
            0.2 + 0.06 * (k % 2),
            [rgb("#b0703a"), rgb("#d8c8a8"), rgb("#4a6a6a")][k],
        )
    space.polish(0.16)
    stage.add_still(space.finish(blur=1.5))
    stage.add(Fire(rng, int(foot_x), int(foot_y), int(0.82 * m), int(0.92 * m), speed=1.5))
    stage.add(
        Fire(rng, int(foot_x - 0.12 * m), int(foot_y + 0.02 * m), int(0.5 * m), int(0.6 * m), speed=1.3)
    )
    glow_at = (foot_x, foot_y - 0.4 * m)
    maps = [
        halo(stage, glow_at[0] + dx * m, glow_at[1] + dy * m, stage.px(330), flat=1.0)
        for dx, dy in ((-0.9, -0.3), (0.9, -0.2), (0.0, 0.5), (0.2, -1.2))
    ]
    stage.add(Glow(rng, maps, depth=0.3 if old else 0.34, lively=0.75))
    stage.add(
        Lamps(rng, [glow_at], [glow_sprite(rgb("#ff8a38"), int(3.4 * m) | 1, 0.5)], depth=0.45, lively=0.8)
    )
    stage.add(Lamps(rng, lamps, [glow_sprite(rgb("#ffb860"), int(2.2 * m) | 1, 0.5)], depth=0.18, lively=0.6))
    if mask is not None:
        curtains(
            stage,
            space,
            win,
            2.6,
            0.02,
            dark=stage.colour("fabric") * 0.4,
            light=stage.colour("fabric") * 0.85,
            sheer=0.0,
            billow=0.075,
            folds=4.5,
            pace=0.9,
        )
    motes(stage, 70)


def outside_night(stage: Stage, space: Space, x: tuple[float, float]) -> None:
    """Dusk behind a pane: far lights out of focus on the plate."""
    x0, y0 = space.spot(x[0], 2.4, space.deep)
    x1, y1 = space.spot(x[1], 0.95, space.deep)
    for _ in range(14):
        cx, cy = float(stage.rng.uniform(x0, x1)), float(stage.rng.uniform(y0 + 0.55 * (y1 - y0), y1))
        r = float(stage.rng.uniform(3, 9)) * stage.px(1)
        tone = rgb("#ffcf90") * float(stage.rng.uniform(0.4, 0.9))
        cv2.circle(stage.plate, (int(cx), int(cy)), int(r), tuple(float(c) for c in tone), -1, cv2.LINE_AA)
    stage.plate[:] = cv2.GaussianBlur(stage.plate, (0, 0), stage.px(2))


def _coffee_shop(stage: Stage) -> None:
    rng = stage.rng
    side = side_of(stage)
    win = span(side, 0.75, 3.25)
    outside(stage, trees=6, tall=0.9, blur=6)
    stage.plate[:] = stage.plate * 0.8
    space = day_space(stage, win, 0.6)
    space.ambient = stage.ambient * 0.8
    amber = rgb("#ffb866")
    hooks3 = (
        [(-2.4, 4.6), (-0.9, 5.0), (0.75, 4.6), (2.3, 4.9)]
        if side < 0
        else [(2.4, 4.6), (0.9, 5.0), (-0.75, 4.6), (-2.3, 4.9)]
    )
    hooks3 = hooks3[: max(int(stage.number("lamps", 3)), 3) + 1]
    for x, z in hooks3:
        space.lamps.append(Lamp((x, 1.95, z), amber, 0.62, 1.0))
    back = brick(rng, space.wide, space.tall, stage.colour("wall2"), stage.colour("wall"))
    flank = plaster(rng, space.deep - 1.2, space.tall, rgb("#54463c"), rough=0.06)
    space.walls(
        back,
        flank,
        boards(rng, space.wide, 5.0, stage.colour("floor")),
        plaster(rng, 4, 4, rgb("#3e3834"), rough=0.03),
    )
    window(space, win, (0.8, 2.6), trim=stage.colour("trim"), cols=3, rows=1, bar=0.05)
    z = space.deep
    cx = -side * 2.0
    shelf = stage.colour("shelf")
    for k in range(3):
        y = 1.32 + 0.42 * k
        space.box((cx - 1.3, cx + 1.2), (y, y + 0.045), (z - 0.28, z), shelf)
        for j in range(13):
            if rng.random() < 0.14:
                continue
            tone = [
                rgb("#d8c8a8"),
                rgb("#5a7a6a"),
                rgb("#a85a30"),
                rgb("#e8e0d0"),
                rgb("#7a3a24"),
                rgb("#3f5a70"),
            ][int(rng.integers(0, 6))]
            vessel(
                space,
                cx - 1.2 + 0.19 * j,
                y + 0.045,
                z - 0.15,
                float(rng.uniform(0.08, 0.15)),
                float(rng.uniform(0.11, 0.3)),
                tone,
                belly=float(rng.uniform(0.4, 1.1)),
            )
    front = panels(rng, 2.9, 1.05, shelf * 1.25, shelf * 1.35, dado=0.98)
    space.shadow((cx - 1.4, cx + 1.3), (4.6, 5.2), 0.5)
    space.box((cx - 1.4, cx + 1.3), (0, 1.02), (4.7, 5.3), shelf, front)
    space.box(
        (cx - 1.48, cx + 1.38),
        (1.02, 1.08),
        (4.62, 5.35),
        rgb("#a07850"),
        wood_block(rng, 2.8, 0.06, rgb("#a07850")),
    )
    mx = cx - side * 0.25
    space.box(
        (mx - 0.34, mx + 0.34),
        (1.14, 1.52),
        (4.85, 5.25),
        rgb("#8f959a"),
        mix(rgb("#5f656a"), rgb("#d0d6da"), np.linspace(1, 0, 30)[:, None] * np.ones((1, 50))),
    )
    space.box((mx - 0.36, mx + 0.36), (1.52, 1.56), (4.82, 5.28), rgb("#5a4434"))
    for k in range(4):
        vessel(space, mx - 0.24 + 0.16 * k, 1.56, 5.0, 0.12, 0.09, rgb("#efe8da"))
        vessel(space, mx + side * (0.55 + 0.17 * (k % 2)), 1.08, 4.8 + 0.1 * k, 0.12, 0.1, rgb("#efe8da"))
    tx = side * 2.3
    table(space, (tx - 0.45, tx + 0.45), (4.9, 5.6), 0.75, rgb("#7a583c"))
    vessel(space, tx, 0.75, 5.2, 0.13, 0.1, rgb("#efe8da"))
    space.polish(0.22)
    x0, y0 = space.spot(win[0], 2.6, z)
    x1, y1 = space.spot(win[1], 0.8, z)
    box = (max(int(x0), 0), max(int(y0), 0), min(int(x1), stage.width), min(int(y1), stage.height))
    stage.add(Rain(rng, width=stage.width, height=stage.height, count=420, slant=0.08, alpha=0.3))
    stage.add(WetGlass(rng, box, size=stage.px(8.5), still=420, running=30))
    stage.add_still(space.finish(blur=1.4, bloom=0.4))
    hooks = []
    for x, z_ in hooks3:
        hx, hy = space.spot(x, space.tall, z_)
        m = space.scale(x, 2, z_)
        hooks.append((hx, max(hy, -stage.px(30)), 0.78 * m, 0.2 * m))
    spots = [(x, y + length + radius) for x, y, length, radius in hooks]
    stage.add(
        Glow(rng, [halo(stage, x, y + stage.px(60), stage.px(170)) for x, y in spots], depth=0.16, lively=0.6)
    )
    stage.add(
        HangingLamps(
            rng, hooks, shade=rgb("#3a4a44"), light=rgb("#ffcf8a"), swing=0.075, strength=0.5, halo=4.2
        )
    )
    for dx, dy, zz in ((mx - 0.1, 1.25, 4.8), (mx + side * 0.6, 1.2, 4.8)):
        sx, sy = space.spot(dx, dy, zz)
        m = space.scale(dx, dy, zz)
        stage.add(
            Plume(rng, sx, sy, size=0.2 * m, colour=rgb("#f4ece2"), strength=0.42, lean=12, rise=0.17 * m)
        )
