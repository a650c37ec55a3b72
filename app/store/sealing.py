"""What an operator does with encryption: turning it on and off, changing the key, and refusing a wrong one.

Each memory changes in a transaction of its own, and what is done is told by the rows themselves: whoever is interrupted
calls the same again. A memory that changes gets another version, so that no process goes on with what it knew of it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.database import Conflict, Database, insert_missing, upsert
from app.store.encryption import PIN, SEALED, KeyRing, RowCipher, cipher_of, pin_of, vault_of
from app.store.rows import DamagedRow, memory_checksum
from app.store.tables import access_secrets, memories, memory_keys, reads

_ROWS_AT_ONCE = 200
_KEYS_AT_ONCE = 200
_TRIES = 30
_PLAIN = memories.c.id.not_in(sa.select(memory_keys.c.memory_id))
Tell = Callable[[str], None]
Row = dict[str, Any]
Change = Callable[[sa.Table, Row], Row]


class EncryptionError(Exception):
    """The database and the operator's key do not fit together; the message is one line that says what to do."""


async def check(database: Database) -> None:
    """Makes sure that everything is encrypted under a key that is here, or nothing; a new database is pinned to it.

    Raises:
        EncryptionError: it is not so.
    """
    ring = database.vault.ring
    async with database.reading() as connection:
        pin = await pin_of(connection)
        wrapped_by = await _wrapped_by(connection)
        plain = await _count_plain(connection)
    if ring is None:
        if pin is not None or wrapped_by:
            raise EncryptionError("the database is encrypted: set ENCRYPTION_KEY or ENCRYPTION_KEY_FILE to its key")
        return
    if plain:
        raise EncryptionError(
            f"ENCRYPTION_KEY is set, but {plain} memories are not encrypted: run `mneme encryption on` (or `off`)"
        )
    if pin is None:
        async with database.writing() as connection:
            await insert_missing(connection, access_secrets, {"name": PIN, "value": ring.pin()})
            pin = await pin_of(connection)
    _must_hold(ring, pin, wrapped_by)


async def turn_on(database: Database, tell: Tell) -> None:
    """Encrypts every memory that is not.

    Raises:
        EncryptionError: another key's memories are here.
        DamagedRow: a memory cannot be read.
    """
    ring = _ring(database)
    async with database.writing() as connection:
        wrapped_by = await _wrapped_by(connection)
        await insert_missing(connection, access_secrets, {"name": PIN, "value": ring.pin()})
        _must_hold(ring, await pin_of(connection), wrapped_by)
    await _each(database, sa.select(memories.c.id).where(_PLAIN), _seal, tell, "encrypted")


async def turn_off(database: Database, tell: Tell) -> None:
    """Decrypts every memory that is encrypted, and destroys their keys.

    Raises:
        EncryptionError: they are another key's.
        DamagedRow: a memory cannot be read.
    """
    ring = _ring(database)
    async with database.reading() as connection:
        pin = await pin_of(connection)
        if pin is not None:
            _must_hold(ring, pin, set())
    await _each(database, sa.select(memory_keys.c.memory_id), _open, tell, "decrypted")
    async with database.writing() as connection:
        if await connection.scalar(sa.select(sa.exists().select_from(memory_keys))):
            raise EncryptionError("a memory was begun meanwhile: stop the servers, and run it again")
        await connection.execute(access_secrets.delete().where(access_secrets.c.name == PIN))


async def rotate(database: Database, tell: Tell) -> None:
    """Wraps every memory's key by the first of the operator's keys; what is sealed under them stays as it is.

    Raises:
        EncryptionError: one is wrapped by a key that is not here.
    """
    ring, done = _ring(database), 0
    async with database.reading() as connection:
        wrapped_by = await _wrapped_by(connection)
        _must_hold(ring, await pin_of(connection), wrapped_by)
    while some := await _patiently(database, lambda connection: _rewrap(connection, ring)):
        done += some
        tell(f"{done} keys of memories are wrapped by the first key")
    async with database.writing() as connection:
        await upsert(connection, access_secrets, [{"name": PIN, "value": ring.pin()}])
    await database.scrub()
    tell(f"all keys of memories are wrapped by the first key, {done} of them now: the others are needed no more")


async def _rewrap(connection: AsyncConnection, ring: KeyRing) -> int:
    others = sa.select(memory_keys).where(memory_keys.c.wrapped_by != ring.first).limit(_KEYS_AT_ONCE)
    rows = (await connection.execute(others)).all()
    for row in rows:
        new = ring.wrap(row.memory_id, ring.unwrap(row.memory_id, row.wrapped, row.wrapped_by))
        here = (memory_keys.c.memory_id == row.memory_id, memory_keys.c.wrapped_by == row.wrapped_by)
        await connection.execute(memory_keys.update().where(*here).values(new))
    return len(rows)


