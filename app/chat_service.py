"""The service as `mneme chat` calls it: each call that it makes, and what went wrong as one sentence."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import httpx

Json = dict[str, Any]
_EVERY = 0.5  # seconds between looks whether a server is ready


class Refused(Exception):
    """The service did not do what was asked; the message says why."""


class Service:
    """One user's conversation with a running service.

    Args:
        key: what the service is shown, where it asks for a key.
    """

    def __init__(self, url: str, user: str, key: str | None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=httpx.Timeout(30, read=None))
        self.url, self.user = url, user

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def is_ready(self) -> bool:
        """Whether a server answers."""
        try:
            await self._client.get("/health/live")
        except httpx.HTTPError:
            return False
        return True

    async def until_ready(self, seconds: float) -> bool:
        """Waits for a server that is starting; whether it is there."""
        for _ in range(int(seconds / _EVERY)):
            await asyncio.sleep(_EVERY)
            if await self.is_ready():
                return True
        return False

    async def turn(self, session: str | None, message: str) -> AsyncIterator[tuple[str, Json]]:
        """Says something; the events of the reply as they come.

        Raises:
            Refused: the turn was not begun.
        """
        body = {"user_id": self.user, "message": message, "stream": True}
        if session:
            body["session_id"] = session
        try:
            async with self._client.stream("POST", "/v1/chat", json=body) as response:
                if response.status_code != 200:
                    await response.aread()
                    raise Refused(_why(response))
                name = ""
                async for line in response.aiter_lines():
                    field, _, value = line.partition(": ")
                    if field == "event":
                        name = value
                    elif field == "data":
                        yield name, json.loads(value)
        except httpx.HTTPError as error:
            raise Refused(self._gone(error)) from None

    async def standing(self) -> list[Json]:
        """What holds until revoked, the newest first."""
        found: list[Json] = (await self._get("memory/standing")).get("standing", [])
        return found

    async def sessions(self, most: int) -> list[Json]:
        """The latest sessions."""
        found: list[Json] = (await self._get(f"sessions?limit={most}")).get("sessions", [])
        return found

    async def said(self, most: int) -> list[str]:
        """What the user said last, the oldest first."""
        found = (await self._get(f"messages?role=user&limit={most}")).get("messages", [])
        return [one["content"] for one in reversed(found)]

    async def quoting(self, message_id: str) -> list[Json]:
        """The replies that had recalled a message, and may quote it."""
        found: list[Json] = (await self._get(f"messages/{message_id}/recalled-by", there=True)).get("replies", [])
        return found

    async def forget(self, message_id: str, with_replies: bool) -> None:
        """Forgets a message, and the replies that had recalled it where that is wanted."""
        query = "?with_replies=true" if with_replies else ""
        await self._call("DELETE", f"messages/{message_id}{query}", there=True)

    async def _get(self, path: str, there: bool = False) -> Json:
        response = await self._call("GET", path, there)
        return response.json() if response.status_code == 200 else {}  # a user who said nothing yet has nothing

    async def _call(self, method: str, path: str, there: bool = False) -> httpx.Response:
        try:
            response = await self._client.request(method, f"/v1/users/{self.user}/{path}")
        except httpx.HTTPError as error:
            raise Refused(self._gone(error)) from None
        if response.status_code >= 400 and (there or response.status_code != 404):
            raise Refused(_why(response))
        return response

    def _gone(self, error: httpx.HTTPError) -> str:
        return f"no server at {self.url} ({type(error).__name__}): start one with `make serve`"


def _why(response: httpx.Response) -> str:
    if response.status_code == 401:
        return "the server wants a key that it knows: set MNEME_KEY, or give --key"
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {response.status_code}"
