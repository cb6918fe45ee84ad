"""`python -m ray_jobs models` as a person types it, against a hub on this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import constants
from rich.console import Console
from safetensors.torch import save

from actors.backends import BACKENDS, Weights, backend_spec, weights_of
from actors.backends.catalogue import CHECKPOINTS
from actors.backends.wan22_i2v import LIGHTX2V_FILES, _lora_files
from actors.pipeline import resolve
from ray_jobs.models import choices, missing_packages, print_models, require_weights, say_unpinned
from ray_jobs.pins import pin_weights
from ray_jobs.settings import load_config
from schemas.config import ConfigError, RunConfig
from tests.actors.hub_servers import COMMIT, hub
from tests.ray_jobs.commands import ROOT, command, environment

SAM = "facebook/sam2.1-hiera-large"
PIN = CHECKPOINTS[SAM].revision
FILES = {
    "mine/tiny/model.safetensors": save({"a": torch.zeros(2)}),
    "mine/tiny/config.json": b"{}",
    "mine/tiny/tokenizer/merges.txt": b"a b",
    "mine/tiny/sam2.1_hiera_tiny.pt": b"pickle",
    "mine/tiny/modeling.py": b"code",
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A tracker of the hub, all else embedded."""
    raw = yaml.safe_load((ROOT / "configs/embedded.yaml").read_text())
    raw["actors"]["ForegroundTracker"] = {"backend": "sam2", "options": {"model": "mine/tiny"}}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


@pytest.fixture
def server() -> Iterator[tuple[str, Any]]:
    with hub(dict(FILES)) as running:
        yield running


def models(
    tmp_path: Path, *arguments: str | Path, address: str = "http://127.0.0.1:1"
) -> subprocess.CompletedProcess[str]:
    places = {
        "HF_ENDPOINT": address,
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "SPARKLE_CACHE": str(tmp_path / "sparkle"),
    }
    proxies = {name for name in os.environ if name.lower().endswith("_proxy")}
    return subprocess.run(
        command("models", *arguments),
        cwd=ROOT,
        env={key: value for key, value in environment().items() if key not in proxies} | places,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_fetch_brings_weights_and_no_pickle_and_a_second_one_asks_for_nothing(
    tmp_path: Path, config: Path, server: tuple[str, Any]
) -> None:
    address, running = server
    first = models(tmp_path, "--config", config, "--fetch", address=address)
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "hub" / "models--mine--tiny" / "snapshots" / COMMIT
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "model.safetensors",
        "config.json",
        "tokenizer/merges.txt",
    }
    assert f"revision: {COMMIT}" in first.stdout
    assert str(folder) in first.stdout
    served = len(running.served)
    again = models(tmp_path, "--config", config, "--fetch", "sam2", address=address)
    assert again.returncode == 0, again.stderr
    assert "mine/tiny is here" in again.stdout
    assert len(running.served) == served


