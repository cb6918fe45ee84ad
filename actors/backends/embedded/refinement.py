"""The last touch on voted masks: what a still camera knows, what the colours say, and where the picture has
edges.

What a reader gets wrong: nothing here finds the subject. The vote does; this only weighs four voices per
pixel, for and against: the vote, the selfie models on this very frame, the colours of subject and
surroundings, and the background as other frames show it at the same place (the camera stands still). A colour
that both sides have decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded.segmenter import Segmenter
from actors.ops.boxes import box_of_mask, box_slices
from actors.roles import Clip, Frame, Mask

GRID_HEIGHT = 360
"""Rows of the grid on which the evidence is weighed: 640x360 for 16:9."""
VOTE_WEIGHT = 3.0
"""Log-odds of a pixel that the vote finds foreground."""
PERSON_WEIGHT = 2.0
"""Log-odds of a pixel that the selfie models find a person for certain."""
MAX_COLOUR_LOG_ODDS = 3.5
"""Colour alone cannot outvote the vote and the selfie models where they agree (5.0)."""
MIN_PERSON_SHARE = 0.5
"""The selfie models are heard only where they find at least this share of the voted mask: not on a dog."""
BINS = 16
"""Colour bins a channel."""
RING_PX = 28
"""The surroundings are looked at in a ring this wide round the mask."""
GAP_PX = 7
"""And the subject this far inside of its outline, the background this far outside: edges are mixed colours.
"""
MIN_PLATE_FRAMES = 6
"""A pixel's background is known where at least so many frames show it free of the subject."""
MIN_PLATE_SPREAD = 6.0
"""Least spread, in levels, granted to the known background: noise, compression, a cloud."""
LIKELY_FOREIGN_LOG_ODDS = -0.5
SURE_FOREIGN_LOG_ODDS = -2.0
"""Under these a patch inside the vote is likely, or surely, background seen through the subject."""
MIN_FOREIGN_PX = 250
"""Least area of such a patch on the 360-row grid: buttons and eyes are smaller."""
MAX_FOREIGN_SHARE = 0.08
"""More foreign colour than this share of the subject is no gap but a subject of the background's colours."""
MAX_FOREIGN_BELIEF = 0.7
"""Nor is it one of which u2netp is as sure as this, on average over `ASKED_FRAMES` frames."""
ASKED_FRAMES = 5
FOREIGN_WEIGHT = 2.5
_SMALL_DISC = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)), np.uint8)
_MIN_PART = 0.1  # smaller parts than this share of the largest must be a person's to stay
_MIN_PERSON_PART = 0.01
_GUIDE_RADIUS = 2
_GUIDE_EPS = 1e-4

Grid = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Colours:
    """Colour densities (BINS, BINS, BINS) of any sum."""

    subject: Floats
    ground: Floats
    distinct: bool = True
    """False where the subject has too much of the background's colours for these to tell them apart."""


@dataclass(frozen=True)
class Plate:
    """The background without the subject, where it is known."""

    mean: Floats
    """(h, w, 3), levels."""
    spread: Floats
    """(h, w, 3), levels."""
    known: Mask
    """(h, w)."""


def refined(clip: Clip, masks: Iterator[Mask], segmenter: Segmenter) -> Iterator[Mask]:
    """The masks (H, W) of every frame, in order, with the evidence of `refinement` weighed in.

    The clip is decoded once at 360 rows and held as bytes (56 MB for 81 frames). Raises ValueError where
    masks and frames differ in number.
    """
    frames: list[Frame] = []
    votes: list[Grid] = []
    people: list[Grid] = []
    for frame, mask in zip(clip.frames(height=min(GRID_HEIGHT, clip.height)), masks, strict=True):
        size = (frame.shape[1], frame.shape[0])
        vote = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
        frames.append(frame)
        votes.append(np.asarray(vote, np.uint8))
        box = box_of_mask(vote > 127)
        matte = segmenter.person_matte(frame, [box]) if box else np.zeros(size[::-1], np.float32)
        people.append((matte * 255).astype(np.uint8))
    heard = _person_share(votes, people) >= MIN_PERSON_SHARE
    plate = background_plate(frames, votes, people)
    usual = _usual_colours(frames, votes, segmenter if heard else None, plate)
    for frame, vote, person in zip(frames, votes, people, strict=True):
        voted = box_of_mask(vote > 127)
        full = np.zeros((clip.height, clip.width), np.bool_)
        if voted is None:
            yield full
            continue
        height, width = vote.shape
        x1, y1, x2, y2 = voted
        part = box_slices((x1 - RING_PX, y1 - RING_PX, x2 + RING_PX, y2 + RING_PX), width, height)
        here = Plate(plate.mean[part], plate.spread[part], plate.known[part])
        smooth = np.zeros(vote.shape, np.float32)
        smooth[part] = _weighed(frame[part], vote[part], person[part] if heard else None, usual, here)
        smooth = _whole_subject(smooth, person if heard else None)
        large = cv2.resize(smooth, (clip.width, clip.height), interpolation=cv2.INTER_CUBIC)
        yield np.asarray(large > 0.5)


