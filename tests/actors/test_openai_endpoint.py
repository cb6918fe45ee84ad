"""Chat over HTTP, against a server in this process: order, retries, refusals, faults, and what is sent."""

from __future__ import annotations

import base64
import json
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.backends.chat import ChatAnswer, ChatRequest
from actors.backends.checkpoints import CheckpointError
from actors.backends.messages import MediaForm, messages_of
from actors.backends.openai_endpoint import EndpointError, OpenAIChat, OpenAILanguageModel
from actors.ops.video import VideoClip
from actors.roles import GroundedObject, InstructionRequest, LocatingRequest, SampleError, SceneRequest
from tests.actors.chat_server import Body, ChatServer, Reply, parts_of, picture_at, serving
from tests.actors.clips import counted_frames, frame_number

FRAMES = tuple(counted_frames(8, (160, 90)))
KEY = "sk-secret-1234"


def asked(key: str, **options: Any) -> ChatRequest:
    return ChatRequest(key=key, text=key, seed=5, **options)


def text_of(body: Body) -> str:
    return str(parts_of(body, "text")[-1])


def echo(body: Body) -> Reply:
    return Reply(text_of(body).upper())


def answers_of(say: Callable[[Body], Reply], *requests: ChatRequest, **options: Any) -> list[ChatAnswer]:
    with serving(ChatServer(say)) as server:
        return OpenAIChat(model="tiny", base_url=server.url, **options).chat(requests)


def test_answers_that_come_in_another_order_keep_their_keys() -> None:
    names = [f"s{index}" for index in range(12)]

    def late_first(body: Body) -> Reply:
        return Reply(text_of(body).upper(), delay_s=0.12 - int(text_of(body)[1:]) / 100)

    answers = answers_of(late_first, *(asked(name) for name in names), max_concurrency=6)
    assert {answer.key: answer.text for answer in answers} == {name: name.upper() for name in names}


def test_no_more_requests_are_under_way_than_allowed() -> None:
    with serving(ChatServer(lambda body: Reply("ok", delay_s=0.03))) as server:
        chat = OpenAIChat(model="tiny", base_url=server.url, max_concurrency=3)
        assert len(chat.chat([asked(str(index)) for index in range(9)])) == 9
        assert 1 < server.at_once <= 3


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_fails_for_a_moment_is_asked_again(status: int) -> None:
    lock, seen = threading.Lock(), dict.fromkeys("ab", 0)

    def second_time(body: Body) -> Reply:
        with lock:
            seen[text_of(body)] += 1
            first = seen[text_of(body)] == 1
        return Reply(status=status, error={"message": "busy"}) if first else echo(body)

    answers = answers_of(second_time, asked("a"), asked("b"))
    assert sorted((answer.key, answer.text) for answer in answers) == [("a", "A"), ("b", "B")]
    assert seen == {"a": 2, "b": 2}


def test_a_server_that_keeps_failing_is_a_crash_that_says_so_and_travels() -> None:
    with pytest.raises(EndpointError, match=r"failed 2 times: .*busy") as caught:
        answers_of(lambda body: Reply(status=503, error={"message": "busy"}), asked("a"), max_retries=1)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_after_a_fault_the_rest_is_not_sent() -> None:
    with serving(ChatServer(lambda body: Reply(status=404, error={"message": "no such model"}))) as server:
        chat = OpenAIChat(model="tiny", base_url=server.url, max_concurrency=1)
        with pytest.raises(CheckpointError):
            chat.chat([asked(str(index)) for index in range(20)])
    assert len(server.bodies) < 5


def test_a_request_that_takes_too_long_is_a_crash() -> None:
    with pytest.raises(EndpointError, match="timed out"):
        answers_of(lambda body: Reply("late", delay_s=0.5), asked("a"), max_retries=0, timeout_s=0.1)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(status=400, error={"message": "violates the policy", "code": "content_filter"}), "policy"),
        (Reply(status=400, error={"message": "maximum context length is 4096 tokens"}), "4096"),
        (Reply(status=413, error={"message": "too large"}), "too large"),
        (Reply(None, refusal="I cannot look at this."), "cannot look"),
        (Reply("A wom", finish_reason="content_filter"), "content filter"),
        (Reply(choices=0), "no choice"),
    ],
)
def test_a_refusal_is_the_requests_own_error(reply: Reply, why: str) -> None:
    answers = answers_of(
        lambda body: reply if text_of(body) == "bad" else echo(body), asked("bad"), asked("good")
    )
    bad, good = sorted(answers, key=lambda answer: answer.key)
    assert why in bad.error
    assert bad.text == ""
    assert good == ChatAnswer("good", "GOOD")


