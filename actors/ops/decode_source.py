"""Decodes one untrusted source by the rule of `actors.ops.normalise` and writes the normalised clip.

Runs inside the child process only. What a reader gets wrong: nothing the header says is believed where it
matters. The header can refuse a file early (size, length, codec); a clip is kept byte for byte only after
all its frames decoded.

Allow-lists: the containers of `containers.choose_demuxer`; the codecs that cameras, phones and video sites
produce. Fewer decoders are a smaller surface, and only these are exercised by our tests. The demuxer reads
from an open file object and may open nothing itself.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container.input import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, ColorTrc
from av.video.stream import VideoStream

from actors.ops.containers import UnreadableError, check_iso_boxes, choose_demuxer
from actors.ops.normalise import FRAME0_NAME, VIDEO_NAME, DecodeLimits, NearestFrames, floor_to_4n1
from actors.ops.source_frames import (
    UPRIGHT,
    OrientationReader,
    PictureMaker,
    SourceFrames,
    check_frame_size,
    decoding,
    pixel_aspect,
)
from actors.ops.video import VideoClip, VideoWriter, write_png
from actors.roles import Frame

CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg", "prores", "dnxhd")
_DECODERS = ",".join((*CODECS, "libdav1d", "libvpx", "libvpx-vp9"))
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts"
_KEPT_MATRICES = (1, 2, 5, 6)
"""AVColorSpace: BT.709, unspecified, BT.601 (625 and 525 lines)."""


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Does the order of `normalise.normalise`: {"result": fields of NormalisedSource} or {"reason": text}."""
    limits = DecodeLimits(**order["limits"])
    job = SourceDecoder(
        Path(order["source"]),
        Path(order["out_dir"]),
        limits,
        size=(order["width"], order["height"]),
        fps=order["fps"],
        max_frames=order["max_frames"],
        min_frames=order["min_frames"],
    )
    try:
        return {"result": job.run()}
    except UnreadableError as error:
        return {"reason": str(error)}
    except MemoryError:
        mib = limits.memory_bytes // 2**20
        return {"reason": f"the decoder ran out of memory (limit {mib:,} MiB, memory_bytes)"}


