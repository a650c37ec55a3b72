"""Fits the reader to the read weighting of labelled questions, by gradient, and measures how often it is right."""

import dataclasses
import math
import random
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from memory_core import addressing
from memory_core.message_features import FEATURE_NAMES
from memory_core.reranker import SIGNALS, WINDOW, Reranker, own_signals
from memory_core.training.datasets import LINES, RecallBatch, RecallError, RecallTraining, by_source

CUTS = (1, 5, 10, 20)
_NEAR = SIGNALS.index("near")
VOICES = [SIGNALS.index("speaker_tokens"), SIGNALS.index("other voice")]
_PERSON = [FEATURE_NAMES.index("reply"), FEATURE_NAMES.index("named")]
_DAY = 86_400


def loss(reader: Reranker, of: RecallBatch) -> Tensor:
    """How much the read weighting lacks at the evidence: each right message against all that are wrong, the mean."""
    logits = by_source(reader(of.found).logits, of.source, of.found.allowed)
    right = torch.zeros_like(logits).scatter_reduce(1, of.source.expand(len(logits), -1), of.right.float(), "amax")
    wrong = torch.logsumexp(logits.masked_fill(right > 0, -1e9), 1, keepdim=True)
    return ((functional.softplus(wrong - logits) * right).sum(1) / right.sum(1)).mean()


@torch.no_grad()
def measure(
    reader: Reranker | None, sets: Sequence[RecallBatch], at_once: int = 32
) -> list[tuple[str, list[float], float]]:
    """Of each question its category, evidence recall at each of `CUTS`, and whether the first one is evidence."""
    measured = []
    for every in sets:
        for index in torch.split(torch.arange(len(every.right)), at_once):
            of = every.some(index)
            logits = of.found.content if reader is None else reader(of.found).logits
            ranked = torch.argsort(by_source(logits, of.source, of.found.allowed), dim=1, descending=True, stable=True)
            for number, order in zip(index.tolist(), ranked, strict=True):
                told = set(every.source[every.right[number]].tolist())
                hits = [len(told & set(order[:k].tolist())) / len(told) for k in CUTS]
                measured.append((every.categories[number], hits, float(int(order[0]) in told)))
    return measured


def train_reader(
    reader: Reranker,
    sets: Mapping[str, list[RecallBatch]],
    training: RecallTraining,
    watch: Callable[[int, float], None],
) -> Reranker:
    """The reader after its updates; the sets are drawn by their shares, their memories by their questions."""
    chosen = random.Random(training.seed)
    optimiser = torch.optim.AdamW(reader.parameters(), lr=training.rate, weight_decay=1e-2)
    names, drawn = list(sets), torch.Generator().manual_seed(training.seed)
    for step in range(training.steps):
        name = chosen.choices(names, [training.sets[name] for name in names])[0]
        memory = chosen.choices(sets[name], [len(one.right) for one in sets[name]])[0]
        batch = memory.some(torch.randperm(len(memory.right), generator=drawn)[: training.batch_size])
        if chosen.random() < training.dated:
            batch = _dated(batch, training.late, chosen)
        if name == LINES and chosen.random() < training.shuffled_context:
            batch = _with_shuffled_context(batch, drawn)
        fall = 0.5 * (1 + math.cos(math.pi * step / training.steps))
        for group in optimiser.param_groups:
            group["lr"] = training.rate * min(1.0, (step + 1) / 30) * fall
        value = loss(reader, batch)
        if not torch.isfinite(value):
            raise RecallError(f"the loss is {float(value)} at update {step}: try a smaller --rate")
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimiser.step()
        watch(step + 1, float(value.detach()))
    return reader


def _dated(batch: RecallBatch, late: float, chosen: random.Random) -> RecallBatch:
    """The batch with cues that name the day, week or month of their evidence, or one a little before it."""
    near = []
    for row in batch.right:
        at, length = int(batch.said_at[row][0]), chosen.choice([_DAY, 7 * _DAY, 30 * _DAY])
        start = at - chosen.randrange(length)
        if chosen.random() < late:
            start -= chosen.randrange(2 * length)
        near.append(addressing.temporal_proximity(batch.said_at, batch.said_at, (start, start + length)))
    signals = batch.found.signals.clone()
    signals[..., _NEAR] = torch.stack(near)
    return dataclasses.replace(batch, found=batch.found._replace(signals=signals))


def _with_shuffled_context(batch: RecallBatch, drawn: torch.Generator) -> RecallBatch:
    """The batch as if one user without a name had said all of it, in another order, no line helping those beside it."""
    found, slots = batch.found, len(batch.source)
    order = torch.randperm(slots, generator=drawn)
    steps = torch.arange(1, WINDOW + 1)
    place = order.argsort().unsqueeze(1) + torch.cat([-steps, steps])
    there = (place >= 0) & (place < slots)
    chain = torch.where(there, order[place.clamp(0, slots - 1)], slots)
    features, signals = found.features.clone(), found.signals.clone()
    features[:, _PERSON] = 0.0
    signals[..., VOICES] = 0.0
    speaker = torch.zeros_like(found.speaker)
    shuffled_context = found._replace(chain=chain, features=features, signals=own_signals(signals), speaker=speaker)
    return dataclasses.replace(batch, found=shuffled_context)


def summary(measured: Sequence[tuple[str, list[float], float]]) -> dict[str, float]:
    """Mean recall at each cut and hits at 1, in percent, and how many questions."""
    names = [f"recall@{k}" for k in CUTS]
    means = [100 * sum(hits[place] for _, hits, _ in measured) / len(measured) for place in range(len(CUTS))]
    first = 100 * sum(hit for _, _, hit in measured) / len(measured)
    return {**{n: round(m, 1) for n, m in zip(names, means, strict=True)}, "hit@1": round(first, 1),
            "questions": len(measured)}  # fmt: skip
