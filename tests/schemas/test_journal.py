"""Settling: which of several rows of a key counts, whatever the order in which parts are read."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.journal import ActorJournal
from actors.store import LocalStore
from schemas.gates import Step
from schemas.journal import NewerSchemaError, part_schema, settle

STEP = Step("EditedFrameScorer", "sample", ("edited_frame0_score", "edited_frame0_overall"))
SCHEMA = part_schema(STEP)

row = st.fixed_dictionaries(
    {
        "key": st.sampled_from("abc"),
        "run": st.integers(1, 3),
        "attempt": st.integers(0, 2),
        "part": st.sampled_from(["p", "q", "r"]),
        "generation": st.integers(0, 1),
        "outcome": st.sampled_from(["ok", "failed"]),
        "edited_frame0_overall": st.floats(0, 10),
    }
)
journals = st.lists(
    row, max_size=12, unique_by=lambda r: (r["key"], r["run"], r["attempt"], r["part"], r["generation"])
)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def by_key(settled: pa.Table) -> dict[str, dict[str, Any]]:
    found = settled.to_pylist()
    assert len({row["key"] for row in found}) == len(found)
    return {row["key"]: row for row in found}


@given(journals, st.randoms(use_true_random=False), st.integers(0, 1))
def test_settling_does_not_depend_on_the_order_of_parts(
    rows: list[dict[str, Any]], random: Any, generation: int
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert by_key(settle(table(rows), generation)) == by_key(settle(table(shuffled), generation))


@given(journals, st.integers(0, 1))
def test_a_good_row_counts_before_a_failed_one_and_the_first_good_before_later_ones(
    rows: list[dict[str, Any]], generation: int
) -> None:
    settled = by_key(settle(table(rows), generation))
    mine = [row for row in rows if row["generation"] == generation]
    assert set(settled) == {row["key"] for row in mine}
    for key, found in settled.items():
        place = {"ok": [], "failed": []}  # type: dict[str, list[tuple[int, int, str]]]
        for row in mine:
            if row["key"] == key:
                place[row["outcome"]].append((row["run"], row["attempt"], row["part"]))
        expected = min(place["ok"]) if place["ok"] else max(place["failed"])
        assert (found["run"], found["attempt"], found["part"]) == expected
        assert found["failures"] == len(place["failed"])


def test_an_empty_journal_settles_to_an_empty_table_with_all_columns() -> None:
    found = settle(SCHEMA.empty_table(), 0)
    assert found.num_rows == 0
    assert found.schema.names == [*SCHEMA.names, "failures"]


def part(key: str, overall: float) -> dict[str, Any]:
    return {
        "key": key,
        "run": 1,
        "attempt": 0,
        "generation": 0,
        "outcome": "ok",
        "edited_frame0_overall": overall,
        "edited_frame0_score": "{}",
    }


def test_some_columns_of_some_keys_are_read_as_all_of_them_are(tmp_path: Any) -> None:
    journal = ActorJournal(LocalStore(tmp_path), STEP)
    for name, keys in (("000001-a", "ab"), ("000001-b", "cd")):
        journal.write(f"{journal.folder}/{name}.parquet", [part(key, ord(key)) for key in keys])
    everything = journal.read(journal.parts())
    some = journal.read(journal.parts(), columns={"key", "edited_frame0_overall"}, only=pa.array(["a", "d"]))
    assert some.to_pylist() == [
        {"key": row["key"], "edited_frame0_overall": row["edited_frame0_overall"]}
        for row in everything.to_pylist()
        if row["key"] in "ad"
    ]
    none = journal.read(journal.parts(), columns={"key"}, only=pa.array([], pa.string()))
    assert (none.num_rows, none.schema.names) == (0, ["key"])


def test_a_part_of_an_older_version_reads_with_its_missing_columns_null(tmp_path: Any) -> None:
    journal = ActorJournal(LocalStore(tmp_path), STEP)
    path = tmp_path / journal.folder / "000001-old.parquet"
    path.parent.mkdir(parents=True)
    old = table([part("a", 8.0)]).drop_columns(["cpu_s", "edited_frame0_score"])
    pq.write_table(old, path)
    (found,) = journal.read(journal.parts()).to_pylist()
    assert (found["key"], found["cpu_s"], found["edited_frame0_score"]) == ("a", None, None)
    assert found["edited_frame0_overall"] == 8.0


def test_a_part_of_a_newer_version_is_refused_by_name(tmp_path: Any) -> None:
    journal = ActorJournal(LocalStore(tmp_path), STEP)
    path = tmp_path / journal.folder / "000001-new.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(table([]).replace_schema_metadata({"schema_version": "2"}), path)
    with pytest.raises(NewerSchemaError, match=r"000001-new\.parquet: schema version 2"):
        journal.read(journal.parts())
