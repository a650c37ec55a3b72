"""Keys of callers, as hashes, and the secret that signs tokens."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.database import insert_missing, upsert
from app.store.tables import access_keys, access_secrets


@dataclasses.dataclass(frozen=True)
class StoredKey:
    """What is known of a key; the key itself is not."""

    id: str
    name: str
    prefix: str
    scope: str
    user_id: str | None
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether the key still opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_COLUMNS = [access_keys.c[field.name] for field in dataclasses.fields(StoredKey)]


async def add_key(connection: AsyncConnection, key: StoredKey, hashed: str) -> None:
    """Stores a new key."""
    await connection.execute(access_keys.insert().values(hash=hashed, **dataclasses.asdict(key)))


async def put_key(connection: AsyncConnection, key: StoredKey, hashed: str) -> None:
    """Stores a key in place of the one of the same id, if there is one."""
    await upsert(connection, access_keys, [{"hash": hashed, **dataclasses.asdict(key)}])


async def key_by_hash(connection: AsyncConnection, hashed: str) -> StoredKey | None:
    """The key with that hash, valid or not."""
    return await _first(connection, access_keys.c.hash == hashed)


async def key_by_id(connection: AsyncConnection, key_id: str) -> StoredKey | None:
    """The key of that id, valid or not."""
    return await _first(connection, access_keys.c.id == key_id)


async def all_keys(connection: AsyncConnection) -> list[StoredKey]:
    """Every key that was ever made, the oldest first."""
    found = await connection.execute(sa.select(*_COLUMNS).order_by(access_keys.c.created_at, access_keys.c.id))
    return [StoredKey(**row) for row in found.mappings()]


async def is_any_key_made(connection: AsyncConnection) -> bool:
    """Whether a key was ever made, be it revoked or expired since."""
    return (await connection.execute(sa.select(access_keys.c.id).limit(1))).first() is not None


async def revoke_key(connection: AsyncConnection, key_id: str, now: datetime) -> bool:
    """Marks a key as revoked. Returns whether there is such a key."""
    here = access_keys.c.id == key_id
    moment = sa.func.coalesce(access_keys.c.revoked_at, sa.literal(now, access_keys.c.revoked_at.type))
    return (await connection.execute(access_keys.update().where(here).values(revoked_at=moment))).rowcount > 0


async def note_uses(connection: AsyncConnection, uses: Mapping[str, datetime]) -> None:
    """Keeps when keys were last used."""
    if uses:
        statement = (
            access_keys.update()
            .where(access_keys.c.id == sa.bindparam("used_id"))
            .values(last_used_at=sa.bindparam("used_at"))
        )
        await connection.execute(statement, [{"used_id": one, "used_at": at} for one, at in uses.items()])


async def shared_secret(connection: AsyncConnection, name: str, fresh: bytes) -> bytes:
    """The secret of that name, which is `fresh` if there was none."""
    await insert_missing(connection, access_secrets, {"name": name, "value": fresh})
    found: bytes = (
        await connection.execute(sa.select(access_secrets.c.value).where(access_secrets.c.name == name))
    ).scalar_one()
    return found


async def _first(connection: AsyncConnection, condition: sa.ColumnElement[bool]) -> StoredKey | None:
    row: Any = (await connection.execute(sa.select(*_COLUMNS).where(condition))).mappings().first()
    return None if row is None else StoredKey(**row)
