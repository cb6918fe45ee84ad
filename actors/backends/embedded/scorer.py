"""The embedded EditScorer: marks an edit by what can be measured on two pictures, and says what was measured.

What a reader gets wrong: it says whether an edit is faithful and undamaged, not whether it is beautiful,
nor whether the new place is the one asked for. It finds the foreground by itself; the pipeline's own mask is
never used.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded import image_quality
from actors.backends.embedded.detector import Detection, Detector
from actors.backends.embedded.edit_evidence import (
    Agreement,
    agreement,
    fill_evidence,
    make_pair,
    working_size,
)
from actors.backends.embedded.segmenter import Segmenter
from actors.ops.boxes import box_iou, to_absolute, union_box
from actors.ops.editscore import FULL_MARKS
from actors.roles import Answers, Box, Frame, Mask, ScorePass, ScoreRequest, one_by_one

REVISION = "faithfulness-1"
_SURE = 0.4  # detections under this score do not say where the foreground is
_INNER, _NEAR, _FAR = 3, 4, 12
"""Pixels at 360 rows from the rim of the matte: inward to what is surely foreground; outward to where the
ring starts and ends."""


@dataclass(frozen=True)
class Finding:
    """One measurement with the share of full marks it allows."""

    text: str
    share: float
    """0..1."""


def graded(text: str, value: float, *, good: float, bad: float) -> Finding:
    """Full marks at `good` and beyond, none at `bad`, linear between; `text` is formatted with the value."""
    share = (value - bad) / (good - bad)
    return Finding(text.format(value), float(np.clip(share, 0.0, 1.0)))


def marks(findings: Sequence[Finding]) -> int:
    """The weakest finding decides: 0..25."""
    return round(FULL_MARKS * min((finding.share for finding in findings), default=0.0))


@dataclass(frozen=True)
class _Regions:
    """Where things are, at working size (h, w)."""

    inner: Mask
    """Surely foreground."""
    ring: Mask
    """Just outside it: where a halo would be."""
    outside: Mask
    """Background beyond the ring."""


class EmbeddedScorer:
    """Deterministic, one pass a request, 0.7 CPU seconds a 720p pair; the seed changes nothing."""

    def __init__(self) -> None:
        cv2.setNumThreads(1)
        self._detector = Detector()
        self._segmenter = Segmenter()

    def score(self, requests: Sequence[ScoreRequest]) -> Answers[list[ScorePass]]:
        """One pass for each request."""
        return one_by_one(requests, lambda request: [self.judge(request)])

    def judge(self, request: ScoreRequest) -> ScorePass:
        """Raises ValueError where source and edited picture differ in size."""
        if request.task == "foreground_removal":
            return self._judge_removal(request)
        return self._judge_replacement(request)

    # ------------------------------------------------------------ stages 2 and 5

    def _judge_replacement(self, request: ScoreRequest) -> ScorePass:
        pair = make_pair(request.source, request.edited)
        regions = self._regions(request.source, self._boxes(request))
        foreground = agreement(pair, regions.inner)
        background = agreement(pair, regions.outside)
        ring = agreement(pair, regions.ring, least_pixels=20)
        damage = _damage(request.source, request.edited, regions.inner, "foreground")
        return _as_pass(
            following=_replaced(background, ring),
            consistency=_preserved(foreground),
            sharpness=damage.sharpness,
            artefacts=damage.artefacts,
        )

    # ------------------------------------------------------------ stage 3

    def _judge_removal(self, request: ScoreRequest) -> ScorePass:
        pair = make_pair(request.source, request.edited)
        boxes = self._boxes(request)
        regions = self._regions(request.source, boxes)
        above, outside = _beside(regions.outside, regions.inner)
        damage = _damage(request.source, request.edited, above, "background")
        inside = agreement(pair, regions.inner)
        fill = fill_evidence(pair, regions.inner)
        seen = self._still_seen(request.edited, boxes)
        return _as_pass(
            following=[
                *_removed(inside),
                graded("a person is detected in its place with {:.2f}", seen, good=0.4, bad=0.8),
            ],
            consistency=_background_kept(agreement(pair, above), agreement(pair, outside)),
            sharpness=[
                *damage.sharpness,
                graded(
                    "the fill differs from its rim by {:.0f} levels of colour", fill.step, good=8.0, bad=24.0
                ),
                graded("the fill has {:.2f} of the texture round it", fill.texture, good=0.15, bad=0.02),
            ],
            artefacts=damage.artefacts,
        )

    def _still_seen(self, edited: Frame, boxes: Sequence[Box]) -> float:
        """Score of the surest person that lies where the foreground was; 0 for none."""
        people = [found for found in self._detector.detect(edited) if found.label == "person"]
        return max((p.score for p in people if any(box_iou(p.box, box) > 0.3 for box in boxes)), default=0.0)

    # ------------------------------------------------------------ where the foreground is

    def _boxes(self, request: ScoreRequest) -> list[Box]:
        """The boxes of the request where it has them, else up to two detections; absolute pixels."""
        height, width = request.source.shape[:2]
        given = [
            to_absolute(item.bbox_2d, width, height) for item in request.objects if len(item.bbox_2d) == 4
        ]
        if given:
            return [union_box(given)]
        found = [item for item in self._detector.detect(request.source) if item.score >= _SURE]
        people = [item for item in found if item.label == "person"] or found
        people.sort(key=_prominence, reverse=True)
        return [p.box for p in people[:2] if _prominence(p) > 0.3 * _prominence(people[0])]

    def _regions(self, frame: Frame, boxes: Sequence[Box]) -> _Regions:
        """Two segmenters of different origin: surely foreground is what both say, background what neither.

        The person models count only where they see at least half of what is salient (a drawn figure is
        nobody to them). Without a box, what is salient in the whole frame is the foreground.
        """
        small = np.asarray(cv2.resize(frame, working_size(frame), interpolation=cv2.INTER_AREA), np.uint8)
        scale = small.shape[0] / frame.shape[0]
        scaled: list[Box] = [(b[0] * scale, b[1] * scale, b[2] * scale, b[3] * scale) for b in boxes]
        mattes = [self._segmenter.matte(small, box) for box in scaled] or [self._segmenter.matte(small)]
        salient = np.max(mattes, axis=0)
        surely = body = salient > 0.5
        maybe = salient > 0.2
        if scaled:
            person = self._segmenter.person_matte(small, scaled)
            both = surely & (person > 0.3)
            if both.sum() > 0.5 * surely.sum():
                surely, maybe = both, maybe | (person > 0.3)
        inner = cv2.erode(surely.astype(np.uint8), _disc(_INNER), borderType=cv2.BORDER_REPLICATE) > 0
        near, far = (cv2.dilate(body.astype(np.uint8), _disc(radius)) > 0 for radius in (_NEAR, _FAR))
        outside = cv2.dilate(maybe.astype(np.uint8), _disc(_FAR)) == 0
        return _Regions(np.asarray(inner), np.asarray(far & ~near), np.asarray(outside))


def _prominence(found: Detection) -> float:
    return found.area * found.score


def _beside(outside: Mask, removed: Mask) -> tuple[Mask, Mask]:
    """What surely has to stay when `removed` goes, and all of the rest: what it rested on may go with it.

    A desk or a shadow reaches to the foot of what it carries, so the line is drawn at 60 % of its height.
    """
    rows = np.flatnonzero(removed.any(axis=1))
    line = int(rows[0] + 0.6 * (rows[-1] - rows[0])) if rows.size else outside.shape[0]
    above = outside.copy()
    above[line:] = False
    return above, outside


def _disc(radius: int) -> npt.NDArray[np.uint8]:
    return np.asarray(
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8
    )


# ---------------------------------------------------------------- from measurements to findings
# Thresholds: benchmarks/scores.py, calibrated on the clips and damages it names.


def _replaced(background: Agreement | None, ring: Agreement | None) -> list[Finding]:
    if background is None:
        return [Finding("the foreground fills the picture: no background to judge", 0.0)]
    found = [
        graded("{:.0%} of the background's structure is the old one", background.kept, good=0.3, bad=0.6),
        graded("{:.0%} of its area is untouched", background.untouched_share, good=0.2, bad=0.6),
        graded("its colours moved by {:.0f}", background.colour_distance, good=6.0, bad=1.0),
    ]
    if ring is not None:
        relative = ring.most_changed / max(background.colour_distance, 1.0)
        by_ratio = graded("round the foreground colours moved {:.0%} as far", relative, good=0.6, bad=0.2)
        by_distance = graded(
            "round the foreground colours moved by {:.0f}", ring.most_changed, good=20.0, bad=8.0
        )
        found.append(max(by_ratio, by_distance, key=lambda finding: finding.share))
    return found


def _preserved(foreground: Agreement | None) -> list[Finding]:
    if foreground is None:
        return [Finding("no foreground was found in the source", 0.0)]
    return [
        graded("the foreground keeps {:.0%} of its structure", foreground.kept, good=0.75, bad=0.25),
        graded("{:.0%} of it shows something else", foreground.gone_share, good=0.1, bad=0.45),
        graded("its worst colour channel agrees to {:.2f}", foreground.worst_channel, good=0.7, bad=0.2),
    ]


def _removed(inside: Agreement | None) -> list[Finding]:
    if inside is None:
        return [Finding("no foreground was found where the boxes are", 1.0)]
    return [
        graded("{:.0%} of the foreground's structure is left", inside.kept, good=0.25, bad=0.6),
        graded("{:.0%} of its area is untouched", inside.untouched_share, good=0.08, bad=0.33),
        graded("its colours moved by {:.0f}", inside.colour_distance, good=5.0, bad=1.0),
    ]


def _background_kept(above: Agreement | None, outside: Agreement | None) -> list[Finding]:
    found = []
    if above is not None:
        text = "beside the foreground the background's colours moved by {:.1f}"
        found.append(graded(text, above.colour_distance, good=4.0, bad=14.0))
        if above.textured_share > 0.05:
            found.append(graded("it keeps {:.0%} of its structure there", above.kept, good=0.8, bad=0.4))
    if outside is not None:
        found.append(graded("{:.0%} of it is untouched in all", outside.untouched_share, good=0.5, bad=0.2))
    return found or [Finding("the foreground fills the picture: no background to compare", 1.0)]


@dataclass(frozen=True)
class _Damage:
    sharpness: list[Finding]
    artefacts: list[Finding]


def _damage(source: Frame, edited: Frame, where: Mask, name: str) -> _Damage:
    """What the edit did to the picture; `where` (h, w at working size) has to stay as sharp as it was."""
    before, after = image_quality.luminance(source), image_quality.luminance(edited)
    full = (
        cv2.resize(
            where.astype(np.uint8), (source.shape[1], source.shape[0]), interpolation=cv2.INTER_NEAREST
        )
        > 0
    )
    was = image_quality.detail_ratio(before, np.asarray(full))
    detail = image_quality.detail_ratio(after, np.asarray(full)) / was if was else 1.0
    rise = _brisque(edited) - _brisque(source)
    noise = image_quality.noise_floor(after) - image_quality.noise_floor(before)
    return _Damage(
        sharpness=[
            graded(f"the {name} keeps {{:.0%}} of its fine detail", detail, good=0.75, bad=0.35),
            graded("{:.0%} of the levels of grey occur", image_quality.level_share(after), good=0.9, bad=0.6),
            # BRISQUE alone must not decide: it may take a fifth of the marks.
            Finding(f"BRISQUE changed by {rise:+.0f}", 1.0 - 0.2 * float(np.clip((rise - 15) / 25, 0, 1))),
        ],
        artefacts=[
            graded("noise changed by {:+.1f} levels", noise, good=2.0, bad=5.0),
            graded(
                "{:.2%} of the pixels stand out of all their neighbours",
                max(image_quality.impulse_share(after) - image_quality.impulse_share(before), 0.0),
                good=0.003,
                bad=0.01,
            ),
            graded(
                "steps on an 8-pixel grid are {:.1f} times the others",
                image_quality.grid_ratio(after),
                good=2.0,
                bad=3.0,
            ),
        ],
    )


def _brisque(frame: Frame) -> float:
    small = cv2.resize(frame, working_size(frame), interpolation=cv2.INTER_AREA)
    return image_quality.brisque(np.asarray(small, np.uint8))


def _as_pass(
    *,
    following: Sequence[Finding],
    consistency: Sequence[Finding],
    sharpness: Sequence[Finding],
    artefacts: Sequence[Finding],
) -> ScorePass:
    semantic = (marks(following), marks(consistency))
    perceptual = (marks(sharpness), marks(artefacts))
    semantic_reasoning = _sentence([*following, *consistency])
    perceptual_reasoning = _sentence([*sharpness, *artefacts])
    return ScorePass(
        semantic=semantic,
        perceptual=perceptual,
        semantic_reasoning=semantic_reasoning,
        perceptual_reasoning=perceptual_reasoning,
        semantic_raw=json.dumps({"reasoning": semantic_reasoning, "score": semantic}),
        perceptual_raw=json.dumps({"reasoning": perceptual_reasoning, "score": perceptual}),
    )


def _sentence(findings: Sequence[Finding]) -> str:
    return "Measured: " + "; ".join(finding.text for finding in findings) + "."
