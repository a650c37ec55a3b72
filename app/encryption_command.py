"""`mneme encryption`: making a key, turning encryption on and off, changing the key; each can be called again."""

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import typer

from app import settings
from app.cli_output import exit_on_error, fail, tell
from app.store.operator_key import KEY_BYTES

if TYPE_CHECKING:
    from app.store.database import Database

encryption = typer.Typer(no_args_is_help=True, help="Encryption of what is stored, under ENCRYPTION_KEY.")


@encryption.command()
def key() -> None:
    """Print a new key for ENCRYPTION_KEY; it is kept nowhere."""
    print(base64.b64encode(os.urandom(KEY_BYTES)).decode())


@encryption.command()
def on() -> None:
    """Encrypt every memory that is not; goes on where it was interrupted."""
    from app.store.sealing import turn_on

    _with_database(lambda database: turn_on(database, tell))
    tell("every memory is encrypted; on PostgreSQL run VACUUM FULL, so that no text stays in its files")


@encryption.command()
def off() -> None:
    """Decrypt every memory and destroy their keys; goes on where it was interrupted. Stop the servers first."""
    from app.store.sealing import turn_off

    _with_database(lambda database: turn_off(database, tell))
    tell("no memory is encrypted: take ENCRYPTION_KEY out of the settings")


@encryption.command()
def rotate() -> None:
    """Wrap every memory's key by the first key of ENCRYPTION_KEY=NEW,OLD; goes on where it was interrupted."""
    from app.store.sealing import rotate as wrap_anew

    _with_database(lambda database: wrap_anew(database, tell))


def _with_database(act: "Callable[[Database], Awaitable[None]]") -> None:
    try:
        chosen = settings.load()
        keys = chosen.encryption_keys
    except settings.SettingsError as error:
        fail(str(error))
    from app.store import migration
    from app.store.database import Conflict, Database, StoreUnavailable
    from app.store.encryption import KeyRing
    from app.store.sealing import EncryptionError

    async def run() -> None:
        database = Database(chosen.database_url, bounded=False, ring=KeyRing(keys) if keys else None)
        try:
            await migration.check(database)
            await act(database)
        finally:
            await database.close()

    with exit_on_error(StoreUnavailable, migration.SchemaError, EncryptionError, Conflict, OSError):
        asyncio.run(run())
