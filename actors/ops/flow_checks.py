"""Where an optical flow can be trusted: where flowing there and back ends at the start, and where there is
texture to see a motion by.

What a reader gets wrong: displacements are in pixels of the flow's own grid, whatever the frame's size.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

MIN_TEXTURE = 1.5
"""Least standard deviation (8-bit levels, 9x9 window) where a motion can be seen at all."""

Grey = npt.NDArray[np.uint8]
Displacement = npt.NDArray[np.float32]


def warped(picture: npt.NDArray[np.float32], displacement: Displacement) -> npt.NDArray[np.float32]:
    """`picture` read at each place plus its displacement; the border is repeated. (h, w) or (h, w, c)
    float32.
    """
    rows, columns = np.indices(displacement.shape[:2], dtype=np.float32)
    return np.asarray(
        cv2.remap(
            picture,
            columns + displacement[..., 0],
            rows + displacement[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


def round_trip_error(forward: Displacement, backward: Displacement) -> npt.NDArray[np.float32]:
    """How far from its start a point lands, forward and back: (h, w) float32, pixels of the grid."""
    return np.asarray(np.linalg.norm(forward + warped(backward, forward), axis=-1), np.float32)


def texture(grey: Grey, window: int = 9) -> npt.NDArray[np.float32]:
    """Standard deviation of the levels in a window around each pixel: (h, w) float32."""
    levels = grey.astype(np.float32)
    mean = cv2.blur(levels, (window, window))
    square = cv2.blur(levels * levels, (window, window))
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0.0)), np.float32)
