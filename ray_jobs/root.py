"""The state of one output root: its planned samples, and what the journal says of them.

What a reader gets wrong: nothing is kept beside the journal. The state is read anew by who needs it, also
beside a run that writes and compacts parts meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actors.journal import ROWS_A_GROUP, ActorJournal, batch_digest, journal_keys, parquet_bytes
from actors.pipeline import STEPS, resolve, thresholds
from actors.store import Store, StoreError
from ray_jobs.licences import backend_licence, withheld
from ray_jobs.removals import read_removed
from ray_jobs.runs import (
    SAMPLES_FOLDER,
    RunRecord,
    counting_parts,
    newest_run,
    recipes,
    refuse_if_superseded,
)
from schemas.config import RunConfig
from schemas.gates import GATES, Rows, Step, rows_of, verdicts
from schemas.journal import SETTLING, part_schema, settle

SAMPLES = pa.schema(
    [
        ("sample_id", pa.string()),
        ("source_id", pa.int64()),
        ("source_key", pa.string()),
        ("source_uri", pa.string()),
        ("edit_type", pa.string()),
        ("chosen_keyword", pa.string()),
        ("given_prompt", pa.string()),
        ("licence", pa.string()),
        ("reference_edit_uri", pa.string()),
    ]
)
"""One row a planned sample, in `journal/samples/`; of two rows for one sample the first counts."""
READERS = 4
DECIDING_READERS = 2
"""A million rows take 250 MB on their way to the 60 MB that are kept."""
READ_TRIES = 5
"""A compaction drops an actor's parts once; five in the time of one read do not happen."""
COMPACT_OVER = 200
"""Parts of one actor above which they are written as one; 20,000 parts read in 9 s, one file in 0.3 s."""
COMPACTED = "-compact-"
"""In the name of a part that a compaction wrote."""
COMPACTED_AT_ONCE = 50_000
"""Rows in memory while parts are compacted; the longest have some 3 kB."""


def compact(store: Store, record: RunRecord, steps: Iterable[Step] = STEPS, over: int = COMPACT_OVER) -> None:
    """Write an actor's many parts as one and drop them after; called while this run holds the root.

    Parts that a compaction wrote are left alone until they are many themselves.

    Raises:
        RootBusyError: a newer run holds the root by now; dropping parts would take them from it.
    """
    many = []
    for step in steps:
        names = counting_parts(store, step, record)
        fresh = [name for name in names if COMPACTED not in name]
        chosen = names if len(names) - len(fresh) > max(over, 1) else fresh
        if len(chosen) > over:
            many.append((ActorJournal(store, step), chosen))
    if many:
        refuse_if_superseded(store, record)
        with ThreadPoolExecutor(READERS) as workers:
            list(workers.map(lambda one: _compact(one[0], record.run, one[1]), many))


def _compact(journal: ActorJournal, run: int, names: Sequence[str]) -> None:
    keys = [f"{journal.folder}/{name}" for name in names]
    # it sorts with this run, and names what it holds
    target = f"{journal.folder}/{run:06d}{COMPACTED}{len(names)}-{batch_digest(names)[:12]}.parquet"
    with journal.store.scratch() as scratch:
        path = Path(scratch) / "part"
        with pq.ParquetWriter(path, journal.schema, compression="zstd") as writer:
            for rows in _chunks(journal, keys):
                ordered = _without_copies(rows).sort_by("key")
                writer.write_table(ordered, row_group_size=ROWS_A_GROUP)
        won = journal.store.put_file_if_absent(target, path).won
    if not won:
        return  # whatever is there is not known to hold these rows
    journal.store.delete_all(keys)


