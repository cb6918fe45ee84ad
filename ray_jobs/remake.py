"""Making lost artifacts again: the actors that made them run once more, from the same inputs and seeds.

What a reader gets wrong: it runs in a root of its own, `ROOT/remaking/`, with its own journal, so that the
guard, its attempt notes and its lookups work as ever and the root's journal has no second row meanwhile. Only
when all is compared does anything come over. What came out the same is put back under its old name. What came
out otherwise is a new generation of that sample: new artifacts under `artifacts/again-RUN/`, everything that
was made from them made anew, and rows with an attempt below those they replace, which is what makes them
count (`schemas.journal.settle`). Rows come over last actor first: until the first one is there the artifact
is still missing, and the same command goes on.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from actors.guard import RunContext
from actors.journal import ActorJournal
from actors.pipeline import PIPELINE, PlannedActor, resolve
from actors.store import Store, open_store
from ray_jobs.gpus import nodes_known
from ray_jobs.models import require_weights
from ray_jobs.phases import Phase, cut, entering
from ray_jobs.plan import stream_rows
from ray_jobs.removals import REMAKING, again_folder
from ray_jobs.root import RootState, read_actor
from schemas.columns import MEDIA
from schemas.config import RunConfig
from schemas.gates import GATES
from schemas.journal import settle
from schemas.records import Artifact, Row

Through = Callable[[Sequence[Row], Phase, RunConfig, RunContext], object]
"""How rows go through a phase's actors: `ray_jobs.stream.stream`."""
Work = set[tuple[str, str]]
"""(actor, key)."""
OFF = {gate.name: None for gate in GATES}
_ORDER = {actor.__name__: number for number, actor in enumerate(PIPELINE)}
_ACTORS = {actor.__name__: actor for actor in PIPELINE}
_MAKER = {name: actor.__name__ for actor in PIPELINE for name in actor.adds}


@dataclass
class Remade:
    """What came of it."""

    same: list[str] = field(default_factory=list)
    """Keys of artifacts that are back, byte for byte."""
    changed: list[str] = field(default_factory=list)
    """In words: which artifacts came out otherwise, and what differs in how they were made."""
    failed: list[str] = field(default_factory=list)
    """In words: what could not be made again, and why."""


def intact(store: Store, artifact: Artifact) -> bool:
    """Whether the store has these bytes."""
    try:
        if store.size_bytes(artifact.path) != artifact.size_bytes:
            return False
        digest = hashlib.sha256()
        with store.open_read(artifact.path) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest() == artifact.sha256
    except KeyError:
        return False


def remake(
    store: Store,
    state: RootState,
    run: int,
    config: RunConfig,
    wanted: Iterable[tuple[str, str]],
    through: Through | None = None,
) -> Remade:
    """Make the artifacts `wanted` (sample id, media column) again.

    Args:
        run: the run that holds the root.
        config: the root's recorded config.
        through: how rows are sent through actors; by default a stream on Ray.

    Raises:
        ConfigError: the recorded config cannot be resolved or placed on this cluster.
        RunFailedError: a worker or its installation failed.
    """
    bench = _Bench(store, state, config, through, list(wanted))
    bench.run()
    result = bench.compare()
    result.changed += bench.newer
    if bench.otherwise:
        bench.follow()
        bench.run()
    bench.bring_over(run, result)
    for key in list(store.keys(REMAKING)):
        store.delete(key)
    return result


