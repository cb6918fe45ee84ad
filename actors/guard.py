"""The guard round every actor call: finished work first, attempts noted, artifacts before rows, rows before
return.

What a reader gets wrong: the guard is the only place that knows journal and store, and the order in it is the
whole of exactly-once: artifact, then record, then return. An actor that fails a sample, a worker that dies
and a sample that kills every worker all end here as one journal row.
"""

from __future__ import annotations

import errno
import faulthandler
import hashlib
import json
import os
import platform
import resource
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from actors.attempts import AttemptNotes, Fate
from actors.base import Actor, Added, Sample
from actors.journal import ActorJournal
from actors.ops.video import png_bytes
from actors.roles import BackendError, SampleError
from actors.store import StoreError, open_store
from schemas.columns import MEDIA
from schemas.config import ActorConfig
from schemas.gates import Thresholds, first_closed
from schemas.records import Artifact, Row, artifact_path, seed_for

MAX_DEATHS = 2
"""Calls on one sample that may die with their worker before the sample is `failed`; of a sample that did so
in an earlier run, none."""
ALONE_S = 1.0
"""A sample of a batch that took longer is journaled at once: the next one's death does not take it along."""
TIMEOUT_GRACE_S = 10.0
"""For a worker to note that it ran out of time. After that it is ended from outside the interpreter, whose
lock a hanging call in C may hold."""
TIMED_OUT = 75
"""Exit code of a worker whose call took too long, EX_TEMPFAIL."""
MAX_REASON_CHARACTERS = 4000
"""Of one error in the journal, which a run reads as a whole."""
REUSED = 64
"""Results of unseeded actors kept in a process, for the next theme of the same source."""
_STDERR = sys.__stderr__ or sys.stderr
_GPU_ERRORS = ("OutOfMemoryError", "AcceleratorError")
"""Of torch, by name since only backends import it."""
_ENVIRONMENT = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EMFILE)


ENDED_WORKERS = ("WorkerDiedError", "TimeoutError", "MemoryError")
"""Error classes of samples that took a worker with them."""


class WorkerDiedError(SampleError):
    """Every worker that took this sample died."""


class ExitCalledError(SampleError):
    """Something below the actor called sys.exit."""


