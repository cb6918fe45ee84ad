"""Painted looks (oil, impressionist, watercolour, ink) laid over frames of a scene built like a photograph.

What a reader gets wrong: nothing random changes from frame to frame. Strokes lie where they lie on the canvas
and only their colours follow the scene, so what stands still does not boil.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded.scenes.canvas import Array, Image8, Rng
from schemas.taxonomy import PictureStyle

Paint = Callable[[Image8], Image8]
FULL_WIDTH = 1280
"""Sizes of strokes below are px of a picture this wide."""


def painter(style: PictureStyle, width: int, height: int, rng: Rng) -> Paint | None:
    """What turns a frame into a painting of this style, same size; None for photographs."""
    if style == "photo":
        return None
    scale = width / FULL_WIDTH
    canvas = _grain(width, height, rng)
    if style == "oil":
        strokes = _Strokes(width, height, rng, long_px=26 * scale, wide_px=9 * scale, stray=0.5)
        return lambda frame: _textured(_saturated(strokes.lay(_flattened(frame, 3)), 1.16), canvas, 0.10)
    if style == "impression":
        strokes = _Strokes(width, height, rng, long_px=17 * scale, wide_px=10 * scale, stray=1.2)
        return lambda frame: _textured(_saturated(strokes.lay(frame), 1.3), canvas, 0.12)
    if style == "watercolour":
        return lambda frame: _textured(_washed(_flattened(frame, 5), 1.0), canvas, 0.07)
    return lambda frame: _textured(_inked(_flattened(frame, 4)), canvas, 0.06)


class _Strokes:
    """Short brush strokes: every pixel takes its colour from the middle of the stroke it lies on."""

    def __init__(
        self, width: int, height: int, rng: Rng, *, long_px: float, wide_px: float, stray: float
    ) -> None:
        """Strokes lie along a slowly turning direction, each moved by up to `stray` of its width."""
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        angle = cv2.resize(rng.uniform(-0.5, 0.5, (5, 8)).astype(np.float32), (width, height))
        along = x * np.cos(angle) + y * np.sin(angle)
        across = y * np.cos(angle) - x * np.sin(angle)
        row = np.floor(across / wide_px)
        shift = rng.uniform(0, long_px, 4096).astype(np.float32)[row.astype(np.int64) % 4096]
        column = np.floor((along + shift) / long_px)
        middle_along = (column + 0.5) * long_px - shift
        middle_across = (row + 0.5) * wide_px
        cell = (row.astype(np.int64) * 7919 + column.astype(np.int64)) % 65536
        jitter = rng.uniform(-stray, stray, (2, 65536)).astype(np.float32) * wide_px
        middle_along += jitter[0][cell]
        middle_across += jitter[1][cell]
        self._x = np.asarray(middle_along * np.cos(angle) - middle_across * np.sin(angle), np.float32)
        self._y = np.asarray(middle_across * np.cos(angle) + middle_along * np.sin(angle), np.float32)
        tone = rng.normal(1.0, 0.035, 65536).astype(np.float32)[cell]
        ridge = np.cos((across / wide_px - row - 0.5) * np.pi) * 0.06 + 0.965
        self._tone = np.repeat(np.clip(tone * ridge * 200, 0, 255)[..., None], 3, axis=2).astype(np.uint8)
        self._sigma = wide_px / 4

    def lay(self, frame: Image8) -> Image8:
        soft = cv2.GaussianBlur(frame, (0, 0), self._sigma)
        strokes = cv2.remap(soft, self._x, self._y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        mixed = cv2.addWeighted(strokes, 0.82, frame, 0.18, 0)
        return np.asarray(cv2.multiply(mixed, self._tone, scale=1 / 200), np.uint8)


def _flattened(frame: Image8, radius: int) -> Image8:
    """Kuwahara's filter at half size: flat patches with kept edges, the look of laid paint."""
    height, width = frame.shape[:2]
    small = cv2.resize(frame, (width // 2, height // 2), interpolation=cv2.INTER_AREA).astype(np.float32)
    size = (radius + 1, radius + 1)
    grey = small.mean(axis=2)
    best: npt.NDArray[np.float32] | None = None
    least: npt.NDArray[np.float32] | None = None
    for ax in (0, radius):
        for ay in (0, radius):
            mean = cv2.blur(small, size, anchor=(ax, ay))
            spread = cv2.blur(grey * grey, size, anchor=(ax, ay)) - cv2.blur(grey, size, anchor=(ax, ay)) ** 2
            if best is None or least is None:
                best, least = np.asarray(mean, np.float32), np.asarray(spread, np.float32)
            else:
                nearer = spread < least
                best[nearer] = mean[nearer]
                least = np.asarray(np.minimum(least, spread), np.float32)
    assert best is not None
    return np.asarray(
        cv2.resize(best.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR), np.uint8
    )


def _saturated(frame: Image8, amount: float) -> Image8:
    grey = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(frame, amount, grey, 1 - amount, 0), np.uint8)


def _washed(frame: Image8, strength: float) -> Image8:
    """Thin paint on white paper: lighter, darker where a wash ends."""
    light = cv2.addWeighted(frame, 0.86, np.full_like(frame, 255), 0.14, 0)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    edge = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    rim = np.clip(cv2.GaussianBlur(edge, (0, 0), 1.2).astype(np.float32) / 255 * 0.9 * strength, 0, 0.35)
    return np.asarray(light * (1 - rim[..., None]), np.uint8)


def _inked(frame: Image8) -> Image8:
    """Black ink on warm paper: tones only, the lightest left as paper."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    tone = np.clip((grey - 0.16) / 0.78, 0, 1) ** 1.25
    ink, paper = np.array([44, 46, 52], np.float32), np.array([243, 237, 222], np.float32)
    return np.asarray(ink + (paper - ink) * tone[..., None], np.uint8)


def _textured(frame: Image8, canvas: Array, depth: float) -> Image8:
    relief = np.clip((1 + canvas * depth) * 200, 0, 255).astype(np.uint8)
    return np.asarray(cv2.multiply(frame, cv2.merge([relief, relief, relief]), scale=1 / 200), np.uint8)


def _grain(width: int, height: int, rng: Rng) -> Array:
    """Weave of a canvas or tooth of a paper, about -1..1."""
    noise = rng.normal(0, 1, (height, width)).astype(np.float32)
    weave = cv2.GaussianBlur(noise, (0, 0), 1.0, sigmaY=2.2) + cv2.GaussianBlur(
        noise, (0, 0), 2.2, sigmaY=1.0
    )
    return np.asarray(np.clip(weave / (3 * weave.std()), -1, 1), np.float32)
