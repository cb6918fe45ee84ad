"""The embedded "video generator": the source's foreground laid over the animated background, frame by frame.

What a reader gets wrong: this is a compositor, not a generator. It paints no pixel of its own; the control
video is not read, because mask, source and background, from which it was made, are at hand. The first frame's
look is taken from `start_image`, whichever editor made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import cv2
import numpy as np

from actors.backends.embedded.support import support_region
from actors.ops.masks import unpack_rows
from actors.ops.matte import MatteStream
from actors.ops.relight import Relight, composite, ground_shadow, match_relight, relight_toward
from actors.roles import ControlRequest, Frame, Mask, SampleError

_ERODE = 25  # pixels: the inside of the mask from which the light is fitted
_MAX_MISFIT = 18.0  # 8-bit levels, median: above it the start image's foreground is not the source's, relit
_SUPPORT_LOOKS = 4  # frames of the clip that are searched for what the subject rests on


class SceneCompositor:
    """ControlToVideo without a model. 0.1 CPU seconds a 720p frame; holds a few frames at a time."""

    def synthesize(self, request: ControlRequest) -> Iterator[Frame]:
        """`num_frames` frames of the shape of the source; the same light over the whole clip.

        Raises SampleError where masks, source or background are shorter than `num_frames` or of another size.
        """
        cv2.setNumThreads(1)
        count, height, width = request.num_frames, request.source.height, request.source.width
        shape = (height, -(-width // 8))
        if request.masks.shape[0] < count or request.masks.shape[1:] != shape:
            raise SampleError(
                f"masks are {request.masks.shape}, the clip needs {(count, *shape)} (packed rows of {width})"
            )
        for name, clip in (("source", request.source), ("background", request.background)):
            if clip.num_frames < count:
                raise SampleError(f"the {name} has {clip.num_frames} frames, {count} are needed")
        if (request.background.width, request.background.height) != (width, height):
            raise SampleError(
                f"the background is {request.background.width}x{request.background.height}, the source "
                f"{width}x{height}"
            )
        return self._frames(request, width)

    def _frames(self, request: ControlRequest, width: int) -> Iterator[Frame]:
        sources, backgrounds = request.source.frames(), request.background.frames()
        first, first_background = next(sources), next(backgrounds)
        mask = unpack_rows(request.masks[0], width)
        light = _light(request, first, mask, first_background)
        support = _support(request, light, first, width)
        grounded = bool(support.any())
        matte = MatteStream()
        for index, (frame, background) in enumerate(
            zip(chain([first], sources), chain([first_background], backgrounds), strict=False)
        ):
            if index == request.num_frames:
                return
            mask = unpack_rows(request.masks[index], width)
            behind = background if grounded else ground_shadow(background, mask)
            yield composite(matte.cut(frame, mask | support), behind, light)


def _light(request: ControlRequest, source: Frame, mask: Mask, background: Frame) -> Relight:
    """The map from source to start image inside the mask; toward the background where there is no such
    map.
    """
    inside = np.asarray(cv2.erode(mask.astype(np.uint8), np.ones((_ERODE, _ERODE), np.uint8)), dtype=np.bool_)
    if inside.sum() < 200:
        inside = mask
    light = match_relight(source, request.start_image, inside)
    if inside.any():
        misfit = np.abs(light.apply(source).astype(np.int16) - request.start_image)[inside]
        if float(np.median(misfit)) <= _MAX_MISFIT:
            return light
    return relight_toward(source, mask, background)


def _support(request: ControlRequest, light: Relight, first: Frame, width: int) -> Mask:
    """What the start image keeps besides the mask because the subject rests on it (desk, bench); it stands
    still.

    Searched in the source at several frames, since a moving arm uncovers more of a desk; kept only where the
    start image shows it too.
    """
    looks = sorted({request.num_frames * part // _SUPPORT_LOOKS for part in range(_SUPPORT_LOOKS)})
    found = np.zeros(first.shape[:2], dtype=np.bool_)
    subject = unpack_rows(request.masks[0], width)
    misfit = np.abs(light.apply(first).astype(np.int16) - request.start_image)
    for index, frame in zip(looks, request.source.pick(looks), strict=True):
        region = support_region(frame, unpack_rows(request.masks[index], width))
        shown = region & ~subject
        if shown.any() and float(np.median(misfit[shown])) <= _MAX_MISFIT:
            found |= region
    return found
