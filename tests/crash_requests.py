"""Crash points of a root in a bucket: a job that dies round any request that changes objects, or misses its
answer.

What a reader gets wrong: a process that is killed while the answer is on its way leaves what one leaves that
is killed before its next request. What is another matter is a process that lives on without the answer: it
asks again, and must know its own work (`LOST`).
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from botocore.retries.standard import ExponentialBackoff

from actors import s3
from actors.s3_store import S3Store
from tests.crash_points import PRELOADED, Place, anywhere

KILL, LOST = "kill", "lost"
"""What happens: SIGKILL before a request, or while its answer is on the way; or the first answer to each
request from there on is lost.
"""
PART_BYTES = 9_000
"""Content above it goes up in parts: tar parts do, and an actor's largest journal parts."""
_FIRST_TRY = re.compile(r"attempt=1\b")
_READS = ("Get", "Head", "List")
_FORKS = multiprocessing.get_context("forkserver")


@dataclass
class _Requests:
    """Counts the requests of this process that change objects, in any thread."""

    root: str
    at: int
    kind: str
    place: Place
    seen: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    mine: threading.local = field(default_factory=threading.local)

    def before(self, request: Any, event_name: str, **rest: Any) -> None:
        """Of botocore's `before-send`: each try of a request."""
        self.mine.dies = False
        if event_name.rsplit(".", 1)[1].startswith(_READS) or not self.place(self._path(request.url)):
            return
        with self.lock:
            self.seen += 1
            number = self.seen
            if self.kind == KILL:  # each counts twice: before it, and when its answer is there
                if 2 * number - 1 == self.at:
                    os.kill(os.getpid(), signal.SIGKILL)
                self.mine.dies = 2 * number == self.at
        if (
            self.kind == LOST
            and number >= self.at
            and _FIRST_TRY.search(str(request.headers["amz-sdk-request"]))
        ):
            URLLib3Session().send(request)
            raise ConnectionClosedError(endpoint_url=request.url)

    def after(self, **rest: Any) -> None:
        """Of botocore's `response-received`, which nobody but botocore has seen by then."""
        if self.mine.dies:
            os.kill(os.getpid(), signal.SIGKILL)

    def _path(self, url: str) -> str:
        """Path below the root, or the query of a request that has none (several deletions)."""
        parts = urlsplit(url)
        bucket, prefix = s3.split_uri(self.root)
        path = unquote(parts.path).removeprefix(f"/{bucket}").lstrip("/").removeprefix(f"{prefix}/")
        return path or f"?{parts.query}"


def killed_at_request(
    job: Callable[..., object],
    root: str,
    *rest: object,
    environment: Mapping[str, str],
    at: int,
    kind: str = KILL,
    place: Place = anywhere,
) -> bool:
    """Run `job(root, *rest)` in a process that `kind` befalls at its `at`-th point; never, for 0.

    With `KILL` each request counts twice, with `LOST` once.
    Job, arguments and `place` are pickled. `environment`: of the bucket's clients, with TMPDIR.

    Returns:
        Whether there was such a point; for `LOST` the job has come to its end all the same.

    Raises:
        AssertionError: it ended otherwise.
    """
    _FORKS.set_forkserver_preload(PRELOADED)
    happened = _FORKS.Event()
    process = _FORKS.Process(
        target=_run, args=(dict(environment), at, kind, place, happened, job, root, *rest)
    )
    process.start()
    process.join()
    expected = (0,) if kind == LOST or not at else (0, -signal.SIGKILL)
    assert process.exitcode in expected, f"{job} ended with {process.exitcode}"
    return process.exitcode != 0 or happened.is_set()


def _run(
    environment: dict[str, str],
    at: int,
    kind: str,
    place: Place,
    happened: Any,
    job: Callable[..., object],
    root: str,
    *rest: object,
) -> None:
    os.environ.update(environment)
    tempfile.tempdir = environment["TMPDIR"]
    S3Store.__init__.__kwdefaults__.update(part_bytes=PART_BYTES)  # type: ignore[union-attr]
    ExponentialBackoff.delay_amount = lambda self, context: 0.0
    requests = _Requests(root, at, kind, place)
    if at:
        s3._session().events.register("before-send.s3", requests.before)
        s3._session().events.register("response-received.s3", requests.after)
    job(root, *rest)
    if kind == LOST and at and requests.seen >= at:
        happened.set()
