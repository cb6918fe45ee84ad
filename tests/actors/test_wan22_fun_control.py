"""Wan2.2-Fun control with tiny random experts in the published layout: channels and plumbing, no pictures."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional

from actors.backends import wan_fun_pipeline
from actors.backends.checkpoints import CheckpointError
from actors.backends.wan22_fun_control import Wan22FunControl, control_frames
from actors.roles import ControlRequest, Frame, SampleError
from benchmarks.checkpoints.wan import LATENTS
from benchmarks.checkpoints.wan_fun import (
    original_state,
    save_fun_components,
    save_fun_control,
)
from tests.actors.control_requests import (
    HEIGHT,
    WIDTH,
    FrameClip,
    control_request,
    different_requests,
    noise,
)

TINY: dict[str, Any] = {"device": "cpu", "dtype": "float32"}


@dataclass(frozen=True)
class Folders:
    model: Path
    components: Path

    @property
    def options(self) -> dict[str, Any]:
        return {"model": str(self.model), "components": str(self.components), **TINY}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    root = tmp_path_factory.mktemp("wan_fun")
    return Folders(save_fun_control(root / "model"), save_fun_components(root / "components"))


@pytest.fixture(scope="module")
def wan(folders: Folders) -> Wan22FunControl:
    return Wan22FunControl(steps=2, **folders.options)


def video(wan: Wan22FunControl, asked: ControlRequest) -> npt.NDArray[np.uint8]:
    return np.stack(list(wan.synthesize(asked)))


def inputs_of(wan: Wan22FunControl, asked: ControlRequest) -> list[tuple[str, torch.Tensor]]:
    """Which expert was called with which latents, in order."""
    calls: list[tuple[str, torch.Tensor]] = []
    hooks = [
        getattr(wan.pipeline, name).register_forward_pre_hook(
            lambda _, args, kwargs, name=name: calls.append((name, kwargs["hidden_states"])), with_kwargs=True
        )
        for name in ("transformer", "transformer_2")
    ]
    list(wan.synthesize(asked))
    for hook in hooks:
        hook.remove()
    return calls


@torch.no_grad()
def latents_of(wan: Wan22FunControl, frames: torch.Tensor) -> torch.Tensor:
    """(T, H, W, 3) in -1..1 as the VAE encodes them, less its mean, over its deviation."""
    vae = wan.pipeline.vae
    encoded = vae.encode(frames.permute(3, 0, 1, 2).unsqueeze(0)).latent_dist.mode()[0]
    channels = zip(encoded, vae.config.latents_mean, vae.config.latents_std, strict=True)
    return torch.stack([(channel - mean) / std for channel, mean, std in channels])


def scaled(frames: list[Frame]) -> torch.Tensor:
    return torch.from_numpy(np.stack(frames)).float() / 127.5 - 1


@pytest.mark.parametrize("num_frames", [17, 18])
def test_there_are_as_many_frames_as_asked_for(wan: Wan22FunControl, num_frames: int) -> None:
    asked = control_request(num_frames)
    assert video(wan, asked).shape == (num_frames, HEIGHT, WIDTH, 3)
    latent_frames = {latents.shape[2] for _, latents in inputs_of(wan, asked)}
    assert latent_frames == {5 if num_frames == 17 else 6}, "of 17 and of 21 frames"


def test_the_same_request_gives_the_same_bytes_and_each_part_of_it_matters(
    wan: Wan22FunControl, folders: Folders
) -> None:
    first = video(wan, control_request())
    for other in different_requests():
        assert (video(wan, other) != first).any()
    assert (video(wan, control_request()) == first).all()
    assert (video(Wan22FunControl(steps=2, **folders.options), control_request()) == first).all()


def test_channels_are_noise_control_mask_and_start_picture(wan: Wan22FunControl) -> None:
    asked = control_request()
    _, latents = inputs_of(wan, asked)[0]
    blocks = np.cumsum([0, LATENTS, LATENTS, 4, LATENTS])
    seen_noise, control, mask, start = (latents[0, a:b] for a, b in itertools.pairwise(blocks))
    shape = (LATENTS, 2, HEIGHT // 8, WIDTH // 8)
    assert torch.equal(seen_noise, torch.randn(1, *shape, generator=torch.Generator().manual_seed(7))[0])
    assert torch.allclose(control, latents_of(wan, scaled(list(asked.control.frames()))), atol=1e-5)
    assert (mask[:, 0] == 1).all(), "the first latent frame is given"
    assert (mask[:, 1:] == 0).all(), "the others are not"
    grey = torch.zeros(4, HEIGHT, WIDTH, 3)
    first_then_grey = torch.cat([scaled([asked.start_image]), grey])
    assert torch.allclose(start, latents_of(wan, first_then_grey), atol=1e-5)


def test_a_latent_frame_of_no_reference_stands_before_the_video(wan: Wan22FunControl) -> None:
    weights = original_state(1)
    embedded: list[torch.Tensor] = []
    expert = wan.pipeline.transformer
    hook = expert.patch_embedding.register_forward_hook(lambda _, given, patches: embedded.append(patches))
    latents = torch.randn(1, 3 * LATENTS + 4, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expert(latents, torch.tensor([900.0]), torch.zeros(1, 8, 16))
    hook.remove()
    (patches,) = embedded
    assert torch.allclose(
        patches[:, :, 0], weights["ref_conv.bias"].view(1, -1, 1, 1).expand(1, -1, 2, 3), atol=1e-6
    ), "what ref_conv makes of zeros"
    of_video = functional.conv3d(
        latents, weights["patch_embedding.weight"], weights["patch_embedding.bias"], stride=(1, 2, 2)
    )
    assert torch.allclose(patches[:, :, 1:], of_video, atol=1e-5)


def test_the_result_is_of_the_video_without_its_reference(wan: Wan22FunControl) -> None:
    def marked(_: Any, given: Any, patches: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.ones_like(patches[:, :6]), torch.zeros_like(patches[:, 6:])], dim=1)

    expert = wan.pipeline.transformer
    hook = expert.proj_out.register_forward_hook(marked)  # 6 patches a latent frame, the reference is marked
    latents = torch.zeros(1, 3 * LATENTS + 4, 3, 4, 6)
    with torch.no_grad():
        result = expert(latents, torch.tensor([900.0]), torch.zeros(1, 8, 16)).sample
    hook.remove()
    assert result.shape == (1, LATENTS, 3, 4, 6)
    assert (result == 0).all()


def test_the_high_noise_expert_denoises_above_the_boundary_and_the_other_below(
    wan: Wan22FunControl, folders: Folders
) -> None:
    experts = [name for name, _ in inputs_of(wan, control_request())]
    assert experts == ["transformer"] * 2 + ["transformer_2"] * 2, "guidance takes each twice a step"
    for seed, name in ((1, "transformer"), (2, "transformer_2")):
        loaded = getattr(wan.pipeline, name).blocks[1].attn2.to_k.weight
        assert torch.equal(loaded, original_state(seed)["blocks.1.cross_attn.k.weight"])
    low_alone = Wan22FunControl(steps=2, boundary=1.1, guidance=1.0, **folders.options)
    assert [name for name, _ in inputs_of(low_alone, control_request())] == ["transformer_2"] * 2


def test_the_defaults_are_those_of_videox_fun(folders: Folders) -> None:
    wan = Wan22FunControl(**folders.options)
    assert (wan.steps, wan.guidance) == (50, 6.0)
    assert wan.pipeline.config.boundary_ratio == 0.9
    wan.pipeline.scheduler.set_timesteps(8)
    # of VideoX-Fun's own run with its "Flow" sampler and shift 5
    assert wan.pipeline.scheduler.timesteps.tolist() == pytest.approx(
        [1000, 967.923, 926.403, 870.551, 791.397, 670.515, 463.096, 24.414], abs=1e-3
    )


def test_control_frames_are_used_one_for_one_whatever_the_rate() -> None:
    frames = noise(9)
    assert [frame.tobytes() for frame in control_frames(FrameClip(frames, fps=60.0), 5)] == [
        frame.tobytes() for frame in frames[:5]
    ]
    padded = control_frames(FrameClip(frames), 13)
    assert len(padded) == 13
    assert all((frame == frames[8]).all() for frame in padded[8:])


def test_a_control_video_without_frames_fails_the_sample(wan: Wan22FunControl) -> None:
    with pytest.raises(SampleError, match="the control video has no frames, 5 are needed"):
        wan.synthesize(control_request(control=FrameClip([])))


def test_frames_have_the_start_pictures_shape_whatever_the_working_size(folders: Folders) -> None:
    wan = Wan22FunControl(steps=1, height=HEIGHT, guidance=1.0, **folders.options)
    asked = control_request(
        start_image=noise(1, size=(46, 70))[0], control=FrameClip(noise(5, size=(46, 70)))
    )
    assert video(wan, asked).shape == (5, 46, 70, 3)
    assert {tuple(latents.shape[3:]) for _, latents in inputs_of(wan, asked)} == {(4, 6)}


def test_bfloat16_experts_work_beside_a_float32_vae(folders: Folders) -> None:
    options = {**folders.options, "dtype": "bfloat16"}
    wan = Wan22FunControl(steps=1, guidance=1.0, vae_tiling=True, **options)
    assert {parameter.dtype for parameter in wan.pipeline.transformer.parameters()} == {torch.bfloat16}
    assert wan.pipeline.vae.dtype == torch.float32
    assert video(wan, control_request()).shape == (5, HEIGHT, WIDTH, 3)


@pytest.fixture
def copies(folders: Folders, tmp_path: Path) -> Folders:
    return Folders(
        shutil.copytree(folders.model, tmp_path / "model"),
        shutil.copytree(folders.components, tmp_path / "components"),
    )


def test_weights_that_are_not_here_are_named_with_the_command_that_gets_them() -> None:
    with pytest.raises(CheckpointError, match=r"alibaba-pai/Wan2\.2-Fun-A14B-Control.*hf download"):
        Wan22FunControl(**TINY)


def test_the_repositorys_own_pickles_are_refused(copies: Folders) -> None:
    for pickle in copies.model.glob("*.pth"):
        shutil.move(pickle, copies.components / "vae")
    (copies.components / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"vae holds no safetensors, found Wan2\.1_VAE\.pth"):
        Wan22FunControl(**copies.options)


def test_a_download_that_is_not_complete_is_refused(copies: Folders) -> None:
    next(copies.model.glob("high_noise_model/*00001-of-00002*")).unlink()
    with pytest.raises(CheckpointError, match=r"high_noise_model holds no expert of .*, or not all of it"):
        Wan22FunControl(**copies.options)


def test_another_models_experts_are_refused(copies: Folders) -> None:
    path = copies.model / "low_noise_model" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "in_dim": 2 * LATENTS + 4}))
    with pytest.raises(
        CheckpointError, match=r"first: patch_embedding.weight, found \(24, 16, .*expected \(24, 12"
    ):
        Wan22FunControl(**copies.options)


def test_an_expert_without_its_config_is_refused(copies: Folders) -> None:
    (copies.model / "high_noise_model" / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"high_noise_model has no config\.json"):
        Wan22FunControl(**copies.options)


def test_components_that_are_no_pipeline_are_refused(copies: Folders) -> None:
    (copies.components / "model_index.json").unlink()
    with pytest.raises(CheckpointError, match=r"no diffusers pipeline: it has no model_index\.json"):
        Wan22FunControl(**copies.options)


def test_an_expert_that_is_quantised_while_it_loads_has_the_same_weights(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The detour that quantisation takes, here without a quantiser, which needs a GPU."""
    detours: list[Any] = []

    def without(weights: Any, config: Any, dtype: Any, quantization_config: Any) -> Any:
        detours.append(quantization_config)
        return detour(weights, config, dtype, None)

    detour = wan_fun_pipeline.quantized
    monkeypatch.setattr(wan_fun_pipeline, "quantized", without)
    folder = folders.model / wan_fun_pipeline.HIGH_NOISE
    straight = wan_fun_pipeline.load_expert(folder, dtype=torch.float32)
    detoured = wan_fun_pipeline.load_expert(folder, dtype=torch.float32, quantization_config="nf4")
    assert detours == ["nf4"]
    assert detoured.config.reference_channels == straight.config.reference_channels
    expected = straight.state_dict()
    assert expected.keys() == detoured.state_dict().keys()
    assert all((value == expected[name]).all() for name, value in detoured.state_dict().items())
