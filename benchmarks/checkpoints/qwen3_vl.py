"""Tiny Qwen3-VL checkpoints: one with random weights, one that says chosen words, and a LoRA adapter.

What a reader gets wrong: `build_saying` is no mock. Its words go through the real tokenizer, attention,
`generate` and decoding; only the weights are set by hand, so that a prompt's own words choose the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import AddedToken
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

_SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string -%}
{{ message.content }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type == 'video' -%}<|vision_start|><|video_pad|><|vision_end|>
{%- else -%}{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}
"""
_PICTURE: dict[str, Any] = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}
_CONTEXT = 32768
_LOUD = 100.0
"""Weight of the words in `build_saying`: their logits lead by hundreds, so sampling cannot miss them."""

LABEL = "person in the middle"
BOX = (300, 100, 700, 950)
"""In thousandths of the frame."""
INSTRUCTION = (
    "Shift the background to a quiet beach at dusk, with low dunes and a wooden pier under an orange sky. "
    "Waves roll onto the sand and the tall grass sways in a light wind, giving the scene a calm mood."
)
AGREEABLE = {
    "Does the camera that filmed it stand still": "Walls and shelf stay in place.\nVERDICT: STATIC",
    "Describe the place that this picture shows": (
        "A small study with a wooden desk, a tall bookshelf and a window that lets in soft grey light "
        "of the afternoon, where one person sits."
    ),
    "You write instructions for a model": INSTRUCTION,
    "list the foreground that was kept": f'[{{"bbox_2d": {list(BOX)}, "label": "{LABEL}"}}]',
    "Locate every instance that belongs": f'```json\n[{{"bbox_2d": {list(BOX)}, "label": "{LABEL}"}}]\n```',
    "All the input images are AI-generated": '{"reasoning": "It is as asked.", "score": [24, 25]}',
}
"""Words of each question of `actors.prompts` and of EditScore, and an answer that every gate lets pass."""


def build(folder: Path, *, seed: int = 0, hidden_size: int = 32, context: int = _CONTEXT) -> Path:
    """Random weights in float32: answers are noise."""
    processor = _processor()
    torch.manual_seed(seed)
    model: Any = Qwen3VLForConditionalGeneration(_config(processor, hidden_size, layers=2, context=context))
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)  # the default 0.02 makes every next token alike
    return _save(folder, model, processor)


def build_adapter(folder: Path, base: Path, *, seed: int = 1) -> Path:
    """A LoRA over the language model's attention whose B is not zero, so that it changes the logits."""
    model: Any = Qwen3VLForConditionalGeneration.from_pretrained(base)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj)")
    adapted: Any = get_peft_model(model, lora)
    torch.manual_seed(seed)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.5)
    adapted.peft_config[
        "default"
    ].base_model_name_or_path = "Qwen/Qwen3-VL-8B-Instruct"  # as the published one
    adapted.save_pretrained(folder, save_embedding_layers=False)  # else peft asks the hub about the base
    return folder


def build_saying(folder: Path, default: str, answers: Mapping[str, str] | None = None) -> Path:
    """A checkpoint that answers `default`, or `answers[words]` where those words stand in the prompt.

    Where the words of several answers stand there, the one that stands there most often wins (none may be
    part of another). Greedy and sampled decoding say the same. Every answer is one token of the vocabulary;
    one layer of uniform attention carries the prompt's words to its last place, where the head reads them.
    """
    by_words = dict(answers or {})
    words, texts = list(by_words), [default, *by_words.values()]
    processor = _processor(words=words, texts=texts)
    tokens = processor.tokenizer
    model: Any = Qwen3VLForConditionalGeneration(_config(processor, _hidden(len(words)), layers=1))
    asked, answered, first = 0, 1, 2  # directions of the hidden state; from `first` on, one for each words
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" not in name:
                weight.zero_()
        embedding = model.get_input_embeddings().weight
        head = model.lm_head.weight
        attention = model.model.language_model.layers[0].self_attn
        embedding[:, asked] = 1.0
        for place, phrase in enumerate(words):
            embedding[tokens.convert_tokens_to_ids(phrase), first + place] = 1.0
            attention.v_proj.weight[place, first + place] = 1.0
            attention.o_proj.weight[first + place, place] = 1e5  # outweighs the mean over a long prompt
            head[tokens.convert_tokens_to_ids(by_words[phrase]), first + place] = _LOUD
        for text in texts:
            embedding[tokens.convert_tokens_to_ids(text)] = 0.0
            embedding[tokens.convert_tokens_to_ids(text), answered] = 1e8  # outweighs every words
        head[tokens.convert_tokens_to_ids(default), asked] = _LOUD
        head[tokens.convert_tokens_to_ids("<|im_end|>"), answered] = _LOUD
    return _save(folder, model, processor)


def build_agreeable(folder: Path) -> Path:
    """One checkpoint for every question of the pipeline; see `AGREEABLE`."""
    return build_saying(folder, "I do not know that question.", AGREEABLE)


def _hidden(answers: int) -> int:
    return max(32, 16 * ((answers + 2 + 15) // 16))


def _processor(*, words: list[str] | None = None, texts: list[str] | None = None) -> Qwen3VLProcessor:
    alphabet = sorted(ByteLevel.alphabet())
    vocabulary = {letter: place for place, letter in enumerate(alphabet)}
    vocabulary |= {token: len(alphabet) + place for place, token in enumerate(_SPECIAL)}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[], eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": list(_SPECIAL)})
    whole = [AddedToken(text, special=False, normalized=False) for text in [*(words or []), *(texts or [])]]
    tokenizer.add_tokens(whole)
    small = {"shortest_edge": 32 * 32, "longest_edge": 32 * 32 * 4}
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=small, **_PICTURE),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(
            size={"shortest_edge": 32 * 32, "longest_edge": 32 * 32 * 64}, **_PICTURE
        ),
        chat_template=_TEMPLATE,
    )


def _config(
    processor: Qwen3VLProcessor, hidden_size: int, *, layers: int, context: int = _CONTEXT
) -> Qwen3VLConfig:
    token = processor.tokenizer.convert_tokens_to_ids
    head_dim = max(32, hidden_size // 2)  # vLLM has no attention kernel for smaller heads
    return Qwen3VLConfig(
        text_config={
            "vocab_size": len(processor.tokenizer),
            "hidden_size": hidden_size,
            "intermediate_size": hidden_size,
            "num_hidden_layers": layers,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": head_dim,
            "max_position_embeddings": context,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5e6,
                "mrope_interleaved": True,
                "mrope_section": [head_dim // 2 - 2 * (head_dim // 8), head_dim // 8, head_dim // 8],
            },
        },
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": hidden_size,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )


def _save(folder: Path, model: Any, processor: Qwen3VLProcessor) -> Path:
    token = processor.tokenizer.convert_tokens_to_ids
    generation = model.generation_config  # as the hub's Qwen3-VL ships it: sampling, two end tokens
    generation.update(do_sample=True, temperature=0.7, top_p=0.8, top_k=20)
    generation.eos_token_id = [token("<|im_end|>"), token("<|endoftext|>")]
    generation.pad_token_id = token("<|endoftext|>")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
