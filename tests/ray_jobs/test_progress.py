"""Progress of a run: results are counted once, and the time left is what it will be."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from actors.pipeline import STEPS, resolve, thresholds
from actors.store import open_root
from ray_jobs.plan import Todo, work_left
from ray_jobs.progress import ActorCount, Progress, minutes_left
from ray_jobs.root import compact
from ray_jobs.runs import newest_run
from schemas.config import RunConfig
from tests.ray_jobs.small_root import make_root, state_of

ONE_THEME = RunConfig(themes=("location",))
SECONDS = (0.6, 1.3, 0.7, 1.8, 1.9, 0.9, 1.3, 1.6, 0.9, 9.0, 1.6, 22.6, 5.6, 10.5, 3.8)
"""Of one result of each actor: the demo's."""
SOURCES, THEMES, AT_ONCE = 8, 2, 3
FAILED, REJECTED = 5, 2
"""Numbers of the sources that Ingest cannot read and that the camera gate rejects."""


def simulated_run() -> Iterator[tuple[float, dict[str, ActorCount]]]:
    """Seconds and counts after every result of two workers that take `AT_ONCE` sources through all actors,
    then the next.
    """
    results = []
    free = [0.0, 0.0]
    for first in range(0, SOURCES, AT_ONCE):
        there = list(range(first, min(first + AT_ONCE, SOURCES)))
        for step, seconds in zip(STEPS, SECONDS, strict=True):
            for source in there * (THEMES if step.keyed == "sample" else 1):
                end = heapq.heappop(free) + seconds
                heapq.heappush(free, end)
                results.append((end, step.name, seconds, source))
            lost = {"Ingest": FAILED, "CameraMotionFilter": REJECTED}.get(step.name)
            there = [source for source in there if source != lost]
    counts = {step.name: ActorCount() for step in STEPS}
    for end, name, seconds, source in sorted(results):
        count = counts[name]
        count.entered += 1
        count.elapsed_s += seconds
        count.failed += (name, source) == ("Ingest", FAILED)
        count.rejected += (name, source) == ("CameraMotionFilter", REJECTED)
        count.done = count.entered - count.failed - count.rejected
        yield end, counts


def test_the_time_left_is_near_the_truth_once_every_actor_has_a_result() -> None:
    rows = {step.name: SOURCES * (THEMES if step.keyed == "sample" else 1) for step in STEPS}
    todo = {name: Todo(number, number) for name, number in rows.items()}
    whole = max(seconds for seconds, _ in simulated_run())
    said = 0
    for seconds, counts in simulated_run():
        left = 60 * sum(minutes_left(todo, counts, seconds / 60).values())
        if not counts["EditedVideoScorer"].entered:
            assert left == 0
            continue
        said += 1
        decided = counts["StaticCameraJudge"].entered == SOURCES - 2  # none is lost any more
        assert left == pytest.approx(whole - seconds, abs=(0.05 if decided else 0.3) * whole)
    assert said > 100


def test_the_time_left_of_a_continued_run_counts_only_what_is_not_done() -> None:
    """The tracker has one mask left to make, the generator ten videos; a video takes a minute."""
    counts = {
        "Ingest": ActorCount(),
        "ForegroundTracker": ActorCount(entered=1, done=1, elapsed_s=100),
        "VideoGenerator": ActorCount(entered=4, done=4, elapsed_s=240),
    }
    todo = {"Ingest": Todo(10, 0), "ForegroundTracker": Todo(10, 1), "VideoGenerator": Todo(10, 10)}
    left = minutes_left(todo, counts, (100 + 240) / 60)
    assert left == {"ForegroundTracker": 0, "VideoGenerator": pytest.approx(6)}


def test_what_is_left_to_do_is_known_for_every_actor(tmp_path: Path) -> None:
    config = RunConfig(themes=("location", "season"))
    make_root(
        tmp_path,
        sources=3,
        config=config,
        failed={("Ingest", "000001"): "torn", ("VideoGenerator", "Sparkle_season_000002"): "no luck"},
    )
    state = state_of(tmp_path)
    todo = work_left(state, config, set(state.samples["sample_id"].to_pylist())).todo()
    assert list(todo) == [step.name for step in STEPS]
    assert todo["Ingest"] == (2, 1)
    assert todo["GuidanceComposer"] == (3, 2)
    assert todo["VideoGenerator"] == todo["EditedVideoScorer"] == (3, 3)


def test_every_result_is_counted_once_though_parts_are_compacted_meanwhile(tmp_path: Path) -> None:
    make_root(tmp_path, sources=3, config=ONE_THEME, failed={("Ingest", "000001"): "torn"})
    store = open_root(str(tmp_path), create=False)
    record = newest_run(store)
    assert record is not None
    planned = resolve(ONE_THEME)
    todo = {item.name: Todo(3, 3) for item in planned}
    watch = Progress(store, record.run, planned, thresholds(planned), todo, Console(quiet=True))
    with watch.paused():
        compact(store, record, over=0)
    watch.read()
    assert [watch.counts[name].entered for name in ("Ingest", "EditedVideoScorer")] == [3, 2]
    assert watch.counts["Ingest"].failed == 1
