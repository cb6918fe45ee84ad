"""The store: one writing primitive, no way out of the root, clear refusals."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.store import (
    MARKER,
    LocalStore,
    NotARootError,
    Store,
    Stored,
    StoreError,
    checked_key,
    open_root,
    open_store,
    root_to_be,
)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Every test of it holds for both stores."""
    if request.param == "folder":
        return LocalStore(tmp_path / "root")
    return open_store(request.getfixturevalue("prefix"))


def test_the_first_writer_wins_and_the_loser_learns_what_is_there(store: Store) -> None:
    first = store.put_bytes_if_absent("a/b.bin", b"first")
    second = store.put_bytes_if_absent("a/b.bin", b"second!")
    assert first.won
    assert not second.won
    assert (second.sha256, second.size_bytes) == (first.sha256, 5)
    assert store.get_bytes("a/b.bin") == b"first"


def test_of_many_writers_at_once_exactly_one_wins(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: store.put_bytes_if_absent("k", b"%d" % n), range(32)))
    assert sum(result.won for result in results) == 1
    assert len({result.sha256 for result in results}) == 1


def test_a_put_file_is_moved_and_nothing_is_left_in_scratch(store: Store) -> None:
    for won in (True, False):
        with store.scratch() as scratch:
            path = Path(scratch) / "x"
            path.write_bytes(b"media")
            assert store.put_file_if_absent("m/x", path).won is won
            assert not path.exists()
        assert list(Path(scratch).parent.iterdir()) == []
    assert store.local_path("m/x").read_bytes() == b"media"


def test_a_link_has_the_bytes_of_what_exists_and_stays_when_that_goes(store: Store) -> None:
    there = store.put_bytes_if_absent("one", b"bytes")
    linked = store.link_if_absent("two", "one")
    assert linked == Stored("two", 5, there.sha256, won=True)
    store.put_bytes_if_absent("three", b"others")
    assert store.link_if_absent("two", "three") == Stored("two", 5, there.sha256, won=False)
    store.delete("one")
    assert store.local_path("two").read_bytes() == b"bytes"
    with pytest.raises(KeyError, match="nothing is stored under one"):
        store.link_if_absent("four", "one")


