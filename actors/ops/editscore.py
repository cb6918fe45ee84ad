"""EditScore's protocol: which frames are judged, and how the passes of one judge become a record.

What a reader gets wrong: the overall score is the mean over the passes of sqrt(min(SC) * min(PQ)), not the
square root of the mean sub-scores. The two differ in the second decimal, which is enough to flip a gate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from actors.roles import ScorePass

FULL_MARKS = 25
"""A judge answers with integers 0..25."""
MARKS_PER_POINT = 2.5
"""Records hold 0..10."""
NUM_JUDGED_FRAMES = 4


class EvaluateRecord(TypedDict):
    """`editscore` of the stage 2 and stage 3 score files, in the published order; scores 0..10."""

    prompt_following: float
    consistency: float
    perceptual_quality: float
    overall: float
    SC_reasoning: str
    PQ_reasoning: str


class FrameRecord(TypedDict):
    """One entry of `editscore` of the stage 5 score file, in the published order; scores 0..10."""

    SC_score: float
    PQ_score: float
    O_score: float
    SC_score_reasoning: str
    PQ_score_reasoning: str
    SC_raw_output: str
    PQ_raw_output: str


def frame_indices(num_frames: int) -> tuple[int, int, int, int]:
    """The four uniformly spaced non-first frames that stage 5 judges, 0-based.

    77 frames give (1, 26, 51, 76), the published example. Raises ValueError under five frames: the four would
    not differ.
    """
    if num_frames <= NUM_JUDGED_FRAMES:
        raise ValueError(f"{num_frames} frames: four different non-first frames need at least five")
    first, second, third, fourth = np.rint(np.linspace(1, num_frames - 1, NUM_JUDGED_FRAMES)).astype(int)
    return int(first), int(second), int(third), int(fourth)


def overall(passes: Sequence[ScorePass]) -> float:
    """Mean over the passes of sqrt(min(SC) * min(PQ)), on the scale 0..10."""
    return _mean([math.sqrt(min(p.semantic) * min(p.perceptual)) for p in _checked(passes)])


def evaluate_record(passes: Sequence[ScorePass]) -> EvaluateRecord:
    """The record of stages 2 and 3; reasoning is the first pass's, sub-scores are means over the passes."""
    first = _checked(passes)[0]
    return {
        "prompt_following": _mean([p.semantic[0] for p in passes]),
        "consistency": _mean([p.semantic[1] for p in passes]),
        "perceptual_quality": _mean([min(p.perceptual) for p in passes]),
        "overall": overall(passes),
        "SC_reasoning": first.semantic_reasoning,
        "PQ_reasoning": first.perceptual_reasoning,
    }


def frame_record(passes: Sequence[ScorePass]) -> FrameRecord:
    """The record of one judged frame of stage 5. Reasoning and raw output are the first pass's."""
    first = _checked(passes)[0]
    return {
        "SC_score": _mean([min(p.semantic) for p in passes]),
        "PQ_score": _mean([min(p.perceptual) for p in passes]),
        "O_score": overall(passes),
        "SC_score_reasoning": first.semantic_reasoning,
        "PQ_score_reasoning": first.perceptual_reasoning,
        "SC_raw_output": first.semantic_raw,
        "PQ_raw_output": first.perceptual_raw,
    }


def mean_o_score(records: Sequence[FrameRecord]) -> float:
    """What the stage 5 gate reads: the mean `O_score` of the judged frames; ValueError on an empty list."""
    if not records:
        raise ValueError("no judged frame: the mean O_score is undefined")
    return math.fsum(record["O_score"] for record in records) / len(records)


def _mean(marks: Sequence[float]) -> float:
    return math.fsum(marks) / len(marks) / MARKS_PER_POINT


def _checked(passes: Sequence[ScorePass]) -> Sequence[ScorePass]:
    """Raises ValueError for no pass, no perceptual mark, or a mark outside 0..25."""
    if not passes:
        raise ValueError("no pass: a judge answers at least once")
    for p in passes:
        if not p.perceptual:
            raise ValueError("a pass without a perceptual mark: EditScore gives at least one")
        for mark in (*p.semantic, *p.perceptual):
            if not 0 <= mark <= FULL_MARKS:
                raise ValueError(f"mark {mark}: EditScore's marks are integers 0..{FULL_MARKS}")
    return passes
