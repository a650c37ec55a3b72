"""Forgetting a message: its text, its slots and links, the trace of its turn and its place in the traces of others.

What its turn had read is undone too: the usage of those slots, and where a follow-up would start, become what they are
without it. So a replay of the log that is left gives the memory that is left.
"""

import dataclasses

from sqlalchemy.ext.asyncio import AsyncConnection

from app.memories.cache import CachedMemory
from app.memories.commit import Change
from app.memories.messages import precedence_gate
from app.memories.trace import set_last_read_
from app.store import log, memories
from app.store.log import Message, Tombstone
from app.store.memories import ReadTrace
from memory_core.encoder import Utterance
from memory_core.episodic import EpisodicMemory


@dataclasses.dataclass(frozen=True)
class Effects:
    """What a message's turn did beside writing.

    Attributes:
        read: the slots that it read.
        others: all other readings of the messages that those slots held.
        last: the last reading of the memory by another turn.
    """

    read: list[ReadTrace]
    others: list[ReadTrace]
    last: list[ReadTrace]


async def effects(connection: AsyncConnection, memory_id: str, seq: int) -> Effects:
    """Gathers what forgetting message `seq` must undo."""
    read = (await memories.reads_of(connection, memory_id, [seq]))[seq]
    others = [
        other
        for source in sorted({entry.source for entry in read})
        for other in await memories.reads_from(connection, memory_id, source)
        if other.seq != seq
    ]
    before = await log.last_cue(connection, memory_id, other_than=seq)
    last = [] if before is None else (await memories.reads_of(connection, memory_id, [before.seq]))[before.seq]
    return Effects(read, others, last)


def forget_(core: EpisodicMemory, live: CachedMemory, message: Message, utterance: Utterance, undo: Effects) -> Change:
    """Takes a message out of the memory, in place.

    Args:
        utterance: what was written of it.
    """
    state, seq = live.state, message.seq
    changed = set(core.forget_(state, seq).tolist())
    for entry in undo.read:
        if int(state.source[entry.slot]) == entry.source:
            left = [(one.seq - 1, one.weight) for one in undo.others if one.slot == entry.slot]
            core.restore_usage_(state, entry.slot, left)
            changed.add(entry.slot)
    set_last_read_(core, state, undo.last)
    change = Change.of(live.head, state, changed, [])
    parts = core.parts(len(core.drop_stopwords(utterance).token_ids), live.head.capacity)
    gate = precedence_gate(core, message)
    place = Tombstone(seq, parts, gate, after_seq=live.head.last_seq, version=change.record.version)
    return dataclasses.replace(change, forgotten=[(message, place)])
