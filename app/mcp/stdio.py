"""`mneme mcp`: the MCP server over stdio, for programs that start their servers themselves.

It talks to the running service and holds no memory of its own: one process owns the models and the live memories,
however many programs use them, and the key that it is given is all that it may do.
"""

import asyncio

import httpx

from app.mcp.rest import UserMemory
from app.mcp.server import build


def serve(url: str, user: str, key: str | None) -> None:
    """Serves until the input ends."""
    asyncio.run(_serve(url, user, key))


async def _serve(url: str, user: str, key: str | None) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(120, connect=5)) as client:
        memory = UserMemory(client, user, headers)

        async def find(_: object) -> UserMemory:
            return memory

        await build(find).run_stdio_async()
