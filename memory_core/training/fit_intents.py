"""Fits the intents to the sentences that ship; `mneme train intents` does it alone, `mneme train recall` on its way.

Logistic regressions of many numbers on few sentences: their weights decay, and how sure they may be is fitted to
sentences that each fold of a cross-validation did not see. Hardly anything that people say holds until it is revoked,
so turns of real conversations count as what does not stand: without them a quarter of it was taken for such.
"""

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.language.header import header
from memory_core.language.intents import BUCKETS, FEATURES, INTENTS, Intents, intent_input
from memory_core.training.calibration import minimise_loss
from memory_core.training.conversations import Turn, read_conversations
from memory_core.training.intent_sentences import Pattern, read, shipped

PREFIX = "intents."
_SENTENCES = 6  # at most, of one pattern
_JOINED = 2_000  # texts of several sentences
_DECAY = 1e-4
_FOLDS = 5
_KEPT, _CHANGE_DECAY = 30.0, 1e-3  # of teaching: what an intent told before counts so much, and how much it may change
TALK = ("friendsqa", "realmem")  # not BEAM: its users say what holds
TALK_MEASURED = 5  # one conversation in so many is kept to measure with
_TALK = 3_000
_SHORTEST_TALK, _LONGEST_TALK = 8, 160  # characters
_SHARE_OF_TALK = 0.3  # of what a sentence of ours counts
_NAMES = (None, "Ann", "Joe", "María", "Wei", "user")


class Labelled(NamedTuple):
    """What is fitted to.

    Attributes:
        inputs: see `intent_input`.
        labels: 1 where the intent holds, 0 where it does not, nan where that is not said.
        shares: how much each text counts.
        groups: the number of the pattern that a text stems from.
    """

    inputs: Float[Tensor, "texts features"]
    labels: Float[Tensor, "texts intents"]
    shares: Float[Tensor, " texts"]
    groups: Int[Tensor, " texts"]

    def joined(self, other: "Labelled") -> "Labelled":
        """Both."""
        return Labelled(*(torch.cat(pair) for pair in zip(self, other, strict=True)))

    def some(self, which: Tensor) -> "Labelled":
        """A part of the texts."""
        return Labelled(*(column[which] for column in self))

    def about(self, intent: str) -> "Labelled":
        """The texts of which it is said whether one intent holds, and nothing of the others."""
        place = INTENTS.index(intent)
        known = self.some(self.labels[:, place].isfinite())
        labels = torch.full_like(known.labels, torch.nan)
        labels[:, place] = known.labels[:, place]
        return known._replace(labels=labels)


def inputs_of(encoder: Encoder, texts: Sequence[str], headers: Sequence[str]) -> Float[Tensor, "texts features"]:
    """The inputs of texts, each behind a header that is skipped; an empty one is none."""
    utterances = encoder.encode([before + text for before, text in zip(headers, texts, strict=True)])
    skips = {before: sum(len(cut) for cut in encoder.windows([before])[0]) for before in set(headers)}
    rows = [
        intent_input(said, skips[before], encoder.vocabulary) for said, before in zip(utterances, headers, strict=True)
    ]
    return torch.stack(rows) if rows else torch.zeros(0, FEATURES)


class Written(NamedTuple):
    """Texts as people write them; the other columns are as in `Labelled`."""

    texts: list[str]
    labels: Float[Tensor, "texts intents"]
    shares: Float[Tensor, " texts"]
    groups: Int[Tensor, " texts"]


def labelled(encoder: Encoder, patterns: Sequence[Pattern], seed: int, joined: int = _JOINED) -> Labelled:
    """`written`, with headers and without, as the intents take it."""
    drawn = random.Random(seed)
    told = written(patterns, drawn, joined)
    headers = [_header(drawn) if drawn.random() < 0.4 else "" for _ in told.texts]
    return Labelled(inputs_of(encoder, told.texts, headers), told.labels, told.shares, told.groups)


