"""The job `publish`: derive ROOT/release/ from journal, artifacts and a durable shard plan.

What a reader gets wrong: the release is a projection. Nothing is decided here and nothing in it is edited. A
publish that was killed is run again, and one that finds everything in place writes nothing. The order is what
counts: the plan before any byte of a part, `shards.parquet` away before the first change and back last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actors.journal import parquet_bytes
from actors.pipeline import STEPS, resolve, thresholds
from actors.store import Store, open_root
from ray_jobs.card import card_text
from ray_jobs.dead_letters import write_dead_letters
from ray_jobs.licences import backend_licence, warnings
from ray_jobs.members import save_from
from ray_jobs.release_folder import ReleaseFolder, Report, quiet, replace_file
from ray_jobs.root import RootState, read_actor, read_root
from ray_jobs.runs import ended, newest_run, open_deciding_run, recipes
from ray_jobs.sealing import PLANS, PublishError, newest_plan, planned_shards
from schemas import release, shards
from schemas.config import RunConfig
from schemas.gates import RELEASE_ALLOW, Step
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

_ADDED_BY: dict[str, Step] = {name: step for step in STEPS for name in step.adds}
_REPEATED = [
    "edit_type",
    "status",
    "gate",
    "stopped_at",
    "error_class",
    "chosen_keyword",
    "licence",
    "num_frames",
    "round1_count",
    "camera_reasoning",
    *(f"{step.name}.{name}" for step in STEPS for name in ("backend", "revision", "fingerprint", "run")),
]
"""Manifest columns worth a dictionary; trying the others, whose values all differ, costs seconds."""


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
    warnings: list[str]
    """Samples that `release.allow` keeps out; licences that ask more than the release's own, and unknown
    ones.
    """
    as_tasks: bool = False
    """Whether the parts were written as Ray tasks."""

    @property
    def accepted(self) -> int:
        return sum(funnel.accepted for funnel in self.funnels)

    def __str__(self) -> str:
        shard_count = self.shards_written + self.shards_kept
        return (
            f"{self.release}: {self.accepted} accepted of {sum(f.planned for f in self.funnels)} "
            f"planned samples in {len(self.funnels)} themes; {shard_count} tar parts "
            f"({self.shards_written} written{' as Ray tasks' if self.as_tasks else ''}), "
            f"{self.written + self.kept} other files ({self.written} written, {self.removed} removed)"
        )


def publish(
    root: str, *, config: RunConfig | None = None, report: Report = quiet, repack: bool | None = None
) -> PublishReport:
    """Make ROOT/release/ what journal and thresholds say, rewriting only what differs.

    Args:
        config: thresholds and release settings; by default those of the newest run.
        report: gets a line for every part that is written.
        repack: True cuts the parts afresh instead of keeping the boundaries of the plan before, False keeps
            them even when small parts pile up.

    Raises:
        StoreError: the folder is no root of ours, holds no run, or lacks an artifact that its journal names.
        RootBusyError: another process works on the root.
        ConfigError: `config` changes more than thresholds and release settings.
    """
    store = open_root(root, create=False)
    before = newest_run(store)
    if before is None:
        raise PublishError(f"{root} holds no run yet, so there is nothing to publish")
    config = config or before.run_config()
    record = open_deciding_run(store, "publish", config)
    with ended(store, record) as summary:
        store.clear_scratch()  # a killed publish leaves there what it had of its parts
        state = read_root(store, without=NOT_READ)
        if state is None:
            raise PublishError(f"{root}: the run record that was just written is gone")
        result = _publish(store, state, config, report, repack)
        summary["accepted"] = result.accepted
    return result


def _publish(
    store: Store, state: RootState, config: RunConfig, report: Report, repack: bool | None
) -> PublishReport:
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
    write_dead_letters(state, verdicts)
    folder.text(release.CARD, [card_text(config.release, planned, counts, accepted)])
    folder.links(previews)
    parts = list(planned_shards(plan))
    written = folder.shards(parts, config.release.task_bytes)
    folder.finish((part.path, written[part.path], part.members) for part in parts)
    return PublishReport(
        release=f"{store.uri}/release",
        funnels=counts,
        written=folder.written,
        kept=folder.kept,
        removed=folder.removed,
        shards_written=folder.shards_written,
        shards_kept=folder.shards_kept,
        as_tasks=folder.as_tasks,
        warnings=[
            *_kept_out(verdicts, config.release.allow or ()),
            *warnings(
                accepted,
                {item.name: backend_licence(item.recipe) for item in planned},
                config.release.license,
            ),
        ],
    )


def _kept_out(verdicts: pa.Table, allow: Sequence[str]) -> list[str]:
    count = pc.sum(pc.equal(verdicts["gate"], RELEASE_ALLOW)).as_py() or 0
    return [f"{count} samples are kept out by release.allow ({', '.join(allow)})"] if count else []


def root_manifest(state: RootState, verdicts: pa.Table, config: RunConfig) -> pa.Table:
    """The manifest of a root by these verdicts (`schemas.manifest.build_manifest`)."""
    made = {
        fingerprint: Made(recipe["backend"], recipe["revision"], backend_licence(recipe))
        if recipe["revision"]
        else Made(None, None, None)
        for fingerprint, recipe in recipes(state.store).items()
    }
    limits = thresholds(resolve(config))
    return build_manifest(state.samples, state.settled, verdicts, STEPS, limits, made, state.rows)


def write_manifest(store: Store, theme: str, manifest: pa.Table) -> None:
    """The current manifest of one theme, ROOT/manifest/THEME.parquet."""
    mine = manifest.filter(pc.equal(manifest["edit_type"], theme))
    with store.scratch() as scratch:
        path = Path(scratch) / "manifest"
        pq.write_table(mine, path, compression="zstd", compression_level=1, use_dictionary=_REPEATED)
        replace_file(store, release.manifest_path(theme), path)


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
    store: Store, state: RootState, accepted: pa.Table, shard_bytes: int, repack: bool | None
) -> pa.Table:
    """The durable plan: the newest one if it still holds, else the next, stored before any byte of a part."""
    names = list(store.keys(PLANS))
    newest = newest_plan(store)
    before = shards.PLAN.empty_table() if newest is None else newest
    metadata = {**shards.PLAN.metadata, b"shard_bytes": str(shard_bytes).encode()}
    keep = (
        repack is not True and (before.schema.metadata or {}).get(b"shard_bytes") == metadata[b"shard_bytes"]
    )
    boundaries = _boundaries(before) if keep else {}
    tables = [shards.PLAN.empty_table()]
    for theme in pc.unique(accepted["edit_type"]).to_pylist():
        mine = accepted.filter(pc.equal(accepted["edit_type"], theme))
        for kind in release.KINDS:
            parts = boundaries.get((theme, kind), [])
            tables.append(_kind_plan(mine, theme, kind, shard_bytes, parts, may_repack=repack is None))
    plan = pa.concat_tables(tables).replace_schema_metadata(metadata).combine_chunks()
    if names and plan.equals(before) and keep:
        return plan
    save_from(store, before, plan)
    number = int(Path(names[-1]).stem) + 1 if names else 1
    if not store.put_bytes_if_absent(f"{PLANS}/{number:06d}.parquet", parquet_bytes(plan)).won:
        raise PublishError(f"another publish of {store.uri} began at the same moment")
    return plan


def _kind_plan(
    mine: pa.Table,
    theme: str,
    kind: str,
    shard_bytes: int,
    before: Sequence[tuple[str, int]],
    *,
    may_repack: bool,
) -> pa.Table:
    ids = mine["sample_id"].to_pylist()
    sizes = mine[f"{kind}.size_bytes"].to_numpy()
    firsts = [first for first, _ in before]
    starts = shards.cut_as_before(ids, sizes, shard_bytes, firsts, may_repack=may_repack)
    numbers = np.asarray(shards.numbered_as_before(ids, starts, before), dtype=np.int64)
    part = numbers[np.searchsorted(np.asarray(starts), np.arange(len(ids)), side="right") - 1]
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


def _boundaries(plan: pa.Table) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """First id and number of the parts, by theme and kind."""
    result: dict[tuple[str, str], list[tuple[str, int]]] = {}
    firsts = plan.group_by("shard", use_threads=False).aggregate([("sample_id", "min")])
    for row in firsts.to_pylist():
        place = release.classify(row["shard"])
        if place is not None:
            result.setdefault((place.theme, place.kind), []).append((row["sample_id_min"], place.part))
    return {key: sorted(ids) for key, ids in result.items()}


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
    there = pc.and_(pc.equal(state.samples["edit_type"], theme), pa.array(~state.removed))
    planned = state.samples.filter(there)["sample_id"].combine_chunks()
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
