"""SHA-256 of a stream, computed beside the thread that reads and writes it.

What a reader gets wrong: `update` returns before the bytes are hashed, so a buffer that was given must not be
changed afterwards; give `bytes`.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from io import RawIOBase
from types import TracebackType
from typing import Self

from schemas.shards import Chunk

MAX_WAITING = 8
"""Chunks that may wait to be hashed; of a MiB each, this bounds memory and hides the jitter of a write."""


class HashingThread:
    """A SHA-256 whose `update` runs in a thread of its own: hashlib lets go of the interpreter's lock.

    With SHA instructions a core hashes about as fast as it copies, so hashing beside the write costs a stream
    almost nothing where a second core is free.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._waiting: deque[Future[None]] = deque()

    def update(self, chunk: Chunk) -> None:
        self._waiting.append(self._thread.submit(self._digest.update, chunk))
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popleft().result()

    def hexdigest(self) -> str:
        """Digest of everything given so far."""
        while self._waiting:
            self._waiting.popleft().result()
        return self._digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)


def write_all(file: RawIOBase, data: Chunk) -> int:
    """Write every byte to an unbuffered file; a raw write may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) or 0 :]
    return len(data)
