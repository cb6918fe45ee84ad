"""Prompts: complete, in step with what reads their answers, and versioned by their words."""

from __future__ import annotations

import dataclasses
import re

import pytest

from actors import prompts
from actors.ops.answers import BOX_KEYS, LABEL_KEYS, MAX_INSTRUCTION, MIN_INSTRUCTION, BoxForm
from schemas.records import THEMES
from schemas.taxonomy import all_scenes

TEXTS = {
    "camera": prompts.camera_text(16, 5.06),
    "scene": prompts.scene_text(),
    "instruction": prompts.instruction_text(
        "A quiet beach.", "location", "urban: rooftop overlooking skyline", 3
    ),
    "grounding": prompts.grounding_text("Set the scene to {a} pier.", 1280, 720, BoxForm()),
    "locating": prompts.locating_text(["woman in brown hat", "brown hat"], 1280, 720, BoxForm()),
}


@pytest.mark.parametrize("name", prompts.PROMPTS)
def test_every_prompt_says_what_it_gives_back_and_fills_its_fields(name: str) -> None:
    prompt = prompts.PROMPTS[name]
    assert prompt.gives_back
    assert prompt.max_new_tokens > 0
    assert not re.search(r"\{[a-z_]+\}", TEXTS[name].replace("{a}", ""))


def test_a_text_in_braces_passes_through_as_it_is() -> None:
    assert "Set the scene to {a} pier." in TEXTS["grounding"]


def test_locating_asks_in_the_words_that_qwen3_vl_was_trained_on() -> None:
    assert TEXTS["locating"].startswith(
        "Locate every instance that belongs to the following categories: 'woman in brown hat, brown hat'. "
        "Report bbox coordinates in JSON format.\n"
    )


def test_the_camera_judge_is_asked_for_the_lines_that_are_read() -> None:
    assert "VERDICT: STATIC" in TEXTS["camera"]
    assert "VERDICT: MOVING" in TEXTS["camera"]
    assert "16 frames" in TEXTS["camera"]
    assert "5.1 seconds" in TEXTS["camera"]


def test_boxes_are_asked_for_with_the_keys_that_are_read() -> None:
    for text in (TEXTS["grounding"], TEXTS["locating"]):
        assert f'{{"{BOX_KEYS[0]}": [x1, y1, x2, y2], "{LABEL_KEYS[0]}": "..."}}' in text
        assert "0 to 1000" in text


def test_boxes_in_pixels_and_with_rows_first_are_asked_for_as_such() -> None:
    text = prompts.locating_text(["dog"], 640, 360, BoxForm("pixels", "yxyx"))
    assert "[y1, x1, y2, x2]" in text
    assert "640 wide and 360 high" in text
    assert "1000" not in text


def test_the_asked_length_of_an_instruction_lies_inside_of_the_accepted_one() -> None:
    fewest, most = (int(words) for words in re.findall(r"(\d+) to (\d+) words", TEXTS["instruction"])[0])
    assert fewest * 5 > MIN_INSTRUCTION, "English prose has five to six characters a word and space"
    assert most * 7 < MAX_INSTRUCTION


def test_every_keyword_of_the_taxonomy_makes_a_question() -> None:
    for scene in all_scenes():
        text = prompts.instruction_text("A kitchen.", scene.theme, scene.chosen_keyword, 0)
        assert f"{scene.scene} (kind: {scene.subtheme})" in text
        assert prompts.THEMES[scene.theme] in text


def test_every_theme_that_is_drawn_has_its_words() -> None:
    assert {*prompts.THEMES, "openve3m"} == set(THEMES)


def test_seeds_draw_every_opening() -> None:
    texts = {prompts.instruction_text("A kitchen.", "time", "dusk: blue hour", seed) for seed in range(9)}
    assert len(texts) == len(prompts.OPENINGS)


def test_the_version_changes_with_any_word(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"\d+-[0-9a-f]{8}", prompts.PROMPTS_VERSION)
    before = prompts._digest()
    assert prompts.PROMPTS_VERSION.endswith(before)
    for name, prompt in prompts.PROMPTS.items():
        changed = dataclasses.replace(prompt, text=prompt.text + ".")
        with monkeypatch.context() as patch:
            patch.setitem(prompts.PROMPTS, name, changed)
            assert prompts._digest() != before
    monkeypatch.setitem(prompts.THEMES, "time", "another hour")
    assert prompts._digest() != before
