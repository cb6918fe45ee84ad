"""Any chat model as a VisionLanguageModel: the questions of `actors.prompts`, read by `actors.ops.answers`.

What a reader gets wrong: answers are paired by their request's key and by nothing else, and only the ones
that could not be read are asked again, with the next seed. What is unreadable after the last try, or refused,
is that sample's `SampleError`; nothing is ever made up in its place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal

import numpy as np

from actors import prompts
from actors.backends.chat import ChatAnswer, ChatModel, ChatRequest
from actors.ops.answers import (
    AnswerError,
    BoxForm,
    read_camera_verdict,
    read_instruction,
    read_kept_objects,
    read_located_objects,
    read_scene,
)
from actors.roles import (
    Answered,
    Answers,
    CameraRequest,
    CameraVerdict,
    GroundedObject,
    GroundingRequest,
    InstructionRequest,
    LocatingRequest,
    SampleError,
    SceneRequest,
)

SHOWN = 200
"""Characters of an unreadable answer that the error quotes."""
_SEEDS = 2**63


@dataclass(frozen=True)
class Question(Generic[Answered]):
    """One chat request, and how its answer is read: the text and whether it is complete."""

    request: ChatRequest
    read: Callable[[str, bool], Answered]


class PromptedLanguageModel:
    """See `actors.roles.VisionLanguageModel` for what each answer means.

    Every method sends the questions of all its samples in one `chat` call, and one more for each round of
    unreadable answers. The first try is greedy, except for instructions, which the request's seed samples.

    Args:
        chat: answers the questions.
        retries: how often an unreadable answer is asked for again.
        camera_frames: how many frames of a clip the camera judge sees, at equal distances.
        camera_height: rows to which these frames are scaled down.
        box_unit, box_order: how the model writes boxes, see `actors.ops.answers.BoxForm`.
    """

    def __init__(
        self,
        chat: ChatModel,
        *,
        retries: int = 3,
        camera_frames: int = 16,
        camera_height: int = 480,
        box_unit: Literal["thousandths", "pixels"] = "thousandths",
        box_order: Literal["xyxy", "yxyx"] = "xyxy",
    ) -> None:
        if retries < 0 or camera_frames < 2 or camera_height < 2:
            raise ValueError(
                f"retries {retries}, camera_frames {camera_frames}, camera_height {camera_height}: "
                "at least 0, 2 and 2 are needed"
            )
        self.chat = chat
        self.retries = retries
        self.camera_frames = camera_frames
        self.camera_height = camera_height
        self.boxes = BoxForm(box_unit, box_order)

    def judge_camera(self, requests: Sequence[CameraRequest]) -> Answers[CameraVerdict]:
        undecodable: Answers[CameraVerdict] = {}
        questions: list[Question[CameraVerdict]] = []
        for asked in requests:
            try:
                questions.append(Question(self._camera_request(asked), _camera_verdict))
            except SampleError as error:
                undecodable[asked.key] = error
        judged = ask(self.chat, questions, self.retries)
        return {**judged, **undecodable}

    def describe_scene(self, requests: Sequence[SceneRequest]) -> Answers[str]:
        questions = [
            Question(
                ChatRequest(
                    key=asked.key,
                    text=prompts.scene_text(),
                    seed=0,
                    images=(asked.frame,),
                    max_new_tokens=prompts.SCENE.max_new_tokens,
                ),
                lambda text, complete: read_scene(text, complete=complete),
            )
            for asked in requests
        ]
        return ask(self.chat, questions, self.retries)

    def write_instruction(self, requests: Sequence[InstructionRequest]) -> Answers[str]:
        questions = [
            Question(
                sampled(
                    ChatRequest(
                        key=asked.key,
                        text=prompts.instruction_text(
                            asked.original_scene, asked.edit_type, asked.chosen_keyword, asked.seed
                        ),
                        seed=asked.seed,
                        max_new_tokens=prompts.INSTRUCTION.max_new_tokens,
                    )
                ),
                lambda text, complete: read_instruction(text, complete=complete),
            )
            for asked in requests
        ]
        return ask(self.chat, questions, self.retries)

    def ground(self, requests: Sequence[GroundingRequest]) -> Answers[list[GroundedObject]]:
        return ask(self.chat, [self._grounding(asked) for asked in requests], self.retries)

    def locate(self, requests: Sequence[LocatingRequest]) -> Answers[list[list[GroundedObject]]]:
        located = ask(
            self.chat,
            [
                self._locating(asked, index)
                for asked in requests
                if asked.labels
                for index in range(len(asked.frames))
            ],
            self.retries,
        )
        return {asked.key: _of_one_sample(asked, located) for asked in requests}

    def _camera_request(self, asked: CameraRequest) -> ChatRequest:
        clip = asked.clip
        count = min(self.camera_frames, clip.num_frames)
        indices = np.rint(np.linspace(0, clip.num_frames - 1, count)).astype(int).tolist()
        seconds = clip.num_frames / clip.fps
        return ChatRequest(
            key=asked.key,
            text=prompts.camera_text(count, seconds),
            seed=0,
            video=tuple(clip.pick(indices, height=min(self.camera_height, clip.height))),
            video_fps=count / seconds,
            max_new_tokens=prompts.CAMERA.max_new_tokens,
        )

    def _grounding(self, asked: GroundingRequest) -> Question[list[GroundedObject]]:
        height, width = asked.source.shape[:2]

        def read(text: str, complete: bool) -> list[GroundedObject]:
            return read_kept_objects(text, width, height, form=self.boxes, complete=complete)

        return Question(
            ChatRequest(
                key=asked.key,
                text=prompts.grounding_text(asked.prompt, width, height, self.boxes),
                seed=0,
                images=(asked.source, asked.edited),
                max_new_tokens=prompts.GROUNDING.max_new_tokens,
            ),
            read,
        )

    def _locating(self, asked: LocatingRequest, index: int) -> Question[list[GroundedObject]]:
        frame = asked.frames[index]
        height, width = frame.shape[:2]

        def read(text: str, complete: bool) -> list[GroundedObject]:
            return read_located_objects(text, asked.labels, width, height, form=self.boxes, complete=complete)

        return Question(
            ChatRequest(
                key=_frame_key(asked.key, index),
                text=prompts.locating_text(asked.labels, width, height, self.boxes),
                seed=0,
                images=(frame,),
                max_new_tokens=prompts.LOCATING.max_new_tokens,
            ),
            read,
        )


def ask(chat: ChatModel, questions: Sequence[Question[Answered]], retries: int) -> Answers[Answered]:
    """What was read from the answer to each question, by its request's key.

    Unreadable answers are asked for again up to `retries` times, sampled, with the next seed each time.
    Raises ValueError where two questions have one key, or where the chat model does not answer each key once.
    """
    open_questions = {question.request.key: question for question in questions}
    if len(open_questions) != len(questions):
        raise ValueError(f"questions share a key: {sorted(q.request.key for q in questions)}")
    answers: Answers[Answered] = {}
    for attempt in range(retries + 1):
        if not open_questions:
            break
        asked = [again(question.request, attempt) for question in open_questions.values()]
        for key, answer in by_key(asked, chat.chat(asked)).items():
            if answer.error:
                answers[key] = SampleError(f"the model did not answer: {answer.error}")
                del open_questions[key]
                continue
            try:
                answers[key] = open_questions[key].read(answer.text, answer.complete)
            except AnswerError as error:
                answers[key] = SampleError(
                    f"no readable answer in {attempt + 1} tries, the last one: {error}; it begins "
                    f"{answer.text[:SHOWN]!r}"
                )
            else:
                del open_questions[key]
    return answers


def by_key(asked: Sequence[ChatRequest], answers: Sequence[ChatAnswer]) -> dict[str, ChatAnswer]:
    """The answers by key, in the order of the requests.

    Raises ValueError where a key was not asked for, is answered twice or is missing: the model mixed them up,
    and no answer of the call can be trusted.
    """
    paired = {answer.key: answer for answer in answers}
    keys = [request.key for request in asked]
    if len(paired) != len(answers) or paired.keys() != set(keys):
        raise ValueError(
            f"{len(keys)} questions with the keys {keys[:8]}, answers with the keys "
            f"{[answer.key for answer in answers][:8]}: each key must be answered once"
        )
    return {key: paired[key] for key in keys}


def again(request: ChatRequest, attempt: int) -> ChatRequest:
    """The request as it is asked the `attempt`-th time after the first: the next seed, and sampled."""
    if attempt == 0:
        return request
    return replace(sampled(request), seed=(request.seed + attempt) % _SEEDS)


def sampled(request: ChatRequest) -> ChatRequest:
    """The request with the sampling that is used wherever an answer is not greedy."""
    return replace(request, temperature=prompts.TEMPERATURE, top_p=prompts.TOP_P, top_k=prompts.TOP_K)


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of `PromptedLanguageModel` and the rest, which are the chat model's, of one flat set."""
    names = inspect.signature(PromptedLanguageModel).parameters.keys() - {"chat"}
    ours = {name: value for name, value in options.items() if name in names}
    return ours, {name: value for name, value in options.items() if name not in names}


def _camera_verdict(text: str, complete: bool) -> CameraVerdict:
    return read_camera_verdict(text, complete=complete)


def _frame_key(key: str, index: int) -> str:
    return f"{key}#{index}"


def _of_one_sample(
    asked: LocatingRequest, located: Mapping[str, list[GroundedObject] | SampleError]
) -> list[list[GroundedObject]] | SampleError:
    """The answers of the sample's frames in order, or the first error among them."""
    if not asked.labels:
        return [[] for _ in asked.frames]
    frames: list[list[GroundedObject]] = []
    for index in range(len(asked.frames)):
        answer = located[_frame_key(asked.key, index)]
        if isinstance(answer, SampleError):
            return SampleError(f"anchor frame {index}: {answer}")
        frames.append(answer)
    return frames
