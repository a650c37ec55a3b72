"""Fits the second key to conversations and to our own sentences in eleven languages.

`python -m memory_core.training.fit_meaning` writes `memory_core/weights/meaning.safetensors`. In order: which texts are
foreign to the first encoder; the maps of the multilingual encoder's vectors, by contrast; how a reading mixes the
meanings in, and how sure it may be. Seed and number of pairs are options; the sets are those that may be trained on.
"""

import argparse
import dataclasses
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from memory_core import candidate_retrieval, meaning, reading
from memory_core.encoder import Encoder, Utterance
from memory_core.episodic import EpisodicMemory
from memory_core.language.header import header
from memory_core.meaning import Languages, Meaning
from memory_core.multilingual_encoder import MultilingualEncoder
from memory_core.training import intent_sentences, language_facts
from memory_core.training.conversations import DATA, read_conversations
from memory_core.training.language_facts import ENGLISH, Language

_SETS = ("realmem", "friendsqa", "beam-train")
_LONGEST = 400  # characters of a message
_HEAT = 0.05
_STEPS, _BATCH, _OTHERS = 200, 192, 384
_RATE, _DECAY = 2e-3, 0.1
_OWN_SHARE = 0.3  # of a batch, from our own sentences
_MEMORIES = 3  # a language, each with its messages in another order
_AT = datetime(2026, 11, 20, tzinfo=UTC)
_ENGLISH_TURNS = 9_000  # of conversations, that are taken for English too
_ENGLISH_COUNTS = 3.0  # so many times as much as a foreign text that is taken for English


class Pair(NamedTuple):
    """A question and a message that answers it."""

    question: str
    message: str


class Read(NamedTuple):
    """One reading of a memory: what the reranker said, what the meanings say, and which slot holds the answer."""

    logits: Float[Tensor, " slots"]
    known: Tensor
    alike: candidate_retrieval.Alike
    allowed: Bool[Tensor, " slots"]
    right: int


def pairs_of(folder: Path, most: int, drawn: random.Random) -> list[Pair]:
    """Questions with their evidence, as many of each set."""
    found: list[Pair] = []
    for name in _SETS:
        mine = [
            Pair(question.text, turn.text[:_LONGEST])
            for conversation in read_conversations(folder, name)
            for question in conversation.questions
            for turn in conversation.turns
            if turn.id in question.evidence
        ]
        found += drawn.sample(mine, min(most, len(mine)))
    return found


def turns_of(folder: Path, most: int, drawn: random.Random) -> list[str]:
    """What was said and asked in conversations."""
    every = [
        text
        for name in _SETS[1:]
        for conversation in read_conversations(folder, name)
        for text in (
            *(turn.text[:_LONGEST] for turn in conversation.turns),
            *(each.text for each in conversation.questions),
        )
    ]
    return drawn.sample(every, min(most, len(every)))


def fit_foreign(
    fitted: Meaning, encoder: Encoder, english: Sequence[str], others: Sequence[str]
) -> tuple[float, float]:
    """Fits which texts are foreign, by what a word piece looks like and by the piece itself.

    Returns:
        The shares of English taken for foreign, and of foreign for English.
    """
    last = len(fitted.foreign) - 1
    cut = [
        [min(piece, last) for window in windows for piece in window] for windows in encoder.windows([*english, *others])
    ]
    pieces = torch.tensor([piece for each in cut for piece in each])
    counts = torch.tensor([float(len(each)) for each in cut])
    starts = torch.cat([counts.new_zeros(1), counts[:-1]]).cumsum(0).long()
    truth = torch.tensor([0.0] * len(english) + [1.0] * len(others))
    heavy = torch.where(truth > 0, 1.0, _ENGLISH_COUNTS)
    looks = _looks(encoder)
    look, piece, bias = (nn.Parameter(torch.zeros(size)) for size in ((looks.shape[1],), (last + 1,), ()))

    def logits() -> Tensor:
        told = (looks @ look + piece).unsqueeze(1)
        total: Tensor = functional.embedding_bag(pieces, told, starts, mode="sum").squeeze(1)
        return total / (counts + meaning.FEW) + bias

    def loss() -> Tensor:
        value = functional.binary_cross_entropy_with_logits(logits(), truth, heavy)
        return value + 1e-6 * (piece.square().sum() + look.square().sum())

    _minimised(loss, [look, piece, bias], 60)
    fitted.foreign.copy_((looks @ look + piece).detach())
    fitted.foreign_bias.copy_(bias.detach())
    wrong = ((logits() > 0) != (truth > 0)).float()
    return float(wrong[: len(english)].mean()), float(wrong[len(english) :].mean())


