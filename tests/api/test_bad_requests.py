"""What cannot be meant is refused: with a 4xx, a problem that names the field, and nothing remembered."""

import json
from typing import Any

import pytest

from tests.api.conftest import MOST_BYTES
from tests.api.service import Service, problem

LONG = "a" * 32_001
ABSURD = ["", " ", "a b", "a/b", "a%2Fb", "a" * 129, "Zoë", "猫", "a\n", "a\x00", "a\u202eb", "a?b", "a#b", ".", ".."]


def pointers(body: dict[str, Any]) -> set[str]:
    return {entry["pointer"] for entry in body["errors"]}


CHAT: list[tuple[dict[str, Any], str]] = [
    ({"message": 5}, "#/message"),
    ({"message": None}, "#/message"),
    ({"message": ["a"]}, "#/message"),
    ({"message": ""}, "#/message"),
    ({"message": " \n\t "}, "#/message"),
    ({"message": "\u2003\u00a0"}, "#/message"),
    ({"message": LONG}, "#/message"),
    ({"message": "a\x00b"}, "#/message"),
    ({"message": "a\x1bb"}, "#/message"),
    ({"message": "a\x85b"}, "#/message"),
    ({"message": "a\x7fb"}, "#/message"),
    ({"message": "a\ud800b"}, "#/message"),
    ({"message": "\udfff"}, "#/message"),
    ({"user_id": 5}, "#/user_id"),
    ({"user_id": None}, "#/user_id"),
    *(({"user_id": name}, "#/user_id") for name in ABSURD),
    *(({"session_id": name}, "#/session_id") for name in ABSURD),
    ({"session_id": 7}, "#/session_id"),
    ({"stream": "yes"}, "#/stream"),
    ({"stream": 1}, "#/stream"),
    ({"k": "5"}, "#/k"),
    ({"k": 0}, "#/k"),
    ({"k": 101}, "#/k"),
    ({"k": 10**9}, "#/k"),
    ({"k": 10**400}, "#/k"),
    ({"k": 2.5}, "#/k"),
    ({"k": True}, "#/k"),
    ({"max_tokens": 0}, "#/max_tokens"),
    ({"max_tokens": 4097}, "#/max_tokens"),
    ({"max_tokens": "9"}, "#/max_tokens"),
    ({"temperature": -1}, "#/temperature"),
    ({"temperature": 3}, "#/temperature"),
    ({"temperature": float("nan")}, "#/temperature"),
    ({"temperature": float("inf")}, "#/temperature"),
    ({"temperature": "hot"}, "#/temperature"),
    ({"temperature": True}, "#/temperature"),
    ({"occurred_at": "yesterday"}, "#/occurred_at"),
    ({"occurred_at": ""}, "#/occurred_at"),
    ({"occurred_at": 1_700_000_000}, "#/occurred_at"),
    ({"occurred_at": "1700000000"}, "#/occurred_at"),
    ({"occurred_at": "2024-02-30T00:00:00Z"}, "#/occurred_at"),
    ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "#/occurred_at"),
    ({"occurred_at": "9999-12-31T23:59:59-01:00"}, "#/occurred_at"),
    ({"occurred_at": "10000-01-01T00:00:00Z"}, "#/occurred_at"),
    ({"occurred_at": "0000-01-01T00:00:00Z"}, "#/occurred_at"),
    ({"extra": 1}, "#/extra"),
    ({"a/b~c": 1}, "#/a~1b~0c"),
    ({"\ud800": 1}, "#"),
    ({"\x00": 1}, "#/"),
    ({"x" * 5000: 1}, "#/xxx"),
]


