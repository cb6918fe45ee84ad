"""What goes in: a folder of videos, a list (CSV or Parquet), or OpenVE-3M's own CSV, here or in S3; and the
samples planned from it.

What a reader gets wrong: nothing is opened here but the list. Whether a video can be read is Ingest's to find
out, on a worker, with limits.
"""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actors.ingest import path_of
from actors.store import MARKER
from schemas.config import ConfigError, RunConfig, nearest
from schemas.records import THEMES, sample_id, source_key
from schemas.taxonomy import draw_keyword

_VIDEO_SUFFIX = re.compile(
    r"\.(3gp|avi|flv|gif|m2ts|m3u8?|m4v|mkv|mov|mp4|mpe?g|mts|mxf|ogv|ts|webm|wmv)", re.IGNORECASE
)
_LISTS = (".csv", ".parquet")
MAX_FIELD_CHARACTERS = 1 << 20
"""Of one CSV field; a longer one is an open quotation mark, not a prompt."""
_COLUMNS = ("uri", "theme", "prompt", "chosen_keyword", "licence", "reference_edit_uri")
_WORDS = ("given_prompt", "chosen_keyword", "reference_edit_uri")
_OPENVE = ("video", "prompt", "original_video")
_SAYS_SOURCE = re.compile(r"orig|source|src|input|raw", re.IGNORECASE)
_SAYS_EDIT = re.compile(r"edit|target|tgt|output|result|change|generated", re.IGNORECASE)


class SourcesError(Exception):
    """The list of sources cannot be used; the message says what was found and what would be right."""


@dataclass(frozen=True)
class SourceEntry:
    """One line of the list; `theme` None means: every theme of the run."""

    uri: str
    theme: str | None = None
    prompt: str | None = None
    chosen_keyword: str | None = None
    licence: str | None = None
    reference_edit_uri: str | None = None


def read_sources(where: str, *, swap: bool | None = None) -> list[SourceEntry]:
    """The entries of a folder or a list, in a stable order.

    Args:
        where: a folder (its video files, sorted by path, without those of output roots in it), `.csv` or
            `.parquet` with a column `uri`, or OpenVE-3M's semicolon CSV; each a path or `s3://bucket/...`.
        swap: True takes OpenVE's column `video` for the source and `original_video` for the edit, False takes
            them as named, None as named unless they read swapped.

    Raises:
        SourcesError: missing, empty, no column `uri`, an unknown column or theme, columns that look swapped.
        StoreError: S3 refuses or cannot be reached.
    """
    if where.startswith("s3://"):
        return _read_s3(where, swap)
    path = Path(where)
    if path.is_dir():
        files = sorted(file for file in _files(path) if _VIDEO_SUFFIX.fullmatch(file.suffix))
        entries = [SourceEntry(uri=_uri_of(file)) for file in files if file.is_file()]
        if not entries:
            raise SourcesError(f"no video files in {where} (those of an output root do not count)")
        return entries
    if not path.is_file():
        raise SourcesError(f"no source list at {where}: give a folder, a .csv or a .parquet file")
    if path.suffix.lower() not in _LISTS:
        raise SourcesError(f"{where}: a source list is a folder, a .csv or a .parquet file")
    return _read_list(path.read_bytes(), str(path), swap)


def _read_s3(where: str, swap: bool | None) -> list[SourceEntry]:
    from actors.s3_sources import objects_below, read_object  # boto3 takes 0.3 s to import

    if where.lower().endswith(_LISTS):
        content = read_object(where)
        if content is None:
            raise SourcesError(f"no source list at {where}: give a prefix, a .csv or a .parquet object")
        return _read_list(content, where, swap)
    found = [uri for uri in objects_below(where) if _VIDEO_SUFFIX.fullmatch(PurePosixPath(uri).suffix)]
    if not found:
        raise SourcesError(f"no video files below {where} (those of an output root do not count)")
    return [SourceEntry(uri=uri) for uri in found]


def _read_list(content: bytes, where: str, swap: bool | None) -> list[SourceEntry]:
    if where.lower().endswith(".parquet"):
        return _entries(_parquet_rows(content, where), where)
    return _csv_entries(content, where, swap)


def first_sources(entries: Sequence[SourceEntry], limit: int | None) -> list[SourceEntry]:
    """The lines of the first `limit` different sources; a source may have a line for every theme."""
    uris = list(dict.fromkeys(entry.uri for entry in entries))[:limit]
    wanted = set(uris)
    return [entry for entry in entries if entry.uri in wanted]


def _files(folder: Path) -> Iterator[Path]:
    """Files below a folder. What an output root holds was made from sources and must not become one."""
    for parent, folders, names in os.walk(folder):
        if MARKER in names:
            folders.clear()
            continue
        yield from (Path(parent) / name for name in names)


