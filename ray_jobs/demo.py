"""The job `demo`: the whole pipeline on clips that are made here, or on the user's own.

What a reader gets wrong: the demo has no path of its own. It makes sources and then calls the same jobs as
anyone.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from actors.ops.made_clips import make_demo_sources
from actors.store import open_root
from ray_jobs.finish import synthesize_and_publish, verify_root
from ray_jobs.root import read_root
from ray_jobs.sources import read_sources
from ray_jobs.status import print_costs
from schemas.config import RunConfig


def run_demo(root: Path, sources: Path | None, config: RunConfig, console: Console) -> int:
    """Synthesize, publish, verify; returns 0 when the made clips end as they must (3 for failed samples of
    one's own).

    Of the made clips two are good, one has a moving camera and one is broken: the broken one is meant to
    fail. Their output is `root/output`, that of one's own videos `root/yours`, so that neither release holds
    both.
    """
    made = sources is None
    if sources is None:
        sources = root / "sources"
        make_demo_sources(sources)
        console.print(
            f"made sample sources in {sources}: two portraits, a moving camera, a broken file", markup=False
        )
    output = root / ("output" if made else "yours")
    entries = read_sources(str(sources))
    failed = synthesize_and_publish(str(output), entries, config, console, redo=None, with_release=True)
    faults = verify_root(str(output), console)
    state = read_root(open_root(str(output), create=False))
    if state is not None:
        print_costs(state, console)
    console.print(f"release: {(output / 'release').absolute()}", markup=False)
    if faults:
        return 1
    expected = len(config.themes) if made else 0
    return 0 if failed == expected else 3
