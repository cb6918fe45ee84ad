"""What moves indoors: curtains, leaf shadows in a patch of sun, wavering light, hanging lamps, wet glass.

What a reader gets wrong: curtains and patches of light are computed flat, as textures, and laid into the
picture in perspective for every frame; light multiplies what is there, and nothing of it covers the picture.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded.scenes.canvas import (
    Array,
    Colour,
    Image8,
    Rng,
    blank,
    lay_over,
    radial,
    rgba,
    smoothstep,
    tile_noise,
)
from actors.backends.embedded.scenes.lights import waver
from actors.backends.embedded.scenes.particles import add_light


class Sheet:
    """Where a flat texture of `size` (w, h) lies in the picture: `goal` are its four corners in px, clockwise
    from the top left. `step` draws it on a coarser grid.
    """

    def __init__(
        self, goal: npt.NDArray[np.float64], size: tuple[int, int], picture: tuple[int, int], step: int = 1
    ) -> None:
        w, h = size
        width, height = picture
        x0, y0 = np.maximum(np.floor(goal.min(0)).astype(int) - 1, 0)
        x1, y1 = np.minimum(np.ceil(goal.max(0)).astype(int) + 2, (width, height))
        self.x, self.y = int(x0), int(y0)
        self.w, self.h = max(int(x1) - int(x0), 1), max(int(y1) - int(y0), 1)
        self._size = (max(self.w // step, 1), max(self.h // step, 1))
        start = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32) - 0.5
        end = (goal - (x0, y0)) / step - 0.5
        self._matrix = cv2.getPerspectiveTransform(start, end.astype(np.float32))
        self.seen = goal[:, 0].max() > 4 and goal[:, 0].min() < width - 4

    def warp(self, texture: Image8) -> Image8:
        moved = cv2.warpPerspective(texture, self._matrix, self._size, flags=cv2.INTER_LINEAR)
        if self._size != (self.w, self.h):
            moved = cv2.resize(moved, (self.w, self.h), interpolation=cv2.INTER_LINEAR)
        return np.asarray(moved, np.uint8)


class Curtain:
    """A hanging curtain whose folds travel as the air moves it; its head stays on the rail."""

    def __init__(
        self,
        rng: Rng,
        goal: npt.NDArray[np.float64],
        picture: tuple[int, int],
        *,
        dark: Colour,
        light: Colour,
        folds: float,
        sheer: float = 0.0,
        billow: float = 0.1,
        pace: float = 1.0,
        tied: float = 0.0,
        direction: float = 1.0,
    ) -> None:
        """`sheer` is the share of light that passes between folds, `billow` how far the hem moves, as a share
        of the width; `tied` pulls the middle together.
        """
        tall = float(np.linalg.norm(goal[3] - goal[0]))
        wide = float(np.linalg.norm(goal[1] - goal[0]))
        self._w, self._h = int(np.clip(wide / 1.5, 24, 420)), int(np.clip(tall / 3, 24, 260))
        self._sheet = Sheet(goal, (self._w, self._h), picture)
        u, v = np.meshgrid(np.linspace(0, 1, self._w), np.linspace(0, 1, self._h))
        self._u, self._v = u.astype(np.float32), v.astype(np.float32)
        self._hang = (self._v**1.25).astype(np.float32)
        self._dark, self._light = dark * 255, light * 255
        self._folds, self._sheer, self._billow, self._pace = folds, sheer, billow, pace
        self._p = rng.uniform(0, 6.28, 6).astype(np.float32)
        self._way = direction
        self._noise = tile_noise(rng, 128, 1.6)
        self._pinch = (1 - tied * np.exp(-(((self._v - 0.62) / 0.2) ** 2))).astype(np.float32)
        self._uneven = (
            0.35 * np.sin(self._u * 9.1 + self._p[4]) + 0.3 * np.sin(self._u * 4.3 + self._p[5])
        ).astype(np.float32)

    def draw(self, canvas: Image8, seconds: float) -> None:
        if not self._sheet.seen:
            return
        t = np.float32(seconds * self._pace)
        u, v, p = self._u, self._v, self._p
        wave = (
            0.55 * np.sin(2.1 * t - 2.6 * v + 2.2 * u * self._way + p[0])
            + 0.35 * np.sin(3.4 * t - 4.1 * v + 4.6 * u * self._way + p[1])
            + 0.22 * np.sin(5.3 * t - 5.2 * v + 7.4 * u * self._way + p[2])
        )
        moved = u + self._billow * self._hang * wave
        middle = 0.5 if self._pinch.min() > 0.99 else (0.18 if self._way > 0 else 0.82)
        moved = middle + (moved - middle) / self._pinch
        phase = 2 * np.pi * self._folds * moved + self._uneven * 2 + 0.7 * np.sin(3 * v + p[3])
        depth = 0.55 + 0.45 * np.clip(self._hang * 1.5, 0, 1)
        fold = 0.5 + 0.5 * np.sin(phase + 0.7 * np.sin(phase)) * depth
        fine = 0.06 * np.sin(phase * 3.1 + 5 * v)
        tone = np.clip(fold + fine + 0.22 * self._hang * wave, 0, 1.1).astype(np.float32)
        colour = self._dark + (self._light - self._dark) * tone[..., None]
        edge = smoothstep(0.0, 0.025, moved - 0.04) * smoothstep(0.0, 0.025, 0.96 - moved)
        alpha = edge * (1 - self._sheer * (0.35 + 0.65 * tone))
        hem = smoothstep(1.0, 0.985, v + 0.005 * np.sin(phase))
        alpha = alpha * hem
        sheet = np.empty((self._h, self._w, 4), np.uint8)
        sheet[..., :3] = np.clip(colour * alpha[..., None], 0, 255)
        sheet[..., 3] = np.clip(alpha * 255, 0, 255)
        lay_over(canvas, self._sheet.warp(sheet), self._sheet.x, self._sheet.y)


def leaf_shadow(rng: Rng, w: int, h: int, *, count: int = 9, leaf: float = 0.05) -> Array:
    """(h, w) shadow of twigs and leaves, 1 where no sun comes through; twigs come in from the upper edges."""
    big = np.zeros((h, w), np.uint8)
    size = leaf * w
    for _ in range(count):
        side = float(rng.uniform(-0.1, 1.1))
        x, y = side * w, float(rng.uniform(-0.15, 0.15)) * h
        angle = np.pi / 2 + float(rng.uniform(-0.9, 0.9))
        for _ in range(int(rng.integers(7, 14))):
            nx, ny = x + np.cos(angle) * size * 1.3, y + np.sin(angle) * size * 1.3
            cv2.line(big, (int(x), int(y)), (int(nx), int(ny)), 255, max(int(size * 0.09), 1), cv2.LINE_AA)
            x, y = nx, ny
            angle += float(rng.normal(0, 0.22))
            for sign in (-1, 1):
                a = angle + sign * float(rng.uniform(0.5, 1.1))
                long_ = size * float(rng.uniform(0.55, 1.0))
                cx, cy = x + np.cos(a) * long_, y + np.sin(a) * long_
                cv2.ellipse(
                    big,
                    (int(cx), int(cy)),
                    (max(int(long_), 1), max(int(long_ * float(rng.uniform(0.26, 0.42))), 1)),
                    float(np.degrees(a)),
                    0,
                    360,
                    255,
                    -1,
                    cv2.LINE_AA,
                )
    return np.asarray(big.astype(np.float32) / 255, np.float32)


class Dapple:
    """A patch of sun with the shadows of leaves that sway in it; brightens what is there by 1 + `gain`."""

    def __init__(
        self,
        rng: Rng,
        goal: npt.NDArray[np.float64],
        picture: tuple[int, int],
        patch: Array,
        *,
        gain: Colour,
        leaf: float = 0.05,
        soft: float = 2.2,
        sway: float = 9.0,
        count: int = 9,
        pace: float = 1.0,
    ) -> None:
        """`patch` (h, w) is the sun that falls without leaves, 0..1; `soft`, `sway` in its pixels."""
        h, w = patch.shape
        near = cv2.GaussianBlur(leaf_shadow(rng, w, h, count=count, leaf=leaf), (0, 0), soft)
        far = cv2.GaussianBlur(leaf_shadow(rng, w, h, count=count, leaf=leaf * 1.35), (0, 0), soft * 2.4)
        self._shadows = (near, far)
        self._patch = patch.astype(np.float32)
        self._sheet = Sheet(goal, (w, h), picture, step=2)
        # gains use the whole 8 bits, or soft edges would show steps
        self._unit = 254.0 / (1 + float(np.max(gain)))
        self._curves = [_gain_curve(float(g), self._unit) for g in gain]
        gx, gy = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
        self._gx, self._gy = gx, gy
        self._noise = tile_noise(rng, 128, 1.7)
        self._p = rng.uniform(0, 6.28, 6)
        self._sway, self._pace = sway, pace

    def draw(self, canvas: Image8, seconds: float) -> None:
        t = seconds * self._pace
        h, w = self._patch.shape
        down = 0.45 + 0.75 * self._gy / h
        light = self._patch
        for k, shadow in enumerate(self._shadows):
            gust = cv2.remap(
                self._noise,
                np.asarray((self._gx * (7 / w) - 9 * t + 40 * k) % 128, np.float32),
                np.asarray((self._gy * (7 / w) + 2 * t + 60 * k) % 128, np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_WRAP,
            )
            swing = np.sin(2.3 * t + self._p[k]) + 0.6 * np.sin(3.9 * t + self._p[k + 2] + self._gx * (3 / w))
            dx = self._sway * down * (0.6 * gust + 0.6 * swing).astype(np.float32)
            moved = cv2.remap(
                shadow,
                self._gx + dx,
                self._gy + 0.35 * np.abs(dx),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            light = light * (1 - (0.92 if k == 0 else 0.6) * np.clip(moved, 0, 1))
        level = self._sheet.warp(np.clip(light * 255, 0, 255).astype(np.uint8))
        s = self._sheet
        target = canvas[s.y : s.y + s.h, s.x : s.x + s.w]
        gains = cv2.merge([cv2.LUT(level, curve) for curve in self._curves])
        cv2.multiply(target, gains, dst=target, scale=1 / self._unit)


def _gain_curve(gain: float, unit: float) -> Image8:
    return np.clip(unit * (1 + gain * np.arange(256) / 255), 0, 255).astype(np.uint8)


class Glow:
    """Wavering light: `maps` (h, w) say where each flame or screen lights the room, 0..1; each wavers by
    itself, smoothly, by `depth` around its mean. Multiplies what is there.
    """

    def __init__(
        self,
        rng: Rng,
        maps: list[Array],
        *,
        depth: float = 0.22,
        lively: float = 1.0,
        tint: tuple[float, float, float] = (1.0, 0.85, 0.6),
    ) -> None:
        h, w = maps[0].shape
        self._maps = [
            cv2.resize(m, (w // 4, h // 4), interpolation=cv2.INTER_AREA).astype(np.float32) for m in maps
        ]
        self._hz, self._phase = waver(rng, len(maps), lively)
        self._depth, self._tint = depth, np.asarray(tint, np.float32)
        self._unit = 254.0 / (1 + 1.5 * depth * float(np.sum(self._maps, axis=0).max()))

    def draw(self, canvas: Image8, seconds: float) -> None:
        weights = np.array([0.3, 0.36, 0.24, 0.1], np.float32)
        level = (np.sin(2 * np.pi * self._hz * seconds + self._phase) * weights).sum(1) * 1.5 * self._depth
        total = np.zeros_like(self._maps[0])
        for m, k in zip(self._maps, level, strict=True):
            total += m * np.float32(k)
        gain = 1 + total[..., None] * self._tint
        small = np.clip(gain * self._unit, 0, 255).astype(np.uint8)
        full = cv2.resize(small, (canvas.shape[1], canvas.shape[0]), interpolation=cv2.INTER_LINEAR)
        cv2.multiply(canvas, full, dst=canvas, scale=1 / self._unit)


class HangingLamps:
    """Pendant lamps that swing a little on their cords; each takes its pool of light along."""

    def __init__(
        self,
        rng: Rng,
        hooks: list[tuple[float, float, float, float]],
        *,
        shade: Colour,
        light: Colour,
        swing: float = 0.05,
        halo: float = 3.2,
        strength: float = 0.4,
    ) -> None:
        """`hooks` are (x, y of the ceiling hook, length of the cord, radius of the shade) in px."""
        self._hooks, self._swing = hooks, swing
        self._phase, self._hz = rng.uniform(0, 6.28, (len(hooks), 2)), rng.uniform(0.3, 0.42, len(hooks))
        self._sprites: list[Image8] = []
        self._glows: list[Image8] = []
        for _, _, length, radius in hooks:
            self._sprites.append(_pendant(length, radius, shade, light))
            size = int(radius * halo * 2) | 1
            halo_ = radial(size, 2.2)[..., None] * light * strength
            heart = radial(size, 9.0)[..., None] * light * 0.55
            self._glows.append(np.clip((halo_ + heart) * 255, 0, 255).astype(np.uint8))

    def draw(self, canvas: Image8, seconds: float) -> None:
        for i, (x, y, length, radius) in enumerate(self._hooks):
            p = self._phase[i]
            angle = self._swing * (
                np.sin(2 * np.pi * self._hz[i] * seconds + p[0]) + 0.3 * np.sin(4.1 * seconds + p[1])
            )
            sprite = self._sprites[i]
            h, w = sprite.shape[:2]
            pad = int(abs(self._swing) * 1.4 * h) + 4
            matrix = cv2.getRotationMatrix2D((w / 2, 0.0), float(np.degrees(angle)), 1.0)
            matrix[:, 2] += (pad, 0)
            moved = np.asarray(cv2.warpAffine(sprite, matrix, (w + 2 * pad, h)), np.uint8)
            lay_over(canvas, moved, int(x - w / 2 - pad), int(y))
            bx, by = x + np.sin(angle) * (length + radius * 0.7), y + np.cos(angle) * (length + radius * 0.7)
            glow = self._glows[i]
            add_light(canvas, glow, int(bx - glow.shape[1] / 2), int(by - glow.shape[0] / 2), 1.0)


def _pendant(length: float, radius: float, shade: Colour, light: Colour) -> Image8:
    s = 2
    w, h = int(radius * 2.4) * s, int(length + radius * 1.5) * s
    big = blank(h, w)
    cx, top = w / 2, length * s
    cv2.line(
        big, (int(cx), 0), (int(cx), int(top)), rgba(shade * 0.4), max(int(radius * 0.05 * s), 1), cv2.LINE_AA
    )
    r = radius * s
    bulb = (int(cx), int(top + r * 0.78))
    cv2.ellipse(
        big, bulb, (int(r * 0.86), int(r * 0.2)), 0, 0, 360, rgba(np.minimum(light * 1.1, 1)), -1, cv2.LINE_AA
    )
    angle = np.linspace(0, np.pi, 24)
    dome = np.stack([cx + np.cos(angle) * r, top + r * 0.8 - np.sin(angle) * r * 0.72], 1)
    for k in range(12):
        inset = 1 - k / 12
        part = dome.copy()
        part[:, 0] = cx - r * 0.25 * (1 - inset) + (dome[:, 0] - cx) * inset
        cv2.fillConvexPoly(big, (part * 8).astype(np.int32), rgba(shade * (0.42 + 0.06 * k)), cv2.LINE_AA, 3)
    cv2.rectangle(
        big,
        (int(cx - r * 0.12), int(top - r * 0.1)),
        (int(cx + r * 0.12), int(top + r * 0.14)),
        rgba(shade * 0.5),
        -1,
    )
    small = cv2.resize(big, (w // s, h // s), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 0.8), np.uint8)


def sun_patch(
    w: int, h: int, *, cols: int, rows: int, bar: float = 0.05, soft: float = 2.5, slant: float = 0.3
) -> Array:
    """The light of a window with bars as it falls on a wall: (h, w), slanted, soft at its edges."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    u = (
        (x / w - slant * (y / h) * 0.6) / (1 - abs(slant) * 0.6)
        if slant >= 0
        else (x / w + slant * (1 - y / h) * -0.6)
    )
    v = y / h
    cell_u, cell_v = (u * cols) % 1, (v * rows) % 1
    inside = (
        smoothstep(0.0, 0.02, u)
        * smoothstep(1.0, 0.98, u)
        * smoothstep(0.0, 0.02, v)
        * smoothstep(1.0, 0.98, v)
    )
    grid = smoothstep(0, bar * cols, np.minimum(cell_u, 1 - cell_u)) * smoothstep(
        0, bar * rows, np.minimum(cell_v, 1 - cell_v)
    )
    return np.asarray(cv2.GaussianBlur((inside * grid).astype(np.float32), (0, 0), soft), np.float32)
