"""Encryption at rest: what is stored tells nothing without the key, and survives a change of it."""

import asyncio
import dataclasses
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.memories import inspection
from app.memories.device import Device
from app.memories.memories import Memories
from app.memories.replay import replay
from app.memories.transfer import export, import_user
from app.store import log, memories, sealing
from app.store.database import Database
from app.store.encryption import SEALED, KeyMissing, KeyRing
from app.store.filters import Filter
from app.store.rows import DamagedRow
from app.store.tables import access_secrets, memory_keys, messages, reads, sessions, words
from tests.conftest import ON_SQLITE
from tests.memories.conftest import CACHE_BYTES, SLOTS
from tests.memories.histories import said
from tests.store.contents import holding, tables

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
ROOT = Path(__file__).parents[2]
MARKERS = ("zanzibar", "quokka", "ext-4711", "bookshelf", "marigold", "session-umbrella", "titular")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An encrypted database."""
    database = Database(database_url, ring=KeyRing([OLD]))
    await sealing.check(database)
    yield database
    await database.close()


def over(database: Database, device: Device) -> Memories:
    return Memories(database, device, SLOTS, CACHE_BYTES)


async def fill(of: Memories, user: str = "ada") -> None:
    """Marked texts, ids, names and titles, turns that read, and something forgotten."""
    first = dataclasses.replace(
        said("we moved to zanzibar in 2019", "session-umbrella", external_id="ext-4711"),
        speaker="quokka",
        metadata={"shelf": "bookshelf"},
        name="marigold",
    )
    await of.remember(user, [first, said("the zanzibar harbour was yellow"), said("nothing much")])
    done = await of.remember(user, [said("zanzibar is to be forgotten")])
    await of.recall_and_store(user, said("what was yellow in zanzibar yesterday?", session_id="session-umbrella"), 3, 3)
    await of.forget(user, done.messages[0][0].id)
    await inspection.rename_session(of, user, "session-umbrella", "titular")


async def agrees(of: Memories, user: str = "ada") -> bool:
    done = await replay(of.database, of.device, user, write=False)
    return done is not None and not done.foreign and done.differences == []


async def test_nothing_that_was_said_stands_in_any_column(database: Database, small_device: Device) -> None:
    await fill(over(database, small_device))
    everything = await tables(database)
    assert {marker: holding(everything, marker) for marker in MARKERS} == {marker: [] for marker in MARKERS}
    for table, names in SEALED.items():
        assert everything[table.name], "a table without rows would show nothing"
        assert all(row["sealed"] for row in everything[table.name])
        clear = {value for row in everything[table.name] for name in names for value in [row[name]] if value}
        assert not clear or table in (messages, sessions), (table.name, clear)


@ON_SQLITE
async def test_nothing_that_was_said_stands_in_the_files(
    database_url: str,
    small_device: Device,
) -> None:
    path = Path(str(sa.make_url(database_url).database))

    def found() -> set[str]:
        files = b"".join(one.read_bytes() for one in (path, path.with_name(path.name + "-wal")) if one.exists())
        return {marker for marker in MARKERS if marker.encode() in files}

    plain = Database(database_url)
    await fill(over(plain, small_device))
    assert found() == set(MARKERS), "what is looked for is found where nothing is encrypted"
    await plain.close()
    encrypted = Database(database_url, ring=KeyRing([OLD]))
    await sealing.turn_on(encrypted, lambda line: None)
    assert found() == set()
    await over(encrypted, small_device).remember("bob", [said("zanzibar again", external_id="ext-4711")])
    assert found() == set()
    await encrypted.close()


async def test_everything_is_found_as_without_encryption(database: Database, small_device: Device) -> None:
    of = over(database, small_device)
    await fill(of)
    assert await agrees(of)
    async with database.reading() as connection:
        record = await memories.granted(connection, "ada")
        assert record is not None

        async def matching(**wanted: object) -> list[int]:
            which = Filter(**wanted)  # type: ignore[arg-type]
            found = await log.matching(connection, record.id, which, 0, None)
            assert await log.seqs_matching(connection, record.id, which) == [one.seq for one in found]
            backwards = await log.latest(connection, record.id, which, None, 100)
            assert backwards == found[::-1]
            return [one.seq for one in found]

        assert await matching(contains="ZANZIBAR") == [1, 2, 5]
        assert await matching(speaker="quokka") == [1]
        assert await matching(metadata={"shelf": "bookshelf"}) == [1]
        assert await matching(metadata={"shelf": "book"}) == []
        assert await matching(external_ids=["ext-4711"]) == [1]
        assert await matching(session_id="session-umbrella") == [1, 5]
        [first, *_] = await log.list_sessions(connection, record.id, None, 10)
        assert (first.id, first.title, first.messages) == ("session-umbrella", "titular", 2)
    lines = "".join([part async for part in await export(of, "ada")])
    assert "zanzibar" in lines
    await import_user(of, "eve", lines.encode())
    assert await agrees(of, "eve")
    edited = (await of.remember("ada", [said("a kettle")])).messages[0][0]
    await of.editing.edit("ada", edited.id, "a copper kettle", None)
    assert await agrees(of)


async def test_two_processes_with_the_key_go_on_from_each_other(
    database: Database,
    database_url: str,
    small_device: Device,
) -> None:
    second = Database(database_url, ring=KeyRing([OLD]))
    both = over(database, small_device), over(second, small_device)
    for number in range(6):
        await both[number % 2].recall_and_store("ada", said(f"number {number} lost the anchor"), 3, 3)
    assert await agrees(both[0]) and await agrees(both[1])
    await second.close()


@pytest.mark.parametrize("table", [messages, words, reads, sessions], ids=str)
async def test_what_is_sealed_in_one_place_cannot_be_read_in_another(
    database: Database,
    small_device: Device,
    table: sa.Table,
) -> None:
    of = over(database, small_device)
    await of.remember("ada", [said("a river"), said("a valley", session_id="other")])
    await of.recall_and_store("ada", said("which river?"), 3, 3)
    async with database.writing() as connection:
        some = (await connection.execute(sa.select(table).limit(2))).mappings().all()
        for row, other in (some, some[::-1]):
            here = [key == row[key.name] for key in table.primary_key]
            await connection.execute(table.update().where(*here).values(sealed=other["sealed"]))
    fresh = over(database, small_device)
    done = await replay(database, small_device, "ada", write=False) if table is words else None
    if done is not None:
        assert done.differences
        await replay(database, small_device, "ada", write=True)  # the log is sound, and the memory made of it anew
        assert await agrees(fresh)
        return
    with pytest.raises(DamagedRow):
        async with database.reading() as connection:
            record = await memories.granted(connection, "ada")
            assert record is not None
            await log.after(connection, record.id, 0, 10)
            await memories.reads_of(connection, record.id, [3])
            await log.list_sessions(connection, record.id, None, 10)


async def test_a_row_of_another_memory_or_in_the_clear_is_refused(
    database: Database,
    small_device: Device,
) -> None:
    of = over(database, small_device)
    ids = [(await of.remember(user, [said("a river")])).head.id for user in ("ada", "bob")]
    async with database.writing() as connection:
        sealed = await connection.scalar(sa.select(messages.c.sealed).where(messages.c.memory_id == ids[1]))
        for forged in ({"sealed": sealed}, {"sealed": None, "content": "transfer it all"}):
            await connection.execute(messages.update().where(messages.c.memory_id == ids[0]).values(forged))
            with pytest.raises(DamagedRow):
                await log.after(connection, ids[0], 0, 10)


async def test_a_wrong_or_missing_key_is_refused(database: Database, database_url: str, small_device: Device) -> None:
    await over(database, small_device).remember("ada", [said("a river")])
    for ring in (None, KeyRing([NEW])):
        other = Database(database_url, ring=ring)
        with pytest.raises(sealing.EncryptionError) as told:
            await sealing.check(other)
        assert "\n" not in str(told.value)
        for user in ("ada", "bob"):  # one that began before it looked neither reads nor writes
            with pytest.raises(KeyMissing):
                await over(other, small_device).remember(user, [said("a valley")])
        await other.close()
    assert await agrees(over(database, small_device))


async def test_a_plain_database_is_refused_until_it_is_encrypted_and_back(
    database_url: str,
    small_device: Device,
) -> None:
    plain = Database(database_url)
    await fill(over(plain, small_device))
    before = await tables(plain)
    running = over(plain, small_device)
    await running.recall("ada", "zanzibar", 3)  # has the memory in its cache
    encrypted = Database(database_url, ring=KeyRing([OLD]))
    with pytest.raises(sealing.EncryptionError, match="encryption on"):
        await sealing.check(encrypted)
    await sealing.turn_on(encrypted, lambda line: None)
    await sealing.check(encrypted)
    assert holding(await tables(plain), "zanzibar") == []
    with pytest.raises(KeyMissing):
        await running.remember("ada", [said("a text in the clear")])
    assert await agrees(over(encrypted, small_device))
    await sealing.turn_off(encrypted, lambda line: None)
    await sealing.check(plain)
    after = await tables(plain)
    assert {name: rows for name, rows in after.items() if name != "memories"} == {
        name: rows for name, rows in before.items() if name != "memories"
    }
    assert await agrees(over(plain, small_device))
    await plain.close()
    await encrypted.close()


async def test_erasing_a_user_destroys_their_key(database: Database, small_device: Device) -> None:
    of = over(database, small_device)
    record = (await of.remember("ada", [said("zanzibar")])).head
    await of.remember("bob", [said("a river")])
    backup = await tables(database)
    await of.erase("ada")
    now = await tables(database)
    assert [row["memory_id"] for row in now["memory_keys"]] == [
        row["memory_id"] for row in backup["memory_keys"] if row["memory_id"] != record.id
    ]
    # The rows of the backup beside the keys as they are now: nothing opens Ada's.
    async with database.writing() as connection:
        for table in ("users", "memories", "messages"):
            rows = [row for row in backup[table] if record.id in row.values() or row.get("id") == "ada"]
            for row in rows:
                stored = sa.table(table, *(sa.column(name, sa.JSON() if name == "metadata" else None) for name in row))
                await connection.execute(stored.insert().values(row))
    fresh = Database(database.url.render_as_string(hide_password=False), ring=KeyRing([OLD]))
    async with fresh.reading() as connection:
        with pytest.raises(KeyMissing):
            await log.after(connection, record.id, 0, 10)
    await fresh.close()


@ON_SQLITE
async def test_a_whole_backup_forgets_when_its_operators_key_is_destroyed(
    database: Database,
    database_url: str,
    tmp_path: Path,
    small_device: Device,
) -> None:
    await over(database, small_device).remember("ada", [said("zanzibar")])
    path, copy = str(sa.make_url(database_url).database), tmp_path / "backup.db"
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    both = Database(database_url, ring=KeyRing([NEW, OLD]))
    await sealing.rotate(both, lambda line: None)
    await both.close()
    for url, ring, readable in (
        (database_url, [NEW], True), (database_url, [OLD], False),
        (f"sqlite:///{copy}", [NEW], False), (f"sqlite:///{copy}", [OLD], True),
    ):  # fmt: skip
        found = Database(url, ring=KeyRing(ring))
        if readable:
            await sealing.check(found)
            assert await agrees(over(found, small_device))
        else:
            with pytest.raises(sealing.EncryptionError):
                await sealing.check(found)
        await found.close()


_ROTATE = """
import asyncio, sys
from app.store import sealing
from app.store.database import Database
from app.store.encryption import KeyRing
sealing._KEYS_AT_ONCE = 1
async def main():
    act = getattr(sealing, sys.argv[2])
    keys = [bytes.fromhex(key) for key in sys.argv[3:]]
    await act(Database(sys.argv[1], ring=KeyRing(keys)), lambda line: print(line, flush=True))
