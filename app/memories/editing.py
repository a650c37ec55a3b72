"""Taking back what was said: forgetting messages and sessions, and putting another text in a message's place."""

import dataclasses
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.memories import forgetting
from app.memories.cache import CachedMemory
from app.memories.commit import Change, compute_and_commit
from app.memories.device import Device
from app.memories.live import LiveMemories, NotFound
from app.memories.messages import Draft, Remembered, remembered, spoken, write_messages_
from app.store import log, memories
from app.store.database import Database
from app.store.filters import Filter
from app.store.log import Message, Tombstone

# What goes and what comes in its place.
Replacing = Callable[[AsyncConnection, CachedMemory], Awaitable[tuple[Message | None, Message]]]
Choose = Callable[[AsyncConnection, CachedMemory], Awaitable[tuple[list[Message], list[Message]]]]


@dataclasses.dataclass(frozen=True)
class Forgotten:
    """Ids of the messages that are gone, and of the replies that had recalled the one that was to go."""

    messages: list[str]
    replies_that_recalled: list[str]


class Editing:
    """Changes the log where its owner asks to, and makes the memory what it is without what is gone."""

    def __init__(self, database: Database, device: Device, live: LiveMemories) -> None:
        self._database, self._device, self._core, self._live = database, device, device.memory, live

    async def forget(self, user_id: str, message_id: str, with_replies: bool = False) -> Forgotten:
        """Deletes a message and all that it left (see `forgetting`).

        Args:
            with_replies: whether the replies that recalled it go too.

        Raises:
            NotFound: no such message.
        """

        async def choose(connection: AsyncConnection, live: CachedMemory) -> tuple[list[Message], list[Message]]:
            message = await _message(connection, user_id, live, message_id)
            replies = await _replies_that_recalled(connection, live, message)
            gone = {one.seq: one for one in ([message, *replies] if with_replies else [message])}
            return list(gone.values()), replies

        return await self._forget(user_id, choose)

    async def forget_session(self, user_id: str, session_id: str) -> Forgotten:
        """Deletes a session's messages and all that they left.

        Raises:
            NotFound: no such session.
        """

        async def choose(connection: AsyncConnection, live: CachedMemory) -> tuple[list[Message], list[Message]]:
            said = await log.matching(connection, live.head.id, Filter(session_id), 0, None)
            if not said:
                raise NotFound(f"user {user_id} has no session {session_id}")
            return said, []

        return await self._forget(user_id, choose)

    async def replies_that_recalled(self, user_id: str, message_id: str) -> list[Message]:
        """The assistant's replies to turns that recalled a message.

        Raises:
            NotFound: no such message.
        """

        async def once(live: CachedMemory) -> list[Message]:
            async with self._live.reading(user_id, live) as connection:
                message = await _message(connection, user_id, live, message_id)
                return await _replies_that_recalled(connection, live, message)

        return await self._live.in_order(user_id, once)

    async def edit(self, user_id: str, message_id: str, content: str, metadata: Mapping[str, Any] | None) -> Remembered:
        """Puts another text in a message's place: the old one is forgotten whole, and the new one is remembered last.

        It keeps its id, its session, and when and by whom it was said.

        Raises:
            NotFound: no such message.
        """

        async def choose(connection: AsyncConnection, live: CachedMemory) -> tuple[Message | None, Message]:
            old = await _message(connection, user_id, live, message_id)
            kept = old.metadata if metadata is None else metadata
            seq = live.head.last_seq + 1
            return old, dataclasses.replace(old, seq=seq, content=content, metadata=kept, confidence=None, parsed=None)

        return await self._replace(user_id, choose)

    async def put(self, user_id: str, draft: Draft) -> Remembered:
        """Remembers a message in place of the one that is known by its external id, if there is one.

        That one is forgotten whole; the new message takes over its id, and counts as remembered last.
        """
        assert draft.external_id is not None
        external_id, fresh = draft.external_id, uuid.uuid4().hex

        async def choose(connection: AsyncConnection, live: CachedMemory) -> tuple[Message | None, Message]:
            old = (await log.by_external_ids(connection, live.head.id, [external_id])).get(external_id)
            return old, Message(live.head.last_seq + 1, old.id if old else fresh, **vars(draft))

        return await self._replace(user_id, choose)

    async def _replace(self, user_id: str, choose: Replacing) -> Remembered:
        async def once(live: CachedMemory) -> Remembered:
            async with self._live.reading(user_id, live) as connection:
                old, new = await choose(connection, live)
                gone = [] if old is None else [old]
                effects = await forgetting.effects(connection, live.head.id, {message.seq for message in gone})
            now, *was = await self._device.encode([spoken(message) for message in (new, *gone)])
            [now] = await self._device.told([now], [new.content])

            def compute() -> Change:
                changed, places = set[int](), list[tuple[Message, Tombstone]]()
                if gone:
                    written_then = list(zip(gone, was, strict=True))
                    changed, places = forgetting.forget_(self._core, live, written_then, effects)
                more, written = write_messages_(self._core, live, [(new, now)])
                change = Change.of(live.head, live.state, changed | more, written, last_seq=new.seq)
                return dataclasses.replace(change, said=[new], forgotten=places)

            timings = await compute_and_commit(self._device, self._database, user_id, live, compute)
            return remembered(live, [new], timings)

        done = await self._live.in_order(user_id, once)
        await self._database.scrub()
        return done

    async def _forget(self, user_id: str, choose: Choose) -> Forgotten:
        async def once(live: CachedMemory) -> Forgotten:
            async with self._live.reading(user_id, live) as connection:
                gone, replies = await choose(connection, live)
                effects = await forgetting.effects(connection, live.head.id, {message.seq for message in gone})
            utterances = await self._device.encode([spoken(message) for message in gone])

            def compute() -> Change:
                written = list(zip(gone, utterances, strict=True))
                changed, places = forgetting.forget_(self._core, live, written, effects)
                return dataclasses.replace(Change.of(live.head, live.state, changed, []), forgotten=places)

            await compute_and_commit(self._device, self._database, user_id, live, compute)
            return Forgotten([message.id for message in gone], [reply.id for reply in replies])

        done = await self._live.in_order(user_id, once)
        await self._database.scrub()
        return done


async def _message(connection: AsyncConnection, user_id: str, live: CachedMemory, message_id: str) -> Message:
    message = await log.by_id(connection, live.head.id, message_id)
    if message is None:
        raise NotFound(f"user {user_id} has no message {message_id}")
    return message


async def _replies_that_recalled(connection: AsyncConnection, live: CachedMemory, message: Message) -> list[Message]:
    cues = {entry.seq for entry in await memories.reads_from(connection, live.head.id, message.seq)}
    return await log.replies_to(connection, live.head.id, sorted(cues))
