"""Tar parts of the release: where they are cut, their exact bytes, and the index of what is in them.

What a reader gets wrong: a part is a function of its ordered members alone. Its header bytes know no time, no
owner and no host, so every part can be made again from the artifacts and must come out with the same digest.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

SCHEMA_VERSION = 1
BLOCK = 512
END_OF_ARCHIVE = 2 * BLOCK
RECORD = 20 * BLOCK
"""A tar file is padded to whole records, as `tar` itself writes it."""
MAX_NAME_BYTES = 100
MAX_MEMBER_BYTES = 8**11 - 1
"""Limits of a plain USTAR header: more needs extensions that not all readers know."""
Chunk = bytes | memoryview
"""Bytes on their way, which do not change any more."""
_CHUNK = 1 << 20
_OWN_WRITE = 128 << 10
"""Pieces below are gathered: joining costs a copy, which is cheaper than a write only for small ones."""

PLAN = pa.schema(
    [
        ("shard", pa.string()),
        ("sample_id", pa.string()),
        ("name", pa.string()),
        ("path", pa.string()),
        ("size_bytes", pa.int64()),
        ("sha256", pa.string()),
    ],
    metadata={"schema_version": str(SCHEMA_VERSION), "table": "shard plan"},
)
"""One row a member, in the order of the parts and of the members in them. `shard` is the part's path in the
release, `name` the member's in the tar, `path` the artifact's key in the store."""

INDEX = pa.schema(
    [
        ("shard", pa.string()),
        ("size_bytes", pa.int64()),
        ("sha256", pa.string()),
        (
            "members",
            pa.list_(
                pa.struct(
                    [
                        ("name", pa.string()),
                        ("offset", pa.int64()),
                        ("size_bytes", pa.int64()),
                        ("sha256", pa.string()),
                    ]
                )
            ),
        ),
    ],
    metadata={"schema_version": str(SCHEMA_VERSION), "table": "shards"},
)
"""`shards.parquet`: one row a part; `offset` is that of the member's first byte of data in the tar."""


class ShardError(Exception):
    """A part cannot be made; the message names the member and what is wrong with it."""


@dataclass(frozen=True)
class Member:
    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class WrittenShard:
    size_bytes: int
    sha256: str


