"""Bringing the database to the schema that this code knows, and refusing one that is not."""

import asyncio
import time
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.store.database import Database, StoreUnavailable, StoreUnusable

_PATIENCE = 30.0  # seconds that a database may take to come up
_LOCK = 7204  # any number; replicas that start together take turns by it

_TOUCH = sa.text("UPDATE alembic_version SET version_num = version_num")  # fails where nothing can be written


class SchemaError(Exception):
    """The database's schema is not the one that this code knows; the message says what to do."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[2] / "migrations"))
    return config


async def migrate(url: str) -> str:
    """Upgrades to the newest schema, once, whoever else tries at the same time; waits for a database that comes up.

    Returns:
        The schema's revision.

    Raises:
        StoreUnavailable: no database within half a minute; at once where waiting cannot help.
        SchemaError: it is newer than this code.
    """
    database = Database(url, bounded=False)  # others may hold the lock, and large tables take their time
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return await _upgrade(database)
            except StoreUnusable:
                raise
            except StoreUnavailable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(1.0)
    finally:
        await database.close()


async def check(database: Database) -> None:
    """Makes sure that the schema is the newest.

    Raises:
        SchemaError: it is not.
    """
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    async with database.reading() as connection:
        found = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    if found != newest:
        raise SchemaError(f"the database is at schema {found}, this version needs {newest}: run `mneme migrate`")


async def _upgrade(database: Database) -> str:
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    assert newest is not None

    def upgrade(connection: sa.Connection) -> None:
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
            raise SchemaError(f"the database is at schema {found}, which this version does not know: upgrade Mneme")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async with database.writing() as connection:
        if not database.sqlite:
            # Whoever waited for the lock must see what its holder committed, which one moment's snapshot would hide.
            await connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL READ COMMITTED"))
            await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(upgrade)
        await connection.execute(_TOUCH)
    return newest
