"""A jazz club with drapes and table lamps, and an arcade with neon tubes and glowing screens.

What a reader gets wrong: these rooms have no daylight; what is seen is seen by the lamps placed in the
space, and by light that is added over the picture and wavers.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded.scenes.canvas import Array, Colour, Image8, mix, rgb, smoothstep, tile_noise
from actors.backends.embedded.scenes.furniture import shaded_lamp, table
from actors.backends.embedded.scenes.indoor_motion import Curtain, Glow, Sheet
from actors.backends.embedded.scenes.lights import Lamps, glow_sprite, waver
from actors.backends.embedded.scenes.motion import Veil
from actors.backends.embedded.scenes.particles import add_light
from actors.backends.embedded.scenes.room_parts import halo
from actors.backends.embedded.scenes.space import Lamp, Space
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.surfaces import boards, panels, plaster, tiles


def club(stage: Stage) -> None:
    """A 1920s jazz club: velvet drapes, amber table lamps, smoke."""
    rng, w, h = stage.rng, stage.width, stage.height
    space = Space(stage, wide=7.4, deep=6.8, tall=3.2, yaw=float(rng.uniform(-0.05, 0.05)))
    amber = rgb("#ffae58")
    space.ambient = stage.ambient * 0.5
    spots3 = [(-2.75, 0.98, 5.6), (2.75, 0.98, 5.5), (-1.9, 0.98, 4.3), (1.95, 0.98, 4.4)]
    space.lamps = [Lamp((x, y + 0.2, z), amber, 0.95, 0.9) for x, y, z in spots3]
    space.lamps += [Lamp((x, 2.3, 6.2), amber, 0.8, 1.1) for x in (-3.2, 3.2)]
    space.lamps.append(Lamp((0.3, 3.0, 4.6), rgb("#ffc890"), 0.8, 2.2))
    wall, wood = stage.colour("wall"), stage.colour("trim")
    space.walls(
        panels(rng, space.wide, space.tall, wall, wood * 0.8),
        panels(rng, 5.6, space.tall, wall, wood * 0.8),
        boards(rng, space.wide, 5.6, stage.colour("floor")),
        plaster(rng, 4, 4, rgb("#4a3a2c"), rough=0.04),
    )
    space.box((-2.5, 2.5), (0.0, 0.28), (5.9, 6.8), stage.colour("shelf") * 1.2)
    lamps: list[tuple[float, float]] = []
    for x in (-3.2, 3.2):
        lamps.append(shaded_lamp(space, x, 2.0, 6.7, size=0.15, light=rgb("#ffd090")))
    for x, y, z in spots3:
        table(space, (x - 0.42, x + 0.42), (z - 0.3, z + 0.4), 0.7, rgb("#5a3624"))
        lamps.append(shaded_lamp(space, x, y, z, size=0.14, light=rgb("#ffc070"), stem=0.12))
    space.polish(0.25)
    room = space.finish(blur=1.5, bloom=0.4)
    stage.add_still(room)
    velvet = stage.colour("fabric")
    tone = np.array((1.12, 0.9, 0.75), np.float32)
    z = 6.55
    for left, wide, way in ((-2.66, 2.85, 1.0), (-0.19, 2.85, -1.0)):
        goal = space.corners((left, 3.08, z), (wide, 0, 0), (0, -2.8, 0))
        stage.add(
            Curtain(
                rng,
                goal,
                (w, h),
                dark=velvet * 0.2,
                light=velvet * tone,
                folds=11,
                billow=0.05 * way,
                pace=0.95,
                direction=way,
            )
        )
    goal = space.corners((-2.75, 3.2, 6.45), (5.5, 0, 0), (0, -0.42, 0))
    stage.add(
        Curtain(
            rng, goal, (w, h), dark=velvet * 0.2, light=velvet * tone * 1.3, folds=22, billow=0.006, pace=0.8
        )
    )
    glows = [halo(stage, x, y, stage.px(150)) for x, y in lamps]
    stage.add(Glow(rng, glows, depth=0.3, lively=0.7))
    # the tables in front of the drapes again, so that the drapes hang behind them
    front = Space(stage, wide=7.4, deep=6.8, tall=3.2)
    front.__dict__.update({k: v for k, v in space.__dict__.items() if k != "picture"})
    front.picture = np.zeros_like(space.picture)
    for x, y, zz in spots3:
        table(front, (x - 0.42, x + 0.42), (zz - 0.3, zz + 0.4), 0.7, rgb("#5a3624"))
        shaded_lamp(front, x, y, zz, size=0.14, light=rgb("#ffc070"), stem=0.12)
    stage.add_still(front.finish(blur=1.5, bloom=0.0))
    m = space.scale(0, 1, 5)
    stage.add(Lamps(rng, lamps, [glow_sprite(amber, int(2.4 * m) | 1, 0.55)], depth=0.35, lively=0.7))
    row = np.arange(h, dtype=np.float32)[:, None] / h
    mask = np.asarray((np.exp(-(((row - 0.45) / 0.3) ** 2))) * np.ones((1, w), np.float32), np.float32)
    stage.add(
        Veil(
            rng,
            mask,
            rgb("#d8b48c"),
            strength=0.3,
            speed=(stage.px(70), stage.px(-45)),
            size=stage.px(300),
            flat=2.0,
            rise=stage.px(16),
            contrast=1.25,
        )
    )


class Screens:
    """Screens of games: blocks of colour that move and change, added as light through each screen's sheet."""

    def __init__(self, stage: Stage, sheets: list[Sheet], size: tuple[int, int]) -> None:
        rng = stage.rng
        self._sheets, self._size = sheets, size
        self._noise = [tile_noise(rng, 64, 1.1) for _ in range(3)]
        self._p = rng.uniform(0, 64, (len(sheets), 3))
        tones = ["#2fe0ff", "#ff3fa8", "#ffd84a", "#5aff8a", "#7a6aff", "#ff7a3a"]
        self._tone = [rgb(tones[int(rng.integers(0, len(tones)))]) for _ in sheets]
        self._second = [rgb(tones[int(rng.integers(0, len(tones)))]) for _ in sheets]
        gx, gy = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
        self._gx, self._gy = gx, gy

    def draw(self, canvas: Image8, seconds: float) -> None:
        w, h = self._size
        for i, sheet in enumerate(self._sheets):
            if not sheet.seen:
                continue
            p = self._p[i]
            u = np.asarray((np.floor(self._gx / 3) * 1.6 + p[0] + 3.5 * seconds) % 64, np.float32)
            v = np.asarray((np.floor(self._gy / 3) * 1.6 + p[1]) % 64, np.float32)
            a = cv2.remap(self._noise[0], u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            u2 = np.asarray((self._gx * 0.5 + p[2]) % 64, np.float32)
            v2 = np.asarray((self._gy * 0.5 - 6 * seconds + p[0]) % 64, np.float32)
            b = cv2.remap(self._noise[1], u2, v2, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            block = smoothstep(0.5, 0.8, a) * 0.95
            sky = np.clip(0.34 + 0.22 * b, 0.05, 1)
            light = sky[..., None] * self._second[i] * 0.8 + block[..., None] * self._tone[i]
            x = w * (0.5 + 0.3 * np.sin(1.3 * seconds + p[1]))
            hero = np.exp(-(((self._gx - x) / 2.5) ** 2) - ((self._gy - h * 0.8) / 2.5) ** 2)
            light = np.clip(light + hero[..., None], 0, 1)
            picture = sheet.warp((light * 235).astype(np.uint8))
            add_light(canvas, picture, sheet.x, sheet.y)


class Neon:
    """Tubes as light: groups of strokes that pulse by themselves, smoothly."""

    def __init__(self, stage: Stage, groups: list[tuple[list[npt.NDArray[np.float64]], Colour]]) -> None:
        w, h = stage.width, stage.height
        self._lights: list[tuple[Image8, int, int]] = []
        for strokes, colour in groups:
            core, tube = np.zeros((h, w), np.uint8), max(int(stage.px(5)), 2)
            for stroke in strokes:
                cv2.polylines(core, [(stroke * 8).astype(np.int32)], False, 255, tube, cv2.LINE_AA, 3)
            value = core.astype(np.float32) / 255
            line = cv2.GaussianBlur(value, (0, 0), stage.px(1.6))
            near = cv2.GaussianBlur(value, (0, 0), stage.px(9))
            small = cv2.resize(value, (w // 4, h // 4), interpolation=cv2.INTER_AREA)
            wide = cv2.resize(cv2.GaussianBlur(small, (0, 0), stage.px(14)), (w, h))
            light = (
                line[..., None] * (0.45 + 0.55 * colour)
                + near[..., None] * colour * 1.3
                + wide[..., None] * colour * 2.6
            ) * 255
            eight = np.clip(light, 0, 255).astype(np.uint8)
            x, y, bw, bh = cv2.boundingRect(eight.max(2))
            self._lights.append((np.ascontiguousarray(eight[y : y + bh, x : x + bw]), x, y))
        self._hz, self._phase = waver(stage.rng, len(groups), 0.5)

    def draw(self, canvas: Image8, seconds: float) -> None:
        weights = np.array([0.45, 0.35, 0.15, 0.05], np.float32)
        level = 0.8 + 0.24 * (np.sin(2 * np.pi * self._hz * seconds + self._phase) * weights).sum(1)
        for (light, x, y), k in zip(self._lights, level, strict=True):
            add_light(canvas, light, x, y, float(k))


def arcade(stage: Stage) -> None:
    """A 1980s arcade: rows of cabinets, neon on the walls, a glossy floor, haze."""
    rng, w, h = stage.rng, stage.width, stage.height
    space = Space(stage, wide=6.6, deep=6.8, tall=3.0, yaw=float(rng.uniform(-0.05, 0.05)))
    pink, cyan = stage.colour("accent"), stage.colour("accent2")
    space.ambient = stage.ambient * 1.15
    space.lamps = [
        Lamp((-2.4, 2.4, 5.6), pink, 0.95, 1.3),
        Lamp((2.4, 2.4, 5.6), cyan, 0.95, 1.3),
        Lamp((-2.0, 1.2, 3.8), cyan, 0.7, 1.0),
        Lamp((2.0, 1.2, 3.8), pink, 0.7, 1.0),
        Lamp((0, 2.8, 5.0), rgb("#8a5aff"), 0.6, 2.0),
    ]
    grey = rgb("#8a84a0")
    space.walls(
        plaster(rng, space.wide, space.tall, grey, rough=0.08),
        plaster(rng, 5.6, space.tall, grey, rough=0.08),
        tiles(rng, space.wide, 5.6, rgb("#9a94b0"), rgb("#3a3450"), 0.55),
        plaster(rng, 4, 4, rgb("#4a4460"), rough=0.05),
    )
    size = (44, 36)
    sheets: list[Sheet] = []
    body = rgb("#4a4468")

    def screen(
        corner: tuple[float, float, float], u: tuple[float, float, float], v: tuple[float, float, float]
    ) -> None:
        space.place(np.full((8, 8, 3), 0.02, np.float32), corner, u, v, lit=False)
        sheets.append(Sheet(space.corners(corner, u, v), size, (w, h)))

    art = ["#e0407a", "#30b0d8", "#e8a030", "#58c070", "#7a58e0"]

    def cabinet_front(wide: float) -> Array:
        sheet = np.broadcast_to(body, (190, 80, 3)).astype(np.float32).copy()
        tone = rgb(art[int(rng.integers(0, 5))])
        sheet[:26] = tone * 1.1
        sheet[26:32] = body * 0.3
        sheet[92:112] = body * 1.6
        for k in range(5):
            cv2.circle(sheet, (14 + 13 * k, 101), 3, tuple(float(c) for c in rgb(art[k])), -1, cv2.LINE_AA)
        yy, xx = np.mgrid[0:78, 0:80].astype(np.float32)
        stripe = smoothstep(0.2, 0.3, np.abs(((xx + yy) / 34) % 1 - 0.5))
        sheet[112:] = mix(tone * 0.75, body * 0.6, stripe)
        del wide
        return sheet

    for x in (-2.0, -1.15, 1.15, 2.0) if rng.random() < 0.5 else (-1.9, -1.05, 1.05, 1.9):
        z = 6.0
        space.shadow((x - 0.36, x + 0.36), (z, 6.7), 0.5)
        space.box((x - 0.36, x + 0.36), (0, 1.85), (z, 6.7), body, cabinet_front(0.72))
        screen((x - 0.29, 1.5, z - 0.01), (0.58, 0, 0), (0, -0.5, 0))
    for z in (5.35, 4.4, 3.45):
        for s in (-1, 1):
            x = s * (space.wide / 2 - 0.75)
            front = cabinet_front(0.72)
            far_x = s * space.wide / 2
            lo, hi = min(x, far_x), max(x, far_x)
            space.box((lo, hi), (0, 1.85), (z - 0.36, z + 0.36), body)
            if s < 0:
                corner, u = (x, 1.85, z - 0.36), (0.0, 0.0, 0.72)
            else:
                corner, u = (x, 1.85, z + 0.36), (0.0, 0.0, -0.72)
            space.place(front, corner, u, (0, -1.85, 0))
            inset = 0.07 if s < 0 else -0.07
            screen((x - s * 0.01, 1.5, corner[2] + inset), (0, 0, u[2] - 2 * inset), (0, -0.5, 0))
    space.polish(0.42, blur=stage.px(8))
    stage.add_still(space.finish(blur=1.3, bloom=0.3))
    stage.add(Screens(stage, sheets, size))

    def tube(points: list[tuple[float, float, float]]) -> npt.NDArray[np.float64]:
        return space.project(points)

    z = space.deep - 0.05
    arc = [(1.2 * np.cos(a) * 1.3, 2.28 + 0.34 * np.sin(a), z) for a in np.linspace(0, 2 * np.pi, 50)]
    zig = [(-3.0 + 0.28 * k, 2.2 + (0.22 if k % 2 else -0.05), z) for k in range(5)]
    zag = [(1.9 + 0.28 * k, 2.2 + (0.22 if k % 2 else -0.05), z) for k in range(5)]
    half = space.wide / 2 - 0.03
    rails = [tube([(s * half, y, 2.2), (s * half, y, z)]) for s in (-1, 1) for y in (2.62,)]
    rails2 = [tube([(s * half, y, 2.2), (s * half, y, z)]) for s in (-1, 1) for y in (2.42,)]
    crown = [tube([(-half, 2.82, z), (half, 2.82, z)])]
    stage.add(
        Neon(
            stage,
            [
                ([tube(arc)], pink),
                ([tube(zig), tube(zag)], cyan),
                (rails, pink),
                (rails2, cyan),
                (crown, rgb("#8a5aff")),
            ],
        )
    )
    floor = np.zeros((h, w), np.float32)
    base = int(space.spot(0, 0, space.deep)[1])
    floor[max(base - 4, 0) :] = 1
    maps = [
        halo(stage, w * x, h * y, stage.px(240))
        for x, y in ((0.12, 0.75), (0.88, 0.75), (0.3, 0.95), (0.7, 0.95), (0.2, 0.3), (0.8, 0.3))
    ]
    stage.add(Glow(rng, maps, depth=0.12, lively=0.6, tint=(1.0, 0.85, 1.0)))
    y = np.arange(h, dtype=np.float32)[:, None] / h
    mask = np.asarray(np.exp(-(((y - 0.6) / 0.3) ** 2)) * np.ones((1, w), np.float32), np.float32)
    stage.add(
        Veil(
            rng,
            mask,
            rgb("#7a4aa8"),
            strength=0.3,
            speed=(stage.px(75), stage.px(-45)),
            size=stage.px(320),
            flat=2.0,
            contrast=1.5,
        )
    )
