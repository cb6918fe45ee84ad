"""Water: lakes and rivers that mirror what stands behind them, open sea, surf on a beach, falling water.

What a reader gets wrong: ripples are noise on the water plane seen in perspective. Wavelengths shorter than a
pixel are faded out row by row; without that, far water sparkles from frame to frame, which looks like
flicker.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Colour,
    Image8,
    Reals,
    Rng,
    fbm,
    smoothstep,
    tile_noise,
)
from actors.backends.embedded.scenes.particles import add_light


def _wrap(noise: Array, u: Reals, v: Reals) -> Array:
    n = noise.shape[0]
    return np.asarray(
        cv2.remap(
            noise,
            np.asarray(u % n, np.float32),
            np.asarray(v % n, np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        ),
        np.float32,
    )


class Waves:
    """Slope noise on the water plane between rows `top` and `bottom`, on a half-size grid."""

    def __init__(
        self, rng: Rng, *, width: int, horizon: int, top: int, bottom: int, scale: float, wind: float
    ) -> None:
        self.rows, self.cols = max((bottom - top) // 2, 2), width // 2
        y = (top - horizon) + (np.arange(self.rows, dtype=np.float32)[:, None] + 0.5) * 2
        reach = float(bottom - horizon)
        self.depth = (reach / np.maximum(y, 1.5)).astype(np.float32)
        x = (np.arange(self.cols, dtype=np.float32)[None, :] - self.cols / 2) * 2
        self._x, self._z = (
            x * self.depth,
            np.broadcast_to(self.depth * reach * 1.1, (self.rows, self.cols)).astype(np.float32),
        )
        self._noise = [tile_noise(rng, 256, b) for b in (1.6, 1.45, 1.3)]
        self._size = [150 * scale, 62 * scale, 24 * scale]
        squeeze = 0.35 * self.depth * np.maximum(self.depth, 1)
        self._fade = [
            smoothstep(2.0, 9.0, s / squeeze) * np.ones((1, self.cols), np.float32) for s in self._size
        ]
        self._wind = wind

    def slope(self, seconds: float) -> tuple[Array, Array]:
        """Two independent slope fields, about -1..1."""
        first = np.zeros((self.rows, self.cols), np.float32)
        second = np.zeros_like(first)
        for k, (noise, size, fade, weight) in enumerate(
            zip(self._noise, self._size, self._fade, (0.5, 0.38, 0.26), strict=True)
        ):
            f = 9.0 / size
            speed = (26 + 15 * k) * self._wind * f
            u = self._x * f
            v = self._z * f * 2.1
            a = _wrap(noise, u * 0.55 + speed * seconds * 0.3, v + speed * seconds)
            b = _wrap(noise, u * 0.6 - speed * seconds * 0.45 + 91, v * 1.1 + speed * seconds * 0.7 + 37)
            first += (a + b) * fade * weight
            second += (a - b) * fade * weight
        return first, second


class Mirror:
    """A water surface that reflects a snapshot of the picture above it; `alpha` (h, w) says where there is
    water.
    """

    def __init__(
        self,
        rng: Rng,
        snapshot: Image8,
        alpha: Array,
        *,
        horizon: int,
        deep: Colour,
        calm: float = 0.5,
        scale: float = 1.0,
        clarity: float = 0.75,
        glitter: Colour | None = None,
        glitter_x: float = 0.5,
        glitter_strength: float = 0.0,
        shore: int | None = None,
        wind: float = 1.0,
        relief: float = 1.0,
    ) -> None:
        """`calm` 1 is a mirror, 0 a choppy lake; `clarity` the share of the reflection at the horizon,
        `relief` the contrast of the waves.
        """
        rows = np.flatnonzero(alpha.max(axis=1) > 0.004)
        self._y0, self._y1 = int(rows[0]), int(rows[-1]) + 1
        h, w = alpha.shape
        self._waves = Waves(
            rng, width=w, horizon=horizon, top=self._y0, bottom=self._y1, scale=scale, wind=wind
        )
        half = cv2.resize(snapshot, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
        shore_row = (shore if shore is not None else horizon) / 2
        self._picture = half
        n, m = self._waves.rows, self._waves.cols
        y = self._y0 / 2 + np.arange(n, dtype=np.float32)[:, None]
        self._ys = np.broadcast_to(2 * shore_row - y, (n, m)).astype(np.float32)
        self._xs = np.broadcast_to(np.arange(m, dtype=np.float32)[None, :], (n, m)).astype(np.float32)
        near = (
            np.linspace(0, 1, n, dtype=np.float32)[:, None]
            if self._y0 <= horizon + 12
            else np.linspace(0.35, 1, n, dtype=np.float32)[:, None]
        )
        self._bend = (4 + 26 * near) * (1.15 - calm) * h / 720
        self._mix = (clarity * (1 - 0.62 * near**0.8))[..., None].astype(np.float32)
        self._deep = np.asarray(deep, np.float32) * 255
        self._near = near
        part = alpha[self._y0 : self._y1]
        self._alpha = cv2.cvtColor(np.clip(part * 255 + 0.5, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)
        self._inverse = 255 - self._alpha
        self._opaque = bool(part.min() > 0.99)
        self._glitter = None if glitter is None else np.asarray(glitter, np.float32) * 255 * glitter_strength
        x = (np.arange(m, dtype=np.float32)[None, :] - glitter_x * m) / m
        self._column = np.exp(-((x / (0.035 + 0.13 * near)) ** 2)) + 0.10
        self._rough = (1.25 - calm) * relief
        self._relief = relief

    def draw(self, canvas: Image8, seconds: float) -> None:
        s1, s2 = self._waves.slope(seconds)
        reflected = cv2.remap(
            self._picture,
            self._xs + s2 * self._bend * 0.45,
            self._ys + s1 * self._bend - np.abs(s1) * self._bend * 0.5,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        ).astype(np.float32)
        share = np.clip(self._mix + 0.22 * s1[..., None] * self._rough, 0, 1)
        colour = self._deep * (1 + 0.16 * self._relief * s2[..., None]) * (1 - share) + reflected * share
        if self._glitter is not None:
            spark = smoothstep(0.55, 1.15, s1 + 0.55 * s2) * self._column
            colour += spark[..., None] * self._glitter
        surface = np.clip(colour, 0, 255).astype(np.uint8)
        target = canvas[self._y0 : self._y1]
        surface = cv2.resize(surface, (target.shape[1], target.shape[0]), interpolation=cv2.INTER_LINEAR)
        if self._opaque:
            target[...] = surface
        else:
            target[...] = cv2.add(
                cv2.multiply(surface, self._alpha, scale=1 / 255),
                cv2.multiply(target, self._inverse, scale=1 / 255),
            )


class Surf:
    """The sea in front of a beach: swell lines that come in, break, and wash over the sand."""

    def __init__(
        self,
        rng: Rng,
        *,
        width: int,
        horizon: int,
        shore: int,
        reach: int,
        far: Colour,
        middle: Colour,
        near: Colour,
        foam: Colour,
        glitter: Colour,
        glitter_x: float,
        glitter_strength: float,
        power: float = 1.0,
        tilt: float = 0.0,
        swash: bool = True,
        relief: float = 1.0,
        wind: float = 1.3,
    ) -> None:
        """Rows: `horizon` .. `shore` water, up to `shore + reach` wetted by the swash;
        `relief` the contrast of its waves, `wind` their pace.
        """
        self._y0, self._y1 = horizon, shore + (reach if swash else 0)
        self._waves = Waves(
            rng, width=width, horizon=horizon - 2, top=horizon, bottom=self._y1, scale=1.5, wind=wind
        )
        n, m = self._waves.rows, self._waves.cols
        y = horizon + (np.arange(n, dtype=np.float32)[:, None] + 0.5) * 2
        x = np.linspace(-0.5, 0.5, m, dtype=np.float32)[None, :]
        edge = shore + tilt * x * (shore - horizon) * 1.2
        q = np.clip((y - horizon) / (edge - horizon), 0.004, 1.6)
        self._q = q.astype(np.float32)
        distance = 1 / np.maximum(q, 0.03)
        self._phase = (1.5 * np.sign(distance - 1) * np.abs(distance - 1) ** 0.75).astype(np.float32)
        self._crook = tile_noise(rng, 128, 1.8)
        self._crook_u = np.broadcast_to(x * distance * 26, (n, m)).astype(np.float32)
        self._lace = tile_noise(rng, 256, 1.25)
        self._lace_u = (x * distance * 260).astype(np.float32)
        self._lace_v = np.broadcast_to(distance * 210, (n, m)).astype(np.float32)
        stops = np.clip(q[..., None], 0, 1)
        body = np.where(
            stops < 0.35,
            far + (middle - far) * (stops / 0.35),
            middle + (near - middle) * ((stops - 0.35) / 0.65),
        )
        self._body = (body * 255).astype(np.float32)
        self._foam = foam * 255
        self._power, self._swash, self._relief = power, swash, relief
        self._column = np.exp(-(((x + 0.5 - glitter_x) / (0.04 + 0.14 * q)) ** 2)) + 0.08
        self._glitter = glitter * 255 * glitter_strength
        self._edge_noise = fbm(rng, 1, m, cell=m * 0.3, octaves=3)[0][None, :]
        self._reach = reach / max(shore - horizon, 1)

    def draw(self, canvas: Image8, seconds: float) -> None:
        s1, s2 = self._waves.slope(seconds)
        q = self._q
        crook = _wrap(
            self._crook,
            self._crook_u + seconds * 0.4,
            np.asarray(self._phase * 3 + seconds * 1.1, np.float32),
        )
        phase = self._phase + 0.30 * seconds + 0.16 * crook
        behind = phase - np.floor(phase)
        strength = smoothstep(0.10, 0.55, q) * self._power
        lace = _wrap(self._lace, self._lace_u + seconds * 1.5, self._lace_v + phase * 0 + seconds * 7)
        crest = np.exp(-((behind / 0.055) ** 2)) + np.exp(-(((behind - 1) / 0.02) ** 2))
        trail = np.exp(-behind * 4.2) * smoothstep(0.1, 1.2, lace + 0.9 * np.exp(-behind * 5))
        foam = np.clip(
            (crest * smoothstep(-1.0, 0.6, lace + 0.5 * crook) + 0.75 * trail)
            * strength
            * smoothstep(0.2, 0.5, q + 0.12 * crook),
            0,
            1,
        )
        face = np.exp(-(((behind - 0.93) / 0.07) ** 2)) * smoothstep(0.03, 0.4, q)
        swell = np.cos(2 * np.pi * behind) * smoothstep(0.02, 0.2, q)
        colour = (
            self._body
            * (1 + self._relief * (0.10 * s1 + 0.08 * s2) - 0.20 * face * self._power + 0.05 * swell)[
                ..., None
            ]
        )
        colour += (20 * np.clip(s1, 0, 2) + 12 * swell * face)[..., None]
        spark = smoothstep(0.45, 1.1, s1 + 0.5 * s2) * self._column
        colour += spark[..., None] * self._glitter
        colour += (self._foam - colour) * foam[..., None]
        target = canvas[self._y0 : self._y1]
        size = (target.shape[1], target.shape[0])
        if not self._swash:
            target[...] = cv2.resize(
                np.clip(colour, 0, 255).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR
            )
            return
        beat = 0.5 + 0.5 * np.sin(2 * np.pi * 0.17 * seconds + 5 * self._edge_noise) * (
            0.6 + 0.4 * np.sin(1.1 * seconds + 9 * self._edge_noise)
        )
        line = 1 + self._reach * (0.15 + 0.75 * beat * (0.5 + self._edge_noise))
        alpha = smoothstep(0.0, 0.05, line - q) * (0.35 + 0.65 * smoothstep(0.0, 0.35, line - q))
        rim = np.exp(-(((line - q) / 0.016) ** 2)) * (q > 0.8) + 0.5 * smoothstep(
            0.2, 1.0, lace
        ) * smoothstep(0.22, 0.02, line - q) * (q > 0.8)
        colour += (self._foam - colour) * np.clip(rim, 0, 0.9)[..., None]
        alpha = np.clip(alpha + 0.8 * np.clip(rim, 0, 1) * (line > q), 0, 1)
        surface = cv2.resize(np.clip(colour, 0, 255).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
        a3 = cv2.cvtColor(
            cv2.resize((alpha * 255).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR),
            cv2.COLOR_GRAY2RGB,
        )
        target[...] = cv2.add(
            cv2.multiply(surface, a3, scale=1 / 255), cv2.multiply(target, 255 - a3, scale=1 / 255)
        )


class Cascade:
    """Falling water in a vertical strip: streaks that fall and quicken, brighter where they strike."""

    def __init__(self, rng: Rng, alpha: Array, *, light: Colour, dark: Colour, fine: float = 1.0) -> None:
        rows, cols = np.flatnonzero(alpha.max(1) > 0.01), np.flatnonzero(alpha.max(0) > 0.01)
        self._box = (int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1)
        y0, y1, x0, x1 = self._box
        part = alpha[y0:y1, x0:x1]
        h, w = part.shape
        self._noise = [tile_noise(rng, 256, 1.2), tile_noise(rng, 256, 1.5)]
        gx, gy = np.meshgrid(np.arange(w, dtype=np.float32), np.linspace(0.02, 1, h, dtype=np.float32))
        self._u = gx * 0.9 * fine
        self._fall = np.sqrt(gy) * 2 * h * 0.10
        self._light, self._dark = light * 255, dark * 255
        self._alpha, self._gy = part, gy

    def draw(self, canvas: Image8, seconds: float) -> None:
        a = _wrap(self._noise[0], self._u * 0.8, self._fall * 0.55 - seconds * 46)
        b = _wrap(self._noise[1], self._u * 0.33 + 71, self._fall * 0.25 - seconds * 21)
        c = _wrap(self._noise[0], self._u * 1.6 + 9, self._fall * 0.9 - seconds * 68)
        body = np.clip(0.55 + 0.20 * a + 0.16 * b + 0.12 * c, 0, 1)
        cover = np.clip(self._alpha * (0.55 + 0.75 * body), 0, 1)[..., None]
        colour = self._dark + (self._light - self._dark) * body[..., None]
        y0, y1, x0, x1 = self._box
        target = canvas[y0:y1, x0:x1]
        target[...] = np.clip(target * (1 - cover) + colour * cover, 0, 255).astype(np.uint8)


class Caustics:
    """The net of light that water throws on a floor, a wall or the sea bed."""

    def __init__(
        self, rng: Rng, mask: Array, colour: Colour, *, strength: float, size: float = 60.0, flat: float = 1.0
    ) -> None:
        rows = np.flatnonzero(mask.max(1) > 0.01)
        self._y0, self._y1 = int(rows[0]), int(rows[-1]) + 1
        part = mask[self._y0 : self._y1]
        h, w = part.shape
        self._shape = (max(h // 3, 2), w // 3)
        self._mask = (
            cv2.resize(part.astype(np.float32), self._shape[::-1], interpolation=cv2.INTER_AREA) * strength
        )
        self._noise = tile_noise(rng, 256, 1.9)
        gx, gy = np.meshgrid(
            np.arange(self._shape[1], dtype=np.float32), np.arange(self._shape[0], dtype=np.float32)
        )
        self._u, self._v = gx * 3 * 26 / size, gy * 3 * flat * 26 / size
        self._colour = colour * 255

    def draw(self, canvas: Image8, seconds: float) -> None:
        a = _wrap(self._noise, self._u + 5 * seconds, self._v + 3.5 * seconds)
        b = _wrap(self._noise, self._u * 1.2 - 4 * seconds + 60, self._v * 1.2 + 2.5 * seconds + 140)
        net = np.clip(1 - np.abs(a - b) * 1.5, 0, 1) ** 3 * self._mask
        light = np.clip(net[..., None] * self._colour, 0, 255).astype(np.uint8)
        target = canvas[self._y0 : self._y1]
        light = cv2.resize(light, (target.shape[1], target.shape[0]), interpolation=cv2.INTER_LINEAR)
        add_light(canvas, light, 0, self._y0)
