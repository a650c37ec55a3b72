"""Fits what outdates what (`memory_core.outdating`): on conversations whose questions know what was updated.

Of each question about how something stands now, the earlier slot of a pair is evidence; the later one outdates it if it
is later evidence of an update, and any other later slot does not. `mneme train everyday` does it on the conversations
that ship, `mneme train recall` on its way, on all that it is trained on.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from memory_core import candidate_retrieval, outdating, reading
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.outdating import PAIR, Outdating
from memory_core.state import EpisodicState
from memory_core.training.calibration import minimise_standardised
from memory_core.training.conversations import UPDATES
from memory_core.training.datasets import Dataset

PREFIX = "outdating."
_THRESHOLDS = [1.0 - 10.0 ** (-step / 8) for step in range(2, 28)]  # 0.44 to 0.9996
_RAISED_WRONGLY = 3.0  # what a slot raised without reason costs, beside an update that is missed
_DECAY = 1e-4


class Pairs(NamedTuple):
    """What is fitted to.

    Attributes:
        seen: see `outdating.Seen.pairs`.
        truth: 1 where the later slot outdates the earlier one.
        question: the number of the question that a pair stems from.
    """

    seen: Float[Tensor, "pairs features"]
    truth: Float[Tensor, " pairs"]
    question: Int[Tensor, " pairs"]

    def some(self, which: Tensor) -> "Pairs":
        """A part of the pairs."""
        return Pairs(*(column[which] for column in self))


@torch.no_grad()
def pairs_of(memory: EpisodicMemory, encoder: Encoder, written_: Iterable[tuple[Dataset, EpisodicState]]) -> Pairs:
    """The pairs of all questions of memories that ask how something stands now."""
    seen, truth, question = [torch.zeros(0, len(PAIR))], [torch.zeros(0)], [torch.zeros(0, dtype=torch.int64)]
    number = 0
    for dataset, state in written_:
        asked = [(one, told) for one, told, until in dataset.questions if told and not until]
        for (one, told), cue in zip(asked, encoder.encode([one.text for one, _ in asked]), strict=True):
            number += 1
            of = candidate_retrieval.retrieve(memory, state, cue)
            given = reading.found(memory, state, of, candidate_retrieval.cosines([state], [of])[0])
            if not bool(given.now[0]):
                continue
            evidence = torch.isin(given.order, given.order.new_tensor(sorted(told)))
            update = one.category in UPDATES and len(told) > 1
            for earlier in evidence.nonzero().squeeze(1).tolist():
                counts = outdating.may_outdate(given, earlier) & (~evidence | update)
                seen.append(outdating.seen(memory, state, of, given, earlier).pairs[counts])
                truth.append(evidence[counts].float())
                question.append(torch.full((len(truth[-1]),), number))
    return Pairs(torch.cat(seen), torch.cat(truth), torch.cat(question))


def fit(pairs: Pairs, seed: int) -> Outdating:
    """The classifier of greatest likelihood, updates counting as much as all else, and its threshold.

    The threshold is chosen by the pairs of one question in four, which another fit did not see.
    """
    held = pairs.question % 4 == 0
    if any(not 0 < int(truth.sum()) < len(truth) for truth in (pairs.truth, pairs.truth[~held])):
        return Outdating(pairs.seen.shape[1]).requires_grad_(False)  # nothing to learn from: it raises nothing
    classifier = _fitted(pairs, seed)
    other = _fitted(pairs.some(~held), seed)
    classifier.threshold.fill_(_threshold(other, pairs.some(held)))
    return classifier


def _fitted(pairs: Pairs, seed: int) -> Outdating:
    torch.manual_seed(seed)
    classifier = Outdating(pairs.seen.shape[1])
    weight = torch.where(pairs.truth > 0, 0.5 / pairs.truth.sum().clamp(min=1), 0.5 / (1 - pairs.truth).sum())

    def loss(standard: Tensor) -> Tensor:
        told = classifier.logits(standard)
        return functional.binary_cross_entropy_with_logits(told, pairs.truth, weight, reduction="sum")

    minimise_standardised(classifier, pairs.seen, loss, decay=_DECAY)
    return classifier.requires_grad_(False)


@torch.no_grad()
def _threshold(classifier: Outdating, held: Pairs) -> float:
    costs: dict[float, float] = {}
    told = classifier(held.seen)
    for threshold in _THRESHOLDS:
        missed, wrong, updates, others = 0, 0, 0, 0
        for number in torch.unique(held.question).tolist():
            mine = held.question == number
            best = int(told[mine].argmax())
            raised, right = bool(told[mine][best] > threshold), bool(held.truth[mine][best] > 0)
            if bool(held.truth[mine].any()):
                updates, missed = updates + 1, missed + (not (raised and right))
            else:
                others, wrong = others + 1, wrong + raised
        costs[threshold] = missed / max(updates, 1) + _RAISED_WRONGLY * wrong / max(others, 1)
    return min(costs, key=lambda threshold: costs[threshold])


def figures(classifier: Outdating, held: Pairs) -> dict[str, int | float]:
    """Percent of the updates whose later statement is raised, and of the other questions where anything is."""
    told = classifier(held.seen)
    found, raised = [], []
    for number in torch.unique(held.question).tolist():
        mine = held.question == number
        best = int(told[mine].argmax())
        over = bool(told[mine][best] > classifier.threshold)
        if bool(held.truth[mine].any()):
            found.append(over and bool(held.truth[mine][best] > 0))
        else:
            raised.append(over)
    return {
        "updates": len(found), "raised, %": round(100 * sum(found) / max(len(found), 1), 1),
        "others": len(raised), "raised wrongly, %": round(100 * sum(raised) / max(len(raised), 1), 1),
    }  # fmt: skip


def tensors_of(classifier: Outdating) -> dict[str, Tensor]:
    """The classifier as the weights that ship hold it."""
    return {PREFIX + name: tensor.detach().contiguous() for name, tensor in classifier.state_dict().items()}
