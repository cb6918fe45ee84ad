"""Source lists: folders, CSV, Parquet and OpenVE-3M's CSV become entries; entries become planned samples."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_jobs.root import SAMPLES
from ray_jobs.sources import SourceEntry, SourcesError, plan_samples, read_sources
from schemas.config import ConfigError, RunConfig

CONFIG = RunConfig(themes=("location", "season"))


def test_a_folder_gives_its_video_files_in_order_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.MP4", "a file 'quoted' ü.mov", "notes.txt", "list.m3u8", "deep/c.webm"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    names = [Path(entry.uri).name for entry in read_sources(str(tmp_path))]
    assert names == ["a file 'quoted' ü.mov", "b.MP4", "c.webm", "list.m3u8"]


def test_a_list_may_bring_theme_prompt_keyword_and_licence(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "uri,theme,prompt,chosen_keyword,licence\nv/a.mp4,season,,spring: x,CC0\n/b.mp4,,Put it,,\n"
    )
    first, second = read_sources(str(path))
    assert first == SourceEntry(str(tmp_path / "v/a.mp4"), "season", None, "spring: x", "CC0")
    assert second == SourceEntry("/b.mp4", "openve3m", "Put it")


def test_a_parquet_list_reads_as_a_csv_does(tmp_path: Path) -> None:
    pq.write_table(pa.table({"uri": ["/a.mp4"], "theme": ["style"]}), tmp_path / "list.parquet")
    assert read_sources(str(tmp_path / "list.parquet")) == [SourceEntry("/a.mp4", "style")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "url\nx", "no column 'uri'"),
        ("a.csv", "uri,theem\nx,season", "did you mean 'theme'"),
        ("a.csv", "uri,theme\nx,seeson", "did you mean 'season'"),
        ("a.csv", "uri\n", "lists no sources"),
        ("a.csv", "", "is empty"),
        ("a.csv", "uri,theme\n,season", "row 1: uri is empty"),
        ("a.parquet", "not parquet", "is not a Parquet file"),
        ("a.txt", "x", "a source list is a folder"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourcesError, match=message):
        read_sources(str(tmp_path / name))


def test_a_missing_list_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match="no source list at"):
        read_sources(str(tmp_path / "none.csv"))


def openve(path: Path, rows: list[tuple[str, str]]) -> str:
    lines = "".join(f"{video};Replace it, now;{original}\n" for video, original in rows)
    path.write_text("video;prompt;original_video\n" + lines)
    return str(path)


def test_openve_rows_keep_their_own_edit_as_reference(tmp_path: Path) -> None:
    where = openve(
        tmp_path / "o.csv", [("edited/1.mp4", "original/1.mp4"), ("edited/2.mp4", "original/1.mp4")]
    )
    first, second = read_sources(where)
    assert first.uri == second.uri == str(tmp_path / "original/1.mp4")
    assert (first.theme, first.prompt) == ("openve3m", "Replace it, now")
    assert second.reference_edit_uri == str(tmp_path / "edited/2.mp4")


@pytest.mark.parametrize(
    "rows",
    [
        [("original/1.mp4", "edited/1.mp4")],
        [("a.mp4", "x.mp4"), ("a.mp4", "y.mp4")],
    ],
    ids=["by name", "by recurrence"],
)
def test_swapped_openve_columns_are_noticed_and_swap_forces(
    tmp_path: Path, rows: list[tuple[str, str]]
) -> None:
    where = openve(tmp_path / "o.csv", rows)
    with pytest.raises(SourcesError, match="--swap"):
        read_sources(where)
    assert {entry.uri for entry in read_sources(where, swap=True)} == {
        str(tmp_path / video) for video, _ in rows
    }
    assert {entry.uri for entry in read_sources(where, swap=False)} == {
        str(tmp_path / orig) for _, orig in rows
    }


def test_every_source_becomes_one_sample_a_theme_and_keeps_its_number() -> None:
    entries = [SourceEntry("/a.mp4"), SourceEntry("/b.mp4")]
    rows, asked = plan_samples(entries, CONFIG, SAMPLES.empty_table())
    assert sorted(asked) == [f"Sparkle_{t}_{n:06d}" for t in ("location", "season") for n in (0, 1)]
    known = pa.Table.from_pylist(rows, schema=SAMPLES)
    assert plan_samples(entries, CONFIG, known) == ([], asked)
    more, _ = plan_samples([SourceEntry("/c.mp4"), *entries], CONFIG, known)
    assert {row["source_id"] for row in more} == {2}


def test_a_keyword_is_drawn_for_a_sample_whatever_else_is_in_the_list() -> None:
    def keyword(*uris: str) -> str:
        rows, _ = plan_samples([SourceEntry(uri) for uri in uris], CONFIG, SAMPLES.empty_table())
        return str(rows[0]["chosen_keyword"])

    assert keyword("/a.mp4") == keyword("/a.mp4", "/b.mp4", "/c.mp4")


def test_openve3m_as_a_theme_needs_prompts() -> None:
    config = RunConfig(themes=("openve3m",))
    with pytest.raises(ConfigError, match="needs a prompt"):
        plan_samples([SourceEntry("/a.mp4")], config, SAMPLES.empty_table())
