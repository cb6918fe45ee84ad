"""Writes the editing instruction of a scene in the published style, from the taxonomy's own words.

What a reader gets wrong: this is a grammar, not a language model. It says nothing of the foreground and
nothing of the camera, always names the place word for word (`scenes.match` finds the scene by it) and at
least one motion with its verb.
"""

from __future__ import annotations

import hashlib

import numpy as np

from schemas.taxonomy import SceneSpec, find_scene

MIN_CHARACTERS, MAX_CHARACTERS = 151, 466
"""Shortest and longest published instruction."""

OPENINGS = (
    "Shift the background to {place}",
    "Place the subject in {place}",
    "Put the subject against {place}",
    "Move the subject to {place}",
    "Set the scene to {place}",
    "Change the background to {place}",
    "Replace the background with {place}",
    "Swap the background for {place}",
    "Transform the background into {place}",
)
_FRAMES = (
    "{opening} {light}, where {motions}. The mood is {mood}.",
    "{opening} {light}, {motions_as}, giving the whole setting {a_mood} feel.",
    "{opening} {light}; {motions}, and the atmosphere is {mood}.",
    "{opening} {light}. Let it come alive as {motions}, with {a_mood} atmosphere throughout.",
    "{opening}, shown {light}, where {motions}, for {a_mood} mood.",
)


def _joined(clauses: list[str]) -> str:
    if len(clauses) == 1:
        return clauses[0]
    return ", ".join(clauses[:-1]) + " and " + clauses[-1]


def _article(words: str) -> str:
    return ("an " if words[0].lower() in "aeiou" else "a ") + words


def write_instruction(original_scene: str, edit_type: str, chosen_keyword: str, *, seed: int) -> str:
    """One or two sentences, 151-466 characters, that ask for the scene of `chosen_keyword`.

    `original_scene` only turns the dice (two sources with one seed get different wordings). KeyError when the
    keyword is not in the taxonomy, ValueError when it belongs to another theme than `edit_type`.
    """
    spec = find_scene(chosen_keyword)
    if spec.theme != edit_type:
        raise ValueError(f"{chosen_keyword!r} belongs to theme {spec.theme!r}, not to {edit_type!r}")
    digest = hashlib.sha256(f"{original_scene}\x1f{chosen_keyword}\x1f{seed}".encode()).digest()
    rng = np.random.Generator(np.random.Philox(int.from_bytes(digest[:8], "big")))
    for _ in range(40):
        text = _draft(spec, rng)
        if MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS:
            return text
    raise ValueError(
        f"{chosen_keyword!r}: no wording of {MIN_CHARACTERS}-{MAX_CHARACTERS} characters; "
        "the scene's texts are too long or short"
    )


def _draft(spec: SceneSpec, rng: np.random.Generator) -> str:
    count = int(rng.integers(2, len(spec.motion) + 1)) if len(spec.motion) > 2 else len(spec.motion)
    picked = sorted(rng.choice(len(spec.motion), count, replace=False).tolist())
    clauses = [spec.motion[i] for i in picked]
    opening = OPENINGS[int(rng.integers(0, len(OPENINGS)))].format(place=spec.place)
    return _FRAMES[int(rng.integers(0, len(_FRAMES)))].format(
        opening=opening,
        light=spec.light.phrase,
        motions=_joined(clauses),
        motions_as="as " + _joined(clauses),
        mood=spec.mood,
        a_mood=_article(spec.mood),
    )
