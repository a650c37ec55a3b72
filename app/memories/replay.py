"""Replaying a log: the memory is a fold over it, so it can be made again, compared, and carried to new weights."""

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from app.memories.commit import Change, commit
from app.memories.device import Device
from app.memories.messages import spoken, write_message_
from app.memories.query import asked
from app.memories.serialization import DamagedMemory, load_state
from app.memories.trace import grouped, note_read_
from app.store import log, memories
from app.store.database import Database
from app.store.log import Message, Tombstone
from app.store.memories import MemoryRecord, ReadTrace
from memory_core.binary_codes import differing_bits
from memory_core.encoder import Utterance
from memory_core.state import EpisodicState

_MESSAGES_AT_ONCE = 256
# The last bit of what the encoder gives depends on its batch, and a part next to 0 may then take either sign.
_SLACK = {"keys": 0.13, "words": 8}  # of bits a facet
_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Replayed:
    """A user's memory, made anew.

    Attributes:
        messages: how many the log has.
        differences: one line for each part of the stored memory that the replay does not give; none where they agree.
        foreign: whether the stored memory was written by other weights, so that there was nothing to compare.
        written: whether the new memory was stored.
    """

    user_id: str
    messages: int
    differences: list[str]
    foreign: bool
    written: bool


async def replay(
    database: Database, device: Device, user_id: str, write: bool, progress: Callable[[int], None] = lambda seq: None
) -> Replayed | None:
    """Folds a user's log and compares it with the stored memory; with `write`, stores the result where they differ.

    Under the weights that wrote the memory, the recorded readings are applied; under others every turn reads anew and
    its trace is rewritten.

    Returns:
        None if there is no such user.

    Raises:
        Conflict: the user's memory changed meanwhile; nothing was written.
    """
    async with database.reading() as connection:
        head = await memories.granted(connection, user_id)
        if head is None:
            return None
        foreign = head.fingerprint != device.fingerprint
        places = await log.tombstones(connection, head.id)
        fold = Fold(device, await device.run(device.memory.empty, head.capacity), places)
        async for said in _said(connection, head.id):
            traces = await memories.reads_of(connection, head.id, [message.seq for message in said])
            if foreign:
                counts = {seq: len({one.source for one in trace}) for seq, trace in traces.items()}
                await fold.take(said, counts)
            else:
                await fold.take(said, traces)
            progress(said[-1].seq)
        await fold.finish(head.last_seq)
        differences: list[str] = []
        if not foreign:
            rows = await memories.slot_rows(connection, head.id)
            try:
                differences = compare(await device.run(load_state, device.memory, head, rows), fold.state)
            except DamagedMemory as error:
                differences = [str(error)]
    written = write and (foreign or bool(differences))
    if written:
        await _store(database, device, user_id, head, fold)
    return Replayed(user_id, fold.messages, differences, foreign, written)


class Fold:
    """A memory as it grows over a log.

    Args:
        places: what was forgotten from the log.
    """

    def __init__(self, device: Device, state: EpisodicState, places: list[Tombstone]) -> None:
        self.device, self.core, self.state = device, device.memory, state
        self.messages = 0
        self.reads: list[ReadTrace] = []
        self.confidences: dict[int, float] = {}
        self._forgotten = {place.seq for place in places}
        self._blanks = sorted(places, key=lambda place: place.seq)
        self._freed = sorted(places, key=lambda place: place.version)

    async def take(self, said: list[Message], traces: Mapping[int, list[ReadTrace] | int]) -> None:
        """Takes the next messages of the log.

        Args:
            traces: what each turn read; for fresh readings, how many messages it should find.
        """
        utterances = await self.device.encode([spoken(message) for message in said])
        for message, utterance in zip(said, utterances, strict=True):
            await self.finish(message.seq - 1)
            trace = None
            if message.confidence is not None:
                found = traces[message.seq]
                trace = await self._read(message, found) if isinstance(found, int) else found
            await self.device.run(self._write, message, utterance, trace)
            self.messages += 1

    def _write(self, message: Message, utterance: Utterance, trace: list[ReadTrace] | None) -> None:
        if trace is not None:
            note_read_(self.core, self.state, trace)
        self.state, _ = write_message_(self.core, self.state, message, utterance)

    async def _read(self, message: Message, k: int) -> list[ReadTrace]:
        seq, asks = message.seq, asked(message.content, message.occurred_at)
        cue = (await self.device.encode(asks.cues[:1]))[0]
        reading = await self.device.read(self.state, cue, span=asks.span)
        trace = [dataclasses.replace(one, seq=seq) for one in grouped(reading, self.state, k, self._forgotten)]
        self.reads += trace
        self.confidences[seq] = reading.confidence
        return trace

    def as_read(self, message: Message) -> Message:
        """The message with the confidence of its fresh reading."""
        return dataclasses.replace(message, confidence=self.confidences.get(message.seq))

    async def finish(self, seq: int) -> None:
        """Goes on to after message `seq`, over what was forgotten until then."""
        while True:
            blank, freed = next(iter(self._blanks), None), next(iter(self._freed), None)
            if freed and freed.after_seq <= self._now() and (not blank or freed.seq < blank.seq):
                self.core.forget_(self.state, freed.seq)
                self._freed.pop(0)
            elif blank and blank.seq <= seq and blank.seq == self._now() + 1:
                self.state, _ = self.core.write_tombstone_(self.state, blank.parts, blank.seq, blank.gate)
                self._blanks.pop(0)
            else:
                return

    def _now(self) -> int:
        return int(self.state.clock)


def compare(stored: EpisodicState, folded: EpisodicState) -> list[str]:
    """Where two memories differ by more than rounding, a line a part."""
    if stored.rows != folded.rows:
        return [f"rows held: {stored.rows} stored, {folded.rows} replayed"]
    lines = []
    for name, tensor in stored.tensors().items():
        other = folded.tensors()[name]
        apart = differing_bits(tensor, other) if name == "words" else (tensor.double() - other.double()).abs()
        off = apart > _SLACK.get(name, _TOLERANCE)
        if bool(off.any()):
            rows = off.reshape(len(off), -1).any(1).nonzero().squeeze(1).tolist() if off.dim() else [0]
            lines.append(f"{name}: differs at {len(rows)} places, the first {rows[0]}")
    return lines


async def _said(connection: AsyncConnection, memory_id: str) -> AsyncIterator[list[Message]]:
    seq = 0
    while said := await log.after(connection, memory_id, seq, _MESSAGES_AT_ONCE):
        yield said
        seq = said[-1].seq


async def _store(database: Database, device: Device, user_id: str, old: MemoryRecord, fold: Fold) -> None:
    change = Change.whole(old, fold.state)
    if old.fingerprint != device.fingerprint:
        record = dataclasses.replace(change.record, fingerprint=device.fingerprint)
        change = dataclasses.replace(change, record=record, reads=fold.reads, confidences=fold.confidences)
    await commit(database, user_id, change)
