"""Whole commands, as a person types them: hostile sources, wrong arguments, signals."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from actors.ops.video import encode_video
from ray_jobs import demo
from ray_jobs.publish import publish
from schemas.config import RunConfig
from tests.actors.clips import HOSTILE, counted_frames
from tests.ray_jobs.commands import ROOT, command, environment, job, tree
from tests.ray_jobs.small_root import make_root, state_of


def test_every_hostile_file_ends_as_failed_with_a_reason_and_nothing_is_written_outside(
    tmp_path: Path,
) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    for name, (make, _) in HOSTILE.items():
        make(sources / name)
    (sources / "folder.mp4").mkdir()
    names = [*HOSTILE, "folder.mp4"]
    others = ["sources/../../none.mp4", "s3://bucket/x.mp4", "nul\0.mp4", "x" * 300]
    uris = [*(f"sources/{name}" for name in names), *others]
    pq.write_table(pa.table({"uri": uris}), tmp_path / "list.parquet")
    before = tree(sources)
    root = tmp_path / "root [/b]"  # a folder in a folder; to the console it is broken markup
    arguments = (
        "synthesize",
        "--sources",
        tmp_path / "list.parquet",
        "--output",
        root,
        "--themes",
        "location",
    )
    result = job(*arguments)
    assert result.returncode == 3, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    rows = state_of(root).verdicts().to_pylist()
    assert len(rows) == len(uris)
    assert {(row["status"], row["actor"]) for row in rows} == {("failed", "Ingest")}
    said = dict(zip([*names, *others], (row["error"] for row in rows), strict=True))
    for name, (_, words) in HOSTILE.items():
        assert words in said[name], name
    assert "no file at" in said["folder.mp4"]
    assert tree(sources) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.parquet", root.parent.name, "sources"]

    given_up = job(*arguments, "--no-publish", "--set", "max_failures=1")
    assert (given_up.returncode, "nothing left to do" in given_up.stdout) == (3, True)
    assert f"{len(uris)} begun and unfinished" in job(*arguments, "--dry-run").stdout
    a_mended_source_is_replayed_alone(root, sources / "text.mp4")


def a_mended_source_is_replayed_alone(root: Path, source: Path) -> None:
    """It goes through the stream, to the gate that a moving camera closes; the other letters stay."""
    before = pq.read_table(root / "manifest/failed.parquet").to_pylist()
    frames = counted_frames(17, (1280, 720))
    moving = (np.roll(frame, (0, 9 * index), (0, 1)) for index, frame in enumerate(frames))
    encode_video(moving, source, fps=16)
    result = job("retry", root, "--where", f"actor = 'Ingest' and source_uri like '%/{source.name}'")
    assert result.returncode == 0, result.stdout + result.stderr
    after = pq.read_table(root / "manifest/failed.parquet").to_pylist()
    (mended,) = [letter for letter in before if letter not in after]
    assert Path(mended["source_uri"]).name == source.name
    assert len(after) == len(before) - 1
    fates = {row["sample_id"]: row["status"] for row in state_of(root).verdicts().to_pylist()}
    assert fates.pop(mended["sample_id"]) == "rejected"
    assert set(fates.values()) == {"failed"}


def test_the_demo_never_mixes_own_videos_with_the_made_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def finished(output: str, *rest: object, **named: object) -> int:
        make_root(output, sources=1, config=config)
        publish(output)
        return 1

    def make_sources(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "a.mp4").touch()

    config = RunConfig(themes=("location",))
    monkeypatch.setattr(demo, "synthesize_and_publish", finished)
    monkeypatch.setattr(demo, "make_demo_sources", make_sources)
    for sources, output, code in ((None, "output", 0), (tmp_path / "sources", "yours", 3)):
        assert demo.run_demo(tmp_path, sources, config, Console(width=200)) == code
        assert capsys.readouterr().out.splitlines()[-1] == f"release: {tmp_path / output / 'release'}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--themes", "openve3m"], "needs a prompt"),
        (["--set", "Ingest.min_frames=["], "is no YAML value"),
        (["--redo", "Nobody", "--dry-run"], "no such actor"),
        (["--redo", "Nobody"], "no such actor"),
    ],
)
def test_what_is_wrong_with_a_command_is_said_before_any_work(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    result = job("synthesize", "--sources", tmp_path, "--output", tmp_path / "root", *arguments)
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_stopped_by_a_signal_says_so_and_leaves_the_root_free(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    for name in range(40):
        (sources / f"{name}.mp4").write_bytes(bytes(3000))
    root = tmp_path / "root"
    run = subprocess.Popen(
        command("synthesize", "--sources", sources, "--output", root),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not list(root.glob("journal/Ingest/*.parquet")):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    assert run.returncode == code, said
    assert "stopped; the same command continues" in said
    (end,) = root.glob("journal/runs/*.ended.json")
    assert "error" in json.loads(end.read_text())
    if number == signal.SIGTERM:
        left = sorted(path.name for path in root.glob("journal/attempts/*/*"))
        assert not left, "a call in hand was cut off: its note is there, its result is not"
        journaled = state_of(root).settled["Ingest"].num_rows
        assert 0 < journaled < 40, "it was over before it was stopped"
