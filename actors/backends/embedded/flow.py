"""Optical flow between two frames: OpenCV's DIS at 320x180, with a forward/backward check and the subject
left out.

What a reader gets wrong: `reliable` does not mean "correct". It means that flowing there and back ends where
it began, that the picture has texture there, and that no person (or whatever fills the detector's boxes)
covers the place: a moving subject would else be taken for a moving camera.
"""

from __future__ import annotations

from collections import OrderedDict

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded.segmenter import Segmenter
from actors.roles import FlowField, Frame, Mask

FLOW_HEIGHT = 180
"""Rows of the flow grid; 16:9 gives 320x180. DIS finds 0.05 px there, 0.014 % of the diagonal."""
ROUND_TRIP_PX = 0.3
"""Forward and backward flow must cancel to this many pixels of the grid."""
MIN_TEXTURE = 1.5
"""Least standard deviation (8-bit levels, 9x9 window) where a motion can be seen at all."""
PERSON_SHARE = 0.3
"""From this probability on (selfie models) a pixel counts as part of a moving subject."""
PERSON_MARGIN_PX = 6
"""And as many pixels of the grid around it: shadows, and flow smeared over the outline."""
_REMEMBERED = 4  # frames whose grey picture and boxes are kept: consecutive pairs share one

Grey = npt.NDArray[np.uint8]
Displacement = npt.NDArray[np.float32]


def grey_grid(frame: Frame, height: int = FLOW_HEIGHT) -> Grey:
    """(H, W, 3) RGB -> (height, w) luma of the same aspect, w even."""
    width = max(2 * round(height * frame.shape[1] / frame.shape[0] / 2), 2)
    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def dis_flow(first: Grey, second: Grey, *, preset: int = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM) -> Displacement:
    """Dense motion from `first` to `second`: (h, w, 2) float32, dx and dy in pixels of the grid."""
    cv2.setNumThreads(1)
    engine = cv2.DISOpticalFlow.create(preset)
    return np.asarray(engine.calc(first, second, np.empty(0, np.float32)), np.float32)


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


class DisFlow:
    """The embedded `FlowEstimator`: 0.03 CPU seconds a pair."""

    def __init__(self) -> None:
        self._segmenter = Segmenter()
        self._recent: OrderedDict[int, tuple[Frame, Grey, Mask]] = OrderedDict()

    def estimate(self, first: Frame, second: Frame) -> FlowField:
        """Motion that carries `first` onto `second` (both (H, W, 3) RGB), on a grid of 180 rows."""
        grey_a, person_a = self._seen(first)
        grey_b, person_b = self._seen(second)
        forward = dis_flow(grey_a, grey_b)
        reliable = round_trip_error(forward, dis_flow(grey_b, grey_a)) < ROUND_TRIP_PX
        reliable &= texture(grey_a) > MIN_TEXTURE
        return FlowField(forward, reliable & ~person_a & ~person_b)

    def _seen(self, frame: Frame) -> tuple[Grey, Mask]:
        """Grey grid and where a person may be; remembered by identity, safe as the frame itself is held."""
        known = self._recent.get(id(frame))
        if known is None:
            grey = grey_grid(frame)
            small = cv2.resize(frame, grey.shape[::-1], interpolation=cv2.INTER_AREA)
            person = (self._segmenter.person_matte(np.asarray(small, np.uint8)) > PERSON_SHARE).astype(
                np.uint8
            )
            grown = cv2.dilate(person, np.ones((2 * PERSON_MARGIN_PX + 1,) * 2, np.uint8)).view(np.bool_)
            known = (frame, grey, grown)
            self._recent[id(frame)] = known
            while len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
        return known[1], known[2]
