"""Streams into the store: hashed as they go by, whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.hashing import MAX_WAITING, HashingThread
from actors.store import LocalStore


@given(st.lists(st.binary(max_size=300), max_size=3 * MAX_WAITING))
def test_the_digest_is_that_of_the_chunks_in_their_order(chunks: list[bytes]) -> None:
    with HashingThread() as digest:
        for chunk in chunks:
            digest.update(chunk)
        assert digest.hexdigest() == hashlib.sha256(b"".join(chunks)).hexdigest()


def test_a_stream_is_stored_whole_and_the_first_one_wins(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    first = store.put_stream_if_absent("a/b", iter([b"one ", b"", b"two"]))
    assert (first.size_bytes, first.won) == (7, True)
    assert first.sha256 == hashlib.sha256(b"one two").hexdigest()
    second = store.put_stream_if_absent("a/b", iter([b"three"]))
    assert (second.won, second.sha256, second.size_bytes) == (False, first.sha256, 7)
    with store.open_read("a/b") as file:
        assert file.read() == b"one two"
    assert store.size_bytes("a/b") == 7


def test_a_stream_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def torn() -> Iterator[bytes]:
        yield b"one"
        raise ValueError("the source is gone")

    store = LocalStore(tmp_path)
    with pytest.raises(ValueError, match="the source is gone"):
        store.put_stream_if_absent("a", torn())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    for missing in (store.open_read, store.size_bytes):
        with pytest.raises(KeyError):
            missing("a")
