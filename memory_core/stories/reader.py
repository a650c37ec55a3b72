"""The network that reads a story once, a sentence a step, and then thinks about questions.

Its memory is that of a DNC whose write and allocation gates are open and whose free gates are shut, so that sentence t
is written to slot t and the links lead from each slot to the next: usage, precedence and link matrix then have a closed
form, and none of them need be computed (`tests/memory_core/stories/test_reader.py` holds it against the DNC's
addressing). Two things are new. It reads before it writes, so that a word can hold what was known already: where
somebody was who drops the ball. And its reads search along the links (`memory_core.search`).

There are several such memories, one upon the other: what is written to one is read by what is written to the next. No
state is carried from sentence to sentence, so that all of a story's are computed side by side, each from those before
it. Thinking writes nothing: all questions about a story, after however many sentences, are thought about side by side.
"""

import dataclasses
import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from memory_core import search
from memory_core.stories.corpus import LONGEST_ANSWER, StoryBatch, Vocabulary

_NOWHERE = -1e4  # the logit of a slot that does not count
_SHY = -2.0  # matching begins at a chance of an eighth, so that a search reaches far
_RARE = 0.2  # of a story's sentences: a word in so many begins to matter 1
_ASKED = 0.2  # what a word matters at first that is only asked
READS = frozenset({"encoder", "query", "keys", "cue", "step"})  # parts that decide what is read, by name
_ALIKE = 1.3  # the logit of a vector and itself begins at the square of it, times the root of a key's length


@dataclasses.dataclass(frozen=True)
class ReaderConfig:
    """Sizes, and what can be left out to see what it brings.

    layers: memories that are written one after the other, each by what was read in the same way.
    steps: of thinking about a question.
    links: a read may go on from where the last one was; without them, by content and newest match alone.
    search: a read may look for the newest or the nearest match; without it, by content and along single links.
    read_first: a sentence's word may hold what was read for it.
    """

    width: int = 96
    heads: int = 4
    key: int = 24
    layers: int = 2
    steps: int = 5
    dropout: float = 0.1
    links: bool = True
    search: bool = True
    read_first: bool = True


class SentenceEncoder(nn.Module):
    """A sentence as a vector: the sum of its words, each as much as it matters, so that sentences of the same words are
    alike; what each word says in its place, so that who did something is not who it was done to; and a layer over both.
    """

    def __init__(self, vocabulary: Vocabulary, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(vocabulary.words) + 1, width, padding_idx=0)
        nn.init.normal_(self.embedding.weight[1:], std=0.3)
        self.matters = nn.Embedding(len(vocabulary.words) + 1, 1)
        nn.init.ones_(self.matters.weight)
        self.longest = vocabulary.longest
        self.placed = nn.Linear(vocabulary.longest * width, width)
        nn.init.normal_(self.placed.weight, std=0.5 * width**-0.5)
        self.mix = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def weigh(self, told: Float[Tensor, "words"]) -> None:
        """Has each word matter the less, the more of a story's sentences have it, so that sentences are alike by names,
        not by "is": its inverse frequency, the logarithm of 1 by the share `told`. A word that is only asked matters
        little, as no sentence has it. For a network that is not taught yet.
        """
        with torch.no_grad():
            self.matters.weight[:, 0] = torch.where(told > 0.0, told.log() / math.log(_RARE), _ASKED)

    def forward(self, sentences: Int[Tensor, "sentences words"]) -> Float[Tensor, "sentences width"]:
        """Words beyond the longest sentence that was trained on do not count."""
        sentences = sentences[:, : self.longest]
        embedded = self.embedding(sentences)
        summed = (embedded * self.matters(sentences)).sum(1) + self.placed(embedded.flatten(1))
        mixed: Tensor = summed + self.mix(summed)
        return mixed


