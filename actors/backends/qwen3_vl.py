"""Qwen3-VL through transformers: a chat model that takes pictures or a video, of any size, with or without a
LoRA adapter.

What a reader gets wrong: a sampled answer's randomness comes from its own seed alone (one number a token,
drawn on the CPU), so neighbours in a batch and earlier calls cannot change it. Padding can: it changes the
rounding of bf16 logits, so with `batch_size` above 1 a near-tie may fall the other way. `batch_size=1` gives
the same answer to the same request always, on the same kind of device.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    BatchFeature,
    BitsAndBytesConfig,
    LogitsProcessorList,
)

from actors.backends.chat import ChatAnswer, ChatRequest
from actors.backends.checkpoints import CheckpointError, checkpoint_folder, require_safetensors
from actors.backends.devices import pick_device, pick_dtype, require_gpu_memory
from actors.backends.prompted import PromptedLanguageModel, split_options
from actors.backends.seeded_choice import SeededChoice

MODEL = "Qwen/Qwen3-VL-32B-Instruct"
"""The paper's."""
QUANTIZATIONS: dict[str, dict[str, Any]] = {
    "int8": {"load_in_8bit": True},
    "nf4": {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_compute_dtype": "bfloat16",
    },
}
"""Arguments of `transformers.BitsAndBytesConfig`."""
OFFLOADS = ("none", "sequential")
ADAPTER = "adapter_model.safetensors"
"""peft's name for the weights of a LoRA."""
"""All on one device, or layers that do not fit kept in CPU memory (`device_map="auto"`)."""
_BYTES = {"int8": 1.05, "nf4": 0.56}  # a parameter, with scales, and parts that stay in 16 bit
_WORKING_GIB = 6.0
"""Four prompts of 4096 tokens in 32B: 4 GiB of cache, 2 of activations. Computed, not measured."""


