"""Source lists: folders, CSV, Parquet and OpenVE-3M's CSV become entries; entries become planned samples."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from actors.base import Sample
from actors.ingest import Ingest, IngestConfig
from actors.ops.video import encode_video
from actors.roles import SampleError
from actors.s3 import new_client, split_uri
from actors.s3_sources import fetch_source
from actors.store import StoreError, open_root
from ray_jobs.root import SAMPLES
from ray_jobs.sources import SourceEntry, SourcesError, plan_samples, planned_otherwise, read_sources
from ray_jobs.synthesize import print_plan
from schemas.config import ConfigError, RunConfig
from tests.s3_server import Fault, S3Server

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


def test_a_parquet_list_with_a_column_twice_is_refused_by_its_name(tmp_path: Path) -> None:
    table = pa.table([["/a.mp4"], ["/b.mp4"]], names=["uri", "uri"])
    pq.write_table(table, tmp_path / "list.parquet")
    with pytest.raises(SourcesError, match="has the column 'uri' more than once"):
        read_sources(str(tmp_path / "list.parquet"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "url\nx", "no column 'uri'"),
        ("a.csv", "uri,theem\nx,season", "did you mean 'theme'"),
        ("a.csv", "uri,theme\nx,seeson", "did you mean 'season'"),
        ("a.csv", "uri\n", "lists no sources"),
        ("a.csv", "uri,theme,uri\nx,season,y", "has the column 'uri' more than once"),
        ("a.csv", "uri;theme\nx, y.mp4;season", "commas separate the columns.*'uri;theme'"),
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


def test_a_licence_that_a_later_list_corrects_is_named_since_the_first_one_stays() -> None:
    first = [SourceEntry("/a.mp4", licence="cc0-1.0"), SourceEntry("/b.mp4"), SourceEntry("/c.mp4")]
    rows, _ = plan_samples(first, CONFIG, SAMPLES.empty_table())
    planned = pa.Table.from_pylist(rows, schema=SAMPLES)
    later = [
        SourceEntry("/a.mp4", "season", licence="cc-by-nc-4.0"),
        SourceEntry("/b.mp4", "location", licence="cc-by-4.0"),
        SourceEntry("/c.mp4"),
    ]
    found = planned_otherwise(later, CONFIG, planned)
    assert sorted(found) == ["Sparkle_location_000001", "Sparkle_season_000000"]
    assert planned_otherwise([SourceEntry("/a.mp4"), *first], CONFIG, planned) == [], "silence states nothing"


def test_openve3m_as_a_theme_needs_prompts() -> None:
    config = RunConfig(themes=("openve3m",))
    with pytest.raises(ConfigError, match="needs a prompt"):
        plan_samples([SourceEntry("/a.mp4")], config, SAMPLES.empty_table())


def test_the_plan_of_one_source_says_so_in_the_singular(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = RunConfig(themes=("location",))
    print_plan(str(tmp_path / "root"), [SourceEntry("/a.mp4")], config, Console(width=200))
    assert capsys.readouterr().out.startswith("1 source, 1 sample: 1 new, 0 begun")


# in a bucket


def put(uri: str, content: bytes) -> None:
    bucket, key = split_uri(uri)
    new_client().put_object(Bucket=bucket, Key=key, Body=content)


def test_a_prefix_gives_its_videos_in_order_without_those_of_an_output_root(prefix: str) -> None:
    for name in ("b.MP4", "a clip 100%.mov", "notes.txt", "deep/c.webm", "deep/", "other.mp4/x.txt"):
        put(f"{prefix}/videos/{name}", b"x")
    put(f"{prefix}/videos-of-others/d.mp4", b"x")
    store = open_root(f"{prefix}/videos/out", create=True)
    store.put_bytes_if_absent("artifacts/sources/e.mp4", b"x")
    expected = [f"{prefix}/videos/{name}" for name in ("a clip 100%.mov", "b.MP4", "deep/c.webm")]
    for where in (f"{prefix}/videos", f"{prefix}/videos/"):
        assert [entry.uri for entry in read_sources(where)] == expected
    with pytest.raises(SourcesError, match="no video files below"):
        read_sources(f"{prefix}/videos/out")


def test_a_list_in_a_bucket_names_objects_beside_it_and_elsewhere(prefix: str) -> None:
    uris = ["a b.mp4", "../up.mp4", "s3://elsewhere/c.mp4", "/shared/d.mp4"]
    put(f"{prefix}/lists/list.csv", "\n".join(["uri", *uris]).encode())
    sink = io.BytesIO()
    pq.write_table(pa.table({"uri": uris}), sink)
    put(f"{prefix}/lists/list.parquet", sink.getvalue())
    expected = [f"{prefix}/lists/a b.mp4", f"{prefix}/up.mp4", "s3://elsewhere/c.mp4", "/shared/d.mp4"]
    for suffix in ("csv", "parquet"):
        assert [entry.uri for entry in read_sources(f"{prefix}/lists/list.{suffix}")] == expected


def test_a_list_or_bucket_that_is_not_there_is_said_by_name(prefix: str, s3: S3Server) -> None:
    with pytest.raises(SourcesError, match=f"no source list at {prefix}/none.csv"):
        read_sources(f"{prefix}/none.csv")
    for where in ("s3://no-such-bucket/a.csv", "s3://no-such-bucket/videos"):
        with pytest.raises(StoreError, match="the bucket does not exist"):
            read_sources(where)


def test_a_source_in_a_bucket_is_copied_whole_and_decoded_here(
    prefix: str, s3: S3Server, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    encode_video([np.full((180, 320, 3), 10 * n, np.uint8) for n in range(18)], clip, fps=16)
    put(f"{prefix}/a clip.mp4", clip.read_bytes())
    s3.fault(Fault("torn", "^GET"))
    added = ingest(f"{prefix}/a clip.mp4", tmp_path)
    assert added["num_frames"] == 17
    assert added["source_sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert added["source_size_bytes"] == clip.stat().st_size


def test_an_object_that_cannot_be_had_is_its_samples_fault_and_bad_credentials_are_the_runs(
    prefix: str, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f"{prefix}/a.mp4", b"x" * 1000)
    with pytest.raises(SampleError, match=r"none.mp4 cannot be read: .*NoSuchKey"):
        ingest(f"{prefix}/none.mp4", tmp_path)
    with pytest.raises(SampleError, match="the bucket does not exist"):
        ingest("s3://no-such-bucket/a.mp4", tmp_path)
    for uri in ("s3://", "s3:///a.mp4"):
        with pytest.raises(SampleError, match="names no bucket"):
            ingest(uri, tmp_path)
    with pytest.raises(SampleError, match=r"1,000 bytes, the limit is 999 \(max_source_bytes\)"):
        fetch_source(f"{prefix}/a.mp4", tmp_path, max_bytes=999)
    s3.fault(Fault("AccessDenied", "^GET"))
    with pytest.raises(SampleError, match="access is denied"):
        ingest(f"{prefix}/a.mp4", tmp_path)
    s3.fault(Fault("InvalidAccessKeyId", "^GET"))
    with pytest.raises(StoreError, match="InvalidAccessKeyId"):
        ingest(f"{prefix}/a.mp4", tmp_path)


def ingest(uri: str, scratch: Path) -> dict[str, Any]:
    sample = Sample("000000", 0, "Ingest", {"source_uri": uri}, {}, scratch)
    return Ingest(IngestConfig(), None).process(sample)
