"""Uploads to S3 that the first writer wins: one request for small content, a multipart upload for large.

What a reader gets wrong: a refusal (412) does not mean that another writer was first. Where the reply to our
own request was lost, botocore asks again and is refused by what we wrote. So every upload carries a word of
its own in the object's metadata, and who was first is read from there.
"""

from __future__ import annotations

import base64
import hashlib
import random
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from actors import s3
from actors.hashing import HashingThread
from actors.store import Stored, StoreError
from schemas.shards import Chunk

PART_BYTES = 16 << 20
"""Of a part, and the size above which content goes up in parts; S3 takes 5 MiB to 5 GiB, and 10,000 of them:
156 GiB."""
PARTS_AT_ONCE = 4
"""One stream of S3 gives about 0.1 GB/s; with the part that is being filled 80 MiB of memory."""
RESTARTS = 8
"""Of one upload, after 409: another request on the same key was under way."""
SHA256, WRITER = "sha256", "writer"
"""In an object's metadata: digest of the content where it was known before, and the upload's own word."""


class ConflictError(StoreError):
    """A stream met another request on its key (409) and cannot be read again; the caller starts it anew."""


class Uploads:
    """Conditional uploads into one bucket.

    All raise ClientError and BotoCoreError as boto3 does, StoreError where conflicts do not end.
    """

    def __init__(self, client: Any, bucket: str, part_bytes: int = PART_BYTES) -> None:
        self._client = client
        self._bucket = bucket
        self._part_bytes = part_bytes

    def put_bytes(self, key: str, data: bytes) -> Stored:
        """Content in memory; `key` is the object's whole key."""
        if len(data) > self._part_bytes:
            return self._put_parts(key, [data], hashlib.sha256(data).hexdigest())
        digest = hashlib.sha256(data)
        mine = Stored(key, len(data), digest.hexdigest(), won=True)
        word = uuid.uuid4().hex
        for _ in _restarts(key):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=data,
                    IfNoneMatch="*",
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
                    Metadata={SHA256: mine.sha256, WRITER: word},
                )
                return mine
            except ClientError as error:
                if s3.status_of(error) == 412:
                    found = self._found(mine, word)
                    if found is not None:
                        return found
                elif s3.status_of(error) != 409:
                    raise
        raise _endless(key)

    def put_chunks(self, key: str, chunks: Iterable[Chunk], sha256: str | None = None) -> Stored:
        """Content in chunks, read once, or again after a conflict where `chunks` can be iterated again.

        Args:
            sha256: of the whole, where it is known; it is then written beside the object.

        Raises:
            ConflictError: a conflict, and `chunks` is an iterator.
        """
        parts = _parts(chunks, self._part_bytes)
        first = next(parts, b"")
        second = next(parts, None)
        if second is None:
            return self.put_bytes(key, first)
        return self._put_parts(key, chunks, sha256, begun=chain((first, second), parts))

    def _put_parts(
        self, key: str, chunks: Iterable[Chunk], sha256: str | None, begun: Iterable[Chunk] = ()
    ) -> Stored:
        """`begun`: what `chunks` gives the first time, where it was begun already."""
        word = uuid.uuid4().hex
        source = begun or chunks
        for _ in _restarts(key):
            stored = self._one_upload(key, source, sha256, word)
            if stored is not None:
                return stored
            if iter(chunks) is chunks:
                raise ConflictError(f"{key}: another request on it was under way (409)")
            source = chunks
        raise _endless(key)

    def _one_upload(self, key: str, chunks: Iterable[Chunk], sha256: str | None, word: str) -> Stored | None:
        """None where it must start anew. Whatever else ends it, the parts that went up are given back."""
        metadata = {WRITER: word} if sha256 is None else {WRITER: word, SHA256: sha256}
        place = {"Bucket": self._bucket, "Key": key}
        place["UploadId"] = self._client.create_multipart_upload(
            Bucket=self._bucket, Key=key, ChecksumAlgorithm="SHA256", Metadata=metadata
        )["UploadId"]
        try:
            with HashingThread() as digest:
                parts, size = self._send(place, chunks, digest)
                mine = Stored(key, size, digest.hexdigest(), won=True)
            if sha256 not in (None, mine.sha256):
                raise StoreError(f"{key}: the content changed while it was uploaded")
            self._client.complete_multipart_upload(**place, IfNoneMatch="*", MultipartUpload={"Parts": parts})
            return mine
        except ClientError as error:
            self._abort(place)
            if s3.status_of(error) == 409:
                return None
            # an upload is gone where the reply to its completion was lost
            if s3.status_of(error) == 412 or s3.code_of(error) == "NoSuchUpload":
                return self._found(mine, word)
            raise
        except BaseException:
            self._abort(place)
            raise

    def _send(
        self, place: dict[str, str], chunks: Iterable[Chunk], digest: HashingThread
    ) -> tuple[list[dict[str, Any]], int]:
        """Upload all parts; returns what completing needs of them, and the size in bytes."""
        sent: list[dict[str, Any]] = []
        waiting: deque[Future[dict[str, Any]]] = deque()
        size = 0
        with ThreadPoolExecutor(PARTS_AT_ONCE, thread_name_prefix="upload") as pool:
            try:
                for number, part in enumerate(_parts(chunks, self._part_bytes), 1):
                    digest.update(part)
                    size += len(part)
                    waiting.append(pool.submit(self._send_part, place, number, part))
                    if len(waiting) == PARTS_AT_ONCE:
                        sent.append(waiting.popleft().result())
                sent += [part.result() for part in waiting]
            except BaseException:
                pool.shutdown(cancel_futures=True)  # waits: a part that arrives after the abort would stay
                raise
        return sent, size

    def _send_part(self, place: dict[str, str], number: int, data: bytes) -> dict[str, Any]:
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        answer = self._client.upload_part(
            **place, PartNumber=number, Body=data, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum
        )
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}

    def _abort(self, place: dict[str, str]) -> None:
        """Give the parts back; where that fails, `sweep` of the next run does it, or the bucket's rules."""
        with suppress(ClientError, BotoCoreError):
            self._client.abort_multipart_upload(**place)

    def sweep(self, prefix: str) -> int:
        """Abort all uploads below a prefix that nobody completes any more; returns how many there were."""
        pages = self._client.get_paginator("list_multipart_uploads")
        places = [
            {"Bucket": self._bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix)
            for upload in page.get("Uploads", ())
        ]
        for place in places:
            self._abort(place)
        return len(places)

    def _found(self, mine: Stored, word: str) -> Stored | None:
        """What lies under the key of an upload that was refused; None where nothing does."""
        try:
            head = self._client.head_object(Bucket=self._bucket, Key=mine.key, ChecksumMode="ENABLED")
        except ClientError as error:
            if s3.code_of(error) in s3.MISSING:
                return None
            raise
        won = head["Metadata"].get(WRITER) == word
        return Stored(mine.key, head["ContentLength"], self.digest(mine.key, head), won=won)

    def digest(self, key: str, head: dict[str, Any]) -> str:
        """SHA-256 of a stored object: S3's own of a whole one, otherwise the object is read.

        What a writer says in the metadata is not believed: it is a claim, and the answer becomes a record.
        """
        checksum = head.get("ChecksumSHA256")
        if checksum and head.get("ChecksumType") == "FULL_OBJECT":
            return base64.b64decode(checksum).hex()
        digest = hashlib.sha256()
        for chunk in s3.Body(self._client, self._bucket, key, IfMatch=head["ETag"]):
            digest.update(chunk)
        return digest.hexdigest()


def _parts(chunks: Iterable[Chunk], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of `size`, the last one shorter."""
    waiting = bytearray()
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            taken = view[: size - len(waiting)]
            waiting += taken
            view = view[len(taken) :]
            if len(waiting) == size:
                yield bytes(waiting)
                waiting = bytearray()
    if waiting:
        yield bytes(waiting)


def _restarts(key: str) -> Iterator[int]:
    """Tries of one upload, each after a wait that grows."""
    for tried in range(RESTARTS):
        if tried:
            time.sleep(random.uniform(0, min(0.1 * 2**tried, 5.0)))
        yield tried


def _endless(key: str) -> StoreError:
    return StoreError(f"{key}: {RESTARTS} uploads met other requests on it (409), which does not end")
