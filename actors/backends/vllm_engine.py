"""vLLM inside the actor: its offline engine as a chat model, for many prompts a call on one worker's GPUs.

What a reader gets wrong: vLLM pins its own torch, so it lives in a runtime environment of its own (the
backend's `pip` line) and is imported only when the engine is built. A video goes in as pictures behind their
times, since `LLM.chat` has no way to give each video its own frame rate.

Written against vLLM 0.32. `tests/actors/test_vllm_engine.py` runs the real engine where it is installed.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from actors.backends import WORKER_GPUS
from actors.backends.chat import ChatAnswer, ChatRequest
from actors.backends.checkpoints import CheckpointError, checkpoint_folder, require_safetensors
from actors.backends.messages import MediaForm, messages_of
from actors.backends.prompted import PromptedLanguageModel, split_options

MODEL = "Qwen/Qwen3-VL-32B-Instruct"
"""The paper's."""
_CACHE_GIB = 4.0
"""Of each GPU beside the weights: 16,384 tokens of a 32B model take 4.0 GiB in bf16 (64 layers, 8 heads of
128), and a pass needs some."""


_WHAT_IS_LOADED = frozenset(
    (
        *("model", "tokenizer", "revision", "tokenizer_revision", "code_revision", "hf_config_path"),
        *("load_format", "model_loader_extra_config", "download_dir", "trust_remote_code"),
        *("speculative_config", "speculative_model"),
    )
)
"""Arguments of `vllm.LLM` that the option `engine` may not have."""
_WHAT_IS_PLANNED = frozenset(("pipeline_parallel_size", "data_parallel_size", "distributed_executor_backend"))
"""Nor these: they take GPUs that the plan gave to others."""


class VllmChat:
    """A `ChatModel` over `vllm.LLM`; all requests of a call are batched by the engine.

    Args:
        model, revision: a local folder, S3 mirror or repository, as for every backend.
        dtype: "bfloat16", "float16" or "float32".
        max_model_len: tokens of prompt and answer; two 720p pictures take 1,800, 16 frames of 480 rows 6,500.
        gpu_memory_utilization: share of each GPU's memory that the engine may take, at most `num_gpus`.
        tensor_parallel_size: GPUs that share the model; None: all that a worker has.
        quantization: vLLM's name of a method ("fp8", "awq", ...), None for the checkpoint's own.
        images_per_prompt: upper limit of pictures in one prompt.
        image_format, jpeg_quality: see `actors.backends.messages`.
        engine: further arguments of `vllm.LLM`, for example `{"enforce_eager": true}`.

    Raises:
        CheckpointError: vLLM is not installed here, the weights are missing or pickles, a GPU is too small.
    """

    def __init__(
        self,
        *,
        model: str = MODEL,
        revision: str | None = None,
        dtype: str = "bfloat16",
        max_model_len: int = 16_384,
        gpu_memory_utilization: float = 0.9,
        tensor_parallel_size: int | None = None,
        quantization: str | None = None,
        images_per_prompt: int = 32,
        image_format: Literal["png", "jpeg"] = "png",
        jpeg_quality: int = 95,
        engine: Mapping[str, Any] | None = None,
    ) -> None:
        require_vllm()
        folder = checkpoint_folder(model, revision)
        require_safetensors(folder)
        gpus = tensor_parallel_size or max(1, int(WORKER_GPUS.get()))
        if quantization is None:
            require_room(folder, gpus, gpu_memory_utilization)
        self._form = MediaForm(image_format, jpeg_quality, "images")
        self._vllm = importlib.import_module("vllm")
        arguments = engine_arguments(
            str(folder),
            dtype=dtype,
            max_model_len=max_model_len,
            gpu_memory_utilization=gpu_memory_utilization,
            tensor_parallel_size=gpus,
            quantization=quantization,
            images_per_prompt=images_per_prompt,
            engine=engine or {},
        )
        self._llm = self._vllm.LLM(**arguments)

    def chat(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer]:
        return in_halves(requests, self._chat)

    def _chat(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer]:
        """`LLM.chat` returns its outputs in the order of the conversations, whatever finished first."""
        outputs = self._llm.chat(
            [messages_of(request, self._form) for request in requests],
            sampling_params=[self._vllm.SamplingParams(**sampling(request)) for request in requests],
            use_tqdm=False,
        )
        return [answer_of(request, output) for request, output in zip(requests, outputs, strict=True)]


