"""Files of the journal: parts of an actor, notes of attempts; written and read through the store.

What a reader gets wrong: a part's name is a function of run and keys, so a retried call finds the part that
its first try wrote, and a part that exists is never written again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from actors.store import Store
from schemas.gates import Step
from schemas.journal import check_version, part_schema


def batch_digest(keys: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(keys).encode()).hexdigest()[:24]


class ActorJournal:
    """The journal of one actor in one root."""

    def __init__(self, store: Store, step: Step) -> None:
        self.store = store
        self.step = step
        self.schema = part_schema(step)
        self.folder = f"journal/{step.name}"

    def part_key(self, run: int, keys: Sequence[str]) -> str:
        return f"{self.folder}/{run:06d}-{batch_digest(keys)}.parquet"

    def write(self, key: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write one part; returns the rows that are stored, which are another writer's if it was first."""
        table = pa.Table.from_pylist(
            [{**row, "part": key.rsplit("/", 1)[1]} for row in rows], schema=self.schema
        )
        stored = self.store.put_bytes_if_absent(key, parquet_bytes(table))
        return rows if stored.won else self.read([key]).to_pylist()

    def read(self, keys: Iterable[str]) -> pa.Table:
        """All rows of these parts, with this version's columns (a column an older part lacks is null)."""
        tables = []
        for key in keys:
            table = pq.read_table(self.store.local_path(key), partitioning=None)
            check_version(table.schema.metadata, key)
            tables.append(self._with_columns(table))
        return pa.concat_tables(tables) if tables else self.schema.empty_table()

    def parts(self) -> list[str]:
        return list(self.store.keys(self.folder))

    def _with_columns(self, table: pa.Table) -> pa.Table:
        columns = [
            table[field.name].cast(field.type)
            if field.name in table.column_names
            else pa.nulls(table.num_rows, field.type)
            for field in self.schema
        ]
        return pa.table(columns, schema=self.schema)


class AttemptNotes:
    """Durable notes of calls begun: a call whose note is there and whose part is not died with its worker."""

    def __init__(self, store: Store, actor: str, run: int) -> None:
        self.store = store
        self.prefix = f"journal/attempts/{actor}/{run:06d}"

    def begin(self, keys: Sequence[str]) -> int:
        """Note that a call begins; returns how many began before and did not end."""
        attempt = 0
        while not self.store.put_bytes_if_absent(self._key(keys, attempt), b"begun\n").won:
            attempt += 1
        return attempt

    def end(self, keys: Sequence[str], attempt: int) -> None:
        for number in range(attempt, -1, -1):
            self.store.delete(self._key(keys, number))

    def _key(self, keys: Sequence[str], attempt: int) -> str:
        return f"{self.prefix}-{batch_digest(keys)}.{attempt}"


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as a Parquet file; the same bytes for the same table and pyarrow."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
