"""ROOT/release/ while `publish` brings it up to date: places the files that differ, tar parts among them.

What a reader gets wrong: a part is not compared byte by byte. A note in the journal says which content lies
under its name; the note goes before the part changes and comes back after, so a kill costs a rewrite at most.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from actors.store import Store, StoreError
from schemas import release, shards
from schemas.shards import Member, ShardError, WrittenShard

NOTES = "journal/release"
"""One note a part: which content lies under its name. Taken away before the part changes, written after."""
Report = Callable[[str], None]


def quiet(message: str) -> None:
    """The report of a publish that is to say nothing."""


class PublishError(StoreError):
    """The release cannot be made from what the root holds; the message names sample and file."""


def replace_file(store: Store, key: str, path: Path) -> bool:
    """Put the file at `path` under `key` unless the same bytes are there; False if they were."""
    if store.exists(key):
        if _same(store.local_path(key), path):
            path.unlink()
            return False
        store.delete(key)
    store.put_file_if_absent(key, path)
    return True


class ReleaseFolder:
    """ROOT/release/ while it is brought up to date: places files that differ and counts what it does."""

    def __init__(self, store: Store, report: Report) -> None:
        self.store = store
        self.report = report
        self.written = self.kept = self.removed = self.shards_written = self.shards_kept = 0
        self._complete = store.exists(_key(release.SHARD_INDEX))

    def keep_only(self, wanted: set[str]) -> None:
        """Remove what a release may hold and this one does not; files of other names are left alone."""
        for key in list(self.store.keys("release")):
            path = key.removeprefix("release/")
            if path not in wanted and release.classify(path) is not None:
                self._remove(path)
        for key in list(self.store.keys(NOTES)):
            if key.removeprefix(f"{NOTES}/").removesuffix(".json") not in wanted:
                self.store.delete(key)

    def text(self, path: str, pieces: Iterable[str]) -> None:
        with self.store.scratch() as scratch:
            file = Path(scratch) / "text"
            with file.open("w", encoding="utf-8", newline="") as out:
                for piece in pieces:
                    out.write(piece)
            self._place(path, file)

    def link(self, path: str, existing: str) -> None:
        """Give a file of the root a second name in the release."""
        key = _key(path)
        try:
            there = self.store.local_path(existing)
            if self.store.exists(key):
                here = self.store.local_path(key)
                if _same(here, there):
                    self.kept += 1
                    return
                self._remove(path)
                self.removed -= 1
            self._touch()
            self.store.link_if_absent(key, existing)
        except KeyError:
            raise PublishError(
                f"{existing} is in the journal but not in {self.store.uri}: it was removed or not copied here"
            ) from None
        self.written += 1

    def shard(self, path: str, members: Sequence[Member], keys: Sequence[str]) -> WrittenShard:
        """One tar part; not touched when its note says that it has this content."""
        content = shards.content_digest(members)
        note_key = f"{NOTES}/{path}.json"
        note = json.loads(self.store.get_bytes(note_key)) if self.store.exists(note_key) else None
        if note is not None and note["content"] == content and self._has_size(path, note["size_bytes"]):
            self.shards_kept += 1
            return WrittenShard(note["size_bytes"], note["sha256"])
        self._touch()
        self.store.delete(note_key)
        self.store.delete(_key(path))
        with self.store.scratch() as scratch:
            file = Path(scratch) / "shard"
            try:
                with file.open("wb") as out:
                    shard = shards.write_tar(
                        out, members, lambda index: self.store.local_path(keys[index]).open("rb")
                    )
            except KeyError as error:
                raise PublishError(f"{path} cannot be made: {error.args[0]}") from None
            except ShardError as error:
                raise PublishError(f"{path} cannot be made: {error}") from None
            stored = self.store.put_file_if_absent(_key(path), file)
        if stored.sha256 != shard.sha256:
            raise PublishError(f"another publish wrote {path} at the same moment")
        note = {"content": content, "size_bytes": shard.size_bytes, "sha256": shard.sha256}
        self.store.put_bytes_if_absent(note_key, json.dumps(note).encode())
        self.shards_written += 1
        self.report(f"{path}: {len(members)} samples, {shard.size_bytes:,} bytes")
        return shard

    def finish(self, written: Iterable[tuple[str, WrittenShard, Sequence[Member]]]) -> None:
        """Write `shards.parquet`, which says that everything else is there."""
        with self.store.scratch() as scratch:
            file = Path(scratch) / "index"
            with pq.ParquetWriter(file, shards.INDEX, compression="zstd") as writer:
                for path, shard, members in written:
                    writer.write_table(shards.index_table(path, shard, members))
            self._place(release.SHARD_INDEX, file)

    def _place(self, path: str, file: Path) -> None:
        key = _key(path)
        if self.store.exists(key):
            if _same(self.store.local_path(key), file):
                self.kept += 1
                return
            self._touch()
            self.store.delete(key)
        self._touch()
        self.store.put_file_if_absent(key, file)
        self.written += 1

    def _remove(self, path: str) -> None:
        self._touch()
        self.store.delete(_key(path))
        self.removed += 1

    def _touch(self) -> None:
        """The release is about to change, so it is not complete any more."""
        if self._complete:
            self.store.delete(_key(release.SHARD_INDEX))
            self._complete = False

    def _has_size(self, path: str, size_bytes: int) -> bool:
        key = _key(path)
        return self.store.exists(key) and self.store.local_path(key).stat().st_size == size_bytes


def _key(path: str) -> str:
    return f"release/{path}"


def _same(one: Path, other: Path) -> bool:
    """The same file under two names, or the same bytes."""
    if one.stat().st_size != other.stat().st_size:
        return False
    return one.samefile(other) or _digest(one) == _digest(other)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
