"""Answers of language models: every way in which they are badly written, and that none is made up."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.ops.answers import (
    AnswerError,
    BoxForm,
    read_camera_verdict,
    read_instruction,
    read_kept_objects,
    read_located_objects,
    read_scene,
    spoken_part,
)
from actors.roles import CameraVerdict, GroundedObject

LABELS = ("woman in brown hat", "brown hat", "clasped hands with ring")
HAT = GroundedObject("brown hat", (505, 27, 710, 258))
SIZE = (1280, 720)


def located(text: str, labels: tuple[str, ...] = LABELS, complete: bool = True) -> dict[str, tuple[int, ...]]:
    """By label, without the empty boxes."""
    objects = read_located_objects(text, labels, *SIZE, complete=complete)
    assert tuple(item.label for item in objects) == labels
    return {item.label: item.bbox_2d for item in objects if item.bbox_2d}


def kept(text: str) -> list[GroundedObject]:
    return read_kept_objects(text, *SIZE)


def entry(label: str, *box: float) -> str:
    return json.dumps({"bbox_2d": list(box), "label": label})


FINE = f"[{entry('brown hat', 505, 27, 710, 258)}]"


@pytest.mark.parametrize(
    "text",
    [
        FINE,
        f"```json\n{FINE}\n```",
        f"```\n{FINE}\n```",
        f"Here's the list you asked for:\n{FINE}\nLet me know if you need more.",
        f"<think>The hat is at {entry('brown hat', 1, 2, 3, 4)}.</think>\n{FINE}",
        f"<think>one <think>two</think> {entry('brown hat', 1, 2, 3, 4)}</think>{FINE}",
        f"so the hat is at the top.</think>{FINE}",
        '{"objects": ' + FINE + "}",
        entry("brown hat", 505, 27, 710, 258),
        "[{'bbox_2d': [505, 27, 710, 258], 'label': 'brown hat'}]",
        "[{'label': \"brown hat\", 'bbox_2d': (505, 27, 710, 258)}]",
        '[{"bbox_2d": [505, 27, 710, 258,], "label": "brown hat",},]',
        '[{"bbox_2d": [505.2, 26.9, 709.8, 258.0], "label": "brown hat"}]',
        '[{"bbox_2d": [[505, 27], [710, 258]], "label": "brown hat"}]',
        '[{"bbox": [505, 27, 710, 258], "label": "brown hat"}]',
        '[{"box_2d": [505, 27, 710, 258], "label": "brown hat"}]',
        '[{"BBox_2D": [505, 27, 710, 258], "Label": "brown hat"}]',
        '[{"box": [505, 27, 710, 258], "category": "brown hat"}]',
        '[{"bbox_2d": [710, 258, 505, 27], "label": "brown hat"}]',
        '[{"bbox_2d": [710, 27, 505, 258], "label": "brown hat"}]',
        FINE.replace("brown hat", "Brown Hat"),
        FINE.replace("brown hat", "the brown hat."),
        FINE.replace("brown hat", "brown hats"),
        FINE.replace("brown hat", "brown_hat"),
        FINE.replace("brown hat", "brown-hat"),
        FINE.replace("brown hat", "brown hatt"),
    ],
    ids=lambda text: text[:60],
)
def test_one_box_however_it_is_written(text: str) -> None:
    assert located(text) == {"brown hat": (505, 27, 710, 258)}


def test_a_list_that_was_cut_off_keeps_its_whole_entries() -> None:
    text = (
        f"```json\n[{entry('brown hat', 505, 27, 710, 258)},\n{entry('woman in brown hat', 1, 2, 765, 998)}"
    )
    cut = text[: text.index("998")]
    assert located(cut, complete=False) == {"brown hat": (505, 27, 710, 258)}
    assert kept(cut) == [HAT]


def test_a_list_that_was_cut_off_before_its_first_whole_entry_is_no_answer() -> None:
    with pytest.raises(AnswerError, match="cut off"):
        read_located_objects('[{"bbox_2d": [505, 27', LABELS, *SIZE, complete=False)


def test_boxes_are_clipped_and_what_lies_outside_is_dropped() -> None:
    text = f"[{entry('brown hat', -40, 27, 1300.5, 258)}, {entry('woman in brown hat', 1100, 0, 1400, 900)}]"
    assert located(text) == {"brown hat": (0, 27, 1000, 258)}
    assert [item.label for item in kept(text)] == ["brown hat"]


def test_a_box_without_an_area_is_dropped() -> None:
    assert located(f"[{entry('brown hat', 505, 27, 505.3, 258)}]") == {}


@pytest.mark.parametrize(
    "box",
    [
        "[1, 2, 3]",
        "[1, 2, 3, 4, 5]",
        '["a", 2, 3, 4]',
        "[1, 2, NaN, 4]",
        "[1, 2, 1e999, 4]",
        "[true, 2, 3, 4]",
        "[0.1, 0.2, 0.9, 0.95]",
    ],
)
def test_an_entry_without_four_numbers_is_skipped(box: str) -> None:
    bad = f'{{"bbox_2d": {box}, "label": "woman in brown hat"}}'
    assert located(f"[{bad}, {FINE[1:]}") == {"brown hat": (505, 27, 710, 258)}
    assert kept(f"[{bad}, {FINE[1:]}") == [HAT]
    with pytest.raises(AnswerError, match="1 entries, none with"):
        located(f"[{bad}]")


@pytest.mark.parametrize("quote", ['"', "'"])
def test_an_entry_with_two_boxes_is_skipped(quote: str) -> None:
    bad = '{"label": "woman in brown hat", "bbox_2d": [1, 2, 30, 40], "bbox_2d": [5, 6, 70, 80]}'
    assert located(f"[{bad.replace(chr(34), quote)}, {FINE[1:]}") == {"brown hat": HAT.bbox_2d}


def test_a_number_too_large_for_a_float_is_skipped() -> None:
    assert located(f"[{entry('woman in brown hat', 0, 0, 10**400, 9)}, {FINE[1:]}") == {
        "brown hat": HAT.bbox_2d
    }


@pytest.mark.parametrize("box", ["[]", "null"])
def test_an_empty_box_says_that_the_label_was_not_found(box: str) -> None:
    assert located(f'[{{"bbox_2d": {box}, "label": "brown hat"}}]') == {}


def test_labels_that_were_not_asked_for_are_dropped() -> None:
    text = f"[{entry('wooden table', 0, 0, 500, 500)}, {entry('hat', 0, 0, 9, 9)}, {FINE[1:]}"
    assert located(text) == {"brown hat": HAT.bbox_2d}


def test_a_renamed_label_does_not_count_where_the_right_one_is_there() -> None:
    text = (
        f"[{entry('woman in brown hats', 447, 27, 765, 998)}, {entry('woman with brown hat', 0, 0, 90, 90)}]"
    )
    assert located(text) == {"woman in brown hat": (447, 27, 765, 998)}
    alone = f"[{entry('woman with brown hat', 0, 0, 90, 90)}]"
    assert located(alone) == {"woman in brown hat": (0, 0, 90, 90)}


def test_a_label_that_may_be_either_of_two_is_dropped() -> None:
    assert (
        located(f"[{entry('hand of woman', 1, 1, 9, 9)}]", ("left hand of woman", "right hand of woman"))
        == {}
    )


def test_a_label_of_something_else_is_no_renaming() -> None:
    assert located(f"[{entry('left shoe', 1, 1, 9, 9)}]", ("right shoe",)) == {}


def test_an_entry_of_a_thousand_characters_is_not_read() -> None:
    long = json.dumps({"bbox_2d": [0, 0, 9, 9], "label": "brown hat", "why": "x" * 1_000})
    assert located(f"[{long}, {FINE[1:]}") == {"brown hat": HAT.bbox_2d}


def test_several_boxes_of_one_label_become_the_box_around_them() -> None:
    text = f"[{entry('brown hat', 100, 100, 200, 200)}, {entry('brown hat', 300, 50, 400, 150)}]"
    assert located(text) == {"brown hat": (100, 50, 400, 200)}
    assert kept(text) == [GroundedObject("brown hat", (100, 50, 400, 200))]


def test_an_empty_list_is_an_answer_and_no_list_is_none() -> None:
    assert located("```json\n[]\n```") == {}
    assert kept("[ ]") == []
    for text in (
        "None of them is visible.",
        "",
        "   ",
        "<think>hm</think>",
        "<think>[]",
        '[{"label": "x", "bbox_2d": []',
    ):
        with pytest.raises(AnswerError):
            located(text)
        with pytest.raises(AnswerError):
            kept(text)


def test_round_one_labels_become_lower_case_and_plain() -> None:
    hand = entry("girl's hand", 1, 2, 30, 40)
    text = f"[{entry('Woman_in  Brown Hat, coat', 1, 2, 30, 40)}, {hand}]"
    assert [item.label for item in kept(text)] == ["woman in brown hat coat", "girls hand"]


def test_round_one_without_a_single_good_entry_is_no_answer() -> None:
    with pytest.raises(AnswerError, match="none with a label and a box"):
        kept(f"[{entry('dog', 5, 5, 5, 5)}, {entry('', 0, 0, 10, 10)}]")


def test_boxes_in_pixels_are_scaled_to_thousandths() -> None:
    form = BoxForm("pixels")
    (hat,) = read_located_objects(f"[{entry('hat', 640, 360, 1400, 720)}]", ["hat"], 1280, 720, form=form)
    assert hat.bbox_2d == (500, 500, 1000, 1000)


def test_rows_first_boxes_are_turned() -> None:
    form = BoxForm(order="yxyx")
    (hat,) = read_kept_objects(f"[{entry('hat', 27, 505, 258, 710)}]", 1280, 720, form=form)
    assert hat.bbox_2d == (505, 27, 710, 258)


def test_an_unknown_form_of_boxes_is_refused() -> None:
    with pytest.raises(ValueError, match="thousandths"):
        BoxForm("percent")  # type: ignore[arg-type]  # what a config may hold


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("The wall stays.\nVERDICT: STATIC", CameraVerdict(True, "The wall stays.")),
        ("The wall drifts.\n\n**VERDICT: MOVING**", CameraVerdict(False, "The wall drifts.")),
        ("The wall drifts.\n**Verdict:** *moving*.", CameraVerdict(False, "The wall drifts.")),
        ("<think>VERDICT: MOVING?</think>Fixed.\nverdict - static", CameraVerdict(True, "Fixed.")),
        ("VERDICT: STATIC", CameraVerdict(True, "")),
        ("I say VERDICT: STATIC, so\nVERDICT: STATIC", CameraVerdict(True, "I say VERDICT: STATIC, so")),
        ('{"reasoning": "ok", "verdict": "static"}', CameraVerdict(True, '{"reasoning": "ok",')),
    ],
)
def test_a_camera_verdict_however_it_is_written(text: str, verdict: CameraVerdict) -> None:
    assert read_camera_verdict(text) == verdict


@pytest.mark.parametrize(
    "text",
    [
        "The camera is static.",
        "VERDICT: not static",
        "VERDICT: STATIC or MOVING",
        "VERDICT: static / moving",
        "VERDICT: STATIC\nVERDICT: MOVING",
        "verdict: unmoving",
    ],
)
def test_no_verdict_is_guessed(text: str) -> None:
    with pytest.raises(AnswerError, match=r"verdict|VERDICT"):
        read_camera_verdict(text)


def test_a_verdict_counts_where_the_answer_was_cut_off_after_it_only() -> None:
    assert read_camera_verdict("Fixed. VERDICT: STATIC Furtherm", complete=False).static
    with pytest.raises(AnswerError, match="cut off"):
        read_camera_verdict("The wall stays and", complete=False)


@pytest.mark.parametrize(
    "text",
    [
        "A woman stands in a sunlit kitchen with white tiles.",
        '"A woman stands in a sunlit kitchen with white tiles."',
        "**A woman stands in a sunlit kitchen with white tiles.**",
        "```\nA woman stands in a sunlit kitchen\nwith white tiles.\n```",
        "A woman stands in a sunlit kitchen with white tiles. The light is soft.",
    ],
)
def test_a_description_is_one_plain_sentence(text: str) -> None:
    assert read_scene(text) == "A woman stands in a sunlit kitchen with white tiles."


@pytest.mark.parametrize(
    "text", ["Kitchen.", "", "word " * 100, "I'm sorry, but I can't help with that.", "I am not sure."]
)
def test_what_is_no_sentence_is_no_description(text: str) -> None:
    with pytest.raises(AnswerError):
        read_scene(text)


INSTRUCTION = (
    "Shift the background to a rooftop overlooking a modern city skyline at dusk, with warm light glowing in "
    "the windows. Thin clouds drift slowly over the towers while flags flutter in a calm, dreamy mood."
)


@pytest.mark.parametrize(
    "text", [INSTRUCTION, f'"{INSTRUCTION}"', f"\n{INSTRUCTION}\n", f"<think>ok</think>{INSTRUCTION}"]
)
def test_an_instruction_comes_through_as_it_is(text: str) -> None:
    assert read_instruction(text) == INSTRUCTION


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (INSTRUCTION[:150], "150 characters"),
        (INSTRUCTION + " x" * 140, "characters"),
        (f"Here it is:\n\n{INSTRUCTION}", "3 lines"),
        (INSTRUCTION + " It is calm.", "3 sentences"),
        (INSTRUCTION.replace("calm", "static camera"), "camera"),
        ("Sorry, I cannot do this. " + "x" * 200, "speaks of the model"),
        (INSTRUCTION.replace("flags", "Foreground flags"), "foreground"),
    ],
)
def test_an_instruction_of_another_style_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(AnswerError, match=why):
        read_instruction(text)


def test_texts_that_were_cut_off_are_refused() -> None:
    with pytest.raises(AnswerError, match="cut off"):
        read_instruction(INSTRUCTION, complete=False)
    with pytest.raises(AnswerError, match="cut off"):
        read_scene("A woman stands in a sunlit", complete=False)


def test_thinking_without_an_end_is_no_answer() -> None:
    with pytest.raises(AnswerError, match="thinking"):
        spoken_part("<think>" + FINE)


pieces = st.sampled_from(
    [
        *"{}[]()'\",:\\\x00-1\n",
        *("bbox_2d", "label", "brown hat", "1e9", "9" * 5000, "null", "nan", ". A", FINE),
        *("<think>", "</think>", "VERDICT:", "static", "moving", "```json"),
    ]
)
garbage = st.one_of(st.text(), st.lists(pieces, max_size=60).map("".join))


@settings(max_examples=300)
@given(garbage, st.booleans())
@example("{" * 40_000, True)
@example("{}" * 20_000, True)
@example("[" * 40_000, True)
@example("{" + "[" * 900 + "}", True)
@example("{" + "-" * 900 + "1}", True)
@example("{[1]: 2}", True)
@example("VERDICT" + " " * 40_000, True)
@example(". " * 20_000, True)
@example(("{" + '"label": "woman in grey hat", "bbox": [1,2,3,4]' + "},") * 700, True)
@example("<think>" * 5_000 + "</think>" * 5_000, True)
def test_any_text_gives_values_in_their_range_or_an_answer_error(text: str, complete: bool) -> None:
    began = time.process_time()
    with suppress(AnswerError):
        assert isinstance(read_camera_verdict(text, complete=complete).static, bool)
    with suppress(AnswerError):
        assert 0 < len(read_scene(text, complete=complete)) <= 400
    with suppress(AnswerError):
        assert 151 <= len(read_instruction(text, complete=complete)) <= 466
    with suppress(AnswerError):
        assert all(item.bbox_2d for item in kept(text))
        assert all(inside(item) for item in kept(text))
    with suppress(AnswerError):
        assert all(inside(item) for item in read_located_objects(text, LABELS, *SIZE, complete=complete))
    assert time.process_time() - began < 2.0


def inside(item: GroundedObject) -> bool:
    if not item.bbox_2d:
        return True
    x1, y1, x2, y2 = item.bbox_2d
    return 0 <= x1 < x2 <= 1000 and 0 <= y1 < y2 <= 1000


whole = st.integers(0, 1000)
boxes = st.tuples(whole, whole, whole, whole).filter(lambda b: b[0] != b[2] and b[1] != b[3])


@given(st.dictionaries(st.sampled_from(LABELS), boxes), st.booleans())
def test_what_was_written_is_what_is_read(found: dict[str, tuple[int, ...]], python: bool) -> None:
    entries = [{"bbox_2d": list(box), "label": label} for label, box in found.items()]
    text = repr(entries) if python else json.dumps(entries)
    sorted_boxes = {
        label: (min(a, c), min(b, d), max(a, c), max(b, d)) for label, (a, b, c, d) in found.items()
    }
    assert located(text) == sorted_boxes
