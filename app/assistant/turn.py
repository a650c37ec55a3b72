"""One turn: recall, reply, remember.

The user's message is committed before the first token is asked for, and what was said of the reply is committed however
generating ends: whole, broken off, or left by the client. While it runs no database connection is held, and only the
same user's next turn waits.
"""

import dataclasses
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from app.assistant.generator import ChatMessage, Generator, GeneratorError, text_of
from app.assistant.note_check import NoteCheck
from app.assistant.prompt import asked_before, build_prompt
from app.assistant.reply_end import ReplyEnd, SaidBefore
from app.assistant.runner import Reply, Runner, Running
from app.memories.memories import Memories, TurnContext
from app.memories.messages import Draft, Remembered
from app.memories.validation import MOST_CHARACTERS, readable
from app.settings import Settings
from app.store.log import Message


@dataclasses.dataclass(frozen=True)
class Ask:
    """What a user says, and how the reply should be."""

    user_id: str
    message: str
    session_id: str
    occurred_at: datetime
    k: int
    max_tokens: int
    temperature: float


@dataclasses.dataclass(frozen=True)
class Recalling:
    """The message is remembered; this is what it recalled."""

    heard: TurnContext


@dataclasses.dataclass(frozen=True)
class Token:
    """A piece of the reply."""

    text: str


@dataclasses.dataclass(frozen=True)
class Answered:
    """The turn is over, its reply remembered."""

    heard: TurnContext
    replied: Remembered
    timings_ms: dict[str, float]
    finish_reason: str | None


@dataclasses.dataclass(frozen=True)
class Broken:
    """Generating failed. What had come of the reply by then is remembered as interrupted; None where nothing had."""

    heard: TurnContext
    reason: str
    partial: Remembered | None


Event = Recalling | Token | Answered | Broken


async def prepare(generator: Generator, settings: Settings) -> None:
    """Has the generator compute what the prompts begin with, before the first user waits for it."""
    prompt = build_prompt(
        [], [], "Hello!", datetime.now(UTC), context=settings.generator_context, max_tokens=settings.max_tokens
    )
    with suppress(GeneratorError):
        await generator.compute([dataclasses.asdict(one) for one in prompt])
        await NoteCheck(settings).prepare(generator)


class Assistant:
    """Turns, over the memories and a runner of replies."""

    def __init__(self, memories: Memories, runner: Runner, settings: Settings) -> None:
        self._memories, self._runner, self._settings = memories, runner, settings
        self._check = NoteCheck(settings)

    def turn(self, ask: Ask) -> AsyncIterator[Event]:
        """Runs a turn after those of the same user that came before: `Recalling`, `Token`s, `Answered` or `Broken`.

        Closing the iterator stops the generator; what had come of the reply is remembered as interrupted.

        Raises:
            StoreUnavailable, ForeignMemory: as `Memories.recall_and_store`; nothing was remembered.
        """
        began = time.perf_counter()

        async def work(running: Running[Event]) -> None:
            draft = Draft("user", ask.message, ask.session_id, ask.occurred_at)
            heard = await self._memories.recall_and_store(ask.user_id, draft, ask.k, self._settings.history)
            running.emit(Recalling(heard))
            started = time.perf_counter()
            sure = await self._check.confidence(running, heard.recalled, heard.history, ask.message)
            reply = await self._generate(ask, heard, sure, running)
            generated = time.perf_counter()
            replied = await self._remember_reply(ask, heard, reply)
            if reply.failure or replied is None:
                running.emit(Broken(heard, reply.failure or "the generator gave an empty reply", replied))
                return
            done = time.perf_counter()
            of_reply = replied.timings_ms
            timings = {name: value + of_reply.get(name, 0.0) for name, value in heard.timings_ms.items()}
            timings |= {"generate": 1000 * (generated - started), "total": 1000 * (done - began)}
            rounded = {name: round(value, 3) for name, value in timings.items()}
            running.emit(Answered(heard, replied, rounded, reply.finish_reason))

        return self._runner.run(ask.user_id, work)

    async def _generate(self, ask: Ask, heard: TurnContext, sure: float, running: Running[Event]) -> Reply:
        def hand_on(chunk: dict[str, Any]) -> None:
            if text := readable(text_of(chunk)):
                running.emit(Token(text))

        async def reply_after(history: Sequence[Message], before: SaidBefore) -> Reply:
            messages = [dataclasses.asdict(one) for one in self._prompt(ask, heard, sure, history)]
            request = {"messages": messages, "max_tokens": ask.max_tokens, "temperature": ask.temperature}
            return await running.generate(request, hand_on, ReplyEnd(ask.max_tokens, before))

        said = [one.content for one in heard.history if one.role == "assistant"]
        if heard.recalled.of_statement:
            return await reply_after(asked_before(heard.history), SaidBefore(said))
        reply = await reply_after(heard.history, SaidBefore(said, whole=True))
        copied = not reply.text and not reply.failure and said
        return await reply_after([], SaidBefore()) if copied else reply

    def _prompt(self, ask: Ask, heard: TurnContext, sure: float, history: Sequence[Message]) -> list[ChatMessage]:
        shown = {message.id for message in history}
        return build_prompt(
            [one for one in heard.recalled.recollections if one.message.id not in shown],
            history,
            ask.message,
            ask.occurred_at,
            context=self._settings.generator_context,
            max_tokens=ask.max_tokens,
            doubtful=sure < self._settings.doubt_below,
            tells=heard.recalled.of_statement,
            of_world=heard.recalled.of_world,
            standing=heard.standing,
            outdated=heard.recalled.outdated,
        )

    async def _remember_reply(self, ask: Ask, heard: TurnContext, reply: Reply) -> Remembered | None:
        if not reply.text.strip():
            return None
        asked, _ = heard.remembered.messages[0]
        text = reply.text[:MOST_CHARACTERS]
        draft = Draft("assistant", text, ask.session_id, ask.occurred_at, status=reply.status)
        return await self._memories.remember(ask.user_id, [draft], answers=(heard.remembered.head, asked.seq))
