"""What makes a mask suspect over time: jumps of its area, frames where the subject is gone, missed labels.

What a reader gets wrong: these are measurements and no verdicts. A subject that walks out of the picture is
gone too; `label_lost_share` is the one that tells, since it counts only where a label was located.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actors.ops.boxes import box_slices
from actors.ops.masks import PackedRows, mask_share, unpack_rows
from actors.roles import Anchor

LOST_BELOW = 0.05
"""Ours. Gone: a frame with less than this share of the largest area so far, a located box with less than this
share of its pixels marked (what of a neighbour reaches into the box is not the label)."""


@dataclass(frozen=True)
class MaskFaults:
    area_step: float
    """Largest change of the area from one frame to the next, as a share of the largest area, 0..1: 1 where
    the whole subject comes or goes at once."""
    lost_share: float
    """Share of the frames, 0..1, on which the subject is gone after it was there."""
    label_lost_share: float
    """Share of the located boxes, 0..1, in which the mask marks almost nothing. 0.0 without boxes. A label
    that lies within another's mask does not count as lost: the mask is a union."""


def mask_faults(packed: PackedRows, width: int, anchors: Sequence[Anchor]) -> MaskFaults:
    """Of (T, H, ceil(width / 8)) packed rows; keeps a number a frame and unpacks an anchor frame at a time.

    `anchors`: the located boxes, in absolute pixels of the mask.
    """
    area = mask_share(packed, width)
    largest = np.maximum.accumulate(area)
    steps = np.abs(np.diff(area))
    lost = located = 0
    for anchor in anchors:
        mask = unpack_rows(packed[anchor.frame_index], width)
        for box in anchor.boxes.values():
            inside = mask[box_slices(box, width, len(mask))]
            located += inside.size > 0
            lost += int(np.count_nonzero(inside)) < LOST_BELOW * inside.size
    return MaskFaults(
        area_step=float(steps.max() / largest[-1]) if largest[-1] > 0 and len(steps) else 0.0,
        lost_share=float(((largest > 0) & (area < LOST_BELOW * largest)).mean()),
        label_lost_share=lost / located if located else 0.0,
    )
