"""The audit log: who did what to whose memory. It holds ids, never texts."""

import dataclasses
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.tables import audit


@dataclasses.dataclass(frozen=True)
class Act:
    """One request: the key that was shown, the route, whose memory, which object in it, and how it ended."""

    at: datetime
    key_id: str | None
    by_token: bool
    method: str
    route: str
    user_id: str | None
    object_id: str | None
    status: int
    request_id: str


@dataclasses.dataclass(frozen=True)
class KeptAct(Act):
    """One request as it is listed, the later the higher its id."""

    id: int = 0


_COLUMNS = [audit.c[field.name] for field in dataclasses.fields(KeptAct)]


async def add_acts(connection: AsyncConnection, acts: Sequence[Act]) -> None:
    """Adds to the log."""
    if acts:
        await connection.execute(audit.insert(), [dataclasses.asdict(act) for act in acts])


async def latest_acts(
    connection: AsyncConnection, before: int | None, limit: int, user_id: str | None = None
) -> list[KeptAct]:
    """The latest requests, those before a number if given, of one user if given."""
    chosen = sa.select(*_COLUMNS).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        chosen = chosen.where(audit.c.id < before)
    if user_id is not None:
        chosen = chosen.where(audit.c.user_id == user_id)
    return [KeptAct(**row) for row in (await connection.execute(chosen)).mappings()]


async def drop_acts(connection: AsyncConnection, before: datetime) -> int:
    """Deletes what is older. Returns how many entries that were."""
    return (await connection.execute(audit.delete().where(audit.c.at < before))).rowcount