class QwenChat:
    """A `ChatModel` over Qwen3-VL, dense or mixture of experts.

    Args:
        model: hub repository, local folder or mirror of the weights; `revision` pins a hub repository.
        adapter: the same for a LoRA adapter; it is merged into the weights unless they are quantised.
        batch_size: prompts a `generate` call.
        max_pixels, min_pixels: of one picture or one video frame; larger ones are scaled down, smaller up. A
            token is 32 x 32 pixels. None: as the checkpoint says.
        context: tokens of prompt and answer together; longer requests fail. None: all that the model has.
        offload: one of `OFFLOADS`.
        quantization: one of `QUANTIZATIONS`, or None.

    Raises:
        CheckpointError: weights are missing or pickled, the GPU is too small, or the adapter does not fit.
    """

    def __init__(
        self,
        *,
        model: str = MODEL,
        revision: str | None = None,
        adapter: str | None = None,
        adapter_revision: str | None = None,
        device: str = "auto",
        dtype: str = "bfloat16",
        attention: str = "sdpa",
        offload: str = "none",
        quantization: str | None = None,
        batch_size: int = 4,
        max_pixels: int | None = None,
        min_pixels: int | None = None,
        context: int | None = None,
    ) -> None:
        folder = checkpoint_folder(model, revision)
        require_safetensors(folder)
        adapter_folder = checkpoint_folder(adapter, adapter_revision) if adapter else None
        if adapter_folder:
            require_safetensors(adapter_folder)
            if not (adapter_folder / ADAPTER).is_file():  # peft would read a pickle in its place
                raise CheckpointError(f"the adapter {adapter_folder} has no {ADAPTER}")
        self._device = pick_device(device)
        _require_room(folder, self._device, model, pick_dtype(dtype), offload, quantization)
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size}: at least 1 is needed")
        self._batch_size = batch_size
        self._max_pixels, self._min_pixels = max_pixels, min_pixels
        try:
            self._processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
            self._model = AutoModelForImageTextToText.from_pretrained(
                folder,
                dtype=pick_dtype(dtype),
                attn_implementation=attention,
                device_map="auto" if offload == "sequential" else {"": self._device},
                quantization_config=_quantized(quantization),
                use_safetensors=True,
                local_files_only=True,
            ).eval()
        except (OSError, ImportError, ValueError) as error:
            raise CheckpointError(f"{folder} does not load as a chat model with pictures: {error}") from error
        if adapter_folder:
            self._model = _with_adapter(self._model, adapter_folder, merge=quantization is None)
        # The checkpoint's own sampling (temperature 0.7, ...) must not touch a request's.
        self._model.generation_config.update(do_sample=False, temperature=None, top_p=None, top_k=None)
        own_context = self._model.config.get_text_config().max_position_embeddings
        self._context = min(own_context, context or own_context)

    def chat(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer]:
        """One answer a request. A request longer than the context answers with an error, alone."""
        answers: list[ChatAnswer] = []
        in_order = sorted(requests, key=_length)  # prompts of like length pad little
        for start in range(0, len(in_order), self._batch_size):
            ready: list[tuple[ChatRequest, BatchFeature]] = []
            for request in in_order[start : start + self._batch_size]:
                refusal, prompt = self._prompt(request)
                if prompt is None:
                    answers.append(ChatAnswer(request.key, "", complete=False, error=refusal))
                else:
                    ready.append((request, prompt))
            if ready:
                answers += self._generate(ready)
        return answers

    def _prompt(self, request: ChatRequest) -> tuple[str, BatchFeature | None]:
        """The model's inputs for one request, or why there are none."""
        if request.images and request.video:
            return "a request has images or a video, this one has both", None
        if len(request.video) == 1:
            return "a video of one frame: send it as an image", None
        prompt = self._processor.apply_chat_template(
            _conversation(request),
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
            sanitize_control_tokens=True,  # labels and scenes are text, whatever they spell
            processor_kwargs=self._picture_options(request),
        )
        length = prompt["input_ids"].shape[1]
        if length + request.max_new_tokens > self._context:
            return (
                f"the prompt has {length} tokens and the answer may have {request.max_new_tokens}, "
                f"the context has {self._context}: send fewer or smaller pictures (max_pixels)"
            ), None
        return "", prompt

    def _picture_options(self, request: ChatRequest) -> dict[str, Any]:
        """What the processor must know beyond the pixels. `size` counts pixels, of all frames for a video."""
        options: dict[str, Any] = {}
        if request.images:
            options["images_kwargs"] = {"size": self._size(self._processor.image_processor.size, 1)}
        if request.video:
            frames = len(request.video)
            options["videos_kwargs"] = {
                "size": self._size(self._processor.video_processor.size, frames),
                "do_sample_frames": False,  # the frames are chosen already
                "cap_pixels_per_frame": True,  # as Qwen's own qwen-vl-utils does
                "video_metadata": [
                    {"total_num_frames": frames, "fps": request.video_fps, "frames_indices": [*range(frames)]}
                ],
            }
        return options

    def _size(self, default: Any, frames: int) -> dict[str, int]:
        return {
            "shortest_edge": self._min_pixels * frames if self._min_pixels else default["shortest_edge"],
            "longest_edge": self._max_pixels * frames if self._max_pixels else default["longest_edge"],
        }

    @torch.inference_mode()
    def _generate(self, batch: Sequence[tuple[ChatRequest, BatchFeature]]) -> list[ChatAnswer]:
        requests = [request for request, _ in batch]
        inputs = _padded([prompt for _, prompt in batch]).to(self._device)
        longest = inputs["input_ids"].shape[1]
        tokens = self._model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=max(request.max_new_tokens for request in requests),
            logits_processor=LogitsProcessorList([SeededChoice(requests, longest, self._device)]),
        )
        written = tokens[:, longest:].tolist()
        return [self._answer(request, row) for request, row in zip(requests, written, strict=True)]

    def _answer(self, request: ChatRequest, tokens: list[int]) -> ChatAnswer:
        """Cut to the request's own length: a batch is written to that of its longest."""
        ends = self._model.generation_config.eos_token_id
        ends = set(ends) if isinstance(ends, list) else {ends}
        own = tokens[: request.max_new_tokens]
        end = next((place for place, token in enumerate(own) if token in ends), None)
        text = self._processor.decode(
            own[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False
        ).strip()
        return ChatAnswer(request.key, text, complete=end is not None)


class QwenLanguageModel(PromptedLanguageModel):
    """The VisionLanguageModel role; options are those of `QwenChat` and of `PromptedLanguageModel`."""

    def __init__(self, **options: Any) -> None:
        prompting, chatting = split_options(options)
        super().__init__(QwenChat(**chatting), **prompting)


def _length(request: ChatRequest) -> tuple[int, int, str]:
    """What prompts are sorted by: pixels, then letters; those that differ in the seed only stay together."""
    return sum(frame.size for frame in (*request.images, *request.video)), len(request.text), request.key


def _conversation(request: ChatRequest) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"type": "image", "image": image} for image in request.images]
    if request.video:
        parts.append({"type": "video", "video": torch.stack([torch.from_numpy(f) for f in request.video])})
    parts.append({"type": "text", "text": request.text})
    turns: list[dict[str, Any]] = [{"role": "user", "content": parts}]
    if request.system:
        turns.insert(0, {"role": "system", "content": [{"type": "text", "text": request.system}]})
    return turns


