"""Near votes: which pass runs how far, and that a dispute is settled by further passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ops.bait import NearVotes, VoteAccumulator
from actors.ops.masks import unpack_rows
from actors.roles import Anchor, Clip, Extend, Mask, PassMask
from actors.stage4_tracking import ForegroundTracker, ForegroundTrackerConfig
from benchmarks.bait import moving_squares
from schemas.config import ConfigError, validated


def anchors_at(*frames: int) -> list[Anchor]:
    return [Anchor(frame, {"cat": (0.0, 0.0, 2.0, 2.0)}) for frame in frames]


def spans(near: NearVotes, num_frames: int) -> list[tuple[int, int]]:
    return [anchor.span(num_frames) for anchor in near.anchors()]


def test_without_a_number_every_pass_covers_the_whole_clip() -> None:
    assert spans(NearVotes(anchors_at(0, 8, 16), 17, None), 17) == [(0, 16)] * 3


def test_one_vote_is_the_nearest_anchors_and_a_tie_is_the_earlier_ones() -> None:
    assert spans(NearVotes(anchors_at(0, 8, 16), 17, 1), 17) == [(0, 4), (5, 12), (13, 16)]


def test_three_votes_of_eleven_anchors_cost_three_passes_a_frame() -> None:
    found = spans(NearVotes(anchors_at(*range(0, 81, 8)), 81, 3), 81)
    assert sum(last - first + 1 for first, last in found) == 3 * 81


@given(
    st.sets(st.integers(0, 39), min_size=1, max_size=8),
    st.sampled_from([1, 3, 5]),
    st.lists(st.integers(0, 39), max_size=4),
)
def test_every_frame_hears_its_nearest_anchors(places: set[int], votes: int, disputed: list[int]) -> None:
    near = NearVotes(anchors_at(*sorted(places)), 40, votes)
    heard_more = near.hear_more(disputed)
    assert heard_more == (bool(disputed) and len(places) > votes)
    found = spans(near, 40)
    for frame in range(40):
        wanted = min(votes + 2 * (frame in disputed), len(places))
        speaking = [
            place
            for place, (first, last) in zip(sorted(places), found, strict=True)
            if first <= frame <= last
        ]
        nearest = sorted(sorted(places), key=lambda place: abs(place - frame))[:wanted]
        assert set(nearest) <= set(speaking)
        if not disputed:
            assert set(nearest) == set(speaking)
    for place, (first, last) in zip(sorted(places), found, strict=True):
        assert first <= place <= last


class SteadyPasses:
    """A tracker of which some passes see the left half and others the right half; it notes what it ran."""

    def __init__(self, right: Sequence[int]) -> None:
        self._right = right
        self.said: list[tuple[int, int]] = []

    def track(
        self, clip: Clip, anchors: Sequence[Anchor], extend: Extend | None = None
    ) -> Iterator[PassMask]:
        wanted: Sequence[Anchor] | None = anchors
        while wanted is not None:
            for number, anchor in enumerate(wanted):
                first, last = anchor.span(clip.num_frames)
                for frame in range(first, last + 1):
                    if (number, frame) not in self.said:
                        self.said.append((number, frame))
                        mask = np.zeros((clip.height, clip.width), np.bool_)
                        half = clip.width // 2
                        mask[:, half:] = number in self._right
                        mask[:, :half] = number not in self._right
                        yield PassMask(number, frame, mask)
            wanted = None if extend is None else extend()

    def refine(self, clip: Clip, masks: Iterator[Mask]) -> Iterator[Mask]:
        yield from masks


def voted(config: ForegroundTrackerConfig, right: Sequence[int]) -> tuple[SteadyPasses, np.ndarray]:
    clip, passes = moving_squares(17, (16, 8)), SteadyPasses(right)
    result = ForegroundTracker(config, passes)._voted(clip, anchors_at(0, 4, 8, 12, 16))
    return passes, unpack_rows(result.packed, clip.width)


def test_passes_that_agree_are_not_extended() -> None:
    passes, masks = voted(ForegroundTrackerConfig(votes_per_frame=3, extend_votes_below=0.9), right=())
    assert len(passes.said) == 3 * 17
    assert masks[:, :, :8].all()
    assert not masks[:, :, 8:].any()


def test_disputed_frames_hear_all_passes_and_the_far_majority_wins() -> None:
    wrong = (1, 2)  # both among the three nearest to frame 4
    near, masks = voted(ForegroundTrackerConfig(votes_per_frame=3), wrong)
    assert len(near.said) == 3 * 17
    assert masks[4, :, 8:].all()
    settled, masks = voted(ForegroundTrackerConfig(votes_per_frame=3, extend_votes_below=0.9), wrong)
    assert len(settled.said) == len(set(settled.said)) > len(near.said)
    assert masks[4, :, :8].all()
    assert not masks[4, :, 8:].any()


def test_dispute_is_measured_as_the_journals_agreement_is() -> None:
    vote = VoteAccumulator(2, 8, 16)
    half = np.zeros((8, 16), np.bool_)
    half[:, :8] = True
    for number, mask in enumerate((half, half, ~half)):
        vote.add(PassMask(number, 0, mask))
        vote.add(PassMask(number, 1, half))
    assert vote.disputed(0.9) == [0]
    assert vote.result().agreement == 0.5


def test_the_config_decides_a_tie_of_an_even_number_of_passes() -> None:
    clip, anchors = moving_squares(17, (16, 8)), anchors_at(0, 8)  # one sees the left half, one the right
    for ties, share in (("foreground", 1.0), ("background", 0.0)):
        config = validated(ForegroundTrackerConfig, {"ties": ties}, "actors.ForegroundTracker")
        result = ForegroundTracker(config, SteadyPasses(right=(1,)))._voted(clip, anchors)
        assert unpack_rows(result.packed, clip.width).mean() == share


def test_an_even_number_of_votes_is_refused_in_the_config() -> None:
    with pytest.raises(ConfigError, match="must be odd"):
        validated(ForegroundTrackerConfig, {"votes_per_frame": 4}, "actors.ForegroundTracker")


def test_a_single_vote_that_should_be_extended_where_it_disagrees_is_refused() -> None:
    knobs = {"votes_per_frame": 1, "extend_votes_below": 0.9}
    with pytest.raises(ConfigError, match="a single vote never disagrees"):
        validated(ForegroundTrackerConfig, knobs, "actors.ForegroundTracker")
