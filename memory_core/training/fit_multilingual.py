"""Teaches the multilingual encoder that a question is like what answers it, in whatever languages both are.

`python -m memory_core.training.fit_multilingual` writes `weights/multilingual.safetensors`: gains and biases
of the upper half of its layers, nothing else (Ben Zaken et al. 2022), so that neither its size nor its time change. By
contrast with other messages, of our own facts in eleven languages and of questions and evidence in English. Then
`fit_meaning` is to be run anew.
"""

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from memory_core.multilingual_encoder import TUNED
from memory_core.training import language_facts
from memory_core.training.conversations import DATA, read_conversations
from memory_core.training.language_facts import Language
from memory_core.training.multilingual_network import Network

_SETS = ("realmem", "friendsqa", "beam-train")
_UPPER = 6  # layers that learn
_OWN, _PAIRS = 36, 16  # questions of a step, about our own facts and about conversations
_TONGUES = 4  # languages of a step: the fewer, the more rivals each question has in its own
_SAME = 0.6  # of our own, put in the fact's own language
_HEAT = 0.03
_RATE, _WARM, _LEAST = 1e-3, 10, 0.05  # the rate rises over so many steps, and falls to so much of it
_LONGEST = 250  # characters of a message
_AT_ONCE = 48  # texts of similar length that are computed together

Text = tuple[str, bool]  # and whether it asks


class Pair(NamedTuple):
    """A question and a message that answers it."""

    question: str
    message: str


class Batch:
    """The questions of a step, what answers each, and messages that answer none."""

    def __init__(self) -> None:
        self.cues: list[Text] = []
        self.answers: list[Text] = []
        self.others: list[Text] = []
        self.groups: list[int] = []  # of cues and answers: the fact; the same in another language is no wrong answer
        self.other_groups: list[int] = []

    def add(self, cue: str, answer: str, group: int) -> None:
        """A question and what answers it."""
        self.cues.append((cue, True))
        self.answers.append((answer, False))
        self.groups.append(group)

    def no_rivals(self) -> Bool[Tensor, "cues messages"]:
        """Messages that are not to be told from the answer."""
        cues, messages = torch.tensor(self.groups), torch.tensor(self.groups + self.other_groups)
        return (cues.unsqueeze(1) == messages) & ~torch.eye(len(cues), len(messages), dtype=torch.bool)


def pairs_of(folder: Path, most: int, drawn: random.Random) -> list[Pair]:
    """So many questions with their evidence, short ones."""
    found: list[Pair] = []
    for name in _SETS:
        mine = [
            Pair(question.text, turn.text)
            for conversation in read_conversations(folder, name)
            for question in conversation.questions
            for turn in conversation.turns
            if turn.id in question.evidence
        ]
        found += drawn.sample(mine, len(mine))
    short = [pair for pair in found if len(pair.message) < _LONGEST]
    return drawn.sample(short, min(most, len(short)))


def drawn_batch(own: dict[str, Language], names: Sequence[str], pairs: Sequence[Pair], drawn: random.Random) -> Batch:
    """Facts and pairs by chance; each fact with a rival that is in the question's language."""
    batch, tongues = Batch(), drawn.sample([tongue for tongue in own if own[tongue].facts], _TONGUES)
    for place in drawn.choices(range(len(names)), k=_OWN):
        asked = drawn.choice(tongues)
        told = asked if drawn.random() < _SAME else drawn.choice(tongues)
        batch.add(drawn.choice(own[asked].facts[names[place]].questions), own[told].facts[names[place]].text, place)
        other = drawn.choice([each for each in range(len(names)) if each != place])
        chatter = drawn.random() < 0.5
        rival = drawn.choice(own[asked].chatter) if chatter else own[asked].facts[names[other]].text
        batch.others.append((rival, False))
        batch.other_groups.append(-1 if chatter else other)
    for pair in drawn.sample(list(pairs), min(_PAIRS, len(pairs))):
        batch.add(pair.question, pair.message, -2 - len(batch.groups))
    return batch


