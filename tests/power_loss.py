"""Loss of power: which file operations of a job are on the disk at any moment, and disks that may be left.

What a reader gets wrong: POSIX promises less than file systems keep. A file's bytes are on the disk after an
fsync of the file; its name, and that it is gone, after an fsync of the folder; the folder's own name after an
fsync of the folder above. Here nothing else is.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from actors.store import LocalStore

Event = list[Any]
"""What happened, the path below the root, and what else there is to know."""
_PUTS = ("put_file_if_absent", "put_bytes_if_absent", "put_stream_if_absent", "link_if_absent")


def vault_of(root: Path) -> Path:
    """Where every file that got a name is kept, and the list of events."""
    return root.with_name(f"{root.name}.vault")


def recorded(root: Path, job: Callable[[Path], None]) -> None:
    """Run the job and note what it does to the files of the root; in a process that ends with it."""
    vault = vault_of(root)
    vault.mkdir()
    recorder = _Recorder(root, vault)
    recorder.install()
    job(root)
    (vault / "events.json").write_text(json.dumps(recorder.events))


def events_of(root: Path) -> list[Event]:
    found: list[Event] = json.loads((vault_of(root) / "events.json").read_text())
    return found


class _Recorder:
    def __init__(self, root: Path, vault: Path) -> None:
        self.root, self.vault = root, vault
        self.events: list[Event] = []
        self.synced = {path.stat().st_ino for path in root.rglob("*") if path.is_file()}
        self.lock = threading.RLock()
        self.link_now = os.link

    def install(self) -> None:
        link, remove, mkdir = os.link, os.unlink, os.mkdir

        def after(make: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                with self.lock:
                    result = make(*arguments, **options)
                    note(*arguments)
                    return result

            return call

        os.link = after(link, self._linked)
        os.unlink = os.remove = after(remove, partial(self._named, "remove"))
        os.mkdir = after(mkdir, partial(self._named, "mkdir"))
        os.fsync = self._fsync  # type: ignore[assignment]  # what takes a file object too
        for name in _PUTS:
            setattr(LocalStore, name, self._returning(getattr(LocalStore, name), "put"))
        LocalStore.delete = self._returning(LocalStore.delete, "delete")  # type: ignore[method-assign]

    def _returning(self, call: Callable[..., Any], what: str) -> Callable[..., Any]:
        def wrapped(store: LocalStore, key: str, *rest: Any) -> Any:
            result = call(store, key, *rest)
            with self.lock:
                self.events.append(["returned", key, what])
            return result

        return wrapped

    def _path(self, path: Any) -> str | None:
        whole = os.path.abspath(os.fsdecode(path))
        below = whole.removeprefix(f"{self.root}/")
        return None if below == whole or below.split("/")[0] == "scratch" else below

    def _linked(self, source: Any, target: Any, **rest: Any) -> None:
        if path := self._path(target):
            number = len(self.events)
            self.link_now(target, self.vault / str(number))
            self.events.append(["link", path, number, os.stat(target).st_ino in self.synced])

    def _named(self, what: str, path: Any, *rest: Any, **options: Any) -> None:
        if found := self._path(path):
            self.events.append([what, found])

    def _fsync(self, descriptor: int) -> None:
        with self.lock:
            there = os.fstat(descriptor)
            if not stat.S_ISDIR(there.st_mode):
                self.synced.add(there.st_ino)
                return
            folder = os.readlink(f"/proc/self/fd/{descriptor}")
            if folder == str(self.root):
                self.events.append(["sync", ""])
            elif path := self._path(folder):
                self.events.append(["sync", path])


@dataclass
class Disk:
    """Names that are on the disk, and changes of names that are not yet."""

    names: dict[str, Path | None]
    """By path: the file, None for a folder. A file of an empty path was written and not synced."""
    pending: list[tuple[str, Path | None, bool]] = field(default_factory=list)
    """Path, file and whether the name appears or goes, in their order."""

    def apply(self, event: Event, vault: Path) -> None:
        what, path = event[:2]
        if what == "sync":
            for change in [c for c in self.pending if _folder(c[0]) == path]:
                self._settle(change)
                self.pending.remove(change)
        elif what == "link":
            self.pending.append((path, vault / str(event[2]) if event[3] else Path(), True))
        elif what == "mkdir":
            self.pending.append((path, None, True))
        elif what == "remove":
            self.pending.append((path, None, False))

    def _settle(self, change: tuple[str, Path | None, bool]) -> None:
        path, file, appears = change
        if appears:
            self.names[path] = file
        else:
            self.names.pop(path, None)

    def left(self, survives: Callable[[bool], bool]) -> dict[str, Path | None]:
        """The names after the power is lost: of what is pending, appearances and disappearances survive as
        `survives` says.
        """
        disk = Disk(dict(self.names))
        for change in self.pending:
            if survives(change[2]):
                disk._settle(change)
        return {path: file for path, file in disk.names.items() if _reachable(path, disk.names)}


LOSSES: dict[str, Callable[[bool], bool]] = {
    "nothing": lambda appears: False,
    "names that appeared": lambda appears: appears,
    "names that went": lambda appears: not appears,
}
"""What survives of the changes that were not synced."""


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _reachable(path: str, names: dict[str, Path | None]) -> bool:
    folder = _folder(path)
    return not folder or (folder in names and _reachable(folder, names))


def disk_of(root: Path) -> Disk:
    """A root that lies there since long."""
    return Disk(
        {
            path.relative_to(root).as_posix(): path if path.is_file() else None
            for path in root.rglob("*")
            if path.relative_to(root).parts[0] != "scratch"
        }
    )


def early_returns(before: Path, root: Path) -> list[str]:
    """Calls of the store that returned before what they did was on the disk."""
    disk, faults = disk_of(before), []
    for event in events_of(root):
        if event[0] == "link" and not event[3]:
            faults.append(f"{event[1]} got its name before its bytes were synced")
        if event[0] != "returned":
            disk.apply(event, vault_of(root))
            continue
        key, what = event[1:]
        above = {key, *(str(folder) for folder in Path(key).parents)} if what == "put" else {key}
        late = sorted({path for path, _, _ in disk.pending} & above)
        faults += [f"{what} of {key} returned, {path} is not synced" for path in late]
    return faults


def disks_left(before: Path, root: Path, every: int = 1) -> Iterator[tuple[str, dict[str, Path | None]]]:
    """Every disk that a loss of power may leave, after each `every`-th operation: when, and its files."""
    disk, seen = disk_of(before), list[dict[str, Path | None]]()
    events = [event for event in events_of(root) if event[0] != "returned"]
    for number, event in enumerate(events):
        disk.apply(event, vault_of(root))
        if number % every:
            continue
        for what, survives in LOSSES.items():
            left = disk.left(survives)
            if left not in seen[-len(LOSSES) :]:
                seen.append(left)
                yield f"after {event[0]} {event[1]}, of the rest {what}", left


def written(names: dict[str, Path | None], root: Path) -> Path:
    """The disk as a folder."""
    root.mkdir()
    for path in sorted(names):
        file, target = names[path], root / path
        if file is None:
            target.mkdir(exist_ok=True)
        elif file == Path():
            target.touch()
        else:
            os.link(file, target)
    return root
