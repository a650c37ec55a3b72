"""`/mcp`: the MCP server over streamable HTTP, inside the service.

It keeps no sessions and no streams of its own, so that a client may talk to any replica and nobody can take over
another's session; GET and DELETE, which are for those, are 405. A call of a tool is a request of its own to the routes,
with the caller's key.
"""

import asyncio
import logging
from typing import Annotated

import httpx
from fastapi import APIRouter, Query, Request
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.auth import ActingCaller
from app.api.openai import UserHeader
from app.api.schemas import UserName
from app.mcp.rest import Refused, UserMemory
from app.mcp.server import build

router = APIRouter(include_in_schema=False)  # MCP describes itself

logging.getLogger("mcp").setLevel(logging.WARNING)  # what it tells of refused calls may quote them


class Endpoint:
    """The server, from the application's start to its end."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=None)
        server = build(self._memory)
        # Hosts and origins are the gate's.
        server.streamable_http_app(
            json_response=True,
            stateless_http=True,
            max_request_body_size=max_body_bytes,
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        self._manager = server.session_manager
        self._started, self._ending = asyncio.Event(), asyncio.Event()

    async def start(self) -> None:
        """Begins to serve."""
        self._running = asyncio.create_task(self._run())
        await self._started.wait()

    async def close(self) -> None:
        """Ends what runs."""
        self._ending.set()
        await self._running
        await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manager.handle_request(scope, receive, send)

    async def _run(self) -> None:
        async with self._manager.run():  # to be left by the task that entered it
            self._started.set()
            await self._ending.wait()

    async def _memory(self, request: Request) -> UserMemory:
        user_id = request.scope["state"]["user_id"]
        if user_id is None:
            raise Refused("name the user: by a key that is for one, in X-Mneme-User, or as /mcp?user=NAME", 0)
        names = ("authorization", "x-request-id")
        headers = {name: request.headers[name] for name in names if name in request.headers}
        return UserMemory(self._client, user_id, headers)


class _Handled(Response):
    """A reply that the endpoint gives itself."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoint(scope, receive, send)


@router.post("/mcp")
async def mcp(
    request: Request,
    acting: ActingCaller,
    header: UserHeader = None,
    user: Annotated[UserName | None, Query(description="whom the request is for")] = None,
) -> Response:
    """The Model Context Protocol."""
    acting.user(header or user)
    return _Handled(request.app.state.mcp)
