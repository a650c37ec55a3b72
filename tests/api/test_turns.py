"""Turns that go wrong, and many at once: what was said is kept, in order, and users do not wait for each other."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator

from benchmarks.scripted_model import BreakOff, Prompt, Refusal, asked, echo
from tests.api.service import Json, Service, problem


async def refuses(_: Prompt) -> AsyncGenerator[str, None]:
    raise Refusal("the model is not loaded")
    yield ""


async def breaks_off(_: Prompt) -> AsyncGenerator[str, None]:
    yield "I was about "
    yield "to say"
    await asyncio.sleep(0.05)
    raise BreakOff


async def hangs(_: Prompt) -> AsyncGenerator[str, None]:
    yield "Let me think"
    await asyncio.Event().wait()


async def says_nothing(_: Prompt) -> AsyncGenerator[str, None]:
    for _ in ():
        yield ""


async def says_blanks(_: Prompt) -> AsyncGenerator[str, None]:
    yield "  \n"


async def failed(service: Service, user: str) -> Json:
    body = {"user_id": user, "message": "My dog is called Biscuit.", "session_id": "s1"}
    return problem(await service.call("POST", "/v1/chat", json=body), 502)


async def the_next_turn_works(service: Service, user: str) -> None:
    service.model.script = echo
    reply = await service.chat(user, "What is my dog called?", session_id="s1")
    assert "My dog is called Biscuit." in [one["content"] for one in reply["recalled"]]
    log = await service.log(user, "s1")
    assert [one["id"] for one in log[-2:]] == [reply["user_message_id"], reply["reply_message_id"]]
    await quiet(service)


async def quiet(service: Service) -> None:
    """No reply goes on being generated for nobody."""
    async with asyncio.timeout(5):
        await service.model.until(speaking=0)


async def test_a_model_that_refuses_costs_the_reply_but_not_the_message(service: Service, user: str) -> None:
    service.model.script = refuses
    body = await failed(service, user)
    assert "the model is not loaded" in body["detail"]
    (kept,) = await service.log(user, "s1")
    assert kept["id"] == body["user_message_id"]
    assert body["session_id"] == "s1"
    assert "reply_message_id" not in body
    await the_next_turn_works(service, user)


async def test_a_model_that_breaks_off_leaves_an_interrupted_reply(service: Service, user: str) -> None:
    service.model.script = breaks_off
    body = await failed(service, user)
    message, reply = await service.log(user, "s1")
    assert (message["id"], message["status"]) == (body["user_message_id"], "complete")
    assert (reply["id"], reply["status"]) == (body["reply_message_id"], "interrupted")
    assert reply["content"] == "I was about to say"
    await the_next_turn_works(service, user)


async def test_an_empty_reply_is_an_error_and_is_not_remembered(service: Service, user: str) -> None:
    for script in (says_nothing, says_blanks):
        service.model.script = script
        assert "empty" in (await failed(service, user))["detail"]
    assert [one["role"] for one in await service.log(user, "s1")] == ["user", "user"]
    await the_next_turn_works(service, user)


async def test_a_stream_that_fails_ends_with_one_error_event(service: Service, user: str) -> None:
    for script, told in ((refuses, 0), (breaks_off, 2), (says_nothing, 0)):
        service.model.script = script
        streamed = await service.streamed(user, "My dog is called Biscuit.", session_id="s1")
        assert [name for name, _ in streamed] == ["recalled", *["token"] * told, "error"]
        error = streamed[-1][1]
        assert {"type", "title", "status", "detail", "instance"} <= set(error)
        assert error["status"] == 502
        assert error["user_message_id"] == streamed[0][1]["user_message_id"]
        assert ("reply_message_id" in error) == bool(told)
    await the_next_turn_works(service, user)


async def test_a_model_that_goes_away_is_told_in_one_line(service: Service, user: str) -> None:
    generator, away = service.app.state.generator, "http://127.0.0.1:9/v1"
    client = generator._client
    before, client.base_url = client.base_url, away
    try:
        body = await failed(service, user)
        assert "\n" not in body["detail"]
        ready = await service.call("GET", "/health/ready")
        assert ready.status_code == 503
        assert ready.json()["parts"] == {"database": True, "generator": False}
    finally:
        client.base_url = before
    await the_next_turn_works(service, user)


async def test_fifty_turns_of_one_user_at_once_are_each_answered_in_order(service: Service, user: str) -> None:
    messages = [f"Number {n} of fifty." for n in range(50)]
    replies = await asyncio.gather(*(service.chat(user, message, session_id="s1") for message in messages))
    log = await service.log(user, "s1")
    assert Counter(one["content"] for one in log if one["role"] == "user") == Counter(messages)
    by_question = {reply["user_message_id"]: reply for reply in replies}
    for question, answer in zip(log[::2], log[1::2], strict=True):
        assert (question["role"], answer["role"]) == ("user", "assistant")
        assert by_question[question["id"]]["reply_message_id"] == answer["id"]
        assert answer["content"].strip() == f"You said: {question['content']}"
    versions = [by_question[one["id"]]["memory"]["version"] for one in log[::2]]
    assert versions == sorted(set(versions))
    assert (await service.get(f"/v1/users/{user}/memory"))["slots_used"] == 100


async def test_turns_and_imports_of_one_user_at_once_lose_nothing(service: Service, user: str) -> None:
    turns = [service.chat(user, f"Turn {n}.", session_id="s1") for n in range(10)]
    imports = [service.remember(user, f"Import {n}.", f"Import {n} again.", session="s2") for n in range(10)]
    recalls = [service.call("POST", f"/v1/users/{user}/memory/recall", json={"query": "Who?"}) for _ in range(10)]
    done = await asyncio.gather(*turns, *imports)
    await asyncio.gather(*recalls)
    assert len(await service.log(user, "s1")) == 20
    pairs = [one["content"] for one in await service.log(user, "s2")]
    assert [second.removesuffix(" again.") + "." for second in pairs[1::2]] == pairs[::2]
    assert len({message["id"] for one in done[10:] for message in one["messages"]}) == 20


async def test_a_model_that_hangs_for_one_user_keeps_nobody_else_waiting(service: Service, user: str) -> None:
    async def hangs_for_one(prompt: Prompt) -> AsyncGenerator[str, None]:
        if asked(prompt) == "Hang.":
            await asyncio.Event().wait()
        async for text in echo(prompt):
            yield text

    service.model.script = hangs_for_one
    await service.remember(user, "My dog is called Biscuit.")
    waiting = asyncio.create_task(service.chat(user, "Hang.", session_id="s1"))
    async with asyncio.timeout(10):
        await service.model.until(speaking=1)
        others = [service.chat(f"{user}-{n}", "Hello there.") for n in range(8)]
        assert len(await asyncio.gather(*others)) == 8
        # The same user's own memory can be read and added to meanwhile; only the next turn waits.
        assert "My dog is called Biscuit." in await service.recalled(user, "What is my dog called?")
        await service.remember(user, "The ferry leaves at noon.")
        assert [one["content"] for one in await service.log(user, "s1")] == ["Hang."]
    next_turn = asyncio.create_task(service.chat(user, "And then?", session_id="s1"))
    await asyncio.sleep(0.3)
    assert not next_turn.done()
    waiting.cancel()
    next_turn.cancel()
    await asyncio.gather(waiting, next_turn, return_exceptions=True)
    await service.app.state.runner.close()
    await quiet(service)
    assert (await service.log(user, "s1"))[0]["content"] == "Hang."


async def test_a_message_deleted_before_it_was_answered_gets_no_reply_in_the_log(service: Service, user: str) -> None:
    release = asyncio.Event()

    async def waits(prompt: Prompt) -> AsyncGenerator[str, None]:
        yield "You said something."
        await release.wait()

    service.model.script = waits
    body = {"user_id": user, "message": "My PIN is 4931.", "session_id": "s1"}
    turn = asyncio.create_task(service.call("POST", "/v1/chat", json=body))
    async with asyncio.timeout(10):
        await service.model.until(speaking=1)
    (message,) = await service.log(user, "s1")
    assert (await service.call("DELETE", f"/v1/users/{user}/messages/{message['id']}")).status_code == 204
    release.set()
    problem(await turn, 404)
    problem(await service.call("GET", f"/v1/users/{user}/sessions/s1/messages"), 404)


async def test_a_user_erased_in_the_middle_of_a_turn_stays_erased(service: Service, user: str) -> None:
    release = asyncio.Event()

    async def waits(prompt: Prompt) -> AsyncGenerator[str, None]:
        yield "You said something."
        await release.wait()

    service.model.script = waits
    turn = asyncio.create_task(
        service.call("POST", "/v1/chat", json={"user_id": user, "message": "My PIN is 4931.", "session_id": "s1"})
    )
    async with asyncio.timeout(10):
        await service.model.until(speaking=1)
    assert (await service.call("DELETE", f"/v1/users/{user}")).status_code == 204
    release.set()
    problem(await turn, 404)
    problem(await service.call("GET", f"/v1/users/{user}/memory"), 404)
