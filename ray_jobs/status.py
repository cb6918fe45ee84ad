"""The job `status`: where the samples of a root stand, by gate and by reason, and what the actors cost.

What a reader gets wrong: nothing here is stored; it is read from the journal by the newest run's thresholds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from actors.pipeline import STEPS
from ray_jobs.root import RootState
from ray_jobs.runs import end_key

REASON_CHARACTERS = 110


@dataclass(frozen=True)
class Tally:
    """Samples by status, rejected by gate, failed by actor and reason."""

    statuses: Counter[str]
    gates: Counter[str]
    reasons: Counter[tuple[str, str]]


def tally(verdicts: pa.Table, asked: set[str] | None = None) -> Tally:
    """Count verdicts, of these samples or of all."""
    if asked is not None:
        verdicts = verdicts.filter(
            pc.is_in(verdicts["sample_id"], value_set=pa.array(sorted(asked), pa.string()))
        )
    failed = verdicts.filter(pc.equal(verdicts["status"], "failed"))
    reasons = zip(failed["actor"].to_pylist(), failed["error"].to_pylist(), strict=True)
    return Tally(
        statuses=Counter(verdicts["status"].to_pylist()),
        gates=Counter(gate for gate in verdicts["gate"].to_pylist() if gate),
        reasons=Counter((actor, error or "") for actor, error in reasons),
    )


def print_tally(counts: Tally, console: Console) -> None:
    """The table that ends every run: entered, accepted, rejected by each gate, failed with reasons."""
    table = Table("samples", "", "", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    table.add_row("entered", str(counts.statuses.total()), "")
    for status in ("accepted", "rejected", "failed", "live", "removed"):
        if counts.statuses[status] or status in ("accepted", "rejected", "failed"):
            table.add_row(status, str(counts.statuses[status]), "")
        if status == "rejected":
            for gate, count in sorted(counts.gates.items()):
                table.add_row("", str(count), f"by gate {gate}")
        if status == "failed":
            for (actor, reason), count in sorted(counts.reasons.items()):
                table.add_row("", str(count), f"in {actor}: {_short(reason)}")
    console.print(table, markup=False)


def print_costs(state: RootState, console: Console) -> None:
    """Per actor: results in the journal, CPU seconds in all and per result."""
    table = Table("actor", "ok", "failed", "CPU s", "CPU s each", "wall s each", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for step in STEPS:
        rows = state.settled[step.name]
        good = rows.filter(pc.equal(rows["outcome"], "ok"))
        worked = max(good.filter(pc.greater(good["elapsed_s"], 0.0)).num_rows, 1)
        cpu, wall = (pc.sum(good[name]).as_py() or 0.0 for name in ("cpu_s", "elapsed_s"))
        table.add_row(
            step.name,
            str(good.num_rows),
            str(rows.num_rows - good.num_rows),
            f"{cpu:.1f}",
            f"{cpu / worked:.2f}",
            f"{wall / worked:.2f}",
        )
    console.print(table)


def print_status(state: RootState, console: Console) -> None:
    record = state.record
    ended = (
        "ended" if state.store.exists(end_key(record.run)) else f"open, process {record.pid} on {record.host}"
    )
    console.print(
        f"{state.store.uri}: run {record.run} ({record.job}), opened {record.opened_at}, {ended}",
        markup=False,
    )
    print_tally(tally(state.verdicts()), console)
    print_costs(state, console)


def _short(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= REASON_CHARACTERS else f"{line[: REASON_CHARACTERS - 1]}…"
