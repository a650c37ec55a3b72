"""The client drives the real server: every operation, blocking and asynchronous, and what it does when calls fail."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from benchmarks.scripted_model import BreakOff, Prompt, ScriptedModel, echo
from benchmarks.serving import Server
from mneme_client import (
    AsyncMneme,
    ChatReply,
    Conflict,
    ConnectionFailed,
    DifferentText,
    Forbidden,
    GeneratorFailed,
    Invalid,
    Message,
    Mneme,
    NotFound,
    RateLimited,
    Recalling,
    Retries,
    Token,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from mneme_client.transport import AsyncTransport
from tests.clients.conftest import ADMIN_KEY


def test_what_is_remembered_is_recalled(mneme: Mneme, user: str) -> None:
    done = mneme.remember(user, ["My dog is called Biscuit.", "I work in a bakery."], session_id="monday")
    assert len(done.messages) == 2 and done.memory.slots_used >= 2
    found = mneme.recall(user, "What is my dog called?", k=1)
    assert [one.content for one in found.recalled] == ["My dog is called Biscuit."]
    assert found.recalled[0].message_id == done.messages[0].id and 0 < found.confidence <= 1


async def test_the_asynchronous_client_does_the_same(async_mneme: AsyncMneme, user: str) -> None:
    await async_mneme.remember(user, ["My dog is called Biscuit."])
    reply = await async_mneme.chat(user, "What is my dog called?", session_id="tuesday")
    assert reply.reply.startswith("You said:") and reply.recalled[0].content == "My dog is called Biscuit."
    events = [event async for event in async_mneme.stream_chat(user, "And what does he eat?", session_id="tuesday")]
    assert isinstance(events[0], Recalling) and isinstance(events[-1], ChatReply)
    said = [entry.content async for entry in async_mneme.session_messages(user, "tuesday")]
    assert len(said) == 4 and said[0] == "What is my dog called?"


def test_a_message_keeps_what_it_was_given_with(mneme: Mneme, user: str) -> None:
    when = datetime(2024, 5, 1, 12, 30, tzinfo=UTC)
    given = Message(
        role="assistant", content="A reply", speaker="Ada", name="ada", occurred_at=when, external_id="x:1",
        metadata={"app": "diary", "page": 3},
    )  # fmt: skip
    mneme.remember(user, [given, "something else"])
    [entry] = mneme.messages(user, metadata={"app": "diary"})
    assert (entry.role, entry.content, entry.speaker, entry.name) == ("assistant", "A reply", "Ada", "ada")
    assert (entry.occurred_at, entry.external_id, entry.metadata) == (when, "x:1", {"app": "diary", "page": 3})
    assert mneme.recall(user, "a reply", metadata={"page": 3}).recalled[0].external_id == "x:1"
    assert mneme.recall(user, "a reply", until=when).recalled == []


def test_lists_go_on_over_their_pages(mneme: Mneme, user: str) -> None:
    for session in range(3):
        mneme.remember(user, [f"Thing {number} of {session}" for number in range(4)], session_id=f"s{session}")
    assert next(entry.content for entry in mneme.messages(user, page=5)) == "Thing 3 of 2"
    assert len({entry.id for entry in mneme.messages(user, page=5)}) == 12
    assert [one.session_id for one in mneme.sessions(user, page=1)] == ["s2", "s1", "s0"]
    assert len(list(mneme.slots(user, page=4))) == mneme.memory(user).slots_used
    assert user in {one.user_id for one in mneme.users(page=1)}


def test_leaving_a_list_early_leaves_nothing_open(mneme: Mneme, user: str) -> None:
    mneme.remember(user, [f"Thing {number}" for number in range(6)])
    pages: Iterator[Any] = mneme.messages(user, page=2)
    assert next(pages).content == "Thing 5"
    del pages
    assert mneme.version()["version"]


def test_a_streamed_reply_comes_in_order(mneme: Mneme, user: str) -> None:
    events = list(mneme.stream_chat(user, "Hello there"))
    whole = events[-1]
    assert isinstance(events[0], Recalling) and isinstance(whole, ChatReply)
    text = "".join(event.text for event in events if isinstance(event, Token))
    assert text.strip() == whole.reply.strip() == "You said: Hello there"
    assert mneme.trace(user, whole.user_message_id).written


def test_a_reply_that_is_left_stops_and_is_kept_as_far_as_it_came(
    mneme: Mneme, model: ScriptedModel, user: str
) -> None:
    async def endless(prompt: Prompt) -> AsyncGenerator[str, None]:
        while True:
            yield "on and "
            await asyncio.sleep(0.01)

    model.script = endless
    try:
        for event in mneme.stream_chat(user, "Count", session_id="s"):
            if isinstance(event, Token):
                break
        for _ in range(100):
            status = [entry.status for entry in mneme.session_messages(user, "s")]
            if len(status) == 2:
                break
        assert status == ["complete", "interrupted"]
    finally:
        model.script = echo


def test_a_model_that_fails_is_an_error_that_says_what_was_kept(mneme: Mneme, model: ScriptedModel, user: str) -> None:
    async def breaking(prompt: Prompt) -> AsyncGenerator[str, None]:
        yield "Well "
        raise BreakOff

    model.script = breaking
    try:
        with pytest.raises(GeneratorFailed) as failed:
            list(mneme.stream_chat(user, "Hello"))
        assert failed.value.user_message_id and failed.value.reply_message_id
        with pytest.raises(GeneratorFailed) as failed:
            mneme.chat(user, "Hello")
        assert failed.value.status == 502 and failed.value.request_id
    finally:
        model.script = echo


def test_editing_and_forgetting(mneme: Mneme, user: str) -> None:
    first, second = mneme.remember(user, ["My cat is called Muffin.", "I like tea."], session_id="s").messages
    assert mneme.edit(user, first.id, "My cat is called Crumpet.").messages[0].id == first.id
    assert mneme.recall(user, "What is my cat called?", k=1).recalled[0].content == "My cat is called Crumpet."
    reply = mneme.chat(user, "What is my cat called?", session_id="chat")
    gone = mneme.forget(user, first.id)
    assert gone.forgotten == [first.id] and reply.reply_message_id in gone.replies_that_recalled
    with pytest.raises(NotFound):
        mneme.forget(user, first.id)
    assert mneme.forget(user, second.id, with_replies=True).forgotten[0] == second.id
    mneme.forget_session(user, "chat")
    assert list(mneme.messages(user)) == []
    mneme.erase(user)
    with pytest.raises(NotFound):
        mneme.memory(user)


def test_a_user_is_taken_along_and_brought_back(mneme: Mneme, user: str) -> None:
    mneme.remember(user, ["My dog is called Biscuit.", "Mein Hund heißt Keks \N{DOG FACE}\u2028next"])
    lines = list(mneme.export_user(user))
    assert mneme.import_user(f"{user}.copy", lines).messages == 2
    assert [one.content for one in mneme.messages(f"{user}.copy")] == [one.content for one in mneme.messages(user)]
    with pytest.raises(Conflict):
        mneme.import_user(user, lines)


def test_keys_open_what_they_are_for(server: Server, mneme: Mneme, user: str) -> None:
    made = mneme.create_key("a phone", "user", user_id=user)
    assert made.id in {key.id for key in mneme.list_keys()}
    with Mneme(server.url, made.key) as own:
        own.remember(user, ["Hello"])
        with pytest.raises(Forbidden):
            own.memory("somebody-else")
    token = mneme.mint_token(user, ttl=60)
    with Mneme(server.url, token.token) as own:
        assert own.memory(user).slots_used >= 1
    mneme.revoke_key(made.id)
    with Mneme(server.url, made.key, retries=Retries(0)) as own, pytest.raises(Unauthorized):
        own.memory(user)


def test_every_refusal_is_an_exception_of_its_own(mneme: Mneme, user: str) -> None:
    with pytest.raises(NotFound, match=f"no user {user}"):
        mneme.memory(user)
    with pytest.raises(Invalid) as wrong:
        mneme.remember(user, [Message(content=" ")])
    assert wrong.value.errors[0]["pointer"].startswith("#/messages/0/content")
    mneme.remember(user, [Message(content="one text", external_id="e")])
    with pytest.raises(DifferentText) as different:
        mneme.remember(user, [Message(content="another text", external_id="e")])
    assert different.value.message_id == next(iter(mneme.messages(user))).id
    with pytest.raises(TooLarge):
        mneme.remember(user, ["x" * 32_000] * 20)
    for name in ("", ".", ".."):
        with pytest.raises(ValueError, match="user_id"):
            mneme.memory(name)
    with pytest.raises(ConnectionFailed, match="ConnectError"), Mneme("http://127.0.0.1:9", retries=Retries(0)) as none:
        none.version()


class Losing:
    """A wire to the server that loses answers: the request arrives, and the connection ends."""

    def __init__(self, server: Server) -> None:
        self._there = httpx.URL(server.url)
        self.lose = self.requests = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._there.host, self._there.port)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            back.write(head.replace(b"keep-alive", b"close") + await reader.readexactly(int(length or 0)))
            answer = await there.read()
            self.requests += 1
            if self.lose:
                self.lose -= 1
            else:
                writer.write(answer)
                await writer.drain()
        finally:
            writer.close()
            back.close()

    @contextmanager
    def open(self) -> Iterator[str]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        wire = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), loop).result(10)
        yield f"http://127.0.0.1:{wire.sockets[0].getsockname()[1]}"
        loop.call_soon_threadsafe(wire.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def test_what_is_sent_again_after_a_lost_answer_is_done_once(server: Server, mneme: Mneme, user: str) -> None:
    wire = Losing(server)
    with wire.open() as url, Mneme(url, ADMIN_KEY, retries=Retries(first=0.01)) as client:
        wire.lose = 2
        done = client.remember(user, ["My dog is called Biscuit.", "And my cat Muffin."])
        assert (wire.requests, len(list(mneme.messages(user)))) == (3, 2)
        wire.lose = 1
        assert client.forget(user, done.messages[0].id).forgotten == [done.messages[0].id]
        wire.lose, wire.requests = 1, 0
        with pytest.raises(ConnectionFailed):  # a turn is not asked for twice
            client.chat(user, "What is my cat called?", session_id="s")
        assert wire.requests == 1
    assert [entry.role for entry in mneme.session_messages(user, "s")].count("user") == 1


def answering(*answers: httpx.Response) -> tuple[AsyncMneme, list[float]]:
    """A client of a service that gives these answers, and the seconds that it waits."""
    waits: list[float] = []
    left = list(answers)

    class Recording(AsyncTransport):
        async def sleep(self, seconds: float) -> None:
            waits.append(seconds)

    http = httpx.AsyncClient(base_url="http://m", transport=httpx.MockTransport(lambda _: left.pop(0)))
    return AsyncMneme(transport=Recording(http)), waits


def problem(status: int, detail: str = "no", headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    return httpx.Response(status, json={"title": "T", "status": status, "detail": detail, **more}, headers=headers)


FINE = {"version": "1", "fingerprint": "f"}


async def test_the_service_s_own_patience_is_kept() -> None:
    wait = {"Retry-After": "7"}
    client, waits = answering(problem(429, headers=wait), problem(503, headers=wait), httpx.Response(200, json=FINE))
    assert await client.version() == FINE
    assert waits == [7.0, 7.0]


async def test_a_wait_that_is_too_long_is_the_caller_s_matter() -> None:
    client, waits = answering(problem(429, headers={"Retry-After": "3600"}))
    with pytest.raises(RateLimited) as limited:
        await client.version()
    assert (limited.value.retry_after, waits) == (3600.0, [])


async def test_tries_end_and_waits_grow() -> None:
    client, waits = answering(*(problem(503) for _ in range(4)))
    with pytest.raises(Unavailable):
        await client.version()
    assert len(waits) == 3 and 0.1 < waits[0] < waits[2] <= 1.0


async def test_a_turn_is_asked_for_again_only_where_nothing_was_changed() -> None:
    client, waits = answering(problem(409, "somebody else"))
    with pytest.raises(Conflict):
        await client.chat("ada", "Hi")
    client, waits = answering(problem(502, user_message_id="a" * 32))
    with pytest.raises(GeneratorFailed):
        await client.chat("ada", "Hi")
    assert waits == []


async def test_a_proxy_s_page_is_an_error_too() -> None:
    client, _ = answering(httpx.Response(404, text="<html>nothing here</html>"))
    with pytest.raises(NotFound, match="nothing here"):
        await client.version()
