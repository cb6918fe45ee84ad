"""The job `remove`: take a source, or one sample, down: out of the release, the artifacts and all later runs.

What a reader gets wrong: the order is what makes it safe to kill. First the durable record in
`journal/removed/`, under the root's lock: from then on the sample is `removed` for every reader and no run
takes it up. Then `publish`, which rebuilds the parts that held it and leaves the others as they are. Then the
artifacts are deleted. The same command again does what is left. Rows stay in the journal, which is never
rewritten; nothing that is published shows them. Source numbers are never given to another source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from actors.journal import ActorJournal
from actors.pipeline import STEPS
from actors.store import NotARootError, Store, open_root
from ray_jobs.publish import publish
from ray_jobs.regate import regate
from ray_jobs.release_folder import Report, quiet
from ray_jobs.removals import REMAKING, again_folder, record_removal
from ray_jobs.root import read_actor, read_samples
from ray_jobs.runs import RunRecord, all_records, ended, newest_run, open_deciding_run
from ray_jobs.sealing import PublishError, newest_plan
from ray_jobs.sources import absolute_uri
from schemas import release
from schemas.columns import MEDIA
from schemas.config import ConfigError, nearest
from schemas.records import artifact_path, release_path


@dataclass(frozen=True)
class Derived:
    """Everything in a root that was made from what is taken down."""

    kind: str
    """`source` or `sample`."""
    name: str
    """Source key or sample id."""
    source_uri: str
    samples: tuple[str, ...]
    artifacts: tuple[str, ...]
    """Keys in the store; of a sample, not those that it shares with the others of its source."""
    rows: dict[str, int]
    """Journal rows by actor; they stay, and are shown no more."""
    shards: tuple[str, ...]
    """Tar parts of the release that are built again."""
    previews: tuple[str, ...]
    same_bytes: tuple[str, ...]
    """URIs of other sources whose file had the same bytes; they are not taken down."""

    def __str__(self) -> str:
        lines = [f"{self.kind} {self.name} ({self.source_uri}): {len(self.samples)} samples"]
        lines += [f"  sample {name}" for name in self.samples]
        lines += [f"  artifact {name}" for name in self.artifacts]
        lines += [f"  preview release/{name}" for name in self.previews]
        lines += [f"  part release/{name}, built again without it" for name in self.shards]
        lines += [
            f"  {count} journal rows of {name}, kept and shown no more" for name, count in self.rows.items()
        ]
        lines += [f"  another source has the same bytes and stays: {uri}" for uri in self.same_bytes]
        return "\n".join(lines)


def remove(
    root: str,
    *,
    source: str | None = None,
    sample: str | None = None,
    reason: str = "",
    dry_run: bool = False,
    report: Report = quiet,
) -> Derived:
    """Take down a source with all its samples, or one sample.

    Args:
        source: its URI, a path in any spelling (a relative one is relative to the working directory), or its
            number.
        sample: a sample id.
        reason: kept in the record.
        dry_run: only say what there is.

    Returns:
        What there was when the call began; what an earlier call has done already is not in it.

    Raises:
        ConfigError: not exactly one of `source` and `sample`, or it is not planned in this root.
        StoreError: the folder is no root of ours or holds no run, or the release cannot be made.
        RootBusyError: another run holds the root.
    """
    store = open_root(root, create=False)
    before = newest_run(store)
    if before is None:
        raise NotARootError(f"{root} holds no run yet, so there is nothing to remove")
    kind, name, samples = _planned(store, source, sample)
    found = _derived(store, before, kind, name, samples)
    if dry_run:
        return found
    config = before.run_config()
    facts = {
        "kind": kind,
        "name": name,
        "source_uri": found.source_uri,
        "samples": list(found.samples),
        "reason": reason,
        "removed_at": datetime.now(UTC).isoformat(),
    }
    record = open_deciding_run(store, "remove", config)
    with ended(store, record) as summary:
        record_removal(store, kind, name, facts)
        for key in list(store.keys(REMAKING)):  # here, since a `regenerate` that works there holds the root
            store.delete(key)
        summary["removed"] = name
    if newest_plan(store) is not None or any(True for _ in store.keys("release")):
        try:
            publish(root, config=config, report=report, repack=False)
        except PublishError as error:
            raise PublishError(
                f"{kind} {name} is recorded as removed, but the release without it cannot be made: {error}. "
                "Bring that back with `regenerate --missing`, or remove what cannot be; then the same command"
            ) from None
    elif any(True for _ in store.keys(release.MANIFEST)):
        regate(root, config)
    for key in artifacts_of(store, samples, kind, before):
        store.delete(key)
    return found


def _planned(store: Store, source: str | None, sample: str | None) -> tuple[str, str, pa.Table]:
    """What is taken down: kind, name, and its rows of the sample table."""
    if (source is None) == (sample is None):
        raise ConfigError("give either --source URI or --sample ID")
    planned = read_samples(store)
    if sample is not None:
        mine = planned.filter(_among(planned["sample_id"], _text(sample)))
        if not mine.num_rows:
            raise ConfigError(f"--sample {sample}: not planned{nearest(sample, _some(planned['sample_id']))}")
        return "sample", sample, mine
    wanted = str(source)
    if not wanted:
        raise ConfigError("--source is empty: give a source's URI or its number")
    numbers = [wanted.zfill(6)] if wanted.isascii() and wanted.isdigit() else []
    for column, values in (
        ("source_uri", _text(wanted, absolute_uri(wanted, "list"))),
        ("source_key", numbers),
    ):
        mine = planned.filter(_among(planned[column], values))
        if mine.num_rows:
            return "source", mine["source_key"][0].as_py(), mine
    raise ConfigError(f"--source {wanted}: no such source{nearest(wanted, _some(planned['source_uri']))}")


def _text(*names: str) -> list[str]:
    """Those that a table can hold: the raw name of a file may be no text, its URI is."""
    return [name for name in names if not any("\ud800" <= letter <= "\udfff" for letter in name)]


def _some(names: pa.ChunkedArray) -> list[str]:
    """Enough names to find a misspelt one among."""
    found: list[str] = pc.unique(names).slice(0, 10_000).to_pylist()
    return found


def _derived(store: Store, record: RunRecord, kind: str, name: str, samples: pa.Table) -> Derived:
    ids = samples["sample_id"].to_pylist()
    plan = newest_plan(store)
    parts = (
        [] if plan is None else pc.unique(plan.filter(_among(plan["sample_id"], ids))["shard"]).to_pylist()
    )
    previews = [
        path
        for sample, theme in zip(ids, samples["edit_type"].to_pylist(), strict=True)
        for path in (release_path(column, sample, theme) for column in release.KINDS)
        if store.exists(f"release/{path}")
    ]
    keys = _keys(samples, kind)
    rows = {step.name: ActorJournal(store, step) for step in STEPS}
    counts = {
        actor: journal.read(journal.parts(), columns=["key"], only=pa.array(keys)).num_rows
        for actor, journal in rows.items()
    }
    return Derived(
        kind,
        name,
        samples["source_uri"][0].as_py(),
        tuple(ids),
        tuple(artifacts_of(store, samples, kind, record)),
        {actor: count for actor, count in counts.items() if count},
        tuple(parts),
        tuple(previews),
        tuple(_same_bytes(store, record, samples)) if kind == "source" else (),
    )


def artifacts_of(store: Store, samples: pa.Table, kind: str, record: RunRecord) -> list[str]:
    """Keys of all artifacts of these samples that are there: of every generation and every `regenerate`,
    journaled or not.

    Args:
        samples: rows of the sample table.
        kind: `source` also takes those of their source.
    """
    themes = dict(zip(samples["sample_id"].to_pylist(), samples["edit_type"].to_pylist(), strict=True))
    keys = _keys(samples, kind)
    runs = all_records(store)
    newest = max((n for run in runs for n in run.generations.values()), default=0)
    again = (again_folder(run.run) for run in runs if run.job == "regenerate")
    generations = ["", *(f"generation-{number}/" for number in range(1, newest + 1))]
    expected = {
        f"{folder}/{generation}{artifact_path(media, key, themes.get(key), record.config['name'])}"
        for folder in ("artifacts", *again)
        for generation in generations
        for media in MEDIA.values()
        for key in keys
        if (media.keyed == "sample") == (key in themes)
    }
    for step in STEPS:
        if not any(name in MEDIA for name in step.adds):
            continue
        journal = ActorJournal(store, step)
        rows = journal.read(journal.parts(), columns=["key", "artifacts"], only=pa.array(keys))
        expected |= {item["path"] for listed in rows["artifacts"].to_pylist() for item in listed}
    return sorted(key for key in expected if store.exists(key))


def _keys(samples: pa.Table, kind: str) -> list[str]:
    """Journal keys of the samples, and of their source where that is taken down."""
    ids: list[str] = samples["sample_id"].to_pylist()
    return [*ids, *pc.unique(samples["source_key"]).to_pylist()] if kind == "source" else ids


def _same_bytes(store: Store, record: RunRecord, samples: pa.Table) -> list[str]:
    """URIs of other sources whose file had the SHA-256 of this one."""
    (ingest,) = (step for step in STEPS if "source_sha256" in step.adds)
    rows = read_actor(store, record, ingest, columns=["source_sha256"])
    mine = _among(rows["key"], pc.unique(samples["source_key"]).to_pylist())
    digests = rows.filter(mine)["source_sha256"].drop_null()
    twins = rows.filter(pc.and_not(pc.is_in(rows["source_sha256"], value_set=digests.combine_chunks()), mine))
    if not len(digests) or not twins.num_rows:
        return []
    planned = read_samples(store)
    uris = planned.filter(_among(planned["source_key"], twins["key"].to_pylist()))["source_uri"]
    return sorted(pc.unique(uris).to_pylist())


def _among(column: pa.ChunkedArray, names: Sequence[str]) -> pa.ChunkedArray:
    return pc.is_in(column, value_set=pa.array(names, pa.string()))
