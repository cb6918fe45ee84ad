"""Small things that fall, drift or fly: snow, rain, petals, leaves, dust, embers, bubbles, birds, fish,
lanterns.

What a reader gets wrong: positions are a closed form of the time, so any frame can be drawn alone; every
particle has a depth of its own that sets size, speed, sharpness and opacity together, otherwise they look
like a pattern on glass.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import Array, Colour, Image8, Rng, blank, lay_over, radial, rgba


@dataclass(frozen=True)
class Drift:
    """How a swarm moves, px/s for a particle at depth 1 (near). `wander` px is the amplitude of its swaying
    way.
    """

    vx: float
    vy: float
    wander: float = 20.0
    wander_hz: float = 0.5
    spin_hz: float = 0.0


def dot_sprites(
    colour: Colour, sizes: tuple[int, ...], power: float = 1.2, opacity: float = 0.9
) -> list[list[Image8]]:
    """Round soft dots, one list entry a size, one frame each."""
    out = []
    for size in sizes:
        alpha = radial(max(size, 3), power) * opacity
        out.append([_tinted(colour, np.clip(alpha * 1.5, 0, opacity))])
    return out


def _tinted(colour: Colour, alpha: Array) -> Image8:
    layer = np.empty((*alpha.shape, 4), np.uint8)
    for c in range(3):
        layer[..., c] = np.clip(colour[c] * alpha * 255 + 0.5, 0, 255)
    layer[..., 3] = np.clip(alpha * 255 + 0.5, 0, 255)
    return layer


def tumbling_sprites(
    colours: list[Colour], sizes: tuple[int, ...], rng: Rng, *, slim: float = 0.55, frames: int = 10
) -> list[list[Image8]]:
    """Petals or leaves that turn over: for each (size, colour) `frames` views of one turn."""
    out = []
    for size in sizes:
        for colour in colours:
            start = float(rng.uniform(0, 360))
            views = []
            for k in range(frames):
                phase = 2 * np.pi * k / frames
                wide = size * (0.25 + 0.75 * abs(np.cos(phase)))
                shade = 0.72 + 0.28 * np.cos(phase)
                side = size * 2 + 6
                big = blank(side * 3, side * 3)
                centre = (side * 3 // 2, side * 3 // 2)
                axes = (int(size * 1.5), max(int(wide * slim * 1.5), 2))
                angle = start + 360 * k / frames
                cv2.ellipse(big, centre, axes, angle, 0, 360, rgba(colour * shade), -1, cv2.LINE_AA)
                small = cv2.resize(big, (side, side), interpolation=cv2.INTER_AREA)
                views.append(np.asarray(cv2.GaussianBlur(small, (0, 0), 0.6 + size * 0.06), np.uint8))
            out.append(views)
    return out


class Swarm:
    """Many sprites under one drift, inside `region` (x0, y0, x1, y1), wrapping round at its edges out of
    sight.
    """

    def __init__(
        self,
        rng: Rng,
        banks: list[list[Image8]],
        drift: Drift,
        *,
        count: int,
        region: tuple[int, int, int, int],
        depth: tuple[float, float] = (0.35, 1.0),
        additive: bool = False,
        twinkle: float = 0.0,
        fade: bool = False,
    ) -> None:
        x0, y0, x1, y1 = region
        self._margin = 40
        self._w, self._h = x1 - x0 + 2 * self._margin, y1 - y0 + 2 * self._margin
        self._x0, self._y0 = x0 - self._margin, y0 - self._margin
        self._near = depth[0] + (depth[1] - depth[0]) * rng.random(count) ** 1.8
        order = np.argsort(self._near)
        self._near = self._near[order]
        self._px, self._py = rng.uniform(0, self._w, count), rng.uniform(0, self._h, count)
        self._phase = rng.uniform(0, 2 * np.pi, count)
        self._rate = rng.uniform(0.7, 1.3, count)
        self._turn = rng.choice([-1.0, 1.0], count)
        span = (self._near - depth[0]) / max(depth[1] - depth[0], 1e-6)
        step = max(len(banks), 1)
        self._bank = np.minimum(
            (span * step + rng.uniform(-0.3 * step, 0.3 * step, count)).astype(int), step - 1
        )
        self._bank = np.clip(self._bank, 0, step - 1)
        self._banks, self._drift = banks, drift
        self._additive, self._twinkle, self._fade = additive, twinkle, fade

    def draw(self, canvas: Image8, seconds: float) -> None:
        d = self._drift
        angle = 2 * np.pi * d.wander_hz * self._rate * seconds + self._phase
        x = self._px + d.vx * self._near * self._rate * seconds + d.wander * self._near * np.sin(angle)
        y = (
            self._py
            + d.vy * self._near * self._rate * seconds
            + 0.35 * d.wander * self._near * np.sin(2 * angle + 1)
        )
        xs = np.round(x % self._w + self._x0).astype(int)
        y = y % self._h
        ys = np.round(y + self._y0).astype(int)
        level = np.ones(len(xs))
        if self._twinkle:
            beat = 0.5 + 0.5 * np.sin(2 * np.pi * self._rate * 0.8 * seconds + self._phase * 3)
            level = 1 - self._twinkle * beat
        if self._fade:
            level = level * np.clip(np.minimum(y, self._h - y) / (0.22 * self._h), 0, 1)
        spin = d.spin_hz * self._rate * self._turn * seconds + self._phase / (2 * np.pi)
        for i in range(len(xs)):
            views = self._banks[self._bank[i]]
            sprite = views[int(spin[i] * len(views)) % len(views)]
            half_h, half_w = sprite.shape[0] // 2, sprite.shape[1] // 2
            if self._additive:
                add_light(canvas, sprite, int(xs[i]) - half_w, int(ys[i]) - half_h, float(level[i]))
            else:
                lay_over(canvas, sprite, int(xs[i]) - half_w, int(ys[i]) - half_h)


def add_light(canvas: Image8, sprite: Image8, x: int, y: int, level: float = 1.0) -> None:
    """Add a sprite's colour (RGB or RGBA) to the canvas, saturating, clipped to it."""
    height, width = canvas.shape[:2]
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + sprite.shape[1], width), min(y + sprite.shape[0], height)
    if x0 >= x1 or y0 >= y1 or level <= 0.01:
        return
    part = np.ascontiguousarray(sprite[y0 - y : y1 - y, x0 - x : x1 - x, :3])
    target = canvas[y0:y1, x0:x1]
    target[...] = cv2.addWeighted(target, 1.0, part, level, 0.0)


