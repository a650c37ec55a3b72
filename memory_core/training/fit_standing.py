"""Fits which of two standing statements takes the place of the other (`mneme train standing`): a classifier of pairs.

Pairs of one matter are told from pairs of different ones. How well statements are told that were not seen is measured
by leaving out one in five at a time.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from memory_core import weights
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.language.header import header
from memory_core.succession import Statements, Succession, pairs
from memory_core.training.standing_pairs import Statement, shipped

_NEAREST = 20  # statements of other matters, those most alike, that each is told from
_OTHERS = 40  # and so many at random
_SAME = 8  # statements of its matter that each is paired with
_STEPS = 250
_BATCH = 8192
_DECAY = 0.003
_FOLDS = 5
_AT = datetime(2026, 5, 8, tzinfo=UTC)


class Pairs(NamedTuple):
    """Pairs of statements by their numbers; `same` is 1 where the later takes the place of the earlier."""

    earlier: Int[Tensor, " pairs"]
    later: Int[Tensor, " pairs"]
    seen: Float[Tensor, "pairs features"]
    same: Float[Tensor, " pairs"]

    def some(self, which: Bool[Tensor, " pairs"]) -> "Pairs":
        """A part of them."""
        return Pairs(*(column[which] for column in self))


def written(memory: EpisodicMemory, encoder: Encoder, told: Sequence[Statement]) -> Statements:
    """The statements as a memory holds them once they are written."""
    state = memory.empty(2 * len(told))
    said = encoder.encode([header(None, _AT) + one.text for one in told])
    rows = []
    for number, (one, utterance) in enumerate(zip(told, said, strict=True), 1):
        how = memory.message_features(one.text, at=_AT)
        state, wrote = memory.write_(state, utterance, number, message_features=how)
        rows.append(int(wrote.rows[0]))
    return Statements.of(state, torch.tensor(rows), memory.lemma_ids)


def paired(told: Sequence[Statement], of: Statements, seed: int) -> Pairs:
    """Pairs of one language: of one matter, of matters that are alike, and of others at random."""
    drawn = torch.Generator().manual_seed(seed)
    found: list[Pairs] = []
    for language in sorted({one.language for one in told}):
        mine = torch.tensor([number for number, one in enumerate(told) if one.language == language])
        ones = [told[number] for number in mine.tolist()]
        same = torch.tensor([[one.about == other.about for other in ones] for one in ones])
        told_of = torch.tensor([[_is_told(one, other) for other in ones] for one in ones])
        told_of &= ~torch.eye(len(ones), dtype=torch.bool)
        chance, alike = torch.rand(same.shape, generator=drawn), of.sentence[mine] @ of.sentence[mine].T
        chosen = _greatest(torch.where(same, chance, -1.0), _SAME) & same
        chosen |= (_greatest(torch.where(same, -9.0, alike), _NEAREST) | _greatest(chance, _OTHERS)) & ~same
        earlier, later = (chosen & told_of).nonzero().T
        seen = [
            pairs(_rows(of, mine[start : start + 1]), _rows(of, mine[later[earlier == start]]))[0]
            for start in range(len(ones))
        ]
        found.append(Pairs(mine[earlier], mine[later], torch.cat(seen), same[earlier, later].float()))
    return Pairs(*(torch.cat(column) for column in zip(*found, strict=True)))


def fit(of: Statements, data: Pairs, seed: int) -> Succession:
    """The classifier, by gradient; pairs of one matter count as much as all others together."""
    torch.manual_seed(seed)
    succession = Succession(of.sentence.shape[1])
    succession.scale_(data.seen)
    optimiser = torch.optim.Adam(succession.parameters(), 0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _STEPS)
    share = torch.where(data.same > 0, 0.5 / data.same.sum(), 0.5 / (1.0 - data.same).sum())
    for _ in range(_STEPS):
        batch = torch.randint(len(data.same), (min(_BATCH, len(data.same)),))
        optimiser.zero_grad()
        logits = _logits(succession, of, data.some(batch))
        losses = functional.binary_cross_entropy_with_logits(logits, data.same[batch], reduction="none")
        loss = (losses * share[batch]).sum() / share[batch].sum()
        loss = loss + _DECAY * succession.projection.square().sum() / succession.projection.shape[1]
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return succession.requires_grad_(False)


def cross_validated(told: Sequence[Statement], of: Statements, data: Pairs, seed: int) -> dict[str, float]:
    """Percent of pairs told right in which a statement was not seen: of one matter, and of different ones."""
    fold = torch.tensor([int(hashlib.sha256(one.text.encode()).hexdigest(), 16) % _FOLDS for one in told])
    right, left = torch.zeros(len(data.same)), torch.zeros(len(data.same), dtype=torch.bool)
    for number in range(_FOLDS):
        out = (fold[data.earlier] == number) | (fold[data.later] == number)
        fitted = fit(of, data.some(~out), seed)
        new = out & ~left
        right[new] = ((_logits(fitted, of, data.some(new)) > 0) == (data.same[new] > 0)).float()
        left |= new
    same = data.same > 0
    return {
        "one matter": round(100 * float(right[left & same].mean()), 1),
        "different matters": round(100 * float(right[left & ~same].mean()), 1),
    }


def run(folder: Path, seed: int, watch: Callable[[str, int, int, float], None]) -> dict[str, Any]:
    """Fits, and writes `succession.safetensors` and `result.json` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    began, encoder = time.perf_counter(), Encoder()
    memory = EpisodicMemory(encoder)
    told = shipped(seed)
    watch("fitting what takes whose place", 0, 3, 0.0)
    of = written(memory, encoder, told)
    data = paired(told, of, seed)
    watch("fitting what takes whose place", 1, 3, 0.0)
    right = cross_validated(told, of, data, seed)
    watch("fitting what takes whose place", 2, 3, 0.0)
    fitted = fit(of, data, seed)
    about = weights.metadata(encoder.transformer_fingerprint(), of.sentence.shape[1])
    tensors = {name: tensor.contiguous() for name, tensor in fitted.state_dict().items()}
    save_file(tensors, folder / weights.SUCCESSION.name, about)
    result = {"seed": seed, "statements": len(told), "pairs": len(data.same), "cross-validated": right}
    result["seconds"] = round(time.perf_counter() - began)
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    watch("fitting what takes whose place", 3, 3, 0.0)
    return result


def _logits(succession: Succession, of: Statements, data: Pairs) -> Float[Tensor, " pairs"]:
    lie = succession.projected(of.sentence)
    return succession.told(data.seen, (lie[data.earlier] * lie[data.later]).sum(-1))


def _is_told(one: Statement, other: Statement) -> bool:
    if one.section == other.section:
        return True
    return not any(
        name.startswith(unsaid) for first, name in ((one, other.section), (other, one.section)) for unsaid in first.open
    )


def _greatest(of: Float[Tensor, "rows columns"], most: int) -> Bool[Tensor, "rows columns"]:
    places = of.topk(min(most, of.shape[1]), dim=1).indices
    return torch.zeros_like(of, dtype=torch.bool).scatter_(1, places, True)


def _rows(of: Statements, which: Int[Tensor, " rows"]) -> Statements:
    return Statements(*(column[which] for column in of))
