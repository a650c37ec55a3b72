"""Which of two statements that hold until revoked takes the place of the other: "coffee is fine again" that of "I don't
drink coffee", "call me Samantha" that of "call me Sam", but "I'm allergic to nuts" not that of "I'm vegetarian".

A small classifier of pairs, learned from statements grouped by what they are about (`mneme train standing`). It sees
where a learned projection takes both sentences, how their words match, and how they are said. It must not know texts.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from memory_core.binary_codes import decode_word
from memory_core.message_features import has
from memory_core.state import EpisodicState

_PIECES = 12  # of a row, its rarest, that are compared
_SPACE = 32  # dimensions of the projection
_SAID = ("negative", "tells change", "about self")
_HIDDEN = 12
PAIR = 11 + 3 * len(_SAID)


class Statements(NamedTuple):
    """What is compared of rows.

    Attributes:
        sentence: unit vectors.
        facets, pieces: of the rarest word pieces; a piece of -1 is none.
        said: the features of `_SAID`, 1 or 0.
        order: the numbers of the messages; a later one is greater.
        scores: how surely each holds until revoked.
    """

    sentence: Float[Tensor, "rows word"]
    facets: Float[Tensor, "rows pieces word"]
    pieces: Int[Tensor, "rows pieces"]
    said: Float[Tensor, "rows said"]
    order: Int[Tensor, " rows"]
    scores: Float[Tensor, " rows"]

    @classmethod
    def of(cls, state: EpisodicState, rows: Int[Tensor, " rows"], lemma_ids: Int[Tensor, " pieces"]) -> "Statements":
        """The statements that rows of a memory hold."""
        token_ids = state.token_ids[rows, :_PIECES]
        bits = state.feature_bits[rows]
        return cls(
            functional.normalize(state.sentence[rows].float(), dim=-1),
            decode_word(state.words[rows, :_PIECES]),
            torch.where(token_ids < 0, -1, lemma_ids[token_ids.long()].long()),
            torch.stack([has(bits, name).float() for name in _SAID], -1),
            state.source[rows],
            state.standing[rows],
        )

    def joined(self, others: "Statements") -> "Statements":
        """These, then the others."""
        return Statements(*(torch.cat(both) for both in zip(self, others, strict=True)))


def pairs(earlier: Statements, later: Statements) -> Float[Tensor, "earlier later features"]:
    """What `Succession` sees of every pair beside the projection."""
    mine, theirs = earlier.pieces >= 0, later.pieces >= 0
    both = mine[:, None, :, None] & theirs[None, :, None, :]
    cosines = torch.einsum("epw,lqw->elpq", earlier.facets, later.facets).masked_fill(~both, -1.0)
    same = ((earlier.pieces[:, None, :, None] == later.pieces[None, :, None, :]) & both).float()
    counts = [mine.sum(1)[:, None].clamp(min=1), theirs.sum(1)[None, :].clamp(min=1)]
    seen = [earlier.sentence @ later.sentence.T]
    for axis, there, count in ((3, mine[:, None, :], counts[0]), (2, theirs[None, :, :], counts[1])):
        best, shared = cosines.amax(axis), same.amax(axis)
        seen += [
            (best * there).sum(2) / count,
            best.masked_fill(~there, 1.0).amin(2),
            (shared * there).sum(2) / count,
            best[:, :, 0],
            shared[:, :, 0],
        ]
    size = (len(earlier.order), len(later.order), len(_SAID))
    first, second = earlier.said[:, None, :].expand(size), later.said[None, :, :].expand(size)
    return torch.cat([torch.stack(seen, -1), first, second, first * second], -1)


class Succession(nn.Module):
    """Tells of each pair whether the later takes the place of the earlier.

    Attributes:
        centre, spread: of what is seen of the pairs that it is fitted to.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, word: int = 256) -> None:
        super().__init__()
        self.projection = nn.Parameter(torch.randn(word, _SPACE) * word**-0.5)
        self.strength = nn.Parameter(torch.tensor(3.0))
        self.register_buffer("centre", torch.zeros(PAIR))
        self.register_buffer("spread", torch.ones(PAIR))
        self.network = nn.Sequential(nn.Linear(PAIR, _HIDDEN), nn.Tanh(), nn.Linear(_HIDDEN, 1))

    def scale_(self, seen: Float[Tensor, "pairs features"]) -> None:
        """Takes the mean and the deviation of pairs."""
        self.centre.copy_(seen.mean(0))
        self.spread.copy_(seen.std(0) + 1e-6)

    def projected(self, sentence: Float[Tensor, "rows word"]) -> Float[Tensor, "rows space"]:
        """Where statements lie: those of one matter close to each other."""
        return functional.normalize(sentence @ self.projection, dim=-1)

    def logits(self, earlier: Statements, later: Statements) -> Float[Tensor, "earlier later"]:
        """The log odds of each pair."""
        alike = self.projected(earlier.sentence) @ self.projected(later.sentence).T
        return self.told(pairs(earlier, later), alike)

    def told(self, seen: Float[Tensor, "*pairs features"], alike: Float[Tensor, "*pairs"]) -> Float[Tensor, "*pairs"]:
        """The log odds of pairs, by what `pairs` gives and how close their statements lie."""
        judged: Tensor = self.network((seen - self.centre) / self.spread).squeeze(-1)
        return judged + self.strength * alike

    def replaces(self, earlier: Statements, later: Statements) -> Bool[Tensor, "earlier later"]:
        """Whether each pair's later one is later indeed, and takes the place of the earlier."""
        return (later.order[None, :] > earlier.order[:, None]) & (self.logits(earlier, later) > 0)
