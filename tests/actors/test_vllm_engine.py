"""vLLM's engine as a chat model: what it is given, and what comes back.

What a reader gets wrong: vLLM pins its own torch and has an environment of its own (docs/backends.md says how
to make one for the CPU). Where it is not installed, the contract runs over a stand-in for `LLM`, which shows
our half; where it is, over the real engine with a toy checkpoint.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import itertools
import json
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.backends import backend_spec, load_backend
from actors.backends.chat import ChatAnswer, ChatRequest
from actors.backends.checkpoints import CheckpointError
from actors.backends.vllm_engine import (
    VllmLanguageModel,
    answer_of,
    engine_arguments,
    in_halves,
    require_vllm,
    sampling,
)
from actors.ops.made_clips import MADE_CLIPS, made_frames
from actors.ops.video import VideoClip, encode_video
from tests.actors.language_contract import answers_each_key

REQUEST = ChatRequest(
    key="a", text="?", seed=2**63 - 1, temperature=0.7, top_p=0.8, top_k=20, max_new_tokens=9
)


HAS_VLLM = importlib.util.find_spec("vllm") is not None


class StandIn(types.ModuleType):
    """The two names of the module `vllm` that are used; its `LLM` says what the toy checkpoint says."""

    def __init__(self) -> None:
        super().__init__("vllm")
        self.__spec__ = importlib.machinery.ModuleSpec("vllm", None)
        self.arguments: dict[str, Any] = {}
        self.LLM = self._engine
        self.SamplingParams = self._sampling

    def _engine(self, **arguments: Any) -> StandIn:
        self.arguments = arguments
        return self

    def _sampling(self, *, temperature: float, top_p: float, top_k: int, seed: int, max_tokens: int) -> int:
        return max_tokens

    def chat(self, messages: list[Any], *, sampling_params: list[int], use_tqdm: bool) -> list[Output]:
        assert len(messages) == len(sampling_params)
        return [Output([Completion(self._say(json.dumps(turns)), "stop")]) for turns in messages]

    def _say(self, text: str) -> str:
        from benchmarks.checkpoints.qwen3_vl import AGREEABLE

        return next(answer for words, answer in AGREEABLE.items() if json.dumps(words)[1:-1] in text)


@pytest.fixture
def clip(tmp_path: Path) -> VideoClip:
    frames = itertools.islice(made_frames(MADE_CLIPS[0]), 9)
    encode_video((np.ascontiguousarray(frame[::4, ::4]) for frame in frames), tmp_path / "clip.mp4", fps=16)
    return VideoClip(tmp_path / "clip.mp4")


@pytest.mark.skipif(HAS_VLLM, reason="the real engine is here")
def test_our_half_of_the_engine_answers_each_key(
    clip: VideoClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "vllm", stand_in)
    (tmp_path / "model.safetensors").touch()
    options = {"model": str(tmp_path), "max_model_len": 8192}
    model = load_backend(backend_spec("VisionLanguageModel", "vllm"), options, num_gpus=4)
    answers_each_key(model, clip)
    assert stand_in.arguments["max_model_len"] == 8192
    assert stand_in.arguments["tensor_parallel_size"] == 4


@pytest.mark.skipif(not HAS_VLLM, reason="vLLM has an environment of its own, see docs/backends.md")
def test_the_engine_answers_each_key(clip: VideoClip, tmp_path: Path) -> None:
    from benchmarks.checkpoints import qwen3_vl

    options = {
        "model": str(qwen3_vl.build_agreeable(tmp_path / "toy")),
        "dtype": "float32",
        "engine": {"enforce_eager": True},
    }
    answers_each_key(load_backend(backend_spec("VisionLanguageModel", "vllm"), options), clip)


@pytest.mark.skipif(HAS_VLLM, reason="it is installed")
def test_without_vllm_the_error_names_the_extra(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="extra 'vllm'"):
        require_vllm()
    with pytest.raises(CheckpointError, match="extra 'vllm'"):
        VllmLanguageModel(model=str(tmp_path), retries=1)


def test_every_request_has_sampling_of_its_own() -> None:
    assert sampling(REQUEST) == {
        "temperature": 0.7,
        "top_p": 0.8,
        "top_k": 20,
        "seed": 2**63 - 1,
        "max_tokens": 9,
    }


def test_further_arguments_reach_the_engine() -> None:
    arguments = engine_arguments(
        "/weights",
        dtype="bfloat16",
        max_model_len=4096,
        gpu_memory_utilization=0.8,
        tensor_parallel_size=2,
        quantization=None,
        images_per_prompt=4,
        engine={"enforce_eager": True},
    )
    assert arguments == {
        "model": "/weights",
        "load_format": "safetensors",
        "dtype": "bfloat16",
        "max_model_len": 4096,
        "gpu_memory_utilization": 0.8,
        "tensor_parallel_size": 2,
        "quantization": None,
        "limit_mm_per_prompt": {"image": 4, "video": 0},
        "enforce_eager": True,
    }


def test_the_engine_takes_no_other_weights_and_no_other_reader_of_them() -> None:
    given: dict[str, Any] = {"dtype": "bfloat16", "max_model_len": 9, "gpu_memory_utilization": 0.8}
    given |= {"tensor_parallel_size": 1, "quantization": None, "images_per_prompt": 4}
    for name in ("model", "load_format", "trust_remote_code"):
        with pytest.raises(CheckpointError, match=f"engine: {name} would load"):
            engine_arguments("/weights", **given, engine={name: "pt"})
    with pytest.raises(CheckpointError, match="engine: data_parallel_size would take GPUs"):
        engine_arguments("/weights", **given, engine={"data_parallel_size": 2})
    with pytest.raises(CheckpointError, match="engine: tensor_parallel_size: the backend has options"):
        engine_arguments("/weights", **given, engine={"tensor_parallel_size": 2})


@dataclass
class Completion:
    """The two fields of `vllm.CompletionOutput` that are read."""

    text: str
    finish_reason: str


@dataclass
class Output:
    outputs: list[Completion]


def test_an_answer_that_reached_its_last_token_is_incomplete() -> None:
    assert answer_of(REQUEST, Output([Completion("x", "stop")])) == ChatAnswer("a", "x")
    assert answer_of(REQUEST, Output([Completion("x", "length")])) == ChatAnswer("a", "x", complete=False)


def test_one_request_that_vllm_refuses_spoils_no_other() -> None:
    calls: list[int] = []

    def refuses_long_ones(requests: Sequence[ChatRequest]) -> list[ChatAnswer]:
        calls.append(len(requests))
        for request in requests:
            if len(request.text) > 50:
                raise ValueError(f"The decoder prompt (length {len(request.text)}) is longer than 50.")
        return [ChatAnswer(request.key, request.text) for request in requests]

    requests = [ChatRequest(key=str(n), text="x" * 80 if n == 5 else f"text {n}", seed=0) for n in range(8)]
    answers = {answer.key: answer for answer in in_halves(requests, refuses_long_ones)}
    assert "length 80" in answers.pop("5").error
    assert {key: answer.text for key, answer in answers.items()} == {
        str(n): f"text {n}" for n in range(8) if n != 5
    }
    assert calls == [8, 4, 4, 2, 1, 1, 2]
    assert in_halves([], refuses_long_ones) == []
