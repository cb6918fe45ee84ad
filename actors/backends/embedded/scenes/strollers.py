"""Passers-by who walk on a street's ground in metres, seen small and soft.

What a reader gets wrong: the pace of the legs follows the metres walked, not the pixels, so somebody who
walks straight away from the viewer still steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import Image8, Rng, lay_over
from actors.backends.embedded.scenes.figures import _walker
from actors.backends.embedded.scenes.perspective import Road


@dataclass(frozen=True)
class Stroll:
    """From (x0, z0) to (x1, z1) in metres, at `pace` m/s; at the end it fades and starts again."""

    x0: float
    z0: float
    x1: float
    z1: float
    pace: float


_STEPS = 16
_COATS = (
    (0.22, 0.24, 0.32),
    (0.42, 0.16, 0.14),
    (0.55, 0.48, 0.38),
    (0.16, 0.3, 0.28),
    (0.6, 0.58, 0.54),
    (0.2, 0.2, 0.22),
    (0.35, 0.3, 0.42),
)


class Strollers:
    """A layer of walkers."""

    def __init__(self, rng: Rng, walks: list[Stroll], road: Road, *, bright: float) -> None:
        stage = road.stage
        self._walks, self._road = walks, road
        self._start = rng.uniform(0.05, 0.5, len(walks))
        self._phase = rng.uniform(0, 1, len(walks))
        self._size = rng.uniform(0.93, 1.06, len(walks)) * 1.72
        self._banks: list[list[Image8]] = []
        for walk in walks:
            nearest = min(walk.z0, walk.z1)
            away = road.away((walk.z0 + walk.z1) / 2)
            coat = np.array(_COATS[int(rng.integers(0, len(_COATS)))], np.float32)
            colours = [
                stage.hazed(stage.lit(np.asarray(c, np.float32) * bright, 0.6), away)
                for c in (coat, np.array((0.16, 0.17, 0.22)), np.array((0.75, 0.56, 0.45)))
            ]
            across = abs(walk.x1 - walk.x0) > 2.0
            way = (1.0 if walk.x1 >= walk.x0 else -1.0) * (1.0 if across else 0.4)
            tall = max(int(road.scale(nearest) * 1.72), 8)
            self._banks.append(
                [
                    _walker(tall, 2 * np.pi * k / _STEPS, colours[0], colours[1], colours[2], way)
                    for k in range(_STEPS)
                ]
            )

    def draw(self, canvas: Image8, seconds: float) -> None:
        order = []
        for i, walk in enumerate(self._walks):
            length = max(float(np.hypot(walk.x1 - walk.x0, walk.z1 - walk.z0)), 0.5)
            u = (self._start[i] + walk.pace * seconds / length) % 1.0
            order.append((walk.z0 + (walk.z1 - walk.z0) * u, u, i))
        for z, u, i in sorted(order, reverse=True):
            walk = self._walks[i]
            x, y = self._road.at(walk.x0 + (walk.x1 - walk.x0) * u, 0, z)
            step = int(((walk.pace * seconds / 1.45 + self._phase[i]) % 1.0) * _STEPS) % _STEPS
            sprite = self._banks[i][step]
            k = self._road.scale(z) * self._size[i] / sprite.shape[0]
            size = (max(int(sprite.shape[1] * k), 2), max(int(sprite.shape[0] * k), 3))
            sprite = np.asarray(cv2.resize(sprite, size, interpolation=cv2.INTER_AREA), np.uint8)
            fade = float(np.clip(min(u, 1 - u) * 9, 0, 1))
            if fade < 0.99:
                sprite = np.asarray(sprite * fade).astype(np.uint8)
            lay_over(canvas, sprite, int(x - sprite.shape[1] / 2), int(y - sprite.shape[0]))
