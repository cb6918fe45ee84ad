"""The artifact store and the journal's files: one root, one writing primitive.

What a reader gets wrong: nothing is ever overwritten. `put_*_if_absent` is the only way in; the first writer
wins, and the loser is told what is there. Never check-then-write.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from actors.hashing import HashingThread, write_all
from schemas.shards import Chunk

MARKER = "sparkle-root.json"
"""Present in every root; a folder that holds other things and no marker is not ours."""


LAYOUT = 1
"""Of the folders in a root, as the marker says; another one is refused, not guessed at."""


class StoreError(Exception):
    """The root cannot be used: not ours, not writable, full. The message says which and where."""


class NotARootError(StoreError):
    """What was named as root is none and cannot become one, or holds no run where one is needed."""


@dataclass(frozen=True)
class Stored:
    """What is stored under a key now. `won` is False when somebody else's bytes were there first."""

    key: str
    size_bytes: int
    sha256: str
    won: bool


class Store(Protocol):
    """Files below one root, by `/`-separated keys."""

    @property
    def uri(self) -> str: ...
    def put_file_if_absent(self, key: str, path: Path) -> Stored:
        """Move the file at `path` to `key` unless something is there; `path` is gone afterwards."""
        ...

    def put_bytes_if_absent(self, key: str, data: bytes) -> Stored: ...
    def put_stream_if_absent(self, key: str, chunks: Iterable[Chunk]) -> Stored:
        """Put what `chunks` gives, hashed while it goes by; never the whole of it in memory.

        The key appears whole or not at all: an error of `chunks` is raised on and leaves nothing under the
        key. Chunks must not change after they were given; any sizes, best about a MiB each.
        """
        ...

    def link_if_absent(self, key: str, existing: str) -> Stored:
        """Give the content of `existing` a second key without copying where the store can.

        KeyError when there is nothing under `existing`.
        """
        ...

    def get_bytes(self, key: str) -> bytes:
        """KeyError when there is nothing under the key."""
        ...

    def open_read(self, key: str) -> BinaryIO:
        """The content from its first byte on, to be read once and closed. KeyError when there is nothing."""
        ...

    def size_bytes(self, key: str) -> int:
        """Size of what is stored. KeyError when there is nothing."""
        ...

    def local_path(self, key: str) -> Path:
        """A local file to read from now: of a bucket it is a copy, which stays for an hour after it was last
        asked for. KeyError when there is nothing.
        """
        ...

    def local_paths(self, keys: Iterable[str]) -> Iterator[Path]:
        """`local_path` of each, in their order; of a bucket several come at once, ahead of their turn."""
        ...

    def exists(self, key: str) -> bool: ...
    def keys(self, prefix: str) -> Iterator[str]:
        """All keys below a folder (`prefix` without a trailing slash), sorted; none where there is no such
        folder. A folder that cannot be read is an error: what is not seen would count as not there.
        """
        ...

    def delete(self, key: str) -> None:
        """Forget a key for good; nothing happens when it is not there."""
        ...

    def delete_all(self, keys: Iterable[str]) -> None:
        """Forget many keys, in any order; an error or a loss of power may leave some of them."""
        ...

    def scratch(self) -> tempfile.TemporaryDirectory[str]:
        """A folder for files about to be put; local, and removed by its context."""
        ...

    def clear_scratch(self) -> None:
        """Remove what killed workers left; only the run that holds the root may."""
        ...

    def refuse_other_things(self) -> None:
        """Writes nothing. Raises NotARootError where this is no root and holds other things."""
        ...

    def claim(self, marker: bytes) -> None:
        """Make this place a root by its marker; of one that is a root already, find out whether it can be
        written, where that costs nothing.

        Raises:
            NotARootError: other things are there.
            StoreError: it cannot be written.
        """
        ...


def open_store(uri: str) -> Store:
    """The store at a folder or at `s3://bucket/prefix`. Raises NotARootError for anything else."""
    if uri.startswith("s3://"):
        from actors.s3_store import S3Store  # boto3 takes 0.3 s to import

        return S3Store(uri)
    if "://" in uri and not uri.startswith("file://"):
        raise NotARootError(f"{uri}: a root is a local folder or s3://bucket/prefix")
    folder = uri.removeprefix("file://")
    if not folder:  # to Path it is the working directory
        raise NotARootError("no root is named: it is a local folder or s3://bucket/prefix")
    return LocalStore(Path(folder))


def checked_key(key: str) -> str:
    """The key in its plain spelling (`a/b` for `a//./b`).

    Raises:
        ValueError: it is no relative path, or leads out of its root.
    """
    parts = PurePosixPath(key).parts
    if not parts or key.startswith("/") or ".." in parts or "\0" in key:
        raise ValueError(f"{key!r} is not a key: it must be a relative path without `..`")
    return "/".join(parts)