def _looks(encoder: Encoder) -> Float[Tensor, "vocabulary looks"]:
    """Of each word piece: whether it goes on with a word; with one or two letters; is a letter alone; is no ASCII. The
    last stands for all unknown text."""
    rows = []
    for name in encoder.tokenizer.convert_ids_to_tokens(list(range(len(encoder.tokenizer)))):
        bare = name.removeprefix("##")
        goes_on = bare != name
        rows.append((goes_on, goes_on and len(bare) < 3, len(name) == 1 and name.isalpha(), not bare.isascii()))
    return torch.tensor([*rows, (False, False, False, True)], dtype=torch.float32)


def fit_maps(fitted: Meaning, vectors: MultilingualEncoder, pairs: Sequence[Pair], own: dict[str, Language], seed: int,
             left_out: frozenset[str] = frozenset()) -> None:  # fmt: skip
    """Fits the maps so that a question is nearer to what answers it than to other messages.

    Args:
        own: facts in several languages; a question is put to the fact of its own language or of another.
        left_out: the names of facts that are not used.
    """
    drawn = torch.Generator().manual_seed(seed)
    names = sorted({name for each in own.values() for name in each.facts} - left_out)
    tongues = sorted(one for one in own if own[one].facts)
    said = vectors.encode([pair.message for pair in pairs], False)
    asked = vectors.encode([pair.question for pair in pairs], True)
    facts = vectors.encode([own[one].facts[name].text for name in names for one in tongues], False)
    questions = vectors.encode([own[one].facts[name].question for name in names for one in tongues], True)
    chatter = vectors.encode([line for one in tongues for line in own[one].chatter], False)
    facts, questions = (each.reshape(len(names), len(tongues), -1) for each in (facts, questions))
    fitted.said_mean.copy_(torch.cat([facts.flatten(0, 1), chatter]).mean(0))
    fitted.asked_mean.copy_(questions.flatten(0, 1).mean(0))
    means = said.mean(0), asked.mean(0)  # the conversations' style is no part of what is fitted
    lines = chatter.reshape(len(tongues), -1, fitted.width)
    first = [
        _without_language(each) for each in (torch.cat([facts.transpose(0, 1), lines], 1), questions.transpose(0, 1))
    ]
    maps = [nn.Parameter(each.clone()) for each in first]
    optimiser = torch.optim.Adam(maps, lr=_RATE)
    others = torch.cat([said - means[0], chatter - fitted.said_mean, facts.flatten(0, 1) - fitted.said_mean])
    mine = int(_OWN_SHARE * _BATCH)
    for _ in range(_STEPS):
        which = torch.randint(len(pairs), (_BATCH - mine,), generator=drawn)
        name = torch.randint(len(names), (mine,), generator=drawn)
        of, by = (torch.randint(len(tongues), (mine,), generator=drawn) for _ in range(2))
        by = torch.where(torch.rand(mine, generator=drawn) < 0.5, of, by)
        cues = torch.cat([asked[which] - means[1], questions[name, by] - fitted.asked_mean])
        right = torch.cat([said[which] - means[0], facts[name, of] - fitted.said_mean])
        more = others[torch.randint(len(others), (_OTHERS,), generator=drawn)]
        keys = functional.normalize(torch.cat([right, more]) @ maps[0], dim=-1)
        logits = functional.normalize(cues @ maps[1], dim=-1) @ keys.T / _HEAT
        groups = torch.cat([torch.arange(len(which)) + len(names), name])
        same = groups.unsqueeze(1) == groups.unsqueeze(0)  # the same fact in another language is no wrong answer
        same.fill_diagonal_(False)
        logits[:, :_BATCH].masked_fill_(same, -torch.inf)
        value = functional.cross_entropy(logits, torch.arange(_BATCH))
        apart = sum((each - start).square().sum() for each, start in zip(maps, first, strict=True))
        optimiser.zero_grad()
        (value + _DECAY * apart).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    fitted.said.copy_(maps[0].detach())
    fitted.asked.copy_(maps[1].detach())