class FateError(SampleError):
    """The end that a worker noted before it came; the sample keeps the class it had."""

    def __init__(self, error_class: str, message: str) -> None:
        super().__init__(message)
        self.error_class = error_class


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
    deaths: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By actor and key: workers that a sample took with it in earlier runs. Such a sample is taken alone."""


def stop_key(run: int) -> str:
    """What lies here says to the workers of a run that no call is to begin any more."""
    return f"journal/stopping/{run:06d}"


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
        if result is None and self.name not in row.done:
            return False  # the run is being stopped
        if result is not None:
            if result["outcome"] != "ok":
                return False
            row.values.update({name: result[name] for name in self.actor.adds if name not in MEDIA})
            row.artifacts.update({item["column"]: Artifact(**item) for item in result["artifacts"]})
            row.done.append(self.name)
        return first_closed(self.name, row.values, self.context.thresholds) is None

    def _settle(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Those that took workers with them in an earlier run come last and alone."""
        deadly = self.context.deaths.get(self.name, {})
        together = [row for row in rows if row.key not in deadly]
        batches = [together, *([row] for row in rows if row.key in deadly)]
        return [result for batch in batches if batch for result in self._settle_batch(batch)]

    def _settle_batch(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        keys = [row.key for row in rows]
        part = self.journal.part_key(self.context.run, keys)
        if self.store.exists(part):
            return self._stored(part, keys)
        if self.store.exists(stop_key(self.context.run)):
            return []
        begun = self.notes.begin(keys)
        if begun and len(rows) > 1:  # one of them may be poison: find out which
            results = [result for row in rows for result in self._settle_batch([row])]
            if len(results) < len(rows):
                return results  # stopped in between
            self.journal.write(part, [])  # the same call made again finds all of them
        elif begun and (error := self._given_up(keys[0], begun)):
            results = self.journal.write(part, [self._row(rows[0], begun, error, 0.0, 0.0)])
        else:
            results = self._work(rows, begun, part)
        self.notes.end(keys, begun)
        return results

    def _stored(self, part: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        """The results that a first try of this call wrote: in its part, or one by one."""
        together: list[dict[str, Any]] = self.journal.read([part]).to_pylist()
        there = {result["key"] for result in together}
        alone = [self.journal.part_key(self.context.run, [key]) for key in keys if key not in there]
        return [*together, *self.journal.read(alone).to_pylist()]

    def _given_up(self, key: str, begun: int) -> SampleError | None:
        """Why a sample is not tried once more: its time ran out, or too many workers died with it."""
        node, _ = self.notes.where_and_when(key, begun - 1)
        fate = self.notes.fate(key, begun - 1)
        limit = self.actor.config.sample_timeout_s
        if fate is None and limit is not None and self.notes.overran(key, begun, limit + TIMEOUT_GRACE_S):
            fate = _timeout(limit)  # it could not even note that
        earlier = self.context.deaths.get(self.name, {}).get(key, 0)
        if fate is not None and fate.error_class == "TimeoutError":
            return FateError(fate.error_class, f"{fate.message} on {node}")
        if begun + min(earlier, MAX_DEATHS) <= MAX_DEATHS:
            return None
        count = begun + earlier
        died = f"{count} workers died while they worked on this sample, the last on {node}"
        if fate is None:
            return WorkerDiedError(died)
        return FateError(fate.error_class, f"{died}: {fate.message}")

    def _work(self, rows: Sequence[Row], attempt: int, part: str) -> list[dict[str, Any]]:
        """The rows' results, journaled in this part; those that took long in parts of their own."""
        done: list[dict[str, Any]] = []
        together: list[dict[str, Any]] = []
        fresh = []
        for row in rows:
            known = None if self.actor.seeded else self.known.get(self._inputs_digest(row))
            if known is None:
                fresh.append(row)
            else:
                together.append(self._again(row, known, attempt))
        with self.store.scratch() as scratch:
            samples = [self._sample(row, Path(scratch)) for row in fresh]
            before = time.monotonic(), _cpu_seconds()
            for taken in self._outcomes(samples):
                now = time.monotonic(), _cpu_seconds()
                elapsed, cpu = ((end - start) / len(taken) for end, start in zip(now, before, strict=True))
                for number, outcome in taken:
                    result = self._row(fresh[number], attempt, outcome, elapsed, cpu)
                    self._keep(result)
                    if elapsed > ALONE_S and len(taken) == 1 and len(rows) > 1:
                        own = self.journal.part_key(self.context.run, [result["key"]])
                        done += self.journal.write(own, [result])
                    else:
                        together.append(result)
                before = time.monotonic(), _cpu_seconds()
        return [*done, *self.journal.write(part, together)]

    def _keep(self, result: dict[str, Any]) -> None:
        if self.actor.seeded or result["outcome"] != "ok":
            return
        self.known[result["inputs_digest"]] = result
        while len(self.known) > REUSED:
            self.known.popitem(last=False)

    def _outcomes(self, samples: Sequence[Sample]) -> Iterator[list[tuple[int, Added | SampleError]]]:
        """What the actor says of the samples, by number, as it says it: all at once where it takes them so,
        otherwise one by one; fetching the next sample then overlaps the work on this one.
        """
        if type(self.actor).process_batch is not Actor.process_batch and len(samples) > 1:
            together = self._attempt(samples)
            if not isinstance(together, SampleError):
                yield list(enumerate(together))
                return
        with ThreadPoolExecutor(max_workers=1) as ahead:
            for number, sample in enumerate(samples):
                following = ahead.submit(samples[number + 1].load) if number + 1 < len(samples) else None
                outcome = self._attempt([sample])
                yield [(number, outcome if isinstance(outcome, SampleError) else outcome[0])]
                if following is not None:
                    with self._in_time([samples[number + 1]]):
                        following.exception()  # a sample that cannot be loaded says so when its turn comes

    def _attempt(self, samples: Sequence[Sample]) -> list[Added | SampleError] | SampleError:
        try:
            with self._in_time(samples):
                return self.actor.process_batch(samples)
        except SampleError as error:
            return error
        except SystemExit as error:
            return ExitCalledError(f"sys.exit({error.code!r}) was called")
        except MemoryError as error:
            self._leave(samples, Fate("MemoryError", str(error) or "out of memory"))
        except (ImportError, StoreError, BackendError):
            raise  # the worker or its installation is at fault, not the sample
        except OSError as error:
            if error.errno in _ENVIRONMENT:
                raise
            return UnexpectedError(error)
        except Exception as error:  # noqa: BLE001 - the one net: one bad sample must not take the others with it
            if type(error).__name__ in _GPU_ERRORS or str(error).startswith("CUDA error"):
                # as no memory of the host's: the GPU is of no use to this process any more
                self._leave(samples, Fate(type(error).__name__, str(error)[:MAX_REASON_CHARACTERS]))
            return UnexpectedError(error)

    @contextmanager
    def _in_time(self, samples: Sequence[Sample]) -> Iterator[None]:
        """Ends the worker when its body takes longer than the config's `sample_timeout_s` a sample.

        A call into C cannot be interrupted, so the process ends and Ray starts another. The second clock is
        outside the interpreter.
        """
        limit = self.actor.config.sample_timeout_s
        if limit is None:
            yield
            return
        clock = threading.Timer(limit * len(samples), self._leave, (samples, _timeout(limit)))
        clock.daemon = True
        clock.start()
        faulthandler.dump_traceback_later(limit * len(samples) + TIMEOUT_GRACE_S, exit=True, file=_STDERR)
        try:
            yield
        finally:
            clock.cancel()
            faulthandler.cancel_dump_traceback_later()

    def _leave(self, samples: Sequence[Sample], fate: Fate) -> NoReturn:
        """End this worker; the next try of the call finds why, if it is one sample's."""
        faulthandler.dump_traceback(file=_STDERR)  # to the worker's log: where it hung
        if len(samples) == 1:
            self.notes.condemn(samples[0].key, fate)
        os._exit(TIMED_OUT)

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
            kind = type(outcome).__name__
            if isinstance(outcome, UnexpectedError | FateError):
                kind = outcome.error_class
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


def _timeout(limit_s: float) -> Fate:
    return Fate("TimeoutError", f"no result after {limit_s:g} s (sample_timeout_s); the worker was ended")


def _artifact(column: str, path: str, size_bytes: int, sha256: str) -> dict[str, Any]:
    return {"column": column, "path": path, "size_bytes": size_bytes, "sha256": sha256}


def _storable(words: str) -> str:
    """A reason as the journal can hold it: a file name in it need not be UTF-8, a library's may be long."""
    return words[:MAX_REASON_CHARACTERS].encode("utf-8", "backslashreplace").decode()


def _cpu_seconds() -> float:
    """CPU time of this process and of the children it waited for (Ingest decodes in a child)."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
