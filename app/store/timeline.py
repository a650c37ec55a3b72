"""A memory's log from afar: where its messages come from, and where something was forgotten."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.encryption import opened
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


async def forgotten_between(connection: AsyncConnection, memory_id: str, first: int, last: int) -> Sequence[int]:
    """Numbers from `first` to `last` whose messages were forgotten, ascending."""
    places = sa.select(forgotten.c.seq).where(
        forgotten.c.memory_id == memory_id, forgotten.c.seq >= first, forgotten.c.seq <= last
    )
    return (await connection.scalars(places.order_by(forgotten.c.seq))).all()


async def origins(connection: AsyncConnection, memory_id: str) -> list[Origin]:
    """Where each of a memory's messages comes from, in order; without the texts, which would be much to read."""
    columns = (messages.c.seq, messages.c.session_id, messages.c.speaker, messages.c.role, messages.c.sealed)
    found = sa.select(*columns).where(messages.c.memory_id == memory_id).order_by(messages.c.seq)
    with readable("a message"):
        rows = await opened(connection, memory_id, messages, (await connection.execute(found)).mappings())
        return [checked(Origin, **row) for row in rows]
