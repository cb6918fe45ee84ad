"""Tar parts of the release from their plan: streamed into the store, checked and hashed as they go by.

What a reader gets wrong: a part is never on the way as a file or as a whole in memory. Its bytes are made
while the store takes them, it appears under its name complete or not at all, and nothing here ever deletes:
whoever wants other bytes under a name takes the old ones away first.
"""

from __future__ import annotations

import hashlib
import io
import json
import mmap
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from actors.store import Store, StoreError
from schemas import shards
from schemas.shards import Chunk, Member, ShardError, WrittenShard

START_RAY_BYTES = 8 << 30
"""Below it a Ray of one's own takes longer to start than it saves."""
PLANS = "journal/plan"
NOTES = "journal/release"
"""One note a part: which content lies under its name. It is the part's commit."""
READERS = 8
"""Artifacts that are read at once: from a bucket each costs some 30 ms before its first byte."""
AHEAD_BYTES = 32 << 20
"""Artifacts read and not yet written take at most this much memory; with what the store holds on its way,
a part in work costs a worker about 100 MB, whatever the part's size."""
WHOLE_BYTES = 8 << 20
"""An artifact above this is not read ahead but streamed."""
_CHUNK = 1 << 20
_MAPPED_BYTES = 128 << 10


class PublishError(StoreError):
    """The release cannot be made from what the root holds; the message names sample and file."""


@dataclass(frozen=True)
class PlannedShard:
    """One part of the plan: its path in the release, its members in order, and their keys in the store."""

    path: str
    members: tuple[Member, ...]
    keys: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """Size of the tar file."""
        return shards.tar_size(np.array([member.size_bytes for member in self.members], np.int64))

    @property
    def content(self) -> str:
        return shards.content_digest(self.members)


def newest_plan(store: Store) -> pa.Table | None:
    """The shard plan that counts, schema `schemas.shards.PLAN`; None when nothing was published yet.

    Raises:
        PublishError: it is no Parquet file.
    """
    names = list(store.keys(PLANS))
    if not names:
        return None
    try:
        return pq.read_table(store.local_path(names[-1]), partitioning=None)
    except pa.ArrowInvalid as error:
        raise PublishError(f"{store.uri}/{names[-1]} is damaged: {str(error).splitlines()[0]}") from None


def planned_shards(plan: pa.Table) -> Iterator[PlannedShard]:
    """Parts in the order of the plan."""
    encoded = plan["shard"].combine_chunks().dictionary_encode()
    index = encoded.indices.to_numpy()
    edges = [*np.flatnonzero(np.diff(index, prepend=-1)).tolist(), len(index)]
    for start, end in pairwise(edges):
        rows = plan.slice(start, end - start)
        columns = (rows[column].to_pylist() for column in ("name", "size_bytes", "sha256"))
        members = tuple(Member(*values) for values in zip(*columns, strict=True))
        yield PlannedShard(rows["shard"][0].as_py(), members, tuple(rows["path"].to_pylist()))


def seal_all(
    store: Store, planned: Sequence[PlannedShard], task_bytes: int
) -> Iterator[tuple[PlannedShard, WrittenShard]]:
    """`seal` for every part as it is finished: one after the other here, or as Ray tasks (`as_tasks`)."""
    if as_tasks(planned, task_bytes):
        from ray_jobs.seal_tasks import seal_as_tasks  # a small release is published without loading Ray

        yield from seal_as_tasks(store.uri, planned)
    else:
        for shard in planned:
            yield shard, seal(store, shard)


def as_tasks(planned: Sequence[PlannedShard], task_bytes: int) -> bool:
    """Whether Ray is worth it: several parts, and enough bytes for the Ray that is up or would be started."""
    total = sum(shard.size_bytes for shard in planned)
    if len(planned) < 2 or total < task_bytes:
        return False
    loaded = sys.modules.get("ray")
    up = bool(os.environ.get("RAY_ADDRESS")) or (loaded is not None and loaded.is_initialized())
    return up or total >= START_RAY_BYTES


def seal(store: Store, shard: PlannedShard) -> WrittenShard:
    """Put one part in its place in the release, then its note; a second call finds both. Never deletes.

    Raises:
        PublishError: as `build_shard`, or the note that is there is of another content.
    """
    written = build_shard(store, shard)
    note = json.dumps(
        {"content": shard.content, "size_bytes": written.size_bytes, "sha256": written.sha256}
    ).encode()
    if not store.put_bytes_if_absent(note_key(shard.path), note).won and _note(store, shard) != written:
        raise PublishError(f"another publish wrote {shard.path} at the same moment")
    return written