class _Bench:
    """The second root with what is to be made in it."""

    def __init__(
        self,
        store: Store,
        state: RootState,
        config: RunConfig,
        through: Through | None,
        wanted: Sequence[tuple[str, str]],
    ) -> None:
        self.store, self.state, self.config, self.through = store, state, config, through
        self.planned: dict[str, PlannedActor] = {item.name: item for item in resolve(config)}
        self.sources = self._rows({sample for sample, _ in wanted})
        self.rows = {row.key: row for source in self.sources for row in (source, *source.samples)}
        self.source_of = {row.key: source for source in self.sources for row in (source, *source.samples)}
        self.work: Work = set()
        self.missing: dict[tuple[str, str], set[str]] = {}
        """By actor and key: the columns whose artifacts are gone."""
        self.otherwise: dict[tuple[str, str], list[str]] = {}
        """By actor and key: missing columns that came out with other bytes."""
        self.refused: set[str] = set()
        """Keys of sources of which nothing is brought over, since something of theirs failed."""
        self.side = open_store(f"{store.uri}/{self._folder()}")
        self.newer: list[str] = []
        """In words: wanted artifacts that the journal has in a newer generation than the shard plan."""
        for sample, column in wanted:
            recorded = self._row(_MAKER[column], sample).artifacts[column]
            if intact(store, recorded):
                self.newer.append(f"{sample} {column}: {recorded.path} is there, the plan is older")
            else:
                self._need(sample, column)

    def _rows(self, samples: set[str]) -> list[Row]:
        planned = self.state.samples
        mine = planned.filter(pc.is_in(planned["sample_id"], value_set=pa.array(sorted(samples))))
        whole = pc.is_in(planned["source_key"], value_set=pc.unique(mine["source_key"]))
        return stream_rows(self.state, planned.filter(whole))

    def _folder(self) -> str:
        """One for each way of making: what a killed call left is of use to the same only."""
        made = [
            (name, item.fingerprint, self.state.record.generations[name])
            for name, item in self.planned.items()
        ]
        return f"{REMAKING}/{hashlib.sha256(repr(made).encode()).hexdigest()[:16]}"

    def _need(self, sample: str, column: str) -> None:
        """The actor of a missing artifact must run, and before it those of its missing inputs."""
        actor = _MAKER[column]
        row = self._row(actor, sample)
        self.missing.setdefault((actor, row.key), set()).add(column)
        if (actor, row.key) not in self.work:
            self.work.add((actor, row.key))
            self._bring_inputs(actor, row, sample)

    def _bring_inputs(self, actor: str, row: Row, sample: str) -> None:
        there = {**self.source_of[row.key].artifacts, **row.artifacts}
        for name in _ACTORS[actor].reads:
            if name not in MEDIA:
                continue
            if intact(self.store, there[name]):
                self.store.link_if_absent(f"{self._folder()}/{there[name].path}", there[name].path)
            elif (_MAKER[name], self._row(_MAKER[name], sample).key) not in self.work:
                self._need(sample, name)

    def _row(self, actor: str, sample: str) -> Row:
        return self.rows[sample] if _ACTORS[actor].keyed == "sample" else self.source_of[sample]

    # making

    def run(self) -> None:
        """Send what is to be made through its actors, phase by phase."""
        left = self.work - self.results().keys()
        if not left:
            return
        names = sorted({actor for actor, _ in left}, key=_ORDER.__getitem__)
        actors = [self.planned[name] for name in names]
        nodes = nodes_known(self.config) or [0]
        through = self.through
        if through is None:
            from ray_jobs.stream import start_ray_for, stream  # a root whose artifacts are there needs no Ray

            if not os.environ.get("RAY_ADDRESS"):
                require_weights(actors)
            nodes = start_ray_for(self.config)
            through = stream
        context = RunContext(
            root=self.side.uri,
            run=self._next_run(),
            name=self.config.name,
            seed=self.config.seed,
            thresholds=OFF,
            generations=self.state.record.generations,
            fingerprints={name: item.fingerprint for name, item in self.planned.items()},
        )
        done = 0
        for phase in cut(actors, nodes):
            rows = entering(self._stream_rows(names), actors[:done], OFF)
            if rows:
                through(rows, phase, self.config, context)
            done += len(phase.actors)

    def _next_run(self) -> int:
        """A number above those in the second root's part names, so that what failed there is tried again."""
        names = (key.rsplit("/", 1)[1] for name in self.planned for key in self.side.keys(f"journal/{name}"))
        return max((int(name[:6]) for name in names), default=0) + 1

    def _stream_rows(self, names: Sequence[str]) -> list[Row]:
        """The rows as their actors get them: what is not to be made counts as done."""
        results = self.results()

        def row(base: Row) -> Row:
            made = {name: results.get((name, base.key)) for name, key in self.work if key == base.key}
            copy = Row(base.key, dict(base.values), dict(base.artifacts))
            keyed = "source" if self.source_of[base.key] is base else "sample"
            others = [name for name in names if _ACTORS[name].keyed == keyed]
            copy.done = [name for name in (*base.done, *others) if made.get(name, {}) is not None]
            for name, result in made.items():
                if result is not None:
                    adds = _ACTORS[name].adds
                    copy.values.update({column: result[column] for column in adds if column not in MEDIA})
                    copy.artifacts.update(_artifacts(result))
            return copy

        rows = []
        for source in self.sources:
            mine = row(source)
            mine.samples = [row(sample) for sample in source.samples]
            rows.append(mine)
        return rows

    def results(self, outcome: str = "ok") -> dict[tuple[str, str], dict[str, Any]]:
        """What the second root's journal has of the work, by actor and key."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for name in {actor for actor, _ in self.work}:
            keys = pa.array(sorted(key for actor, key in self.work if actor == name))
            journal = ActorJournal(self.side, _ACTORS[name].step())
            rows = settle(journal.read(journal.parts(), only=keys), self.state.record.generations[name])
            found |= {(name, row["key"]): row for row in rows.to_pylist() if row["outcome"] == outcome}
        return found

    # comparing

    def compare(self) -> Remade:
        """Which missing artifacts came out as they were; notes those that did not."""
        result = Remade()
        results, failures = self.results(), self.results("failed")
        for actor, key in sorted(self.missing, key=lambda item: (_ORDER[item[0]], item[1])):
            made = results.get((actor, key))
            if made is None:
                error = failures.get((actor, key), {}).get("error") or "an actor before it failed"
                result.failed.append(f"{key}: {actor} failed again: {error}")
                self.refused.add(self.source_of[key].key)
                continue
            base = self.rows[key]
            if made.get("source_sha256") != base.values.get("source_sha256") and actor == "Ingest":
                uri = base.values["source_uri"]
                result.failed.append(
                    f"{key}: {uri} is not the file that was taken in, so nothing is made from it"
                )
                self.refused.add(key)
                continue
            new = _artifacts(made)
            columns = sorted(self.missing[actor, key])
            other = [name for name in columns if new[name].sha256 != base.artifacts[name].sha256]
            if other:
                self.otherwise[actor, key] = other
        return result

    def follow(self) -> None:
        """All that was made from what came out otherwise must be made anew, once."""
        stale: dict[str, set[str]] = {}
        for name in sorted(_ACTORS, key=_ORDER.__getitem__):
            actor = _ACTORS[name]
            for row in self.rows.values():
                source = self.source_of[row.key]
                if (row is source) != (actor.keyed == "source") or name not in row.done:
                    continue
                reads = set(actor.reads) & (stale.get(row.key, set()) | stale.get(source.key, set()))
                if (name, row.key) not in self.otherwise and not reads:
                    continue
                stale.setdefault(row.key, set()).update(actor.adds)
                if (name, row.key) not in self.work:
                    self.work.add((name, row.key))
                    self._bring_present_inputs(name, row, stale)

    def _bring_present_inputs(self, actor: str, row: Row, stale: Mapping[str, set[str]]) -> None:
        source = self.source_of[row.key]
        made_anew = stale.get(row.key, set()) | stale.get(source.key, set())
        there = {**source.artifacts, **row.artifacts}
        for name in _ACTORS[actor].reads:
            if name in MEDIA and name not in made_anew:
                self.store.link_if_absent(f"{self._folder()}/{there[name].path}", there[name].path)

    # bringing over

    def bring_over(self, run: int, result: Remade) -> None:
        results, failures = self.results(), self.results("failed")
        anew = {item for item in self.work if item in self.otherwise or item not in self.missing}
        for actor, key in sorted(anew - results.keys(), key=lambda item: (_ORDER[item[0]], item[1])):
            error = failures.get((actor, key), {}).get("error") or "an actor before it failed"
            result.failed.append(f"{key}: {actor}, which follows, failed: {error}")
            self.refused.add(self.source_of[key].key)
        recorded = {name: self._recorded(name, anew) for name, _ in anew}
        for (actor, key), columns in self.missing.items():
            if (actor, key) in results and (actor, key) not in anew and self._usable(key):
                for column in sorted(columns):
                    result.same.append(
                        self._put_back(self.rows[key].artifacts[column], results[actor, key], column)
                    )
        for name in sorted({actor for actor, _ in anew}, key=_ORDER.__getitem__, reverse=True):
            rows = [
                self._row_anew(results[name, key], recorded[name][key], run)
                for actor, key in sorted(anew)
                if actor == name and self._usable(key)
            ]
            if rows:
                journal = ActorJournal(self.store, _ACTORS[name].step())
                journal.write(journal.part_key(run, [row["key"] for row in rows]), rows)
        for (actor, key), other in sorted(self.otherwise.items()):
            if self._usable(key):
                result.changed += self._why(recorded[actor][key], results[actor, key], other)

    def _usable(self, key: str) -> bool:
        return self.source_of[key].key not in self.refused

    def _recorded(self, name: str, anew: Work) -> dict[str, dict[str, Any]]:
        keys = pa.array(sorted(key for actor, key in anew if actor == name))
        rows = read_actor(self.store, self.state.record, _ACTORS[name].step(), only=keys)
        return {row["key"]: row for row in rows.to_pylist()}

    def _put_back(self, artifact: Artifact, made: Mapping[str, Any], column: str) -> str:
        self.store.delete(artifact.path)  # gone, or damaged
        self.store.link_if_absent(artifact.path, f"{self._folder()}/{_artifacts(made)[column].path}")
        return artifact.path

    def _row_anew(self, made: Mapping[str, Any], old: Mapping[str, Any], run: int) -> dict[str, Any]:
        """The row that counts before the recorded one, with its artifacts in the root."""
        artifacts = []
        for item in made["artifacts"]:
            path = f"{again_folder(run)}/{item['path'].removeprefix('artifacts/')}"
            self.store.link_if_absent(path, f"{self._folder()}/{item['path']}")
            artifacts.append({**item, "path": path})
        return {**made, "artifacts": artifacts, "run": old["run"], "attempt": old["attempt"] - 1}

    def _why(self, old: Mapping[str, Any], new: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
        differs = [
            f"{word} {old[name]} -> {new[name]}"
            for word, name in (("fingerprint", "fingerprint"), ("inputs", "inputs_digest"), ("host", "node"))
            if old[name] != new[name]
        ]
        cause = (
            "; ".join(differs)
            or f"same recipe, same inputs, same host {platform.node()}: not deterministic there"
        )
        before, after = _artifacts(old), _artifacts(new)
        return [
            f"{old['key']} {name}: {before[name].sha256[:16]} -> {after[name].sha256[:16]} ({cause})"
            for name in columns
        ]


def _artifacts(row: Mapping[str, Any]) -> dict[str, Artifact]:
    return {item["column"]: Artifact(**item) for item in row["artifacts"]}
