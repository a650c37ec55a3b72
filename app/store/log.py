"""The log: what was said, verbatim and in order. It is only ever added to, until its owner asks to forget."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, ClassVar

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.database import Row, in_slices, upsert
from app.store.encryption import cipher_if_begun, cipher_of, opened
from app.store.filters import Filter
from app.store.rows import CHECKED, checked, readable
from app.store.tables import forgotten, messages, sessions

_AT_ONCE = 500  # values in one IN (...), well under what both databases take
_LOOKED_THROUGH = 200  # messages that are opened at once, to see whether they are wanted


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


_COLUMNS = [
    *(messages.c[field.name] for field in dataclasses.fields(Message)), messages.c.utc_offset, messages.c.sealed
]  # fmt: skip


_OF_SESSION = dataclasses.fields(Session)


async def append(connection: AsyncConnection, memory_id: str, said: Sequence[Message]) -> None:
    """Adds messages to the log and counts them in their sessions."""
    cipher = await cipher_of(connection, memory_id)

    def stored(table: sa.Table, row: Row) -> Row:
        return {"memory_id": memory_id, **(cipher.seal(table, row) if cipher else row)}

    await in_slices(connection, messages.insert(), said, lambda message: stored(messages, _row(message)))
    by_session: dict[str, list[Message]] = {}
    for message in said:
        by_session.setdefault(message.session_id, []).append(message)
    await upsert(connection, sessions, [
        stored(sessions, {
            "id": session_id,
            "started_at": min(new.occurred_at for new in news),
            "last_at": max(new.occurred_at for new in news),
            "last_seq": max(new.seq for new in news),
            "messages": len(news),
        })
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
    [session_id] = await _named(connection, memory_id, [message.session_id])
    here = (sessions.c.memory_id == memory_id, sessions.c.id == session_id)
    left = sa.select(
        sa.func.count(), sa.func.min(messages.c.occurred_at), sa.func.max(messages.c.occurred_at),
        sa.func.max(messages.c.seq),
    ).where(messages.c.memory_id == memory_id, messages.c.session_id == session_id)  # fmt: skip
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
    names = await _named(connection, memory_id, ids)
    found = await _among(connection, memory_id, messages.c.external_id, names)
    return {message.external_id: message for message in found if message.external_id is not None}


async def after(connection: AsyncConnection, memory_id: str, seq: int, limit: int) -> list[Message]:
    """The memory's messages after number `seq`, in order."""
    return await _all(connection, memory_id, messages.c.seq > seq, limit=limit)


async def matching(
    connection: AsyncConnection, memory_id: str, which: Filter, after_seq: int, limit: int | None
) -> list[Message]:
    """The messages after number `after_seq` that are wanted, in order."""
    return await _search(connection, memory_id, which, messages.c.seq > after_seq, limit=limit)


async def latest(
    connection: AsyncConnection, memory_id: str, which: Filter, before_seq: int | None, limit: int
) -> list[Message]:
    """The messages that are wanted, the last remembered first, from before number `before_seq`."""
    where = () if before_seq is None else (messages.c.seq < before_seq,)
    return await _search(connection, memory_id, which, *where, limit=limit, latest_first=True)


async def seqs_matching(connection: AsyncConnection, memory_id: str, which: Filter) -> list[int]:
    """The numbers of the messages that are wanted."""
    cipher = await cipher_if_begun(connection, memory_id)
    if cipher is not None and which.reads_texts:
        return [message.seq for message in await _search(connection, memory_id, which)]
    where = which.conditions(connection.dialect.name, cipher)
    chosen = sa.select(messages.c.seq).where(messages.c.memory_id == memory_id, *where)
    return list((await connection.scalars(chosen)).all())


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
    [name] = await _named(connection, memory_id, [session_id])
    here = (messages.c.session_id == name, messages.c.seq < before_seq)
    return (await _all(connection, memory_id, *here, limit=limit, latest_first=True))[::-1]


async def list_sessions(
    connection: AsyncConnection, memory_id: str, before_seq: int | None, limit: int
) -> list[Session]:
    """The memory's sessions, the last used first, from those last used before message `before_seq`."""
    chosen = sa.select(sessions).where(sessions.c.memory_id == memory_id)
    if before_seq is not None:
        chosen = chosen.where(sessions.c.last_seq < before_seq)
    return await _opened_sessions(connection, memory_id, chosen.order_by(sessions.c.last_seq.desc()).limit(limit))


async def rename_session(connection: AsyncConnection, memory_id: str, session_id: str, title: str | None) -> bool:
    """Gives a session a title, or none; whether there is such a session."""
    row, cipher = {"id": session_id, "title": title}, await cipher_of(connection, memory_id)
    stored = cipher.seal(sessions, row) if cipher else row
    here = (sessions.c.memory_id == memory_id, sessions.c.id == stored["id"])
    return bool((await connection.execute(sessions.update().where(*here).values(stored))).rowcount)


async def session_exists(connection: AsyncConnection, memory_id: str, session_id: str) -> bool:
    """Whether the memory has that session."""
    return bool(await _sessions(connection, memory_id, [session_id]))


