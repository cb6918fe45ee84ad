"""The job `publish`: derive ROOT/release/ from journal, artifacts and a durable shard plan.

What a reader gets wrong: the release is a projection. Nothing is decided here and nothing in it is edited. A
publish that was killed is run again, and one that finds everything in place writes nothing. The order is what
counts: the plan before any byte of a part, `shards.parquet` away before the first change and back last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actors.base import fingerprint
from actors.journal import parquet_bytes
from actors.pipeline import STEPS, resolve, thresholds
from actors.store import Store, StoreError, open_root
from ray_jobs.card import card_text
from ray_jobs.root import RootState, all_records, read_actor, read_root
from schemas import release, shards
from schemas.config import RunConfig
from schemas.gates import Step
from schemas.manifest import (
    IN_JSONL,
    NOT_READ,
    Funnel,
    Made,
    artifact_rows,
    artifact_table,
    build_manifest,
    funnels,
)
from schemas.records import THEMES, release_path
from schemas.shards import Member, ShardError, WrittenShard

PLANS = "journal/plan"
NOTES = "journal/release"
"""One note a part: which content lies under its name. Taken away before the part changes, written after."""
_ADDED_BY: dict[str, Step] = {name: step for step in STEPS for name in step.adds}

Report = Callable[[str], None]


class PublishError(StoreError):
    """The release cannot be made from what the root holds; the message names sample and file."""


@dataclass(frozen=True)
class PublishReport:
    """What a publish did. Files are counted once each, previews included."""

    release: str
    funnels: list[Funnel]
    written: int
    kept: int
    removed: int
    shards_written: int
    shards_kept: int

    @property
    def accepted(self) -> int:
        return sum(funnel.accepted for funnel in self.funnels)

    def __str__(self) -> str:
        shard_count = self.shards_written + self.shards_kept
        return (
            f"{self.release}: {self.accepted} accepted of {sum(f.planned for f in self.funnels)} "
            f"planned samples in {len(self.funnels)} themes; {shard_count} tar parts "
            f"({self.shards_written} written), "
            f"{self.written + self.kept} other files ({self.written} written, {self.removed} removed)"
        )


def _quiet(message: str) -> None:
    """Default of `report`: say nothing."""


def publish(
    root: str, *, config: RunConfig | None = None, report: Report = _quiet, repack: bool = False
) -> PublishReport:
    """Make ROOT/release/ what journal and thresholds say, rewriting only what differs.

    Args:
        config: thresholds and release settings; by default those of the newest run.
        report: gets a line for every part that is written.
        repack: cut the parts afresh instead of keeping the boundaries of the plan before.

    Raises:
        StoreError: the folder is no root of ours, holds no run, or lacks an artifact that its journal names.
    """
    store = open_root(root, create=False)
    state = read_root(store, without=NOT_READ)
    if state is None:
        raise PublishError(f"{root} holds no run yet, so there is nothing to publish")
    config = config or state.record.run_config()
    planned = resolve(config)
    verdicts = state.verdicts(config)
    themes = [theme for theme in THEMES if theme in set(pc.unique(state.samples["edit_type"]).to_pylist())]
    counts = funnels(state.samples, verdicts, themes)
    accepted = _accepted(state, verdicts)
    plan = _shard_plan(store, state, accepted, config.release.shard_bytes, repack)

    folder = ReleaseFolder(store, report)
    previews = list(_previews(state, accepted, themes, config.release.previews))
    folder.keep_only(
        {
            release.CARD,
            release.SHARD_INDEX,
            *(path for path, _ in previews),
            *pc.unique(plan["shard"]).to_pylist(),
            *(release.csv_path(theme) for theme in themes),
            *(release.metadata_path(theme) for theme in themes),
            *(release.jsonl_path(theme, file.name) for theme in themes for file in release.JSONL_FILES),
            *(release.manifest_path(theme) for theme in themes),
        }
    )
    manifest = root_manifest(state, verdicts, config)
    for theme in themes:
        _write_words(folder, state, theme, accepted.filter(pc.equal(accepted["edit_type"], theme)))
        write_manifest(store, theme, manifest)
        folder.link(release.manifest_path(theme), release.manifest_path(theme))
    folder.text(release.CARD, [card_text(config.release, planned, counts, accepted)])
    for path, key in previews:
        folder.link(path, key)
    written = [(path, folder.shard(path, members, keys), members) for path, members, keys in _parts(plan)]
    folder.finish(written)
    return PublishReport(
        release=f"{store.uri}/release",
        funnels=counts,
        written=folder.written,
        kept=folder.kept,
        removed=folder.removed,
        shards_written=folder.shards_written,
        shards_kept=folder.shards_kept,
    )


def root_manifest(state: RootState, verdicts: pa.Table, config: RunConfig) -> pa.Table:
    """The manifest of a root by these verdicts (`schemas.manifest.build_manifest`)."""
    made = {
        fingerprint: Made(recipe.get("backend", ""), recipe.get("revision", ""))
        for fingerprint, recipe in recipes(state.store).items()
    }
    limits = thresholds(resolve(config))
    return build_manifest(state.samples, state.settled, verdicts, STEPS, limits, made, state.rows)


def recipes(store: Store) -> dict[str, dict[str, str]]:
    """Every recipe that a run of this root had, by fingerprint."""
    return {
        fingerprint(recipe): recipe for record in all_records(store) for recipe in record.recipes.values()
    }


def write_manifest(store: Store, theme: str, manifest: pa.Table) -> None:
    """The current manifest of one theme, ROOT/manifest/THEME.parquet."""
    mine = manifest.filter(pc.equal(manifest["edit_type"], theme))
    with store.scratch() as scratch:
        path = Path(scratch) / "manifest"
        pq.write_table(
            mine, path, compression="zstd", compression_level=1, use_dictionary=_repetitive(mine.schema)
        )
        replace_file(store, release.manifest_path(theme), path)


def _repetitive(schema: pa.Schema) -> list[str]:
    """Columns worth a dictionary: digests and texts are all different, and trying costs seconds."""
    return [
        name
        for name in schema.names
        if not name.endswith("_sha256") and name not in ("sample_id", "prompt", "source_uri")
    ]


def replace_file(store: Store, key: str, path: Path) -> bool:
    """Put the file at `path` under `key` unless the same bytes are there; False if they were."""
    if store.exists(key):
        if _digest(store.local_path(key)) == _digest(path):
            path.unlink()
            return False
        store.delete(key)
    store.put_file_if_absent(key, path)
    return True


class ReleaseFolder:
    """ROOT/release/ while it is brought up to date: places files that differ and counts what it does."""

    def __init__(self, store: Store, report: Report) -> None:
        self.store = store
        self.report = report
        self.written = self.kept = self.removed = self.shards_written = self.shards_kept = 0
        self._complete = store.exists(_key(release.SHARD_INDEX))

    def keep_only(self, wanted: set[str]) -> None:
        """Remove what a release may hold and this one does not; files of other names are left alone."""
        for key in list(self.store.keys("release")):
            path = key.removeprefix("release/")
            if path not in wanted and release.classify(path) is not None:
                self._remove(path)
        for key in list(self.store.keys(NOTES)):
            if key.removeprefix(f"{NOTES}/").removesuffix(".json") not in wanted:
                self.store.delete(key)

    def text(self, path: str, pieces: Iterable[str]) -> None:
        with self.store.scratch() as scratch:
            file = Path(scratch) / "text"
            with file.open("w", encoding="utf-8", newline="") as out:
                for piece in pieces:
                    out.write(piece)
            self._place(path, file)

    def link(self, path: str, existing: str) -> None:
        """Give a file of the root a second name in the release."""
        key = _key(path)
        try:
            there = self.store.local_path(existing)
            if self.store.exists(key):
                here = self.store.local_path(key)
                if here.samefile(there) or _digest(here) == _digest(there):
                    self.kept += 1
                    return
                self._remove(path)
                self.removed -= 1
            self._touch()
            self.store.link_if_absent(key, existing)
        except KeyError:
            raise PublishError(
                f"{existing} is in the journal but not in {self.store.uri}: it was removed or not copied here"
            ) from None
        self.written += 1

    def shard(self, path: str, members: Sequence[Member], keys: Sequence[str]) -> WrittenShard:
        """One tar part; not touched when its note says that it has this content."""
        content = shards.content_digest(members)
        note_key = f"{NOTES}/{path}.json"
        note = json.loads(self.store.get_bytes(note_key)) if self.store.exists(note_key) else None
        if note is not None and note["content"] == content and self._has_size(path, note["size_bytes"]):
            self.shards_kept += 1
            return WrittenShard(note["size_bytes"], note["sha256"])
        self._touch()
        self.store.delete(note_key)
        self.store.delete(_key(path))
        with self.store.scratch() as scratch:
            file = Path(scratch) / "shard"
            try:
                with file.open("wb") as out:
                    shard = shards.write_tar(
                        out, members, lambda index: self.store.local_path(keys[index]).open("rb")
                    )
            except KeyError as error:
                raise PublishError(f"{path} cannot be made: {error.args[0]}") from None
            except ShardError as error:
                raise PublishError(f"{path} cannot be made: {error}") from None
            stored = self.store.put_file_if_absent(_key(path), file)
        if stored.sha256 != shard.sha256:
            raise PublishError(f"another publish wrote {path} at the same moment")
        note = {"content": content, "size_bytes": shard.size_bytes, "sha256": shard.sha256}
        self.store.put_bytes_if_absent(note_key, json.dumps(note).encode())
        self.shards_written += 1
        self.report(f"{path}: {len(members)} samples, {shard.size_bytes:,} bytes")
        return shard

    def finish(self, written: Sequence[tuple[str, WrittenShard, Sequence[Member]]]) -> None:
        """Write `shards.parquet`, which says that everything else is there."""
        with self.store.scratch() as scratch:
            file = Path(scratch) / "index"
            with pq.ParquetWriter(file, shards.INDEX, compression="zstd") as writer:
                for path, shard, members in written:
                    writer.write_table(shards.index_table(path, shard, members))
            self._place(release.SHARD_INDEX, file)

    def _place(self, path: str, file: Path) -> None:
        key = _key(path)
        if self.store.exists(key):
            if _digest(self.store.local_path(key)) == _digest(file):
                self.kept += 1
                return
            self._touch()
            self.store.delete(key)
        self._touch()
        self.store.put_file_if_absent(key, file)
        self.written += 1

    def _remove(self, path: str) -> None:
        self._touch()
        self.store.delete(_key(path))
        self.removed += 1

    def _touch(self) -> None:
        """The release is about to change, so it is not complete any more."""
        if self._complete:
            self.store.delete(_key(release.SHARD_INDEX))
            self._complete = False

    def _has_size(self, path: str, size_bytes: int) -> bool:
        key = _key(path)
        return self.store.exists(key) and self.store.local_path(key).stat().st_size == size_bytes


def _key(path: str) -> str:
    return f"release/{path}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _accepted(state: RootState, verdicts: pa.Table) -> pa.Table:
    """Accepted samples in id order: identity, words, and of each kind the artifact's path, size, digest."""
    accepted = verdicts["status"].to_numpy() == "accepted"
    table = state.samples.filter(pa.array(accepted))
    for name in ("prompt", "original_scene"):
        rows = state.settled[_ADDED_BY[name].name]
        table = table.append_column(
            name, rows[name].take(pa.array(state.rows[_ADDED_BY[name].name][accepted]))
        )
    for kind in release.KINDS:
        step = _ADDED_BY[kind]
        settled = state.settled[step.name]
        artifacts = artifact_table(settled, kind)
        place = artifact_rows(artifacts, settled.num_rows, state.rows[step.name][accepted])
        if place.null_count:
            missing = table["sample_id"].filter(pc.is_null(place))[0].as_py()
            raise PublishError(f"{missing} is accepted, but its journal row names no {kind}")
        for name in ("path", "size_bytes", "sha256"):
            table = table.append_column(f"{kind}.{name}", artifacts[name].take(place))
    return table


