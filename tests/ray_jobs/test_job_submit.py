"""`ray job submit` against a head on this machine, as README says it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ray_jobs.commands import ROOT, environment

PORTS = ("port", "ray-client-server-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port")
"""Those with a default number: another Ray on the machine may have it."""
RAY = str(Path(sys.executable).with_name("ray"))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Head:
    """A Ray head of this test's own."""

    address: str
    environment: dict[str, str]
    """What a shell needs to submit: the token that the head asks for."""


@pytest.fixture
def head() -> Iterator[Head]:
    """A head with token authentication; stopped by process group, since `ray stop` stops every Ray there
    is.
    """
    folder = tempfile.mkdtemp(prefix="rh")  # short: the paths of its sockets are limited to 107 bytes
    token = Path(folder) / "token"
    token.write_text(secrets.token_hex(32))
    env = {
        **environment(),
        # the job's `python` is the first on it
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
    }
    dashboard = free_port()
    ports = [f"--{name}={free_port()}" for name in PORTS]
    log = Path(folder) / "head.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                RAY,
                "start",
                "--head",
                "--block",
                *ports,
                f"--dashboard-port={dashboard}",
                f"--temp-dir={folder}",
                "--num-cpus=2",
                "--disable-usage-stats",
            ],
            env=env,
            cwd=folder,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = time.monotonic() + 120
    while "Ray runtime started" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)
    yield Head(f"http://127.0.0.1:{dashboard}", env)
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_submitted_job_runs_and_its_exit_code_arrives(head: Head, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "empty.mp4").write_bytes(b"")
    submit = [RAY, "job", "submit", "--address", head.address, "--working-dir", ".", "--"]
    work = ["python", "-m", "ray_jobs", "synthesize"]
    work += ["--sources", str(clips), "--output", str(tmp_path / "root")]
    for _ in range(10):  # right after the start there is no agent that could take the job
        result = subprocess.run(
            [*submit, *work],
            cwd=ROOT,
            env=head.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        said = result.stdout + result.stderr
        if "No available agent" not in said:
            break
        time.sleep(3)
    assert "the file is empty (0 bytes)" in said, said[-3000:]
    assert "exit code 3" in said or "exited with code 3" in said, said[-2000:]
    assert result.returncode == 1  # what `ray job submit` makes of any failing entrypoint
    assert (tmp_path / "root" / "journal" / "Ingest").is_dir()