def written(
    patterns: Sequence[Pattern], drawn: random.Random, joined: int = _JOINED, most: int = _SENTENCES
) -> Written:
    """At most so many sentences of each pattern, some without their full stop or with a slip of the keys; and so many
    texts of two or three of them."""
    texts: list[str] = []
    labels: list[tuple[bool | None, ...]] = []
    shares: list[float] = []
    groups: list[int] = []
    for number, pattern in enumerate(patterns):
        sentences = pattern.sentences(most, drawn)
        for sentence in sentences:
            texts.append(_as_written(sentence, drawn))
            labels.append(pattern.labels)
            shares.append(len(sentences) ** -0.5)
            groups.append(number)
    long = [number for number, pattern in enumerate(patterns) if len(pattern.text.split()) > 3]
    for _ in range(joined):
        first = drawn.choice(long)
        same = [
            number
            for number in drawn.sample(long, min(40, len(long)))
            if patterns[number].language == patterns[first].language
        ]
        parts = [first, *same[: drawn.choice((1, 1, 2))]]
        texts.append(" ".join(patterns[part].sentence(drawn) for part in parts))
        labels.append(tuple(_joined(name, [patterns[part].labels[place] for part in parts])
                            for place, name in enumerate(INTENTS)))  # fmt: skip
        shares.append(0.5)
        groups.append(first)
    truth = torch.tensor([[torch.nan if one is None else float(one) for one in row] for row in labels])
    return Written(texts, truth, torch.tensor(shares), torch.tensor(groups))


def conversations(data: Path, to_measure: bool = False) -> dict[str, list[Turn]]:
    """The turns of the conversations that are trained on, or of those that are kept to measure with, by set.

    Raises:
        MissingData: the conversations are not there.
    """
    return {
        name: [
            turn
            for place, one in enumerate(read_conversations(data, name))
            if (place % TALK_MEASURED == 0) is to_measure
            for turn in one.turns
        ]
        for name in TALK
    }