def _shard_plan(
    store: Store, state: RootState, accepted: pa.Table, shard_bytes: int, repack: bool
) -> pa.Table:
    """The durable plan: the newest one if it still holds, else the next, stored before any byte of a part."""
    names = list(store.keys(PLANS))
    before = (
        pq.read_table(store.local_path(names[-1]), partitioning=None) if names else shards.PLAN.empty_table()
    )
    metadata = {**shards.PLAN.metadata, b"shard_bytes": str(shard_bytes).encode()}
    keep = not repack and (before.schema.metadata or {}).get(b"shard_bytes") == metadata[b"shard_bytes"]
    boundaries = _boundaries(before) if keep else {}
    tables = [shards.PLAN.empty_table()]
    for theme in pc.unique(accepted["edit_type"]).to_pylist():
        mine = accepted.filter(pc.equal(accepted["edit_type"], theme))
        for kind in release.KINDS:
            tables.append(_kind_plan(mine, theme, kind, shard_bytes, boundaries.get((theme, kind), [])))
    plan = pa.concat_tables(tables).replace_schema_metadata(metadata).combine_chunks()
    if names and plan.equals(before) and keep:
        return plan
    number = int(Path(names[-1]).stem) + 1 if names else 1
    if not store.put_bytes_if_absent(f"{PLANS}/{number:06d}.parquet", parquet_bytes(plan)).won:
        raise PublishError(f"another publish of {store.uri} began at the same moment")
    return plan