def _weighed(frame: Frame, vote: Grid, person: Grid | None, usual: Colours, plate: Plate) -> Floats:
    """Probability, 0..1, that each pixel of this part of a frame is foreground."""
    foreign = _foreign(colour_log_odds(frame, usual, plate, vote), LIKELY_FOREIGN_LOG_ODDS)
    own = _colours(frame, vote, foreign if usual.distinct else None)
    mixed = Colours(own.subject + usual.subject, own.ground + usual.ground)
    colour = colour_log_odds(frame, mixed, plate, vote)
    odds = VOTE_WEIGHT * (vote.astype(np.float32) / 127.5 - 1.0) + colour
    if person is not None:
        odds += PERSON_WEIGHT * (person.astype(np.float32) / 127.5 - 1.0)
    if usual.distinct:
        odds[_foreign(colour, SURE_FOREIGN_LOG_ODDS)] -= FOREIGN_WEIGHT
    odds[_outside(vote) > RING_PX] = -8.0
    probability = (1.0 / (1.0 + np.exp(-odds))).astype(np.float32)
    guide = np.ascontiguousarray(frame).astype(np.float32) / 255.0
    return np.asarray(cv2.ximgproc.guidedFilter(guide, probability, _GUIDE_RADIUS, _GUIDE_EPS), np.float32)


def _foreign(colour: Floats, limit: float) -> Mask:
    """Patches, not single pixels, whose colours are the background's: the sky seen under an arm."""
    patches = cv2.morphologyEx((colour < limit).astype(np.uint8), cv2.MORPH_OPEN, _SMALL_DISC)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(patches)
    large = stats[:, cv2.CC_STAT_AREA] >= MIN_FOREIGN_PX
    large[0] = False
    return np.asarray(large[labels] if count > 1 else np.zeros(colour.shape, np.bool_))


def background_plate(frames: list[Frame], votes: list[Grid], people: list[Grid]) -> Plate:
    """Mean and spread of every pixel over the frames that show it free of the subject."""
    shape = frames[0].shape
    total, squares = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    count = np.zeros(shape[:2], np.float32)
    for frame, vote, person in zip(frames, votes, people, strict=True):
        free = (_outside(vote) > GAP_PX) & (person < 64)
        levels = frame.astype(np.float32) * free[..., None]
        total += levels
        squares += levels * levels
        count += free
    times = np.maximum(count, np.float32(1.0))[..., None]
    mean = total / times
    spread = np.sqrt(np.maximum(squares / times - mean * mean, np.float32(MIN_PLATE_SPREAD**2)))
    return Plate(np.asarray(mean, np.float32), np.asarray(spread, np.float32), count >= MIN_PLATE_FRAMES)


