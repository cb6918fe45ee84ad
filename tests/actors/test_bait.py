"""The vote of stage 4: who may speak, who wins, and what the agreement means."""

import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.ops.bait import VoteAccumulator, anchor_indices
from actors.ops.masks import unpack_rows
from actors.roles import PassMask


@pytest.mark.parametrize(
    ("frames", "fps", "expected"),
    [
        (81, 16.0, list(range(0, 81, 8))),
        (73, 16.0, list(range(0, 73, 8))),
        (1, 16.0, [0]),
        (17, 16.0, [0, 8, 16]),
        (60, 30.0, [0, 15, 30, 45]),
        (5, 1.0, [0, 1, 2, 3, 4]),
    ],
)
def test_anchors_are_two_frames_a_second_from_the_first(frames: int, fps: float, expected: list[int]) -> None:
    assert anchor_indices(frames, fps) == expected


def test_a_clip_without_frames_has_no_anchors() -> None:
    with pytest.raises(ValueError, match="no anchors"):
        anchor_indices(0)


def mask(rows: list[str]) -> npt.NDArray[np.bool_]:
    return np.array([[letter == "x" for letter in row] for row in rows])


def voted(
    votes: list[tuple[int, int, npt.NDArray[np.bool_]]], frames: int, **options: bool
) -> npt.NDArray[np.bool_]:
    height, width = votes[0][2].shape
    accumulator = VoteAccumulator(frames, height, width, **options)
    for anchor, frame, vote in votes:
        accumulator.add(PassMask(anchor, frame, vote))
    return unpack_rows(accumulator.result().packed, width)


def test_the_majority_of_the_passes_wins_pixel_by_pixel() -> None:
    got = voted([(0, 0, mask(["xx..."])), (1, 0, mask(["x.x.."])), (2, 0, mask(["xxx.."]))], 1)
    assert np.array_equal(got[0], mask(["xxx.."]))


def test_a_pass_out_of_reach_has_no_vote() -> None:
    # Frame 1 is reached by one pass only: were the silence of two others a "no", it would be empty.
    passes = [(0, 0, mask(["x."])), (1, 0, mask(["x."])), (2, 0, mask([".."])), (2, 1, mask([".x"]))]
    got = voted(passes, 2)
    assert np.array_equal(got[1], mask([".x"]))
    assert np.array_equal(got[0], mask(["x."]))


def test_a_tie_is_foreground_unless_asked_otherwise() -> None:
    passes = [(0, 0, mask(["xx."])), (1, 0, mask(["x.."]))]
    assert np.array_equal(voted(passes, 1)[0], mask(["xx."]))
    assert np.array_equal(voted(passes, 1, ties_are_foreground=False)[0], mask(["x.."]))


def test_a_frame_nobody_reached_is_empty_and_says_so() -> None:
    accumulator = VoteAccumulator(2, 1, 3)
    accumulator.add(PassMask(0, 0, mask(["xxx"])))
    result = accumulator.result()
    assert result.votes.tolist() == [1, 0]
    assert not unpack_rows(result.packed, 3)[1].any()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 7), st.integers(0, 50))
def test_the_order_of_the_votes_does_not_matter(passes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    votes = [(anchor, frame, rng.random((5, 9)) < 0.5) for anchor in range(passes) for frame in range(2)]
    shuffled = [votes[i] for i in rng.permutation(len(votes))]
    assert np.array_equal(voted(votes, 2), voted(shuffled, 2))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 7), st.integers(0, 50))
def test_the_vote_is_what_counting_by_hand_gives(passes: int, seed: int) -> None:
    masks = np.random.default_rng(seed).random((passes, 6, 10)) < 0.5
    got = voted([(anchor, 0, one) for anchor, one in enumerate(masks)], 1, ties_are_foreground=False)
    assert np.array_equal(got[0], masks.mean(axis=0) > 0.5)


def agreement(masks: list[npt.NDArray[np.bool_]]) -> float:
    accumulator = VoteAccumulator(1, *masks[0].shape)
    for anchor, one in enumerate(masks):
        accumulator.add(PassMask(anchor, 0, one))
    return accumulator.result().agreement


def test_agreement_is_one_where_all_say_the_same_and_falls_with_dissent() -> None:
    square = np.zeros((100, 120), np.bool_)
    square[30:70, 30:70] = True
    shifted = np.roll(square, 20, axis=1)
    assert agreement([square] * 5) == 1.0
    assert agreement([square]) == 1.0
    one_dissents = agreement([square] * 4 + [shifted])  # four of five agree: 80 % is enough
    two_dissent = agreement([square] * 3 + [shifted] * 2)
    assert one_dissents == 1.0
    # 2 x (40 x 20) pixels are disputed inside the union of 40 x 60, grown by 12 on each side.
    assert two_dissent == pytest.approx(1 - 1600 / (64 * 84))


def test_far_background_does_not_raise_the_agreement() -> None:
    small, large = np.zeros((80, 80), np.bool_), np.zeros((300, 300), np.bool_)
    small[30:50, 30:50] = True
    large[30:50, 30:50] = True
    assert agreement([small, np.roll(small, 8, 0)]) == agreement([large, np.roll(large, 8, 0)]) < 1


@pytest.mark.parametrize(
    ("vote", "words"),
    [
        (PassMask(0, 0, mask(["x."])), "voted twice"),
        (PassMask(1, 5, mask(["x."])), "frame 5 of a clip of 2"),
        (PassMask(1, -1, mask(["x."])), "frame -1"),
        (PassMask(1, 1, mask(["x"])), "shape"),
    ],
)
def test_a_wrong_vote_is_refused(vote: PassMask, words: str) -> None:
    accumulator = VoteAccumulator(2, 1, 2)
    accumulator.add(PassMask(0, 0, mask(["x."])))
    with pytest.raises(ValueError, match=words):
        accumulator.add(vote)


def peak_bytes(passes: int) -> int:
    frames, height, width = 10, 120, 160
    one = np.ones((height, width), np.bool_)
    tracemalloc.start()
    accumulator = VoteAccumulator(frames, height, width)
    for anchor in range(passes):
        for frame in range(frames):
            accumulator.add(PassMask(anchor, frame, one))
    accumulator.result()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_passes() -> None:
    frame_bytes = 120 * 160
    assert peak_bytes(24) - peak_bytes(3) < 2 * frame_bytes
