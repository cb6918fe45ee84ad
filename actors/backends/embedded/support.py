"""What a subject sits on or leans on: the desk, bench or sill under a torso that ends inside the frame.

What a reader gets wrong: a support is kept because it cuts its subject off. A standing person needs none (the
feet meet the new ground), nor does a torso that the frame itself cuts.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from actors.roles import Frame, Mask

_SIZE = (320, 180)  # width and height at which the region is grown
_CONTACT = 0.045  # of the height: thickness of the line of contact
_RISE = 0.04  # of the height: how far above the line of contact the support may reach
_MIN_WIDTH = 0.4  # of the subject's width that must touch; feet touch less
_LEG = 0.09  # of the height: what reaches this far below the line of contact is a leg, not a thing on a desk
_MAX_LOWER = 0.35  # of the subject's width that may end lower: more is a torso that the frame cuts
_MAX_SHARE = 0.40  # of the frame; a region that grows larger is the ground, not a thing

Bits = npt.NDArray[np.uint8]


def support_region(image: Frame, subject: Mask) -> Mask:
    """The part of `image` (H, W, 3) that `subject` (H, W) rests on, with what lies on it; (H, W).

    All False where there is none. Colours under the line of contact are grown by GrabCut at 320x180, with a
    fixed seed (0.1 CPU seconds); the edge is exact to about two pixels of that size, matting does the rest.
    """
    height, width = subject.shape
    nothing = np.zeros_like(subject)
    cv2.setNumThreads(1)
    cv2.setRNGSeed(7)  # GrabCut seeds its colour models from OpenCV's generator
    small = cv2.resize(image, _SIZE, interpolation=cv2.INTER_AREA)
    body = _largest(cv2.resize(subject.astype(np.uint8), _SIZE, interpolation=cv2.INTER_AREA))
    columns = np.flatnonzero(body.any(axis=0))
    if not columns.size:
        return nothing
    rows = _SIZE[1]
    lowest = rows - 1 - np.argmax(body[::-1, columns] > 0, axis=0)
    # Most columns end at the line of contact; single ones end lower (a phone on the desk, a foot).
    band = round(_CONTACT * rows)
    ends = np.convolve(np.bincount(lowest, minlength=rows), np.ones(band + 1, dtype=np.int64))[:rows]
    bottom = int(np.argmax(ends))
    touching = (lowest >= bottom - band) & (lowest <= bottom)
    stands = (lowest > bottom + _LEG * rows).mean() > 0.1 or (lowest > bottom).mean() > _MAX_LOWER
    if bottom >= rows - 4 or stands or touching.mean() < _MIN_WIDTH:
        return nothing

    top = int(lowest[touching].min()) - round(_RISE * rows)
    labels = np.full((rows, _SIZE[0]), cv2.GC_PR_BGD, np.uint8)
    labels[:top] = cv2.GC_BGD
    below = np.zeros_like(labels)
    for column, low in zip(columns[touching], lowest[touching], strict=True):
        below[low + 4 :, column] = 1
    labels[below > 0] = cv2.GC_FGD
    around = cv2.dilate(body, np.ones((5, 5), np.uint8))
    neutral = cv2.inpaint(
        small, around * 255, 3, cv2.INPAINT_TELEA
    )  # the subject's colours must teach nothing
    old, new = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(neutral, labels, (0, 0, 1, 1), old, new, 4, cv2.GC_INIT_WITH_MASK)

    grown = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    _, parts = cv2.connectedComponents(grown)
    region = (np.isin(parts, np.unique(parts[(below > 0) & (grown > 0)])) & (grown > 0)).astype(np.uint8)
    region = _filled(cv2.morphologyEx(region, cv2.MORPH_CLOSE, _disc(9)))
    for column, low in zip(columns[touching], lowest[touching], strict=True):
        first = int(np.argmax(region[low + 1 :, column] > 0))
        if first <= band:  # no gap between the two
            region[low + 1 : low + 1 + first, column] = 1
    region[:top] = 0
    if region.mean() > _MAX_SHARE:
        return nothing
    smooth = cv2.resize(region * 255, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((cv2.GaussianBlur(smooth, (0, 0), height / 240) > 127) & ~subject, dtype=np.bool_)


def _disc(size: int) -> Bits:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), dtype=np.uint8)


def _largest(bits: npt.ArrayLike) -> Bits:
    """The largest connected part of `bits`."""
    whole = np.asarray(bits, dtype=np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(whole)
    if count < 2:
        return np.zeros_like(whole)
    return np.asarray(parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax(), dtype=np.uint8)


def _filled(bits: npt.ArrayLike) -> Bits:
    """`bits` without holes; a bay that is open to the frame's left, right or upper border is none."""
    outside = np.pad(1 - np.asarray(bits, dtype=np.uint8), ((1, 0), (1, 1)), constant_values=1)
    _, parts = cv2.connectedComponents(outside)
    return np.asarray(parts[1:, 1:-1] != parts[0, 0], dtype=np.uint8)
