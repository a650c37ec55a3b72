"""Who may call what: the whole table of routes and callers, on the real application with keys made.

A route that the table does not name fails the first test, so that none is added without a decision.
"""

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from app.access.caller import Grant
from app.access.keys import Keys
from app.api.openai_errors import speaks_openai
from benchmarks.scripted_model import ScriptedModel
from tests.api.conftest import started
from tests.api.service import Service, problem

Route = tuple[str, str]
OPEN, KEYED, USER, ACTING, SERVICE, ADMIN = "open", "keyed", "user", "acting", "service", "admin"

U = "/v1/users/{user_id}"
TABLE: dict[Route, tuple[str, int]] = {
    # route -> who may call it, and the status that one who may gets from the requests below
    ("GET", "/openapi.json"): (OPEN, 200),
    ("GET", "/"): (OPEN, 200),
    ("GET", "/web/{path:path}"): (OPEN, 200),
    ("GET", "/docs"): (OPEN, 200),
    ("GET", "/health/live"): (OPEN, 200),
    ("GET", "/health/ready"): (OPEN, 200),
    ("GET", "/version"): (OPEN, 200),
    ("GET", "/metrics"): (ADMIN, 200),
    ("GET", "/v1/audit"): (ADMIN, 200),
    ("GET", "/v1/keys"): (ADMIN, 200),
    ("POST", "/v1/keys"): (ADMIN, 201),
    ("DELETE", "/v1/keys/{key_id}"): (ADMIN, 204),
    ("POST", "/v1/tokens"): (SERVICE, 200),
    ("POST", "/v1/chat"): (ACTING, 200),
    ("POST", "/v1/chat/completions"): (ACTING, 200),
    ("POST", "/v1/responses"): (ACTING, 200),
    ("GET", "/v1/responses/{response_id}"): (ACTING, 200),
    ("DELETE", "/v1/responses/{response_id}"): (ACTING, 200),
    ("POST", "/mcp"): (ACTING, 200),
    ("GET", "/v1/models"): (KEYED, 200),
    ("GET", "/v1/models/{model}"): (KEYED, 200),
    ("POST", "/v1/embeddings"): (ACTING, 200),
    ("POST", "/v1/answer"): (KEYED, 200),
    ("POST", "/v1/route"): (KEYED, 200),
    ("POST", f"{U}/messages"): (USER, 201),
    ("GET", f"{U}/messages"): (USER, 200),
    ("PUT", f"{U}/messages"): (USER, 200),
    ("GET", f"{U}/messages/{{message_id}}/trace"): (USER, 200),
    ("DELETE", f"{U}/messages/{{message_id}}"): (USER, 204),
    ("PATCH", f"{U}/messages/{{message_id}}"): (USER, 200),
    ("GET", f"{U}/messages/{{message_id}}/recalled-by"): (USER, 200),
    ("DELETE", f"{U}/sessions/{{session_id}}"): (USER, 204),
    ("PATCH", f"{U}/sessions/{{session_id}}"): (USER, 204),
    ("GET", "/v1/users"): (ADMIN, 200),
    ("POST", f"{U}/memory/recall"): (USER, 200),
    ("GET", f"{U}/memory"): (USER, 200),
    ("GET", f"{U}/memory/standing"): (USER, 200),
    ("GET", f"{U}/memory/standing/replaced"): (USER, 200),
    ("GET", f"{U}/memory/slots"): (USER, 200),
    ("GET", f"{U}/memory/slots/{{slot}}"): (USER, 200),
    ("GET", f"{U}/memory/slots/{{slot}}/usage"): (USER, 200),
    ("GET", f"{U}/memory/matrix"): (USER, 200),
    ("GET", f"{U}/memory/map"): (USER, 200),
    ("POST", f"{U}/memory/explain"): (USER, 200),
    ("POST", f"{U}/memory/check"): (USER, 200),
    ("GET", f"{U}/sessions"): (USER, 200),
    ("GET", f"{U}/sessions/{{session_id}}/messages"): (USER, 200),
    ("GET", f"{U}/export"): (USER, 200),
    ("POST", f"{U}/import"): (USER, 201),
    ("DELETE", U): (USER, 204),
}
HI = [{"role": "user", "content": "Hi."}]
HEADING = '{"kind": "mneme-export", "format": 1}\n'
REACH = {
    # caller -> the kinds of route it may call; `own` and `other` say whose key it is
    "nobody": {OPEN},
    "wrong key": {OPEN},
    "revoked key": {OPEN},
    "expired key": {OPEN},
    "forged token": {OPEN},
    "admin": {OPEN, KEYED, USER, ACTING, SERVICE, ADMIN},
    "service": {OPEN, KEYED, USER, ACTING, SERVICE},
    "own key": {OPEN, KEYED, USER, ACTING},
    "own token": {OPEN, KEYED, USER, ACTING},
    "other's key": {OPEN, KEYED},
    "other's token": {OPEN, KEYED},
}
STRANGERS = {"nobody", "wrong key", "revoked key", "expired key", "forged token"}


