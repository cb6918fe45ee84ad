"""The embedded half of the VisionLanguageModel that looks: describe, ground and locate by detector and
segmenters.

What a reader gets wrong: a label is what was measured, "person in teal top", and never more ("man",
"smiling"). An object counts in round 1 only if the source's picture of it is still there in the edited frame,
up to new light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded.classifier import image_classes
from actors.backends.embedded.description import describe, dominant_colours
from actors.backends.embedded.detector import Detection, Detector
from actors.backends.embedded.edit_evidence import agreement, make_pair, working_size
from actors.backends.embedded.segmenter import Matte, Segmenter
from actors.ops.boxes import (
    box_area,
    box_iou,
    box_of_mask,
    box_slices,
    grow_box,
    intersection_area,
    to_absolute,
    to_published,
)
from actors.ops.camera import judge_static_camera
from actors.roles import Box, Frame, GroundedObject, Mask

__all__ = ["describe_scene", "ground", "judge_static_camera", "locate"]

MIN_PERSON_SCORE = 0.5
"""Everybody found with this score is a subject."""
MIN_LONE_PERSON_SCORE = 0.1
"""And the best person down to this one, if there is no better: close-ups before a bicycle fall to 0.2."""
MIN_PERSON_AREA = 0.2
"""Of the largest person: smaller ones are passers-by."""
MIN_PROP_SCORE = 0.3
MIN_PROP_PROBABILITY = 0.6
"""ImageNet probability from which the classifier's word for a prop replaces the detector's."""
MAX_PROP_AREA = 0.5
"""Of the frame; larger boxes are the place, not a prop."""
MIN_KEPT = 0.3
"""Correlation of gradients between source and edited frame: published edits keep 0.39-0.98 of their subject,
a swapped one 0.05.
"""
_FALLBACK_AREA = 0.01  # of the frame: least subject found by segmentation alone
_SUBJECT_WORDS = ("person", "figure", "dog", "cat", "horse", "bird", "cow", "sheep", "elephant", "bear")
_ANIMALS = frozenset(_SUBJECT_WORDS[2:])

# ImageNet's words for what a person may hold or sit at.
_PROPS = {
    "cornet": "trumpet",
    "trombone": "trombone",
    "sax": "saxophone",
    "violin": "violin",
    "acoustic guitar": "guitar",
    "electric guitar": "guitar",
    "cello": "cello",
    "flute": "flute",
    "banjo": "banjo",
    "drum": "drum",
    "accordion": "accordion",
    "microphone": "microphone",
    "cellular telephone": "phone",
    "coffee mug": "mug",
    "laptop": "laptop",
    "notebook": "laptop",
    "umbrella": "umbrella",
    "mountain bike": "bicycle",
    "bicycle-built-for-two": "bicycle",
    "desk": "desk",
    "dining table": "table",
    "park bench": "bench",
}
_WORDS = {
    "cell phone": "phone",
    "dining table": "table",
    "couch": "couch",
    "tv": "screen",
    "potted plant": "plant",
}


@dataclass(frozen=True)
class _Subject:
    word: str
    box: Box
    score: float


class _Eyes:
    """Detector and segmenter; both keep their weights once a process, so this is cheap to make."""

    def __init__(self) -> None:
        self.detector = Detector(min_score=MIN_LONE_PERSON_SCORE)
        self.segmenter = Segmenter()


def describe_scene(frame: Frame) -> str:
    """One sentence about the place in `frame`, from what is measured outside its subjects; nothing about
    them.
    """
    eyes = _Eyes()
    detections = eyes.detector.detect(frame)
    boxes = [item.box for item in _subjects(frame, detections, eyes.segmenter)]
    covered = eyes.segmenter.foreground(frame, boxes) > 0.3 if boxes else np.zeros(frame.shape[:2], np.bool_)
    return describe(frame, covered, boxes, detections)


def ground(source: Frame, edited: Frame, prompt: str) -> list[GroundedObject]:
    """Round 1: the subjects of `source` and what they hold or lean on, as far as `edited` still shows them.

    Labels are lower case, three to six words; boxes are 0..1000 on the source frame. The empty list means
    that nothing was kept. `prompt` is not read: the pictures decide. Raises ValueError where the frames
    differ in size.
    """
    eyes = _Eyes()
    height, width = source.shape[:2]
    detections = eyes.detector.detect(source)
    pair = make_pair(source, edited)
    size = working_size(source)
    found: list[GroundedObject] = []
    covered = np.zeros((height, width), np.bool_)
    for subject in _subjects(source, detections, eyes.segmenter):
        matte = eyes.segmenter.foreground(source, [subject.box])
        inside = matte > 0.6
        kept = agreement(pair, _at_size(inside, size))
        if kept is None or kept.kept < MIN_KEPT:
            continue
        covered |= inside
        box = _around(subject.box, inside)
        label = _subject_label(subject.word, source, inside, box)
        found.append(GroundedObject(_distinct(label, found), to_published(box, width, height)))
    if not found:
        return []
    near = cv2.dilate(covered.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    held = _held_word(source, to_absolute(found[0].bbox_2d, width, height))
    for item in detections:
        prop = _prop_word(item, source, covered, held)
        if prop is None or not _touches(item.box, near, width, height):
            continue
        region = np.zeros((height, width), np.bool_)
        region[box_slices(item.box, width, height)] = True
        beside = region & ~covered
        # Where most of it lies on the subject, the subject's own agreement has spoken for it.
        if beside.sum() > 0.3 * region.sum() and prop != held:
            kept = agreement(pair, _at_size(beside, size))
            if kept is None or kept.kept < MIN_KEPT:
                continue
        # A guessed box holds as much of the place as of the thing: its colour would be the place's.
        name = prop if prop == held else f"{dominant_colours(source[region])[0]} {prop}"
        box = to_published(item.box, width, height)
        if all(box_iou(box, other.bbox_2d) < 0.5 for other in found[1:] if len(other.bbox_2d) == 4):
            found.append(GroundedObject(_distinct(f"{name} with the person", found), box))
    return found


def locate(frames: Sequence[Frame], labels: Sequence[str]) -> list[list[GroundedObject]]:
    """Round 2: every label on every frame, in the order of `labels`; a label not found keeps an empty box.

    Subjects are told apart by colour and by where they were on the frame before; props by class and place.
    """
    eyes = _Eyes()
    last: dict[str, Box] = {}
    result = []
    for frame in frames:
        height, width = frame.shape[:2]
        detections = eyes.detector.detect(frame)
        free = _subjects(frame, detections, eyes.segmenter)
        boxes: dict[str, Box] = {}
        for label in labels:
            if not _is_subject(label) or not free:
                continue
            chosen = max(free, key=lambda item: _likeness(label, item, frame, last.get(label)))
            free.remove(chosen)
            boxes[label] = chosen.box
        for label in labels:
            if not _is_subject(label):
                people = [boxes[name] for name in labels if name in boxes and _is_subject(name)]
                box = _prop_box(label, detections, frame, last.get(label), people)
                if box is not None:
                    boxes[label] = box
        last |= boxes
        result.append(
            [
                GroundedObject(label, to_published(boxes[label], width, height) if label in boxes else ())
                for label in labels
            ]
        )
    return result


def _subjects(frame: Frame, detections: Sequence[Detection], segmenter: Segmenter) -> list[_Subject]:
    """The people of a frame, best first; else the best animal; else what the segmenters find, as a figure."""
    people = [item for item in detections if item.label == "person"]
    sure = [item for item in people if item.score >= MIN_PERSON_SCORE] or people[:1]
    if sure:
        largest = max(item.area for item in sure)
        kept: list[Detection] = []
        for item in sure:
            apart = all(box_iou(item.box, other.box) < 0.5 for other in kept)
            if apart and item.area >= MIN_PERSON_AREA * largest:
                kept.append(item)
        return [_Subject("person", item.box, item.score) for item in kept]
    animals = [item for item in detections if item.label in _ANIMALS and item.score >= MIN_PERSON_SCORE]
    if animals:
        return [_Subject(animals[0].label, animals[0].box, animals[0].score)]
    for word, matte in (("person", segmenter.person_matte(frame)), ("figure", segmenter.matte(frame))):
        box = _largest_part(matte)
        if box is not None:
            return [_Subject(word, box, 0.0)]
    return []


def _largest_part(matte: Matte) -> Box | None:
    count, _, stats, _ = cv2.connectedComponentsWithStats((matte > 0.5).astype(np.uint8))
    if count < 2:
        return None
    best = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    if stats[best, cv2.CC_STAT_AREA] < _FALLBACK_AREA * matte.size:
        return None
    left, top, wide, high = (float(value) for value in stats[best, :4])
    return (left, top, left + wide, top + high)


def _around(box: Box, inside: Mask) -> Box:
    """The box of the subject's pixels where they fill it, else the detector's own."""
    tight = box_of_mask(inside)
    return tight if tight is not None and box_iou(tight, box) > 0.5 else box


def _subject_label(word: str, frame: Frame, inside: Mask, box: Box) -> str:
    """ "person in teal top": the commonest colour of the middle of the subject, skin left out where there is
    more.
    """
    colours = _clothing_colours(frame, inside, box)
    if word == "person":
        return (
            f"person in {colours[0]} clothing"
            if len(colours) == 1
            else f"person in {colours[0]} and {colours[1]}"
        )
    return f"{colours[0]} {word} in front"


def _clothing_colours(frame: Frame, inside: Mask, box: Box) -> list[str]:
    x1, y1, x2, y2 = box
    torso = (x1, y1 + 0.45 * (y2 - y1), x2, y1 + 0.9 * (y2 - y1))
    rows, columns = box_slices(torso, frame.shape[1], frame.shape[0])
    pixels = frame[rows, columns][inside[rows, columns]]
    if not len(pixels):
        pixels = frame[rows, columns].reshape(-1, 3)
    cloth = pixels[~_skin(pixels)]
    return dominant_colours(cloth if len(cloth) > 0.2 * len(pixels) else pixels, 0.25)[:2]


def _skin(pixels: npt.NDArray[np.uint8]) -> Mask:
    """(n, 3) RGB -> (n,): in the usual range of skin in YCrCb."""
    ycrcb = cv2.cvtColor(pixels.reshape(1, -1, 3), cv2.COLOR_RGB2YCrCb)[0]
    return np.asarray((ycrcb[:, 1] > 137) & (ycrcb[:, 1] < 177) & (ycrcb[:, 2] > 77) & (ycrcb[:, 2] < 127))


def _distinct(label: str, found: Sequence[GroundedObject]) -> str:
    """`label`, or with its number where an earlier object has the same."""
    number = 1 + sum(item.label == label or item.label.startswith(f"{label} ") for item in found)
    return label if number == 1 else f"{label} {number}"


def _at_size(mask: Mask, size: tuple[int, int]) -> Mask:
    return np.asarray(cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_AREA) > 0)


def _is_subject(label: str) -> bool:
    return not label.endswith("with the person") and any(word in label.split() for word in _SUBJECT_WORDS)


def _likeness(label: str, item: _Subject, frame: Frame, last: Box | None) -> float:
    whole = np.ones(frame.shape[:2], np.bool_)
    colours = _clothing_colours(frame, whole, grow_box(item.box, -0.15))
    same_colour = sum(colour in label.split() for colour in colours) / 2
    return item.score + same_colour + (2 * box_iou(item.box, last) if last is not None else 0.0)


def _held_word(frame: Frame, subject: Box) -> str | None:
    """What the classifier sees in a person's hands, where it is sure of it: an instrument, a bicycle."""
    rows, columns = box_slices(grow_box(subject, 0.05), frame.shape[1], frame.shape[0])
    name, probability = image_classes(frame[rows, columns], 1)[0]
    return _PROPS.get(name) if probability >= MIN_PROP_PROBABILITY else None


