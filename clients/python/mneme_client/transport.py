"""How requests reach the service: with an event loop, or blocking.

Both have the same coroutines. Those of the blocking one never wait for a loop: they are done when they are first run,
which is how the blocking client uses the code of the asynchronous one (see `blocking`).
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol

import httpx


class Transport(Protocol):
    """What the client needs of HTTP."""

    def build(self, method: str, path: str, **parts: Any) -> httpx.Request: ...

    async def send(self, request: httpx.Request, stream: bool) -> httpx.Response: ...

    async def read(self, response: httpx.Response) -> None:
        """Reads a streamed response to its end."""

    def pieces(self, response: httpx.Response) -> AsyncIterator[str]:
        """The text of a streamed response, as it comes."""

    async def finish(self, response: httpx.Response) -> None:
        """Gives a streamed response back, read or not."""

    async def sleep(self, seconds: float) -> None: ...

    async def close(self) -> None: ...


class AsyncTransport:
    """On an event loop."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    def build(self, method: str, path: str, **parts: Any) -> httpx.Request:
        return self._client.build_request(method, path, **parts)

    async def send(self, request: httpx.Request, stream: bool) -> httpx.Response:
        return await self._client.send(request, stream=stream)

    async def read(self, response: httpx.Response) -> None:
        await response.aread()

    async def pieces(self, response: httpx.Response) -> AsyncIterator[str]:
        async for piece in response.aiter_text():
            yield piece

    async def finish(self, response: httpx.Response) -> None:
        await response.aclose()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        await self._client.aclose()


class BlockingTransport:
    """Without an event loop: each coroutine does all its work before it first could wait."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def build(self, method: str, path: str, **parts: Any) -> httpx.Request:
        return self._client.build_request(method, path, **parts)

    async def send(self, request: httpx.Request, stream: bool) -> httpx.Response:
        return self._client.send(request, stream=stream)

    async def read(self, response: httpx.Response) -> None:
        response.read()

    async def pieces(self, response: httpx.Response) -> AsyncIterator[str]:
        for piece in response.iter_text():
            yield piece

    async def finish(self, response: httpx.Response) -> None:
        response.close()

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  # there is no loop to block

    async def close(self) -> None:
        self._client.close()
