"""Local copies of S3 objects: one a machine for all its worker processes, bounded in size.

What a reader gets wrong: a copy is never trusted by its name. S3 is asked each time, by the copy's ETag, and
answers 304 without sending the content again; so a key that was deleted or made anew is noticed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

from actors import s3
from actors.s3_upload import SHA256
from actors.store import StoreError

MAX_BYTES = 16 << 30
"""Of all copies of one user on one machine, and at most a quarter of the disk."""
KEEP_S = 3600.0
"""A copy that somebody asked for within this time stays, whatever the bound says: its path was given away."""
_SUFFIX = re.compile(r"\.\w{1,8}")


def machine_folder(name: str) -> Path:
    """A folder of this user on this machine, below TMPDIR.

    Raises:
        StoreError: somebody else made it.
    """
    base = Path(tempfile.gettempdir()) / f"sparkle-s3-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise StoreError(f"{base} is not a folder of this user; set TMPDIR to another place")
    folder = base / name
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def check_content(bucket: str, key: str, found: s3.Downloaded) -> None:
    """StoreError unless the bytes are those that their writer uploaded, where it knew them before."""
    expected = found.metadata.get(SHA256)
    if expected not in (None, found.sha256):
        raise StoreError(
            f"s3://{bucket}/{key}: {found.size_bytes} bytes with SHA-256 {found.sha256}, "
            f"its writer uploaded {expected}: damaged on the way or in the bucket"
        )


class Copies:
    """Copies of the objects of one bucket, in a folder that may hold those of others too."""

    def __init__(self, client: Any, bucket: str, folder: Path, max_bytes: int | None = None) -> None:
        self._client = client
        self._bucket = bucket
        self._folder = folder
        self._max_bytes = max_bytes or min(MAX_BYTES, shutil.disk_usage(folder).total // 4)
        self._since_look = 0

    def path(self, key: str) -> Path:
        """A copy of what is stored under the object's whole key now, whose bytes were checked when it came.

        Raises:
            ClientError, BotoCoreError: as boto3 does.
            StoreError: the bytes are not those that their writer uploaded.
        """
        place = self._folder / hashlib.sha256(f"{self._bucket}/{key}".encode()).hexdigest()[:32]
        there = self._newest(place)
        etag = None if there is None else bytes.fromhex(there.name.split(".")[0]).decode()
        place.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix="coming-", delete=False) as file:
            coming = Path(file.name)
            try:
                found = s3.download(self._client, self._bucket, key, file, unless_etag=etag)
                check_content(self._bucket, key, found)
                file.flush()
                target = place / f"{found.etag.encode().hex()}{_suffix(key)}"
                coming.replace(target)
            except ClientError as error:
                if there is not None and s3.status_of(error) == 304:
                    return there
                raise
            finally:
                coming.unlink(missing_ok=True)
        self._since_look += found.size_bytes
        if self._since_look > self._max_bytes // 16:
            self.drop_old()
        return target

    def _newest(self, place: Path) -> Path | None:
        """The copy that came last; touched, so that nobody drops it while its path is being given away."""
        try:
            copies = [(entry.stat().st_mtime, entry.path) for entry in os.scandir(place)]
            path = Path(max(copies)[1])
            os.utime(path)
        except (FileNotFoundError, ValueError):
            return None
        return path

    def drop_old(self) -> None:
        """Drop the copies that were asked for longest ago until the rest is within the bound."""
        self._since_look = 0
        copies = sorted(_files(self._folder))
        total = sum(size for _, size, _ in copies)
        for used, size, path in copies:
            if total <= self._max_bytes or used > time.time() - KEEP_S:
                return
            Path(path).unlink(missing_ok=True)
            total -= size


def _files(folder: Path) -> Iterator[tuple[float, int, str]]:
    """Time of last use, size, path; copies that another process drops meanwhile are passed over."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            try:
                found = os.stat(path)
            except FileNotFoundError:
                continue
            yield found.st_mtime, found.st_size, path


def _suffix(key: str) -> str:
    suffix = PurePosixPath(key).suffix
    return suffix if _SUFFIX.fullmatch(suffix) else ""
