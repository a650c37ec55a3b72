"""Finds where the messages of a stateless chat client belong, so that nothing is remembered twice.

Such a client sends its whole conversation anew with each request and names no session. What it sends is compared with
the sessions that stand in the log. The decision is made outside of the commit; what makes it safe where two processes
decide at once are the external ids: they follow from the session and from all that was said before, so that both
processes give a message the same one.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.memories.cache import CachedMemory
from app.memories.live import NotFound
from app.memories.memories import Memories
from app.memories.validation import MOST_CHARACTERS, readable
from app.store import log
from app.store.log import Message, Session

PREFIX: Final = "chat-"
REPLY: Final = "reply:"
_RECENT: Final = timedelta(minutes=10)
_MOST_SESSIONS: Final = 1000
_MOST_TRIMMED: Final = 8  # sessions that a history without its beginning is compared with
END: Final = 2**62


@dataclasses.dataclass(frozen=True)
class Line:
    """What a user or the assistant said, as the client sends it."""

    role: str
    text: str

    @property
    def content(self) -> str:
        """As the log holds it."""
        return readable(self.text)[:MOST_CHARACTERS]


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where a conversation belongs.

    Attributes:
        known: for each of its lines, in order, the message in the log; None for a line that is new.
        replaced: messages of the session that the conversation no longer has.
        earlier: the first of the known, where the client did not send them.
        marks: metadata of the first new message.
    """

    session_id: str
    known: Sequence[Message | None]
    replaced: list[Message]
    earlier: Sequence[Message] = ()
    marks: Mapping[str, Any] = dataclasses.field(default_factory=dict)


async def place(
    memories: Memories, user_id: str, said: Sequence[Line], session_id: str | None, now: datetime
) -> Placement:
    """Compares a conversation, whose last line is the user's, with the log.

    Without a session's id, a turn of the user's is only taken for an edit if a reply of this service stands before it
    in both; else two conversations that begin alike would erase each other. A first message that is sent again counts
    as the same one for ten minutes, if nothing followed but its reply.

    Args:
        session_id: the session, where the client names it.
    """

    async def view(live: CachedMemory) -> Placement:
        async with memories.live.reading(user_id, live) as connection:
            if session_id is not None:
                stored = await log.latest_of_session(connection, live.head.id, session_id, END, END)
                return cut(said, session_id, conversation(stored))
            sessions = await log.list_sessions(connection, live.head.id, None, _MOST_SESSIONS)
            alike = [one for one in sessions if one.id.startswith(_prefix(said))]
            found: list[tuple[tuple[bool, int], Placement]] = []
            for one in alike:
                stored = await log.latest_of_session(connection, live.head.id, one.id, END, END)
                placement = cut(said, one.id, conversation(stored))
                if _is_the_same(said, placement, one, now):
                    keeps = not any(message.role == "user" for message in placement.replaced)
                    found.append(((keeps, sum(message is not None for message in placement.known)), placement))
            if found:  # the latest of the best
                return max(found, key=lambda one: one[0])[1]
            for one in [one for one in sessions if one.id.startswith(PREFIX)][:_MOST_TRIMMED]:
                stored = await log.latest_of_session(connection, live.head.id, one.id, END, len(said) + 1)
                trimmed = _continued(said, one.id, conversation(stored))
                if trimmed is not None:
                    return trimmed
            return _new(said, len(alike))

    try:
        return await memories.inspect(user_id, view)
    except NotFound:
        return _new(said, 0) if session_id is None else Placement(session_id, [None] * len(said), [])


def external_id(session_id: str, said: Sequence[Line]) -> str:
    """The external id of the last of these lines; it follows from all of them."""
    chain = session_id.encode()
    for line in said:
        chain = hashlib.sha256(chain + line.role.encode() + b"\0" + line.content.strip().encode()).digest()
    return "chat:" + chain.hex()[:40]


def _prefix(said: Sequence[Line]) -> str:
    return f"{PREFIX}{external_id('', said[:1])[5:21]}-"


def _new(said: Sequence[Line], alike: int) -> Placement:
    # Two processes that get the same first message at once choose the same name.
    return Placement(f"{_prefix(said)}{alike + 1}", [None] * len(said), [])


def conversation(stored: Sequence[Message]) -> list[Message]:
    """What the user and the assistant said."""
    return [message for message in stored if message.role in ("user", "assistant")]


def are_equal(line: Line, message: Message) -> bool:
    """Whether a line is that message of the log."""
    return line.role == message.role and line.content.strip() == message.content.strip()


def cut(said: Sequence[Line], session_id: str, stored: list[Message]) -> Placement:
    """Where lines belong that take the place of all these messages of a session."""
    common = 0
    for line, message in zip(said, stored, strict=False):
        if not are_equal(line, message):
            break
        common += 1
    known = [*stored[:common], *[None] * (len(said) - common)]
    return Placement(session_id, known, stored[common:])


def _is_the_same(said: Sequence[Line], placement: Placement, session: Session, now: datetime) -> bool:
    common = [message for message in placement.known if message is not None]
    if not any(message.role == "user" for message in common):
        return False
    if any(_is_generated(message) for message in common):
        return True
    if any(message.role == "user" for message in placement.replaced):
        return False
    is_recent = now.astimezone(UTC) - session.last_at < _RECENT
    return is_recent or (len(common) > 1 and not placement.replaced)


def _is_generated(message: Message) -> bool:
    return (message.external_id or "").startswith(REPLY)


def _continued(said: Sequence[Line], session_id: str, stored: list[Message]) -> Placement | None:
    """Where a history that lacks its beginning goes on from the end of a session, or asks for its last reply anew."""
    for again in (False, True):
        lines = said if again else said[:-1]
        kept = stored[:-1] if again and stored and stored[-1].role == "assistant" else stored
        tail = kept[len(kept) - len(lines) :] if 2 <= len(lines) <= len(kept) else []
        if tail and all(map(are_equal, lines, tail)) and any(map(_is_generated, tail)):
            return Placement(session_id, [*tail, *([] if again else [None])], stored[len(kept) :])
    return None
