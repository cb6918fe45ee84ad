"""Layout of the published data set: names of its files, and the exact text of its CSV and JSONL files.

What a reader gets wrong: CSV, metadata and tars hold accepted samples only, but the five JSONL files hold
every sample that was measured at that point, rejected ones too. And the theme `openve3m` is called
`openve3m_background_change` in its metadata, and nowhere else.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from schemas.columns import INTERMEDIATES, MEDIA
from schemas.records import THEMES, release_path

PAIR = ("source_video", "edited_video")
KINDS: tuple[str, ...] = (*PAIR, *INTERMEDIATES)
"""Artifact kinds that are published: the pair, then the six intermediates."""
CSV_COLUMNS = ("prompt", "src_video", "tgt_video", "task")
MANIFEST = "manifest"
SHARD_INDEX = "shards.parquet"
"""Written last and taken away before anything changes: a release that has it is complete."""
CARD = "README.md"
OPENVE_EDIT_TYPE = "openve3m_background_change"

Record = dict[str, Any]


@dataclass(frozen=True)
class JsonlFile:
    """One of the five JSONL files of a theme.

    `actor`: a sample is in the file when this actor measured it. `columns`: what is read from the journal
    beside the id, from whichever actor adds it. `gate`: the gate that reads the measurement, if one does.
    """

    name: str
    actor: str
    columns: tuple[str, ...]
    record: Callable[[Mapping[str, Any]], Record]
    gate: str | None = None


def _score_record(column: str) -> Callable[[Mapping[str, Any]], Record]:
    def record(row: Mapping[str, Any]) -> Record:
        return {"id": row["sample_id"], "prompt": row["prompt"], "editscore": json.loads(row[column])}

    return record


def _round1_record(row: Mapping[str, Any]) -> Record:
    return {
        "id": row["sample_id"],
        "prompt": row["prompt"],
        "edit_type": row["edit_type"],
        "round1_labels": row["round1_labels"],
        "round1_objects": row["round1_objects"],
    }


def _round2_record(row: Mapping[str, Any]) -> Record:
    return {**_round1_record(row), "frame_objects": row["frame_objects"]}


def _video_score_record(row: Mapping[str, Any]) -> Record:
    return {
        "id": row["sample_id"],
        "prompt": row["prompt"],
        "frame_indices": row["frame_indices"],
        "editscore": json.loads(row["edited_video_score"]),
    }


JSONL_FILES: tuple[JsonlFile, ...] = (
    JsonlFile(
        "edited_frame0_score",
        "EditedFrameScorer",
        ("prompt", "edited_frame0_score"),
        _score_record("edited_frame0_score"),
        "min_edited_frame0_overall",
    ),
    JsonlFile(
        "edited_frame0_foreground_removed_score",
        "CleanBackgroundScorer",
        ("prompt", "edited_frame0_foreground_removed_score"),
        _score_record("edited_frame0_foreground_removed_score"),
        "min_foreground_removed_overall",
    ),
    JsonlFile(
        "foreground_grounding_r1",
        "ForegroundGrounder",
        ("prompt", "edit_type", "round1_labels", "round1_objects"),
        _round1_record,
        "min_round1_count",
    ),
    JsonlFile(
        "foreground_grounding_r2",
        "AnchorGrounder",
        ("prompt", "edit_type", "round1_labels", "round1_objects", "frame_objects"),
        _round2_record,
    ),
    JsonlFile(
        "edited_video_score",
        "EditedVideoScorer",
        ("prompt", "frame_indices", "edited_video_score"),
        _video_score_record,
        "min_edited_video_overall",
    ),
)


def measurement(file: JsonlFile, record: Mapping[str, Any]) -> float:
    """What the file's gate reads, from a published record; NaN, which no gate admits, where it is missing."""
    try:
        if file.name == "foreground_grounding_r1":
            return float(sum(len(item["bbox_2d"]) == 4 for item in record["round1_objects"]))
        score = record["editscore"]
        if file.name == "edited_video_score":
            return math.fsum(float(item["O_score"]) for item in score) / len(score)
        return float(score["overall"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return math.nan


def csv_path(theme: str) -> str:
    return f"prompts/{theme}_train.csv"


def metadata_path(theme: str) -> str:
    return f"prompts/{theme}_train_metadata.jsonl"


def jsonl_path(theme: str, name: str) -> str:
    return f"intermediate_data/{theme}/{name}.jsonl"


def manifest_path(theme: str) -> str:
    return f"{MANIFEST}/{theme}.parquet"


def shard_path(theme: str, kind: str, part: int) -> str:
    """Path of a tar part in the release: two digits, three from part 100."""
    folder = MEDIA[kind].folder
    return f"{folder + '/' if folder else ''}{theme}_{kind}_part{part:02d}.tar"


def member_name(theme: str, kind: str, sample: str) -> str:
    """Path of a sample's file inside a tar part; it extracts in place in the folder of the tar."""
    return f"{theme}/{kind}/{sample}.{MEDIA[kind].extension}"


@dataclass(frozen=True)
class Place:
    """What a path in a release is: `part` of a shard, `sample` of a preview, `name` of a JSONL file."""

    what: Literal["card", "csv", "metadata", "jsonl", "manifest", "index", "shard", "preview"]
    theme: str = ""
    kind: str = ""
    part: int = -1
    sample: str = ""
    name: str = ""


_THEME = f"(?P<theme>{'|'.join(THEMES)})"
_KIND = f"(?P<kind>{'|'.join(sorted(KINDS, key=len, reverse=True))})"
_SAMPLE = r"(?P<sample>[A-Za-z0-9]+_(?P=theme)_[0-9]{6,})"
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (what, re.compile(pattern))
    for what, pattern in (
        ("card", r"README\.md"),
        ("index", r"shards\.parquet"),
        ("csv", rf"prompts/{_THEME}_train\.csv"),
        ("metadata", rf"prompts/{_THEME}_train_metadata\.jsonl"),
        ("manifest", rf"manifest/{_THEME}\.parquet"),
        ("jsonl", rf"intermediate_data/{_THEME}/(?P<name>{'|'.join(f.name for f in JSONL_FILES)})\.jsonl"),
        ("shard", rf"(?:intermediate_data/)?{_THEME}_{_KIND}_part(?P<part>\d{{2}}|[1-9]\d{{2,}})\.tar"),
        ("preview", rf"(?:intermediate_data/)?{_THEME}/{_KIND}/{_SAMPLE}\.(?:mp4|png|npz)"),
    )
)
MEMBER = re.compile(rf"{_THEME}/{_KIND}/{_SAMPLE}\.(?P<extension>mp4|png|npz)")


def is_sample_id(text: str, theme: str) -> bool:
    """Whether this is the id of a sample of the theme, and so is fit for a path, a tar member and a list."""
    return re.fullmatch(rf"[A-Za-z0-9]+_{theme}_[0-9]{{6,}}", text) is not None


def classify(path: str) -> Place | None:
    """What this path is in a release; None for a file that no release has."""
    for what, pattern in _PATTERNS:
        found = pattern.fullmatch(path)
        if found is None:
            continue
        fields = found.groupdict()
        place = Place(
            what,  # type: ignore[arg-type]
            theme=fields.get("theme", ""),
            kind=fields.get("kind", ""),
            part=int(fields.get("part", -1)),
            sample=fields.get("sample", ""),
            name=fields.get("name", ""),
        )
        if what == "shard" and shard_path(place.theme, place.kind, place.part) != path:
            return None
        if what == "preview" and release_path(place.kind, place.sample, place.theme) != path:
            return None
        return place
    return None


def csv_text(accepted: pa.Table) -> Iterator[str]:
    """The training CSV of one theme, in pieces; `accepted` has sample_id, edit_type, prompt."""
    yield _csv_rows([CSV_COLUMNS])
    for batch in accepted.select(["sample_id", "edit_type", "prompt"]).to_batches(max_chunksize=10_000):
        yield _csv_rows(
            (
                prompt,
                release_path("source_video", sample, theme),
                release_path("edited_video", sample, theme),
                sample,
            )
            for sample, theme, prompt in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        )


def _csv_rows(rows: Iterable[tuple[str, ...]]) -> str:
    out = io.StringIO()
    minimal = csv.writer(out, lineterminator="\n")
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for (
        row
    ) in rows:  # the minimal one leaves a lone carriage return bare, which readers take for a line's end
        (quoted if any("\r" in field for field in row) else minimal).writerow(row)
    return out.getvalue()


def metadata_record(row: Mapping[str, Any]) -> Record:
    """One line of the metadata JSONL, of sample_id, prompt, edit_type, chosen_keyword and original_scene."""
    metadata: Record = {"edit_type": row["edit_type"]}
    if row["edit_type"] == "openve3m":
        metadata["edit_type"] = OPENVE_EDIT_TYPE
    else:
        metadata["chosen_keyword"] = row["chosen_keyword"]
    metadata["original_scene"] = row["original_scene"]
    return {"id": row["sample_id"], "prompt": row["prompt"], "metadata": metadata}


def json_line(record: Record) -> str:
    """One line of a JSONL file; what UTF-8 cannot hold (lone surrogates in a judge's words) is escaped."""
    text = json.dumps(record, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(record)
    return text + "\n"


def jsonl_text(rows: pa.Table, record: Callable[[Mapping[str, Any]], Record]) -> Iterator[str]:
    """Lines of a JSONL file, in the order of `rows`, in pieces."""
    for batch in rows.to_batches(max_chunksize=2_000):
        yield "".join(json_line(record(row)) for row in batch.to_pylist())
