"""Rain on a window pane, as a lens: drops bend what lies behind them.

What a reader gets wrong: the glass paints nothing of its own but a gleam; it moves the pixels that are there,
so it has to be added after what is seen through it.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded.scenes.canvas import Array, Image8, Rng, smoothstep


class WetGlass:
    """Rain on a pane: still droplets, and drops that run down and leave a trail. What lies behind is bent by
    them; inside `box` (x0, y0, x1, y1) px.
    """

    def __init__(
        self,
        rng: Rng,
        box: tuple[int, int, int, int],
        *,
        size: float = 9.0,
        still: int = 500,
        running: int = 40,
        mask: Array | None = None,
        strength: float = 1.0,
    ) -> None:
        self._box = box
        w, h = box[2] - box[0], box[3] - box[1]
        self._w, self._h = w, h
        self._step = 2
        self._field = np.zeros((h // 2 + 1, w // 2 + 1, 3), np.float32)
        self._strength = strength
        for _ in range(still):
            r = max(float(rng.gamma(2.0, 0.22)) * size, 1.5)
            self._stamp(
                self._field,
                float(rng.uniform(0, w)),
                float(rng.uniform(0, h)),
                r,
                float(rng.uniform(0.9, 1.25)),
            )
        self._mask = None
        if mask is not None:
            part = np.clip(mask[box[1] : box[3], box[0] : box[2]] * 255, 0, 255).astype(np.uint8)
            self._mask = cv2.cvtColor(part, cv2.COLOR_GRAY2RGB)
        self._x = rng.uniform(0, w, running)
        self._y = rng.uniform(0, h * 1.3, running)
        self._v = rng.uniform(0.12, 0.42, running) * 720 * (size / 9) * rng.uniform(0.5, 1.2, running)
        self._r = size * rng.uniform(0.7, 1.5, running)
        self._p = rng.uniform(0, 6.28, (running, 3))
        gx, gy = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
        self._gx, self._gy = gx, gy

    def _stamp(self, field: Array, x: float, y: float, r: float, long_: float) -> None:
        """A lens: displacement toward the far side, and its gleam in the third channel."""
        rx, ry = r / 2, r * long_ / 2
        x, y = x / 2, y / 2
        x0, y0 = int(max(x - rx - 1, 0)), int(max(y - ry - 1, 0))
        x1, y1 = int(min(x + rx + 2, field.shape[1])), int(min(y + ry + 2, field.shape[0]))
        if x0 >= x1 or y0 >= y1:
            return
        u = ((np.arange(x0, x1, dtype=np.float32) - x) / rx)[None, :]
        v = ((np.arange(y0, y1, dtype=np.float32) - y) / ry)[:, None]
        d2 = u * u + v * v
        inside = np.clip((1 - d2) * 3, 0, 1)
        bend = inside * np.sqrt(np.clip(d2, 0, 1)) * r * 2.6
        part = field[y0:y1, x0:x1]
        part *= (1 - inside)[..., None]
        length = np.sqrt(d2) + 1e-3
        part[..., 0] -= bend * u / length
        part[..., 1] -= bend * v / length
        gleam = (
            np.exp(-(((u + 0.3) / 0.3) ** 2) - (((v + 0.42) / 0.26) ** 2)) * 60
            - 26 * smoothstep(0.45, 0.95, np.sqrt(d2)) * np.clip(-v + 0.15, 0, 1)
            + 20 * smoothstep(0.3, 0.9, np.sqrt(d2)) * np.clip(v, 0, 1)
        )
        part[..., 2] += gleam * inside

    def draw(self, canvas: Image8, seconds: float) -> None:
        field = self._field.copy()
        span = self._h * 1.3
        for i in range(len(self._x)):
            p, r = self._p[i], float(self._r[i])
            # drops hurry and stay by turns, but never go back
            beat = 2.1 + 0.9 * np.sin(p[2])
            way = self._v[i] * (seconds + 0.8 / beat * np.sin(beat * seconds + p[0]))
            y = (self._y[i] + way) % span - 0.12 * span

            def at(yy: float, p: npt.NDArray[np.float64] = p, r: float = r, i: int = i) -> float:
                return float(
                    self._x[i] + r * 0.9 * np.sin(yy * 0.021 + p[1]) + r * 0.5 * np.sin(yy * 0.053 + p[2])
                )

            trail = int(r * 1.1 * 9)
            for k in range(9, 0, -1):
                yy = y - trail * k / 9
                self._stamp(field, at(yy), yy, r * (0.75 - 0.055 * k), 2.2)
            self._stamp(field, at(y), y, r, 1.35)
        x0, y0, x1, y1 = self._box
        target = canvas[y0:y1, x0:x1]
        full = cv2.resize(field, (self._w, self._h), interpolation=cv2.INTER_LINEAR)
        dx, dy, gleam = cv2.split(full)
        wet = cv2.remap(
            target, self._gx + dx, self._gy + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        gleam = gleam * self._strength
        up = np.clip(gleam, 0, 255).astype(np.uint8)
        down = np.clip(-gleam, 0, 255).astype(np.uint8)
        wet = cv2.subtract(
            cv2.add(wet, cv2.cvtColor(up, cv2.COLOR_GRAY2RGB)), cv2.cvtColor(down, cv2.COLOR_GRAY2RGB)
        )
        if self._mask is not None:
            wet = cv2.add(
                cv2.multiply(wet, self._mask, scale=1 / 255),
                cv2.multiply(target, 255 - self._mask, scale=1 / 255),
            )
        target[...] = wet
