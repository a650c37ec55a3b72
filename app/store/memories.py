"""Stored memories: a row for the memory, two a slot, and the traces of what turns read.

`granted` is where a user becomes a memory: all other queries on what a memory holds take the id that its record has.
"""

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.database import Conflict, Row, in_slices, upsert
from app.store.encryption import RowCipher, begun, cipher_of, opened, vault_of
from app.store.rows import CHECKED, DamagedRow, checked, memory_checksum, readable, slot_checksum, word_checksum
from app.store.tables import OWN, memories, memory_keys, memory_members, messages, reads, slots, users, words

_AT_ONCE = 500
_WORD = ("word", "token_ids", "speaker_tokens", "sentence", "meaning")


@dataclasses.dataclass(frozen=True)
class MemoryRecord:
    """The row of a memory. One that is erased and begun anew has another id; each commit raises the version.

    Attributes:
        held: rows of the state that hold something; None where an earlier version stored it.
    """

    id: str
    version: int
    fingerprint: str
    capacity: int
    rows: int
    last_seq: int
    precedence: bytes
    last_read: bytes
    held: int | None = None
    __pydantic_config__: ClassVar = CHECKED


# Put together once: every call on a memory begins with the one, and every commit with the other.
_GRANTED = (
    sa.select(
        *(memories.c[field.name] for field in dataclasses.fields(MemoryRecord)),
        memories.c.checksum,
        memories.c.sealed,
        memory_keys.c.wrapped,
        memory_keys.c.wrapped_by,
    )
    .join(memory_members, memory_members.c.memory_id == memories.c.id)
    .outerjoin(memory_keys, memory_keys.c.memory_id == memories.c.id)
    .where(
        memory_members.c.user_id == sa.bindparam("member"),
        memories.c.owner_id == sa.bindparam("member"),
        memories.c.name == OWN,
    )
)
# Of a user without a memory nothing is left.
_REMAINS = sa.select(
    sa.or_(
        sa.exists().where(users.c.id == sa.bindparam("member")),
        sa.exists().where(memories.c.owner_id == sa.bindparam("member"), memories.c.name == OWN),
        sa.exists().where(memory_members.c.user_id == sa.bindparam("member")),
    )
)
_ADVANCE = memories.update().where(  # sets what it is given of the record
    memories.c.id == sa.bindparam("same"), memories.c.version == sa.bindparam("expected")
)


@dataclasses.dataclass(frozen=True)
class ReadTrace:
    """One slot's share in what a turn read; `source` is the number of the message that the slot held.

    `standing` is the part of the weight that it has because it holds until revoked, whatever the cue.
    """

    seq: int
    slot: int
    source: int
    weight: float
    content: float
    forward: float
    backward: float
    standing: float = 0.0
    __pydantic_config__: ClassVar = CHECKED

    @property
    def by_cue(self) -> float:
        """The part of the weight that the cue gave it."""
        return self.weight - self.standing if self.standing else self.weight


async def granted(connection: AsyncConnection, user_id: str, mending: bool = False) -> MemoryRecord | None:
    """The user's own memory, without its slots, if they have one and are a member of it.

    Args:
        mending: whether a row whose checksum is wrong is taken as it stands, to be made anew.

    Raises:
        DamagedRow: it cannot be read, or a part of what belongs to it is missing.
    """
    with readable("the memory's row"):
        row = (await connection.execute(_GRANTED, {"member": user_id})).one_or_none()
        if row is not None:
            fields = _opened_record(connection, dict(row._mapping), mending)
            checksum = fields.pop("checksum")
            record = checked(MemoryRecord, **(_mendable(fields) if mending else fields))
            sound = mending or checksum is None or checksum == memory_checksum(fields)
    if row is None:
        if await connection.scalar(_REMAINS, {"member": user_id}):
            raise DamagedRow("the user's memory is not complete: restore a backup, see docs/operations.md")
        return None
    if not sound:
        raise DamagedRow("the memory's row is damaged: run `mneme replay`")
    return record


