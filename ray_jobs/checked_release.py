"""A release while `verify` checks it: its files, what its tables say, and the faults so far.

What a reader gets wrong: `complete` is not a finding but a demand: whether a missing file is a fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from actors.store import Store
from ray_jobs.release_files import Content
from schemas import release
from schemas.release import Place


class VanishedError(Exception):
    """A file that was listed is gone, as beside a `publish`."""


@dataclass(frozen=True, order=True)
class Fault:
    """Something that is not as it should be: in which file of the release, and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass
class Theme:
    """What the CSV and the manifest say of one theme; None where there is no such file."""

    prompts: dict[str, str] | None = None
    digests: dict[str, dict[str, str]] = field(default_factory=dict)
    """By kind and sample, from the manifest."""
    measured: dict[str, dict[str, float]] = field(default_factory=dict)
    """By gate column and sample, from the manifest."""
    num_frames: dict[str, int] = field(default_factory=dict)


@dataclass
class Release:
    """A release that is being checked: what is there, what is known of it, and the faults so far."""

    store: Store
    below: str
    """Folder of the release in the store."""
    complete: bool
    """Whether every file must be there."""
    places: dict[str, Place] = field(default_factory=dict)
    themes: dict[str, Theme] = field(default_factory=dict)
    recorded: dict[str, Content] = field(default_factory=dict)
    """What the publish says that it wrote, by path; empty where no record is."""
    faults: list[Fault] = field(default_factory=list)

    def key(self, path: str) -> str:
        """Key in the store of a file of the release."""
        return f"{self.below}/{path}"

    def open(self, path: str) -> BinaryIO:
        """A file to read once from its beginning, not copied from a bucket. Raises VanishedError."""
        try:
            return self.store.open_read(self.key(path))
        except (KeyError, FileNotFoundError):
            raise VanishedError from None

    def size_bytes(self, path: str) -> int:
        """Raises VanishedError."""
        try:
            return self.store.size_bytes(self.key(path))
        except (KeyError, FileNotFoundError):
            raise VanishedError from None

    @contextmanager
    def unless_gone(self, path: str) -> Iterator[None]:
        """What is done with a file; where it vanishes, that is a fault and the rest is left out."""
        try:
            yield
        except VanishedError:
            self.fault(path, "vanished while it was read; is a job that writes at work?")

    def fault(self, path: str, message: str) -> None:
        self.faults.append(Fault(path, message))

    def expect(self, path: str) -> bool:
        """Whether a file is there; in a complete release it must be."""
        if path in self.places:
            return True
        if self.complete:
            reason = " (the last publish did not finish)" if path == release.SHARD_INDEX else ""
            self.fault(path, f"missing{reason}")
        return False

    def table(self, path: str, schema: pa.Schema, newest: int, full: Iterable[str]) -> pa.Table | None:
        """The columns of `schema` in a Parquet file of unknown origin, with these types.

        None with a fault when it is unreadable, of other columns or types, of a newer schema version than
        `newest`, or when a column of `full` has gaps.

        Raises:
            VanishedError: it is gone.
        """
        try:
            file = self.store.local_path(self.key(path))
        except KeyError:
            raise VanishedError from None
        try:
            table = pq.read_table(file, columns=schema.names, partitioning=None)
            table.validate(full=True)
            version = int((table.schema.metadata or {}).get(b"schema_version", b"0"))
            table = table.select(schema.names).cast(schema)
        except FileNotFoundError:
            raise VanishedError from None
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            self.fault(path, f"unreadable: {str(error).splitlines()[0]}")
            return None
        if version > newest:
            self.fault(path, f"schema version {version}, this software knows up to {newest}")
            return None
        if gaps := [name for name in full if table[name].null_count]:
            self.fault(path, f"unreadable: {', '.join(gaps)} should be there in every row")
            return None
        return table