@pytest.mark.parametrize(("wrong", "pointer"), CHAT, ids=lambda value: ascii(value)[:40])
async def test_a_wrong_field_of_a_turn_is_named(
    service: Service, user: str, wrong: dict[str, Any], pointer: str
) -> None:
    body = json.dumps({"user_id": user, "message": "Hello there.", **wrong})
    for stream in (body, body[:-1] + ', "stream": true}') if "stream" not in wrong else (body,):
        reply = problem(await service.call("POST", "/v1/chat", content=stream), 422)
        assert any(found.startswith(pointer) for found in pointers(reply)), reply
        assert len(json.dumps(reply)) < 20_000
    assert service.model.prompts == []
    problem(await service.call("GET", f"/v1/users/{user}/memory"), 404)


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"messages": []}, "#/messages"),
        ({"messages": {}}, "#/messages"),
        ({"messages": [{"role": "user", "content": "a"}] * 1001}, "#/messages"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "#/messages/0/role"),
        ({"messages": [{"role": "user"}]}, "#/messages/0/content"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": " "}]}, "#/messages/1/content"),
        ({"messages": [{"role": "user", "content": LONG}]}, "#/messages/0/content"),
        ({"messages": [{"role": "user", "content": "a", "speaker": ""}]}, "#/messages/0/speaker"),
        ({"messages": [{"role": "user", "content": "a", "speaker": "b" * 129}]}, "#/messages/0/speaker"),
        ({"messages": [{"role": "user", "content": "a", "speaker": "b\x00"}]}, "#/messages/0/speaker"),
        ({"messages": [{"role": "user", "content": "a", "external_id": ""}]}, "#/messages/0/external_id"),
        ({"messages": [{"role": "user", "content": "a", "external_id": 5}]}, "#/messages/0/external_id"),
        ({"messages": [{"role": "user", "content": "a", "external_id": "b" * 257}]}, "#/messages/0/external_id"),
        ({"messages": [{"role": "user", "content": "a", "external_id": "\ud800"}]}, "#/messages/0/external_id"),
        ({"messages": [{"role": "user", "content": "a", "occurred_at": 3}]}, "#/messages/0/occurred_at"),
        ({"messages": [{"role": "user", "content": "a", "id": "b"}]}, "#/messages/0/id"),
        ({"messages": [5] * 1000}, "#/messages/0"),
        ({"session_id": "a b"}, "#/session_id"),
    ],
    ids=lambda value: ascii(value)[:60],
)
async def test_a_wrong_field_of_an_import_is_named_and_none_of_it_is_remembered(
    service: Service, user: str, wrong: dict[str, Any], pointer: str
) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "Hello there."}], **wrong})
    reply = problem(await service.call("POST", f"/v1/users/{user}/messages", content=body), 422)
    assert any(found.startswith(pointer) for found in pointers(reply)), reply
    assert len(reply["errors"]) <= 100
    problem(await service.call("GET", f"/v1/users/{user}/memory"), 404)


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"query": ""}, "#/query"),
        ({"query": 5}, "#/query"),
        ({"query": LONG}, "#/query"),
        ({"k": 0}, "#/k"),
        ({"k": 101}, "#/k"),
        ({"asked_at": "soon"}, "#/asked_at"),
        ({"session_id": ".."}, "#/session_id"),
        ({"limit": 5}, "#/limit"),
    ],
    ids=lambda value: ascii(value)[:40],
)
async def test_a_wrong_field_of_a_cue_is_named(
    service: Service, user: str, wrong: dict[str, Any], pointer: str
) -> None:
    body = json.dumps({"query": "Who?", **wrong})
    reply = problem(await service.call("POST", f"/v1/users/{user}/memory/recall", content=body), 422)
    assert pointers(reply) == {pointer}


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "a word": b"hello",
    "a list": b"[]",
    "a number": b"5",
    "null": b"null",
    "not UTF-8": b'{"user_id": "ada", "message": "\xff\xfe"}',
    "deep": b'{"user_id": "ada", "message": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a long number": b'{"user_id": "ada", "message": "hi", "k": ' + b"9" * 100_000 + b"}",
    "NUL bytes": b"\x00" * 100,
    "twice": b'{"user_id": "ada", "message": "hi"}{"user_id": "ada", "message": "hi"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("path", ["chat", "users/{user}/messages", "users/{user}/memory/recall", "users/{user}/import"])
async def test_a_body_that_is_no_request_is_refused(service: Service, user: str, path: str, body: bytes) -> None:
    response = await service.call("POST", f"/v1/{path.format(user=user)}", content=body)
    assert response.status_code in (400, 422)
    problem(response, response.status_code)
    problem(await service.call("GET", f"/v1/users/{user}/memory"), 404)


async def test_a_body_of_another_kind_is_refused(service: Service, user: str) -> None:
    form = await service.call("POST", "/v1/chat", data={"user_id": user, "message": "Hello there."})
    assert "application/json" in problem(form, 422)["detail"]


@pytest.mark.parametrize("path", ["chat", "users/{user}/messages", "users/{user}/memory/recall", "users/{user}/import"])
@pytest.mark.parametrize("told", [True, False], ids=["length told", "length not told"])
async def test_a_body_over_the_limit_is_413(service: Service, user: str, path: str, told: bool) -> None:
    body = b'{"messages": "' + b"a" * MOST_BYTES + b'"}'

    async def pieces() -> Any:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    content = body if told else pieces()
    problem(await service.call("POST", f"/v1/{path.format(user=user)}", content=content), 413)


WHERE = [
    ("GET", "/v1/users/{id}/memory"),
    ("GET", "/v1/users/{id}/memory/slots"),
    ("GET", "/v1/users/{id}/sessions"),
    ("GET", "/v1/users/{id}/export"),
    ("DELETE", "/v1/users/{id}"),
    ("GET", "/v1/users/ada/sessions/{id}/messages"),
    ("GET", "/v1/users/ada/messages/{id}/trace"),
    ("DELETE", "/v1/users/ada/messages/{id}"),
    ("GET", "/v1/users/ada/memory/slots/{id}"),
]


@pytest.mark.parametrize(
    "absurd",
    ["%20", "a%20b", "a%2Fb", "a" * 129, "Zo%C3%AB", "%00", "a%0A", "%FF", "%E2%80%AE", "%2E%2E", "%2E", "a%5Cb", "''"],
)
async def test_an_absurd_id_in_a_path_is_refused(service: Service, absurd: str) -> None:
    for method, where in WHERE:
        path = where.format(id=absurd)
        response = await service.call(method, path)
        assert response.status_code in (404, 405, 422), (path, response.text)
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code


async def test_an_absurd_id_is_named(service: Service) -> None:
    for path, pointer in {
        "/v1/users/a%20b/memory": "#/user_id",
        "/v1/users/ada/sessions/a%20b/messages": "#/session_id",
        "/v1/users/ada/messages/5/trace": "#/message_id",
        "/v1/users/ada/memory/slots/x": "#/slot",
        "/v1/users/ada/memory/slots/-1": "#/slot",
        f"/v1/users/ada/memory/slots/{10**30}": "#/slot",
    }.items():
        reply = problem(await service.call("GET", path), 422)
        assert pointers(reply) == {pointer}
        assert reply["errors"][0]["in"] == "path"


@pytest.mark.parametrize("path", ["memory/slots", "sessions", "sessions/monday/messages"])
async def test_a_wrong_limit_or_cursor_is_named(service: Service, user: str, path: str) -> None:
    await service.remember(user, "Hello there.")
    for limit in ("0", "1001", "-1", "many", "1.5", "", "1e3", str(10**30)):
        reply = problem(await service.call("GET", f"/v1/users/{user}/{path}", params={"limit": limit}), 422)
        assert pointers(reply) == {"#/limit"}
        assert reply["errors"][0]["in"] == "query"


CURSORS = [
    "", "x", "!!!", "猫", "a" * 257, "AAAA", "bnVsbA", "W10", "WzEsMiwzLDRd", "WyJhIl0", "W251bGxd", "W3RydWVd",
    "WzEuNV0", "e30", "WzFlOTk5XQ", "W05hTiwgMV0", "W0luZmluaXR5LCAxXQ", "WzEuMCwgdHJ1ZV0", "%00", "\x00",
    "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ",  # [99999999999999999999999999]
    "Wy05OTk5OTk5OTk5OTk5OTk5OTk5OTk5OV0",  # [-9999999999999999999999999]
    "WzEuMCwgOTk5OTk5OTk5OTk5OTk5OTk5OTk5OTld",  # [1.0, 999999999999999999999999]
]  # fmt: skip


@pytest.mark.parametrize("path", ["memory/slots", "sessions", "sessions/monday/messages"])
async def test_a_cursor_that_no_page_ended_with_is_refused(service: Service, user: str, path: str) -> None:
    await service.remember(user, "Hello there.")
    for cursor in CURSORS:
        response = await service.call("GET", f"/v1/users/{user}/{path}", params={"cursor": cursor})
        assert pointers(problem(response, 422)) == {"#/cursor"}, cursor


async def test_unknown_words_in_a_query_are_refused_where_they_have_a_meaning(service: Service, user: str) -> None:
    await service.remember(user, "Hello there.")
    reply = problem(await service.call("GET", f"/v1/users/{user}/memory/slots?order=beauty"), 422)
    assert pointers(reply) == {"#/order"}
    reply = problem(await service.call("GET", f"/v1/users/{user}/memory/matrix?format=pickle"), 422)
    assert pointers(reply) == {"#/format"}


async def test_an_unknown_route_is_404(service: Service) -> None:
    for path in ("/nothing", "/v1", "/v1/user", "/v2/chat", "/v1/chat/more", "/%2e%2e/etc/passwd", "/v1//chat"):
        problem(await service.call("GET", path), 404)


async def test_a_wrong_method_is_405_and_says_which_are_right(service: Service) -> None:
    for method, path in [("GET", "/v1/chat"), ("PUT", "/v1/chat"), ("POST", "/v1/users/ada/memory"),
                         ("PATCH", "/v1/users/ada"), ("DELETE", "/health/live")]:  # fmt: skip
        response = await service.call(method, path)
        problem(response, 405)
        assert response.headers["allow"]
