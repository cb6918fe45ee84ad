"""Mutants of our own writer: each breaks one promise in the way in which a writer is usually broken.

What a reader gets wrong: a mutant is no error to be found in a log. It works, as long as nobody dies and
nobody is quicker; `tests/test_mutants.py` shows which check of the suite notices it all the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import actors.s3
import ray_jobs.root
from actors.guard import Guard
from actors.journal import ActorJournal, parquet_bytes
from actors.s3_upload import Uploads
from actors.store import LocalStore, Stored
from ray_jobs.release_folder import ReleaseFolder
from schemas.journal import settle
from schemas.records import Row

Mutant = Callable[[], AbstractContextManager[object]]
MUTANTS: dict[str, Mutant] = {}


def mutant(make: Callable[[], Iterator[object]]) -> Mutant:
    MUTANTS[make.__name__.replace("_", " ")] = contextmanager(make)
    return MUTANTS[make.__name__.replace("_", " ")]


def mutate_this_process(name: str) -> None:
    """For good: of a process that is about to be killed."""
    _FOR_GOOD.enter_context(MUTANTS[name]())


_FOR_GOOD = ExitStack()


# of the store in a folder


def _stored(key: str, path: Path, *, won: bool) -> Stored:
    data = path.read_bytes()
    return Stored(key, len(data), hashlib.sha256(data).hexdigest(), won=won)


@mutant
def overwrite() -> Iterator[object]:
    """The last writer wins, and every writer is told that it was the first."""

    def link(self: LocalStore, path: Path, key: str, size_bytes: int, digest: str) -> Stored:
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
        return Stored(key, size_bytes, digest, won=True)

    with patch.object(LocalStore, "_link", link) as change:
        yield change


@mutant
def check_then_write() -> Iterator[object]:
    """Nothing is overwritten that was there when it looked."""

    def link(self: LocalStore, path: Path, key: str, size_bytes: int, digest: str) -> Stored:
        target = self._path(key)
        if target.exists():
            path.unlink()
            return _stored(key, target, won=False)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
        return Stored(key, size_bytes, digest, won=True)

    with patch.object(LocalStore, "_link", link) as change:
        yield change


@mutant
def direct_write() -> Iterator[object]:
    """The file grows under its own name."""

    def link(self: LocalStore, path: Path, key: str, size_bytes: int, digest: str) -> Stored:
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("rb") as source, target.open("xb") as file:
                shutil.copyfileobj(source, file)
        except FileExistsError:
            return _stored(key, target, won=False)
        return Stored(key, size_bytes, digest, won=True)

    with patch.object(LocalStore, "_link", link) as change:
        yield change


@mutant
def names_not_synced() -> Iterator[object]:
    """A file's bytes are synced, the folder that it stands in is not."""
    with patch("actors.store._sync") as change:
        yield change


