"""Size and SHA-256 of a release's files other than tar parts and previews, as the journal records them.

What a reader gets wrong: a file is recorded by who wrote it, or has just compared it with what it would
write. A digest of whatever lies there would bless the damage that `verify` looks for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import BinaryIO

from actors.store import Store

FILES = "journal/release_files.json"
"""By path in the release. Not in the folder of the parts' notes, where every file is a part's."""


@dataclass(frozen=True)
class Content:
    """What tells a file's bytes from others."""

    size_bytes: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.size_bytes} bytes with SHA-256 {self.sha256}"


def content_of(file: BinaryIO) -> Content:
    """Of an open file, read once to its end."""
    digest = hashlib.sha256()
    size = 0
    while chunk := file.read(1 << 20):
        digest.update(chunk)
        size += len(chunk)
    return Content(size, digest.hexdigest())


def record_bytes(files: Mapping[str, Content]) -> bytes:
    record = {path: asdict(content) for path, content in files.items()}
    return json.dumps(record, indent=1, sort_keys=True).encode() + b"\n"


def read_record(store: Store) -> dict[str, Content]:
    """What the last publish recorded; empty where it was one that kept no record.

    Raises:
        ValueError: it is damaged.
    """
    try:
        data = store.get_bytes(FILES)
    except (KeyError, FileNotFoundError):
        return {}
    try:
        return {path: Content(said["size_bytes"], said["sha256"]) for path, said in json.loads(data).items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no record of files: {error!r}") from None
