"""The log: what was said, verbatim and in order. It is only ever added to, until its owner asks to forget."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, ClassVar

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.database import Row, in_slices, upsert
from app.store.filters import Filter
from app.store.rows import CHECKED, checked, readable
from app.store.tables import forgotten, messages, sessions

_AT_ONCE = 500  # values in one IN (...), well under what both databases take


@dataclasses.dataclass(frozen=True)
class Message:
    """One message of the log; `seq` numbers a memory's messages from 1, in the order in which they were remembered."""

    seq: int
    id: str
    session_id: str
    role: Annotated[str, Field(pattern=r"^(user|assistant|system|tool)$")]
    content: str
    occurred_at: datetime
    speaker: str | None = None
    external_id: str | None = None
    status: Annotated[str, Field(pattern=r"^(complete|interrupted)$")] = "complete"
    confidence: float | None = None
    name: str | None = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    parsed: Mapping[str, Any] | None = None
    __pydantic_config__: ClassVar = CHECKED


@dataclasses.dataclass(frozen=True)
class Tombstone:
    """The place of a deleted message: it took `parts` slots, freed after message `after_seq`, at `version`."""

    seq: int
    parts: int
    gate: float
    after_seq: int
    version: int
    __pydantic_config__: ClassVar = CHECKED


@dataclasses.dataclass(frozen=True)
class Session:
    """A conversation; its user may give it a title."""

    id: str
    started_at: datetime
    last_at: datetime
    last_seq: int
    messages: int
    title: str | None = None
    __pydantic_config__: ClassVar = CHECKED


_COLUMNS = [*(messages.c[field.name] for field in dataclasses.fields(Message)), messages.c.utc_offset]


async def append(connection: AsyncConnection, memory_id: str, said: Sequence[Message]) -> None:
    """Adds messages to the log and counts them in their sessions."""
    await in_slices(connection, messages.insert(), said, lambda message: {"memory_id": memory_id, **_row(message)})
    by_session: dict[str, list[Message]] = {}
    for message in said:
        by_session.setdefault(message.session_id, []).append(message)
    await upsert(connection, sessions, [
        {
            "memory_id": memory_id,
            "id": session_id,
            "started_at": min(new.occurred_at for new in news),
            "last_at": max(new.occurred_at for new in news),
            "last_seq": max(new.seq for new in news),
            "messages": len(news),
        }
        for session_id, news in by_session.items()
    ], _with_the_known)  # fmt: skip


def _with_the_known(came: sa.sql.ColumnCollection[str, Any]) -> dict[str, Any]:
    known = sessions.c
    return {
        "started_at": sa.case((came.started_at < known.started_at, came.started_at), else_=known.started_at),
        "last_at": sa.case((came.last_at > known.last_at, came.last_at), else_=known.last_at),
        "last_seq": sa.case((came.last_seq > known.last_seq, came.last_seq), else_=known.last_seq),
        "messages": known.messages + came.messages,
    }


async def remove(connection: AsyncConnection, memory_id: str, message: Message, place: Tombstone) -> None:
    """Deletes a message; its session goes with its last one. What stays is the place it took."""
    await connection.execute(messages.delete().where(messages.c.memory_id == memory_id, messages.c.seq == message.seq))
    await connection.execute(forgotten.insert().values(memory_id=memory_id, **dataclasses.asdict(place)))
    here = (sessions.c.memory_id == memory_id, sessions.c.id == message.session_id)
    left = sa.select(
        sa.func.count(), sa.func.min(messages.c.occurred_at), sa.func.max(messages.c.occurred_at),
        sa.func.max(messages.c.seq),
    ).where(messages.c.memory_id == memory_id, messages.c.session_id == message.session_id)  # fmt: skip
    count, started_at, last_at, last_seq = (await connection.execute(left)).one()
    if count:
        values = {"messages": count, "started_at": started_at, "last_at": last_at, "last_seq": last_seq}
        await connection.execute(sessions.update().where(*here).values(values))
    else:
        await connection.execute(sessions.delete().where(*here))


async def by_id(connection: AsyncConnection, memory_id: str, message_id: str) -> Message | None:
    """The memory's message of that id."""
    return await _first(connection, memory_id, messages.c.id == message_id)


