"""What poison costs: samples that raise, exit, crash, are killed or hang, among many good ones.

    python -m benchmarks.poison --samples 1000 --poisons killed,hanging --execution pools

What a reader gets wrong: nothing of the pipeline is imitated. The stream, the guard, the journal and Ray are
the real ones; only the actor is made for this, and does as its sample's prompt says.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from actors.attempts import forget
from actors.base import Actor, Added, Sample
from actors.guard import RunContext
from actors.journal import ActorJournal
from actors.pipeline import PlannedActor
from actors.store import open_root
from ray_jobs.phases import Phase
from schemas.config import ActorConfig, RunConfig
from schemas.gates import GATES
from schemas.records import Row, sample_id, source_key


def _raise() -> None:
    raise ZeroDivisionError("float division")


def _no_memory() -> None:
    raise MemoryError("cannot allocate 512 GiB")


POISONS: Mapping[str, Callable[[], object]] = {
    "raising": _raise,
    "exiting": lambda: sys.exit(7),
    "without memory": _no_memory,
    "crashing": lambda: ctypes.string_at(0),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),  # as the kernel does when memory is short
    "hanging": lambda: time.sleep(1e6),
    "hanging in C": lambda: re.match(r"(a+)+$", "a" * 40 + "b"),  # never lets the interpreter's lock go
}
TIMEOUT_S = 2.0


class Describer(Actor[ActorConfig]):
    """Describes a sample, or does what the sample's prompt says; notes each call in a file."""

    stage = 2
    reads = ("given_prompt", "source_id")
    adds = ("original_scene",)

    def process(self, sample: Sample) -> Added:
        with Path(self.config.options["calls"]).open("a") as calls:
            calls.write(f"{sample.key} {time.time()}\n")
        time.sleep(self.config.options["seconds"])
        prompt = sample.value("given_prompt")
        if prompt is not None:
            POISONS[prompt]()
        return {"original_scene": f"scene {sample.value('source_id')}"}


class Follower(Actor[ActorConfig]):
    """Takes what the describer let through, one by one."""

    stage = 2
    reads = ("original_scene",)
    adds = ("prompt",)

    def process(self, sample: Sample) -> Added:
        return {"prompt": sample.text("original_scene")}


@dataclass(frozen=True)
class Outcome:
    """One run over samples with poison among them."""

    seconds: float
    results: dict[str, dict[str, Any]]
    """The describer's journal rows, by key."""
    followed: set[str]
    """Keys that came through the second actor."""
    calls: list[tuple[str, float]]
    """Keys with the time at which the describer began to work on them, in order."""

    def pauses(self) -> list[float]:
        """Seconds from a sample's call that was made alone, and died, to the next try of it."""
        tries: dict[str, list[float]] = {}
        for key, began in self.calls:
            tries.setdefault(key, []).append(began)
        return [
            after - before
            for row in self.results.values()
            if row["error_class"] == "WorkerDiedError"
            for before, after in pairwise(tries[row["key"]][1:])
        ]


