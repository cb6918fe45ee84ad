"""The job `regenerate`: make tar parts again, from artifacts, and lost artifacts again, from what made them.

What a reader gets wrong: a part is a function of its plan and its artifacts, so it comes out byte for byte,
without a model and without Ray. Only an artifact that is gone from the store and from the release is made by
its actor again (`ray_jobs.remake`); if its bytes differ, that is said, and the sample gets a new generation
that `publish` then puts in its part. The order: artifacts, then rows; `shards.parquet` away, the part's note
and the part away, the part, its note, `shards.parquet`. The same command after a kill does what is left, by
`publish` where `shards.parquet` is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from actors.store import Store, StoreError, open_root
from ray_jobs.members import Kept, from_release, members_of
from ray_jobs.publish import publish
from ray_jobs.release_folder import ReleaseFolder, Report, quiet
from ray_jobs.remake import Remade, Through, intact, remake
from ray_jobs.removals import read_removed
from ray_jobs.root import read_root, read_samples
from ray_jobs.runs import RunRecord, ended, newest_run, open_deciding_run
from ray_jobs.sealing import PlannedShard, PublishError, newest_plan, note_key, planned_shards, seal, sealed
from schemas import release
from schemas.config import ConfigError, nearest
from schemas.records import Artifact, release_path
from schemas.shards import WrittenShard


@dataclass
class Regenerated:
    """What a call did."""

    parts: dict[str, bool] = field(default_factory=dict)
    """Parts that were written: whether their bytes are those that the release had."""
    from_release: list[str] = field(default_factory=list)
    """Artifacts that were taken back from a preview or a tar part."""
    previews: list[str] = field(default_factory=list)
    """Previews that are back, by path in the release."""
    gone: list[str] = field(default_factory=list)
    """Parts that the release has no more, since none of their samples is accepted now."""
    remade: Remade = field(default_factory=Remade)
    published: str = ""
    """What the publish said that ended the call, where one was needed."""

    def __str__(self) -> str:
        lines = [
            f"{path}: written, {'the same bytes' if same else 'new bytes'}"
            for path, same in self.parts.items()
        ]
        lines += [f"{path}: no longer in the release" for path in self.gone]
        lines += [f"{key}: taken back from the release" for key in self.from_release]
        lines += [f"{key}: made again, the same bytes" for key in self.remade.same]
        lines += [f"{path}: again a preview of its artifact" for path in self.previews]
        lines += [f"new generation: {words}" for words in self.remade.changed]
        lines += [f"not made: {words}" for words in self.remade.failed]
        if self.published:
            lines.append(self.published)
        return "\n".join(lines) or "no part, artifact or preview to make; tables and card are `publish`'s"


def regenerate(
    root: str,
    *,
    shard: str | None = None,
    sample: str | None = None,
    missing: bool = False,
    broken: bool = False,
    report: Report = quiet,
    through: Through | None = None,
) -> Regenerated:
    """Make parts and artifacts of the newest plan again; never those of a sample that was taken down.

    Args:
        shard: a part, by its path in the release or its file name.
        sample: all parts that hold this sample.
        missing: all parts, artifacts and previews that are not there.
        broken: these, and those whose bytes are not the recorded ones; reads everything.
        through: how rows go through actors that must run again; by default a stream on Ray.

    Raises:
        ConfigError: not exactly one of the four, or no such part or sample.
        PublishError: nothing was published yet, or a part lacks an artifact that could not be made.
        RootBusyError: another run holds the root.
    """
    if sum((shard is not None, sample is not None, missing, broken)) != 1:
        raise ConfigError("give one of --shard NAME, --sample ID, --missing, --broken")
    store = open_root(root, create=False)
    before, plan = newest_run(store), newest_plan(store)
    if before is None or plan is None:
        raise PublishError(f"{root} was not published yet, so it has no parts; `publish` makes them")
    parts = list(planned_shards(plan))
    samples = read_samples(store)
    # also those of a `remove` that did not come to its end: they are in the plan still
    removed = set(samples.filter(pa.array(read_removed(store).of(samples)))["sample_id"].to_pylist())
    named = _named(parts, shard, sample) if shard is not None or sample is not None else None
    result = Regenerated()
    whole = store.exists(f"release/{release.SHARD_INDEX}")  # otherwise a publish or a call of this broke off
    record = open_deciding_run(store, "regenerate", before.run_config())
    with ended(store, record) as summary:
        store.clear_scratch()  # what a killed call had of its parts
        chosen = named if named is not None else [part for part in parts if not _whole(store, part, broken)]
        checked = parts if named is None else chosen
        gone = [
            kept
            for kept in members_of(checked)
            if kept.sample not in removed and not _there(store, kept, exactly=broken or kept.part in chosen)
        ]
        left = []
        for kept in gone:
            if from_release(store, kept):
                result.from_release.append(kept.artifact.path)
            else:
                left.append(kept)
        if left:
            _remake(store, record, left, result, through)
        lost = {kept.artifact.path for kept in left if not intact(store, kept.artifact)}
        had = {part.path: sealed(store, part) or _indexed(store, part) for part in chosen}
        if result.remade.changed:
            for part in chosen:
                if not lost.intersection(part.keys):
                    _take_away(store, part)
        else:
            _write(store, parts, chosen, lost, result, report, whole=whole)
            if named is None:
                _link_previews(store, parts, before.run_config().release.previews, broken, result)
        summary["parts"] = len(result.parts)
    if result.remade.changed or (not whole and not result.remade.failed):
        result.published = str(publish(root, config=before.run_config(), report=report, repack=False))
    if result.remade.changed:
        _compare(store, had, result)
    return result


def _compare(store: Store, had: Mapping[str, WrittenShard | None], result: Regenerated) -> None:
    """Say of parts that a publish wrote what became of them."""
    plan = newest_plan(store)
    now = {} if plan is None else {part.path: sealed(store, part) for part in planned_shards(plan)}
    for path, written in had.items():
        if path in now:
            result.parts[path] = written == now[path]
        else:
            result.gone.append(path)


def _named(parts: Sequence[PlannedShard], shard: str | None, sample: str | None) -> list[PlannedShard]:
    if shard is not None:
        path = shard.removeprefix("release/")
        found = [part for part in parts if path in (part.path, Path(part.path).name)]
        if not found:
            raise ConfigError(f"--shard {shard}: no such part{nearest(path, [part.path for part in parts])}")
        return found
    found = [part for part in parts if any(kept.sample == sample for kept in members_of([part]))]
    if not found:
        raise ConfigError(f"--sample {sample}: in no part of the release; only accepted samples are")
    return found


def _whole(store: Store, part: PlannedShard, exactly: bool) -> bool:
    """Whether a part is in the release, by its note and size, or by every byte."""
    written = sealed(store, part)
    if written is None or not exactly:
        return written is not None
    return intact(store, Artifact("", f"release/{part.path}", written.size_bytes, written.sha256))


def _there(store: Store, kept: Kept, exactly: bool) -> bool:
    return intact(store, kept.artifact) if exactly else store.exists(kept.artifact.path)


def _remake(
    store: Store, record: RunRecord, left: Sequence[Kept], result: Regenerated, through: Through | None
) -> None:
    state = read_root(store, deciding=True)
    if state is None:
        raise StoreError(f"{store.uri}: the run record that was just written is gone")
    wanted = {(kept.sample, kept.column): None for kept in left}
    result.remade = remake(store, state, record.run, record.run_config(), wanted, through)


def _write(
    store: Store,
    parts: Sequence[PlannedShard],
    chosen: Sequence[PlannedShard],
    lost: set[str],
    result: Regenerated,
    report: Report,
    *,
    whole: bool,
) -> None:
    """Write the chosen parts, one after the other, the others that are not in place, and the index of all;
    not where it was missing before, since it says that everything else is there too.

    Args:
        lost: keys of artifacts that nothing brought back.
    """
    others = [part for part in parts if part not in chosen and sealed(store, part) is None]
    making = [part for part in chosen if _can_be_made(store, part, lost, result)]
    making += [part for part in others if _can_be_made(store, part, lost, result, exactly=True)]
    if not making:
        return
    had = {part.path: sealed(store, part) or _indexed(store, part) for part in making}
    for part in making:
        _take_away(store, part)
    written: dict[str, WrittenShard] = {}
    for part in parts:
        there = sealed(store, part)
        if part.path in had:
            there = seal(store, part)
            result.parts[part.path] = had[part.path] in (None, there)
            report(f"{part.path}: {len(part.members)} samples, {there.size_bytes:,} bytes")
        if there is not None:
            written[part.path] = there
    if whole and len(written) == len(parts):
        ReleaseFolder(store, report).finish((part.path, written[part.path], part.members) for part in parts)


def _link_previews(
    store: Store, parts: Sequence[PlannedShard], count: int, exactly: bool, result: Regenerated
) -> None:
    """Link the previews that are missing or not their artifacts: the first `count` samples of every theme.

    The index stays meanwhile: it claims nothing that it did not claim before.
    """
    seen: Counter[tuple[str, str]] = Counter()
    for kept in members_of(parts):
        seen[kept.theme, kept.column] += 1
        if seen[kept.theme, kept.column] > count:
            continue
        path = release_path(kept.column, kept.sample, kept.theme)
        preview = f"release/{path}"
        there = Artifact(kept.column, preview, kept.artifact.size_bytes, kept.artifact.sha256)
        if (intact(store, there) if exactly else store.exists(preview)) or not intact(store, kept.artifact):
            continue
        store.delete(preview)
        store.link_if_absent(preview, kept.artifact.path)
        result.previews.append(path)


def _can_be_made(
    store: Store, part: PlannedShard, lost: set[str], result: Regenerated, *, exactly: bool = False
) -> bool:
    """Whether all artifacts of a part are there; a part is not taken away before."""
    lacking = [
        kept.artifact.path
        for kept in members_of([part])
        if kept.artifact.path in lost or not _there(store, kept, exactly)
    ]
    if lacking:
        words = f"{part.path}: {len(lacking)} of its artifacts are gone or damaged, first {lacking[0]}"
        if words not in result.remade.failed:
            result.remade.failed.append(words)
    return not lacking


def _indexed(store: Store, part: PlannedShard) -> WrittenShard | None:
    """What the release's index says of a part whose note is gone."""
    import pyarrow.parquet as pq

    try:
        index = pq.read_table(
            store.local_path(f"release/{release.SHARD_INDEX}"), columns=["shard", "size_bytes", "sha256"]
        )
    except (KeyError, OSError, pa.ArrowException):
        return None
    rows = [row for row in index.to_pylist() if row["shard"] == part.path]
    return WrittenShard(rows[0]["size_bytes"], rows[0]["sha256"]) if rows else None


def _take_away(store: Store, part: PlannedShard) -> None:
    store.delete(f"release/{release.SHARD_INDEX}")
    store.delete(note_key(part.path))
    store.delete(f"release/{part.path}")
