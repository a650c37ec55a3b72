"""One request of the client, sent until it is answered: retries, errors, streams."""

import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from mneme_client.errors import ApiError, ConnectionFailed, NotFound, error_of_response
from mneme_client.retrying import Retries
from mneme_client.transport import Transport

URL = "http://127.0.0.1:8000"
TIMEOUT = httpx.Timeout(10.0, read=300.0)  # a busy service may take its time with a large import


def options(url: str, key: str | None, timeout: float | httpx.Timeout) -> dict[str, Any]:
    """What a client of httpx is made with."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return {"base_url": url, "headers": headers, "timeout": timeout}


def path(template: str, **names: str) -> str:
    """A path with names in it.

    Raises:
        ValueError: a name that cannot be part of a path.
    """
    for field, name in names.items():
        if name in ("", ".", ".."):
            raise ValueError(f"{field}: {name!r} is no name")
    return template.format(**{field: quote(name, safe="") for field, name in names.items()})


class Connection:
    """Sends requests.

    Args:
        transport: with an event loop, or blocking.
        retries: how patiently.
    """

    def __init__(self, transport: Transport, retries: Retries) -> None:
        self._transport, self._retries = transport, retries

    async def call(self, method: str, path: str, *, repeatable: bool, **parts: Any) -> httpx.Response:
        """Sends a request and reads its answer.

        Args:
            repeatable: whether sending it twice is as good as once.

        Raises:
            ApiError: the service refused or failed it.
            ConnectionFailed: it was not answered.
        """
        return await self._send(method, path, repeatable, stream=False, **parts)

    async def delete(self, path: str, **parts: Any) -> httpx.Response | None:
        """Deletes something. Returns None where it was gone by the time that the request was repeated.

        Raises:
            NotFound: it was not there.
        """
        repeated = False
        while True:
            try:
                return await self._send("DELETE", path, repeated, stream=False, **parts)
            except NotFound:
                if repeated:
                    return None
                raise
            except ConnectionFailed:
                if repeated or not self._retries.times:
                    raise
                repeated = True

    @contextlib.asynccontextmanager
    async def stream(
        self, method: str, path: str, *, repeatable: bool, **parts: Any
    ) -> AsyncIterator[AsyncIterator[str]]:
        """Sends a request and gives the lines of its answer as they come."""
        response = await self._send(method, path, repeatable, stream=True, **parts)
        try:
            yield self._lines(response)
        finally:
            await self._transport.finish(response)

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.close()

    async def _send(self, method: str, path: str, repeatable: bool, stream: bool, **parts: Any) -> httpx.Response:
        tries = 0
        while True:
            tries += 1
            try:
                return await self._once(method, path, stream, **parts)
            except (ApiError, httpx.TransportError) as error:
                wait = self._retries.wait(error, tries, repeatable)
                if wait is not None:
                    await self._transport.sleep(wait)
                elif isinstance(error, ApiError):
                    raise
                else:
                    raise ConnectionFailed(f"{method} {path}: {_told(error)}") from error

    async def _once(self, method: str, path: str, stream: bool, **parts: Any) -> httpx.Response:
        response = await self._transport.send(self._transport.build(method, path, **parts), stream)
        if response.status_code < HTTPStatus.BAD_REQUEST:
            return response
        if stream:
            await self._transport.read(response)
        raise error_of_response(response)

    async def _lines(self, response: httpx.Response) -> AsyncIterator[str]:
        # Not httpx's own lines: they end at U+2028 too, which stands in texts.
        begun = ""
        try:
            async for piece in self._transport.pieces(response):
                *whole, begun = (begun + piece).split("\n")
                for line in whole:
                    yield line.removesuffix("\r")
        except httpx.TransportError as error:
            raise ConnectionFailed(f"the answer broke off: {_told(error)}") from error
        if begun:
            yield begun


def _told(error: httpx.TransportError) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
