"""Every benchmark runs at its smoke size, so that none of them rots."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from actors.store import open_root
from benchmarks import publish, sheets
from benchmarks.quality import measure, person_iou
from benchmarks.sheets import sample_files, sheet
from ray_jobs.remove import remove
from ray_jobs.root import read_root
from schemas.config import RunConfig
from tests.ray_jobs.commands import ROOT, environment
from tests.ray_jobs.small_root import make_root, state_of


@pytest.fixture(scope="module")
def clips(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One short clip under the name that the benchmarks look for."""
    folder = tmp_path_factory.mktemp("clips")
    (folder / "made_source.mp4").write_bytes((sources / "portrait_outdoors.mp4").read_bytes())
    return folder


def benchmark(name: str, *arguments: str | Path) -> str:
    """Standard output of `python -m benchmarks.NAME ARGUMENTS`."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_masks_runs_on_one_clip_and_writes_its_sheet(clips: Path, tmp_path: Path) -> None:
    assert "made" in benchmark("masks", "--clips", clips, "--out", tmp_path / "sheets", "--limit", "1")
    assert list((tmp_path / "sheets").glob("*.png"))


def test_camera_runs_on_one_clip(clips: Path) -> None:
    assert "pan" in benchmark("camera", "--clips", clips, "--no-smallest")


def test_scenes_runs_at_smoke_size(tmp_path: Path) -> None:
    benchmark("scenes", "--output", tmp_path, "--smoke", "--builder", "field,studio")
    assert list(tmp_path.glob("*.png"))


def test_publish_measures_every_way_to_make_a_part_and_their_digests_agree(tmp_path: Path) -> None:
    shard = publish.make_members(tmp_path, 3 * publish.MEMBER_BYTES)
    for fsync in (True, False):
        timings = publish.measure(publish.Variants(tmp_path, shard, fsync=fsync), rounds=1)
        assert len(timings) == 5 + fsync
        assert publish.table(timings, shard.size_bytes).row_count == len(timings)


def test_quality_measures_a_finished_sample_and_sheets_show_it(finished: Path) -> None:
    state = read_root(open_root(str(finished), create=False))
    assert state is not None
    (sample, *_) = state.samples["sample_id"].to_pylist()[2:]
    files = sample_files(state, sample)
    figures = measure(files)
    assert figures["psnr"] > 25
    assert figures["liveness"] > 0.5
    assert sheet(files).shape[2] == 3


def test_sheets_and_quality_pass_over_a_sample_that_was_taken_down(tmp_path: Path) -> None:
    make_root(tmp_path, sources=2, config=RunConfig(themes=("location",)))
    remove(str(tmp_path), source="0")
    state = state_of(tmp_path)
    removed, kept = (sample_files(state, f"Sparkle_location_00000{number}") for number in (0, 1))
    assert removed == {}
    assert kept["edited_video"].is_file()


def test_sheets_of_a_folder_that_is_no_root_is_one_line_and_a_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        sheets.main(str(tmp_path), tmp_path / "out")
    assert ended.value.exit_code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is not an output root" in line


def test_person_iou_counts_as_the_reference_says(tmp_path: Path) -> None:
    import numpy as np

    person = np.zeros((1, 4, 8), bool)
    person[0, :2] = True
    ignore = np.zeros_like(person)
    ignore[0, 3] = True
    reference = tmp_path / "r.npz"
    np.savez(
        reference,
        frames=np.array([0]),
        rows=np.array([1, 5]),
        shape=np.array(person.shape),
        person=np.packbits(person),
        ignore=np.packbits(ignore),
    )
    mask = np.zeros((1, 6, 8), bool)
    mask[0, 1:4] = True  # the person, one row too much
    mask[0, 4] = True  # and the ignored row, which costs nothing
    assert person_iou(np.packbits(mask, axis=-1), 8, reference) == pytest.approx(2 / 3)


def test_gpu_models_runs_every_case_at_toy_size() -> None:
    printed = benchmark("gpu_models", "--toy", "--device", "cpu")
    for model in (
        "FLUX.2",
        "Wan2.2-I2V",
        "Wan2.2-Fun",
        "VACE",
        "SAM 2.1",
        "SAM 3",
        "Qwen3-VL",
        "EditScore",
        "RAFT",
        "UniMatch",
    ):
        assert model in printed
    assert "skipped" not in printed


@pytest.mark.parametrize("model", ["sam2", "sam3"])
def test_bait_in_lockstep_agrees_with_upstream_passes(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import bait

    bait.main(model=model, smoke=True)
    printed = capsys.readouterr().out
    assert "mask pixels that differ 0.0000" in printed
    assert "3 memory banks" in printed


def test_votes_measures_every_rule_on_one_clip(clips: Path, tmp_path: Path) -> None:
    printed = benchmark("votes", "--clips", clips, "--made", "", "--out", tmp_path)
    assert "3, under 0.9" in printed
    assert (tmp_path / "made_votes.png").is_file()
