"""EditScore: a vision-language judge of edits, over any chat model, as the package `editscore` asks it.

What a reader gets wrong: an answer that cannot be read is asked for again and then fails its sample. The
package makes up a mark there (a random integer, or the middle of the scale); a gate cannot tell such a mark
from a judgement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from actors.backends.chat import ChatAnswer, ChatModel, ChatRequest
from actors.backends.editscore_prompts import (
    MAX_NEW_TOKENS,
    SEES_BOTH,
    TEMPERATURE,
    TOP_K,
    TOP_P,
    questions,
)
from actors.backends.prompted import SHOWN, by_key
from actors.ops.answers import literal
from actors.ops.editscore import FULL_MARKS
from actors.roles import Answers, SampleError, ScorePass, ScoreRequest

BASE = "Qwen/Qwen3-VL-8B-Instruct"
ADAPTER = "EditScore/EditScore-Qwen3-VL-8B-Instruct"
_Kind = Literal["semantic", "perceptual"]
_KINDS: tuple[_Kind, ...] = ("semantic", "perceptual")
_MARKS = {"semantic": (2,), "perceptual": (1, 2)}
"""How many marks an answer may hold: prompt following and consistency; naturalness and artifacts, or one."""
_SEEDS = 2**63


@dataclass(frozen=True)
class Judgement:
    """One answer, read."""

    marks: tuple[int, ...]
    """Each 0..25."""
    reasoning: str
    raw: str


@dataclass(frozen=True)
class _Question:
    """One prompt of one pass of one request."""

    request: ScoreRequest
    number: int
    """Of the pass, from 0."""
    kind: _Kind

    @property
    def key(self) -> str:
        return f"{self.request.key}#{self.number}#{self.kind}"


class ChatScorer:
    """The EditScorer role over a chat model. All open questions of a call go to it in one `chat` call.

    Seeds: pass i of a request asks with `request.seed + i`, both questions alike, as the package does. What
    cannot be read is asked again with the next seed that no pass has: `request.seed + i + num_pass * r` for
    the r-th try after the first.

    Args:
        chat: answers the questions.
        num_pass: judgements a request; their scores are averaged by `actors.ops.editscore`.
        retries: how often an unreadable answer is asked for again before the sample fails.

    Raises:
        CheckpointError: EditScore's prompts are not installed.
    """

    def __init__(self, chat: ChatModel, *, num_pass: int = 4, retries: int = 3) -> None:
        if num_pass < 1 or retries < 0:
            raise ValueError(f"num_pass {num_pass}, retries {retries}: at least 1 and 0 are needed")
        self._chat = chat
        self._num_pass = num_pass
        self._retries = retries
        self._questions = questions()

    def score(self, requests: Sequence[ScoreRequest]) -> Answers[list[ScorePass]]:
        """`num_pass` judgements for each request, or the SampleError of the first question without an answer.

        Raises ValueError where two requests have one key.
        """
        if len({request.key for request in requests}) != len(requests):
            raise ValueError(f"requests share a key: {sorted(request.key for request in requests)}")
        open_questions = {
            question.key: question
            for request in requests
            for number in range(self._num_pass)
            for question in (_Question(request, number, kind) for kind in _KINDS)
        }
        judged: dict[str, Judgement] = {}
        failed: dict[str, SampleError] = {}
        for attempt in range(self._retries + 1):
            if not open_questions:
                break
            asked = [self._ask(question, attempt) for question in open_questions.values()]
            for key, answer in by_key(asked, self._chat.chat(asked)).items():
                question = open_questions[key]
                judgement = _judgement(question, answer)
                if judgement is not None:
                    judged[key] = judgement
                    del open_questions[key]
                elif answer.error or attempt == self._retries:
                    failed.setdefault(question.request.key, _failure(question, answer, attempt))
            # a sample that fails is not asked about any more
            open_questions = {k: q for k, q in open_questions.items() if q.request.key not in failed}
        return {
            request.key: failed[request.key] if request.key in failed else self._passes(request, judged)
            for request in requests
        }

    def _ask(self, question: _Question, attempt: int) -> ChatRequest:
        request = question.request
        both = question.kind == "semantic" or SEES_BOTH[request.task]
        return ChatRequest(
            key=question.key,
            text=(
                self._questions.semantic_for(request.prompt)
                if question.kind == "semantic"
                else self._questions.perceptual
            ),
            seed=(request.seed + question.number + self._num_pass * attempt) % _SEEDS,
            images=(request.source, request.edited) if both else (request.edited,),
            max_new_tokens=MAX_NEW_TOKENS,
            temperature=TEMPERATURE,
            top_p=TOP_P,
            top_k=TOP_K,
        )

    def _passes(self, request: ScoreRequest, judged: dict[str, Judgement]) -> list[ScorePass]:
        passes = []
        for number in range(self._num_pass):
            semantic, perceptual = (judged[_Question(request, number, kind).key] for kind in _KINDS)
            following, consistency = semantic.marks
            passes.append(
                ScorePass(
                    semantic=(following, consistency),
                    perceptual=perceptual.marks,
                    semantic_reasoning=semantic.reasoning,
                    perceptual_reasoning=perceptual.reasoning,
                    semantic_raw=semantic.raw,
                    perceptual_raw=perceptual.raw,
                )
            )
        return passes


class EditScore(ChatScorer):
    """EditScore on this worker's GPU: Qwen3-VL-8B with EditScore's LoRA merged in, options of `QwenChat`."""

    def __init__(self, *, num_pass: int = 4, retries: int = 3, **options: Any) -> None:
        from actors.backends.qwen3_vl import QwenChat  # here: a judge behind an endpoint needs no torch

        chat = QwenChat(**{"model": BASE, "adapter": ADAPTER, **options})
        super().__init__(chat, num_pass=num_pass, retries=retries)


class EditScoreEndpoint(ChatScorer):
    """EditScore behind an OpenAI-compatible endpoint, options of `OpenAIChat`.

    Two pictures of 720p, the prompt and the answer need a context of 4096 tokens, with vLLM:
    `vllm serve Qwen/Qwen3-VL-8B-Instruct --max-model-len 4096 --enable-lora
    --lora-modules editscore=EditScore/EditScore-Qwen3-VL-8B-Instruct`, with `--max-lora-rank` as its
    adapter_config.json says, and `model: editscore` here.
    """

    def __init__(self, *, num_pass: int = 4, retries: int = 3, **options: Any) -> None:
        from actors.backends.openai_endpoint import OpenAIChat  # here: a local judge needs no `openai`

        super().__init__(OpenAIChat(**options), num_pass=num_pass, retries=retries)


def _judgement(question: _Question, answer: ChatAnswer) -> Judgement | None:
    if answer.error:
        return None
    return read_judgement(answer.text, _MARKS[question.kind], complete=answer.complete)


def _failure(question: _Question, answer: ChatAnswer, attempt: int) -> SampleError:
    if answer.error:
        return SampleError(f"EditScore did not answer: {answer.error}")
    cut = "" if answer.complete else f", cut off at {MAX_NEW_TOKENS} tokens"
    counts = " or ".join(map(str, _MARKS[question.kind]))
    return SampleError(
        f"EditScore's {question.kind} answer of pass {question.number} has no list of {counts} integers "
        f"0..{FULL_MARKS} in {attempt + 1} tries; the last one{cut} begins {answer.text[:SHOWN]!r}"
    )


# ---------------------------------------------------------------- reading an answer

_SCORE = re.compile(r"""["']?\bscore["']?\s*[:=]\s*(\[[^\]]*\]|-?[\d.]+(?=\s*[,}\n]))""", re.IGNORECASE)
_END = re.compile(r"""["'\s]*(?:(\})|```|\Z)""")
"""What may follow the marks: the object's brace, or the end of an answer that lost it."""
_REASONING = re.compile(r"""["']?\breasoning["']?\s*[:=]\s*["']?""", re.IGNORECASE)
_LIST = re.compile(r"\[[^\]]*\]")


def read_judgement(text: str, counts: Sequence[int], *, complete: bool = True) -> Judgement | None:
    """The marks and the reasoning of an answer; None where it does not hold one of `counts` marks of 0..25.

    Read are: JSON or a Python literal, fenced or with words around it; failing that, what stands between the
    word `score` and the end of the object, so that a quote inside the reasoning or a lost brace does no harm;
    and a bare list. No judgement are two different lists of marks, marks that only the reasoning speaks of,
    and marks without a brace behind them in an answer that was cut off. Marks are never rounded nor clipped.
    """
    fields = _fields(text)
    if fields is not None and "score" in fields:
        marks = _marks(fields["score"], counts)
        reasoning = fields.get("reasoning", "")
        return Judgement(marks, str(reasoning).strip(), text) if marks else None
    found = list(_SCORE.finditer(text))
    if not found and _LIST.fullmatch(text.strip()):
        marks = _marks(literal(text.strip()), counts)
        return Judgement(marks, "", text) if marks else None
    readings = [(match, marks) for match in found if (marks := _marks(literal(match[1]), counts))]
    if len({marks for _, marks in readings}) != 1:
        return None
    (first, marks), (last, _) = readings[0], readings[-1]
    end = _END.match(text, last.end())
    if not end or not (end[1] or complete):
        return None
    return Judgement(marks, _reasoning_before(text, first.start()), text)


def _fields(text: str) -> dict[str, Any] | None:
    """The object that the answer is, keys in lower case."""
    value = literal(text[text.find("{") : text.rfind("}") + 1])
    return {str(key).lower(): item for key, item in value.items()} if isinstance(value, dict) else None


def _marks(value: Any, counts: Sequence[int]) -> tuple[int, ...]:
    """The marks, empty unless there are as many as may be and all are integers 0..25."""
    values = value if isinstance(value, list | tuple) else [value]
    marks = [mark for item in values if (mark := _mark(item)) is not None]
    return tuple(marks) if len(marks) == len(values) and len(marks) in counts else ()


def _mark(value: Any) -> int | None:
    """One mark: an integer, or one written as `23.0` or `"23"`."""
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,3}\s*", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value) if 0 <= value <= FULL_MARKS else None


def _reasoning_before(text: str, end: int) -> str:
    """What stands between the word `reasoning` and the marks."""
    start = _REASONING.search(text, 0, end)
    return text[start.end() if start else 0 : end].strip().rstrip(",").rstrip().strip("\"'{ \n")