async def by_seqs(connection: AsyncConnection, memory_id: str, seqs: Iterable[int]) -> dict[int, Message]:
    """The memory's messages of those numbers, as far as they are there."""
    return {message.seq: message for message in await _among(connection, memory_id, messages.c.seq, list(seqs))}


async def by_external_ids(connection: AsyncConnection, memory_id: str, ids: Iterable[str]) -> dict[str, Message]:
    """The memory's messages that came with those ids of the caller's."""
    found = await _among(connection, memory_id, messages.c.external_id, list(ids))
    return {message.external_id: message for message in found if message.external_id is not None}


async def after(connection: AsyncConnection, memory_id: str, seq: int, limit: int) -> list[Message]:
    """The memory's messages after number `seq`, in order."""
    return await _all(connection, memory_id, messages.c.seq > seq, limit=limit)


async def matching(
    connection: AsyncConnection, memory_id: str, which: Filter, after_seq: int, limit: int | None
) -> list[Message]:
    """The messages after number `after_seq` that are wanted, in order."""
    here = (messages.c.seq > after_seq, *which.conditions(connection.dialect.name))
    return await _all(connection, memory_id, *here, limit=limit)


async def replies_to(connection: AsyncConnection, memory_id: str, cues: Sequence[int]) -> list[Message]:
    """The assistant's reply to each of these messages that has one: what comes next in its session."""
    asked, later = messages.alias("asked"), messages.alias("later")
    following = (
        sa.select(sa.func.min(later.c.seq))
        .where(later.c.memory_id == memory_id, later.c.session_id == asked.c.session_id, later.c.seq > asked.c.seq)
        .scalar_subquery()
    )
    found = set[int]()
    for start in range(0, len(cues), _AT_ONCE):
        here = asked.c.seq.in_(cues[start : start + _AT_ONCE])
        found |= set((await connection.scalars(sa.select(following).where(asked.c.memory_id == memory_id, here))).all())
    said = await by_seqs(connection, memory_id, sorted(seq for seq in found if seq is not None))
    return [message for message in said.values() if message.role == "assistant" and message.speaker is None]


async def latest_of_session(
    connection: AsyncConnection, memory_id: str, session_id: str, before_seq: int, limit: int
) -> list[Message]:
    """The last messages of a session before number `before_seq`, in order."""
    chosen = sa.select(*_COLUMNS).where(
        messages.c.memory_id == memory_id, messages.c.session_id == session_id, messages.c.seq < before_seq
    )
    with readable("a message"):
        rows = await connection.execute(chosen.order_by(messages.c.seq.desc()).limit(limit))
        return [_message(row) for row in reversed(rows.all())]


async def list_sessions(
    connection: AsyncConnection, memory_id: str, before_seq: int | None, limit: int
) -> list[Session]:
    """The memory's sessions, the last used first, from those last used before message `before_seq`."""
    chosen = sa.select(sessions).where(sessions.c.memory_id == memory_id)
    if before_seq is not None:
        chosen = chosen.where(sessions.c.last_seq < before_seq)
    with readable("a session"):
        rows = await connection.execute(chosen.order_by(sessions.c.last_seq.desc()).limit(limit))
        return [_session(row) for row in rows]


async def rename_session(connection: AsyncConnection, memory_id: str, session_id: str, title: str | None) -> bool:
    """Gives a session a title, or none; whether there is such a session."""
    here = (sessions.c.memory_id == memory_id, sessions.c.id == session_id)
    return bool((await connection.execute(sessions.update().where(*here).values(title=title))).rowcount)


async def session_exists(connection: AsyncConnection, memory_id: str, session_id: str) -> bool:
    """Whether the memory has that session."""
    return bool(await _sessions(connection, memory_id, [session_id]))


async def last_cue(connection: AsyncConnection, memory_id: str, other_than: Collection[int] = ()) -> Message | None:
    """The memory's last message that read the memory, leaving some out of account."""
    chosen = sa.select(*_COLUMNS).where(messages.c.memory_id == memory_id, messages.c.confidence.is_not(None))
    with readable("a message"):
        rows = await connection.execute(chosen.order_by(messages.c.seq.desc()).limit(1 + len(other_than)))
        return next((_message(row) for row in rows if row.seq not in other_than), None)


