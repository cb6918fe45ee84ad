"""Progress of a run, read from where the truth is: the journal parts that the workers write.

What a reader gets wrong: nothing is counted in the workers. The driver reads each new part once; a part that
a retried call found already written is not counted twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
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


class Progress:
    """Context that watches a run's journal from a thread and shows a table, or plain lines off a terminal."""

    def __init__(
        self,
        store: Store,
        run: int,
        planned: Sequence[PlannedActor],
        thresholds: Thresholds,
        sources: int,
        samples: int,
        console: Console,
    ) -> None:
        self.counts = {item.name: ActorCount() for item in planned}
        self._journals = {item.name: ActorJournal(store, item.actor.step()) for item in planned}
        self._totals = {item.name: sources if item.actor.keyed == "source" else samples for item in planned}
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
                    count.entered += 1
                    if row["outcome"] != "ok":
                        count.failed += 1
                    elif first_closed(name, row, self._thresholds):
                        count.rejected += 1
                    else:
                        count.done += 1

    def table(self) -> Table:
        """Per actor: done, rejected, failed, rate, time left."""
        table = Table("actor", "done", "rejected", "failed", "a minute", "left", box=None, pad_edge=False)
        for column in table.columns[1:]:
            column.justify = "right"
        for name, count in self.counts.items():
            rate, left = self._pace(name, count)
            table.add_row(name, *(str(n) for n in (count.done, count.rejected, count.failed)), rate, left)
        return table

    def _pace(self, name: str, count: ActorCount) -> tuple[str, str]:
        """Samples a minute since the run began, and the time the samples still expected will take."""
        if not count.entered:
            return "", ""
        left = self._left_minutes(name)
        return f"{self._rate(count):.1f}", f"{left:.1f} min" if left else ""

    def _rate(self, count: ActorCount) -> float:
        """Results a minute since the run began."""
        return count.entered / max((time.monotonic() - self._started) / 60, 1e-6)

    def _left_minutes(self, name: str) -> float:
        """What the results still expected of an actor take at its pace; 0 for one that has none yet."""
        count = self.counts[name]
        if not count.entered:
            return 0.0
        return (self._expected(name) - count.entered) / self._rate(count)

    def _expected(self, name: str) -> float:
        """What will enter: the plan's total, scaled by what the actors before let through so far.

        At least what has entered: a continued run sees of the actors before only what was not good already.
        """
        share = 1.0
        for other, count in self.counts.items():
            if other == name:
                break
            if count.entered:
                share *= count.done / count.entered
        return max(self._totals[name] * share, float(self.counts[name].entered))

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
        seconds = time.monotonic() - self._started
        line = ", ".join(self._plain(name) for name in moved) or ("working" if self._shown else "starting")
        left = self._left_minutes(next(reversed(self.counts)))  # only the last actor's pace says when it ends
        ending = f"; {left:.1f} min left" if left >= 0.1 else ""
        self._console.print(f"\\[{seconds:5.0f} s] {line}{ending}", highlight=False, soft_wrap=True)

    def _plain(self, name: str) -> str:
        """`Actor 3 of 8 (5.0 a minute, 1 rejected)`; for those that moved since the last line."""
        count = self.counts[name]
        fates = [f"{n} {word}" for n, word in ((count.rejected, "rejected"), (count.failed, "failed")) if n]
        paced = [f"{self._rate(count):.1f} a minute", *fates]
        return f"{name} {count.entered} of {round(self._expected(name))} ({', '.join(paced)})"