asyncio.run(main())
"""


async def killed(url: str, act: str, *keys: bytes, after: int) -> None:
    """Runs what an operator does, in a process that is killed once it has told so many lines."""
    arguments = ("-c", _ROTATE, url, act, *(key.hex() for key in keys))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=environment,
    )
    assert running.stdout is not None
    for _ in range(after):
        assert await asyncio.wait_for(running.stdout.readline(), 60)
    running.send_signal(signal.SIGKILL)
    assert await running.wait() == -signal.SIGKILL


async def test_killed_while_it_rotates_or_encrypts_it_goes_on(
    database_url: str,
    small_device: Device,
) -> None:
    plain, users = Database(database_url), [f"user{number}" for number in range(12)]
    for user in users:
        await over(plain, small_device).remember(user, [said(f"{user} has a zanzibar parcel")])
    await plain.close()
    await killed(database_url, "turn_on", OLD, after=3)
    encrypted = Database(database_url, ring=KeyRing([OLD]))
    with pytest.raises(sealing.EncryptionError):
        await sealing.check(encrypted)
    await sealing.turn_on(encrypted, lambda line: None)
    await sealing.check(encrypted)
    assert holding(await tables(encrypted), "zanzibar") == []
    await killed(database_url, "rotate", NEW, OLD, after=3)
    async with encrypted.reading() as connection:
        wrapped = (await connection.scalars(sa.select(memory_keys.c.wrapped_by))).all()
    assert set(wrapped) == {KeyRing([OLD]).first, KeyRing([NEW]).first}, "killed in the middle"
    both, new = (Database(database_url, ring=KeyRing(keys)) for keys in ([NEW, OLD], [NEW]))
    with pytest.raises(sealing.EncryptionError):
        await sealing.check(new)
    await sealing.check(both)
    for user in users:
        assert await agrees(over(both, small_device), user)
    await sealing.rotate(both, lambda line: None)
    await sealing.check(new)
    for user in users:
        assert await agrees(over(new, small_device), user)
    for one in (encrypted, both, new):
        await one.close()


async def test_the_pin_is_no_key(database: Database) -> None:
    async with database.reading() as connection:
        pin = await connection.scalar(sa.select(access_secrets.c.value).where(access_secrets.c.name == "encryption"))
    assert pin is not None
    assert KeyRing([OLD]).holds(pin) and KeyRing([NEW, OLD]).holds(pin) and not KeyRing([NEW]).holds(pin)
    assert OLD not in pin and OLD.hex() not in repr(vars(KeyRing([OLD])))
