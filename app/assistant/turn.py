"""One turn: recall, reply, remember.

The user's message is committed before the first token is asked for, and what was said of the reply is committed however
generating ends: whole, broken off, or left by the client. While it runs no database connection is held, and only the
same user's next turn waits.
"""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from app.assistant.generator import ChatMessage, Generator, GeneratorError
from app.assistant.prompt import build_prompt
from app.memories.cache import Locks
from app.memories.memories import Memories, TurnContext
from app.memories.messages import Draft, Remembered
from app.memories.validation import MOST_CHARACTERS, readable
from app.settings import Settings


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


@dataclasses.dataclass(frozen=True)
class Broken:
    """Generating failed. What had come of the reply by then is remembered as interrupted; None where nothing had."""

    heard: TurnContext
    reason: str
    partial: Remembered | None


Event = Recalling | Token | Answered | Broken


class Assistant:
    """Turns, over the memories and a generator."""

    def __init__(self, memories: Memories, generator: Generator, settings: Settings) -> None:
        self._memories, self._generator, self._settings = memories, generator, settings
        self._turns = Locks()
        self._running: dict[asyncio.Task[None], asyncio.Event] = {}

    async def turn(self, ask: Ask) -> AsyncIterator[Event]:
        """Runs a turn after those of the same user that came before: `Recalling`, `Token`s, `Answered` or `Broken`.

        Closing the iterator stops the generator; what had come of the reply is remembered as interrupted.

        Raises:
            StoreUnavailable, ForeignMemory: as `Memories.recall_and_store`; nothing was remembered.
        """
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        left = asyncio.Event()
        task = asyncio.create_task(self._run(ask, events.put_nowait, left))
        self._running[task] = left
        task.add_done_callback(self._running.pop)
        task.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            await task
        finally:
            left.set()

    async def close(self) -> None:
        """Stops the turns that run, and waits until their replies are remembered."""
        for left in self._running.values():
            left.set()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, ask: Ask, emit: Callable[[Event], None], left: asyncio.Event) -> None:
        began = time.perf_counter()
        async with self._turns.holding(ask.user_id):
            draft = Draft("user", ask.message, ask.session_id, ask.occurred_at)
            heard = await self._memories.recall_and_store(ask.user_id, draft, ask.k, self._settings.history)
            emit(Recalling(heard))
            started = time.perf_counter()
            said: list[str] = []
            failure = await self._generate(ask, heard, said, emit, left)
            generated = time.perf_counter()
            replied = await self._remember_reply(ask, heard, "".join(said), "interrupted" if failure else "complete")
            if failure or replied is None:
                emit(Broken(heard, failure or "the generator gave an empty reply", replied))
                return
            done = time.perf_counter()
            of_reply = replied.timings_ms
            timings = {name: value + of_reply.get(name, 0.0) for name, value in heard.timings_ms.items()}
            timings |= {"generate": 1000 * (generated - started), "total": 1000 * (done - began)}
            emit(Answered(heard, replied, {name: round(value, 3) for name, value in timings.items()}))

    async def _generate(
        self, ask: Ask, heard: TurnContext, said: list[str], emit: Callable[[Event], None], left: asyncio.Event
    ) -> str | None:
        """Fills `said` until the reply is whole; returns why it is not, if so."""

        async def consume() -> None:
            prompt = self._prompt(ask, heard)
            stream = self._generator.stream(prompt, max_tokens=ask.max_tokens, temperature=ask.temperature)
            async for text in stream:
                said.append(readable(text))
                emit(Token(said[-1]))

        consuming, leaving = asyncio.create_task(consume()), asyncio.create_task(left.wait())
        await asyncio.wait({consuming, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not consuming.done():
            consuming.cancel()
            await asyncio.gather(consuming, return_exceptions=True)
            return "the reply was interrupted"
        try:
            consuming.result()
        except GeneratorError as error:
            return str(error)
        return None

    def _prompt(self, ask: Ask, heard: TurnContext) -> list[ChatMessage]:
        shown = {message.id for message in heard.history}
        return build_prompt(
            [one for one in heard.recalled.recollections if one.message.id not in shown],
            heard.history,
            ask.message,
            ask.occurred_at,
            context=self._settings.generator_context,
            max_tokens=ask.max_tokens,
            examples=self._settings.small_model,
            doubtful=heard.recalled.confidence < self._settings.doubt_below,
        )

    async def _remember_reply(self, ask: Ask, heard: TurnContext, text: str, status: str) -> Remembered | None:
        if not text.strip():
            return None
        asked, _ = heard.remembered.messages[0]
        draft = Draft("assistant", text[:MOST_CHARACTERS], ask.session_id, ask.occurred_at, status=status)
        return await self._memories.remember(ask.user_id, [draft], answers=(heard.remembered.head, asked.seq))