def padded(size_bytes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What members of these sizes take in a tar: header and data in whole blocks."""
    return np.asarray(BLOCK + -(-size_bytes // BLOCK) * BLOCK, dtype=np.int64)


def tar_size(size_bytes: npt.NDArray[np.int64]) -> int:
    """Size in bytes of the tar file that holds members of these sizes."""
    return -(-(int(padded(size_bytes).sum()) + END_OF_ARCHIVE) // RECORD) * RECORD


def data_offsets(size_bytes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Offset of each member's data in the tar file."""
    ends = np.cumsum(padded(size_bytes))
    return np.concatenate([[0], ends[:-1]])[: len(ends)] + BLOCK


def cut(size_bytes: npt.NDArray[np.int64], shard_bytes: int) -> list[int]:
    """Where parts begin when members of these sizes, in order, fill one part after the other.

    A tar file is at most `shard_bytes` long unless a single member is longer. Returns indices, the first is
    0; empty for no members.
    """
    ends = np.concatenate([[0], np.cumsum(padded(size_bytes))])
    payload = shard_bytes // RECORD * RECORD - END_OF_ARCHIVE
    starts = []
    start = 0
    while start < len(size_bytes):
        starts.append(start)
        fits = int(np.searchsorted(ends, ends[start] + payload, side="right")) - 1
        start = max(fits, start + 1)
    return starts


REPACK_ABOVE = 1.5
"""Parts kept from the plan before may be this many times as many as a fresh cut gives, plus one."""


def cut_as_before(
    ids: Sequence[str],
    size_bytes: npt.NDArray[np.int64],
    shard_bytes: int,
    boundaries: Sequence[str],
    *,
    may_repack: bool = True,
) -> list[int]:
    """`cut`, but a part that begins at a boundary of the plan before still does.

    `ids` are sorted; `boundaries` are the first ids of the parts there were, sorted. So a removed sample
    changes its own part, and an added one its own part and at most one more. When small parts pile up,
    everything is cut afresh, unless that is forbidden: a takedown touches the parts it must and no other.
    """
    fresh = cut(size_bytes, shard_bytes)
    if not boundaries or not len(ids):
        return fresh
    names = np.asarray(ids)
    edges = sorted({0, *np.searchsorted(names, np.asarray(boundaries[1:])).tolist(), len(names)})
    starts = [
        first + start for first, last in pairwise(edges) for start in cut(size_bytes[first:last], shard_bytes)
    ]
    return fresh if may_repack and len(starts) > REPACK_ABOVE * len(fresh) + 1 else starts


def numbered_as_before(
    ids: Sequence[str], starts: Sequence[int], before: Sequence[tuple[str, int]]
) -> list[int]:
    """Numbers of the parts that begin at these indices of `ids`.

    The first part from a boundary of the plan before keeps the number that it had, so a part that lost all
    its members leaves a gap and the parts after it stay what they are. Parts that were cut afresh are
    numbered from 0.

    Args:
        before: first id and number of each part of the plan before, by first id.
    """
    names = np.asarray(ids)
    edges = {0, *np.searchsorted(names, np.asarray([first for first, _ in before[1:]], dtype=names.dtype))}
    if not before or not (edges - {len(names)}) <= set(starts):
        return list(range(len(starts)))
    numbers: list[int] = []
    group = -1
    for start in starts:
        mine = max(int(np.searchsorted(np.asarray([first for first, _ in before]), names[start], "right")), 1)
        following = numbers[-1] + 1 if numbers else 0
        numbers.append(max(following, before[mine - 1][1]) if mine != group else following)
        group = mine
    return numbers


def index_table(shard: str, written: WrittenShard, members: Sequence[Member]) -> pa.Table:
    """The row of `shards.parquet` for one part."""
    offsets = data_offsets(np.array([member.size_bytes for member in members], dtype=np.int64)).tolist()
    listed = [
        {"name": member.name, "offset": offset, "size_bytes": member.size_bytes, "sha256": member.sha256}
        for member, offset in zip(members, offsets, strict=True)
    ]
    row = {
        "shard": shard,
        "size_bytes": written.size_bytes,
        "sha256": written.sha256,
        "members": listed,
    }
    return pa.Table.from_pylist([row], schema=INDEX)


def content_digest(members: Iterable[Member]) -> str:
    """Digest of a part's ordered names, sizes and digests: equal digests, equal tar bytes."""
    digest = hashlib.sha256()
    for member in members:
        digest.update(f"{member.name}\0{member.size_bytes}\0{member.sha256}\n".encode())
    return digest.hexdigest()


def header(name: str, size_bytes: int) -> bytes:
    """The USTAR header of one member. Raises ShardError for what USTAR cannot name."""
    if len(name.encode()) > MAX_NAME_BYTES:
        raise ShardError(f"{name}: longer than {MAX_NAME_BYTES} bytes, which plain tar cannot name")
    if size_bytes > MAX_MEMBER_BYTES:
        raise ShardError(f"{name}: {size_bytes} bytes, plain tar holds members up to {MAX_MEMBER_BYTES}")
    info = tarfile.TarInfo(name)
    info.size = size_bytes
    info.mode = 0o644
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def checked(member: Member, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """The content of one artifact as it goes by.

    Raises:
        ShardError: size or digest are not what the plan says; known at the last chunk, or where the
            artifact grows too long.
    """
    digest = hashlib.sha256()
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > member.size_bytes:
            raise ShardError(
                f"{member.name}: the artifact has more than the {member.size_bytes} bytes that its journal "
                "row says: it was changed after it was written"
            )
        digest.update(chunk)
        yield chunk
    if size != member.size_bytes or digest.hexdigest() != member.sha256:
        raise ShardError(
            f"{member.name}: the artifact has {size} bytes with SHA-256 {digest.hexdigest()}; its "
            f"journal row says {member.size_bytes} bytes with {member.sha256}: "
            "it was changed after it was written"
        )


def tar_chunks(members: Sequence[Member], contents: Iterable[Iterable[Chunk]]) -> Iterator[Chunk]:
    """The bytes of one part, in chunks that are worth a write each.

    `contents` gives each member's data in the order of `members`, as `checked` lets it through: nothing here
    looks at it.
    """
    small: list[Chunk] = []
    waiting = written = 0
    for piece in _pieces(members, contents):
        written += len(piece)
        if len(piece) < _OWN_WRITE:
            small.append(piece)
            waiting += len(piece)
        if small and (len(piece) >= _OWN_WRITE or waiting >= _CHUNK):
            yield b"".join(small)
            small, waiting = [], 0
        if len(piece) >= _OWN_WRITE:
            yield piece
    yield b"".join([*small, b"\0" * END_OF_ARCHIVE, b"\0" * (-(written + END_OF_ARCHIVE) % RECORD)])


def _pieces(members: Sequence[Member], contents: Iterable[Iterable[Chunk]]) -> Iterator[Chunk]:
    """Header, data and padding of one member after the other."""
    for member, content in zip(members, contents, strict=True):
        yield header(member.name, member.size_bytes)
        yield from content
        yield b"\0" * (-member.size_bytes % BLOCK)
