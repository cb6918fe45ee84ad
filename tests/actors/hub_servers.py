"""A model hub and an S3 bucket on this machine, as much of them as fetching and mirroring ask for.

What a reader gets wrong: these answer the real clients (huggingface_hub, boto3) over HTTP; nothing of the
clients or of our code is replaced.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

COMMIT = "c0ffee" + "0" * 34


class _Answers(BaseHTTPRequestHandler):
    """Files by path; `served` has every path whose content was sent."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    served: list[str]
    refuse: int = 0
    """An HTTP status that the hub answers instead."""
    too_much: int = 0
    """Bytes that the bucket lists beyond what an object has."""

    def do_HEAD(self) -> None:  # the name that http.server calls
        self._answer()

    def do_GET(self) -> None:  # the name that http.server calls
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        self._route(unquote(url.path).lstrip("/"), parse_qs(url.query))

    def _route(self, path: str, query: dict[str, list[str]]) -> None:
        if path in self.files:
            self._file(path, self.files[path])
        else:
            self._send(404, b"", {})

    def _file(self, path: str, content: bytes) -> None:
        if self.command == "GET":
            self.served.append(path)
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        if self.headers.get("If-Match", etag) != etag:
            self._send(412, b"", {})
            return
        self._send(200, content, {"ETag": etag, "Accept-Ranges": "bytes", **self._about_file()})

    def _about_file(self) -> dict[str, str]:
        return {}

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Hub(_Answers):
    """Repositories: `files` by `owner/name/path`, in every commit; branches are at `COMMIT`."""

    commit = COMMIT
    """Of the file that is asked for."""

    def _route(self, path: str, query: dict[str, list[str]]) -> None:
        if path.startswith("api/models/"):
            owner, name, *rest = path.removeprefix("api/models/").split("/")
            self._about(f"{owner}/{name}", rest)
            return
        repo, resolved, place = path.partition("/resolve/")  # OWNER/NAME/resolve/REVISION/PATH
        revision, _, name = place.partition("/")
        self.commit = _commit(revision)
        super()._route(f"{repo}/{name}" if resolved else path, query)

    def _about_file(self) -> dict[str, str]:
        return {"X-Repo-Commit": self.commit}

    def _about(self, repo: str, rest: list[str]) -> None:
        names = [name.removeprefix(f"{repo}/") for name in self.files if name.startswith(f"{repo}/")]
        if self.refuse or not names:
            gate = {"X-Error-Code": "GatedRepo"} if self.refuse == 403 else {"X-Error-Code": "RepoNotFound"}
            self._send(self.refuse or 404, b"{}", gate)
        elif rest[:1] == ["tree"]:
            found = [
                {"type": "file", "path": name, "size": len(self.files[f"{repo}/{name}"]), "oid": "0" * 40}
                for name in names
            ]
            self._send(200, json.dumps(found).encode(), {"Content-Type": "application/json"})
        else:
            sha = _commit(rest[1] if rest[:1] == ["revision"] else "")
            answer = {"id": repo, "sha": sha, "siblings": [{"rfilename": name} for name in names]}
            self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})


def _commit(revision: str) -> str:
    return revision if re.fullmatch("[0-9a-f]{40}", revision) else COMMIT


class _Bucket(_Answers):
    """S3: `files` by `bucket/key`."""

    def _route(self, path: str, query: dict[str, list[str]]) -> None:
        if "list-type" not in query:
            super()._route(path, query)
            return
        bucket, prefix = path.rstrip("/"), query["prefix"][0]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(content) + self.too_much}</Size>"
            f"<ETag>&quot;{hashlib.sha256(content).hexdigest()}&quot;</ETag></Contents>"
            for name, content in sorted(self.files.items())
            if name.startswith(f"{bucket}/") and (key := name.removeprefix(f"{bucket}/")).startswith(prefix)
        )
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
        self._send(200, text.encode(), {"Content-Type": "application/xml"})


@contextmanager
def _running(kind: type[_Answers], files: dict[str, bytes]) -> Iterator[tuple[str, type[_Answers]]]:
    handler: Any = type("Handler", (kind,), {"files": files, "served": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def hub(files: dict[str, bytes]) -> Iterator[tuple[str, Any]]:
    """A hub with `files` by `owner/name/path`; yields its address and what it served."""
    with _running(_Hub, files) as running:
        yield running


@contextmanager
def bucket(files: dict[str, bytes]) -> Iterator[tuple[str, Any]]:
    """An S3 endpoint with `files` by `bucket/key`; yields its address and what it served."""
    with _running(_Bucket, files) as running:
        yield running


@contextmanager
def plain(files: dict[str, bytes]) -> Iterator[tuple[str, Any]]:
    """Files by path."""
    with _running(_Answers, files) as running:
        yield running