class Rain:
    """Streaks in three depths. `slant` is the sideways part of the fall."""

    def __init__(
        self, rng: Rng, *, width: int, height: int, count: int = 420, slant: float = 0.12, alpha: float = 0.3
    ) -> None:
        self._near = 0.35 + 0.65 * rng.random(count) ** 2
        self._px, self._py = rng.uniform(0, width * 1.2, count), rng.uniform(0, height * 1.4, count)
        self._speed = (900 + 900 * self._near) * rng.uniform(0.9, 1.1, count)
        self._w, self._h, self._slant, self._alpha = width, height, slant, alpha

    def draw(self, canvas: Image8, seconds: float) -> None:
        mask = np.zeros((self._h // 2, self._w // 2), np.uint8)
        y = (self._py + self._speed * seconds) % (self._h * 1.4) - self._h * 0.2
        x = (self._px + self._slant * self._speed * seconds) % (self._w * 1.2) - self._w * 0.1
        length = self._speed * 0.028
        for i in range(len(x)):
            tip = (int(x[i] * 8 / 2), int(y[i] * 8 / 2))
            tail = (int((x[i] - self._slant * length[i]) * 8 / 2), int((y[i] - length[i]) * 8 / 2))
            cv2.line(
                mask, tip, tail, int(255 * self._alpha * (0.35 + 0.65 * self._near[i])), 1, cv2.LINE_AA, 3
            )
        full = cv2.resize(
            cv2.GaussianBlur(mask, (0, 0), 0.6), (self._w, self._h), interpolation=cv2.INTER_LINEAR
        )
        cv2.add(canvas, cv2.cvtColor(full, cv2.COLOR_GRAY2RGB), dst=canvas)


class Flock:
    """Birds (or bats, gulls) far off: a few strokes that beat and glide along long arcs."""

    def __init__(
        self,
        rng: Rng,
        *,
        width: int,
        top: int,
        bottom: int,
        colour: Colour,
        count: int = 7,
        size: float = 11.0,
    ) -> None:
        self._x = rng.uniform(-0.3 * width, width, count)
        self._y = rng.uniform(top, bottom, count)
        self._v = rng.uniform(38, 75, count) * (1 if rng.random() < 0.7 else -1)
        self._size = size * rng.uniform(0.6, 1.15, count)
        self._phase = rng.uniform(0, 6.28, count)
        self._beat = rng.uniform(2.2, 3.2, count)
        self._colour = rgba(colour)[:3]
        self._width = width

    def draw(self, canvas: Image8, seconds: float) -> None:
        span = self._width * 1.3
        for i in range(len(self._x)):
            x = (self._x[i] + self._v[i] * seconds + 0.15 * span) % span - 0.15 * span
            y = self._y[i] + 10 * np.sin(0.7 * seconds + self._phase[i])
            up = np.sin(2 * np.pi * self._beat[i] * seconds + self._phase[i])
            s = self._size[i]
            left, right = (x - s, y - s * 0.55 * up), (x + s, y - s * 0.55 * up)
            elbow_l, elbow_r = (
                (x - s * 0.45, y - s * (0.3 * up + 0.16)),
                (x + s * 0.45, y - s * (0.3 * up + 0.16)),
            )
            points = np.array([left, elbow_l, (x, y), elbow_r, right]) * 8
            thick = 2 if s > 8 else 1
            cv2.polylines(canvas, [points.astype(np.int32)], False, self._colour, thick, cv2.LINE_AA, 3)


class Butterflies:
    """Small wings that open and close on winding ways."""

    def __init__(
        self, rng: Rng, *, region: tuple[int, int, int, int], colours: list[Colour], count: int = 7
    ) -> None:
        x0, y0, x1, y1 = region
        self._x, self._y = rng.uniform(x0, x1, count), rng.uniform(y0, y1, count)
        self._phase = rng.uniform(0, 6.28, (count, 4))
        self._size = rng.uniform(4, 9, count)
        self._colours = [rgba(colours[i % len(colours)])[:3] for i in range(count)]

    def draw(self, canvas: Image8, seconds: float) -> None:
        for i in range(len(self._x)):
            p = self._phase[i]
            x = self._x[i] + 70 * np.sin(0.5 * seconds + p[0]) + 22 * np.sin(1.9 * seconds + p[1])
            y = self._y[i] + 34 * np.sin(0.8 * seconds + p[2]) + 12 * np.sin(2.7 * seconds + p[3])
            open_ = abs(np.sin(2 * np.pi * 3.1 * seconds + p[0])) * 0.85 + 0.15
            s = self._size[i]
            for side in (-1, 1):
                wing = np.array(
                    [
                        (x, y),
                        (x + side * s * open_, y - s),
                        (x + side * s * 1.2 * open_, y),
                        (x + side * s * 0.7 * open_, y + s * 0.7),
                    ]
                )
                cv2.fillConvexPoly(canvas, (wing * 8).astype(np.int32), self._colours[i], cv2.LINE_AA, 3)


class Shoal:
    """Fish that swim in a loose band and turn together."""

    def __init__(
        self,
        rng: Rng,
        *,
        width: int,
        y: float,
        colour: Colour,
        belly: Colour,
        count: int = 26,
        size: float = 10.0,
        speed: float = 70.0,
    ) -> None:
        self._dx, self._dy = rng.normal(0, 90, count), rng.normal(0, 26, count)
        self._size, self._phase = size * rng.uniform(0.6, 1.2, count), rng.uniform(0, 6.28, count)
        self._start, self._y, self._speed, self._width = float(rng.uniform(0, width)), y, speed, width
        self._colour, self._belly = rgba(colour)[:3], rgba(belly)[:3]

    def draw(self, canvas: Image8, seconds: float) -> None:
        span = self._width + 500
        way = 1 if self._speed > 0 else -1
        for i in range(len(self._dx)):
            x = (
                self._start
                + self._dx[i]
                + self._speed * seconds
                + 14 * np.sin(1.3 * seconds + self._phase[i])
            ) % span - 250
            y = (
                self._y
                + self._dy[i]
                + 12 * np.sin(0.9 * seconds + 0.01 * x)
                + 4 * np.sin(2.1 * seconds + self._phase[i])
            )
            s = self._size[i]
            flick = 0.35 * np.sin(9 * seconds + self._phase[i])
            body = [(x + way * s, y), (x, y - s * 0.34), (x - way * s * 0.8, y), (x, y + s * 0.34)]
            tail = [
                (x - way * s * 0.7, y),
                (x - way * s * 1.3, y - s * (0.3 + flick)),
                (x - way * s * 1.3, y + s * (0.3 - flick)),
            ]
            cv2.fillConvexPoly(canvas, (np.array(body) * 8).astype(np.int32), self._colour, cv2.LINE_AA, 3)
            cv2.fillConvexPoly(canvas, (np.array(tail) * 8).astype(np.int32), self._belly, cv2.LINE_AA, 3)
