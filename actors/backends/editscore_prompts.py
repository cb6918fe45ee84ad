"""The two questions of EditScore, word for word as its LoRA was trained on them.

What a reader gets wrong: these words are a protocol constant, not ours to improve. They are read from the
file `vie_prompts.py` of the package `editscore` (Apache-2.0) and checked by digest. The package itself is not
imported: that would change `sys.path` and pull its model wrappers in. How answers are sampled is here too,
since `PROTOCOL_VERSION`, which stands for all of it, is part of the fingerprint of every EditScore backend.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from actors.backends.checkpoints import CheckpointError
from actors.ops.editscore import FULL_MARKS
from actors.roles import ScoreTask

PACKAGE = "editscore==0.2"
DIGEST = "b431bd1af956aa8a7526e7a2e91deec79ac079325d318f8b71781d1cf9adcdc4"
"""SHA-256 of both questions on the scale 0..25, one after the other."""
FETCH = f"pip install --no-deps {PACKAGE}"
TEMPERATURE, TOP_P, TOP_K, MAX_NEW_TOKENS = 0.7, 0.9, 20, 512
"""Of `editscore` 0.2."""
SEES_BOTH: dict[ScoreTask, bool] = {
    "background_replacement": False,
    "foreground_removal": False,
    "video_frame": True,
}
"""Whether the perceptual question shows the source too: the package does in `batch_evaluate` alone."""
_NUMBER = 3
"""Raised by hand when answers are read or paired otherwise."""


def protocol_version() -> str:
    """Stands for the questions, the pictures beside them and the sampling; in the fingerprint."""
    words = repr((DIGEST, TEMPERATURE, TOP_P, TOP_K, MAX_NEW_TOKENS, sorted(SEES_BOTH.items())))
    return f"{PACKAGE} {_NUMBER}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Questions:
    """`semantic` has a place for the instruction; `perceptual` asks about one picture."""

    semantic: str
    perceptual: str

    def semantic_for(self, instruction: str) -> str:
        """Both pictures are shown: does the second follow the instruction, does it keep the first?"""
        return self.semantic.replace("<instruction>", instruction)


@functools.cache
def questions() -> Questions:
    """The questions of EditScore 0.2 with reasoning first and marks 0..25.

    Raises:
        CheckpointError: the package is not installed, or its words are others than the ones known here.
    """
    spec = importlib.util.find_spec("editscore")
    if spec is None or not spec.submodule_search_locations:
        raise CheckpointError(f"EditScore's prompts are not installed; get them with: {FETCH}")
    words = _words(Path(spec.submodule_search_locations[0]) / "vie_prompts.py")
    scale = str(FULL_MARKS)
    opening = words["_context_no_delimit_reasoning_first"]
    pair = words["_prompts_0shot_two_image_edit_rule"]
    found = Questions(
        semantic="\n".join([opening, pair, words["_prompts_0shot_tie_rule_SC"].replace("10", scale)]),
        perceptual="\n".join([opening, words["_prompts_0shot_rule_PQ"].replace("10", scale)]),
    )
    digest = hashlib.sha256((found.semantic + found.perceptual).encode()).hexdigest()
    if digest != DIGEST:
        raise CheckpointError(f"the installed editscore has other prompts than {PACKAGE}; run: {FETCH}")
    return found


def _words(path: Path) -> dict[str, str]:
    """The texts that a module of constants assigns."""
    spec = importlib.util.spec_from_file_location("editscore_vie_prompts", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise CheckpointError(f"{path} is missing; run: {FETCH}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: value for name, value in vars(module).items() if isinstance(value, str)}
