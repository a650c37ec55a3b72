"""OpenAI's interface, driven by the unmodified client of OpenAI: conversations that are sent whole each time."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from benchmarks.scripted_model import BreakOff, Prompt
from tests.api.conftest import started
from tests.api.service import Json, Service

Lines = list[Json]


@pytest_asyncio.fixture(loop_scope="session")
async def client(service: Service) -> AsyncIterator[openai.AsyncOpenAI]:
    yield of(service)


def of(service: Service) -> openai.AsyncOpenAI:
    over: Any = service.client  # the package's own types name another major version of the HTTP client
    return openai.AsyncOpenAI(base_url="http://mneme/v1", api_key="none", http_client=over, max_retries=0)


def said(role: str, content: str) -> Json:
    return {"role": role, "content": content}


async def ask(client: openai.AsyncOpenAI, user: str, lines: Lines, **more: Any) -> Any:
    messages: Any = lines
    return await client.chat.completions.create(model="mneme", messages=messages, user=user, **more)


async def turn(client: openai.AsyncOpenAI, user: str, lines: Lines, text: str, **more: Any) -> Lines:
    """The conversation with one more turn in it."""
    lines = [*lines, said("user", text)]
    done = await ask(client, user, lines, **more)
    return [*lines, said("assistant", done.choices[0].message.content)]


async def everything(service: Service, user: str) -> list[list[tuple[str, str]]]:
    """The sessions of a user, the oldest first, as roles and texts."""
    sessions = await service.pages(f"/v1/users/{user}/sessions", "sessions", 50)
    logs = [await service.log(user, one["session_id"]) for one in reversed(sessions)]
    return [[(one["role"], one["content"].strip()) for one in log] for log in logs]


def as_stored(lines: Lines) -> list[tuple[str, str]]:
    return [(one["role"], one["content"].strip()) for one in lines]


async def test_a_reply_has_openais_shape_and_says_what_was_recalled(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    await service.remember(user, "My dog is called Biscuit.")
    done = await ask(client, user, [said("user", "What is my dog called?")])
    assert done.object == "chat.completion"
    assert done.choices[0].finish_reason == "stop"
    assert done.choices[0].message.content.startswith("You said: What is my dog called?")
    assert done.usage.completion_tokens > 0
    assert done.mneme["recalled"][0]["content"] == "My dog is called Biscuit."
    assert "Biscuit" in json.dumps(service.model.prompts[-1])


async def test_a_stream_gives_the_same_text_and_its_usage_where_asked(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    stream = await ask(client, user, [said("user", "Hello there")], stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "You said: Hello there "
    assert chunks[0].mneme["user_message_id"]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens > 0
    assert await everything(service, user) == [[("user", "Hello there"), ("assistant", text.strip())]]


async def test_fifty_turns_sent_whole_each_time_are_stored_once(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    lines: Lines = []
    for place in range(50):
        lines = await turn(client, user, lines, f"Fact number {place}.")
        if place % 10 == 4:  # the reply is asked for anew
            await ask(client, user, lines[:-1])
        if place % 10 == 7:  # the last message is edited
            lines = await turn(client, user, lines[:-2], f"Fact number {place}, corrected.")
    assert await everything(service, user) == [as_stored(lines)]
    assert len(lines) == 100


async def test_two_conversations_that_begin_alike_stay_two(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    one = await turn(client, user, [], "Hi")
    one = await turn(client, user, one, "My dog is called Biscuit.")
    other = await turn(client, user, [], "Hi")
    other = await turn(client, user, other, "My cat is called Muffin.")
    one = await turn(client, user, one, "Biscuit is a beagle.")
    assert await everything(service, user) == [as_stored(other), as_stored(one)]


async def test_a_first_message_sent_again_at_once_is_one_message(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    await turn(client, user, [], "Hi")
    again = await turn(client, user, [], "Hi")
    assert await everything(service, user) == [as_stored(again)]


async def test_examples_in_front_of_a_question_never_erase_another_question(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    examples = [said("user", "Capital of France?"), said("assistant", "Paris")]
    await turn(client, user, examples, "Capital of Italy?")
    await turn(client, user, examples, "Capital of Spain?")
    texts = [text for session in await everything(service, user) for _, text in session]
    assert "Capital of Italy?" in texts and "Capital of Spain?" in texts


async def test_a_client_that_drops_the_oldest_messages_goes_on_in_its_session(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    lines: Lines = []
    for place in range(6):
        lines = await turn(client, user, lines[-4:], f"Thing {place}.")
    [session] = await everything(service, user)
    assert [text for role, text in session if role == "user"] == [f"Thing {place}." for place in range(6)]


async def test_a_named_session_takes_an_edit_of_its_first_message(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    named = {"metadata": {"session_id": "monday"}}
    await turn(client, user, [], "My dog is called Biscit.", **named)
    lines = await turn(client, user, [], "My dog is called Biscuit.", **named)
    assert as_stored(lines) == [(one["role"], one["content"].strip()) for one in await service.log(user, "monday")]


async def test_what_was_said_is_remembered_in_the_next_conversation(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    await turn(client, user, [], "My dog is called Biscuit.")
    done = await ask(client, user, [said("user", "What is my dog called?")])
    assert "Biscuit" in done.mneme["recalled"][0]["content"]


async def test_instructions_reach_the_generator_and_are_not_remembered(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    lines = [said("system", "Talk like a pirate."), said("user", "Hello"), said("developer", "Be brief.")]
    await ask(client, user, [lines[0], lines[2], lines[1]])
    system = service.model.prompts[-1][0]
    assert system["role"] == "system"
    assert "Talk like a pirate." in system["content"] and "Be brief." in system["content"]
    [session] = await everything(service, user)
    assert [role for role, _ in session] == ["user", "assistant"]


async def test_without_the_memory_the_generator_gets_what_the_client_sent(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    await service.remember(user, "My dog is called Biscuit.")
    lines = [said("system", "Be brief."), said("user", "What is my dog called?")]
    done = await ask(client, user, lines, extra_body={"memory": {"off": True}})
    assert service.model.prompts[-1] == lines
    assert done.mneme["recalled"] == []
    assert len(await everything(service, user)) == 1


async def test_a_read_only_request_recalls_and_stores_nothing(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    await service.remember(user, "My dog is called Biscuit.")
    done = await ask(
        client, user, [said("user", "What is my dog called?")], extra_body={"memory": {"read_only": True, "k": 1}}
    )
    assert [one["content"] for one in done.mneme["recalled"]] == ["My dog is called Biscuit."]
    assert await everything(service, user) == [[("user", "My dog is called Biscuit.")]]


async def test_a_call_of_a_tool_stores_the_question_and_the_final_answer_once(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    lines = [
        said("user", "Is it raining?"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    await ask(client, user, lines, tools=tools, stop=["END"], seed=7)
    assert service.model.prompts[-1][1:] == lines
    [session] = await everything(service, user)
    assert [role for role, _ in session] == ["user", "assistant"]


async def test_a_generator_that_breaks_off_is_openais_error_and_the_partial_reply_is_replaced(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    async def broken(prompt: Prompt) -> AsyncGenerator[str, None]:
        yield "It is"
        raise BreakOff

    whole, service.model.script = service.model.script, broken
    with pytest.raises(openai.InternalServerError) as error:
        await ask(client, user, [said("user", "Hello")])
    assert error.value.status_code == 502
    assert error.value.body["type"] == "server_error"  # type: ignore[index]
    service.model.script = whole
    lines = await turn(client, user, [], "Hello")
    assert await everything(service, user) == [as_stored(lines)]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"user": None}, "user"),
        ({"user": "no spaces, please"}, "user"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages"),
        ({"messages": [{"role": "clown", "content": "x"}]}, "messages[0].role"),
        ({"n": 2}, "n"),
        ({"memory": {"of": True}}, "memory.of"),
    ],
)
async def test_a_bad_request_is_openais_error_and_names_the_field(service: Service, change: Json, param: str) -> None:
    body = {"model": "mneme", "user": "ada", "messages": [said("user", "Hi")], **change}
    response = await service.call("POST", "/v1/chat/completions", json=body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert error["message"]


async def test_the_models_and_the_embeddings_are_listed(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["mneme"]
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-4")
    done = await client.embeddings.create(model="mneme", input=["a dog", "a puppy", "the stock market"])
    dog, puppy, market = (one.embedding for one in done.data)
    assert sum(x * x for x in dog) == pytest.approx(1, abs=1e-4)
    near, far = (sum(x * y for x, y in zip(dog, other, strict=True)) for other in (puppy, market))
    assert near > far
    assert done.usage.prompt_tokens > 0


async def test_the_header_names_the_user(client: openai.AsyncOpenAI, service: Service) -> None:
    user = f"user-{uuid.uuid4().hex[:12]}"
    headers = {"X-Mneme-User": user}
    await client.chat.completions.create(
        model="mneme", messages=[{"role": "user", "content": "Hi"}], extra_headers=headers
    )
    assert len(await everything(service, user)) == 1


async def test_two_replicas_asked_the_same_at_once_store_it_once(service: Service, user: str) -> None:
    url = service.app.state.settings.database_url
    async with started(service.model, database_url=url) as replica:
        clients = [of(one) for one in (service, replica)]
        lines: Lines = []
        for place in range(4):
            lines = [*lines, said("user", f"Fact number {place}.")]
            done, _ = await asyncio.gather(*(ask(client, user, lines) for client in clients))
            lines = [*lines, said("assistant", done.choices[0].message.content)]
        assert await everything(service, user) == [as_stored(lines)]


async def test_a_users_turns_wait_for_each_other_whichever_interface_they_come_by(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    release = asyncio.Event()

    async def waits(prompt: Prompt) -> AsyncGenerator[str, None]:
        yield "Yes."
        await release.wait()

    service.model.script = waits
    first = asyncio.create_task(service.chat(user, "Are you there?"))
    async with asyncio.timeout(10):
        await service.model.until(speaking=1)
    second = asyncio.create_task(ask(client, user, [said("user", "And now?")]))
    await asyncio.sleep(0.2)
    assert not second.done() and len(service.model.prompts) == 1
    release.set()
    await asyncio.gather(first, second)
    log = [text for session in await everything(service, user) for _, text in session]
    assert log == ["Are you there?", "Yes.", "And now?", "Yes."]
