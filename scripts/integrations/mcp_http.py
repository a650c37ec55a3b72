import asyncio
import os
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main(text: str) -> None:
    tool, name = ("recall", "query") if text.endswith("?") else ("remember", "content")
    key = {"Authorization": f"Bearer {os.environ['MNEME_KEY']}"}
    async with (
        httpx2.AsyncClient(headers=key) as over,
        Client(streamable_http_client(os.environ["MNEME_URL"] + "/mcp", http_client=over)) as client,
    ):
        print((await client.call_tool(tool, {name: text})).content[0].text)


asyncio.run(main(sys.argv[1]))
