"""Progress of a run, read from where the truth is: the journal parts that the workers write.

What a reader gets wrong: nothing is counted in the workers. The driver reads each new part once; a part that
a retried call found already written is not counted twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from actors.journal import ActorJournal
from actors.pipeline import PlannedActor
from actors.store import Store
from ray_jobs.plan import Todo
from schemas.gates import Thresholds, first_closed

POLL_S = 2.0
PLAIN_EVERY_S = 15.0


@dataclass
class ActorCount:
    entered: int = 0
    done: int = 0
    rejected: int = 0
    failed: int = 0
    cpu_s: float = 0.0
    elapsed_s: float = 0.0


def expected_results(todo: Mapping[str, Todo], counts: Mapping[str, ActorCount]) -> dict[str, float]:
    """By actor in order, how many results it will have: what it has to do, scaled by what the actors before
    it let through so far; at least what it has.
    """
    expected = {}
    share = 1.0
    for name, count in counts.items():
        expected[name] = max(todo[name].undone * share, float(count.entered))
        if count.entered:
            lost = expected[name] * (count.entered - count.done) / count.entered
            share *= 1 - lost / max(todo[name].rows * share, expected[name])
    return expected


def minutes_left(
    todo: Mapping[str, Todo], counts: Mapping[str, ActorCount], minutes: float
) -> dict[str, float]:
    """By actor, what the results still expected of it take if the run goes on as in these minutes; in sum
    they are the run's. Empty until every actor that has something to do has a result.

    A result weighs the mean seconds of its actor: a mask is more work than a score.
    """
    expected = expected_results(todo, counts)
    worked = sum(count.elapsed_s for count in counts.values())
    if not worked or any(round(expected[name]) and not count.entered for name, count in counts.items()):
        return {}
    return {
        name: minutes * (expected[name] / count.entered - 1) * count.elapsed_s / worked
        for name, count in counts.items()
        if count.entered
    }


class Progress:
    """Context that watches a run's journal from a thread and shows a table, or plain lines off a terminal."""

    def __init__(
        self,
        store: Store,
        run: int,
        planned: Sequence[PlannedActor],
        thresholds: Thresholds,
        todo: Mapping[str, Todo],
        console: Console,
    ) -> None:
        self.counts = {item.name: ActorCount() for item in planned}
        self._journals = {item.name: ActorJournal(store, item.actor.step()) for item in planned}
        self._todo = todo
        self._prefix = f"{run:06d}-"
        self._thresholds = thresholds
        self._console = console
        self._seen: set[str] = set()
        self._shown: dict[str, int] = {}
        self._reading = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.read()
        self._show()
        if self._live:
            self._live.stop()

    def read(self) -> None:
        """Count the parts that appeared since the last time."""
        with self._reading:
            self._read()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Everything that is there is counted, and then nothing is read: parts may be compacted."""
        with self._reading:
            self._read()
            yield

    def _read(self) -> None:
        for name, journal in self._journals.items():
            for key in journal.parts():
                if (
                    key in self._seen
                    or not key.rsplit("/", 1)[1].startswith(self._prefix)
                    or "compact" in key
                ):
                    continue
                self._seen.add(key)
                for row in journal.read([key]).to_pylist():
                    count = self.counts[name]
                    count.cpu_s += row["cpu_s"] or 0.0
                    count.elapsed_s += row["elapsed_s"] or 0.0
                    count.entered += 1
                    if row["outcome"] != "ok":
                        count.failed += 1
                    elif first_closed(name, row, self._thresholds):
                        count.rejected += 1
                    else:
                        count.done += 1

    def table(self) -> Table:
        """Per actor: done, rejected, failed, rate, time left; in the last line the run's time left."""
        table = Table("actor", "done", "rejected", "failed", "a minute", "left", box=None, pad_edge=False)
        for column in table.columns[1:]:
            column.justify = "right"
        left = minutes_left(self._todo, self.counts, self._minutes())
        for name, count in self.counts.items():
            rate = f"{self._rate(count):.1f}" if count.entered else ""
            fates = (str(n) for n in (count.done, count.rejected, count.failed))
            table.add_row(name, *fates, rate, _worded(left.get(name, 0.0)))
        table.add_row("in all", "", "", "", "", _worded(sum(left.values())))
        return table

    def _rate(self, count: ActorCount) -> float:
        """Results a minute since the run began."""
        return count.entered / max(self._minutes(), 1e-6)

    def _minutes(self) -> float:
        """Minutes since the run began."""
        return (time.monotonic() - self._started) / 60

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(POLL_S):
            self.read()
            if self._live or time.monotonic() - last >= PLAIN_EVERY_S:
                self._show()
                last = time.monotonic()

    def _show(self) -> None:
        if self._live:
            self._live.update(self.table(), refresh=True)
            return
        moved = {name: c.entered for name, c in self.counts.items() if c.entered != self._shown.get(name, 0)}
        self._shown.update(moved)
        expected = expected_results(self._todo, self.counts)
        said = [self._plain(name, round(expected[name])) for name in moved]
        line = ", ".join(said) or ("working" if self._shown else "starting")
        minutes = self._minutes()
        left = _worded(sum(minutes_left(self._todo, self.counts, minutes).values()))
        ending = f"; {left} left" if left else ""
        self._console.print(f"\\[{60 * minutes:5.0f} s] {line}{ending}", highlight=False, soft_wrap=True)

    def _plain(self, name: str, expected: int) -> str:
        """`Actor 3 of 8 (5.0 a minute, 1 rejected)`; for those that moved since the last line."""
        count = self.counts[name]
        fates = [f"{n} {word}" for n, word in ((count.rejected, "rejected"), (count.failed, "failed")) if n]
        paced = [f"{self._rate(count):.1f} a minute", *fates]
        return f"{name} {count.entered} of {expected} ({', '.join(paced)})"


def _worded(minutes: float) -> str:
    return f"{minutes:.1f} min" if minutes >= 0.1 else ""
