"""What the stream does beside Ray's own work; the rest of it is in the runs of other tests."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from actors.guard import RunContext, stop_key
from actors.pipeline import PlannedActor, resolve
from actors.roles import BackendError
from actors.store import open_root
from ray_jobs import stream
from schemas.config import RunConfig


def test_a_model_whose_load_kills_worker_after_worker_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_root(str(tmp_path / "root"), create=True)
    context = RunContext(
        root=store.uri, run=1, name="Sparkle", seed=1, thresholds={}, generations={}, fingerprints={}
    )
    planned = resolve(RunConfig())[0]
    ids = {"actor": None, "task": "a"}
    worker = SimpleNamespace(get_actor_id=lambda: ids["actor"], get_task_id=lambda: ids["task"])
    monkeypatch.setattr(ray, "get_runtime_context", lambda: worker)
    stream._loaded(planned, context)
    assert list(store.keys("journal/attempts")) == []

    def die() -> None:
        """A load that its process does not outlive."""
        child = os.fork()
        if not child:
            monkeypatch.setattr(PlannedActor, "build", lambda self: os._exit(1))
            stream._loaded(planned, context)
        os.waitpid(child, 0)

    for _ in range(stream.MAX_LOAD_DEATHS):
        die()
    with pytest.raises(BackendError, match=f"3 workers died loading {planned.name}, the last on "):
        stream._loaded(planned, context)
    ids["actor"] = "b"
    stream._loaded(planned, context)  # another worker has its own count


def test_an_interrupt_that_a_library_loses_ends_the_run_all_the_same(tmp_path: Path) -> None:
    store = open_root(str(tmp_path / "root"), create=True)
    context = RunContext(
        root=store.uri, run=7, name="Sparkle", seed=1, thresholds={}, generations={}, fingerprints={}
    )
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stream.draining(context), suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert store.exists(stop_key(7)), "no call begins any more"
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_while_ray_starts_is_the_jobs_own_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's init sets a handler that exits with 15."""
    before = signal.getsignal(signal.SIGTERM)

    def start(gpus: int | None) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(stream, "_init_ray", start)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        with pytest.raises(SystemExit) as stopped:
            stream.start_ray()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stopped.value.code == 143


def test_the_gpus_of_a_cluster_are_those_of_its_nodes_or_of_what_it_may_grow_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0}},
        {"Alive": True, "Resources": {"GPU": 2.0}},
        {"Alive": False, "Resources": {"GPU": 8.0}},
    ]
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setattr(stream, "start_ray", lambda gpus: None)
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    grown = SimpleNamespace(node_group_configs=[])
    monkeypatch.setattr(ray._private.state.state, "get_cluster_config", lambda: grown)
    assert stream.start_ray_for(RunConfig()) == [2]
    grown.node_group_configs = [
        SimpleNamespace(resources={"CPU": 8}, max_count=1),
        SimpleNamespace(resources={"GPU": 4}, max_count=2),
    ]
    assert stream.start_ray_for(RunConfig()) == [4, 4]
    grown.node_group_configs[1].max_count = -1
    assert stream.start_ray_for(RunConfig()) == [4] * stream.MAX_NODES
    assert stream.start_ray_for(RunConfig(gpus=16)) == [16]
    nodes.clear()
    monkeypatch.setattr(ray._private.state.state, "get_cluster_config", lambda: None)
    assert stream.start_ray_for(RunConfig()) == [0]