def answer_layers(width: int, vocabulary: Vocabulary) -> nn.Sequential:
    """From what was thought and what was asked to the logits of each of the answer's words, 0 being no more words."""
    return nn.Sequential(
        nn.Linear(2 * width, 2 * width), nn.GELU(),
        nn.Linear(2 * width, LONGEST_ANSWER * (len(vocabulary.answers) + 1)),
        nn.Unflatten(-1, (LONGEST_ANSWER, len(vocabulary.answers) + 1)),
    )  # fmt: skip


class _Heads(nn.Module):
    """Read heads: what they ask for, what there is to read in words, and what becomes of a vector by what was read.

    There may be several memories, each with as many heads. Queries begin as the keys of what is asked for, and what was
    read is added as it stands: at first, what is alike is read, and then what is like what was read.
    """

    def __init__(self, config: ReaderConfig, memories: int, extra: int) -> None:
        super().__init__()
        width, self.key = config.width, config.key
        heads = self.heads = memories * config.heads
        self.query = nn.Linear(width, heads * (self.key + extra))
        keys, values = ([nn.Linear(width, config.heads * self.key) for _ in range(memories)] for _ in range(2))
        self.keys, self.values = nn.ModuleList(keys), nn.ModuleList(values)
        self.update = nn.Sequential(
            nn.Linear(width + heads * self.key, 2 * width), nn.GELU(), nn.Linear(2 * width, width),
            nn.Dropout(config.dropout),
        )  # fmt: skip
        self.add = nn.Linear(heads * self.key, width, bias=False)
        with torch.no_grad():
            asked = self.query.weight.view(memories, config.heads, self.key + extra, width)[:, :, : self.key]
            for queries, part in zip(asked, keys, strict=True):
                for key, query in zip(part.weight.view(queries.shape), queries, strict=True):
                    query.copy_(nn.init.orthogonal_(key, _ALIKE))
            self.add.weight.copy_(torch.cat([nn.init.orthogonal_(part.weight).T for part in values], 1))

    def ask(self, vectors: Float[Tensor, "batch asked width"]) -> Float[Tensor, "batch heads asked query"]:
        """The query of each vector and head: a key, and what else is to be told."""
        asked: Tensor = self.query(vectors)
        return asked.view(*asked.shape[:2], self.heads, -1).transpose(1, 2)

    def know(
        self, *memories: Float[Tensor, "batch time width"]
    ) -> tuple[Float[Tensor, "batch heads key time"], Float[Tensor, "batch heads time key"]]:
        """The keys and the values of the words in each memory."""
        known = [
            torch.cat([part(words) for part, words in zip(parts, memories, strict=True)], -1)
            for parts in (self.keys, self.values)
        ]
        keys, values = (each.view(*each.shape[:2], self.heads, self.key).transpose(1, 2) for each in known)
        return keys.transpose(-1, -2) * self.key**-0.5, values

    def change(
        self,
        vectors: Float[Tensor, "batch asked width"],
        values: Float[Tensor, "batch heads time key"],
        weights: Float[Tensor, "batch heads asked time"],
    ) -> Float[Tensor, "batch asked width"]:
        """What is added to vectors that read with these weights."""
        read = (weights @ values).transpose(1, 2).flatten(2)
        changed: Tensor = self.update(torch.cat([vectors, read], -1)) + self.add(read)
        return changed


