"""Layout, text and tar parts of the release, without a root."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import tarfile
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import release, shards
from schemas.archives import ArchiveError, TarScan, check_mp4, check_png
from schemas.records import THEMES, release_path
from schemas.shards import Member, ShardError

sizes = st.lists(st.integers(0, 30_000), min_size=1, max_size=40)
themes = st.sampled_from(THEMES)
kinds = st.sampled_from(release.KINDS)


def test_part_names_have_two_digits_and_three_from_part_100() -> None:
    assert release.shard_path("location", "source_video", 0) == "location_source_video_part00.tar"
    assert release.shard_path("time", "edited_video", 100) == "time_edited_video_part100.tar"
    path = release.shard_path("style", "source_video_mask", 7)
    assert path == "intermediate_data/style_source_video_mask_part07.tar"


@given(themes, kinds, st.integers(0, 2000))
def test_a_part_is_recognised_by_its_path(theme: str, kind: str, part: int) -> None:
    place = release.classify(release.shard_path(theme, kind, part))
    assert place is not None
    assert (place.what, place.theme, place.kind, place.part) == ("shard", theme, kind, part)


@given(themes, kinds, st.integers(0, 10**8))
def test_a_preview_and_a_member_are_recognised_by_their_path(theme: str, kind: str, number: int) -> None:
    sample = f"Sparkle_{theme}_{number:06d}"
    place = release.classify(release_path(kind, sample, theme))
    assert place is not None
    assert (place.what, place.theme, place.kind, place.sample) == ("preview", theme, kind, sample)
    name = release.member_name(theme, kind, sample)
    assert release.MEMBER.fullmatch(name)
    assert release_path(kind, sample, theme).endswith(name)


@pytest.mark.parametrize(
    "path",
    [
        "location_source_video_part1.tar",
        "location_source_video_part001.tar",
        "location_source_frame0_part00.tar",
        "intermediate_data/location_source_video_part00.tar",
        "night_source_video_part00.tar",
        "location/source_video/Sparkle_season_000000.mp4",
        "location/source_video/Sparkle_location_000000.png",
        "location/source_video/../x.mp4",
        "prompts/location_train.csv.bak",
        "prompts/location.csv",
    ],
)
def test_paths_that_no_release_has_are_not_recognised(path: str) -> None:
    assert release.classify(path) is None


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_any_prompt_survives_csv_and_jsonl(prompts: list[str]) -> None:
    prompts = [prompt.encode("utf-8", "ignore").decode() or "x" for prompt in prompts]
    count = len(prompts)
    table = pa.table(
        {
            "sample_id": [f"Sparkle_location_{n:06d}" for n in range(count)],
            "edit_type": ["location"] * count,
            "prompt": prompts,
            "chosen_keyword": ["urban: rooftop"] * count,
            "original_scene": ["A room."] * count,
        }
    )
    rows = list(csv.DictReader(io.StringIO("".join(release.csv_text(table)), newline="")))
    assert [row["prompt"] for row in rows] == prompts
    text = "".join(release.jsonl_text(table, release.metadata_record))
    assert [json.loads(line)["prompt"] for line in text.split("\n")[:-1]] == prompts


def test_words_that_utf8_cannot_hold_are_escaped() -> None:
    line = release.json_line({"id": "x", "editscore": json.loads('"\\ud83d half a smile"')})
    assert json.loads(line.encode()) == {"id": "x", "editscore": "\ud83d half a smile"}


@given(sizes, st.integers(10_240, 200_000))
def test_parts_are_as_full_as_their_limit_allows_and_hold_every_member_once(
    found: list[int], limit: int
) -> None:
    array = np.array(found, np.int64)
    starts = [*shards.cut(array, limit), len(found)]
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    for first, last in pairwise(starts):
        if last - first > 1:
            assert shards.tar_size(array[first:last]) <= limit
        if last < len(found):
            assert shards.tar_size(array[first : last + 1]) > limit


@given(sizes, st.integers(20_480, 200_000), st.data())
def test_removed_and_added_members_move_no_boundary_far_away(
    found: list[int], limit: int, data: st.DataObject
) -> None:
    ids = [f"{number:06d}" for number in range(len(found))]
    array = np.array(found, np.int64)
    before = shards.cut(array, limit)
    boundaries = [ids[start] for start in before]
    assert shards.cut_as_before(ids, array, limit, boundaries) == before
    kept = sorted(data.draw(st.sets(st.integers(0, len(ids) - 1), min_size=1)))
    names = [ids[index] for index in kept]
    after = shards.cut_as_before(names, array[kept], limit, boundaries)
    assert len(after) <= shards.REPACK_ABOVE * len(shards.cut(array[kept], limit)) + 1
    assert shards.cut_as_before(ids, array, limit, boundaries) == before  # and back again
    edges = [*after, len(kept)]
    for first, last in pairwise(edges):
        assert last - first == 1 or shards.tar_size(array[kept][first:last]) <= limit


def test_a_part_that_loses_all_its_members_leaves_a_gap_and_the_others_their_numbers() -> None:
    ids = [f"{number:06d}" for number in range(6)]
    before = [("000000", 0), ("000002", 1), ("000004", 2)]
    assert shards.numbered_as_before(ids, [0, 2, 4], before) == [0, 1, 2]
    assert shards.numbered_as_before([*ids[:2], *ids[4:]], [0, 2], before) == [0, 2]
    assert shards.numbered_as_before(ids[2:], [0, 2], before) == [1, 2]
    assert shards.numbered_as_before(ids, [0, 3], before) == [0, 1], "cut afresh"
    assert shards.numbered_as_before(ids, [0, 1, 2, 4], before) == [0, 1, 2, 3], "no number twice"
    gap = [("000000", 0), ("000004", 2)]
    assert shards.numbered_as_before([*ids[:2], *ids[4:], "000007"], [0, 2, 4], gap) == [0, 2, 3]


@given(sizes, st.integers(20_480, 200_000), st.data())
def test_a_takedown_changes_only_the_parts_that_held_what_is_taken_down(
    found: list[int], limit: int, data: st.DataObject
) -> None:
    ids = [f"{number:06d}" for number in range(len(found))]
    array = np.array(found, np.int64)
    parts = parts_of(ids, array, limit, [])
    kept = sorted(data.draw(st.sets(st.integers(0, len(ids) - 1), min_size=1)))
    after = parts_of([ids[i] for i in kept], array[kept], limit, [(p[0], n) for n, p in parts.items()])
    names = {ids[i] for i in kept}
    assert after == {
        number: left for number, part in parts.items() if (left := [n for n in part if n in names])
    }


def parts_of(
    ids: list[str], sizes: np.ndarray, limit: int, before: list[tuple[str, int]]
) -> dict[int, list[str]]:
    starts = shards.cut_as_before(ids, sizes, limit, [first for first, _ in before], may_repack=False)
    numbers = shards.numbered_as_before(ids, starts, before)
    edges = [*starts, len(ids)]
    return {n: ids[first:last] for n, (first, last) in zip(numbers, pairwise(edges), strict=True)}


def write(members: list[tuple[str, bytes]]) -> tuple[bytes, list[Member], shards.WrittenShard]:
    listed = [Member(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in members]
    contents = (shards.checked(member, [data]) for member, (_, data) in zip(listed, members, strict=True))
    data = b"".join(shards.tar_chunks(listed, contents))
    return data, listed, shards.WrittenShard(len(data), hashlib.sha256(data).hexdigest())


@given(st.lists(st.binary(max_size=2000), max_size=6))
def test_a_part_reads_back_with_tarfile_and_with_our_own_reader(contents: list[bytes]) -> None:
    members = [(f"location/edited_frame0/Sparkle_location_{n:06d}.png", d) for n, d in enumerate(contents)]
    data, listed, written = write(members)
    array = np.array([member.size_bytes for member in listed], np.int64)
    assert len(data) == written.size_bytes == shards.tar_size(array)
    assert hashlib.sha256(data).hexdigest() == written.sha256
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert [(i.name, archive.extractfile(i).read()) for i in archive] == members  # type: ignore[union-attr]
        assert [info.offset_data for info in archive] == shards.data_offsets(array).tolist()
    scan = TarScan(io.BytesIO(data))
    assert [(entry.name, b"".join(chunks)) for entry, chunks in scan] == members
    assert (scan.size_bytes, scan.sha256) == (written.size_bytes, written.sha256)
    assert [entry.name for entry, _ in TarScan(io.BytesIO(data), skim=True)] == [name for name, _ in members]


@given(st.lists(st.integers(0, 3 << 20), max_size=4), st.sampled_from([511, 200_000, 1 << 20]))
@settings(max_examples=20)
def test_the_bytes_of_a_part_are_those_that_tarfile_writes_however_its_data_arrive(
    found: list[int], step: int
) -> None:
    members = [(f"location/edited_video/Sparkle_location_{n:06d}.mp4", size) for n, size in enumerate(found)]
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, size in members:
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, io.BytesIO(bytes(size)))
    pieces = ([bytes(min(step, size - at)) for at in range(0, size, step)] for size in found)
    chunks = list(shards.tar_chunks([Member(name, size, "") for name, size in members], pieces))
    assert b"".join(chunks) == plain.getvalue()
    assert max(map(len, chunks)) < 3 << 20


@given(st.lists(st.binary(min_size=1, max_size=2000), min_size=1, max_size=3), st.data())
def test_every_torn_tar_is_noticed_wherever_it_is_cut(contents: list[bytes], data: st.DataObject) -> None:
    whole, listed, _ = write([(f"m{n}", content) for n, content in enumerate(contents)])
    sizes = np.array([member.size_bytes for member in listed], np.int64)
    end = int(shards.padded(sizes).sum()) + shards.END_OF_ARCHIVE
    cut = data.draw(st.integers(0, end - 1))
    for skim in (False, True):
        with pytest.raises(ArchiveError, match="torn"):
            for _ in TarScan(io.BytesIO(whole[:cut]), skim=skim):
                pass


@given(st.binary(max_size=3000))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for check in (check_png, check_mp4):
        with pytest.raises(ArchiveError):
            check(b"no media" + data)
    try:
        for _, chunks in TarScan(io.BytesIO(data)):
            list(chunks)
    except ArchiveError:
        pass


def test_what_plain_tar_cannot_name_or_hold_is_refused() -> None:
    with pytest.raises(ShardError, match="longer than 100 bytes"):
        shards.header("x" * 101, 1)
    with pytest.raises(ShardError, match="holds members up to"):
        shards.header("x", 8**11)


def test_an_artifact_that_is_not_what_was_planned_is_refused() -> None:
    member = Member("m", 3, hashlib.sha256(b"abc").hexdigest())
    for found in (b"abd", b"ab", b"abcd"):
        with pytest.raises(ShardError, match="m: the artifact has"):
            list(shards.tar_chunks([member], [shards.checked(member, [found])]))


def test_the_measurement_of_a_record_is_what_its_gate_reads() -> None:
    files = {file.name: file for file in release.JSONL_FILES}
    frames = {"editscore": [{"O_score": 8.0}, {"O_score": 9.0}]}
    assert release.measurement(files["edited_video_score"], frames) == 8.5
    assert release.measurement(files["edited_frame0_score"], {"editscore": {"overall": 8.1}}) == 8.1
    objects = {"round1_objects": [{"bbox_2d": [1, 2, 3, 4]}, {"bbox_2d": []}]}
    assert release.measurement(files["foreground_grounding_r1"], objects) == 1
    broken_records: list[dict[str, Any]] = [
        {},
        {"editscore": None},
        {"editscore": []},
        {"editscore": {"overall": "x"}},
    ]
    for broken in broken_records:
        assert math.isnan(release.measurement(files["edited_frame0_score"], broken))
        assert math.isnan(release.measurement(files["edited_video_score"], broken))
