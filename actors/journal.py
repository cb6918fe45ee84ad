"""Files of the journal: parts of an actor, notes of attempts; written and read through the store.

What a reader gets wrong: a part's name is a function of run and keys, so a retried call finds the part that
its first try wrote, and a part that exists is never written again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
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

    def read(
        self,
        keys: Iterable[str],
        *,
        columns: Collection[str] | None = None,
        only: pa.Array | None = None,
    ) -> pa.Table:
        """All rows of these parts, with this version's columns (a column an older part lacks is null).

        Args:
            columns: read only these columns, in the schema's order; reasons and boxes are most of the bytes.
            only: read only the rows of these keys, so that one theme's boxes fit into memory.
        """
        schema = self.schema
        if columns is not None:
            schema = pa.schema([field for field in schema if field.name in columns], schema.metadata)
        tables = []
        for key in keys:
            with pq.ParquetFile(self.store.local_path(key)) as file:
                check_version(file.schema_arrow.metadata, key)
                there = [name for name in schema.names if name in file.schema_arrow.names]
                if only is None:
                    tables.append(_with_columns(file.read(columns=there), schema))
                    continue
                for batch in file.iter_batches(batch_size=4096, columns=there):
                    wanted = batch.filter(pc.is_in(batch["key"], value_set=only))
                    if wanted.num_rows:
                        tables.append(_with_columns(pa.Table.from_batches([wanted]), schema))
        return pa.concat_tables(tables) if tables else schema.empty_table()

    def parts(self) -> list[str]:
        return list(self.store.keys(self.folder))


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


def _with_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
