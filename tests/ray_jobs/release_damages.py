"""Damages of a release: each takes its folder, of a root or of a downloaded copy, and harms one thing.

What a reader gets wrong: a damage may write into a file that has another name elsewhere, so the folder must
be one's own, without hard links into a root that others look at.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FIRST, SECOND = "Sparkle_location_000000", "Sparkle_location_000001"
CSV = "prompts/location_train.csv"
TAR = "location_edited_video_part00.tar"


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


def garble(path: Path, text: str) -> None:
    """Make one character of every such text in a table into bytes that are no UTF-8."""
    pq.write_table(
        pq.read_table(path, partitioning=None),
        path,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
    )
    data = path.read_bytes()
    assert text.encode() in data
    path.write_bytes(data.replace(text.encode(), b"\xff" + text.encode()[1:]))


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


def manifest_with_words_that_are_no_utf8(release: Path) -> None:
    garble(release / "manifest/location.parquet", "Set the scene")


def index_with_names_that_are_no_utf8(release: Path) -> None:
    garble(release / "shards.parquet", TAR)


def index_of_another_part(release: Path) -> None:
    path = release / "shards.parquet"
    table = pq.read_table(path)
    pq.write_table(table.filter(pc.not_equal(table["shard"], TAR)), path)


def unfinished_publish(release: Path) -> None:
    (release / "shards.parquet").unlink()


def preview_missing(release: Path) -> None:
    (release / f"location/source_video/{SECOND}.mp4").unlink()


def previews_of_a_sample_missing(release: Path) -> None:
    for path in [*release.rglob(f"{SECOND}.*")]:
        path.unlink()


def foreign_tar(release: Path) -> None:
    shutil.copy(release / TAR, release / "location_edited_video_part1.tar")
