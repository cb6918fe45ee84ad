"""Every crash point of the jobs of `tests.ray_jobs.crash_jobs`, of which the tests take some.

    python -m tests.ray_jobs                     every crash point of every job
    python -m tests.ray_jobs publish --power     a loss of power after every operation of `publish`

What a reader gets wrong: these are minutes, not hours: a crash point costs about a second, on a root of two
or three samples.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.ray_jobs.crash_campaigns import crash_everywhere, power_lost
from tests.ray_jobs.crash_jobs import JOBS

app = typer.Typer(add_completion=False)


@app.command()
def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"of {', '.join(JOBS)}; all by default")] = None,
    power: Annotated[bool, typer.Option(help="lose the power instead of killing the process")] = False,
    every: Annotated[int, typer.Option(min=1, help="operations, of which one is taken")] = 1,
) -> None:
    """Every crash point of these jobs; prints how many there were, and what was wrong."""
    console = Console(soft_wrap=True, highlight=False)
    wrong = 0
    for name in names or JOBS:
        folder = Path(tempfile.mkdtemp())
        began = time.monotonic()
        if power:
            found = power_lost(JOBS[name], folder, every=every)
        else:
            points = range(1, 1_000_000, every)
            found = crash_everywhere(JOBS[name], folder, points=points)
        shutil.rmtree(folder)
        wrong += len(found.faults)
        what = "losses of power" if power else "crash points"
        for fault in found.faults[:20]:
            console.print(f"fault: {fault}", markup=False)
        console.print(
            f"{name}: {found.points} {what}, {len(found.faults)} faults, {time.monotonic() - began:.0f} s"
        )
    if wrong:
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
