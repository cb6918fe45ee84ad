"""What stands and hangs in rooms: windows with a view, fireplaces, plants in pots, tables, sofas, lamps.

What a reader gets wrong: still things go into the space's picture and must be placed before `finish`;
plants, curtains and flames are layers of the stage and go in front of it.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Colour,
    Rng,
    fbm,
    mix,
    rgb,
    smoothstep,
)
from actors.backends.embedded.scenes.parts import tree_bank
from actors.backends.embedded.scenes.plants import tinted
from actors.backends.embedded.scenes.potted import greenery
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.space import Space
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.surfaces import brick, pane_grid, wood_block

Span = tuple[float, float]


def outside(
    stage: Stage, *, trees: int = 9, tall: float = 1.0, blur: float = 4.0, clouds: float = 1.6
) -> None:
    """The view from a window, out of focus: sky, drifting clouds, the crowns of trees in the wind."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(0.68)
    paint_sky(stage, horizon, speed=clouds)
    lawn = np.linspace(0, 1, h - horizon, dtype=np.float32)[:, None, None]
    ground = mix(stage.lit(stage.colour("grass_tip"), 0.8), stage.lit(stage.colour("grass"), 0.6), lawn)
    stage.plate[horizon:] = mix(ground, stage.haze, 0.45)
    if trees:
        bank = tree_bank(stage, "broadleaf", int(stage.px(300)), 2, leaves=1500)
        hedge = [
            (
                w * float(rng.uniform(-0.02, 1.02)),
                horizon + stage.px(34),
                stage.px(float(rng.uniform(150, 260))) * tall,
            )
            for _ in range(26)
        ]
        far = [tinted(tree, stage.haze, 0.55 * stage.haze_amount) for tree in bank]
        greenery(stage, far, hedge, sway=7, blur=blur * 1.3, glint=0.15)
        places = [
            (
                w * (k + float(rng.uniform(0.1, 0.9))) / trees,
                horizon + stage.px(float(rng.uniform(60, 130))),
                stage.px(float(rng.uniform(380, 540))) * tall,
            )
            for k in range(trees)
        ]
        middle = [tinted(tree, stage.haze, 0.2 * stage.haze_amount) for tree in bank]
        greenery(stage, middle, places, sway=20, blur=blur, glint=0.25, flutter=2.6)


def window(
    space: Space,
    x: Span,
    y: Span,
    *,
    trim: Colour,
    cols: int,
    rows: int,
    bar: float = 0.035,
    reveal: float = 0.16,
    sill: bool = True,
) -> Array:
    """A window in the back wall; returns its mask. The wall's thickness is seen at its sides."""
    z = space.deep
    wide, tall = x[1] - x[0], y[1] - y[0]
    if sill:
        soft: Array = np.zeros((40, 60, 4), np.float32)
        soft[8:-8, 8:-8, 3] = 0.3
        soft = np.asarray(cv2.GaussianBlur(soft, (0, 0), 4), np.float32)
        space.place(soft, (x[0] - 0.25, y[1] + 0.25, z), (wide + 0.5, 0, 0), (0, -tall - 0.5, 0), lit=False)
    edge = 0.09
    frame = np.broadcast_to(trim, (20, 20, 3)).astype(np.float32)
    space.place(frame, (x[0] - edge, y[1] + edge, z), (wide + 2 * edge, 0, 0), (0, -tall - 2 * edge, 0))
    mask = space.window((x[0], y[1], z), (wide, 0, 0), (0, -tall, 0))
    before = space.picture.copy()
    far = z + reveal
    inner = np.broadcast_to(trim * 1.02, (16, 16, 3)).astype(np.float32)
    space.place(inner * 0.9, (x[0], y[1], z), (0, 0, reveal), (0, -tall, 0))
    space.place(inner * 0.9, (x[1], y[1], far), (0, 0, -reveal), (0, -tall, 0))
    space.place(inner * 0.75, (x[0], y[1], z), (wide, 0, 0), (0, 0, reveal))
    space.place(inner * 1.1, (x[0], y[0], far), (wide, 0, 0), (0, 0, -reveal))
    space.place(
        pane_grid(wide, tall, trim * 0.94, cols, rows, bar), (x[0], y[1], far), (wide, 0, 0), (0, -tall, 0)
    )
    space.picture[...] = before + (space.picture - before) * mask[..., None]
    if sill:
        space.box((x[0] - 0.14, x[1] + 0.14), (y[0] - 0.05, y[0]), (z - 0.16, z), trim)
    return mask


