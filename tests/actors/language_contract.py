"""What every VisionLanguageModel must do, whatever answers its questions; `test_contracts.py` and, where vLLM
has an environment of its own, `test_vllm_engine.py` hold the backends to it.

What a reader gets wrong: this needs nothing but the light set, so that it runs in vLLM's environment too.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.backends.embedded.writer import write_instruction
from actors.ops.answers import MAX_INSTRUCTION, MIN_INSTRUCTION
from actors.ops.video import VideoClip
from actors.roles import (
    Answered,
    Answers,
    CameraRequest,
    Frame,
    GroundingRequest,
    InstructionRequest,
    LocatingRequest,
    SampleError,
    SceneRequest,
    VisionLanguageModel,
)
from schemas.taxonomy import all_scenes

SPEC = all_scenes()[0]
PROMPT = write_instruction("a room", SPEC.theme, SPEC.chosen_keyword, seed=1)


def picture(clip: VideoClip, index: int = 0) -> Frame:
    return clip.pick([index])[0]


def answers_each_key(model: VisionLanguageModel, clip: VideoClip) -> None:
    """`clip` has at least nine frames and shows a person; nobody in it flies a kite."""
    keys = ("b", "a")
    verdicts = answered(model.judge_camera([CameraRequest(key, clip) for key in keys]), keys)
    assert {type(verdict.static) for verdict in verdicts.values()} == {bool}
    scenes = answered(model.describe_scene([SceneRequest(key, picture(clip)) for key in keys]), keys)
    asked = [
        InstructionRequest(key, scenes[key], SPEC.theme, SPEC.chosen_keyword, seed)
        for seed, key in enumerate(keys)
    ]
    written = answered(model.write_instruction(asked), keys)
    grounding = [GroundingRequest(key, picture(clip), picture(clip), PROMPT) for key in keys]
    kept = answered(model.ground(grounding), keys)
    labels = ("person in the middle", "a red kite")
    locating = [LocatingRequest(key, tuple(clip.pick([0, 8])), labels) for key in keys]
    found = answered(model.locate(locating), keys)
    for key in keys:
        assert scenes[key].strip()
        assert MIN_INSTRUCTION <= len(written[key]) <= MAX_INSTRUCTION
        assert all(item.label == item.label.lower() for item in kept[key])
        assert [[item.label for item in frame] for frame in found[key]] == [list(labels)] * 2
        for item in (*kept[key], *(item for frame in found[key] for item in frame)):
            assert len(item.bbox_2d) in (0, 4)
            assert all(0 <= corner <= 1000 for corner in item.bbox_2d)
    assert found[keys[0]][0][1].bbox_2d == (), "nobody flies a kite here"
    assert model.write_instruction(asked) == written


def answered(answers: Answers[Answered], keys: Sequence[str]) -> dict[str, Answered]:
    """One answer for each key, none of them an error."""
    assert set(answers) == set(keys)
    good = {key: answer for key, answer in answers.items() if not isinstance(answer, SampleError)}
    assert good == answers
    return good
