"""Settings of all tests, and the S3 server that some of them use.

What a reader gets wrong: hypothesis's deadline is off because a busy machine is not a fault, not because
anything here may be slow; `--durations` shows what is.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.s3_server import S3Server, s3_server

settings.register_profile("sparkle", deadline=None)
settings.load_profile("sparkle")


@pytest.fixture(scope="session")
def s3_process() -> Iterator[S3Server]:
    """One server for the session, with the bucket `bucket` in it."""
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(s3_process: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3Server:
    """The server without faults; this process and those it starts find it by the standard variables."""
    for name, value in s3_process.environment().items():
        monkeypatch.setenv(name, value)
    local = tmp_path / "machine"
    local.mkdir()
    monkeypatch.setenv("TMPDIR", str(local))
    monkeypatch.setattr(tempfile, "tempdir", str(local))
    s3_process.fault()
    return s3_process


@pytest.fixture
def prefix(s3: S3Server) -> str:
    """A prefix of the bucket that holds nothing."""
    return f"s3://bucket/{uuid.uuid4().hex}"