def fireplace(
    space: Space, x: float, *, stone: Colour, wood: Colour, bricks: bool
) -> tuple[float, float, float]:
    """A chimney breast with mantel and hearth at `x`; returns the foot of the fire in px and px a metre."""
    rng, z = space.stage.rng, space.deep
    wide, depth = 1.9, 0.42
    front = z - depth
    face = (
        brick(rng, wide, space.tall, stone * 0.8, stone * 1.12)
        if bricks
        else _stones(rng, wide, space.tall, stone)
    )
    space.shadow((x - wide / 2, x + wide / 2), (front - 0.1, z), 0.4)
    space.box((x - wide / 2, x + wide / 2), (0.0, space.tall), (front, z), stone * 0.85, face)
    half, high = 0.52, 0.92
    soot = rgb("#1a1210")
    space.place(
        np.broadcast_to(soot * 0.55, (8, 8, 3)).astype(np.float32),
        (x - half, high, front),
        (2 * half, 0, 0),
        (0, -high, 0),
        lit=False,
    )
    inside = brick(rng, 1.04, 0.92, rgb("#3a241c"), rgb("#573828"))
    glow = np.exp(
        -(np.linspace(-1, 1, inside.shape[1])[None, :] ** 2) / 0.5
        - (np.linspace(1, 0, inside.shape[0])[:, None]) ** 2 / 0.7
    )
    inside = inside * (0.1 + 1.5 * glow[..., None] * rgb("#ffa050")).astype(np.float32)
    back = front + 0.3
    space.place(
        np.clip(inside, 0, 1).astype(np.float32),
        (x - half * 0.88, high * 0.98, back),
        (2 * half * 0.88, 0, 0),
        (0, -high * 0.94, 0),
        lit=False,
    )
    lintel = wood_block(rng, 2 * half + 0.5, 0.16, stone * 1.1)
    space.place(lintel, (x - half - 0.25, high + 0.16, front - 0.02), (2 * half + 0.5, 0, 0), (0, -0.16, 0))
    space.box(
        (x - wide / 2 - 0.12, x + wide / 2 + 0.12),
        (1.28, 1.37),
        (front - 0.2, front),
        wood,
        wood_block(rng, wide, 0.09, wood),
    )
    space.box((x - wide / 2 - 0.05, x + wide / 2 + 0.05), (0.0, 0.06), (front - 0.5, front), stone * 0.6)
    fx, fy = space.spot(x, 0.08, front + 0.05)
    m = space.scale(x, 0.1, front)
    for k, (dx, dy, turn) in enumerate(((-0.22, 0.1, 8), (0.2, 0.1, -10), (0.0, 0.17, 3))):
        wood_c = rgb("#3a2418") * (0.8 + 0.2 * k)
        log = np.zeros((20, 90, 4), np.float32)
        cv2.ellipse(log, (45, 10), (43, 8), 0, 0, 360, (*[float(c) for c in wood_c], 1.0), -1, cv2.LINE_AA)
        log[:7, :, :3] += np.array((0.32, 0.12, 0.03), np.float32) * log[:7, :, 3:]
        lean = np.tan(np.radians(turn)) * 0.62
        space.place(
            log,
            (x + dx - 0.31, dy + 0.07 + lean / 2, front + 0.04),
            (0.62, -lean, 0),
            (0, -0.13, 0),
            lit=False,
        )
    return fx, fy, m


