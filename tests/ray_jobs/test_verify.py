"""Verify: a good release has no fault, every kind of damage is named, a part of a data set is no fault."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ray_jobs.publish import publish
from ray_jobs.regate import regate
from ray_jobs.verify import verify
from schemas.config import RunConfig
from tests.ray_jobs.small_root import make_root

FIRST, SECOND = "Sparkle_location_000000", "Sparkle_location_000001"
CSV = "prompts/location_train.csv"
TAR = "location_edited_video_part00.tar"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pristine") / "root"
    make_root(root, sources=3, measured={"Sparkle_location_000002": {"edited_frame0_overall": 7.0}})
    publish(str(root))
    return root


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    """A root of its own to damage; previews are copies here, not links."""
    return Path(shutil.copytree(pristine, tmp_path / "root"))


@pytest.fixture
def copy(pristine: Path, tmp_path: Path) -> Path:
    """A downloaded copy as the authors publish it: no manifest, no index."""
    copy = Path(shutil.copytree(pristine / "release", tmp_path / "copy"))
    shutil.rmtree(copy / "manifest")
    (copy / "shards.parquet").unlink()
    return copy


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


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def flip_bit(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def rewrite_tar(path: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
    """The tar again with other members; `change` gives name and data, or None to leave a member out."""
    with tarfile.open(path) as archive:
        members = [(info.name, archive.extractfile(info).read()) for info in archive]  # type: ignore[union-attr]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members:
            changed = change(name, data)
            if changed is not None:
                info = tarfile.TarInfo(changed[0])
                info.size = len(changed[1])
                archive.addfile(info, io.BytesIO(changed[1]))


def bit_in_a_tar(release: Path) -> None:
    flip_bit(release / TAR, 700)


def bit_in_a_tar_header(release: Path) -> None:
    flip_bit(release / TAR, 0)


def bit_in_a_preview(release: Path) -> None:
    flip_bit(release / f"location/edited_video/{FIRST}.mp4", 900)


def missing_part(release: Path) -> None:
    (release / TAR).unlink()


def torn_tar(release: Path) -> None:
    (release / TAR).write_bytes((release / TAR).read_bytes()[:1500])


def tar_without_its_end(release: Path) -> None:
    data = (release / TAR).read_bytes().rstrip(b"\0")
    (release / TAR).write_bytes(data + bytes(-len(data) % 512))


def swapped_in_the_csv(release: Path) -> None:
    replace_in(release / CSV, f"location/source_video/{FIRST}", f"location/edited_video/{FIRST}")


def swapped_in_the_tars(release: Path) -> None:
    with tarfile.open(release / "location_source_video_part00.tar") as archive:
        sources = {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]
    rewrite_tar(
        release / TAR, lambda name, data: (name, sources[name.replace("edited_video", "source_video")])
    )


def swapped_samples(release: Path) -> None:
    first, second = (release / f"location/edited_video/{name}.mp4" for name in (FIRST, SECOND))
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)


def csv_row_too_many(release: Path) -> None:
    extra = "Sparkle_location_000009"
    paths = f"location/source_video/{extra}.mp4,location/edited_video/{extra}.mp4"
    with (release / CSV).open("a") as out:
        out.write(f"Shift the background,{paths},{extra}\n")


def csv_row_too_few(release: Path) -> None:
    rows = (release / CSV).read_text().splitlines(keepends=True)
    (release / CSV).write_text("".join(rows[:-1]))


def csv_of_another_theme(release: Path) -> None:
    shutil.copy(release / "prompts/openve3m_train.csv", release / CSV)


def csv_with_broken_quotes(release: Path) -> None:
    with (release / CSV).open("a") as out:
        out.write('"never closed\n')


def mask_that_does_not_unpack(release: Path) -> None:
    path = release / f"intermediate_data/location/source_video_mask/{FIRST}.npz"
    path.write_bytes(path.read_bytes()[:100])


def mask_with_too_few_bits(release: Path) -> None:
    path = release / f"intermediate_data/location/source_video_mask/{FIRST}.npz"
    np.savez_compressed(path, mask=np.zeros(10, np.uint8), shape=np.array([5, 48, 60]))


def jsonl_line_missing(release: Path) -> None:
    path = release / "intermediate_data/location/edited_video_score.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))


def jsonl_rejected_line_missing(release: Path) -> None:
    path = release / "intermediate_data/location/edited_frame0_score.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def jsonl_torn(release: Path) -> None:
    path = release / "intermediate_data/location/foreground_grounding_r2.jsonl"
    path.write_bytes(path.read_bytes()[:-20])


def jsonl_score_polished(release: Path) -> None:
    replace_in(
        release / "intermediate_data/location/edited_frame0_score.jsonl", '"overall": 7.0', '"overall": 9.0'
    )


def jsonl_prompt_changed(release: Path) -> None:
    replace_in(release / "intermediate_data/location/edited_video_score.jsonl", "quiet", "loud")


def jsonl_box_outside(release: Path) -> None:
    path = release / "intermediate_data/location/foreground_grounding_r1.jsonl"
    replace_in(path, "[100, 100, 600, 900]", "[100, 100, 600, 1900]")


def metadata_theme_wrong(release: Path) -> None:
    path = release / "prompts/openve3m_train_metadata.jsonl"
    replace_in(path, "openve3m_background_change", "openve3m")


def metadata_without_keyword(release: Path) -> None:
    replace_in(release / "prompts/location_train_metadata.jsonl", "chosen_keyword", "keyword")


def change_manifest(release: Path, column: str, old: str, new: str) -> None:
    path = release / "manifest/location.parquet"
    table = pq.read_table(path, partitioning=None)
    values = table[column].to_pylist()
    values[values.index(old)] = new
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, table.schema.field(column), pa.array(values)), path)


def manifest_rejects_a_csv_row(release: Path) -> None:
    change_manifest(release, "status", "accepted", "rejected")


def manifest_accepts_more(release: Path) -> None:
    change_manifest(release, "status", "rejected", "accepted")


def manifest_of_a_newer_schema(release: Path) -> None:
    path = release / "manifest/location.parquet"
    table = pq.read_table(path, partitioning=None)
    pq.write_table(table.replace_schema_metadata({"schema_version": "2"}), path)


def manifest_torn(release: Path) -> None:
    path = release / "manifest/location.parquet"
    path.write_bytes(path.read_bytes()[:-10])


def index_of_another_part(release: Path) -> None:
    path = release / "shards.parquet"
    table = pq.read_table(path)
    pq.write_table(table.filter(pc.not_equal(table["shard"], TAR)), path)


def unfinished_publish(release: Path) -> None:
    (release / "shards.parquet").unlink()


def preview_missing(release: Path) -> None:
    (release / f"location/source_video/{SECOND}.mp4").unlink()


def foreign_tar(release: Path) -> None:
    shutil.copy(release / TAR, release / "location_edited_video_part1.tar")


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
