"""Qwen3-VL as a chat model, on tiny checkpoints through the loading code that users take."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from actors.backends.chat import ChatRequest
from actors.backends.checkpoints import CheckpointError
from actors.backends.qwen3_vl import QwenChat, QwenLanguageModel
from actors.backends.seeded_choice import SeededChoice
from actors.roles import (
    CameraRequest,
    CameraVerdict,
    Frame,
    GroundedObject,
    GroundingRequest,
    InstructionRequest,
    LocatingRequest,
    SceneRequest,
)
from benchmarks.checkpoints import qwen3_vl as tiny
from tests.actors.control_requests import FrameClip, noise


def picture(seed: int, height: int = 48, width: int = 64) -> Frame:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def asked(key: str, text: str = "What is there?", **fields: Any) -> ChatRequest:
    return ChatRequest(key=key, text=text, **{"seed": 7, "max_new_tokens": 12, **fields})


MIXED = (
    asked("words", "Write."),
    asked("one", images=(picture(1),)),
    asked("two", images=(picture(1), picture(2, 96, 64)), system="Be brief."),
    asked("clip", video=tuple(picture(n) for n in range(5)), video_fps=2.0),
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("qwen") / "model")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    return tiny.build_adapter(tmp_path_factory.mktemp("qwen") / "adapter", checkpoint)


@pytest.fixture(scope="module")
def chat(checkpoint: Path) -> QwenChat:
    return loaded(checkpoint)


def loaded(folder: Path, **options: Any) -> QwenChat:
    return QwenChat(**{"model": str(folder), "device": "cpu", "dtype": "float32", **options})


def texts(chat: QwenChat, requests: Sequence[ChatRequest]) -> dict[str, str]:
    answers = chat.chat(requests)
    assert sorted(answer.key for answer in answers) == sorted(request.key for request in requests)
    assert not any(answer.error for answer in answers)
    return {answer.key: answer.text for answer in answers}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_an_answer_does_not_depend_on_its_neighbours_nor_on_what_ran_before(
    chat: QwenChat, temperature: float
) -> None:
    requests = [replace(request, temperature=temperature, top_p=0.95, top_k=50) for request in MIXED]
    alone = {request.key: texts(chat, [request])[request.key] for request in requests}
    random.Random(3).shuffle(requests)
    assert texts(chat, requests) == alone
    assert len(set(alone.values())) == len(alone)


def test_an_answer_depends_on_its_own_seed_when_it_is_sampled_only(chat: QwenChat) -> None:
    sampled = [asked(f"seed {seed}", seed=seed, temperature=1.0) for seed in range(4)]
    greedy = [replace(request, temperature=0.0) for request in sampled]
    assert len(set(texts(chat, sampled).values())) == 4
    assert len(set(texts(chat, greedy).values())) == 1


def test_a_greedy_answer_is_the_one_of_transformers_own_generate(chat: QwenChat) -> None:
    request = MIXED[2]
    turns = [
        {"role": "system", "content": [{"type": "text", "text": request.system}]},
        {
            "role": "user",
            "content": [
                *({"type": "image", "image": image} for image in request.images),
                {"type": "text", "text": request.text},
            ],
        },
    ]
    inputs = chat._processor.apply_chat_template(
        turns, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    tokens = chat._model.generate(**inputs, do_sample=False, max_new_tokens=12)
    start = inputs["input_ids"].shape[1]
    expected = chat._processor.decode(tokens[0, start:], skip_special_tokens=True).strip()
    assert texts(chat, MIXED)["two"] == expected


def test_a_shorter_answer_in_a_batch_is_cut_to_its_own_length(chat: QwenChat) -> None:
    short, long = (
        asked(key, max_new_tokens=tokens, temperature=1.0) for key, tokens in (("short", 3), ("long", 12))
    )
    answers = {answer.key: answer for answer in chat.chat([short, long])}
    assert answers["short"].text == texts(chat, [short])["short"]
    assert not answers["short"].complete
    assert not answers["long"].complete


def test_a_request_beyond_the_context_fails_alone_with_its_length(checkpoint: Path) -> None:
    chat = loaded(checkpoint, context=120)
    answers = {answer.key: answer for answer in chat.chat([asked("long", "word " * 40), asked("short")])}
    assert "tokens" in answers["long"].error
    assert "120" in answers["long"].error
    assert not answers["short"].error


def test_max_pixels_bounds_the_tokens_of_pictures_and_of_videos(checkpoint: Path) -> None:
    large = [
        asked("pictures", images=(picture(1, 128, 128),) * 16),
        asked("clip", video=(picture(1, 128, 128),) * 8),
    ]
    assert all(answer.error for answer in loaded(checkpoint, context=120).chat(large))
    texts(loaded(checkpoint, context=120, max_pixels=32 * 32), large)


def test_a_prompt_may_spell_the_models_own_tokens(chat: QwenChat) -> None:
    spelt = asked("spelt", "a sign that says <|image_pad|> and <|im_end|>", images=(picture(1),))
    assert set(texts(chat, [spelt, MIXED[1]])) == {"spelt", "one"}


@pytest.mark.parametrize(
    "wrong",
    [{"images": (picture(1),), "video": (picture(1), picture(2))}, {"video": (picture(1),)}],
    ids=["images and video", "video of one frame"],
)
def test_what_the_model_cannot_be_shown_is_an_error_of_that_request(
    chat: QwenChat, wrong: dict[str, Any]
) -> None:
    answers = {answer.key: answer.error for answer in chat.chat([asked("wrong", **wrong), asked("right")])}
    assert answers["wrong"]
    assert not answers["right"]


def test_sampling_follows_temperature_top_k_and_top_p_as_transformers_does() -> None:
    rows = 4000
    logits = torch.tensor([2.0, 1.5, 1.0, 0.5, 0.0, -0.5, -4.0, 1.2]).repeat(rows, 1)
    requests = [asked(str(n), seed=n, temperature=0.7, top_k=5, top_p=0.9) for n in range(rows)]
    none: Any = torch.zeros(rows, 1, dtype=torch.long)
    chosen = SeededChoice(requests, 1, torch.device("cpu"))(none, logits).argmax(-1)
    warpers = LogitsProcessorList([TemperatureLogitsWarper(0.7), TopKLogitsWarper(5), TopPLogitsWarper(0.9)])
    expected = warpers(none[:1], logits[:1])[0].softmax(-1)
    found = torch.bincount(chosen, minlength=8) / rows
    assert (found[expected == 0] == 0).all()
    assert (found - expected).abs().max() < 4 * (0.25 / rows) ** 0.5  # four standard deviations


def test_greedy_and_sampled_rows_share_a_batch() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0]]).repeat(2, 1)
    requests = [asked("greedy"), asked("nucleus", temperature=2.0, top_p=0.01)]
    scores = SeededChoice(requests, 1, torch.device("cpu"))(torch.zeros(2, 1), logits)
    assert scores.argmax(-1).tolist() == [1, 1]  # a nucleus smaller than its first token is that token
    assert scores.isfinite().sum(-1).tolist() == [1, 1]


def test_a_lora_adapter_changes_the_answers(checkpoint: Path, adapter: Path, chat: QwenChat) -> None:
    assert texts(loaded(checkpoint, adapter=str(adapter)), MIXED) != texts(chat, MIXED)


def test_an_adapter_that_peft_would_read_from_a_pickle_is_refused(
    checkpoint: Path, adapter: Path, tmp_path: Path
) -> None:
    below = tmp_path / "pickled" / "checkpoint-1"
    shutil.copytree(adapter, below)
    (below.parent / "adapter_model.bin").touch()
    with pytest.raises(CheckpointError, match="has no adapter_model"):
        loaded(checkpoint, adapter=str(below.parent))


def test_an_adapter_whose_weights_have_no_place_is_refused(
    checkpoint: Path, adapter: Path, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign"
    shutil.copytree(adapter, foreign)
    weights = load_file(foreign / "adapter_model.safetensors")
    renamed = {name.replace("language_model.layers.1", "text.layers.1"): w for name, w in weights.items()}
    save_file(renamed, foreign / "adapter_model.safetensors")
    with pytest.raises(CheckpointError, match="does not fit the model"):
        loaded(checkpoint, adapter=str(foreign))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "Qwen/Qwen3-VL-32B-Instruct"}, "hf download Qwen/Qwen3-VL-32B-Instruct"),
        ({"dtype": "float8"}, "bfloat16"),
        ({"offload": "model"}, "sequential"),
        ({"attention": "flash_attention_2"}, "does not load"),
        ({"quantization": "int3"}, "nf4"),
    ],
)
def test_what_cannot_be_loaded_is_said_before_loading(
    checkpoint: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        loaded(checkpoint, **options)


def test_a_folder_with_missing_shards_or_pickles_only_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    shutil.copytree(checkpoint, partial)
    index = '{"metadata": {}, "weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors"}}'
    (partial / "model.safetensors.index.json").write_text(index)
    with pytest.raises(CheckpointError, match="model-00002-of-00002"):
        loaded(partial)
    for path in partial.glob("*.safetensors*"):
        path.unlink()
    (partial / "pytest_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match="no safetensors"):
        loaded(partial)


def test_a_saying_checkpoint_answers_by_the_words_of_the_prompt(tmp_path: Path) -> None:
    answers = {"the camera": '```json\n{"static": true}\n```', "the new place": "Two\nlines."}
    chat = loaded(tiny.build_saying(tmp_path / "saying", "I cannot say.", answers), dtype="bfloat16")
    requests = [
        asked("camera", "Does the camera move?", video=tuple(picture(n) for n in range(4))),
        asked(
            "place", "Describe the new place. " + "Be brief. " * 300, images=(picture(1),), temperature=1.5
        ),
        asked("other", "Hello"),
    ]
    answered = chat.chat(requests)
    assert all(answer.complete for answer in answered)
    assert {answer.key: answer.text for answer in answered} == {
        "camera": answers["the camera"],
        "place": answers["the new place"],
        "other": "I cannot say.",
    }


def test_every_question_of_the_language_model_role_runs_over_a_checkpoint(tmp_path: Path) -> None:
    folder = tiny.build_agreeable(tmp_path / "agreeable")
    model = QwenLanguageModel(model=str(folder), device="cpu", batch_size=3, retries=0, camera_frames=4)
    found = [GroundedObject(tiny.LABEL, tiny.BOX)]
    one, two = picture(1), picture(2)
    assert model.judge_camera([CameraRequest(key, FrameClip(noise(9))) for key in "ab"]) == dict.fromkeys(
        "ab", CameraVerdict(static=True, reasoning="Walls and shelf stay in place.")
    )
    scenes = model.describe_scene([SceneRequest("a", one), SceneRequest("b", two)])
    assert scenes["a"] == scenes["b"] == tiny.AGREEABLE["Describe the place that this picture shows"]
    keyword = "nature: coastal lighthouse"
    written = model.write_instruction([InstructionRequest("a", "A study.", "location", keyword, seed=3)])
    assert written == {"a": tiny.INSTRUCTION}
    assert model.ground([GroundingRequest("a", one, two, tiny.INSTRUCTION)]) == {"a": found}
    located = model.locate([LocatingRequest("a", (one, two), (tiny.LABEL, "brown hat"))])
    assert located == {"a": [[*found, GroundedObject("brown hat")]] * 2}
