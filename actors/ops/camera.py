"""How much a camera moves: from optical flow to percent of the picture's diagonal. Pure functions on arrays.

What a reader gets wrong: the figure is the mean displacement of the four corners under the motion fitted to
the background, not the mean flow: a zoom about the centre has little mean flow and moves every corner. And a
figure of 0 with `measured_pairs` 0 means "nothing to see a motion by" (a plain wall), not "measured and
still".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from actors.roles import Clip, FlowEstimator, FlowField

ANALYSIS_HEIGHT = 360
"""Rows of the frames given to the flow estimator; estimators work on their own, often smaller, grid."""
STEP_S = 0.25
"""A step is a quarter second: 4 frames at 16 fps. Shorter, and a slow pan drowns in the flow's own error."""
DRIFT_EVERY_S = 0.5
"""Frame 0 is compared with a frame every half second."""
MAX_CAMERA_STEP_PCT = 0.14
MAX_CAMERA_DRIFT_PCT = 0.8
"""Gates fitted with the embedded flow: see `benchmarks/camera.py` for the margins on both sides."""

GRID_SHARE = 1 / 40
"""Points are taken every 1/40 of the grid's width: 40 x 23 of a 16:9 picture."""
RANSAC_SHARE = 0.0012
"""A point fits a motion within this share of the diagonal (0.45 px of 320x180)."""
MIN_POINTS = 12
"""With fewer reliable points a pair says nothing."""
MIN_HOMOGRAPHY_SPREAD = 0.35
"""Eight parameters are fitted only where the inliers' hull covers this share of the picture, else four
(similarity): a perspective fitted to one corner of the picture throws the others far away.
"""
MIN_HOMOGRAPHY_INLIERS = 60

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairMotion:
    """The background's motion between two frames."""

    displacement_pct: float
    """Mean displacement of the four corners, percent of the diagonal."""
    matrix: Matrix
    """3 x 3, carries the first frame's points onto the second's, in units of the flow grid."""
    points: int
    """Reliable points looked at."""
    inlier_share: float
    """Of these, the share that the motion explains. Small on close-ups of moving people: never gate on it
    alone.
    """


@dataclass(frozen=True)
class CameraMotion:
    """What the frames of a clip say about its camera."""

    step_pct: float
    """Median over all quarter-second pairs, percent of the diagonal; 0.0 where no pair could be measured."""
    drift_pct: float
    """Second largest of frame 0 against every half second (the largest where there are fewer than four pairs:
    one failed pair must not reject a clip); 0.0 where none could be measured.
    """
    measured_pairs: int
    """Of `pairs`, how many had enough reliable points."""
    pairs: int


def pair_motion(field: FlowField) -> PairMotion | None:
    """The camera's motion in a flow field, or None where fewer than `MIN_POINTS` reliable points are left."""
    height, width = field.reliable.shape
    pitch = max(round(width * GRID_SHARE), 1)
    rows, columns = np.mgrid[pitch // 2 : height : pitch, pitch // 2 : width : pitch]
    keep = field.reliable[rows, columns]
    start = np.stack([columns[keep], rows[keep]], axis=-1).astype(np.float32)
    if len(start) < MIN_POINTS:
        return None
    end = start + field.displacement[rows[keep], columns[keep]]
    limit = RANSAC_SHARE * float(np.hypot(width, height))
    affine, mask = cv2.estimateAffinePartial2D(start, end, method=cv2.RANSAC, ransacReprojThreshold=limit)
    if affine is None:
        return None
    matrix: Matrix = np.vstack([np.asarray(affine, np.float64), [0.0, 0.0, 1.0]])
    inliers = np.asarray(mask).ravel().astype(np.bool_)
    if (
        int(inliers.sum()) >= MIN_HOMOGRAPHY_INLIERS
        and _spread(start[inliers], width, height) >= MIN_HOMOGRAPHY_SPREAD
    ):
        homography, fitted = cv2.findHomography(start, end, cv2.RANSAC, limit)
        if homography is not None and int(np.asarray(fitted).sum()) >= int(inliers.sum()):
            matrix, inliers = np.asarray(homography, np.float64), np.asarray(fitted).ravel().astype(np.bool_)
    return PairMotion(
        corner_displacement_pct(matrix, width, height), matrix, len(start), float(inliers.mean())
    )


def corner_displacement_pct(matrix: Matrix, width: int, height: int) -> float:
    """Mean displacement of the picture's corners under a 3 x 3 motion, percent of the diagonal."""
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    moved = cv2.perspectiveTransform(corners[None], matrix)[0]
    return float(np.linalg.norm(moved - corners, axis=1).mean() / np.hypot(width, height) * 100)


def camera_motion(clip: Clip, estimator: FlowEstimator) -> CameraMotion:
    """Step and drift of a clip's camera. Frames are decoded once and streamed; frame 0 and one other are
    held.
    """
    step = max(round(STEP_S * clip.fps), 1)
    drift_every = max(round(DRIFT_EVERY_S * clip.fps), step)
    steps: list[PairMotion | None] = []
    drifts: list[PairMotion | None] = []
    first = previous = None
    for index, frame in enumerate(clip.frames(height=min(ANALYSIS_HEIGHT, clip.height))):
        if index % step and index % drift_every:
            continue
        if first is None:
            first = previous = frame
            continue
        if index % step == 0 and previous is not None:
            steps.append(pair_motion(estimator.estimate(previous, frame)))
            previous = frame
        if index % drift_every == 0:
            drifts.append(pair_motion(estimator.estimate(first, frame)))
    measured = [pair for pair in (*steps, *drifts) if pair is not None]
    return CameraMotion(
        step_pct=_median([pair.displacement_pct for pair in steps if pair]),
        drift_pct=_second_largest([pair.displacement_pct for pair in drifts if pair]),
        measured_pairs=len(measured),
        pairs=len(steps) + len(drifts),
    )


def _spread(points: npt.NDArray[np.float32], width: int, height: int) -> float:
    return float(cv2.contourArea(cv2.convexHull(points))) / (width * height)


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else 0.0


def _second_largest(values: Sequence[float]) -> float:
    if not values:
        return 0.0
    ordered = sorted(values, reverse=True)
    return ordered[1] if len(ordered) >= 4 else ordered[0]
