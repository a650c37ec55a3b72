"""A memory's log as it is looked through: the latest first, filtered, with where something was forgotten."""

import dataclasses
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store import log
from app.store.log import Message
from app.store.tables import forgotten, messages


@dataclasses.dataclass(frozen=True)
class Filter:
    """Which messages are wanted; what is None does not matter.

    Attributes:
        since, until: when it was said, `until` excluded.
        contains: letters that the text contains, in capitals or not.
    """

    session_id: str | None = None
    role: str | None = None
    speaker: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    contains: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether every message is wanted."""
        return self == Filter()


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a message comes from."""

    seq: int
    session_id: str
    speaker: str | None
    role: str


async def latest(
    connection: AsyncConnection, memory_id: str, which: Filter, before_seq: int | None, limit: int
) -> list[Message]:
    """A memory's messages, the last remembered first."""
    where = [messages.c.memory_id == memory_id, *_conditions(which)]
    if before_seq is not None:
        where.append(messages.c.seq < before_seq)
    wanted = sa.select(messages.c.seq).where(*where).order_by(messages.c.seq.desc()).limit(limit)
    seqs = (await connection.scalars(wanted)).all()
    found = await log.by_seqs(connection, memory_id, seqs)
    return [found[seq] for seq in seqs if seq in found]


async def forgotten_between(connection: AsyncConnection, memory_id: str, first: int, last: int) -> Sequence[int]:
    """Numbers from `first` to `last` whose messages were forgotten, ascending."""
    places = sa.select(forgotten.c.seq).where(
        forgotten.c.memory_id == memory_id, forgotten.c.seq >= first, forgotten.c.seq <= last
    )
    return (await connection.scalars(places.order_by(forgotten.c.seq))).all()


async def origins(connection: AsyncConnection, memory_id: str) -> list[Origin]:
    """Where each of a memory's messages comes from, in order; without the texts, which would be much to read."""
    columns = (messages.c.seq, messages.c.session_id, messages.c.speaker, messages.c.role)
    found = sa.select(*columns).where(messages.c.memory_id == memory_id).order_by(messages.c.seq)
    return [Origin(*row) for row in await connection.execute(found)]


def _conditions(which: Filter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if which.session_id is not None:
        found.append(messages.c.session_id == which.session_id)
    if which.role is not None:
        found.append(messages.c.role == which.role)
    if which.speaker is not None:
        found.append(messages.c.speaker == which.speaker)
    if which.since is not None:
        found.append(messages.c.occurred_at >= which.since)
    if which.until is not None:
        found.append(messages.c.occurred_at < which.until)
    if which.contains is not None:
        found.append(messages.c.content.icontains(which.contains, autoescape=True))
    return found
