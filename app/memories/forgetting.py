"""Forgetting messages: its text, its slots and links, the trace of its turn and its place in the traces of others.

What its turn had read is undone too: the usage of those slots, and where a follow-up would start, become what they are
without it. So a replay of the log that is left gives the memory that is left.
"""

import dataclasses
from collections.abc import Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from app.memories.cache import CachedMemory
from app.memories.messages import precedence_gate
from app.memories.trace import set_last_read_
from app.store import log, memories
from app.store.log import Message, Tombstone
from app.store.memories import ReadTrace
from memory_core import writing
from memory_core.encoder import Utterance
from memory_core.episodic import EpisodicMemory


@dataclasses.dataclass(frozen=True)
class Effects:
    """What the turns of messages that go did beside writing.

    Attributes:
        read: the slots that they read.
        others: all other readings of the messages that those slots held, by turns that stay.
        last: the last reading of the memory by a turn that stays.
    """

    read: list[ReadTrace]
    others: list[ReadTrace]
    last: list[ReadTrace]


async def effects(connection: AsyncConnection, memory_id: str, seqs: Collection[int]) -> Effects:
    """Gathers what forgetting these messages must undo."""
    read = [entry for trace in (await memories.reads_of(connection, memory_id, list(seqs))).values() for entry in trace]
    others = [
        other
        for source in sorted({entry.source for entry in read}.difference(seqs))
        for other in await memories.reads_from(connection, memory_id, source)
        if other.seq not in seqs
    ]
    before = await log.last_cue(connection, memory_id, other_than=seqs)
    last = [] if before is None else (await memories.reads_of(connection, memory_id, [before.seq]))[before.seq]
    return Effects(read, others, [entry for entry in last if entry.source not in seqs])


def forget_(
    core: EpisodicMemory, live: CachedMemory, gone: Sequence[tuple[Message, Utterance]], undo: Effects
) -> tuple[set[int], list[tuple[Message, Tombstone]]]:
    """Takes messages out of the memory, in place.

    Args:
        gone: the messages, each with what was written of it.

    Returns:
        The rows that changed, and what stays of each message.
    """
    state, head = live.state, live.head
    changed, places = set[int](), []
    for message, utterance in sorted(gone, key=lambda one: one[0].seq):
        changed |= set(core.forget_(state, message.seq).tolist())
        parts = writing.slots_of(core.config, len(writing.drop_stopwords(core, utterance).token_ids), head.capacity)
        gate = precedence_gate(core, message)
        places.append((message, Tombstone(message.seq, parts, gate, head.last_seq, head.version + 1)))
    for slot, source in sorted({(entry.slot, entry.source) for entry in undo.read}):
        if int(state.source[slot]) == source:
            left = [(one.seq - 1, one.weight) for one in undo.others if (one.slot, one.source) == (slot, source)]
            core.restore_usage_(state, slot, left)
            changed.add(slot)
    set_last_read_(core, state, undo.last)
    return changed, places
