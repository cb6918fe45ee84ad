"""The embedded VideoTracker: mattes at the anchor frames, carried forward and backward by optical flow.

What a reader gets wrong: a pass does not see the whole clip. It reaches `REACH_S` at most, less where the
flow stops holding, and says nothing beyond. And the passes share their work: the clip is decoded once, each
flow is computed once, whatever the number of anchors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded.flow import dis_flow, grey_grid
from actors.backends.embedded.refinement import refined
from actors.backends.embedded.segmenter import Matte, Segmenter
from actors.ops.boxes import box_slices, grow_box
from actors.ops.flow_checks import Displacement, Grey, round_trip_error, warped
from actors.roles import Anchor, Box, Clip, Extend, Frame, Mask, PassMask

GRID_HEIGHT = 360
"""Rows of the grid on which mattes are carried: 640x360 for 16:9."""
REACH_S = 0.75
"""A pass reaches 12 frames at 16 fps to each side: carried mattes keep an IoU of 0.90-0.995 a quarter second
from their anchor, and with anchors every half second each frame still hears two to three passes.
"""
MIN_HELD_SHARE = 0.6
"""A pass ends earlier where less than this share of its outline's flow survives the round trip."""
ROUND_TRIP_PX = 1.5
"""On the 360-row grid."""
_FLOW_PRESET = cv2.DISOPTICAL_FLOW_PRESET_FAST  # a fifth of MEDIUM's cost, no difference in the masks
STILL_LEVELS = 7.0
"""Standard deviation over the clip under which a pixel shows the same thing throughout (compression gives
1-4).
"""
_STILL_SLACK = 0.04
_STILL_WINDOW = (9, 9)
_STILL_CLOSING = np.ones((25, 25), np.uint8)  # reflections on a still thing flicker in spots
_BAND_PX = 9
_MIN_PART = 0.02  # of the largest part: smaller ones are specks
_INSIDE = 0.5  # share of a part that its boxes must cover
_BOX_SLACK = 0.03


class FlowTracker:
    """CPU seconds of one core for 81 frames of 1280x720 and 11 anchors: see `benchmarks/masks.py`."""

    def __init__(self) -> None:
        self._segmenter = Segmenter()

    def track(
        self, clip: Clip, anchors: Sequence[Anchor], extend: Extend | None = None
    ) -> Iterator[PassMask]:
        """One pass an anchor; a frame that a pass does not reach gets no PassMask.

        Memory: flows as float16 on half the grid (0.23 MB a frame pair and direction), one matte an anchor.
        """
        boxes = {anchor.frame_index: list(anchor.boxes.values()) for anchor in anchors}
        mattes: dict[int, Matte] = {}
        flows: list[tuple[npt.NDArray[np.float16], npt.NDArray[np.float16]]] = []
        previous: Grey | None = None
        total = squares = np.zeros((1, 1), np.float64)
        for index, frame in enumerate(clip.frames()):
            grey = grey_grid(frame, min(GRID_HEIGHT, clip.height))
            if previous is not None:
                forward, backward = (
                    dis_flow(*pair, preset=_FLOW_PRESET) for pair in ((previous, grey), (grey, previous))
                )
                flows.append((_halved(forward), _halved(backward)))
            previous = grey
            total = total + grey
            squares = squares + grey.astype(np.float64) ** 2
            if index in boxes:
                matte = subject_matte(self._segmenter, frame, boxes[index])
                small = cv2.resize(matte, grey.shape[::-1], interpolation=cv2.INTER_AREA)
                mattes[index] = np.asarray(small, np.float32)
        mean = total / clip.num_frames
        spread = np.sqrt(np.maximum(cv2.blur(squares / clip.num_frames - mean * mean, _STILL_WINDOW), 0.0))
        beside = (spread < STILL_LEVELS) & _outside_most(
            list(boxes.values()), mean.shape, (clip.width, clip.height)
        )
        reach = max(round(REACH_S * clip.fps), 1)
        walks = []
        for number, anchor in enumerate(anchors):
            start = anchor.frame_index
            if start in mattes:
                matte = np.where(beside, np.float32(0.0), mattes[start])
                yield PassMask(number, start, _full_size(matte, (clip.width, clip.height)))
                for direction in (1, -1):
                    carried = _carried_masks(matte, start, direction, flows, reach, (clip.width, clip.height))
                    walks.append(_Walk(number, start, direction, carried))
        wanted: Sequence[Anchor] | None = anchors
        while wanted is not None:
            for walk in walks:
                yield from walk.until(*wanted[walk.number].span(clip.num_frames))
            wanted = None if extend is None else extend()

    def refine(self, clip: Clip, masks: Iterator[Mask]) -> Iterator[Mask]:
        """The voted masks, one per frame in order, corrected as `refinement` says."""
        yield from refined(clip, masks, self._segmenter)


