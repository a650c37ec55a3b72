"""The lines of an export: a heading, each message and each forgotten place in the log's order, and an end.

The place of a line among messages and forgotten places is its number in the log. Format 1, of the version before, has
messages only and no end; it is still read.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.memories.trace import found_by_cue
from app.memories.validation import MESSAGE_ID, External, Identifier, Metadata, Moment, Name, Role, Text
from app.store.log import Message, Tombstone
from app.store.memories import MemoryRecord, ReadTrace
from memory_core.language.spans import EARLIEST, LATEST

Kind = TypeVar("Kind", bound=BaseModel)
_END = "mneme-export-end"
_FORGOTTEN = "forgotten"
_NEWEST = 2
_SLACK = 1e-3


class BadImport(Exception):
    """Lines that `export` did not write; `pointer` names the line of the file, from 0, and the field."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer = pointer

    @property
    def where(self) -> str:
        """The place for a person: lines count from 1."""
        _, line, *fields = [*self.pointer.split("/"), ""]
        return ", ".join([f"line {int(line) + 1}", *filter(None, ["/".join(fields[:-1])])]) if line else "the file"


@dataclasses.dataclass(frozen=True)
class ExportedUser:
    """What an export holds.

    Attributes:
        traces: by message, what its turn had read: the slots, or, of format 1, how many messages its cue had found.
        fingerprint, capacity: of the memory that was exported; None where the export does not say.
    """

    said: list[Message]
    places: list[Tombstone]
    traces: dict[int, list[ReadTrace] | int]
    fingerprint: str | None
    capacity: int | None

    @property
    def last_seq(self) -> int:
        """The number of the last place in the log."""
        return len(self.said) + len(self.places)

    def counted(self) -> dict[int, list[ReadTrace] | int]:
        """The traces, as how many messages each turn's cue had found."""
        return {seq: trace if isinstance(trace, int) else found_by_cue(trace) for seq, trace in self.traces.items()}


_Share = Annotated[float, Field(ge=-_SLACK, le=1 + _SLACK)]
_Moment = Annotated[int, Field(strict=True, ge=EARLIEST, le=LATEST)]  # in seconds since 1970
_Number = Annotated[int, Field(strict=True, ge=0, lt=2**31)]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Heading(BaseModel):
    model_config = ConfigDict(extra="ignore")
    kind: Literal["mneme-export"]
    format: Annotated[int, Field(strict=True, ge=1, le=_NEWEST)]
    fingerprint: str | None = None
    capacity: Annotated[int, Field(strict=True, ge=1)] | None = None


class _Counts(BaseModel):
    model_config = ConfigDict(extra="ignore")
    messages: _Number
    forgotten: _Number


class _Counted(_Line):
    message_id: str = Field(pattern=MESSAGE_ID)
    weight: float
    standing: float = 0.0


class _Read(_Line):
    message_id: str = Field(pattern=MESSAGE_ID)
    slot: _Number
    weight: _Share
    content: _Share
    forward: _Share
    backward: _Share
    standing: _Share


class _Forgotten(_Line):
    kind: Literal["forgotten"]
    parts: Annotated[int, Field(strict=True, ge=1, lt=2**20)]
    gate: Annotated[float, Field(ge=0, le=1)]
    after: _Number
    order: Annotated[int, Field(strict=True, ge=1, lt=2**31)]


class _Decided(BaseModel):
    """What was decided of a text; what this version has no use for is left out."""

    model_config = ConfigDict(extra="ignore")
    cue: Text | None = None
    span: tuple[_Moment, _Moment] | None = None
    context: bool | None = Field(None, strict=True)


class _Said(_Line):
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
    metadata: Metadata = Field(default_factory=dict)
    parsed: _Decided | None = None


class _First(_Said):
    read: list[_Counted]


class _Second(_Said):
    read: list[_Read]


def heading(user_id: str, head: MemoryRecord, messages: int, forgotten: int) -> str:
    """The first line: what follows, and the memory that it was taken from."""
    return _json({
        "kind": "mneme-export", "format": _NEWEST, "user_id": user_id, "fingerprint": head.fingerprint,
        "capacity": head.capacity, "messages": messages, "forgotten": forgotten,
        "exported_at": datetime.now(UTC).isoformat(),
    })  # fmt: skip


def end(messages: int, forgotten: int) -> str:
    """The last line: who does not see it has not got everything."""
    return _json({"kind": _END, "messages": messages, "forgotten": forgotten})


def message_line(message: Message, read: Sequence[ReadTrace], found: Mapping[int, Message]) -> str:
    """A message, with what its turn read."""
    plain = {**dataclasses.asdict(message), "occurred_at": message.occurred_at.isoformat()}
    del plain["seq"]
    trace = [
        {
            "message_id": found[one.source].id, "slot": one.slot, "weight": one.weight, "content": one.content,
            "forward": one.forward, "backward": one.backward, "standing": one.standing,
        }
        for one in read
        if one.source in found
    ]  # fmt: skip
    return _json({**plain, "read": trace})


