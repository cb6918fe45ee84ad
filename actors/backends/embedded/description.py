"""One honest sentence about a place: light, kind of place, colours and things, all measured.

What a reader gets wrong: the sentence says nothing of the subject (the instruction must not describe it), and
nothing that was not measured: no "restaurant" from a table. A word that could not be backed is left out.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded.classifier import image_classes
from actors.backends.embedded.detector import Detection
from actors.ops.boxes import box_area, intersection_area
from actors.roles import Box, Frame, Mask

_SIZE = (320, 180)
_MIN_COLOUR_SHARE = 0.18
_MIN_THING_SCORE = 0.45
_MIN_CLASS_PROBABILITY = 0.35
_MIN_GREEN_SHARE = 0.18
_MIN_SKY_SHARE = 0.45
# Upper limits of hue in degrees; what is left, up to 345, is pink, then red again.
_HUES = (
    (15, "red"),
    (42, "orange"),
    (68, "yellow"),
    (155, "green"),
    (190, "teal"),
    (255, "blue"),
    (328, "purple"),
)

INDOOR = frozenset(
    {
        "tv",
        "laptop",
        "mouse",
        "keyboard",
        "couch",
        "bed",
        "toilet",
        "refrigerator",
        "oven",
        "microwave",
        "sink",
    }
    | {"book", "clock", "chair", "vase", "remote", "dining table", "potted plant", "wine glass"}
)
OUTDOOR = frozenset(
    {
        "car",
        "bus",
        "train",
        "truck",
        "boat",
        "airplane",
        "motorcycle",
        "bench",
        "bird",
        "horse",
        "cow",
        "sheep",
    }
    | {"traffic light", "fire hydrant", "stop sign", "parking meter"}
)
# What the detector's word means in a scene; it calls every framed picture a tv.
_THINGS = {
    "tv": "a framed picture or screen",
    "book": "books",
    "couch": "a couch",
    "chair": "a chair",
    "potted plant": "a potted plant",
    "dining table": "a table",
    "bicycle": "a bicycle",
    "car": "a car",
    "bus": "a bus",
    "train": "a train",
    "truck": "a truck",
    "boat": "a boat",
    "motorcycle": "a motorcycle",
    "bench": "a bench",
    "bed": "a bed",
    "laptop": "a laptop",
    "keyboard": "a keyboard",
    "clock": "a clock",
    "vase": "a rounded vase or globe",
    "refrigerator": "a refrigerator",
    "umbrella": "an umbrella",
    "traffic light": "a traffic light",
    "bottle": "a bottle",
    "cup": "a cup",
}
# ImageNet's classes that name a part of a place.
_PLACES = {
    "sliding door": "sliding glass panels",
    "dam": "a long concrete wall",
    "bookshop": "shelves of books",
    "library": "shelves of books",
    "seashore": "a sandy shore",
    "lakeside": "a lake shore",
    "valley": "a wide valley",
    "alp": "mountains",
    "cliff": "cliffs",
    "pier": "a pier",
    "worm fence": "a wooden fence",
    "park bench": "a park bench",
    "greenhouse": "greenhouse glass",
    "window shade": "window blinds",
    "bannister": "railings",
    "stone wall": "a stone wall",
    "brick wall": "a brick wall",
    "palace": "a grand facade",
    "church": "a church",
    "stage": "stage-like lighting",
    "theater curtain": "a heavy curtain",
    "shower curtain": "a plain curtain",
    "patio": "a patio",
    "restaurant": "restaurant furniture",
    "home theater": "a large screen",
    "monitor": "a screen",
    "desk": "a desk",
}


def colour_name(rgb: npt.NDArray[np.floating]) -> str:
    """The everyday name of one colour (three levels 0..255)."""
    return str(_colour_names(np.asarray(rgb, np.float32).reshape(1, 1, 3))[0, 0])


def dominant_colours(pixels: npt.NDArray[np.uint8], least_share: float = _MIN_COLOUR_SHARE) -> list[str]:
    """Names of the colours of (n, 3) pixels, commonest first, of at least `least_share` each; never none."""
    names, counts = np.unique(_colour_names(pixels.reshape(1, -1, 3).astype(np.float32)), return_counts=True)
    order = np.lexsort((names, -counts))
    kept = [str(names[index]) for index in order if counts[index] >= least_share * counts.sum()]
    return kept or [str(names[order[0]])]


def _colour_names(rgb: npt.NDArray[np.float32]) -> npt.NDArray[np.str_]:
    hsv = cv2.cvtColor(rgb / np.float32(255.0), cv2.COLOR_RGB2HSV)
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    chroma = saturation * value
    result = np.full(hue.shape, "red", dtype="<U10")
    result[hue < 345] = "pink"
    for limit, name in reversed(_HUES):
        result[hue < limit] = name
    warm = (hue < 50) | (hue > 345)
    result[warm & (chroma < 0.55) & (value < 0.72) & (hue < 50)] = "brown"
    result[warm & (saturation < 0.42) & (value >= 0.6) & (hue < 60)] = "beige"
    result[((hue < 15) | (hue >= 290)) & (value > 0.75) & (saturation < 0.6)] = "pink"
    result[(chroma < 0.10) | ((saturation < 0.12) & (value > 0.6))] = "grey"
    result[(value > 0.85) & (saturation < 0.12)] = "white"
    result[value < 0.18] = "black"
    return result


def describe(frame: Frame, subject: Mask, subjects: list[Box], detections: list[Detection]) -> str:
    """One sentence about `frame` (H, W, 3 RGB) outside `subject` (H, W), some 160 characters at most.

    `detections` are those of the whole frame; what lies mostly on one of the `subjects` (absolute pixels) is
    left out.
    """
    small = np.asarray(cv2.resize(frame, _SIZE, interpolation=cv2.INTER_AREA), np.uint8)
    covered = np.asarray(cv2.resize(subject.astype(np.uint8), _SIZE, interpolation=cv2.INTER_AREA), np.uint8)
    free = cv2.dilate(covered, np.ones((9, 9), np.uint8)) == 0
    if free.mean() < 0.05:
        return "A close view that leaves little of the place to be seen."
    things = _things(detections, subjects)
    emptied = np.asarray(cv2.inpaint(small, (~free).astype(np.uint8) * 255, 5, cv2.INPAINT_TELEA), np.uint8)
    things += [
        _PLACES[name]
        for name, probability in image_classes(emptied, 3)
        if probability >= _MIN_CLASS_PROBABILITY and name in _PLACES and _PLACES[name] not in things
    ]
    place, extra = _place(small, free, {item.label for item in detections if item.score >= _MIN_THING_SCORE})
    colours = dominant_colours(small[free], 0.12)[:2]
    holds = [*extra, *things][:3]
    words = f"{_light(small, free)} {place} in {' and '.join(colours)}"
    with_things = f" with {_listed([*holds, _tint(small, free)])}."
    sentence = words + with_things
    return ("An " if sentence[0] in "aeiou" else "A ") + sentence


def _things(detections: list[Detection], subjects: list[Box]) -> list[str]:
    found: list[str] = []
    for item in detections:
        on_subject = any(
            intersection_area(item.box, box) > 0.6 * max(box_area(item.box), 1.0) for box in subjects
        )
        name = _THINGS.get(item.label)
        if name and not on_subject and item.score >= _MIN_THING_SCORE and name not in found:
            found.append(name)
    return found


def _place(small: npt.NDArray[np.uint8], free: Mask, labels: set[str]) -> tuple[str, list[str]]:
    """Kind of place and what of it is seen."""
    hsv = cv2.cvtColor(small.astype(np.float32) / np.float32(255.0), cv2.COLOR_RGB2HSV)
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    green = float((((hue > 65) & (hue < 165) & (saturation > 0.22) & (value > 0.15)) & free)[free].mean())
    top = free.copy()
    top[small.shape[0] // 3 :] = False
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    rough = np.abs(cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.CV_32F))
    blue = (hue > 185) & (hue < 240) & (saturation > 0.12) & (saturation < 0.75) & (value > 0.45)
    pale = (saturation < 0.14) & (value > 0.72)
    sky = float(((blue | pale) & (rough < 2.0))[top].mean()) if top.any() else 0.0
    if labels & INDOOR:
        return "indoor room", []
    seen = (["greenery"] if green >= _MIN_GREEN_SHARE else []) + (
        ["open sky"] if sky >= _MIN_SKY_SHARE else []
    )
    if seen or labels & OUTDOOR:
        return "outdoor place", seen
    if float(np.median(value[free])) < 0.22:
        return "place", []
    return "setting", []


def _light(small: npt.NDArray[np.uint8], free: Mask) -> str:
    luma = float(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)[free].mean())
    for limit, word in ((28, "dark"), (60, "dimly lit"), (105, "softly lit"), (170, "evenly lit")):
        if luma < limit:
            return word
    return "brightly lit"


def _tint(small: npt.NDArray[np.uint8], free: Mask) -> str:
    """The colour of the light, from the brighter half of what is seen."""
    pixels = small[free].astype(np.float32)
    bright = pixels[pixels.sum(axis=1) >= np.median(pixels.sum(axis=1))].mean(axis=0)
    balance = float(bright[0] - bright[2]) / max(float(bright.mean()), 1.0)
    if balance > 0.12:
        return "warm light"
    return "cool light" if balance < -0.12 else "neutral light"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