def test_a_link_in_a_folder_takes_no_room(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put_bytes_if_absent("one", b"bytes")
    store.link_if_absent("two", "one")
    assert os.path.samefile(store.local_path("one"), store.local_path("two"))


@pytest.mark.parametrize("chunks", [[], [b""], [b"one"], [b"one ", b"", b"two"]])
def test_a_stream_is_stored_whole_and_the_first_one_wins(store: Store, chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    first = store.put_stream_if_absent("a/b", iter(chunks))
    assert first == Stored("a/b", len(whole), hashlib.sha256(whole).hexdigest(), won=True)
    second = store.put_stream_if_absent("a/b", iter([b"three"]))
    assert second == replace(first, won=False)
    with store.open_read("a/b") as file:
        assert file.read() == whole
    assert store.size_bytes("a/b") == len(whole)


def test_a_stream_that_breaks_off_leaves_nothing(store: Store) -> None:
    def torn() -> Iterator[bytes]:
        yield b"one"
        raise ValueError("the source is gone")

    with pytest.raises(ValueError, match="the source is gone"):
        store.put_stream_if_absent("a/b", torn())
    assert not store.exists("a/b")
    assert list(store.keys("a")) == []


def test_a_deleted_key_is_free_again_and_reads_as_what_was_put_last(store: Store) -> None:
    store.put_bytes_if_absent("a/k", b"old")
    assert store.local_path("a/k").read_bytes() == b"old"
    store.delete("a/k")
    store.delete("a/k")
    for read in (store.get_bytes, store.open_read, store.size_bytes, store.local_path):
        with pytest.raises(KeyError, match="nothing is stored under a/k"):
            read("a/k")
    assert not store.exists("a/k")
    assert store.put_bytes_if_absent("a/k", b"new").won
    assert store.local_path("a/k").read_bytes() == store.get_bytes("a/k") == b"new"


def test_a_store_that_was_pickled_is_the_same_place(store: Store) -> None:
    store.put_bytes_if_absent("k", b"x")
    again = pickle.loads(pickle.dumps(store))
    assert again.uri == store.uri == open_store(store.uri).uri
    assert again.get_bytes("k") == b"x"


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a\0b", ".."])
def test_a_key_that_leads_out_of_the_root_is_refused(store: Store, key: str) -> None:
    with pytest.raises(ValueError, match="is not a key"):
        store.put_bytes_if_absent(key, b"x")


@given(st.text(min_size=1, max_size=40))
def test_no_key_at_all_resolves_outside_the_root(key: str) -> None:
    try:
        path = f"/somewhere/root/{checked_key(key)}"
    except ValueError:
        return
    assert os.path.normpath(path) == path


def test_keys_lists_what_is_below_a_folder_in_order(store: Store) -> None:
    for key in ("j/b", "j/a/z", "k", "j/a/c", "jj/x", "j/a b+%41é"):
        store.put_bytes_if_absent(key, b"")
    assert list(store.keys("j")) == ["j/a b+%41é", "j/a/c", "j/a/z", "j/b"]
    assert list(store.keys("none")) == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("folder", ["journal", "journal/runs"])
def test_a_folder_that_cannot_be_read_is_an_error_and_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, code: int
) -> None:
    store = LocalStore(tmp_path)
    store.put_bytes_if_absent("journal/runs/000001.json", b"{}")
    fail_to_list(monkeypatch, tmp_path / folder, code)
    with pytest.raises(OSError, match=os.strerror(code)):
        list(store.keys("journal"))


def test_a_folder_that_vanishes_while_keys_are_listed_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    store.put_bytes_if_absent("a/b/c", b"")
    store.put_bytes_if_absent("a/d", b"")
    fail_to_list(monkeypatch, tmp_path / "a/b", errno.ENOENT)
    assert list(store.keys("a")) == ["a/d"]


def fail_to_list(monkeypatch: pytest.MonkeyPatch, folder: Path, code: int) -> None:
    """As a superuser sees no permissions, the call itself fails."""
    listed = os.scandir

    def scandir(path: str) -> object:
        if Path(path) == folder:
            raise OSError(code, os.strerror(code), path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_what_nfs_keeps_of_a_deleted_file_is_no_key(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put_bytes_if_absent("journal/runs/000001.json", b"{}")
    (tmp_path / "journal/runs/.nfs00000000deadbeef").write_bytes(b"")
    assert list(store.keys("journal")) == ["journal/runs/000001.json"]


def test_many_keys_are_forgotten_at_once_and_no_others(store: Store) -> None:
    for number in range(5):
        store.put_bytes_if_absent(f"a/{number} é&<", b"x")
    store.delete_all([*(f"a/{number} é&<" for number in range(3)), "a/none"])
    store.delete_all([])
    assert list(store.keys("a")) == ["a/3 é&<", "a/4 é&<"]


def test_a_missing_key_says_so(store: Store) -> None:
    with pytest.raises(KeyError, match="nothing is stored under x"):
        store.get_bytes("x")


def test_a_new_root_gets_its_marker_and_opens_again(tmp_path: Path) -> None:
    root = str(tmp_path / "new")
    open_root(root, create=True)
    assert open_root(root, create=False).exists(MARKER)


def test_a_folder_with_other_things_is_not_taken_for_a_root(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(NotARootError, match="holds other files"):
        open_root(str(tmp_path), create=True)
    with pytest.raises(NotARootError, match="holds other files"):
        root_to_be(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_is_no_root_is_refused_where_one_is_needed(tmp_path: Path) -> None:
    with pytest.raises(NotARootError, match="is not an output root"):
        open_root(str(tmp_path), create=False)


def test_a_file_as_root_and_a_root_below_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(NotARootError, match="is a file"):
        open_root(str(tmp_path / "f"), create=True)
    with pytest.raises(StoreError, match="cannot be written"):
        open_root(str(tmp_path / "f" / "below"), create=True)


@pytest.mark.parametrize("uri", ["gs://bucket/x", "", "file://", "s3://", "s3://bucket/../x"])
def test_what_names_no_place_for_a_root_is_refused(uri: str) -> None:
    with pytest.raises(NotARootError, match=r"a local folder or s3|s3://bucket/prefix|without `\.\.`"):
        open_store(uri)


def test_a_look_at_a_place_that_can_become_a_root_writes_nothing(store: Store) -> None:
    assert root_to_be(store.uri).uri == store.uri
    assert not Path(store.uri).exists()
    with pytest.raises(NotARootError, match="is not an output root"):
        open_root(store.uri, create=False)
    open_root(store.uri, create=True)
    assert root_to_be(store.uri).exists(MARKER)
