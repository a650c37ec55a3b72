"""Fits the second key to conversations and to our own sentences in eleven languages.

`python -m memory_core.training.fit_meaning` writes `memory_core/weights/meaning.safetensors`. In order: which texts are
foreign to the first encoder; what these want (`fit_forms`); how a reading mixes the meanings in, and how sure it may
be, both fitted to facts that the multilingual encoder did not learn from (`fit_multilingual`, which is run before); and
what outdates what (`fit_foreign_outdating`). The seed is an option.
"""

import argparse
import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from memory_core import candidate_retrieval, meaning
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.meaning import Languages, Meaning
from memory_core.multilingual_encoder import MultilingualEncoder
from memory_core.training import fit_foreign_outdating, fit_forms, fit_intents, intent_sentences, language_facts
from memory_core.training.calibration import minimise_loss
from memory_core.training.conversations import DATA, read_conversations
from memory_core.training.foreign_memories import Once, answered, remembered
from memory_core.training.language_facts import ENGLISH, Language

_SETS = ("realmem", "friendsqa", "beam-train")
_LONGEST = 400  # characters of a message
_MEMORIES = 3  # a language, each with its messages in another order
_TALK = 1_000  # turns of conversations, of which none stands
_ENGLISH_TURNS = 9_000  # of conversations, that are taken for English too
_ENGLISH_COUNTS = 3.0  # so many times as much as a foreign text that is taken for English


class Read(NamedTuple):
    """One reading of a memory: what the reranker said, what the meanings say, and which slot holds the answer."""

    logits: Float[Tensor, " slots"]
    known: Tensor
    alike: candidate_retrieval.Alike
    allowed: Bool[Tensor, " slots"]
    right: int


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

    minimise_loss(loss, [look, piece, bias], 60)
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


def readings(encoder: Once, memory: EpisodicMemory, own: dict[str, Language], drawn: random.Random) -> list[Read]:
    """Memories of one language each and of several, asked in that language, in English, and in another one."""
    tongues = sorted(one for one in own if own[one].facts)
    found: list[Read] = []
    for turn in range(_MEMORIES):
        for number, tongue in enumerate(tongues):
            mixed = turn % 3 == 2
            facts = {
                name: own[tongues[(number + place) % len(tongues)] if mixed else tongue].facts[name]
                for place, name in enumerate(own[ENGLISH].facts)
            }
            chatter = own[tongue].chatter + (own[drawn.choice(tongues)].chatter if mixed else [])
            other = (tongue, ENGLISH, drawn.choice(tongues))[turn % 3]
            found += _readings(encoder, memory, facts, chatter, own[other], drawn)
    return found


def _readings(encoder: Once, memory: EpisodicMemory, facts: dict[str, language_facts.Fact], chatter: Sequence[str],
              asking: Language, drawn: random.Random) -> list[Read]:  # fmt: skip
    texts = [*(fact.text for fact in facts.values()), *chatter]
    drawn.shuffle(texts)
    asked = [asking.facts[name].question for name in facts]
    right = [texts.index(fact.text) + 1 for fact in facts.values()]
    state, found = remembered(encoder, memory, texts), []
    for source, (of, given, logits, output) in zip(right, answered(encoder, memory, state, asked), strict=True):
        assert memory.reranker is not None
        if of.alike is not None:
            known = memory.reranker.confidence(given, output)[0]
            place = int((state.source[of.slots] == source).nonzero()[0, 0])
            found.append(Read(logits, known, of.alike, given.allowed[0], place))
    return found


def fit_mix(fitted: Meaning, seen: Sequence[Read]) -> None:
    """Fits how much the meanings count, then how sure a reading may be; three of four cues have an answer."""
    likeness, kept = nn.Parameter(torch.tensor([20.0, 0.0])), nn.Parameter(torch.tensor(0.3))
    right = torch.tensor([one.right for one in seen])

    def loss() -> Tensor:
        return functional.cross_entropy(_mixed(likeness, kept.square(), seen), right)

    minimise_loss(loss, [likeness, kept])
    fitted.likeness.copy_(likeness.detach())
    fitted.kept.copy_(kept.detach().square())  # what the first encoder says counts for a slot or not at all
    rows, truth = [], []
    for one, logits in zip(seen, _mixed(fitted.likeness, fitted.kept, seen), strict=True):
        logits = logits[: len(one.logits)]
        for there in (True, False):
            left = torch.ones(len(logits), dtype=torch.bool)
            left[one.right] = there
            rows.append(fitted.evidence(torch.softmax(logits[left], -1), one.alike.cosines[left]))
            truth.append(float(there))
    inputs, labels = torch.stack(rows), torch.tensor(truth)
    fitted.sure.copy_(_logistic(inputs, labels, torch.where(labels > 0, 1.5, 0.5)))