def sealed(store: Store, shard: PlannedShard) -> WrittenShard | None:
    """What lies in the release, if it is this part by its note and its size; None otherwise."""
    written = _note(store, shard)
    try:
        there = written is not None and store.size_bytes(f"release/{shard.path}") == written.size_bytes
    except KeyError:
        return None
    return written if there else None


def note_key(path: str) -> str:
    return f"{NOTES}/{path}.json"


def _note(store: Store, shard: PlannedShard) -> WrittenShard | None:
    """What a part's note says; None without one, of another content, or where it is damaged."""
    try:
        note = json.loads(store.get_bytes(note_key(shard.path)))
        return WrittenShard(note["size_bytes"], note["sha256"]) if note["content"] == shard.content else None
    except (KeyError, TypeError, ValueError):
        return None


def build_shard(store: Store, shard: PlannedShard, key: str | None = None) -> WrittenShard:
    """Put one part under `key` (its place in the release by default), from artifacts alone.

    Where the same bytes are already under the key, they stay. Needs neither model nor cluster, and about
    `AHEAD_BYTES` of memory.

    Raises:
        PublishError: an artifact is gone or not what the plan says (nothing is put then), or other bytes are
            under the key.
    """
    key = key or f"release/{shard.path}"
    try:
        stored = store.put_stream_if_absent(key, ShardBytes(store, shard))
        if not stored.won and stored.sha256 != _digest(ShardBytes(store, shard)):
            raise PublishError(f"other bytes lie under {key} than its plan says; another publish wrote them")
    except KeyError as error:
        raise PublishError(f"{shard.path} cannot be made: {error.args[0]}") from None
    except ShardError as error:
        raise PublishError(f"{shard.path} cannot be made: {error}") from None
    return WrittenShard(stored.size_bytes, stored.sha256)


class ShardBytes:
    """The bytes of one part, in chunks of about a MiB; made anew each time they are iterated over.

    Iterating raises:
        KeyError: an artifact is gone.
        ShardError: an artifact is not what the plan says.
    """

    def __init__(self, store: Store, shard: PlannedShard) -> None:
        self._store = store
        self._shard = shard

    def __iter__(self) -> Iterator[Chunk]:
        return shards.tar_chunks(self._shard.members, self._contents())

    def _contents(self) -> Iterator[Iterable[Chunk]]:
        """Each member's data, checked; other threads read and hash those that follow, as memory allows."""
        members = self._shard.members
        reading: deque[Future[list[Chunk]] | None] = deque()
        held = coming = 0
        readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        try:
            for index, member in enumerate(members):
                while coming < len(members):
                    size = members[coming].size_bytes
                    if coming > index and held + size > AHEAD_BYTES:
                        break
                    large = size > WHOLE_BYTES
                    reading.append(None if large else readers.submit(self._whole, coming))
                    held += size
                    coming += 1
                read = reading.popleft()
                yield self._content(index) if read is None else read.result()
                held -= member.size_bytes
        finally:
            readers.shutdown(cancel_futures=True)

    def _whole(self, index: int) -> list[Chunk]:
        return list(self._content(index))

    def _content(self, index: int) -> Iterator[Chunk]:
        with self._store.open_read(self._shard.keys[index]) as source:
            yield from shards.checked(self._shard.members[index], _chunks(source))


def _chunks(source: BinaryIO) -> Iterator[Chunk]:
    """The content of an open artifact, a MiB at a time.

    A local file that is not small is mapped, not read: copies into memory of several threads cost 0.4 CPU
    seconds a GB more, nearly all in page faults. It must not be cut short meanwhile, which nobody does to an
    artifact.
    """
    try:
        descriptor = source.fileno()
    except io.UnsupportedOperation:
        yield from iter(lambda: source.read(_CHUNK), b"")
        return
    size = os.fstat(descriptor).st_size
    if size < _MAPPED_BYTES:
        yield source.read()
    else:
        mapped = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
        mapped.madvise(mmap.MADV_WILLNEED)
        view = memoryview(mapped)
        for start in range(0, size, _CHUNK):
            yield view[start : start + _CHUNK]


def _digest(chunks: Iterable[Chunk]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