def _kind_plan(mine: pa.Table, theme: str, kind: str, shard_bytes: int, boundaries: list[str]) -> pa.Table:
    ids = mine["sample_id"].to_pylist()
    sizes = mine[f"{kind}.size_bytes"].to_numpy()
    starts = shards.cut_as_before(ids, sizes, shard_bytes, boundaries)
    part = np.searchsorted(np.asarray(starts), np.arange(len(ids)), side="right") - 1
    return pa.table(
        {
            "shard": [release.shard_path(theme, kind, number) for number in part.tolist()],
            "sample_id": ids,
            "name": [release.member_name(theme, kind, sample) for sample in ids],
            "path": mine[f"{kind}.path"],
            "size_bytes": mine[f"{kind}.size_bytes"],
            "sha256": mine[f"{kind}.sha256"],
        },
        schema=shards.PLAN,
    )


def _boundaries(plan: pa.Table) -> dict[tuple[str, str], list[str]]:
    """First ids of the parts, by theme and kind."""
    result: dict[tuple[str, str], list[str]] = {}
    firsts = plan.group_by("shard", use_threads=False).aggregate([("sample_id", "min")])
    for row in firsts.to_pylist():
        place = release.classify(row["shard"])
        if place is not None:
            result.setdefault((place.theme, place.kind), []).append(row["sample_id_min"])
    return {key: sorted(ids) for key, ids in result.items()}


