"""Users: who there is, and all that goes with one of them."""

import dataclasses
from datetime import datetime
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.database import insert_missing
from app.store.rows import CHECKED, checked, readable
from app.store.tables import OWN, memories, messages, sessions, slots, users


@dataclasses.dataclass(frozen=True)
class UserEntry:
    """A user in the list of all, with the size of their own memory; `last_at` is when their last message was said."""

    user_id: str
    messages: int
    slots_used: int
    last_at: datetime | None
    __pydantic_config__: ClassVar = CHECKED


async def add(connection: AsyncConnection, user_id: str, now: datetime) -> None:
    """Makes the user known, if not yet."""
    await insert_missing(connection, users, {"id": user_id, "created_at": now})


async def erase(connection: AsyncConnection, user_id: str) -> bool:
    """Deletes the user with every memory that they own. Returns whether there was one."""
    return (await connection.execute(users.delete().where(users.c.id == user_id))).rowcount > 0


async def every(connection: AsyncConnection) -> list[str]:
    """Every user's id; for the operator's commands, never for a request of a user."""
    return list((await connection.scalars(sa.select(users.c.id).order_by(users.c.id))).all())


async def page(connection: AsyncConnection, after: str, limit: int) -> list[UserEntry]:
    """The users whose ids come after one, in order; for administrators alone."""
    here = memories.c.id
    chosen = (
        sa.select(
            users.c.id.label("user_id"),
            sa.select(sa.func.count()).where(messages.c.memory_id == here).scalar_subquery().label("messages"),
            sa.select(sa.func.count(sa.distinct(slots.c.slot % memories.c.capacity)))
            .where(slots.c.memory_id == here)
            .scalar_subquery()
            .label("slots_used"),
            sa.select(sa.func.max(sessions.c.last_at))
            .where(sessions.c.memory_id == here)
            .scalar_subquery()
            .label("last_at"),
        )
        .outerjoin(memories, sa.and_(memories.c.owner_id == users.c.id, memories.c.name == OWN))
        .where(users.c.id > after)
        .order_by(users.c.id)
        .limit(limit)
    )
    with readable("a user"):
        return [checked(UserEntry, **row._mapping) for row in await connection.execute(chosen)]
