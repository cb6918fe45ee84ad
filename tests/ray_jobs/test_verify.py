"""Verify: a good release of a root has no fault, and every kind of damage is named."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import ray_jobs.verify
from actors.store import LocalStore
from ray_jobs.checked_release import Release
from ray_jobs.finish import verify_root
from ray_jobs.publish import publish
from ray_jobs.regate import regate
from ray_jobs.regenerate import regenerate
from ray_jobs.release_files import FILES, read_record
from ray_jobs.sealing import PublishError
from ray_jobs.verify import verify
from schemas.config import RunConfig
from tests.ray_jobs.release_damages import (
    CSV,
    FIRST,
    SECOND,
    TAR,
    bit_in_a_preview,
    bit_in_a_tar,
    bit_in_a_tar_header,
    csv_of_another_theme,
    csv_row_too_few,
    csv_row_too_many,
    csv_with_broken_quotes,
    flip_bit,
    foreign_tar,
    index_of_another_part,
    index_with_names_that_are_no_utf8,
    jsonl_box_outside,
    jsonl_line_missing,
    jsonl_prompt_changed,
    jsonl_rejected_line_missing,
    jsonl_score_polished,
    jsonl_torn,
    manifest_accepts_more,
    manifest_of_a_newer_schema,
    manifest_rejects_a_csv_row,
    manifest_torn,
    manifest_with_words_that_are_no_utf8,
    mask_that_does_not_unpack,
    mask_with_too_few_bits,
    metadata_theme_wrong,
    metadata_without_keyword,
    missing_part,
    preview_missing,
    previews_of_a_sample_missing,
    swapped_in_the_csv,
    swapped_in_the_tars,
    swapped_samples,
    tar_without_its_end,
    torn_tar,
    unfinished_publish,
)
from tests.ray_jobs.small_root import make_root


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    """A root of its own to damage; previews are copies here, not links."""
    return Path(shutil.copytree(pristine, tmp_path / "root"))


def faults(path: Path) -> str:
    return "\n".join(map(str, verify(str(path))))


def test_a_fresh_release_has_no_fault(pristine: Path) -> None:
    assert verify(str(pristine)) == []
    assert verify(str(pristine / "release")) == []


def test_a_folder_of_other_things_is_no_release(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert "neither an output root nor a copy" in faults(tmp_path)


def test_a_root_without_a_release_says_so(tmp_path: Path) -> None:
    make_root(tmp_path / "root", sources=1)
    assert "publish" in faults(tmp_path / "root")


DAMAGES: list[tuple[Callable[[Path], None], list[str]]] = [
    (bit_in_a_tar, [TAR, FIRST, "not the edited_video"]),
    (bit_in_a_tar_header, [TAR, "no tar header"]),
    (bit_in_a_preview, [f"location/edited_video/{FIRST}.mp4: not the edited_video"]),
    (missing_part, [f"{TAR}: missing"]),
    (torn_tar, [f"{TAR}: torn"]),
    (tar_without_its_end, [f"{TAR}: torn"]),
    (swapped_in_the_csv, [CSV, "src_video", "should be"]),
    (swapped_in_the_tars, [TAR, FIRST, "not the edited_video", "it is its source_video"]),
    (swapped_samples, [f"{FIRST}.mp4", f"it is that of {SECOND}", f"it is that of {FIRST}"]),
    (csv_row_too_many, ["no part holds location/edited_video/Sparkle_location_000009.mp4", "not accepted"]),
    (csv_row_too_few, [SECOND, "its sample is not in the CSV", "is accepted, but it is not in"]),
    (csv_of_another_theme, [CSV, "no sample id of location"]),
    (csv_with_broken_quotes, [CSV, "unreadable"]),
    (mask_that_does_not_unpack, [f"source_video_mask/{FIRST}.npz", "not a mask file"]),
    (mask_with_too_few_bits, [f"source_video_mask/{FIRST}.npz", "needs 1800 bytes"]),
    (jsonl_line_missing, ["edited_video_score.jsonl", f"{FIRST} is missing"]),
    (jsonl_rejected_line_missing, ["edited_frame0_score.jsonl", "Sparkle_location_000002 is missing"]),
    (jsonl_torn, ["foreground_grounding_r2.jsonl", "line 3: no JSON"]),
    (jsonl_score_polished, ["edited_frame0_score.jsonl", "says 9.0, the manifest 7.0"]),
    (jsonl_prompt_changed, ["edited_video_score.jsonl", "its prompt is not that of the CSV"]),
    (jsonl_box_outside, ["foreground_grounding_r1.jsonl", "bbox_2d"]),
    (metadata_theme_wrong, ["openve3m_train_metadata.jsonl", "openve3m_background_change"]),
    (metadata_without_keyword, ["location_train_metadata.jsonl", "chosen_keyword"]),
    (manifest_rejects_a_csv_row, ["manifest/location.parquet", FIRST, "not accepted"]),
    (manifest_accepts_more, ["manifest/location.parquet", "Sparkle_location_000002 is accepted, but"]),
    (manifest_of_a_newer_schema, ["manifest/location.parquet", "schema version 2"]),
    (manifest_torn, ["manifest/location.parquet: unreadable"]),
    (manifest_with_words_that_are_no_utf8, ["manifest/location.parquet: unreadable"]),
    (index_with_names_that_are_no_utf8, ["shards.parquet: unreadable"]),
    (index_of_another_part, [f"{TAR}: not in shards.parquet"]),
    (unfinished_publish, ["shards.parquet: missing (the last publish did not finish)"]),
    (preview_missing, [f"{SECOND}.mp4: missing among the previews"]),
    (previews_of_a_sample_missing, [f"edited_video/{SECOND}.mp4: missing among the previews"]),
    (foreign_tar, ["location_edited_video_part1.tar: not a file of a release"]),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGES, ids=[damage.__name__ for damage, _ in DAMAGES])
def test_damage_is_named(root: Path, damage: Callable[[Path], None], words: list[str]) -> None:
    damage(root / "release")
    found = faults(root)
    for word in words:
        assert word in found


def test_a_release_older_than_the_thresholds_of_its_root_is_named(root: Path) -> None:
    strict = {"EditedVideoScorer": {"min_edited_video_overall": 9.5}}
    regate(str(root), RunConfig(themes=("location", "openve3m"), actors=strict))
    assert "older than the thresholds of the root" in faults(root)


def test_a_release_that_is_not_as_the_newest_plan_has_it_is_named(root: Path) -> None:
    (path,) = (root / "journal/plan").iterdir()
    plan = pq.read_table(path, partitioning=None)
    place = plan["name"].to_pylist().index(f"location/edited_video/{SECOND}.mp4")
    digests = plan["sha256"].to_pylist()
    digests[place] = "0" * 64
    column = plan.column_names.index("sha256")
    newer = path.with_name("000002.parquet")
    pq.write_table(plan.set_column(column, "sha256", pa.array(digests)), newer)
    (fault,) = verify(str(root))
    assert fault.path == TAR
    assert f"1 members differ, first location/edited_video/{SECOND}.mp4" in fault.message
    pq.write_table(plan.slice(0, place), newer)
    assert {fault.path for fault in verify(str(root))} >= {TAR}
    newer.write_bytes(b"torn")
    assert "the newest plan is unreadable" in faults(root)
    with pytest.raises(PublishError, match=r"journal/plan/.* is damaged: "):
        publish(str(root))
    shutil.rmtree(path.parent)
    assert "the root has no plan of its parts" in faults(root)


def test_a_flipped_bit_in_any_other_file_is_named_and_publish_puts_the_file_back(root: Path) -> None:
    release = root / "release"
    others = [path.relative_to(release).as_posix() for path in release.rglob("*.*") if path.suffix != ".tar"]
    others = [path for path in others if path in read_record(LocalStore(root))]
    assert (
        len(others) == 18
    )  # the card, the index; of each of two themes CSV, metadata, manifest, five JSONL files
    for path in others:
        if path.startswith("manifest"):  # two names of one file, as publish makes them
            (release / path).unlink()
            os.link(root / path, release / path)
        flip_bit(release / path, (release / path).stat().st_size // 2)
    found = verify(str(root))
    assert {fault.path for fault in found if "other bytes than the publish wrote" in fault.message} == {
        *others
    }
    publish(str(root))
    assert verify(str(root)) == []


def test_regenerate_does_not_record_damage_as_what_publish_wrote(root: Path) -> None:
    flip_bit(root / "release/README.md", 40)
    regenerate(str(root), shard=TAR)
    (fault,) = verify(str(root))
    assert fault.path == "README.md"


def test_a_release_published_before_there_was_a_record_has_no_fault_until_publish_records_it(
    root: Path,
) -> None:
    (root / FILES).unlink()
    assert verify(str(root)) == []
    publish(str(root))
    flip_bit(root / "release/README.md", 40)
    assert len(verify(str(root))) == 1


@pytest.mark.parametrize("junk", [b"\xff", b"{torn", b"[]", b'{"README.md": 3}'])
def test_a_damaged_record_is_a_fault_and_publish_writes_it_again(root: Path, junk: bytes) -> None:
    (root / FILES).write_bytes(junk)
    regenerate(str(root), shard=TAR)
    (fault,) = verify(str(root))
    assert (fault.path, "unreadable" in fault.message) == (f"../{FILES}", True)
    publish(str(root))
    assert verify(str(root)) == []


@pytest.mark.parametrize("recorded", [True, False])
def test_a_missing_theme_is_named_also_where_no_sample_of_it_was_accepted(
    tmp_path: Path, recorded: bool
) -> None:
    measured = {"Sparkle_season_000000": {"edited_frame0_overall": 1.0}}
    make_root(tmp_path, sources=1, measured=measured, config=RunConfig(themes=("location", "season")))
    publish(str(tmp_path))
    assert verify(str(tmp_path)) == []
    if not recorded:
        (tmp_path / FILES).unlink()
    release = tmp_path / "release"
    gone = {path.relative_to(release).as_posix() for path in release.rglob("*season*") if path.is_file()}
    gone |= {
        f"intermediate_data/season/{path.name}" for path in (release / "intermediate_data/season").iterdir()
    }
    for path in gone:
        (release / path).unlink()
    assert len(gone) == 8
    assert {fault.path for fault in verify(str(tmp_path))} == gone


def test_a_theme_that_was_planned_since_the_publish_is_not_missing(root: Path) -> None:
    make_root(root, sources=3, config=RunConfig(themes=("location", "openve3m", "season")))
    assert verify(str(root)) == []
    publish(str(root))
    assert verify(str(root)) == []
    assert (root / "release/prompts/season_train.csv").exists()


def test_a_missing_csv_is_the_only_fault(root: Path) -> None:
    (root / "release" / CSV).unlink()
    assert faults(root) == f"{CSV}: missing"


def test_files_that_go_away_meanwhile_are_named_not_raised(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_files = ray_jobs.verify._list_files
    (root / FILES).unlink()
    preview = f"location/edited_video/{FIRST}.mp4"
    jsonl = "intermediate_data/location/edited_video_score.jsonl"
    metadata = "prompts/location_train_metadata.jsonl"
    gone = {CSV, TAR, "shards.parquet", "manifest/location.parquet", metadata, jsonl, preview}

    def then_gone(checked: Release) -> bool:
        there = list_files(checked)
        for path in gone:
            (root / "release" / path).unlink()
        return there

    monkeypatch.setattr(ray_jobs.verify, "_list_files", then_gone)
    found = verify(str(root))
    assert {fault.path for fault in found} == gone
    assert all("vanished while it was read" in fault.message for fault in found)


def test_one_fault_is_one_fault(root: Path) -> None:
    (root / "release" / CSV).unlink()
    said = io.StringIO()
    assert verify_root(str(root), Console(file=said, width=1000)) == 1
    assert said.getvalue().endswith(": 1 fault\n")
