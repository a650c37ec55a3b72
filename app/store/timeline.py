"""A memory's log as it is looked through: the latest first, filtered, with where something was forgotten."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store import log
from app.store.filters import Filter
from app.store.log import Message
from app.store.rows import CHECKED, checked, readable
from app.store.tables import forgotten, messages


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a message comes from."""

    seq: int
    session_id: str
    speaker: str | None
    role: str
    __pydantic_config__: ClassVar = CHECKED


async def latest(
    connection: AsyncConnection, memory_id: str, which: Filter, before_seq: int | None, limit: int
) -> list[Message]:
    """A memory's messages, the last remembered first."""
    where = [messages.c.memory_id == memory_id, *which.conditions(connection.dialect.name)]
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
    with readable("a message"):
        return [checked(Origin, **row._mapping) for row in await connection.execute(found)]
