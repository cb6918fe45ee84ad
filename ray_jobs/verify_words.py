"""The half of `verify` that reads words: CSV, JSONL files and manifest of each theme.

What a reader gets wrong: files are read in an order. Those after the CSV and the manifest are compared with
what these say, and with nothing where one of them is missing: a missing CSV is one fault, not one a sample.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from actors.pipeline import STEPS
from ray_jobs.checked_release import Release, Theme
from schemas import manifest, release
from schemas.gates import GATES
from schemas.record_checks import problems
from schemas.records import THEMES, release_path
from schemas.release import JSONL_FILES, JsonlFile

MAX_WORDS_BYTES = 16 << 20
"""Of one JSONL line or CSV field; real ones are kilobytes."""
_GATE_COLUMNS = {gate.name: gate.column for gate in GATES}


class WordChecks:
    """CSV, JSONL files and manifest of one release.

    Args:
        themes: themes that must be there; others may.
    """

    def __init__(self, checked: Release, themes: Collection[str]) -> None:
        self.checked = checked
        self.themes = {*themes, *(place.theme for place in checked.places.values())}
        csv.field_size_limit(MAX_WORDS_BYTES)

    def run(self) -> None:
        for theme in THEMES:
            if theme not in self.themes:
                continue
            self.checked.themes[theme] = known = Theme()
            for path, check in (
                (release.csv_path(theme), self._csv),
                (release.manifest_path(theme), self._manifest),
                (release.metadata_path(theme), self._metadata),
            ):
                if self.checked.expect(path):
                    with self.checked.unless_gone(path):
                        check(theme, known)
            self._jsonl_files(theme, known)
        self.checked.expect(release.CARD)

    def _csv(self, theme: str, known: Theme) -> None:
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
        known.prompts = prompts

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
            if self.checked.expect(path):
                with self.checked.unless_gone(path):
                    self._jsonl(path, file, theme, known, round1)

    def _jsonl(self, path: str, file: JsonlFile, theme: str, known: Theme, round1: dict[str, str]) -> None:
        """One JSONL file; `round1` collects the digest of each sample's round-1 objects."""
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
                self._same_measurement(path, sample, release.measurement(file, record), measured.get(sample))
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
        with self.checked.open(path) as file:
            mine = file.read()
        if self.checked.complete and self._newest(path) not in (None, mine):
            self.checked.fault(
                path, "older than the thresholds of the root; `publish` brings the release up to date"
            )

    def _newest(self, path: str) -> bytes | None:
        """The root's own manifest, which `regate` writes too; None where there is none."""
        try:
            return self.checked.store.get_bytes(path)
        except (KeyError, FileNotFoundError):
            return None
