"""What the tests of the HTTP interface share: a client of the application, and what its replies must look like."""

import json
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from benchmarks.scripted_model import ScriptedModel

Json = dict[str, Any]


@dataclass(frozen=True)
class Service:
    """The application, the client that talks to it, and the model that writes its replies."""

    app: FastAPI
    client: httpx.AsyncClient
    model: ScriptedModel

    async def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        if "content" in request:
            request.setdefault("headers", {"Content-Type": "application/json"})
        response = await self.client.request(method, path, **request)
        assert response.headers["x-request-id"]
        return response

    async def get(self, path: str, **request: Any) -> Json:
        response = await self.call("GET", path, **request)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def post(self, path: str, body: Json, status: int = 200) -> Json:
        response = await self.call("POST", path, json=body)
        assert response.status_code == status, response.text
        return dict(response.json())

    async def remember(self, user: str, *contents: str, session: str = "monday", **more: Any) -> Json:
        messages = [{"role": "user", "content": content, **more} for content in contents]
        return await self.post(f"/v1/users/{user}/messages", {"session_id": session, "messages": messages}, 201)

    async def chat(self, user: str, message: str, **more: Any) -> Json:
        return await self.post("/v1/chat", {"user_id": user, "message": message, **more})

    async def streamed(self, user: str, message: str, **more: Any) -> list[tuple[str, Json]]:
        body = {"user_id": user, "message": message, "stream": True, **more}
        response = await self.call("POST", "/v1/chat", json=body)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/event-stream")
        return events(response.text)

    async def recalled(self, user: str, query: str, **more: Any) -> list[str]:
        found = await self.post(f"/v1/users/{user}/memory/recall", {"query": query, **more})
        return [one["content"] for one in found["recalled"]]

    async def log(self, user: str, session: str) -> list[Json]:
        return list((await self.get(f"/v1/users/{user}/sessions/{session}/messages?limit=1000"))["messages"])

    async def pages(self, path: str, member: str, limit: int) -> list[Json]:
        """All entries of a list, a page at a time; every page but the last is full."""
        entries: list[Json] = []
        cursor: str | None = None
        while True:
            page = await self.get(path, params={"limit": limit, **({"cursor": cursor} if cursor else {})})
            entries += page[member]
            cursor = page["next_cursor"]
            if cursor is None:
                assert len(page[member]) <= limit
                return entries
            assert len(page[member]) == limit


def events(text: str) -> list[tuple[str, Json]]:
    """The server-sent events of a body."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((fields["event"], json.loads(fields["data"])))
    return found


def problem(response: httpx.Response, status: int) -> Json:
    """The problem that a reply is, after checking that it is a whole one (RFC 9457)."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    body = dict(response.json())
    assert {"type", "title", "status", "detail", "instance"} <= set(body)
    assert body["status"] == status
    assert body["title"] and body["detail"]
    assert body["instance"] == response.request.url.path
    if status == 422:
        assert body["errors"]
        for entry in body["errors"]:
            assert set(entry) == {"pointer", "in", "detail"}
            assert entry["pointer"] == "#" or entry["pointer"].startswith("#/")
    return body
