"""The network that reads a story once, a sentence a step, and then thinks about questions.

Its memory is that of a DNC whose write and allocation gates are open and whose free gates are shut, so that sentence t
is written to slot t and the links lead from each slot to the next: usage, precedence and link matrix then have a closed
form, and none of them need be computed (`tests/memory_core/stories/test_reader.py` holds it against the DNC's
addressing). Two things are new. It reads before it writes, so that a word can hold what was known already: where
somebody was who drops the ball. And its reads search along the links (`memory_core.search`).

Thinking writes nothing: all questions about a story, after however many sentences, are thought about side by side.
"""

import dataclasses

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from memory_core import search
from memory_core.stories.corpus import LONGEST_ANSWER, StoryBatch, Vocabulary

_NOWHERE = -1e4  # the logit of a slot that does not count
_SHY = -2.0  # matching begins at a chance of an eighth, so that a search reaches far


@dataclasses.dataclass(frozen=True)
class ReaderConfig:
    """Sizes, and what can be left out to see what it brings.

    steps: of thinking about a question.
    links: a read may go on from where the last one was; without them, by content and newest match alone.
    search: a read may look for the newest or the nearest match; without it, by content and along single links.
    read_first: a sentence's word may hold what was read for it.
    """

    width: int = 96
    heads: int = 4
    key: int = 24
    steps: int = 5
    dropout: float = 0.1
    links: bool = True
    search: bool = True
    read_first: bool = True


class SentenceEncoder(nn.Module):
    """A sentence as a vector: its words, weighted part by part by their places, and a layer over their sum.

    The sum is the position encoding of Sukhbaatar et al. 2015 with learned weights, as in Henaff et al. 2017.
    """

    def __init__(self, vocabulary: Vocabulary, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(vocabulary.words) + 1, width, padding_idx=0)
        nn.init.normal_(self.embedding.weight[1:], std=0.3)
        self.place = nn.Parameter(torch.randn(vocabulary.longest, width) * 0.3 + 1.0)
        self.mix = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, sentences: Int[Tensor, "sentences words"]) -> Float[Tensor, "sentences width"]:
        """Words beyond the longest sentence that was trained on do not count."""
        longest = len(self.place)
        embedded: Tensor = self.embedding(sentences[:, :longest])
        summed = (embedded * self.place[: sentences.shape[1]]).sum(1)
        mixed: Tensor = summed + self.mix(summed)
        return mixed


def answer_layers(width: int, vocabulary: Vocabulary) -> nn.Sequential:
    """From what was thought and what was asked to the logits of each of the answer's words, 0 being no more words."""
    return nn.Sequential(
        nn.Linear(2 * width, 2 * width), nn.GELU(),
        nn.Linear(2 * width, LONGEST_ANSWER * (len(vocabulary.answers) + 1)),
        nn.Unflatten(-1, (LONGEST_ANSWER, len(vocabulary.answers) + 1)),
    )  # fmt: skip