class _Once:
    """An encoder that encodes each text once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self._known = encoder, dict[str, Utterance]()

    def encode(self, texts: Sequence[str]) -> list[Utterance]:
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(fresh, self._encoder.encode(fresh), strict=True))
        return [self._known[text] for text in texts]


def _without_language(vectors: Float[Tensor, "languages texts width"]) -> Float[Tensor, "width width"]:
    """The map that takes away the directions in which the means of languages differ, so that a text is no nearer to
    another for being of its language."""
    means = vectors.mean(1)
    apart = torch.linalg.svd(means - means.mean(0), full_matrices=False).Vh[: len(means) - 1]
    without: Tensor = torch.eye(vectors.shape[-1]) - apart.T @ apart
    return without


def readings(
    encoder: _Once, memory: EpisodicMemory, own: dict[str, Language], names: frozenset[str], drawn: random.Random
) -> list[Read]:
    """Memories of one language each and of several, asked in that language, in English, and in another one."""
    tongues = sorted(one for one in own if own[one].facts)
    found: list[Read] = []
    for turn in range(_MEMORIES):
        for number, tongue in enumerate(tongues):
            mixed = turn % 3 == 2
            facts = {
                name: own[tongues[(number + place) % len(tongues)] if mixed else tongue].facts[name]
                for place, name in enumerate(sorted(names))
            }
            chatter = own[tongue].chatter + (own[drawn.choice(tongues)].chatter if mixed else [])
            other = (tongue, ENGLISH, drawn.choice(tongues))[turn % 3]
            found += _readings(encoder, memory, facts, chatter, own[other], drawn)
    return found


def _readings(encoder: _Once, memory: EpisodicMemory, facts: dict[str, language_facts.Fact], chatter: Sequence[str],
              asking: Language, drawn: random.Random) -> list[Read]:  # fmt: skip
    assert memory.languages is not None and memory.reranker is not None
    texts = [*(fact.text for fact in facts.values()), *chatter]
    drawn.shuffle(texts)
    said = encoder.encode([header(None, _AT) + text for text in texts])
    state = memory.empty(capacity=1024)
    for source, (text, one, told) in enumerate(zip(texts, said, memory.languages.of_said(texts), strict=True), 1):
        features = memory.message_features(text, at=_AT)
        gate = memory.precedence_gate(text, False)
        state, _ = memory.write_(state, one._replace(meanings=told), source, gate, features)
    asked = [asking.facts[name].question for name in facts]
    found = []
    for cue, told, fact in zip(encoder.encode(asked), memory.languages.of_asked(asked), facts.values(), strict=True):
        of = memory.retrieve_candidates(state, cue._replace(meanings=told), None, None)
        if of.alike is None:
            continue
        given = reading.found(memory, state, of, candidate_retrieval.cosines([state], [of])[0])
        logits, output = reading.rerank(memory, state, of, given)
        known = memory.reranker.confidence(given, output)[0]
        right = int((state.source[of.slots] == texts.index(fact.text) + 1).nonzero()[0, 0])
        found.append(Read(logits, known, of.alike, given.allowed[0], right))
    return found


def fit_mix(fitted: Meaning, seen: Sequence[Read]) -> None:
    """Fits how much the meanings count, then how sure a reading may be; three of four cues have an answer."""
    likeness, kept = nn.Parameter(torch.tensor([20.0, 0.0])), nn.Parameter(torch.tensor(0.3))
    right = torch.tensor([one.right for one in seen])

    def loss() -> Tensor:
        fitted.likeness, fitted.kept = likeness, kept
        return functional.cross_entropy(_mixed(fitted, seen), right)

    _minimised(loss, [likeness, kept])
    fitted.requires_grad_(False)
    rows, truth = [], []
    for one, logits in zip(seen, _mixed(fitted, seen), strict=True):
        logits = logits[: len(one.logits)]
        for there in (True, False):
            left = torch.ones(len(logits), dtype=torch.bool)
            left[one.right] = there
            rows.append(fitted.evidence(torch.softmax(logits[left], -1), one.alike.cosines[left]))
            truth.append(float(there))
    inputs, labels = torch.stack(rows), torch.tensor(truth)
    fitted.sure.copy_(_logistic(inputs, labels, torch.where(labels > 0, 1.5, 0.5)))


def _mixed(fitted: Meaning, seen: Sequence[Read]) -> Float[Tensor, "readings slots"]:
    """The log weights of readings, padded."""
    pad = nn.utils.rnn.pad_sequence
    logits = pad([one.logits.masked_fill(~one.allowed, -1e4) for one in seen], True, -1e4)
    cosines = pad([one.alike.cosines for one in seen], True)
    foreign = pad([one.alike.slots.clamp(min=one.alike.cue) for one in seen], True)
    above = logits - logits.amax(1, keepdim=True)
    told = fitted.kept * above + fitted.likeness[0] * cosines + fitted.likeness[1]
    return ((1.0 - foreign) * above + foreign * told).masked_fill(logits < -5e3, -1e4)


def _logistic(inputs: Tensor, truth: Tensor, counts: Tensor) -> Float[Tensor, " weights_and_bias"]:
    """A logistic regression's weights, and its bias last."""
    weight, bias = nn.Parameter(torch.zeros(inputs.shape[1])), nn.Parameter(torch.zeros(()))

    def loss() -> Tensor:
        told = inputs @ weight + bias
        return functional.binary_cross_entropy_with_logits(told, truth, counts) + 1e-5 * weight.square().sum()

    _minimised(loss, [weight, bias])
    return torch.cat([weight.detach(), bias.detach().reshape(1)])