def colour_log_odds(frame: Frame, colours: Colours, plate: Plate, vote: Grid) -> Floats:
    """Log of how much better the subject's colours explain each pixel than the background: (h, w), clipped.

    Where the plate is known it speaks for the background, else the surroundings' colours do.
    """
    red, green, blue = (frame[..., channel] // (256 // BINS) for channel in range(3))
    uniform = 1.0 / BINS**3
    as_subject = 0.9 * colours.subject[red, green, blue] / max(float(colours.subject.sum()), 1e-6)
    as_subject += 0.1 * uniform
    as_ground = 0.9 * colours.ground[red, green, blue] / max(float(colours.ground.sum()), 1e-6)
    as_ground += 0.1 * uniform
    mean, spread = _lit_plate(frame, plate, vote)
    distance = ((frame.astype(np.float32) - mean) / spread) ** 2
    # A Gaussian over three channels, as a density a bin of 16 levels.
    bell = np.exp(-0.5 * distance.sum(axis=-1)) * np.minimum(
        (256 / BINS) ** 3 / ((2 * np.pi) ** 1.5 * spread.prod(axis=-1)), 1.0
    )
    as_ground = np.where(plate.known, 0.85 * bell + 0.15 * as_ground, as_ground)
    odds = np.log(as_subject) - np.log(as_ground)
    odds = cv2.blur(np.clip(odds, -MAX_COLOUR_LOG_ODDS, MAX_COLOUR_LOG_ODDS).astype(np.float32), (3, 3))
    return np.asarray(odds, np.float32)


def _lit_plate(frame: Frame, plate: Plate, vote: Grid) -> tuple[Floats, Floats]:
    """The plate under this frame's light: gain and offset a channel, fitted where the frame shows the
    background.
    """
    free = plate.known & (_outside(vote) > GAP_PX)
    sample = np.flatnonzero(free.ravel())[::7]
    if len(sample) < 200:
        return plate.mean, plate.spread * 4.0
    mean, spread = np.empty_like(plate.mean), np.empty_like(plate.spread)
    for channel in range(3):
        known = plate.mean[..., channel].ravel()[sample]
        seen = frame[..., channel].ravel()[sample].astype(np.float32)
        gain, offset = (
            np.polyfit(known, seen, 1) if float(known.std()) > 2.0 else (1.0, float((seen - known).mean()))
        )
        mean[..., channel] = plate.mean[..., channel] * gain + offset
        rest = float(np.median(np.abs(known * gain + offset - seen))) * 1.48
        spread[..., channel] = np.maximum(plate.spread[..., channel], rest)
    return mean, spread


def _colours(frame: Frame, vote: Grid, foreign: Mask | None = None) -> Colours:
    """The colours of the subject, well inside its outline and less `foreign`, and of the ring round it."""
    body = (vote > 127).astype(np.uint8)
    depth = cv2.distanceTransform(np.pad(body, 1, mode="edge"), cv2.DIST_L2, 3)[1:-1, 1:-1]
    away = _outside(vote)
    inside = depth > GAP_PX
    if foreign is not None:
        inside &= ~foreign
    return Colours(_density(frame, inside), _density(frame, (away > GAP_PX) & (away <= RING_PX)))


def _usual_colours(
    frames: list[Frame], votes: list[Grid], segmenter: Segmenter | None, plate: Plate
) -> Colours:
    """Over the clip. A patch of background within the vote must not teach its colour as the subject's.

    Colours that look foreign are left out in a second look, as long as they are few (else, a dark shirt
    before a dark wall, they are the subject's too) and u2netp doubts them on some frames (of a badge it is
    sure).
    """
    pairs = list(zip(frames, votes, strict=True))[::4]
    usual = _mean_colours([_colours(frame, vote) for frame, vote in pairs])
    if segmenter is None:
        return replace(usual, distinct=False)
    asked = set(np.linspace(0, len(pairs) - 1, min(ASKED_FRAMES, len(pairs))).round().astype(int).tolist())
    second, foreign_px, subject_px, asked_px, belief = [], 0, 0, 0, 0.0
    for number, (frame, vote) in enumerate(pairs):
        foreign = _foreign(colour_log_odds(frame, usual, plate, vote), LIKELY_FOREIGN_LOG_ODDS)
        within = foreign & (cv2.erode(vote, _SMALL_DISC) > 127)  # the rim is doubted anyway
        foreign_px += int(within.sum())
        subject_px += int((vote > 127).sum())
        second.append(_colours(frame, vote, foreign))
        box = box_of_mask(vote > 127)
        if number in asked and box is not None and within.any():
            asked_px += int(within.sum())
            belief += float(segmenter.matte(frame, box)[within].sum())
    few = foreign_px <= MAX_FOREIGN_SHARE * subject_px
    if few and belief <= MAX_FOREIGN_BELIEF * asked_px:
        return _mean_colours(second)
    return replace(usual, distinct=False)


def _mean_colours(several: list[Colours]) -> Colours:
    subject = np.mean([one.subject for one in several], axis=0)
    ground = np.mean([one.ground for one in several], axis=0)
    return Colours(np.asarray(subject, np.float32), np.asarray(ground, np.float32))


def _outside(vote: Grid) -> Floats:
    """Distance of each pixel to the voted mask, 0 inside; pixels of the grid."""
    free = (vote <= 127).astype(np.uint8)
    if free.all():
        return np.full(vote.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, 3), np.float32)


def _density(frame: Frame, where: Mask) -> Floats:
    bins = (frame[where] // (256 // BINS)).astype(np.int64)
    index = (bins[:, 0] * BINS + bins[:, 1]) * BINS + bins[:, 2]
    counts = np.bincount(index, minlength=BINS**3).astype(np.float32).reshape(BINS, BINS, BINS)
    for axis in range(3):  # neighbouring bins hold neighbouring colours
        padded = np.pad(counts, [(1, 1) if i == axis else (0, 0) for i in range(3)], mode="edge")
        before, after = np.take(padded, range(BINS), axis), np.take(padded, range(2, BINS + 2), axis)
        counts = 0.25 * before + 0.5 * counts + 0.25 * after
    return np.asarray(counts / max(float(counts.sum()), 1.0), np.float32)


def _person_share(votes: list[Grid], people: list[Grid]) -> float:
    found = sum(
        int(((vote > 127) & (person > 127)).sum()) for vote, person in zip(votes, people, strict=True)
    )
    return found / max(sum(int((vote > 127).sum()) for vote in votes), 1)


def _whole_subject(probability: Floats, person: Grid | None) -> Floats:
    """Without specks and loose parts: a part stays if it is large, or small and a person's (a hand before a
    wheel).
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats((probability > 0.5).astype(np.uint8))
    if count < 3:
        return probability
    area = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    share = area / area[1:].max()
    keep = share >= _MIN_PART
    if person is not None:
        likely = np.bincount(labels.ravel(), weights=person.ravel(), minlength=count) / area / 255.0
        keep |= (share >= _MIN_PERSON_PART) & (likely > 0.75)
    keep[0] = True
    return np.where(keep[labels], probability, np.float32(0.0))