async def count(connection: AsyncConnection, fingerprint: str) -> tuple[int, int]:
    """How many memories there are, and how many were written under another fingerprint; tells of no user."""
    other = sa.func.count(sa.case((memories.c.fingerprint != fingerprint, 1)))
    every, differing = (await connection.execute(sa.select(sa.func.count(), other).select_from(memories))).one()
    return every, differing


async def begin(connection: AsyncConnection, user_id: str, new: MemoryRecord) -> None:
    """Makes a user's own memory, at version 0, of which they are the owner.

    Raises:
        Conflict: they have one.
    """
    cipher, key = await begun(connection, new.id)
    row = {**_stored(dataclasses.replace(new, version=0), cipher), "owner_id": user_id, "name": OWN}
    await connection.execute(memories.insert(), row)
    if key is not None:
        await connection.execute(memory_keys.insert(), key)
    await connection.execute(memory_members.insert(), {"memory_id": new.id, "user_id": user_id, "role": "owner"})


async def advance(connection: AsyncConnection, expected: int, new: MemoryRecord) -> None:
    """Moves the memory from version `expected` to `new`.

    Raises:
        Conflict: it is not, or no longer, at that version.
    """
    values = _stored(new, await cipher_of(connection, new.id))
    moved = await connection.execute(_ADVANCE, {"expected": expected, "same": values.pop("id"), **values})
    if moved.rowcount != 1:
        raise Conflict(f"the memory {new.id} moved on from version {expected}")


def _opened_record(connection: AsyncConnection, fields: Row, mending: bool) -> Row:
    """A memory's row as it was before it was sealed; the key came along with it."""
    wrapped, wrapped_by = fields.pop("wrapped"), fields.pop("wrapped_by")
    cipher = vault_of(connection).cipher(fields["id"], wrapped, wrapped_by)
    if cipher is not None:
        try:
            fields = cipher.open(memories, fields)
        except ValueError:
            if not mending:
                raise DamagedRow("the memory's row is damaged: run `mneme replay`") from None
    del fields["sealed"]
    return fields


def _mendable(fields: Row) -> Row:
    """A record without those of its values that are of another type and can be made anew from the log."""
    made = {"capacity": 0, "rows": 0, "last_seq": 0, "precedence": b"", "last_read": b"", "fingerprint": "", "held": 0}
    return fields | {name: none for name, none in made.items() if type(fields[name]) is not type(none)}


def _stored(record: MemoryRecord, cipher: RowCipher | None) -> Row:
    row = dataclasses.asdict(record)
    row["checksum"] = None if record.held is None else memory_checksum(row)
    return cipher.seal(memories, row) if cipher else row


async def slot_rows(connection: AsyncConnection, memory_id: str) -> list[Row]:
    """All used slots with their words, in order; `word_checksum` is that of the words.

    Raises:
        DamagedRow: what is encrypted cannot be read.
    """
    chosen = (
        sa.select(
            slots,
            *(words.c[name] for name in _WORD),
            words.c.checksum.label("word_checksum"),
            words.c.sealed.label("word_sealed"),
        )
        .join(words, sa.and_(words.c.memory_id == slots.c.memory_id, words.c.slot == slots.c.slot))
        .where(slots.c.memory_id == memory_id, words.c.memory_id == memory_id)
        .order_by(slots.c.slot)
    )
    found = (await connection.execute(chosen)).mappings().all()
    try:
        rows: list[Row] = []
        for start in range(0, len(found), _AT_ONCE):  # others are served between the slices
            some = await opened(connection, memory_id, slots, found[start : start + _AT_ONCE])
            held = await opened(connection, memory_id, words, map(_word, some))
            rows += [
                {**row, **word, "checksum": row["checksum"], "word_checksum": word["checksum"]}
                for row, word in zip(some, held, strict=True)
            ]
            await asyncio.sleep(0)
    except ValueError:
        raise DamagedRow("the stored memory cannot be read: run `mneme replay`") from None
    return rows


def _word(row: Row) -> Row:
    return {
        **{name: row[name] for name in ("slot", *_WORD)},
        "checksum": row["word_checksum"],
        "sealed": row["word_sealed"],
    }


