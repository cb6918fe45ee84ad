"""The job `verify`: check a release file by file and name every fault.

What a reader gets wrong: a root's own release must be complete, a downloaded copy need not be. There, what
is missing is no fault (a data set is downloaded by theme or by kind), and what is there must agree.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from actors.pipeline import STEPS
from actors.store import LocalStore, StoreError, is_root, open_store
from ray_jobs.checked_release import Fault, Release, Theme
from ray_jobs.removals import read_removed
from ray_jobs.remove import artifacts_of
from ray_jobs.root import read_samples
from ray_jobs.runs import newest_run
from ray_jobs.sealing import PLANS, newest_plan
from ray_jobs.verify_media import MediaChecks
from schemas import manifest, release
from schemas.gates import GATES
from schemas.record_checks import problems
from schemas.records import THEMES, release_path
from schemas.release import JSONL_FILES

MAX_WORDS_BYTES = 16 << 20
"""Of one JSONL line or CSV field; real ones are kilobytes."""
_GATE_COLUMNS = {gate.name: gate.column for gate in GATES}


def verify(root_or_release: str) -> list[Fault]:
    """Every fault of a root's release or of a downloaded copy, by path; an empty list if there is none.

    An output root (it holds the marker file), or its `release/`, must be complete. Any other folder or prefix
    counts as a downloaded copy that may lack files.

    Raises:
        StoreError: the bucket cannot be read.
    """
    checked = _opened(root_or_release)
    where = f"{checked.store.uri}/{checked.below}"
    if not _list_files(checked):
        return [Fault(where, "there is no release; `publish` makes it")]
    if not checked.places:
        checked.fault(where, "holds no file of a release: neither an output root nor a copy of a data set")
    WordChecks(checked).run()
    record = newest_run(checked.store) if checked.complete else None
    media = MediaChecks(checked, record.run_config().release.previews if record else 0)
    media.run()
    if checked.complete:
        _taken_down(checked)
        if media.index is not None:
            _as_planned(checked, media.index)
    return sorted(set(checked.faults))


def _taken_down(checked: Release) -> None:
    """What a takedown should have taken away and is there: it was killed, or a lost worker wrote late."""
    store = checked.store
    samples, record = read_samples(store), newest_run(store)
    removed = read_removed(store)
    mine = samples.filter(pa.array(removed.of(samples)))
    if record is None or not mine.num_rows:
        return
    whole = pc.is_in(mine["source_key"], value_set=pa.array(sorted(removed.sources), pa.string()))
    for kind, rows in (("source", mine.filter(whole)), ("sample", mine.filter(pc.invert(whole)))):
        for key in artifacts_of(store, rows, kind, record) if rows.num_rows else ():
            checked.fault(f"../{key}", "was taken down and is there; the same `remove` again deletes it")
    for theme, known in checked.themes.items():
        for sample in sorted(set(mine["sample_id"].to_pylist()) & set(known.prompts or {})):
            checked.fault(
                release.csv_path(theme), f"{sample} was taken down; the same `remove` again takes it out"
            )


def _as_planned(checked: Release, index: pa.Table) -> None:
    """Parts whose members, by the index, are not those of the newest shard plan; parts and index are compared
    elsewhere.
    """
    listed = index["members"].combine_chunks()
    members = listed.flatten()
    columns = {"shard": index["shard"].combine_chunks().take(pc.list_parent_indices(listed))}
    columns |= {name: members.field(name) for name in ("name", "size_bytes", "sha256")}
    found = pa.table(columns)
    try:
        plan = newest_plan(checked.store)
        if plan is None:
            checked.fault(f"../{PLANS}", "the root has no plan of its parts; `publish` makes one")
            return
        planned = plan.select(found.schema.names).cast(found.schema)
    except (StoreError, pa.ArrowException, OSError, ValueError, KeyError) as error:
        checked.fault(f"../{PLANS}", f"the newest plan is unreadable: {str(error).splitlines()[0]}")
        return
    if planned.equals(found):
        return
    there, wanted = _by_part(found), _by_part(planned)
    for path in sorted({*there, *wanted}):
        if there.get(path) != wanted.get(path):
            names = sorted({str(member[0]) for member in there.get(path, set()) ^ wanted.get(path, set())})
            checked.fault(
                path,
                f"not as the newest shard plan has it: {len(names)} members differ, first {names[0]}; "
                "`publish` brings the release up to date",
            )


def _by_part(members: pa.Table) -> dict[str, set[tuple[Any, ...]]]:
    parts: dict[str, set[tuple[Any, ...]]] = {}
    for part, *member in zip(*(column.to_pylist() for column in members.columns), strict=True):
        parts.setdefault(part, set()).add(tuple(member))
    return parts


def _opened(root_or_release: str) -> Release:
    """The release by the folder it is in, which is a root's or any."""
    bucket = root_or_release.startswith("s3://")
    uri = root_or_release if bucket else os.path.abspath(root_or_release.removeprefix("file://"))
    if is_root(root := open_store(uri)):
        return Release(root, "release", complete=True)
    above, name = os.path.split(root.uri)
    if above == "s3:" or not name:
        raise StoreError(f"{root_or_release} is no output root, and too much to be a copy of a data set")
    store = open_store(above)
    return Release(store, name, complete=name == "release" and is_root(store))


