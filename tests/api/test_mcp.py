"""The MCP server, driven by the SDK's own client: over HTTP against the application, over stdio beside a server."""

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from app.access.caller import Grant
from tests.api.conftest import started
from tests.api.service import Json, Service, problem
from tests.test_cli import MNEME


@asynccontextmanager
async def connected(
    service: Service, user: str | None, key: str | None = None, mode: str = "auto"
) -> AsyncIterator[Client]:
    """The SDK's client, on the application in this process."""
    headers = {"X-Mneme-User": user} if user else {}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    transport = httpx2.ASGITransport(service.app)
    async with (
        httpx2.AsyncClient(transport=transport, base_url="http://mneme", headers=headers, timeout=60) as over,
        Client(streamable_http_client("http://mneme/mcp", http_client=over), mode=mode) as client,
    ):
        yield client


async def call(client: Client, tool: str, **arguments: Any) -> Json:
    result: Any = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content
    return dict(result.structured_content)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_memory_is_written_and_read_by_tools(service: Service, user: str, mode: str) -> None:
    async with connected(service, user, mode=mode) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(listed) == {"remember", "recall", "why", "forget", "standing", "sessions"}
        assert all(tool.description and tool.input_schema and tool.output_schema for tool in listed.values())
        assert (await call(client, "recall", query="What is my dog called?"))["recalled"] == []
        assert (await call(client, "sessions"))["sessions"] == []
        assert (await call(client, "standing"))["standing"] == []
        made = await call(client, "remember", content="My dog is called Biscuit.", session_id="monday")
        await call(client, "remember", content="The ferry leaves at noon.", session_id="monday")
        found = await call(client, "recall", query="What is my dog called?", k=1)
        assert [one["content"] for one in found["recalled"]] == ["My dog is called Biscuit."]
        assert found["recalled"][0]["message_id"] == made["message_id"]
        assert [one["session_id"] for one in (await call(client, "sessions"))["sessions"]] == ["monday"]
    assert await service.recalled(user, "What is my dog called?", k=1) == ["My dog is called Biscuit."]


async def test_why_names_the_pieces_that_match(service: Service, user: str) -> None:
    await service.remember(user, "My dog is called Biscuit.", "The ferry leaves at noon.")
    async with connected(service, user) as client:
        found = await call(client, "why", query="What is my dog called?")
    first = found["recalled"][0]
    assert first["content"] == "My dog is called Biscuit."
    assert ("dog", "dog") in {(one["query_piece"], one["piece"]) for one in first["matches"]}
    assert first["ranks"]["reranked"] == 1


async def test_what_is_forgotten_is_gone_and_replies_that_may_quote_it_are_named(service: Service, user: str) -> None:
    await service.remember(user, "My PIN is 4931.")
    reply = await service.chat(user, "What is my PIN?")
    async with connected(service, user) as client:
        found = await call(client, "recall", query="What is my PIN?")
        [pin] = [one for one in found["recalled"] if one["content"] == "My PIN is 4931."]
        done = await call(client, "forget", message_id=pin["message_id"])
        assert done == {"forgotten": [pin["message_id"]], "replies_that_recalled": [reply["reply_message_id"]]}
        found = await call(client, "recall", query="What is my PIN?")
        assert "My PIN is 4931." not in [one["content"] for one in found["recalled"]]
        again: Any = await client.call_tool("forget", {"message_id": pin["message_id"]})
        assert again.is_error and "no message" in again.content[0].text


async def test_what_holds_until_revoked_is_listed(service: Service, user: str) -> None:
    await service.remember(user, "I am allergic to peanuts, never suggest them.", "The ferry leaves at noon.")
    async with connected(service, user) as client:
        held = (await call(client, "standing"))["standing"]
    assert [one["content"] for one in held] == ["I am allergic to peanuts, never suggest them."]