@dataclass
class Closed:
    """The application with keys made, and the keys."""

    service: Service
    keys: Keys
    credentials: dict[str, str | None]

    async def key(self, scope: str, lifetime: timedelta | None = None) -> str:
        return (await self.keys.create("test", Grant.parse(scope), lifetime)).key

    async def call(self, method: str, path: str, credential: str | None, **request: Any) -> httpx.Response:
        headers = {"Content-Type": "application/json", **request.pop("headers", {})}
        if credential is not None:
            headers["Authorization"] = f"Bearer {credential}"
        return await self.service.client.request(method, path, headers=headers, **request)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def closed(one_encoder: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    url = f"sqlite:///{tmp_path_factory.mktemp('closed')}/mneme.db"
    async with ScriptedModel() as model, started(model, database_url=url) as service:
        closed = Closed(service, service.app.state.keys, {})
        revoked = await closed.keys.create("revoked", Grant("admin"))
        await closed.keys.revoke(revoked.stored.id)
        closed.credentials |= {
            "nobody": None,
            "wrong key": "mneme_" + "a" * 43,
            "revoked key": revoked.key,
            "expired key": await closed.key("admin", timedelta(0)),
            "admin": await closed.key("admin"),
            "service": await closed.key("service"),
        }
        yield closed


def routes(app: FastAPI) -> set[Route]:
    """Every route of the application by method and path."""
    found = set()
    for one in iter_route_contexts(app.routes):
        for method in getattr(one, "methods", None) or {"GET"}:
            if method != "HEAD":
                found.add((method, str(one.path)))
    return found


async def test_the_table_names_every_route_and_no_other(closed: Closed) -> None:
    assert routes(closed.service.app) == set(TABLE)


async def test_every_route_that_asks_for_a_key_says_so_in_the_openapi_document(closed: Closed) -> None:
    document = await closed.service.get("/openapi.json")
    reach = {ADMIN: ["admin"], SERVICE: ["service", "admin"], USER: ["user", "service", "admin"]}
    reach[ACTING] = reach[KEYED] = reach[USER]
    for path, item in document["paths"].items():
        for method, one in item.items():
            kind, _ = TABLE[method.upper(), path]
            assert one.get("security") == (None if kind == OPEN else [{"key": reach[kind]}]), (method, path)
            if kind != OPEN:
                assert {"401", "403"} <= set(one["responses"]), (method, path)


async def a_user(closed: Closed) -> tuple[str, dict[str, str], dict[str, str | None]]:
    """A user with a message, what the placeholders of paths stand for, and the callers as they relate to the user."""
    user, admin = f"user-{uuid.uuid4().hex[:12]}", closed.credentials["admin"]
    body = {"session_id": "s1", "messages": [{"role": "user", "content": "My dog is called Biscuit."}]}
    remembered = await closed.call("POST", f"/v1/users/{user}/messages", admin, json=body)
    spare = await closed.keys.create("spare", Grant("service"))
    names = {
        "user_id": user,
        "message_id": remembered.json()["messages"][0]["id"],
        "response_id": f"resp_{remembered.json()['messages'][0]['id']}",
        "session_id": "s1",
        "slot": "0",
        "model": "mneme",
        "key_id": spare.stored.id,
    }
    service = await closed.keys.caller(str(closed.credentials["service"]))
    token = await closed.keys.mint(service, user, timedelta(minutes=1))
    head, payload, signature = token.split(".")
    callers = {
        **closed.credentials,
        "forged token": f"{head}.{payload}.{signature[::-1]}",
        "own key": await closed.key(f"user:{user}"),
        "own token": token,
        "other's key": await closed.key(f"user:{user}x"),
        "other's token": await closed.keys.mint(service, user.upper(), timedelta(minutes=1)),
    }
    return user, names, callers


def request_for(route: Route, user: str) -> dict[str, Any]:
    """A request that one who may call the route gets the table's status for."""
    bodies: dict[Route, Any] = {
        ("POST", "/v1/keys"): {"name": "new", "scope": "service"},
        ("POST", "/v1/tokens"): {"user_id": user},
        ("POST", "/v1/chat"): {"user_id": user, "message": "Hello there."},
        ("POST", "/v1/chat/completions"): {
            "model": "m",
            "user": user,
            "messages": [{"role": "user", "content": "Hi."}],
        },
        ("POST", "/v1/responses"): {"user": user, "input": "Hi."},
        ("POST", "/v1/embeddings"): {"model": "m", "user": user, "input": "Hi."},
        ("POST", "/v1/answer"): {"story": ["Mary went to the garden."], "question": "Where is Mary?"},
        ("POST", "/v1/route"): {"question": "A to B", "graph": [["A", "B"]]},
        ("POST", f"{U}/messages"): {"messages": [{"role": "user", "content": "It rains."}]},
        ("PUT", f"{U}/messages"): {"message": {"role": "user", "content": "It rains.", "external_id": "rain"}},
        ("PATCH", f"{U}/messages/{{message_id}}"): {"content": "It rains."},
        ("PATCH", f"{U}/sessions/{{session_id}}"): {"title": "Weather"},
        ("POST", f"{U}/memory/recall"): {"query": "What is my dog called?"},
        ("POST", f"{U}/memory/explain"): {"query": "What is my dog called?"},
    }
    if route == ("POST", f"{U}/import"):
        return {"content": HEADING, "headers": {"Content-Type": "application/x-ndjson"}}
    if route == ("POST", "/mcp"):
        accepted = {"Accept": "application/json, text/event-stream", "X-Mneme-User": user}
        return {"json": {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}, "headers": accepted}
    if "{response_id}" in route[1]:
        return {"headers": {"X-Mneme-User": user}}
    return {"json": bodies[route]} if route in bodies else {}


@pytest.mark.parametrize("route", TABLE, ids=" ".join)
async def test_each_route_answers_whom_it_should_and_nobody_else(closed: Closed, route: Route) -> None:
    (method, pattern), (kind, status) = route, TABLE[route]
    changes = method == "DELETE"
    user, names, callers = await a_user(closed)
    assert set(callers) == set(REACH)
    for caller in sorted(REACH, key=lambda one: kind in REACH[one]):  # those who may, and may delete, come last
        allowed = kind in REACH[caller]
        if allowed and changes:
            user, names, callers = await a_user(closed)
        if route == ("POST", f"{U}/import"):
            await closed.call("DELETE", f"/v1/users/{user}", closed.credentials["admin"])
        response = await closed.call(
            method,
            pattern.replace("{path:path}", "page.css").format(**names),
            callers[caller],
            **request_for(route, user),
        )
        if allowed:
            assert response.status_code == status, (caller, response.text)
        elif caller in STRANGERS:
            refusal(response, 401)
            assert response.headers["www-authenticate"].startswith("Bearer")
        else:
            refusal(response, 403)


def refusal(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem, in the shape that the route's clients expect."""
    if not speaks_openai(response.request.url.path):
        return problem(response, status)
    assert response.status_code == status, response.text
    error = dict(response.json()["error"])
    assert error["message"] and error["type"] and {"param", "code"} <= set(error)
    return error


async def test_a_key_of_one_user_cannot_tell_whether_another_exists(closed: Closed) -> None:
    user, names, callers = await a_user(closed)
    for route, (kind, _) in TABLE.items():
        if kind not in (USER, ACTING):
            continue
        method, pattern = route
        answers = []
        for one in (user, f"nobody-{uuid.uuid4().hex[:12]}"):
            path = pattern.format(**{**names, "user_id": one})
            response = await closed.call(method, path, callers["other's key"], **request_for(route, one))
            answers.append({**refusal(response, 403), "instance": None})
        assert answers[0] == answers[1], route


async def test_a_stranger_s_body_is_not_even_read(closed: Closed) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(4):
            read += 1
            yield b" " * 1000

    headers = {"Host": "mneme", "Content-Type": "application/json", "Authorization": "Bearer mneme_" + "b" * 43}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        async for chunk in body():
            return {"type": "http.request", "body": chunk, "more_body": True}
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/chat", "raw_path": b"/v1/chat", "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "http_version": "1.1", "scheme": "http", "server": ("mneme", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    await closed.service.app(scope, receive, send)
    assert sent[0]["status"] == 401
    assert read == 0


async def test_a_token_ends_with_its_time_and_with_the_key_that_minted_it(closed: Closed) -> None:
    user, _, _ = await a_user(closed)
    made = await closed.keys.create("minting", Grant("service"))
    caller = await closed.keys.caller(made.key)
    past = await closed.keys.mint(caller, user, timedelta(seconds=-1))
    problem(await closed.call("GET", f"/v1/users/{user}/memory", past), 401)
    token = await closed.keys.mint(caller, user, timedelta(minutes=1))
    assert (await closed.call("GET", f"/v1/users/{user}/memory", token)).status_code == 200
    await closed.keys.revoke(made.stored.id)
    problem(await closed.call("GET", f"/v1/users/{user}/memory", token), 401)


async def test_the_user_of_a_token_cannot_mint_another_token(closed: Closed) -> None:
    user, _, callers = await a_user(closed)
    problem(await closed.call("POST", "/v1/tokens", callers["own token"], json={"user_id": user}), 403)
    problem(await closed.call("POST", "/v1/tokens", callers["own key"], json={"user_id": user}), 403)


async def test_a_key_is_shown_once_and_listed_without_what_opens_anything(closed: Closed) -> None:
    admin = closed.credentials["admin"]
    body = {"name": "the shop", "scope": "user", "user_id": "ada", "expires_in_days": 90}
    made = (await closed.call("POST", "/v1/keys", admin, json=body)).json()
    assert (await closed.keys.caller(made["key"])).grant == Grant("user", "ada")
    listed = (await closed.call("GET", "/v1/keys", admin)).json()
    (entry,) = [one for one in listed["keys"] if one["id"] == made["id"]]
    assert entry["last_used_at"] is not None
    assert {**made, "key": None, "last_used_at": None} == {**entry, "key": None, "last_used_at": None}
    assert made["key"] not in json.dumps(listed)
    assert made["key"].startswith(entry["prefix"])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "a", "scope": "user"}, "#"),
        ({"name": "a", "scope": "service", "user_id": "ada"}, "#"),
        ({"name": "a", "scope": "root"}, "#/scope"),
        ({"name": "", "scope": "admin"}, "#/name"),
        ({"name": "a", "scope": "admin", "expires_in_days": 0}, "#/expires_in_days"),
    ],
)
async def test_a_key_that_cannot_be_meant_is_refused(closed: Closed, body: dict[str, Any], pointer: str) -> None:
    refused = problem(await closed.call("POST", "/v1/keys", closed.credentials["admin"], json=body), 422)
    assert [entry["pointer"] for entry in refused["errors"]] == [pointer]


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic bW5lbWU6YQ==", "mneme_x", "Bearer a.b.c", "Bearer é"]
)
async def test_a_header_that_is_no_credential_is_401(closed: Closed, header: str) -> None:
    headers = {b"Authorization": header.encode("latin-1")}
    problem(await closed.service.client.get("/v1/keys", headers=headers), 401)
