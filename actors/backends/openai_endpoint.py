"""Any OpenAI-compatible endpoint as a chat model: vLLM, SGLang, Ray Serve LLM, hosted Gemini.

What a reader gets wrong: the key is never an option. `api_key_env` names the environment variable that holds
it, so that configs, manifests and logs cannot. And what an endpoint answers is only as repeatable as the
endpoint: seeds are sent, servers honour them as they like.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import openai
from openai.types.chat import ChatCompletion

from actors.backends.chat import ChatAnswer, ChatRequest
from actors.backends.checkpoints import CheckpointError
from actors.backends.messages import MediaForm, media_arguments, messages_of
from actors.backends.prompted import PromptedLanguageModel, split_options
from actors.roles import BackendError

_SEEDS = 2**31
"""Gemini takes 32 bits with a sign; vLLM takes 64."""
_NO_KEY = "none"
"""What a server without authentication gets; the client does not start with an empty key."""
_ABOUT_THE_REQUEST = (400, 413, 422)
"""Refused for what it holds: a content filter, a picture that is too large, a prompt that is too long."""
_ABOUT_THE_SETUP = frozenset(("unknown_parameter", "unsupported_parameter", "unsupported_value"))
"""Error codes of a refusal that every request would meet."""


class EndpointError(BackendError):
    """The endpoint does not answer, or not as the protocol says; a crash of the worker, not of the sample."""


class OpenAIChat:
    """A `ChatModel` that sends the requests of a call over `max_concurrency` connections at a time.

    Args:
        base_url: up to and with `/v1`; Gemini: https://generativelanguage.googleapis.com/v1beta/openai/.
        model: as the endpoint calls it.
        api_key_env: name of the environment variable with the key; empty for a server that asks for none.
        timeout_s: of one request, waiting in the server's queue included.
        max_retries: of the client, after 408, 409, 429, 5xx and broken connections, with growing waits.
        image_format, jpeg_quality, video_as: see `actors.backends.messages`.
        send_top_k: `top_k` is not part of OpenAI's protocol; vLLM and SGLang take it, Gemini refuses it.
        extra_body: sent with every request, for example `{"chat_template_kwargs": {...}}`.
        check: ask for the list of models first, so that a wrong address, key or name is said at once.

    Raises:
        CheckpointError: the key is missing or refused, no server answers, or it does not have the model.
    """

    def __init__(
        self,
        *,
        model: str,
        base_url: str = "http://localhost:8000/v1",
        api_key_env: str = "",
        timeout_s: float = 600.0,
        max_retries: int = 5,
        max_concurrency: int = 16,
        image_format: Literal["png", "jpeg"] = "png",
        jpeg_quality: int = 95,
        video_as: Literal["images", "frames", "mp4"] = "images",
        send_top_k: bool = True,
        extra_body: Mapping[str, Any] | None = None,
        check: bool = True,
    ) -> None:
        if max_concurrency < 1:
            raise ValueError(f"max_concurrency {max_concurrency}: at least 1 is needed")
        self._model = model
        self._url = base_url
        self._key = _key_of(api_key_env)
        self._client = openai.OpenAI(
            base_url=base_url, api_key=self._key, timeout=timeout_s, max_retries=max_retries
        )
        self._tries = max_retries + 1
        self._max_concurrency = max_concurrency
        self._form = MediaForm(image_format, jpeg_quality, video_as)
        self._send_top_k = send_top_k
        self._extra_body = dict(extra_body or {})
        if check:
            self._require_model()

    def chat(self, requests: Sequence[ChatRequest]) -> list[ChatAnswer]:
        """One answer a request; a refused one has its `error`.

        Raises CheckpointError or EndpointError where the fault is not the request's; the rest is not sent.
        """
        with ThreadPoolExecutor(max_workers=self._max_concurrency) as pool:
            futures = [pool.submit(self._answer, request) for request in requests]
            try:
                return [future.result() for future in futures]
            except (CheckpointError, EndpointError):
                pool.shutdown(cancel_futures=True)
                raise

    def _answer(self, request: ChatRequest) -> ChatAnswer:
        body = {**media_arguments(request, self._form), **self._extra_body}
        if request.top_k and self._send_top_k:
            body = {"top_k": request.top_k, **body}
        arguments: dict[str, Any] = {
            "model": self._model,
            "messages": messages_of(request, self._form),
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed % _SEEDS,
            "max_completion_tokens": request.max_new_tokens,
            "extra_body": body,
        }
        try:
            completion = self._client.chat.completions.create(**arguments)
        except openai.APIStatusError as error:
            if error.status_code in _ABOUT_THE_REQUEST and error.code not in _ABOUT_THE_SETUP:
                return ChatAnswer(request.key, "", complete=False, error=self._said(error))
            raise self._fault(error) from None
        except openai.APIError as error:
            raise self._fault(error) from None
        except json.JSONDecodeError:
            completion = None
        if not isinstance(completion, ChatCompletion):
            raise EndpointError(f"{self._url} answers, but not with a chat completion")
        return _answer_of(request.key, completion)

    def _require_model(self) -> None:
        try:
            listed = self._client.models.with_raw_response.list().http_response.text
        except openai.APIStatusError as error:
            if error.status_code in (404, 405, 501):
                return  # an endpoint without a list
            raise self._fault(error) from None
        except openai.APIConnectionError:
            raise CheckpointError(
                f"no endpoint answers at {self._url}; start one, for example with: vllm serve {self._model}"
            ) from None
        except openai.APIError as error:
            raise self._fault(error) from None
        names = self._names_in(listed)
        if self._model not in {name.removeprefix("models/") for name in names} | set(names):
            raise CheckpointError(
                f"{self._url} has no model {self._model!r}; it has {', '.join(names[:20]) or 'none'}"
            )

    def _names_in(self, listed: str) -> list[str]:
        try:
            return [str(model["id"]) for model in json.loads(listed)["data"]]
        except (ValueError, KeyError, TypeError):
            raise CheckpointError(
                f"{self._url} answers, but not with a list of models; base_url goes up to and with /v1"
            ) from None

    def _fault(self, error: openai.APIError) -> CheckpointError | EndpointError:
        """What is wrong with the setup (CheckpointError) or with the endpoint; plain, so that it pickles."""
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return CheckpointError(
                f"{self._url} refuses the key: {self._said(error)}; set api_key_env to the name of the "
                "environment variable that holds one"
            )
        if isinstance(error, openai.NotFoundError):
            return CheckpointError(f"{self._url} does not know {self._model!r}: {self._said(error)}")
        if isinstance(error, openai.APIStatusError) and error.status_code in _ABOUT_THE_REQUEST:
            return CheckpointError(f"{self._url} does not take these options: {self._said(error)}")
        return EndpointError(f"{self._url} failed {self._tries} times: {self._said(error)}")

    def _said(self, error: openai.APIError) -> str:
        """The endpoint's words without the key, which some servers repeat."""
        return error.message.replace(self._key, "***")[:500] if self._key != _NO_KEY else error.message[:500]


class OpenAILanguageModel(PromptedLanguageModel):
    """The VisionLanguageModel role over an endpoint; options of both classes, in one flat set."""

    def __init__(self, **options: Any) -> None:
        ours, of_the_chat = split_options(options)
        super().__init__(OpenAIChat(**of_the_chat), **ours)


def _key_of(api_key_env: str) -> str:
    if not api_key_env:
        return _NO_KEY
    key = os.environ.get(api_key_env, "")
    if not key:
        raise CheckpointError(
            f"the environment variable {api_key_env} is empty; api_key_env names the one that holds the key"
        )
    return key


def _answer_of(key: str, completion: ChatCompletion) -> ChatAnswer:
    if not completion.choices:
        return ChatAnswer(
            key, "", complete=False, error="the endpoint gave no choice, as for a blocked prompt"
        )
    choice = completion.choices[0]
    if choice.message.refusal:
        return ChatAnswer(key, "", complete=False, error=f"refused: {choice.message.refusal[:500]}")
    if choice.finish_reason == "content_filter":
        return ChatAnswer(key, "", complete=False, error="stopped by the content filter")
    return ChatAnswer(key, choice.message.content or "", complete=choice.finish_reason != "length")