def _mixed(likeness: Tensor, kept: Tensor, seen: Sequence[Read]) -> Float[Tensor, "readings slots"]:
    """The log weights of readings, padded."""
    pad = nn.utils.rnn.pad_sequence
    logits = pad([one.logits.masked_fill(~one.allowed, -1e4) for one in seen], True, -1e4)
    cosines = pad([one.alike.cosines for one in seen], True)
    foreign = pad([one.alike.slots.clamp(min=one.alike.cue) for one in seen], True)
    above = logits - logits.amax(1, keepdim=True)
    told = kept * above + likeness[0] * cosines + likeness[1]
    return ((1.0 - foreign) * above + foreign * told).masked_fill(logits < -5e3, -1e4)


def _logistic(inputs: Tensor, truth: Tensor, counts: Tensor) -> Float[Tensor, " weights_and_bias"]:
    """A logistic regression's weights, and its bias last."""
    weight, bias = nn.Parameter(torch.zeros(inputs.shape[1])), nn.Parameter(torch.zeros(()))

    def loss() -> Tensor:
        told = inputs @ weight + bias
        return functional.binary_cross_entropy_with_logits(told, truth, counts) + 1e-5 * weight.square().sum()

    minimise_loss(loss, [weight, bias])
    return torch.cat([weight.detach(), bias.detach().reshape(1)])


def recall_at(fitted: Meaning, seen: Sequence[Read], most: int) -> float:
    """Percent of readings with the answer among so many."""
    mixed = _mixed(fitted.likeness, fitted.kept, seen)
    right = mixed.gather(1, torch.tensor([[one.right] for one in seen]))
    return 100 * float(((mixed > right).sum(1) < most).float().mean())


def fit(folder: Path, seed: int) -> tuple[Meaning, dict[str, float]]:
    """All of it, and what is to be known of how it went."""
    drawn = random.Random(seed)
    torch.manual_seed(seed)
    encoder, vectors = Encoder(), MultilingualEncoder()
    memory = EpisodicMemory(encoder)
    own = language_facts.read()
    fitted = Meaning(len(encoder.tokenizer), vectors.width)
    sentences = [(one.language, one.sentence(drawn)) for one in intent_sentences.shipped()]
    lines = [(one, line) for one in own for fact in own[one].facts.values() for line in (fact.text, *fact.questions)]
    lines += [(one, line) for one in own for line in own[one].chatter]
    english = [text for language, text in sentences + lines if language == ENGLISH]
    english += turns_of(folder, _ENGLISH_TURNS, drawn)
    told = dict(zip(
        ("english_taken_for_foreign", "foreign_taken_for_english"),
        fit_foreign(fitted, encoder, english, [text for one, text in sentences + lines if one != ENGLISH]),
        strict=True,
    ))  # fmt: skip
    talk = fit_intents.talk(fit_intents.conversations(folder), seed, _TALK)
    talk += [line for one in own.values() for line in one.chatter]
    fit_forms.fit_forms(fitted, vectors, intent_sentences.shipped(), talk, drawn)
    memory.meaning, memory.languages = fitted, Languages(vectors, fitted)
    memory.config = dataclasses.replace(memory.config, meaning=vectors.width)
    seen = readings(Once(encoder), memory, language_facts.read(language_facts.HELD), drawn)
    fit_mix(fitted, seen)
    told |= {
        f"outdating, {name}": right for name, right in fit_foreign_outdating.fit(memory, Once(encoder), seed).items()
    }
    told |= {f"intents, {name}": right for name, right in fit_forms.figures(fitted, vectors).items()}
    return fitted, told | {f"held_recall@{most}": recall_at(fitted, seen, most) for most in (1, 5)}


def main() -> None:
    """Fits, writes the weights, and prints what is to be known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the conversations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=meaning.WEIGHTS)
    options = parser.parse_args()
    fitted, told = fit(options.data, options.seed)
    metadata = {"schema": meaning.SCHEMA, "transformer": Encoder().transformer_fingerprint()}
    tensors = {name: tensor.detach().half().contiguous() for name, tensor in fitted.state_dict().items()}
    options.out.write_bytes(save(tensors, metadata))
    print(told, {name: getattr(fitted, name).tolist() for name in ("likeness", "kept", "sure")})


if __name__ == "__main__":
    main()
