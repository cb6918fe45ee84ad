"""Gates and verdicts: whether a sample is accepted is a pure function of journal and thresholds, and it is
here.

What a reader gets wrong: a gate does not act. Actors record measurements; the stream, resume, publish, report
and `regate` all call `verdicts`, so looser or stricter thresholds never recompute what is journaled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import Keyed

Thresholds = Mapping[str, float | None]
"""Threshold by gate name; None switches the gate off."""


@dataclass(frozen=True)
class Gate:
    """A threshold on one recorded column. `name` is also the knob in the actor's config."""

    name: str
    actor: str
    column: str
    keeps: Literal["at_least", "at_most"]

    def admits(self, value: float | bool | None, threshold: float | None) -> bool:
        """True if a sample with this measurement passes; a missing or NaN measurement never passes an open
        gate.
        """
        if threshold is None:
            return True
        if value is None or value != value:
            return False
        return value >= threshold if self.keeps == "at_least" else value <= threshold

    def admits_all(self, values: pa.ChunkedArray, threshold: float | None) -> npt.NDArray[np.bool_]:
        """`admits` for a whole column."""
        if threshold is None:
            return np.ones(len(values), dtype=bool)
        numbers = values.cast(pa.float64()).to_numpy(
            zero_copy_only=False
        )  # null becomes NaN, NaN compares false
        return np.asarray(numbers >= threshold if self.keeps == "at_least" else numbers <= threshold)


GATES: tuple[Gate, ...] = (
    Gate("max_camera_step_pct", "CameraMotionFilter", "camera_step_pct", "at_most"),
    Gate("max_camera_drift_pct", "CameraMotionFilter", "camera_drift_pct", "at_most"),
    Gate("min_static_camera", "StaticCameraJudge", "static_camera", "at_least"),
    Gate("min_edited_frame0_overall", "EditedFrameScorer", "edited_frame0_overall", "at_least"),
    Gate("min_round1_count", "ForegroundGrounder", "round1_count", "at_least"),
    Gate(
        "min_foreground_removed_overall",
        "CleanBackgroundScorer",
        "edited_frame0_foreground_removed_overall",
        "at_least",
    ),
    Gate("min_background_dynamics", "BackgroundAnimator", "background_dynamics", "at_least"),
    Gate("min_vote_agreement", "ForegroundTracker", "vote_agreement", "at_least"),
    Gate("max_mask_area_step", "ForegroundTracker", "mask_area_step", "at_most"),
    Gate("max_mask_lost_share", "ForegroundTracker", "mask_lost_share", "at_most"),
    Gate("max_label_lost_share", "ForegroundTracker", "label_lost_share", "at_most"),
    Gate("min_edited_video_overall", "EditedVideoScorer", "edited_video_overall", "at_least"),
)


def gates_of(actor: str) -> tuple[Gate, ...]:
    return tuple(gate for gate in GATES if gate.actor == actor)


RELEASE_ALLOW = "release.allow"
"""Named as the gate of a sample that is good but whose licences the release may not hold."""


def first_closed(actor: str, values: Mapping[str, Any], thresholds: Thresholds) -> Gate | None:
    """The first gate of this actor that rejects a sample with these values, if one does."""
    for gate in gates_of(actor):
        if not gate.admits(values.get(gate.column), thresholds[gate.name]):
            return gate
    return None


class Step(NamedTuple):
    """One actor as verdicts and journal see it."""

    name: str
    keyed: Keyed
    adds: tuple[str, ...]


VERDICT_SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("status", pa.string()),
        ("gate", pa.string()),
        ("actor", pa.string()),
        ("error_class", pa.string()),
        ("error", pa.string()),
    ]
)
"""`actor`: where the sample stopped: the gate's or the failure's actor, for a live sample the next one to
run.
"""


Rows = Mapping[str, npt.NDArray[np.int64]]
"""By actor: the row of each planned sample in the actor's settled table, -1 where it has none."""


def rows_of(planned: pa.Table, settled: Mapping[str, pa.Table], steps: Sequence[Step]) -> Rows:
    """Find every planned sample in every actor's rows, once for all that follows."""
    rows = {}
    for step in steps:
        keys = planned["sample_id" if step.keyed == "sample" else "source_key"]
        table = settled.get(step.name)
        if table is None or table.num_rows == 0:
            rows[step.name] = np.full(planned.num_rows, -1, dtype=np.int64)
            continue
        where = pc.index_in(keys, value_set=table["key"])
        rows[step.name] = pc.fill_null(where, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return rows


def verdicts(
    planned: pa.Table,
    settled: Mapping[str, pa.Table],
    steps: Sequence[Step],
    thresholds: Thresholds,
    rows: Rows | None = None,
    *,
    removed: npt.NDArray[np.bool_] | None = None,
    withheld: pa.Array | None = None,
) -> pa.Table:
    """One row for every planned sample, in the order of `planned`: exactly one status each.

    Args:
        planned: columns `sample_id`, `source_key`.
        settled: by actor, one row a key (`schemas.journal.settle`): `key`, `outcome`, `error_class`, `error`
        and the
            columns its gates read. An actor without rows may be missing.
        steps: the pipeline in order.
        thresholds: by gate name, complete.
        rows: `rows_of` the same samples, where the caller has it.
        removed: which of them were taken down; that counts before all else.
        withheld: by sample, why an accepted one may not be in the release, in words, or null.
    """
    count = planned.num_rows
    status = np.full(count, "live", dtype=object)
    gate_name, actor, error_class, error = (np.full(count, None, dtype=object) for _ in range(4))
    undecided = np.ones(count, dtype=bool)
    if removed is not None:
        status[removed] = "removed"
        undecided &= ~removed
    rows = rows if rows is not None else rows_of(planned, settled, steps)
    for step in steps:
        table = settled.get(step.name)
        if table is None or table.num_rows == 0:
            actor[undecided] = step.name
            undecided[:] = False
            break
        index = rows[step.name]
        waiting = undecided & (index < 0)
        actor[waiting] = step.name
        undecided &= ~waiting
        row = np.maximum(index, 0)
        failed = undecided & (table["outcome"].to_numpy(zero_copy_only=False)[row] == "failed")
        if failed.any():
            status[failed] = "failed"
            actor[failed] = step.name
            error_class[failed] = table["error_class"].to_numpy(zero_copy_only=False)[row[failed]]
            error[failed] = table["error"].to_numpy(zero_copy_only=False)[row[failed]]
            undecided &= ~failed
        for gate in gates_of(step.name):
            admitted = gate.admits_all(table[gate.column], thresholds[gate.name])[row]
            rejected = undecided & ~admitted
            status[rejected] = "rejected"
            gate_name[rejected] = gate.name
            actor[rejected] = step.name
            undecided &= ~rejected
    status[undecided] = "accepted"
    if withheld is not None:
        held = undecided & withheld.is_valid().to_numpy(zero_copy_only=False)
        status[held] = "rejected"
        gate_name[held] = RELEASE_ALLOW
        error[held] = withheld.to_numpy(zero_copy_only=False)[held]
    columns = (planned["sample_id"].to_pylist(), status, gate_name, actor, error_class, error)
    return pa.table(
        [
            pa.array(column, type=kind, from_pandas=False)
            for column, kind in zip(columns, VERDICT_SCHEMA.types, strict=True)
        ],
        schema=VERDICT_SCHEMA,
    )
