"""`--redo`: a new generation, what goes on and what begins anew.

What a reader gets wrong: no model runs here; roots are written by `small_root`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from actors.pipeline import resolve
from actors.store import open_root
from ray_jobs.finish import synthesize_and_publish
from ray_jobs.publish import publish
from ray_jobs.runs import check_run, end_key, end_run, ended, newest_run, open_deciding_run, open_run
from ray_jobs.settings import apply
from ray_jobs.sources import SourceEntry
from schemas.config import RunConfig
from tests.ray_jobs.commands import tree
from tests.ray_jobs.small_root import make_root, redo

ONE_THEME = RunConfig(themes=("location",))


def test_a_redo_that_was_broken_off_goes_on_and_a_finished_one_starts_anew(tmp_path: Path) -> None:
    make_root(tmp_path, sources=1, config=ONE_THEME)
    store = open_root(str(tmp_path), create=False)
    for expected in (1, 1):
        record = open_run(store, "synthesize", ONE_THEME, redo="VideoGenerator")
        assert record.generations["VideoGenerator"] == expected
    with ended(store, record):
        pass
    again = open_run(store, "synthesize", ONE_THEME, redo="VideoGenerator")
    assert again.generations["VideoGenerator"] == 2
    assert again.generations["GuidanceComposer"] == 0


@pytest.mark.parametrize("job", ["publish", "regate", "retry", "synthesize"])
def test_a_redo_that_was_broken_off_goes_on_after_other_runs(tmp_path: Path, job: str) -> None:
    make_root(tmp_path, sources=1, config=ONE_THEME)
    store = open_root(str(tmp_path), create=False)
    open_run(store, "synthesize", ONE_THEME, redo="VideoGenerator")
    if job in ("publish", "regate"):
        with ended(store, open_deciding_run(store, job, ONE_THEME)):
            pass
    else:
        note = {"error": "killed"} if job == "synthesize" else {}
        end_run(store, open_run(store, job, ONE_THEME).run, note)
    record = open_run(store, "synthesize", ONE_THEME, redo="VideoGenerator")
    assert record.generations["VideoGenerator"] == 1


def test_a_redo_by_other_recipes_than_the_one_that_was_broken_off_starts_anew(tmp_path: Path) -> None:
    make_root(tmp_path, sources=1, config=ONE_THEME)
    store = open_root(str(tmp_path), create=False)
    for seen, low in enumerate((50, 60), start=1):
        config = apply({"themes": ["location"]}, [f"GuidanceComposer.canny_low={low}"])
        record = open_run(store, "synthesize", config, redo="GuidanceComposer")
        assert record.generations["GuidanceComposer"] == seen


def test_a_redo_has_finished_when_its_publish_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_root(tmp_path, sources=1, config=ONE_THEME)
    root, entries = str(tmp_path), [SourceEntry("/videos/clip 0.mp4")]
    store = open_root(root, create=False)

    def on_a_full_disk(_: str) -> None:
        raise OSError("the disk is full")

    def next_generation() -> int:
        planned = resolve(ONE_THEME)
        return check_run(store, newest_run(store), ONE_THEME, planned, "VideoGenerator")["VideoGenerator"]

    redo(tmp_path, "VideoGenerator", ONE_THEME, sources=1)
    assert next_generation() == 2, "it had no publish to wait for"
    store.delete(end_key(2))  # as if it had been killed at its end
    assert next_generation() == 1
    monkeypatch.setattr("ray_jobs.finish.publish", on_a_full_disk)
    with pytest.raises(OSError, match="full"):
        synthesize_and_publish(root, entries, ONE_THEME, Console(quiet=True), redo=None, with_release=True)
    assert next_generation() == 1
    publish(root)
    assert next_generation() == 2


def test_publish_follows_a_redo_and_the_first_generation_stays(tmp_path: Path) -> None:
    make_root(tmp_path, sources=1, config=ONE_THEME)
    publish(str(tmp_path))
    first = tree(tmp_path / "artifacts")
    before = (tmp_path / "release/location/edited_video/Sparkle_location_000000.mp4").read_bytes()
    redo(tmp_path, "VideoGenerator", ONE_THEME, sources=1)
    publish(str(tmp_path))
    now = tree(tmp_path / "artifacts")
    assert {name: now[name] for name in first} == first
    again = (tmp_path / "release/location/edited_video/Sparkle_location_000000.mp4").read_bytes()
    assert again == now["generation-1/location/edited_video/Sparkle_location_000000.mp4"]
    assert again != before
