"""Is the database there, and of the schema that this code knows?"""

import asyncio

import sqlalchemy as sa

from app.store.database import Database, StoreUnavailable

_SECONDS = 5.0


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