def test_an_answer_that_was_cut_off_says_so() -> None:
    (answer,) = answers_of(lambda body: Reply("half", finish_reason="length"), asked("a"))
    assert answer == ChatAnswer("a", "half", complete=False)
    (answer,) = answers_of(lambda body: Reply(None, finish_reason="length"), asked("a"))
    assert answer == ChatAnswer("a", "", complete=False)


def test_options_that_the_server_does_not_take_are_a_fault_of_the_setup() -> None:
    reply = Reply(status=400, error={"message": "top_k?", "code": "unknown_parameter"})
    with pytest.raises(CheckpointError, match="does not take these options"):
        answers_of(lambda body: reply, asked("a"))


def test_a_model_that_is_gone_while_working_is_a_fault_of_the_setup() -> None:
    reply = Reply(status=404, error={"message": "no such model"})
    with pytest.raises(CheckpointError, match="does not know 'tiny'"):
        answers_of(lambda body: reply, asked("a"))


def test_a_wrong_model_is_said_before_work() -> None:
    with serving(ChatServer(echo, models=("Qwen3-VL", "models/gemini"))) as server:
        with pytest.raises(CheckpointError, match="no model 'tiny'; it has Qwen3-VL, models/gemini"):
            OpenAIChat(model="tiny", base_url=server.url)
        OpenAIChat(model="gemini", base_url=server.url)
        OpenAIChat(model="tiny", base_url=server.url, check=False)


def test_an_endpoint_without_a_list_of_models_is_taken_at_its_word() -> None:
    with serving(ChatServer(echo, models=None)) as server:
        (answer,) = OpenAIChat(model="any", base_url=server.url).chat([asked("a")])
    assert answer.text == "A"


def test_a_server_of_another_kind_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ChatServer(echo)) as server:
        monkeypatch.setattr(server, "answer", lambda method, path, headers, body: (200, "a web page"))
        with pytest.raises(CheckpointError, match="not with a list of models"):
            OpenAIChat(model="tiny", base_url=server.url)
        with pytest.raises(EndpointError, match="not with a chat completion"):
            OpenAIChat(model="tiny", base_url=server.url, check=False).chat([asked("a")])


def test_no_server_is_said_before_work() -> None:
    with serving(ChatServer(echo)) as server:
        gone = server.url
    with pytest.raises(CheckpointError, match=r"no endpoint answers at .*vllm serve tiny"):
        OpenAIChat(model="tiny", base_url=gone, max_retries=0)


def test_the_key_comes_from_the_named_variable_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ChatServer(echo, key=KEY)) as server:
        with pytest.raises(CheckpointError, match="the environment variable SPARKLE_TEST_KEY is empty"):
            OpenAIChat(model="tiny", base_url=server.url, api_key_env="SPARKLE_TEST_KEY")
        monkeypatch.setenv("SPARKLE_TEST_KEY", KEY)
        (answer,) = OpenAIChat(model="tiny", base_url=server.url, api_key_env="SPARKLE_TEST_KEY").chat(
            [asked("a")]
        )
        assert answer.text == "A"
        server.key = "another"
        with pytest.raises(CheckpointError, match="refuses the key") as caught:
            OpenAIChat(model="tiny", base_url=server.url, api_key_env="SPARKLE_TEST_KEY")
        assert KEY not in str(caught.value)
        assert "***" in str(caught.value)
        with pytest.raises(CheckpointError, match="set api_key_env"):
            OpenAIChat(model="tiny", base_url=server.url)


def test_what_is_sent() -> None:
    request = ChatRequest(
        key="a",
        text="What is this?",
        seed=2**62 + 7,
        images=FRAMES[:2],
        system="Be brief.",
        max_new_tokens=33,
        temperature=0.7,
        top_p=0.8,
        top_k=20,
    )
    with serving(ChatServer(echo)) as server:
        OpenAIChat(model="tiny", base_url=server.url, extra_body={"chat_template_kwargs": {"a": 1}}).chat(
            [request]
        )
        OpenAIChat(model="tiny", base_url=server.url, send_top_k=False, image_format="jpeg").chat([request])
    body, without = server.bodies
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert [part["type"] for part in body["messages"][1]["content"]] == ["image_url", "image_url", "text"]
    for url, frame in zip(parts_of(body, "image_url"), FRAMES, strict=False):
        assert url.startswith("data:image/png;base64,")
        assert np.array_equal(picture_at(url), frame)
    sent = {name: value for name, value in body.items() if name != "messages"}
    assert sent == {
        "model": "tiny",
        "seed": 7,
        "max_completion_tokens": 33,
        "temperature": 0.7,
        "top_p": 0.8,
        "top_k": 20,
        "chat_template_kwargs": {"a": 1},
    }
    assert "top_k" not in without
    assert parts_of(without, "image_url")[0].startswith("data:image/jpeg;base64,")


