"""Edges of lists, roots and downloaded copies: what people do that nobody plans for.

What a reader gets wrong: no model runs here; roots are written by `small_root`.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from actors.ingest import path_of
from actors.roles import SampleError
from actors.store import LocalStore, NotARootError, StoreError, open_root
from ray_jobs.__main__ import app
from ray_jobs.plan import work_left
from ray_jobs.publish import publish
from ray_jobs.regate import regate, regate_release
from ray_jobs.root import SAMPLES, compact
from ray_jobs.runs import ended, finished, newest_run, open_run
from ray_jobs.settings import apply
from ray_jobs.sources import (
    SourceEntry,
    SourcesError,
    first_sources,
    plan_samples,
    planned_otherwise,
    read_sources,
)
from ray_jobs.synthesize import print_plan, synthesize
from ray_jobs.verify import verify
from schemas.config import ConfigError, RunConfig
from tests.ray_jobs.small_root import make_root, state_of

ONE_THEME = RunConfig(themes=("location",))


def loose(**thresholds: float | None) -> RunConfig:
    """The one-theme config with other thresholds, `Actor__gate=value`."""
    actors: dict[str, dict[str, float | None]] = {}
    for name, value in thresholds.items():
        actor, gate = name.split("__")
        actors.setdefault(actor, {})[gate] = value
    return RunConfig(themes=("location",), actors=actors)


# lists of sources


def test_a_limit_counts_sources_and_not_their_lines() -> None:
    entries = [SourceEntry(uri, theme) for uri in ("/a", "/b") for theme in ("season", "style")]
    assert first_sources(entries, 1) == entries[:2]
    assert first_sources(entries, None) == entries


def test_a_longer_limit_keeps_the_numbers_and_keywords_of_a_shorter_one() -> None:
    entries = [SourceEntry(f"/{name}.mp4") for name in "abcd"]
    few, _ = plan_samples(first_sources(entries, 2), ONE_THEME, SAMPLES.empty_table())
    more, _ = plan_samples(entries, ONE_THEME, pa.Table.from_pylist(few, schema=SAMPLES))
    at_once, _ = plan_samples(entries, ONE_THEME, SAMPLES.empty_table())
    assert [*few, *more] == at_once


def test_themes_and_openve_rows_that_come_later_keep_the_numbers_of_their_sources() -> None:
    first, _ = plan_samples([SourceEntry("/a.mp4")], ONE_THEME, SAMPLES.empty_table())
    known = pa.Table.from_pylist(first, schema=SAMPLES)
    later = [SourceEntry("/b.mp4"), SourceEntry("/a.mp4"), SourceEntry("/a.mp4", "openve3m", "Swap it")]
    rows, asked = plan_samples(later, RunConfig(themes=("location", "time")), known)
    assert {row["sample_id"] for row in rows} == {
        "Sparkle_location_000001",
        "Sparkle_time_000001",
        "Sparkle_time_000000",
        "Sparkle_openve3m_000000",
    }
    assert "Sparkle_location_000000" in asked


def test_a_second_prompt_for_one_source_is_named_and_the_first_stays() -> None:
    entries = [SourceEntry("/a.mp4", "openve3m", words) for words in ("Swap it", "Paint it", "Swap it")]
    rows, _ = plan_samples(entries, ONE_THEME, SAMPLES.empty_table())
    assert [row["given_prompt"] for row in rows] == ["Swap it"]
    planned = pa.Table.from_pylist(rows, schema=SAMPLES)
    assert planned_otherwise(entries, ONE_THEME, planned) == ["Sparkle_openve3m_000000"]
    assert planned_otherwise(entries[::2], ONE_THEME, planned) == []


def test_one_file_has_one_uri_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a clip.mp4").write_bytes(b"x")
    (tmp_path / "linked").symlink_to(tmp_path / "videos")
    spellings = ("videos/a clip.mp4", "videos/../videos/a clip.mp4", "linked/a clip.mp4")
    absolute = f"file://{tmp_path}/videos/a%20clip.mp4"
    (tmp_path / "list.csv").write_text("\n".join(["uri", *spellings, absolute]) + "\n")
    (by_folder,) = read_sources(f"{tmp_path}/videos/../videos")
    assert {entry.uri for entry in read_sources(str(tmp_path / "list.csv"))} == {by_folder.uri}


def test_what_an_output_root_holds_does_not_become_a_source(tmp_path: Path) -> None:
    (tmp_path / "mine.mp4").write_bytes(b"x")
    make_root(tmp_path / "out", sources=1, config=ONE_THEME)
    assert [Path(entry.uri).name for entry in read_sources(str(tmp_path))] == ["mine.mp4"]


@pytest.mark.parametrize("odd", [b"caf\xe9 100%.mp4", b"\x1b]0;title\x07 100%.mp4"])
def test_a_name_that_is_no_plain_text_can_be_written_down_and_found_again(tmp_path: Path, odd: bytes) -> None:
    name = os.fsencode(str(tmp_path)) + b"/" + odd
    Path(os.fsdecode(name)).write_bytes(b"x")
    (entry,) = read_sources(str(tmp_path))
    rows, _ = plan_samples([entry], ONE_THEME, SAMPLES.empty_table())
    (planned,) = pa.Table.from_pylist(rows, schema=SAMPLES)["source_uri"].to_pylist()
    assert planned.isprintable()
    assert path_of(planned).read_bytes() == b"x"


def test_another_scheme_is_refused_by_name() -> None:
    with pytest.raises(SampleError, match="gs:// is not read"):
        path_of("gs://bucket/a.mp4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("uri,theme,prompt\n/a.mp4,,Put it, now\n", "row 1: another number of fields than the 3 columns"),
        ("uri,theme\n/a.mp4,season\n/b.mp4\n", "row 2: another number of fields"),
        ("video;prompt;original_video\ne.mp4;Put it; now;o.mp4\n", "row 1: another number of fields"),
        ("video;prompt;original_video\ne.mp4;;o.mp4\n", "row 1: prompt is empty"),
        ('uri,prompt\n/a.mp4,"' + "x" * (2 << 20), "field larger than"),
    ],
    ids=["unquoted comma", "short row", "unquoted semicolon", "no prompt", "open quotation mark"],
)
def test_a_row_that_would_lose_words_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(SourcesError, match=message):
        read_sources(str(tmp_path / "list.csv"))


def test_a_prompt_may_hold_line_ends_of_every_kind(tmp_path: Path) -> None:
    prompt = "first\nsecond\u2028third\x85fourth"
    (tmp_path / "list.csv").write_text(f'uri,prompt\n/a.mp4,"{prompt}"\n/b.mp4,plain\u2028words\n')
    assert [e.prompt for e in read_sources(str(tmp_path / "list.csv"))] == [prompt, "plain\u2028words"]


def test_a_parquet_list_of_other_types_says_so_and_its_folder_is_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "theme=season"
    folder.mkdir()
    pq.write_table(pa.table({"uri": ["/a.mp4"]}), folder / "list.parquet")
    assert read_sources(str(folder / "list.parquet")) == [SourceEntry("/a.mp4")]
    pq.write_table(pa.table({"uri": [["/a.mp4"]]}), folder / "list.parquet")
    with pytest.raises(SourcesError, match="columns of text"):
        read_sources(str(folder / "list.parquet"))


# roots and runs


@pytest.mark.parametrize(
    ("marker", "message"), [('{"layout": 2}', "has layout 2"), ("", "is damaged"), ("[]", "is damaged")]
)
def test_a_root_of_another_layout_is_refused(tmp_path: Path, marker: str, message: str) -> None:
    (tmp_path / "sparkle-root.json").write_text(marker)
    with pytest.raises(StoreError, match=message):
        open_root(str(tmp_path), create=True)


def test_a_root_keeps_the_name_of_its_samples(tmp_path: Path) -> None:
    make_root(tmp_path, sources=1, config=ONE_THEME)
    with pytest.raises(ConfigError, match=r"called Sparkle_.*found 'Other'"):
        open_run(open_root(str(tmp_path), create=False), "synthesize", RunConfig(name="Other"))
    with pytest.raises(ConfigError, match="found 'Other'"):
        regate(str(tmp_path), RunConfig(name="Other"))


def test_a_name_too_long_for_a_tar_is_refused_before_any_work() -> None:
    with pytest.raises(ConfigError, match="name: String should have at most 32"):
        apply({"name": "a" * 33}, ())


@pytest.mark.parametrize(
    ("output", "says"),
    [("", "no root is named"), ("{tmp}", "holds other files"), ("gs://b/x", "a local folder")],
)
def test_a_dry_run_refuses_the_output_that_the_run_would_refuse(
    tmp_path: Path, output: str, says: str
) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    for planning in (print_plan, synthesize):
        with pytest.raises(NotARootError, match=says):
            planning(output.format(tmp=tmp_path), [SourceEntry("/a.mp4")], ONE_THEME, Console(quiet=True))
    assert os.listdir(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("status {tmp}/nowhere", "is not an output root"),
        ("publish {tmp}", "is not an output root"),
        ("retry {tmp}", "is not an output root"),
        ("retry {tmp}/new", "holds no run yet"),
        ("regate {tmp}/new", "holds no run yet"),
        ("synthesize --sources {tmp} --output {tmp}", "holds other files"),
        ("synthesize --sources {tmp} --output gs://b/x", "a root is a local folder or s3"),
    ],
)
def test_what_is_no_root_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, says: str
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    (tmp_path / "a.mp4").write_bytes(b"x")
    open_root(str(tmp_path / "new"), create=True)
    result = CliRunner().invoke(app, [word.format(tmp=tmp_path) for word in arguments.split()])
    assert (result.exit_code, says in result.output) == (2, True), result.output


def test_a_run_that_an_error_ended_is_noted_and_leaves_the_root_free(tmp_path: Path) -> None:
    store = open_root(str(tmp_path), create=True)
    record = open_run(store, "synthesize", ONE_THEME)
    with pytest.raises(OSError, match="full"), ended(store, record):
        raise OSError("the disk is full")
    assert not finished(store, record)
    note = json.loads((tmp_path / f"journal/runs/{record.run:06d}.ended.json").read_text())
    assert note == {"error": "OSError: the disk is full"}
    with ended(store, second := open_run(store, "synthesize", ONE_THEME)):
        pass
    assert finished(store, second)


def test_a_looser_threshold_brings_back_exactly_the_samples_that_it_admits(tmp_path: Path) -> None:
    scores = {0: 6.5, 1: 7.5, 2: 9.0}
    measured = {f"Sparkle_location_{n:06d}": {"edited_frame0_overall": score} for n, score in scores.items()}
    make_root(tmp_path, measured=measured, config=ONE_THEME)
    for part in (tmp_path / "journal/EditedVideoScorer").iterdir():  # what only accepted samples have
        table = pq.read_table(part, partitioning=None)
        part.unlink()
        pq.write_table(table.filter([key.endswith("2") for key in table["key"].to_pylist()]), part)
    state, asked = state_of(tmp_path), {f"Sparkle_location_{n:06d}" for n in scores}

    def left(config: RunConfig) -> list[str]:
        return list(work_left(state, config, asked).samples["sample_id"].to_pylist())

    assert left(ONE_THEME) == []
    assert left(loose(EditedFrameScorer__min_edited_frame0_overall=7)) == ["Sparkle_location_000001"]
    assert left(loose(EditedFrameScorer__min_edited_frame0_overall=None)) == sorted(asked)[:2]
    assert left(loose(EditedFrameScorer__min_edited_frame0_overall=9.5)) == []


def test_publish_with_other_thresholds_leaves_root_and_release_agreed(tmp_path: Path) -> None:
    make_root(
        tmp_path,
        measured={"Sparkle_location_000001": {"edited_video_overall": 8.2}},
        config=ONE_THEME,
    )
    strict = loose(EditedVideoScorer__min_edited_video_overall=9)
    assert publish(str(tmp_path), config=strict).accepted == 2
    assert state_of(tmp_path).verdicts()["status"].to_pylist().count("accepted") == 2
    assert publish(str(tmp_path)).accepted == 2
    with pytest.raises(ConfigError, match="canny_low: 100 -> 50"):
        publish(str(tmp_path), config=apply({"themes": ["location"]}, ["GuidanceComposer.canny_low=50"]))


def test_a_root_of_another_version_of_the_actors_can_still_be_decided_and_published(tmp_path: Path) -> None:
    make_root(tmp_path, sources=1, config=ONE_THEME)
    path = tmp_path / "journal/runs/000001.json"
    record = json.loads(path.read_text())
    record["recipes"]["VideoGenerator"]["version"] = 0
    path.write_text(json.dumps(record))
    store = open_root(str(tmp_path), create=False)
    with pytest.raises(ConfigError, match="version: 0 -> "):
        open_run(store, "synthesize", ONE_THEME)
    regate(str(tmp_path), loose(EditedVideoScorer__min_edited_video_overall=9))
    assert publish(str(tmp_path)).accepted == 1
    newest = newest_run(store)
    assert newest is not None
    assert newest.recipes["VideoGenerator"]["version"] == 0


def test_a_root_that_is_read_while_its_parts_are_compacted_reads_the_same(tmp_path: Path) -> None:
    make_root(tmp_path, sources=2, config=ONE_THEME)
    expected = state_of(tmp_path).settled["Ingest"].drop_columns(["part"])
    store = open_root(str(tmp_path), create=False)
    record = state_of(store).record

    class CompactedMeanwhile(LocalStore):
        """A compaction comes between listing the parts and reading the first of them."""

        begun = False

        def local_path(self, key: str) -> Path:
            if "journal/Ingest" in key and not self.begun:
                self.begun = True
                compact(store, record, over=0)
            return super().local_path(key)

    state = state_of(CompactedMeanwhile(tmp_path))
    assert state.settled["Ingest"].drop_columns(["part"]).equals(expected)
    assert "compact" in next(iter(store.keys("journal/Ingest")))


# downloaded copies


def test_a_copy_whose_ids_would_be_options_of_tar_is_refused(tmp_path: Path) -> None:
    make_root(tmp_path / "root", sources=1, config=ONE_THEME)
    publish(str(tmp_path / "root"))
    copy = Path(shutil.copytree(tmp_path / "root/release", tmp_path / "copy"))
    evil = '"Sparkle_location_000000\n--checkpoint=1\n--checkpoint-action=exec=id"'
    listed = copy / "prompts/location_train.csv"
    listed.write_text(listed.read_text() + f"Put it,a,b,{evil}\n")
    with pytest.raises(ConfigError, match="is no sample id of location"):
        regate_release(str(copy), {}, str(tmp_path / "out"))
    assert not list((tmp_path / "out").rglob("members/*"))


@pytest.mark.parametrize(
    ("file", "column", "values"),
    [
        ("manifest/location.parquet", "sample_id", [None]),
        ("manifest/location.parquet", "num_frames", ["many"]),
        ("manifest/location.parquet", "edited_video_overall", [["9"]]),
        ("shards.parquet", "members", [None]),
        ("shards.parquet", "size_bytes", ["big"]),
    ],
)
def test_a_table_of_other_types_is_a_fault_and_no_crash(
    tmp_path: Path, file: str, column: str, values: list[object]
) -> None:
    make_root(tmp_path, sources=1, config=ONE_THEME)
    publish(str(tmp_path))
    path = tmp_path / "release" / file
    table = pq.read_table(path, partitioning=None).slice(0, 1)
    path.unlink()  # in a root it is a link to ROOT/manifest
    pq.write_table(table.set_column(table.column_names.index(column), column, [values]), path)
    assert [fault for fault in verify(str(tmp_path)) if fault.path == file and "unreadable" in fault.message]


def test_a_record_without_a_proper_id_or_number_is_named_and_never_kept(tmp_path: Path) -> None:
    make_root(tmp_path / "root", sources=1, config=ONE_THEME)
    publish(str(tmp_path / "root"))
    copy = Path(shutil.copytree(tmp_path / "root/release", tmp_path / "copy"))
    scores = copy / "intermediate_data/location/edited_frame0_score.jsonl"
    huge = {"id": "Sparkle_location_000000", "editscore": {"overall": 10**400}}
    scores.write_text(json.dumps(huge) + "\n")
    (theme,) = regate_release(str(copy), {"min_edited_frame0_overall": 8.0}, str(tmp_path / "out")).themes
    assert theme.kept == 0
    for line in ('{"id": ["a"]}', "[" * 100_000, "{}", "words"):
        scores.write_text(line + "\n")
        with pytest.raises(ConfigError, match="line 1: not a JSON record with an id"):
            regate_release(str(copy), {"min_edited_frame0_overall": 8.0}, str(tmp_path / "out"))
