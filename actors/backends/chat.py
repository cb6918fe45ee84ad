"""The seam between prompts and the models that answer them: text and pictures in, text out.

What a reader gets wrong: a `ChatModel` knows nothing of Sparkle. Prompts are in `actors.prompts`, what an
answer must look like is in `actors.ops.answers`, and asking again after an answer that cannot be read is in
`actors.backends.prompted`. Answers carry their request's key and may come in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from actors.roles import Frame


@dataclass(frozen=True)
class ChatRequest:
    """One user turn. Pictures come before the text, in this order; images or a video, never both."""

    key: str
    text: str
    seed: int
    """Of the sampling; nothing when `temperature` is 0."""
    images: tuple[Frame, ...] = ()
    video: tuple[Frame, ...] = ()
    video_fps: float = 2.0
    system: str = ""
    max_new_tokens: int = 1024
    temperature: float = 0.0
    """0: the likeliest token each time."""
    top_p: float = 1.0
    top_k: int = 0
    """0: all."""


@dataclass(frozen=True)
class ChatAnswer:
    key: str
    text: str
    complete: bool = True
    """False: cut off at `max_new_tokens`."""
    error: str = ""
    """Why there is no answer (a content filter, a picture that the server refuses): this request's sample
    fails with it, and is not asked again. `text` is then empty."""


class ChatModel(Protocol):
    def chat(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer]:
        """One answer for each request, in any order, each with its request's key.

        A request's answer depends on the request alone where the model can promise that (seeded sampling on a
        generator of its own), never on its neighbours' text.
        """
        ...
