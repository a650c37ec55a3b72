"""What is fitted beside the reader: the write gate before it; its confidence, renewal and the read modes after it.

A few numbers each, found by search or by maximum likelihood, on what the reader is trained on; and how well they do.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.read_mode_prototypes import OTHERS
from memory_core.reranker import Reranker, RerankerInput, evidence
from memory_core.training.conversations import UPDATES
from memory_core.training.datasets import RecallBatch, by_source
from memory_core.write_gate import WriteGate


def fit_write_gate(sets: Sequence[tuple[Tensor, Tensor]]) -> WriteGate:
    """The write gate that tells rows somebody asks for from the others: by maximum likelihood with a little decay.

    Args:
        sets: `message_features.features` of each set's rows, and 1 for those that answer a question. Every set counts
            as much, and in it those asked for as much as the others.
    """
    gate = WriteGate()
    rows, truth = (torch.cat(column) for column in zip(*sets, strict=True))
    weight = torch.cat([torch.where(one > 0, 0.5 / one.sum(), 0.5 / (1 - one).sum()) for _, one in sets]) / len(sets)

    def loss() -> Tensor:
        return functional.binary_cross_entropy_with_logits(gate.logits(rows), truth, weight, reduction="sum")

    minimise(gate, loss, decay=1e-4)
    return gate


def minimise(module: nn.Module, loss: Callable[[], Tensor], decay: float) -> None:
    """Finds the parameters of least loss, by a quasi-Newton method over all data at once; weight matrices decay."""

    def decayed() -> Tensor:
        return loss() + decay * sum(each.square().sum() for each in module.parameters() if each.dim() > 1)

    minimise_loss(decayed, list(module.parameters()), 300)


def minimise_loss(
    loss: Callable[[], Tensor], parameters: Sequence[Tensor], steps: int = 200, history: int = 100
) -> None:
    """Finds the parameters of least loss, by a quasi-Newton method with a line search (L-BFGS).

    Args:
        steps: at most.
        history: of so many steps the curvature is made up.
    """
    optimiser = torch.optim.LBFGS(parameters, max_iter=steps, history_size=history, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    optimiser.step(closure)  # type: ignore[no-untyped-call]


def minimise_standardised(
    module: nn.Module, inputs: Float[Tensor, "rows numbers"], loss: Callable[[Tensor], Tensor], decay: float,
    least: float = 1e-3,
) -> None:  # fmt: skip
    """`minimise`, with inputs of mean 0 and deviation 1; then the first layer is made to take them as they are.

    Args:
        module: its first linear layer takes the inputs.
        loss: of the inputs so evened out.
        least: deviation that a number counts as having at least.
    """
    mean, deviation = inputs.mean(0), inputs.std(0).clamp(min=least)
    standard = (inputs - mean) / deviation
    minimise(module, lambda: loss(standard), decay)
    first = next(layer for layer in module.modules() if isinstance(layer, nn.Linear))
    with torch.no_grad():
        first.weight.div_(deviation)
        first.bias.sub_(first.weight @ mean)


@torch.no_grad()
def fit_recency_override(reader: Reranker, sets: Sequence[RecallBatch]) -> None:
    """Sets from which similarity on a slot counts as telling what is asked, so that a later one comes first.

    The least of the sum of two costs: the share of the questions about what was updated that find the earlier statement
    first; and what the read weighting lacks at the evidence of all others that ask how something stands now.
    """
    asking = [
        every.some(index) for every in sets if len(index := (every.found.now & every.right.any(1)).nonzero()[:, 0])
    ]
    before = [reader(of.found).logits for of in asking]  # as yet no slot counts so
    costs = {}
    for threshold in torch.linspace(0.45, 0.7, 51).tolist():
        reader.recency_override.fill_(threshold)
        updates, others = [], []
        for of, logits in zip(asking, before, strict=True):
            weights = by_source(reader.override_by_recency(of.found, logits), of.source, of.found.allowed)
            for number, row in enumerate(weights):
                told = torch.unique(of.source[of.right[number]])
                if of.categories[number] not in UPDATES:
                    others.append(_lack(row, told))
                elif len(told) > 1:
                    updates.append((row[told[0]] >= row[told[1:]].max()).float())
        costs[threshold] = sum(float(torch.stack(each).mean()) for each in (updates, others) if each)
    reader.recency_override.fill_(min(costs, key=costs.__getitem__) if costs else torch.inf)


def _lack(row: Tensor, told: Tensor) -> Tensor:
    wrong = torch.logsumexp(row.index_fill(0, told, -1e9), 0)
    return functional.softplus(wrong - row[told]).mean()


@torch.no_grad()
def updates(reader: Reranker, sets: Sequence[RecallBatch]) -> list[tuple[bool, bool]]:
    """Of each question about what was updated: is a later statement before the first, and are both of the first ten?"""
    measured = []
    for every in sets:
        for number, right in enumerate(every.right):
            told = torch.unique(every.source[right])
            if every.categories[number] in UPDATES and len(told) > 1:
                of = every.some(torch.tensor([number]))
                weights = by_source(reader(of.found).logits, of.source, of.found.allowed)[0]
                later = weights[told[1:]].max()
                first_ten = (weights > torch.minimum(later, weights[told[0]])).sum() < 10
                measured.append((bool(later > weights[told[0]]), bool(first_ten)))
    return measured


@torch.no_grad()
def evidences(
    reader: Reranker, sets: Sequence[RecallBatch], others: Sequence[RecallBatch], answerable: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the confidence is fitted to and measured by, a row a reading.

    The questions as they are have an answer. The same ones of memories without their evidence have none, nor has what
    was said within three turns of it, which often tells the same; and the renamed questions have none.

    Args:
        sets, others: the questions of each memory, and those renamed.
        answerable: see `RecallTraining`.

    Returns:
        Evidence, 1 where there is an answer, 1 where the question was renamed, and weights that give those with an
        answer their share `answerable`.
    """
    rows, labels, exchanged = [], [], []

    def add(of: RerankerInput, label: float, other: float = 0.0) -> None:
        some = of.allowed.any(1)
        rows.append(evidence(of, reader(of))[some])
        labels.append(torch.full_like(rows[-1][:, 0], label))
        exchanged.append(torch.full_like(rows[-1][:, 0], other))

    for every in sets:
        for index in torch.split(torch.arange(len(every.right)), 32):
            of = every.some(index)
            told = [every.source[right] for right in of.right]
            gone = torch.stack([((every.source.unsqueeze(1) - one).abs() <= 3).any(1) for one in told])
            add(of.found, 1.0)
            add(of.found._replace(allowed=of.found.allowed & ~gone), 0.0)
    for every in others:
        for index in torch.split(torch.arange(len(every.right)), 32):
            add(every.some(index).found, 0.0, 1.0)
    truth = torch.cat(labels)
    weight = torch.where(truth > 0, answerable / truth.sum(), (1 - answerable) / (1 - truth).sum())
    return torch.cat(rows), truth, torch.cat(exchanged), weight


