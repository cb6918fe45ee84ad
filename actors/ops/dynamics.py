"""Background liveness: how much a background moves by itself, beyond a motion of the whole picture.

What a reader gets wrong: grain and a sliding picture are not life. Both frames are blurred before they are
compared, and the global homography between them is removed first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat
from statistics import median

import cv2
import numpy as np
import numpy.typing as npt

from actors.roles import Frame, Mask

WIDTH, HEIGHT = 320, 180
APART = 4
"""Frames between the two that are compared: a quarter second at 16 fps."""
SIGMA = 2.0
MARGIN_AT_720P = 25
"""The foreground is grown by a square of this many pixels of a 720p frame before it is left out."""
_RANSAC_PX = 0.5
_MIN_POINTS = 12


def background_dynamics(frames: Iterable[Frame], masks: Iterable[Mask] | None = None) -> float:
    """Median over the clip of the mean absolute difference, in 8-bit levels, of frames four apart.

    Args:
        frames: (H, W, 3) RGB of any size, in order.
        masks: the foreground, one a frame at the frame's size; it is grown and left out. None: the whole
        picture counts.

    Returns:
        0 for a clip of at most four frames. On published edits 0.8 to 7; a still with grain about 0.3.
    """
    window: deque[_View] = deque(maxlen=APART)
    levels: list[float] = []
    for frame, mask in zip(frames, masks if masks is not None else repeat(None), strict=False):
        current = _view(frame, mask)
        if len(window) == APART:
            levels.append(_difference(window[0], current))
        window.append(current)
    return median(levels) if levels else 0.0


@dataclass(frozen=True)
class _View:
    """A frame as it is compared: blurred in colour, sharp in grey (for the global motion), what counts."""

    blurred: npt.NDArray[np.float32]
    grey: npt.NDArray[np.uint8]
    outside: npt.NDArray[np.bool_]


def _view(frame: Frame, mask: Mask | None) -> _View:
    small = cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small.astype(np.float32), (0, 0), SIGMA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    return _View(np.asarray(blurred, np.float32), np.asarray(grey, np.uint8), _outside(mask))


def _outside(mask: Mask | None) -> npt.NDArray[np.bool_]:
    if mask is None:
        return np.ones((HEIGHT, WIDTH), bool)
    margin = max(3, round(MARGIN_AT_720P * mask.shape[0] / 720)) | 1
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((margin, margin), np.uint8))
    return np.asarray(cv2.resize(grown * 255, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) == 0)


def _difference(first: _View, second: _View) -> float:
    outside = first.outside & second.outside
    motion = _global_homography(first.grey, second.grey, outside)
    moved = cv2.warpPerspective(first.blurred, motion, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
    inside = cv2.warpPerspective(
        np.ones((HEIGHT, WIDTH), np.uint8), motion, (WIDTH, HEIGHT), flags=cv2.INTER_NEAREST
    )
    counted = outside & (cv2.erode(inside, np.ones((9, 9), np.uint8)) > 0)
    if not counted.any():
        return 0.0
    return float(np.abs(moved - second.blurred)[counted].mean())


def _global_homography(
    before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8], outside: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """What carries most of `before` onto `after`; the identity when too little agrees to say."""
    points = cv2.goodFeaturesToTrack(before, 300, 0.01, 6, mask=outside.astype(np.uint8))
    if points is None or len(points) < _MIN_POINTS:
        return np.eye(3)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, np.zeros_like(points))
    good = found.ravel() == 1
    if good.sum() < _MIN_POINTS:
        return np.eye(3)
    motion, agree = cv2.findHomography(points[good], moved[good], cv2.RANSAC, _RANSAC_PX)
    if motion is None or agree.sum() < _MIN_POINTS:
        return np.eye(3)
    return np.asarray(motion, np.float64)
