"""Every kind of error carries a marker in texts, ids, secrets: none of it reaches the log, a metric or a stranger."""

import asyncio
import io
import logging
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app import log_lines
from app.store.database import StoreUnavailable
from benchmarks.scripted_model import Prompt, Refusal, ScriptedModel
from tests.api.conftest import started
from tests.api.service import Service

MARKER = "Zq7marker"
USER = f"user-{MARKER}"
SAID = f"my card pin is {MARKER}"
JSON = {"Content-Type": "application/json"}
BASE = f"/v1/users/{USER}"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """All that is logged, at the level that says most."""
    stream, levels = io.StringIO(), {name: logging.getLogger(name).level for name in (None, "app", "mneme")}
    handler = log_lines.install("debug", stream)
    yield stream
    logging.getLogger().removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


async def refused(prompt: Prompt) -> AsyncGenerator[str, None]:
    raise Refusal(f"I was asked {prompt[-1]['content']}")
    yield ""


async def broken(*_: Any, **__: Any) -> None:
    raise RuntimeError(f"{USER} said {SAID}")


async def every_kind(service: Service, client: httpx.AsyncClient) -> set[int]:
    """Makes each kind of error with a marker in all that a caller can choose; returns the statuses."""
    statuses = set()
    key = {"Authorization": f"Bearer mneme_{MARKER}"}
    message = {"role": "user", "content": SAID, "external_id": MARKER, "speaker": MARKER, "name": MARKER}
    for method, path, more in (
        ("POST", f"{BASE}/messages", {"json": {"session_id": MARKER, "messages": [message]}}),
        ("POST", f"{BASE}/messages", {"json": {"messages": [{**message, "content": f"{SAID} too"}]}}),
        ("POST", f"{BASE}/messages", {"json": {"messages": [{**message, "role": MARKER, MARKER: MARKER}]}}),
        ("POST", f"{BASE}/messages", {"content": f'{{"messages": {MARKER}', "headers": JSON}),
        ("POST", f"{BASE}/messages", {"json": {"messages": [{"role": "user", "content": SAID * 10_000}] * 100}}),
        ("POST", f"{BASE}/import", {"content": f'{{"kind": "{MARKER}"}}', "headers": JSON}),
        ("POST", f"{BASE}/import", {"content": MARKER, "headers": {"Content-Type": f"text/{MARKER}"}}),
        ("GET", f"{BASE}/sessions?cursor={MARKER}", {}),
        ("GET", f"{BASE}/sessions/no-{MARKER}/messages", {}),
        ("GET", f"/{MARKER}", {}),
        ("GET", f"{BASE}/memory", {"headers": key}),
        ("GET", f"{BASE}/memory", {"headers": {"Host": f"{MARKER}.example"}}),
        ("POST", "/v1/chat", {"json": {"user_id": USER, "message": SAID}}),
        ("POST", "/v1/chat", {"json": {"user_id": USER, "message": SAID, "stream": True}}),
        ("POST", f"{BASE}/memory/recall", {"json": {"query": SAID}}),
        ("GET", f"{BASE}/export", {}),
    ):  # fmt: skip
        statuses.add((await client.request(method, path, **more)).status_code)
    return statuses


async def test_what_users_say_and_who_they_are_reaches_no_log_line_however_it_fails(
    one_encoder: None, tmp_path: Path, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedModel(refused) as model, started(model, database_url=f"sqlite:///{tmp_path}/m.db") as service:
        transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://mneme") as client:
            statuses = await every_kind(service, client)
            assert statuses >= {201, 404, 409, 413, 415, 421, 422, 502}, statuses
            database = service.app.state.memories.database
            for table in ("reads", "slots", "messages"):  # statements fail, with all that they were given
                async with database.writing() as connection:
                    await connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO {table}_away"))
                assert 503 in await every_kind(service, client)
            for name in ("recall", "remember", "recall_and_store"):  # what we did not think of
                monkeypatch.setattr(service.app.state.memories, name, broken)
            assert 500 in await every_kind(service, client)
            task = asyncio.create_task(broken())
            await asyncio.sleep(0)
            del task  # nobody looks at how it ended
            try:
                await broken()
            except RuntimeError as error:  # as uvicorn does
                logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=error)
            metrics = (await client.get("/metrics")).text
    said = log.getvalue()
    assert "RuntimeError" in said and "test_log_lines.py" in said, "where it failed is told"
    assert "Task exception was never retrieved" in said
    assert "/v1/users/{user_id}/messages" in said
    assert MARKER not in said, next(line for line in said.splitlines() if MARKER in line)
    assert MARKER not in metrics


async def test_an_error_of_one_user_tells_another_nothing(one_encoder: None, tmp_path: Path) -> None:
    async with ScriptedModel() as model, started(model, database_url=f"sqlite:///{tmp_path}/m.db") as service:
        await service.remember(USER, SAID, external_id="one")
        database = service.app.state.memories.database
        with pytest.raises(StoreUnavailable) as failed:
            async with database.reading() as connection:
                await connection.execute(sa.text("SELECT * FROM nowhere WHERE a = :b"), {"b": SAID})
        assert MARKER not in str(failed.value)
        for path in ("/v1/users/bob/memory", "/v1/users/bob/export", "/v1/users/bob/sessions/monday/messages"):
            assert MARKER not in (await service.call("GET", path)).text
