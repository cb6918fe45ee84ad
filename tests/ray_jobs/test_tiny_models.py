"""The whole pipeline with every role on its real architecture at toy size: pixels are noise, the plumbing is
real, and the plan's phases change nothing in the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import yaml
from rich.console import Console

from actors.guard import RunContext
from actors.journal import ActorJournal
from actors.pipeline import PIPELINE, PlannedActor, resolve
from actors.store import open_root
from benchmarks.checkpoints.qwen3_vl import INSTRUCTION, LABEL
from benchmarks.checkpoints.tiny import ON_GPU, whole_pipeline
from ray_jobs.phases import Phase, cut
from ray_jobs.publish import publish
from ray_jobs.root import RootState, read_root
from ray_jobs.runs import newest_run, open_run
from ray_jobs.settings import load_config
from ray_jobs.sources import read_sources
from ray_jobs.stream import stream
from ray_jobs.synthesize import synthesize
from ray_jobs.verify import verify
from schemas.config import ActorConfig, ConfigError, RunConfig
from schemas.records import Row, sample_id, source_key
from tests.ray_jobs.commands import FRAMES, tree
from tests.ray_jobs.meeting import Meeting


@pytest.fixture(scope="module")
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    actors = {**whole_pipeline(folder, num_frames=FRAMES), "Ingest": {"min_frames": FRAMES}}
    raw = {"themes": ["location", "season"], "actors": actors}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


@pytest.fixture(scope="module")
def clip(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    (folder / "portrait.mp4").write_bytes((sources / "portrait_outdoors.mp4").read_bytes())
    return folder


@pytest.fixture(scope="module")
def sixteen_gpus() -> Iterator[None]:
    """A Ray with logical GPUs; plans may count on fewer."""
    ray.init(address="local", num_gpus=16, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def planned_with(config_file: Path, gpus: int) -> RunConfig:
    """Two workers a generator at most: sixteen would each load torch, for two samples."""
    pools = ["BackgroundAnimator.pool_size=2", "VideoGenerator.pool_size=2"] if gpus > 2 else []
    return load_config(config_file, [f"gpus={gpus}", *pools])


def test_the_number_of_gpus_changes_the_phases_and_not_the_bytes(
    config_file: Path, clip: Path, sixteen_gpus: None, tmp_path: Path
) -> None:
    releases = []
    for gpus, phases in ((1, 3), (2, 2), (16, 1)):
        config = planned_with(config_file, gpus)
        assert len(cut(resolve(config), [gpus])) == phases
        root = str(tmp_path / f"gpus{gpus}")
        result = synthesize(root, read_sources(str(clip)), config, Console(quiet=True))
        assert result.state.verdicts()["status"].to_pylist() == ["accepted", "accepted"]
        publish(root)
        assert verify(root) == []
        release = tree(Path(root) / "release")
        releases.append({name: data for name, data in release.items() if not name.startswith("manifest/")})
    assert releases[0] == releases[1] == releases[2]
    every_actor_left_what_it_should(tmp_path / "gpus16")


def test_the_samples_of_one_source_go_to_all_workers_of_a_gpu_pool(
    sixteen_gpus: None, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    store = open_root(str(tmp_path / "root"), create=True)
    config = ActorConfig(num_gpus=1, options={"here": str(tmp_path / "here")})
    phase = Phase((PlannedActor(Meeting, config, None, {}),), (2,), "the test")
    context = RunContext(
        root=store.uri,
        run=1,
        name="Sparkle",
        seed=42,
        thresholds={},
        generations={"Meeting": 0},
        fingerprints={"Meeting": ""},
    )
    samples = [Row(sample_id("Sparkle", theme, 1), {"source_id": 1}) for theme in ("location", "season")]
    assert stream([Row(source_key(1), {"source_id": 1}, samples=samples)], phase, RunConfig(), context) == 2
    journal = ActorJournal(store, Meeting.step())
    assert journal.read(journal.parts())["original_scene"].to_pylist() == ["2 workers"] * 2


def test_a_redo_that_the_cluster_cannot_place_gives_no_results_up(
    clip: Path, sixteen_gpus: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tmp_path / "root")
    open_run(open_root(root, create=True), "synthesize", RunConfig())
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # a cluster is named; this process is in one already
    config = RunConfig(actors={"ForegroundTracker": {"num_gpus": 17}})
    with pytest.raises(ConfigError, match=r"counts on 16 GPUs, and ForegroundTracker .* needs 17"):
        synthesize(root, read_sources(str(clip)), config, Console(quiet=True), redo="ForegroundTracker")
    record = newest_run(open_root(root, create=False))
    assert record is not None
    assert record.run == 1


def every_actor_left_what_it_should(root: Path) -> None:
    state: RootState | None = read_root(open_root(str(root), create=False))
    assert state is not None
    for actor in PIPELINE:
        assert set(state.settled[actor.__name__]["outcome"].to_pylist()) == {"ok"}, actor.__name__
    assert set(state.settled["InstructionWriter"]["prompt"].to_pylist()) == {INSTRUCTION}
    assert state.settled["ForegroundGrounder"]["round1_labels"].to_pylist()[0] == [LABEL]
    backends = {name: recipe["backend"] for name, recipe in state.record.recipes.items()}
    assert "embedded" not in {backends[actor.__name__] for actor in PIPELINE if actor.role}
    assert set(ON_GPU) < set(backends)
