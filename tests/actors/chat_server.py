"""An OpenAI-compatible server in the test's own process: `/v1/models` and `/v1/chat/completions` over HTTP.

What a reader gets wrong: it is no model. The test says what is answered, after which delay and with which
status, from the request's body; requests are kept, with their headers.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from actors.ops.video import read_png
from actors.roles import Frame

Body = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What the server answers to one chat request."""

    text: str | None = ""
    finish_reason: str = "stop"
    refusal: str | None = None
    delay_s: float = 0.0
    status: int = 200
    error: Mapping[str, Any] = field(default_factory=dict)
    """The error object of a status other than 200."""
    choices: int = 1


@dataclass
class ChatServer:
    """`say` answers a request's body; `models` is the list of models, None for a server without one."""

    say: Callable[[Body], Reply]
    models: tuple[str, ...] | None = ("tiny",)
    key: str = ""
    """The key that is asked for, none where empty."""
    url: str = ""
    bodies: list[Body] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    at_once: int = 0
    """The most chat requests that were under way together."""
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: Body) -> tuple[int, Body]:
        if self.key and headers.get("authorization") != f"Bearer {self.key}":
            return 401, {"error": {"message": f"wrong key: {headers.get('authorization')}", "code": "key"}}
        if method == "GET" and path == "/v1/models" and self.models is not None:
            listed = [
                {"id": name, "object": "model", "created": 0, "owned_by": "test"} for name in self.models
            ]
            return 200, {"object": "list", "data": listed}
        if method == "POST" and path == "/v1/chat/completions":
            return self._chat(headers, body)
        return 404, {"error": {"message": f"no {path} here", "code": "not_found"}}

    def _chat(self, headers: Mapping[str, str], body: Body) -> tuple[int, Body]:
        with self._lock:
            self.bodies.append(body)
            self.headers.append(headers)
            self._under_way += 1
            self.at_once = max(self.at_once, self._under_way)
        try:
            reply = self.say(body)
            time.sleep(reply.delay_s)
        finally:
            with self._lock:
                self._under_way -= 1
        if reply.status != 200:
            return reply.status, {"error": dict(reply.error)}
        message = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
        choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason, "logprobs": None}
        return 200, {
            "id": "chat",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [choice] * reply.choices,
        }


@contextmanager
def serving(server: ChatServer) -> Iterator[ChatServer]:
    """`server` on a free port of this machine, its `url` set, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply("GET", {})

        def do_POST(self) -> None:
            self._reply("POST", json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _reply(self, method: str, body: Body) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = server.answer(method, self.path, headers, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.send_header("retry-after-ms", "5")  # so that the client's retries take no time
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def parts_of(body: Body, kind: str) -> list[Any]:
    """The user's parts of one kind, as `text`, `image_url` or `video_url`: texts, or URLs."""
    parts = [part for part in body["messages"][-1]["content"] if part["type"] == kind]
    return [part[kind] if kind == "text" else part[kind]["url"] for part in parts]


def picture_at(url: str) -> Frame:
    """The picture in a data URL."""
    return read_png(base64.b64decode(url.partition(";base64,")[2]))
