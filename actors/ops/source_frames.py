"""The frames of one untrusted stream: decoded, checked, deinterlaced, timed, and turned into pictures.

Runs inside the child process only (see `actors.ops.normalise`). What a reader gets wrong: iterating is what
decodes. A 10-hour video costs no more than its first seconds as long as the caller stops asking.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from typing import TypeVar, cast

import av
import av.error
import numpy as np
from av.container.input import InputContainer
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from actors.ops.containers import UnreadableError
from actors.ops.normalise import CoverCrop, DecodeLimits, cover_crop
from actors.ops.video import RgbReader
from actors.roles import Frame

MAX_LEADING_ERRORS = 500
"""Packets before the first key frame of a stream that was cut anywhere (MPEG-TS) do not decode; more is
damage.
"""

T = TypeVar("T")


def decoding(step: Callable[[], T], what: str) -> T:
    """Runs one call into demuxer or decoder: its refusals become an UnreadableError, faults of ours stay."""
    try:
        return step()
    except av.error.FFmpegError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        raise UnreadableError(f"{what}: {error.strerror}") from error
    except OSError as error:  # of our file object: the demuxer was sent before its beginning
        if error.errno != errno.EINVAL:
            raise
        raise UnreadableError(f"{what}: it points outside of itself") from error
    except (ValueError, OverflowError) as error:  # PyAV's own refusals of impossible values
        raise UnreadableError(f"{what}: {error}") from error


def check_frame_size(width: int, height: int, pixel_aspect: Fraction, limits: DecodeLimits) -> None:
    """Raises UnreadableError for a frame that is too large, too small or too narrow."""
    size = f"{width}x{height}"
    if width <= 0 or height <= 0:
        raise UnreadableError(  # FFmpeg gives 0x0 where the header says more than 268 megapixels
            f"frame size missing in the file or beyond what any decoder takes; "
            f"the cap is {limits.max_side} pixels a side and {limits.max_pixels:,} in all"
        )
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise UnreadableError(
            f"frame size {size} is over the cap of {limits.max_side} pixels a side "
            f"and {limits.max_pixels:,} in all (max_side, max_pixels)"
        )
    if min(width, height) < limits.min_side:
        raise UnreadableError(f"frame size {size} is too small: at least {limits.min_side} a side (min_side)")
    aspect = width * pixel_aspect / height
    if max(aspect, 1 / aspect) > limits.max_aspect_ratio:
        raise UnreadableError(
            f"frame size {size} is shown as {float(aspect):.2f}:1, "
            f"the limit is {limits.max_aspect_ratio:g}:1 either way (max_aspect_ratio)"
        )


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Width of one pixel to its height; 1 where the file says nothing."""
    return stream.sample_aspect_ratio or Fraction(1)


Turn = tuple[bool, bool, bool]
"""(transpose, then flip left-right, then flip upside-down)."""
UPRIGHT: Turn = (False, False, False)


class OrientationReader:
    """The display matrix of the frames of one stream, as the nearest quarter turn, mirrored or not.

    Looks at the matrix where the angle differs from the frame before: in PyAV 18, reading a frame's side
    data ties the frame into a reference cycle, and 81 frames of 4K then wait in memory (1.2 GB) for the
    garbage collector.
    """

    def __init__(self) -> None:
        self._rotation: int | None = None
        self._turn = UPRIGHT

    def turn(self, frame: VideoFrame) -> Turn:
        if frame.rotation != self._rotation:
            self._rotation, self._turn = frame.rotation, _turn(frame)
        return self._turn


def _turn(frame: VideoFrame) -> Turn:
    side_data = cast(SideDataContainer, frame.side_data)
    found = [data for data in side_data if data.type is SideDataType.DISPLAYMATRIX]
    if not found:
        return UPRIGHT
    matrix = np.frombuffer(bytes(found[0]), np.int32)
    # FFmpeg: x' = a x + c y, y' = b x + d y with (a, b, u, c, d, v, x, y, w) in the matrix.
    a, b, _, c, d = matrix[:5].astype(np.int64).tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, c < 0, b < 0
    return False, a < 0, d < 0


