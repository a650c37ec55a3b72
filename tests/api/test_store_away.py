"""The database goes away and comes back: 503 meanwhile, nothing half done, no restart."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Scope

from app.store import log
from app.store.database import StoreDamaged
from benchmarks.scripted_model import Prompt, ScriptedModel
from tests.api.conftest import started
from tests.api.service import problem

CALLS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/v1/chat", {"user_id": "ada", "message": "Hello there."}),
    ("POST", "/v1/chat", {"user_id": "ada", "message": "Hello there.", "stream": True}),
    ("POST", "/v1/users/ada/messages", {"messages": [{"role": "user", "content": "Hello there."}]}),
    ("POST", "/v1/users/ada/memory/recall", {"query": "Who?"}),
    ("GET", "/v1/users/ada/memory", None),
    ("GET", "/v1/users/ada/memory/slots", None),
    ("GET", "/v1/users/ada/sessions", None),
    ("GET", "/v1/users/ada/export", None),
    ("DELETE", "/v1/users/ada", None),
]


async def test_without_its_database_every_route_is_503_and_then_all_is_as_before(
    one_encoder: None, tmp_path: Path
) -> None:
    file = tmp_path / "store" / "mneme.db"
    async with ScriptedModel() as model, started(model, database_url=f"sqlite:///{file}") as service:
        await service.remember("ada", "My dog is called Biscuit.")
        await service.app.state.memories.database.close()
        (tmp_path / "store").rename(tmp_path / "away")

        for method, path, body in CALLS:
            response = await service.call(method, path, json=body)
            problem(response, 503)
            assert response.headers["retry-after"]
        assert model.prompts == []
        assert (await service.call("GET", "/health/live")).status_code == 200
        ready = await service.call("GET", "/health/ready")
        assert ready.status_code == 503
        assert ready.json()["parts"] == {"database": False, "generator": True}

        (tmp_path / "away").rename(tmp_path / "store")
        assert (await service.call("GET", "/health/ready")).status_code == 200
        assert await service.recalled("ada", "What is my dog called?") == ["My dog is called Biscuit."]
        assert len(await service.log("ada", "monday")) == 1


async def test_a_database_that_goes_away_while_the_model_speaks_is_told_in_the_stream(
    one_encoder: None, tmp_path: Path
) -> None:
    async with ScriptedModel() as model, started(model, database_url=f"sqlite:///{tmp_path}/store/mneme.db") as service:
        await service.remember("ada", "My dog is called Biscuit.")

        async def goes_away(_: Prompt) -> AsyncGenerator[str, None]:
            await service.app.state.memories.database.close()
            (tmp_path / "store").rename(tmp_path / "away")
            yield "Biscuit."

        model.script = goes_away
        streamed = await service.streamed("ada", "What is my dog called?", session_id="s1")
        assert [name for name, _ in streamed] == ["recalled", "token", "error"]
        assert streamed[-1][1]["status"] == 503
        (tmp_path / "away").rename(tmp_path / "store")
        assert [one["content"] for one in await service.log("ada", "s1")] == ["What is my dog called?"]


async def test_a_damaged_file_is_503_on_every_route_and_not_ready(
    one_encoder: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "mneme.db"
    async with ScriptedModel() as model, started(model, database_url=f"sqlite:///{file}") as service:
        await service.remember("ada", "My dog is called Biscuit.")
        await service.app.state.audit.flush()
        await service.app.state.memories.database.close()
        whole = file.read_bytes()
        file.write_bytes(whole[:4096] + b"\x5a" * (len(whole) - 4096))
        for method, path, body in CALLS:
            response = await service.call(method, path, json=body)
            assert "restore a backup" in problem(response, 503)["detail"]
        assert model.prompts == []
        ready = await service.call("GET", "/health/ready")
        assert (ready.status_code, ready.json()["parts"]["database"]) == (503, False)
    assert "Traceback" not in caplog.text


async def test_an_export_that_meets_a_damaged_page_breaks_off(one_encoder: None, tmp_path: Path) -> None:
    async with ScriptedModel() as model, started(model, database_url=f"sqlite:///{tmp_path}/mneme.db") as service:
        await service.remember("ada", *(f"Parcel {number} is on the shelf." for number in range(80)))
        real, calls = log.after, 0

        async def after(*args: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise StoreDamaged("the database file is damaged")
            return await real(*args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(log, "after", after)
            sent: list[Message] = []

            async def send(message: Message) -> None:
                sent.append(message)

            await service.app(_get("/v1/users/ada/export"), _nothing, send)
            assert sent[0]["status"] == 200
            assert all(message["more_body"] for message in sent[1:]), "the reply has no end"
            calls = 1
            problem(await service.call("GET", "/v1/users/ada/export"), 503)


def _get(path: str) -> Scope:
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [(b"host", b"mneme")],
        "client": ("127.0.0.1", 1), "server": ("mneme", 80),
    }  # fmt: skip


async def _nothing() -> Message:
    await asyncio.sleep(60)
    return {"type": "http.disconnect"}
