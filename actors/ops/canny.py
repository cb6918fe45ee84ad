"""Canny edges of source and background, fused by the foreground's mask: the control video of stage 5.

What a reader gets wrong: the edges are found on the full frames first and masked afterwards. Masking the
pictures first would draw the mask's own outline into the control, and the generator would paint it as a
cut-out's contour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from actors.roles import Frame, Mask

LOW_THRESHOLD = 100
HIGH_THRESHOLD = 200  # both from VideoX-Fun's own Canny node, which does not blur either


def fuse_edges(
    source: Frame, background: Frame, mask: Mask, *, low: float = LOW_THRESHOLD, high: float = HIGH_THRESHOLD
) -> Frame:
    """M * Canny(source) + (1 - M) * Canny(background): (H, W, 3), lines of one pixel, 255 on 0.

    `source` and `background` are (H, W, 3) of one size, `mask` is (H, W), True on the foreground; `low` and
    `high` are Canny's hysteresis thresholds on the gray picture. Raises ValueError where the sizes differ.
    """
    if source.shape != background.shape or mask.shape != source.shape[:2]:
        raise ValueError(
            f"source {source.shape}, background {background.shape} and mask {mask.shape} must be of one size"
        )
    kept, new = (
        cv2.Canny(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), low, high) for frame in (source, background)
    )
    return np.asarray(cv2.cvtColor(np.where(mask, kept, new), cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def fuse_edge_frames(
    source: Iterable[Frame],
    background: Iterable[Frame],
    masks: Iterable[Mask],
    *,
    low: float = LOW_THRESHOLD,
    high: float = HIGH_THRESHOLD,
) -> Iterator[Frame]:
    """One control frame a source frame, computed while they are read; the rest of `background` is not used.

    Raises ValueError where `background` or `masks` end before `source` does.
    """
    backgrounds, foregrounds = iter(background), iter(masks)
    for index, frame in enumerate(source):
        behind, mask = next(backgrounds, None), next(foregrounds, None)
        if behind is None or mask is None:
            missing = "background" if behind is None else "mask"
            raise ValueError(f"the {missing} ends at frame {index}, the source goes on")
        yield fuse_edges(frame, behind, mask, low=low, high=high)
