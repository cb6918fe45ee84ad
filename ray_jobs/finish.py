"""What the command line does after the work: publish, verify and regate with their reports on the console.

What a reader gets wrong: nothing is decided here; these functions call the jobs and say what they found.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console

from actors.pipeline import resolve, thresholds
from actors.store import NotARootError, open_root
from ray_jobs.dead_letters import write_dead_letters
from ray_jobs.licences import backend_licence, refuse_unknown
from ray_jobs.publish import PublishReport, publish
from ray_jobs.regate import regate, regate_release
from ray_jobs.regenerate import regenerate
from ray_jobs.remove import remove
from ray_jobs.retry import failed_samples, retry
from ray_jobs.root import read_samples
from ray_jobs.runs import newest_run, recipes
from ray_jobs.settings import apply
from ray_jobs.sources import SourceEntry
from ray_jobs.status import print_tally, tally
from ray_jobs.synthesize import RunResult, synthesize
from ray_jobs.verify import verify
from schemas.config import RunConfig


def synthesize_and_publish(
    root: str,
    entries: Sequence[SourceEntry],
    config: RunConfig,
    console: Console,
    *,
    redo: str | None,
    with_release: bool,
) -> int:
    """Run, publish if wanted, print the closing table; returns the number of failed samples of this list."""
    result = synthesize(root, entries, config, console, redo=redo, publishes=with_release)
    if not with_release:
        write_dead_letters(result.state, result.state.verdicts())
    return _finished(root, result, console, with_release=with_release)


def retry_failed(root: str, where: str | None, console: Console, *, with_release: bool, dry_run: bool) -> int:
    """Run failed samples again; returns how many of them failed again, 0 for a dry run."""
    picked = failed_samples(root, where)
    console.print(f"{picked.num_rows} failed samples to try again", highlight=False)
    if dry_run or not picked.num_rows:
        for row in picked.to_pylist():
            line = f"  {row['sample_id']}: {row['actor']}, {row['error_class']}: {row['error']}"
            console.print(line, markup=False, highlight=False)
        return 0
    return _finished(root, retry(root, where, console), console, with_release=with_release)


def _finished(root: str, result: RunResult, console: Console, *, with_release: bool) -> int:
    """Publish if wanted, print the closing table; returns how many of the samples asked for failed."""
    if with_release:
        _print_report(publish(root), console)
    counts = tally(result.state.verdicts(), result.asked)
    print_tally(counts, console)
    return counts.statuses["failed"]


def publish_root(root: str, sets: Sequence[str], allow: str | None, console: Console) -> None:
    """Publish by the root's recorded config, changed by `--set` and `--allow`."""
    if allow is not None:
        names = None if allow.strip() == "all" else list(filter(None, map(str.strip, allow.split(","))))
        sets = [*sets, f"release.allow={json.dumps(names)}"]
    _print_report(publish(root, config=_recorded(root, sets)), console)


def regenerate_parts(
    root: str, shard: str | None, sample: str | None, console: Console, *, missing: bool, broken: bool
) -> int:
    """Make parts again and say which; returns how many artifacts could not be made."""
    result = regenerate(root, shard=shard, sample=sample, missing=missing, broken=broken)
    console.print(str(result), markup=False, highlight=False)
    return len(result.remade.failed)


def remove_from_root(
    root: str, source: str | None, sample: str | None, reason: str, console: Console, *, dry_run: bool
) -> None:
    found = remove(root, source=source, sample=sample, reason=reason, dry_run=dry_run)
    console.print(str(found), markup=False, highlight=False)
    console.print(
        "nothing is removed yet: that was --dry-run" if dry_run else f"removed: {found.kind} {found.name}",
        markup=False,
        highlight=False,
    )


def verify_root(root: str, console: Console) -> int:
    """Print every fault; returns how many."""
    faults = verify(root)
    for fault in faults:
        console.print(f"fault: {fault}", markup=False, highlight=False)
    count = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}" if faults else "no fault"
    console.print(f"verify {root}: {count}", markup=False, highlight=False)
    return len(faults)


def regate_root(root: str, sets: Sequence[str], console: Console) -> None:
    report = regate(root, _recorded(root, sets))
    console.print(str(report), markup=False, highlight=False)


def regate_release_copy(release: str, config: RunConfig, output: str, console: Console) -> None:
    report = regate_release(release, thresholds(resolve(config)), output)
    console.print(str(report), markup=False, highlight=False)


def _recorded(root: str, sets: Sequence[str]) -> RunConfig:
    """The config of the root's newest run, changed by `--set`; licences among that are checked."""
    store = open_root(root, create=False)
    record = newest_run(store)
    if record is None:
        raise NotARootError(f"{root} holds no run yet")
    config = apply(record.config, sets)
    if config.release.allow is not None and any(item.lstrip().startswith("release") for item in sets):
        models = {licence for recipe in recipes(store).values() if (licence := backend_licence(recipe))}
        refuse_unknown(config.release.allow, {*read_samples(store)["licence"].unique().to_pylist(), *models})
    return config


def _print_report(report: PublishReport, console: Console) -> None:
    for warning in report.warnings:
        console.print(f"warning: {warning}", markup=False, highlight=False)
    console.print(str(report), markup=False, highlight=False)
