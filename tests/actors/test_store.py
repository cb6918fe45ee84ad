"""The store: one writing primitive, no way out of the root, clear refusals."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.store import MARKER, LocalStore, StoreError, open_root, open_store


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "root")


def test_the_first_writer_wins_and_the_loser_learns_what_is_there(store: LocalStore) -> None:
    first = store.put_bytes_if_absent("a/b.bin", b"first")
    second = store.put_bytes_if_absent("a/b.bin", b"second!")
    assert first.won
    assert not second.won
    assert (second.sha256, second.size_bytes) == (first.sha256, 5)
    assert store.get_bytes("a/b.bin") == b"first"


def test_of_many_writers_at_once_exactly_one_wins(store: LocalStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: store.put_bytes_if_absent("k", b"%d" % n), range(64)))
    assert sum(result.won for result in results) == 1
    assert len({result.sha256 for result in results}) == 1


def test_a_put_file_is_moved_and_nothing_is_left_in_scratch(store: LocalStore, tmp_path: Path) -> None:
    with store.scratch() as scratch:
        path = Path(scratch) / "x"
        path.write_bytes(b"media")
        assert store.put_file_if_absent("m/x", path).won
        assert not path.exists()
    assert list((store.root / "scratch").iterdir()) == []
    assert store.local_path("m/x").read_bytes() == b"media"


def test_a_link_shares_the_bytes_of_what_exists(store: LocalStore) -> None:
    there = store.put_bytes_if_absent("one", b"bytes")
    linked = store.link_if_absent("two", "one")
    assert linked.won
    assert linked.sha256 == there.sha256
    assert os.path.samefile(store.local_path("one"), store.local_path("two"))


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a\0b", ".."])
def test_a_key_that_leads_out_of_the_root_is_refused(store: LocalStore, key: str) -> None:
    with pytest.raises(ValueError, match="is not a key"):
        store.put_bytes_if_absent(key, b"x")


@given(st.text(min_size=1, max_size=40))
def test_no_key_at_all_resolves_outside_the_root(key: str) -> None:
    store = LocalStore(Path("/somewhere/root"))
    try:
        path = store._path(key)
    except ValueError:
        return
    assert os.path.normpath(path).startswith("/somewhere/root")


def test_keys_lists_what_is_below_a_folder_in_order(store: LocalStore) -> None:
    for key in ("j/b", "j/a/z", "k", "j/a/c"):
        store.put_bytes_if_absent(key, b"")
    assert list(store.keys("j")) == ["j/a/c", "j/a/z", "j/b"]
    assert list(store.keys("none")) == []


def test_a_missing_key_says_so(store: LocalStore) -> None:
    with pytest.raises(KeyError, match="nothing is stored under x"):
        store.get_bytes("x")


def test_a_new_root_gets_its_marker_and_opens_again(tmp_path: Path) -> None:
    root = str(tmp_path / "new")
    open_root(root, create=True)
    assert open_root(root, create=False).exists(MARKER)


def test_a_folder_with_other_things_is_not_taken_for_a_root(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match="holds other files"):
        open_root(str(tmp_path), create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_is_no_root_is_refused_where_one_is_needed(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not an output root"):
        open_root(str(tmp_path), create=False)


def test_a_file_as_root_and_a_root_below_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(StoreError, match="is a file"):
        open_root(str(tmp_path / "f"), create=True)
    with pytest.raises(StoreError, match="cannot be written"):
        open_root(str(tmp_path / "f" / "below"), create=True)


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(StoreError, match="only local folders"):
        open_store("gs://bucket/x")