@dataclass
class _Walk:
    """One direction of one pass, as far as it has come."""

    number: int
    frame: int
    direction: int
    masks: Iterator[Mask]

    def until(self, first: int, last: int) -> Iterator[PassMask]:
        """On to the end of the span, or to where the flow stops holding."""
        while first <= self.frame + self.direction <= last:
            mask = next(self.masks, None)
            if mask is None:
                return
            self.frame += self.direction
            yield PassMask(self.number, self.frame, mask)


Half = npt.NDArray[np.float16]
"""(h / 2, w / 2, 2): a displacement on half the grid, in pixels of that half."""


def _carried_masks(
    matte: Matte,
    start: int,
    direction: int,
    flows: Sequence[tuple[Half, Half]],
    reach: int,
    size: tuple[int, int],
) -> Iterator[Mask]:
    """The masks of the frames that follow `start` in one direction, while the flow holds."""
    # Where each pixel of the frame in hand lay on the anchor frame, on the half grid.
    origin = np.zeros((*flows[0][0].shape[:2], 2), np.float32) if flows else None
    for distance in range(1, reach + 1):
        index = start + direction * distance
        if origin is None or not 0 <= index <= len(flows):
            return
        forward, backward = flows[index - 1] if direction > 0 else flows[index]
        onward, back = (forward, backward) if direction > 0 else (backward, forward)
        step = back.astype(np.float32)
        origin = step + warped(origin, step)
        carried = _carried(matte, origin)
        if _held_share(carried, step, onward.astype(np.float32)) < MIN_HELD_SHARE:
            return
        yield _full_size(carried, size)


def subject_matte(segmenter: Segmenter, frame: Frame, boxes: Sequence[Box]) -> Matte:
    """The matte of what the boxes (absolute pixels) show, without parts that lie mostly outside of them."""
    matte = segmenter.foreground(frame, boxes, whole_too=False)
    height, width = matte.shape
    inside = np.zeros(matte.shape, np.uint8)
    for box in boxes:
        inside[box_slices(grow_box(box, _BOX_SLACK), width, height)] = 1
    count, labels, stats, _ = cv2.connectedComponentsWithStats((matte > 0.5).astype(np.uint8))
    if count < 2:
        return matte
    area = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    covered = np.bincount(labels.ravel(), weights=inside.ravel(), minlength=count) / area
    keep = (covered >= _INSIDE) & (area >= _MIN_PART * area[1:].max())
    keep[0] = False
    # The soft rim of a part belongs to it: what is kept is grown before it is cut out.
    near = cv2.dilate(keep[labels].astype(np.uint8), np.ones((2 * _BAND_PX + 1,) * 2, np.uint8)) > 0
    keep[0] = True
    return np.where(near & keep[labels], matte, np.float32(0.0))


def _outside_most(boxes: Sequence[Sequence[Box]], grid: tuple[int, ...], size: tuple[int, int]) -> Mask:
    """Outside of the boxes of more than half of the anchors. What is there and never moves is not the subject
    but a thing beside it: a phone on the table before a person who talks.
    """
    rows, columns = grid
    inside = np.zeros((rows, columns), np.int32)
    for of_one_frame in boxes:
        covered = np.zeros((rows, columns), np.bool_)
        for x1, y1, x2, y2 in (grow_box(box, _STILL_SLACK) for box in of_one_frame):
            on_grid = (
                x1 * columns / size[0],
                y1 * rows / size[1],
                x2 * columns / size[0],
                y2 * rows / size[1],
            )
            covered[box_slices(on_grid, columns, rows)] = True
        inside += covered
    return inside * 2 < len(boxes)


def _halved(flow: Displacement) -> Half:
    height, width = flow.shape[:2]
    small = cv2.resize(flow, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(small * 0.5, np.float16)


def _carried(matte: Matte, origin: Displacement) -> Matte:
    height, width = matte.shape
    full = np.asarray(cv2.resize(origin, (width, height), interpolation=cv2.INTER_LINEAR), np.float32) * 2
    return warped(matte, full)


def _held_share(matte: Matte, back: Displacement, onward: Displacement) -> float:
    """Share of the outline's pixels whose flow survives the round trip; 1.0 where there is no outline."""
    height, width = back.shape[:2]
    body = (cv2.resize(matte, (width, height), interpolation=cv2.INTER_AREA) > 0.5).astype(np.uint8)
    kernel = np.ones((5, 5), np.uint8)
    band = (cv2.dilate(body, kernel) - cv2.erode(body, kernel)) > 0
    if not band.any():
        return 1.0
    return float((round_trip_error(back, onward)[band] < ROUND_TRIP_PX / 2).mean())


def _full_size(matte: Matte, size: tuple[int, int]) -> Mask:
    return np.asarray(cv2.resize(matte, size, interpolation=cv2.INTER_LINEAR) > 0.5)
