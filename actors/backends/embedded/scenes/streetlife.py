"""What moves in a town: lamplight that breathes, wet ground, cars, signs, aircraft, tumbleweed.

What a reader gets wrong: lamplight wavers lamp by lamp, each with a phase of its own, inside the pool that
lamp throws; the picture as a whole keeps its brightness.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Colour,
    Image8,
    Rng,
    blank,
    lay_over,
    rgba,
    smoothstep,
    soften,
)
from actors.backends.embedded.scenes.lights import glow_sprite, waver
from actors.backends.embedded.scenes.particles import add_light
from actors.backends.embedded.scenes.water import Waves


class Pools:
    """Pools of light: `pools` are (x, y, radius x, radius y) in px; inside, brightness wavers by `depth`."""

    def __init__(
        self,
        rng: Rng,
        pools: list[tuple[float, float, float, float]],
        *,
        width: int,
        height: int,
        depth: float,
        lively: float = 1.0,
        tint: tuple[float, float, float] = (1.0, 0.92, 0.75),
    ) -> None:
        self._shape = (height // 8, width // 8)
        x = np.arange(self._shape[1], dtype=np.float32)[None, :] * 8 + 4
        y = np.arange(self._shape[0], dtype=np.float32)[:, None] * 8 + 4
        masks = [np.exp(-(((x - px) / rx) ** 2) - ((y - py) / ry) ** 2) for px, py, rx, ry in pools]
        self._masks = np.stack(masks).astype(np.float32)
        self._masks /= np.maximum(self._masks.sum(0), 1.0)
        self._hz, self._phase = waver(rng, len(pools), lively)
        self._depth = depth
        self._tint = np.asarray(tint, np.float32)

    def draw(self, canvas: Image8, seconds: float) -> None:
        weights = np.array([0.5, 0.34, 0.16, 0.06], np.float32)
        wave = (np.sin(2 * np.pi * self._hz * seconds + self._phase) * weights).sum(1)
        value = np.tensordot(wave.astype(np.float32), self._masks, axes=(0, 0)) * self._depth
        value3 = 1 + value[..., None] * self._tint
        scale8 = np.clip(value3 * 100 + 0.5, 0, 255).astype(np.uint8)
        size = (canvas.shape[1], canvas.shape[0])
        cv2.multiply(
            canvas, cv2.resize(scale8, size, interpolation=cv2.INTER_LINEAR), dst=canvas, scale=1 / 100
        )


class WetGround:
    """Wet ground: the mirrored street, drawn out downward and broken by ripples, laid on by `share`.

    `share` (h, w) is the part of the reflection in each pixel, 0 where nothing is wet. Rain rings stir the
    ripples when `rain` is set.
    """

    def __init__(
        self,
        rng: Rng,
        mirrored: Image8,
        share: Array,
        *,
        horizon: int,
        stir: float = 1.0,
        speed: float = 1.0,
    ) -> None:
        rows = np.flatnonzero(share.max(axis=1) > 0.01)
        self._y0, self._y1 = int(rows[0]), int(rows[-1]) + 1
        h, w = share.shape
        self._waves = Waves(
            rng, width=w, horizon=horizon, top=self._y0, bottom=self._y1, scale=0.9, wind=1.5 * speed
        )
        n, m = self._waves.rows, self._waves.cols
        half = cv2.resize(mirrored, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(half, (0, 0), sigmaX=1.2, sigmaY=5.0)
        self._picture = cv2.addWeighted(half, 0.35, soft, 0.65, 0.0)
        y = self._y0 / 2 + np.arange(n, dtype=np.float32)[:, None]
        self._ys = np.broadcast_to(y, (n, m)).astype(np.float32)
        self._xs = np.broadcast_to(np.arange(m, dtype=np.float32)[None, :], (n, m)).astype(np.float32)
        near = np.linspace(0, 1, n, dtype=np.float32)[:, None]
        self._bend = (3 + 20 * near) * stir * h / 720
        part = cv2.resize(share[self._y0 : self._y1], (m, n), interpolation=cv2.INTER_AREA)
        self._share = part.astype(np.float32)

    def draw(self, canvas: Image8, seconds: float) -> None:
        s1, s2 = self._waves.slope(seconds)
        seen = cv2.remap(
            self._picture,
            self._xs + s2 * self._bend * 0.5,
            self._ys + s1 * self._bend,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        share = np.clip(self._share * (1 + 0.3 * s1), 0, 1) * 255
        target = canvas[self._y0 : self._y1]
        size = (target.shape[1], target.shape[0])
        both = np.dstack([seen[..., :3], share.astype(np.uint8)])
        both = cv2.resize(both, size, interpolation=cv2.INTER_LINEAR)
        amount = cv2.merge([both[..., 3]] * 3)
        kept = 255 - cv2.convertScaleAbs(amount, alpha=0.45)
        light = cv2.multiply(np.ascontiguousarray(both[..., :3]), amount, scale=1 / 255)
        dim = cv2.multiply(target, kept, scale=1 / 255)
        target[...] = cv2.add(dim, light)


def _stretched(sprite: Image8, width: int, height: int) -> Image8:
    return np.asarray(cv2.resize(sprite, (width, height)), np.uint8)


class Cars:
    """Pairs of head or tail lights on lanes seen in perspective, each with its streak on a wet road.

    `lanes` are (x metres, towards the viewer, colour index); depth runs from `far` to `near` metres.
    """

    def __init__(
        self,
        rng: Rng,
        lanes: list[tuple[float, bool, int]],
        colours: list[Colour],
        *,
        centre: float,
        horizon: float,
        focal: float,
        camera: float,
        near: float = 9.0,
        far: float = 120.0,
        count: int = 5,
        speed: float = 11.0,
        wet: bool = True,
    ) -> None:
        self._lanes, self._wet = lanes, wet
        self._centre, self._horizon, self._focal, self._camera = centre, horizon, focal, camera
        self._near, self._far = near, far
        span = far - near
        base = (np.arange(count) + rng.uniform(-0.3, 0.3, (len(lanes), count))) / count
        self._start = base * span
        self._speed = speed * rng.uniform(0.85, 1.2, len(lanes))
        sizes = (9, 15, 23, 35, 53, 79, 117, 161)
        self._banks = [[glow_sprite(c, n, 0.95, core=1.4) for n in sizes] for c in colours]
        self._streaks = [
            [_stretched(glow_sprite(c, n, 0.9), max(n // 2, 3), n * 3) for n in sizes] for c in colours
        ]
        self._sizes = np.array(sizes)

    def draw(self, canvas: Image8, seconds: float) -> None:
        span = self._far - self._near
        for k, (x, towards, colour) in enumerate(self._lanes):
            way = -1 if towards else 1
            depths = (self._start[k] + way * self._speed[k] * seconds) % span + self._near
            for depth in np.sort(depths)[::-1]:
                scale = self._focal / depth
                px, py = self._centre + x * scale, self._horizon + (self._camera - 0.65) * scale
                level = float(np.clip(min(depth - self._near, self._far - depth) / 5.0, 0, 1))
                pick = int(np.argmin(np.abs(self._sizes - scale * 1.15)))
                if scale > 16:
                    _car_body(canvas, px, py, scale, level)
                sprite, streak = self._banks[colour][pick], self._streaks[colour][pick]
                for side in (-0.68, 0.68):
                    cx = int(px + side * scale)
                    add_light(
                        canvas, sprite, cx - sprite.shape[1] // 2, int(py) - sprite.shape[0] // 2, level
                    )
                    if self._wet:
                        foot = int(py + 1.5 * scale)
                        wob = int(1.5 * np.sin(5 * seconds + depth + side))
                        add_light(
                            canvas,
                            streak,
                            cx + wob - streak.shape[1] // 2,
                            foot - streak.shape[0] // 3,
                            0.7 * level,
                        )


def _car_body(canvas: Image8, x: float, y: float, scale: float, level: float) -> None:
    half, top, foot = 0.9 * scale, y - 0.75 * scale, y + 0.55 * scale
    x0, x1 = int(max(x - half * 1.1, 0)), int(min(x + half * 1.1, canvas.shape[1]))
    y0, y1 = int(max(top, 0)), int(min(foot, canvas.shape[0]))
    if x0 + 2 >= x1 or y0 + 2 >= y1:
        return
    layer = blank(y1 - y0, x1 - x0)
    shape = np.array(
        [(-1, 0.1), (-0.74, -0.16), (-0.6, -0.75), (0.6, -0.75), (0.74, -0.16), (1, 0.1), (1, 0.5), (-1, 0.5)]
    )
    points = shape * (half, scale) + (x - x0, y - y0)
    cv2.fillPoly(
        layer,
        [(points * 8).astype(np.int32)],
        rgba(np.array((0.05, 0.05, 0.07)), 0.9 * level),
        cv2.LINE_AA,
        3,
    )
    glass = np.array([(-0.64, -0.2), (-0.54, -0.66), (0.54, -0.66), (0.64, -0.2)]) * (half, scale) + (
        x - x0,
        y - y0,
    )
    cv2.fillConvexPoly(
        layer, (glass * 8).astype(np.int32), rgba(np.array((0.13, 0.14, 0.18)), 0.9 * level), cv2.LINE_AA, 3
    )
    lay_over(canvas, soften(layer, 0.8), x0, y0)


class Signs:
    """Lit signs that pulse: each RGB sprite (with its halo) is added at (x, y) with a smooth level of its
    own, and a paler copy at its mirror place when given.
    """

    def __init__(
        self,
        rng: Rng,
        signs: list[tuple[int, int, Image8]],
        *,
        depth: float = 0.4,
        lively: float = 0.8,
    ) -> None:
        self._signs, self._depth = signs, depth
        self._hz, self._phase = waver(rng, max(len(signs), 1), lively)

    def draw(self, canvas: Image8, seconds: float) -> None:
        weights = np.array([0.5, 0.3, 0.15, 0.08], np.float32)
        wave = (np.sin(2 * np.pi * self._hz * seconds + self._phase) * weights).sum(1)
        for i, (x, y, sprite) in enumerate(self._signs):
            add_light(
                canvas, sprite, x, y, float(np.clip(1 - self._depth * (0.5 - 0.6 * wave[i]), 0.05, 1.2))
            )


class Aircraft:
    """Far aircraft: a steady and a beating light that cross the sky slowly."""

    def __init__(self, rng: Rng, *, width: int, top: int, bottom: int, count: int = 4) -> None:
        self._x, self._y = rng.uniform(0, width, count), rng.uniform(top, bottom, count)
        self._v = rng.uniform(14, 34, count) * rng.choice([-1.0, 1.0], count)
        self._phase = rng.uniform(0, 1, count)
        self._white = glow_sprite(np.array((1.0, 0.96, 0.88), np.float32), 15, 0.5, core=1.0)
        self._red = glow_sprite(np.array((1.0, 0.25, 0.2), np.float32), 19, 0.6, core=1.0)
        self._width = width

    def draw(self, canvas: Image8, seconds: float) -> None:
        for i in range(len(self._x)):
            x = (self._x[i] + self._v[i] * seconds) % self._width
            y = self._y[i] - 0.05 * abs(self._v[i]) * seconds
            beat = 0.5 + 0.5 * np.sin(2 * np.pi * (0.8 * seconds + self._phase[i]))
            add_light(canvas, self._white, int(x) - 7, int(y) - 7, 0.8)
            add_light(canvas, self._red, int(x) - 15, int(y) - 9, float(smoothstep(0.3, 1.0, beat)))


class Streams:
    """Flying traffic: lights that run along straight air lanes (x0, y0, x1, y1), larger toward the end."""

    def __init__(
        self,
        rng: Rng,
        lanes: list[tuple[float, float, float, float]],
        colours: list[Colour],
        *,
        count: int = 26,
        speed: float = 0.1,
        size: tuple[float, float] = (5.0, 22.0),
    ) -> None:
        self._lanes = lanes
        self._start = rng.uniform(0, 1, (len(lanes), count))
        self._off = rng.normal(0, 1, (len(lanes), count))
        self._speed = speed * rng.uniform(0.7, 1.3, len(lanes)) * np.where(np.arange(len(lanes)) % 2, 1, -1)
        steps = np.linspace(size[0], size[1], 6)
        self._banks = [
            [
                _stretched(glow_sprite(c, int(s * 2) | 1, 0.7, core=1.0), int(s * 3) | 1, int(s * 1.6) | 1)
                for s in steps
            ]
            for c in colours
        ]

    def draw(self, canvas: Image8, seconds: float) -> None:
        for k, (x0, y0, x1, y1) in enumerate(self._lanes):
            bank = self._banks[k % len(self._banks)]
            for start, off in zip(self._start[k], self._off[k], strict=True):
                u = (start + self._speed[k] * seconds) % 1.0
                near = u**1.7
                sprite = bank[min(int(near * 6), 5)]
                x = x0 + (x1 - x0) * near
                y = y0 + (y1 - y0) * near + off * (2 + 7 * near)
                level = float(np.clip(min(u, 1 - u) * 10, 0, 1))
                add_light(canvas, sprite, int(x) - sprite.shape[1] // 2, int(y) - sprite.shape[0] // 2, level)


class Tumbleweed:
    """A ball of twigs that rolls and hops across the street far off."""

    def __init__(self, rng: Rng, *, x: float, y: float, size: int, speed: float, colour: Colour) -> None:
        n = size * 3
        big = blank(n, n)
        for _ in range(90):
            a, b = rng.uniform(0, 2 * np.pi, 2)
            r0, r1 = rng.uniform(0.2, 0.47, 2) * n
            p = (int((n / 2 + r0 * np.cos(a)) * 8), int((n / 2 + r0 * np.sin(a)) * 8))
            q = (int((n / 2 + r1 * np.cos(b)) * 8), int((n / 2 + r1 * np.sin(b)) * 8))
            cv2.line(big, p, q, rgba(colour * float(rng.uniform(0.5, 1.1))), 1, cv2.LINE_AA, 3)
        self._sprite = np.asarray(cv2.resize(big, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        self._x, self._y, self._speed, self._size = x, y, speed, size

    def draw(self, canvas: Image8, seconds: float) -> None:
        n = self._size
        x = self._x + self._speed * seconds
        hop = abs(np.sin(2.6 * seconds)) * n * 0.5
        turn = -360 * self._speed * seconds / (np.pi * n)
        m = cv2.getRotationMatrix2D((n / 2, n / 2), float(turn), 1.0)
        moved = np.asarray(cv2.warpAffine(self._sprite, m, (n, n)), np.uint8)
        lay_over(canvas, moved, int(x - n / 2), int(self._y - n - hop))