async def last_seq(connection: AsyncConnection, memory_id: str) -> int:
    """The number of the memory's last message that was not forgotten; 0 where there is none."""
    chosen = sa.select(sa.func.max(messages.c.seq)).where(messages.c.memory_id == memory_id)
    return await connection.scalar(chosen) or 0


async def tombstones(connection: AsyncConnection, memory_id: str) -> list[Tombstone]:
    """The places of the deleted messages, in the order of deletion."""
    columns = [forgotten.c[field.name] for field in dataclasses.fields(Tombstone)]
    chosen = sa.select(*columns).where(forgotten.c.memory_id == memory_id).order_by(forgotten.c.version)
    with readable("the place of a forgotten message"):
        return [checked(Tombstone, **row._mapping) for row in await connection.execute(chosen)]


async def add_tombstones(connection: AsyncConnection, memory_id: str, places: Sequence[Tombstone]) -> None:
    """Adds the places of messages that were forgotten elsewhere."""
    await connection.execute(
        forgotten.insert(), [{"memory_id": memory_id, **dataclasses.asdict(place)} for place in places]
    )


async def count(connection: AsyncConnection, memory_id: str) -> int:
    """How many messages the memory's log has."""
    chosen = sa.select(sa.func.count()).select_from(messages).where(messages.c.memory_id == memory_id)
    return (await connection.execute(chosen)).scalar_one()


async def set_decided(
    connection: AsyncConnection, memory_id: str, found: Mapping[int, tuple[float, Mapping[str, Any]]]
) -> None:
    """Notes anew, for messages that were cues, how sure the memory was and what was decided of their texts."""
    here = (messages.c.memory_id == memory_id, messages.c.seq == sa.bindparam("cue"))
    if found:
        rows = [{"cue": seq, "sure": confidence, "told": told} for seq, (confidence, told) in found.items()]
        update = messages.update().where(*here)
        await connection.execute(update.values(confidence=sa.bindparam("sure"), parsed=sa.bindparam("told")), rows)


async def _sessions(connection: AsyncConnection, memory_id: str, ids: Iterable[str]) -> list[Session]:
    found = []
    ids = list(ids)
    for start in range(0, len(ids), _AT_ONCE):
        here = sessions.c.id.in_(ids[start : start + _AT_ONCE])
        with readable("a session"):
            rows = await connection.execute(sa.select(sessions).where(sessions.c.memory_id == memory_id, here))
            found += [_session(row) for row in rows]
    return found


async def _among(
    connection: AsyncConnection, memory_id: str, column: "sa.Column[Any]", values: list[Any]
) -> list[Message]:
    found = []
    for start in range(0, len(values), _AT_ONCE):
        found += await _all(connection, memory_id, column.in_(values[start : start + _AT_ONCE]))
    return found


async def _all(
    connection: AsyncConnection, memory_id: str, *where: sa.ColumnElement[bool], limit: int | None = None
) -> list[Message]:
    chosen = sa.select(*_COLUMNS).where(messages.c.memory_id == memory_id, *where).order_by(messages.c.seq).limit(limit)
    with readable("a message"):
        return [_message(row) for row in await connection.execute(chosen)]


async def _first(connection: AsyncConnection, memory_id: str, *where: sa.ColumnElement[bool]) -> Message | None:
    found = await _all(connection, memory_id, *where, limit=1)
    return found[0] if found else None


def _row(message: Message) -> Row:
    offset = message.occurred_at.utcoffset() or timedelta()
    return {**vars(message), "utc_offset": offset // timedelta(minutes=1)}


def _message(row: sa.Row[Any]) -> Message:
    found = dict(row._mapping)
    zone = timezone(timedelta(minutes=found.pop("utc_offset")))
    return checked(Message, **{**found, "occurred_at": found["occurred_at"].astimezone(zone)})


def _session(row: sa.Row[Any]) -> Session:
    return checked(Session, **{field.name: getattr(row, field.name) for field in dataclasses.fields(Session)})
