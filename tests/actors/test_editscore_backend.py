"""EditScore from the prompt to the record: what is asked, what is read, and what is never made up."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.backends.chat import ChatAnswer, ChatRequest
from actors.backends.checkpoints import CheckpointError
from actors.backends.editscore import ChatScorer, EditScore, read_judgement
from actors.ops.editscore import evaluate_record, frame_record
from actors.roles import Answers, SampleError, ScorePass, ScoreRequest, ScoreTask
from benchmarks.checkpoints import qwen3_vl as tiny

STAGE_2 = [((24, 20), 23), ((24, 22), 21), ((24, 23), 18), ((25, 23), 23)]
"""Marks of the four passes: (prompt following, consistency) and perceptual quality."""
STAGE_5 = [((25, 20), 23), ((25, 23), 17), ((25, 23), 23), ((25, 24), 22)]


class WritingChat:
    """A chat model that answers by a rule, out of order, and keeps what it was asked."""

    def __init__(self, write: Callable[[ChatRequest], str], *, refuse: str = "") -> None:
        self.calls: list[list[ChatRequest]] = []
        self._write = write
        self._refuse = refuse

    def chat(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer]:
        self.calls.append(list(requests))
        answers = [
            ChatAnswer(r.key, "", error="content filter")
            if self._refuse and self._refuse in r.text
            else ChatAnswer(r.key, self._write(r))
            for r in requests
        ]
        random.Random(5).shuffle(answers)
        return answers


def request(key: str, *, task: ScoreTask = "background_replacement", seed: int = 42) -> ScoreRequest:
    number = sum(key.encode())
    source, edited = (np.full((8, 8, 3), (number + n) % 256, np.uint8) for n in range(2))
    return ScoreRequest(key, source, edited, f"Place {key} on a beach.", task, seed)


def answer(marks: Sequence[int], reasoning: str = "fine") -> str:
    return f'```json\n{{\n"reasoning" : "{reasoning}",\n"score" : {list(marks)}\n}}\n```'


def published(passes: Sequence[tuple[tuple[int, int], int]]) -> Callable[[ChatRequest], str]:
    """What the model said for the published record, by the seed of the pass: 42, 43, 44, 45."""

    def write(asked: ChatRequest) -> str:
        semantic, perceptual = passes[asked.seed - 42]
        if "Editing instruction" in asked.text:
            return answer(semantic, f"semantic {asked.seed}")
        return answer([25, perceptual], f"perceptual {asked.seed}")

    return write


def passes_of(answers: Answers[list[ScorePass]], key: str) -> list[ScorePass]:
    found = answers[key]
    assert not isinstance(found, SampleError)
    return found


# ---------------------------------------------------------------- the published records


def test_the_published_stage_2_record_comes_out_of_the_models_words() -> None:
    answers = ChatScorer(WritingChat(published(STAGE_2))).score([request("a")])
    record = evaluate_record(passes_of(answers, "a"))
    assert record["overall"] == pytest.approx(8.62887857991077, abs=1e-12)
    found = (record["prompt_following"], record["consistency"], record["perceptual_quality"])
    assert found == (9.7, 8.8, 8.5)
    assert (record["SC_reasoning"], record["PQ_reasoning"]) == ("semantic 42", "perceptual 42")
    assert list(record) == [
        "prompt_following", "consistency", "perceptual_quality", "overall", "SC_reasoning", "PQ_reasoning",
    ]  # fmt: skip


def test_the_published_stage_5_record_comes_out_of_the_models_words() -> None:
    answers = ChatScorer(WritingChat(published(STAGE_5))).score([request("a", task="video_frame")])
    record = frame_record(passes_of(answers, "a"))
    assert record["O_score"] == pytest.approx(8.719958110896453, abs=1e-12)
    assert (record["SC_score"], record["PQ_score"]) == (9.0, 8.5)
    assert json.loads(record["SC_raw_output"].strip("`json\n"))["score"] == [25, 20]
    assert list(record) == [
        "SC_score", "PQ_score", "O_score", "SC_score_reasoning", "PQ_score_reasoning",
        "SC_raw_output", "PQ_raw_output",
    ]  # fmt: skip


# ---------------------------------------------------------------- what is asked


def test_all_passes_of_all_requests_are_asked_in_one_call_as_the_package_asks_them() -> None:
    chat = WritingChat(lambda _: answer([20, 20]))
    ChatScorer(chat).score([request("a"), request("b", seed=7)])
    (asked,) = chat.calls
    assert len(asked) == 2 * 4 * 2
    assert sorted({r.seed for r in asked}) == [7, 8, 9, 10, 42, 43, 44, 45]
    sampling = {(r.temperature, r.top_p, r.top_k, r.max_new_tokens, r.system) for r in asked}
    assert sampling == {(0.7, 0.9, 20, 512, "")}
    semantic = next(r.text for r in asked if "Editing instruction" in r.text)
    perceptual = next(r.text for r in asked if "Editing instruction" not in r.text)
    assert semantic.endswith("Editing instruction: Place a on a beach.\n")
    assert "From scale 0 to 25" in semantic
    assert "From scale 0 to 25" in perceptual
    assert "10" not in semantic + perceptual
    for text in (semantic, perceptual):
        assert text.index('"reasoning"') < text.index('"score"')


@pytest.mark.parametrize(
    ("task", "shown"), [("background_replacement", 1), ("foreground_removal", 1), ("video_frame", 2)]
)
def test_the_perceptual_question_sees_the_source_on_video_frames_only(task: ScoreTask, shown: int) -> None:
    chat = WritingChat(lambda _: answer([20, 20]))
    asked_about = request("a", task=task)
    ChatScorer(chat, num_pass=1).score([asked_about])
    semantic, perceptual = sorted(chat.calls[0], key=lambda r: "Editing instruction" not in r.text)
    assert [image is frame for image, frame in zip(semantic.images, both(asked_about), strict=True)] == [
        True,
        True,
    ]
    assert len(perceptual.images) == shown
    assert perceptual.images[-1] is asked_about.edited


def both(asked: ScoreRequest) -> tuple[object, object]:
    return asked.source, asked.edited


# ---------------------------------------------------------------- no answer reaches another sample


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.text("ab#|/0", min_size=1, max_size=4).filter(lambda key: "#" not in key), unique=True, max_size=6
    ),
    st.integers(1, 4),
)
def test_every_mark_reaches_the_request_the_pass_and_the_question_it_was_given_for(
    keys: list[str], num_pass: int
) -> None:
    requests = [request(key, seed=1000 * place) for place, key in enumerate(keys)]

    def write(asked: ChatRequest) -> str:
        semantic = "Editing instruction" in asked.text
        return answer(
            [asked.seed // 1000, asked.seed % 1000 * 2 + semantic], str(int(asked.images[-1][0, 0, 0]))
        )

    answers = ChatScorer(WritingChat(write), num_pass=num_pass).score(requests)
    assert list(answers) == keys
    for place, asked in enumerate(requests):
        passes = passes_of(answers, asked.key)
        assert [p.semantic for p in passes] == [(place, 2 * n + 1) for n in range(num_pass)]
        assert [p.perceptual for p in passes] == [(place, 2 * n) for n in range(num_pass)]
        pixel = str(int(asked.edited[0, 0, 0]))
        assert {p.semantic_reasoning for p in passes} | {p.perceptual_reasoning for p in passes} == {pixel}


# ---------------------------------------------------------------- what cannot be read


def test_an_unreadable_answer_is_asked_again_with_a_seed_that_no_pass_has() -> None:
    used: list[int] = []

    def write(asked: ChatRequest) -> str:
        used.append(asked.seed)
        return "I cannot judge." if asked.seed in (43, 47) else answer([20, 21])

    chat = WritingChat(write)
    answers = ChatScorer(chat, retries=2).score([request("a")])
    assert len(passes_of(answers, "a")) == 4
    assert [sorted(r.seed for r in call) for call in chat.calls] == [
        [42, 42, 43, 43, 44, 44, 45, 45],
        [47, 47],
        [51, 51],
    ]


def test_a_question_that_is_never_answered_fails_its_sample_and_no_other() -> None:
    chat = WritingChat(lambda r: "No." if "Place a" in r.text else answer([20, 21]))
    answers = ChatScorer(chat, retries=1).score([request("a"), request("b")])
    assert isinstance(answers["a"], SampleError)
    assert "2 integers 0..25 in 2 tries" in str(answers["a"])
    assert "'No.'" in str(answers["a"])
    assert len(passes_of(answers, "b")) == 4


def test_a_refusal_fails_its_sample_without_another_try() -> None:
    chat = WritingChat(lambda _: answer([20, 21]), refuse="Place a")
    answers = ChatScorer(chat).score([request("a"), request("b")])
    assert "content filter" in str(answers["a"])
    assert len(passes_of(answers, "b")) == 4
    assert len(chat.calls) == 1


def test_a_key_that_stands_for_two_requests_is_refused() -> None:
    with pytest.raises(ValueError, match="share a key"):
        ChatScorer(WritingChat(lambda _: answer([1, 1]))).score([request("a"), request("a")])


TWO = (20, 23)


@pytest.mark.parametrize(
    "text",
    [
        '{"reasoning": "good", "score": [20, 23]}',
        '```json\n{"reasoning": "good", "score": [20, 23]}\n```',
        "Here it is: {'reasoning': 'good', 'score': [20, 23]}. Done.",
        '{"reasoning": "good", "score": [20.0, "23"]}',
        '{"Reasoning": "good", "Score": (20, 23)}',
        '{"reasoning": "good",\n"score": [20, 23]',
        'reasoning": "good", "score": [20, 23]}',
        '{"reasoning": "good", "score": [20, 23]}\n{"reasoning": "good", "score": [20, 23]}',
    ],
)
def test_marks_are_read_however_they_are_wrapped(text: str) -> None:
    judgement = read_judgement(text, (2,))
    assert judgement is not None
    assert (judgement.marks, judgement.reasoning, judgement.raw) == (TWO, "good", text)


@pytest.mark.parametrize(
    ("text", "reasoning"),
    [
        ('{"reasoning": "a sign "OPEN" is lost", "score": [20, 23]}', 'a sign "OPEN" is lost'),
        ('{"reasoning": "two\nlines", "score": [20, 23]}', "two\nlines"),
        ('{"reasoning": "It\'s 10 of {25}", "score": [20, 23]}', "It's 10 of {25}"),
        ("[20, 23]", ""),
    ],
)
def test_reasoning_may_hold_what_json_forbids_or_be_missing(text: str, reasoning: str) -> None:
    judgement = read_judgement(text, (2,))
    assert judgement is not None
    assert (judgement.marks, judgement.reasoning) == (TWO, reasoning)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I'm sorry, but I can't assist with that request.",
        '{"reasoning": "good", "score": [20, 26]}',
        '{"reasoning": "good", "score": [-1, 20]}',
        '{"reasoning": "good", "score": [20, 22.5]}',
        '{"reasoning": "good", "score": [20]}',
        '{"reasoning": "good", "score": [20, 23, 25]}',
        '{"reasoning": "good", "score": [true, 20]}',
        '{"reasoning": "good", "score": [20, NaN]}',
        '{"reasoning": "good", "score": "high"}',
        '{"reasoning": "good", "score": [20, 2',
        '{"reasoning": "20 trees and 23 people are',
        '{"score": [20, 23]} or rather {"score": [10, 23]}',
        '{"reasoning": "good", "score": [20, 23], "Score": [10, 23]}',
        "{'reasoning': 'good', 'score': [20, 23], 'score': [10, 23]}",
        '{"reasoning": "perfect would be "score": [25, 25], but the light is',
        '{"reasoning": "good", "score": ["' + "1" * 5000 + '", "20"]}',
        "{" * 100_000,
        '{"reasoning" : "...", "score" : [...]}',
        "[" * 5000,
    ],
)
def test_what_is_no_judgement_gives_no_marks(text: str) -> None:
    assert read_judgement(text, (2,)) is None


def test_a_single_perceptual_mark_is_read_and_a_cut_one_is_not() -> None:
    whole = read_judgement('"reasoning": "x", "score": 21}', (1, 2))
    assert whole is not None
    assert whole.marks == (21,)
    assert read_judgement('{"reasoning": "x", "score": 2', (1, 2)) is None
    assert read_judgement('{"reasoning": "a fair score: 20, since the light', (1, 2)) is None


def test_marks_of_an_answer_that_was_cut_off_count_with_a_brace_behind_them_only() -> None:
    text = '{"reasoning": "a sign "OPEN" is lost", "score": [20, 23]'
    for ending, complete, read in (("", True, True), ("", False, False), ("} Also,", False, True)):
        assert (read_judgement(text + ending, (2,), complete=complete) is not None) == read


def test_a_cut_answer_is_asked_again_and_gives_no_marks() -> None:
    class Cut(WritingChat):
        def chat(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer]:
            return [replace(item, complete=False) for item in super().chat(requests)]

    chat = Cut(lambda _: '"reasoning": "they say "score": [25, 25]')
    (failed,) = ChatScorer(chat, retries=1).score([request("a")]).values()
    assert isinstance(failed, SampleError)
    assert len(chat.calls) == 2


@given(st.text(max_size=200), st.lists(st.integers(-5, 30), max_size=3))
def test_marks_are_those_that_were_written_or_none(reasoning: str, marks: list[int]) -> None:
    judgement = read_judgement(json.dumps({"reasoning": reasoning, "score": marks}), (2,))
    if len(marks) == 2 and all(0 <= mark <= 25 for mark in marks):
        assert judgement is not None
        assert judgement.marks == tuple(marks)
        assert judgement.reasoning == reasoning.strip()
    else:
        assert judgement is None


# ---------------------------------------------------------------- over a real architecture


def test_a_model_with_random_weights_gives_no_scores_but_a_failed_sample(tmp_path: Path) -> None:
    base = tiny.build(tmp_path / "base")
    adapter = tiny.build_adapter(tmp_path / "adapter", base)
    scorer = EditScore(
        model=str(base), adapter=str(adapter), device="cpu", num_pass=1, retries=1, context=2200
    )
    (failed,) = scorer.score([request("a")]).values()
    assert isinstance(failed, SampleError)
    assert "in 2 tries" in str(failed)


def test_a_model_that_says_marks_gives_four_passes_through_generate_and_decoding(tmp_path: Path) -> None:
    folder = tiny.build_saying(
        tmp_path / "saying",
        answer([25, 23], "natural"),
        {"Editing instruction": answer([24, 20], "as asked")},
    )
    scorer = EditScore(model=str(folder), adapter=None, device="cpu", batch_size=3)
    answers = scorer.score([request("a", task="video_frame"), request("b")])
    for key in "ab":
        passes = passes_of(answers, key)
        assert [(p.semantic, p.perceptual) for p in passes] == [((24, 20), (25, 23))] * 4
        assert {p.semantic_reasoning for p in passes} == {"as asked"}


def test_the_agreeable_checkpoint_answers_both_questions(tmp_path: Path) -> None:
    folder = tiny.build_agreeable(tmp_path / "agreeable")
    scorer = EditScore(model=str(folder), adapter=None, device="cpu", num_pass=1, retries=0)
    (only,) = passes_of(scorer.score([request("a")]), "a")
    assert (only.semantic, only.perceptual) == ((24, 25), (24, 25))


def test_missing_weights_of_the_judge_are_named_with_the_command_that_fetches_them() -> None:
    with pytest.raises(CheckpointError, match="hf download Qwen/Qwen3-VL-8B-Instruct"):
        EditScore()