VIDEO = ChatRequest(key="v", text="Does it move?", seed=0, video=FRAMES, video_fps=4.0)


def test_a_video_goes_out_as_pictures_behind_their_times() -> None:
    with serving(ChatServer(echo)) as server:
        OpenAIChat(model="tiny", base_url=server.url).chat([VIDEO])
    (body,) = server.bodies
    times = [f"<{time} seconds>" for time in ("0.0", "0.2", "0.5", "0.8", "1.0", "1.2", "1.5", "1.8")]
    assert parts_of(body, "text") == [*times, "Does it move?"]
    assert [frame_number(picture_at(url)) for url in parts_of(body, "image_url")] == list(range(8))
    assert "media_io_kwargs" not in body


def test_a_video_goes_out_as_vllms_sequence_of_frames_with_its_rate() -> None:
    with serving(ChatServer(echo)) as server:
        OpenAIChat(model="tiny", base_url=server.url, video_as="frames").chat([VIDEO])
    (body,) = server.bodies
    (url,) = parts_of(body, "video_url")
    kind, _, data = url.partition(";base64,")
    assert kind == "data:video/jpeg"
    assert [frame_number(picture_at(f";base64,{frame}")) for frame in data.split(",")] == list(range(8))
    assert body["media_io_kwargs"] == {"video": {"num_frames": -1, "fps": 4.0, "do_sample_frames": False}}


def test_a_video_goes_out_as_an_mp4(tmp_path: Path) -> None:
    odd = ChatRequest(key="v", text="?", seed=0, video=tuple(f[:89, :159] for f in FRAMES), video_fps=4.0)
    with serving(ChatServer(echo)) as server:
        OpenAIChat(model="tiny", base_url=server.url, video_as="mp4").chat([odd])
    (url,) = parts_of(server.bodies[0], "video_url")
    path = tmp_path / "sent.mp4"
    path.write_bytes(base64.b64decode(url.removeprefix("data:video/mp4;base64,")))
    clip = VideoClip(path)
    assert (clip.num_frames, clip.fps, clip.width, clip.height) == (8, 4.0, 158, 88)


def test_a_request_with_images_and_a_video_is_a_bug() -> None:
    both = ChatRequest(key="a", text="?", seed=0, images=FRAMES[:1], video=FRAMES)
    with pytest.raises(ValueError, match="images or a video"):
        messages_of(both, MediaForm())


@pytest.mark.parametrize(
    "option", [{"image_format": "webp"}, {"jpeg_quality": 0}, {"video_as": "gif"}, {"max_concurrency": 0}]
)
def test_options_out_of_range_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(option)))):
        OpenAIChat(model="tiny", check=False, **option)


def test_the_language_model_over_an_endpoint_with_its_flat_options() -> None:
    """Out of order, once unreadable, once refused: each sample gets its own."""
    unreadable = threading.Event()

    def say(body: Body) -> Reply:
        number = frame_number(picture_at(parts_of(body, "image_url")[0]))
        if number == 2 and not unreadable.is_set():
            unreadable.set()
            return Reply("Hm.")
        if number == 3:
            return Reply(status=400, error={"message": "unsafe picture"})
        if text_of(body).startswith("Locate"):
            return Reply(
                json.dumps([{"bbox_2d": [number, 0, 500, 500], "label": "hat"}]), delay_s=0.01 * (8 - number)
            )
        return Reply(f"A grey wall with the number {number} on it.", delay_s=0.02 * (4 - number))

    with serving(ChatServer(say)) as server:
        model = OpenAILanguageModel(model="tiny", base_url=server.url, retries=1, image_format="jpeg")
        scenes = model.describe_scene([SceneRequest(f"s{n}", FRAMES[n]) for n in range(5)])
        located = model.locate([LocatingRequest("a", (FRAMES[0], FRAMES[6], FRAMES[5]), ("hat", "shoe"))])
    refused = scenes.pop("s3")
    assert isinstance(refused, SampleError)
    assert "unsafe picture" in str(refused)
    assert scenes == {f"s{n}": f"A grey wall with the number {n} on it." for n in (0, 1, 2, 4)}
    assert located == {
        "a": [[GroundedObject("hat", (n, 0, 500, 500)), GroundedObject("shoe")] for n in (0, 6, 5)]
    }


def test_a_writer_that_only_thinks_fails_its_sample() -> None:
    with serving(ChatServer(lambda body: Reply("<think>hm", finish_reason="length"))) as server:
        model = OpenAILanguageModel(model="tiny", base_url=server.url, retries=1)
        written = model.write_instruction(
            [InstructionRequest("a", "A kitchen.", "time", "dusk: blue hour", 3)]
        )
    assert "2 tries" in str(written["a"])
    assert [body["seed"] for body in server.bodies] == [3, 4]
