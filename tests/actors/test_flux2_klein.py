"""FLUX.2 [klein] through diffusers' own loading, with a tiny random checkpoint: plumbing, not pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actors.backends.flux2_klein import Flux2Klein
from actors.roles import EraseRequest, Frame, GroundedObject, SampleError
from benchmarks.checkpoints.flux2 import save_tiny_flux2_klein

PROMPT = "Set the scene to a beach with rolling waves."


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_flux2_klein(tmp_path_factory.mktemp("flux2"))


@pytest.fixture(scope="module")
def editor(checkpoint: Path) -> Flux2Klein:
    return Flux2Klein(model=str(checkpoint), device="cpu", dtype="float32")


def picture(height: int = 64, width: int = 80, seed: int = 0) -> Frame:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_same_request_gives_the_same_bytes_whatever_was_asked_before(editor: Flux2Klein) -> None:
    first = editor.edit(picture(), PROMPT, seed=7)
    assert first.shape == (64, 80, 3)
    assert first.dtype == np.uint8
    other_seed = editor.edit(picture(), PROMPT, seed=8)
    other_prompt = editor.edit(picture(), "Place the subject in a forest.", seed=7)
    other_picture = editor.edit(picture(seed=1), PROMPT, seed=7)
    for other in (other_seed, other_prompt, other_picture):
        assert (other != first).any()
    assert (editor.edit(picture(), PROMPT, seed=7) == first).all()


def test_another_process_would_give_the_same_bytes(editor: Flux2Klein, checkpoint: Path) -> None:
    again = Flux2Klein(model=str(checkpoint), device="cpu", dtype="float32")
    assert (again.edit(picture(), PROMPT, seed=7) == editor.edit(picture(), PROMPT, seed=7)).all()


@pytest.mark.parametrize(("height", "width"), [(65, 101), (72, 66)])
def test_the_result_has_the_shape_of_a_frame_that_is_no_multiple_of_sixteen(
    editor: Flux2Klein, height: int, width: int
) -> None:
    assert editor.edit(picture(height, width), PROMPT, seed=0).shape == (height, width, 3)


def test_it_works_at_the_rows_asked_for_in_bfloat16(checkpoint: Path) -> None:
    editor = Flux2Klein(model=str(checkpoint), device="cpu", height=64, steps=1)
    sizes: list[tuple[int, ...]] = []
    editor.pipeline.vae.decoder.register_forward_hook(lambda *call: sizes.append(tuple(call[2].shape)))
    assert editor.edit(picture(180, 320), PROMPT, seed=0).shape == (180, 320, 3)
    assert sizes == [(1, 3, 64, 112)]


def test_four_steps_without_guidance_are_four_forward_passes(editor: Flux2Klein) -> None:
    calls: list[None] = []
    hook = editor.pipeline.transformer.register_forward_hook(lambda *_: calls.append(None))
    editor.edit(picture(), PROMPT, seed=0)
    hook.remove()
    assert len(calls) == 4


def test_erasing_is_an_edit_by_the_removal_prompt_that_ignores_boxes(editor: Flux2Klein) -> None:
    words = "Remove the man. Keep everything else."
    request = EraseRequest(picture(), (GroundedObject("man", (1, 2, 300, 400)),), words, 3, PROMPT, 9)
    assert (editor.erase(request) == editor.edit(picture(), words, seed=3)).all()


@pytest.mark.parametrize(("height", "width"), [(40, 80), (64, 640)])
def test_a_frame_that_flux_cannot_take_fails_the_sample(editor: Flux2Klein, height: int, width: int) -> None:
    with pytest.raises(SampleError, match=r"FLUX\.2 refuses the frame: .*(at least 64|ratio)"):
        editor.edit(picture(height, width), PROMPT, seed=0)
