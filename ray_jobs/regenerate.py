"""The job `regenerate`: make tar parts again, from artifacts, and lost artifacts again, from what made them.

What a reader gets wrong: a part is a function of its plan and its artifacts, so it comes out byte for byte,
without a model and without Ray. Only an artifact that is gone from the store and from the release is made by
its actor again (`ray_jobs.remake`); if its bytes differ, that is said, and the sample gets a new generation
that `publish` then puts in its part. The order: artifacts, then rows; `shards.parquet` away, the part's note
and the part away, the part, its note, `shards.parquet`. The same command after a kill does what is left, by
`publish` where `shards.parquet` is missing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from actors.store import Store, StoreError, open_root
from ray_jobs.publish import publish
from ray_jobs.release_folder import ReleaseFolder, Report, quiet
from ray_jobs.remake import Remade, Through, intact, remake
from ray_jobs.removals import read_removed
from ray_jobs.root import read_root, read_samples
from ray_jobs.runs import RunRecord, ended, newest_run, open_deciding_run
from ray_jobs.sealing import PlannedShard, PublishError, newest_plan, note_key, planned_shards, seal, sealed
from schemas import release, shards
from schemas.config import ConfigError, nearest
from schemas.records import Artifact, release_path
from schemas.shards import WrittenShard

_CHUNK = 1 << 20


@dataclass
class Regenerated:
    """What a call did."""

    parts: dict[str, bool] = field(default_factory=dict)
    """Parts that were written: whether their bytes are those that the release had."""
    from_release: list[str] = field(default_factory=list)
    """Artifacts that were taken back from a preview or a tar part."""
    previews: list[str] = field(default_factory=list)
    """Previews that are back, by path in the release."""
    remade: Remade = field(default_factory=Remade)

    def __str__(self) -> str:
        lines = [
            f"{path}: written, {'the same bytes' if same else 'new bytes'}"
            for path, same in self.parts.items()
        ]
        lines += [f"{key}: taken back from the release" for key in self.from_release]
        lines += [f"{key}: made again, the same bytes" for key in self.remade.same]
        lines += [f"{path}: again a preview of its artifact" for path in self.previews]
        lines += [f"new generation: {words}" for words in self.remade.changed]
        lines += [f"not made: {words}" for words in self.remade.failed]
        return "\n".join(lines) or "nothing is missing or broken"


@dataclass(frozen=True)
class _Kept:
    """A member of a part, and the artifact that it is."""

    part: PlannedShard
    index: int
    theme: str
    column: str
    sample: str
    artifact: Artifact


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
            for kept in _members(checked)
            if kept.sample not in removed and not _there(store, kept, exactly=broken or kept.part in chosen)
        ]
        left = [kept for kept in gone if not _from_release(store, kept, result)]
        if left:
            _remake(store, record, left, result, through)
        if not result.remade.changed:
            _write(store, parts, chosen, result, report, whole=whole)
            if named is None:
                _link_previews(store, parts, before.run_config().release.previews, broken, result)
        summary["parts"] = len(result.parts)
    if result.remade.changed:
        for part in chosen:
            _take_away(store, part)
        done = publish(root, config=before.run_config(), report=report, repack=False)
        result.parts |= dict.fromkeys((part.path for part in chosen), False)
        report(str(done))
    elif not whole and not result.remade.failed:
        report(str(publish(root, config=before.run_config(), report=report, repack=False)))
    return result


def _named(parts: Sequence[PlannedShard], shard: str | None, sample: str | None) -> list[PlannedShard]:
    if shard is not None:
        path = shard.removeprefix("release/")
        found = [part for part in parts if path in (part.path, Path(part.path).name)]
        if not found:
            raise ConfigError(f"--shard {shard}: no such part{nearest(path, [part.path for part in parts])}")
        return found
    found = [part for part in parts if any(kept.sample == sample for kept in _members([part]))]
    if not found:
        raise ConfigError(f"--sample {sample}: in no part of the release; only accepted samples are")
    return found


def _members(parts: Iterable[PlannedShard]) -> Iterable[_Kept]:
    for part in parts:
        place = release.classify(part.path)
        if place is None:
            raise PublishError(f"the plan names {part.path}, which is no part of a release")
        for index, (member, key) in enumerate(zip(part.members, part.keys, strict=True)):
            artifact = Artifact(place.kind, key, member.size_bytes, member.sha256)
            yield _Kept(part, index, place.theme, place.kind, Path(member.name).stem, artifact)


def _whole(store: Store, part: PlannedShard, exactly: bool) -> bool:
    """Whether a part is in the release, by its note and size, or by every byte."""
    written = sealed(store, part)
    if written is None or not exactly:
        return written is not None
    return intact(store, Artifact("", f"release/{part.path}", written.size_bytes, written.sha256))


def _there(store: Store, kept: _Kept, exactly: bool) -> bool:
    return intact(store, kept.artifact) if exactly else store.exists(kept.artifact.path)


def _from_release(store: Store, kept: _Kept, result: Regenerated) -> bool:
    """Take an artifact back from the release, if its bytes are there unharmed."""
    artifact = kept.artifact
    preview = f"release/{release_path(kept.column, kept.sample, kept.theme)}"
    if intact(store, Artifact(kept.column, preview, artifact.size_bytes, artifact.sha256)):
        store.delete(artifact.path)
        store.link_if_absent(artifact.path, preview)
        result.from_release.append(artifact.path)
        return True
    with store.scratch() as scratch:
        path = Path(scratch) / "member"
        if not _cut_out(store, kept, path):
            return False
        store.delete(artifact.path)
        store.put_file_if_absent(artifact.path, path)
    if store.exists(preview):  # the damaged file under its other name
        store.delete(preview)
        store.link_if_absent(preview, artifact.path)
    result.from_release.append(artifact.path)
    return True


def _cut_out(store: Store, kept: _Kept, path: Path) -> bool:
    """Write a member of a part to `path`; False unless the part has exactly its bytes there."""
    sizes = np.array([member.size_bytes for member in kept.part.members], np.int64)
    offset, left = int(shards.data_offsets(sizes)[kept.index]), kept.artifact.size_bytes
    digest = hashlib.sha256()
    try:
        with store.open_read(f"release/{kept.part.path}") as file, path.open("wb") as out:
            while offset and (
                passed := file.read(min(offset, _CHUNK))
            ):  # a stream from a bucket does not seek
                offset -= len(passed)
            while left and (chunk := file.read(min(left, _CHUNK))):
                left -= len(chunk)
                digest.update(chunk)
                out.write(chunk)
    except KeyError:
        return False
    return not left and digest.hexdigest() == kept.artifact.sha256


def _remake(
    store: Store, record: RunRecord, left: Sequence[_Kept], result: Regenerated, through: Through | None
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
    result: Regenerated,
    report: Report,
    *,
    whole: bool,
) -> None:
    """Write the chosen parts, one after the other, and the index of all; not where it was missing before,
    since it says that everything else is there too.
    """
    chosen = [part for part in chosen if _can_be_made(store, part, result)]
    if not chosen:
        return
    before = {part.path: sealed(store, part) or _indexed(store, part) for part in chosen}
    for part in chosen:
        _take_away(store, part)
    written: dict[str, WrittenShard] = {}
    for part in parts:
        there = sealed(store, part)
        if there is None and part not in chosen and not _can_be_made(store, part, result):
            continue
        written[part.path] = there or seal(store, part)
        if there is None:
            result.parts[part.path] = before.get(part.path) in (None, written[part.path])
            report(f"{part.path}: {len(part.members)} samples, {written[part.path].size_bytes:,} bytes")
    if whole and len(written) == len(parts):
        ReleaseFolder(store, report).finish((part.path, written[part.path], part.members) for part in parts)


def _link_previews(
    store: Store, parts: Sequence[PlannedShard], count: int, exactly: bool, result: Regenerated
) -> None:
    """Link the previews that are missing or not their artifacts: the first `count` samples of every theme.

    The index stays meanwhile: it claims nothing that it did not claim before.
    """
    seen: Counter[tuple[str, str]] = Counter()
    for kept in _members(parts):
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


def _can_be_made(store: Store, part: PlannedShard, result: Regenerated) -> bool:
    """Whether all artifacts of a part are there; a part is not taken away before."""
    lacking = [key for key in part.keys if not store.exists(key)]
    if lacking:
        words = f"{part.path}: {len(lacking)} of its artifacts are gone, first {lacking[0]}"
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
