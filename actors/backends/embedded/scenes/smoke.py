"""Smoke and steam that billow up from a point: a plume whose inside is noise that rises with it.

What a reader gets wrong: the outline stays about where it is, what moves is the billows inside and the slow
meander of the axis; a plume that only slid upward would look cut out.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import Array, Colour, Image8, Rng, smoothstep, tile_noise

_STEP = 3


class Smoke:
    """A plume from (x, y) px up over `reach` px, `size` px wide at its foot, blown `lean` px to the side."""

    def __init__(
        self,
        rng: Rng,
        x: float,
        y: float,
        *,
        size: float,
        reach: float,
        lean: float,
        dark: Colour,
        lit: Colour,
        strength: float,
        rise: float,
        spread: float = 2.2,
        light_side: float = 0.5,
    ) -> None:
        """`rise` px/s at the foot; `light_side` -1 lit from the left .. 1 from the right."""
        self._x, self._y, self._reach = x, y, reach
        half = size * (1 + spread)
        self._x0 = int(min(x, x + lean) - half * 1.5)
        self._x1 = int(max(x, x + lean) + half * 1.5)
        self._y0, self._y1 = int(y - reach), int(y + size * 0.3)
        cols, rows = max((self._x1 - self._x0) // _STEP, 4), max((self._y1 - self._y0) // _STEP, 4)
        gx, gy = np.meshgrid(np.arange(cols, dtype=np.float32), np.arange(rows, dtype=np.float32))
        px, py = gx * _STEP + self._x0, gy * _STEP + self._y0
        self._age = np.clip((y - py) / reach, 0, 1).astype(np.float32)
        self._wide = (size * (0.42 + spread * self._age**0.8)).astype(np.float32)
        self._side = (px - x - lean * self._age**1.5).astype(np.float32)
        self._foot = smoothstep(size * 0.25, -size * 0.15, py - y)
        self._noise = tile_noise(rng, 256, 1.45)
        self._size, self._strength, self._rise = size, strength, rise
        self._phase = rng.uniform(0, 6.28, 2)
        self._offset = rng.uniform(0, 256, 2)
        self._dark = np.asarray(dark, np.float32) * 255
        self._lit = np.asarray(lit, np.float32) * 255
        self._light_side = light_side

    def draw(self, canvas: Image8, seconds: float) -> None:
        height, width = canvas.shape[:2]
        age = self._age
        meander = self._size * 0.7 * age * np.sin(5.0 * age - 1.3 * seconds + self._phase[0])
        side = (self._side - meander) / self._wide
        k = 13.0 * (self._size / self._wide) ** 0.35
        climb = self._reach / self._size * (age**0.75) * 6.0 - self._rise / self._size * 6.0 * seconds
        a = self._look(side * k, climb)
        b = self._look(side * k * 2.1 + 91, climb * 2.0 + 2.0 * np.sin(seconds + self._phase[1]))
        billow = 0.62 * a + 0.38 * b
        edge = 1.0 - side**2 * (0.75 + 0.1 * age) + 0.62 * billow * (0.35 + age**0.5)
        density = smoothstep(0.0, 0.75, edge) * self._foot * (1 - age) ** 0.9
        alpha = np.clip(density * self._strength * (1.0 + 0.22 * billow), 0, 0.97)
        shade = np.clip(0.5 + 0.45 * side * self._light_side + 0.32 * billow, 0, 1)
        x0, x1, y0, y1 = max(self._x0, 0), min(self._x1, width), max(self._y0, 0), min(self._y1, height)
        if x1 - x0 < 6 or y1 - y0 < 6:
            return
        colour = self._dark + (self._lit - self._dark) * shade[..., None]
        both = np.dstack([colour, alpha * 255]).astype(np.uint8)
        full = cv2.resize(both, (self._x1 - self._x0, self._y1 - self._y0), interpolation=cv2.INTER_LINEAR)
        full = full[y0 - self._y0 : y1 - self._y0, x0 - self._x0 : x1 - self._x0]
        cover = cv2.merge([full[..., 3]] * 3)
        tint = cv2.multiply(np.ascontiguousarray(full[..., :3]), cover, scale=1 / 255)
        target = canvas[y0:y1, x0:x1]
        target[...] = cv2.add(cv2.multiply(target, 255 - cover, scale=1 / 255), tint)

    def _look(self, u: Array, v: Array) -> Array:
        return np.asarray(
            cv2.remap(
                self._noise,
                np.asarray((u + self._offset[0]) % 256, np.float32),
                np.asarray((v + self._offset[1]) % 256, np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_WRAP,
            ),
            np.float32,
        )