async def _seal(connection: AsyncConnection, memory_id: str) -> None:
    cipher, key = vault_of(connection).fresh(memory_id)
    await connection.execute(memory_keys.insert(), key)
    await _rewrite(connection, memory_id, lambda table, row: cipher.seal(table, row))


async def _open(connection: AsyncConnection, memory_id: str) -> None:
    cipher = await cipher_of(connection, memory_id)
    assert cipher is not None

    def plain(table: sa.Table, row: Row) -> Row:
        assert isinstance(cipher, RowCipher)
        return {**cipher.open(table, row), "sealed": None}

    try:
        await _rewrite(connection, memory_id, plain)
    except ValueError:
        raise DamagedRow(f"the memory {memory_id} cannot be read: run `mneme replay`, or restore a backup") from None
    await connection.execute(memory_keys.delete().where(memory_keys.c.memory_id == memory_id))


async def _rewrite(connection: AsyncConnection, memory_id: str, change: Change) -> None:
    """Puts another row in the place of every row of a memory, some at a time; the version moves on."""
    for table in SEALED:
        keys = list(table.primary_key)
        mine = memories.c.id == memory_id if table is memories else table.c.memory_id == memory_id
        here = [key == sa.bindparam(f"old_{key.name}") for key in keys]
        async for rows in _slices(connection, table, mine):
            changed = [
                {f"old_{key.name}": row[key.name] for key in keys}
                | (_moved_on(row, change) if table is memories else change(table, row))
                for row in rows
            ]
            values: Row = {name: sa.bindparam(name) for name in changed[0] if not name.startswith("old_")}
            await connection.execute(table.update().where(*here).values(values), changed)


async def _slices(
    connection: AsyncConnection, table: sa.Table, mine: sa.ColumnElement[bool]
) -> AsyncIterator[list[Row]]:
    """The rows of a memory in a table, some at a time where they are numbered."""
    number, windows = list(table.primary_key)[1 if table is reads else -1], list[sa.ColumnElement[bool]]([sa.true()])
    if isinstance(number.type, sa.Integer):
        last = await connection.scalar(sa.select(sa.func.max(number)).where(mine)) or 0
        starts = range(0, last + 1, _ROWS_AT_ONCE)
        windows = [sa.and_(number >= start, number < start + _ROWS_AT_ONCE) for start in starts]
    for window in windows:
        found = (await connection.execute(sa.select(table).where(mine, window))).mappings()
        if rows := [dict(row) for row in found]:
            yield rows


def _moved_on(row: Row, change: Change) -> Row:
    """The next version of a memory's row; its checksum is of the row before it is sealed."""
    was_sealed = row["sealed"] is not None
    plain = change(memories, row) if was_sealed else row
    plain["version"] += 1
    if plain["checksum"] is not None:
        plain["checksum"] = memory_checksum(plain)
    return plain if was_sealed else change(memories, plain)


async def _each(
    database: Database,
    which: sa.Select[tuple[str]],
    change: Callable[[AsyncConnection, str], Awaitable[None]],
    tell: Tell,
    done: str,
) -> None:
    """Changes memory after memory, those too that come meanwhile, until there is none left."""
    count = 0
    while True:
        async with database.reading() as connection:
            found = await connection.scalar(which.limit(1))
        if found is None:
            break

        async def once(connection: AsyncConnection, memory_id: str = str(found)) -> int:
            if await connection.scalar(sa.select(which.where(which.selected_columns[0] == memory_id).exists())):
                await change(connection, memory_id)
            return 1

        count += await _patiently(database, once)
        tell(f"{count} memories {done}")
    await database.scrub()


async def _patiently(database: Database, once: Callable[[AsyncConnection], Awaitable[int]]) -> int:
    for attempt in range(_TRIES):
        try:
            async with database.writing() as connection:
                return await once(connection)
        except Conflict:  # the user went on talking; take the memory as it is now
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


async def _wrapped_by(connection: AsyncConnection) -> set[str]:
    return set((await connection.scalars(sa.select(memory_keys.c.wrapped_by).distinct())).all())


async def _count_plain(connection: AsyncConnection) -> int:
    return await connection.scalar(sa.select(sa.func.count()).select_from(memories).where(_PLAIN)) or 0


def _ring(database: Database) -> KeyRing:
    if database.vault.ring is None:
        raise EncryptionError("set ENCRYPTION_KEY or ENCRYPTION_KEY_FILE: `mneme encryption key` makes a key")
    return database.vault.ring


def _must_hold(ring: KeyRing, pin: bytes | None, wrapped_by: set[str]) -> None:
    if (pin is not None and not ring.holds(pin)) or not all(one in ring for one in wrapped_by):
        raise EncryptionError(
            "ENCRYPTION_KEY is not the key of this database, or not all of its keys: name every key that it was"
            " encrypted under, with commas, until `mneme encryption rotate` has ended"
        )
