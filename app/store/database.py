"""The connection to the database, and what it means that there is none."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.store.encryption import KeyRing, Vault
from app.store.sqlite_file import (
    BUSY_SECONDS,
    StoreDamaged,
    StoreUnavailable,
    StoreUnusable,
    WatchedFile,
    prepare,
    unavailable,
)

__all__ = ["Conflict", "Database", "Row", "StoreDamaged", "StoreUnavailable", "StoreUnusable", "upsert"]

Row = dict[str, Any]
Merge = Callable[[sa.sql.ColumnCollection[str, Any]], dict[str, Any]]
_STATEMENT_SECONDS = 30.0
_SCRUB_MILLISECONDS = 250
_ROWS_AT_ONCE = 200
logger = logging.getLogger(__name__)


class Conflict(Exception):
    """Somebody else changed the same user's memory meanwhile; nothing was changed: reload and redo."""


class Database:
    """An engine for the URL of the settings; `sqlite:///…` or `postgresql://…`.

    Args:
        bounded: whether a statement that takes longer than half a minute counts as a database that does not answer.
        ring: the operator's keys, where what is said is encrypted.
    """

    def __init__(self, url: str, bounded: bool = True, ring: KeyRing | None = None) -> None:
        self.url, self.vault = driver_url(url), Vault(ring)
        self.damage: str | None = None
        self._file: WatchedFile | None = None
        if self.sqlite:
            if self.url.database:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
                self._file = WatchedFile(self.url.database)
            self.engine = self._sqlite_engine()
            # One writes at a time, and whoever waits for that must take no reader's connection.
            self.writer = self._sqlite_engine(pool_size=1, max_overflow=0, pool_timeout=BUSY_SECONDS)
        else:
            self.engine = self.writer = create_async_engine(
                self.url,
                hide_parameters=True,  # an error's text must tell no text of a user
                isolation_level="REPEATABLE READ",  # a memory is loaded as it was at one moment
                pool_pre_ping=True,
                pool_size=10,
                max_overflow=20,
                pool_timeout=10,
                execution_options={"vault": self.vault},
                connect_args={"timeout": 5, **(_bounds() if bounded else {})},
            )

    def _sqlite_engine(self, **options: Any) -> AsyncEngine:
        engine = create_async_engine(
            self.url,
            hide_parameters=True,
            connect_args={"timeout": BUSY_SECONDS},
            execution_options={"vault": self.vault},
            **options,
        )
        listen, sync = sa.event.listen, engine.sync_engine
        if self._file is not None:
            listen(sync, "do_connect", self._file.before_connect)
            listen(sync, "connect", self._file.connected)
            listen(sync, "checkout", self._file.checked_out)
        else:
            listen(sync, "connect", lambda connection, _: prepare(connection))
        listen(sync, "begin", _begin_sqlite)
        listen(sync, "invalidate", _give_up_sqlite)
        return engine

    @property
    def sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.url.get_backend_name() == "sqlite"

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for queries that belong together.

        Raises:
            StoreUnavailable: the database went away.
        """
        async with self._telling(), self.engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: all of it or nothing.

        Raises:
            StoreUnavailable: the database went away.
            Conflict: a row that this transaction adds is already there.
        """
        async with self._telling(), self.writer.connect() as connection:
            await connection.execution_options(writing=True)
            async with connection.begin():
                yield connection
            if self._file is not None:
                self._file.check(connection.sync_connection.info)  # type: ignore[union-attr]

    async def scrub(self) -> None:
        """Takes what was deleted out of SQLite's write-ahead log, where it would stay for a while after the commit.

        It cannot while somebody goes on reading, and then says so in the log: the next call does it. PostgreSQL has
        its VACUUM.
        """
        if not self.sqlite:
            return
        try:
            async with self.engine.connect() as connection:
                # Past SQLAlchemy, which would begin a transaction: a checkpoint must stand outside of any.
                driver: Any = (await connection.get_raw_connection()).driver_connection
                await driver.execute(f"PRAGMA busy_timeout={_SCRUB_MILLISECONDS}")  # writers wait as long as this does
                try:
                    ((busy, *_),) = await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    await driver.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        except (SQLAlchemyError, sqlite3.Error) as error:
            busy = error
        if busy:
            logger.warning("deleted text may still stand in the write-ahead log until the next deletion")

    def check_room(self) -> None:
        """Makes sure that an SQLite file has room to grow; other databases tell when they are asked to write.

        Raises:
            StoreUnavailable: its disk is full.
        """
        if self._file is not None:
            self._file.check_room()

    async def close(self) -> None:
        """Closes the connections."""
        await self.engine.dispose()
        await self.writer.dispose()

    @asynccontextmanager
    async def _telling(self) -> AsyncIterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise Conflict("somebody else wrote the same rows meanwhile") from error  # its own text quotes values
        except (TimeoutError, OSError, PoolTimeout) as error:
            raise StoreUnavailable(f"{type(error).__name__}: the database does not answer") from error
        except StoreDamaged as error:
            self._note_damage(error)
            raise
        except DBAPIError as error:
            if _state(error) in ("40001", "40P01"):  # serialization failure, deadlock
                raise Conflict("somebody else changed the same rows meanwhile") from error
            of_file = unavailable(error.orig)
            if of_file is not None:
                self._note_damage(of_file)
                raise of_file from error
            if isinstance(error, OperationalError) or error.connection_invalidated or _gone(error):
                raise StoreUnavailable(str(error.orig).splitlines()[0]) from error
            raise

    def _note_damage(self, error: StoreUnavailable) -> None:
        if isinstance(error, StoreDamaged) and self.damage is None:
            self.damage = str(error)
            logger.error("%s", error)