class SourceDecoder:
    """One source, opened at most twice: once to see whether it conforms, once to convert it."""

    def __init__(
        self,
        source: Path,
        out_dir: Path,
        limits: DecodeLimits,
        *,
        size: tuple[int, int],
        fps: int,
        max_frames: int,
        min_frames: int,
    ) -> None:
        self._source = source
        self._video = out_dir / VIDEO_NAME
        self._frame0 = out_dir / FRAME0_NAME
        self._limits = limits
        self._size = size
        self._fps = fps
        self._max_frames = max_frames
        self._min_frames = min_frames
        self._distinct = 0

    def run(self) -> dict[str, Any]:
        try:
            descriptor = os.open(self._source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise UnreadableError(f"the file cannot be read: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            demuxer = choose_demuxer(file.read(4096))
            if demuxer == "mov":
                check_iso_boxes(file)
            with self._open(file, demuxer) as container:
                stream = self._video_stream(container)
                facts = self._facts(stream)
                frames = SourceFrames(container, stream, self._limits, fps=self._fps)
                deviation = self._header_deviation(container, stream, demuxer)
                if not deviation:
                    deviation = self._decoded_deviation(frames, stream)
            if deviation:
                with self._open(file, demuxer) as container:
                    stream = self._video_stream(container)
                    frames = SourceFrames(container, stream, self._limits, fps=self._fps)
                    num_frames = self._convert(container, frames, pixel_aspect(stream))
            else:
                file.seek(0)
                with self._video.open("wb") as copy:
                    shutil.copyfileobj(file, copy)
                num_frames = self._distinct
        write_png(VideoClip(self._video).pick([0])[0], self._frame0)
        span = float(frames.times[-1])
        return {
            "num_frames": num_frames,
            "kept_bytes": not deviation,
            "deviation": deviation,
            "distinct_frames": self._distinct,
            "source_fps": round((len(frames.times) - 1) / span, 3) if span else 0.0,
            **facts,
        }

    def _open(self, file: BinaryIO, demuxer: str) -> InputContainer:
        file.seek(0)
        return decoding(
            lambda: av.open(
                file,
                mode="r",
                format=demuxer,
                metadata_errors="replace",
                options={
                    "protocol_whitelist": "none",  # what the file refers to stays closed
                    "format_whitelist": _CONTAINERS,
                    "codec_whitelist": _DECODERS,
                    "max_pixels": str(self._limits.max_pixels),
                    "probesize": "5000000",
                    "analyzeduration": "5000000",
                },
            ),
            "damaged or not a video",
        )

    def _video_stream(self, container: InputContainer) -> VideoStream:
        """The first video stream that is no cover picture, within the limits, set to one thread."""
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            kind = "audio only" if container.streams.audio else "no picture that moves"
            raise UnreadableError(f"no video stream: the file holds {kind}")
        stream = streams[0]
        if stream.codec_context is not None:
            check_frame_size(stream.width, stream.height, pixel_aspect(stream), self._limits)
        if stream.codec_context is None or stream.codec_context.codec.canonical_name not in CODECS:
            codec = "unknown" if stream.codec_context is None else stream.codec_context.codec.canonical_name
            raise UnreadableError(f"video codec {codec} is not read; these are: {', '.join(CODECS)}")
        if stream.color_trc == ColorTrc.SMPTE2084:
            raise UnreadableError(
                "HDR video (PQ): its colours would be wrong; convert it to SDR (BT.709) first"
            )
        lengths = [Fraction(container.duration or 0, av.time_base)]
        if stream.duration and stream.time_base:
            lengths.append(stream.duration * stream.time_base)
        if max(lengths) > self._limits.max_duration_s:
            raise UnreadableError(
                f"the video is {float(max(lengths)) / 3600:.2f} hours long, "
                f"the limit is {self._limits.max_duration_s / 3600:.2f} (max_duration_s)"
            )
        stream.codec_context.options = {"max_pixels": str(self._limits.max_pixels)}
        stream.thread_count = 1
        return stream

    @staticmethod
    def _facts(stream: VideoStream) -> dict[str, Any]:
        context = stream.codec_context
        return {
            "source_width": context.width,
            "source_height": context.height,
            "source_codec": context.codec.canonical_name,
            "source_pixel_format": context.pix_fmt or "unknown",
        }

    def _header_deviation(self, container: InputContainer, stream: VideoStream, demuxer: str) -> str:
        """The first thing in the header that breaks the rule, or ""."""
        context = stream.codec_context
        size = (context.width, context.height)
        brand = container.metadata.get("major_brand", "").strip()
        checks = (
            (demuxer != "mov" or brand in ("", "qt"), f"{brand or demuxer} container"),
            (len(container.streams) != 1, f"{len(container.streams)} streams"),
            (context.codec.canonical_name != "h264", context.codec.canonical_name),
            (context.pix_fmt != "yuv420p", f"pixel format {context.pix_fmt}"),
            (context.colorspace not in _KEPT_MATRICES, f"colour matrix {context.colorspace}"),
            (context.color_range == ColorRange.JPEG, "full range"),
            (size != self._size, f"{size[0]}x{size[1]}"),
            (pixel_aspect(stream) != 1, f"pixel aspect {pixel_aspect(stream)}"),
            (stream.average_rate != self._fps, f"{float(stream.average_rate or 0):.4g} frames a second"),
            (
                not self._min_frames <= stream.frames <= self._max_frames
                or stream.frames != floor_to_4n1(stream.frames),
                f"{stream.frames} frames",
            ),
            (bool(stream.start_time), "does not start at 0"),
            (container.size > self._limits.max_output_bytes, f"{container.size:,} bytes"),
        )
        return next((text for found, text in checks if found), "")

    def _decoded_deviation(self, frames: SourceFrames, stream: VideoStream) -> str:
        """Decodes the whole clip; the first thing in its frames that breaks the rule, or ""."""
        orientation = OrientationReader()
        for count, frame in enumerate(frames):
            if abs(frames.times[-1] - Fraction(count, self._fps)) > Fraction(1, 1000):
                return "uneven frame times"
            if frames.interlaced or frame.interlaced_frame:
                return "interlaced"
            if orientation.turn(frame) != UPRIGHT:
                return "display matrix"
            if (frame.width, frame.height) != self._size or frame.format.name != "yuv420p":
                return "frames differ from the header"
        self._distinct = len(frames.times)
        return "" if self._distinct == stream.frames else "frames hidden by an edit list"

    def _convert(self, container: InputContainer, frames: SourceFrames, aspect: Fraction) -> int:
        self._distinct = 0
        with VideoWriter(self._video, fps=self._fps) as writer:
            for frame in _floored(self._pictures(frames, PictureMaker(self._size, aspect))):
                writer.write(frame)
            self._check_length(container, frames, writer.num_frames)
        return writer.num_frames

    def _check_length(self, container: InputContainer, frames: SourceFrames, num_frames: int) -> None:
        promised, end = Fraction(container.duration or 0, av.time_base), frames.end
        if not frames.times:
            raise UnreadableError("damaged: not one frame of the video decodes")
        if num_frames < self._max_frames and len(container.streams) == 1:
            missing = promised - end
            if missing > max(Fraction(1, 2), promised / 10):
                raise UnreadableError(
                    f"truncated: the header promises {float(promised):.2f} s, "
                    f"the frames end at {float(end):.2f} s"
                )
        if num_frames < self._min_frames:
            raise UnreadableError(
                f"too short: {float(end):.2f} s give {num_frames} frames at {self._fps} a second "
                f"(floored to 4n+1), at least {self._min_frames} are needed (min_frames)"
            )

    def _pictures(self, frames: SourceFrames, maker: PictureMaker) -> Iterator[Frame]:
        """One RGB frame of the target size a tick."""
        nearest = NearestFrames(self._fps, self._max_frames)
        previous: VideoFrame | None = None
        for frame in frames:
            owned = nearest.advance(frames.times[-1])
            if previous is not None and owned:
                self._distinct += 1
                yield from [maker.picture(previous)] * owned
            if nearest.complete:
                return
            previous = frame
        if previous is not None and (owned := nearest.finish(frames.last_duration)):
            self._distinct += 1
            yield from [maker.picture(previous)] * owned


def _floored(frames: Iterable[Frame]) -> Iterator[Frame]:
    """`frames` without the last one, two or three, so that 4n+1 are left; holds back at most four."""
    held: list[Frame] = []
    for index, frame in enumerate(frames):
        held.append(frame)
        if index == floor_to_4n1(index + 1) - 1:
            yield from held
            held.clear()
