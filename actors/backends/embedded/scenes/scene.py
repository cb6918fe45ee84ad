"""A built scene: what stays, what moves, and the light that a foreground must be given.

What a reader gets wrong: `frame(t)` is a pure function of t. Frame 0 is the still picture that the editor
uses; the animator draws the same frames again from the same (keyword, seed, size), so the two agree to the
byte.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Image8,
    Rng,
    blank,
    lay_over,
    smoothstep,
    stack_over,
    to8,
)
from actors.backends.embedded.scenes.motion import Layer, Still
from actors.backends.embedded.scenes.painting import Paint
from actors.roles import Frame


@dataclass(frozen=True)
class SceneLight:
    """Light for a foreground. Colours are float RGB, 1.0 = unchanged white; `direction` x -1 left .. 1 right,
    y -1 down .. 1 up.
    """

    key: tuple[float, float, float]
    ambient: tuple[float, float, float]
    direction: tuple[float, float]
    haze: tuple[float, float, float]
    brightness: float
    """Mean luma of frame 0, 0..1."""


def merge_stills(layers: list[Layer], height: int, width: int) -> list[Layer]:
    """Neighbouring still layers become one, so that a frame pays only for what moves."""
    out: list[Layer] = []
    run: list[Still] = []

    def flush() -> None:
        if len(run) == 1:
            out.append(run[0])
        elif run:
            joined = blank(height, width)
            for still in run:
                if still.layer.size:
                    stack_over(joined, still.layer, still.x, still.y)
            out.append(Still(joined))
        run.clear()

    for layer in layers:
        if isinstance(layer, Still):
            run.append(layer)
        else:
            flush()
            out.append(layer)
    flush()
    return out


class Scene:
    """Draws frames of one scene; make it with `scenes.build`."""

    def __init__(
        self,
        plate: Array,
        layers: list[Layer],
        light: SceneLight,
        rng: Rng,
        *,
        vignette: float,
        paint: Paint | None,
    ) -> None:
        height, width = plate.shape[:2]
        plate8 = to8(plate, rng)
        merged = merge_stills(layers, height, width)
        while merged and isinstance(merged[0], Still):
            first = merged.pop(0)
            assert isinstance(first, Still)
            if first.layer.size:
                lay_over(plate8, first.layer, first.x, first.y)
        self._plate, self._layers, self.light, self._paint = plate8, merged, light, paint
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
        fall = 1 - vignette * smoothstep(0.45, 1.5, np.sqrt(x * x + 0.8 * y * y))
        fall = fall[..., None]
        grain = rng.normal(0, 0.006, (height, width, 1)).astype(np.float32)
        self._fall = np.repeat(np.clip((fall + grain) * 200, 0, 255), 3, axis=2).astype(np.uint8)
        ramp = np.linspace(0, 1, 256)
        curve = ramp + 0.055 * np.sin(2 * np.pi * (ramp - 0.5)) * 0.9
        self._curve = np.clip(curve * 255 + 0.5, 0, 255).astype(np.uint8)

    def frame(self, t: int, fps: int = 16) -> Frame:
        """Frame number `t` at `fps`: (H, W, 3) uint8 RGB."""
        canvas = self._plate.copy()
        seconds = t / fps
        for layer in self._layers:
            layer.draw(canvas, seconds)
        cv2.multiply(canvas, self._fall, dst=canvas, scale=1 / 200)
        graded = np.asarray(cv2.LUT(canvas, self._curve), np.uint8)
        return graded if self._paint is None else self._paint(graded)


def snapshot(plate: Array, layers: list[Layer]) -> Image8:
    """The picture painted so far, at time 0."""
    canvas = to8(plate)
    for layer in layers:
        layer.draw(canvas, 0.0)
    return canvas
