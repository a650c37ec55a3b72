"""`POST /v1/chat`, at once and streamed."""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from tests.api.service import Json, Service, events

RECOLLECTION = {
    "message_id", "external_id", "session_id", "role", "speaker", "name", "content", "metadata",
    "occurred_at", "slot", "weight", "modes",
}  # fmt: skip
REPLY = {
    "session_id",
    "user_message_id",
    "reply_message_id",
    "reply",
    "recalled",
    "memory",
    "timings_ms",
    "finish_reason",
}
MEMORY = {"version", "slots", "slots_used", "written"}
TIMINGS = {"encode", "read", "generate", "write", "commit", "total"}


def check_reply(reply: Json) -> None:
    assert set(reply) == REPLY
    assert set(reply["memory"]) == MEMORY
    assert set(reply["timings_ms"]) == TIMINGS
    assert all(value >= 0 for value in reply["timings_ms"].values())
    for one in reply["recalled"]:
        assert set(one) == RECOLLECTION
        assert set(one["modes"]) == {"content", "forward", "backward", "standing"}
        assert re.search(r"(Z|[+-]\d\d:\d\d)$", one["occurred_at"])
    weights = [one["weight"] for one in reply["recalled"]]
    assert weights == sorted(weights, reverse=True)


async def test_a_turn_answers_with_every_field_of_the_contract(service: Service, user: str) -> None:
    first = await service.chat(user, "My dog is called Biscuit.")
    check_reply(first)
    assert first["reply"].strip() == "You said: My dog is called Biscuit."
    assert first["recalled"] == []
    assert first["memory"]["slots_used"] == len(set(first["memory"]["written"])) == 2
    second = await service.chat(user, "What is my dog called?", session_id=first["session_id"])
    check_reply(second)
    assert second["session_id"] == first["session_id"]
    assert "My dog is called Biscuit." in [one["content"] for one in second["recalled"]]
    assert second["memory"]["version"] > first["memory"]["version"]


