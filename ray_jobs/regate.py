"""The job `regate`: decide all samples again by new thresholds, from recorded measurements alone.

What a reader gets wrong: no model runs and no media is read. In a root the new thresholds become the newest
run record, so the next `publish` and the next `synthesize` go by them; samples that a looser gate lets
through are `live` until a run continues them. A downloaded data set has its JSONL files only: gates whose
measurement is not in them stay as its publisher had them, and a looser gate brings nothing back.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from actors.store import StoreError, open_root
from ray_jobs.dead_letters import write_dead_letters
from ray_jobs.publish import root_manifest, write_manifest
from ray_jobs.root import read_root
from ray_jobs.runs import ended, newest_run, open_deciding_run
from schemas import release
from schemas.archives import ArchiveError, TarScan
from schemas.config import ConfigError, RunConfig, nearest
from schemas.gates import GATES, Gate
from schemas.manifest import NOT_READ, Funnel, funnels
from schemas.records import THEMES

MAX_LINE_BYTES = 16 << 20
"""A JSONL line or CSV field of a data set is kilobytes; a longer one is refused, not read."""
_BY_NAME = {gate.name: gate for gate in GATES}


@dataclass(frozen=True)
class RegateReport:
    """What new thresholds change in a root."""

    before: list[Funnel]
    after: list[Funnel]
    newly_accepted: int
    no_longer_accepted: int
    to_continue: int
    """Samples that are live now and were not before: `synthesize` continues them from where they stopped."""
    elapsed_s: float

    def __str__(self) -> str:
        lines = [
            f"{after.theme}: {after.accepted} accepted (was {before.accepted}), "
            f"{sum(after.rejected.values())} rejected (was {sum(before.rejected.values())}), "
            f"{after.live} to continue, {after.failed} failed"
            for before, after in zip(self.before, self.after, strict=True)
        ]
        lines.append(
            f"{self.newly_accepted} newly accepted, {self.no_longer_accepted} no longer, "
            f"{self.to_continue} to continue; {self.elapsed_s:.1f} s. `publish` brings the release up to date"
        )
        return "\n".join(lines)


def regate(root: str, config: RunConfig) -> RegateReport:
    """New verdicts and a new manifest (ROOT/manifest/) by the thresholds of `config`.

    Raises:
        StoreError: the folder is no root of ours or holds no run.
        RootBusyError: a run holds the root.
        ConfigError: `config` changes more than thresholds (`ray_jobs.root.open_deciding_run`).
    """
    started = time.monotonic()
    store = open_root(root, create=False)
    before = newest_run(store)
    record = open_deciding_run(store, "regate", config)
    with ended(store, record) as summary:
        state = read_root(store, without=NOT_READ)
        if state is None or before is None:
            raise StoreError(f"{root}: the run record that was just written is gone")
        old, new = state.verdicts(before.run_config()), state.verdicts(config)
        planned_themes = set(pc.unique(state.samples["edit_type"]).to_pylist())
        themes = [theme for theme in THEMES if theme in planned_themes]
        manifest = root_manifest(state, new, config)
        with ThreadPoolExecutor() as writers:
            list(writers.map(lambda theme: write_manifest(store, theme, manifest), themes))
        write_dead_letters(state, new)
        was, now = (pc.equal(verdicts["status"], "accepted") for verdicts in (old, new))
        was_live, now_live = (pc.equal(verdicts["status"], "live") for verdicts in (old, new))
        result = RegateReport(
            before=funnels(state.samples, old, themes),
            after=funnels(state.samples, new, themes),
            newly_accepted=_count(pc.and_not(now, was)),
            no_longer_accepted=_count(pc.and_not(was, now)),
            to_continue=_count(pc.and_not(now_live, was_live)),
            elapsed_s=time.monotonic() - started,
        )
        summary["accepted"] = sum(funnel.accepted for funnel in result.after)
    return result


def _count(where: Any) -> int:
    return int(pc.sum(where).as_py() or 0)


@dataclass(frozen=True)
class ThemeFilter:
    """What thresholds keep of one theme of a downloaded data set."""

    theme: str
    in_csv: int
    kept: int
    rejected: dict[str, int]
    """By gate, the first that closes counts."""
    only_measured: int
    """Samples that pass but are not in the CSV: they were rejected by the publisher, without videos here."""


@dataclass(frozen=True)
class ReleaseRegateReport:
    output: str
    themes: list[ThemeFilter]
    not_decided: list[str]
    """Gates that were given but whose measurement is not in the JSONL files."""

    def __str__(self) -> str:
        lines = []
        for item in self.themes:
            gates = ", ".join(f"{name} {count}" for name, count in item.rejected.items()) or "none"
            lines.append(f"{item.theme}: {item.kept} of {item.in_csv} kept (rejected: {gates})")
            if item.only_measured:
                lines[-1] += f"; {item.only_measured} more pass but were not published"
        if self.not_decided:
            lines.append(f"not in the JSONL files, left as published: {', '.join(self.not_decided)}")
        return "\n".join([*lines, f"written to {self.output}"])


def regate_release(
    release_dir: str, thresholds: Mapping[str, float | None], out_dir: str
) -> ReleaseRegateReport:
    """The same for a copy of the published data set, from its JSONL files.

    `out_dir` gets `prompts/` as published but filtered, and `members/`: names of the tar members to keep, one
    a line, in `{theme}_{kind}.txt`, and for each tar part that is there in `{part}.txt`, which is for
    `tar -xf PART -T LIST`.

    Args:
        thresholds: by gate name; gates that are missing or None are off, those whose measurement is not in
            the JSONL files are named in the report and left as the publisher had them.

    Raises:
        ConfigError: an unknown gate, or a file that a gate needs is not there or not as published.
    """
    for place in (release_dir, out_dir):
        if place.startswith("s3://"):
            raise ConfigError(
                f"{place}: --release filters a copy on this machine; download prompts/ and the parts"
            )
    source, out = Path(release_dir), Path(out_dir)
    csv.field_size_limit(MAX_LINE_BYTES)
    files = {file.gate for file in release.JSONL_FILES if file.gate}
    for name in thresholds:
        if name not in _BY_NAME:
            raise ConfigError(f"{name}: no such gate{nearest(name, files)}")
    given = {name: value for name, value in thresholds.items() if value is not None}
    asked = {name: value for name, value in given.items() if name in files}
    themes = [theme for theme in THEMES if (source / release.csv_path(theme)).is_file()]
    if not themes:
        raise ConfigError(f"{release_dir} is no copy of the data set: prompts/THEME_train.csv is missing")
    if out.resolve() == source.resolve():
        raise ConfigError(f"{out_dir} is the data set itself; choose another folder for the filtered lists")
    return ReleaseRegateReport(
        out_dir,
        [_filter_theme(source, out, theme, asked) for theme in themes],
        [name for name in given if name not in files],
    )


def _filter_theme(source: Path, out: Path, theme: str, asked: Mapping[str, float]) -> ThemeFilter:
    measured = {
        file.gate: _measurements(source / release.jsonl_path(theme, file.name), file)
        for file in release.JSONL_FILES
        if file.gate is not None and file.gate in asked
    }
    order = [gate for gate in GATES if gate.name in asked]
    rejected = {gate.name: 0 for gate in order}
    kept: list[str] = []
    listed: set[str] = set()
    with (
        (source / release.csv_path(theme)).open(newline="", encoding="utf-8") as lines,
        _created(out / release.csv_path(theme)).open("w", newline="", encoding="utf-8") as filtered,
    ):
        rows = csv.DictReader(lines)
        if tuple(rows.fieldnames or ()) != release.CSV_COLUMNS:
            raise ConfigError(f"{lines.name}: columns should be {', '.join(release.CSV_COLUMNS)}")
        writer = csv.DictWriter(filtered, release.CSV_COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for row in _rows_with_ids(rows, lines.name, theme):
            listed.add(row["task"])
            closed = _first_closed(row["task"], order, measured, asked)
            if closed is None:
                writer.writerow(row)
                kept.append(row["task"])
            else:
                rejected[closed.name] += 1
    wanted = set(kept)
    _filter_metadata(source, out, theme, wanted)
    _write_member_lists(source, out, theme, kept)
    everywhere = set.intersection(*map(set, measured.values())) if measured else set()
    others = sum(_first_closed(sample, order, measured, asked) is None for sample in everywhere - listed)
    return ThemeFilter(theme, len(listed), len(kept), {k: v for k, v in rejected.items() if v}, others)


def _rows_with_ids(rows: csv.DictReader[str], path: str, theme: str) -> Iterator[dict[str, str]]:
    """Rows whose task is a sample id: it becomes a line of a list for `tar -T`, which obeys options in it."""
    try:
        for row in rows:
            if release.is_sample_id(row["task"] or "", theme):
                yield row
            else:
                found = str(row["task"])[:80]
                raise ConfigError(f"{path}, line {rows.line_num}: task {found!r} is no sample id of {theme}")
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}, line {rows.line_num}: {error}") from None


def _first_closed(
    sample: str, order: list[Gate], measured: Mapping[str, Mapping[str, float]], asked: Mapping[str, float]
) -> Gate | None:
    for gate in order:
        if not gate.admits(measured[gate.name].get(sample), asked[gate.name]):
            return gate
    return None


def _measurements(path: Path, file: release.JsonlFile) -> dict[str, float]:
    if not path.is_file():
        raise ConfigError(f"{path} is missing, and {file.gate} is decided by it")
    return {str(record["id"]): release.measurement(file, record) for record in read_jsonl(path)}


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Records of a JSONL file with an `id` each; ConfigError names the line that is none."""
    with path.open("rb") as lines:
        number = 0
        while line := lines.readline(MAX_LINE_BYTES):
            number += 1
            try:
                record = json.loads(line)
                named = isinstance(record["id"], str)
            except (ValueError, TypeError, KeyError, RecursionError):
                named = False
            if not named:
                raise ConfigError(f"{path}, line {number}: not a JSON record with an id")
            yield record


