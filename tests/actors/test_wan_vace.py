"""VACE through diffusers' own loading, with a tiny random checkpoint: plumbing and channels, not pictures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from actors.backends.checkpoints import CheckpointError
from actors.backends.wan_vace import WanVace
from actors.roles import ControlRequest, SampleError
from benchmarks.checkpoints.wan import LATENTS
from benchmarks.checkpoints.wan_fun import save_tiny_vace
from tests.actors.control_requests import (
    HEIGHT,
    WIDTH,
    FrameClip,
    control_request,
    different_requests,
    noise,
)

TINY: dict[str, Any] = {"device": "cpu", "dtype": "float32"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_vace(tmp_path_factory.mktemp("vace"))


@pytest.fixture(scope="module")
def vace(checkpoint: Path) -> WanVace:
    return WanVace(model=str(checkpoint), steps=2, **TINY)


def video(vace: WanVace, asked: ControlRequest) -> npt.NDArray[np.uint8]:
    return np.stack(list(vace.synthesize(asked)))


def control_of(vace: WanVace, asked: ControlRequest) -> torch.Tensor:
    """What the transformer's control branch got in the first step: (channels, T, H, W)."""
    seen: list[torch.Tensor] = []
    hook = vace.pipeline.transformer.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["control_hidden_states"][0]), with_kwargs=True
    )
    list(vace.synthesize(asked))
    hook.remove()
    return seen[0]


@torch.no_grad()
def latents_of(vace: WanVace, frames: torch.Tensor) -> torch.Tensor:
    """(T, H, W, 3) in -1..1 as the tiny VAE encodes them, whose latents need no scaling."""
    encoded: torch.Tensor = vace.pipeline.vae.encode(
        frames.permute(3, 0, 1, 2).unsqueeze(0)
    ).latent_dist.mode()
    return encoded[0]


@pytest.mark.parametrize("num_frames", [17, 18])
def test_there_are_as_many_frames_as_asked_for(vace: WanVace, num_frames: int) -> None:
    asked = control_request(num_frames)
    assert video(vace, asked).shape == (num_frames, HEIGHT, WIDTH, 3)
    assert control_of(vace, asked).shape[1] == (5 if num_frames == 17 else 6), "of 17 and of 21 frames"


def test_the_same_request_gives_the_same_bytes_and_each_part_of_it_matters(
    vace: WanVace, checkpoint: Path
) -> None:
    first = video(vace, control_request())
    for other in different_requests():
        assert (video(vace, other) != first).any()
    assert (video(vace, control_request()) == first).all()
    assert (video(WanVace(model=str(checkpoint), steps=2, **TINY), control_request()) == first).all()


def test_the_start_picture_is_kept_and_the_control_frames_after_it_guide(vace: WanVace) -> None:
    asked = control_request()
    control = control_of(vace, asked)
    kept, guiding, mask = control[:LATENTS], control[LATENTS : 2 * LATENTS], control[2 * LATENTS :]
    frames = torch.from_numpy(np.stack([asked.start_image, *list(asked.control.frames())[1:]])).float()
    start, after = frames / 127.5 - 1, frames / 127.5 - 1
    start[1:], after[:1] = 0, 0
    assert torch.allclose(kept, latents_of(vace, start), atol=1e-5)
    assert torch.allclose(guiding, latents_of(vace, after), atol=1e-5)
    assert (mask[:, 1:] == 1).all(), "frames to make"


def test_the_weight_of_the_control_is_an_option(checkpoint: Path, vace: WanVace) -> None:
    weak = WanVace(model=str(checkpoint), steps=2, conditioning_scale=0.1, **TINY)
    assert (video(weak, control_request()) != video(vace, control_request())).any()


def test_frames_have_the_start_pictures_shape_whatever_the_working_size(checkpoint: Path) -> None:
    vace = WanVace(model=str(checkpoint), steps=1, height=HEIGHT, guidance=1.0, vae_tiling=True, **TINY)
    asked = control_request(
        start_image=noise(1, size=(46, 70))[0], control=FrameClip(noise(5, size=(46, 70)))
    )
    assert video(vace, asked).shape == (5, 46, 70, 3)
    assert control_of(vace, asked).shape[2:] == (4, 6)


def test_the_defaults_are_wans_own(checkpoint: Path) -> None:
    vace = WanVace(model=str(checkpoint), **TINY)
    assert (vace.steps, vace.guidance) == (50, 5.0)
    assert vace.pipeline.scheduler.config.flow_shift == 16.0


def test_a_control_video_without_frames_fails_the_sample(vace: WanVace) -> None:
    with pytest.raises(SampleError, match="the control video has no frames, 5 are needed"):
        vace.synthesize(control_request(control=FrameClip([])))


def test_weights_that_are_not_here_are_named_with_the_command_that_gets_them() -> None:
    with pytest.raises(CheckpointError, match=r"Wan-AI/Wan2\.1-VACE-14B-diffusers.*hf download"):
        WanVace(**TINY)


def test_pickles_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "vace")
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(CheckpointError, match=r"transformer holds no safetensors, found .*\.bin"):
        WanVace(model=str(folder), **TINY)
