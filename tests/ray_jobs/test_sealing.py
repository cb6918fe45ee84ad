"""Parts of the release while they are made: streamed, bounded, checked, and put once."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.store import LocalStore
from ray_jobs import sealing
from ray_jobs.sealing import PlannedShard, PublishError, ShardBytes, as_tasks, build_shard, seal, sealed
from schemas.shards import Member

MIB = 1 << 20
SIZES = (0, 1, 511, 512, 513, 128 << 10, MIB, MIB + 1, 3 * MIB, sealing.WHOLE_BYTES + 5)


class StreamStore(LocalStore):
    """A root whose artifacts come as streams that cannot be mapped, as from a bucket; it counts them."""

    opened = 0

    def open_read(self, key: str) -> BinaryIO:
        self.opened += 1
        return io.BytesIO(self.get_bytes(key))


def planned(root: Path, sizes: Sequence[int]) -> PlannedShard:
    """A part of artifacts of these sizes, which lie in a store at `root`."""
    members, keys = [], []
    for number, size in enumerate(sizes):
        data = (b"%d " % number) * (size // 2)
        data = data[:size].ljust(size, b"!")
        key = f"artifacts/location/edited_video/Sparkle_location_{number:06d}.mp4"
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(data)
        members.append(Member(key.removeprefix("artifacts/"), size, hashlib.sha256(data).hexdigest()))
        keys.append(key)
    return PlannedShard("location_edited_video_part00.tar", tuple(members), tuple(keys))


def test_a_part_is_the_same_from_files_and_from_streams_and_holds_its_members(tmp_path: Path) -> None:
    shard = planned(tmp_path, SIZES)
    made = b"".join(ShardBytes(LocalStore(tmp_path), shard))
    assert made == b"".join(ShardBytes(StreamStore(tmp_path), shard))
    assert len(made) == shard.size_bytes
    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        for info, key in zip(archive, shard.keys, strict=True):
            member = archive.extractfile(info)
            assert member is not None
            assert member.read() == (tmp_path / key).read_bytes()


def test_a_part_far_larger_than_what_is_read_ahead_never_lies_in_memory(tmp_path: Path) -> None:
    one = planned(tmp_path, [2 * MIB])
    shard = PlannedShard(one.path, one.members * 64, one.keys * 64)
    store = StreamStore(tmp_path)
    tracemalloc.start()
    try:
        chunks = iter(ShardBytes(store, shard))
        next(chunks)
        assert store.opened <= sealing.AHEAD_BYTES // (2 * MIB) + 1
        size = sum(map(len, chunks))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 128 * MIB
    # read ahead, and twice what the readers have in their hands: this store's stream is a copy
    assert peak < sealing.AHEAD_BYTES + 2 * sealing.READERS * 2 * MIB


def test_a_part_is_put_once_and_found_again(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    shard = planned(tmp_path, [10, 2000])
    assert sealed(store, shard) is None
    first = seal(store, shard)
    inode = store.local_path(f"release/{shard.path}").stat().st_ino
    assert seal(store, shard) == first == sealed(store, shard)
    assert store.local_path(f"release/{shard.path}").stat().st_ino == inode
    assert build_shard(store, shard, "elsewhere.tar") == first
    data = store.get_bytes("elsewhere.tar")
    assert (len(data), hashlib.sha256(data).hexdigest()) == (first.size_bytes, first.sha256)


def test_a_part_without_its_note_or_of_another_length_is_not_taken_for_sealed(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    shard = planned(tmp_path, [10, 2000])
    written = build_shard(store, shard)
    assert sealed(store, shard) is None
    assert seal(store, shard) == written == sealed(store, shard)
    path = store.local_path(f"release/{shard.path}")
    path.write_bytes(path.read_bytes()[:-512])
    assert sealed(store, shard) is None


@pytest.mark.parametrize("junk", [b"\xff\xfe", b"{torn", b"[]", b'{"size_bytes": 3}'])
def test_a_damaged_note_counts_as_none(tmp_path: Path, junk: bytes) -> None:
    store = LocalStore(tmp_path)
    shard = planned(tmp_path, [10])
    written = seal(store, shard)
    note = store.local_path(sealing.note_key(shard.path))
    note.write_bytes(junk)
    assert sealed(store, shard) is None
    store.delete(sealing.note_key(shard.path))
    assert seal(store, shard) == written == sealed(store, shard)


def test_other_bytes_under_the_name_are_neither_overwritten_nor_taken_for_the_part(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    shard = planned(tmp_path, [10])
    store.put_bytes_if_absent(f"release/{shard.path}", bytes(shard.size_bytes))
    with pytest.raises(PublishError, match="other bytes"):
        seal(store, shard)
    assert store.get_bytes(f"release/{shard.path}") == bytes(shard.size_bytes)
    assert not store.exists(sealing.note_key(shard.path))


def test_an_artifact_that_is_gone_or_changed_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    shard = planned(tmp_path, [10, 20, sealing.WHOLE_BYTES + 1])
    for number, damage in ((1, b"x" * 20), (1, b"x" * 21), (2, b"short"), (0, None)):
        path = tmp_path / shard.keys[number]
        before = path.read_bytes()
        if damage is None:
            path.unlink()
        else:
            path.write_bytes(damage)
        with pytest.raises(PublishError, match=f"Sparkle_location_{number:06d}"):
            build_shard(store, shard)
        path.write_bytes(before)
    assert not store.exists(f"release/{shard.path}")
    assert not list((tmp_path / "scratch").iterdir())
    build_shard(store, shard)


@given(st.lists(st.integers(0, 10**12), max_size=5), st.integers(0, 10**12))
def test_ray_is_started_for_large_releases_of_several_parts_only(sizes: list[int], task_bytes: int) -> None:
    parts = [PlannedShard(f"{n}", (Member(f"{n}", size, ""),), ("",)) for n, size in enumerate(sizes)]
    total = sum(part.size_bytes for part in parts)
    assert "ray" not in sys.modules or not sys.modules["ray"].is_initialized()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        large = len(parts) > 1 and total >= max(task_bytes, sealing.START_RAY_BYTES)
        assert as_tasks(parts, task_bytes) == large
        patch.setenv("RAY_ADDRESS", "auto")
        assert as_tasks(parts, task_bytes) == (len(parts) > 1 and total >= task_bytes)
