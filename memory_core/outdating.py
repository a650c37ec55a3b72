"""Whether what was told later outdates what was told before, for what a cue asks.

"Rollo died" outdates "I have a dog called Rollo" for "What pets do I have?", "I moved" outdates "I live in Rome" for
"Where do I live?"; "My sock has a hole again" outdates neither. A small classifier of pairs of slots, learned from
conversations in which things change; it sees how the later slot fits the cue and the earlier one, and how it was said.
It must not know texts.
"""

from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from memory_core import addressing
from memory_core.binary_codes import decode_word, facet_cosines
from memory_core.candidate_retrieval import Candidates
from memory_core.message_features import FEATURE_NAMES, has
from memory_core.reranker import SIGNALS, RerankerInput, is_short
from memory_core.state import EpisodicState

if TYPE_CHECKING:
    from memory_core.episodic import EpisodicMemory

PAIR = (
    "earlier tells change", "later is short", "earlier is short", "other polarity",
    "same subject", "later's sentence fits cue", "sentences fit", "keys fit", "later fits cue", "later holds of cue",
    "later fits earlier", "later fits rest", "rarest shared", "lacks", "both",
)  # fmt: skip
_HIDDEN = 10
_NAMES = 0.7  # rarity from which a shared word is as good as a name
_COMMONEST = 3000  # the encoder's pieces go by how common they are; below are the thousand commonest English words
_REPLY, _CHANGES = FEATURE_NAMES.index("reply"), FEATURE_NAMES.index("tells change")


class Outdating(nn.Module):
    """Turns what is seen of pairs into the probability that the later slot outdates the earlier one. Fresh, none does.

    Args:
        seen: numbers a pair.

    Attributes:
        threshold: the probability from which a later slot is raised over the earlier one; fresh, none is.
    """

    threshold: Tensor

    def __init__(self, seen: int = len(PAIR)) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(seen, _HIDDEN), nn.Tanh(), nn.Linear(_HIDDEN, 1))
        self.register_buffer("threshold", torch.tensor(torch.inf))

    def logits(self, seen: Float[Tensor, "*pairs features"]) -> Float[Tensor, "*pairs"]:
        """The log odds of each pair."""
        told: Tensor = self.network(seen).squeeze(-1)
        return told

    def forward(self, seen: Float[Tensor, "*pairs features"]) -> Float[Tensor, "*pairs"]:
        """The probability of each pair."""
        return torch.sigmoid(self.logits(seen))

    def excess(self, seen: Float[Tensor, "*pairs features"]) -> Float[Tensor, "*pairs"]:
        """How far the log odds of each pair lie above those of the threshold; where it is positive, one outdates."""
        return self.logits(seen) - torch.logit(self.threshold.clamp(max=1.0))


def may_outdate(given: RerankerInput, earlier: int) -> Bool[Tensor, " slots"]:
    """The slots that may outdate one: statements of a change, told later, by the same speaker, and evidence."""
    same = (given.speaker == given.speaker[earlier]) & (given.features[:, _REPLY] == 0)
    return (given.order > given.order[earlier]) & same & given.allowed[0] & (given.features[:, _CHANGES] > 0)


class Seen(NamedTuple):
    """What is seen of each slot as the later one of a pair.

    Attributes:
        pairs: what `Outdating` takes, in the order of `PAIR`.
        names_it: it is short and shares with the earlier a word, not a common one, that hardly any other holds: a name.
        same_form: it holds one word of what is asked for and lacks another that the earlier holds, as what is said of
            the same thing of somebody else does.
    """

    pairs: Float[Tensor, "slots features"]
    names_it: Bool[Tensor, " slots"]
    same_form: Bool[Tensor, " slots"]


def seen(memory: "EpisodicMemory", state: EpisodicState, of: Candidates, given: RerankerInput, earlier: int) -> Seen:
    """What is seen of each slot as the later one of a pair.

    Args:
        earlier: the place of the other among the candidates.
    """
    slots, bits = of.slots, state.feature_bits[of.slots]
    assert given.exact is not None and given.shares is not None
    lemma_ids = memory.lemma_ids.long()
    sentence = functional.normalize(state.sentence[slots].float(), dim=-1)
    change = has(bits, "tells change").float()
    negative, own = has(bits, "negative").float(), has(bits, "about self").float()
    short = is_short(given.features).float()
    held = lemma_ids[state.token_ids[slots].long()]
    mine, words = held[earlier], state.words[slots[earlier]]
    kept = (mine >= 0) & ~memory.header_pieces[mine.clamp(min=0)]
    fits, rest, shared, name = (change * 0.0 for _ in range(4))
    if bool(kept.any()):
        mine, words = mine[kept], words[kept]
        told = (state.source > 0).sum()
        rarity = addressing.rarity(state.piece_counts[mine], told) / torch.log(told.float() + 2.0)
        new = (~torch.isin(mine, lemma_ids[of.terms.token_ids])).float()
        there = held >= 0
        slot = torch.repeat_interleave(there.sum(1))
        found = facet_cosines(decode_word(words).unsqueeze(0), state.words[slots][there], torch.zeros_like(slot))
        best = addressing.late_interaction(found, slot, len(slots))
        fits = best @ rarity / rarity.sum().clamp(min=1e-6)
        rest = best @ (rarity * new) / (rarity * new).sum().clamp(min=1e-6)
        same = addressing.exact_matches(mine, held, memory.vocabulary) * (rarity * new)
        shared, name = same.amax(1), (same * (mine >= _COMMONEST)).amax(1)
    counted = given.exact[0, earlier] * given.shares[0]
    lacks, both = counted @ (1.0 - given.exact[0]).T, counted @ given.exact[0].T
    signals = given.signals[0]
    of_pairs = torch.stack(
        [
            change[earlier].expand_as(change),
            short,
            short[earlier].expand_as(short),
            (negative - negative[earlier]).abs(),
            1.0 - (own - own[earlier]).abs(),
            signals[:, SIGNALS.index("sentence")],
            sentence @ sentence[earlier],
            given.keys @ given.keys[earlier],
            signals[:, SIGNALS.index("similarity")],
            signals[:, SIGNALS.index("exact")],
            fits,
            rest,
            shared,
            lacks,
            both,
        ],
        -1,
    )
    same_form = (lacks > 0) & (both > 0)
    return Seen(of_pairs, (name > _NAMES) & (short > 0) & ~same_form, same_form)
