"""A trained network put to use: a story and a question in, the answer, its probability and the sentences read out."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from memory_core.stories import baselines
from memory_core.stories.babi import words
from memory_core.stories.corpus import StoryBatch, Vocabulary
from memory_core.stories.reader import ReaderConfig

_KIND = {"kind": "stories", "schema": "3"}
QUESTION = -1  # in place of a sentence's number
_FAINTEST = 0.01  # a sentence that was read less does not count as read


class StoryWeightsError(ValueError):
    """A file that holds no network that reads stories."""


class Unreadable(ValueError):
    """A story or question that the network cannot read; `where` says of which sentences why (`QUESTION`: of it)."""

    def __init__(self, where: dict[int, str]) -> None:
        named = (
            f"question: {why}" if number == QUESTION else f"sentence {number + 1}: {why}"
            for number, why in where.items()
        )
        super().__init__("; ".join(named))
        self.where = where


@dataclasses.dataclass(frozen=True)
class Supporting:
    """A sentence that was read for an answer; the weights of all sentences sum to 1, if anything was read."""

    place: int
    sentence: str
    weight: float


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer. `read` are the weightings of every step of thinking and head, which `supporting` sums up."""

    answer: str
    probability: float
    supporting: tuple[Supporting, ...]
    read: Float[Tensor, "steps heads sentences"]


class Answerer:
    """A network that answers questions about stories.

    >>> answerer = load(weights.BABI)
    >>> answerer.answer(["John took the football.", "John went to the garden."], "Where is the football?").answer
    'garden'
    """

    def __init__(self, network: nn.Module, vocabulary: Vocabulary) -> None:
        self.network, self.vocabulary = network.eval(), vocabulary

    @torch.no_grad()
    def answer(self, story: Sequence[str], question: str) -> Answer:
        """What the network answers after the whole story.

        Raises:
            Unreadable: the story has no sentence, words were never seen, or a sentence is empty or too long.
        """
        if not story:
            raise Unreadable({QUESTION: "there is no story to ask about"})
        said = {number: words(sentence) for number, sentence in enumerate([*story, question])}
        said[QUESTION] = said.pop(len(story))
        wrong = {number: why for number, sentence in said.items() if (why := self._wrong(sentence))}
        if wrong:
            raise Unreadable(wrong)
        logits, followed = self.network(self._batch(list(said.values())))
        chances = logits[0, 0].softmax(-1)
        best = chances.max(-1)
        named = [self.vocabulary.answers[number - 1] for number in best.indices.tolist() if number]
        read = followed[0, 0]
        shares = weights_of(followed)[0, 0]
        supporting = [Supporting(n, story[n], round(float(w), 4)) for n, w in enumerate(shares) if w >= _FAINTEST]
        supporting.sort(key=lambda one: -one.weight)
        return Answer(", ".join(named), float(best.values.prod()), tuple(supporting), read)

    def _wrong(self, sentence: tuple[str, ...]) -> str:
        unknown = self.vocabulary.unknown(sentence)
        if unknown:
            return f"words that the network never saw: {', '.join(unknown)}"
        if len(sentence) > self.vocabulary.longest:
            return f"{len(sentence)} words; the network reads {self.vocabulary.longest} at most"
        return "" if sentence else "no words"

    def _batch(self, sentences: list[tuple[str, ...]]) -> StoryBatch:
        """One story and one question, which comes last."""
        told, none = len(sentences) - 1, torch.zeros(1, 1, dtype=torch.long)
        return StoryBatch(
            distinct=self.vocabulary.numbers(sentences),
            story=torch.arange(told).unsqueeze(0),
            question=none + told,
            told=none + told,
            answer=none.unsqueeze(-1),
            there=torch.ones(1, 1, dtype=torch.bool),
            task=none,
            supporting=torch.zeros(1, 1, told, dtype=torch.bool),
        )


def weights_of(followed: Float[Tensor, "batch asked steps heads time"]) -> Float[Tensor, "batch asked time"]:
    """How much each sentence was read over all steps and heads, as shares of all that was read."""
    read = followed.flatten(2, 3).sum(2)
    return read / read.sum(-1, keepdim=True).clamp(min=1e-6)


def save(path: Path, model: str, network: nn.Module, vocabulary: Vocabulary, config: ReaderConfig) -> None:
    """Writes a network with all that is needed to use it."""
    told = {"model": model, "config": dataclasses.asdict(config), "vocabulary": dataclasses.asdict(vocabulary)}
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
    save_file(tensors, path, _KIND | {name: json.dumps(value) for name, value in told.items()})


def load(path: Path) -> Answerer:
    """The network of a file that `save` wrote.

    Raises:
        StoryWeightsError: there is no such file, or it is another one's.
    """
    try:
        with safe_open(str(path), "pt") as file:
            told = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise StoryWeightsError(f"{path} cannot be read: {error}; `mneme train babi` makes one") from None
    if any(told.get(key) != value for key, value in _KIND.items()):
        raise StoryWeightsError(f"{path} holds no network that reads stories: `mneme train babi` makes one")
    known = json.loads(told["vocabulary"])
    vocabulary = Vocabulary(tuple(known["words"]), tuple(known["answers"]), known["longest"])
    network = baselines.build(json.loads(told["model"]), vocabulary, ReaderConfig(**json.loads(told["config"])))
    network.load_state_dict(tensors)
    return Answerer(network, vocabulary)
