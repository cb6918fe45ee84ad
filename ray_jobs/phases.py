"""Phases: consecutive actors that stream together because their GPUs fit the cluster at once.

What a reader gets wrong: phases change when work is done, never what comes out. They hand over through the
journal, so a phase may run on another machine, days later.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from actors.pipeline import PlannedActor
from ray_jobs.root import RootState
from schemas.config import ConfigError, RunConfig
from schemas.gates import Thresholds, first_closed
from schemas.records import Row

WORTH_A_CUT = 1.25
"""How often faster a plan of more phases must be; each loads its models and waits for its last sample."""


@dataclass(frozen=True)
class Phase:
    """Actors that run at once, with the workers that each gets."""

    actors: tuple[PlannedActor, ...]
    workers: tuple[int, ...]
    """By actor. Of a GPU actor and of every actor with `execution: pools`, the size of its pool."""
    why: str
    """Why the phase begins where it does."""

    @property
    def gpus(self) -> float:
        """GPUs that all its pools take together."""
        return sum(
            item.num_gpus * count for item, count in zip(self.actors, self.workers, strict=True) if count
        )


def cut(
    planned: Sequence[PlannedActor], gpus: float, measured: Mapping[str, float] | None = None
) -> tuple[Phase, ...]:
    """Phases of consecutive actors whose pools fit `gpus` GPUs: as few as possible, unless more of them are
    clearly faster, since seven idle pools of a light actor's GPU cost more than loading models once more.

    Args:
        measured: seconds a sample by actor, as the journal has them; without, its backend's figure counts.

    Raises:
        ConfigError: an actor that no phase can place, with what is missing.
    """
    missing = [item for item in planned if _least(item) > gpus]
    if missing:
        needs = "; ".join(f"{item.name} ({_backend(item)}) needs {_least(item):g}" for item in missing)
        raise ConfigError(
            f"the plan counts on {gpus:g} GPUs, and {needs}. Join a cluster that has them (RAY_ADDRESS), "
            "name what it may grow to (--set gpus=N), choose smaller models, or use configs/embedded.yaml"
        )
    seconds = {item.name: (measured or {}).get(item.name, item.seconds) for item in planned}
    ends = _ends(planned, gpus, seconds)
    phases: list[Phase] = []
    for start, end in zip((0, *ends), ends, strict=False):
        actors = planned[start:end]
        why = _why(phases[-1].actors, actors, gpus, seconds) if phases else "the beginning"
        phases.append(Phase(tuple(actors), _spread(actors, gpus, seconds), why))
    return tuple(phases)


def _ends(planned: Sequence[PlannedActor], gpus: float, seconds: Mapping[str, float]) -> tuple[int, ...]:
    """Where each phase ends: the fewest phases whose time is within `WORTH_A_CUT` of the fastest plan.

    The time of a plan is the sum of its phases' seconds a sample; the best plan of k phases over the first n
    actors is the best of k - 1 phases over fewer and one phase over the rest.
    """
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    plans = []
    for _ in planned:
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for start, (time, ends) in best.items():
            for end in range(start + 1, len(planned) + 1):
                if sum(map(_least, planned[start:end])) > gpus:
                    break
                candidate = (time + _seconds(planned[start:end], gpus, seconds), (*ends, end))
                longer[end] = min(longer.get(end, candidate), candidate)
        best = longer
        if len(planned) in best:
            plans.append(best[len(planned)])
    fastest = min(time for time, _ in plans)
    return next(ends for time, ends in plans if time <= fastest * WORTH_A_CUT)


def _seconds(actors: Sequence[PlannedActor], gpus: float, seconds: Mapping[str, float]) -> float:
    """Seconds a sample of a phase: those of the actor that the others wait for."""
    workers = _spread(actors, gpus, seconds)
    return max(
        (seconds[item.name] / count for item, count in zip(actors, workers, strict=True) if item.num_gpus),
        default=0.0,
    )


def _why(
    before: Sequence[PlannedActor],
    actors: Sequence[PlannedActor],
    gpus: float,
    seconds: Mapping[str, float],
) -> str:
    """Why these actors do not stream with those of the phase before."""
    together = [*before, *actors]
    need = sum(map(_least, together))
    if need > gpus:
        return f"with the phase before it would need {need:g} GPUs of {gpus:g}"
    apart = _seconds(before, gpus, seconds) + _seconds(actors, gpus, seconds)
    joint = _seconds(together, gpus, seconds)
    return f"with the phase before a sample would take {joint:.0f} s instead of {apart:.0f} s"


def measured_seconds(state: RootState) -> dict[str, float]:
    """Seconds a sample that the journal recorded, by actor; the median, since a model's loading and a cold
    cache are in some of them.
    """
    found = {}
    for name, settled in state.settled.items():
        taken = settled.filter(
            pc.and_(pc.equal(settled["outcome"], "ok"), pc.greater(settled["elapsed_s"], 0.0))
        )
        if taken.num_rows:
            found[name] = float(pc.approximate_median(taken["elapsed_s"]).as_py())
    return found


def _spread(actors: Sequence[PlannedActor], gpus: float, seconds: Mapping[str, float]) -> tuple[int, ...]:
    """Workers of each actor: the config's `pool_size` where it is set, otherwise a share of the GPUs by work.

    One more worker always goes where a sample costs most seconds a worker, which is what the throughput of
    the phase hangs on.
    """
    workers = [item.config.pool_size or 1 for item in actors]
    left = gpus - sum(item.num_gpus * count for item, count in zip(actors, workers, strict=True))
    growing = [place for place, item in enumerate(actors) if item.num_gpus and item.config.pool_size is None]
    while growing:
        place = max(growing, key=lambda place: seconds[actors[place].name] / workers[place])
        if actors[place].num_gpus > left or not seconds[actors[place].name]:
            break  # a smaller actor beside it would not make the phase faster
        workers[place] += 1
        left -= actors[place].num_gpus
    return tuple(workers)


def _least(item: PlannedActor) -> float:
    """GPUs without which an actor's pool cannot start. A worker has its part of one GPU, not of two: three
    with 0.6 take three.
    """
    workers = item.config.pool_size or 1
    if not 0 < item.num_gpus < 1:
        return item.num_gpus * workers
    a_gpu = int(1 / item.num_gpus + 1e-9)
    whole, rest = divmod(workers, a_gpu)
    return whole + rest * item.num_gpus


def _backend(item: PlannedActor) -> str:
    return item.backend.name if item.backend else "no model"


def gpus_known(config: RunConfig) -> int | None:
    """GPUs to plan with, as far as that can be said without Ray: the config's, or this machine's when no
    cluster is named; None where the cluster must be asked.
    """
    if config.gpus is not None:
        return config.gpus
    return None if os.environ.get("RAY_ADDRESS") else local_gpus()


def local_gpus() -> int:
    """NVIDIA GPUs of this machine that the process may see."""
    there = [path.name for path in Path("/dev").glob("nvidia[0-9]*")]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return len(there)
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return min(len(there), names.index("-1") if "-1" in names else len(names))  # CUDA stops at the first -1


def entering(rows: Sequence[Row], before: Sequence[PlannedActor], thresholds: Thresholds) -> list[Row]:
    """The rows of a wave that a phase takes up: those that passed all actors of the phases `before` it."""
    sources = [item.name for item in before if item.actor.keyed == "source"]
    samples = [item.name for item in before if item.actor.keyed == "sample"]
    ready = []
    for row in rows:
        if not _passed(row, sources, thresholds):
            continue
        row.samples = [sample for sample in row.samples if _passed(sample, samples, thresholds)]
        if row.samples:
            ready.append(row)
    return ready


def undone(rows: Sequence[Row], phase: Phase) -> list[Row]:
    """The rows for which a phase has something left to do, without the samples for which it has not: a phase
    that only passes rows on would load its models for nothing.
    """
    sources = [item.name for item in phase.actors if item.actor.keyed == "source"]
    samples = [item.name for item in phase.actors if item.actor.keyed == "sample"]
    left = []
    for row in rows:
        if all(name in row.done for name in sources):
            row.samples = [sample for sample in row.samples if not set(samples) <= set(sample.done)]
            if not row.samples:
                continue
        left.append(row)
    return left


def _passed(row: Row, actors: Sequence[str], thresholds: Thresholds) -> bool:
    return all(name in row.done and first_closed(name, row.values, thresholds) is None for name in actors)
