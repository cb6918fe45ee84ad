"""What is left to do in a root: the rows that enter the stream, with all that is known of them already.

What a reader gets wrong: planning needs no Ray. Resume is not a special case: every run plans from the
journal, and a first run finds it empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from actors.attempts import deaths_left_behind
from actors.guard import ENDED_WORKERS, MAX_DEATHS
from actors.pipeline import BROUGHT, STEPS
from ray_jobs.root import RootState, read_actor
from schemas.columns import MEDIA
from schemas.config import RunConfig
from schemas.records import Artifact, Row

_OF_SOURCE = ("source_id", "source_uri", "licence")


class Todo(NamedTuple):
    """What a run has to do of one actor."""

    rows: int
    """Sources or samples that the run takes up."""
    undone: int
    """Those of them without a good result of the actor yet."""


@dataclass(frozen=True)
class Work:
    """The samples that a run takes up, source by source."""

    state: RootState
    samples: pa.Table
    """Schema `ray_jobs.root.SAMPLES`, sorted by source."""

    def todo(self) -> dict[str, Todo]:
        """By actor in the pipeline's order."""
        found = {}
        for step in STEPS:
            keys = self.samples["sample_id" if step.keyed == "sample" else "source_key"].unique()
            settled = self.state.settled[step.name]
            mine = pc.is_in(settled["key"], value_set=keys)
            done = pc.sum(pc.and_(mine, pc.equal(settled["outcome"], "ok"))).as_py() or 0
            found[step.name] = Todo(len(keys), len(keys) - done)
        return found

    def waves(self, sources_a_wave: int) -> Iterator[pa.Table]:
        """The samples of `sources_a_wave` sources at a time."""
        keys = self.samples["source_key"].unique()
        for start in range(0, len(keys), sources_a_wave):
            wave = keys.slice(start, sources_a_wave)
            yield self.samples.filter(pc.is_in(self.samples["source_key"], value_set=wave))


def work_left(state: RootState, config: RunConfig, asked: set[str]) -> Work:
    """The samples asked for that are live by these thresholds, and the failed ones that may be tried
    again.
    """
    verdicts = state.verdicts(config)
    live = pc.equal(verdicts["status"], "live")
    again = pc.equal(verdicts["status"], "failed")
    failures = _failures(state, verdicts)
    again = pc.and_(again, pc.less(failures, config.max_failures))
    left = state.samples.filter(pc.or_(live, again))
    left = left.filter(pa.array([key in asked for key in left["sample_id"].to_pylist()], pa.bool_()))
    return Work(state, left.sort_by([("source_id", "ascending"), ("sample_id", "ascending")]))


def _failures(state: RootState, verdicts: pa.Table) -> pa.Array:
    """For every sample, how often the actor that failed it did so."""
    counts = pa.array([0] * verdicts.num_rows, pa.int64())
    for step in STEPS:
        settled = state.settled[step.name]
        here = pc.and_(pc.equal(verdicts["status"], "failed"), pc.equal(verdicts["actor"], step.name))
        if not pc.any(here).as_py():
            continue
        keys = state.samples["sample_id" if step.keyed == "sample" else "source_key"]
        place = pc.index_in(keys, value_set=settled["key"])
        counts = pc.if_else(
            pc.fill_null(here, False), settled["failures"].take(pc.fill_null(place, 0)), counts
        )
    return counts


def deadly(state: RootState) -> dict[str, dict[str, int]]:
    """By actor and key: workers that a sample took with it in earlier runs, as their notes say that broke
    off, and as the journal says of those that came to their end.

    The journal does not say how many; `MAX_DEATHS` leaves such a sample one try a run.
    """
    deaths = deaths_left_behind(state.store)
    for name, settled in state.settled.items():
        died = pc.is_in(settled["error_class"], value_set=pa.array(ENDED_WORKERS))
        for key in settled["key"].filter(died).to_pylist():
            of_actor = deaths.setdefault(name, {})
            of_actor[key] = max(of_actor.get(key, 0), MAX_DEATHS)
    return deaths


def stream_rows(state: RootState, samples: pa.Table) -> list[Row]:
    """One row a source with its samples, each with the journaled results of the actors that are done.

    Results are read from the journal as it is now, and only those of these samples.
    """
    by_source: dict[str, Row] = {}
    by_sample: dict[str, Row] = {}
    for planned in samples.to_pylist():
        source = by_source.setdefault(
            planned["source_key"],
            Row(planned["source_key"], {name: planned[name] for name in _OF_SOURCE}),
        )
        own = {name: planned[name] for name in sorted(BROUGHT) if name not in _OF_SOURCE}
        row = Row(planned["sample_id"], own)
        source.samples.append(row)
        by_sample[row.key] = row
    for step in STEPS:
        rows = by_source if step.keyed == "source" else by_sample
        columns = ["artifacts", *(name for name in step.adds if name not in MEDIA)]
        keys = pa.array(list(rows), pa.string())
        results = read_actor(state.store, state.record, step, columns=columns, only=keys)
        for result in results.filter(pc.equal(results["outcome"], "ok")).to_pylist():
            row = rows[result["key"]]
            row.values.update({name: result[name] for name in step.adds if name not in MEDIA})
            row.artifacts.update({item["column"]: Artifact(**item) for item in result["artifacts"]})
            row.done.append(step.name)
    return list(by_source.values())
