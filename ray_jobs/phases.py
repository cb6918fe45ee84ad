"""Phases: consecutive actors that stream together because their GPUs fit the cluster at once.

What a reader gets wrong: phases change when work is done, never what comes out. They hand over through the
journal, so a phase may run on another machine, days later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import pyarrow.compute as pc

from actors.pipeline import PlannedActor
from ray_jobs.gpus import Room
from ray_jobs.root import RootState
from schemas.config import ConfigError
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
    planned: Sequence[PlannedActor], nodes: Sequence[int], measured: Mapping[str, float] | None = None
) -> tuple[Phase, ...]:
    """Phases of consecutive actors whose pools fit the GPUs of some nodes: as few as possible, unless more of
    them are clearly faster, since seven idle pools of a light actor's GPU cost more than loading models once
    more.

    Args:
        nodes: GPUs of each node.
        measured: seconds a sample by actor, as the journal has them; without, its backend's figure counts.

    Raises:
        ConfigError: an actor that no phase can place, with what is missing.
    """
    missing = [item for item in planned if _room([item], nodes) is None]
    if missing:
        needs = "; ".join(f"{item.name} ({_backend(item)}) needs {_need(item)}" for item in missing)
        on = f" on {len(nodes)} nodes, at most {max(nodes)} on one" if len(nodes) > 1 else ""
        raise ConfigError(
            f"the plan counts on {sum(nodes)} GPUs{on}, and {needs}. Join a cluster that has them "
            "(RAY_ADDRESS), name what it may grow to (--set gpus=N), choose smaller models, or use "
            "configs/embedded.yaml"
        )
    seconds = {item.name: (measured or {}).get(item.name, item.seconds) for item in planned}
    ends = _ends(planned, nodes, seconds)
    phases: list[Phase] = []
    for start, end in zip((0, *ends), ends, strict=False):
        actors = planned[start:end]
        why = _why(phases[-1].actors, actors, nodes, seconds) if phases else "the beginning"
        phases.append(Phase(tuple(actors), _spread(actors, nodes, seconds), why))
    return tuple(phases)


def _ends(
    planned: Sequence[PlannedActor], nodes: Sequence[int], seconds: Mapping[str, float]
) -> tuple[int, ...]:
    """Where each phase ends: the fewest phases whose time is within `WORTH_A_CUT` of the fastest plan.

    The time of a plan is the sum of its phases' seconds a sample; the best plan of k phases over the first n
    actors is the best of k - 1 phases over fewer and one phase over the rest.
    """

    @cache
    def phase(start: int, end: int) -> float | None:
        """Its seconds a sample; None where it does not fit."""
        actors = planned[start:end]
        return None if _room(actors, nodes) is None else _seconds(actors, nodes, seconds)

    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    plans = []
    for _ in planned:
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for start, (time, ends) in best.items():
            for end in range(start + 1, len(planned) + 1):
                taken = phase(start, end)
                if taken is None:
                    break
                candidate = (time + taken, (*ends, end))
                longer[end] = min(longer.get(end, candidate), candidate)
        best = longer
        if len(planned) in best:
            plans.append(best[len(planned)])
    fastest = min(time for time, _ in plans)
    return next(ends for time, ends in plans if time <= fastest * WORTH_A_CUT)


def _seconds(actors: Sequence[PlannedActor], nodes: Sequence[int], seconds: Mapping[str, float]) -> float:
    """Seconds a sample of a phase: those of the actor that the others wait for."""
    workers = _spread(actors, nodes, seconds)
    return max(
        (seconds[item.name] / count for item, count in zip(actors, workers, strict=True) if item.num_gpus),
        default=0.0,
    )


def _why(
    before: Sequence[PlannedActor],
    actors: Sequence[PlannedActor],
    nodes: Sequence[int],
    seconds: Mapping[str, float],
) -> str:
    """Why these actors do not stream with those of the phase before."""
    together = [*before, *actors]
    if _room(together, nodes) is None:
        need = sum(sum(_workers(item)) for item in together)
        on = f" on {len(nodes)} nodes" if len(nodes) > 1 else ""
        return f"with the phase before its workers would need {need:g} GPUs, of {sum(nodes)}{on}"
    apart = _seconds(before, nodes, seconds) + _seconds(actors, nodes, seconds)
    joint = _seconds(together, nodes, seconds)
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


def _spread(
    actors: Sequence[PlannedActor], nodes: Sequence[int], seconds: Mapping[str, float]
) -> tuple[int, ...]:
    """Workers of each actor: the config's `pool_size` where it is set, otherwise a share of the GPUs by work.

    One more worker always goes where a sample costs most seconds a worker, which is what the throughput of
    the phase hangs on.
    """
    workers = [item.config.pool_size or 1 for item in actors]
    room = _room(actors, nodes)
    growing = [place for place, item in enumerate(actors) if item.num_gpus and item.config.pool_size is None]
    while growing and room is not None:
        place = max(growing, key=lambda place: seconds[actors[place].name] / workers[place])
        if not seconds[actors[place].name] or not room.take(actors[place].num_gpus):
            break  # a smaller actor beside it would not make the phase faster
        workers[place] += 1
    return tuple(workers)


def _room(actors: Sequence[PlannedActor], nodes: Sequence[int]) -> Room | None:
    """What the smallest pools of these actors leave of the nodes; None where they do not fit at once."""
    room = Room(nodes)
    return room if room.take_all(gpus for item in actors for gpus in _workers(item)) else None


def _workers(item: PlannedActor) -> list[float]:
    """GPUs of each worker without which an actor's pool cannot start."""
    return [item.num_gpus] * (item.config.pool_size or 1)


def _need(item: PlannedActor) -> str:
    count = item.config.pool_size or 1
    return f"{item.num_gpus:g}" if count == 1 else f"{count} times {item.num_gpus:g}"


def _backend(item: PlannedActor) -> str:
    return item.backend.name if item.backend else "no model"


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
