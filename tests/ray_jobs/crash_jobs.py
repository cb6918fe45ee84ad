"""Jobs to be killed, and the roots that they work on.

What a reader gets wrong: planning, guard, journal, store and release are the real ones. Only the models are
made up, and actors run in this process instead of in Ray's; what they say they note outside the root.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

import ray_jobs.stream
from actors.base import Actor, Added, Sample
from actors.guard import Guard, RunContext
from actors.pipeline import PlannedActor, resolve
from actors.store import open_root
from ray_jobs.phases import Phase
from ray_jobs.publish import publish
from ray_jobs.regate import regate
from ray_jobs.regenerate import regenerate
from ray_jobs.remove import remove
from ray_jobs.root import compact
from ray_jobs.runs import ended, newest_run, open_run
from ray_jobs.sources import SourceEntry
from ray_jobs.synthesize import synthesize
from schemas.columns import MEDIA
from schemas.config import ReleaseConfig, RunConfig
from schemas.gates import GATES
from schemas.records import Row, source_key
from tests.ray_jobs.small_root import GOOD, _values, make_root, media_bytes

CONFIG = RunConfig(themes=("location",), release=ReleaseConfig(shard_bytes=10_240, previews=0))
STRICT = CONFIG.model_copy(
    update={
        "actors": {
            "EditedVideoScorer": {"min_edited_video_overall": 9.0},
            "BackgroundAnimator": {"min_background_dynamics": None},
        }
    }
)
"""Accepts other samples of `change_of_set` than `CONFIG`."""
SAMPLE = "Sparkle_location_000001"

Root = Path | str
"""A folder, or `s3://bucket/prefix`."""


# what actors say, and the notes of it


def calls_of(root: Root) -> Path:
    """Where the made-up models note that they were called, and the callers what they got."""
    above, _, name = str(root).rpartition("/")
    return Path(tempfile.gettempdir() if above.startswith("s3://") else above) / f"{name}.calls"


def note(root: Root, *words: str) -> None:
    """One line; a process that is killed afterwards has written it."""
    with calls_of(root).open("a") as file:
        file.write("\t".join(words) + "\n")


def notes(root: Root, kind: str) -> list[tuple[str, ...]]:
    if not calls_of(root).exists():
        return []
    lines = (tuple(line.split("\t")) for line in calls_of(root).read_text().splitlines())
    return [words[1:] for words in lines if words[0] == kind]


def made(item: PlannedActor, root: Root, word: str = "0") -> Actor[Any]:
    """The actor with values and media that are made up, the same for the same sample and word."""
    step = item.actor.step()

    def process(self: Actor[Any], sample: Sample) -> Added:
        note(root, "called", step.name, sample.key)
        values: dict[str, Any] = dict(_values(step, sample.key, GOOD))
        for column in step.adds:
            if column in MEDIA:
                values[column] = media_bytes(MEDIA[column].extension, f"{column} {sample.key} {word}")
        return values

    members = {"process": process, "process_batch": Actor.process_batch}
    kind: type[Actor[Any]] = type(step.name, (item.actor,), members)
    return kind(item.config, None)


def here(rows: Sequence[Row], phase: Phase, config: RunConfig, context: RunContext) -> int:
    """`ray_jobs.stream.stream` in this process; what a call returned is noted: it is acknowledged."""
    root = context.root
    fanned_out = False
    for item in phase.actors:
        if item.actor.keyed == "sample" and not fanned_out:
            rows, fanned_out = [sample for row in rows for sample in row.fan_out()], True
        guard = Guard(made(item, root), context)
        gone_on: list[Row] = []
        for row in rows:
            for result in guard([row]):
                media = {name: result.artifacts[name].sha256 for name in item.actor.adds if name in MEDIA}
                note(root, "acknowledged", item.name, result.key, json.dumps(media, sort_keys=True))
                gone_on.append(result)
        rows = gone_on
    return len(rows)


# the jobs


def run_synthesize(root: Root) -> None:
    ray_jobs.stream.stream = here
    ray_jobs.stream.start_ray = lambda gpus=None: None
    entries = [SourceEntry(f"/videos/clip {number}.mp4") for number in range(2)]
    console = Console(file=io.StringIO())
    synthesize(str(root), entries, CONFIG, console)


def run_calls(root: Root) -> None:
    """Two calls of the first actor in the newest run, or once more as Ray makes them again."""
    store = open_root(str(root), create=False)
    record = newest_run(store)
    assert record is not None
    context = RunContext(
        root=str(root),
        run=record.run,
        name=CONFIG.name,
        seed=CONFIG.seed,
        thresholds={gate.name: None for gate in GATES},
        generations=record.generations,
        fingerprints={item.name: item.fingerprint for item in resolve(CONFIG)},
    )
    sources = [Row(source_key(number), {"source_uri": f"/{number}.mp4"}) for number in range(2)]
    here(sources, Phase(resolve(CONFIG)[:1], (1,), ""), CONFIG, context)


def run_publish(root: Root) -> None:
    publish(str(root))


def run_remove(root: Root) -> None:
    remove(str(root), source="1")


def run_regenerate(root: Root) -> None:
    """Artifacts and parts that are gone; the first, which are nowhere, come from their actors."""

    def through(rows: Sequence[Row], phase: Phase, config: RunConfig, context: RunContext) -> None:
        for item in phase.actors:
            if item.actor.keyed == "sample":
                rows = [sample for row in rows for sample in (row.fan_out() if row.samples else [row])]
            rows = Guard(made(item, root), context)(rows)

    result = regenerate(str(root), missing=True, through=through)
    assert result.remade.failed == [], result.remade.failed


def run_compact(root: Root) -> None:
    store = open_root(str(root), create=False)
    record = open_run(store, "synthesize", CONFIG)
    with ended(store, record):
        compact(store, record, over=1)


# the roots before them


def new_root(root: Root) -> None:
    """Nothing."""


def opened(root: Root) -> None:
    """A run that holds the root, and has done nothing yet."""
    open_run(open_root(str(root), create=True), "synthesize", CONFIG)


def change_of_set(root: Root) -> None:
    """A release of two samples, and thresholds that admit another two by now."""
    measured = {
        "Sparkle_location_000000": {"edited_video_overall": 8.2},
        "Sparkle_location_000002": {"background_dynamics": 1.0},
    }
    make_root(root, sources=3, measured=measured, config=CONFIG)
    publish(str(root))
    regate(str(root), STRICT)


def two_released(root: Root) -> None:
    make_root(root, sources=2, config=CONFIG)
    publish(str(root))


def lost_things(root: Root) -> None:
    """An artifact that the release has no more either, one that it has, and a part."""
    two_released(root)
    store = open_root(str(root), create=False)
    for column in ("edited_video_canny", "edited_frame0"):
        (artifact,) = (key for key in store.keys("artifacts") if f"/{column}/{SAMPLE}." in key)
        store.delete(artifact)
    for key in store.keys("release"):
        if "canny" in key and key.endswith(".tar"):
            store.delete(key)


def many_parts(root: Root) -> None:
    run_synthesize(root)


@dataclass(frozen=True)
class CrashJob:
    """A job, and the root before it."""

    run: Callable[[Root], None]
    prepare: Callable[[Root], None]
    makes_again: bool = False
    """Whether it calls models for what is in the journal."""
    sweeps: bool = True
    """Whether it aborts uploads that a killed run left in a bucket; the others leave that to these."""


JOBS = {
    "synthesize": CrashJob(run_synthesize, new_root),
    "compact": CrashJob(run_compact, many_parts, sweeps=False),
    "calls": CrashJob(run_calls, opened, sweeps=False),
    "publish": CrashJob(run_publish, change_of_set),
    "remove": CrashJob(run_remove, two_released),
    "regenerate": CrashJob(run_regenerate, lost_things, makes_again=True),
}
