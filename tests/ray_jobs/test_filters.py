"""Filters: what they pick is what SQLite picks, and what is no filter is named with its place."""

from __future__ import annotations

import sqlite3
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_jobs.dead_letters import SCHEMA
from ray_jobs.filters import MAX_CHARACTERS, MAX_DEPTH, compiled
from schemas.config import ConfigError

WORDS = ["actor", "attempts", "=", "<", "(", ")", "'", "not", "and", "or", "in", "like", "3", ","]
COLUMNS = pa.schema([("actor", pa.string()), ("error", pa.string()), ("attempts", pa.int64())])
texts = st.text("abA%_' é", max_size=4)
numbers = st.integers(-3, 3)
rows = st.lists(st.tuples(st.none() | texts, st.none() | texts, st.none() | numbers), max_size=12)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


comparisons = st.sampled_from(["=", "!=", "<>", "<", "<=", ">", ">="])
names = st.sampled_from(["actor", "error"])
like = st.builds(lambda n, no, t: f"{n}{no} like {quoted(t)}", names, st.sampled_from(["", " not"]), texts)
equal = st.builds(lambda n, c, t: f"{n} {c} {quoted(t)}", names, comparisons, texts)
count = st.builds(
    lambda c, n: f"attempts {c} {n}", comparisons, st.one_of(numbers, st.sampled_from([0.5, -1.5]))
)
listed = st.builds(
    lambda no, ns: f"attempts{no} in ({', '.join(map(str, ns))})",
    st.sampled_from(["", " NOT"]),
    st.lists(numbers, min_size=1, max_size=3),
)
missing = st.builds(lambda n, no: f"{n} is{no} null", names, st.sampled_from(["", " not"]))
filters = st.recursive(
    st.one_of(like, equal, count, listed, missing),
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"{a} and {b}", inner, inner),
        st.builds(lambda a, b: f"{a} OR {b}", inner, inner),
        st.builds(lambda a: f"( {a})", inner),
        st.builds(lambda a: f"not ({a})", inner),
    ),
    max_leaves=6,
)


@given(filters, rows)
def test_a_filter_picks_the_rows_that_sqlite_picks(text: str, found: list[tuple[Any, ...]]) -> None:
    table = pa.table(
        [pa.array([row[n] for row in found], COLUMNS.types[n]) for n in range(3)], schema=COLUMNS
    )
    table = table.append_column("number", pa.array(range(len(found))))
    base = sqlite3.connect(":memory:")
    base.execute("pragma case_sensitive_like = on")
    base.execute("create table t (number integer, actor text, error text, attempts integer)")
    base.executemany("insert into t values (?, ?, ?, ?)", [(n, *row) for n, row in enumerate(found)])
    expected = [n for (n,) in base.execute(f"select number from t where {text} order by number")]
    base.close()
    assert table.filter(compiled(text, COLUMNS))["number"].to_pylist() == expected


def test_a_backslash_in_a_pattern_is_a_backslash_and_times_compare_with_texts() -> None:
    table = pa.table({"error": ["a\\b", "a%b", "ab"], "at": pa.array([1, 2, 3], pa.timestamp("s", "UTC"))})
    assert table.filter(compiled(r"error like 'a\%'", table.schema))["error"].to_pylist() == ["a\\b"]
    late = compiled("at >= '1970-01-01 00:00:02Z'", table.schema)
    assert table.filter(late)["error"].to_pylist() == ["a%b", "ab"]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("actr = 'Ingest'", 1, "no column 'actr'; did you mean 'actor'?"),
        ("actor = Ingest", 9, "a text stands in single quotes"),
        ("actor = 'Ingest' error like 'x'", 18, "expected `and`, `or` or the end, found 'error'"),
        ("actor", 6, "expected a comparison after actor, found 'the end'"),
        ("actor = 'Ingest", 9, "a text without its closing quote"),
        ("actor like 3", 12, "actor is string, found 3"),
        ("attempts like 'x'", 1, "so it is `like` nothing"),
        ("attempts = 'x'", 12, "attempts is int64"),
        ("finished_at > 'yesterday'", 15, "is no value for finished_at"),
        ("(actor = 'x'", 13, "expected `)`"),
        ("actor in ()", 11, "expected a value for actor"),
        ("actor is 'x'", 10, "expected `null`"),
        ("", 1, "expected a column"),
        ("actor = 'x'; drop table", 12, "found ';'"),
        ("__import__('os').system('x')", 17, "found '.'"),
        ("(" * (MAX_DEPTH + 1), MAX_DEPTH + 1, "levels of parentheses"),
        ("not " * 200, None, "levels of parentheses"),
        ("x" * (MAX_CHARACTERS + 1), None, "characters"),
    ],
)
def test_what_is_no_filter_is_named_with_its_place(text: str, place: int | None, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        compiled(text, SCHEMA)
    assert words in str(raised.value)
    if place is not None:
        assert f"filter, character {place}:" in str(raised.value)


@given(st.text(max_size=40) | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_any_text_is_a_filter_or_a_config_error(text: str) -> None:
    try:
        found = compiled(text, SCHEMA)
    except ConfigError:
        return
    assert isinstance(found, pc.Expression)
    SCHEMA.empty_table().filter(found)
