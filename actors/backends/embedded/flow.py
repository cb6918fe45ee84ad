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

from actors.backends.embedded.segmenter import Segmenter
from actors.ops.flow_checks import MIN_TEXTURE, Displacement, Grey, round_trip_error, texture
from actors.roles import FlowField, Frame, Mask

FLOW_HEIGHT = 180
"""Rows of the flow grid; 16:9 gives 320x180. DIS finds 0.05 px there, 0.014 % of the diagonal."""
ROUND_TRIP_PX = 0.3
"""Forward and backward flow must cancel to this many pixels of the grid."""
PERSON_SHARE = 0.3
"""From this probability on (selfie models) a pixel counts as part of a moving subject."""
PERSON_MARGIN_PX = 6
"""And as many pixels of the grid around it: shadows, and flow smeared over the outline."""
_REMEMBERED = 4  # frames whose grey picture and boxes are kept: consecutive pairs share one


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