class StoryReader(nn.Module):
    """Reads stories and answers questions.

    >>> reader = StoryReader(vocabulary)
    >>> logits, followed = reader(batch)
    """

    def __init__(self, vocabulary: Vocabulary, config: ReaderConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or ReaderConfig()
        width, read = c.width, c.heads * c.key
        self.encoder = SentenceEncoder(vocabulary, width)
        self.parts = [4 * width, c.heads * (c.key + 2), width]  # gates; keys, bars and choices; what is written as is
        self.told = nn.Linear(width, sum(self.parts))
        self.recurrent = nn.Linear(width + read, 4 * width, bias=False)
        self.told_query = nn.Linear(width, c.heads * (c.key + 2), bias=False)
        self.word = nn.Linear(width + read, width, bias=False)
        self.word_norm = nn.LayerNorm(width)
        self.kept = nn.Linear(width, 2 * read)
        self.known = nn.Linear(width, 2 * read)
        self.cue = nn.Linear(2 * width, width)
        self.step = nn.Parameter(torch.randn(c.steps, width) * 0.1)
        self.think_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, c.heads * (c.key + 5))
        self.update = nn.Sequential(nn.Linear(width + read, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.answer = answer_layers(width, vocabulary)

    def forward(
        self, batch: StoryBatch
    ) -> tuple[Float[Tensor, "batch asked answer words"], Float[Tensor, "batch asked steps heads time"]]:
        """Logits of the answers' words, and the read weightings of every step of thinking."""
        encoded = functional.dropout(self.encoder(batch.distinct), self.config.dropout, self.training)
        memory, hidden = self.tell(encoded[batch.story.T])
        return self.think(memory, hidden, encoded[batch.question], batch.told)

    def tell(
        self, sentences: Float[Tensor, "time batch width"]
    ) -> tuple[Float[Tensor, "batch time width"], Float[Tensor, "batch time width"]]:
        """The words written, and the controller's hidden vectors (an LSTM), one a sentence."""
        c = self.config
        time, size, width = sentences.shape
        rows = size * c.heads
        gates, queries, plain = self.told(sentences).split(self.parts, -1)
        hidden = cell = sentences.new_zeros(size, width)
        found = sentences.new_zeros(size, c.heads * c.key)
        keys = values = sentences.new_zeros(0, rows, c.key)
        words, hiddens = [], []
        for t in range(time):
            if t and c.read_first:
                asked = (queries[t] + self.told_query(hidden)).view(size, c.heads, c.key + 2)
                query = asked[..., : c.key].reshape(rows, c.key, 1) * c.key**-0.5
                w = self._first_reads(asked, torch.bmm(keys.transpose(0, 1), query).view(size, c.heads, t))
                found = torch.bmm(w.view(rows, 1, t), values.transpose(0, 1)).view(size, c.heads * c.key)
            i, f, g, o = (gates[t] + self.recurrent(torch.cat([hidden, found], 1))).chunk(4, 1)
            cell = torch.sigmoid(f + 1.0) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            word = self.word_norm(plain[t] + self.word(torch.cat([hidden, found], 1)))
            words.append(word)
            hiddens.append(hidden)
            if c.read_first and t + 1 < time:
                key, value = (each.reshape(1, rows, c.key) for each in self.kept(word).chunk(2, 1))
                keys, values = torch.cat([keys, key]), torch.cat([values, value])
        return torch.stack(words, 1), torch.stack(hiddens, 1)

    def _first_reads(
        self, asked: Float[Tensor, "batch heads asked"], logits: Float[Tensor, "batch heads time"]
    ) -> Float[Tensor, "batch heads time"]:
        content = logits.softmax(-1)
        if not self.config.search:
            return content
        bar, choice = asked[..., self.config.key :].chunk(2, -1)
        part = torch.sigmoid(choice)
        return part * search.latest(logits + (bar + _SHY)) + (1.0 - part) * content

    def think(
        self,
        memory: Float[Tensor, "batch time width"],
        hidden: Float[Tensor, "batch time width"],
        cue: Float[Tensor, "batch asked width"],
        told: Int[Tensor, "batch asked"],
    ) -> tuple[Float[Tensor, "batch asked answer words"], Float[Tensor, "batch asked steps heads time"]]:
        """Answers questions, each asked after its first `told` sentences: later ones are hidden from it."""
        c = self.config
        size, time, width = memory.shape
        asked = cue.shape[1]
        state = hidden.gather(1, told.clamp(min=1).sub(1).unsqueeze(-1).expand(-1, -1, width))
        keys, values = self.known(memory).view(size, time, 2, c.heads, c.key).permute(2, 0, 3, 1, 4)
        keys = keys.transpose(-1, -2) * c.key**-0.5
        beyond = (torch.arange(time, device=told.device) >= told.unsqueeze(-1)).unsqueeze(1)
        thought = self.cue(torch.cat([cue, state], -1))
        w = memory.new_zeros(size, c.heads, asked, time)
        followed = []
        for own in self.step:
            normed = self.think_norm(thought + own)
            query = self.query(normed).view(size, asked, c.heads, c.key + 5).transpose(1, 2)
            w = self._reads(query, query[..., : c.key] @ keys, beyond, w)
            followed.append(w)
            read = (w @ values).transpose(1, 2).flatten(2)
            change = self.update(torch.cat([normed, read], -1))
            thought = thought + functional.dropout(change, c.dropout, self.training)
        return self.answer(torch.cat([thought, cue], -1)), torch.stack(followed, 1).permute(0, 3, 1, 2, 4)

    def _reads(
        self,
        query: Float[Tensor, "batch heads asked query"],
        logits: Float[Tensor, "batch heads asked time"],
        beyond: Tensor,
        last: Float[Tensor, "batch heads asked time"],
    ) -> Float[Tensor, "batch heads asked time"]:
        """A mixture of reads by content, of the newest match, and from the last read backward and forward."""
        c = self.config
        bar, modes = query[..., c.key, None], query[..., c.key + 1 :]
        matching = (logits + (bar + _SHY) if c.search else torch.full_like(logits, -_NOWHERE)).masked_fill(
            beyond, _NOWHERE
        )
        found = [logits.masked_fill(beyond, _NOWHERE).softmax(-1)]
        if c.search:
            found.append(search.latest(matching))
        else:
            modes = modes[..., [0, 2, 3]]
        if c.links:
            found += search.around(matching, last)
        shares = modes[..., : len(found)].softmax(-1)
        return (torch.stack(found, -1) * shares.unsqueeze(-2)).sum(-1)