@mutant
def folders_above_not_synced() -> Iterator[object]:
    """The folder is synced in which a file stands, and not the one in which that new folder stands."""

    def make_folder(self: LocalStore, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    with patch.object(LocalStore, "_make_folder", make_folder) as change:
        yield change


@mutant
def deletions_not_synced() -> Iterator[object]:
    """What is deleted may be there again."""

    def delete(self: LocalStore, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    with patch.object(LocalStore, "delete", delete) as change:
        yield change


# of the guard and the journal


@mutant
def record_before_artifact() -> Iterator[object]:
    """The row is durable before the file that it names."""
    waiting: list[tuple[Guard, Row, str, Any]] = []
    put = Guard._put
    work = Guard._work

    def later(self: Guard, row: Row, column: str, content: Any) -> dict[str, Any]:
        waiting.append((self, row, column, content))
        key = self._artifact_key(row, column)
        return {
            "column": column,
            "path": key,
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }

    def then(self: Guard, rows: Sequence[Row], attempt: int, part: str) -> list[dict[str, Any]]:
        results = work(self, rows, attempt, part)
        while waiting:
            put(*waiting.pop(0))
        return results

    with patch.object(Guard, "_put", later), patch.object(Guard, "_work", then) as change:
        yield change


@mutant
def return_before_record() -> Iterator[object]:
    """Rows wait in memory for the next call's, which makes fewer parts."""
    waiting: list[tuple[str, list[dict[str, Any]]]] = []
    write = ActorJournal.write

    def later(self: ActorJournal, key: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for held in waiting:
            write(ActorJournal(self.store, self.step), *held)
        waiting[:] = [(key, rows)]
        return rows

    with patch.object(ActorJournal, "write", later) as change:
        yield change


@mutant
def no_dedupe_of_calls() -> Iterator[object]:
    """Every call has a part of its own, so that one that is tried again does not find its first try's."""

    def part_key(self: ActorJournal, run: int, keys: Sequence[str]) -> str:
        return f"{self.folder}/{run:06d}-{uuid.uuid4().hex[:24]}.parquet"

    with patch.object(ActorJournal, "part_key", part_key) as change:
        yield change


@mutant
def no_dedupe_of_rows() -> Iterator[object]:
    """Every good row counts."""

    def all_of_them(rows: Any, generation: int, *, distinct: bool = False) -> Any:
        return settle(rows, generation, distinct=True)

    with patch.object(ray_jobs.root, "settle", all_of_them) as change:
        yield change


@mutant
def pieces_away_first() -> Iterator[object]:
    """Compaction drops what it read before it writes what it makes of it."""

    def compact(journal: ActorJournal, run: int, names: Sequence[str]) -> None:
        keys = [f"{journal.folder}/{name}" for name in names]
        rows = journal.read(keys)
        journal.store.delete_all(keys)
        journal.store.put_bytes_if_absent(
            f"{journal.folder}/{run:06d}-compact-x.parquet", parquet_bytes(rows)
        )

    with patch.object(ray_jobs.root, "_compact", compact) as change:
        yield change


# of the release


@mutant
def continue_after_a_lost_plan() -> Iterator[object]:
    """A publish whose shard plan came second goes on by its own."""
    put = LocalStore.put_bytes_if_absent

    def always_won(self: LocalStore, key: str, data: bytes) -> Stored:
        stored = put(self, key, data)
        return replace(stored, won=stored.won or "/plan/" in key)

    with patch.object(LocalStore, "put_bytes_if_absent", always_won) as change:
        yield change


@mutant
def complete_meanwhile() -> Iterator[object]:
    """`shards.parquet` stays where it is while parts change."""
    with patch.object(ReleaseFolder, "_touch", lambda self: None) as change:
        yield change


# of the store in a bucket


def _clients(change: Callable[[Any, dict[str, Any]], None]) -> AbstractContextManager[object]:
    """Clients whose conditional requests are changed before they are sent."""
    new = actors.s3.new_client

    def changed(*arguments: Any, **options: Any) -> Any:
        client = new(*arguments, **options)

        def before(params: dict[str, Any], **rest: Any) -> None:
            change(client, params)

        for operation in ("PutObject", "CompleteMultipartUpload"):
            client.meta.events.register(f"provide-client-params.s3.{operation}", before)
        return client

    return patch.object(actors.s3, "new_client", changed)


@mutant
def overwrite_in_a_bucket() -> Iterator[object]:
    """Uploads have no condition."""
    with _clients(lambda client, params: params.pop("IfNoneMatch", None)) as change:
        yield change


@mutant
def check_then_write_in_a_bucket() -> Iterator[object]:
    """Uploads have a condition only where something lies under the key already."""

    def look(client: Any, params: dict[str, Any]) -> None:
        there = client.list_objects_v2(Bucket=params["Bucket"], Prefix=params["Key"])
        if not there.get("KeyCount"):
            params.pop("IfNoneMatch", None)

    with _clients(look) as change:
        yield change


@mutant
def believe_a_refusal() -> Iterator[object]:
    """Whoever is refused was second, also when the reply to its own first request was lost."""
    found = Uploads._found

    def second(self: Uploads, mine: Stored, word: str) -> Stored | None:
        return found(self, mine, "somebody else's")

    with patch.object(Uploads, "_found", second) as change:
        yield change