def _list_files(checked: Release) -> bool:
    """Note what is there; False if there is nothing, not even an empty folder."""
    store = checked.store
    if not isinstance(store, LocalStore):
        for key in (keys := list(store.keys(checked.below))):
            _place(checked, key.removeprefix(f"{checked.below}/"))
        return bool(keys)
    folder = store.root / checked.below
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder).as_posix()
        if file.is_symlink() and not file.resolve().is_file():
            if not path.startswith("."):
                checked.fault(path, "a link that leads nowhere")
        elif not file.is_dir():
            _place(checked, path)
    return folder.is_dir()


def _place(checked: Release, path: str) -> None:
    place = release.classify(path)
    if path.startswith("."):
        return
    if place is not None:
        checked.places[path] = place
    elif path.endswith(".tar") or checked.complete:
        checked.fault(path, "not a file of a release; its name fits nothing in the published layout")


class WordChecks:
    """CSV, JSONL files and manifest of one release."""

    def __init__(self, checked: Release) -> None:
        self.checked = checked
        csv.field_size_limit(MAX_WORDS_BYTES)

    def run(self) -> None:
        for theme in THEMES:
            if not any(place.theme == theme for place in self.checked.places.values()):
                continue
            self.checked.themes[theme] = known = Theme()
            known.prompts = self._csv(theme) if self.checked.expect(release.csv_path(theme)) else None
            if self.checked.expect(release.manifest_path(theme)):
                self._manifest(theme, known)
            if self.checked.expect(release.metadata_path(theme)):
                self._metadata(theme, known)
            self._jsonl_files(theme, known)
        self.checked.expect(release.CARD)

    def _csv(self, theme: str) -> dict[str, str]:
        path = release.csv_path(theme)
        prompts: dict[str, str] = {}
        previous = ""
        for number, row in self._csv_rows(path):
            where = f"row {number}"
            if len(row) != len(release.CSV_COLUMNS):
                self.checked.fault(path, f"{where}: {len(row)} fields instead of {len(release.CSV_COLUMNS)}")
                continue
            prompt, source, edited, sample = row
            if not release.is_sample_id(sample, theme):
                self.checked.fault(path, f"{where}: task {sample[:80]!r} is no sample id of {theme}")
                continue
            if sample in prompts:
                self.checked.fault(path, f"{where}: {sample} is there twice")
            if self.checked.complete and sample < previous:
                self.checked.fault(path, f"{where}: {sample} comes after {previous}, ids should ascend")
            if not prompt.strip():
                self.checked.fault(path, f"{where}: {sample} has no prompt")
            for name, found, kind in (
                ("src_video", source, "source_video"),
                ("tgt_video", edited, "edited_video"),
            ):
                if found != release_path(kind, sample, theme):
                    self.checked.fault(
                        path,
                        f"{where}: {name} of {sample} is {found[:120]!r}, "
                        f"should be {release_path(kind, sample, theme)!r}",
                    )
            prompts[sample] = prompt
            previous = sample
        return prompts

    def _csv_rows(self, path: str) -> Iterator[tuple[int, list[str]]]:
        try:
            with io.TextIOWrapper(self.checked.open(path), encoding="utf-8", newline="") as lines:
                rows = csv.reader(lines, strict=True)
                header = next(rows, [])
                if tuple(header) != release.CSV_COLUMNS:
                    self.checked.fault(path, f"columns are {header}, should be {list(release.CSV_COLUMNS)}")
                    return
                yield from enumerate(rows, 1)
        except (csv.Error, UnicodeDecodeError) as error:
            self.checked.fault(path, f"unreadable: {error}")

    def _records(self, path: str) -> Iterator[dict[str, Any]]:
        """Records with an id; a line that is none is a fault and is passed over."""
        with self.checked.open(path) as lines:
            number = 0
            while line := lines.readline(MAX_WORDS_BYTES):
                number += 1
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    self.checked.fault(path, f"line {number}: no JSON: {error}")
                    continue
                if not isinstance(record, dict) or not isinstance(record.get("id"), str):
                    self.checked.fault(path, f"line {number}: no record with an id")
                    continue
                yield record

    def _metadata(self, theme: str, known: Theme) -> None:
        path = release.metadata_path(theme)
        keyed = theme != "openve3m"
        expected = {"edit_type", "original_scene"} | ({"chosen_keyword"} if keyed else set())
        seen: set[str] = set()
        for record in self._records(path):
            sample = record["id"]
            self._once(path, sample, seen)
            metadata = record.get("metadata")
            if not isinstance(metadata, dict) or not expected <= set(metadata):
                self.checked.fault(path, f"{sample}: metadata should have {sorted(expected)}")
            else:
                edit_type = theme if keyed else release.OPENVE_EDIT_TYPE
                if metadata["edit_type"] != edit_type:
                    self.checked.fault(
                        path, f"{sample}: edit_type {metadata['edit_type']!r}, should be {edit_type!r}"
                    )
            self._same_prompt(path, record, known)
            if known.prompts is not None and sample not in known.prompts:
                self.checked.fault(path, f"{sample} is not in {release.csv_path(theme)}")
        self._all_there(path, seen, known)

    def _jsonl_files(self, theme: str, known: Theme) -> None:
        round1: dict[str, str] = {}
        for file in JSONL_FILES:
            path = release.jsonl_path(theme, file.name)
            if not self.checked.expect(path):
                continue
            seen: set[str] = set()
            column = _GATE_COLUMNS.get(file.gate or "")
            measured = known.measured.get(column or "")
            for record in self._records(path):
                sample = record["id"]
                self._once(path, sample, seen)
                # whether the authors put the removal instruction there is not known
                if self.checked.complete or file.name != "edited_frame0_foreground_removed_score":
                    self._same_prompt(path, record, known)
                try:
                    found = list(problems(file, record, theme))
                except TypeError as error:
                    found = [f"not a record as published: {error}"]
                for problem in found:
                    self.checked.fault(path, f"{sample}: {problem}")
                if measured is not None:
                    self._same_measurement(
                        path, sample, release.measurement(file, record), measured.get(sample)
                    )
                if file.name.startswith("foreground_grounding"):
                    objects = json.dumps([record.get("round1_labels"), record.get("round1_objects")])
                    digest = hashlib.sha256(objects.encode()).hexdigest()
                    if round1.setdefault(sample, digest) != digest:
                        self.checked.fault(
                            path, f"{sample}: its round-1 objects are not those of foreground_grounding_r1"
                        )
            if measured is not None:
                for sample in sorted(measured.keys() - seen):
                    self.checked.fault(path, f"{sample} is missing, though the manifest has its {column}")
            self._all_there(path, seen, known)

    def _same_measurement(self, path: str, sample: str, here: float, there: float | None) -> None:
        if there is None:
            self.checked.fault(path, f"{sample}: the manifest has no measurement of it")
        elif not math.isclose(here, there, rel_tol=1e-9) and not (math.isnan(here) and math.isnan(there)):
            self.checked.fault(path, f"{sample}: says {here!r}, the manifest {there!r}")

    def _once(self, path: str, sample: str, seen: set[str]) -> None:
        if sample in seen:
            self.checked.fault(path, f"{sample} is there twice")
        seen.add(sample)

    def _same_prompt(self, path: str, record: Mapping[str, Any], known: Theme) -> None:
        expected = (known.prompts or {}).get(record["id"])
        if expected is not None and record.get("prompt") != expected:
            self.checked.fault(path, f"{record['id']}: its prompt is not that of the CSV")

    def _all_there(self, path: str, seen: set[str], known: Theme) -> None:
        for sample in sorted((known.prompts or {}).keys() - seen):
            self.checked.fault(path, f"{sample} is missing, though it is in the CSV")

    # tables

    def _manifest(self, theme: str, known: Theme) -> None:
        path = release.manifest_path(theme)
        measured = [_GATE_COLUMNS[file.gate] for file in JSONL_FILES if file.gate]
        digests = [f"{kind}_sha256" for kind in release.KINDS]
        words = ["sample_id", "edit_type", "status", "prompt", "num_frames"]
        known_schema = manifest.manifest_schema(STEPS)
        schema = pa.schema([known_schema.field(name) for name in (*words, *measured, *digests)])
        full = ("sample_id", "edit_type", "status")
        table = self.checked.table(path, schema, manifest.SCHEMA_VERSION, full)
        if table is None:
            return
        if len(pc.unique(table["sample_id"])) != table.num_rows:
            self.checked.fault(path, "a sample has more than one row")
        if table.num_rows and pc.unique(table["edit_type"]).to_pylist() != [theme]:
            self.checked.fault(path, f"holds rows of other themes than {theme}")
        ids = table["sample_id"].to_pylist()
        for name in measured:
            known.measured[name] = {
                sample: float(value)
                for sample, value in zip(ids, table[name].to_pylist(), strict=True)
                if value is not None
            }
        accepted = table.filter(pc.equal(table["status"], "accepted"))
        prompts = dict(zip(accepted["sample_id"].to_pylist(), accepted["prompt"].to_pylist(), strict=True))
        known.num_frames = dict(zip(prompts, accepted["num_frames"].to_pylist(), strict=True))
        for kind in release.KINDS:
            known.digests[kind] = dict(zip(prompts, accepted[f"{kind}_sha256"].to_pylist(), strict=True))
        if known.prompts is None:
            return
        for sample in sorted(prompts.keys() - known.prompts.keys()):
            self.checked.fault(path, f"{sample} is accepted, but it is not in {release.csv_path(theme)}")
        for sample in sorted(known.prompts.keys() - prompts.keys()):
            self.checked.fault(path, f"{sample} is in {release.csv_path(theme)}, but it is not accepted")
        for sample in sorted(prompts.keys() & known.prompts.keys()):
            if prompts[sample] != known.prompts[sample]:
                self.checked.fault(path, f"{sample}: its prompt is not that of the CSV")
        store = self.checked.store
        if (
            self.checked.complete
            and store.exists(path)
            and store.get_bytes(path) != store.get_bytes(self.checked.key(path))
        ):
            self.checked.fault(
                path, "older than the thresholds of the root; `publish` brings the release up to date"
            )