class _Writing(nn.Module):
    """One memory: what each sentence writes, by what it reads in it of those before. At first, little but itself."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        self.norm = nn.LayerNorm(config.width)
        self.heads = _Heads(config, 1, 2)
        with torch.no_grad():
            for parameter in self.heads.update[2].parameters():
                parameter.mul_(0.1)

    def forward(self, sentences: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
        time, key = sentences.shape[1], self.config.key
        normed = self.norm(sentences)
        asked, (keys, values) = self.heads.ask(normed), self.heads.know(normed)
        not_yet = torch.ones(time, time, dtype=torch.bool, device=sentences.device).triu()
        logits = (asked[..., :key] @ keys).masked_fill(not_yet, _NOWHERE)
        weights = _content(logits)
        if self.config.search:
            bar, part = asked[..., key, None], torch.sigmoid(asked[..., key + 1, None])
            weights = part * search.latest(logits + (bar + _SHY)) + (1.0 - part) * weights
        return sentences + self.heads.change(normed, values, weights * self.config.read_first)


class StoryReader(nn.Module):
    """Reads stories and answers questions.

    >>> reader = StoryReader(vocabulary)
    >>> logits, followed = reader(batch)
    """

    def __init__(self, vocabulary: Vocabulary, config: ReaderConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or ReaderConfig()
        self.encoder = SentenceEncoder(vocabulary, c.width)
        self.writing = nn.Sequential(*(_Writing(c) for _ in range(c.layers)), nn.LayerNorm(c.width))
        self.heard_norm = nn.LayerNorm(c.width)
        self.cue = nn.Linear(c.width, c.width)
        self.step = nn.Parameter(torch.randn(c.steps, c.width) * 0.1)
        self.think_norm = nn.LayerNorm(c.width)
        self.heads = _Heads(c, 2, 5)
        self.answer = answer_layers(c.width, vocabulary)

    def forward(
        self, batch: StoryBatch
    ) -> tuple[Float[Tensor, "batch asked answer words"], Float[Tensor, "batch asked steps heads time"]]:
        """Logits of the answers' words, and the read weightings of every step of thinking."""
        encoded = functional.dropout(self.encoder(batch.distinct), self.config.dropout, self.training)
        heard = encoded[batch.story]
        return self.think(self.writing(heard), self.heard_norm(heard), encoded[batch.question], batch.told)

    def think(
        self,
        written: Float[Tensor, "batch time width"],
        heard: Float[Tensor, "batch time width"],
        cue: Float[Tensor, "batch asked width"],
        told: Int[Tensor, "batch asked"],
    ) -> tuple[Float[Tensor, "batch asked answer words"], Float[Tensor, "batch asked steps heads time"]]:
        """Answers questions, each asked after its first `told` sentences: later ones are hidden from it.

        Half of the heads read what was written last, half the sentences as they were heard.
        """
        keys, values = self.heads.know(written, heard)
        size, heads, time, _ = values.shape
        beyond = (torch.arange(time, device=told.device) >= told.unsqueeze(-1)).unsqueeze(1)
        thought = cue + self.cue(cue)
        weights = written.new_zeros(size, heads, told.shape[1], time)
        followed = []
        for own in self.step:
            normed = self.think_norm(thought + own)
            weights = self._reads(self.heads.ask(normed), keys, beyond, weights)
            followed.append(weights)
            thought = thought + self.heads.change(normed, values, weights)
        return self.answer(torch.cat([thought, cue], -1)), torch.stack(followed, 1).permute(0, 3, 1, 2, 4)

    def _reads(
        self,
        asked: Float[Tensor, "batch heads asked query"],
        keys: Float[Tensor, "batch heads key time"],
        beyond: Tensor,
        last: Float[Tensor, "batch heads asked time"],
    ) -> Float[Tensor, "batch heads asked time"]:
        """A mixture of reads by content, of the newest match, and from the last read backward and forward."""
        c = self.config
        bar, modes = asked[..., c.key, None], asked[..., c.key + 1 :]
        logits = asked[..., : c.key] @ keys
        found = [_content(logits.masked_fill(beyond, _NOWHERE))]
        matching = logits + (bar + _SHY) if c.search else torch.full_like(logits, -_NOWHERE)
        matching = matching.masked_fill(beyond, _NOWHERE)
        if c.search:
            found.append(search.latest(matching))
        else:
            modes = modes[..., [0, 2, 3]]
        if c.links:
            found += search.around(matching, last)
        shares = modes[..., : len(found)].softmax(-1)
        return (torch.stack(found, -1) * shares.unsqueeze(-2)).sum(-1)


def _content(logits: Float[Tensor, "*batch slots"]) -> Float[Tensor, "*batch slots"]:
    """A softmax beside a slot that holds nothing, for what matches no other."""
    chances: Tensor = functional.pad(logits, (1, 0)).softmax(-1)
    return chances[..., 1:]
