"""What operators and client writers rely on: request ids, the OpenAPI document, health, metrics."""

import re
import uuid
from typing import Any

import httpx
import pytest

from app.api.openai_errors import speaks_openai
from tests.api.service import Service, problem

ROUTES = {
    ("post", "/v1/chat"),
    ("post", "/v1/users/{user_id}/messages"),
    ("post", "/v1/users/{user_id}/memory/recall"),
    ("get", "/v1/users/{user_id}/memory"),
    ("get", "/v1/users/{user_id}/memory/slots"),
    ("get", "/v1/users/{user_id}/memory/slots/{slot}"),
    ("get", "/v1/users/{user_id}/memory/matrix"),
    ("get", "/v1/users/{user_id}/messages/{message_id}/trace"),
    ("delete", "/v1/users/{user_id}/messages/{message_id}"),
    ("get", "/v1/users/{user_id}/sessions"),
    ("get", "/v1/users/{user_id}/sessions/{session_id}/messages"),
    ("get", "/v1/users/{user_id}/export"),
    ("post", "/v1/users/{user_id}/import"),
    ("delete", "/v1/users/{user_id}"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/version"),
    ("get", "/metrics"),
}


async def test_the_openapi_document_lists_every_route_with_a_description(service: Service) -> None:
    document = await service.get("/openapi.json")
    listed = {(method, path): one for path, item in document["paths"].items() for method, one in item.items()}
    assert set(listed) >= ROUTES
    for route, one in listed.items():
        assert one.get("description"), route
        assert one["tags"], route


async def test_the_openapi_document_shows_examples_and_problems(service: Service) -> None:
    document = await service.get("/openapi.json")
    schemas = document["components"]["schemas"]
    for name, field in {"ChatRequest": "message", "NewMessage": "content", "RecallRequest": "query"}.items():
        assert schemas[name]["properties"][field]["examples"]
    for path, item in document["paths"].items():
        if not path.startswith("/v1/"):
            continue
        for method, one in item.items():
            for status in ("404", "422", "503"):
                shape = "application/json" if speaks_openai(path) else "application/problem+json"
                assert shape in one["responses"][status]["content"], (method, path, status)


async def test_no_response_of_the_document_shows_an_error_that_the_service_never_gives(service: Service) -> None:
    document = await service.get("/openapi.json")
    assert "HTTPValidationError" not in str(document["paths"])


async def test_the_documentation_page_is_there(service: Service) -> None:
    page = await service.call("GET", "/docs")
    assert page.status_code == 200
    assert "/openapi.json" in page.text


async def test_the_documentation_page_loads_nothing_from_elsewhere(service: Service) -> None:
    page = await service.call("GET", "/docs")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) >= 4
    for address in loaded:
        assert re.match("/[^/]", address), address
        assert (await service.call("GET", address)).status_code == 200, address
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert (await service.call("GET", "/redoc")).status_code == 404


async def test_a_given_request_id_comes_back_and_a_strange_one_is_replaced(service: Service) -> None:
    given = uuid.uuid4().hex
    for path in ("/health/live", "/nothing", "/v1/users/nobody/memory"):
        response = await service.call("GET", path, headers={"X-Request-ID": given})
        assert response.headers.get_list("x-request-id") == [given]
    for strange in ("a b", "x" * 65, "a;b", "<script>", ""):
        response = await service.call("GET", "/health/live", headers={"X-Request-ID": strange})
        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])


async def test_every_request_has_an_id_of_its_own(service: Service) -> None:
    ids = {(await service.call("GET", "/health/live")).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


async def test_an_unexpected_error_is_a_problem_that_tells_nothing_but_carries_the_id(
    service: Service, user: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(service.app.state.memories, "recall", fail)
    transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://mneme") as client:
        path, given = f"/v1/users/{user}/memory/recall", {"X-Request-ID": "find-me-in-the-log"}
        response = await client.post(path, json={"query": "Who?"}, headers=given)
    body = problem(response, 500)
    assert "swordfish" not in response.text
    assert "RuntimeError" not in body["detail"]
    assert response.headers["x-request-id"] == "find-me-in-the-log"
    assert "swordfish" in caplog.text


async def test_health_and_version_answer(service: Service) -> None:
    assert await service.get("/health/live") == {"status": "live"}
    ready = await service.get("/health/ready")
    assert ready == {"status": "ready", "parts": {"database": True, "generator": True}}
    version = await service.get("/version")
    assert set(version) == {"version", "fingerprint"}


async def test_metrics_count_by_route_and_never_name_a_user(service: Service, user: str) -> None:
    await service.remember(user, "Hello there.")
    await service.get(f"/v1/users/{user}/memory")
    problem(await service.call("GET", f"/v1/users/{user}/memory/slots?limit=0"), 422)
    problem(await service.call("GET", f"/nothing/{user}"), 404)
    text = (await service.call("GET", "/metrics")).text
    assert "mneme_waiting 0.0" in text
    assert re.search(r'mneme_requests_total\{.*route="/v1/users/\{user_id\}/messages",status="201"\}', text)
    assert re.search(r'mneme_requests_total\{.*route="/v1/users/\{user_id\}/memory/slots",status="422"\}', text)
    assert user not in text


async def test_the_log_of_requests_names_no_user(service: Service, user: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="mneme.requests"):
        await service.remember(user, "My PIN is 4931.")
    assert "/v1/users/{user_id}/messages" in caplog.text
    assert user not in caplog.text
    assert "4931" not in caplog.text
