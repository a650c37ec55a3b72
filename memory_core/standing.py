"""What holds until it is revoked ("I'm vegetarian", "answer me in Spanish from now on"): read at every turn, whatever
the cue.

A row's `standing` says how surely its message holds until revoked; it was told when it was written. Of two that are
about one matter the later takes the place of the earlier: "coffee is fine again" that of "I don't drink coffee". Which
do is learned (`Succession`). A turn's cost is one pass over the rows and a comparison of the few that stand. Only what
the user says of themselves stands: no reply, no instruction of a system, and where several speakers have names, nothing
of theirs.
"""

from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from memory_core.encoder import Utterance
from memory_core.message_features import MessageFeatures, has
from memory_core.state import EpisodicState
from memory_core.succession import Statements

if TYPE_CHECKING:
    from memory_core.episodic import EpisodicMemory

STANDS = 0.5  # probability from which a message counts as one that holds until revoked
SHARE = 0.2  # of a turn's read weighting that is on what stands, where anything does
_LATEST = 2**62  # the number of what is being said: above all that is written
_COMPARED = 256  # rows, the newest that stand, of which some may take the place of others


class Replaced(NamedTuple):
    """Rows that stood until others took their place, with the newest row that did."""

    rows: Int[Tensor, " replaced"]
    by: Int[Tensor, " replaced"]


class Standing(NamedTuple):
    """Rows that stand, the newest first, with how surely each does."""

    rows: Int[Tensor, " standing"]
    scores: Float[Tensor, " standing"]


@torch.no_grad()
def standing(
    memory: "EpisodicMemory",
    state: EpisodicState,
    most: int,
    saying: tuple[Utterance, MessageFeatures] | None = None,
) -> Standing:
    """What of a memory holds until revoked, and has not been.

    Args:
        most: rows at most, the newest.
        saying: the message that is being said, not yet written; what it takes the place of is left out.
    """
    rows = _candidates(state) if most else state.source.new_empty(0)
    if len(rows) and memory.succession is not None:
        told = later = Statements.of(state, rows, memory.lemma_ids)
        now = None if saying is None else being_said(memory, *saying)
        if now is not None and bool(now.scores[0] > STANDS):
            later = now.joined(told)
        replaces = memory.succession.replaces(told, later)
        rows = rows[~replaces.any(1)]
    rows = rows[:most]
    return Standing(rows, state.standing[rows])


@torch.no_grad()
def replaced(memory: "EpisodicMemory", state: EpisodicState) -> Replaced:
    """What stood until something said later took its place, the newest first."""
    rows = _candidates(state)
    if len(rows) < 2 or memory.succession is None:
        return Replaced(rows[:0], rows[:0])
    told = Statements.of(state, rows, memory.lemma_ids)
    replaces = memory.succession.replaces(told, told)
    gone = replaces.any(1).nonzero().squeeze(1)
    return Replaced(rows[gone], rows[replaces[gone].float().argmax(1)])  # the first is the newest


def being_said(memory: "EpisodicMemory", utterance: Utterance, message_features: MessageFeatures) -> Statements:
    """A message that is not yet written: what a write would make of it."""
    alone, written = memory.write(memory.empty(1), utterance, 1, message_features=message_features)
    return Statements.of(alone, written.rows[:1], memory.lemma_ids)._replace(order=written.rows.new_tensor([_LATEST]))


def _candidates(state: EpisodicState) -> Int[Tensor, " rows"]:
    rows = ((state.standing > STANDS) & (state.source > 0)).nonzero().squeeze(1)
    bits = state.feature_bits[rows]
    own = ~has(bits, "reply") & (~has(bits, "named") | _of_one_voice(state))
    rows = rows[own]
    return rows[torch.sort(state.source[rows], descending=True, stable=True).indices[:_COMPARED]]


def _of_one_voice(state: EpisodicState) -> Bool[Tensor, ""]:
    """Whether at most one name speaks in a memory: then it is the user's own."""
    named = state.speaker_tokens[(state.source > 0) & has(state.feature_bits, "named")]
    return (named == named[:1]).all() if len(named) else torch.tensor(True, device=state.source.device)


def weights(found: Standing) -> Float[Tensor, " standing"]:
    """The weighting of the read mode `standing`: its share, divided by how surely each row stands."""
    return SHARE * functional.normalize(found.scores, p=1.0, dim=0) if len(found.rows) else found.scores