class _Lower:
    """The states below the layers that learn, of each text once."""

    def __init__(self, network: Network) -> None:
        self.network, self.known = network, dict[Text, Tensor]()

    def of(self, texts: Sequence[Text]) -> list[Float[Tensor, "_ width"]]:
        for asking in (False, True):
            fresh = sorted({text for text, asks in texts if asks == asking and (text, asks) not in self.known}, key=len)
            for start in range(0, len(fresh), _AT_ONCE):
                some = fresh[start : start + _AT_ONCE]
                states = self.network.lower(some, asking, _UPPER)
                self.known |= {(text, asking): one.clone() for text, one in zip(some, states, strict=True)}
        return [self.known[text] for text in texts]


def vectors(network: Network, lower: Sequence[Tensor]) -> Float[Tensor, "texts width"]:
    """`Network.vectors`, texts of similar length together."""
    order = sorted(range(len(lower)), key=lambda place: len(lower[place]))
    found: dict[int, Tensor] = {}
    for start in range(0, len(order), _AT_ONCE):
        places = order[start : start + _AT_ONCE]
        found |= zip(places, network.vectors([lower[place] for place in places], _UPPER), strict=True)
    return torch.stack([found[place] for place in range(len(lower))])


def ranks(asked: Float[Tensor, "cues width"], told: Float[Tensor, "texts width"]) -> Int[Tensor, " cues"]:
    """How many texts are likelier than the right one, which stands at the cue's place."""
    cosines = asked @ told.T
    return (cosines > cosines.diagonal().unsqueeze(1)).sum(1)


@torch.no_grad()
def measured(network: Network, lower: _Lower, own: dict[str, Language]) -> dict[str, float]:
    """Percent of questions in languages but English with the fact first and in the first five, in one language."""
    found = []
    for tongue, here in own.items():
        if here.facts and tongue != language_facts.ENGLISH:
            told: list[Text] = [(text, False) for text in (*(fact.text for fact in here.facts.values()), *here.chatter)]
            asked: list[Text] = [(fact.question, True) for fact in here.facts.values()]
            found.append(ranks(vectors(network, lower.of(asked)), vectors(network, lower.of(told))))
    whole = torch.cat(found)
    return {f"recall@{most}": round(100 * float((whole < most).float().mean()), 1) for most in (1, 5)}


def fit(folder: Path, pairs: int, steps: int, seed: int, watched: Path | None) -> dict[str, Tensor]:
    """The gains and biases, learned.

    Args:
        pairs: how many questions with their evidence, of conversations.
        watched: facts that nothing learns from, to look at on the way.
    """
    drawn = random.Random(seed)
    own = language_facts.read()
    names = sorted(own[language_facts.ENGLISH].facts)
    conversations = pairs_of(folder, pairs, drawn)
    network = Network()
    lower = _Lower(network)
    learned = network.learning(_UPPER)
    optimiser = torch.optim.Adam([each.requires_grad_(True) for each in learned.values()], lr=_RATE)
    began = time.perf_counter()
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = _RATE * min(1.0, (step + 1) / _WARM) * max(_LEAST, 1.0 - step / steps)
        batch = drawn_batch(own, names, conversations, drawn)
        whole = vectors(network, lower.of(batch.cues + batch.answers + batch.others))
        cues, messages = whole[: len(batch.cues)], whole[len(batch.cues) :]
        logits = (cues @ messages.T / _HEAT).masked_fill(batch.no_rivals(), -torch.inf)
        loss = functional.cross_entropy(logits, torch.arange(len(cues)))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 20 == 19:
            seen = measured(network, lower, language_facts.read(watched)) if watched and step % 40 == 39 else {}
            print(
                f"step {step + 1}, {time.perf_counter() - began:.0f} s: loss {float(loss.detach()):.3f}",
                seen,
                flush=True,
            )
    return {name: each.detach() for name, each in learned.items()}


def main() -> None:
    """Fits, and writes the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the conversations")
    parser.add_argument("--pairs", type=int, default=900, help="questions with their evidence")
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--watch", type=Path, help="a file of facts to look at on the way")
    parser.add_argument("--out", type=Path, default=TUNED)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    learned = fit(options.data, options.pairs, options.steps, options.seed, options.watch)
    save_file({name: tensor.half().contiguous() for name, tensor in learned.items()}, options.out)


if __name__ == "__main__":
    main()