async def span(connection: AsyncConnection, memory_id: str) -> tuple[datetime | None, datetime | None]:
    """When the first and the last of the messages that the memory holds were said."""
    held = sa.and_(slots.c.memory_id == messages.c.memory_id, slots.c.source == messages.c.seq)
    chosen = (
        sa.select(sa.func.min(messages.c.occurred_at), sa.func.max(messages.c.occurred_at))
        .join(slots, held)
        .where(messages.c.memory_id == memory_id, slots.c.memory_id == memory_id)
    )
    with readable("the time of a message"):
        first, last = (await connection.execute(chosen)).one()
        return first, last


async def put_slots(
    connection: AsyncConnection, memory_id: str, changed: Sequence[Row], written: Sequence[Row], freed: Sequence[int]
) -> None:
    """Writes the counters and links of changed slots, the words of written ones, and nothing for those now free."""
    cipher = await cipher_of(connection, memory_id)

    def stored(table: sa.Table, row: Row, checksum: int) -> Row:
        whole = {"memory_id": memory_id, **row, "checksum": checksum}
        return cipher.seal(table, whole) if cipher else whole

    for table, rows, checksum in ((slots, changed, slot_checksum), (words, written, word_checksum)):
        for start in range(0, len(rows), _AT_ONCE):  # others are served between the slices
            some = rows[start : start + _AT_ONCE]
            await upsert(connection, table, [stored(table, row, checksum(memory_id, row)) for row in some])
    for table in (slots, words) if freed else ():
        for start in range(0, len(freed), _AT_ONCE):
            here = table.c.slot.in_(freed[start : start + _AT_ONCE])
            await connection.execute(table.delete().where(table.c.memory_id == memory_id, here))


async def clear_slots(connection: AsyncConnection, memory_id: str) -> None:
    """Deletes the memory's slots, for a replay that makes them anew in the same transaction."""
    for table in (slots, words):
        await connection.execute(table.delete().where(table.c.memory_id == memory_id))


async def clear_reads(connection: AsyncConnection, memory_id: str) -> None:
    """Deletes the memory's traces, for a replay that makes them anew in the same transaction."""
    await connection.execute(reads.delete().where(reads.c.memory_id == memory_id))


async def add_reads(connection: AsyncConnection, memory_id: str, read: Sequence[ReadTrace]) -> None:
    """Keeps the trace of a turn."""
    cipher = await cipher_of(connection, memory_id)

    def stored(one: ReadTrace) -> Row:
        return {"memory_id": memory_id, **(cipher.seal(reads, vars(one)) if cipher else vars(one))}

    await in_slices(connection, reads.insert(), read, stored)


async def reads_of(connection: AsyncConnection, memory_id: str, seqs: Sequence[int]) -> dict[int, list[ReadTrace]]:
    """What the turns of those messages read, the strongest first."""
    found: dict[int, list[ReadTrace]] = {seq: [] for seq in seqs}
    for start in range(0, len(seqs), _AT_ONCE):
        for read in await _reads(connection, memory_id, reads.c.seq.in_(seqs[start : start + _AT_ONCE])):
            found[read.seq].append(read)
    return found


async def reads_from(connection: AsyncConnection, memory_id: str, source: int) -> list[ReadTrace]:
    """Every reading that found a message, in the order of the turns."""
    return await _reads(connection, memory_id, reads.c.source == source)


async def remove_reads(connection: AsyncConnection, memory_id: str, seq: int) -> None:
    """Deletes the trace of a message's turn, and the message from the traces of others."""
    gone = sa.or_(reads.c.seq == seq, reads.c.source == seq)
    await connection.execute(reads.delete().where(reads.c.memory_id == memory_id, gone))


async def _reads(connection: AsyncConnection, memory_id: str, where: sa.ColumnElement[bool]) -> list[ReadTrace]:
    columns = [*(reads.c[field.name] for field in dataclasses.fields(ReadTrace)), reads.c.sealed]
    chosen = sa.select(*columns).where(reads.c.memory_id == memory_id, where)
    with readable("a trace"):
        found = (await connection.execute(chosen)).mappings()
        traces = [checked(ReadTrace, **row) for row in await opened(connection, memory_id, reads, found)]
    return sorted(traces, key=lambda one: (one.seq, -one.weight, one.slot))
