"""S3 through boto3: a client, objects that are read to their end, and errors in words.

What a reader gets wrong: credentials, region and endpoint come from the standard chain alone (AWS_*
variables, AWS_ENDPOINT_URL, profiles, roles). Nothing here takes, keeps or prints one, and errors are raised
without the library's own behind them, since that holds the answer's headers.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any

import boto3.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    FlexibleChecksumError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from actors.store import NotARootError, StoreError

SCHEME = "s3://"
ATTEMPTS = 10
"""Of one request, by botocore's `standard` mode: on 500, 502, 503, 504, SlowDown, timeouts and cut
connections, with waits of up to 1, 2, 4, ... 20 s, about a minute in all."""
BODY_TRIES = 6
"""Of one object's body, which botocore does not try again; each goes on where the one before broke off."""
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0
CONNECTIONS = 64
"""Kept by one client: readers and uploaded parts run in threads."""
CHUNK = 1 << 20
MISSING = ("404", "NoSuchKey", "NoSuchBucket", "NotFound")
_MAKING = threading.Lock()
"""A client may be used from several threads, but not made in several."""
_BROKEN = (ReadTimeoutError, ResponseStreamingError, IncompleteReadError, ConnectionClosedError)
_USER_OF_URL = re.compile(r"//[^/\s@]+@")


class S3Error(StoreError):
    """S3 refused a request, or could not be reached. `code` is S3's own word, empty where it said nothing."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message, code)  # both, so that the error survives pickling
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


@lru_cache(maxsize=1)
def _session() -> Any:
    """One a process: it holds the credentials, and loading S3's description takes most of a client's time."""
    return boto3.session.Session()


def new_client(read_timeout_s: float = READ_TIMEOUT_S) -> Any:
    """A client of the standard chain's endpoint; may be used from several threads."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=read_timeout_s,
        max_pool_connections=CONNECTIONS,
    )
    with explained("S3"), _MAKING:
        return _session().client("s3", config=config)


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; the key as it is, without percent signs decoded, or empty.

    Raises:
        NotARootError: no bucket.
    """
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket:
        raise NotARootError(f"{uri} names no bucket: s3://bucket/prefix")
    return bucket, key


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Errors of boto3 become an S3Error that begins with `what`."""
    try:
        yield
    except ClientError as error:
        raise S3Error(f"{what}: {_refusal(error)}", code_of(error)) from None
    except BotoCoreError as error:
        raise S3Error(f"{what}: {_USER_OF_URL.sub('//', str(error))}") from None


def code_of(error: ClientError) -> str:
    """S3's word for a refusal; the status where the answer had no body (HEAD)."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _refusal(error: ClientError) -> str:
    code, status, about = code_of(error), status_of(error), error.response.get("Error", {})
    words = {
        "NoSuchBucket": "the bucket does not exist",
        "403": "access is denied",
        "AccessDenied": "access is denied",
        "404": "it does not exist",
    }.get(code, _USER_OF_URL.sub("//", str(about.get("Message", ""))))
    tried = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
    times = f", tried {tried + 1} times" if tried else ""
    named = "" if code == str(status) else f"{code}, "
    return f"{words} ({named}status {status} of {error.operation_name}{times})"


class Body:
    """The content of one object in chunks; a broken connection goes on where it broke off.

    Raises:
        ClientError, BotoCoreError: as boto3 does; when it is opened, and while it is iterated.
    """

    def __init__(self, client: Any, bucket: str, key: str, **conditions: str) -> None:
        self._client = client
        self._place = {"Bucket": bucket, "Key": key}
        answer = client.get_object(**self._place, **conditions)
        self._stream = answer["Body"]
        self.size_bytes: int = answer["ContentLength"]
        self.etag: str = answer["ETag"]
        self.metadata: dict[str, str] = answer["Metadata"]

    def __iter__(self) -> Iterator[bytes]:
        done = tries = 0
        while True:
            try:
                for chunk in self._stream.iter_chunks(CHUNK):
                    done += len(chunk)
                    yield chunk
                return
            except _BROKEN:
                tries += 1
                self._stream.close()
                if done == self.size_bytes:
                    return
                if tries == BODY_TRIES:
                    raise
            again = self._client.get_object(**self._place, Range=f"bytes={done}-", IfMatch=self.etag)
            self._stream = again["Body"]

    def close(self) -> None:
        self._stream.close()


class BodyReader(io.RawIOBase):
    """A `Body` as a file to read once from its beginning."""

    def __init__(self, body: Body, what: str) -> None:
        self._body, self._what = body, what
        self._chunks = iter(body)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with explained(self._what):
            while not self._rest:
                chunk = next(self._chunks, None)
                if chunk is None:
                    return 0
                self._rest = memoryview(chunk)
        taken = min(len(buffer), len(self._rest))
        buffer[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken

    def close(self) -> None:
        self._body.close()
        super().close()


@dataclass(frozen=True)
class Downloaded:
    """What came down; `sha256` is of the bytes that were written, `metadata` what the writer said of them."""

    etag: str
    size_bytes: int
    sha256: str
    metadata: dict[str, str]


class TooLargeError(StoreError):
    """An object is over the size that its reader allows."""


def download(
    client: Any,
    bucket: str,
    key: str,
    file: IO[bytes],
    *,
    max_bytes: int | None = None,
    unless_etag: str | None = None,
) -> Downloaded:
    """Write an object into `file`, which is empty; answered 304 (a ClientError) if its ETag is `unless_etag`.

    Raises:
        TooLargeError: before anything is read.
        ClientError, BotoCoreError: as boto3 does.
    """
    conditions = {} if unless_etag is None else {"IfNoneMatch": unless_etag}
    for tried in range(BODY_TRIES):
        body = Body(client, bucket, key, **conditions)
        try:
            if max_bytes is not None and body.size_bytes > max_bytes:
                raise TooLargeError(f"the file has {body.size_bytes:,} bytes, the limit is {max_bytes:,}")
            digest = hashlib.sha256()
            for chunk in body:
                digest.update(chunk)
                file.write(chunk)
            return Downloaded(body.etag, body.size_bytes, digest.hexdigest(), body.metadata)
        except FlexibleChecksumError:  # bytes were damaged on the way
            if tried + 1 == BODY_TRIES:
                raise
            file.seek(0)
            file.truncate()
        finally:
            body.close()
    raise AssertionError("the last try returns or raises")
