"""Members of tar parts as the artifacts that they are, and how one comes back out of the release.

What a reader gets wrong: a part holds a second copy of each of its artifacts, and where the artifact's file
is damaged the only good one. So a part does not go before its members are known to be somewhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from actors.store import Store
from ray_jobs.remake import intact
from ray_jobs.sealing import PlannedShard, PublishError, planned_shards
from schemas import release, shards
from schemas.records import Artifact, release_path

_CHUNK = 1 << 20
READERS = 4
"""Artifacts that are hashed at once."""


@dataclass(frozen=True)
class Kept:
    """A member of a part, and the artifact that it is."""

    part: PlannedShard
    index: int
    theme: str
    column: str
    sample: str
    artifact: Artifact


def members_of(parts: Iterable[PlannedShard]) -> Iterator[Kept]:
    """Raises PublishError where the plan names something that is no part."""
    for part in parts:
        place = release.classify(part.path)
        if place is None:
            raise PublishError(f"the plan names {part.path}, which is no part of a release")
        for index, (member, key) in enumerate(zip(part.members, part.keys, strict=True)):
            artifact = Artifact(place.kind, key, member.size_bytes, member.sha256)
            yield Kept(part, index, place.theme, place.kind, Path(member.name).stem, artifact)


def save_from(store: Store, before: pa.Table, after: pa.Table) -> None:
    """Take back from parts that go or change, by these two shard plans, what is damaged or gone and is in the
    next release too.
    """
    stays = {(part.path, part.content) for part in planned_shards(after)}
    needed = set(zip(after["path"].to_pylist(), after["sha256"].to_pylist(), strict=True))
    going = (part for part in planned_shards(before) if (part.path, part.content) not in stays)
    there = (part for part in going if store.exists(f"release/{part.path}"))

    def save(kept: Kept) -> None:
        if not intact(store, kept.artifact):
            from_release(store, kept)

    with ThreadPoolExecutor(READERS, thread_name_prefix="save") as threads:
        for part in there:
            needed_here = (k for k in members_of([part]) if (k.artifact.path, k.artifact.sha256) in needed)
            list(threads.map(save, needed_here))


def from_release(store: Store, kept: Kept) -> bool:
    """Take an artifact back from its preview or its part, if its bytes are there unharmed."""
    artifact = kept.artifact
    preview = f"release/{release_path(kept.column, kept.sample, kept.theme)}"
    if intact(store, Artifact(kept.column, preview, artifact.size_bytes, artifact.sha256)):
        store.delete(artifact.path)
        store.link_if_absent(artifact.path, preview)
        return True
    with store.scratch() as scratch:
        path = Path(scratch) / "member"
        if not _cut_out(store, kept, path):
            return False
        store.delete(artifact.path)
        store.put_file_if_absent(artifact.path, path)
    if store.exists(preview):  # the damaged file under its other name
        store.delete(preview)
        store.link_if_absent(preview, artifact.path)
    return True


def _cut_out(store: Store, kept: Kept, path: Path) -> bool:
    """Write a member of a part to `path`; False unless the part has exactly its bytes there."""
    sizes = np.array([member.size_bytes for member in kept.part.members], np.int64)
    offset, left = int(shards.data_offsets(sizes)[kept.index]), kept.artifact.size_bytes
    digest = hashlib.sha256()
    try:
        with store.open_read(f"release/{kept.part.path}") as file, path.open("wb") as out:
            # a stream from a bucket does not seek
            while offset and (passed := file.read(min(offset, _CHUNK))):
                offset -= len(passed)
            while left and (chunk := file.read(min(left, _CHUNK))):
                left -= len(chunk)
                digest.update(chunk)
                out.write(chunk)
    except KeyError:
        return False
    return not left and digest.hexdigest() == kept.artifact.sha256
