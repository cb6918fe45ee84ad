"""The whole pipeline as a person runs it: accepted and failed samples, continuing, killing, pools, a second
look.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from actors.journal import ActorJournal
from actors.ops.video import VideoClip
from actors.pipeline import PIPELINE
from actors.store import open_root
from benchmarks.chaos_oracle import Losses, acknowledged, compare, judge
from ray_jobs.root import RootState
from ray_jobs.runs import all_records
from tests.ray_jobs.commands import FRAMES, ROOT, SHORT, command, environment, job, tree
from tests.ray_jobs.small_root import state_of


def released(root: Path) -> dict[str, bytes]:
    """The release without the manifest, which has times."""
    return {name: data for name, data in tree(root / "release").items() if not name.startswith("manifest/")}


def test_good_clips_are_accepted_a_moving_camera_rejected_a_broken_file_failed(finished: Path) -> None:
    state = state_of(finished)
    names = dict(
        zip(state.samples["sample_id"].to_pylist(), state.samples["source_uri"].to_pylist(), strict=True)
    )
    outcomes = {
        Path(names[row["sample_id"]]).name: (row["status"], row["gate"] or row["actor"])
        for row in state.verdicts().to_pylist()
    }
    good = [name for name in outcomes if "moving" not in name and "broken" not in name]
    assert len(good) == 2
    assert all(outcomes[name] == ("accepted", None) for name in good), outcomes
    (moving,) = (outcome for name, outcome in outcomes.items() if "moving" in name)
    assert moving[0] == "rejected"
    assert moving[1] in ("max_camera_step_pct", "max_camera_drift_pct")
    (broken,) = (outcome for name, outcome in outcomes.items() if "broken" in name)
    assert broken == ("failed", "Ingest")


def test_every_actor_left_a_journal_and_every_artifact_its_file(finished: Path) -> None:
    state = state_of(finished)
    for actor in PIPELINE:
        rows = state.settled[actor.__name__].to_pylist()
        assert rows, actor.__name__
        for row in rows:
            for item in row["artifacts"] or ():
                assert (finished / item["path"]).stat().st_size == item["size_bytes"]


def test_the_edited_video_has_the_length_and_size_of_its_source(finished: Path) -> None:
    edited = sorted((finished / "artifacts/location/edited_video").glob("*.mp4"))
    assert len(edited) == 2
    for path in edited:
        clip = VideoClip(path)
        assert (clip.num_frames, clip.width, clip.height, clip.fps) == (FRAMES, 1280, 720, 16)


def test_running_again_does_nothing_and_starts_no_ray(sources: Path, finished: Path) -> None:
    before = {name: len(data) for name, data in tree(finished / "artifacts").items()}
    parts = sum(table.num_rows for table in state_of(finished).settled.values())
    started = time.monotonic()
    again = job("synthesize", "--sources", sources, "--output", finished, *SHORT, "--set", "max_failures=1")
    assert again.returncode == 3, again.stdout + again.stderr
    assert "nothing left to do" in again.stdout
    assert time.monotonic() - started < 60
    assert {name: len(data) for name, data in tree(finished / "artifacts").items()} == before
    assert sum(table.num_rows for table in state_of(finished).settled.values()) == parts


def test_killed_as_functions_and_continued_as_pools_gives_the_bytes_of_a_run_that_was_not(
    sources: Path, finished: Path, tmp_path: Path
) -> None:
    """The second run writes its parts as Ray tasks."""
    root = tmp_path / "killed"
    arguments = command("synthesize", "--sources", sources, "--output", root, *SHORT)
    run = subprocess.Popen(
        arguments, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 240
    while not list(root.glob("journal/BackgroundAnimator/*.parquet")):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    state = state_of(root)
    before = {actor.__name__: good_rows(state, actor.__name__) for actor in PIPELINE}
    moment = acknowledged(str(root))
    other = ("--set", "execution=pools", "--set", "release.task_bytes=0")
    result = job("synthesize", "--sources", sources, "--output", root, *SHORT, *other)
    assert result.returncode == 3, result.stdout + result.stderr
    assert "written as Ray tasks" in result.stdout
    assert released(root) == released(finished)
    assert before["BackgroundAnimator"]
    assert judge(str(root), [moment]) == Losses()
    assert compare(str(root), str(finished)) == []
    store = open_root(str(root), create=False)
    second = all_records(store)[1]
    for actor in PIPELINE:
        name, journal = actor.__name__, ActorJournal(store, actor.step())
        rows = journal.read(journal.parts(), columns={"key", "run", "part", "outcome"}).to_pylist()
        good = [row for row in rows if row["outcome"] == "ok"]
        # what a worker that outlived its driver journals later is not in the list, and does not count
        known = {row["key"] for row in good if row["part"] in second.sealed[name]}
        again = {row["key"] for row in good if row["run"] >= second.run}
        assert not known & again, f"{name} was called again for what it had journaled"
        assert good_rows(state_of(root), name).items() >= before[name].items(), f"{name} lost a result"


def good_rows(state: RootState, actor: str) -> dict[str, tuple[int, str]]:
    """Run and part of each good result that counts, by key."""
    rows = state.settled[actor].to_pylist()
    return {row["key"]: (row["run"], row["part"]) for row in rows if row["outcome"] == "ok"}


def test_a_dry_run_shows_the_plan_and_writes_nothing(sources: Path, tmp_path: Path) -> None:
    root = tmp_path / "none"
    result = job("synthesize", "--sources", sources, "--output", root, *SHORT, "--dry-run")
    assert result.returncode == 0
    assert not root.exists()
    for actor in PIPELINE:
        assert actor.__name__ in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--sources", "none.csv", "--output", "{tmp}/r"], 2, "no source list at none.csv"),
        (["--sources", "{sources}", "--output", "{tmp}/r", "--set", "Ingest.min_frame=9"], 2, "min_frames"),
        (["--sources", "{sources}", "--output", "{tmp}/r", "--config", "no.yaml"], 2, "cannot be read"),
        (["--sources", "{sources}", "--output", "{tmp}/taken"], 2, "holds other files"),
        (["--sources", "{sources}", "--output", "{tmp}/r", "--themes", "saeson"], 2, "season"),
    ],
)
def test_what_cannot_work_is_said_before_any_work(
    sources: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("x")
    result = job("synthesize", *(a.format(tmp=tmp_path, sources=sources) for a in arguments))
    assert result.returncode == code, result.stderr
    assert message in result.stderr
    assert not (tmp_path / "r").exists()
