"""Replaying a log: the memory is a fold over it, so it can be made again, compared, and carried to new weights."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Any

from app.memories.commit import Change, commit
from app.memories.device import Device
from app.memories.messages import WRITTEN_AT_ONCE, features_of, spoken, write_message_
from app.memories.query import Lookup, ParsedQuery, parsed_before, read
from app.memories.serialization import DamagedMemory, compare_checksums, load_state
from app.memories.trace import STANDING, beside_standing, found_by_cue, grouped, note_read_
from app.store import log, memories
from app.store.database import Conflict, Database
from app.store.log import Message, Tombstone
from app.store.memories import MemoryRecord, ReadTrace
from app.store.rows import DamagedRow
from memory_core import writing
from memory_core.binary_codes import differing_bits
from memory_core.encoder import Utterance
from memory_core.state import EpisodicState

LEAST_SLOTS, MOST_SLOTS = 16, 100_000  # that the settings give a memory
_MESSAGES_AT_ONCE = 256
# The last bit of what the encoder gives depends on its batch, and a part next to 0 may then take either sign.
_SLACK = {"keys": 0.13, "words": 8, "sentence": 2, "meaning": 2}  # of bits a facet
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
    database: Database,
    device: Device,
    user_id: str,
    write: bool,
    progress: Callable[[int], None] = lambda seq: None,
    standing: int = STANDING,
    slots: int = 4096,
) -> Replayed | None:
    """Folds a user's log and compares it with the stored memory; with `write`, stores the result where they differ.

    Under the weights that wrote the memory, the recorded readings are applied; under others every turn reads anew and
    its trace is rewritten.

    Args:
        standing: statements that hold until revoked, of which a turn that reads anew reads so many at most.
        slots: capacity of a memory whose own is damaged beyond belief.

    Returns:
        None if there is no such user.

    Raises:
        Conflict: the user's memory changed meanwhile; nothing was written.
    """
    async with database.reading() as connection:
        try:
            head, least = await memories.granted(connection, user_id), 2
        except DamagedRow:
            head, least = await memories.granted(connection, user_id, mending=True), LEAST_SLOTS
        if head is None:
            return None
        places = await log.tombstones(connection, head.id)
        last = max([await log.last_seq(connection, head.id), *(place.seq for place in places)])
        capacity = head.capacity if least <= head.capacity <= MOST_SLOTS else slots
        head = dataclasses.replace(head, capacity=capacity, last_seq=last)
    memory_id, foreign = head.id, head.fingerprint != device.fingerprint

    async def messages(seqs: Collection[int]) -> Mapping[int, Message]:
        async with database.reading() as connection:
            return await log.by_seqs(connection, memory_id, seqs)

    fold = Fold(device, await device.run(device.memory.empty, head.capacity), places, messages, standing)
    seq = 0
    while True:
        async with database.reading() as connection:
            said = await log.after(connection, memory_id, seq, _MESSAGES_AT_ONCE)
            traces = await memories.reads_of(connection, memory_id, [message.seq for message in said])
        if not said:
            break
        await fold.take(said, {seq: found_by_cue(trace) for seq, trace in traces.items()} if foreign else traces)
        seq = said[-1].seq
        progress(seq)
    await fold.finish(head.last_seq)
    differences = [] if foreign else await _differences(database, device, user_id, head, fold)
    written = write and (foreign or bool(differences))
    if written:
        change = await device.run(Change.whole, head, fold.state)
        if foreign:
            record = dataclasses.replace(change.record, fingerprint=device.fingerprint)
            change = dataclasses.replace(change, record=record, reads=fold.reads, decided=fold.decided)
        await commit(database, user_id, change)
    return Replayed(user_id, fold.messages, differences, foreign, written)


async def _differences(database: Database, device: Device, user_id: str, head: MemoryRecord, fold: "Fold") -> list[str]:
    async with database.reading() as connection:
        try:
            now = await memories.granted(connection, user_id)
            if now is None or (now.id, now.version) != (head.id, head.version):
                raise Conflict(f"the memory of {user_id} changed while it was replayed")
            rows = await memories.slot_rows(connection, head.id)
        except DamagedRow as error:
            return [str(error)]
    try:
        stored = await device.run(load_state, device.memory, head, rows, False)
        found = await device.run(compare, stored, fold.state)
        if not found:
            await device.run(compare_checksums, head, rows)
    except DamagedMemory as error:
        return [str(error)]
    except ValueError as error:  # what differs is within what is taken for rounding
        return [str(error)]
    return found


class Fold:
    """A memory as it grows over a log.

    Args:
        places: what was forgotten from the log.
        lookup: finds messages of the log, to tell when an event was.
        standing: statements that hold until revoked, of which a turn that reads anew reads so many at most.
        keeps_reads: whether `reads` gets the readings that are applied as they were, beside the fresh ones.
    """

    def __init__(
        self,
        device: Device,
        state: EpisodicState,
        places: list[Tombstone],
        lookup: Lookup,
        standing: int,
        keeps_reads: bool = False,
    ) -> None:
        self.device, self.core, self.state, self._lookup = device, device.memory, state, lookup
        self._standing, self._keeps_reads = standing, keeps_reads
        self.messages = 0
        self.reads: list[ReadTrace] = []
        self.decided: dict[int, tuple[float, Mapping[str, Any]]] = {}
        self._forgotten = {place.seq for place in places}
        self._blanks = sorted(places, key=lambda place: place.seq)
        self._freed = sorted(places, key=lambda place: (place.version, place.seq))

    async def take(self, said: list[Message], traces: Mapping[int, list[ReadTrace] | int]) -> None:
        """Takes the next messages of the log.

        Args:
            traces: what each turn read; for fresh readings, how many messages it should find.
        """
        queries = {
            message.seq: parsed_before(message)
            for message in said
            if message.confidence is not None and isinstance(traces[message.seq], int)
        }
        texts = [text for query in queries.values() for text in query.texts]
        encoded = iter(await self.device.encode([*(spoken(message) for message in said), *texts]))
        utterances = await self.device.told(list(islice(encoded, len(said))), [message.content for message in said])
        cues = {seq: list(islice(encoded, len(query.texts))) for seq, query in queries.items()}
        waiting: list[tuple[Message, Utterance, list[ReadTrace] | None]] = []
        for message, utterance in zip(said, utterances, strict=True):
            trace = None
            if message.confidence is not None:
                found = traces[message.seq]
                if isinstance(found, int):
                    await self.device.run(self._write, waiting, message.seq - 1)
                    waiting = []
                    found = await self._read(message, utterance, queries[message.seq], cues[message.seq], found)
                trace = found
            waiting.append((message, utterance, trace))
            if len(waiting) == WRITTEN_AT_ONCE:
                await self.device.run(self._write, waiting, message.seq)
                waiting = []
        await self.device.run(self._write, waiting, said[-1].seq if said else 0)

    def _write(self, said: list[tuple[Message, Utterance, list[ReadTrace] | None]], until: int) -> None:
        """Writes messages, and goes on to after message `until`."""
        for message, utterance, trace in said:
            self._finish(message.seq - 1)
            if trace is not None and self._keeps_reads and message.seq not in self.decided:
                trace = [one for one in trace if one.slot < self.state.rows]  # of a file, which may say anything
                self.reads += trace
            if trace is not None:
                note_read_(self.core, self.state, trace)
            self.state, _ = write_message_(self.core, self.state, message, utterance)
            self.messages += 1
        self._finish(until)

    async def _read(
        self, message: Message, utterance: Utterance, query: ParsedQuery, cues: list[Utterance], k: int
    ) -> list[ReadTrace]:
        reading, decided = await read(self.device, self.state, query, cues, self._lookup)
        found = grouped(reading, self.state, k, self._forgotten)
        saying = (utterance, features_of(self.core, message))
        found = await self.device.run(beside_standing, self.core, self.state, found, self._standing, saying)
        trace = [dataclasses.replace(one, seq=message.seq) for one in found]
        self.reads += trace
        self.decided[message.seq] = (reading.confidence, decided.plain(message.content))
        return trace

    def as_read(self, message: Message) -> Message:
        """The message; one that read anew with the confidence of that, and what was decided of its text."""
        confidence, told = self.decided.get(message.seq, (message.confidence, message.parsed))
        return dataclasses.replace(message, confidence=confidence, parsed=told)

    async def finish(self, seq: int) -> None:
        """Goes on to after message `seq`, over what was forgotten until then."""
        await self.device.run(self._finish, seq)

    def _finish(self, seq: int) -> None:
        while True:
            blank, freed = next(iter(self._blanks), None), next(iter(self._freed), None)
            if freed and freed.after_seq <= self._now() and (not blank or freed.seq < blank.seq):
                self.core.forget_(self.state, freed.seq)
                self._freed.pop(0)
            elif blank and blank.seq <= seq and blank.seq == self._now() + 1:
                self.state, _ = writing.write_tombstone_(self.core, self.state, blank.parts, blank.seq, blank.gate)
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
