"""Planning: what a start costs on a root that is finished, and the benchmark at its smoke size."""

from __future__ import annotations

import time
from pathlib import Path

from actors.store import open_root
from benchmarks.planning import entries_of, make_root, measured_in_a_fresh_process
from ray_jobs.root import read_root
from tests.ray_jobs.commands import job


def test_a_start_on_two_thousand_finished_samples_ends_at_once_and_calls_no_model(tmp_path: Path) -> None:
    rows = 2000 // 4 * (3 + 4 * 12)  # three actors a source, twelve a sample of four themes
    root = tmp_path / "root"
    config = make_root(root, rows, 60, left_share=0.0)
    listed = "".join(f"{entry.uri}\n" for entry in entries_of(rows, config))
    (tmp_path / "list.csv").write_text("uri\n" + listed)
    before = read_root(open_root(str(root), create=False))
    started = time.monotonic()
    done = job("synthesize", "--sources", tmp_path / "list.csv", "--output", root, "--no-publish")
    assert "nothing left to do" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
    assert time.monotonic() - started < 60, "10 s on a machine that does nothing else"
    after = read_root(open_root(str(root), create=False))
    assert before is not None
    assert after is not None
    assert after.samples.num_rows == 2000
    assert {name: t.num_rows for name, t in after.settled.items()} == {
        name: t.num_rows for name, t in before.settled.items()
    }


def test_planning_finds_what_is_left_and_says_its_time_and_memory(tmp_path: Path) -> None:
    rows = 5100
    make_root(tmp_path / "root", rows, 150)
    found = measured_in_a_fresh_process(tmp_path / "root", rows)
    assert (found["samples"], found["left"], found["rows_of_first_wave"]) == (400, 4, 4)
    assert 0 < found["plan_s"] < found["process_s"]
    assert 50 < found["peak_mb"] < 1000
