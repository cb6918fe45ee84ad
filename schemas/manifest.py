"""The manifest: one row for every planned source and theme, with what became of it and why.

What a reader gets wrong: the manifest is derived, never edited. It is journal + thresholds, read once; a
looser threshold gives another manifest from the same journal. What is long and in the JSONL files anyway
(score records, boxes) is not repeated here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import MEDIA, value_type
from schemas.gates import GATES, RELEASE_ALLOW, Rows, Step, Thresholds

SCHEMA_VERSION = 1
IN_JSONL = frozenset(
    (
        "edited_frame0_score",
        "edited_frame0_foreground_removed_score",
        "edited_video_score",
        "round1_objects",
        "frame_objects",
    )
)
"""Value columns that the manifest leaves to the JSONL files; they are 99 % of the journal's bytes."""
NOT_READ = IN_JSONL | {"inputs_digest", "node", "peak_rss_bytes"}
"""Journal columns that neither verdicts nor manifest need."""
MADE_BY = pa.struct(
    [
        ("backend", pa.string()),
        ("revision", pa.string()),
        ("licence", pa.string()),
        ("fingerprint", pa.string()),
        ("seed", pa.int64()),
        ("run", pa.int32()),
        ("attempt", pa.int32()),
        ("failures", pa.int64()),
        ("elapsed_s", pa.float64()),
        ("cpu_s", pa.float64()),
        ("finished_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""How one actor made its part of a sample; null where it has not run."""
_PLANNED = (
    ("sample_id", pa.string()),
    ("source_id", pa.int64()),
    ("source_uri", pa.string()),
    ("edit_type", pa.string()),
    ("status", pa.string()),
    ("gate", pa.string()),
    ("reason", pa.string()),
    ("stopped_at", pa.string()),
    ("error_class", pa.string()),
    ("chosen_keyword", pa.string()),
    ("licence", pa.string()),
    ("reference_edit_uri", pa.string()),
)


class Made(NamedTuple):
    """Name, revision and licence of the backend behind a fingerprint; None for an actor without a model."""

    backend: str | None
    revision: str | None
    licence: str | None


def value_columns(steps: Sequence[Step]) -> list[str]:
    """The journaled values that the manifest repeats, in the order of the pipeline."""
    return [name for step in steps for name in step.adds if name not in MEDIA and name not in IN_JSONL]


def media_columns(steps: Sequence[Step]) -> list[str]:
    return [name for step in steps for name in step.adds if name in MEDIA]


def manifest_schema(steps: Sequence[Step]) -> pa.Schema:
    fields = [
        *_PLANNED,
        *((name, value_type(name)) for name in value_columns(steps)),
        *(
            item
            for name in media_columns(steps)
            for item in ((f"{name}_size_bytes", pa.int64()), (f"{name}_sha256", pa.string()))
        ),
        *((step.name, MADE_BY) for step in steps),
    ]
    return pa.schema(fields, metadata={"schema_version": str(SCHEMA_VERSION), "table": "manifest"})


def artifact_table(settled: pa.Table, column: str) -> pa.Table:
    """The artifacts of one media column that settled rows name: row, path, size_bytes, sha256."""
    lists = settled["artifacts"].combine_chunks()
    items = pc.list_flatten(lists)
    owners = pc.list_parent_indices(lists)
    mine = pc.equal(items.field("column"), column)
    items, owners = items.filter(mine), owners.filter(mine)
    return pa.table(
        {
            "row": owners,
            "path": items.field("path"),
            "size_bytes": items.field("size_bytes"),
            "sha256": items.field("sha256"),
        }
    )


def artifact_rows(artifacts: pa.Table, settled_rows: int, rows: npt.NDArray[np.int64]) -> pa.Array:
    """Where the samples that are at `rows` of the settled table (-1: nowhere) are in `artifact_table`."""
    place = np.full(settled_rows + 1, -1, dtype=np.int64)  # the last one is for -1
    place[artifacts["row"].to_numpy()] = np.arange(artifacts.num_rows)
    found = place[rows]
    return pa.array(found, mask=found < 0)


def build_manifest(
    planned: pa.Table,
    settled: Mapping[str, pa.Table],
    verdicts: pa.Table,
    steps: Sequence[Step],
    thresholds: Thresholds,
    made: Mapping[str, Made],
    rows: Rows,
) -> pa.Table:
    """One row for every planned sample, in the order of `planned`.

    Args:
        planned: sample_id, source_key, source_id, source_uri, edit_type, chosen_keyword, licence,
            reference_edit_uri.
        settled: by actor, one row a key (`schemas.journal.settle`), with the columns of `value_columns`.
        verdicts: `schemas.gates.verdicts` of the same samples in the same order.
        made: backend by fingerprint.
        rows: `schemas.gates.rows_of` the same samples.
    """
    columns: dict[str, pa.ChunkedArray | pa.Array] = {
        name: planned[name] for name, _ in _PLANNED if name in planned.column_names
    }
    columns |= {name: verdicts[name] for name in ("status", "gate", "error_class")}
    columns["stopped_at"] = verdicts["actor"]
    for step in steps:
        table = settled[step.name]
        row = rows[step.name]
        index = pa.array(row, mask=row < 0)
        for name in step.adds:
            if name in MEDIA:
                artifacts = artifact_table(table, name)
                place = artifact_rows(artifacts, table.num_rows, row)
                columns[f"{name}_size_bytes"] = artifacts["size_bytes"].take(place)
                columns[f"{name}_sha256"] = artifacts["sha256"].take(place)
            elif name not in IN_JSONL:
                columns[name] = table[name].take(index)
        columns[step.name] = _made_by(table, index, made)
    columns["reason"] = _reasons(verdicts, columns, thresholds)
    schema = manifest_schema(steps)
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _made_by(table: pa.Table, where: pa.Array, made: Mapping[str, Made]) -> pa.Array:
    known = pa.array(list(made), pa.string())
    place = pc.index_in(table["fingerprint"], value_set=known)
    fields = {
        "backend": pa.array([item.backend for item in made.values()], pa.string()).take(place),
        "revision": pa.array([item.revision for item in made.values()], pa.string()).take(place),
        "licence": pa.array([item.licence for item in made.values()], pa.string()).take(place),
    }
    arrays = []
    for field in MADE_BY:
        column = fields[field.name] if field.name in fields else table[field.name]
        taken = column.take(where)
        if isinstance(taken, pa.ChunkedArray):
            taken = taken.combine_chunks()
        arrays.append(taken.cast(field.type))
    return pa.StructArray.from_arrays(arrays, fields=list(MADE_BY), mask=pc.is_null(where))


def _reasons(
    verdicts: pa.Table, columns: Mapping[str, pa.ChunkedArray | pa.Array], thresholds: Thresholds
) -> pa.ChunkedArray:
    """Why a sample is not accepted, in words; null for an accepted one."""
    reasons = verdicts["error"]
    status = verdicts["status"]
    reasons = pc.if_else(pc.equal(status, "removed"), "taken down", reasons)
    live = pc.equal(status, "live")
    reasons = pc.if_else(live, pc.binary_join_element_wise("waits for", verdicts["actor"], " "), reasons)
    for gate in GATES:
        threshold = thresholds[gate.name]
        closed = pc.fill_null(pc.equal(verdicts["gate"], gate.name), False)
        if threshold is None or not pc.any(closed).as_py():
            continue
        found = pc.fill_null(pc.cast(pc.cast(columns[gate.column], pa.float64()), pa.string()), "nothing")
        side = "is under" if gate.keeps == "at_least" else "is over"
        words = pc.binary_join_element_wise(gate.column, found, f"{side} {gate.name} = {threshold:g}", " ")
        reasons = pc.if_else(closed, words, reasons)
    return reasons


_GATE_ORDER = (*(gate.name for gate in GATES), RELEASE_ALLOW)


class Funnel(NamedTuple):
    """How many planned samples of one theme ended how."""

    theme: str
    planned: int
    accepted: int
    rejected: dict[str, int]
    """By gate, in the order of the pipeline, `release.allow` last; gates that rejected nothing are left
    out.
    """
    failed: int
    live: int
    removed: int


def funnels(planned: pa.Table, verdicts: pa.Table, themes: Sequence[str]) -> list[Funnel]:
    """One funnel a theme that has planned samples."""
    counts: dict[tuple[str, str, str | None], int] = {}
    table = pa.table({"theme": planned["edit_type"], "status": verdicts["status"], "gate": verdicts["gate"]})
    for row in table.group_by(["theme", "status", "gate"]).aggregate([([], "count_all")]).to_pylist():
        counts[row["theme"], row["status"], row["gate"]] = row["count_all"]
    result = []
    for theme in themes:
        mine = {key: count for key, count in counts.items() if key[0] == theme}
        if not mine:
            continue
        result.append(
            Funnel(
                theme,
                sum(mine.values()),
                mine.get((theme, "accepted", None), 0),
                {name: n for name in _GATE_ORDER if (n := mine.get((theme, "rejected", name), 0))},
                mine.get((theme, "failed", None), 0),
                mine.get((theme, "live", None), 0),
                mine.get((theme, "removed", None), 0),
            )
        )
    return result
