"""vLLM's engine as a chat model, as far as that goes without vLLM: what it is given, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

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

REQUEST = ChatRequest(
    key="a", text="?", seed=2**63 - 1, temperature=0.7, top_p=0.8, top_k=20, max_new_tokens=9
)


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


def test_further_arguments_of_the_engine_win() -> None:
    arguments = engine_arguments(
        "/weights",
        dtype="bfloat16",
        max_model_len=4096,
        gpu_memory_utilization=0.8,
        tensor_parallel_size=2,
        quantization=None,
        images_per_prompt=4,
        engine={"enforce_eager": True, "max_model_len": 2048},
    )
    assert arguments == {
        "model": "/weights",
        "load_format": "safetensors",
        "dtype": "bfloat16",
        "max_model_len": 2048,
        "gpu_memory_utilization": 0.8,
        "tensor_parallel_size": 2,
        "quantization": None,
        "limit_mm_per_prompt": {"image": 4, "video": 0},
        "enforce_eager": True,
    }


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
