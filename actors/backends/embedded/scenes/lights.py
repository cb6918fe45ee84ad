"""Things that shine: lamps, windows, stars, fire, aurora, light beams, traffic.

What a reader gets wrong: light is added to the picture, it does not cover it, and it wavers by smooth sums of
sines around its mean; nothing jumps from frame to frame and the whole picture never flickers.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import Array, Colour, Image8, Rng, radial, tile_noise
from actors.backends.embedded.scenes.particles import add_light


def glow_sprite(colour: Colour, size: int, strength: float, *, core: float = 0.0) -> Image8:
    """RGB light of a lamp: a wide soft halo and, if `core` > 0, a bright heart."""
    halo = radial(size, 2.6)[..., None] * colour * strength
    if core:
        halo = halo + radial(size, 14.0)[..., None] * (0.5 + 0.5 * colour) * core
    return np.asarray(np.clip(halo * 255, 0, 255), np.uint8)


def waver(rng: Rng, count: int, lively: float) -> tuple[Array, Array]:
    """Frequencies (Hz) and phases of a smooth flicker, (count, 4) each."""
    base = np.array([0.7, 1.9, 3.4, 5.1]) * lively
    return (
        (base * rng.uniform(0.8, 1.25, (count, 4))).astype(np.float32),
        rng.uniform(0, 6.28, (count, 4)).astype(np.float32),
    )


class Lamps:
    """Halos at points; each keeps its own smooth flicker of relative `depth`."""

    def __init__(
        self,
        rng: Rng,
        spots: list[tuple[float, float]],
        sprites: list[Image8],
        *,
        depth: float = 0.25,
        lively: float = 1.0,
        swing: float = 0.0,
    ) -> None:
        self._spots, self._sprites, self._depth, self._swing = spots, sprites, depth, swing
        self._hz, self._phase = waver(rng, max(len(spots), 1), lively)

    def draw(self, canvas: Image8, seconds: float) -> None:
        weights = np.array([0.4, 0.3, 0.2, 0.1], np.float32)
        level = 1 - self._depth * (
            0.5 + 0.5 * (np.sin(2 * np.pi * self._hz * seconds + self._phase) * weights).sum(1) * 1.6
        )
        for i, (x, y) in enumerate(self._spots):
            sprite = self._sprites[i % len(self._sprites)]
            dx = self._swing * np.sin(1.5 * seconds + self._phase[i, 0])
            add_light(
                canvas,
                sprite,
                int(x + dx) - sprite.shape[1] // 2,
                int(y) - sprite.shape[0] // 2,
                float(level[i]),
            )


class Blinking:
    """Small lit cells (windows, screens, signs) that go up and down slowly, each by itself: `cells` are (x,
    y, w, h).
    """

    def __init__(
        self,
        rng: Rng,
        cells: list[tuple[int, int, int, int]],
        colours: list[Colour],
        *,
        strength: float = 0.6,
        hz: float = 0.5,
    ) -> None:
        self._cells = cells
        self._colours = [np.clip(c * 255 * strength, 0, 255) for c in colours]
        self._hz = rng.uniform(0.4, 1.6, len(cells)) * hz
        self._phase = rng.uniform(0, 6.28, len(cells))
        self._pick = rng.integers(0, len(colours), len(cells))

    def draw(self, canvas: Image8, seconds: float) -> None:
        level = np.clip(np.sin(2 * np.pi * self._hz * seconds + self._phase) * 1.2 + 0.2, 0, 1)
        for i, (x, y, w, h) in enumerate(self._cells):
            if level[i] > 0.02:
                part = canvas[y : y + h, x : x + w]
                c = self._colours[self._pick[i]] * level[i]
                cv2.add(part, np.array((*c[:3], 0.0), np.float64), dst=part)


class Stars:
    """Points that twinkle; `drift` px/s lets them pass slowly."""

    def __init__(
        self,
        rng: Rng,
        *,
        width: int,
        bottom: int,
        count: int,
        strength: float = 1.0,
        drift: float = 0.0,
        top: int = 0,
    ) -> None:
        self._x, self._y = rng.uniform(0, width, count), rng.uniform(top, bottom, count)
        fade = np.clip((bottom - self._y) / (0.35 * max(bottom - top, 1)), 0.05, 1)
        self._level = (0.25 + 0.75 * rng.random(count) ** 5) * 255 * strength * fade
        self._hz, self._phase = rng.uniform(0.6, 2.6, count), rng.uniform(0, 6.28, count)
        warm = rng.uniform(0.82, 1.0, (count, 1))
        self._tint = np.hstack([warm, np.full((count, 1), 0.95), rng.uniform(0.85, 1.0, (count, 1))])
        self._width, self._drift = width, drift
        self._big = self._level > 150

    def draw(self, canvas: Image8, seconds: float) -> None:
        level = self._level * (0.62 + 0.38 * np.sin(2 * np.pi * self._hz * seconds + self._phase))
        xs = (self._x + self._drift * seconds) % (self._width - 2)
        x, y = xs.astype(int), self._y.astype(int)
        frac = xs - x
        light = level[:, None] * self._tint
        for dx, share in ((0, 1 - frac), (1, frac)):
            spot = canvas[y, x + dx].astype(np.float32) + light * share[:, None]
            canvas[y, x + dx] = np.clip(spot, 0, 255).astype(np.uint8)
        for i in np.flatnonzero(self._big):
            part = canvas[max(y[i] - 1, 0) : y[i] + 2, max(x[i] - 1, 0) : x[i] + 2]
            c = light[i] * 0.35
            cv2.add(part, np.array((*c[:3], 0.0), np.float64), dst=part)


_FIRE = np.array(
    [[0, 0, 0], [40, 4, 0], [120, 20, 0], [210, 62, 4], [250, 130, 18], [255, 196, 70], [255, 238, 170]],
    np.float32,
)


class Fire:
    """Flames in a box, from noise that streams upward through a tapering shape; added as light."""

    def __init__(self, rng: Rng, x: int, y: int, width: int, height: int, *, speed: float = 2.1) -> None:
        """(x, y) is the middle of the foot of the fire, px."""
        self._x, self._y, self._w, self._h = x - width // 2, y - height, width, height
        self._noise = tile_noise(rng, 128, 1.25)
        gx, gy = np.meshgrid(np.linspace(-1, 1, width // 2), np.linspace(1, 0, height // 2))
        self._gx, self._gy = gx.astype(np.float32), gy.astype(np.float32)
        self._speed = speed
        stops = np.linspace(0, 1, len(_FIRE))
        self._ramp = np.stack(
            [np.interp(np.linspace(0, 1, 256), stops, _FIRE[:, c]) for c in range(3)], -1
        ).astype(np.uint8)

    def draw(self, canvas: Image8, seconds: float) -> None:
        up = self._speed * seconds
        aspect = self._w / max(self._h, 1)
        a = cv2.remap(
            self._noise,
            np.asarray((self._gx * 11 * aspect) % 128, np.float32),
            np.asarray((self._gy * -22 + up * 22) % 128, np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        b = cv2.remap(
            self._noise,
            np.asarray((self._gx * 24 * aspect + 50 + 3 * np.sin(2 * seconds)) % 128, np.float32),
            np.asarray((self._gy * -44 + up * 47 + 19) % 128, np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        lick = self._gx + 0.16 * a * self._gy
        shape = 1.25 - np.abs(lick) ** 1.6 * 1.5 - self._gy * 1.25
        heat = np.clip(shape * 0.75 + (0.26 * a + 0.16 * b) * (0.4 + self._gy), 0, 1)
        heat *= (
            np.clip((1 - np.abs(self._gx)) * 4, 0, 1)
            * np.clip(self._gy * 14, 0, 1)
            * np.clip((1 - self._gy) * 5, 0, 1)
        )
        flame = self._ramp[np.clip(heat * 255, 0, 255).astype(np.uint8)]
        flame = cv2.resize(flame, (self._w, self._h), interpolation=cv2.INTER_LINEAR)
        add_light(canvas, flame, self._x, self._y)


class Aurora:
    """Green curtains whose folds travel; rays hang from a wandering lower edge."""

    def __init__(self, rng: Rng, *, width: int, bottom: int, low: Colour, high: Colour) -> None:
        self._cols, self._rows = width // 4, bottom // 4
        self._noise = tile_noise(rng, 256, 1.2)
        self._size = (width, bottom)
        self._low, self._high = low * 255, high * 255
        self._phase = rng.uniform(0, 6.28, 6)

    def draw(self, canvas: Image8, seconds: float) -> None:
        x = np.linspace(0, 1, self._cols, dtype=np.float32)
        y = np.linspace(0, 1, self._rows, dtype=np.float32)[:, None]
        total = np.zeros((self._rows, self._cols, 3), np.float32)
        for k in range(3):
            p = self._phase[2 * k : 2 * k + 2]
            edge = (
                0.74
                - 0.16 * k
                + 0.10 * np.sin(5.1 * x + p[0] + 0.42 * seconds)
                + 0.06 * np.sin(11.7 * x - p[1] - 0.66 * seconds)
            )
            height = 0.42 + 0.1 * np.sin(3.3 * x + p[1] + 0.3 * seconds)
            u = np.asarray(
                (x * (60 + 26 * k) + 9 * np.sin(4 * x + 0.5 * seconds + p[0]) + seconds * (2.5 - 1.7 * k))
                % 256,
                np.float32,
            )
            rays = cv2.remap(
                self._noise,
                u[None, :],
                np.full_like(u, 13.0 + 60 * k + seconds * 1.7)[None, :],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_WRAP,
            )
            rays = np.clip(0.55 + 0.38 * rays, 0.03, 1.4)
            up = (edge[None, :] - y) / height[None, :]
            body = np.where(up >= 0, np.exp(-np.maximum(up, 0) * 2.6), np.exp(np.minimum(up, 0) * 26)) * rays
            tint = np.clip(up, 0, 1)[..., None]
            total += body[..., None] * (self._low + (self._high - self._low) * tint) * (0.62 - 0.13 * k)
        light = cv2.resize(
            np.clip(total, 0, 255).astype(np.uint8), self._size, interpolation=cv2.INTER_LINEAR
        )
        target = canvas[: self._size[1]]
        cv2.add(target, light, dst=target)


class Beams:
    """Shafts of light from a point (sun, spot), each shaft wavering; `mask` limits them."""

    def __init__(
        self,
        rng: Rng,
        mask: Array,
        source: tuple[float, float],
        colour: Colour,
        *,
        strength: float,
        speed: float = 1.0,
        fine: float = 22.0,
    ) -> None:
        h, w = mask.shape
        self._shape = (h // 4, w // 4)
        self._mask = (
            cv2.resize(mask.astype(np.float32), self._shape[::-1], interpolation=cv2.INTER_AREA) * strength
        )
        gx, gy = np.meshgrid(
            (np.arange(w // 4) + 0.5) * 4 - source[0], (np.arange(h // 4) + 0.5) * 4 - source[1]
        )
        self._angle = np.arctan2(gx, np.maximum(gy, -0.2 * h) + 0.25 * h).astype(np.float32)
        self._reach = np.clip(np.hypot(gx, gy) / (1.1 * w), 0, 1).astype(np.float32)
        self._noise = tile_noise(rng, 256, 1.3)
        self._colour, self._speed, self._fine = colour * 255, speed, fine

    def draw(self, canvas: Image8, seconds: float) -> None:
        t = seconds * self._speed
        u = np.asarray((self._angle * self._fine * 4 + t * 2.6) % 256, np.float32)
        v = np.full_like(u, (t * 3.1) % 256)
        a = cv2.remap(self._noise, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        u2 = np.asarray((self._angle * self._fine * 1.7 - t * 1.4 + 99) % 256, np.float32)
        b = cv2.remap(
            self._noise,
            u2,
            np.asarray((v * 0.7 + 40) % 256, np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        light = np.clip(0.25 + 0.5 * a + 0.5 * b, 0, 1.6) * self._mask * (1 - 0.6 * self._reach)
        rgb8 = np.clip(light[..., None] * self._colour, 0, 255).astype(np.uint8)
        cv2.add(
            canvas,
            cv2.resize(rgb8, (canvas.shape[1], canvas.shape[0]), interpolation=cv2.INTER_LINEAR),
            dst=canvas,
        )


class Traffic:
    """Pairs of lights that come down a lane from a vanishing point, or go up it. `lane` is (x far, y far, x
    near, y near).
    """

    def __init__(
        self,
        rng: Rng,
        lanes: list[tuple[float, float, float, float]],
        colours: list[Colour],
        *,
        count: int = 6,
        speed: float = 0.16,
        size: float = 46.0,
        gap: float = 30.0,
    ) -> None:
        self._lanes = lanes
        self._start = rng.uniform(0, 1, (len(lanes), count))
        self._speed = speed * rng.uniform(0.85, 1.15, (len(lanes), 1))
        self._banks = []
        for colour in colours:
            self._banks.append(
                [
                    glow_sprite(colour, max(int(size * s), 5) | 1, 0.7, core=1.0)
                    for s in (0.12, 0.25, 0.4, 0.6, 0.8, 1.0)
                ]
            )
        self._gap = gap

    def draw(self, canvas: Image8, seconds: float) -> None:
        for k, (xf, yf, xn, yn) in enumerate(self._lanes):
            bank = self._banks[k % len(self._banks)]
            way = 1 if k % 2 == 0 else -1
            for start in self._start[k]:
                u = (start + way * self._speed[k, 0] * seconds) % 1.0
                near = u**2.2
                x, y = xf + (xn - xf) * near, yf + (yn - yf) * near
                level = float(np.clip(min(u, 1 - u) * 9, 0, 1))
                sprite = bank[min(int(near * len(bank)), len(bank) - 1)]
                half = sprite.shape[0] // 2
                for side in (-0.5, 0.5):
                    add_light(canvas, sprite, int(x + side * self._gap * near) - half, int(y) - half, level)
