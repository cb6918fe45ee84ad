"""The guard round every actor call: finished work first, attempts noted, artifacts before rows, rows before
return.

What a reader gets wrong: the guard is the only place that knows journal and store, and the order in it is the
whole of exactly-once: artifact, then record, then return. An actor that fails a sample, a worker that dies
and a sample that kills every worker all end here as one journal row.
"""

from __future__ import annotations

import errno
import hashlib
import json
import platform
import resource
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from actors.base import Actor, Added, Sample
from actors.journal import ActorJournal, AttemptNotes
from actors.ops.video import png_bytes
from actors.roles import SampleError
from actors.store import StoreError, open_store
from schemas.columns import MEDIA
from schemas.config import ActorConfig
from schemas.gates import Thresholds, first_closed
from schemas.records import Artifact, Row, artifact_path, seed_for

MAX_DEATHS = 2
"""Calls on one sample that may die with their worker before the sample is `failed`."""
MAX_REASON_CHARACTERS = 4000
"""Of one error in the journal, which a run reads as a whole."""
REUSED = 64
"""Results of unseeded actors kept in a process, for the next theme of the same source."""
_ENVIRONMENT = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EMFILE, errno.ENOMEM)


class WorkerDiedError(SampleError):
    """Every worker that took this sample died."""


class ExitCalledError(SampleError):
    """Something below the actor called sys.exit."""


