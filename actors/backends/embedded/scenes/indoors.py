"""Rooms: libraries, a living room, a loft, a breakfast room, a coffee shop; the builder `room`.

What a reader gets wrong: the person stands in the middle, so windows, fires and lamps keep to the sides, and
the view outside is drawn before the room, which is a still layer with holes.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes import nightlife
from actors.backends.embedded.scenes.canvas import Array, Colour, mix, rgb
from actors.backends.embedded.scenes.figures import Plume
from actors.backends.embedded.scenes.furniture import (
    fireplace,
    houseplant,
    outside,
    shaded_lamp,
    sofa,
    table,
    vessel,
    window,
)
from actors.backends.embedded.scenes.glasshouse import greenhouse
from actors.backends.embedded.scenes.indoor_motion import (
    Curtain,
    Dapple,
    Glow,
    HangingLamps,
    WetGlass,
    sun_patch,
)
from actors.backends.embedded.scenes.lights import Fire, Lamps, glow_sprite
from actors.backends.embedded.scenes.particles import Drift, Rain, Swarm, dot_sprites
from actors.backends.embedded.scenes.space import Lamp, Space
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.surfaces import (
    boards,
    bookcase,
    brick,
    painting,
    panels,
    plaster,
    rug,
    skirted,
    wood_block,
)


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
        _loft(stage)
    else:
        _sunny_room(stage)


def _side(stage: Stage) -> int:
    """-1 when the window is on the left, 1 on the right."""
    return -1 if stage.rng.random() < 0.5 else 1


def _span(side: int, inner: float, outer: float) -> tuple[float, float]:
    return (inner, outer) if side > 0 else (-outer, -inner)


def _picture(stage: Stage) -> tuple[int, int]:
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
    stage: Stage, space: Space, x: tuple[float, float], top: float, bottom: float, *, dark: Colour, light: Colour,
    sheer: float, billow: float, folds: float = 7.0, pace: float = 1.0, share: float = 0.36,
) -> None:  # fmt: skip
    """A pair of curtains before a window in the back wall."""
    wide = x[1] - x[0]
    z = space.deep - 0.2
    for side, left in ((1.0, x[0] - 0.2), (-1.0, x[1] + 0.2 - wide * share - 0.1)):
        goal = space.corners((left, top, z), (wide * share + 0.1, 0, 0), (0, bottom - top, 0))
        stage.add(
            Curtain(
                stage.rng, goal, _picture(stage), dark=dark, light=light, folds=folds, sheer=sheer,
                billow=billow * side, pace=pace, direction=side,
            )
        )  # fmt: skip


def _rod(space: Space, x: tuple[float, float], y: float, colour: Colour) -> None:
    z = space.deep - 0.22
    space.box((x[0] - 0.35, x[1] + 0.35), (y, y + 0.04), (z, z + 0.04), colour)


def _library(stage: Stage) -> None:
    rng = stage.rng
    old = not stage.option("window")
    space = Space(stage, yaw=float(rng.uniform(-0.06, 0.06)), tall=3.1, deep=6.2, wide=6.8)
    side = _side(stage)
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
    for span in spans:
        case(span, 2.72)
    case(_span(-side, 2.9, 3.4), 2.72)
    # shelves along the walls at both sides, seen at a slant
    for flank_side in (-1, 1):
        sheet = bookcase(rng, 3.4, 2.72, wood, shelves=7)
        x = flank_side * (space.wide / 2 - 0.3)
        if flank_side < 0:
            space.place(sheet, (x, 2.72, 2.3), (0, 0, 3.4), (0, -2.72, 0))
        else:
            space.place(sheet, (x, 2.72, 5.7), (0, 0, -3.4), (0, -2.72, 0))
    win = _span(side, 1.75, 2.95)
    if not old:
        stage.plate[:] = mix(
            stage.sky_low, stage.sky_top, np.linspace(1, 0, stage.height)[:, None] * np.ones((1, stage.width))
        )
        outside_night(stage, space, win)
        mask = window(space, win, (0.95, 2.45), trim=trim * 1.3, cols=3, rows=4)
        _rod(space, win, 2.6, rgb("#8a6a3a"))
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
            stage, space, win, 2.6, 0.02, dark=stage.colour("fabric") * 0.32, light=stage.colour("fabric") * 1.05,
            sheer=0.0, billow=0.075, folds=6, pace=0.9,
        )  # fmt: skip
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


def _day_space(stage: Stage, x: tuple[float, float], power: float = 1.0) -> Space:
    space = Space(stage, yaw=float(stage.rng.uniform(-0.05, 0.05)), tall=3.0, deep=6.3, wide=7.0)
    space.ambient = stage.ambient * 1.02
    middle = (x[0] + x[1]) / 2
    space.lamps = [
        Lamp((middle, 1.6, space.deep - 0.9), stage.key, 0.5 * power, 2.0),
        Lamp((middle * 0.6, 1.8, space.deep - 2.6), stage.key, 0.42 * power, 2.8),
        Lamp((-middle * 0.4, 2.2, 1.6), mix(stage.key, np.ones(3), 0.4), 0.55 * power, 4.0),
    ]
    return space


def _sunny_room(stage: Stage) -> None:
    """Living room or breakfast room: a bright window with sheer curtains, leaf shadows on the wall."""
    rng = stage.rng
    breakfast = bool(stage.option("table"))
    side = _side(stage)
    win = _span(side, 0.95, 2.75) if breakfast else _span(side, 0.85, 3.05)
    bottom = 0.85 if breakfast else 0.35
    outside(stage)
    space = _day_space(stage, win, 0.55 if breakfast else 0.72)
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
    _rod(space, win, 2.62, rgb("#8a7458"))
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
            rng, goal, _picture(stage), bars, gain=np.clip(stage.key, 0, 1) * np.array((0.85, 0.77, 0.62), np.float32),
            leaf=0.06, soft=1.7, sway=14.0, count=10,
        )
    )  # fmt: skip
    cloth = stage.colour("fabric")
    curtains(
        stage, space, win, 2.62, 0.04, dark=cloth * np.array((0.66, 0.64, 0.62), np.float32), light=np.minimum(cloth * 1.06, 1),
        sheer=0.38, billow=0.17, folds=7, pace=1.2, share=0.46,
    )  # fmt: skip
    if stage.option("plant"):
        houseplant(stage, space, side * 3.0, 5.0, tall=1.5)
    for x, y, m in steam:
        stage.add(
            Plume(
                rng, x, y, size=0.16 * m, colour=np.ones(3, np.float32), strength=0.5, lean=10, rise=0.16 * m
            )
        )
    motes(stage, 90)


def _loft(stage: Stage) -> None:
    rng = stage.rng
    side = _side(stage)
    win = _span(side, 0.7, 3.1)
    outside(stage, trees=4, tall=0.62, clouds=3.0)
    space = _day_space(stage, win)
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
            rng, goal, _picture(stage), patch, gain=np.array((0.95, 0.84, 0.66), np.float32), leaf=0.06, soft=1.8, sway=14.0, count=10
        )
    )  # fmt: skip
    linen = rgb("#d8cfbe")
    curtains(
        stage, space, win, 3.3, 0.05, dark=linen * 0.5, light=linen * 1.04, sheer=0.2, billow=0.17, folds=6, share=0.27, pace=1.15
    )  # fmt: skip
    if stage.option("plant"):
        houseplant(stage, space, side * 3.05, 4.9, tall=1.5)
    motes(stage, 60)


def _coffee_shop(stage: Stage) -> None:
    rng = stage.rng
    side = _side(stage)
    win = _span(side, 0.75, 3.25)
    outside(stage, trees=6, tall=0.9, blur=6)
    stage.plate[:] = stage.plate * 0.8
    space = _day_space(stage, win, 0.6)
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
    mask = window(space, win, (0.8, 2.6), trim=stage.colour("trim"), cols=3, rows=1, bar=0.05)
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
    del mask
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
