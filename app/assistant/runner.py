"""Runs what writes replies: a user's one after the other, each in a task that ends by itself when its client leaves.

A reply's events come while it is made. Whoever reads them may go at any time: the generator is stopped then, and the
task goes on to remember what there was of the reply.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, nullcontext, suppress
from typing import Any, Generic, TypeVar

from app.assistant.generator import ChatMessage, Generator, GeneratorError, finish_reason_of, text_of, with_text
from app.assistant.reply_end import ReplyEnd
from app.memories.cache import Locks
from app.memories.validation import readable

Event = TypeVar("Event")
_END = object()


@dataclasses.dataclass(frozen=True)
class Reply:
    """What the generator said, and why that is not all of it, if so."""

    text: str
    failure: str | None
    finish_reason: str | None = None

    @property
    def status(self) -> str:
        """As the log keeps it."""
        return "interrupted" if self.failure else "complete"


class Running(Generic[Event]):
    """A reply that is being made."""

    def __init__(self, generator: Generator, emit: Callable[[Event], None], left: asyncio.Event) -> None:
        self.emit, self._generator, self._left = emit, generator, left

    async def generate(
        self, request: Mapping[str, Any], hand_on: Callable[[dict[str, Any]], None], end: ReplyEnd | None = None
    ) -> Reply:
        """Asks the generator, until the reply is whole, it fails, or the client has left.

        Args:
            request: see `Generator.chunks`.
            hand_on: gets each chunk as it comes.
            end: decides where the reply ends, and what of it is handed on; without it, that is the generator's matter.
        """
        said: list[str] = []
        reason: str | None = None

        def show(chunk: dict[str, Any], text: str) -> None:
            said.append(text)
            hand_on(chunk if end is None else with_text(text))

        async def consume() -> None:
            nonlocal reason
            async with aclosing(self._generator.chunks(request)) as chunks:
                async for chunk in chunks:
                    reason = finish_reason_of(chunk) or reason
                    text = readable(text_of(chunk))
                    show(chunk, text if end is None else end.feed(text))
                    if end is not None and end.in_circles:
                        break
            if end is not None:
                last, reason = end.finish(reason)
                show({}, last)

        failure = None
        try:
            if not await self._unless_left(consume()):
                failure = "the reply was interrupted"
        except GeneratorError as error:
            failure = str(error)
        return Reply("".join(said), failure, reason)

    async def odds(self, messages: Sequence[ChatMessage], word: str, other: str) -> float | None:
        """`Generator.odds`; None too where the generator fails or the client has left: the reply will tell."""
        found: float | None = None

        async def ask() -> None:
            nonlocal found
            found = await self._generator.odds([dataclasses.asdict(one) for one in messages], word, other)

        with suppress(GeneratorError):
            await self._unless_left(ask())
        return found

    async def _unless_left(self, work: Coroutine[Any, Any, None]) -> bool:
        """Runs work to its end, and returns whether it got there before the client left."""
        working, leaving = asyncio.create_task(work), asyncio.create_task(self._left.wait())
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not working.done():
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            return False
        working.result()
        return True


class Runner:
    """Runs replies, over a generator."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._turns = Locks()
        self._running: dict[asyncio.Task[None], asyncio.Event] = {}

    async def run(self, user_id: str | None, work: Callable[[Running[Event]], Awaitable[None]]) -> AsyncIterator[Event]:
        """Yields the events that `work` emits. Closing the iterator stops the generator; `work` then ends by itself.

        Args:
            user_id: whose replies it waits for; None where it concerns no memory.
        """
        events: asyncio.Queue[Any] = asyncio.Queue()
        left = asyncio.Event()

        async def in_turn() -> None:
            async with nullcontext() if user_id is None else self._turns.holding(user_id):
                await work(Running(self._generator, events.put_nowait, left))

        task = asyncio.create_task(in_turn())
        self._running[task] = left
        task.add_done_callback(self._running.pop)
        task.add_done_callback(lambda _: events.put_nowait(_END))
        try:
            while (event := await events.get()) is not _END:
                yield event
            await task
        finally:
            left.set()

    async def close(self) -> None:
        """Stops the replies that run, and waits until they are remembered."""
        for left in self._running.values():
            left.set()
        await asyncio.gather(*self._running, return_exceptions=True)
