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
from sqlalchemy.ext.asyncio import AsyncConnection
from torch import Tensor

from app.memories.cache import CachedMemory
from app.memories.commit import Change, compute_and_commit
from app.memories.device import Device
from app.memories.editing import Editing, Forgotten
from app.memories.live import LiveMemories, NotFound
from app.memories.messages import (
    WRITTEN_AT_ONCE,
    DifferentText,
    Draft,
    Remembered,
    features_of,
    remembered,
    spoken,
    write_messages_,
)
from app.memories.query import Lookup, parse, read
from app.memories.recalled import Recalled, outdated_in, recalled_by
from app.memories.serialization import DamagedMemory
from app.memories.trace import STANDING, Recollection, beside_standing, grouped, note_read_, recollected, that_matter
from app.store import log, memories, users
from app.store.database import Database
from app.store.filters import Filter
from app.store.log import Message
from app.store.memories import MemoryRecord, ReadTrace
from memory_core.encoder import Utterance

Done = TypeVar("Done")


class AlreadyKnown(Exception):
    """A message of that external id is in the log."""


@dataclasses.dataclass(frozen=True)
class TurnContext:
    """A turn's first half: what its message recalled, what stands beside it, and the message remembered."""

    recalled: Recalled
    remembered: Remembered
    history: list[Message]
    timings_ms: dict[str, float]

    @property
    def standing(self) -> list[Recollection]:
        """What holds until revoked, oldest first."""
        return self.recalled.standing


