"""Work ends with its client: what is computed or generated after a hang-up is counted, not timed."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.types import Message

from benchmarks.scripted_model import Prompt
from tests.api.service import Service


async def post(service: Service, path: str, body: Any, left: asyncio.Event) -> list[Message]:
    """Sends a request, and hangs up once `left` is set."""
    raw, sent = json.dumps(body).encode(), list[Message]()
    waiting: list[Message] = [{"type": "http.request", "body": raw, "more_body": False}]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = {"host": "mneme", "content-type": "application/json", "content-length": str(len(raw))}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("mneme", 80),
    }  # fmt: skip
    await service.app(scope, receive, send)
    return sent


async def test_encoding_stops_within_a_step_when_the_client_hangs_up(
    service: Service, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, left, steps = service.app.state.memories.device, asyncio.Event(), 0
    real = device._encoding

    async def counting(*step: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 2:
            left.set()
        return await real(*step)

    monkeypatch.setattr(device, "_encoding", counting)
    texts = [f"Parcel {number} lies on shelf {number % 13}. " * 20 for number in range(300)]
    body = {"messages": [{"role": "user", "content": text} for text in texts]}
    await post(service, f"/v1/users/{user}/messages", body, left)
    await asyncio.sleep(0.1)
    assert 2 <= steps <= 3, "three hundred such messages take more than a hundred steps"
    assert (await service.call("GET", f"/v1/users/{user}/memory")).status_code == 404
    assert service.app.state.memories.live._locks._locks == {}


async def test_generating_stops_when_the_client_of_an_unstreamed_chat_hangs_up(service: Service, user: str) -> None:
    left, said = asyncio.Event(), 0

    async def without_end(_: Prompt) -> AsyncGenerator[str, None]:
        nonlocal said
        while True:
            said += 1
            yield f"word {said} "
            if said == 3:
                left.set()
            await asyncio.sleep(0.01)

    service.model.script = without_end
    await post(service, "/v1/chat", {"user_id": user, "message": "Tell me all.", "session_id": "long"}, left)
    async with asyncio.timeout(10):
        await service.model.until(speaking=0)
    ended = said
    await asyncio.sleep(0.1)
    assert said == ended, "nothing more is generated"
    assert service.model.hung_up_on == 1
