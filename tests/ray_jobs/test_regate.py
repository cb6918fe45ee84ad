"""New thresholds: what they accept, drop and reopen, in a root and in a downloaded copy."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from actors.store import StoreError, open_root
from benchmarks.regate import measure
from ray_jobs.publish import publish
from ray_jobs.regate import regate, regate_release
from ray_jobs.root import read_root
from ray_jobs.runs import newest_run
from ray_jobs.verify import verify
from schemas.config import ConfigError, RunConfig
from tests.ray_jobs.small_root import make_root

SCORES = {0: 8.2, 1: 8.7, 2: 9.3}
MEASURED = {
    f"Sparkle_location_{number:06d}": {"edited_video_overall": score} for number, score in SCORES.items()
}


def config(threshold: float | None) -> RunConfig:
    actors = {"EditedVideoScorer": {"min_edited_video_overall": threshold}}
    return RunConfig(themes=("location",), actors=actors)


def accepted(root: Path) -> list[int]:
    table = pq.read_table(root / "manifest/location.parquet", partitioning=None)
    return [row["source_id"] for row in table.to_pylist() if row["status"] == "accepted"]


def test_thresholds_tighten_and_loosen_and_the_newest_run_record_holds_them(tmp_path: Path) -> None:
    make_root(tmp_path, measured=MEASURED, config=config(8.0))
    report = regate(str(tmp_path), config(9.0))
    assert (report.newly_accepted, report.no_longer_accepted, report.to_continue) == (0, 2, 0)
    assert accepted(tmp_path) == [2]
    report = regate(str(tmp_path), config(8.5))
    assert (report.newly_accepted, report.no_longer_accepted) == (1, 0)
    assert accepted(tmp_path) == [1, 2]
    record = newest_run(open_root(str(tmp_path), create=False))
    assert record is not None
    assert (record.job, record.run_config()) == ("regate", config(8.5))
    assert regate(str(tmp_path), config(None)).after[0].accepted == 3


def test_samples_that_a_looser_gate_admits_before_the_end_wait_to_be_continued(tmp_path: Path) -> None:
    """A sample rejected by an early gate has no rows of later actors; here they are taken away."""
    low = "Sparkle_location_000001"
    make_root(tmp_path, measured={low: {"edited_frame0_overall": 7.5}}, config=config(8.0))
    for actor in ("BackgroundAnimator", "EditedVideoScorer"):
        for path in (tmp_path / "journal" / actor).iterdir():
            table = pq.read_table(path, partitioning=None)
            keep = [key != low for key in table["key"].to_pylist()]
            path.unlink()
            pq.write_table(table.filter(keep), path)
    loose = RunConfig(themes=("location",), actors={"EditedFrameScorer": {"min_edited_frame0_overall": 7.0}})
    report = regate(str(tmp_path), loose)
    assert (report.to_continue, report.newly_accepted) == (1, 0)
    (row,) = [
        row
        for row in pq.read_table(tmp_path / "manifest/location.parquet", partitioning=None).to_pylist()
        if row["sample_id"] == low
    ]
    assert (row["status"], row["reason"]) == ("live", "waits for BackgroundAnimator")


def test_a_config_that_changes_more_than_thresholds_is_refused(tmp_path: Path) -> None:
    make_root(tmp_path, config=config(8.0))
    with pytest.raises(ConfigError, match="canny_low"):
        regate(str(tmp_path), RunConfig(themes=("location",), actors={"GuidanceComposer": {"canny_low": 50}}))


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    open_root(str(tmp_path / "root"), create=True)
    with pytest.raises(StoreError, match="holds no run yet"):
        regate(str(tmp_path / "root"), config(8.0))


def test_the_verdicts_of_regate_are_those_of_the_release(tmp_path: Path) -> None:
    make_root(tmp_path, measured=MEASURED, config=config(8.0))
    publish(str(tmp_path))
    regate(str(tmp_path), config(8.5))
    publish(str(tmp_path))
    assert verify(str(tmp_path)) == []
    assert len((tmp_path / "release/prompts/location_train.csv").read_text().splitlines()) == 3
    state = read_root(open_root(str(tmp_path), create=False))
    assert state is not None
    assert state.verdicts()["status"].to_pylist().count("accepted") == 2


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A downloaded copy of a release at 8.5, as the authors publish: no manifest, no index."""
    make_root(tmp_path / "root", measured=MEASURED, config=config(8.5))
    publish(str(tmp_path / "root"))
    copy = Path(shutil.copytree(tmp_path / "root/release", tmp_path / "copy"))
    shutil.rmtree(copy / "manifest")
    (copy / "shards.parquet").unlink()
    return copy