def _chunks(journal: ActorJournal, keys: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of these parts, so many at a time that their boxes and reasons fit into memory."""
    held: list[pa.Table] = []
    count = 0
    for rows in journal.each(keys):
        held.append(rows)
        count += rows.num_rows
        if count >= COMPACTED_AT_ONCE:
            yield pa.concat_tables(held)
            held, count = [], 0
    if held:
        yield pa.concat_tables(held)


def _without_copies(rows: pa.Table) -> pa.Table:
    """Rows that a crash between compaction and dropping left twice, once."""
    if len(pc.unique(rows["key"])) == rows.num_rows:
        return rows
    identity = pc.binary_join_element_wise(
        rows["key"].cast(pa.string()), rows["run"].cast(pa.string()), rows["part"], "\0"
    )
    firsts = pc.index_in(pc.unique(identity), value_set=identity)
    return rows if len(firsts) == rows.num_rows else rows.take(firsts)


DECIDING = frozenset(("key", "outcome", "error_class", "error", "elapsed_s", *(g.column for g in GATES)))
"""The columns without which no verdict and no plan can be made; reasons, boxes and digests are most of the
rest."""


@dataclass(frozen=True)
class RootState:
    """Everything the root knows, read once."""

    store: Store
    record: RunRecord
    samples: pa.Table
    """Schema SAMPLES, by sample_id."""
    settled: Mapping[str, pa.Table] = field(repr=False)
    """By actor: one row a key (`schemas.journal.settle`)."""

    def verdicts(self, config: RunConfig | None = None) -> pa.Table:
        """`schemas.gates.VERDICT_SCHEMA`, in the order of `samples`, by the config's thresholds."""
        config = config or self.record.run_config()
        return verdicts(
            self.samples,
            self.settled,
            STEPS,
            thresholds(resolve(config)),
            self.rows,
            removed=self.removed,
            withheld=self._withheld(config.release.allow),
        )

    @cached_property
    def rows(self) -> Rows:
        """Where each sample is in `settled`; nowhere for one that was taken down."""
        rows = rows_of(self.samples, self.settled, STEPS)
        if not self.removed.any():
            return rows
        return {name: np.where(self.removed, -1, row) for name, row in rows.items()}

    @cached_property
    def removed(self) -> npt.NDArray[np.bool_]:
        """Which of `samples` were taken down."""
        return read_removed(self.store).of(self.samples)

    def _withheld(self, allow: Collection[str] | None) -> pa.Array | None:
        if allow is None:
            return None
        made_by = {key: backend_licence(recipe) for key, recipe in recipes(self.store).items()}
        return withheld(self.samples, self.settled, STEPS, self.rows, made_by, allow)


def read_root(store: Store, *, without: Collection[str] = (), deciding: bool = False) -> RootState | None:
    """The state of a root; None if no run ever opened it.

    A run beside it may open or compact its parts meanwhile: what is listed and gone is listed again.

    Args:
        without: value columns that are not read.
        deciding: only the columns `DECIDING` are read and kept; 14,000,000 rows then take 1 GB.
    """
    for tried in range(READ_TRIES):
        record = newest_run(store)
        if record is None:
            return None
        try:
            settled = read_settled(store, record, without=without, deciding=deciding)
            return RootState(store, record, read_samples(store), settled)
        except (KeyError, FileNotFoundError):
            if tried + 1 == READ_TRIES:
                raise
    return None


def read_settled(
    store: Store, record: RunRecord, *, without: Collection[str] = (), deciding: bool = False
) -> dict[str, pa.Table]:
    """`read_actor` for every actor; several at once, since Arrow decodes without the interpreter's lock."""

    def read(step: Step) -> pa.Table:
        if deciding:
            rows = _read_deciding(store, record, step)
            pa.default_memory_pool().release_unused()  # Arrow keeps what it freed: 1 GB in a large root
            return rows
        columns = [name for name in part_schema(step).names if name not in without]
        return read_actor(store, record, step, columns=columns)

    with ThreadPoolExecutor(DECIDING_READERS if deciding else READERS) as readers:
        return dict(zip((step.name for step in STEPS), readers.map(read, STEPS), strict=True))


def _narrow(rows: pa.Table) -> pa.Table:
    """Seconds and counts in as many bytes as planning needs."""
    for name, kind in (("elapsed_s", pa.float32()), ("failures", pa.int16())):
        place = rows.column_names.index(name)
        rows = rows.set_column(place, name, rows[name].cast(kind))
    return rows


def read_actor(
    store: Store,
    record: RunRecord,
    step: Step,
    *,
    columns: Collection[str] | None = None,
    only: pa.Array | None = None,
) -> pa.Table:
    """One row a key of one actor (`schemas.journal.settle`).

    Args:
        columns: value columns to read; those that say which row counts are always read.
        only: keys to read.
    """
    journal = ActorJournal(store, step)
    keys = [f"{journal.folder}/{name}" for name in counting_parts(store, step, record)]
    wanted = None if columns is None else {*columns, *SETTLING}
    return _settled(journal.read(keys, columns=wanted, only=only), record.generations.get(step.name, 0))


def _read_deciding(store: Store, record: RunRecord, step: Step) -> pa.Table:
    """`read_actor` with the columns `DECIDING`; what tells two rows of a key apart is read where there are
    two.
    """
    journal = ActorJournal(store, step)
    keys = [f"{journal.folder}/{name}" for name in counting_parts(store, step, record)]
    names = [name for name in journal.schema.names if name in DECIDING]
    rows = journal.read(keys, columns={*names, "generation"})
    generation = record.generations.get(step.name, 0)
    if _distinct(rows):
        settled = settle(rows, generation, distinct=True)
    else:
        settled = _settled(journal.read(keys, columns={*names, *SETTLING}), generation)
    return _narrow(settled.select([*names, "failures"]))


def _settled(rows: pa.Table, generation: int) -> pa.Table:
    if _distinct(rows):
        return settle(rows, generation, distinct=True)
    return settle(_without_copies(rows), generation)


def _distinct(rows: pa.Table) -> bool:
    """Whether no key has two rows, as a rule."""
    return bool(pc.count_distinct(rows["key"]).as_py() == rows.num_rows)


def read_samples(store: Store) -> pa.Table:
    """All planned samples, schema SAMPLES, by sample_id."""
    tables = [_read_samples(store, key) for key in journal_keys(store, SAMPLES_FOLDER)]
    if not tables:
        return SAMPLES.empty_table()
    table = pa.concat_tables(tables).combine_chunks()
    unique = pc.unique(table["sample_id"])
    if len(unique) < table.num_rows:
        table = table.take(pc.index_in(unique, value_set=table["sample_id"]))
    table = table.sort_by("sample_id")
    pa.default_memory_pool().release_unused()
    return table


def _read_samples(store: Store, key: str) -> pa.Table:
    try:
        return pq.read_table(store.local_path(key), partitioning=None)
    except pa.ArrowInvalid as error:
        raise StoreError(f"{store.uri}/{key} is damaged: {error}") from None


def write_samples(store: Store, run: int, rows: list[dict[str, Any]]) -> None:
    """Plan samples; part of opening a run, so that a sample is known before anything is done for it."""
    if rows:
        table = pa.Table.from_pylist(rows, schema=SAMPLES)
        store.put_bytes_if_absent(f"{SAMPLES_FOLDER}/{run:06d}.parquet", parquet_bytes(table))