def _padded(prompts: Sequence[BatchFeature]) -> BatchFeature:
    """Prompts of one row each as one batch: text filled up on the left, pictures one after another."""
    longest = max(prompt["input_ids"].shape[1] for prompt in prompts)
    batch: dict[str, torch.Tensor] = {}
    for name in ("input_ids", "attention_mask", "mm_token_type_ids"):  # an unattended token may be any
        rows = [prompt[name] for prompt in prompts]
        batch[name] = torch.cat([torch.nn.functional.pad(r, (longest - r.shape[1], 0)) for r in rows])
    for name in ("pixel_values", "image_grid_thw", "pixel_values_videos", "video_grid_thw"):
        parts = [prompt[name] for prompt in prompts if name in prompt]
        if parts:
            batch[name] = torch.cat(parts)
    return BatchFeature(batch)


def _quantized(name: str | None) -> BitsAndBytesConfig | None:
    return BitsAndBytesConfig(**QUANTIZATIONS[name]) if name else None


def _with_adapter(model: Any, folder: Path, *, merge: bool) -> Any:
    """The model with its LoRA. peft skips weights whose names it does not know with a warning only, which
    would leave the plain model: here that is a CheckpointError.
    """
    adapted = PeftModel.from_pretrained(model, folder)
    result = adapted.load_adapter(folder, "default")  # again, since only this says what did not fit
    strangers = sorted({*result.missing_keys, *result.unexpected_keys})
    if strangers:
        raise CheckpointError(
            f"the adapter {folder} does not fit the model: {len(strangers)} weights have no counterpart, "
            f"such as {strangers[0]}"
        )
    return adapted.merge_and_unload() if merge else adapted


def _require_room(
    folder: Path,
    device: torch.device,
    what: str,
    dtype: torch.dtype,
    offload: str,
    quantization: str | None,
) -> None:
    """CheckpointError for options that are none and for a GPU that is too small."""
    if offload not in OFFLOADS:
        raise CheckpointError(f"offload {offload!r} is none of {', '.join(OFFLOADS)}")
    if quantization not in (None, *QUANTIZATIONS):
        raise CheckpointError(f"quantization {quantization!r} is none of {', '.join(QUANTIZATIONS)}")
    if quantization and importlib.util.find_spec("bitsandbytes") is None:
        raise CheckpointError(f"quantization {quantization!r} needs: pip install bitsandbytes")
    parameters = sum(_parameters(path) for path in folder.glob("*.safetensors"))
    if offload == "none":
        each = _BYTES[quantization] if quantization else dtype.itemsize
        cures = [
            f"quantization {name!r} needs {_gib(parameters, size):g}"
            for name, size in _BYTES.items()
            if size < each
        ]
        require_gpu_memory(
            device,
            _gib(parameters, each),
            f"{what} ({parameters / 1e9:.1f}B parameters)",
            instead="; ".join(
                [*cures, "offload 'sequential' needs less and is slow", "a smaller model would fit"]
            ),
        )


def _gib(parameters: int, bytes_each: float) -> float:
    return round(parameters * bytes_each / 2**30 + _WORKING_GIB, 1)


def _parameters(path: Path) -> int:
    """Values in a safetensors file."""
    with safe_open(path, framework="pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in list(file.keys()))
