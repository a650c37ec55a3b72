"""OpenAI's newer interface, driven by the unmodified client of OpenAI: what goes on after the last response."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai.types.responses import Response

from app.assistant.prompt import EXAMPLES
from benchmarks.scripted_model import BreakOff, Prompt, message_of
from tests.api.conftest import started
from tests.api.service import Json, Service
from tests.api.test_openai import everything, of, said

HI = [said("user", "Hi")]


@pytest_asyncio.fixture(loop_scope="session")
async def client(service: Service) -> AsyncIterator[openai.AsyncOpenAI]:
    yield of(service)


async def respond(client: openai.AsyncOpenAI, user: str, given: Any, **more: Any) -> Any:
    return await client.responses.create(model="mneme", input=given, user=user, **more)


def shown(service: Service) -> list[tuple[str, str]]:
    """What the generator was last given, without the system text, the examples and the notes."""
    examples = {one.content for one in EXAMPLES}
    given = [one for one in service.model.prompts[-1][1:] if one["content"] not in examples]
    return [(one["role"], message_of(one["content"])) for one in given]


async def test_a_response_has_openais_shape_and_is_remembered(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    await service.remember(user, "My dog is called Biscuit.")
    done = await respond(client, user, "What is my dog called?", instructions="Be brief.", max_output_tokens=50)
    Response.model_validate(done.model_dump(), strict=True)
    assert done.status == "completed"
    assert done.output_text.startswith("You said: What is my dog called?")
    assert done.instructions == "Be brief." and done.max_output_tokens == 50
    assert done.usage.output_tokens > 0
    assert done.mneme["recalled"][0]["content"] == "My dog is called Biscuit."
    assert "Be brief." in service.model.prompts[-1][0]["content"]
    log = (await everything(service, user))[-1]
    assert log == [("user", "What is my dog called?"), ("assistant", done.output_text.strip())]


async def test_a_stream_tells_each_event_in_order_and_ends_with_the_response(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    events = [event async for event in await respond(client, user, "Hello there", stream=True)]
    kinds = [event.type.removeprefix("response.") for event in events if "delta" not in event.type]
    assert kinds == [
        "created", "in_progress", "output_item.added", "content_part.added",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-1].response.output_text == "You said: Hello there "
    assert events[0].response.id == events[-1].response.id
    assert await everything(service, user) == [[("user", "Hello there"), ("assistant", text.strip())]]


async def test_the_clients_own_accumulator_follows_the_stream(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    async with client.responses.stream(model="mneme", input="Hello there", user=user) as stream:
        async for _ in stream:
            pass
        done = await stream.get_final_response()
    assert done.output_text == "You said: Hello there "


async def test_the_next_message_goes_on_after_the_last_response_and_only_new_words_are_written(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    done = await respond(client, user, "I am Ada.", instructions="Talk like a pirate.")
    for place in range(3):
        done = await respond(client, user, f"Fact {place}.", previous_response_id=done.id)
    assert "pirate" not in service.model.prompts[-1][0]["content"]  # instructions hold for one response
    [session] = await everything(service, user)
    assert [text for role, text in session if role == "user"] == ["I am Ada.", "Fact 0.", "Fact 1.", "Fact 2."]
    assert shown(service)[-7:] == [(role, text) for role, text in session[:7]]


async def test_a_conversation_goes_on_in_another_process(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    first = await respond(client, user, "I am Ada.")
    url = service.app.state.settings.database_url
    async with started(service.model, database_url=url) as later:
        again = of(later)
        found = await again.responses.retrieve(first.id, extra_headers={"X-Mneme-User": user})
        assert found.output_text == first.output_text
        done = await respond(again, user, "Who am I?", previous_response_id=first.id)
    assert ("user", "I am Ada.") in shown(service)
    [session] = await everything(service, user)
    assert len(session) == 4
    found = await client.responses.retrieve(done.id, extra_headers={"X-Mneme-User": user})
    assert found.previous_response_id == first.id
    assert found.status == "completed"


async def test_going_on_after_an_older_response_begins_a_branch_and_loses_nothing(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    first = await respond(client, user, "I am Ada.")
    await respond(client, user, "I like tea.", previous_response_id=first.id)
    branch = await respond(client, user, "I like coffee.", previous_response_id=first.id)
    again = await respond(client, user, "I like coffee.", previous_response_id=first.id)  # as a client that retries
    assert again.id == branch.id
    done = await respond(client, user, "With milk.", previous_response_id=branch.id)
    texts = [[text for role, text in log if role == "user"] for log in await everything(service, user)]
    assert texts == [["I am Ada.", "I like tea."], ["I like coffee.", "With milk."]]
    assert [text for role, text in shown(service) if role == "user"] == ["I am Ada.", "I like coffee.", "With milk."]
    found = await client.responses.retrieve(branch.id, extra_headers={"X-Mneme-User": user})
    assert found.previous_response_id == first.id
    assert done.conversation.id == branch.conversation.id != first.conversation.id


async def test_a_session_is_gone_on_with_by_its_name(client: openai.AsyncOpenAI, service: Service, user: str) -> None:
    await service.remember(user, "My dog is called Biscuit.", session="monday")
    await respond(client, user, "He is a beagle.", conversation="monday")
    await respond(client, user, [said("user", "He is five.")], metadata={"session_id": "monday"})
    log = await service.log(user, "monday")
    texts = ["My dog is called Biscuit.", "He is a beagle.", "He is five."]
    assert [one["content"] for one in log if one["role"] == "user"] == texts
    assert [text for role, text in shown(service) if role == "user"] == texts


async def test_a_conversation_sent_whole_is_stored_once(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    lines: list[Json] = []
    for place in range(3):
        part = {"type": "input_text", "text": f"Fact {place}."}
        lines = [*lines, {"type": "message", "role": "user", "content": [part]}]
        done = await respond(client, user, lines)
        lines += [one.model_dump() for one in done.output]
    [session] = await everything(service, user)
    assert [text for role, text in session if role == "user"] == ["Fact 0.", "Fact 1.", "Fact 2."]
    assert len(session) == 6


async def test_what_is_not_to_be_stored_is_answered_from_the_memory_and_not_remembered(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    await service.remember(user, "My dog is called Biscuit.")
    first = await respond(client, user, "I am Ada.")
    done = await respond(client, user, "What is my dog called?", previous_response_id=first.id, store=False)
    assert done.mneme["recalled"][0]["content"] == "My dog is called Biscuit."
    assert ("user", "I am Ada.") in shown(service)
    assert sum(len(log) for log in await everything(service, user)) == 3
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(done.id, extra_headers={"X-Mneme-User": user})


async def test_a_deleted_response_is_forgotten_with_what_it_answered(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    header = {"X-Mneme-User": user}
    first = await respond(client, user, "My PIN is 4931.")
    await respond(client, user, "It rains.", previous_response_id=first.id)
    await client.responses.delete(first.id, extra_headers=header)
    assert "4931" not in str(await everything(service, user))
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(first.id, extra_headers=header)
    with pytest.raises(openai.BadRequestError) as refused:
        await respond(client, user, "And now?", previous_response_id=first.id)
    assert refused.value.code == "previous_response_not_found"


async def test_a_response_of_another_user_is_none_at_all(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    first = await respond(client, user, "My PIN is 4931.")
    with pytest.raises(openai.BadRequestError) as refused:
        await respond(client, f"{user}x", "What is my PIN?", previous_response_id=first.id)
    assert refused.value.param == "previous_response_id"
    for call in (client.responses.retrieve, client.responses.delete):
        with pytest.raises(openai.NotFoundError):
            await call(first.id, extra_headers={"X-Mneme-User": f"{user}x"})
    assert len(await everything(service, user)) == 1


async def test_a_generator_that_breaks_off_fails_the_response_and_the_retry_takes_its_place(
    client: openai.AsyncOpenAI, service: Service, user: str
) -> None:
    async def broken(prompt: Prompt) -> AsyncGenerator[str, None]:
        yield "It is"
        raise BreakOff

    first = await respond(client, user, "I am Ada.")
    whole, service.model.script = service.model.script, broken
    named = {"previous_response_id": first.id}
    with pytest.raises(openai.InternalServerError):
        await respond(client, user, "Hello", **named)
    events = [event async for event in await respond(client, user, "Hello", stream=True, **named)]
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.code == "server_error"
    service.model.script = whole
    done = await respond(client, user, "Hello", **named)
    [session] = await everything(service, user)
    assert session[2:] == [("user", "Hello"), ("assistant", done.output_text.strip())]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"user": None}, "user"),
        ({"input": []}, "input"),
        ({"input": "   "}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"role": "clown", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].type"),
        ({"previous_response_id": "resp_x"}, "previous_response_id"),
        ({"conversation": "a", "previous_response_id": "resp_x"}, "conversation"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"background": True}, "background"),
        ({"memory": {"of": True}}, "memory.of"),
    ],
)
async def test_a_bad_request_names_the_field(service: Service, change: Json, param: str) -> None:
    body = {"model": "mneme", "user": "ada", "input": "Hi", **change}
    response = await service.call("POST", "/v1/responses", json=body)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
async def test_half_a_character_is_the_clients_error_wherever_it_stands(service: Service, path: str) -> None:
    said = [{"role": "user", "content": [{"type": "input_text", "text": "\ud800"}]}]
    for body in ({"input": said, "messages": said}, {"input": "Hi", "messages": HI, "metadata": {"x": "\ud800"}}):
        content = json.dumps({"model": "m", "user": "ada", **body}).encode()
        response = await service.call("POST", path, content=content)
        assert response.status_code == 400, response.text


async def test_a_schema_for_the_reply_reaches_the_generator_as_it_knows_it(service: Service, user: str) -> None:
    asked: list[Json] = []
    generator = service.app.state.generator
    chunks = generator.chunks

    def watched(body: Json) -> Any:
        asked.append(body)
        return chunks(body)

    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    generator.chunks = watched
    try:
        format = {"type": "json_schema", "name": "dog", "schema": schema, "strict": True}
        body = {"input": "Hi", "user": user, "text": {"format": format}, "reasoning": {"effort": "low"}}
        await service.post("/v1/responses", body)
    finally:
        del generator.chunks
    assert asked[0]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "dog", "schema": schema, "strict": True},
    }
    assert asked[0]["reasoning_effort"] == "low"