def _parquet_rows(content: bytes, where: str) -> list[dict[str, Any]]:
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read()
        _refuse_twice(table.column_names, where)
        known = [name for name in table.column_names if name in _COLUMNS]
        for name in known:
            table = table.set_column(
                table.column_names.index(name), name, table[name].cast(pa.string(), safe=True)
            )
    except (pa.ArrowException, OSError) as error:
        raise SourcesError(f"{where} is not a Parquet file with columns of text: {error}") from None
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _csv_entries(content: bytes, where: str, swap: bool | None) -> list[SourceEntry]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourcesError(f"{where} is not UTF-8 text: {error}") from None
    header = text.partition("\n")[0].strip()
    if not text.strip():
        raise SourcesError(f"{where} is empty")
    if set(_OPENVE) <= set(header.split(";")):
        return _openve_entries(_csv_rows(text, ";", where), where, swap)
    if "," not in header and re.search("[;\t]", header):
        raise SourcesError(f"{where}: commas separate the columns of a list; its first line is {header!r}")
    return _entries(_csv_rows(text, ",", where), where)


def _csv_rows(text: str, delimiter: str, where: str) -> list[dict[str, Any]]:
    """Rows by column; a row of another length is an error, or an unquoted separator would cut a prompt."""
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = []
    try:
        _refuse_twice(reader.fieldnames or (), where)
        for number, row in enumerate(reader, start=1):
            if None in row or None in row.values():
                raise SourcesError(
                    f"{where}, row {number}: another number of fields than the "
                    f"{len(reader.fieldnames or ())} columns have; quote a field that holds {delimiter!r}"
                )
            rows.append(row)
    except csv.Error as error:
        raise SourcesError(f"{where}, line {reader.line_num}: {error}") from None
    return rows


def _refuse_twice(columns: Sequence[str], where: str) -> None:
    for column in columns:
        if columns.count(column) > 1:
            raise SourcesError(f"{where} has the column {column!r} more than once: leave one of them")


def _entries(rows: list[dict[str, Any]], where: str) -> list[SourceEntry]:
    if not rows:
        raise SourcesError(f"{where} lists no sources")
    if "uri" not in rows[0]:
        raise SourcesError(f"{where} has no column 'uri'; it has {', '.join(map(str, rows[0]))}")
    for column in rows[0]:
        if column not in _COLUMNS:
            raise SourcesError(f"{where}: unknown column {column!r}{nearest(str(column), _COLUMNS)}")
    entries = []
    for number, row in enumerate(rows, start=1):
        values = {name: (row.get(name) or None) for name in _COLUMNS}
        if values["uri"] is None:
            raise SourcesError(f"{where}, row {number}: uri is empty")
        if values["theme"] is None and values["prompt"] is not None:
            values["theme"] = "openve3m"  # the theme with its own prompts
        if values["theme"] is not None and values["theme"] not in THEMES:
            raise SourcesError(
                f"{where}, row {number}: unknown theme {values['theme']!r}{nearest(values['theme'], THEMES)}"
            )
        if values["theme"] == "openve3m" and values["prompt"] is None:
            raise SourcesError(f"{where}, row {number}: theme openve3m needs a prompt of its own")
        uri = absolute_uri(str(values.pop("uri")), where)
        entries.append(SourceEntry(uri, **values))
    return entries


def _openve_entries(rows: list[dict[str, str]], where: str, swap: bool | None) -> list[SourceEntry]:
    if not rows:
        raise SourcesError(f"{where} lists no sources")
    _refuse_empty(rows, where)
    source, edit = ("video", "original_video") if swap else ("original_video", "video")
    evidence = _direction([row[source] for row in rows], [row[edit] for row in rows])
    if evidence < 0 and swap is None:
        raise SourcesError(
            f"{where}: the columns look swapped: 'video' reads like the source and 'original_video' like the "
            "edit (by names and by how often each value recurs). Run with --swap if so, with --no-swap if not"
        )
    return [
        SourceEntry(
            uri=absolute_uri(row[source], where),
            theme="openve3m",
            prompt=row["prompt"],
            reference_edit_uri=absolute_uri(row[edit], where),
        )
        for row in rows
    ]


def _refuse_empty(rows: Sequence[dict[str, str]], where: str) -> None:
    for number, row in enumerate(rows, start=1):
        for name in _OPENVE:
            if not row[name].strip():
                raise SourcesError(f"{where}, row {number}: {name} is empty")


def _direction(sources: Sequence[str], edits: Sequence[str]) -> int:
    """Above 0 if the columns read as named, below 0 if they read swapped, 0 without evidence.

    Two witnesses: words in the paths, and that one source has several edits while an edit has one source.
    """
    words = 0
    for source, edit in zip(sources, edits, strict=True):
        words += bool(_SAYS_SOURCE.search(source)) - bool(_SAYS_EDIT.search(source))
        words += bool(_SAYS_EDIT.search(edit)) - bool(_SAYS_SOURCE.search(edit))
    recurrence = len(set(edits)) - len(set(sources))
    return _sign(words) + _sign(recurrence)


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def absolute_uri(uri: str, listed_in: str) -> str:
    """The spelling by which a root knows a source.

    A relative path is relative to the list's folder or prefix; `file://` is a path like any other.
    """
    if uri.startswith("file://"):
        return _uri_of(path_of(uri))
    if "://" in uri:
        return uri
    if listed_in.startswith("s3://") and not uri.startswith("/"):
        from actors.s3_sources import joined

        return joined(uri, listed_in)
    return _uri_of(Path(listed_in).parent / uri)


