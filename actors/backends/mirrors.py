"""S3 mirrors of checkpoints, copied once into the cache of this machine.

What a reader gets wrong: the copy is named by a digest of the mirror's listing, so a changed mirror is copied
anew, and a copy is there whole or not at all: it is made beside its place and renamed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from actors.backends.checkpoints import LOADED, MIRROR, CheckpointError, cache_folder

_AT_ONCE = 8  # files: weights come in parts of 5 GB, and one stream of S3 gives about 0.1 GB/s
_PIECE = 8 << 20


@dataclass(frozen=True)
class _Object:
    key: str
    name: str
    """Relative path in the copy, checked."""
    size: int
    etag: str


def copied_mirror(uri: str) -> Path:
    """The local copy of `s3://bucket/prefix`, made now if it is not there.

    Takes files of `LOADED` only. Credentials and endpoint are boto3's own (AWS_* variables, profiles, roles).

    Raises:
        CheckpointError: nothing there, an unusable name, no room, or the store's own error.
    """
    bucket, _, prefix = uri.removeprefix(MIRROR).partition("/")
    prefix = prefix.strip("/")
    if not bucket or not prefix:
        raise CheckpointError(f"{uri}: a mirror is s3://bucket/prefix")
    client = boto3.client("s3")
    try:
        objects = _listed(client, uri, bucket, prefix)
        folder = _place(bucket, prefix, objects)
        with _alone(folder):
            if not folder.is_dir():
                _copy(client, bucket, objects, folder)
    except (BotoCoreError, ClientError) as error:
        raise CheckpointError(f"{uri} cannot be read: {error}") from None
    return folder


def _listed(client: Any, uri: str, bucket: str, prefix: str) -> list[_Object]:
    found = [
        _Object(item["Key"], item["Key"].removeprefix(f"{prefix}/"), item["Size"], item["ETag"])
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        for item in page.get("Contents", ())
        if PurePosixPath(item["Key"]).suffix in LOADED
    ]
    if not found:
        raise CheckpointError(f"{uri} holds no {', '.join(LOADED)} files")
    for item in found:
        if not is_plain_path(item.name):
            raise CheckpointError(f"{uri} holds {item.name!r}, which is no plain relative path")
    return sorted(found, key=lambda item: item.name)


def is_plain_path(name: str) -> bool:
    """Whether a name, joined to a folder, stays inside it on every system; hidden parts are refused too."""
    parts = name.split("/")
    return (
        all(part and not part.startswith(".") for part in parts)
        and "\\" not in name
        and ":" not in name
        and name.isprintable()
    )


def _place(bucket: str, prefix: str, objects: list[_Object]) -> Path:
    listing = "\n".join(f"{item.name}\t{item.size}\t{item.etag}" for item in objects)
    digest = hashlib.sha256(f"{bucket}/{prefix}\n{listing}".encode()).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{bucket}-{prefix}")[-60:].strip(".-")
    return cache_folder() / "mirrors" / f"{readable}-{digest[:16]}"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One copy at a time on this machine; the lock goes with the process that holds it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _copy(client: Any, bucket: str, objects: list[_Object], folder: Path) -> None:
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a copy that was killed; the lock says nobody else makes one
    need, room = sum(item.size for item in objects), shutil.disk_usage(folder.parent).free
    if need > room:
        raise CheckpointError(
            f"the mirror takes {need / 2**30:.1f} GiB, {folder.parent} has {room / 2**30:.1f} GiB left; "
            "SPARKLE_CACHE names another folder"
        )
    for item in objects:
        (part / item.name).parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda item: _copy_one(client, bucket, item, part / item.name), objects))
    part.rename(folder)


def _copy_one(client: Any, bucket: str, item: _Object, target: Path) -> None:
    """Exactly the bytes that were listed; an object that changed since is refused by its ETag."""
    body = client.get_object(Bucket=bucket, Key=item.key, IfMatch=item.etag)["Body"]
    left = item.size
    with target.open("wb") as file:
        while left and (piece := body.read(min(_PIECE, left))):
            file.write(piece)
            left -= len(piece)
    if left:
        raise CheckpointError(f"{item.key} ended {left} bytes short of the {item.size} that were listed")