def run(
    root: Path,
    samples: int,
    poisons: Sequence[str],
    *,
    execution: str,
    batch: int,
    number: int,
    seconds: float,
) -> Outcome:
    """Send the samples of run `number` through both actors on the Ray that is there; poisons lie evenly."""
    from ray_jobs.stream import stream

    store = open_root(str(root), create=True)
    calls = root.parent / f"calls-{number}"
    calls.touch()
    options = {"calls": str(calls), "seconds": seconds}
    describer = ActorConfig(batch_size=batch, options=options, sample_timeout_s=TIMEOUT_S)
    plan = [
        PlannedActor(Describer, describer, None, {}),
        PlannedActor(Follower, ActorConfig(batch_size=8), None, {}),
    ]
    names = [item.name for item in plan]
    context = RunContext(
        root=store.uri,
        run=number,
        name="Sparkle",
        seed=42,
        thresholds={gate.name: None for gate in GATES},
        generations=dict.fromkeys(names, 0),
        fingerprints=dict.fromkeys(names, ""),
    )
    # a run has its own sources, so that the journal of one before is no help
    rows = [_source(number * 100_000 + place) for place in range(samples)]
    for place, poison in enumerate(poisons):
        rows[(2 * place + 1) * samples // (2 * len(poisons))].samples[0].values["given_prompt"] = poison
    config = RunConfig.model_validate({"execution": execution})
    started = time.monotonic()
    stream(rows, Phase(tuple(plan), (2, 1), "all of it"), config, context)
    ended = time.monotonic()
    forget(store)
    keys = {row.samples[0].key for row in rows}
    return Outcome(
        ended - started,
        {key: row for key, row in _journaled(root, Describer).items() if key in keys},
        keys & _journaled(root, Follower).keys(),
        [(key, float(began)) for key, began in map(str.split, calls.read_text().splitlines())],
    )


def _source(number: int) -> Row:
    key = sample_id("Sparkle", "location", number)
    return Row(source_key(number), {"source_id": number}, samples=[Row(key, {"given_prompt": None})])


def _journaled(root: Path, actor: type[Actor[Any]]) -> dict[str, dict[str, Any]]:
    journal = ActorJournal(open_root(str(root), create=False), actor.step())
    rows: list[dict[str, Any]] = journal.read(journal.parts()).to_pylist()
    if len(rows) != len({row["key"] for row in rows}):
        raise AssertionError("a sample has two rows")
    return {row["key"]: row for row in rows}


def main(
    samples: Annotated[int, typer.Option(min=1)] = 1000,
    poisons: Annotated[
        str, typer.Option(help=f"comma-separated, of: {', '.join(POISONS)}")
    ] = "killed,hanging",
    execution: Annotated[str, typer.Option(help="pools or functions")] = "pools",
    batch: Annotated[int, typer.Option(min=1, help="samples a call")] = 32,
    seconds: Annotated[float, typer.Option(min=0, help="that a good sample takes")] = 0.02,
) -> None:
    """Run the samples without poison and with it, and say what it cost."""
    from ray_jobs.stream import start_ray

    console = Console(soft_wrap=True, highlight=False)
    folder = Path(tempfile.mkdtemp())
    start_ray(0)
    names = [name.strip() for name in poisons.split(",") if name.strip()]
    try:
        rest = {"execution": execution, "batch": batch, "seconds": seconds}
        run(folder / "root", 64, (), number=1, **rest)  # type: ignore[arg-type]  # workers are started once
        clean = run(folder / "root", samples, (), number=2, **rest)  # type: ignore[arg-type]
        poisoned = run(folder / "root", samples, names, number=3, **rest)  # type: ignore[arg-type]
    finally:
        shutil.rmtree(folder)
    failed = [row for row in poisoned.results.values() if row["outcome"] != "ok"]
    good = len(poisoned.results) - len(failed)
    for row in failed:
        words = (row["error_class"], f"{row['attempt']} attempts died", row["node"], row["error"])
        console.print(f"failed {row['key']}: {', '.join(words)}", markup=False)
    deaths = sum(row["attempt"] for row in failed)
    console.print(
        f"{execution}, batch {batch}: {good} of {samples} good, {len(poisoned.followed)} went on; "
        f"without poison {clean.seconds:.1f} s, with {poisoned.seconds:.1f} s; {deaths} deaths by name; "
        f"{len(poisoned.calls) - samples} of {len(poisoned.calls)} calls were repeats"
    )
    if pauses := poisoned.pauses():
        console.print(
            f"from a death to the next try: {', '.join(f'{pause:.2f}' for pause in pauses)} s; "
            f"a new Python that only imports what a worker does takes {_bare_start():.2f} s"
        )


def _bare_start() -> float:
    """Seconds, the best of three."""
    command = [sys.executable, "-c", "import ray.data, ray_jobs.stream"]
    return min(timeit.repeat(lambda: subprocess.run(command, check=True), number=1, repeat=3))


if __name__ == "__main__":
    from benchmarks.poison import main as importable  # workers import the actors by their module's name

    typer.run(importable)
