"""Every moment that is accepted works in every later request: at both ends of the calendar, in every offset."""

import itertools

import pytest

from tests.api.service import Service

MOMENTS = (
    "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59+23:59", "9999-12-31T00:00:00-23:59",
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00-23:59", "0001-01-01T23:59:00+23:59", "2024-02-29T23:30:00-05:00",
)  # fmt: skip
ASKED = (
    "What did I do on my birthday?",
    "What happened last monday?",
    "What did I do two days before the trip to Rome?",
)
LOOKED_AT = (
    "", "/standing", "/standing/replaced", "/slots", "/slots/0", "/slots/0/usage", "/matrix", "/map",
)  # fmt: skip


@pytest.mark.parametrize("first", MOMENTS)
async def test_every_accepted_moment_works_in_every_request(service: Service, user: str, first: str) -> None:
    path, told = f"/v1/users/{user}", "My birthday is on friday. Last monday I came back from the trip to Rome."
    await service.remember(user, told, session="there", occurred_at=first)
    for other, text in zip(MOMENTS, itertools.cycle(ASKED), strict=False):
        await service.chat(user, text, occurred_at=other, session_id="asked")
        for route in ("recall", "explain"):
            await service.post(f"{path}/memory/{route}", {"query": text, "asked_at": other})
            await service.post(f"{path}/memory/{route}", {"query": text, "since": other})
        await service.get(f"{path}/messages", params={"until": other})
    for route in (*(f"/memory{one}" for one in LOOKED_AT), "/sessions", "/messages"):
        response = await service.call("GET", path + route)
        assert response.status_code == 200, (route, response.text)
    lines = await service.call("GET", f"{path}/export")
    headers = {"Content-Type": "application/x-ndjson"}
    brought = await service.call("POST", f"{path}-again/import", content=lines.content, headers=headers)
    assert brought.status_code == 201, brought.text
    for of in (user, f"{user}-again"):
        assert (await service.post(f"/v1/users/{of}/memory/check", {}))["same"]