def _stones(rng: Rng, wide: float, tall: float, colour: Colour) -> Array:
    """Coursed rubble."""
    ppm = 120
    h, w = int(tall * ppm), int(wide * ppm)
    out = np.broadcast_to(colour * 0.42, (h, w, 3)).astype(np.float32).copy()
    y = 0
    while y < h:
        high = int(rng.uniform(0.13, 0.26) * ppm)
        x = -int(rng.uniform(0, 0.2) * ppm)
        while x < w:
            long_ = int(rng.uniform(0.18, 0.46) * ppm)
            tone = (
                colour
                * float(rng.uniform(0.72, 1.14))
                * (1 + np.array((0.05, 0, -0.05), np.float32) * float(rng.normal(0, 0.7)))
            )
            x0, x1, y1 = max(x, 0), min(x + long_ - 3, w), min(y + high - 3, h)
            if x1 > x0 and y1 > y:
                out[y:y1, x0:x1] = tone
                out[y : y + 2, x0:x1] *= 1.12
                out[y1 - 3 : y1, x0:x1] *= 0.75
            x += long_
        y += high
    soft = cv2.GaussianBlur(out, (0, 0), 1.4)
    rough = fbm(rng, h, w, cell=ppm * 0.2, octaves=5) - 0.5
    return np.asarray(np.clip(soft * (1 + 0.5 * rough)[..., None], 0, 1), np.float32)


def shaded_lamp(
    space: Space, x: float, y: float, z: float, *, size: float = 0.17, light: Colour, stem: float = 0.0
) -> tuple[float, float]:
    """A lamp with a cloth shade, its middle at (x, y, z); `stem` m of foot under it; its place in px."""
    h, w = 80, 96
    v, u = np.mgrid[0:h, 0:w].astype(np.float32)
    half = 24 + 20 * v / h
    inside = smoothstep(1.03, 0.97, np.abs(u - w / 2 + 0.5) / half)
    bright = (0.72 + 0.5 * np.exp(-(((v / h - 0.62) / 0.36) ** 2))) * (
        1 - 0.34 * np.abs((u - w / 2) / half) ** 2
    )
    sheet = np.dstack([np.clip(light * bright[..., None], 0, 1), inside]).astype(np.float32)
    if stem:
        space.box(
            (x - 0.015, x + 0.015), (y - size - stem, y - size * 0.6), (z - 0.015, z + 0.015), rgb("#6a5030")
        )
        space.box(
            (x - 0.09, x + 0.09),
            (y - size - stem, y - size - stem + 0.04),
            (z - 0.09, z + 0.05),
            rgb("#6a5030"),
        )
    space.place(sheet, (x - size * 1.2, y + size, z), (2.4 * size, 0, 0), (0, -2 * size, 0), lit=False)
    return space.spot(x, y, z)