def talk(turns: Mapping[str, Sequence[Turn]], seed: int, most: int = _TALK) -> list[str]:
    """So many short things that people said, from each set of `TALK` alike."""
    drawn, chosen = random.Random(seed), []
    for name in TALK:
        said = _said(turns.get(name, ()))
        chosen += drawn.sample(said, min(most // len(TALK), len(said)))
    return chosen


def kept_to_measure(data: Path, seed: int = 1, most: int = 400) -> dict[str, list[str]]:
    """So many short things that people said in each set, in conversations that are not trained on.

    Raises:
        MissingData: the conversations are not there.
    """
    drawn = random.Random(seed)
    said = {name: _said(turns) for name, turns in conversations(data, to_measure=True).items()}
    return {name: drawn.sample(texts, min(most, len(texts))) for name, texts in said.items()}


def that_does_not_stand(encoder: Encoder, texts: Sequence[str], first_group: int) -> Labelled:
    """Texts of which nothing is said but that they do not hold until revoked."""
    labels = torch.full((len(texts), len(INTENTS)), torch.nan)
    labels[:, INTENTS.index("standing")] = 0.0
    return Labelled(
        inputs_of(encoder, texts, [""] * len(texts)),
        labels,
        torch.full((len(texts),), _SHARE_OF_TALK),
        first_group + torch.arange(len(texts)),
    )


def fit(data: Labelled, decay: float = _DECAY) -> Intents:
    """The intents of greatest likelihood, with weights that decay; every intent counts as much."""
    intents = Intents()
    known = data.labels.isfinite()
    truth, share = data.labels.nan_to_num(), data.shares.unsqueeze(1) * known
    share = share / share.sum(0).clamp(min=1e-9)
    dense, grams = data.inputs[:, :-BUCKETS].contiguous(), data.inputs[:, -BUCKETS:].to_sparse()  # nearly all zeros

    def loss() -> Tensor:
        pooled, places = intents.weight[:, :-BUCKETS].T, intents.weight[:, -BUCKETS:].T
        logits = dense @ pooled + torch.sparse.mm(grams, places) + intents.bias
        value = (functional.binary_cross_entropy_with_logits(logits, truth, reduction="none") * share).sum()
        return value + decay * intents.weight.square().sum()

    minimise_loss(loss, list(intents.parameters()), 80, 10)
    return intents.requires_grad_(False)


def cross_validated(data: Labelled) -> Float[Tensor, "texts intents"]:
    """The log odds of each text by intents that never saw its pattern."""
    logits = torch.zeros_like(data.labels)
    for fold in range(_FOLDS):
        mine = data.groups * 7919 % _FOLDS == fold
        logits[mine] = fit(data.some(~mine)).logits(data.inputs[mine])
    return logits


def calibrate(intents: Intents, logits: Float[Tensor, "texts intents"], data: Labelled) -> None:
    """Scales each intent's log odds, and shifts them, to be most likely for the cross-validated ones.

    Source: Platt 1999.
    """
    for place in range(len(INTENTS)):
        known = data.labels[:, place].isfinite()
        if not known.any():
            continue
        scale, shift = nn.Parameter(torch.ones(())), nn.Parameter(torch.zeros(()))
        seen, truth, share = logits[known, place], data.labels[known, place], data.shares[known]
        optimiser = torch.optim.LBFGS([scale, shift], max_iter=50, line_search_fn="strong_wolfe")

        def closure() -> float:
            optimiser.zero_grad()  # noqa: B023
            told = scale * seen + shift  # noqa: B023
            value = functional.binary_cross_entropy_with_logits(told, truth, share)  # noqa: B023
            value.backward()  # type: ignore[no-untyped-call]
            return float(value.detach())

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        intents.weight[place] *= scale.detach().clamp(0.2, 3.0)
        intents.bias[place] = intents.bias[place] * scale.detach().clamp(0.2, 3.0) + shift.detach()


def train_intents(
    encoder: Encoder,
    said: Sequence[str],
    seed: int = 1,
    watch: Callable[[str, int, int, float], None] = lambda stage, done, total, value: None,
    one_in: int = 1,
) -> tuple[Intents, dict[str, float]]:
    """The calibrated intents, and how many percent of the sentences each tells right in cross-validation.

    Args:
        said: what people say, of which nothing holds until revoked; see `talk`.
        one_in: of so many sentences of ours one is taken, for a trial.
    """
    watch("fitting the intents", 0, 3, 0.0)
    patterns = shipped()[::one_in]
    ours = labelled(encoder, patterns, seed, _JOINED // one_in)
    both = ours.joined(that_does_not_stand(encoder, said, len(patterns)))
    sentences = Labelled(*(column.cpu() for column in both))
    watch("fitting the intents", 1, 3, 0.0)
    logits = cross_validated(sentences)
    watch("fitting the intents", 2, 3, 0.0)
    intents = fit(sentences)
    calibrate(intents, logits, sentences)
    known = sentences.labels.isfinite()
    right = ((logits > 0) == (sentences.labels > 0.5)) & known
    shares = right.sum(0) / known.sum(0)
    watch("fitting the intents", 3, 3, 0.0)
    return intents, {name: round(100 * float(share), 1) for name, share in zip(INTENTS, shares, strict=True)}


def tensors_of(intents: Intents) -> dict[str, Tensor]:
    """The intents as the weights that ship hold them, in half precision."""
    return {PREFIX + name: tensor.detach().half().contiguous() for name, tensor in intents.state_dict().items()}


def teach(encoder: Encoder, intent: str, new: Sequence[Pattern], said: Sequence[str], seed: int) -> Intents:
    """The intents that ship, of which one learns new sentences and stays as it is on all others.

    What it tells of the other sentences that ship, and of what people say, is what it is held to.

    Args:
        said: see `talk`.
    """
    ships, place = EpisodicMemory(encoder).intents, INTENTS.index(intent)
    assert ships is not None
    lines = {pattern.text for pattern in new}
    others = [pattern for pattern in shipped() if pattern.text not in lines]
    known = torch.cat([
        labelled(encoder, others, seed, _JOINED // 2).inputs, that_does_not_stand(encoder, said, len(others)).inputs
    ])  # fmt: skip
    told = labelled(encoder, new, seed, _JOINED // 20).about(intent)
    truth = told.labels[:, place]
    sides = [told.shares * truth, told.shares * (1 - truth)]
    counts = sum(0.5 * each / each.sum().clamp(min=1e-9) for each in sides)
    began, bias = ships.weight[place].clone(), ships.bias[place].clone()
    soft = torch.sigmoid(known @ began + bias)
    change, shift = nn.Parameter(torch.zeros_like(began)), nn.Parameter(torch.zeros(()))

    def loss() -> Tensor:
        kept = functional.binary_cross_entropy_with_logits(known @ (began + change) + bias + shift, soft)
        logits = told.inputs @ (began + change) + bias + shift
        learned = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none") * counts
        return _KEPT * kept + learned.sum() + _CHANGE_DECAY * change.square().sum()

    minimise_loss(loss, [change, shift], 60, 10)
    ships.weight.data[place], ships.bias.data[place] = (began + change).detach(), (bias + shift).detach()
    return ships


def run_teaching(folder: Path, data: Path, seed: int, intent: str, new: Path) -> Path:
    """`teach` with the sentences of a file, written as `intents.safetensors` into a folder.

    Raises:
        SentencesError: the file cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    encoder = Encoder()
    intents = teach(encoder, intent, read([new]), talk(conversations(data), seed), seed)
    save_file(tensors_of(intents), folder / "intents.safetensors", {"transformer": encoder.transformer_fingerprint()})
    return folder / "intents.safetensors"


def run(folder: Path, data: Path, seed: int, watch: Callable[[str, int, int, float], None]) -> dict[str, Any]:
    """Fits, and writes `intents.safetensors` and `result.json` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    encoder = Encoder()
    intents, right = train_intents(encoder, talk(conversations(data), seed), seed, watch)
    told = {"transformer": encoder.transformer_fingerprint()}
    save_file(tensors_of(intents), folder / "intents.safetensors", told)
    result = {"seed": seed, "seconds": round(time.perf_counter() - began), "cross-validated": right}
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _said(turns: Sequence[Turn]) -> list[str]:
    texts = (" ".join(turn.text.split()) for turn in turns if not turn.reply)
    return [text for text in texts if _SHORTEST_TALK <= len(text) <= _LONGEST_TALK]


def _joined(intent: str, parts: list[bool | None]) -> bool | None:
    """Whether an intent holds of a text, by its sentences; None where they don't say."""
    if intent in ("asks", "asks_of_now", "asks_of_conversation", "asks_what_was_asked", "standing", "tells_change"):
        return True if True in parts else None if None in parts else False
    if intent == "only_asks":
        return False if False in parts else None if None in parts else True
    if intent in ("negative", "about_self", "asks_of_world"):
        return parts[0] if len(set(parts)) == 1 else None
    return None if any(part is not False for part in parts) else False


def _as_written(sentence: str, drawn: random.Random) -> str:
    if drawn.random() < 0.25:
        sentence = sentence.rstrip(" .?!¿¡？。")
    if drawn.random() < 0.05 and len(sentence) > 12:
        place = drawn.randrange(1, len(sentence) - 2)
        sentence = sentence[:place] + sentence[place + 1] + sentence[place] + sentence[place + 2 :]
    return sentence


def _header(drawn: random.Random) -> str:
    at = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=drawn.randrange(1500))
    return header(drawn.choice(_NAMES), at)
