"""A chat request as OpenAI-style messages, which servers and vLLM's own `LLM.chat` take alike.

What a reader gets wrong: a video goes out in one of three ways. `images` is understood everywhere: each frame
is a picture behind its time, written as Qwen3-VL writes it. `frames` is vLLM's `data:video/jpeg`: exactly
these frames, as a video. `mp4` is one file, from which the server picks frames by its own rule, and frames of
one second or less are then lost where it samples at 1 or 2 frames a second.
"""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from actors.backends.chat import ChatRequest
from actors.ops.video import encode_video, png_bytes
from actors.roles import Frame

Message = dict[str, Any]


@dataclass(frozen=True)
class MediaForm:
    """How pictures and videos are written. PNG loses nothing: 0.5-1.5 MB for 1280x720, JPEG a tenth."""

    image_format: Literal["png", "jpeg"] = "png"
    jpeg_quality: int = 95
    video_as: Literal["images", "frames", "mp4"] = "images"

    def __post_init__(self) -> None:
        if self.image_format not in ("png", "jpeg"):
            raise ValueError(f"image_format {self.image_format!r} is neither 'png' nor 'jpeg'")
        if not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality {self.jpeg_quality} is not in 1..100")
        if self.video_as not in ("images", "frames", "mp4"):
            raise ValueError(f"video_as {self.video_as!r} is none of 'images', 'frames', 'mp4'")


def messages_of(request: ChatRequest, form: MediaForm) -> list[Message]:
    """The system message if there is one, then the user's: pictures or video, then the text.

    Raises ValueError for a request with both images and a video.
    """
    if request.images and request.video:
        raise ValueError(f"{request.key}: a request has images or a video, this one has both")
    parts = [_picture(image_url(image, form)) for image in request.images]
    if request.video:
        parts += _video(request, form)
    parts.append({"type": "text", "text": request.text})
    system = [{"role": "system", "content": request.system}] if request.system else []
    return [*system, {"role": "user", "content": parts}]


def media_arguments(request: ChatRequest, form: MediaForm) -> dict[str, Any]:
    """What a vLLM server must be told beside the messages: the frame rate of `frames`."""
    if not request.video or form.video_as != "frames":
        return {}
    video = {"num_frames": -1, "fps": request.video_fps, "do_sample_frames": False}
    return {"media_io_kwargs": {"video": video}}


def image_url(image: Frame, form: MediaForm) -> str:
    """`image`, (H, W, 3) RGB uint8, as a data URL."""
    data = png_bytes(image) if form.image_format == "png" else jpeg_bytes(image, form.jpeg_quality)
    return f"data:image/{form.image_format};base64,{_base64(data)}"


def jpeg_bytes(image: Frame, quality: int) -> bytes:
    """`image`, (H, W, 3) RGB uint8, as JPEG with full colour resolution (4:4:4)."""
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise RuntimeError(f"OpenCV did not encode a {image.shape} frame as JPEG")
    return data.tobytes()


def _video(request: ChatRequest, form: MediaForm) -> list[Message]:
    if form.video_as == "mp4":
        return [_clip(f"data:video/mp4;base64,{_base64(_mp4_bytes(request))}")]
    if form.video_as == "frames":
        frames = [_base64(jpeg_bytes(frame, form.jpeg_quality)) for frame in request.video]
        return [_clip(f"data:video/jpeg;base64,{','.join(frames)}")]
    parts: list[Message] = []
    for index, frame in enumerate(request.video):
        parts.append({"type": "text", "text": f"<{index / request.video_fps:.1f} seconds>"})
        parts.append(_picture(image_url(frame, form)))
    return parts


def _mp4_bytes(request: ChatRequest) -> bytes:
    """An mp4 of whole frames a second, odd sizes cut by one pixel."""
    height, width = (size // 2 * 2 for size in request.video[0].shape[:2])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        encode_video(
            (np.ascontiguousarray(frame[:height, :width]) for frame in request.video),
            path,
            fps=max(1, round(request.video_fps)),
        )
        return path.read_bytes()


def _picture(url: str) -> Message:
    return {"type": "image_url", "image_url": {"url": url}}


def _clip(url: str) -> Message:
    return {"type": "video_url", "video_url": {"url": url}}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
