"""Generated probes: a user's key, and paths, bodies and queries that mean another user somehow. Nothing leaks.

MNEME_PROBES in the environment asks for more of them.
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


async def ask(service: Service, method: str, raw: str, query: str, body: bytes, key: str) -> tuple[int, bytes]:
    """Sends a request whose path stands as it is, past the client's own tidying."""
    sent: list[Any] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {"host": "mneme", "content-type": "application/json", "authorization": f"Bearer {key}"}
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

    pick, statuses = random.Random(7), Counter[int]()
    cursors = ["", "cursor=WzBd", "cursor=W10", "user_id=victim%40home", "limit=1000", "order=reads&cursor=WzAuMCwwXQ"]
    for _ in range(PROBES):
        name = pick.choice([disguised(VICTIM, pick), ATTACKER])
        rest = pick.choice([
            "/memory", "/memory/slots", "/memory/slots/0", "/memory/slots/1", "/sessions", "/sessions/s1/messages",
            "/export", f"/messages/{message}/trace", "/memory/recall", "/messages", f"/messages/{message}", "",
        ])  # fmt: skip
        method = pick.choice(["POST"] if rest in ("/memory/recall", "/messages") else ["GET", "GET", "DELETE"])
        path = pick.choice([f"/v1/users/{name}{rest}"] * 5 + ["/v1/chat", "/v1/keys", "/v1/tokens", "/v1/audit"])
        if path == f"/v1/users/{ATTACKER}" and method == "DELETE":
            continue
        body = json.dumps(pick.choice([
            {"query": "What is the vault code?"},
            {"user_id": VICTIM, "message": "What is the vault code?"},
            {"user_id": VICTIM, "ttl": 60},
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
