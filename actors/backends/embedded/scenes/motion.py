"""Layers that move: how a picture that was painted once becomes a video.

What a reader gets wrong: a moving layer never shifts as a whole. `Swaying` bends a painted RGBA by a field
that is zero where things are rooted (`weight`) and that travels with the wind, so that roots, trunks and
walls stay where they are. Every layer is a function of the time in seconds alone: any frame can be drawn
without its predecessors.
"""

from __future__ import annotations

from functools import cache
from typing import Protocol

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import Array, Image8, Rng, crop_to_content, lay_over, tile_noise


class Layer(Protocol):
    def draw(self, canvas: Image8, seconds: float) -> None:
        """Paint onto the RGB canvas in place."""
        ...


@cache
def _pixel_grid(height: int, width: int) -> tuple[Array, Array]:
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x, y


class Still:
    """A layer that stays as it is."""

    def __init__(self, layer: Image8) -> None:
        self.layer, self.x, self.y = crop_to_content(layer)

    def draw(self, canvas: Image8, seconds: float) -> None:
        if self.layer.size:
            lay_over(canvas, self.layer, self.x, self.y)


class Wind:
    """A gust field over the picture: noise that travels sideways. Values are about -1..1."""

    def __init__(
        self, rng: Rng, *, speed: float = 150.0, direction: float = 1.0, size: float = 420.0
    ) -> None:
        """`speed` px/s at full width, `size` px from gust to gust."""
        self._noise = np.clip(tile_noise(rng, 128, 1.7) * 0.6, -1.2, 1.2)
        self._fine = np.clip(tile_noise(rng, 128, 1.0) * 0.6, -1.3, 1.3)
        self._speed, self._direction, self._size = speed, direction, size

    def gust(self, x: Array, y: Array, seconds: float) -> Array:
        """At picture positions in px (any equal shapes)."""
        k = 128 / (self._size * 2.6)
        shift = self._direction * self._speed * seconds
        u = ((x - shift) * k) % 128
        v = (y * k * 2.2 + seconds * 1.3) % 128
        slow = cv2.remap(self._noise, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        u2 = ((x - 0.6 * shift) * k * 2.3 + 40) % 128
        quick = cv2.remap(self._noise, u2, (v * 2.1) % 128, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        return np.asarray(0.75 * slow + 0.45 * quick, np.float32)

    def flutter(self, x: Array, y: Array, seconds: float) -> Array:
        """Small restless motion of leaves, fast and local."""
        a = cv2.remap(
            self._fine,
            np.asarray((x * 0.09 + seconds * 17) % 128, np.float32),
            np.asarray((y * 0.09 + seconds * 9) % 128, np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        b = cv2.remap(
            self._fine,
            np.asarray((x * 0.05 - seconds * 12 + 31) % 128, np.float32),
            np.asarray((y * 0.06 - seconds * 7 + 77) % 128, np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        return np.asarray(a + b, np.float32)


_GRID = 6
"""Displacements are computed on every sixth pixel and enlarged: 1/36 of the work, and smooth by itself."""


class Swaying:
    """A painted layer that bends in the wind, anchored where `weight` is 0.

    `sway`, `flutter` are px of displacement at weight 1; `lean` is the share of displacement that stays
    (grass that lies before the wind); `sheen` is the relative brightening of a passing gust, `glint` the same
    of single leaves.
    """

    def __init__(
        self,
        layer: Image8,
        weight: Array,
        wind: Wind,
        *,
        sway: float,
        flutter: float = 0.0,
        sheen: float = 0.0,
        glint: float = 0.0,
        drop: float = 0.25,
    ) -> None:
        pad = int(sway * 1.6 + flutter * 2) + 2
        cut, x, y = crop_to_content(layer)
        self._empty = not cut.size
        if self._empty:
            return
        height, width = layer.shape[:2]
        x0, y0 = max(x - pad, 0), max(y - pad // 2, 0)
        x1, y1 = min(x + cut.shape[1] + pad, width), min(y + cut.shape[0] + pad // 3, height)
        self._layer = np.ascontiguousarray(layer[y0:y1, x0:x1])
        self._x, self._y = x0, y0
        rows, cols = max((y1 - y0) // _GRID, 2), max((x1 - x0) // _GRID, 2)
        self._weight = cv2.resize(
            np.ascontiguousarray(weight[y0:y1, x0:x1]).astype(np.float32),
            (cols, rows),
            interpolation=cv2.INTER_AREA,
        )
        gx, gy = np.meshgrid(
            x0 + (np.arange(cols) + 0.5) * (x1 - x0) / cols, y0 + (np.arange(rows) + 0.5) * (y1 - y0) / rows
        )
        self._gx, self._gy = gx.astype(np.float32), gy.astype(np.float32)
        self._wind, self._sway, self._flutter = wind, sway, flutter
        self._sheen, self._glint, self._drop = sheen, glint, drop

    def draw(self, canvas: Image8, seconds: float) -> None:
        if self._empty:
            return
        height, width = self._layer.shape[:2]
        gust = self._wind.gust(self._gx, self._gy, seconds)
        spring = np.sin(self._gx * 0.021 + self._gy * 0.013 + seconds * 4.1) * 0.16
        dx = -self._sway * self._weight * (gust + spring)
        dy = np.abs(dx) * -self._drop * self._weight
        if self._flutter:
            shake = self._wind.flutter(self._gx, self._gy, seconds) * self._weight * self._flutter
            dx = dx + shake
            dy = dy + shake[:, ::-1] * 0.6
        field = cv2.resize(
            np.dstack([dx, dy]).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
        )
        gx, gy = _pixel_grid(height, width)
        moved = cv2.remap(
            self._layer,
            gx + field[..., 0],
            gy + field[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT if self._y + height < canvas.shape[0] else cv2.BORDER_REPLICATE,
        )
        if self._sheen or self._glint:
            bright = 1 + self._sheen * gust
            if self._glint:
                bright = bright + self._glint * self._wind.flutter(
                    self._gx * 1.7, self._gy * 1.7, seconds * 1.2
                )
            scale8 = np.clip(bright * 128, 0, 255).astype(np.uint8)
            scale8 = cv2.resize(scale8, (width, height), interpolation=cv2.INTER_LINEAR)
            full = np.full_like(scale8, 128)
            lit = cv2.multiply(moved, cv2.merge([scale8, scale8, scale8, full]), scale=1 / 128)
            moved = lit
        lay_over(canvas, moved, self._x, self._y)


class Flow:
    """A wide RGBA that slides sideways, each row at its own speed: clouds, fog banks, blown sand, smoke
    trails.

    `layer` is wider than the picture by the way it has to go; `speeds` px/s a row. Then it wraps round, so
    what goes further must tile. What goes right starts at the layer's right end: no seam comes in.
    """

    def __init__(self, layer: Image8, y: int, speeds: Array, *, rise: float = 0.0) -> None:
        self._layer, self._y, self._speeds, self._rise = layer, y, speeds.astype(np.float32), rise

    def draw(self, canvas: Image8, seconds: float) -> None:
        height = self._layer.shape[0]
        width = canvas.shape[1]
        gx, gy = _pixel_grid(height, width)
        period = self._layer.shape[1]
        start = np.where(self._speeds > 0, max(period - width, 0), 0).astype(np.float32)
        offset = (start - self._speeds * np.float32(seconds)) % period
        mx = gx + offset[:, None]
        wrapped = np.where(mx >= period, mx - period, mx)
        moved = cv2.remap(self._layer, wrapped, gy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        lay_over(canvas, moved, 0, self._y)


class Veil:
    """Drifting fog, mist, haze or smoke: two noise fields that travel at different speeds inside a soft
    `mask`.

    Colour is one RGB in 0..1; `strength` the greatest alpha. Drawn on a quarter grid.
    """

    def __init__(
        self,
        rng: Rng,
        mask: Array,
        colour: Array,
        *,
        strength: float,
        speed: tuple[float, float] = (60.0, 25.0),
        size: float = 260.0,
        flat: float = 2.6,
        rise: float = 0.0,
        contrast: float = 1.0,
    ) -> None:
        rows = np.flatnonzero(mask.max(axis=1) > 0.01)
        self._y0, self._y1 = int(rows[0]), int(rows[-1]) + 1
        part = mask[self._y0 : self._y1]
        h, w = part.shape
        self._shape = (max(h // 4, 2), max(w // 4, 2))
        self._mask = (
            cv2.resize(part.astype(np.float32), self._shape[::-1], interpolation=cv2.INTER_AREA) * strength
        )
        self._colour = np.asarray(colour, np.float32) * 255
        self._noise = tile_noise(rng, 256, 1.75)
        gx, gy = np.meshgrid(np.arange(self._shape[1]), np.arange(self._shape[0]))
        self._u = (gx * 4 * (64 / size)).astype(np.float32)
        self._v = (gy * 4 * flat * (64 / size)).astype(np.float32)
        self._speed = (speed[0] * 64 / size, speed[1] * 64 / size)
        self._rise = rise * flat * 64 / size
        self._contrast = contrast

    def draw(self, canvas: Image8, seconds: float) -> None:
        up = self._rise * seconds
        a = cv2.remap(
            self._noise,
            (self._u - self._speed[0] * seconds) % 256,
            (self._v + up) % 256,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        b = cv2.remap(
            self._noise,
            (self._u * 1.9 - self._speed[1] * 1.9 * seconds + 77) % 256,
            (self._v * 1.7 + up * 1.4 + 31 + seconds * 2) % 256,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        density = np.clip(0.5 + self._contrast * (0.36 * a + 0.22 * b), 0, 1) * self._mask
        target = canvas[self._y0 : self._y1]
        blend_colour(target, density, self._colour)


def blend_colour(target: Image8, alpha: Array, colour255: Array) -> None:
    """Blend one colour into an RGB view by a coarse (h, w) alpha in 0..1, enlarged to the view."""
    h, w = target.shape[:2]
    a8 = cv2.resize(
        np.clip(alpha * 255 + 0.5, 0, 255).astype(np.uint8), (w, h), interpolation=cv2.INTER_LINEAR
    )
    a3 = cv2.cvtColor(a8, cv2.COLOR_GRAY2RGB)
    kept = cv2.multiply(target, 255 - a3, scale=1 / 255)
    tint = cv2.multiply(a3, np.array((*colour255[:3], 0.0), np.float64), scale=1 / 255)
    target[...] = cv2.add(kept, tint)


class Shade:
    """A moving multiplicative light: dappled sun on a path, fire light on a wall, a cloud's shadow on a far
    slope.

    Brightness is multiplied by 1 + depth * pattern inside the mask; the pattern travels and changes shape.
    """

    def __init__(
        self,
        rng: Rng,
        mask: Array,
        *,
        depth: float,
        size: float = 90.0,
        speed: tuple[float, float] = (30.0, 8.0),
        flat: float = 1.0,
        hard: float = 1.0,
        beta: float = 1.8,
        tint: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> None:
        rows = np.flatnonzero(mask.max(axis=1) > 0.01)
        cols = np.flatnonzero(mask.max(axis=0) > 0.01)
        self._box = (int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1)
        part = mask[self._box[0] : self._box[1], self._box[2] : self._box[3]]
        h, w = part.shape
        self._shape = (max(h // 4, 2), max(w // 4, 2))
        self._mask = (
            cv2.resize(part.astype(np.float32), self._shape[::-1], interpolation=cv2.INTER_AREA) * depth
        )
        self._noise = tile_noise(rng, 256, beta)
        gx, gy = np.meshgrid(np.arange(self._shape[1]), np.arange(self._shape[0]))
        self._u = (gx * 4 * 40 / size).astype(np.float32)
        self._v = (gy * 4 * flat * 40 / size).astype(np.float32)
        self._k, self._speed, self._hard = 40 / size, speed, hard
        self._tint = np.asarray(tint, np.float32)

    def draw(self, canvas: Image8, seconds: float) -> None:
        dx, dy = self._speed[0] * self._k * seconds, self._speed[1] * self._k * seconds
        # the pattern swings to and fro like light through leaves, and drifts a little
        swing = 1.6 * np.sin(seconds * 2.3) + 0.9 * np.sin(seconds * 3.7 + 1)
        a = cv2.remap(
            self._noise,
            np.asarray((self._u - dx + swing) % 256, np.float32),
            np.asarray((self._v - dy) % 256, np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        b = cv2.remap(
            self._noise,
            np.asarray((self._u * 1.3 + dx * 0.7 - swing * 0.8 + 91) % 256, np.float32),
            np.asarray((self._v * 1.3 + dy + 17) % 256, np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        value = 1 + np.tanh((a + b) * 0.8 * self._hard) * self._mask
        y0, y1, x0, x1 = self._box
        scale8 = np.clip(value * 100, 0, 255).astype(np.uint8)
        scale8 = cv2.resize(scale8, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        target = canvas[y0:y1, x0:x1]
        target[...] = cv2.multiply(target, cv2.cvtColor(scale8, cv2.COLOR_GRAY2RGB), scale=1 / 100)


class HeatHaze:
    """Hot air over the ground: the rows of a band waver by a pixel or two."""

    def __init__(self, rng: Rng, y0: int, y1: int, *, strength: float) -> None:
        self._noise = tile_noise(rng, 128, 1.2)
        self._y0, self._y1, self._strength = y0, y1, strength

    def draw(self, canvas: Image8, seconds: float) -> None:
        target = canvas[self._y0 : self._y1]
        h, w = target.shape[:2]
        rows, cols = max(h // 4, 2), max(w // 8, 2)
        gx, gy = np.meshgrid(np.arange(cols, dtype=np.float32), np.arange(rows, dtype=np.float32))
        fade = np.sin(np.linspace(0, np.pi, rows, dtype=np.float32))[:, None]
        d = cv2.remap(
            self._noise,
            (gx * 0.9) % 128,
            np.asarray((gy * 2.4 + seconds * 42) % 128, np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        d = cv2.resize(d * fade * self._strength, (w, h), interpolation=cv2.INTER_LINEAR)
        px, py = _pixel_grid(h, w)
        target[...] = cv2.remap(
            target, px + d, py + d * 0.7, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