class Memories:
    """All users' memories, over one database and one device.

    Args:
        slots: capacity of a new user's memory.
        cache_bytes: bound of the live memories kept.
        standing: statements that hold until revoked, of which a turn reads so many at most.
    """

    def __init__(
        self, database: Database, device: Device, slots: int, cache_bytes: int, standing: int = STANDING
    ) -> None:
        self.database, self.device, self.core, self.slots = database, device, device.memory, slots
        self.standing = standing
        self.live = LiveMemories(database, device, slots, cache_bytes)
        self.editing = Editing(database, device, self.live)
        parse("yesterday", datetime.now(UTC))  # its words are loaded at the first use, which takes a while

    async def remember(
        self, user_id: str, drafts: Sequence[Draft], answers: tuple[MemoryRecord, int] | None = None
    ) -> Remembered:
        """Adds messages to the log and the memory, in one commit; one whose external id is known is not added again.

        Only what looks new is encoded, so that a history that is sent again costs little.

        Args:
            answers: the memory once the message that these answer was in it, and its number: they are dropped if it is
                gone.

        Raises:
            NotFound: the message answered was deleted meanwhile.
            DifferentText: an external id is known with another text.
        """
        began = time.perf_counter()
        known_before = await self._known_before(user_id, drafts)
        looks_new = [draft for draft in drafts if draft.external_id not in known_before]
        utterances = dict(zip(map(id, looks_new), await self._encode(looks_new), strict=True))
        encode = _ms(began)

        async def once(live: CachedMemory) -> Remembered:
            known = await self._known(user_id, live, drafts)
            if answers and not await self._still_there(user_id, live, answers):
                raise NotFound("the message was deleted before it was answered")
            messages: list[Message] = []
            fresh: list[tuple[Message, Utterance]] = []
            for draft in drafts:
                message = known.get(draft.external_id) if draft.external_id is not None else None
                if message is not None and message.content != draft.content:
                    raise DifferentText(message, draft)
                if message is None:
                    message = _logged(draft, live.head.last_seq + len(fresh) + 1)
                    if id(draft) not in utterances:  # forgotten since we looked
                        [utterances[id(draft)]] = await self._encode([draft])
                    fresh.append((message, utterances[id(draft)]))
                    if draft.external_id is not None:
                        known[draft.external_id] = message
                messages.append(message)
            timings = await self._write(user_id, live, fresh) if fresh else {}
            return remembered(live, messages, {"encode": encode, **timings})

        return await self.live.in_order(user_id, once, trusting=True)

    async def recall_and_store(self, user_id: str, draft: Draft, k: int, history: int) -> TurnContext:
        """A turn's first half: reads with the message as cue, then commits the message, what it wrote and the trace.

        Args:
            k: messages to recall.
            history: latest messages of the session to bring along.

        Raises:
            AlreadyKnown: a message of that external id is in the log; nothing was changed.
        """
        began = time.perf_counter()
        query = parse(draft.content, draft.occurred_at)
        said, *cues = await self.device.encode([spoken(draft), *query.texts])
        utterance = (await self.device.told([said], [draft.content]))[0]
        encode = _ms(began)

        async def once(live: CachedMemory) -> TurnContext:
            if await self._known(user_id, live, [draft]):
                raise AlreadyKnown(draft.external_id)
            started = time.perf_counter()
            reading, decided = await read(self.device, live.state, query, cues, self.lookup(user_id, live))
            found, seq = grouped(reading, live.state, k), live.head.last_seq + 1
            outdated = outdated_in(reading, live.state)  # before a row that was read is written anew
            found = await self._beside_standing(live, found, (draft, utterance))
            async with self.live.reading(user_id, live) as connection:
                known = await _held(connection, live, {entry.source for entry in found})
                said = await log.latest_of_session(connection, live.head.id, draft.session_id, seq, history)
            timings = {"encode": encode, "read": _ms(started)}
            plain = decided.plain(draft.content)
            message = dataclasses.replace(_logged(draft, seq), confidence=reading.confidence, parsed=plain)
            trace = [dataclasses.replace(entry, seq=seq) for entry in found]
            timings |= await self._write(user_id, live, [(message, utterance)], trace)
            stored = remembered(live, [message], timings)
            every = recollected(found, known, live.head.capacity)
            recalled = recalled_by(every, outdated, reading, decided, timings)
            return TurnContext(recalled, stored, said, timings)

        return await self.live.in_order(user_id, once, trusting=True)

    async def recall(
        self,
        user_id: str,
        query: str,
        k: int,
        session_id: str | None = None,
        asked_at: datetime | None = None,
        among: Filter | None = None,
        min_confidence: float = 0.0,
        min_weight: float = 0.0,
        as_turn: bool = False,
    ) -> Recalled:
        """Reads with a cue, changing nothing.

        Args:
            session_id: where given, only what was said in that session is recalled.
            asked_at: what "last week" in the query is relative to; now, unless given.
            among: which messages are recalled, in place of `session_id`.
            min_confidence: below it nothing is recalled.
            min_weight: a message of less weight is not recalled.
            as_turn: whether what stands is read too, as at every turn.

        Raises:
            NotFound: no such user or session.
        """
        began = time.perf_counter()
        parsed = parse(query, asked_at or datetime.now(UTC))
        cues = await self.device.encode(parsed.texts)
        encode = _ms(began)

        async def once(live: CachedMemory) -> Recalled:
            _must_exist(user_id, live)
            started = time.perf_counter()
            wanted = await self.wanted(user_id, live, among or Filter(session_id))
            lookup = self.lookup(user_id, live)
            reading, decided = await read(self.device, live.state, parsed, cues, lookup, rows_of(live, wanted))
            found = grouped(reading, live.state, k, among=wanted)
            if as_turn:
                found = await self._beside_standing(live, found)
            known = await self.messages_held(user_id, live, {entry.source for entry in found})
            timings = {"encode": encode, "read": _ms(started), "total": _ms(began)}
            every = recollected(found, known, live.head.capacity)
            mattering = that_matter(every, reading.confidence, min_confidence, min_weight)
            return recalled_by(mattering, outdated_in(reading, live.state), reading, decided, timings)

        return await self.live.in_order(user_id, once, trusting=True)

    async def forget(self, user_id: str, message_id: str, with_replies: bool = False) -> Forgotten:
        """`Editing.forget`."""
        return await self.editing.forget(user_id, message_id, with_replies)

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

    async def _beside_standing(
        self, live: CachedMemory, found: list[ReadTrace], said: tuple[Draft, Utterance] | None = None
    ) -> list[ReadTrace]:
        saying = None if said is None else (said[1], features_of(self.core, said[0]))
        return await self.device.run(beside_standing, self.core, live.state, found, self.standing, saying)

    async def _write(
        self,
        user_id: str,
        live: CachedMemory,
        said: Sequence[tuple[Message, Utterance]],
        trace: Sequence[ReadTrace] = (),
    ) -> dict[str, float]:
        """Writes messages to the memory and commits, with what the first of them read. Returns the times, in ms."""
        changed, written = {entry.slot for entry in trace}, set[int]()

        def write(some: Sequence[tuple[Message, Utterance]]) -> None:
            if some[0][0].confidence is not None:
                note_read_(self.core, live.state, trace)
            slots, words = write_messages_(self.core, live, some)
            changed.update(slots)
            written.update(words)

        def compute() -> Change:
            write(said[start:])
            change = Change.of(live.head, live.state, changed, written, last_seq=said[-1][0].seq)
            return dataclasses.replace(change, said=[message for message, _ in said], reads=trace)

        began, start = time.perf_counter(), 0
        while len(said) - start > WRITTEN_AT_ONCE:
            await self.device.run(write, said[start : start + WRITTEN_AT_ONCE])
            start += WRITTEN_AT_ONCE
        before = _ms(began)
        timings = await compute_and_commit(self.device, self.database, user_id, live, compute)
        return {**timings, "write": round(before + timings["write"], 3)}

    async def wanted(self, user_id: str, live: CachedMemory, which: Filter) -> list[int] | None:
        """The numbers of the messages that a filter lets through; None where it lets all through.

        Raises:
            NotFound: it names a session that there is not.
        """
        if which.is_open:
            return None
        async with self.live.reading(user_id, live) as connection:
            if which.session_id and not await log.session_exists(connection, live.head.id, which.session_id):
                raise NotFound(f"user {user_id} has no session {which.session_id}")
            return await log.seqs_matching(connection, live.head.id, which)

    def lookup(self, user_id: str, live: CachedMemory) -> Lookup:
        """Finds messages of a memory that is the newest; raises `Conflict` where it is not."""

        async def messages(seqs: Collection[int]) -> Mapping[int, Message]:
            async with self.live.reading(user_id, live) as connection:
                return await log.by_seqs(connection, live.head.id, seqs)

        return messages

    async def messages_held(self, user_id: str, live: CachedMemory, seqs: Collection[int]) -> Mapping[int, Message]:
        """The messages of numbers that the memory holds.

        Raises:
            DamagedMemory: the log lacks one.
        """
        async with self.live.reading(user_id, live) as connection:
            return await _held(connection, live, seqs)

    async def _encode(self, drafts: Sequence[Draft]) -> list[Utterance]:
        if not drafts:
            return []
        utterances = await self.device.encode([spoken(draft) for draft in drafts])
        return await self.device.told(utterances, [draft.content for draft in drafts])

    async def _known_before(self, user_id: str, drafts: Sequence[Draft]) -> Collection[str]:
        """External ids that are known, at a glance: by the time of the commit it may be others."""
        ids = {draft.external_id for draft in drafts if draft.external_id is not None}
        if not ids:
            return ()
        async with self.database.reading() as connection:
            record = await memories.granted(connection, user_id)
            return await log.by_external_ids(connection, record.id, ids) if record is not None else ()

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


def rows_of(live: CachedMemory, seqs: list[int] | None) -> Tensor | None:
    """Which rows hold messages of these numbers; None for all."""
    return None if seqs is None else torch.isin(live.state.source, live.state.source.new_tensor(seqs))


async def _held(connection: AsyncConnection, live: CachedMemory, seqs: Collection[int]) -> Mapping[int, Message]:
    known = await log.by_seqs(connection, live.head.id, seqs)
    if len(known) < len(set(seqs)):
        raise DamagedMemory("the log lacks a message that the memory holds: run `mneme replay`, or restore a backup")
    return known


def _logged(draft: Draft, seq: int) -> Message:
    return Message(seq, uuid.uuid4().hex, **vars(draft))


def _must_exist(user_id: str, live: CachedMemory) -> None:
    if live.head.version == 0:
        raise NotFound(f"no user {user_id}")


def _ms(began: float) -> float:
    return round(1000 * (time.perf_counter() - began), 3)
