"""`ray job submit` against a head on this machine, as README says it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ray_jobs.commands import ROOT, environment

RAY = str(Path(sys.executable).with_name("ray"))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def head() -> Iterator[str]:
    """Address of the dashboard of a head of its own; `ray stop` would stop every Ray of the machine, so by
    group.
    """
    dashboard = free_port()
    folder = tempfile.mkdtemp(prefix="rh")  # short: the paths of its sockets are limited to 107 bytes
    arguments = [RAY, "start", "--head", "--block", f"--port={free_port()}", f"--dashboard-port={dashboard}"]
    arguments += [
        f"--temp-dir={folder}",
        "--num-cpus=2",
        "--disable-usage-stats",
        "--ray-client-server-port=0",
    ]
    env = {**environment(), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        arguments,
        env=env,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    yield f"http://127.0.0.1:{dashboard}"
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_submitted_job_runs_and_its_exit_code_arrives(head: str, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "empty.mp4").write_bytes(b"")
    submit = [RAY, "job", "submit", "--address", head, "--working-dir", ".", "--"]
    work = [
        "python",
        "-m",
        "ray_jobs",
        "synthesize",
        "--sources",
        str(clips),
        "--output",
        str(tmp_path / "root"),
    ]
    deadline = time.monotonic() + 120
    while True:  # right after the start there is no agent that could take the job
        result = subprocess.run(
            [*submit, *work],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said = result.stdout + result.stderr
        if "failed" in said or time.monotonic() > deadline:
            break
        time.sleep(2)
    assert "the file is empty (0 bytes)" in said
    assert "exit code 3" in said or "exited with code 3" in said, said[-2000:]
    assert result.returncode == 1  # what `ray job submit` makes of any failing entrypoint
    assert (tmp_path / "root" / "journal" / "Ingest").is_dir()
