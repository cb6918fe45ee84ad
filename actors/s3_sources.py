"""Source videos and source lists in S3: one object fetched for a worker, the objects below a prefix listed.

What a reader gets wrong: a key is taken as it is written, without percent signs decoded, as S3's own tools
do. An object that cannot be had is a fault of that source, as a list may name any bucket; only credentials
that are there and no good end the run.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from actors import s3
from actors.roles import SampleError
from actors.store import MARKER, StoreError

_CREDENTIALS = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
)
"""With these every source would fail, and no later run should count that against them."""


def fetch_source(uri: str, folder: Path, max_bytes: int) -> Path:
    """A copy of the object in `folder`, with its suffix; read at once, in one version.

    Raises:
        SampleError: no bucket named, no such object, not for us, out of reach, or over `max_bytes`; then
            nothing is read.
        StoreError: the credentials are no good.
    """
    try:
        bucket, key = s3.split_uri(uri)
    except StoreError as error:
        raise SampleError(str(error)) from None
    path = folder / f"found{Path(key).suffix[:16]}"
    try:
        with s3.explained(f"{uri} cannot be read"), path.open("wb") as file:
            s3.download(_client(), bucket, key, file, max_bytes=max_bytes)
    except s3.TooLargeError as error:
        raise SampleError(f"{error} (max_source_bytes)") from None
    except s3.S3Error as error:
        if error.code in _CREDENTIALS:
            raise
        raise SampleError(str(error)) from None
    return path


def read_object(uri: str) -> bytes | None:
    """The content of a small object, such as a source list; None where there is none.

    Raises:
        StoreError: S3 refuses or cannot be reached.
    """
    bucket, key = s3.split_uri(uri)
    with s3.explained(f"{uri} cannot be read"):
        try:
            return b"".join(s3.Body(_client(), bucket, key))
        except ClientError as error:
            if s3.code_of(error) in s3.MISSING and s3.code_of(error) != "NoSuchBucket":
                return None
            raise


def objects_below(uri: str) -> Iterator[str]:
    """URIs of all objects below a prefix, by key, without what lies in output roots.

    Raises:
        StoreError: S3 refuses or cannot be reached.
    """
    bucket, prefix = s3.split_uri(uri)
    prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    keys: list[str] = []
    with s3.explained(f"{uri} cannot be listed"):
        for page in _client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            keys += [item["Key"] for item in page.get("Contents", ())]
    roots = tuple(key.removesuffix(MARKER) for key in keys if posixpath.basename(key) == MARKER)
    for key in sorted(keys):
        if not key.endswith("/") and not (roots and key.startswith(roots)):
            yield f"{s3.SCHEME}{bucket}/{key}"


def joined(uri: str, listed_in: str) -> str:
    """An absolute spelling of what a list at `listed_in` names: relative to the list's own prefix."""
    bucket, key = s3.split_uri(listed_in)
    path = posixpath.normpath(posixpath.join("/", posixpath.dirname(key), uri))
    return f"{s3.SCHEME}{bucket}{path}"


@lru_cache(maxsize=1)
def _client() -> Any:
    """One a process."""
    return s3.new_client()
