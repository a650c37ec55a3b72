"""Taking a user along as JSON lines, and bringing one back: the log is taken, the memory is made from it anew."""

import asyncio
import dataclasses
import json
import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.memories.commit import Change, commit
from app.memories.live import NotFound
from app.memories.memories import Memories
from app.memories.replay import Fold
from app.memories.validation import MESSAGE_ID, External, Identifier, Moment, Name, Role, Text
from app.store import log, memories
from app.store.database import Conflict
from app.store.log import Message
from app.store.memories import MemoryRecord, ReadTrace

Kind = TypeVar("Kind", bound=BaseModel)
_FORMAT = 1
_MESSAGES_AT_ONCE = 500
_EXPORTED_AT_ONCE = 32  # so many are read and written down without keeping others waiting


class BadImport(Exception):
    """Lines that `export` did not write; `pointer` names the line and the field."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer = pointer


class UserExists(Exception):
    """A user is brought back only where none of that name is."""


@dataclasses.dataclass(frozen=True)
class Imported:
    """A user brought back."""

    messages: int
    head: MemoryRecord
    slots_used: int


class _Heading(BaseModel):
    model_config = ConfigDict(extra="ignore")
    kind: Literal["mneme-export"]
    format: Literal[1]


class _Exported(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Read(_Exported):
    message_id: str = Field(pattern=MESSAGE_ID)
    weight: float
    standing: float = 0.0


class _Line(_Exported):
    id: str = Field(pattern=MESSAGE_ID)
    external_id: External | None
    session_id: Identifier
    role: Role
    speaker: Name | None
    content: Text
    occurred_at: Moment
    status: Literal["complete", "interrupted"]
    confidence: float | None
    name: Name | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    parsed: dict[str, Any] | None = None
    read: list[_Read]


async def export(of: Memories, user_id: str) -> AsyncIterator[str]:
    """The user's messages in order, one JSON object a line, after a heading; each with what its turn read.

    Raises:
        NotFound: no such user (before the first line).
    """
    async with of.database.reading() as connection:
        head = await memories.granted(connection, user_id)
    if head is None:
        raise NotFound(f"no user {user_id}")

    async def lines() -> AsyncIterator[str]:
        heading = {"kind": "mneme-export", "format": _FORMAT, "user_id": user_id, "fingerprint": head.fingerprint}
        yield json.dumps({**heading, "exported_at": datetime.now(UTC).isoformat()}) + "\n"
        seq, more = 0, True
        while more:
            async with of.database.reading() as connection:
                said = await log.after(connection, head.id, seq, _EXPORTED_AT_ONCE)
                read = await memories.reads_of(connection, head.id, [message.seq for message in said])
                found = await log.by_seqs(connection, head.id, {one.source for reads in read.values() for one in reads})
            yield "".join(_exported(message, read[message.seq], found) for message in said)
            more = len(said) == _EXPORTED_AT_ONCE
            seq = said[-1].seq if said else seq

    return lines()


async def import_user(of: Memories, user_id: str, body: bytes) -> Imported:
    """Makes a user of exported lines: all of them or none.

    Raises:
        BadImport: a line that is not of an export.
        UserExists: there is a user of that name.
    """
    said, found = await asyncio.to_thread(_parse, body)
    async with of.database.reading() as connection:
        if await memories.granted(connection, user_id) is not None:
            raise _exists(user_id)
    by_seq = {message.seq: message for message in said}

    async def lookup(seqs: Collection[int]) -> Mapping[int, Message]:
        return {seq: by_seq[seq] for seq in seqs if seq in by_seq}

    fold = Fold(of.device, await of.device.run(of.core.empty, of.slots), [], lookup, of.standing)
    for start in range(0, len(said), _MESSAGES_AT_ONCE):
        await fold.take(said[start : start + _MESSAGES_AT_ONCE], found)
    begun = MemoryRecord(uuid.uuid4().hex, 0, of.device.fingerprint, of.slots, 0, 0, b"", b"")
    change = dataclasses.replace(
        await of.device.run(Change.whole, begun, fold.state, len(said)),
        said=[fold.as_read(message) for message in said],
        reads=fold.reads,
    )
    try:
        await commit(of.database, user_id, change)
    except Conflict:  # begun while we computed
        raise _exists(user_id) from None
    return Imported(len(said), change.record, fold.state.slots_used)


def _exists(user_id: str) -> UserExists:
    return UserExists(f"user {user_id} exists: erase it first, or import under another name")


def _exported(message: Message, read: Sequence[ReadTrace], found: Mapping[int, Message]) -> str:
    trace = [_exported_read(one, found[one.source].id) for one in read if one.source in found]
    return json.dumps({**_plain(message), "read": trace}, ensure_ascii=False) + "\n"


def _exported_read(read: ReadTrace, message_id: str) -> dict[str, Any]:
    standing = {"standing": read.standing} if read.standing else {}
    return {"message_id": message_id, "weight": read.weight, **standing}


def _plain(message: Message) -> dict[str, Any]:
    plain = {**dataclasses.asdict(message), "occurred_at": message.occurred_at.isoformat()}
    del plain["seq"]
    return plain


def _parse(body: bytes) -> tuple[list[Message], dict[int, int]]:
    """The messages, and how many messages each turn's cue had found."""
    try:
        lines = [line for line in body.decode().split("\n") if line.strip()]
    except UnicodeDecodeError as error:
        raise BadImport("#", f"not UTF-8 at byte {error.start}") from None
    if not lines:
        raise BadImport("#/0", "empty: the first line must be the heading of an export")
    _line(_Heading, lines[0], 0)
    said, found, ids, external = [], {}, set[str](), set[str]()
    for seq, text in enumerate(lines[1:], 1):
        line = _line(_Line, text, seq)
        for name, value, known in (("id", line.id, ids), ("external_id", line.external_id, external)):
            if value in known:
                raise BadImport(f"#/{seq}/{name}", "the same message stands twice")
        ids.add(line.id)
        if line.external_id is not None:
            external.add(line.external_id)
        said.append(Message(seq=seq, **line.model_dump(exclude={"read"})))
        found[seq] = len({one.message_id for one in line.read if one.weight - one.standing > 0})
    return said, found


def _line(kind: type[Kind], text: str, number: int) -> Kind:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        pointer = "/".join(["#", str(number), *(str(part) for part in first["loc"])])
        raise BadImport(pointer, first["msg"].removeprefix("Value error, ")) from None
