"""What the service does with users' memories: remember, hear, recall, forget, each ordered by user and committed whole.

The shape is always the same: under the user's lock take the memory as the database has it, compute, commit under the
condition that its version has not moved, and redo if it has. A state that was changed but not committed is dropped,
never used again.
"""

import asyncio
import dataclasses
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import torch

from app.memories import forgetting
from app.memories.cache import Cache, CachedMemory, Locks
from app.memories.commit import Change, commit
from app.memories.device import Device
from app.memories.events import event_span
from app.memories.messages import Draft, precedence_gate, spoken, write_message_
from app.memories.query import ParsedQuery, asked
from app.memories.serialization import load_state
from app.memories.times import span_named
from app.memories.trace import Recollection, grouped, note_read_, recollected
from app.store import log, memories, users
from app.store.database import Conflict, Database
from app.store.log import Message, Tombstone
from app.store.memories import MemoryRecord, ReadTrace
from memory_core.encoder import Utterance

_TRIES = 30
_OF_EVENT = 3  # messages that are asked when an event was
_KNOWN = 0.75  # confidence from which the memory holds an event
Done = TypeVar("Done")


class ForeignMemory(Exception):
    """A memory that other weights wrote: it must be replayed before this process may use it."""


class NotFound(Exception):
    """The user has no such thing."""


@dataclasses.dataclass(frozen=True)
class Remembered:
    """Messages now in the log, each with the slots it holds, and the memory as it stands."""

    messages: list[tuple[Message, list[int]]]
    head: MemoryRecord
    slots_used: int


@dataclasses.dataclass(frozen=True)
class Recalled:
    """What a reading found."""

    recollections: list[Recollection]
    confidence: float
    timings_ms: dict[str, float]


@dataclasses.dataclass(frozen=True)
class TurnContext:
    """A turn's first half: what its message recalled, and the message remembered."""

    recalled: Recalled
    remembered: Remembered
    history: list[Message]
    timings_ms: dict[str, float]


