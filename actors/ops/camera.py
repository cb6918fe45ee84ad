"""How much a camera moves: from optical flow to percent of the picture's diagonal. Pure functions on arrays.

What a reader gets wrong: the figure is the mean displacement of the four corners under the motion fitted to
the background, not the mean flow: a zoom about the centre has little mean flow and moves every corner. And a
figure of 0 with `measured_pairs` 0 means "nothing to see a motion by" (a plain wall), not "measured and
still".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from actors.roles import CameraVerdict, Clip, FlowEstimator, FlowField, Frame, Mask

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


# The judge: other evidence than the filter's. No dense flow, no fitted motion and no person mask, but single
# corners.

CORNER_CELLS = (16, 9)
"""Columns and rows of the cells that the picture is cut into; the strongest corner of each is followed, so
that the subject, however rich in detail, has no more voices than its area.
"""
MIN_CORNERS = 12
STILL_PCT = 0.16
"""A corner within this of its first place, 1.2 pixels of 360 rows, has not moved: compression alone moves
some by 1.
"""
MIN_STILL_SHARE = 0.15
"""Least share of the corners that must not have moved. A subject may fill two thirds of the picture, a moving
camera leaves none in place but, for a zoom or a rotation, those at its centre.
"""
_LK_WINDOW = (15, 15)
_LK_ROUND_TRIP_PX = 0.5

Points = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]


def judge_static_camera(clip: Clip) -> CameraVerdict:
    """Is the camera fixed? Decided by single corners followed from the first frame (Lucas-Kanade, there and
    back).

    The reasoning names every number it rests on. Where the picture has too few corners to judge by, it says
    so and finds for a fixed camera, as nothing speaks against it. 0.3 CPU seconds a clip, apart from
    decoding.
    """
    step = max(round(STEP_S * clip.fps), 1)
    first: Grey | None = None
    places: Points = np.empty((0, 2), np.float32)
    shares: list[float] = []
    medians: list[float] = []
    tracked: list[int] = []
    for index, frame in enumerate(clip.frames(height=min(ANALYSIS_HEIGHT, clip.height))):
        if index % step:
            continue
        grey = _evened(frame)
        if first is None:
            first, places = grey, _corners(grey)
            if len(places) < MIN_CORNERS:
                break
            continue
        shift = _corner_shifts(first, grey, places) / np.hypot(*grey.shape) * 100
        if len(shift) >= MIN_CORNERS:
            shares.append(float((shift <= STILL_PCT).mean()))
            medians.append(float(np.median(shift)))
            tracked.append(len(shift))
    return _verdict(len(places), tracked, shares, medians)


def _verdict(
    corners: int, tracked: Sequence[int], shares: Sequence[float], medians: Sequence[float]
) -> CameraVerdict:
    if not shares:
        return CameraVerdict(
            True,
            f"I look for corners to hold on to and find {corners} in the first frame; {MIN_CORNERS} that "
            f"can be "
            "followed are needed. So plain a picture shows no camera motion. Nothing speaks against a fixed "
            "camera, so I take it as fixed, with low confidence.",
        )
    worst, drift = _second_smallest(shares), _second_largest(medians)
    static = worst >= MIN_STILL_SHARE
    usual = round(float(np.median(tracked)))
    conclusion = (
        "Enough corners stay, so what moves is in the picture and the camera is fixed."
        if static
        else "Too few corners stay, so the picture as a whole moves and the camera is not fixed."
    )
    return CameraVerdict(
        static,
        f"First, I choose the {corners} clearest corners of the first frame, one to a region, and follow "
        f"them "
        f"through the clip; {usual} can be followed at a usual moment. Second, at the clip's worst moment "
        f"{worst:.0%} of them are still within {STILL_PCT:.2f} % of the diagonal of their first place, "
        f"and the "
        f"middle one is off by {drift:.2f} %. Third, with a fixed camera the corners of the background "
        f"stay, at "
        f"least {MIN_STILL_SHARE:.0%} of all, and only those on what moves leave their place; a pan, a "
        f"zoom, a "
        f"rotation or a shaking hand takes all along. {conclusion}",
    )


def _evened(frame: Frame) -> Grey:
    """Grey levels with the local mean and contrast taken out: a lamp that is switched on must not look like
    motion.
    """
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean = cv2.GaussianBlur(grey, (0, 0), 12.0)
    spread = np.sqrt(np.maximum(cv2.GaussianBlur(grey * grey, (0, 0), 12.0) - mean * mean, 0.0)) + 4.0
    return np.clip(128.0 + 40.0 * (cv2.GaussianBlur(grey, (0, 0), 0.8) - mean) / spread, 0, 255).astype(
        np.uint8
    )


def _corners(grey: Grey) -> Points:
    """The strongest corner of each cell that has one, (n, 2) x and y."""
    height, width = grey.shape
    strength = cv2.cornerMinEigenVal(grey, 5)
    least = 0.02 * float(strength.max())
    margin = _LK_WINDOW[0] // 2 + 1
    found = []
    rows = np.linspace(margin, height - margin, CORNER_CELLS[1] + 1).astype(int)
    columns = np.linspace(margin, width - margin, CORNER_CELLS[0] + 1).astype(int)
    for top, bottom in pairwise(rows.tolist()):
        for left, right in pairwise(columns.tolist()):
            cell = strength[top:bottom, left:right]
            if cell.size and float(cell.max()) > max(least, 1e-6):
                row, column = np.unravel_index(int(cell.argmax()), cell.shape)
                found.append((left + int(column), top + int(row)))
    return np.array(found, np.float32).reshape(-1, 2)


def _corner_shifts(first: Grey, second: Grey, places: Points) -> npt.NDArray[np.float64]:
    """How far each corner is from its first place, pixels; corners that cannot be followed are left out."""
    there, found = _followed(first, second, places)
    back, again = _followed(second, first, there)
    kept = found & again & (np.linalg.norm(back - places, axis=1) < _LK_ROUND_TRIP_PX)
    return np.asarray(np.linalg.norm(there[kept] - places[kept], axis=1), np.float64)


def _followed(first: Grey, second: Grey, places: Points) -> tuple[Points, Mask]:
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        first, second, places[:, None], places[:, None].copy(), winSize=_LK_WINDOW, maxLevel=3
    )
    return np.asarray(there, np.float32).reshape(-1, 2), np.asarray(found).ravel() > 0


def _second_smallest(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[1] if len(ordered) >= 4 else ordered[0]
