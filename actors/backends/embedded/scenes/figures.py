"""People far off, boats, banners, smoke: what moves in a scene beside nature.

What a reader gets wrong: figures stay small and soft. They give life at a distance; near the subject they
would compete with it, so builders keep them away from the middle of the picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    AnyImage,
    Array,
    Colour,
    Image8,
    Rng,
    blank,
    lay_over,
    mix,
    radial,
    rgba,
)
from actors.backends.embedded.scenes.motion import blend_colour


def _walker(tall: int, phase: float, coat: Colour, legs: Colour, skin: Colour, way: float) -> Image8:
    s = 3
    h, w = tall * s, int(tall * 0.62) * s
    big = blank(h + 4 * s, w)
    cx = w / 2
    hip, shoulder, head = h * 0.52, h * 0.24, h * 0.1
    stride = np.sin(phase) * h * 0.15

    def stroke(points: list[tuple[float, float]], colour: Colour, thick: float) -> None:
        cv2.polylines(
            big,
            [(np.array(points) * 8).astype(np.int32)],
            False,
            rgba(colour),
            max(int(thick), 1),
            cv2.LINE_AA,
            3,
        )

    for sign, shade in ((-1, 0.8), (1, 1.0)):
        foot = cx + way * sign * stride
        knee = cx + way * (sign * stride * 0.5 + h * 0.02)
        lift = max(np.cos(phase) * sign, 0) * h * 0.03
        stroke([(cx, hip), (knee, h * 0.75), (foot, h - lift)], legs * shade, h * 0.075)
    stroke(
        [(cx, shoulder), (cx - way * stride * 0.55, h * 0.42), (cx - way * stride * 0.8, h * 0.53)],
        coat * 0.7,
        h * 0.05,
    )
    torso = np.array(
        [
            (cx - h * 0.085, shoulder - h * 0.04),
            (cx + h * 0.085, shoulder - h * 0.04),
            (cx + h * 0.09, hip + h * 0.08),
            (cx - h * 0.09, hip + h * 0.08),
        ]
    )
    cv2.fillConvexPoly(big, (torso * 8).astype(np.int32), rgba(coat), cv2.LINE_AA, 3)
    stroke(
        [(cx, shoulder), (cx + way * stride * 0.55, h * 0.42), (cx + way * stride * 0.8, h * 0.53)],
        coat * 0.85,
        h * 0.05,
    )
    cv2.ellipse(
        big, (int(cx), int(head)), (int(h * 0.052), int(h * 0.07)), 0, 0, 360, rgba(skin), -1, cv2.LINE_AA
    )
    cv2.ellipse(
        big,
        (int(cx), int(head - h * 0.02)),
        (int(h * 0.056), int(h * 0.055)),
        0,
        180,
        360,
        rgba(coat * 0.35),
        -1,
        cv2.LINE_AA,
    )
    small = cv2.resize(big, (w // s, (h + 4 * s) // s), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), max(0.5, tall * 0.008)), np.uint8)


class Walkers:
    """A few people who walk along lines: `lanes` are (x0, y0, x1, y1, tall px at x0, tall px at x1) of the
    feet.
    """

    def __init__(
        self,
        rng: Rng,
        lanes: list[tuple[float, float, float, float, float, float]],
        *,
        tint: Colour,
        bright: float,
        speed: float = 34.0,
    ) -> None:
        self._lanes = lanes
        n = len(lanes)
        self._start = rng.uniform(0.0, 0.55, n)
        self._rate = rng.uniform(0.8, 1.2, n) * speed
        coats = [
            np.array(c, np.float32)
            for c in (
                (0.22, 0.24, 0.32),
                (0.42, 0.16, 0.14),
                (0.55, 0.48, 0.38),
                (0.16, 0.3, 0.28),
                (0.62, 0.62, 0.6),
            )
        ]
        self._banks = []
        for x0, _, x1, _, tall0, tall1 in lanes:
            coat = coats[int(rng.integers(0, len(coats)))] * bright * (0.35 + 0.65 * tint)
            skin = np.array((0.75, 0.55, 0.44), np.float32) * bright * tint
            legs = np.array((0.16, 0.17, 0.22), np.float32) * (0.5 + bright * 0.7)
            way = 1.0 if x1 >= x0 else -1.0
            if abs(x1 - x0) < 40:
                way *= 0.4
            tall = round(max(tall0, tall1))
            self._banks.append(
                [_walker(max(tall, 8), 2 * np.pi * k / 14, coat, legs, skin, way) for k in range(14)]
            )

    def draw(self, canvas: Image8, seconds: float) -> None:
        for i, (x0, y0, x1, y1, tall0, tall1) in enumerate(self._lanes):
            length = max(np.hypot(x1 - x0, y1 - y0), 1.0)
            u = self._start[i] + self._rate[i] * seconds / length
            u = u % 1.0
            tall = tall0 + (tall1 - tall0) * u
            x, y = x0 + (x1 - x0) * u, y0 + (y1 - y0) * u
            sprite: AnyImage = self._banks[i][int((1.05 * self._rate[i] / 34 * seconds + i * 0.37) * 14) % 14]
            full = max(tall0, tall1)
            if tall < full * 0.97:
                k = tall / full
                sprite = cv2.resize(
                    sprite,
                    (max(int(sprite.shape[1] * k), 2), max(int(sprite.shape[0] * k), 2)),
                    interpolation=cv2.INTER_AREA,
                )
            fade = float(np.clip(min(u, 1 - u) * 14, 0, 1))
            if fade < 0.99:
                sprite = (sprite * fade).astype(np.uint8)
            lay_over(canvas, sprite, int(x - sprite.shape[1] / 2), int(y - sprite.shape[0]))


def boat(rng: Rng, length: int, hull: Colour, deck: Colour, mast: bool) -> Image8:
    """A small boat, side on; its waterline is the bottom edge."""
    s = 2
    w, h = length * s, int(length * (1.25 if mast else 0.5)) * s
    big = blank(h, w)
    base = h - 1
    top = base - w * 0.17
    body = np.array(
        [(w * 0.03, top - w * 0.035), (w * 0.98, top - w * 0.075), (w * 0.86, base), (w * 0.13, base)]
    )
    cv2.fillConvexPoly(big, (body * 8).astype(np.int32), rgba(hull * 0.85), cv2.LINE_AA, 3)
    lower = np.array(
        [(w * 0.075, base - w * 0.07), (w * 0.925, base - w * 0.085), (w * 0.86, base), (w * 0.13, base)]
    )
    cv2.fillConvexPoly(big, (lower * 8).astype(np.int32), rgba(hull * 0.55), cv2.LINE_AA, 3)
    cv2.line(
        big,
        (int(w * 0.03), int(top - w * 0.035)),
        (int(w * 0.98), int(top - w * 0.075)),
        rgba(deck),
        2 * s,
        cv2.LINE_AA,
    )
    cabin = np.array(
        [
            (w * 0.42, top - w * 0.06),
            (w * 0.45, top - w * 0.2),
            (w * 0.68, top - w * 0.2),
            (w * 0.7, top - w * 0.07),
        ]
    )
    cv2.fillConvexPoly(big, (cabin * 8).astype(np.int32), rgba(np.minimum(deck * 1.02, 1)), cv2.LINE_AA, 3)
    cv2.rectangle(
        big, (int(w * 0.49), int(top - w * 0.165)), (int(w * 0.64), int(top - w * 0.11)), rgba(hull * 0.3), -1
    )
    if mast:
        x = int(w * 0.4)
        cv2.line(big, (x, int(top)), (x, int(h * 0.03)), rgba(deck * 0.6), s, cv2.LINE_AA)
        cv2.line(
            big, (x, int(h * 0.05)), (int(w * 0.95), int(top - w * 0.08)), rgba(deck * 0.5), 1, cv2.LINE_AA
        )
        cv2.line(
            big, (x, int(h * 0.05)), (int(w * 0.05), int(top - w * 0.03)), rgba(deck * 0.5), 1, cv2.LINE_AA
        )
    del rng
    small = cv2.resize(big, (length, h // s), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 0.6), np.uint8)


class Boats:
    """Boats that bob and roll at their moorings, their mirror image broken by the water; `drift` px/s moves
    them along.
    """

    def __init__(
        self,
        rng: Rng,
        spots: list[tuple[float, float]],
        sprites: list[Image8],
        *,
        drift: float = 0.0,
        lift: float = 3.0,
    ) -> None:
        self._spots, self._sprites, self._drift, self._lift = spots, sprites, drift, lift
        self._phase = rng.uniform(0, 6.28, (len(spots), 2))

    def draw(self, canvas: Image8, seconds: float) -> None:
        for i, (x, y) in enumerate(self._spots):
            sprite = self._sprites[i]
            h, w = sprite.shape[:2]
            p = self._phase[i]
            dy = self._lift * np.sin(2.0 * seconds + p[0])
            roll = 1.7 * np.sin(1.5 * seconds + p[1])
            pad = int(0.12 * w) + 4
            m = cv2.getRotationMatrix2D((w / 2, h - 2.0), roll, 1.0)
            m[:, 2] += (pad, pad + dy - int(dy))
            moved = cv2.warpAffine(sprite, m, (w + 2 * pad, h + pad + 3))
            px, py = int(x - w / 2 - pad + self._drift * seconds), int(y - h - pad) + int(dy)
            mirrored = np.ascontiguousarray(
                cv2.resize(moved[::-1], (moved.shape[1], int(moved.shape[0] * 0.75)))
            )
            rows, cols = mirrored.shape[:2]
            gx, gy = np.meshgrid(np.arange(cols, dtype=np.float32), np.arange(rows, dtype=np.float32))
            gx += (2.2 + gy * 0.03) * np.sin(gy * 0.33 - 4.2 * seconds + 0.03 * gx).astype(np.float32)
            mirrored = cv2.remap(mirrored, gx, gy, cv2.INTER_LINEAR)
            fade = np.linspace(0.55, 0.05, rows)[:, None, None]
            lay_over(canvas, (mirrored * fade).astype(np.uint8), px, py + moved.shape[0] - 6)
            lay_over(canvas, moved, px, py)


class Sails:
    """The turning sails of a windmill: `sprite` is square, turned about its middle at (x, y)."""

    def __init__(self, sprite: Image8, x: float, y: float, *, turns_per_s: float) -> None:
        self._sprite, self._x, self._y, self._rate = sprite, x, y, turns_per_s

    def draw(self, canvas: Image8, seconds: float) -> None:
        n = self._sprite.shape[0]
        m = cv2.getRotationMatrix2D((n / 2, n / 2), 360 * self._rate * seconds, 1.0)
        lay_over(canvas, cv2.warpAffine(self._sprite, m, (n, n)), int(self._x - n / 2), int(self._y - n / 2))


class Plume:
    """Smoke or steam that rises from a point, widens and leans before the wind."""

    def __init__(
        self,
        rng: Rng,
        x: float,
        y: float,
        *,
        size: float,
        colour: Colour,
        strength: float = 0.4,
        lean: float = 26.0,
        rise: float = 46.0,
        puffs: int = 16,
    ) -> None:
        self._x, self._y, self._size = x, y, size
        self._colour, self._strength = colour * 255, strength
        self._lean, self._rise = lean, rise
        self._phase = (np.arange(puffs) + rng.uniform(-0.3, 0.3, puffs)) / puffs
        self._wobble = rng.uniform(0, 6.28, (puffs, 2))
        self._grain = [np.clip(radial(48, 1.1) * g, 0, 1) for g in (1.0, 0.85, 0.7)]

    def draw(self, canvas: Image8, seconds: float) -> None:
        life = 6.0
        height, width = canvas.shape[:2]
        reach = int(self._rise * life + 4 * self._size)
        side = int(abs(self._lean) * life + 6 * self._size)
        x0, x1 = max(int(self._x - side), 0), min(int(self._x + side), width)
        y0, y1 = max(int(self._y - reach), 0), min(int(self._y + 2 * self._size), height)
        if x1 - x0 < 8 or y1 - y0 < 8:
            return
        density = np.zeros(((y1 - y0) // 2, (x1 - x0) // 2), np.float32)
        for i, phase in enumerate(self._phase):
            age = (phase + seconds / life) % 1.0
            r = max(int(self._size * (0.35 + 1.9 * age) / 2), 3)
            cx = (
                self._x
                + self._lean * life * age**1.35
                + self._size * 0.35 * np.sin(1.4 * seconds + self._wobble[i, 0]) * age
            )
            cy = self._y - self._rise * life * age**0.8 + 3 * np.sin(seconds + self._wobble[i, 1])
            puff = cv2.resize(self._grain[i % 3], (2 * r, 2 * r), interpolation=cv2.INTER_LINEAR)
            px, py = int((cx - x0) / 2) - r, int((cy - y0) / 2) - r
            ax0, ay0 = max(px, 0), max(py, 0)
            ax1, ay1 = min(px + 2 * r, density.shape[1]), min(py + 2 * r, density.shape[0])
            if ax0 < ax1 and ay0 < ay1:
                density[ay0:ay1, ax0:ax1] += puff[ay0 - py : ay1 - py, ax0 - px : ax1 - px] * (
                    (1 - age) ** 1.4 * min(age * 8, 1)
                )
        blend_colour(canvas[y0:y1, x0:x1], np.clip(density * self._strength, 0, 0.92), self._colour)


class Banner:
    """Cloth on a pole: a hanging rectangle whose free edge ripples. `fixed` is `top` or `left`."""

    def __init__(
        self,
        rng: Rng,
        layer: Image8,
        x: int,
        y: int,
        *,
        fixed: str = "top",
        amplitude: float = 7.0,
        hz: float = 0.9,
    ) -> None:
        self._layer, self._x, self._y = layer, x, y
        h, w = layer.shape[:2]
        self._pad = int(amplitude * 1.5) + 2
        self._wide = np.zeros((h + 2 * self._pad, w + 2 * self._pad, 4), np.uint8)
        self._wide[self._pad : self._pad + h, self._pad : self._pad + w] = layer
        gx, gy = np.meshgrid(
            np.arange(self._wide.shape[1], dtype=np.float32), np.arange(self._wide.shape[0], dtype=np.float32)
        )
        self._gx, self._gy, self._fixed = gx, gy, fixed
        along = (gy - self._pad) / h if fixed == "top" else (gx - self._pad) / w
        self._free = np.clip(along, 0, 1).astype(np.float32)
        self._amplitude, self._hz, self._phase = amplitude, hz, float(rng.uniform(0, 6.28))

    def draw(self, canvas: Image8, seconds: float) -> None:
        wave = 2 * np.pi * self._hz * seconds + self._phase
        if self._fixed == "top":
            dx = (
                self._amplitude
                * self._free
                * np.sin(wave - 3.0 * self._free)
                * (0.75 + 0.25 * np.sin(0.37 * wave))
            )
            moved = cv2.remap(self._wide, self._gx + dx.astype(np.float32), self._gy, cv2.INTER_LINEAR)
            tone = np.cos(wave - 3.0 * self._free + 0.06 * self._gx) * self._free
        else:
            dy = self._amplitude * self._free * np.sin(wave - 6.5 * self._free)
            moved = cv2.remap(self._wide, self._gx, self._gy + dy.astype(np.float32), cv2.INTER_LINEAR)
            tone = np.cos(wave - 6.5 * self._free) * self._free
        scale8 = np.clip(100 * (1 + 0.2 * tone), 0, 255).astype(np.uint8)
        full = np.full_like(scale8, 100)
        moved = cv2.multiply(moved, cv2.merge([scale8, scale8, scale8, full]), scale=1 / 100)
        lay_over(canvas, moved, self._x - self._pad, self._y - self._pad)


def cloth(
    width: int,
    height: int,
    colour: Colour,
    trim: Colour,
    *,
    folds: int = 3,
    transparency: float = 0.0,
    rng: Rng | None = None,
) -> Image8:
    """A hanging cloth with soft folds."""
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    phase = 0.0 if rng is None else float(rng.uniform(0, 6.28))
    fold = 0.5 + 0.5 * np.sin(2 * np.pi * folds * x + phase + 1.2 * np.sin(5 * x + phase))
    shade: Array = np.repeat(0.66 + 0.4 * fold, height, axis=0)
    out = mix(colour * 0.55, colour * 1.1, np.clip(shade - 0.3, 0, 1))
    edge = max(height // 30, 2)
    out[-edge:] = trim * shade[-edge:, :, None]
    alpha = np.full((height, width), 1 - transparency, np.float32) * (1 - transparency * 0.35 * (fold - 0.5))
    result = np.dstack([np.clip(out, 0, 1) * alpha[..., None], alpha])
    return np.clip(result * 255 + 0.5, 0, 255).astype(np.uint8)
