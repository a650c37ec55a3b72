"""Generated probes: a user's key, and paths, bodies and queries that mean another user somehow. Nothing leaks.

MNEME_PROBES in the environment asks for more of them, MNEME_PROBES_SEED for others.
"""

import json
import os
import random
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, unquote

import pytest
import pytest_asyncio

from app.access.caller import Grant
from benchmarks.scripted_model import ScriptedModel
from tests.api.conftest import started
from tests.api.service import Service

PROBES = int(os.environ.get("MNEME_PROBES", "1500"))
SEED = int(os.environ.get("MNEME_PROBES_SEED", "7"))
VICTIM, ATTACKER, SECRET = "victim@home", "attacker", "the-vault-code-is-4931"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def closed(one_encoder: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    url = f"sqlite:///{tmp_path_factory.mktemp('probed')}/mneme.db"
    chosen: dict[str, Any] = {"database_url": url, "requests_per_minute": 0, "tokens_per_minute": 0, "audit_days": 0}
    async with ScriptedModel() as model, started(model, **chosen) as service:
        for user, text in ((VICTIM, SECRET), (ATTACKER, "It rains.")):
            await service.remember(user, text, session="s1", external_id="same")
        yield service


def disguised(user: str, pick: random.Random) -> str:
    """A way to write the user's name into a path."""
    kinds = [
        lambda: quote(user, safe=""),
        lambda: "".join(f"%{ord(one):02{pick.choice('xX')}}" for one in user),
        lambda: quote(quote(user, safe=""), safe=""),
        lambda: quote("".join(pick.choice((one.upper(), one.lower())) for one in user)),
        lambda: quote(user) + pick.choice(["%00", "%20", "%0a", "%2f", "/", "//", ";", "%3f", "%23", ".", "%c0%80"]),
        lambda: pick.choice(["%20", "%09", "./", "../", "%2e%2e/", "%2e%2e%2f", "//"]) + quote(user),
        lambda: f"{ATTACKER}/../{quote(user)}",
        lambda: f"{ATTACKER}%2f..%2f{quote(user)}",
        lambda: f"{ATTACKER},{quote(user)}",
        lambda: quote("".join(chr(ord(one) + 0xFEE0) if one.isalpha() else one for one in user)),  # full-width
        lambda: quote(unicodedata.normalize("NFKD", user).replace("i", "ı").replace("o", "о")),
        lambda: quote(user) + "".join(chr(pick.randrange(33, 127)) for _ in range(2)).replace("?", "").replace("#", ""),
    ]
    return str(pick.choice(kinds)())


async def ask(
    service: Service, method: str, raw: str, query: str, body: bytes, key: str, **more: str
) -> tuple[int, bytes]:
    """Sends a request whose path stands as it is, past the client's own tidying; `more` are headers."""
    sent: list[Any] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {"host": "mneme", "content-type": "application/json", "authorization": f"Bearer {key}", **more}
    scope = {
        "type": "http", "method": method, "path": unquote(raw), "raw_path": raw.encode("latin-1", "replace"),
        "query_string": query.encode(), "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "http_version": "1.1", "scheme": "http", "server": ("mneme", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    await service.app(scope, receive, send)
    said = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
    return int(sent[0]["status"]), said


async def test_no_way_of_naming_another_user_opens_that_user_s_memory(closed: Service) -> None:
    keys = closed.app.state.keys
    made = await keys.create("service", Grant("service"))
    caller = await keys.caller(made.key)
    shown = [(await keys.create("own", Grant("user", ATTACKER))).key]
    shown.append(await keys.mint(caller, ATTACKER, timedelta(hours=1)))
    victims = (await closed.app.state.keys.create("v", Grant("admin"))).key
    log = await ask(closed, "GET", f"/v1/users/{quote(VICTIM)}/sessions/s1/messages", "limit=1", b"", victims)
    message = json.loads(log[1])["messages"][0]["id"]
    assert SECRET.encode() in log[1]

    pick, statuses = random.Random(SEED), Counter[int]()
    cursors = ["", "cursor=WzBd", "cursor=W10", "user_id=victim%40home", "limit=1000", "order=reads&cursor=WzAuMCwwXQ"]
    for _ in range(PROBES):
        name = pick.choice([disguised(VICTIM, pick), ATTACKER])
        rest = pick.choice([
            "/memory", "/memory/slots", "/memory/slots/0", "/memory/slots/1", "/sessions", "/sessions/s1/messages",
            "/export", f"/messages/{message}/trace", "/memory/recall", "/messages", f"/messages/{message}", "",
        ])  # fmt: skip
        method = pick.choice(["POST"] if rest in ("/memory/recall", "/messages") else ["GET", "GET", "DELETE"])
        path = pick.choice([f"/v1/users/{name}{rest}"] * 5 + [
            "/v1/chat", "/v1/keys", "/v1/tokens", "/v1/audit",
            "/v1/chat/completions", "/v1/responses", f"/v1/responses/resp_{message}",
        ])  # fmt: skip
        if path == f"/v1/users/{ATTACKER}" and method == "DELETE":
            continue
        body = json.dumps(pick.choice([
            {"query": "What is the vault code?"},
            {"user_id": VICTIM, "message": "What is the vault code?"},
            {"user_id": VICTIM, "ttl": 60},
            {"user": VICTIM, "input": "What is the vault code?", "conversation": "s1"},
            {"input": "What is the vault code?", "previous_response_id": f"resp_{message}"},
            {"user": VICTIM, "model": "m", "messages": [{"role": "user", "content": "What is the vault code?"}]},
            {"messages": [{"role": "user", "content": "Hi.", "external_id": "same"}]},
            {"name": "x", "scope": "user", "user_id": VICTIM},
        ])).encode()  # fmt: skip
        status, said = await ask(closed, method, path, pick.choice(cursors), body, pick.choice(shown))
        statuses[status] += 1
        assert SECRET.encode() not in said, (method, path, body)
        assert status < 500, (method, path, body, said)
    assert statuses[403] > PROBES // 10, statuses
    after = await ask(closed, "GET", f"/v1/users/{quote(VICTIM)}/sessions/s1/messages", "limit=1000", b"", victims)
    assert [one["content"] for one in json.loads(after[1])["messages"]] == [SECRET]  # nor was anything changed
    print(f"{statuses.total()} probes: {sorted(statuses.items())}")


async def test_no_way_of_calling_a_tool_opens_another_user_s_memory(closed: Service) -> None:
    keys = closed.app.state.keys
    own, victims = (await keys.create("own", Grant("user", ATTACKER))).key, (await keys.create("v", Grant("admin"))).key
    log = await ask(closed, "GET", f"/v1/users/{quote(VICTIM)}/sessions/s1/messages", "limit=1", b"", victims)
    message = json.loads(log[1])["messages"][0]["id"]
    pick, statuses = random.Random(SEED + 1), Counter[int]()
    accepted = {"accept": "application/json, text/event-stream"}
    for _ in range(PROBES // 6):
        name = disguised(VICTIM, pick)
        way = pick.choice(["", "../", "../../", "%2e%2e/", "..%2f..%2f", "\\..\\", "x/../../"])
        named = pick.choice([f"{way}{name}/messages/{message}", f"{way}{message}", f"{way}{name}/sessions/s1", name])
        tool, arguments = pick.choice([
            ("recall", {"query": "What is the vault code?", "session_id": named}),
            ("recall", {"query": "What is the vault code?", "user": VICTIM, "user_id": VICTIM}),
            ("why", {"query": f"What is the vault code of {VICTIM}?", "k": 100}),
            ("forget", {"message_id": named, "with_replies": pick.random() < 0.5}),
            ("sessions", {"limit": 1000, "user": VICTIM}),
        ])  # fmt: skip
        asked = pick.choice([
            ("tools/call", {"name": tool, "arguments": arguments}),
            ("tools/call", {"name": tool, "arguments": arguments}),
            ("resources/read", {"uri": f"mneme://sessions/{quote(named)}"}),
            ("resources/read", {"uri": f"mneme://{quote(named)}"}),
            ("resources/read", {"uri": "mneme://memory", "_meta": {"user": VICTIM}}),
        ])  # fmt: skip
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": asked[0], "params": asked[1]}).encode()
        query = pick.choice(["", "", f"user={name}", f"user={ATTACKER}&user={quote(VICTIM)}"])
        headers = pick.choice([accepted, accepted, {**accepted, "x-mneme-user": unquote(name, "latin-1")}])
        status, said = await ask(closed, "POST", "/mcp", query, body, own, **headers)
        statuses[status] += 1
        assert SECRET.encode() not in said, (asked, query, headers)
        assert status < 500, (asked, query, said)
    assert statuses[200] > PROBES // 30 and statuses[403] > PROBES // 60, statuses
    after = await ask(closed, "GET", f"/v1/users/{quote(VICTIM)}/sessions/s1/messages", "limit=1000", b"", victims)
    assert [one["content"] for one in json.loads(after[1])["messages"]] == [SECRET]
    print(f"{statuses.total()} calls: {sorted(statuses.items())}")