def _filter_metadata(source: Path, out: Path, theme: str, wanted: set[str]) -> None:
    path = source / release.metadata_path(theme)
    if not path.is_file():
        return
    with _created(out / release.metadata_path(theme)).open("w", encoding="utf-8") as filtered:
        for record in read_jsonl(path):
            if record["id"] in wanted:
                filtered.write(release.json_line(record))


def _write_member_lists(source: Path, out: Path, theme: str, kept: list[str]) -> None:
    for kind in release.KINDS:
        names = [release.member_name(theme, kind, sample) for sample in kept]
        _write_lines(out / "members" / f"{theme}_{kind}.txt", names)
        wanted = set(names)
        first = source / release.shard_path(theme, kind, 0)
        for part in sorted(first.parent.glob(first.name.replace("_part00.", "_part*."))):
            _write_lines(out / "members" / f"{part.stem}.txt", _members_to_keep(part, wanted))


def _members_to_keep(part: Path, wanted: set[str]) -> list[str]:
    """Members of a tar part, as it spells them, that are wanted; reads headers only."""
    with part.open("rb") as file:
        try:
            names = [entry.name for entry, _ in TarScan(file, skim=True)]
        except ArchiveError as error:
            raise ConfigError(f"{part}: {error}") from None
    return [name for name in names if name.removeprefix("./") in wanted]


def _write_lines(path: Path, lines: list[str]) -> None:
    _created(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _created(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