class UnexpectedError(SampleError):
    """An error that the actor did not foresee; the sample keeps the class it had."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error) or repr(error))
        self.error_class = type(error).__name__


@dataclass(frozen=True)
class RunContext:
    """What a worker must know of the run; small, and pickled to every worker."""

    root: str
    run: int
    name: str
    seed: int
    thresholds: Thresholds
    generations: Mapping[str, int]
    fingerprints: Mapping[str, str]


class Guard:
    """One actor with its journal and store, in one worker process."""

    def __init__(self, actor: Actor[ActorConfig], context: RunContext) -> None:
        self.actor = actor
        self.name = type(actor).__name__
        self.context = context
        self.store = open_store(context.root)
        self.journal = ActorJournal(self.store, actor.step())
        self.notes = AttemptNotes(self.store, self.name, context.run)
        self.known: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def __call__(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that go on: those whose result is good and passes this actor's gates."""
        todo = [row for row in rows if self.name not in row.done]
        settled = {result["key"]: result for result in self._settle(todo)} if todo else {}
        return [row for row in rows if self._goes_on(row, settled.get(row.key))]

    def _goes_on(self, row: Row, result: dict[str, Any] | None) -> bool:
        if result is not None:
            if result["outcome"] != "ok":
                return False
            row.values.update({name: result[name] for name in self.actor.adds if name not in MEDIA})
            row.artifacts.update({item["column"]: Artifact(**item) for item in result["artifacts"]})
            row.done.append(self.name)
        return first_closed(self.name, row.values, self.context.thresholds) is None

    def _settle(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        keys = [row.key for row in rows]
        part = self.journal.part_key(self.context.run, keys)
        if self.store.exists(part):
            there: list[dict[str, Any]] = self.journal.read([part]).to_pylist()
            return there
        deaths = self.notes.begin(keys)
        if deaths and len(rows) > 1:  # one of them may be poison: find out which
            results = [result for row in rows for result in self._settle([row])]
        elif deaths > MAX_DEATHS:
            error = WorkerDiedError(f"{deaths} workers died while they worked on this sample")
            results = self.journal.write(part, [self._row(rows[0], deaths, error, 0.0, 0.0)])
        else:
            results = self.journal.write(part, self._work(rows, deaths))
        self.notes.end(keys, deaths)
        return results

    def _work(self, rows: Sequence[Row], attempt: int) -> list[dict[str, Any]]:
        results: dict[str, dict[str, Any]] = {}
        fresh = []
        for row in rows:
            known = None if self.actor.seeded else self.known.get(self._inputs_digest(row))
            if known is None:
                fresh.append(row)
            else:
                results[row.key] = self._again(row, known, attempt)
        with self.store.scratch() as scratch:
            samples = [self._sample(row, Path(scratch)) for row in fresh]
            started, cpu = time.monotonic(), _cpu_seconds()
            outcomes = self._outcomes(samples)
            elapsed, cpu = time.monotonic() - started, _cpu_seconds() - cpu
            for row, outcome in zip(fresh, outcomes, strict=True):
                share = 1 / len(fresh)
                result = self._row(row, attempt, outcome, elapsed * share, cpu * share)
                results[row.key] = result
                if not self.actor.seeded and result["outcome"] == "ok":
                    self.known[result["inputs_digest"]] = result
                    while len(self.known) > REUSED:
                        self.known.popitem(last=False)
        return [results[row.key] for row in rows]

    def _outcomes(self, samples: Sequence[Sample]) -> list[Added | SampleError]:
        """What the actor says of each sample; fetching the next sample overlaps the work on this one."""
        if type(self.actor).process_batch is not Actor.process_batch and len(samples) > 1:
            together = self._attempt(lambda: self.actor.process_batch(samples))
            if not isinstance(together, SampleError):
                return together
        outcomes: list[Added | SampleError] = []
        with ThreadPoolExecutor(max_workers=1) as ahead:
            for number, sample in enumerate(samples):
                following = ahead.submit(samples[number + 1].load) if number + 1 < len(samples) else None
                outcome = self._attempt(lambda sample=sample: self.actor.process_batch([sample]))
                outcomes.append(outcome if isinstance(outcome, SampleError) else outcome[0])
                if following is not None:
                    following.exception()  # a sample that cannot be loaded says so when its turn comes
        return outcomes

    def _attempt(self, work: Any) -> list[Added | SampleError] | SampleError:
        try:
            result: list[Added | SampleError] = work()
        except SampleError as error:
            return error
        except SystemExit as error:
            return ExitCalledError(f"sys.exit({error.code!r}) was called")
        except (MemoryError, ImportError, StoreError):
            raise  # the worker or its installation is at fault, not the sample
        except OSError as error:
            if error.errno in _ENVIRONMENT:
                raise
            return UnexpectedError(error)
        except Exception as error:  # noqa: BLE001 - the one net: one bad sample must not take the others with it
            return UnexpectedError(error)
        return result

    def _sample(self, row: Row, scratch: Path) -> Sample:
        reads = self.actor.reads
        folder = scratch / row.key
        folder.mkdir()
        return Sample(
            key=row.key,
            run_seed=self.context.seed,
            seeded_by=self.name,
            values={name: row.values.get(name) for name in reads if name not in MEDIA},
            files={
                name: partial(self.store.local_path, row.artifacts[name].path)
                for name in reads
                if name in MEDIA
            },
            scratch=folder,
        )

    def _row(
        self, row: Row, attempt: int, outcome: Added | SampleError, elapsed_s: float, cpu_s: float
    ) -> dict[str, Any]:
        result: dict[str, Any] = {
            "key": row.key,
            "run": self.context.run,
            "attempt": attempt,
            "generation": self.context.generations[self.name],
            "fingerprint": self.context.fingerprints[self.name],
            "inputs_digest": self._inputs_digest(row),
            "seed": self._seed(row),
            "elapsed_s": elapsed_s,
            "cpu_s": cpu_s,
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "finished_at": datetime.now(UTC),
            "node": platform.node(),
            "artifacts": [],
        }
        if isinstance(outcome, SampleError):
            kind = outcome.error_class if isinstance(outcome, UnexpectedError) else type(outcome).__name__
            return {**result, "outcome": "failed", "error_class": kind, "error": _storable(str(outcome))}
        missing = set(self.actor.adds) ^ set(outcome)
        if missing:
            raise TypeError(f"{self.name} must add exactly {self.actor.adds}; differs in {sorted(missing)}")
        artifacts = [self._put(row, name, outcome[name]) for name in self.actor.adds if name in MEDIA]
        values = {name: outcome[name] for name in self.actor.adds if name not in MEDIA}
        return {**result, "outcome": "ok", "artifacts": artifacts, **values}

    def _again(self, row: Row, known: Mapping[str, Any], attempt: int) -> dict[str, Any]:
        """The result of another sample with equal inputs, under this sample's key."""
        artifacts = []
        for item in known["artifacts"]:
            stored = self.store.link_if_absent(self._artifact_key(row, item["column"]), item["path"])
            artifacts.append(_artifact(item["column"], stored.key, stored.size_bytes, stored.sha256))
        changed = {
            "key": row.key,
            "attempt": attempt,
            "finished_at": datetime.now(UTC),
            "artifacts": artifacts,
        }
        return {**known, **changed, "seed": self._seed(row), "elapsed_s": 0.0, "cpu_s": 0.0}

    def _put(self, row: Row, column: str, content: Any) -> dict[str, Any]:
        key = self._artifact_key(row, column)
        if isinstance(content, Path):
            stored = self.store.put_file_if_absent(key, content)
        else:
            data = png_bytes(content) if isinstance(content, np.ndarray) else content
            stored = self.store.put_bytes_if_absent(key, data)
        return _artifact(column, stored.key, stored.size_bytes, stored.sha256)

    def _artifact_key(self, row: Row, column: str) -> str:
        path = artifact_path(MEDIA[column], row.key, row.values.get("edit_type"), self.context.name)
        generation = self.context.generations[self.name]
        return f"artifacts/{path}" if not generation else f"artifacts/generation-{generation}/{path}"

    def _seed(self, row: Row) -> int | None:
        return seed_for(self.context.seed, row.key, self.name) if self.actor.seeded else None

    def _inputs_digest(self, row: Row) -> str:
        """Digest of the values and files that the actor reads."""
        reads = {
            name: row.artifacts[name].sha256 if name in MEDIA else row.values.get(name)
            for name in self.actor.reads
        }
        text = json.dumps(reads, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def _artifact(column: str, path: str, size_bytes: int, sha256: str) -> dict[str, Any]:
    return {"column": column, "path": path, "size_bytes": size_bytes, "sha256": sha256}


def _storable(words: str) -> str:
    """A reason as the journal can hold it: a file name in it need not be UTF-8, a library's may be long."""
    return words[:MAX_REASON_CHARACTERS].encode("utf-8", "backslashreplace").decode()


def _cpu_seconds() -> float:
    """CPU time of this process and of the children it waited for (Ingest decodes in a child)."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