def _prop_word(item: Detection, frame: Frame, covered: Mask, held: str | None) -> str | None:
    height, width = frame.shape[:2]
    if item.label == "person" or item.label in _ANIMALS or item.score < MIN_PROP_SCORE:
        return None
    if box_area(item.box) > MAX_PROP_AREA * height * width:
        return None
    on_subject = float(covered[box_slices(item.box, width, height)].mean())
    if item.score >= MIN_PERSON_SCORE and on_subject <= 0.8:  # a print on a shirt is found as a phone
        return _WORDS.get(item.label, item.label)
    # The detector knows no trumpet and guesses; where its guess covers part of the subject, the classifier
    # names it.
    return held if 0.2 <= on_subject <= 0.8 else None


def _touches(box: Box, near: Mask, width: int, height: int) -> bool:
    rows, columns = box_slices(box, width, height)
    return bool(near[rows, columns].mean() > 0.05)


def _prop_box(
    label: str, detections: Sequence[Detection], frame: Frame, last: Box | None, subjects: Sequence[Box]
) -> Box | None:
    """The detection that best fits a prop's label and its last place; None where nothing fits."""
    height, width = frame.shape[:2]
    best: tuple[float, Box] | None = None
    for item in detections:
        if item.label == "person" or box_area(item.box) > MAX_PROP_AREA * height * width:
            continue
        place = box_iou(item.box, last) if last is not None else 0.0
        named = _WORDS.get(item.label, item.label) in label and item.score >= MIN_PROP_SCORE
        if not named and place < 0.3 and subjects:
            named = (_held_word(frame, subjects[0]) or "?") in label and item.score >= MIN_PROP_SCORE
        near = any(intersection_area(item.box, grow_box(box, 0.1)) > 0 for box in subjects) or not subjects
        fit = item.score + 2 * place + (1.0 if named else 0.0)
        if (named or place >= 0.5) and near and (best is None or fit > best[0]):
            best = (fit, item.box)
    return best[1] if best else None
