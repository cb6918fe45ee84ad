"""One contract a role, over every backend of the table: what an actor may rely on, whatever the model.

What a reader gets wrong: this is not about quality. Toy checkpoints make noise; the contract is about shapes,
types, identity and repeatability. The `openai` backends talk to a server in this process.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.backends import BACKENDS, backend_spec, load_backend
from actors.ops.boxes import to_absolute
from actors.ops.editscore import overall
from actors.ops.made_clips import MADE_CLIPS, made_frames, made_masks
from actors.ops.masks import pack_video
from actors.ops.video import VideoClip, encode_video
from actors.roles import (
    Anchor,
    ControlRequest,
    EraseRequest,
    Frame,
    GroundedObject,
    SampleError,
    ScoreRequest,
)
from benchmarks.checkpoints.qwen3_vl import AGREEABLE
from benchmarks.checkpoints.tiny import TINY
from tests.actors.chat_server import Body, ChatServer, Reply, serving
from tests.actors.language_contract import PROMPT, answers_each_key, picture

ELSEWHERE = {("VisionLanguageModel", "vllm")}
"""vLLM is installed in an environment of its own; test_vllm_engine.py holds it to `answers_each_key`."""
SIZE = (180, 320)
FRAMES = 9
BOX = (250, 100, 750, 1000)


def names(role: str) -> list[str]:
    return [name for kind, name in BACKENDS if kind == role and (kind, name) not in ELSEWHERE]


@cache
def clip_folder(made: Path) -> Path:
    """The made portrait, small and short, with another background behind the same masks."""
    import cv2

    height, width = SIZE
    frames = []
    for index, frame in enumerate(made_frames(MADE_CLIPS[0])):
        if index == FRAMES:
            break
        frames.append(np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8))
    encode_video(frames, made / "source.mp4", fps=16)
    encode_video(
        [np.roll(frame[:, ::-1], index, 1) for index, frame in enumerate(frames)], made / "other.mp4"
    )
    return made


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> VideoClip:
    return VideoClip(clip_folder(tmp_path_factory.mktemp("contract")) / "source.mp4")


@pytest.fixture(scope="module")
def other(clip: VideoClip) -> VideoClip:
    return VideoClip(clip.path.parent / "other.mp4")


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with serving(ChatServer(say=agreeable)) as running:
        yield running


def agreeable(body: Body) -> Reply:
    """What the toy Qwen3-VL would say to the same words."""
    text = json.dumps(body["messages"])
    return Reply(next(answer for words, answer in AGREEABLE.items() if json.dumps(words)[1:-1] in text))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, server: ChatServer) -> dict[tuple[str, str], Any]:
    """Every backend once, as a worker loads it."""
    folder = tmp_path_factory.mktemp("checkpoints")
    models: dict[tuple[str, str], Any] = {}

    class Models(dict[tuple[str, str], Any]):
        def __missing__(self, key: tuple[str, str]) -> Any:
            role, name = key
            options: dict[str, Any] = {}
            if key in TINY:
                options = TINY[key](folder / f"{role}_{name}")
            elif "openai" in name:
                options = {"model": "tiny", "base_url": server.url}
            self[key] = load_backend(backend_spec(role, name), options)
            return self[key]

    models = Models()
    return models


def test_every_backend_of_the_table_stands_under_a_contract() -> None:
    embedded_or_served = {key for key in BACKENDS if "embedded" in key[1] or "openai" in key[1]}
    assert set(BACKENDS) == set(TINY) | embedded_or_served | ELSEWHERE


@pytest.mark.parametrize("name", names("FlowEstimator"))
def test_flow_is_a_field_with_its_trust(built: dict[Any, Any], clip: VideoClip, name: str) -> None:
    model = built["FlowEstimator", name]
    field, again = (model.estimate(picture(clip), picture(clip, 8)) for _ in range(2))
    assert field.displacement.dtype == np.float32
    assert field.displacement.shape == (*field.reliable.shape, 2)
    assert field.reliable.dtype == np.bool_
    assert (field.displacement == again.displacement).all()
    assert (field.reliable == again.reliable).all()


@pytest.mark.parametrize("name", names("VisionLanguageModel"))
def test_a_language_model_answers_each_key(built: dict[Any, Any], clip: VideoClip, name: str) -> None:
    answers_each_key(built["VisionLanguageModel", name], clip)


@pytest.mark.parametrize("name", names("ImageEditor"))
def test_an_editor_keeps_the_shape_and_repeats(built: dict[Any, Any], clip: VideoClip, name: str) -> None:
    model = built["ImageEditor", name]
    edited = model.edit(picture(clip), PROMPT, seed=3)
    objects = (GroundedObject("person in the middle", BOX),)
    erased = model.erase(EraseRequest(edited, objects, "Remove the person.", 4, PROMPT, 3))
    for image in (edited, erased):
        assert image.shape == (*SIZE, 3)
        assert image.dtype == np.uint8
    assert (model.edit(picture(clip), PROMPT, seed=3) == edited).all()
    assert (edited != picture(clip)).any()


@pytest.mark.parametrize("name", names("ImageToVideo"))
def test_an_animator_makes_as_many_frames_as_asked(built: dict[Any, Any], clip: VideoClip, name: str) -> None:
    model = built["ImageToVideo", name]
    image = picture(clip)

    def video(seed: int) -> list[Frame]:
        return list(model.animate(image, PROMPT, num_frames=FRAMES, fps=16, seed=seed, edit_seed=3))

    first = video(5)
    assert [frame.shape for frame in first] == [image.shape] * FRAMES
    assert all((one == two).all() for one, two in zip(first, video(5), strict=True))


@pytest.mark.parametrize("name", names("VideoTracker"))
def test_a_tracker_speaks_once_for_a_frame(built: dict[Any, Any], clip: VideoClip, name: str) -> None:
    model = built["VideoTracker", name]
    box = to_absolute(BOX, clip.width, clip.height)
    anchors = [Anchor(0, {"person": box}), Anchor(8, {"person": box})]
    words = list(model.track(clip, anchors))
    places = [(word.anchor_index, word.frame_index) for word in words]
    assert len(set(places)) == len(places)
    assert {(0, 0), (1, 8)} <= set(places), "a pass speaks at least for its own anchor frame"
    for word in words:
        assert 0 <= word.frame_index < FRAMES
        assert word.mask.shape == SIZE
        assert word.mask.dtype == np.bool_
    refined = list(model.refine(clip, (np.zeros(SIZE, np.bool_) for _ in range(FRAMES))))
    assert [mask.shape for mask in refined] == [SIZE] * FRAMES
    assert list(model.track(clip, [])) == []


@pytest.mark.parametrize("name", names("ControlToVideo"))
def test_a_generator_makes_the_sources_frames(
    built: dict[Any, Any], clip: VideoClip, other: VideoClip, name: str
) -> None:
    model = built["ControlToVideo", name]
    whole = itertools.islice(made_masks(MADE_CLIPS[0].name), FRAMES)
    shrunk = [mask[::4, ::4] for mask in whole]
    asked = ControlRequest(picture(clip), other, PROMPT, 7, FRAMES, clip, other, pack_video(iter(shrunk)))
    first, again = (list(model.synthesize(asked)) for _ in range(2))
    assert [frame.shape for frame in first] == [(*SIZE, 3)] * FRAMES
    assert all((one == two).all() for one, two in zip(first, again, strict=True))
    assert len(list(model.synthesize(replace(asked, num_frames=5)))) == 5


@pytest.mark.parametrize("name", names("EditScorer"))
def test_a_scorer_gives_whole_marks_by_key(
    built: dict[Any, Any], clip: VideoClip, other: VideoClip, name: str
) -> None:
    model = built["EditScorer", name]
    asked = [
        ScoreRequest("s2", picture(clip), picture(other), PROMPT, "background_replacement", 3),
        ScoreRequest(
            "s3",
            picture(clip),
            picture(other),
            "Remove the person.",
            "foreground_removal",
            3,
            (GroundedObject("person in the middle", BOX),),
        ),
        ScoreRequest("s5#8", picture(clip, 8), picture(other, 8), PROMPT, "video_frame", 3),
    ]
    answers = model.score(asked)
    assert set(answers) == {"s2", "s3", "s5#8"}
    for passes in answers.values():
        assert not isinstance(passes, SampleError), passes
        assert len(passes) == (1 if name == "embedded" else 4)
        assert 0.0 <= overall(passes) <= 10.0
        assert all(item.semantic_raw and item.perceptual_raw for item in passes)
    assert model.score(asked[:1])["s2"] == answers["s2"]
