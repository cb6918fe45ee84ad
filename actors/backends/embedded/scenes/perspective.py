"""A street in one-point perspective: metres to pixels, walls laid into the picture, ground, and what wet
ground mirrors.

What a reader gets wrong: wet ground does not mirror the picture at the horizon. Each wall is mirrored at its
own foot, so `Road` lays every flat thing twice: into `picture`, and with negative heights into `mirrored`.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Image8,
    blank,
    mix,
    on_ground,
    premultiplied,
    rgba,
    smoothstep,
    stack_over,
)
from actors.backends.embedded.scenes.stage import Stage

Point = tuple[float, float, float]
"""(x right, height, depth) in metres from below the camera."""


class Road:
    """The geometry of one street and its two pictures, 8-bit premultiplied RGBA of the stage's size."""

    def __init__(self, stage: Stage, *, half: float, horizon: int, camera: float = 1.6, wet: float) -> None:
        self.stage, self.half, self.horizon, self.camera, self.wet = stage, half, horizon, camera, wet
        self.centre = stage.width * float(stage.rng.uniform(0.44, 0.56))
        self.focal = stage.width * 0.8
        self.picture = blank(stage.height, stage.width)
        self.mirrored = blank(stage.height, stage.width) if wet else None
        self.haze_depth = 70.0

    def at(self, x: float, height: float, depth: float) -> tuple[float, float]:
        k = self.focal / depth
        return self.centre + x * k, self.horizon + (self.camera - height) * k

    def scale(self, depth: float) -> float:
        """Pixels a metre at this depth."""
        return self.focal / depth

    def near(self) -> float:
        """Depth in metres at which the walls leave the picture."""
        return self.half * self.focal / (self.stage.width * 0.6)

    def away(self, depth: float) -> float:
        """Share of aerial haze at this depth, 0..1, before the stage's own amount."""
        return float(1 - np.exp(-depth / self.haze_depth))

    def lay(
        self, texture: Image8, corners: tuple[Point, Point, Point, Point], *, mirror: bool = True
    ) -> None:
        """A premultiplied texture onto a quad: top left, top right, bottom right, bottom left."""
        self._warp(self.picture, texture, [self.at(*c) for c in corners])
        if mirror and self.mirrored is not None:
            self._warp(self.mirrored, texture, [self.at(x, -y, z) for x, y, z in corners])

    def lay_on(self, target: Image8, texture: Image8, corners: tuple[Point, Point, Point, Point]) -> None:
        """The same onto another layer of the stage's size, without a mirror image."""
        self._warp(target, texture, [self.at(*c) for c in corners])

    def lay_mirrored(self, texture: Image8, corners: tuple[Point, Point, Point, Point]) -> None:
        """Only the mirror image."""
        if self.mirrored is not None:
            self._warp(self.mirrored, texture, [self.at(x, -y, z) for x, y, z in corners])

    def _warp(self, target: Image8, texture: Image8, quad: list[tuple[float, float]]) -> None:
        h, w = target.shape[:2]
        xs, ys = [p[0] for p in quad], [p[1] for p in quad]
        x0, x1 = max(int(np.floor(min(xs))) - 1, 0), min(int(np.ceil(max(xs))) + 2, w)
        y0, y1 = max(int(np.floor(min(ys))) - 1, 0), min(int(np.ceil(max(ys))) + 2, h)
        if x1 - x0 < 2 or y1 - y0 < 2:
            return
        tall = max(abs(ys[3] - ys[0]), abs(ys[2] - ys[1]), 2) * 1.15
        wide = max(abs(xs[1] - xs[0]), abs(xs[2] - xs[3]), 2) * 1.6
        th, tw = texture.shape[:2]
        if tall < th or wide < tw:
            size = (max(int(min(wide, tw)), 2), max(int(min(tall, th)), 2))
            texture = np.asarray(cv2.resize(texture, size, interpolation=cv2.INTER_AREA), np.uint8)
            th, tw = texture.shape[:2]
        source = np.array([(0, 0), (tw, 0), (tw, th), (0, th)], np.float32)
        goal = np.array(quad, np.float32) - np.array((x0, y0), np.float32)
        matrix = cv2.getPerspectiveTransform(source, goal)
        moved = cv2.warpPerspective(texture, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
        stack_over(target, np.asarray(moved, np.uint8), x0, y0)

    def line(self, a: Point, b: Point, colour: Array, thick: float, *, mirror: bool = True) -> None:
        """A bar of `thick` metres between two points of about one depth."""
        px = max(thick * self.scale(a[2]), 1.0)
        for target, sign in ((self.picture, 1.0), (self.mirrored if mirror else None, -1.0)):
            if target is None:
                continue
            p, q = self.at(a[0], sign * a[1], a[2]), self.at(b[0], sign * b[1], b[2])
            start = (int(np.clip(p[0], -4000, 4000) * 8), int(np.clip(p[1], -4000, 4000) * 8))
            end = (int(np.clip(q[0], -4000, 4000) * 8), int(np.clip(q[1], -4000, 4000) * 8))
            cv2.line(target, start, end, rgba(colour), max(int(px + 0.5), 1), cv2.LINE_AA, 3)

    def box(self, low: Point, high: Point, colour: Array) -> None:
        """An upright rectangle at one depth, between two opposite corners."""
        for target, sign in ((self.picture, 1.0), (self.mirrored, -1.0)):
            if target is not None:
                p, q = self.at(low[0], sign * low[1], low[2]), self.at(high[0], sign * high[1], high[2])
                cv2.rectangle(target, (int(p[0]), int(p[1])), (int(q[0]), int(q[1])), rgba(colour), -1)

    def ground_metres(self) -> tuple[Array, Array]:
        """(x, depth) in metres of every ground pixel below the horizon."""
        rows = self.stage.height - self.horizon
        y = np.arange(rows, dtype=np.float32)[:, None] + 1.0
        depth = self.focal * self.camera / y
        x = (np.arange(self.stage.width, dtype=np.float32)[None, :] - self.centre) * (self.camera / y)
        return x, np.broadcast_to(depth, x.shape).astype(np.float32)

    def texture(self, tile: Array, texels_per_metre: float) -> Array:
        """A tiling texture on the ground, (rows below the horizon, width)."""
        rows = self.stage.height - self.horizon
        shift = round(self.stage.width / 2 - self.centre)
        wide = self.stage.width + 2 * abs(shift)
        seen = on_ground(
            tile, self.horizon, self.stage.height, wide, scale=texels_per_metre * self.camera / rows
        )
        start = (wide - self.stage.width) // 2 + shift
        return np.asarray(seen[:, start : start + self.stage.width], np.float32)


def cobbles(rng: np.random.Generator, size: int = 512, stones: int = 14) -> Array:
    """A tile of rounded setts in staggered courses, mean about 1; it tiles."""
    step = size / stones
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    row = np.floor(y / step).astype(int) % stones
    shift = rng.uniform(0, 1, stones).astype(np.float32)
    u = x / step * 0.8 + shift[row]
    columns = max(int(stones * 0.8), 1)
    u = u * (columns / (stones * 0.8))
    column = np.floor(u).astype(int) % columns
    du, dv = (u % 1) - 0.5, (y / step % 1) - 0.5
    tone = rng.uniform(0.78, 1.18, (stones, columns)).astype(np.float32)[row, column]
    rim = np.maximum(np.abs(du), np.abs(dv)) * 0.6 + np.hypot(du, dv) * 0.4
    dome = 1 - 0.62 * smoothstep(0.34, 0.5, rim)
    light = 1 + 0.35 * (-dv) * dome
    return np.asarray(tone * dome * light / 0.8, np.float32)


def slabs(rng: np.random.Generator, size: int = 512, count: int = 6) -> Array:
    """A tile of paving slabs, mean about 1."""
    step = size / count
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    row, column = np.floor(y / step).astype(int) % count, np.floor(x / step).astype(int) % count
    tone = rng.uniform(0.88, 1.1, (count, count)).astype(np.float32)[row, column]
    edge = np.minimum(np.minimum(x % step, step - x % step), np.minimum(y % step, step - y % step))
    return np.asarray(tone * (0.68 + 0.32 * smoothstep(0.5, 3.5, edge)), np.float32)


def lay_ground(road: Road, picture: Array, alpha: Array | None = None) -> Image8:
    """The (rows, width, 3) ground as a full-size layer that covers everything below the horizon."""
    stage = road.stage
    full = np.zeros((stage.height, stage.width, 3), np.float32)
    cover = np.zeros((stage.height, stage.width), np.float32)
    full[road.horizon :] = picture
    cover[road.horizon :] = 1 if alpha is None else alpha
    return premultiplied(np.clip(full, 0, 1), cover)


def lamplight(
    x: Array, height: Array | float, depth: Array, lamps: list[tuple[float, float, float, Array, float]]
) -> Array:
    """Light that lamps (x, height, depth, colour, power) throw on points in metres: (h, w, 3)."""
    out = np.zeros((*x.shape, 3), np.float32)
    for lx, ly, lz, colour, power in lamps:
        square = (x - lx) ** 2 + (height - ly) ** 2 * 0.6 + (depth - lz) ** 2
        out += (power / (1 + square / 5.0))[..., None] * np.asarray(colour, np.float32)
    return out


def hazed_columns(road: Road, colour: Array, first: float, last: float) -> Array:
    """A wall picture whose left edge stands at depth `first` and right edge at `last`, in the air between."""
    depth = np.linspace(first, last, colour.shape[1], dtype=np.float32)
    share = (1 - np.exp(-depth / road.haze_depth)) * road.stage.haze_amount
    amount = np.broadcast_to(np.clip(share, 0, 0.95)[None, :], colour.shape[:2])
    return mix(colour, road.stage.haze, amount)
