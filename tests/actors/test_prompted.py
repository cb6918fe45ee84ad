"""The prompted language model over chat models that answer late, in any order, in parts and badly."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import prompts
from actors.backends.chat import ChatAnswer, ChatRequest
from actors.backends.prompted import PromptedLanguageModel, split_options
from actors.ops.video import VideoClip, encode_video
from actors.roles import (
    CameraRequest,
    CameraVerdict,
    Frame,
    GroundedObject,
    GroundingRequest,
    InstructionRequest,
    LocatingRequest,
    SampleError,
    SceneRequest,
    VisionLanguageModel,
)
from tests.actors.clips import counted_frames, frame_number


@dataclass
class Chat:
    """Answers each request by `say`, in an order of `rng`'s choosing; keeps the calls."""

    say: Callable[[ChatRequest], str | ChatAnswer]
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    calls: list[list[ChatRequest]] = field(default_factory=list)

    def chat(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer]:
        self.calls.append(list(requests))
        answers = [self._answer(request) for part in self._parts(requests) for request in part]
        self.rng.shuffle(answers)
        return answers

    def _parts(self, requests: Sequence[ChatRequest]) -> list[Sequence[ChatRequest]]:
        """Batches of uneven size, the later ones first."""
        parts: list[Sequence[ChatRequest]] = []
        while requests:
            size = self.rng.randint(1, len(requests))
            parts.insert(0, requests[:size])
            requests = requests[size:]
        return parts

    def _answer(self, request: ChatRequest) -> ChatAnswer:
        said = self.say(request)
        return ChatAnswer(request.key, said) if isinstance(said, str) else said


