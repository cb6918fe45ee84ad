"""Motion for a picture that nobody painted here: plants sway, water ripples, clouds drift, and what the
prompt names falls.

What a reader gets wrong: this is modest on purpose. Regions are told by colour and texture, each moves by an
anchored local displacement, and whatever is not clearly plant, water or sky stays perfectly still.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from actors.roles import Frame

Field = npt.NDArray[np.float32]
FULL_WIDTH = 1280
"""Amplitudes below are pixels of a picture this wide."""
SWAY_PX = 5.0
RIPPLE_PX = 4.0
DRIFT_PX_S = 22.0
DRIFT_PERIOD_S = 4.0
_FALLING = (
    (re.compile(r"\bsnow(fall|flakes|ing| falls| drifts)", re.IGNORECASE), (245, 247, 250), 60.0, 2.2, 260),
    (re.compile(r"\bpetals?\b|\bblossoms?\b", re.IGNORECASE), (250, 205, 215), 45.0, 2.8, 90),
    (re.compile(r"\bleaves\b|\bfoliage\b", re.IGNORECASE), (190, 130, 60), 55.0, 3.0, 60),
    (re.compile(r"\brain(drops|s|fall| falls)?\b", re.IGNORECASE), (200, 210, 220), 900.0, 1.0, 320),
    (re.compile(r"\bembers?\b|\bsparks?\b", re.IGNORECASE), (255, 170, 80), -70.0, 1.8, 70),
)
"""What a prompt may name, its colour, fall in px/s (negative rises), radius in px, and count."""


@dataclass(frozen=True)
class _Particles:
    colour: tuple[int, int, int]
    fall_px_s: float
    radius_px: float
    place: Field
    """(N, 3): x and y as shares of the frame, depth 0.4..1."""


class PictureMotion:
    """Draws frames of one picture; each frame is a function of its time alone."""

    def __init__(self, image: Frame, prompt: str, seed: int) -> None:
        self._image = image
        self._scale = image.shape[1] / FULL_WIDTH
        rng = np.random.default_rng(seed)
        self._phase = _smooth_noise(rng, image.shape[:2]) * 2 * np.pi
        self._sky, self._plants, self._water = regions(image)
        self._clouds = _only_sky(image, self._sky)
        height, width = image.shape[:2]
        self._x, self._y = np.meshgrid(
            np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        )
        self._falling = [
            _Particles(colour, fall, radius, _places(rng, count))
            for words, colour, fall, radius, count in _FALLING
            if words.search(prompt)
        ]

    def frame(self, t: int, fps: int = 16) -> Frame:
        """Frame number `t` at `fps`, (H, W, 3) RGB; frame 0 is the picture."""
        seconds = t / fps
        dx, dy = self._displacement(seconds)
        moved = cv2.remap(
            self._image, self._x + dx, self._y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        drifted = self._drift(np.asarray(moved, np.uint8), seconds)
        for particles in self._falling:
            self._draw(drifted, particles, seconds)
        return np.asarray(drifted, np.uint8)

    def _displacement(self, seconds: float) -> tuple[Field, Field]:
        """Zero at time 0, so that the clip starts at the picture."""
        gust = self._x * (2 * np.pi / (380 * self._scale)) - self._y * (2 * np.pi / (900 * self._scale))
        sway = np.sin(gust - 3.1 * seconds + self._phase) - np.sin(gust + self._phase)
        wave = self._y * (2 * np.pi / (46 * self._scale)) + self._phase
        ripple = np.sin(wave - 4.2 * seconds) - np.sin(wave)
        dx = SWAY_PX * self._scale * self._plants * sway + RIPPLE_PX * self._scale * self._water * ripple
        dy = 0.5 * RIPPLE_PX * self._scale * self._water * ripple
        return np.asarray(dx, np.float32), np.asarray(dy, np.float32)

    def _drift(self, frame: Frame, seconds: float) -> Frame:
        """Clouds move on in two overlapping runs that fade into each other, so that nothing has to be
        refilled.
        """
        if not self._sky.any():
            return frame
        total = frame.astype(np.float32)
        sky = np.zeros_like(total)
        for offset in (0.0, 0.5):
            place = (seconds / DRIFT_PERIOD_S + offset) % 1.0
            weight = 1.0 - abs(2.0 * place - 1.0)  # the two weights sum to 1; at time 0 one run stands still
            shift = (place - 0.5) * DRIFT_PERIOD_S * DRIFT_PX_S * self._scale
            source_x = np.asarray(self._x - shift, np.float32)
            carried = cv2.remap(
                self._clouds, source_x, self._y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )
            sky += weight * carried
        sky += self._image - self._clouds  # what is no cloud stays, so the clip starts at the picture
        keep = self._sky[..., None]
        return np.asarray(np.clip(total * (1 - keep) + sky * keep + 0.5, 0, 255), np.uint8)

    def _draw(self, frame: Frame, particles: _Particles, seconds: float) -> None:
        """Nothing falls at time 0; the first second fades in."""
        height, width = frame.shape[:2]
        layer = frame.copy()
        for x, y, depth in particles.place:
            fall = particles.fall_px_s * self._scale * depth * seconds
            sway = 14 * self._scale * np.sin(2.3 * seconds + 40 * x)
            centre = (int(x * width + sway) % width, int(y * height + fall) % height)
            cv2.circle(
                layer, centre, max(1, round(particles.radius_px * depth * self._scale)), particles.colour, -1
            )
        share = 0.8 * min(seconds, 1.0)
        cv2.addWeighted(layer, share, frame, 1 - share, 0, dst=frame)


def regions(image: Frame) -> tuple[Field, Field, Field]:
    """Soft weights (H, W), 0..1, of sky, plants and water, told by colour, texture and height in the
    picture.
    """
    height = image.shape[0]
    hsv = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 3), cv2.COLOR_RGB2HSV)
    hue, saturation, value = (hsv[..., channel].astype(np.float32) for channel in range(3))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    rough = np.sqrt(cv2.GaussianBlur((grey - cv2.GaussianBlur(grey, (0, 0), 2)) ** 2, (0, 0), 8))
    row = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    smooth = (rough < 4.0) & (value > 90)
    bluish = (hue > 88) & (hue < 130)
    sky = _from_top((smooth & (bluish | (saturation < 60)) & (row < 0.6)).astype(np.uint8))
    plants = ((hue > 18) & (hue < 85) & (saturation > 45) & (rough > 4.0)) & (sky == 0)
    water = bluish & (saturation > 40) & (row > 0.35) & (rough > 1.2) & (sky == 0)
    return _soft(sky), _soft(plants.astype(np.uint8)), _soft(water.astype(np.uint8))


def _from_top(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The parts of the mask that touch the upper border."""
    _, labels = cv2.connectedComponents(mask)
    top = np.unique(labels[0])
    return np.isin(labels, top[top > 0]).astype(np.uint8)


def _soft(mask: npt.NDArray[np.uint8]) -> Field:
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    return np.asarray(cv2.GaussianBlur(opened.astype(np.float32), (0, 0), 6), np.float32)


def _only_sky(image: Frame, sky: Field) -> Field:
    """The picture with everything that is not sky filled from the sky round it: no edge of a tree may
    drift.
    """
    inside = np.asarray(cv2.erode(sky, np.ones((15, 15), np.uint8)) > 0.95, np.float32)[..., None]
    spread = cv2.GaussianBlur(image * inside, (0, 0), 40)
    amount = cv2.GaussianBlur(inside, (0, 0), 40)[..., None]
    filled = spread / np.maximum(amount, 1e-3)
    return np.asarray(image * inside + filled * (1 - inside), np.float32)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Noise of 0..1 that changes over about an eighth of the picture."""
    small = rng.random((9, 16), np.float32)
    return np.asarray(cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _places(rng: np.random.Generator, count: int) -> Field:
    return np.stack([rng.random(count), rng.random(count), rng.uniform(0.4, 1.0, count)], axis=1).astype(
        np.float32
    )