def calibrate(reader: Reranker, sets: Sequence[RecallBatch], others: Sequence[RecallBatch], answerable: float) -> None:
    """Fits the confidence to `evidences`, by maximum likelihood with a little decay."""
    x, truth, _, weight = evidences(reader, sets, others, answerable)

    def loss(standard: Tensor) -> Tensor:
        told = reader.confidence_head(standard).squeeze(-1)
        return functional.binary_cross_entropy_with_logits(told, truth, weight, reduction="sum")

    minimise_standardised(reader.confidence_head, x, loss, decay=1e-3)


@torch.no_grad()
def calibration(
    reader: Reranker, sets: Sequence[RecallBatch], others: Sequence[RecallBatch], answerable: float
) -> dict[str, float]:
    """How well the confidence tells questions with an answer from those without, and from those renamed alone."""
    x, truth, exchanged, weight = evidences(reader, sets, others, answerable)
    p = torch.sigmoid(reader.confidence_head(x).squeeze(-1))
    figures = {"auroc": auroc(p[truth > 0], p[(truth == 0) & (exchanged == 0)])}
    if exchanged.any():
        figures["auroc, renamed"] = auroc(p[truth > 0], p[exchanged > 0])
    return figures | {"calibration_error": calibration_error(p, truth, weight=weight)}


def auroc(positive: Tensor, negative: Tensor) -> float:
    """How often a positive one has the greater value; equal ones count half."""
    greater = (positive.unsqueeze(1) > negative).float() + 0.5 * (positive.unsqueeze(1) == negative).float()
    return float(greater.mean())


def calibration_error(probability: Tensor, truth: Tensor, bins: int = 10, weight: Tensor | None = None) -> float:
    """Expected calibration error over bins of equal width, of cases that count as `weight` says or all the same.

    Source: Guo et al. 2017, eq. 5.
    """
    weight = torch.ones_like(probability) if weight is None else weight
    place = (probability * bins).long().clamp(max=bins - 1)
    off = probability.new_zeros(bins).index_add(0, place, (probability - truth) * weight)
    return float(off.abs().sum() / weight.sum())


def fit_modes(encoder: Encoder, memory: EpisodicMemory) -> None:
    """Sets from which likeness to a prototype on a cue follows the last reading: a logistic fit.

    The prototypes, each against all others, are what follows; questions that name what they ask for are what does not,
    and count ten times as much, for so many more of them are asked.
    """
    prototypes = torch.cat([memory.follow_up_prototypes, memory.look_back_prototypes])
    positive = (prototypes @ prototypes.T).fill_diagonal_(-1.0).amax(1)
    asking = [cue.pooled for cue in encoder.encode(OTHERS)]
    negative = (torch.stack(asking) @ prototypes.T).amax(1)
    strength, fits = float(memory.mode_strength), {}
    for threshold in torch.linspace(0.3, 0.95, 131).tolist():
        missed = functional.softplus(-strength * (positive - threshold)).mean()
        mistaken = functional.softplus(strength * (negative - threshold)).mean()
        fits[threshold] = float(missed + 10 * mistaken)
    memory.mode_threshold.data.fill_(min(fits, key=fits.__getitem__))
