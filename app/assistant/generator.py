"""The one client for language models: whatever writes the reply is reached over the OpenAI-compatible interface.

A remote server and the embedded one differ only in their address. Whatever goes wrong ends in a `GeneratorError` of one
line that an operator can act upon; the key must never be part of it, nor of anything else that leaves this file.
"""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, Final, Literal

import httpx

from app.assistant.control_text import ANY_MODEL, ControlMarks
from app.assistant.embedded import ModelError

_READY_SECONDS: Final = 5.0
_ERROR_BYTES: Final = 16_384
_ERROR_CHARACTERS: Final = 200
_DATA: Final = "data:"
_TOP: Final = 20  # tokens whose probability a server is asked for
_UNSEEN: Final = 1e-6  # probability that a word counts as having which is not among them
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of what a language model is given."""

    role: Literal["system", "user", "assistant"]
    content: str


class GeneratorError(Exception):
    """No reply, or not all of it; the message is one line that says why."""


class Generator:
    """Streams replies from one model of one server.

    Args:
        url: the server's base address, such as `http://127.0.0.1:11434/v1`.
        api_key: sent as a bearer token; None sends none.
        model: the model's name there.
        timeout: seconds without a token after which a reply counts as failed.
        revive: called before each reply, brings the server back if it died, and tells its address; or ends in a
            `ModelError`.
        marks: made inert in the messages of every request.
        parallel: replies that the server is asked for side by side, more wait; its slot of this number is for `odds`.
            None leaves both to the server.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None,
        model: str,
        timeout: float,
        revive: Callable[[], str] | None = None,
        marks: ControlMarks = ANY_MODEL,
        parallel: int | None = None,
    ) -> None:
        self._parallel = parallel
        self._places = asyncio.Semaphore(parallel or 1)
        self._marks = marks
        self._model = model
        self._timeout = timeout
        self._key = api_key
        self._revive = revive
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            # The waits are bounded below, by tokens: a server's keep-alive comments are no progress.
            timeout=httpx.Timeout(None, connect=timeout),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            # A proxy that is set for the outside world cannot reach a server on this machine.
            trust_env=httpx.URL(url).host not in _LOOPBACK,
        )

    async def chunks(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Yields the reply to a request of the OpenAI interface, chunk by chunk, as the server sends them.

        Closing the iterator hangs up, and the server stops generating.

        Args:
            body: the request, without `model` and `stream`.

        Raises:
            GeneratorError: the server cannot be reached, refuses, stalls, breaks off or talks nonsense. What was
                yielded until then is not a whole reply.
        """
        body = {**body, "messages": self._inert(body["messages"]), "model": self._model, "stream": True}
        finished, place = False, AsyncExitStack()
        try:
            async with asyncio.timeout(self._timeout):
                if self._parallel is not None and "id_slot" not in body:
                    await place.enter_async_context(self._places)
                if self._revive is not None:
                    self._client.base_url = await asyncio.to_thread(self._revive)
                request = self._client.build_request("POST", "chat/completions", json=body)
                response = await self._client.send(request, stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    raise await self._refusal(response)
                lines = response.aiter_lines()
                while True:
                    async with asyncio.timeout(self._timeout):
                        data = await _next_event(lines)
                    if data is None or data == "[DONE]":
                        break
                    chunk = self._parse(data)
                    finished = finished or any(choice.get("finish_reason") for choice in chunk["choices"])
                    yield chunk
            finally:
                await response.aclose()
        except TimeoutError:
            if not finished:
                raise GeneratorError(f"{self._where} sent no token for {self._timeout:g} seconds") from None
        except ModelError as error:
            raise GeneratorError(str(error)) from None
        except httpx.ConnectError:
            raise GeneratorError(f"{self._where} cannot be reached") from None
        except httpx.ConnectTimeout:
            raise GeneratorError(f"{self._where} cannot be reached within {self._timeout:g} seconds") from None
        except httpx.HTTPError as error:
            if not finished:
                raise GeneratorError(f"{self._where} broke off: {type(error).__name__}") from None
        else:
            if data is None and not finished:
                raise GeneratorError(f"{self._where} ended the stream before the reply was complete")
        finally:
            await place.aclose()

    async def odds(self, messages: Sequence[Mapping[str, Any]], word: str, other: str) -> float | None:
        """The log odds of the reply beginning with one word rather than another; None where the server does not tell.

        Args:
            messages: the prompt.
            word, other: in small letters; as the reply's first token they count with a capital or a space before, too.

        Raises:
            GeneratorError: as `chunks`.
        """
        request = {"messages": messages, "max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": _TOP}
        request |= self._in_slot(self._parallel)
        likely = dict.fromkeys((word, other), 0.0)
        async with aclosing(self.chunks(request)) as chunks:
            async for chunk in chunks:
                for token, logprob in _first_tokens(chunk):
                    if token.strip().lower() in likely:
                        likely[token.strip().lower()] += math.exp(logprob)
        if not any(likely.values()):
            return None
        return math.log(likely[word] + _UNSEEN) - math.log(likely[other] + _UNSEEN)

    async def compute(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Has the server compute a prompt, so that one that begins alike need not wait for it; replies wait until then.

        Raises:
            GeneratorError: as `chunks`.
        """
        async with AsyncExitStack() as places:
            for _ in range(self._parallel or 0):
                await places.enter_async_context(self._places)
            body = {"messages": messages, "max_tokens": 1, **self._in_slot(0)}
            async with aclosing(self.chunks(body)) as chunks:
                async for _ in chunks:
                    pass

    async def ready(self) -> bool:
        """Whether the server answers and accepts the key."""
        try:
            response = await self._client.get("models", timeout=_READY_SECONDS)
        except httpx.HTTPError:
            return False
        return response.status_code == httpx.codes.OK

    async def aclose(self) -> None:
        """Closes the connections; streams under way fail."""
        await self._client.aclose()

    def _in_slot(self, number: int | None) -> dict[str, Any]:
        return {} if self._parallel is None else {"id_slot": number}

    def _inert(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._marks.make_inert(value)
        if isinstance(value, Mapping):
            return {name: self._inert(inner) for name, inner in value.items()}
        return [self._inert(inner) for inner in value] if isinstance(value, list | tuple) else value

    @property
    def _where(self) -> str:
        base = self._client.base_url
        return f"generator at {base.host}" + (f":{base.port}" if base.port else "")

    def _parse(self, data: str) -> dict[str, Any]:
        try:
            chunk: dict[str, Any] = json.loads(data)
            if chunk.get("error"):
                raise GeneratorError(f"{self._where} failed: {self._one_line(_reason(chunk))}")
            chunk["choices"] = [dict(choice) for choice in chunk["choices"]]
            if not isinstance(text_of(chunk), str):
                raise TypeError(data)
            return chunk
        except (ValueError, KeyError, TypeError, AttributeError):
            raise GeneratorError(f"{self._where} sent a chunk that is not of the OpenAI interface") from None

    async def _refusal(self, response: httpx.Response) -> GeneratorError:
        read = b""
        async with asyncio.timeout(self._timeout):
            async for part in response.aiter_bytes():
                read += part
                if len(read) > _ERROR_BYTES:
                    break
        try:
            reason = _reason(json.loads(read))
        except (ValueError, TypeError, AttributeError):
            reason = read[:_ERROR_BYTES].decode(errors="replace")
        return GeneratorError(f"{self._where} answered {response.status_code}: {self._one_line(reason)}".rstrip(": "))

    def _one_line(self, reason: str) -> str:
        reason = " ".join(reason.split())
        if self._key:
            reason = reason.replace(self._key, "***")
        return reason if len(reason) <= _ERROR_CHARACTERS else reason[:_ERROR_CHARACTERS] + "…"


def text_of(chunk: Mapping[str, Any]) -> str:
    """The text that a chunk adds to the reply."""
    choices = chunk["choices"]
    text: str = ((choices[0].get("delta") or {}).get("content") or "") if choices else ""
    return text


def with_text(text: str) -> dict[str, Any]:
    """A chunk that adds this text to the reply."""
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def finish_reason_of(chunk: Mapping[str, Any]) -> str | None:
    """Why the reply ends with this chunk, if it does."""
    choices = chunk["choices"]
    reason = choices[0].get("finish_reason") if choices else None
    return reason if isinstance(reason, str) else None


def _first_tokens(chunk: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The likeliest tokens at a chunk's first place, with their log probabilities; none where it tells none."""
    try:
        told = chunk["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        return [(str(one["token"]), min(float(one["logprob"]), 0.0)) for one in told]
    except (LookupError, TypeError, ValueError):
        return []


async def _next_event(lines: AsyncIterator[str]) -> str | None:
    """The next event's data, past comments and blank lines; None where the stream ends."""
    async for line in lines:
        if line.startswith(_DATA):
            return line[len(_DATA) :].strip()
    return None


def _reason(body: dict[str, Any]) -> str:
    """What an error body says; servers differ in where they say it."""
    error = body.get("error") or body.get("detail") or body.get("message") or ""
    if isinstance(error, dict):
        error = error.get("message") or error
    return str(error)