def _uri_of(path: Path) -> str:
    """One spelling for one file, since a source is known by it: absolute, without `..`.

    The file itself may be a link and stays one. A name that is not UTF-8 becomes a `file://` URI, which can
    be written down, and one with control characters too, since a terminal would obey them.
    """
    try:
        found = _resolved(path.parent) / path.name if path.name not in ("", "..") else path.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a null byte: Ingest says so
        found = path.absolute()
    return found.as_uri() if any(unicodedata.category(c) in ("Cc", "Cs") for c in str(found)) else str(found)


@lru_cache(maxsize=4096)
def _resolved(folder: Path) -> Path:
    return folder.resolve()


def plan_samples(
    entries: Sequence[SourceEntry], config: RunConfig, known: pa.Table
) -> tuple[list[dict[str, Any]], set[str]]:
    """New rows of the sample table, and the ids of all samples that this list asks for.

    A URI keeps its number for ever; a new one gets the next. Planning the same list again adds nothing.
    """
    numbers = dict(zip(known["source_uri"].to_pylist(), known["source_id"].to_pylist(), strict=True))
    planned = set(known["sample_id"].to_pylist())
    following = max(numbers.values(), default=-1) + 1
    rows: list[dict[str, Any]] = []
    asked: set[str] = set()
    for entry in entries:
        if entry.uri not in numbers:
            numbers[entry.uri], following = following, following + 1
        source = numbers[entry.uri]
        for theme in (entry.theme,) if entry.theme else config.themes:
            if theme == "openve3m" and entry.prompt is None:
                raise ConfigError(f"theme openve3m needs a prompt for every source; {entry.uri} has none")
            sample = sample_id(config.name, theme, source)
            asked.add(sample)
            if sample in planned:
                continue
            planned.add(sample)
            keyword = entry.chosen_keyword
            if keyword is None and entry.prompt is None:
                keyword = draw_keyword(config.seed, sample, theme, source)
            rows.append(
                {
                    "sample_id": sample,
                    "source_id": source,
                    "source_key": source_key(source),
                    "source_uri": entry.uri,
                    "edit_type": theme,
                    "chosen_keyword": keyword,
                    "given_prompt": entry.prompt,
                    "licence": entry.licence,
                    "reference_edit_uri": entry.reference_edit_uri,
                }
            )
    return rows, asked


def planned_otherwise(entries: Sequence[SourceEntry], config: RunConfig, samples: pa.Table) -> list[str]:
    """Ids of samples that a line asks for with other words, or another licence, than they are planned with;
    those stay.

    A sample is one source with one theme: of two lines for it, or of a list that changed, the first counts.
    """
    with_words = {
        entry.uri for entry in entries if entry.prompt or entry.chosen_keyword or entry.reference_edit_uri
    }
    told = pc.or_(pc.is_valid(samples["given_prompt"]), pc.is_valid(samples["reference_edit_uri"]))
    asked = pc.is_in(samples["source_uri"], value_set=pa.array(sorted(with_words), pa.string()))
    # of all others neither list nor plan says anything: a million rows as dicts would take 1 GB
    planned = samples.filter(pc.or_(told, asked)).select(["source_uri", "edit_type", "sample_id", *_WORDS])
    there = {(row["source_uri"], row["edit_type"]): row for row in planned.to_pylist()}
    ids: dict[str, None] = {}
    for entry in entries:
        for theme in (entry.theme,) if entry.theme else config.themes:
            row = there.get((entry.uri, theme))
            if row is None:
                continue
            given = (entry.prompt, entry.chosen_keyword or row["chosen_keyword"], entry.reference_edit_uri)
            if given != tuple(row[name] for name in _WORDS):
                ids[row["sample_id"]] = None
    return list(ids | dict.fromkeys(_licensed_otherwise(entries, samples)))


def _licensed_otherwise(entries: Sequence[SourceEntry], samples: pa.Table) -> Iterator[str]:
    """Ids of samples for which a line states another licence than they are planned with."""
    for theme in THEMES:
        mine = (entry for entry in entries if entry.licence and entry.theme in (None, theme))
        said = {entry.uri: entry.licence for entry in mine}
        if not said:
            continue
        planned = samples.filter(pc.equal(samples["edit_type"], theme))
        place = pc.index_in(planned["source_uri"], value_set=pa.array(list(said), pa.string()))
        licences = pc.take(pa.array(list(said.values()), pa.string()), place)
        changed = pc.fill_null(pc.not_equal(licences, planned["licence"]), True)
        yield from planned.filter(pc.and_(pc.is_valid(licences), changed))["sample_id"].to_pylist()