def driver_url(url: str) -> sa.URL:
    """The URL with the asynchronous driver that the service uses."""
    parsed = sa.make_url(url)
    return parsed.set(drivername="sqlite+aiosqlite" if parsed.get_backend_name() == "sqlite" else "postgresql+asyncpg")


async def upsert(connection: AsyncConnection, table: sa.Table, rows: Sequence[Row], merge: Merge | None = None) -> None:
    """Inserts rows, or updates those whose primary key is there.

    Args:
        merge: what an update sets, from the columns of the row that came; without it, all that the row says.
    """
    if rows:
        await in_slices(connection, _upsert(connection.dialect.name, table, tuple(rows[0]), merge), rows)


async def in_slices(
    connection: AsyncConnection, statement: sa.Executable, rows: Sequence[Any], made: Callable[[Any], Row] = dict
) -> None:
    """Executes a statement for many rows, so many at once that the event loop has time for others in between.

    Args:
        made: makes the row to send of each.
    """
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        await connection.execute(statement, [made(row) for row in rows[start : start + _ROWS_AT_ONCE]])


@cache  # a millisecond to put together, at every write
def _upsert(dialect: str, table: sa.Table, names: tuple[str, ...], merge: Merge | None) -> sa.Insert:
    statement = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    keys, came = [column.name for column in table.primary_key], statement.excluded
    changed = merge(came) if merge else {name: came[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


async def insert_missing(connection: AsyncConnection, table: sa.Table, row: Row) -> None:
    """Inserts a row unless its primary key is there."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    await connection.execute(dialect.insert(table).values(row).on_conflict_do_nothing())


def _bounds() -> dict[str, Any]:
    # The server ends a statement that waits for a lock or takes too long; a server that hangs cannot, so we give it up.
    in_milliseconds = str(int(_STATEMENT_SECONDS * 1000))
    return {"server_settings": {"statement_timeout": in_milliseconds}, "command_timeout": _STATEMENT_SECONDS + 2}


def _gone(error: DBAPIError) -> bool:
    # SQLSTATE classes of a server that refuses or ends connections (08, 57P), is out of means (53), or ran out of
    # the time that a statement has (57014).
    return _state(error).startswith(("08", "57P", "53", "57014"))


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that means to write takes the write lock at once: upgrading later can fail, waiting cannot.
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _give_up_sqlite(connection: Any, *_: Any) -> None:
    # A task cancelled within a statement: until that is collected, closing alone would leave the write lock held.
    connection.rollback()