def _parts(plan: pa.Table) -> Iterator[tuple[str, list[Member], list[str]]]:
    """Parts in the order of the plan: path, members, the artifacts' keys."""
    encoded = plan["shard"].combine_chunks().dictionary_encode()
    index = encoded.indices.to_numpy()
    starts = np.flatnonzero(np.diff(index, prepend=-1)).tolist()
    for start, end in zip(starts, [*starts[1:], len(index)], strict=True):
        rows = plan.slice(start, end - start)
        members = [
            Member(name, size, digest)
            for name, size, digest in zip(
                *(rows[column].to_pylist() for column in ("name", "size_bytes", "sha256")), strict=True
            )
        ]
        yield rows["shard"][0].as_py(), members, rows["path"].to_pylist()


def _previews(
    state: RootState, accepted: pa.Table, themes: Sequence[str], count: int
) -> Iterator[tuple[str, str]]:
    """Release path and artifact key of the first accepted samples of every theme."""
    for theme in themes:
        first = accepted.filter(pc.equal(accepted["edit_type"], theme)).slice(0, count)
        ids = first["sample_id"].to_pylist()
        for kind in release.KINDS:
            for sample, key in zip(ids, first[f"{kind}.path"].to_pylist(), strict=True):
                yield release_path(kind, sample, theme), key


def _write_words(folder: ReleaseFolder, state: RootState, theme: str, accepted: pa.Table) -> None:
    """CSV, metadata and the five JSONL files of one theme."""
    folder.text(release.csv_path(theme), release.csv_text(accepted))
    words = accepted.select(["sample_id", "prompt", "edit_type", "chosen_keyword", "original_scene"])
    folder.text(release.metadata_path(theme), release.jsonl_text(words, release.metadata_record))
    for file in release.JSONL_FILES:
        rows = _measured(state, theme, file)
        folder.text(release.jsonl_path(theme, file.name), release.jsonl_text(rows, file.record))


def _measured(state: RootState, theme: str, file: release.JsonlFile) -> pa.Table:
    """Samples of a theme that the file's actor measured, in id order, with the file's columns."""
    planned = state.samples.filter(pc.equal(state.samples["edit_type"], theme))["sample_id"].combine_chunks()
    outcomes = state.settled[file.actor]
    measured = outcomes.filter(pc.equal(outcomes["outcome"], "ok"))["key"]
    ids = pc.take(planned, pc.indices_nonzero(pc.is_in(planned, value_set=measured)))
    columns = {"sample_id": ids, "edit_type": pa.array([theme] * len(ids), pa.string())}
    for name in file.columns:
        if name in columns:
            continue
        step = _ADDED_BY[name]
        if name in IN_JSONL:
            rows = read_actor(state.store, state.record, step, columns=[name], only=ids)
        else:
            rows = state.settled[step.name]
        columns[name] = rows[name].take(pc.index_in(ids, value_set=rows["key"]))
    return pa.table(columns)
