"""Wan2.2 image-to-video through diffusers' own loading, with a tiny random checkpoint: plumbing only."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from actors.backends import wan22_i2v
from actors.backends.catalogue import CHECKPOINTS
from actors.backends.checkpoints import CheckpointError
from actors.backends.wan22_i2v import LIGHTX2V_FILES, Wan22ImageToVideo
from actors.roles import Frame, SampleError
from benchmarks.checkpoints.wan import save_tiny_lightx2v, save_tiny_wan_i2v

PROMPT = "Waves roll onto the beach."
TINY: dict[str, Any] = {"device": "cpu", "dtype": "float32"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_wan_i2v(tmp_path_factory.mktemp("wan"))


@pytest.fixture(scope="module")
def loras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_lightx2v(tmp_path_factory.mktemp("lightx2v"), scale=0.3)


@pytest.fixture(scope="module")
def wan(checkpoint: Path) -> Wan22ImageToVideo:
    return Wan22ImageToVideo(model=str(checkpoint), steps=2, **TINY)


def picture(height: int = 32, width: int = 48, seed: int = 0) -> Frame:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def video(
    wan: Wan22ImageToVideo, image: Frame, prompt: str = PROMPT, *, num_frames: int = 5, seed: int = 7
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    frames = wan.animate(image, prompt, num_frames=num_frames, fps=16, seed=seed, edit_seed=0)
    return np.stack(list(frames))


def experts_used(wan: Wan22ImageToVideo) -> list[str]:
    """The transformers of one run, in order of their calls."""
    calls: list[str] = []
    hooks = [
        getattr(wan.pipeline, name).register_forward_hook(lambda *_, name=name: calls.append(name))
        for name in ("transformer", "transformer_2")
    ]
    video(wan, picture())
    for hook in hooks:
        hook.remove()
    return calls


def test_the_same_request_gives_the_same_bytes_whatever_was_asked_before(wan: Wan22ImageToVideo) -> None:
    first = video(wan, picture())
    assert first.shape == (5, 32, 48, 3)
    assert first.dtype == np.uint8
    for other in (
        video(wan, picture(), seed=8),
        video(wan, picture(), "A forest burns."),
        video(wan, picture(seed=1)),
    ):
        assert (other != first).any()
    assert (video(wan, picture()) == first).all()


def test_another_process_would_give_the_same_bytes(wan: Wan22ImageToVideo, checkpoint: Path) -> None:
    again = Wan22ImageToVideo(model=str(checkpoint), steps=2, **TINY)
    assert (video(again, picture()) == video(wan, picture())).all()


@pytest.mark.parametrize("num_frames", [17, 20])
def test_other_numbers_than_4n_plus_1_are_the_next_one_cut(wan: Wan22ImageToVideo, num_frames: int) -> None:
    made: list[int] = []
    hook = wan.pipeline.transformer.register_forward_pre_hook(
        lambda _, args, kwargs: made.append(kwargs["hidden_states"].shape[2]), with_kwargs=True
    )
    assert len(video(wan, picture(), num_frames=num_frames)) == num_frames
    hook.remove()
    assert set(made) == {5 if num_frames == 17 else 6}, "latent frames: 17 and 21 frames"


def test_frames_have_the_shape_of_the_picture_whatever_the_working_size(checkpoint: Path) -> None:
    wan = Wan22ImageToVideo(model=str(checkpoint), steps=1, height=32, **TINY)
    sizes: list[tuple[int, ...]] = []
    wan.pipeline.transformer.register_forward_pre_hook(
        lambda _, args, kwargs: sizes.append(tuple(kwargs["hidden_states"].shape[3:])), with_kwargs=True
    )
    assert video(wan, picture(91, 158)).shape == (5, 91, 158, 3)
    assert set(sizes) == {(4, 6)}, "latents of 32 x 48"


def test_other_rates_than_wans_fail_the_sample(wan: Wan22ImageToVideo) -> None:
    with pytest.raises(SampleError, match="Wan makes 16 frames a second, 24 are asked for"):
        wan.animate(picture(), PROMPT, num_frames=5, fps=24, seed=0, edit_seed=0)


def test_bfloat16_transformers_work_beside_a_float32_vae(checkpoint: Path) -> None:
    wan = Wan22ImageToVideo(model=str(checkpoint), steps=1, device="cpu", vae_tiling=True)
    assert wan.pipeline.transformer.dtype == torch.bfloat16
    assert wan.pipeline.vae.dtype == torch.float32
    assert wan.pipeline.vae.use_tiling
    assert video(wan, picture()).shape == (5, 32, 48, 3)


def test_the_defaults_are_wans_own(checkpoint: Path) -> None:
    wan = Wan22ImageToVideo(model=str(checkpoint), **TINY)
    assert (wan.steps, wan.guidance_scale, wan.guidance_scale_2) == (40, 3.5, 3.5)
    assert wan.pipeline.scheduler.config.flow_shift == 5.0
    assert wan.pipeline.config.boundary_ratio == 0.9


def test_guidance_takes_each_expert_twice_a_step(wan: Wan22ImageToVideo) -> None:
    assert experts_used(wan) == ["transformer"] * 2 + ["transformer_2"] * 2


def test_four_distilled_steps_are_two_of_each_expert_at_the_noise_they_were_trained_at(
    checkpoint: Path, loras: Path
) -> None:
    wan = Wan22ImageToVideo(model=str(checkpoint), lightx2v=str(loras), **TINY)
    assert (wan.steps, wan.guidance_scale, wan.guidance_scale_2) == (4, 1.0, 1.0)
    assert experts_used(wan) == ["transformer"] * 2 + ["transformer_2"] * 2
    assert wan.pipeline.scheduler.timesteps.tolist() == pytest.approx([1000, 937.5, 833.3333, 625])


def test_each_expert_gets_its_own_lora(checkpoint: Path, loras: Path, wan: Wan22ImageToVideo) -> None:
    distilled = Wan22ImageToVideo(model=str(checkpoint), lightx2v=str(loras), **TINY)
    for expert, name in zip(("transformer", "transformer_2"), LIGHTX2V_FILES, strict=True):
        parts = load_file(loras / name)
        stem = "diffusion_model.blocks.1.self_attn.q"
        change = parts[f"{stem}.lora_up.weight"] @ parts[f"{stem}.lora_down.weight"]  # alpha = rank
        before, after = (
            getattr(model.pipeline, expert).blocks[1].attn1.to_q.weight for model in (wan, distilled)
        )
        assert torch.allclose(after - before, change, atol=1e-5)


def test_a_checkpoint_that_is_distilled_already_needs_no_lora(checkpoint: Path) -> None:
    wan = Wan22ImageToVideo(model=str(checkpoint), distilled=True, **TINY)
    assert (wan.steps, wan.guidance_scale) == (4, 1.0)
    assert video(wan, picture()).shape == (5, 32, 48, 3)


def test_a_lora_that_is_not_there_is_named_with_what_is(
    checkpoint: Path, loras: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(loras, tmp_path / "loras")
    (folder / LIGHTX2V_FILES[1]).unlink()
    with pytest.raises(CheckpointError, match=r"no .*low_noise_model\.safetensors; found .*high_noise_model"):
        Wan22ImageToVideo(model=str(checkpoint), lightx2v=str(folder), **TINY)


def test_a_pickled_lora_is_refused(checkpoint: Path, loras: Path) -> None:
    with pytest.raises(CheckpointError, match=r"high\.pt is no safetensors file"):
        Wan22ImageToVideo(
            model=str(checkpoint), lightx2v=str(loras), lightx2v_files=("high.pt", "low.pt"), **TINY
        )


@pytest.mark.parametrize("repository", ["lightx2v/Wan2.2-Lightning", "lightx2v/Wan2.2-Distill-Loras"])
def test_the_loras_that_are_loaded_are_those_that_are_fetched(
    repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wan22_i2v, "checkpoint_folder", lambda model, revision: tmp_path)
    with pytest.raises(CheckpointError, match="found none"):
        wan22_i2v._lora_files(repository, None, None)
    for name in wan22_i2v._LATER_FILES.get(repository, LIGHTX2V_FILES):
        assert any(fnmatch(name, pattern) for pattern in CHECKPOINTS[repository].only)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert all(path.is_file() for path in wan22_i2v._lora_files(repository, None, None))
