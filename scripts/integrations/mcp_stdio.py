import asyncio
import json
import os
import sys

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client


async def main(text: str) -> None:
    tool, name = ("recall", "query") if text.endswith("?") else ("remember", "content")
    command, *arguments = json.loads(os.environ["MNEME_COMMAND"])
    arguments += ["mcp", "--url", os.environ["MNEME_URL"], "--user", os.environ["MNEME_USER"]]
    key = {"MNEME_KEY": os.environ["MNEME_KEY"], "PYTHONPATH": os.environ["PYTHONPATH"]}
    async with Client(stdio_client(StdioServerParameters(command=command, args=arguments, env=key))) as client:
        print((await client.call_tool(tool, {name: text})).content[0].text)


asyncio.run(main(sys.argv[1]))