def _minimised(loss: Callable[[], Tensor], parameters: list[nn.Parameter], steps: int = 200) -> None:
    optimiser = torch.optim.LBFGS(parameters, max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    optimiser.step(closure)  # type: ignore[no-untyped-call]


def recall_at(fitted: Meaning, seen: Sequence[Read], most: int) -> float:
    """Percent of readings with the answer among so many."""
    mixed = _mixed(fitted, seen)
    right = mixed.gather(1, torch.tensor([[one.right] for one in seen]))
    return 100 * float(((mixed > right).sum(1) < most).float().mean())


def fit(folder: Path, pairs: int, seed: int) -> tuple[Meaning, dict[str, float]]:
    """All of it, and what is to be known of how it went."""
    drawn = random.Random(seed)
    torch.manual_seed(seed)
    encoder, vectors = Encoder(), MultilingualEncoder()
    memory = EpisodicMemory(encoder)
    own = language_facts.read()
    found = pairs_of(folder, pairs, drawn)
    fitted = Meaning(len(encoder.tokenizer), vectors.width)
    sentences = [(one.language, one.sentence(drawn)) for one in intent_sentences.shipped()]
    lines = [(one, line) for one in own for fact in own[one].facts.values() for line in fact]
    lines += [(one, line) for one in own for line in own[one].chatter]
    english = [text for language, text in sentences + lines if language == ENGLISH]
    english += turns_of(folder, _ENGLISH_TURNS, drawn)
    told = dict(zip(
        ("english_taken_for_foreign", "foreign_taken_for_english"),
        fit_foreign(fitted, encoder, english, [text for one, text in sentences + lines if one != ENGLISH]),
        strict=True,
    ))  # fmt: skip
    names = frozenset(own[ENGLISH].facts)
    halves = [frozenset(sorted(names)[start::2]) for start in range(2)]
    memory.meaning, memory.languages = fitted, Languages(vectors, fitted)
    memory.config = dataclasses.replace(memory.config, meaning=vectors.width)
    seen: list[Read] = []
    once = _Once(encoder)
    for held in halves:  # what the mix is fitted to comes from maps that never saw its facts
        fit_maps(fitted, vectors, found, own, seed, left_out=held)
        seen += readings(once, memory, own, held, drawn)
    fit_mix(fitted, seen)
    told |= {f"held_recall@{most}": recall_at(fitted, seen, most) for most in (1, 5)}
    fit_maps(fitted, vectors, found, own, seed)
    return fitted, told


def main() -> None:
    """Fits, writes the weights, and prints what is to be known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the conversations")
    parser.add_argument("--pairs", type=int, default=600, help="questions with their evidence, of each set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=meaning.WEIGHTS)
    options = parser.parse_args()
    fitted, told = fit(options.data, options.pairs, options.seed)
    metadata = {"schema": meaning.SCHEMA, "transformer": Encoder().transformer_fingerprint()}
    tensors = {name: tensor.detach().half().contiguous() for name, tensor in fitted.state_dict().items()}
    options.out.write_bytes(save(tensors, metadata))
    print(told, {name: getattr(fitted, name).tolist() for name in ("likeness", "kept", "sure")})


if __name__ == "__main__":
    main()