class SourceFrames:
    """The frames of a stream in order of display, progressive, at strictly rising times from 0.

    Iterate once. Raises UnreadableError at the first frame that does not decode; frames before the first
    key frame of a cut stream are skipped, and so are frames whose time does not rise.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, limits: DecodeLimits, *, fps: int
    ) -> None:
        self._container = container
        self._stream = stream
        self._limits = limits
        self._fps = fps
        self.times: list[Fraction] = []
        """Of the frames given out so far, seconds after the first."""
        self.last_duration = Fraction(0)
        """Of the latest frame: as long as it says, but not longer than any frame before it."""
        self.interlaced = False
        """Whether the first frame was; what is given out is progressive."""

    @property
    def end(self) -> Fraction:
        """Seconds from the first frame to the end of the latest."""
        return self.times[-1] + self.last_duration if self.times else Fraction(0)

    def __iter__(self) -> Iterator[VideoFrame]:
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(self._fps)
        longest_gap = Fraction(0)
        start: Fraction | None = None
        clock = -1 / rate
        for frame in self._deinterlaced():
            unit = frame.time_base or 1 / rate
            clock = frame.pts * unit if frame.pts is not None else clock + 1 / rate  # AVI stores no times
            start = clock if start is None else start
            time = clock - start
            if self.times and time <= self.times[-1]:
                continue
            if frame.is_corrupt:
                raise UnreadableError(f"damaged: the frame at {float(time):.2f} s does not decode")
            check_frame_size(frame.width, frame.height, Fraction(1), self._limits)
            if self.times:
                longest_gap = max(longest_gap, time - self.times[-1])
            self.times.append(time)
            stated = frame.duration * unit if frame.duration else 1 / rate
            self.last_duration = min(stated, longest_gap or Fraction(1, self._fps))
            yield frame

    def _deinterlaced(self) -> Iterator[VideoFrame]:
        """Interlaced frames through bwdif, one frame a frame; decided by the first frame of the stream."""
        decoded = self._decoded()
        first = next(decoded, None)
        if first is None:
            return
        if not first.interlaced_frame:
            yield from chain((first,), decoded)
            return
        self.interlaced = True
        graph = Graph()
        graph.threads = 1
        deinterlacer = graph.add("bwdif", "mode=send_frame:deint=interlaced")
        graph.link_nodes(graph.add_buffer(template=self._stream), deinterlacer, graph.add("buffersink"))
        graph.configure()
        for frame in chain((first,), decoded, (None,)):
            graph.vpush(frame)
            while True:
                try:
                    yield graph.vpull()
                except (av.error.BlockingIOError, av.error.EOFError):
                    break

    def _decoded(self) -> Iterator[VideoFrame]:
        packets = self._container.demux(self._stream)
        count = 0
        leading_errors: list[UnreadableError] = []
        while (packet := decoding(lambda: next(packets, None), "damaged")) is not None:
            try:
                frames = decoding(packet.decode, f"damaged: the video does not decode after frame {count}")
            except UnreadableError as error:
                leading_errors.append(error)
                if count or len(leading_errors) > MAX_LEADING_ERRORS:
                    raise
                continue
            for frame in frames:
                if frame.is_corrupt and count == 0:
                    continue
                count += 1
                if count > self._limits.max_decoded_frames:
                    raise UnreadableError(
                        f"more than {self._limits.max_decoded_frames} frames in the few seconds "
                        f"that are needed (max_decoded_frames)"
                    )
                yield frame
        if count == 0 and leading_errors:
            raise leading_errors[0]


class PictureMaker:
    """Decoded frame in, RGB of the target size out: scaled to cover, cropped, turned as the display matrix
    says.
    """

    def __init__(self, size: tuple[int, int], aspect: Fraction) -> None:
        self._size = size
        self._aspect = aspect
        self._reader = RgbReader()
        self._orientation = OrientationReader()
        self._crop = lru_cache(self._cover)

    def _cover(self, width: int, height: int, quarter_turn: bool) -> CoverCrop:
        return cover_crop(
            (width, height), pixel_aspect=self._aspect, quarter_turn=quarter_turn, target=self._size
        )

    def picture(self, frame: VideoFrame) -> Frame:
        """(target height, target width, 3) RGB uint8."""
        transpose, mirror, upside_down = self._orientation.turn(frame)
        crop = self._crop(frame.width, frame.height, transpose)
        rgb = self._reader.read(frame, width=crop.scaled_width, height=crop.scaled_height)
        rgb = rgb[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
        if transpose:
            rgb = rgb.transpose(1, 0, 2)
        return np.ascontiguousarray(rgb[:: -1 if upside_down else 1, :: -1 if mirror else 1])
