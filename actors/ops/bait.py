"""BAIT, the vote of stage 4: which frames anchor a pass, and how the passes decide every pixel.

What a reader gets wrong: a vote is a statement. A pass without a box, or one whose flow does not reach a
frame, says nothing about that frame; it must not count as "background". The majority is over the passes that
did speak, each with the weight one. On a tie the pixel is foreground if `ties_are_foreground`, see
`VoteAccumulator`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from actors.ops.masks import PackedRows, pack_rows
from actors.roles import Anchor, PassMask

ANCHOR_FPS = 2.0
"""Round-2 grounding looks at two frames a second (the published figure): 0, 8, 16, ... at 16 fps."""
AGREEMENT_SHARE = 0.8
"""A pixel is agreed on where at least this share of the voting passes says the same."""
AGREEMENT_MARGIN_PX = 12
"""Agreement is measured inside the union of all passes grown by this much (25x25): elsewhere all agree on
nothing.
"""
_MAX_PASSES = 255  # votes are counted in bytes


def anchor_indices(num_frames: int, fps: float = 16.0, anchor_fps: float = ANCHOR_FPS) -> list[int]:
    """The frames that anchor a pass: every half second from frame 0 (81 frames at 16 fps: 11 of them).

    Raises ValueError for a clip without frames or a rate that is not positive.
    """
    if num_frames < 1 or fps <= 0 or anchor_fps <= 0:
        raise ValueError(f"no anchors in {num_frames} frames at {fps} fps, {anchor_fps} anchors a second")
    stride = max(round(fps / anchor_fps), 1)
    return list(range(0, num_frames, stride))


class NearVotes:
    """Which passes vote on which frame: those of its nearest anchors, so that a pass runs only so far.

    `votes_per_frame`: how many, None for all (the paper's rule). Of two anchors equally near the earlier one
    counts first. The frames on which a pass counts are one stretch round its anchor.
    """

    def __init__(self, anchors: Sequence[Anchor], num_frames: int, votes_per_frame: int | None) -> None:
        self._anchors = anchors
        places = np.array([anchor.frame_index for anchor in anchors])
        away = np.abs(np.arange(num_frames)[:, None] - places)
        order = np.argsort(away, axis=1, kind="stable")
        self._rank = np.argsort(order, axis=1, kind="stable")  # (T, N), 0: the nearest anchor of the frame
        self._votes = np.full(num_frames, min(votes_per_frame or len(anchors), len(anchors)))

    def anchors(self) -> list[Anchor]:
        """The anchors, each with the span that its pass must cover."""
        counts = self._rank < self._votes[:, None]
        spanned = []
        for number, anchor in enumerate(self._anchors):
            frames = np.flatnonzero(counts[:, number])
            first, last = (frames[0], frames[-1]) if len(frames) else (anchor.frame_index,) * 2
            spanned.append(replace(anchor, first_frame=int(first), last_frame=int(last)))
        return spanned

    def hear_more(self, frames: Iterable[int]) -> bool:
        """Two further passes on each of these frames; False where all passes speak there already.

        On the way there a pass votes on the frames between as well.
        """
        frames = [frame for frame in frames if self._votes[frame] < len(self._anchors)]
        self._votes[frames] = np.minimum(self._votes[frames] + 2, len(self._anchors))
        return bool(frames)


@dataclass(frozen=True)
class VoteResult:
    packed: PackedRows
    """(T, H, ceil(W / 8)): the majority, bit-packed rows."""
    agreement: float
    """Share of pixels, 0..1, on which at least `AGREEMENT_SHARE` of the voting passes agree, inside the grown
    union of the passes, over the frames with two votes or more. 1.0 where no frame has two: a single voice
    never disagrees."""
    votes: npt.NDArray[np.int64]
    """(T,): how many passes reached each frame. 0: nobody spoke, the mask of that frame is empty."""


class VoteAccumulator:
    """Counts the votes of the passes as they come; memory is one byte a pixel of the clip, whatever their
    number.

    A pixel is foreground where more than half of the passes that reach its frame say so. A tie (an even
    number of passes, split evenly) is foreground with `ties_are_foreground` (the default: at the clip's ends
    and after a fast hand few passes reach a frame, and a lost finger is a worse fault than a pixel of halo).
    """

    def __init__(self, num_frames: int, height: int, width: int, *, ties_are_foreground: bool = True) -> None:
        self._yes = np.zeros((num_frames, height, width), np.uint8)
        self._reached = np.zeros(num_frames, np.int64)
        self._seen: set[tuple[int, int]] = set()
        self._ties = ties_are_foreground

    def add(self, vote: PassMask) -> None:
        """One pass's word on one frame; any order. Raises ValueError for a second word of a pass on a frame,
        a frame outside the clip, a mask of another size, or more than 255 passes on a frame.
        """
        frames, height, width = self._yes.shape
        key = (vote.anchor_index, vote.frame_index)
        if not 0 <= vote.frame_index < frames:
            raise ValueError(f"frame {vote.frame_index} of a clip of {frames} frames")
        if vote.mask.shape != (height, width):
            raise ValueError(f"a mask of shape {vote.mask.shape} for frames of shape {(height, width)}")
        if key in self._seen:
            raise ValueError(f"pass {vote.anchor_index} voted twice on frame {vote.frame_index}")
        if self._reached[vote.frame_index] == _MAX_PASSES:
            raise ValueError(f"more than {_MAX_PASSES} passes on frame {vote.frame_index}")
        self._seen.add(key)
        counts = self._yes[vote.frame_index]
        np.add(counts, vote.mask.view(np.uint8), out=counts)
        self._reached[vote.frame_index] += 1

    def disputed(self, below: float) -> list[int]:
        """The frames on which less than this share of the pixels is agreed on, as `VoteResult.agreement`."""
        frames = []
        for frame, (yes, reached) in enumerate(zip(self._yes, self._reached.tolist(), strict=True)):
            clear, region = _agreed_pixels(yes, reached)
            if clear < below * region:
                frames.append(frame)
        return frames

    def result(self) -> VoteResult:
        """The majority over all votes so far, frame by frame."""
        agreed = considered = 0
        for yes, reached in zip(self._yes, self._reached.tolist(), strict=True):
            clear, region = _agreed_pixels(yes, reached)
            agreed += clear
            considered += region
        agreement = agreed / considered if considered else 1.0
        return VoteResult(self.packed(), agreement, self._reached.copy())

    def packed(self) -> PackedRows:
        """`VoteResult.packed` alone."""
        frames, height, width = self._yes.shape
        rows = np.zeros((frames, height, -(-width // 8)), np.uint8)
        for frame, reached in enumerate(self._reached.tolist()):
            if reached:
                need = (reached + 1) // 2 if self._ties else reached // 2 + 1
                rows[frame] = pack_rows(self._yes[frame] >= need)
        return rows


_GROWN = np.ones((2 * AGREEMENT_MARGIN_PX + 1,) * 2, np.uint8)


def _agreed_pixels(yes: npt.NDArray[np.uint8], reached: int) -> tuple[int, int]:
    """Of a frame's counts: pixels agreed on, and pixels looked at; none where fewer than two voted."""
    if reached < 2:
        return 0, 0
    grown = cv2.dilate((yes > 0).view(np.uint8), _GROWN)
    region = cv2.countNonZero(grown)
    # Exact in integers: majority / reached >= 0.8 without rounding 4 / 5 down. Who is disputed has a "yes",
    # so lies in the region.
    need = -(-round(AGREEMENT_SHARE * 100) * reached // 100)
    disputed = (
        cv2.countNonZero(cv2.inRange(yes, reached - need + 1, need - 1)) if 2 * need > reached + 1 else 0
    )
    return region - disputed, region
