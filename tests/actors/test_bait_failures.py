"""The failures that BAIT exists for, on made clips: where one pass goes wrong and the vote does not.

What a reader gets wrong: the passes are made here after the way real trackers fail (they lose what leaves,
they follow an occluder), so these are tests of anchors and vote, not of any tracker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from actors.ops.masks import unpack_rows
from actors.roles import Anchor, Clip, Extend, Mask, PassMask
from actors.stage4_tracking import ForegroundTracker, ForegroundTrackerConfig, anchors_from
from benchmarks.bait import moving_squares

FRAMES = 17
CLIP = moving_squares(FRAMES, (64, 32))
THING = np.zeros((32, 64), np.bool_)
THING[8:24, 8:24] = True
OTHER = np.zeros((32, 64), np.bool_)
OTHER[4:28, 40:60] = True
NOTHING = np.zeros((32, 64), np.bool_)
THREE_NEAR = ForegroundTrackerConfig(votes_per_frame=3)
Seen = Callable[[int, int], Mask]
"""What the pass of this anchor frame says of this frame."""


class Passes:
    """A tracker that says what `seen` says."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def track(
        self, clip: Clip, anchors: Sequence[Anchor], extend: Extend | None = None
    ) -> Iterator[PassMask]:
        for number, anchor in enumerate(anchors):
            first, last = anchor.span(clip.num_frames)
            for frame in range(first, last + 1):
                yield PassMask(number, frame, self._seen(anchor.frame_index, frame))

    def refine(self, clip: Clip, masks: Iterator[Mask]) -> Iterator[Mask]:
        yield from masks


def anchors_at(*frames: int) -> list[Anchor]:
    return [Anchor(frame, {"thing": (8.0, 8.0, 24.0, 24.0)}) for frame in frames]


def voted(
    seen: Seen, anchors: list[Anchor], config: ForegroundTrackerConfig | None = None
) -> tuple[np.ndarray, float]:
    result = ForegroundTracker(config or ForegroundTrackerConfig(), Passes(seen))._voted(CLIP, anchors)
    return unpack_rows(result.packed, CLIP.width), result.agreement


def test_what_leaves_and_comes_back_is_there_again_though_no_single_pass_finds_it() -> None:
    def there(frame: int) -> bool:
        return frame <= 5 or frame >= 11

    def lost_once_gone(anchor: int, frame: int) -> Mask:
        between = range(min(anchor, frame), max(anchor, frame) + 1)
        return THING if all(there(step) for step in between) else NOTHING

    anchors = anchors_at(0, 4, 12, 16)  # the frame at 8 has no box
    assert not lost_once_gone(0, 14).any()
    for config in (None, THREE_NEAR):
        masks, agreement = voted(lost_once_gone, anchors, config)
        assert [bool(mask.any()) for mask in masks] == [there(frame) for frame in range(FRAMES)]
        assert agreement < 0.8  # half of the passes do not know of it: a person can be asked to look


def test_an_anchor_without_a_box_has_no_pass_and_no_vote() -> None:
    found = [{"label": "thing", "bbox_2d": [125, 250, 375, 750]}]
    anchors = anchors_from([found, [{"label": "thing", "bbox_2d": []}], found], CLIP)
    assert [anchor.frame_index for anchor in anchors] == [0, 16]
    masks, agreement = voted(lambda anchor, frame: THING, anchors)
    assert all(np.array_equal(mask, THING) for mask in masks)
    assert agreement == 1.0


def test_one_wrong_box_is_outvoted_near_and_far() -> None:
    for config in (None, THREE_NEAR):
        masks, _ = voted(
            lambda anchor, _: OTHER if anchor == 8 else THING, anchors_at(0, 4, 8, 12, 16), config
        )
        assert all(np.array_equal(mask, THING) for mask in masks)


def test_passes_that_follow_an_occluder_are_outvoted_by_those_from_the_other_side() -> None:
    def follows(anchor: int, frame: int) -> Mask:
        return OTHER if anchor < 6 <= frame else THING

    anchors = anchors_at(0, 4, 8, 12, 16)
    assert np.array_equal(follows(0, 16), OTHER)
    masks, _ = voted(follows, anchors)
    assert all(np.array_equal(mask, THING) for mask in masks)


def test_labels_that_swap_when_they_cross_leave_their_union_whole() -> None:
    def swapped(anchor: int, frame: int) -> Mask:
        first, second = (THING, OTHER) if (anchor < 8) == (frame < 8) else (OTHER, THING)
        return first | second

    masks, agreement = voted(swapped, anchors_at(0, 8, 16))
    assert all(np.array_equal(mask, THING | OTHER) for mask in masks)
    assert agreement == 1.0


def test_what_cannot_be_recovered_is_told_by_the_agreement() -> None:
    masks, agreement = voted(lambda anchor, _: THING if anchor < 8 else OTHER, anchors_at(0, 4, 8, 12, 16))
    assert np.array_equal(masks[0], OTHER)  # three of five are wrong
    assert agreement < 0.7
    assert anchors_from([[], [{"label": "thing", "bbox_2d": []}], []], CLIP) == []
