"""A real S3 server of the tests' own: moto in a process of its own, behind a layer that makes faults.

What a reader gets wrong: moto accepts wrong checksums and any credentials. What it does check is what the
store rests on: conditional writes, multipart uploads, ETags, ranges. Requests reach it one at a time, since
its own check of a condition and its write are two steps.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

ROOT = Path(__file__).parents[1]
ACCESS_KEY, SECRET_KEY = "AKIATESTSONLY", "tests-only-secret-never-to-be-seen"
FAULTS, SEEN = "/-/faults", "/-/seen"
ERRORS = {
    "InternalError": "500 Internal Server Error",
    "SlowDown": "503 Slow Down",
    "ConditionalRequestConflict": "409 Conflict",
    "AccessDenied": "403 Forbidden",
    "InvalidAccessKeyId": "403 Forbidden",
}
MIN_PART_BYTES = 1000
"""S3 itself takes parts from 5 MiB."""
HANG_S = 1.0
"""Longer than the read timeout of the tests' clients."""


@dataclass
class Fault:
    """What happens to requests `METHOD /path?query` that `request` matches.

    `kind`: an error of `ERRORS` instead of the work; `lost`: the work is done and the connection cut; `cut`:
    the connection is cut before the work; `torn`: half of the answer arrives; `hang`, `lost-hang`: no answer
    in time, without and with the work done; `deaf`: conditions on writes are ignored; `late`: 30 ms later.
    """

    kind: str
    request: str
    times: int = 1
    chance: float = 1.0
    """Share of the matching requests that it happens to, by random numbers that are the same each time."""


class FaultLayer:
    """WSGI in front of moto."""

    def __init__(self, moto: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]) -> None:
        self._moto = moto
        self._one_at_a_time = threading.Lock()
        self._faults: list[Fault] = []
        self._seen: list[str] = []
        self._random = random.Random(0)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING", "")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        name = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}{'?' if query else ''}{query}"
        if environ["PATH_INFO"] == FAULTS:
            self._faults = [Fault(**item) for item in json.loads(body)]
            self._seen.clear()
            start_response("204 No Content", [])
            return []
        if environ["PATH_INFO"] == SEEN:
            start_response("200 OK", [])
            return [json.dumps(self._seen).encode()]
        with self._one_at_a_time:
            self._seen.append(name)
            fault = next((f for f in self._faults if self._happens(f, name)), None)
            if fault:
                fault.times -= 1
        if fault is None:
            return self._answer(environ, body, start_response)
        return self._faulty(fault.kind, environ, body, start_response)

    def _happens(self, fault: Fault, name: str) -> bool:
        return (
            fault.times > 0
            and re.search(fault.request, name) is not None
            and self._random.random() < fault.chance
        )

    def _answer(self, environ: WSGIEnvironment, body: bytes, start: StartResponse) -> list[bytes]:
        environ["wsgi.input"] = io.BytesIO(body)
        with self._one_at_a_time:
            return [b"".join(self._moto(environ, start))]

    def _faulty(
        self, kind: str, environ: WSGIEnvironment, body: bytes, start: StartResponse
    ) -> Iterable[bytes]:
        if kind == "late":
            time.sleep(0.03)
            return self._answer(environ, body, start)
        if kind == "deaf":
            environ.pop("HTTP_IF_NONE_MATCH", None)
            return self._answer(environ, body, start)
        if kind == "torn":
            (content,) = self._answer(environ, body, start)
            return self._half(content, environ["werkzeug.socket"])
        if kind in ("lost", "lost-hang"):
            self._answer(environ, body, lambda status, headers, info=None: io.BytesIO().write)
        if kind in ("hang", "lost-hang"):
            time.sleep(HANG_S)
        if kind in ("lost", "lost-hang", "cut", "hang"):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError("the connection was cut")  # of which the server says nothing
        start(ERRORS[kind], [("Content-Type", "application/xml")])
        return [f"<Error><Code>{kind}</Code><Message>made by the tests</Message></Error>".encode()]

    def _half(self, content: bytes, connection: socket.socket) -> Iterator[bytes]:
        yield content[: len(content) // 2]
        connection.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class S3Server:
    """The running server, as the tests see it."""

    endpoint: str

    def environment(self) -> dict[str, str]:
        """What a client of the standard chain needs, and nothing of the machine's own."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def fault(self, *faults: Fault) -> None:
        """These faults from now on, instead of those before; what was seen is forgotten."""
        self._ask(FAULTS, json.dumps([asdict(fault) for fault in faults]).encode())

    def seen(self, pattern: str = "") -> list[str]:
        """Requests since `fault` was called last."""
        names: list[str] = json.loads(self._ask(SEEN))
        return [name for name in names if re.search(pattern, name)]

    def _ask(self, path: str, data: bytes | None = None) -> bytes:
        with urllib.request.urlopen(self.endpoint + path, data, timeout=30) as answer:
            content: bytes = answer.read()
        return content


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A server with one bucket, `bucket`, on a port of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.s3_server"],
        cwd=ROOT,
        env={**os.environ, "S3_UPLOAD_PART_MIN_SIZE": str(MIN_PART_BYTES)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield S3Server(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.terminate()
        process.wait()


def serve() -> None:
    """Serve until the input ends, as it does when the tests are killed; prints the port first."""
    import logging

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.s3.models import s3_backends
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto: Any = DomainDispatcherApplication(create_backend_app)
    s3_backends["123456789012"]["aws"].create_bucket("bucket", "us-east-1")
    server = make_server("127.0.0.1", 0, FaultLayer(moto), threaded=True)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    serve()