class LocalStore:
    """A root on a local or shared file system with atomic hard links."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._durable: set[Path] = set()
        """Folders whose names this process has written through to the disk."""

    @property
    def uri(self) -> str:
        return str(self.root)

    def put_file_if_absent(self, key: str, path: Path) -> Stored:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        return self._link(path, key, path.stat().st_size, digest)

    def put_bytes_if_absent(self, key: str, data: bytes) -> Stored:
        with self.scratch() as folder:
            path = Path(folder) / "part"
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            return self._link(path, key, len(data), hashlib.sha256(data).hexdigest())

    def put_stream_if_absent(self, key: str, chunks: Iterable[Chunk]) -> Stored:
        with self.scratch() as folder, HashingThread() as digest:
            path = Path(folder) / "stream"
            size = 0
            with path.open("wb", buffering=0) as file:
                for chunk in chunks:
                    digest.update(chunk)
                    size += write_all(file, chunk)
                os.fsync(file.fileno())
            return self._link(path, key, size, digest.hexdigest())

    def link_if_absent(self, key: str, existing: str) -> Stored:
        there = self.local_path(existing)
        with self.scratch() as folder:
            path = Path(folder) / "link"
            try:
                os.link(there, path)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EMLINK, errno.EXDEV):
                    raise
                shutil.copyfile(there, path)
            return self.put_file_if_absent(key, path)

    def get_bytes(self, key: str) -> bytes:
        return self.local_path(key).read_bytes()

    def open_read(self, key: str) -> BinaryIO:
        return self.local_path(key).open("rb")

    def size_bytes(self, key: str) -> int:
        return self.local_path(key).stat().st_size

    def local_path(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise KeyError(f"nothing is stored under {key} in {self.root}")
        return path

    def local_paths(self, keys: Iterable[str]) -> Iterator[Path]:
        return map(self.local_path, keys)

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def keys(self, prefix: str) -> Iterator[str]:
        keys = [
            (Path(parent) / name).relative_to(self.root).as_posix()
            for parent, _, files in os.walk(self._path(prefix), onerror=_unless_vanished)
            for name in files
            if not name.startswith(".")  # NFS calls a file so that was deleted while it was read: `.nfs0123`
        ]
        yield from sorted(keys)

    def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            path.unlink()
        except FileNotFoundError:
            return
        _sync(path.parent)

    def delete_all(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._path(key).unlink(missing_ok=True)

    def scratch(self) -> tempfile.TemporaryDirectory[str]:
        folder = self.root / "scratch"  # on the root's file system, since links do not cross one
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=folder)

    def clear_scratch(self) -> None:
        shutil.rmtree(self.root / "scratch", ignore_errors=True)

    def refuse_other_things(self) -> None:
        if self.exists(MARKER):
            return
        if self.root.exists() and not self.root.is_dir():
            raise NotARootError(f"{self.uri} is a file; the output root must be a folder")
        if self.root.is_dir() and any(entry.name != "scratch" for entry in self.root.iterdir()):
            raise NotARootError(
                f"{self.uri} holds other files and no {MARKER}; choose an empty or new folder as output root"
            )

    def claim(self, marker: bytes) -> None:
        if self.exists(MARKER):
            return
        self.refuse_other_things()
        try:
            self.put_bytes_if_absent(MARKER, marker)
        except OSError as error:
            raise StoreError(f"{self.uri} cannot be written: {error.strerror}") from None

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)

    def _link(self, path: Path, key: str, size_bytes: int, digest: str) -> Stored:
        target = self._path(key)
        self._make_folder(target.parent)
        try:
            os.link(path, target)
        except FileExistsError:
            with target.open("rb") as file:
                there = hashlib.file_digest(file, "sha256").hexdigest()
            path.unlink()
            _sync(target.parent)  # the answer becomes a record, and the first writer may not be so far yet
            return Stored(key, target.stat().st_size, there, won=False)
        path.unlink()
        _sync(target.parent)
        return Stored(key, size_bytes, digest, won=True)

    def _make_folder(self, folder: Path) -> None:
        """A folder whose name survives a loss of power: it stands in the folder above, and so on up to the
        root. Once a process and folder, since another process may have made it a moment ago.
        """
        folder.mkdir(parents=True, exist_ok=True)
        while folder not in self._durable and folder != self.root:
            _sync(folder.parent)
            self._durable.add(folder)
            folder = folder.parent


def _unless_vanished(error: OSError) -> None:
    """For `os.walk`, which takes a folder that it cannot read for an empty one."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _sync(folder: Path) -> None:
    """Write the names in a folder through to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_root(uri: str, *, create: bool) -> Store:
    """The store at a root of ours.

    Raises:
        NotARootError: the place holds other things, or (with `create=False`) is no root.
        StoreError: it cannot be reached or written.
    """
    if create:
        store = root_to_be(uri)
        store.claim(json.dumps({"layout": LAYOUT}).encode() + b"\n")
        return store
    store = open_store(uri)
    if not is_root(store):
        raise NotARootError(f"{uri} is not an output root of this pipeline: {MARKER} is missing")
    _refuse_other_layout(store)
    return store


def root_to_be(uri: str) -> Store:
    """The store at a root of ours, or at a place that can become one; writes nothing.

    Raises:
        NotARootError: the place holds other things.
        StoreError: it cannot be reached.
    """
    store = open_store(uri)
    if is_root(store):
        _refuse_other_layout(store)
    else:
        store.refuse_other_things()
    return store


def is_root(store: Store) -> bool:
    """Whether the marker is there. Raises StoreError for a bucket that is not."""
    try:
        store.get_bytes(MARKER)  # a bucket that is missing is told from a key that is by reading only
    except KeyError:
        return False
    return True


def _refuse_other_layout(store: Store) -> None:
    try:
        layout = json.loads(store.get_bytes(MARKER))["layout"]
    except (ValueError, KeyError, TypeError):
        raise StoreError(f'{store.uri}/{MARKER} is damaged; it should hold {{"layout": {LAYOUT}}}') from None
    if layout != LAYOUT:
        raise StoreError(
            f"{store.uri} has layout {layout}, this software knows layout {LAYOUT}: it is of a newer version"
        )