def test_a_copy_is_filtered_from_its_jsonl_files_alone(copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "strict"
    report = regate_release(str(copy), {"min_edited_video_overall": 9.0}, str(out))
    (theme,) = report.themes
    assert (theme.in_csv, theme.kept, theme.rejected) == (2, 1, {"min_edited_video_overall": 1})
    with (out / "prompts/location_train.csv").open(newline="") as rows:
        (row,) = csv.DictReader(rows)
    assert row["task"] == "Sparkle_location_000002"
    (record,) = map(json.loads, (out / "prompts/location_train_metadata.jsonl").read_text().splitlines())
    assert (record["id"], record["prompt"]) == (row["task"], row["prompt"])
    for kind in ("source_video", "source_video_mask"):
        (name,) = (out / f"members/location_{kind}.txt").read_text().split()
        folder = copy if kind == "source_video" else copy / "intermediate_data"
        part = f"location_{kind}_part00"
        extracted = tmp_path / "extracted"
        extracted.mkdir(exist_ok=True)
        listed = out / f"members/{part}.txt"
        command = ["tar", "-xf", f"{folder}/{part}.tar", "-C", str(extracted), "-T", str(listed)]
        subprocess.run(command, check=True)
        assert (extracted / name).is_file()
    assert len([path for path in extracted.rglob("*") if path.is_file()]) == 2


def test_filtering_a_copy_by_the_thresholds_it_was_made_with_changes_nothing(
    copy: Path, tmp_path: Path
) -> None:
    made_with = {
        "max_camera_step_pct": 0.09,
        "min_edited_frame0_overall": 8.0,
        "min_round1_count": 1.0,
        "min_foreground_removed_overall": 8.5,
        "min_edited_video_overall": 8.5,
        "min_vote_agreement": None,
    }
    report = regate_release(str(copy), made_with, str(tmp_path / "same"))
    for name in ("prompts/location_train.csv", "prompts/location_train_metadata.jsonl"):
        assert (tmp_path / "same" / name).read_bytes() == (copy / name).read_bytes()
    assert report.not_decided == ["max_camera_step_pct"]


def test_a_looser_gate_brings_nothing_back_into_a_copy_and_says_how_many_it_would(
    copy: Path, tmp_path: Path
) -> None:
    report = regate_release(str(copy), {"min_edited_video_overall": 8.0}, str(tmp_path / "loose"))
    assert (report.themes[0].kept, report.themes[0].only_measured) == (2, 1)
    assert "1 more pass but were not published" in str(report)


def test_what_a_copy_lacks_or_a_gate_that_is_none_is_named(copy: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    with pytest.raises(ConfigError, match="did you mean 'min_edited_video_overall'"):
        regate_release(str(copy), {"min_edited_video_overal": 9.0}, out)
    with pytest.raises(ConfigError, match="is the data set itself"):
        regate_release(str(copy), {}, str(copy))
    with pytest.raises(ConfigError, match="is no copy of the data set"):
        regate_release(str(tmp_path), {}, out)
    (copy / "intermediate_data/location/edited_video_score.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"edited_video_score\.jsonl is missing"):
        regate_release(str(copy), {"min_edited_video_overall": 9.0}, out)


def test_the_benchmark_of_large_roots_runs_at_a_small_size(tmp_path: Path) -> None:
    seconds, cpu, report = measure(400, tmp_path / "root")
    assert seconds > 0
    assert cpu > 0
    assert sum(funnel.planned for funnel in report.after) == 400
    assert report.no_longer_accepted > 0
