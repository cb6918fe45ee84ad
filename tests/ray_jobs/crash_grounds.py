"""Where campaigns have their roots, and how they kill there: below a folder, or in a bucket.

What a reader gets wrong: a root is copied before each crash, so that all of them begin at the same place. In
a bucket the copies have other prefixes, which nothing that a root holds may depend on.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from actors.s3 import new_client, split_uri
from tests.crash_points import Place, anywhere, killed
from tests.crash_requests import KILL, killed_at_request
from tests.ray_jobs.crash_jobs import Root, calls_of
from tests.s3_server import S3Server


class Ground(Protocol):
    """A place for roots."""

    @property
    def deadly(self) -> bool:
        """Whether a job dies at its point, or lives on and comes to its end."""

    def root(self, name: str) -> Root:
        """A root of this name, not made yet."""

    def prepared(self, prepare: Callable[[Root], None]) -> Root:
        """The root before a job."""

    def copy(self, root: Root, target: Root) -> None:
        """Another root as the one that was prepared."""

    def drop(self, root: Root) -> None: ...

    def killed(
        self, job: Callable[..., object], root: Root, *rest: object, at: int, place: Place = anywhere
    ) -> bool:
        """Run `job(root, *rest)` in a process of its own that dies at its `at`-th point; never, for 0. False
        where there is no such point.
        """

    def left(self, root: Root) -> list[str]:
        """What a finished job left that nobody reads and somebody pays for."""


@dataclass(frozen=True)
class Folders:
    """Roots below a folder; a point is an operation on a file."""

    folder: Path
    deadly = True

    def root(self, name: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / name

    def prepared(self, prepare: Callable[[Root], None]) -> Path:
        root = self.root("before")
        self.killed(prepare, root, at=0)
        return root

    def copy(self, root: Root, target: Root) -> None:
        if Path(root).exists():
            shutil.copytree(root, target)
        copy_calls(root, target)

    def drop(self, root: Root) -> None:
        shutil.rmtree(root)
        calls_of(root).unlink(missing_ok=True)

    def killed(
        self, job: Callable[..., object], root: Root, *rest: object, at: int, place: Place = anywhere
    ) -> bool:
        return killed(job, Path(root), *rest, at=at, place=place)

    def left(self, root: Root) -> list[str]:
        return []


@dataclass(frozen=True)
class Bucket:
    """Roots in the bucket of the tests' server; a point is a request that changes objects.

    The environment of this process must be that of the server's clients.
    """

    server: S3Server
    machine: Path
    """TMPDIR of the processes that are killed: scratch and copies."""
    kind: str = KILL
    """What happens at a point (`tests.crash_requests`)."""
    prefix: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    client: Any = field(default_factory=new_client)
    held: dict[str, bytes] = field(default_factory=dict)
    """Objects of the root that was prepared."""

    @property
    def deadly(self) -> bool:
        return self.kind == KILL

    def root(self, name: str) -> str:
        return f"s3://bucket/{self.prefix}/{name}"

    def prepared(self, prepare: Callable[[Root], None]) -> str:
        """Made in a folder, which is quicker, and carried into the bucket."""
        made, root = Folders(self.machine / "prepared").prepared(prepare), self.root("before")
        for path in made.rglob("*"):
            if path.is_file():
                self.held[path.relative_to(made).as_posix()] = path.read_bytes()
        copy_calls(made, root)
        self.copy(root, root)
        return root

    def copy(self, root: Root, target: Root) -> None:
        """From memory: the server gives what it copies checksums that are not those of the content."""
        bucket, prefix = split_uri(str(target))
        with ThreadPoolExecutor(4) as pool:
            done = [
                pool.submit(self.client.put_object, Bucket=bucket, Key=f"{prefix}/{key}", Body=content)
                for key, content in self.held.items()
            ]
        for put in done:
            put.result()
        if target != root:
            copy_calls(root, target)

    def drop(self, root: Root) -> None:
        names = [{"Key": key} for key in self._keys(root)]
        for start in range(0, len(names), 1000):
            self.client.delete_objects(Bucket="bucket", Delete={"Objects": names[start : start + 1000]})
        calls_of(root).unlink(missing_ok=True)

    def killed(
        self, job: Callable[..., object], root: Root, *rest: object, at: int, place: Place = anywhere
    ) -> bool:
        environment = {**self.server.environment(), "TMPDIR": str(self.machine)}
        return killed_at_request(
            job, str(root), *rest, environment=environment, at=at, kind=self.kind, place=place
        )

    def left(self, root: Root) -> list[str]:
        """Uploads that nobody completes."""
        bucket, prefix = split_uri(str(root))
        found = self.client.list_multipart_uploads(Bucket=bucket, Prefix=f"{prefix}/")
        return [f"an upload of {upload['Key']} is left" for upload in found.get("Uploads", ())]

    def _keys(self, root: Root) -> Iterator[str]:
        bucket, prefix = split_uri(str(root))
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
            for item in page.get("Contents", ()):
                yield item["Key"]


def copy_calls(root: Root, target: Root) -> None:
    if calls_of(root).exists():
        shutil.copy(calls_of(root), calls_of(target))