def picture(number: int) -> Frame:
    """A small frame that holds a number, 0..999, in its pixels."""
    frame = np.zeros((6, 8, 3), np.uint8)
    frame[...] = (number // 100, number // 10 % 10, number % 10)
    return frame


def number_in(frame: Frame) -> int:
    hundreds, tens, ones = (int(value) for value in frame[0, 0])
    return hundreds * 100 + tens * 10 + ones


def box_of(number: int) -> tuple[int, int, int, int]:
    return (number, 0, 1000, 1000)


def instruction(word: str) -> str:
    return (
        f"Set the scene to {word}, where tall grasses sway in the evening wind and lanterns flicker. "
        + "x" * 90
    )


def shown(request: ChatRequest) -> int:
    return number_in(request.images[0])


def from_its_content(request: ChatRequest) -> str:
    """A right answer, found in the request's own pictures and text."""
    if request.text == prompts.scene_text():
        return f"A place with number {shown(request)} on it."
    if request.text.startswith("The first picture"):
        assert number_in(request.images[1]) == (shown(request) + 500) % 1000
        entry = {"bbox_2d": list(box_of(shown(request))), "label": f"thing number {shown(request)}"}
        return f"```json\n{json.dumps([entry])}\n```"
    if request.text.startswith("Locate"):
        asked = request.text.split("'")[1].split(", ")
        return json.dumps([{"bbox_2d": list(box_of(shown(request))), "label": label} for label in asked])
    kind = request.text.partition("(kind: ")[2].partition(")")[0]
    return instruction(kind)


keys = st.lists(
    st.text("ab#01_", min_size=1, max_size=4), min_size=1, max_size=8, unique=True
)  # with '#', which parts sample and frame


@settings(max_examples=60)
@given(keys, st.randoms(use_true_random=False), st.floats(0, 1))
def test_no_answer_reaches_another_sample(names: list[str], rng: random.Random, unreadable: float) -> None:
    numbers = {name: rng.randrange(1000) for name in names}
    spoiled: dict[str, int] = {}

    def say(request: ChatRequest) -> str:
        """Now and then nothing readable, at most three times a key."""
        if spoiled.get(request.key, 0) < 3 and rng.random() < unreadable:
            spoiled[request.key] = spoiled.get(request.key, 0) + 1
            return "I am not sure."
        return from_its_content(request)

    def model() -> PromptedLanguageModel:
        spoiled.clear()
        return PromptedLanguageModel(Chat(say, rng))

    scenes = model().describe_scene([SceneRequest(name, picture(numbers[name])) for name in names])
    assert scenes == {name: f"A place with number {numbers[name]} on it." for name in names}

    written = model().write_instruction(
        [InstructionRequest(name, "A kitchen.", "location", f"n{numbers[name]}: hill", 7) for name in names]
    )
    assert written == {name: instruction(f"n{numbers[name]}") for name in names}

    grounded = model().ground(
        [
            GroundingRequest(name, picture(numbers[name]), picture((numbers[name] + 500) % 1000), "Swap it.")
            for name in names
        ]
    )
    assert grounded == {
        name: [GroundedObject(f"thing number {number}", box_of(number))] for name, number in numbers.items()
    }

    frames = {name: [rng.randrange(1000) for _ in range(rng.randint(1, 4))] for name in names}
    located = model().locate(
        [
            LocatingRequest(name, tuple(picture(n) for n in frames[name]), (f"hat {numbers[name]}", "shoe"))
            for name in names
        ]
    )
    assert located == {
        name: [
            [GroundedObject(f"hat {numbers[name]}", box_of(n)), GroundedObject("shoe", box_of(n))]
            for n in frames[name]
        ]
        for name in names
    }


def scene_requests(*names: str) -> list[SceneRequest]:
    return [SceneRequest(name, picture(index)) for index, name in enumerate(names)]


def test_it_is_a_vision_language_model() -> None:
    model: VisionLanguageModel = PromptedLanguageModel(Chat(from_its_content))
    assert model.describe_scene([]) == {}


def test_a_call_asks_all_its_questions_at_once_and_again_only_the_unreadable_ones() -> None:
    def say(request: ChatRequest) -> str:
        return "What?" if request.key == "b" and request.seed < 2 else from_its_content(request)

    chat = Chat(say)
    answers = PromptedLanguageModel(chat).describe_scene(scene_requests("a", "b", "c"))
    assert answers == {name: f"A place with number {i} on it." for i, name in enumerate("abc")}
    assert [[request.key for request in call] for call in chat.calls] == [["a", "b", "c"], ["b"], ["b"]]
    assert [(call[-1].seed, call[-1].temperature) for call in chat.calls] == [(0, 0.0), (1, 0.7), (2, 0.7)]


def test_an_answer_that_stays_unreadable_fails_its_sample_with_what_was_said() -> None:
    chat = Chat(lambda request: "Hm, " * 150 if request.key == "a" else from_its_content(request))
    answers = PromptedLanguageModel(chat, retries=2).describe_scene(scene_requests("a", "b"))
    assert answers["b"] == "A place with number 1 on it."
    assert isinstance(answers["a"], SampleError)
    assert "3 tries" in str(answers["a"])
    assert "'Hm, Hm, " in str(answers["a"])
    assert len(str(answers["a"])) < 500
    assert [len(call) for call in chat.calls] == [2, 1, 1]


def test_a_refusal_fails_its_sample_at_once() -> None:
    def say(request: ChatRequest) -> str | ChatAnswer:
        if request.key == "a":
            return ChatAnswer("a", "", complete=False, error="content filter")
        return from_its_content(request)

    chat = Chat(say)
    answers = PromptedLanguageModel(chat).describe_scene(scene_requests("a", "b"))
    assert answers["b"] == "A place with number 1 on it."
    assert "content filter" in str(answers["a"])
    assert len(chat.calls) == 1


def test_instructions_are_sampled_from_the_requests_seed_and_the_rest_is_greedy() -> None:
    chat = Chat(
        lambda request: "?" if request.seed < 2**63 - 1 and len(chat.calls) == 1 else instruction("x")
    )
    model = PromptedLanguageModel(chat)
    model.write_instruction(
        [
            InstructionRequest("a", "A kitchen.", "time", "dusk: blue hour", 2**63 - 2),
            InstructionRequest("b", "A kitchen.", "time", "dusk: blue hour", 2**63 - 1),
        ]
    )
    first, second = chat.calls
    assert [(r.seed, r.temperature, r.top_p, r.top_k) for r in first] == [
        (2**63 - 2, 0.7, 0.8, 20),
        (2**63 - 1, 0.7, 0.8, 20),
    ]
    assert [(r.key, r.seed) for r in second] == [("a", 2**63 - 1)]
    assert not first[0].images


def test_a_label_that_is_not_found_keeps_its_place_with_an_empty_box() -> None:
    chat = Chat(lambda request: '[{"bbox_2d": [1, 2, 30, 40], "label": "shoe"}]')
    asked = LocatingRequest("a", (picture(1), picture(2)), ("hat", "shoe"))
    located = PromptedLanguageModel(chat).locate([asked])
    assert located == {"a": [[GroundedObject("hat"), GroundedObject("shoe", (1, 2, 30, 40))]] * 2}


def test_without_labels_nothing_is_asked() -> None:
    chat = Chat(from_its_content)
    model = PromptedLanguageModel(chat)
    assert model.locate([LocatingRequest("a", (picture(1), picture(2)), ())]) == {"a": [[], []]}
    assert chat.calls == []


def test_one_unreadable_anchor_frame_fails_its_sample_and_names_the_frame() -> None:
    chat = Chat(lambda request: "?" if request.key == "a#1" else "[]")
    requests = [LocatingRequest(name, (picture(1), picture(2)), ("hat",)) for name in "ab"]
    located = PromptedLanguageModel(chat).locate(requests)
    assert located["b"] == [[GroundedObject("hat")]] * 2
    assert str(located["a"]).startswith("anchor frame 1: no readable answer in 4 tries")


@pytest.mark.parametrize(
    "mixed_up",
    [
        lambda answers: answers[:-1],
        lambda answers: [*answers, answers[0]],
        lambda answers: [answers[0], answers[0]],
        lambda answers: [*answers, ChatAnswer("c", "")],
        lambda answers: [answers[0], ChatAnswer("c", "")],
    ],
)
def test_missing_doubled_and_unknown_keys_are_a_crash(
    mixed_up: Callable[[list[ChatAnswer]], list[ChatAnswer]],
) -> None:
    class MixedUp(Chat):
        def chat(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer]:
            return mixed_up(super().chat(requests))

    with pytest.raises(ValueError, match="each key must be answered once"):
        PromptedLanguageModel(MixedUp(from_its_content)).describe_scene(scene_requests("a", "b"))


def test_two_requests_with_one_key_are_a_crash() -> None:
    with pytest.raises(ValueError, match="share a key"):
        PromptedLanguageModel(Chat(from_its_content)).describe_scene(scene_requests("a", "a"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name, count in (("long", 33), ("short", 5)):
        encode_video(counted_frames(count), folder / f"{name}.mp4", fps=16)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def test_the_camera_judge_sees_frames_of_the_whole_clip_and_a_broken_one_fails_alone(clips: Path) -> None:
    def say(request: ChatRequest) -> str:
        return f"Frame {frame_number(request.video[-1])} is last.\nVERDICT: MOVING"

    chat = Chat(say)
    model = PromptedLanguageModel(chat, camera_frames=9, camera_height=90)
    answers = model.judge_camera(
        [CameraRequest(name, VideoClip(clips / f"{name}.mp4")) for name in ("long", "broken", "short")]
    )
    assert isinstance(answers["broken"], SampleError)
    assert answers["long"] == CameraVerdict(False, "Frame 32 is last.")
    assert answers["short"] == CameraVerdict(False, "Frame 4 is last.")
    (call,) = chat.calls
    by_key = {request.key: request for request in call}
    assert [frame_number(frame) for frame in by_key["long"].video] == [0, 4, 8, 12, 16, 20, 24, 28, 32]
    assert [frame_number(frame) for frame in by_key["short"].video] == [0, 1, 2, 3, 4]
    assert {frame.shape for frame in by_key["long"].video} == {(90, 160, 3)}
    assert by_key["short"].video_fps == pytest.approx(16)
    assert by_key["long"].video_fps == pytest.approx(9 / (33 / 16))
    assert "9 frames" in by_key["long"].text


def test_boxes_in_pixels_are_asked_for_and_read_as_such() -> None:
    chat = Chat(lambda request: '[{"bbox_2d": [2, 3, 8, 6], "label": "hat"}]')
    model = PromptedLanguageModel(chat, box_unit="pixels")
    assert model.locate([LocatingRequest("a", (picture(1),), ("hat",))]) == {
        "a": [[GroundedObject("hat", (250, 500, 1000, 1000))]]
    }
    assert "8 wide and 6 high" in chat.calls[0][0].text


def test_flat_options_are_parted_between_the_questions_and_the_chat_model() -> None:
    options = {"retries": 1, "model": "m", "camera_frames": 8, "box_unit": "pixels", "dtype": "float32"}
    assert split_options(options) == (
        {"retries": 1, "camera_frames": 8, "box_unit": "pixels"},
        {"model": "m", "dtype": "float32"},
    )


@pytest.mark.parametrize("option", [{"retries": -1}, {"camera_frames": 1}, {"box_unit": "percent"}])
def test_options_out_of_range_are_refused(option: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"retries|box"):
        PromptedLanguageModel(Chat(from_its_content), **option)  # type: ignore[arg-type]  # as a config may
