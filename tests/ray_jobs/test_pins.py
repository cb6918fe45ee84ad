"""Weights that a config does not pin: a root stays with those that its first run had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from rich.console import Console
from safetensors.torch import save_file

from actors.pipeline import PlannedActor, resolve
from actors.store import open_root
from ray_jobs.models import require_weights, say_unpinned
from ray_jobs.pins import pin_weights
from ray_jobs.runs import newest_run, open_run
from ray_jobs.settings import load_config
from ray_jobs.sources import read_sources
from ray_jobs.synthesize import print_plan, synthesize
from schemas.config import ConfigError, RunConfig
from tests.ray_jobs.commands import ROOT

OLD, NEW = "0" * 39 + "1", "0" * 39 + "2"
HUB = "mine/tracker"


def tracked_by(**options: Any) -> RunConfig:
    return RunConfig(actors={"ForegroundTracker": {"backend": "sam2", "options": options}})


def tracker(config: RunConfig) -> PlannedActor:
    return next(item for item in resolve(config) if item.name == "ForegroundTracker")


def weights(folder: Path, values: int) -> Path:
    folder.mkdir(parents=True)
    save_file({"a": torch.zeros(values)}, folder / "model.safetensors")
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache with two commits of one repository, the older one its `main`."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = tmp_path / "hub" / "models--mine--tracker"
    for commit in (OLD, NEW):
        weights(folder / "snapshots" / commit, 2)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(OLD)
    return folder


def test_the_commit_that_is_here_is_written_into_config_and_recipe(cache: Path) -> None:
    pinned = pin_weights(tracked_by(model=HUB, device="cpu"), None)
    assert pinned.actors["ForegroundTracker"]["options"] == {"model": HUB, "device": "cpu", "revision": OLD}
    assert tracker(pinned).recipe["weights"] == [f"{HUB}@{OLD}"]
    console = Console(record=True)
    say_unpinned(resolve(pinned), console)
    assert console.export_text() == ""


def test_a_root_stays_with_its_commit_when_the_cache_moves_on(cache: Path) -> None:
    before = pin_weights(tracked_by(model=HUB), None)
    (cache / "refs/main").write_text(NEW)
    assert pin_weights(tracked_by(model=HUB), before) == before
    assert f"{HUB}@{NEW}" in tracker(pin_weights(tracked_by(model=HUB), None)).recipe["weights"]
    (cache / "snapshots" / OLD / "model.safetensors").unlink()
    (cache / "snapshots" / OLD).rmdir()
    with pytest.raises(ConfigError, match=f"{OLD} are not on this machine.*{NEW} of it"):
        require_weights([tracker(pin_weights(tracked_by(model=HUB), before))])


def test_a_root_that_began_where_no_weights_were_goes_on_so(cache: Path) -> None:
    assert pin_weights(tracked_by(model=HUB), tracked_by(model=HUB)) == tracked_by(model=HUB)
    other = pin_weights(tracked_by(model=HUB), tracked_by(model="mine/other"))
    assert other.actors["ForegroundTracker"]["options"]["revision"] == OLD


def test_a_folder_is_pinned_by_what_it_holds(tmp_path: Path) -> None:
    folder = weights(tmp_path / "own", 2)
    pinned = pin_weights(tracked_by(model=str(folder)), None)
    require_weights([tracker(pinned)])
    save_file({"a": torch.zeros(3)}, folder / "model.safetensors")
    assert pin_weights(tracked_by(model=str(folder)), pinned) == pinned
    with pytest.raises(
        ConfigError, match="is not the checkpoint that the config or the root's first run pins"
    ):
        require_weights([tracker(pinned)])


def test_a_branch_becomes_its_commit_and_a_moved_one_another(cache: Path) -> None:
    before = pin_weights(tracked_by(model=HUB, revision="main"), None)
    assert before == tracked_by(model=HUB, revision=OLD)
    (cache / "refs/main").write_text(NEW)
    assert pin_weights(tracked_by(model=HUB, revision="main"), before) == tracked_by(model=HUB, revision=NEW)


def test_a_first_run_or_a_redo_without_its_weights_begins_nothing(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/a.mp4").touch()
    entries, config = read_sources(str(tmp_path / "clips")), tracked_by(model="/no/such/folder")
    config = config.model_copy(update={"gpus": 1})
    root = str(tmp_path / "root")
    for redo in (None, "ForegroundTracker"):
        with pytest.raises(ConfigError, match="is no folder on this machine"):
            synthesize(root, entries, config, Console(quiet=True), redo=redo)
        assert not Path(root).exists()
    record = open_run(open_root(root, create=True), "synthesize", config)
    with pytest.raises(ConfigError, match="is no folder on this machine"):
        synthesize(root, entries, config, Console(quiet=True), redo="ForegroundTracker")
    assert newest_run(open_root(root, create=False)) == record


def test_a_dry_run_says_that_weights_are_not_those_of_the_first_run(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/a.mp4").touch()
    entries, folder = read_sources(str(tmp_path / "clips")), weights(tmp_path / "own", 2)
    store = open_root(str(tmp_path / "root"), create=True)
    config = tracked_by(model=str(folder)).model_copy(update={"gpus": 1})
    open_run(store, "synthesize", pin_weights(config, None))
    save_file({"a": torch.zeros(3)}, folder / "model.safetensors")
    console = Console(record=True, width=400)
    print_plan(str(tmp_path / "root"), entries, config, console)
    assert "would be refused: " in (shown := console.export_text())
    assert "is not the checkpoint that the config or the root's first run pins" in shown


def test_a_mirror_with_a_commit_is_refused_before_work() -> None:
    with pytest.raises(ConfigError, match=r"a mirror, which has digests .* set revision: null"):
        require_weights([tracker(tracked_by(model="s3://bucket/weights", revision=OLD))])


def test_what_config_or_table_pins_and_what_is_not_here_stays(cache: Path) -> None:
    paper = load_config(ROOT / "configs/sparkle.yaml")
    for config in (
        tracked_by(),
        tracked_by(model=HUB, revision=NEW),
        tracked_by(model="s3://bucket/weights"),
        tracked_by(model="mine/nowhere"),
        RunConfig(),
        paper,
    ):
        assert pin_weights(config, None) == config
