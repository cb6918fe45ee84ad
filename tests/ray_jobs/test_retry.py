"""The dead-letter list, and what a retry takes up of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from actors.store import StoreError, open_root
from ray_jobs.publish import publish
from ray_jobs.regate import regate
from ray_jobs.remove import remove
from ray_jobs.retry import failed_samples, retry
from ray_jobs.runs import newest_run
from schemas.config import ConfigError, RunConfig
from tests.ray_jobs.small_root import make_root

CONFIG = RunConfig(themes=("location", "season"))
LATE = "Sparkle_season_000000"
FAILED = {
    ("Ingest", "000002"): "no video in it",
    ("VideoGenerator", LATE): "the model's answer has 80 frames",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_root(tmp_path, sources=4, config=CONFIG, failed=FAILED)
    return tmp_path


def letters(root: Path) -> dict[str, dict[str, object]]:
    table = pq.read_table(root / "manifest/failed.parquet", partitioning=None)
    return {row["sample_id"]: row for row in table.to_pylist()}


def test_the_dead_letter_list_says_what_failed_where_why_how_often_and_when(root: Path) -> None:
    publish(str(root))
    found = letters(root)
    assert sorted(found) == ["Sparkle_location_000002", LATE, "Sparkle_season_000002"]
    row = found[LATE]
    assert (row["stage"], row["actor"], row["error"]) == (
        5,
        "VideoGenerator",
        "the model's answer has 80 frames",
    )
    assert (row["error_class"], row["attempts"], row["deaths"], row["node"]) == ("SampleError", 1, 0, "test")
    assert row["source_uri"] == "/videos/clip 0.mp4"
    assert row["finished_at"] is not None
    ingest = found["Sparkle_location_000002"]
    assert (ingest["stage"], ingest["actor"], ingest["source_id"]) == (None, "Ingest", 2)
    assert not (root / "release/manifest/failed.parquet").exists(), "it is no part of the release"


def test_the_list_follows_the_verdicts_and_an_empty_one_is_there_too(root: Path, tmp_path: Path) -> None:
    regate(str(root), CONFIG)
    assert len(letters(root)) == 3
    remove(str(root), source="2")
    assert sorted(letters(root)) == [LATE]
    remove(str(root), sample=LATE)
    assert letters(root) == {}


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        (None, ["Sparkle_location_000002", LATE, "Sparkle_season_000002"]),
        (
            "actor = 'Ingest' and error like '%no video%'",
            ["Sparkle_location_000002", "Sparkle_season_000002"],
        ),
        ("stage = 5 or edit_type = 'location'", ["Sparkle_location_000002", LATE]),
        ("stage is null and not edit_type in ('location')", ["Sparkle_season_000002"]),
        ("finished_at < '2026-01-02'", []),
    ],
)
def test_a_filter_picks_failed_samples(root: Path, where: str | None, ids: list[str]) -> None:
    assert failed_samples(str(root), where)["sample_id"].to_pylist() == ids


def test_a_retry_that_picks_nothing_opens_no_run(root: Path) -> None:
    before = newest_run(open_root(str(root), create=False))
    result = retry(str(root), "actor = 'StaticCameraJudge'", Console(quiet=True))
    assert result.asked == set()
    assert newest_run(open_root(str(root), create=False)) == before


def test_a_wrong_filter_or_an_empty_root_is_said_before_any_work(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no column 'actr'"):
        retry(str(root), "actr = 'Ingest'", Console(quiet=True))
    open_root(str(tmp_path / "new"), create=True)
    with pytest.raises(StoreError, match="holds no run yet"):
        failed_samples(str(tmp_path / "new"), None)
