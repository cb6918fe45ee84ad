"""Files of the journal: the parts of an actor, written and read through the store.

What a reader gets wrong: a part's name is a function of run and keys, so a retried call finds the part that
its first try wrote, and a part that exists is never written again.
"""

from __future__ import annotations

import hashlib
import io
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actors.store import Store, StoreError
from schemas.gates import Step
from schemas.journal import check_version, part_schema

THREADED_ROWS = 50_000
"""Rows from which on several threads read one part faster; for 50 rows they take four times as long."""
ROWS_A_GROUP = 4096
"""Of a part that compaction wrote, sorted by key: small enough that the rows of one wave are found by the
keys' bounds."""
_NAME = re.compile(r"\d{6}[-.][\w.-]*(parquet|json)")


def journal_keys(store: Store, folder: str) -> list[str]:
    """Keys of a folder of the journal, in order.

    Raises:
        StoreError: a file there is none of the journal's. One whose name somebody changed would be lost
            without a word.
    """
    keys = list(store.keys(folder))
    for key in keys:
        if not _NAME.fullmatch(key.removeprefix(f"{folder}/")):
            raise StoreError(f"{store.uri}/{key} is not a file of the journal: move it elsewhere")
    return keys


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
        tables = list(self.each(keys, columns=columns, only=only))
        return pa.concat_tables(tables) if tables else self._read_schema(columns).empty_table()

    def each(
        self,
        keys: Iterable[str],
        *,
        columns: Collection[str] | None = None,
        only: pa.Array | None = None,
    ) -> Iterator[pa.Table]:
        """`read` in pieces, of one part at a time and in the parts' order.

        Raises:
            StoreError: a part is no Parquet file.
        """
        schema = self._read_schema(columns)
        wanted = None if only is None else _Wanted(only)
        keys = list(keys)
        for key, path in zip(keys, self.store.local_paths(keys), strict=True):
            try:
                opened = pq.ParquetFile(path)
            except pa.ArrowInvalid as error:
                raise StoreError(f"{self.store.uri}/{key} is damaged: {error}") from None
            with opened as file:
                found = file.schema_arrow
                check_version(found.metadata, key)
                there = [name for name in schema.names if name in found.names]
                if wanted is None:
                    large = file.metadata.num_rows > THREADED_ROWS
                    yield _with_columns(file.read(columns=there, use_threads=large), schema)
                else:
                    for rows in wanted.rows(file, there):
                        yield _with_columns(rows, schema)

    def _read_schema(self, columns: Collection[str] | None) -> pa.Schema:
        if columns is None:
            return self.schema
        return pa.schema([field for field in self.schema if field.name in columns], self.schema.metadata)

    def parts(self) -> list[str]:
        return journal_keys(self.store, self.folder)


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as a Parquet file; the same bytes for the same table and pyarrow."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


class _Wanted:
    """Keys whose rows are read; row groups whose bounds hold none of them are not even decoded."""

    def __init__(self, keys: pa.Array) -> None:
        self.keys = keys
        self.ordered: list[str] = sorted(keys.to_pylist())

    def rows(self, file: pq.ParquetFile, columns: Sequence[str]) -> Iterator[pa.Table]:
        groups = [number for number in range(file.num_row_groups) if self._in(file, number)]
        if not groups:
            return
        for batch in file.iter_batches(batch_size=ROWS_A_GROUP, row_groups=groups, columns=columns):
            mine = batch.filter(pc.is_in(batch["key"], value_set=self.keys))
            if mine.num_rows:
                yield pa.Table.from_batches([mine])

    def _in(self, file: pq.ParquetFile, group: int) -> bool:
        bounds = file.metadata.row_group(group).column(0).statistics
        if file.schema_arrow.names[0] == "key" and bounds is not None and bounds.has_min_max:
            place = bisect_left(self.ordered, bounds.min)
            if place == len(self.ordered) or self.ordered[place] > bounds.max:
                return False
        keys = file.read_row_group(group, columns=["key"], use_threads=False)["key"]
        return bool(pc.any(pc.is_in(keys, value_set=self.keys)).as_py())


def _with_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    if table.schema.equals(schema):
        return table.replace_schema_metadata(schema.metadata)
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
