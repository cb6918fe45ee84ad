"""Instructions: in the published style for every scene, and every one leads back to its scene."""

from __future__ import annotations

import re

import pytest

from actors.backends.embedded.scenes.matching import match, named_scene, nearest_scene
from actors.backends.embedded.writer import write_instruction
from schemas.taxonomy import SceneSpec, all_scenes

SEEDS = (0, 1, 2, 3, 4, 5)
PUBLISHED_OPENINGS = (
    "Shift the background to",
    "Place the subject",
    "Put the subject",
    "Move the subject",
    "Set the scene",
    "Change the background",
    "Replace the background",
    "Swap the background",
    "Transform the background",
)
MOTION_VERBS = re.compile(
    r"\b(sway|drift|ripple|fall|flicker|float|rustle|flutter|glow|rise|roll|wave|waver|swirl|twinkle|stream"
    r"|shimmer|bob|bow|bend|billow|blink|break|burn|catch|circle|crash|crackle|cross|curl|dance|drip|flash"
    r"|flow|fly|gleam|glide|glint|glitter|hop|lap|lift|move|nod|pass|play|pour|pulse|race|run|scatter|settle"
    r"|shift|sift|slide|slip|soar|spin|spill|splash|stir|sweep|swing|trail|trickle|tumble|turn|wash|wander"
    r"|wink|whirl|churn|thread|throb|wind|blow|walk)(s|es|ies|ing)?\b"
)
UNWANTED = re.compile(
    r"\b(foreground|camera|lens|zoom|pan|panning|tripod|person|man|woman|his|her|face|clothes|outfit)\b"
)


def instructions(spec: SceneSpec) -> list[str]:
    described = ("a man in an office", "a woman before a white wall")
    return [
        write_instruction(source, spec.theme, spec.chosen_keyword, seed=seed)
        for source in described
        for seed in SEEDS
    ]


@pytest.fixture(scope="module")
def written() -> list[tuple[SceneSpec, str]]:
    return [(spec, text) for spec in all_scenes() for text in instructions(spec)]


def test_every_instruction_has_the_published_length_and_opening(written: list[tuple[SceneSpec, str]]) -> None:
    for _, text in written:
        assert 151 <= len(text) <= 466, text
        assert text.startswith(PUBLISHED_OPENINGS), text


def test_every_instruction_names_a_motion_with_its_verb(written: list[tuple[SceneSpec, str]]) -> None:
    for spec, text in written:
        clauses = [clause for clause in spec.motion if clause in text]
        assert clauses, text
        assert any(MOTION_VERBS.search(clause) for clause in clauses), text


def test_no_instruction_speaks_of_the_foreground_or_the_camera(written: list[tuple[SceneSpec, str]]) -> None:
    for _, text in written:
        assert not UNWANTED.search(text.lower()), text


def test_every_instruction_leads_back_to_its_scene(written: list[tuple[SceneSpec, str]]) -> None:
    for spec, text in written:
        assert match(text).chosen_keyword == spec.chosen_keyword, text


def test_wordings_vary_with_the_seed_and_repeat_with_it() -> None:
    for spec in all_scenes():
        first = instructions(spec)
        assert first == instructions(spec)
        assert len(set(first)) >= len(first) // 2, spec.chosen_keyword


def test_a_keyword_of_another_theme_or_of_none_is_refused() -> None:
    summer = next(spec for spec in all_scenes() if spec.theme == "season")
    with pytest.raises(ValueError, match="belongs to theme 'season'"):
        write_instruction("a room", "location", summer.chosen_keyword, seed=1)
    with pytest.raises(KeyError, match="atlantis"):
        write_instruction("a room", "location", "Places: atlantis", seed=1)


FOREIGN = (
    ("Replace the background with a sunny tropical beach, palm trees and turquoise waves.", {"coast"}),
    ("Change the background to a snowy pine forest in winter.", {"forest", "field", "lake", "nightsky"}),
    ("Put the man in front of a rainy neon-lit city street at night.", {"street", "skyline"}),
    ("Replace the office with a cozy living room with a fireplace.", {"room"}),
    ("The background is now a desert with huge sand dunes under a hot sun.", {"desert"}),
    ("Swap the wall behind her for a library full of old books.", {"room", "library"}),
    ("Make the background an underwater scene with corals and fish.", {"reef"}),
    ("Show green aurora borealis above a frozen landscape.", {"nightsky"}),
    ("Replace the background with a field of lavender in Provence.", {"field"}),
    ("Change the setting to a misty bamboo grove.", {"bamboo"}),
    ("Set this at a waterfall deep in the jungle.", {"waterfall", "forest"}),
    ("Replace the background with a medieval castle.", {"ruins"}),
    ("Let her stand under pink cherry blossoms in spring.", {"forest", "street", "lake", "field", "garden"}),
)


@pytest.mark.parametrize(("prompt", "builders"), FOREIGN, ids=[text[:40] for text, _ in FOREIGN])
def test_a_foreign_instruction_lands_in_a_scene_of_its_kind(prompt: str, builders: set[str]) -> None:
    assert named_scene(prompt) is None
    spec, likeness = nearest_scene(prompt)
    assert spec.builder in builders, (spec.chosen_keyword, likeness)
    assert match(prompt) == spec
    assert -1 <= likeness <= 1