def test_what_was_fetched_is_what_a_run_pins_and_finds(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, other, distilled = save({"a": torch.zeros(2)}), "3" * 40, "lightx2v/Wan2.2-Lightning"
    files = {
        "mine/wan/model_index.json": b"{}",
        "mine/wan/vae/model.safetensors": weights,
        "mine/judge/model.safetensors": weights,
        "mine/lora/adapter_model.safetensors": weights,
        **{f"{distilled}/{name}": weights for name in (*LIGHTX2V_FILES, "another/lora.safetensors")},
    }
    raw = yaml.safe_load(config.read_text())
    raw["actors"] = {
        "EditedFrameScorer": {
            "backend": "editscore",
            "options": {"model": "mine/judge", "revision": other, "adapter": "mine/lora"},
        },
        "BackgroundAnimator": {
            "backend": "wan22_i2v",
            "options": {"model": "mine/wan", "revision": "main", "lightx2v": distilled},
        },
    }
    config.write_text(yaml.safe_dump(raw))
    with hub(files) as (address, running):
        result = models(tmp_path, "--config", config, "--fetch", address=address)
        assert result.returncode == 0, result.stderr
        assert f"{distilled}/another/lora.safetensors" not in running.served
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    planned = {item.name: item for item in resolve(pin_weights(load_config(config), None))}
    assert [planned[name].recipe["weights"] for name in raw["actors"]] == [
        [f"mine/judge@{other}", f"mine/lora@{COMMIT}"],
        [f"mine/wan@{COMMIT}", f"{distilled}@{CHECKPOINTS[distilled].revision}"],
    ]
    require_weights(list(planned.values()))
    assert _lora_files(distilled, None, None)[1].read_bytes() == weights


def test_without_a_network_and_behind_a_gate_the_reason_is_one_line(
    tmp_path: Path, config: Path, server: tuple[str, Any]
) -> None:
    address, running = server
    running.refuse = 403
    gated = models(tmp_path, "--config", config, "--fetch", address=address)
    assert gated.returncode == 1
    assert f"accept its licence at {address}/mine/tiny" in gated.stderr
    offline = models(tmp_path, "--config", config, "--fetch")
    assert offline.returncode == 1
    assert "mine/tiny cannot be fetched from http://127.0.0.1:1" in offline.stderr
    assert "Traceback" not in gated.stderr + offline.stderr


def test_what_cannot_be_had_keeps_nothing_else_from_being_fetched(
    tmp_path: Path, config: Path, server: tuple[str, Any]
) -> None:
    raw = yaml.safe_load(config.read_text())
    raw["actors"]["FirstFrameEditor"] = {"backend": "flux2_klein", "options": {"model": "mine/absent"}}
    config.write_text(yaml.safe_dump(raw))
    result = models(tmp_path, "--config", config, "--fetch", address=server[0])
    assert result.returncode == 1
    assert "mine/absent" in result.stderr
    assert "Traceback" not in result.stderr
    assert "mine/tiny fetched" in result.stdout


def test_the_table_shows_every_backend_and_what_the_paper_lacks_here(tmp_path: Path) -> None:
    listed = models(tmp_path)
    assert listed.returncode == 0, listed.stderr
    for _, name in BACKENDS:
        assert f" {name} " in listed.stdout
    row = next(line for line in listed.stdout.splitlines() if " flux2_klein " in line)
    for word in ("*", "ImageEditor", "flux-non-commercial, gated", "FLUX.2-klein-9B", "not here", " 32 "):
        assert word in row
    chosen = {
        weights.model
        for choice in choices(load_config(ROOT / "configs/sparkle.yaml"))
        if choice.actors
        for weights in choice.weights
    }
    assert f"lacks {sum(CHECKPOINTS[model].download_gib for model in chosen):.1f} GiB" in listed.stdout


def test_a_named_backend_is_shown_alone_with_the_weights_of_the_config(config: Path) -> None:
    (only,) = choices(load_config(config), ["sam2"])
    assert only.weights == (Weights("mine/tiny"),)
    assert only.actors == ("ForegroundTracker",)
    with pytest.raises(ConfigError, match="raft"):
        choices(load_config(config), ["raftt"])


def test_weights_of_a_folder_have_no_known_licence_and_missing_packages_a_command_that_brings_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray_jobs.models.missing_packages", lambda spec: ["ptlflow"])
    tracker = {"backend": "sam2", "options": {"model": str(tmp_path)}}
    console = Console(record=True, width=400)
    print_models(choices(RunConfig(actors={"ForegroundTracker": tracker})), console)
    rows = console.export_text().splitlines()
    assert [row.split()[3] for row in rows if " sam2 " in row] == ["unknown"]
    assert all(
        "make install-gpu" in row for row in rows if " unimatch " in row or " editscore_openai " in row
    )
    assert all("pip install -e '.[openai]'" in row for row in rows if " openai " in row)


@pytest.mark.parametrize(
    ("role", "name", "options", "weights"),
    [
        ("VideoTracker", "embedded", {}, []),
        ("VideoTracker", "sam2", {}, [(SAM, None)]),
        ("VideoTracker", "sam2", {"model": "s3://a/b", "revision": "x"}, [("s3://a/b", "x")]),
        (
            "EditScorer",
            "editscore",
            {"adapter": "/lora"},
            [("Qwen/Qwen3-VL-8B-Instruct", None), ("/lora", None)],
        ),
        (
            "ImageToVideo",
            "wan22_i2v",
            {"lightx2v": "lightx2v/Wan2.2-Lightning", "lightx2v_revision": "y"},
            [("Wan-AI/Wan2.2-I2V-A14B-Diffusers", None), ("lightx2v/Wan2.2-Lightning", "y")],
        ),
        (
            "ControlToVideo",
            "wan22_fun_control",
            {"components": "/wan"},
            [("alibaba-pai/Wan2.2-Fun-A14B-Control", None), ("/wan", None)],
        ),
        ("VisionLanguageModel", "openai", {"model": "gemini-2.5-pro"}, []),
    ],
)
def test_options_name_other_weights(
    role: str, name: str, options: dict[str, Any], weights: list[tuple[str, str | None]]
) -> None:
    assert weights_of(backend_spec(role, name), options) == tuple(Weights(*item) for item in weights)


def test_packages_are_looked_up_without_importing_them() -> None:
    spec = backend_spec("VisionLanguageModel", "vllm")
    assert missing_packages(spec) == ["vllm"]


def test_weights_that_nothing_pins_are_said_before_a_run() -> None:
    console = Console(record=True, width=200)
    say_unpinned(resolve(load_config(Path("configs/sparkle.yaml"), [])), console)
    assert "no revision pins EditScore/EditScore-Qwen3-VL-8B-Instruct, alibaba-pai/" in console.export_text()
    say_unpinned(resolve(RunConfig()), console)
    assert console.export_text() == ""
