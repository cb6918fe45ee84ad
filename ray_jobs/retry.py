"""The job `retry`: run failed samples again, those that a filter picks, also beyond `max_failures`.

What a reader gets wrong: it is `synthesize` over other samples: the same lock, the same stream, by the config
that the root recorded. What fails again is journaled again, with one attempt more; what is repaired goes on
through all actors after the one that failed.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from actors.pipeline import resolve
from actors.store import NotARootError, Store, open_root
from ray_jobs.dead_letters import SCHEMA, dead_letters, write_dead_letters
from ray_jobs.filters import compiled
from ray_jobs.plan import Work
from ray_jobs.progress import ActorCount
from ray_jobs.root import RootState, compact, read_root
from ray_jobs.runs import ended, newest_run, open_run
from ray_jobs.synthesize import RunResult, run_work


def failed_samples(root: str, where: str | None) -> pa.Table:
    """The dead letters (`ray_jobs.dead_letters.SCHEMA`) of a root that the filter picks; all without one.

    Raises:
        ConfigError: the filter cannot be parsed, or names no column of the list.
        StoreError: the folder is no root of ours or holds no run.
    """
    keep = compiled(where, SCHEMA) if where is not None else None
    state = _state(open_root(root, create=False))
    return _picked(state, keep)


def retry(root: str, where: str | None, console: Console) -> RunResult:
    """Run what `failed_samples` gives once more.

    Raises:
        ConfigError, StoreError: as `failed_samples`.
        RootBusyError: another run holds the root.
    """
    keep = compiled(where, SCHEMA) if where is not None else None
    store = open_root(root, create=False)
    before = newest_run(store)
    if before is None:
        raise NotARootError(f"{root} holds no run yet, so nothing has failed")
    config = before.run_config()
    planned = resolve(config)
    counts = {item.name: ActorCount() for item in planned}
    if not _picked(_state(store), keep).num_rows:
        return RunResult(_state(store), set(), counts)
    record = open_run(store, "retry", config, planned=planned)
    with ended(store, record) as summary:
        store.clear_scratch()
        compact(store, record)
        state = _state(store)
        ids = _picked(state, keep)["sample_id"].combine_chunks()
        mine = state.samples.filter(pc.is_in(state.samples["sample_id"], value_set=ids))
        work = Work(state, mine.sort_by([("source_id", "ascending"), ("sample_id", "ascending")]))
        if work.samples.num_rows:
            counts = run_work(store, record, work, planned, config, console)
        summary["retried"] = len(ids)
    after = _state(store)
    write_dead_letters(after, after.verdicts())
    return RunResult(after, set(ids.to_pylist()), counts)


def _picked(state: RootState, keep: pc.Expression | None) -> pa.Table:
    letters = dead_letters(state, state.verdicts())
    return letters if keep is None else letters.filter(keep)


def _state(store: Store) -> RootState:
    state = read_root(store, deciding=True)
    if state is None:
        raise NotARootError(f"{store.uri} holds no run yet")
    return state
