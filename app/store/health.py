"""Is the database there, and does it keep what it is given?"""

import asyncio
import time
from contextlib import suppress
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from app.store.database import Conflict, Database, StoreDamaged, StoreUnavailable, upsert
from app.store.tables import access_secrets, metadata

_SECONDS = 5.0
_WRITE_EVERY = 5.0  # seconds; whoever may ask for readiness must not keep the disk busy with it
_READINESS = "readiness"
_written: "WeakKeyDictionary[Database, float]" = WeakKeyDictionary()


async def ping(database: Database) -> None:
    """Asks the database for nothing.

    Raises:
        StoreUnavailable: it does not answer within five seconds.
    """
    try:
        async with asyncio.timeout(_SECONDS), database.reading() as connection:
            await connection.execute(sa.text("SELECT 1"))
    except TimeoutError:
        raise StoreUnavailable("the database does not answer") from None


async def probe(database: Database) -> None:
    """Reads from each table, and commits a small row, at most one in five seconds.

    Raises:
        StoreUnavailable: the database does not answer within five seconds, is damaged as far as this or any request has
            seen, cannot be written, or is full.
    """
    if database.damage is not None:
        raise StoreDamaged(database.damage)
    try:
        async with asyncio.timeout(_SECONDS):
            async with database.reading() as connection:
                database.check_room()
                for table in metadata.sorted_tables:
                    await connection.execute(sa.select(table).limit(1))
            now = time.monotonic()
            if now - _written.get(database, float("-inf")) < _WRITE_EVERY:
                return
            with suppress(Conflict):  # another server writes it at this moment, so that it can be written
                async with database.writing() as connection:
                    row = {"name": _READINESS, "value": int(time.time()).to_bytes(8, "little")}
                    await upsert(connection, access_secrets, [row])
            _written[database] = now
    except TimeoutError:
        raise StoreUnavailable("the database does not answer") from None
