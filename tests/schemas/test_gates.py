"""Verdicts: a pure function of journal and thresholds, whatever the order of rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.gates import GATES, VERDICT_SCHEMA, Gate, Step, first_closed, gates_of, verdicts

STEPS = (
    Step("CameraMotionFilter", "source", ("camera_step_pct", "camera_drift_pct")),
    Step("EditedFrameScorer", "sample", ("edited_frame0_overall",)),
    Step("ForegroundGrounder", "sample", ("round1_count",)),
    Step("EditedVideoScorer", "sample", ("edited_video_overall",)),
)
OFF: dict[str, float | None] = {gate.name: None for gate in GATES}
COLUMNS = [gate.column for step in STEPS for gate in gates_of(step.name)]
NAMES = [gate.name for step in STEPS for gate in gates_of(step.name)]

measurement = st.one_of(st.none(), st.just(math.nan), st.floats(0, 10))
threshold = st.one_of(st.none(), st.floats(0, 10))


def planned(count: int) -> pa.Table:
    return pa.table(
        {
            "sample_id": [f"Sparkle_location_{n:06d}" for n in range(count)],
            "source_key": [f"{n:06d}" for n in range(count)],
        }
    )


def settled(rows: list[dict[str, Any]], reached: list[int], failed: list[bool]) -> dict[str, pa.Table]:
    """Tables as `settle` gives them: sample n has rows of `reached[n]` actors, the last may be failed."""
    tables = {}
    for number, step in enumerate(STEPS):
        names = [gate.column for gate in gates_of(step.name)]
        here = [n for n in range(len(rows)) if reached[n] > number]
        bad = [failed[n] and reached[n] == number + 1 for n in here]
        keys = [f"{n:06d}" if step.keyed == "source" else f"Sparkle_location_{n:06d}" for n in here]
        tables[step.name] = pa.table(
            {
                "key": pa.array(keys, pa.string()),
                "outcome": pa.array(["failed" if b else "ok" for b in bad], pa.string()),
                "error_class": pa.array(["SampleError" if b else None for b in bad], pa.string()),
                "error": pa.array(["torn" if b else None for b in bad], pa.string()),
                **{
                    name: pa.array(
                        [None if b else rows[n][name] for n, b in zip(here, bad, strict=True)], pa.float64()
                    )
                    for name in names
                },
            }
        )
    return tables


journals = st.integers(1, 8).flatmap(
    lambda count: st.tuples(
        st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, measurement)), min_size=count, max_size=count),
        st.lists(st.integers(0, len(STEPS)), min_size=count, max_size=count),
        st.lists(st.booleans(), min_size=count, max_size=count),
    )
)
limits = st.fixed_dictionaries(dict.fromkeys(NAMES, threshold)).map(lambda found: {**OFF, **found})


@given(journals, limits)
def test_columnwise_verdicts_are_those_of_walking_one_sample_through_the_pipeline(
    journal: tuple[list[dict[str, Any]], list[int], list[bool]], thresholds: dict[str, float | None]
) -> None:
    rows, reached, failed = journal
    found = verdicts(planned(len(rows)), settled(*journal), STEPS, thresholds)
    assert found.schema == VERDICT_SCHEMA
    for n, verdict in enumerate(found.to_pylist()):
        assert (verdict["status"], verdict["gate"], verdict["actor"]) == walk(
            rows[n], reached[n], failed[n], thresholds
        )


def walk(
    row: dict[str, Any], reached: int, failed: bool, thresholds: dict[str, float | None]
) -> tuple[str, str | None, str | None]:
    """The same decision, one sample and one actor at a time, as the stream takes it."""
    for number, step in enumerate(STEPS):
        if number >= reached:
            return "live", None, step.name
        if failed and number == reached - 1:
            return "failed", None, step.name
        gate = first_closed(step.name, row, thresholds)
        if gate is not None:
            return "rejected", gate.name, step.name
    return "accepted", None, None


@given(journals, limits, st.sampled_from(NAMES), st.floats(0, 5))
def test_a_stricter_threshold_never_accepts_more_nor_revives_a_rejected_sample(
    journal: tuple[list[dict[str, Any]], list[int], list[bool]],
    thresholds: dict[str, float | None],
    name: str,
    by: float,
) -> None:
    gate = next(gate for gate in GATES if gate.name == name)
    before = thresholds[name]
    more = by if gate.keeps == "at_least" else -by
    stricter = 5.0 if before is None else before + more
    count = len(journal[0])
    loose = verdicts(planned(count), settled(*journal), STEPS, thresholds)
    strict = verdicts(planned(count), settled(*journal), STEPS, {**thresholds, name: stricter})
    for old, new in zip(loose["status"].to_pylist(), strict["status"].to_pylist(), strict=True):
        assert new == old or new == "rejected"


@given(journals, limits, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_verdicts_do_not_depend_on_the_order_of_the_rows(
    journal: tuple[list[dict[str, Any]], list[int], list[bool]],
    thresholds: dict[str, float | None],
    random: Any,
) -> None:
    tables = settled(*journal)
    shuffled = {}
    for name, table in tables.items():
        order = list(range(table.num_rows))
        random.shuffle(order)
        shuffled[name] = table.take(pa.array(order, pa.int64()))
    plan = planned(len(journal[0]))
    assert verdicts(plan, tables, STEPS, thresholds).equals(verdicts(plan, shuffled, STEPS, thresholds))


@given(measurement, threshold, st.sampled_from(GATES))
def test_a_gate_decides_a_column_as_it_decides_one_value(
    value: float | None, limit: float | None, gate: Gate
) -> None:
    column = pa.chunked_array([pa.array([value], pa.float64(), from_pandas=False)])
    assert gate.admits_all(column, limit).tolist() == [gate.admits(value, limit)]


def test_a_value_on_the_threshold_passes() -> None:
    assert gates_of("EditedFrameScorer")[0].admits(8.0, 8.0)
    assert gates_of("CameraMotionFilter")[0].admits(0.09, 0.09)


def test_a_missing_or_undefined_measurement_passes_only_a_gate_that_is_off() -> None:
    for gate in GATES:
        for value in (None, math.nan):
            assert not gate.admits(value, 1.0)
            assert gate.admits(value, None)


def test_true_and_false_count_as_one_and_zero() -> None:
    (gate,) = gates_of("StaticCameraJudge")
    column = pa.chunked_array([pa.array([True, False, None])])
    assert gate.admits_all(column, 1.0).tolist() == [True, False, False]


def test_an_actor_without_any_row_leaves_its_samples_live() -> None:
    found = verdicts(planned(2), {}, STEPS, OFF)
    assert found["status"].to_pylist() == ["live", "live"]
    assert found["actor"].to_pylist() == ["CameraMotionFilter"] * 2


def test_a_rejected_source_rejects_every_sample_of_it() -> None:
    plan = pa.table(
        {
            "sample_id": ["Sparkle_location_000000", "Sparkle_season_000000"],
            "source_key": ["000000", "000000"],
        }
    )
    tables = settled([dict.fromkeys(COLUMNS, 9.0)], [1], [False])
    found = verdicts(plan, tables, STEPS, {**OFF, "max_camera_step_pct": 0.1})
    assert found["gate"].to_pylist() == ["max_camera_step_pct"] * 2


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_the_name_of_a_gate_says_which_side_it_keeps(gate: Gate) -> None:
    assert gate.name.startswith("min_") == (gate.keeps == "at_least")
    assert np.isin(gate.name[:4], ["min_", "max_"])
