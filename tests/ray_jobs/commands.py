"""Runs the command line as a person types it, from the repository's root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FRAMES = 9
SHORT = (
    *("--themes", "location"),
    *("--set", f"Ingest.min_frames={FRAMES}", "--set", f"BackgroundAnimator.num_frames={FRAMES}"),
)
"""The shortest run that goes through every actor."""


def job(*arguments: str | Path, timeout: float = 420) -> subprocess.CompletedProcess[str]:
    """`python -m ray_jobs ARGUMENTS`, on a Ray of its own."""
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "ray_jobs", *map(str, arguments)]


def environment() -> dict[str, str]:
    """Without the address of a cluster that the caller may run in."""
    return {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by relative path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