class VllmLanguageModel(PromptedLanguageModel):
    """The VisionLanguageModel role over vLLM's engine; options of both classes, in one flat set."""

    def __init__(self, **options: Any) -> None:
        ours, of_the_chat = split_options(options)
        super().__init__(VllmChat(**of_the_chat), **ours)


def require_vllm() -> None:
    """CheckpointError where vLLM cannot be imported."""
    if importlib.util.find_spec("vllm") is None:
        raise CheckpointError(
            "vLLM is not installed in this environment; it pins its own torch, so it runs in a runtime "
            "environment of its own (the extra 'vllm' of pyproject.toml), or as a server behind the "
            "backend 'openai'"
        )


def require_room(folder: Path, gpus: int, utilization: float) -> None:
    """CheckpointError where a worker's `gpus` GPUs do not hold these weights, or the engine would take
    memory that belongs to another worker. Nothing is refused without a GPU.
    """
    from actors.backends.devices import pick_device, require_gpu_memory  # torch: here vLLM's own

    device = pick_device()
    if device.type != "cuda":
        return
    share = min(1.0, WORKER_GPUS.get() or 1.0)
    if utilization > share:
        raise CheckpointError(
            f"gpu_memory_utilization {utilization:g} takes more of a GPU than num_gpus {share:g}, the rest "
            "belongs to other workers"
        )
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 2**30
    require_gpu_memory(
        device,
        round((weights / gpus + _CACHE_GIB) / utilization, 1),
        f"vLLM with {weights:.1f} GiB of weights on {gpus} GPU(s), of which it may take {utilization:g},",
        instead="num_gpus: 2 spreads them over two, quantization: fp8 halves them",
    )


def engine_arguments(
    folder: str,
    *,
    dtype: str,
    max_model_len: int,
    gpu_memory_utilization: float,
    tensor_parallel_size: int,
    quantization: str | None,
    images_per_prompt: int,
    engine: Mapping[str, Any],
) -> dict[str, Any]:
    """The arguments of `vllm.LLM`.

    Raises:
        CheckpointError: `engine` names other weights or another way to read them than was checked, other GPUs
            than were planned, or what has an option of its own.
    """
    if chosen := sorted(_WHAT_IS_LOADED.intersection(engine)):
        raise CheckpointError(
            f"engine: {', '.join(chosen)} would load what neither `revision` pins nor safetensors hold; "
            "`model` names the weights"
        )
    if chosen := sorted(_WHAT_IS_PLANNED.intersection(engine)):
        raise CheckpointError(f"engine: {', '.join(chosen)} would take GPUs that the plan gives to others")
    arguments = {
        "model": folder,
        "load_format": "safetensors",
        "dtype": dtype,
        "max_model_len": max_model_len,
        "gpu_memory_utilization": gpu_memory_utilization,
        "tensor_parallel_size": tensor_parallel_size,
        "quantization": quantization,
        "limit_mm_per_prompt": {"image": images_per_prompt, "video": 0},
    }
    if chosen := sorted(arguments.keys() & engine.keys()):
        raise CheckpointError(f"engine: {', '.join(chosen)}: the backend has options of its own for that")
    return {**arguments, **engine}


def sampling(request: ChatRequest) -> dict[str, Any]:
    """The arguments of `vllm.SamplingParams`: a seed of its own for every request, 0 to 2**63 - 1."""
    return {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "seed": request.seed,
        "max_tokens": request.max_new_tokens,
    }


def answer_of(request: ChatRequest, output: Any) -> ChatAnswer:
    """From a `vllm.RequestOutput` with one completion."""
    completion = output.outputs[0]
    return ChatAnswer(request.key, completion.text, complete=completion.finish_reason != "length")


def in_halves(
    requests: Sequence[ChatRequest], chat: Callable[[Sequence[ChatRequest]], list[ChatAnswer]]
) -> list[ChatAnswer]:
    """The answers of `chat`, which refuses a whole batch with a ValueError for one request that it cannot
    take (a prompt longer than `max_model_len`): halves are tried until that request is alone with its error.
    """
    if not requests:
        return []
    try:
        return chat(requests)
    except ValueError as error:
        if len(requests) == 1:
            return [ChatAnswer(requests[0].key, "", complete=False, error=f"vLLM: {error}"[:500])]
    middle = len(requests) // 2
    return in_halves(requests[:middle], chat) + in_halves(requests[middle:], chat)
