"""The job `verify`: check a release file by file and name every fault.

What a reader gets wrong: a root's own release must be complete, a downloaded copy need not be. There, what
is missing is no fault (a data set is downloaded by theme or by kind), and what is there must agree.
"""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from actors.store import LocalStore, StoreError, is_root, open_store
from ray_jobs.checked_release import Fault, Release
from ray_jobs.release_files import FILES, content_of, read_record
from ray_jobs.removals import read_removed
from ray_jobs.remove import artifacts_of
from ray_jobs.root import read_samples
from ray_jobs.runs import newest_run
from ray_jobs.sealing import PLANS, newest_plan
from ray_jobs.verify_media import MediaChecks
from ray_jobs.verify_words import WordChecks
from schemas import release


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
    if checked.complete and release.SHARD_INDEX in checked.places:
        _as_written(checked)
    WordChecks(checked, _planned_themes(checked)).run()
    record = newest_run(checked.store) if checked.complete else None
    media = MediaChecks(checked, record.run_config().release.previews if record else 0)
    media.run()
    if checked.complete:
        _taken_down(checked)
        if media.index is not None:
            _as_planned(checked, media.index)
    return sorted(set(checked.faults))


def _as_written(checked: Release) -> None:
    """Files with other bytes than the newest publish recorded; a release without a record is only parsed."""
    try:
        checked.recorded = read_record(checked.store)
    except ValueError as error:
        checked.fault(f"../{FILES}", f"unreadable: {error}; `publish` writes it again")
    for path, wrote in checked.recorded.items():
        if not checked.expect(path):
            continue
        with checked.unless_gone(path):
            with checked.open(path) as file:
                found = content_of(file)
            if found != wrote:
                checked.fault(
                    path,
                    f"other bytes than the publish wrote: {found} instead of {wrote}; "
                    "`publish` puts them back",
                )


def _planned_themes(checked: Release) -> set[str]:
    """Themes that must be there: those that were recorded, or else those of the planned samples; in a copy
    none.
    """
    places = filter(None, map(release.classify, checked.recorded))
    if themes := {place.theme for place in places if place.theme}:
        return themes
    return set(read_samples(checked.store)["edit_type"].to_pylist()) if checked.complete else set()


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
        plan.validate(full=True)
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
