"""Verify: a good release of a root has no fault, and every kind of damage is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_jobs.publish import publish
from ray_jobs.regate import regate
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
    foreign_tar,
    index_of_another_part,
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