async def test_the_time_that_encoding_a_reply_takes_is_told_as_encoding(
    service: Service, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = service.app.state.memories.device
    real = device.encode

    async def slowly(texts: list[str]) -> Any:
        await asyncio.sleep(0.15)
        return await real(texts)

    monkeypatch.setattr(device, "encode", slowly)
    took = (await service.chat(user, "Hello there."))["timings_ms"]
    assert took["encode"] >= 2 * 150  # of the message and of the reply
    assert took["encode"] + took["generate"] + took["commit"] <= took["total"]


async def test_both_messages_of_a_turn_are_in_the_log_in_order(service: Service, user: str) -> None:
    reply = await service.chat(user, "My dog is called Biscuit.", session_id="s1")
    asked, said = await service.log(user, "s1")
    assert (asked["id"], asked["role"]) == (reply["user_message_id"], "user")
    assert (said["id"], said["role"]) == (reply["reply_message_id"], "assistant")
    assert said["content"] == reply["reply"]
    assert asked["status"] == said["status"] == "complete"


async def test_a_turn_without_a_session_begins_a_new_one(service: Service, user: str) -> None:
    sessions = {(await service.chat(user, "Hello there."))["session_id"] for _ in range(2)}
    assert len(sessions) == 2


async def test_a_turn_takes_every_option_of_the_contract(service: Service, user: str) -> None:
    await service.remember(user, "I like tea.", "I like rain.", "I like owls.")
    reply = await service.chat(
        user,
        "What do I like?",
        session_id="s:1@home_2.x",
        stream=False,
        max_tokens=5,
        temperature=0.7,
        k=2,
        occurred_at="2024-05-04T12:00:00+02:00",
    )
    assert len(reply["recalled"]) == 2
    asked, _ = await service.log(user, "s:1@home_2.x")
    assert asked["occurred_at"] == "2024-05-04T12:00:00+02:00"


async def test_a_whole_integer_is_a_temperature_too(service: Service, user: str) -> None:
    await service.chat(user, "Hello there.", temperature=1)


async def test_a_stream_tells_what_was_recalled_then_the_reply_then_the_same_object(
    service: Service, user: str
) -> None:
    await service.remember(user, "My dog is called Biscuit.")
    streamed = await service.streamed(user, "What is my dog called?", session_id="s1")
    names = [name for name, _ in streamed]
    assert names[0] == "recalled"
    assert set(names[1:-1]) == {"token"}
    assert names[-1] == "done"
    recalled, done = streamed[0][1], streamed[-1][1]
    check_reply(done)
    assert recalled["recalled"] == done["recalled"]
    assert recalled["user_message_id"] == done["user_message_id"]
    assert recalled["session_id"] == done["session_id"] == "s1"
    assert [set(data) for _, data in streamed[1:-1]] == [{"text"}] * (len(streamed) - 2)
    assert "".join(data["text"] for _, data in streamed[1:-1]) == done["reply"]
    assert [one["id"] for one in await service.log(user, "s1")] == [done["user_message_id"], done["reply_message_id"]]


async def test_line_breaks_and_every_script_survive_both_ways(service: Service, user: str) -> None:
    text = "Zwei Zeilen:\n\tüben — 猫 🐈‍⬛ 'quoted' \"twice\" \\ back  </s> data: x"
    streamed = await service.streamed(user, text, session_id="s1")
    assert streamed[-1][0] == "done"
    asked, _ = await service.log(user, "s1")
    assert asked["content"] == text


async def test_the_longest_message_is_remembered_and_answered(service: Service, user: str) -> None:
    text = ("Nightingales sing by the old mill. " * 1000)[:31_999] + "."
    reply = await service.chat(user, text)
    assert len(reply["memory"]["written"]) > 1


async def test_a_message_can_say_when_it_was_said_in_any_zone(service: Service, user: str) -> None:
    moments = {
        "2024-02-29T23:30:00-05:00": "2024-02-29T23:30:00-05:00",
        "2024-02-29T23:30:00": "2024-02-29T23:30:00Z",
        "0001-01-01T00:00:00Z": "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z": "9999-12-31T23:59:59.999999Z",
    }
    for number, given in enumerate(moments):
        await service.chat(user, "Something happened.", session_id=f"s{number}", occurred_at=given)
        asked, _ = await service.log(user, f"s{number}")
        assert asked["occurred_at"] == moments[given]


async def test_the_model_gets_the_message_once_and_what_it_recalled(service: Service, user: str) -> None:
    await service.remember(user, "My dog is called Biscuit.")
    await service.chat(user, "What is my dog called?")
    (prompt,) = service.model.prompts
    whole = "\n".join(message["content"] for message in prompt)
    assert whole.count("What is my dog called?") == 1
    assert "Biscuit" in whole


async def test_no_message_stands_in_the_prompt_both_as_history_and_as_recollection(service: Service, user: str) -> None:
    session = (await service.chat(user, "The wombat sleeps in the pantry."))["session_id"]
    service.model.prompts.clear()
    await service.chat(user, "Where does the wombat sleep?", session_id=session)
    (prompt,) = service.model.prompts
    assert sum(message["content"].count("The wombat sleeps in the pantry.") for message in prompt) == 2
    assert [message["role"] for message in prompt[-3:]] == ["user", "assistant", "user"]


async def test_what_was_recalled_is_not_written_again(service: Service, user: str) -> None:
    await service.remember(user, "My dog is called Biscuit.", "The ferry leaves at noon.")
    for _ in range(3):
        await service.chat(user, "What is my dog called?", session_id="s1")
    slots = (await service.get(f"/v1/users/{user}/memory/slots"))["slots"]
    assert [slot["text"] for slot in slots].count("My dog is called Biscuit.") == 1
    assert len(await service.log(user, "s1")) == 6


async def test_a_stream_is_one_event_a_block(service: Service, user: str) -> None:
    body = {"user_id": user, "message": "Hello there.", "stream": True}
    response: httpx.Response = await service.call("POST", "/v1/chat", json=body)
    assert response.headers["cache-control"] == "no-cache"
    assert len(events(response.text)) >= 3


async def test_a_reply_that_copies_one_before_is_asked_for_anew_without_the_history(
    service: Service, user: str
) -> None:
    async def copying(prompt: list[dict[str, str]]) -> AsyncGenerator[str, None]:
        again = any("Oh dear." in one["content"] for one in prompt if one["role"] == "assistant")
        for word in ("Oh dear. ", "I am ", "sorry." if again or "sad" in prompt[-1]["content"] else "fine."):
            yield word

    service.model.script = copying
    first = await service.chat(user, "Why am I so sad?")
    second = await service.chat(user, "How are you?", session_id=first["session_id"])
    assert (first["reply"], second["reply"]) == ("Oh dear. I am sorry.", "Oh dear. I am fine.")
    said = [[one["content"] for one in prompt] for prompt in service.model.prompts]
    assert len(said) == 3 and first["reply"] in said[1] and first["reply"] not in said[2]


async def test_a_reaction_leaves_out_what_the_replies_before_said(service: Service, user: str) -> None:
    async def reacting(prompt: list[dict[str, str]]) -> AsyncGenerator[str, None]:
        for word in ("That's ", "great ", "to hear! ", "Where ", f"is that, number {len(service.model.prompts)}?"):
            yield word

    service.model.script = reacting
    first = await service.chat(user, "I have got a new job.")
    second = await service.chat(user, "I have sold my car.", session_id=first["session_id"])
    assert first["reply"].startswith("That's great to hear! ")
    assert second["reply"].strip() == "Where is that, number 2?"


async def test_what_was_told_in_the_session_is_noted_where_its_history_is_left_out(service: Service, user: str) -> None:
    async def answering(prompt: list[dict[str, str]]) -> AsyncGenerator[str, None]:
        yield "Your dog is called Biscuit." if "Biscuit" in prompt[-1]["content"] + str(prompt[:-1]) else "Who knows?"

    service.model.script = answering
    first = await service.chat(user, "My dog is called Biscuit.")
    for _ in range(2):
        await service.chat(user, "What is my dog called?", session_id=first["session_id"])
    assert 'the user said: "My dog is called Biscuit."' in service.model.prompts[-1][-1]["content"]
