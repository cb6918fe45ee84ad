"""The manifest: one row for every planned sample, derived from the journal alone."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from schemas.gates import GATES, Step, rows_of, verdicts
from schemas.journal import part_schema, settle
from schemas.manifest import IN_JSONL, Made, build_manifest, funnels, manifest_schema

STEPS = (
    Step("Ingest", "source", ("source_video", "num_frames")),
    Step("EditedFrameScorer", "sample", ("edited_frame0_score", "edited_frame0_overall")),
)
LIMITS: dict[str, float | None] = {gate.name: None for gate in GATES} | {"min_edited_frame0_overall": 8.0}
ARTIFACT = {"column": "source_video", "path": "artifacts/a.mp4", "size_bytes": 9, "sha256": "ab"}


def row(key: str, **values: Any) -> dict[str, Any]:
    common = {"key": key, "run": 1, "attempt": 0, "part": "p", "generation": 0, "artifacts": []}
    return {**common, "outcome": "ok", "fingerprint": "f", "seed": 5, **values}


def build(
    ingested: list[dict[str, Any]], scored: list[dict[str, Any]], samples: list[tuple[str, str, str]]
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Planned samples, verdicts and manifest; `samples` are (id, theme, source key)."""
    planned = pa.table(
        {
            "sample_id": [sample for sample, _, _ in samples],
            "source_id": [int(key) for _, _, key in samples],
            "source_key": [key for _, _, key in samples],
            "source_uri": [f"/videos/{key}.mp4" for _, _, key in samples],
            "edit_type": [theme for _, theme, _ in samples],
            "chosen_keyword": pa.nulls(len(samples), pa.string()),
            "licence": ["CC0"] * len(samples),
            "reference_edit_uri": pa.nulls(len(samples), pa.string()),
        }
    )
    settled = {
        step.name: settle(pa.Table.from_pylist(rows, schema=part_schema(step)), 0)
        for step, rows in zip(STEPS, (ingested, scored), strict=True)
    }
    rows = rows_of(planned, settled, STEPS)
    found = verdicts(planned, settled, STEPS, LIMITS, rows)
    made = {"f": Made("embedded", "1", "Apache-2.0")}
    return planned, found, build_manifest(planned, settled, found, STEPS, LIMITS, made, rows)


SAMPLES = [
    (f"Sparkle_{theme}_00000{n}", theme, f"00000{n}") for theme in ("location", "time") for n in range(3)
]


def test_every_planned_sample_has_one_row_with_status_gate_and_reason() -> None:
    _, _, manifest = build(
        [
            row("000000", num_frames=81, artifacts=[ARTIFACT]),
            row("000001", outcome="failed", error_class="SampleError", error="no video in it"),
            row("000002", num_frames=69, artifacts=[ARTIFACT]),
        ],
        [
            row("Sparkle_location_000000", edited_frame0_overall=8.5),
            row("Sparkle_location_000002", edited_frame0_overall=7.25),
            row("Sparkle_time_000000", edited_frame0_overall=None),
        ],
        SAMPLES,
    )
    found = {item["sample_id"]: item for item in manifest.to_pylist()}
    assert [found[sample]["status"] for sample, _, _ in SAMPLES] == [
        "accepted",
        "failed",
        "rejected",
        "rejected",
        "failed",
        "live",
    ]
    assert [found[sample]["reason"] for sample, _, _ in SAMPLES] == [
        None,
        "no video in it",
        "edited_frame0_overall 7.25 is under min_edited_frame0_overall = 8",
        "edited_frame0_overall nothing is under min_edited_frame0_overall = 8",
        "no video in it",
        "waits for EditedFrameScorer",
    ]
    first = found["Sparkle_location_000000"]
    assert (first["source_video_size_bytes"], first["source_video_sha256"]) == (9, "ab")
    assert first["num_frames"] == 81
    assert (first["Ingest"]["backend"], first["Ingest"]["seed"], first["Ingest"]["run"]) == ("embedded", 5, 1)
    assert found["Sparkle_location_000001"]["source_video_sha256"] is None
    assert found["Sparkle_location_000001"]["EditedFrameScorer"] is None
    assert found["Sparkle_location_000001"]["Ingest"]["failures"] == 1


def test_an_empty_journal_gives_a_row_for_every_sample_that_waits() -> None:
    _, _, manifest = build([], [], SAMPLES)
    assert set(manifest["status"].to_pylist()) == {"live"}
    assert set(manifest["reason"].to_pylist()) == {"waits for Ingest"}
    _, _, manifest = build([], [], [])
    assert manifest.schema.equals(manifest_schema(STEPS))
    assert manifest.num_rows == 0


def test_score_records_are_left_to_the_jsonl_files() -> None:
    assert not IN_JSONL & set(manifest_schema(STEPS).names)


def test_funnels_count_every_sample_once() -> None:
    planned, found, _ = build(
        [row(f"00000{n}", num_frames=81) for n in range(3)],
        [
            row("Sparkle_location_000000", edited_frame0_overall=9.0),
            row("Sparkle_location_000001", edited_frame0_overall=1.0),
        ],
        SAMPLES,
    )
    location, time = funnels(planned, found, ["location", "season", "time"])
    assert (location.planned, location.accepted, location.live) == (3, 1, 1)
    assert location.rejected == {"min_edited_frame0_overall": 1}
    assert (time.theme, time.planned, time.live) == ("time", 3, 3)