async def last_cue(connection: AsyncConnection, memory_id: str, other_than: Collection[int] = ()) -> Message | None:
    """The memory's last message that read the memory, leaving some out of account."""
    here, most = messages.c.confidence.is_not(None), 1 + len(other_than)
    cues = await _all(connection, memory_id, here, limit=most, latest_first=True)
    return next((message for message in cues if message.seq not in other_than), None)


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
    if not found:
        return
    here = (messages.c.memory_id == memory_id, messages.c.seq == sa.bindparam("cue"))
    rows: list[Row] = [{"cue": seq, "sure": confidence, "told": told} for seq, (confidence, told) in found.items()]
    values: Row = {"confidence": sa.bindparam("sure"), "parsed": sa.bindparam("told")}
    cipher = await cipher_of(connection, memory_id)
    if cipher is not None:  # what is sealed beside it is sealed anew with it
        values["sealed"] = sa.bindparam("whole")
        known = await by_seqs(connection, memory_id, found)
        whole = {seq: cipher.seal(messages, {**_row(known[seq]), "parsed": found[seq][1]}) for seq in known}
        rows = [{**row, "told": None, "whole": whole[row["cue"]]["sealed"]} for row in rows if row["cue"] in whole]
    await in_slices(connection, messages.update().where(*here).values(values), rows)


async def _named(connection: AsyncConnection, memory_id: str, values: Iterable[str]) -> list[str]:
    """Values that messages and sessions are looked up by, as they are stored."""
    cipher = await cipher_if_begun(connection, memory_id)
    return [cipher.name(value) for value in values] if cipher else list(values)


async def _sessions(connection: AsyncConnection, memory_id: str, ids: Iterable[str]) -> list[Session]:
    found, names = [], await _named(connection, memory_id, ids)
    for start in range(0, len(names), _AT_ONCE):
        here = sessions.c.id.in_(names[start : start + _AT_ONCE])
        chosen = sa.select(sessions).where(sessions.c.memory_id == memory_id, here)
        found += await _opened_sessions(connection, memory_id, chosen)
    return found


async def _among(
    connection: AsyncConnection, memory_id: str, column: "sa.Column[Any]", values: list[Any]
) -> list[Message]:
    found = []
    for start in range(0, len(values), _AT_ONCE):
        found += await _all(connection, memory_id, column.in_(values[start : start + _AT_ONCE]))
    return found


async def _search(
    connection: AsyncConnection,
    memory_id: str,
    which: Filter,
    *where: sa.ColumnElement[bool],
    limit: int | None = None,
    latest_first: bool = False,
) -> list[Message]:
    """The messages that are wanted. Where only opening tells, they are looked through some at a time."""
    cipher = await cipher_if_begun(connection, memory_id)
    where = (*where, *which.conditions(connection.dialect.name, cipher))
    if cipher is None or not which.reads_texts:
        return await _all(connection, memory_id, *where, limit=limit, latest_first=latest_first)
    found: list[Message] = []
    further: tuple[sa.ColumnElement[bool], ...] = ()
    while limit is None or len(found) < limit:
        some = await _all(connection, memory_id, *where, *further, limit=_LOOKED_THROUGH, latest_first=latest_first)
        found += [one for one in some if which.lets_through(one.content, one.speaker, one.metadata)]
        if len(some) < _LOOKED_THROUGH:
            break
        further = (messages.c.seq < some[-1].seq if latest_first else messages.c.seq > some[-1].seq,)
    return found[:limit]


async def _all(
    connection: AsyncConnection,
    memory_id: str,
    *where: sa.ColumnElement[bool],
    limit: int | None = None,
    latest_first: bool = False,
) -> list[Message]:
    order = messages.c.seq.desc() if latest_first else messages.c.seq
    chosen = sa.select(*_COLUMNS).where(messages.c.memory_id == memory_id, *where).order_by(order).limit(limit)
    with readable("a message"):
        rows = await connection.execute(chosen)
        return [_message(row) for row in await opened(connection, memory_id, messages, rows.mappings())]


async def _first(connection: AsyncConnection, memory_id: str, *where: sa.ColumnElement[bool]) -> Message | None:
    found = await _all(connection, memory_id, *where, limit=1)
    return found[0] if found else None


async def _opened_sessions(connection: AsyncConnection, memory_id: str, chosen: sa.Select[Any]) -> list[Session]:
    with readable("a session"):
        rows = await opened(connection, memory_id, sessions, (await connection.execute(chosen)).mappings())
        return [checked(Session, **{field.name: row[field.name] for field in _OF_SESSION}) for row in rows]


def _row(message: Message) -> Row:
    offset = message.occurred_at.utcoffset() or timedelta()
    return {**vars(message), "utc_offset": offset // timedelta(minutes=1)}


def _message(found: Row) -> Message:
    zone = timezone(timedelta(minutes=found.pop("utc_offset")))
    return checked(Message, **{**found, "occurred_at": found["occurred_at"].astimezone(zone)})
