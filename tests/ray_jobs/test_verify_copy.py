"""Verify of a downloaded copy: a part of a data set is no fault, and what is there must agree."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ray_jobs.verify import verify
from tests.ray_jobs.release_damages import (
    FIRST,
    SECOND,
    TAR,
    csv_row_too_few,
    jsonl_line_missing,
    jsonl_prompt_changed,
    mask_that_does_not_unpack,
    rewrite_tar,
    swapped_in_the_csv,
    tar_without_its_end,
    torn_tar,
)


@pytest.fixture
def copy(pristine: Path, tmp_path: Path) -> Path:
    """A downloaded copy as the authors publish it: no manifest, no index."""
    copy = Path(shutil.copytree(pristine / "release", tmp_path / "copy"))
    shutil.rmtree(copy / "manifest")
    (copy / "shards.parquet").unlink()
    return copy


def faults(path: Path) -> str:
    return "\n".join(map(str, verify(str(path))))


def test_a_downloaded_copy_without_manifest_and_index_has_no_fault(copy: Path) -> None:
    assert verify(str(copy)) == []


def test_a_copy_of_one_kind_of_one_theme_has_no_fault(copy: Path) -> None:
    for path in sorted(copy.rglob("*"), reverse=True):
        wanted = path.name.startswith(("location_source_video_part", "location_train"))
        if path.is_file() and not wanted:
            path.unlink()
    assert len([path for path in copy.rglob("*") if path.is_file()]) == 3
    assert verify(str(copy)) == []


def test_a_copy_with_extracted_tars_has_no_fault(copy: Path) -> None:
    for path in sorted(copy.glob("*.tar")):
        with tarfile.open(path) as archive:
            for info in archive:
                target = copy / info.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.extractfile(info).read())  # type: ignore[union-attr]
    assert verify(str(copy)) == []


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_that_other_tools_wrote_with_times_and_folders_are_read(copy: Path, kind: int) -> None:
    with tarfile.open(copy / TAR) as archive:
        members = [(info.name, archive.extractfile(info).read()) for info in archive]  # type: ignore[union-attr]
    with tarfile.open(copy / TAR, "w", format=kind) as archive:
        folder = tarfile.TarInfo("./location")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, data in members:
            info = tarfile.TarInfo(f"./{name}")
            info.size, info.mtime, info.uname = len(data), 1.5, "somebody"
            archive.addfile(info, io.BytesIO(data))
    assert verify(str(copy)) == []


COPY_DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (torn_tar, f"{TAR}: torn"),
    (tar_without_its_end, f"{TAR}: torn"),
    (swapped_in_the_csv, "src_video"),
    (jsonl_line_missing, f"{FIRST} is missing"),
    (jsonl_prompt_changed, "its prompt is not that of the CSV"),
    (mask_that_does_not_unpack, "not a mask file"),
    (csv_row_too_few, "which is not in prompts/location_train.csv"),
]


@pytest.mark.parametrize(
    ("damage", "word"), COPY_DAMAGES, ids=[damage.__name__ for damage, _ in COPY_DAMAGES]
)
def test_damage_of_a_copy_is_named(copy: Path, damage: Callable[[Path], None], word: str) -> None:
    damage(copy)
    assert word in faults(copy)


@pytest.mark.parametrize(
    "name",
    ["../../escape.mp4", "/etc/passwd", "location/edited_video/../../x.mp4", "location/edited_video/a.mp4"],
)
def test_a_member_that_would_land_elsewhere_is_named_and_nothing_is_written(copy: Path, name: str) -> None:
    rewrite_tar(copy / TAR, lambda old, data: (name, data) if FIRST in old else (old, data))
    before = sorted(copy.parent.rglob("*"))
    assert "which is no edited_video of location" in faults(copy)
    assert sorted(copy.parent.rglob("*")) == before


def test_links_and_devices_in_a_tar_are_named(copy: Path) -> None:
    with tarfile.open(copy / TAR, "w") as archive:
        info = tarfile.TarInfo(f"location/edited_video/{FIRST}.mp4")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    assert "is a link or device" in faults(copy)


def test_lengths_that_a_file_only_claims_cost_no_memory(copy: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 8**11 - 1
    (copy / TAR).write_bytes(info.tobuf(tarfile.USTAR_FORMAT))
    bomb = copy / f"intermediate_data/location/source_video_mask/{FIRST}.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("mask.npy", "w", force_zip64=True) as out:
            for _ in range(300):
                out.write(bytes(1 << 20))
        archive.writestr("shape.npy", b"")
    claims = copy / f"intermediate_data/location/source_video_mask/{SECOND}.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40,)}
    )
    with zipfile.ZipFile(claims, "w") as archive:
        archive.writestr("mask.npy", header.getvalue())
        archive.writestr("shape.npy", header.getvalue())
    found = faults(copy)
    assert "an extension header of 8589934591 bytes" in found
    assert "mask.npy would unpack to 314572800 bytes" in found
    assert "does not hold the array that its header promises" in found


def test_pickled_arrays_in_a_mask_are_not_loaded(copy: Path) -> None:
    path = copy / f"intermediate_data/location/source_video_mask/{FIRST}.npz"
    np.savez(path, mask=np.array([{"a": 1}], dtype=object), shape=np.array([5, 48, 60]))
    assert "not a mask file" in faults(copy)


def test_records_that_are_no_records_are_named_not_raised(copy: Path) -> None:
    path = copy / "intermediate_data/location/edited_video_score.jsonl"
    lines = path.read_text().splitlines()
    strange = [
        "[]",
        "null",
        '{"id": 3}',
        json.dumps({"id": FIRST, "prompt": None, "frame_indices": 3, "editscore": None}),
        "[" * 100_000,
    ]
    path.write_text("\n".join([*lines, *strange]))
    found = faults(copy)
    for number in (1, 2, 3, 5):  # the fourth has an id, and is named by it
        assert f"line {len(lines) + number}: no" in found
    assert "not a record as published" in found
