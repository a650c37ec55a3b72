"""One user's memory, reached over the service's own HTTP interface.

Tools go through the same routes as every other client, whether inside the service or from another process: who may
call, limits, bounds and the audit log are then the routes', and cannot be forgotten here.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx


class Refused(Exception):
    """The service did not do what it was asked; the message is its reason.

    Args:
        status: the HTTP status; 0 where nobody answered.
    """

    def __init__(self, detail: str, status: int) -> None:
        super().__init__(detail)
        self.status = status


class UserMemory:
    """Calls of the routes below `/v1/users/{user_id}`.

    Args:
        headers: sent with each call, the key among them.
    """

    def __init__(self, client: httpx.AsyncClient, user_id: str, headers: Mapping[str, str]) -> None:
        self._client, self._headers = client, headers
        self._root = f"/v1/users/{quote(user_id, safe='')}"

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        """What that route shows.

        Raises:
            Refused: see there.
        """
        return await self._call("GET", path, params=params)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What that route replies; fields that are None are left out.

        Raises:
            Refused: see there.
        """
        return await self._call("POST", path, json={name: one for name, one in body.items() if one is not None})

    async def delete(self, path: str, **params: Any) -> dict[str, Any]:
        """What that route replies.

        Raises:
            Refused: see there.
        """
        return await self._call("DELETE", path, params=params)

    async def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            response = await self._client.request(method, self._root + path, headers=dict(self._headers), **request)
        except httpx.HTTPError as error:
            where = self._client.base_url
            raise Refused(f"no service at {where} ({type(error).__name__}): start it with `mneme serve`", 0) from None
        try:
            body: dict[str, Any] = response.json() if response.content else {}
        except json.JSONDecodeError:
            body = {}
        if response.is_success:
            return body
        raise Refused(str(body.get("detail") or f"the service answered {response.status_code}"), response.status_code)


def part(name: str) -> str:
    """A name of the caller's as one part of a path, so that it cannot name another route."""
    if name in (".", ".."):
        raise Refused("must not be . or ..", 422)
    return quote(name, safe="")