async def test_the_memory_and_its_sessions_are_resources(service: Service, user: str) -> None:
    await service.remember(user, "My dog is called Biscuit.", session="day:1")
    async with connected(service, user) as client:
        assert [str(one.uri) for one in (await client.list_resources()).resources] == ["mneme://memory"]
        [template] = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "mneme://sessions/{session_id}"
        glance: Any = (await client.read_resource("mneme://memory")).contents[0]
        assert json.loads(glance.text)["slots_used"] == 1
        said: Any = (await client.read_resource("mneme://sessions/day:1")).contents[0]
        assert said.text.endswith(" user: My dog is called Biscuit.")
        with pytest.raises(MCPError, match="no session"):
            await client.read_resource("mneme://sessions/tuesday")


async def test_wrong_arguments_and_a_user_whom_nobody_named_are_told(service: Service, user: str) -> None:
    async with connected(service, user) as client:
        for wrong in ({"query": "x", "k": 0}, {"query": "   "}, {}):
            result: Any = await client.call_tool("recall", wrong)
            assert result.is_error and result.content[0].text
    async with connected(service, None) as client:
        result = await client.call_tool("recall", {"query": "x"})
        assert result.is_error and "X-Mneme-User" in result.content[0].text


async def test_the_address_may_name_the_user(service: Service) -> None:
    user = f"user-{uuid.uuid4().hex[:12]}"
    await service.remember(user, "My dog is called Biscuit.")
    transport = httpx2.ASGITransport(service.app)
    async with (
        httpx2.AsyncClient(transport=transport, base_url="http://mneme") as over,
        Client(streamable_http_client(f"http://mneme/mcp?user={user}", http_client=over)) as client,
    ):
        assert len((await call(client, "recall", query="dog"))["recalled"]) == 1


@asynccontextmanager
async def listening(service: Service) -> AsyncIterator[str]:
    """The application on a port, so that another process reaches it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(service.app, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


def beside(url: str, user: str) -> Client:
    """The SDK's client, which starts `mneme mcp` itself."""
    started = StdioServerParameters(command=MNEME[0], args=[*MNEME[1:], "mcp", "--user", user, "--url", url])
    return Client(stdio_client(started))


async def test_the_command_serves_a_running_service_over_stdio(service: Service, user: str) -> None:
    async with listening(service) as url, beside(url, user) as client:
        await call(client, "remember", content="My dog is called Biscuit.")
        found = await call(client, "recall", query="What is my dog called?")
        assert [one["content"] for one in found["recalled"]] == ["My dog is called Biscuit."]
        glance: Any = (await client.read_resource("mneme://memory")).contents[0]
        assert json.loads(glance.text)["slots_used"] == 1


async def test_without_a_service_the_command_says_what_to_do() -> None:
    async with beside("http://127.0.0.1:9", "ada") as client:
        result: Any = await client.call_tool("recall", {"query": "x"})
        assert result.is_error and "mneme serve" in result.content[0].text


async def test_a_key_opens_its_own_user_and_its_use_is_in_the_audit_log(
    service: Service, user: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/closed.db"
    async with started(service.model, database_url=url, requests_per_minute=30) as closed:
        keys = closed.app.state.keys
        own, admin = (await keys.create("own", Grant.parse(f"user:{user}"))), await keys.create("all", Grant("admin"))
        listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        problem(await closed.call("POST", "/mcp", json=listing), 401)
        shown = {"Authorization": f"Bearer {own.key}"}
        problem(await closed.call("POST", f"/mcp?user={user}x", json=listing, headers=shown), 403)
        async with connected(closed, None, own.key) as client:
            await call(client, "remember", content="My dog is called Biscuit.")
            await call(client, "recall", query="dog")
        await closed.app.state.audit.flush()
        everything = {"Authorization": f"Bearer {admin.key}"}
        noted = await closed.get("/v1/audit", headers=everything)
        acts = [(act["route"], act["user_id"], act["key_id"]) for act in noted["entries"]]
        assert ("/v1/users/{user_id}/memory/recall", user, own.stored.id) in acts
        for _ in range(40):
            last = await closed.call("POST", "/mcp", json=listing, headers=shown)
            if last.status_code == 429:
                break
        problem(last, 429)
