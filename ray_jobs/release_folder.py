"""ROOT/release/ while `publish` brings it up to date: places the files that differ, tar parts among them.

What a reader gets wrong: a part is not compared byte by byte. A note in the journal says which content lies
under its name; the note goes before the part changes and comes back after, so a kill costs a rewrite at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq

from actors.store import Store
from ray_jobs.release_files import FILES, Content, content_of, read_record, record_bytes
from ray_jobs.sealing import NOTES, PlannedShard, PublishError, as_tasks, note_key, seal_all, sealed
from schemas import release, shards
from schemas.shards import Member, WrittenShard

LINKS_AT_ONCE = 8
"""Previews are thousands of small files, and each takes a bucket several requests of some 30 ms."""
Report = Callable[[str], None]


def quiet(message: str) -> None:
    """The report of a publish that is to say nothing."""


def replace_file(store: Store, key: str, path: Path) -> bool:
    """Put the file at `path` under `key` unless the same bytes are there; False if they were."""
    if store.exists(key):
        if _holds(store, key, path):
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
        self.as_tasks = False
        """Whether the parts were written as Ray tasks."""
        self._complete = store.exists(_key(release.SHARD_INDEX))
        self._files: dict[str, Content] = {}
        """What this publish placed, by path; not the previews."""

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
            self._files[path] = _content(file)
            self._place(path, file)

    def link(self, path: str, existing: str) -> None:
        """Give a file of the root a second name in the release."""
        self.links([(path, existing)])
        self._files[path] = _content(self.store.local_path(existing))

    def links(self, pairs: Sequence[tuple[str, str]]) -> None:
        """`link` for each (path in the release, key in the root), several at a time."""
        threads = ThreadPoolExecutor(LINKS_AT_ONCE, thread_name_prefix="link")
        try:
            for made in threads.map(lambda pair: self._link(*pair), pairs):
                self.written += made
                self.kept += not made
        finally:
            threads.shutdown(cancel_futures=True)

    def _link(self, path: str, existing: str) -> bool:
        """False where it was so already."""
        key = _key(path)
        try:
            there = self.store.local_path(existing)
            if self.store.exists(key):
                if _holds(self.store, key, there):
                    return False
                self._touch()
                self.store.delete(key)
            self._touch()
            self.store.link_if_absent(key, existing)
        except KeyError:
            raise PublishError(
                f"{existing} is in the journal but not in {self.store.uri}: it was removed or not copied here"
            ) from None
        return True

    def shards(self, planned: Sequence[PlannedShard], task_bytes: int) -> dict[str, WrittenShard]:
        """All tar parts; those whose note says that they have their content are not touched."""
        written = {part.path: there for part in planned if (there := sealed(self.store, part))}
        self.shards_kept += len(written)
        missing = [part for part in planned if part.path not in written]
        for part in missing:  # here, so that what a late worker of a dead publish does is a put at most
            self._touch()
            self.store.delete(note_key(part.path))
            self.store.delete(_key(part.path))
        self.as_tasks = as_tasks(missing, task_bytes)
        for part, sealed_part in seal_all(self.store, missing, task_bytes):
            written[part.path] = sealed_part
            self.shards_written += 1
            self.report(f"{part.path}: {len(part.members)} samples, {sealed_part.size_bytes:,} bytes")
        return written

    def finish(self, written: Iterable[tuple[str, WrittenShard, Sequence[Member]]]) -> None:
        """Record what the files are, then write `shards.parquet`, which says that everything else is there.

        Where this call placed none but the parts, the record of the others stays: what lies there now may be
        damaged.
        """
        with self.store.scratch() as scratch:
            file = Path(scratch) / "index"
            with pq.ParquetWriter(file, shards.INDEX, compression="zstd") as writer:
                for path, shard, members in written:
                    writer.write_table(shards.index_table(path, shard, members))
            self._record(Path(scratch) / "record", _content(file))
            self._place(release.SHARD_INDEX, file)

    def _record(self, scratch: Path, index: Content) -> None:
        try:
            files = self._files or read_record(self.store)
        except ValueError:
            return  # damaged: `verify` says so, and a publish writes it anew
        scratch.write_bytes(record_bytes({**files, release.SHARD_INDEX: index}))
        replace_file(self.store, FILES, scratch)

    def _place(self, path: str, file: Path) -> None:
        key = _key(path)
        if self.store.exists(key):
            if _holds(self.store, key, file):
                self.kept += 1
                return
            self._touch()
            self.store.delete(key)
        self._touch()
        if not self.store.put_file_if_absent(key, file).won:
            raise PublishError(f"another publish wrote {path} at the same moment")
        self.written += 1

    def _remove(self, path: str) -> None:
        self._touch()
        self.store.delete(_key(path))
        self.removed += 1

    def _touch(self) -> None:
        """The release is about to change, so it is not complete any more. Threads may call it at once: none
        returns before the index is gone.
        """
        if self._complete:
            self.store.delete(_key(release.SHARD_INDEX))
            self._complete = False


def _key(path: str) -> str:
    return f"release/{path}"


def _holds(store: Store, key: str, file: Path) -> bool:
    """Whether the same file lies under the key, or the same bytes. From a bucket it is copied for that."""
    if store.size_bytes(key) != file.stat().st_size:
        return False
    there = store.local_path(key)
    return there.samefile(file) or _content(there) == _content(file)


def _content(path: Path) -> Content:
    with path.open("rb") as file:
        return content_of(file)
