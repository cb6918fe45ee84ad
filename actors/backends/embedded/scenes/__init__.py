"""Procedural scenes: from a scene of the taxonomy to moving pictures, and from an instruction back to its
scene.

What a reader gets wrong: `build(spec, seed)` is the whole contract between editor, remover and animator. They
never pass pictures of the scene to each other; each builds it again from the instruction and the seed.
"""

from __future__ import annotations

from actors.backends.embedded.scenes.build import build
from actors.backends.embedded.scenes.matching import match
from actors.backends.embedded.scenes.scene import Scene, SceneLight
from schemas.taxonomy import SceneSpec

__all__ = ["Scene", "SceneLight", "SceneSpec", "build", "match"]
