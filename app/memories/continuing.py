"""Goes on in a conversation that a client names, by the turn before or by its session, without sending it again.

A session stays one line of talk. Where a client goes on after a turn that is not the last one, a session of its own
begins, whose first message says in its metadata after which message of the user's it comes.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from app.memories.cache import CachedMemory
from app.memories.conversations import END, PREFIX, Line, Placement, are_equal, conversation, cut, external_id
from app.memories.live import NotFound
from app.memories.memories import Memories
from app.store import log
from app.store.log import Message

PREVIOUS: Final = "previous_message_id"
_MOST_BRANCHES: Final = 64


class NoSuchTurn(NotFound):
    """The user said no such message."""


@dataclasses.dataclass(frozen=True)
class Turn:
    """A message of the user's, its reply, and what stands around them.

    Attributes:
        earlier: the conversation before it, also where that stands in another session.
        reply: None where there is none.
        later: what follows in its session.
    """

    user: Message
    reply: Message | None
    earlier: list[Message]
    later: list[Message]

    @property
    def whole(self) -> list[Message]:
        """The conversation with it."""
        return [*self.earlier, self.user, *([self.reply] if self.reply else [])]


async def turn_of(memories: Memories, user_id: str, message_id: str) -> Turn:
    """The turn of that message of the user's.

    Raises:
        NoSuchTurn: there is none.
    """

    async def view(live: CachedMemory) -> Turn:
        async with memories.live.reading(user_id, live) as connection:
            return await _turn(connection, live.head.id, message_id)

    try:
        return await memories.inspect(user_id, view)
    except NotFound:
        raise NoSuchTurn(f"user {user_id} said no message {message_id}") from None


async def go_on_after(memories: Memories, user_id: str, said: Sequence[Line], message_id: str) -> Placement:
    """Where lines belong that are said after the turn of a message; the same lines sent again belong to the same place.

    Raises:
        NoSuchTurn: there is no such turn.
    """

    async def view(live: CachedMemory) -> Placement:
        async with memories.live.reading(user_id, live) as connection:
            turn = await _turn(connection, live.head.id, message_id)
            session_id, later = turn.user.session_id, turn.later
            for branch in itertools.count(1):
                where = cut(said, session_id, later)
                if not any(message.role == "user" for message in where.replaced):
                    break
                session_id = f"{PREFIX}{external_id(message_id, said)[5:21]}-{branch}"
                later = await _session(connection, live.head.id, session_id)
            marks = {} if session_id == turn.user.session_id else {PREVIOUS: message_id}
            return Placement(session_id, [*turn.whole, *where.known], where.replaced, turn.whole, marks)

    try:
        return await memories.inspect(user_id, view)
    except NotFound:
        raise NoSuchTurn(f"user {user_id} said no message {message_id}") from None


async def go_on_in(memories: Memories, user_id: str, said: Sequence[Line], session_id: str) -> Placement:
    """Where lines belong that are said at the end of a session, which may not have begun yet.

    A message that got no whole reply and is sent again belongs where it stands.
    """

    async def view(live: CachedMemory) -> Placement:
        async with memories.live.reading(user_id, live) as connection:
            stored = await _session(connection, live.head.id, session_id)
        kept = stored[:-1] if stored and stored[-1].status == "interrupted" else stored
        if len(said) == 1 and kept and are_equal(said[0], kept[-1]):
            return Placement(session_id, kept, stored[len(kept) :], kept[:-1])
        return Placement(session_id, [*stored, *[None] * len(said)], [], stored)

    try:
        return await memories.inspect(user_id, view)
    except NotFound:
        return Placement(session_id, [None] * len(said), [])


async def _turn(connection: AsyncConnection, memory_id: str, message_id: str) -> Turn:
    user = await log.by_id(connection, memory_id, message_id)
    if user is None or user.role != "user":
        raise NoSuchTurn(message_id)
    stored = await _session(connection, memory_id, user.session_id)
    earlier, reply, later = _parted(stored, user)
    sessions = {user.session_id}
    while stored and (previous := await _before(connection, memory_id, stored[0])):
        if previous.session_id in sessions or len(sessions) == _MOST_BRANCHES:
            break
        sessions.add(previous.session_id)
        stored = await _session(connection, memory_id, previous.session_id)
        before, answer, _ = _parted(stored, previous)
        earlier = [*before, previous, *([answer] if answer else []), *earlier]
    return Turn(user, reply, earlier, later)


async def _before(connection: AsyncConnection, memory_id: str, first: Message) -> Message | None:
    named = first.metadata.get(PREVIOUS)
    return await log.by_id(connection, memory_id, named) if isinstance(named, str) else None


async def _session(connection: AsyncConnection, memory_id: str, session_id: str) -> list[Message]:
    return conversation(await log.latest_of_session(connection, memory_id, session_id, END, END))


def _parted(stored: list[Message], user: Message) -> tuple[list[Message], Message | None, list[Message]]:
    """What stands before a message, its reply, and what stands after that."""
    after = [message for message in stored if message.seq > user.seq]
    reply = after[0] if after and after[0].role == "assistant" else None
    return [message for message in stored if message.seq < user.seq], reply, after[1:] if reply else after
