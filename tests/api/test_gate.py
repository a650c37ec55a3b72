"""The gate before the routes: foreign hosts and pages, limits, bodies, clients that leave, and the audit log."""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from app.access.caller import Grant
from app.access.limits import Limits, RunningReplies
from app.api import gate, replay_check
from benchmarks.scripted_model import Prompt, ScriptedModel, echo
from tests.api.conftest import started
from tests.api.service import Json, Service, problem

MESSAGE = {"messages": [{"role": "user", "content": "My dog is called Biscuit."}]}
PAGES = [
    {"Host": "evil.example"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bounded(one_encoder: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """An application of these tests' own, with small bounds."""
    url = f"sqlite:///{tmp_path_factory.mktemp('bounded')}/mneme.db"
    small = {"requests_at_once": 3, "max_text_characters": 1000, "max_bodies_bytes": 3 * 2**19}
    async with ScriptedModel() as model, started(model, database_url=url, **small) as service:
        yield service


@pytest.mark.parametrize("headers", PAGES, ids=str)
async def test_neither_a_foreign_page_nor_a_foreign_name_reads_or_writes(
    service: Service, user: str, headers: dict[str, str]
) -> None:
    status = 421 if "Host" in headers else 403
    for method, path in (("POST", f"/v1/users/{user}/messages"), ("GET", f"/v1/users/{user}/memory")):
        body = {"json": MESSAGE} if method == "POST" else {}
        problem(await service.call(method, path, headers=headers, **body), status)
    problem(await service.call("GET", f"/v1/users/{user}/memory"), 404)  # nothing was planted


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
async def test_an_import_takes_no_content_type_that_a_form_can_send(
    service: Service, user: str, kind: str | None
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    content = b'{"kind": "mneme-export", "format": 1}\n'
    response = await service.client.post(f"/v1/users/{user}/import", content=content, headers=headers)
    problem(response, 415)


async def test_over_its_requests_a_minute_a_key_gets_429_and_when_to_come_again(
    one_encoder: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('limited')}/mneme.db"
    async with ScriptedModel() as model, started(model, database_url=url, tokens_per_minute=5) as service:
        key = (await service.app.state.keys.create("one", Grant("service"))).key
        headers = {"Authorization": f"Bearer {key}"}
        turn = {"user_id": "ada", "message": "One two three four five six seven."}
        assert (await service.call("POST", "/v1/chat", json=turn, headers=headers)).status_code == 200
        refused = await service.call("POST", "/v1/chat", json=turn, headers=headers)
        problem(refused, 429)
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await service.call("GET", "/v1/users/ada/memory", headers=headers)).status_code == 200

        service.app.state.limits = Limits(requests=2, tokens=0)
        for method, path, status in (("GET", "/v1/users/ada/memory", 200), ("POST", "/v1/chat", 200)):
            body = {"json": turn} if method == "POST" else {}
            assert (await service.call(method, path, headers=headers, **body)).status_code == status
        for method, path in (("GET", "/v1/users/ada/memory"), ("POST", "/v1/chat")):
            refused = await service.call(method, path, headers=headers, **({"json": turn} if method == "POST" else {}))
            problem(refused, 429)
            assert int(refused.headers["retry-after"]) >= 1
        assert (await service.call("GET", "/health/live")).status_code == 200


@pytest.fixture
def few_replies(service: Service) -> Iterator[None]:
    state = service.app.state
    state.replies, many = RunningReplies(most=2, most_of_a_user=1), state.replies
    yield
    state.replies = many


@pytest.mark.usefixtures("few_replies")
async def test_replies_at_once_are_bounded_and_given_back(service: Service, user: str) -> None:
    release = asyncio.Event()

    async def waits(prompt: Prompt) -> AsyncGenerator[str, None]:
        await release.wait()
        yield "Yes."

    service.model.script = waits
    running = [asyncio.create_task(service.chat(f"{user}-{one}", "Hello there.")) for one in range(2)]
    await service.model.until(speaking=2)
    for one, status in (("0", 429), ("new", 503)):
        body = {"user_id": f"{user}-{one}", "message": "Hello there."}
        for stream in (False, True):
            refused = await service.call("POST", "/v1/chat", json={**body, "stream": stream})
            problem(refused, status)
            assert refused.headers["retry-after"] == "1"
    release.set()
    await asyncio.gather(*running)
    service.model.script = echo
    await service.chat(f"{user}-new", "Hello there.")
    await service.streamed(f"{user}-new", "Hello there.")


async def test_more_requests_than_may_be_under_way_are_503_but_health_answers(
    bounded: Service, caplog: pytest.LogCaptureFixture
) -> None:
    release = asyncio.Event()

    headers = {"Content-Type": "application/json"}
    path = "/v1/users/nobody/memory/recall"
    waiting = [asyncio.create_task(slowly(bounded, path, release)) for _ in range(3)]
    await asyncio.sleep(0.05)
    refused = await bounded.client.post(path, content=b"{}", headers=headers)
    problem(refused, 503)
    assert refused.headers["retry-after"] == "1"
    assert (await bounded.client.get("/health/live")).status_code == 200
    assert "REQUESTS_AT_ONCE" in caplog.text
    release.set()
    assert await asyncio.gather(*waiting) == [404, 404, 404]


async def slowly(service: Service, path: str, release: asyncio.Event, first: bytes = b'{"query": ') -> int:
    """Sends a body whose second half waits; returns the status."""
    halves = [first, b'"Who?"}']
    status: list[int] = []

    async def receive() -> dict[str, Any]:
        if len(halves) == 1:
            await release.wait()
        if not halves:
            await asyncio.Event().wait()  # it does not leave
        return {"type": "http.request", "body": halves.pop(0), "more_body": bool(halves)}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            status.append(int(message["status"]))

    await service.app(scope(path), receive, send)
    return status[0]


def scope(path: str, **headers: str) -> dict[str, Any]:
    given = {"host": "mneme", "content-type": "application/json", **headers}
    return {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "http_version": "1.1", "scheme": "http", "server": ("mneme", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip


async def test_bodies_under_way_are_bounded_together(bounded: Service, caplog: pytest.LogCaptureFixture) -> None:
    release = asyncio.Event()
    path, large = "/v1/users/nobody/memory/recall", b'{"query": ' + b" " * 2**19
    waiting = [asyncio.create_task(slowly(bounded, path, release, large)) for _ in range(2)]
    await asyncio.sleep(0.05)
    assert await slowly(bounded, path, release, large) == 503
    assert "MAX_BODIES_BYTES" in caplog.text
    release.set()
    assert await asyncio.gather(*waiting) == [404, 404]
    assert await slowly(bounded, path, release, large) == 404  # what was held is given back


async def test_a_body_that_comes_too_slowly_is_given_up(bounded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_UNHURRIED_SECONDS", 0.05)
    assert await slowly(bounded, "/v1/users/nobody/memory/recall", asyncio.Event()) == 408


async def test_more_text_than_the_machine_encodes_in_seconds_is_refused(bounded: Service, user: str) -> None:
    body = {"messages": [{"role": "user", "content": "word " * 150}] * 2}
    problem(await bounded.call("POST", f"/v1/users/{user}/messages", json=body), 413)


@pytest.mark.parametrize(
    ("method", "path", "body", "work"),
    [
        ("POST", "/v1/users/{user}/messages", MESSAGE, "memories.remember"),
        (
            "PUT",
            "/v1/users/{user}/messages",
            {"message": {**MESSAGE["messages"][0], "external_id": "a"}},
            "editing.put",
        ),
        ("PATCH", f"/v1/users/{{user}}/messages/{'a' * 32}", {"content": "It rains."}, "editing.edit"),
        ("POST", "/v1/users/{user}/memory/recall", {"query": "Who?"}, "memories.recall"),
        ("POST", "/v1/users/{user}/memory/explain", {"query": "Who?"}, "device.encode"),
        ("POST", "/v1/users/{user}/memory/check", {}, "replay_check.replay"),
        ("POST", "/v1/embeddings", {"model": "m", "user": "{user}", "input": "Hi."}, "device.encode"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
async def test_work_ends_when_its_client_leaves(
    service: Service, user: str, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Json, work: str
) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def forever(*_: Any, **__: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    of = service.app.state.memories
    owners = {"memories": of, "editing": of.editing, "device": of.device, "replay_check": replay_check}
    owner, _, name = work.partition(".")
    monkeypatch.setattr(owners[owner], name, forever)
    sent_body = json.dumps(body).replace("{user}", user).encode()
    messages = [{"type": "http.request", "body": sent_body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async with asyncio.timeout(5):
        await service.app({**scope(path.replace("{user}", user)), "method": method}, receive, send)
    assert cancelled.is_set()
    assert sent[0]["status"] == 499


async def test_what_was_done_to_whose_memory_is_listed_without_what_was_said(service: Service, user: str) -> None:
    secret = f"pin-{uuid.uuid4().hex}"
    done = await service.remember(user, f"My secret is {secret}.")
    message = done["messages"][0]["id"]
    await service.chat(user, f"What is {secret}?")
    await service.call("GET", f"/v1/users/{user}/export")
    await service.call("DELETE", f"/v1/users/{user}/messages/{message}")
    listed = await service.get("/v1/audit", params={"user_id": user})
    seen = [(one["method"], one["route"], one["object_id"], one["status"]) for one in listed["entries"]]
    assert seen == [
        ("DELETE", "/v1/users/{user_id}/messages/{message_id}", message, 204),
        ("GET", "/v1/users/{user_id}/export", None, 200),
        ("POST", "/v1/chat", None, 200),
        ("POST", "/v1/users/{user_id}/messages", None, 201),
    ]
    everything = await service.call("GET", "/v1/audit", params={"limit": 1000})
    assert secret not in everything.text
    assert not any(one["route"].startswith("/health") for one in everything.json()["entries"])
    pages = await service.pages("/v1/audit", "entries", 3)
    assert len(pages) >= 4


async def test_a_body_that_is_not_utf_8_names_the_body(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        headers = {"Content-Type": "application/json"}
        response = await service.client.post("/v1/chat", content=b'{"user_id": "\xff\xfe"}', headers=headers)
    assert problem(response, 422)["errors"] == [{"pointer": "#", "in": "body", "detail": "not UTF-8"}]
