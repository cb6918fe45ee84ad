"""Processes that `benchmarks.chaos` starts, finds and kills: runs, Ray's nodes, an S3 server with faults.

What a reader gets wrong: a process is known as ours by a word in its environment, which its children inherit,
Ray's raylets and workers too. No process is ever looked for by its name alone.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ray._private.ray_constants import (
    AGENT_PROCESS_TYPE_DASHBOARD_AGENT,
    AGENT_PROCESS_TYPE_RUNTIME_ENV_AGENT,
)

HERE = Path(__file__).parents[1]
WORD = "SPARKLE_CHAOS"
RAY = str(Path(sys.executable).with_name("ray"))
FAULTS = [
    {"kind": kind, "request": request, "times": 10**9, "chance": chance}
    for kind, request, chance in (
        ("InternalError", "", 0.03),
        ("SlowDown", "", 0.03),
        ("cut", "", 0.02),
        ("lost", "^(PUT|POST|DELETE) ", 0.04),
        ("torn", "^GET .*/artifacts/", 0.02),
        ("ConditionalRequestConflict", "^PUT ", 0.01),
    )
]
"""Of `tests/s3_server.py`; 8 % of the requests that read, 13 % of those that write."""


def environment(word: str, **more: str) -> dict[str, str]:
    """Of a process of ours: without the address of a cluster that the caller may run in."""
    there = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return {**there, "OMP_NUM_THREADS": "1", WORD: word, **more}


def start(arguments: list[str], word: str, log: Path, **more: str) -> subprocess.Popen[bytes]:
    """A process with a session of its own, its words at the end of `log`."""
    with log.open("ab") as out:
        return subprocess.Popen(
            arguments,
            cwd=HERE,
            env=environment(word, **more),
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def ours(word: str) -> dict[int, str]:
    """Living processes with this word in their environment: pid, and title or command line."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            if f"{WORD}={word}".encode() not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            if (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                continue
            title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found[int(folder.name)] = title.strip()
    return found


def workers(word: str) -> list[int]:
    """Ray's workers that have an actor of ours in hand, or had; not its agents, with which a node ends."""
    agents = (AGENT_PROCESS_TYPE_DASHBOARD_AGENT, AGENT_PROCESS_TYPE_RUNTIME_ENV_AGENT)
    return [
        pid
        for pid, title in ours(word).items()
        if title.startswith("ray::") and "IDLE" not in title and not title.startswith(agents)
    ]


def submitted(word: str) -> list[int]:
    """Drivers of submitted jobs; neither the shell that started one nor who submitted it."""
    return [
        pid
        for pid, title in ours(word).items()
        if " -m ray_jobs " in title and "python" in title.split()[0] and " submit " not in title
    ]


def raylets(word: str) -> list[int]:
    return [pid for pid, title in ours(word).items() if "/raylet/raylet " in title]


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_all(word: str) -> None:
    """Everything with this word; again, until nothing is left that was being started meanwhile."""
    while left := ours(word):
        for pid in left:
            kill(pid)
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Cluster:
    """Nodes of one Ray cluster on this machine, each with one CPU and a word of its own."""

    def __init__(self, nodes: int, log: Path) -> None:
        self.log = log
        self.word = secrets.token_hex(8)
        self.folder = Path(tempfile.mkdtemp(prefix="rc"))  # short: sockets' paths are limited to 107 bytes
        port, self.dashboard = _free_port(), _free_port()
        self.address = f"127.0.0.1:{port}"
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        """What a driver needs to be let in."""
        self.nodes: list[str] = []
        self._start(
            "--head",
            f"--port={port}",
            f"--dashboard-port={self.dashboard}",
            f"--ray-client-server-port={_free_port()}",
            f"--temp-dir={self.folder}",
            word=f"{self.word}-head",
        )
        for _ in range(nodes - 1):
            self.add_node()

    def add_node(self) -> None:
        """One more node; its word is in `nodes`."""
        word = f"{self.word}-{secrets.token_hex(4)}"
        self._start(f"--address={self.address}", word=word)
        self.nodes.append(word)

    def _start(self, *arguments: str, word: str) -> None:
        log = self.log.with_name(f"{self.log.name}.{word}")
        more = [
            f"--dashboard-agent-listen-port={_free_port()}",
            f"--dashboard-agent-grpc-port={_free_port()}",
            "--num-cpus=1",
            f"--object-store-memory={100 << 20}",
            "--disable-usage-stats",
        ]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # a job's `python` is the first on it
        process = start(
            [RAY, "start", "--block", *arguments, *more], word, log, PATH=path, **self.environment
        )
        deadline = time.monotonic() + 240
        while "Ray runtime started" not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"a Ray node did not start: {log.read_text()[-2000:]}")
            time.sleep(0.3)

    def kill_a_node(self, number: int) -> None:
        """SIGKILL of one node's raylet, then of what is left of the node; another node comes."""
        word = self.nodes.pop(number % len(self.nodes))
        for pid in raylets(word):
            kill(pid)
        time.sleep(1.0)
        kill_all(word)
        self.add_node()

    def words(self) -> list[str]:
        return [f"{self.word}-head", *self.nodes]

    def close(self) -> None:
        for word in self.words():
            kill_all(word)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def s3_server() -> Iterator[Mapping[str, str]]:
    """The tests' S3 server, with `FAULTS` from now on; gives the variables by which clients find it."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.s3_server"],
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        endpoint = f"http://127.0.0.1:{int(process.stdout.readline())}"
        urllib.request.urlopen(f"{endpoint}/-/faults", json.dumps(FAULTS).encode(), timeout=30).close()
        yield {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "chaos",
            "AWS_SECRET_ACCESS_KEY": "chaos",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        process.terminate()


def requests_seen(endpoint: str) -> int:
    """How many requests the server got."""
    with urllib.request.urlopen(f"{endpoint}/-/seen", timeout=60) as answer:
        return len(json.loads(answer.read()))
