"""`GET …/memory/standing`, and what stands in the prompt of every later turn."""

from app.assistant.prompt import IN_ENGLISH
from tests.api.service import Service

SPANISH = "Answer me in Spanish from now on."
TOLD = "in Spanish from now on."


async def test_what_stands_is_listed_and_shown_at_every_later_turn(service: Service, user: str) -> None:
    await service.chat(user, SPANISH)
    await service.remember(user, "My colleague is vegetarian.", "I live in Berlin.")
    listed = (await service.client.get(f"/v1/users/{user}/memory/standing")).json()
    assert set(listed) == {"standing"}
    (entry,) = listed["standing"]
    assert set(entry) == {"message_id", "content", "occurred_at", "score"}
    assert entry["content"] == SPANISH and 0.5 < entry["score"] <= 1
    reply = await service.chat(user, "Where do I live?")
    assert IN_ENGLISH.keep in str(service.model.prompts[-1][-1]) and TOLD in str(service.model.prompts[-1])
    (shown,) = [one for one in reply["recalled"] if one["modes"]["standing"]]
    assert shown["message_id"] == entry["message_id"]
    trace = (await service.client.get(f"/v1/users/{user}/messages/{reply['user_message_id']}/trace")).json()
    assert entry["message_id"] in [one["message_id"] for one in trace["read"] if one["modes"]["standing"]]


async def test_what_is_forgotten_is_no_longer_shown(service: Service, user: str) -> None:
    said = await service.chat(user, SPANISH)
    await service.client.delete(f"/v1/users/{user}/messages/{said['user_message_id']}")
    assert (await service.client.get(f"/v1/users/{user}/memory/standing")).json() == {"standing": []}
    await service.chat(user, "What time is it?")
    assert IN_ENGLISH.keep not in str(service.model.prompts[-1][-1])


async def test_openai_s_clients_are_answered_by_it_too(service: Service, user: str) -> None:
    await service.chat(user, SPANISH)
    for memory in ({}, {"read_only": True}):
        body = {"model": "m", "user": user, "messages": [{"role": "user", "content": "What is a fjord?"}]}
        reply = await service.client.post("/v1/chat/completions", json={**body, "memory": memory})
        assert reply.status_code == 200, reply.text
        assert TOLD in str(service.model.prompts[-1])
        assert [one["content"] for one in reply.json()["mneme"]["recalled"] if one["modes"]["standing"]] == [SPANISH]


async def test_who_does_not_exist_has_none(service: Service, user: str) -> None:
    assert (await service.client.get(f"/v1/users/{user}/memory/standing")).status_code == 404
