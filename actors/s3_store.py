"""A root in a bucket: `s3://bucket/prefix`, with the same promises as a folder.

What a reader gets wrong: everything rests on conditional writes (`If-None-Match: *`). A server that ignores
them would let a second writer overwrite the first, so a new root is refused there. A store pickles as its
URI; each process makes a client of its own.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import ClientError

from actors import s3
from actors.s3_cache import Copies, check_content, machine_folder
from actors.s3_upload import PART_BYTES, Uploads
from actors.store import MARKER, NotARootError, Stored, StoreError, checked_key
from schemas.shards import Chunk

READERS = 16
"""Objects that come down at once: each costs some 30 ms before its first byte."""
DELETED_AT_ONCE = 1000
"""Objects in one request; S3 takes no more."""
SCRATCH_AGE_S = 24 * 3600.0
"""Scratch of workers that were killed on this machine is removed when it is older."""


class S3Store:
    """A root below a prefix of a bucket."""

    def __init__(
        self, uri: str, *, read_timeout_s: float = s3.READ_TIMEOUT_S, part_bytes: int = PART_BYTES
    ) -> None:
        self._bucket, prefix = s3.split_uri(uri)
        prefix = prefix.strip("/")
        try:
            self._prefix = f"{checked_key(prefix)}/" if prefix else ""
        except ValueError:
            raise NotARootError(f"{uri}: the prefix of a root must be without `..`") from None
        self._read_timeout_s = read_timeout_s
        self._part_bytes = part_bytes

    def __reduce__(self) -> tuple[type[S3Store], tuple[str]]:
        return S3Store, (self.uri,)

    @property
    def uri(self) -> str:
        return f"{s3.SCHEME}{self._bucket}/{self._prefix}".rstrip("/")

    def put_file_if_absent(self, key: str, path: Path) -> Stored:
        whole = self._key(key)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with s3.explained(f"{self.uri}: {key} cannot be put"):
            stored = self._uploads.put_chunks(whole, _FileChunks(path), digest)
        path.unlink()
        return self._own(stored)

    def put_bytes_if_absent(self, key: str, data: bytes) -> Stored:
        with s3.explained(f"{self.uri}: {key} cannot be put"):
            return self._own(self._uploads.put_bytes(self._key(key), data))

    def put_stream_if_absent(self, key: str, chunks: Iterable[Chunk]) -> Stored:
        """As the protocol says. Memory: at most five parts of 16 MiB.

        Raises:
            actors.s3_upload.ConflictError: another request on this key was under way, and `chunks` is an
                iterator, which cannot start anew.
        """
        with s3.explained(f"{self.uri}: {key} cannot be put"):
            return self._own(self._uploads.put_chunks(self._key(key), chunks))

    def link_if_absent(self, key: str, existing: str) -> Stored:
        """The content comes down, is checked and goes up again.

        Copying on the server saves the way, but CopyObject got a condition long after PutObject did, and a
        server that does not know it overwrites. Linked files are artifacts of megabytes.
        """
        copy = self.local_path(existing)
        with s3.explained(f"{self.uri}: {key} cannot be put"), copy.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return self._own(self._uploads.put_chunks(self._key(key), _FileChunks(copy), digest))

    def get_bytes(self, key: str) -> bytes:
        content = io.BytesIO()
        with self._reading(key):
            check_content(self._bucket, key, s3.download(self._client, self._bucket, self._key(key), content))
        return content.getvalue()

    def open_read(self, key: str) -> BinaryIO:
        with self._reading(key):
            body = s3.Body(self._client, self._bucket, self._key(key))
        return io.BufferedReader(s3.BodyReader(body, f"{self.uri}: {key} cannot be read"), s3.CHUNK)

    def size_bytes(self, key: str) -> int:
        with self._reading(key):
            head = self._client.head_object(Bucket=self._bucket, Key=self._key(key))
        return int(head["ContentLength"])

    def local_path(self, key: str) -> Path:
        """A copy on this machine; it stays for an hour after it was last asked for."""
        with self._reading(key):
            return self._copies.path(self._key(key))

    def local_paths(self, keys: Iterable[str]) -> Iterator[Path]:
        with ThreadPoolExecutor(READERS, thread_name_prefix="copies") as readers:
            try:
                yield from readers.map(self.local_path, keys)
            finally:
                readers.shutdown(wait=False, cancel_futures=True)

    def exists(self, key: str) -> bool:
        try:
            self.size_bytes(key)
        except KeyError:
            return False
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        below = f"{self._key(prefix)}/"
        found = []
        with s3.explained(f"{self.uri} cannot be listed"):
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=below
            ):
                found += [item["Key"] for item in page.get("Contents", ())]
        # a directory bucket lists in no order; a name that ends in / is a console's idea of a folder
        yield from sorted(key.removeprefix(self._prefix) for key in found if not key.endswith("/"))

    def delete(self, key: str) -> None:
        with s3.explained(f"{self.uri}: {key} cannot be deleted"):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(key))

    def delete_all(self, keys: Iterable[str]) -> None:
        names = [{"Key": self._key(key)} for key in keys]
        with s3.explained(f"{self.uri}: objects cannot be deleted"):
            for start in range(0, len(names), DELETED_AT_ONCE):
                some = {"Objects": names[start : start + DELETED_AT_ONCE], "Quiet": True}
                answer = self._client.delete_objects(Bucket=self._bucket, Delete=some)
                for refused in answer.get("Errors", ()):
                    raise s3.S3Error(
                        f"{self.uri}: {refused.get('Key')} cannot be deleted: {refused.get('Message')}",
                        refused.get("Code", ""),
                    )

    def scratch(self) -> tempfile.TemporaryDirectory[str]:
        folder = self._machine / "scratch"
        folder.mkdir(exist_ok=True)
        return tempfile.TemporaryDirectory(dir=folder)

    def clear_scratch(self) -> None:
        """Scratch of this machine, and parts that killed workers uploaded, which S3 keeps and charges."""
        shutil.rmtree(self._machine / "scratch", ignore_errors=True)
        with suppress(s3.S3Error), s3.explained(self.uri):  # listing uploads is a permission of its own
            self._uploads.sweep(self._prefix)

    def refuse_other_things(self) -> None:
        with s3.explained(f"{self.uri} cannot be used as output root"):
            listed = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=2)
            names = [item["Key"] for item in listed.get("Contents", ()) if item["Key"] != self._prefix]
            if names and self._prefix + MARKER not in names and not self.exists(MARKER):
                raise NotARootError(
                    f"{self.uri} holds other objects and no {MARKER}; choose a prefix that holds nothing"
                )

    def claim(self, marker: bytes) -> None:
        self.refuse_other_things()
        # of a root that exists this changes nothing, and says whether we could
        with s3.explained(f"{self.uri} cannot be written"):
            self._uploads.put_bytes(self._key(MARKER), marker)
            self._refuse_a_server_without_conditions(marker)

    def _refuse_a_server_without_conditions(self, marker: bytes) -> None:
        """Both conditional requests, on the marker that is there: both must be refused."""
        place = {"Bucket": self._bucket, "Key": self._key(MARKER)}
        upload = {**place, "UploadId": self._client.create_multipart_upload(**place)["UploadId"]}
        part = self._client.upload_part(**upload, PartNumber=1, Body=marker)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        requests: list[Callable[[], Any]] = [
            lambda: self._client.put_object(**place, Body=marker, IfNoneMatch="*"),
            lambda: self._client.complete_multipart_upload(**upload, MultipartUpload=parts, IfNoneMatch="*"),
        ]
        try:
            for request in requests:
                try:
                    request()
                except ClientError as error:
                    if s3.status_of(error) != 412:
                        raise
                else:
                    raise StoreError(
                        f"{self.uri}: this server ignores conditional writes (If-None-Match), so two writers "
                        "could overwrite each other; AWS S3 and MinIO have them"
                    )
        finally:
            with suppress(ClientError):  # gone where the server completed it
                self._client.abort_multipart_upload(**upload)

    @cached_property
    def _client(self) -> Any:
        return s3.new_client(self._read_timeout_s)

    @cached_property
    def _uploads(self) -> Uploads:
        return Uploads(self._client, self._bucket, self._part_bytes)

    @cached_property
    def _copies(self) -> Copies:
        return Copies(self._client, self._bucket, machine_folder("copies"))

    @cached_property
    def _machine(self) -> Path:
        """This root's folder on this machine. Scratch that workers of any root left long ago goes."""
        folder = machine_folder(hashlib.sha256(self.uri.encode()).hexdigest()[:16])
        for left in folder.parent.glob("*/scratch/*"):
            with suppress(FileNotFoundError):
                if left.stat().st_mtime < time.time() - SCRATCH_AGE_S:
                    shutil.rmtree(left, ignore_errors=True)
        return folder

    def _key(self, key: str) -> str:
        return self._prefix + checked_key(key)

    def _own(self, stored: Stored) -> Stored:
        """By the root's key instead of the bucket's."""
        return Stored(stored.key.removeprefix(self._prefix), stored.size_bytes, stored.sha256, won=stored.won)

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        """Requests that read one key: KeyError where there is nothing, S3Error for the rest."""
        with s3.explained(f"{self.uri}: {key} cannot be read"):
            try:
                yield
            except ClientError as error:
                if s3.code_of(error) in s3.MISSING and s3.code_of(error) != "NoSuchBucket":
                    raise KeyError(f"nothing is stored under {key} in {self.uri}") from None
                raise


class _FileChunks:
    """A file's content in chunks, as often as it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while chunk := file.read(s3.CHUNK):
                yield chunk