def sofa(space: Space, x: Span, z: Span, cloth: Colour, *, seat: float = 0.44, back: float = 0.86) -> None:
    """A low sofa before the back wall, cushions and arms with rounded, shaded fronts."""
    rng = space.stage.rng

    def cushion(wide: float, tall: float, tone: Colour) -> Array:
        h, w = max(int(tall * 150), 8), max(int(wide * 150), 8)
        v, u = np.mgrid[0:h, 0:w].astype(np.float32)
        du, dv = np.minimum(u, w - 1 - u) / 150, np.minimum(v, h - 1 - v) / 150
        edge = smoothstep(0, 0.1, du) * smoothstep(0, 0.1, dv)
        r = 0.07
        corner = np.hypot(np.maximum(r - du, 0), np.maximum(r - dv, 0))
        weave = fbm(rng, h, w, cell=40, octaves=5) - 0.5
        shade = (0.62 + 0.42 * edge + 0.16 * (1 - v / h)) * (1 + 0.12 * weave)
        return np.dstack(
            [np.clip(tone * shade[..., None], 0, 1), smoothstep(r + 0.006, r - 0.006, corner)]
        ).astype(np.float32)

    space.shadow(x, z, 0.55)
    arm = 0.22
    space.place(
        cushion(x[1] - x[0], back, cloth * 0.92), (x[0], back, z[1] - 0.1), (x[1] - x[0], 0, 0), (0, -back, 0)
    )
    count = max(round((x[1] - x[0] - 2 * arm) / 0.8), 1)
    step = (x[1] - x[0] - 2 * arm) / count
    for k in range(count):
        left = x[0] + arm + k * step
        space.place(cushion(step, 0.5, cloth), (left, back - 0.02, z[1] - 0.25), (step, 0, 0), (0, -0.5, 0))
    top = np.broadcast_to(cloth * 1.08, (16, 16, 3)).astype(np.float32)
    space.place(top, (x[0] + arm, seat, z[1] - 0.3), (x[1] - x[0] - 2 * arm, 0, 0), (0, 0, z[0] - z[1] + 0.3))
    for k in range(count):
        left = x[0] + arm + k * step
        space.place(cushion(step, 0.2, cloth * 1.04), (left, seat + 0.02, z[0]), (step, 0, 0), (0, -0.2, 0))
    space.place(
        cushion(x[1] - x[0] - 0.1, 0.2, cloth * 0.8),
        (x[0] + 0.05, 0.25, z[0] + 0.01),
        (x[1] - x[0] - 0.1, 0, 0),
        (0, -0.2, 0),
    )
    for left in (x[0], x[1] - arm):
        space.place(cushion(arm, 0.58, cloth), (left, 0.62, z[0] - 0.02), (arm, 0, 0), (0, -0.58, 0))
    tone = [rgb("#c8a050"), rgb("#7f98a6"), rgb("#b8705a")][int(rng.integers(0, 3))]
    space.place(
        cushion(0.42, 0.4, mix(tone, cloth, 0.25)),
        (x[0] + arm + 0.02, seat + 0.4, z[1] - 0.35),
        (0.42, 0.04, 0),
        (0.03, -0.4, 0),
    )


def table(space: Space, x: Span, z: Span, high: float, wood: Colour) -> None:
    """A table with four legs."""
    rng = space.stage.rng
    space.shadow(x, z, 0.4)
    for a in (z[1] - 0.1, z[0]):
        for b in (x[0] + 0.03, x[1] - 0.1):
            space.box((b, b + 0.07), (0, high - 0.05), (a, a + 0.07), wood * 0.8)
    space.box((x[0] + 0.02, x[1] - 0.02), (high - 0.13, high - 0.04), (z[0] + 0.03, z[1]), wood * 0.78)
    space.box(x, (high - 0.04, high), z, wood, wood_block(rng, x[1] - x[0], 0.04, wood))
    top = wood_block(rng, x[1] - x[0], z[1] - z[0], wood * 1.06)
    space.place(top, (x[0], high, z[1]), (x[1] - x[0], 0, 0), (0, 0, z[0] - z[1]))


def vessel(
    space: Space,
    x: float,
    y: float,
    z: float,
    wide: float,
    tall: float,
    colour: Colour,
    *,
    belly: float = 0.5,
) -> None:
    """A jar, bottle, cup or teapot body standing at height `y`: round and glossy."""
    h, w = max(int(tall * 320), 10), max(int(wide * 320), 8)
    v, u = np.mgrid[0:h, 0:w].astype(np.float32)
    v, u = v / (h - 1), u / (w - 1) * 2 - 1
    half = np.clip(0.62 + 0.36 * np.sin(np.pi * np.clip(v**belly, 0, 1)) - 0.1 * v, 0.2, 1)
    across = u / half
    round_ = np.sqrt(np.clip(1 - across**2, 0, 1))
    side = -0.45 if space.stage.sun_side < 0 else 0.45
    bright = (
        0.38
        + 0.62 * np.clip(round_ * 0.8 + 0.35 * across * np.sign(side), 0, 1)
        + 0.7 * np.exp(-(((across - side) / 0.14) ** 2)) * np.exp(-(((v - 0.35) / 0.22) ** 2))
    )
    sheet = np.dstack(
        [np.clip(colour * bright[..., None], 0, 1), smoothstep(1.03, 0.94, np.abs(across))]
    ).astype(np.float32)
    space.place(sheet, (x - wide / 2, y + tall, z), (wide, 0, 0), (0, -tall, 0))
