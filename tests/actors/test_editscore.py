"""EditScore's protocol against the two published records, to the last digit that a gate could see."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ops.editscore import evaluate_record, frame_indices, frame_record, mean_o_score, overall
from actors.roles import ScorePass


def one_pass(prompt_following: int, consistency: int, *perceptual: int, label: str = "") -> ScorePass:
    return ScorePass(
        semantic=(prompt_following, consistency),
        perceptual=perceptual,
        semantic_reasoning=f"semantic {label}",
        perceptual_reasoning=f"perceptual {label}",
        semantic_raw=f'{{"score": [{prompt_following}, {consistency}]}}',
        perceptual_raw="{}",
    )


def passes_of(pairs: Sequence[tuple[int, int]], prompt_following: Sequence[int] = ()) -> list[ScorePass]:
    following = prompt_following or [25] * len(pairs)
    return [
        one_pass(f, sc, pq, label=str(i))
        for i, (f, (sc, pq)) in enumerate(zip(following, pairs, strict=True))
    ]


marks = st.integers(0, 25)
any_pass = st.builds(one_pass, marks, marks, marks, marks)


def test_the_published_stage_2_record_comes_out() -> None:
    record = evaluate_record(passes_of([(20, 23), (22, 21), (23, 18), (23, 23)], [24, 24, 24, 25]))
    assert record["overall"] == pytest.approx(8.62887857991077, abs=1e-12)
    assert (record["prompt_following"], record["consistency"], record["perceptual_quality"]) == (
        9.7,
        8.8,
        8.5,
    )
    assert list(record) == [
        "prompt_following", "consistency", "perceptual_quality", "overall", "SC_reasoning", "PQ_reasoning",
    ]  # fmt: skip


def test_the_published_stage_5_record_comes_out() -> None:
    record = frame_record(passes_of([(20, 23), (23, 17), (23, 23), (24, 22)]))
    assert record["O_score"] == pytest.approx(8.719958110896453, abs=1e-12)
    assert (record["SC_score"], record["PQ_score"]) == (9.0, 8.5)
    assert list(record) == [
        "SC_score", "PQ_score", "O_score", "SC_score_reasoning", "PQ_score_reasoning",
        "SC_raw_output", "PQ_raw_output",
    ]  # fmt: skip


def test_reasoning_and_raw_output_are_those_of_the_first_pass() -> None:
    passes = passes_of([(20, 20), (10, 10)])
    assert evaluate_record(passes)["SC_reasoning"] == "semantic 0"
    assert frame_record(passes)["SC_raw_output"] == passes[0].semantic_raw


@given(st.lists(any_pass, min_size=1, max_size=6))
def test_the_overall_score_lies_between_nothing_and_the_root_of_the_mean_scores(
    passes: list[ScorePass],
) -> None:
    record = frame_record(passes)
    bound = math.sqrt(
        record["SC_score"] * record["PQ_score"]
    )  # Cauchy-Schwarz: mean of roots <= root of means
    assert 0.0 <= record["O_score"] <= bound + 1e-9 <= 10.0 + 1e-9


@given(st.lists(any_pass, min_size=2, max_size=6))
def test_the_order_of_the_passes_does_not_change_a_score(passes: list[ScorePass]) -> None:
    assert overall(passes) == overall(passes[::-1])


@given(any_pass)
def test_repeating_a_pass_changes_nothing(single: ScorePass) -> None:
    assert overall([single] * 4) == pytest.approx(overall([single]), abs=1e-12)


@given(st.integers(5, 400))
def test_the_judged_frames_are_four_and_rise_from_frame_one_to_the_last(num_frames: int) -> None:
    indices = frame_indices(num_frames)
    assert indices[0] == 1
    assert indices[-1] == num_frames - 1
    assert sorted(set(indices)) == list(indices)


def test_the_published_example_of_judged_frames_comes_out() -> None:
    assert frame_indices(77) == (1, 26, 51, 76)
    assert frame_indices(81) == (1, 27, 54, 80)


@pytest.mark.parametrize("bad", [[], [one_pass(26, 1, 1)], [one_pass(1, -1, 1)], [one_pass(1, 1)]])
def test_no_pass_or_a_mark_off_the_scale_is_refused(bad: list[ScorePass]) -> None:
    with pytest.raises(ValueError, match=r"pass|mark"):
        overall(bad)


def test_too_short_a_clip_and_an_empty_record_list_are_refused() -> None:
    with pytest.raises(ValueError, match="at least five"):
        frame_indices(4)
    with pytest.raises(ValueError, match="no judged frame"):
        mean_o_score([])


def test_the_gate_reads_the_mean_of_the_judged_frames() -> None:
    records = [frame_record(passes_of([(sc, sc)])) for sc in (25, 20, 20, 15)]
    assert mean_o_score(records) == pytest.approx(8.0, abs=1e-12)
