"""Every crash point of the jobs of `tests.ray_jobs.crash_jobs`, of which the tests take some.

    python -m tests.ray_jobs                     every crash point of every job, on a root in a folder
    python -m tests.ray_jobs --s3                the same in a bucket: SIGKILL round every request that writes
    python -m tests.ray_jobs --s3 --lost         in one run the first answer to each of these requests is lost
    python -m tests.ray_jobs publish --power     a loss of power after every operation of `publish`

What a reader gets wrong: these are minutes, not hours: a crash point costs about a second in a folder and
four in a bucket, on a root of two or three samples.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.crash_requests import KILL, LOST
from tests.ray_jobs.crash_campaigns import crash_everywhere, power_lost
from tests.ray_jobs.crash_grounds import Bucket, Folders, Ground
from tests.ray_jobs.crash_jobs import JOBS
from tests.s3_server import s3_server

app = typer.Typer(add_completion=False)


@app.command()
def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"of {', '.join(JOBS)}; all by default")] = None,
    power: Annotated[bool, typer.Option(help="lose the power instead of killing the process")] = False,
    s3: Annotated[bool, typer.Option(help="roots in a bucket of the tests' server")] = False,
    lost: Annotated[bool, typer.Option(help="with --s3: lose answers instead of killing")] = False,
    every: Annotated[int, typer.Option(min=1, help="operations, of which one is taken")] = 1,
    first: Annotated[int, typer.Option(min=1, help="the operation to begin with")] = 1,
) -> None:
    """Every crash point of these jobs; prints how many there were, and what was wrong."""
    if (power and s3) or (lost and not s3):
        raise typer.BadParameter("give --power, or --s3, or --s3 --lost")
    console = Console(soft_wrap=True, highlight=False)
    wrong = 0
    for name in names or JOBS:
        folder = Path(tempfile.mkdtemp())
        began = time.monotonic()
        if power:
            found = power_lost(JOBS[name], folder, every=every)
        else:
            with _ground(folder, LOST if lost else KILL if s3 else "") as ground:
                points = [first] if lost else range(first, 1_000_000, every)
                found = crash_everywhere(JOBS[name], ground, points=points)
        shutil.rmtree(folder)
        wrong += len(found.faults)
        what = "losses of power" if power else "runs without answers" if lost else "crash points"
        for fault in found.faults[:20]:
            console.print(f"fault: {fault}", markup=False)
        console.print(
            f"{name}: {found.points} {what}, {len(found.faults)} faults, {time.monotonic() - began:.0f} s"
        )
    if wrong:
        raise typer.Exit(1)


@contextmanager
def _ground(folder: Path, kind: str) -> Iterator[Ground]:
    """A bucket where a kind of point is given; its server runs meanwhile."""
    if not kind:
        yield Folders(folder)
        return
    get_temp_dir()  # of the processes to be killed, which outlives this folder
    with s3_server() as server:
        os.environ.update(server.environment())
        tempfile.tempdir = str(folder)
        yield Bucket(server, folder, kind)
        tempfile.tempdir = None


if __name__ == "__main__":
    app()