def place_lines(places: Sequence[Tombstone]) -> dict[int, str]:
    """Forgotten places by their numbers: that slots were taken there, and when they were freed; never what was said."""
    orders = {version: order for order, version in enumerate(sorted({place.version for place in places}), 1)}
    return {
        place.seq: _json({
            "kind": _FORGOTTEN, "parts": place.parts, "gate": place.gate, "after": place.after_seq,
            "order": orders[place.version],
        })
        for place in places
    }  # fmt: skip


def parse(body: bytes) -> ExportedUser:
    """What exported lines hold.

    Raises:
        BadImport: they are no export, or not a whole one.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise BadImport("#", f"not UTF-8 at byte {error.start}") from None
    lines = [(number, line) for number, line in enumerate(text.split("\n")) if line.strip()]
    if not lines:
        raise BadImport("#/0", "empty: the first line must be the heading of an export")
    (number, first), *rest = lines
    begun = _checked(_Heading, first, number)
    newest = begun.format == _NEWEST
    if newest:
        rest = _whole(first, number, rest)
    return _Reader(begun).read(rest, newest)


def _whole(first: str, number: int, rest: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The lines between heading and end, after checking that none is missing."""
    promised = _checked(_Counts, first, number)
    last = rest[-1] if rest else (number, first)
    kinds = [_kind(line) for _, line in rest]
    forgotten, ends = kinds.count(_FORGOTTEN), [place for place, kind in enumerate(kinds) if kind == _END]
    have = f"{len(rest) - forgotten - len(ends)} of {promised.messages} messages"
    if not ends:
        raise BadImport(f"#/{last[0]}", f"the file ends early: it has {have} and no line that ends it")
    if ends != [len(rest) - 1]:
        raise BadImport(f"#/{rest[ends[0] + 1][0]}", "nothing may follow the line that ends the export")
    told = _checked(_Counts, last[1], last[0])
    if told != promised or (len(rest) - forgotten - 1, forgotten) != (promised.messages, promised.forgotten):
        raise BadImport(f"#/{last[0]}", f"lines are missing or too many: the file has {have}")
    return rest[:-1]


class _Reader:
    def __init__(self, begun: _Heading) -> None:
        self._begun = begun
        self._said: list[Message] = []
        self._places: list[Tombstone] = []
        self._traces: dict[int, list[ReadTrace] | int] = {}
        self._seqs: dict[str, int] = {}
        self._external = set[str]()

    def read(self, lines: Sequence[tuple[int, str]], newest: bool) -> ExportedUser:
        for seq, (number, text) in enumerate(lines, 1):
            if newest and _kind(text) == _FORGOTTEN:
                self._forgotten(_checked(_Forgotten, text, number), number, seq, len(lines))
            else:
                line = _checked(_Second, text, number) if newest else _checked(_First, text, number)
                self._message(line, number, seq)
        begun = self._begun
        return ExportedUser(self._said, self._places, self._traces, begun.fingerprint, begun.capacity)

    def _forgotten(self, line: _Forgotten, number: int, seq: int, last: int) -> None:
        if not seq <= line.after <= last:
            raise BadImport(f"#/{number}/after", f"must be from {seq}, the place itself, to {last}, the last place")
        self._places.append(Tombstone(seq, line.parts, line.gate, line.after, line.order))

    def _message(self, line: "_First | _Second", number: int, seq: int) -> None:
        if line.id in self._seqs:
            raise BadImport(f"#/{number}/id", "the same message stands twice")
        if line.external_id is not None and line.external_id in self._external:
            raise BadImport(f"#/{number}/external_id", "the same message stands twice")
        self._traces[seq] = (
            self._trace(line.read, number, seq)
            if isinstance(line, _Second)
            else len({one.message_id for one in line.read if one.weight - one.standing > 0})
        )
        self._seqs[line.id] = seq
        if line.external_id is not None:
            self._external.add(line.external_id)
        decided = line.parsed and line.parsed.model_dump(mode="json", exclude_unset=True)
        self._said.append(Message(seq=seq, **{**line.model_dump(exclude={"read"}), "parsed": decided}))

    def _trace(self, read: Sequence[_Read], number: int, seq: int) -> list[ReadTrace]:
        slots = set[int]()
        trace = []
        for place, one in enumerate(read):
            source = self._seqs.get(one.message_id)
            if source is None:
                raise BadImport(f"#/{number}/read/{place}/message_id", "no message before this one has that id")
            if one.slot in slots:
                raise BadImport(f"#/{number}/read/{place}/slot", "the same slot stands twice")
            slots.add(one.slot)
            trace.append(ReadTrace(seq=seq, source=source, **one.model_dump(exclude={"message_id"})))
        return trace


def _kind(line: str) -> Any:
    if '"kind"' not in line:
        return None
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return parsed.get("kind") if isinstance(parsed, dict) else None


def _checked(kind: type[Kind], text: str, number: int) -> Kind:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        pointer = "/".join(["#", str(number), *(str(part) for part in first["loc"])])
        raise BadImport(pointer, first["msg"].removeprefix("Value error, ")) from None


def _json(line: dict[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False) + "\n"