class Memories:
    """All users' memories, over one database and one device.

    Args:
        slots: capacity of a new user's memory.
        cache_bytes: bound of the live memories kept.
    """

    def __init__(self, database: Database, device: Device, slots: int, cache_bytes: int) -> None:
        self.database, self.device, self.core = database, device, device.memory
        self.cache, self._locks, self.slots = Cache(cache_bytes), Locks(), slots
        span_named("yesterday", datetime.now(UTC))  # its words are loaded at the first use, which takes a while

    async def remember(
        self, user_id: str, drafts: Sequence[Draft], answers: tuple[MemoryRecord, int] | None = None
    ) -> Remembered:
        """Adds messages to the log and the memory, in one commit; one whose external id is known is not added again.

        Args:
            answers: the memory once the message that these answer was in it, and its number: they are dropped if it is
                gone.

        Raises:
            NotFound: the message answered was deleted meanwhile.
        """
        utterances = await self.device.encode([spoken(draft) for draft in drafts])

        async def once(live: CachedMemory) -> Remembered:
            known = await self._known(live, drafts)
            if answers and not await self._still_there(live, answers):
                raise NotFound("the message was deleted before it was answered")
            messages: list[Message] = []
            fresh: list[tuple[Message, Utterance]] = []
            seq = live.head.last_seq
            for draft, utterance in zip(drafts, utterances, strict=True):
                message = known.get(draft.external_id) if draft.external_id is not None else None
                if message is None:
                    seq += 1
                    message = Message(seq, uuid.uuid4().hex, **dataclasses.asdict(draft))
                    fresh.append((message, utterance))
                    if draft.external_id is not None:
                        known[draft.external_id] = message
                messages.append(message)
            if fresh:
                await self._write(user_id, live, fresh)
            return await self._remembered(user_id, live, messages)

        return await self._in_order(user_id, once)

    async def recall_and_store(self, user_id: str, draft: Draft, k: int, history: int) -> TurnContext:
        """A turn's first half: reads with the message as cue, then commits the message, what it wrote and the trace.

        Args:
            k: messages to recall.
            history: latest messages of the session to bring along.
        """
        began = time.perf_counter()
        asks = asked(draft.content, draft.occurred_at)
        utterance, *cues = await self.device.encode([spoken(draft), *asks.cues])
        encoded = time.perf_counter()

        async def once(live: CachedMemory) -> TurnContext:
            started = time.perf_counter()
            cue, span = await self._addressed(live, asks, cues, draft.occurred_at)
            reading = await self.device.read(live.state, cue, span=span)
            found = grouped(reading, live.state, k)
            seq = live.head.last_seq + 1
            async with self.database.reading() as connection:
                known = await log.by_seqs(connection, live.head.id, {entry.source for entry in found})
                said = await log.latest_of_session(connection, live.head.id, draft.session_id, seq, history)
            read = time.perf_counter()
            message = Message(seq, uuid.uuid4().hex, **dataclasses.asdict(draft), confidence=reading.confidence)
            trace = [dataclasses.replace(entry, seq=seq) for entry in found]
            wrote, committed = await self._write(user_id, live, [(message, utterance)], trace)
            remembered = await self._remembered(user_id, live, [message])
            timings = {"read": _ms(started, read), "write": wrote, "commit": committed}
            recalled = Recalled(recollected(found, known, live.head.capacity), reading.confidence, timings)
            return TurnContext(recalled, remembered, said, {"encode": _ms(began, encoded), **timings})

        return await self._in_order(user_id, once)

    async def recall(
        self, user_id: str, query: str, k: int, session_id: str | None = None, asked_at: datetime | None = None
    ) -> Recalled:
        """Reads with a cue, changing nothing.

        Args:
            session_id: where given, only what was said in that session is addressed by content.
            asked_at: what "last week" in the query is relative to; now, unless given.

        Raises:
            NotFound: no such user or session.
        """
        began = time.perf_counter()
        asked_at = asked_at or datetime.now(UTC)
        asks = asked(query, asked_at)
        cues = await self.device.encode(asks.cues)
        encoded = time.perf_counter()

        async def once(live: CachedMemory) -> Recalled:
            self._must_exist(user_id, live)
            cue, span = await self._addressed(live, asks, cues, asked_at)
            async with self.database.reading() as connection:
                among = None
                if session_id is not None:
                    seqs = await log.session_seqs(connection, live.head.id, session_id)
                    if not seqs:
                        raise NotFound(f"user {user_id} has no session {session_id}")
                    among = torch.isin(live.state.source, live.state.source.new_tensor(seqs))
                reading = await self.device.read(live.state, cue, among, span)
                found = grouped(reading, live.state, k)
                known = await log.by_seqs(connection, live.head.id, {entry.source for entry in found})
            done = time.perf_counter()
            timings = {"encode": _ms(began, encoded), "read": _ms(encoded, done), "total": _ms(began, done)}
            return Recalled(recollected(found, known, live.head.capacity), reading.confidence, timings)

        return await self._in_order(user_id, once)

    async def forget(self, user_id: str, message_id: str) -> None:
        """Deletes a message and all that it left (see `forgetting`).

        Raises:
            NotFound: no such message.
        """

        async def once(live: CachedMemory) -> None:
            async with self.database.reading() as connection:
                message = await log.by_id(connection, live.head.id, message_id)
                if message is None:
                    raise NotFound(f"user {user_id} has no message {message_id}")
                effects = await forgetting.effects(connection, live.head.id, message.seq)
            utterance = self.core.drop_stopwords((await self.device.encode([spoken(message)]))[0])
            parts = self.core.parts(len(utterance.token_ids), live.head.capacity)
            changed = await self.device.run(forgetting.forget_, self.core, live.state, message.seq, effects)
            change = Change.of(live.head, live.state, changed, [])
            gate = precedence_gate(self.core, message)
            place = Tombstone(message.seq, parts, gate, live.head.last_seq, change.record.version)
            await commit(self.database, user_id, dataclasses.replace(change, forgotten=[(message, place)]))
            live.head = change.record

        await self._in_order(user_id, once)
        await self.database.scrub()

    async def erase(self, user_id: str) -> None:
        """Deletes every row of the user.

        Raises:
            NotFound: no such user.
        """

        async def once() -> None:
            async with self.database.writing() as connection:
                if not await users.erase(connection, user_id):
                    raise NotFound(f"no user {user_id}")

        async with self._locks.holding(user_id):
            self.cache.drop(user_id)
            await _redoing(once)
        await self.database.scrub()

    async def inspect(self, user_id: str, view: Callable[[CachedMemory], Awaitable[Done]]) -> Done:
        """Shows the memory as it stands to `view`, which must not change it.

        Raises:
            NotFound: no such user.
        """

        async def once(live: CachedMemory) -> Done:
            self._must_exist(user_id, live)
            return await view(live)

        return await self._in_order(user_id, once)

    async def _in_order(self, user_id: str, once: Callable[[CachedMemory], Awaitable[Done]]) -> Done:
        async def on_the_current() -> Done:
            live = await self._current(user_id)
            version = live.head.version
            try:
                return await once(live)
            except NotFound:
                raise
            except BaseException:
                self.cache.drop(user_id)
                raise
            finally:
                if live.head.version != version:
                    self.cache.put(user_id, live)

        async with self._locks.holding(user_id):
            return await _redoing(on_the_current)

    async def _current(self, user_id: str) -> CachedMemory:
        async with self.database.reading() as connection:
            head = await memories.granted(connection, user_id)
            if head is None:
                self.cache.drop(user_id)
                return await self._begin()
            if head.fingerprint != self.device.fingerprint:
                raise ForeignMemory(
                    f"the memory of {user_id} was written by {head.fingerprint}, this is {self.device.fingerprint}:"
                    " run `mneme replay --all`"
                )
            live = self.cache.get(user_id, head)
            if live is None:
                rows = await memories.slot_rows(connection, head.id)
                live = CachedMemory(head, await self.device.run(load_state, self.core, head, rows))
                self.cache.put(user_id, live)
            return live

    async def _begin(self) -> CachedMemory:
        state = await self.device.run(self.core.empty, self.slots)
        head = MemoryRecord(uuid.uuid4().hex, 0, self.device.fingerprint, self.slots, state.rows, 0, b"", b"")
        return CachedMemory(head, state)

    async def _write(
        self,
        user_id: str,
        live: CachedMemory,
        said: Sequence[tuple[Message, Utterance]],
        trace: Sequence[ReadTrace] | None = None,
    ) -> tuple[float, float]:
        """Writes messages to the memory and commits; with a trace, its reading too. Returns the two times, in ms."""
        began = time.perf_counter()

        def compute() -> tuple[set[int], set[int]]:
            changed, written = set(), set()
            if trace is not None:
                note_read_(self.core, live.state, trace)
                changed |= {entry.slot for entry in trace}
            for message, utterance in said:
                live.state, wrote = write_message_(self.core, live.state, message, utterance)
                changed |= set(wrote.changed.tolist())
                written |= set(wrote.rows.tolist() + wrote.narrowed.tolist())
            return changed, written

        changed, written = await self.device.run(compute)
        change = Change.of(live.head, live.state, changed, written, last_seq=said[-1][0].seq)
        change = dataclasses.replace(change, said=[message for message, _ in said], reads=trace or ())
        computed = time.perf_counter()
        await commit(self.database, user_id, change)
        live.head = change.record
        return _ms(began, computed), _ms(computed, time.perf_counter())

    async def _addressed(
        self, live: CachedMemory, asks: ParsedQuery, cues: Sequence[Utterance], asked_at: datetime
    ) -> tuple[Utterance, tuple[int, int] | None]:
        """The cue to read with, and the time meant: by an event, what the memory holds of it tells when that was.

        An event of which it holds nothing, as far as it can tell, tells no time.
        """
        if asks.event is None:
            return cues[0], asks.span
        whole, cue, name = cues
        reading = await self.device.read(live.state, name)
        if reading.confidence < _KNOWN:
            return whole, None
        found = grouped(reading, live.state, _OF_EVENT)
        async with self.database.reading() as connection:
            known = await log.by_seqs(connection, live.head.id, {entry.source for entry in found})
        span = event_span(asks.event, recollected(found, known, live.head.capacity), asked_at)
        return (whole, None) if span is None else (cue, span)

    def _must_exist(self, user_id: str, live: CachedMemory) -> None:
        if live.head.version == 0:
            raise NotFound(f"no user {user_id}")

    async def _known(self, live: CachedMemory, drafts: Sequence[Draft]) -> dict[str, Message]:
        ids = {draft.external_id for draft in drafts if draft.external_id is not None}
        if not ids:
            return {}
        async with self.database.reading() as connection:
            return await log.by_external_ids(connection, live.head.id, ids)

    async def _still_there(self, live: CachedMemory, message: tuple[MemoryRecord, int]) -> bool:
        then, seq = message
        if live.head.id != then.id:
            return False
        if live.head.version == then.version:  # nothing was deleted since
            return True
        async with self.database.reading() as connection:
            return bool(await log.by_seqs(connection, live.head.id, [seq]))

    async def _remembered(self, user_id: str, live: CachedMemory, messages: Sequence[Message]) -> Remembered:
        held: dict[int, list[int]] = {message.seq: [] for message in messages}
        sources = live.state.source
        index = torch.isin(sources, sources.new_tensor(sorted(held))).nonzero().squeeze(1)
        parts = zip(live.state.part[index].tolist(), index.tolist(), sources[index].tolist(), strict=True)
        for _, row, source in sorted(parts):
            held[source].append(row % live.head.capacity)
        return Remembered([(message, held[message.seq]) for message in messages], live.head, live.state.slots_used)


async def _redoing(once: Callable[[], Awaitable[Done]]) -> Done:
    for attempt in range(_TRIES):
        try:
            return await once()
        except Conflict:
            if attempt == _TRIES - 1:
                raise
            await asyncio.sleep(random.uniform(0, 0.02 * (attempt + 1)))
    raise AssertionError("unreachable")


def _ms(began: float, ended: float) -> float:
    return round(1000 * (ended - began), 3)
