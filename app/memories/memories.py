"""What the service does with users' memories: remember, recall and store, recall, forget, erase.

Each is ordered by user and committed whole (see `live`); what a text means and how a memory is read is `query`'s, what
changes in the database is `commit`'s.
"""

import dataclasses
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import torch

from app.memories import forgetting
from app.memories.cache import CachedMemory
from app.memories.commit import Change, commit
from app.memories.device import Device
from app.memories.live import LiveMemories, NotFound
from app.memories.messages import Draft, spoken, write_message_
from app.memories.query import Lookup, parse, read
from app.memories.trace import Recollection, grouped, note_read_, recollected
from app.store import log, users
from app.store.database import Database
from app.store.log import Message
from app.store.memories import MemoryRecord, ReadTrace
from memory_core.encoder import Utterance

Done = TypeVar("Done")


@dataclasses.dataclass(frozen=True)
class Remembered:
    """Messages now in the log, each with the slots it holds, and the memory as it stands."""

    messages: list[tuple[Message, list[int]]]
    head: MemoryRecord
    slots_used: int
    timings_ms: dict[str, float]


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
        self.database, self.device, self.core, self.slots = database, device, device.memory, slots
        self.live = LiveMemories(database, device, slots, cache_bytes)
        parse("yesterday", datetime.now(UTC))  # its words are loaded at the first use, which takes a while

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
        began = time.perf_counter()
        utterances = await self.device.encode([spoken(draft) for draft in drafts])
        encode = _ms(began)

        async def once(live: CachedMemory) -> Remembered:
            known = await self._known(user_id, live, drafts)
            if answers and not await self._still_there(user_id, live, answers):
                raise NotFound("the message was deleted before it was answered")
            messages: list[Message] = []
            fresh: list[tuple[Message, Utterance]] = []
            for draft, utterance in zip(drafts, utterances, strict=True):
                message = known.get(draft.external_id) if draft.external_id is not None else None
                if message is None:
                    message = _logged(draft, live.head.last_seq + len(fresh) + 1)
                    fresh.append((message, utterance))
                    if draft.external_id is not None:
                        known[draft.external_id] = message
                messages.append(message)
            timings = await self._write(user_id, live, fresh) if fresh else {}
            return _remembered(live, messages, {"encode": encode, **timings})

        return await self.live.in_order(user_id, once, trusting=True)

    async def recall_and_store(self, user_id: str, draft: Draft, k: int, history: int) -> TurnContext:
        """A turn's first half: reads with the message as cue, then commits the message, what it wrote and the trace.

        Args:
            k: messages to recall.
            history: latest messages of the session to bring along.
        """
        began = time.perf_counter()
        query = parse(draft.content, draft.occurred_at)
        utterance, *cues = await self.device.encode([spoken(draft), *query.texts])
        encode = _ms(began)

        async def once(live: CachedMemory) -> TurnContext:
            started = time.perf_counter()
            reading, decided = await read(self.device, live.state, query, cues, self.lookup(user_id, live))
            found, seq = grouped(reading, live.state, k), live.head.last_seq + 1
            async with self.live.reading(user_id, live) as connection:
                known = await log.by_seqs(connection, live.head.id, {entry.source for entry in found})
                said = await log.latest_of_session(connection, live.head.id, draft.session_id, seq, history)
            timings = {"encode": encode, "read": _ms(started)}
            plain = decided.plain(draft.content)
            message = dataclasses.replace(_logged(draft, seq), confidence=reading.confidence, parsed=plain)
            trace = [dataclasses.replace(entry, seq=seq) for entry in found]
            timings |= await self._write(user_id, live, [(message, utterance)], trace)
            remembered = _remembered(live, [message], timings)
            recalled = Recalled(recollected(found, known, live.head.capacity), reading.confidence, timings)
            return TurnContext(recalled, remembered, said, timings)

        return await self.live.in_order(user_id, once, trusting=True)

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
        parsed = parse(query, asked_at or datetime.now(UTC))
        cues = await self.device.encode(parsed.texts)
        encode = _ms(began)

        async def once(live: CachedMemory) -> Recalled:
            _must_exist(user_id, live)
            started, among = time.perf_counter(), None
            if session_id is not None:
                async with self.live.reading(user_id, live) as connection:
                    seqs = await log.session_seqs(connection, live.head.id, session_id)
                if not seqs:
                    raise NotFound(f"user {user_id} has no session {session_id}")
                among = torch.isin(live.state.source, live.state.source.new_tensor(seqs))
            reading, _ = await read(self.device, live.state, parsed, cues, self.lookup(user_id, live), among)
            found = grouped(reading, live.state, k)
            known = await self.lookup(user_id, live)({entry.source for entry in found})
            timings = {"encode": encode, "read": _ms(started), "total": _ms(began)}
            return Recalled(recollected(found, known, live.head.capacity), reading.confidence, timings)

        return await self.live.in_order(user_id, once, trusting=True)

    async def forget(self, user_id: str, message_id: str) -> None:
        """Deletes a message and all that it left (see `forgetting`).

        Raises:
            NotFound: no such message.
        """

        async def once(live: CachedMemory) -> None:
            async with self.live.reading(user_id, live) as connection:
                message = await log.by_id(connection, live.head.id, message_id)
                if message is None:
                    raise NotFound(f"user {user_id} has no message {message_id}")
                effects = await forgetting.effects(connection, live.head.id, message.seq)
            utterance = (await self.device.encode([spoken(message)]))[0]
            change = await self.device.run(forgetting.forget_, self.core, live, message, utterance, effects)
            await commit(self.database, user_id, change)
            live.head = change.record

        await self.live.in_order(user_id, once)
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

        await self.live.alone(user_id, once)
        await self.database.scrub()

    async def inspect(self, user_id: str, view: Callable[[CachedMemory], Awaitable[Done]]) -> Done:
        """Shows the memory as it stands to `view`, which must not change it.

        Raises:
            NotFound: no such user.
        """

        async def once(live: CachedMemory) -> Done:
            _must_exist(user_id, live)
            return await view(live)

        return await self.live.in_order(user_id, once)

    async def _write(
        self,
        user_id: str,
        live: CachedMemory,
        said: Sequence[tuple[Message, Utterance]],
        trace: Sequence[ReadTrace] | None = None,
    ) -> dict[str, float]:
        """Writes messages to the memory and commits; with a trace, its reading too. Returns the two times, in ms."""
        began = time.perf_counter()

        def compute() -> Change:
            changed, written = set(), set()
            if trace is not None:
                note_read_(self.core, live.state, trace)
                changed |= {entry.slot for entry in trace}
            for message, utterance in said:
                live.state, wrote = write_message_(self.core, live.state, message, utterance)
                changed |= set(wrote.changed.tolist())
                written |= set(wrote.rows.tolist() + wrote.narrowed.tolist())
            change = Change.of(live.head, live.state, changed, written, last_seq=said[-1][0].seq)
            return dataclasses.replace(change, said=[message for message, _ in said], reads=trace or ())

        change = await self.device.run(compute)
        write, computed = _ms(began), time.perf_counter()
        await commit(self.database, user_id, change)
        live.head = change.record
        return {"write": write, "commit": _ms(computed)}

    def lookup(self, user_id: str, live: CachedMemory) -> Lookup:
        """Finds messages of a memory that is the newest; raises `Conflict` where it is not."""

        async def messages(seqs: Collection[int]) -> Mapping[int, Message]:
            async with self.live.reading(user_id, live) as connection:
                return await log.by_seqs(connection, live.head.id, seqs)

        return messages

    async def _known(self, user_id: str, live: CachedMemory, drafts: Sequence[Draft]) -> dict[str, Message]:
        ids = {draft.external_id for draft in drafts if draft.external_id is not None}
        if not ids:
            return {}
        async with self.live.reading(user_id, live) as connection:
            return await log.by_external_ids(connection, live.head.id, ids)

    async def _still_there(self, user_id: str, live: CachedMemory, message: tuple[MemoryRecord, int]) -> bool:
        then, seq = message
        if live.head.id != then.id:
            return False
        return live.head.version == then.version or bool(await self.lookup(user_id, live)([seq]))


def _logged(draft: Draft, seq: int) -> Message:
    return Message(seq, uuid.uuid4().hex, **vars(draft))


def _must_exist(user_id: str, live: CachedMemory) -> None:
    if live.head.version == 0:
        raise NotFound(f"no user {user_id}")


def _remembered(live: CachedMemory, messages: Sequence[Message], timings_ms: dict[str, float]) -> Remembered:
    held: dict[int, list[int]] = {message.seq: [] for message in messages}
    sources = live.state.source
    index = torch.isin(sources, sources.new_tensor(sorted(held))).nonzero().squeeze(1)
    parts = zip(live.state.part[index].tolist(), index.tolist(), sources[index].tolist(), strict=True)
    for _, row, source in sorted(parts):
        held[source].append(row % live.head.capacity)
    return Remembered(
        [(message, held[message.seq]) for message in messages], live.head, live.state.slots_used, timings_ms
    )


def _ms(began: float) -> float:
    return round(1000 * (time.perf_counter() - began), 3)
