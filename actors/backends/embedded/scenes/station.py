"""A space station's deck: panelled walls, a wide window on a turning planet, instruments that blink.

What a reader gets wrong: the planet is a sphere whose map turns under a light that stays; the window hides
most of it, so it is computed only on a coarse grid and enlarged.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded.scenes.canvas import Array, Image8, fbm, mix, rgb, smoothstep, tile_noise
from actors.backends.embedded.scenes.indoor_motion import Glow, Sheet
from actors.backends.embedded.scenes.lights import Stars
from actors.backends.embedded.scenes.particles import Drift, Swarm, add_light, dot_sprites
from actors.backends.embedded.scenes.space import Lamp, Space
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.surfaces import bevel


class Planet:
    """A planet that fills the lower window: seas, land, clouds that glide over both, a thin bright air."""

    def __init__(self, stage: Stage, x: float, y: float, radius: float, *, turn: float) -> None:
        rng, w, h = stage.rng, stage.width, stage.height
        self._step = 2
        gx, gy = np.meshgrid(
            np.arange(w // 2, dtype=np.float32) * 2 - x, np.arange(h // 2, dtype=np.float32) * 2 - y
        )
        u, v = gx / radius, gy / radius
        r2 = u * u + v * v
        z = np.sqrt(np.clip(1 - r2, 0, 1))
        self._disc = smoothstep(1 + 3.5 / radius, 1 - 3.5 / radius, np.sqrt(r2))
        tilt = 0.35
        yy = v * np.cos(tilt) + z * np.sin(tilt)
        zz = z * np.cos(tilt) - v * np.sin(tilt)
        scale = 512 / (2 * np.pi) * 2.6
        self._lon = (np.arctan2(u, zz + 1e-3) * scale).astype(np.float32)
        self._lat = (np.arcsin(np.clip(yy, -1, 1)) * scale * 1.3).astype(np.float32)
        sun = np.array([0.55 * (1 if stage.sun_x > 0.5 else -1), -0.62, 0.56], np.float32)
        lit = u * sun[0] + v * sun[1] + z * sun[2]
        self._light = np.clip(0.05 + 1.1 * smoothstep(-0.12, 0.75, lit), 0, 1)[..., None]
        rim = np.clip(1 - z, 0, 1) ** 2.4
        outer = np.exp(-np.clip(np.sqrt(r2) - 1, 0, 1) * radius / stage.px(16)) * (1 - self._disc)
        day = smoothstep(-0.3, 0.5, lit)
        self._air = (
            rgb("#7ec4ff") * 255 * ((0.6 * rim * self._disc + 0.62 * outer) * day)[..., None]
        ).astype(np.float32)
        sea, ice = stage.colour("planet"), stage.colour("planet2")
        land = tile_noise(rng, 512, 1.75)
        detail = tile_noise(rng, 512, 1.2)
        body = mix(sea * 0.42, sea * 0.9, np.clip(0.5 + 0.25 * detail, 0, 1))
        ground = mix(rgb("#4c5f44"), rgb("#96835f"), np.clip(0.5 + 0.35 * detail, 0, 1))
        self._map = (mix(body, ground, smoothstep(0.55, 0.75, land + 0.15 * detail)) * 255).astype(np.float32)
        self._mean = self._map.mean((0, 1))
        swirl = tile_noise(rng, 512, 1.6)
        warp = tile_noise(rng, 512, 2.0)
        ix, iy = np.meshgrid(np.arange(512, dtype=np.float32), np.arange(512, dtype=np.float32))
        curled = cv2.remap(
            swirl,
            np.asarray((ix + 26 * warp) % 512, np.float32),
            np.asarray((iy * 1.6 + 26 * np.roll(warp, 99, 0)) % 512, np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        self._clouds = smoothstep(0.1, 1.35, curled + 0.3 * detail)
        # near the limb the map is squeezed below a pixel: it fades into its mean there
        self._plain = smoothstep(0.16, 0.42, z)[..., None]
        self._ice = ice * 255
        self._turn = turn
        box = cv2.boundingRect(((self._disc > 0) | (outer > 0.02)).astype(np.uint8))
        self._cut = (slice(box[1], box[1] + box[3]), slice(box[0], box[0] + box[2]))

    def draw(self, canvas: Image8, seconds: float) -> None:
        cut = self._cut
        lon = self._lon[cut] - np.float32(self._turn * seconds)
        lat = self._lat[cut]
        ground = cv2.remap(self._map, lon % 512, lat % 512, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        cover = cv2.remap(
            self._clouds,
            (lon - np.float32(0.35 * self._turn * seconds)) % 512,
            lat % 512,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )[..., None]
        plain = self._plain[cut]
        cover = cover * plain + 0.32 * (1 - plain)
        ground = ground * plain + self._mean * (1 - plain)
        picture = ((ground + (self._ice - ground) * cover) * self._light[cut]) * self._disc[cut][
            ..., None
        ] + self._air[cut]
        h, w = picture.shape[:2]
        y, x = (cut[0].start or 0) * 2, (cut[1].start or 0) * 2
        full = cv2.resize(
            np.clip(picture, 0, 255).astype(np.uint8), (w * 2, h * 2), interpolation=cv2.INTER_LINEAR
        )
        hide = cv2.resize(np.clip((1 - self._disc[cut]) * 255, 0, 255).astype(np.uint8), (w * 2, h * 2))
        target = canvas[y : y + h * 2, x : x + w * 2]
        full, hide = full[: target.shape[0], : target.shape[1]], hide[: target.shape[0], : target.shape[1]]
        target[...] = cv2.add(
            cv2.multiply(target, cv2.cvtColor(hide, cv2.COLOR_GRAY2RGB), scale=1 / 255), full
        )


class Instruments:
    """Screens with traces that run on and rows of lamps that go up and down, as light on their sheets."""

    def __init__(
        self, stage: Stage, sheets: list[Sheet], size: tuple[int, int], colours: list[Array]
    ) -> None:
        rng = stage.rng
        self._sheets, self._size = sheets, size
        self._colours = [colours[int(rng.integers(0, len(colours)))] for _ in sheets]
        self._kind = rng.permutation(len(sheets)) % 3
        self._p = rng.uniform(0, 6.28, (len(sheets), 4))

    def draw(self, canvas: Image8, seconds: float) -> None:
        w, h = self._size
        x = np.arange(w, dtype=np.float32)
        for i, sheet in enumerate(self._sheets):
            if not sheet.seen:
                continue
            p, colour = self._p[i], self._colours[i]
            value = np.full((h, w), 0.10, np.float32)
            value[:: max(h // 6, 1)] += 0.05
            if self._kind[i] == 0:
                trace = h * (
                    0.5
                    + 0.2 * np.sin(x * 0.16 + 5 * seconds + p[0])
                    + 0.16 * np.sin(x * 0.37 + 8 * seconds + p[1])
                )
                value += np.exp(-(((np.arange(h, dtype=np.float32)[:, None] - trace[None, :]) / 1.3) ** 2))
            elif self._kind[i] == 1:
                bars = 10
                k = (x * bars / w).astype(int)
                tall = 0.25 + 0.6 * (
                    0.5 + 0.5 * np.sin(p[0] + k * 2.1 + seconds * (1.5 + 0.37 * (k % 4)) * 1.6)
                )
                rows = 1 - np.arange(h, dtype=np.float32)[:, None] / h
                value += 0.8 * (rows < tall[None, :]) * ((x * bars / w) % 1 > 0.25)[None, :]
            else:
                gx, gy = np.meshgrid((x / w - 0.5) * w, np.arange(h, dtype=np.float32) - h / 2)
                radius, angle = np.hypot(gx, gy), np.arctan2(gy, gx)
                sweep = ((angle - 2.4 * seconds - p[0]) % (2 * np.pi)) / (2 * np.pi)
                value += (0.75 * sweep**3 + 0.25 * smoothstep(1.2, 0.4, np.abs(radius % (h / 5) - 1))) * (
                    radius < h * 0.47
                )
            light = np.clip(np.clip(value, 0, 1)[..., None] * colour * 235, 0, 255).astype(np.uint8)
            add_light(canvas, sheet.warp(light), sheet.x, sheet.y)


class Pilots:
    """Small lamps in rows, each with its own slow beat: `spots` px, light added as a small halo."""

    def __init__(
        self, stage: Stage, spots: list[tuple[float, float]], colours: list[Array], size: float
    ) -> None:
        from actors.backends.embedded.scenes.lights import glow_sprite

        rng = stage.rng
        self._spots = spots
        self._sprites = [glow_sprite(c, int(size) | 1, 0.6, core=1.0) for c in colours]
        self._pick = rng.integers(0, len(colours), len(spots))
        self._hz, self._p = rng.uniform(0.35, 1.3, len(spots)), rng.uniform(0, 6.28, len(spots))

    def draw(self, canvas: Image8, seconds: float) -> None:
        level = np.clip(0.55 + 0.75 * np.sin(2 * np.pi * self._hz * seconds + self._p), 0.06, 1)
        for i, (x, y) in enumerate(self._spots):
            sprite = self._sprites[self._pick[i]]
            half = sprite.shape[0] // 2
            add_light(canvas, sprite, int(x) - half, int(y) - half, float(level[i]))


def _panel(stage: Stage, wide: float, tall: float, colour: Array, *, cols: int, rows: int) -> Array:
    """Bulkhead plating: plates with seams, bolts, grilles."""
    ppm = 150
    h, w = int(tall * ppm), int(wide * ppm)
    rough = fbm(stage.rng, h, w, cell=ppm * 0.8, octaves=5) - 0.5
    out = np.asarray(colour * (1 + 0.12 * rough)[..., None], np.float32)
    for r in range(rows):
        for c in range(cols):
            x0, x1 = int(w * c / cols) + 3, int(w * (c + 1) / cols) - 3
            y0, y1 = int(h * r / rows) + 3, int(h * (r + 1) / rows) - 3
            out[y0:y1, x0:x1] *= float(stage.rng.uniform(0.86, 1.08))
            bevel(out, x0, y0, x1, y1, 3)
            kind = stage.rng.random()
            if kind < 0.3:
                for y in range(y0 + 14, y1 - 14, 9):
                    out[y : y + 4, x0 + 14 : x1 - 14] *= 0.45
            elif kind < 0.55:
                bevel(out, x0 + 12, y0 + 12, x1 - 12, y1 - 12, 3, raised=False)
            for bx in (x0 + 7, x1 - 8):
                for by in (y0 + 7, y1 - 8):
                    cv2.circle(out, (bx, by), 2, tuple(float(v) * 0.5 for v in colour), -1, cv2.LINE_AA)
    for c in range(1, cols):
        out[:, int(w * c / cols) - 2 : int(w * c / cols) + 2] *= 0.35
    for r in range(1, rows):
        out[int(h * r / rows) - 2 : int(h * r / rows) + 2] *= 0.35
    return np.asarray(np.clip(out, 0, 1), np.float32)


def station(stage: Stage) -> None:
    """The deck, its window in the middle of the far wall, consoles at both sides."""
    rng, w, h = stage.rng, stage.width, stage.height
    accent, second = stage.colour("accent"), stage.colour("accent2")
    stage.plate[:] = mix(stage.sky_top, stage.sky_low, np.linspace(0, 1, h)[:, None] * np.ones((1, w)))
    nebula = fbm(rng, h, w, cell=stage.px(420), octaves=5)
    stage.plate += smoothstep(0.5, 0.95, nebula)[..., None] * rgb("#2a2a5a") * 0.4
    way = 1.0 if rng.random() < 0.5 else -1.0
    stage.add(Stars(rng, width=w, bottom=h, count=900, strength=1.0, drift=way * stage.px(16)))
    radius = stage.px(float(rng.uniform(600, 700)))
    px_, py_ = w * (0.5 + way * float(rng.uniform(0.08, 0.16))), h * 0.6 + radius * 0.7
    stage.add(Planet(stage, px_, py_, radius, turn=way * 17.0))
    space = Space(stage, wide=6.6, deep=6.4, tall=2.9, yaw=float(rng.uniform(-0.04, 0.04)))
    cool = rgb("#cfe2ff")
    space.ambient = stage.ambient * 1.25
    space.lamps = [
        Lamp((-2.7, 2.7, 4.6), cool, 0.7, 1.4),
        Lamp((2.7, 2.7, 4.6), cool, 0.7, 1.4),
        Lamp((0, 1.3, 6.2), rgb("#8fc4ff"), 0.42, 1.6),
        Lamp((-2.4, 1.0, 4.8), accent, 0.34, 0.8),
        Lamp((2.4, 1.0, 4.8), second, 0.22, 0.8),
    ]
    wall, wall2 = stage.colour("wall"), stage.colour("wall2")
    space.walls(
        _panel(stage, space.wide, space.tall, wall, cols=8, rows=4),
        _panel(stage, 5.2, space.tall, wall2, cols=6, rows=3),
        _panel(stage, space.wide, 5.2, stage.colour("floor"), cols=9, rows=7),
        _panel(stage, space.wide, 5.2, wall2 * 0.8, cols=6, rows=6),
    )
    z = space.deep
    x0, x1, y0, y1 = -2.45, 2.45, 0.95, 2.5
    cut = 0.42

    def octagon(grow: float) -> npt.NDArray[np.float64]:
        a, b, c, d, k = x0 - grow, x1 + grow, y0 - grow, y1 + grow, cut + grow * 0.4
        return space.project(
            [
                (a + k, d, z),
                (b - k, d, z),
                (b, d - k, z),
                (b, c + k, z),
                (b - k, c, z),
                (a + k, c, z),
                (a, c + k, z),
                (a, d - k, z),
            ]
        )

    def fill(points: npt.NDArray[np.float64]) -> Array:
        mask = np.zeros((h, w), np.uint8)
        cv2.fillConvexPoly(mask, (points * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
        return np.asarray(mask.astype(np.float32) / 255, np.float32)

    hole = fill(octagon(0.0))
    vertical = np.linspace(1.15, 0.6, h, dtype=np.float32)[:, None, None]
    for grow, tone in ((0.2, 0.5), (0.15, 0.24), (0.05, 0.42)):
        ring = fill(octagon(grow))[..., None]
        shade = (wall2 * tone * vertical * (0.6 + 0.4 * cool)).astype(np.float32)
        full = np.concatenate([np.broadcast_to(shade, (h, w, 3)), np.ones((h, w, 1), np.float32)], 2)
        space.picture[...] = space.picture * (1 - ring) + full * ring
    space.picture *= (1 - hole)[..., None]
    strut = np.broadcast_to(wall2 * 0.3, (8, 8, 3)).astype(np.float32)
    for x in (-1.25, 1.25):
        space.place(strut, (x - 0.035, y1, z), (0.07, 0, 0), (0, y0 - y1, 0))
        space.place(strut * 2.2, (x - 0.035, y1, z), (0.014, 0, 0), (0, y0 - y1, 0))
    sheets: list[Sheet] = []
    spots: list[tuple[float, float]] = []
    size = (84, 48)
    for s in (-1, 1):
        outer, inner = s * space.wide / 2, s * 1.75
        lo, hi = min(outer, inner), max(outer, inner)
        space.shadow((lo, hi), (5.2, z), 0.5)
        space.box(
            (lo, hi), (0.0, 0.82), (5.5, z), wall2 * 0.9, _panel(stage, hi - lo, 0.82, wall2, cols=3, rows=1)
        )
        desk = np.broadcast_to(wall * 0.5, (20, 40, 3)).astype(np.float32)
        space.place(desk, (lo, 1.0, z - 0.2), (hi - lo, 0, 0), (0, -0.18, -0.75))
        for k in range(2):
            left = lo + 0.1 + k * (hi - lo - 0.1) / 2
            wide = (hi - lo - 0.3) / 2
            corner, v = (left, 0.985, z - 0.26), (0.0, -0.13, -0.54)
            space.place(np.full((8, 8, 3), 0.02, np.float32), corner, (wide, 0, 0), v, lit=False)
            sheets.append(Sheet(space.corners(corner, (wide, 0, 0), v), size, (w, h)))
        for zz in (5.25, 4.05, 2.9):
            x = s * (space.wide / 2 - 0.03)
            start = zz - 0.45 if s < 0 else zz + 0.45
            corner3, u3 = (x, 1.95, start), (0.0, 0.0, 0.9 if s < 0 else -0.9)
            space.place(np.full((8, 8, 3), 0.02, np.float32), corner3, u3, (0, -0.55, 0), lit=False)
            sheets.append(Sheet(space.corners(corner3, u3, (0, -0.55, 0)), size, (w, h)))
            for k in range(9):
                spots.append(space.spot(x, 1.25, start + u3[2] * (k + 0.5) / 9))
                spots.append(space.spot(x, 1.16, start + u3[2] * (k + 0.5) / 9))
        for k in range(10):
            spots.append(space.spot(s * 2.85, 0.98 + 0.15 * k, z - 0.02))
    for k in range(26):
        spots.append(space.spot(-2.3 + 4.6 * k / 25, 0.66, z - 0.02))
    space.polish(0.3, blur=stage.px(6))
    strip = np.ones((4, 4, 3), np.float32) * np.minimum(cool * 1.1, 1)
    for s in (-1, 1):
        space.place(strip, (s * 2.2 - 0.07, space.tall - 0.01, 2.2), (0.14, 0, 0), (0, 0, 3.9), lit=False)
    stage.add_still(space.finish(blur=1.2, bloom=0.5))
    stage.add(Instruments(stage, sheets, size, [accent, accent, rgb("#7affc0"), second]))
    stage.add(Pilots(stage, spots, [accent, second, rgb("#7affb0"), rgb("#ffffff")], stage.px(17)))
    gx = (np.arange(w, dtype=np.float32))[None, :]
    gy = (np.arange(h, dtype=np.float32))[:, None]
    maps = [
        np.asarray(np.exp(-np.hypot(gx - w * x, gy - h * y) / stage.px(230)) * (1 - hole), np.float32)
        for x, y in ((0.08, 0.35), (0.92, 0.35), (0.1, 0.75), (0.9, 0.75))
    ]
    stage.add(Glow(rng, maps, depth=0.2, lively=0.5, tint=(0.8, 0.95, 1.0)))
    stage.add(
        Swarm(
            rng,
            dot_sprites(cool, (4, 5, 7), 1.6, 0.4),
            Drift(14, -6, 22, 0.25),
            count=50,
            region=(0, 0, w, h),
            additive=True,
            twinkle=0.8,
        )
    )
