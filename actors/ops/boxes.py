"""Rectangles: absolute pixels, the published 0..1000 form, growing, clipping and overlap.

What a reader gets wrong: `bbox_2d` is 0..1000 of width and height whatever the frame's size, and the swapped
corners that a language model sometimes writes are put right, never collapsed (the published helper loses such
a box).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from actors.roles import Box, Mask

BOX_SCALE = 1000
"""Published boxes are integers 0..1000 of the frame (Qwen-VL's convention)."""


def to_absolute(bbox_2d: Sequence[float], width: int, height: int) -> Box:
    """(x1, y1, x2, y2) in 0..1000 -> absolute pixels, corners sorted, clipped to the frame.

    Raises ValueError unless there are four finite numbers.
    """
    if len(bbox_2d) != 4 or not np.isfinite(np.asarray(bbox_2d, dtype=float)).all():
        raise ValueError(f"a box needs four finite numbers, got {list(bbox_2d)!r}")
    xa, ya, xb, yb = (float(value) / BOX_SCALE for value in bbox_2d)
    box = (min(xa, xb) * width, min(ya, yb) * height, max(xa, xb) * width, max(ya, yb) * height)
    return clip_box(box, width, height)


def to_published(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Absolute pixels -> integers 0..1000, corners sorted, clipped to the frame."""
    xa, ya, xb, yb = box
    x1, x2 = (round(min(max(x / width, 0.0), 1.0) * BOX_SCALE) for x in (min(xa, xb), max(xa, xb)))
    y1, y2 = (round(min(max(y / height, 0.0), 1.0) * BOX_SCALE) for y in (min(ya, yb), max(ya, yb)))
    return x1, y1, x2, y2


def clip_box(box: Box, width: int, height: int) -> Box:
    """The part of `box` inside a frame of `width` x `height` pixels (possibly of zero area)."""
    x1, y1, x2, y2 = box
    return (
        min(max(x1, 0.0), float(width)),
        min(max(y1, 0.0), float(height)),
        min(max(x2, 0.0), float(width)),
        min(max(y2, 0.0), float(height)),
    )


def grow_box(box: Box, share: float) -> Box:
    """`box` moved outward on each side by `share` of its own width and height; not clipped."""
    x1, y1, x2, y2 = box
    dx, dy = (x2 - x1) * share, (y2 - y1) * share
    return (x1 - dx, y1 - dy, x2 + dx, y2 + dy)


def box_area(box: Box) -> float:
    """Square units of the box."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def intersection_area(first: Box, second: Box) -> float:
    """Square units that both boxes cover."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0.0) * max(height, 0.0)


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union, 0..1; 0 where both are empty."""
    shared = intersection_area(first, second)
    union = box_area(first) + box_area(second) - shared
    return shared / union if union > 0 else 0.0


def union_box(boxes: Iterable[Box]) -> Box:
    """The smallest box that holds all of them. Raises ValueError for none."""
    corners = list(boxes)
    if not corners:
        raise ValueError("no boxes to unite")
    xs1, ys1, xs2, ys2 = zip(*corners, strict=True)
    return (min(xs1), min(ys1), max(xs2), max(ys2))


def box_of_mask(mask: Mask) -> Box | None:
    """The smallest box around the True pixels of `mask` (H, W), absolute pixels, or None where there are
    none.
    """
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return None
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def box_slices(box: Box, width: int, height: int) -> tuple[slice, slice]:
    """(rows, columns) of the whole pixels that `box`, clipped to the frame, touches."""
    x1, y1, x2, y2 = clip_box(box, width, height)
    return slice(int(y1), int(np.ceil(y2))), slice(int(x1), int(np.ceil(x2)))
