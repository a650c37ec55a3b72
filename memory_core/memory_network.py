"""The end-to-end memory network: a question looks through the sentences of a story, in several hops.

Source: Sukhbaatar, Szlam, Weston & Fergus 2015 ("End-To-End Memory Networks"), in its order and notation.
"""

import dataclasses
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from memory_core import addressing
from memory_core.state import TensorState


@dataclasses.dataclass(frozen=True)
class MemoryNetworkConfig:
    """`sentences` is how many the memory holds, the newest; `word` is the dimension d of the embeddings.

    tying: adjacent, A^{k+1} = C^k, B = A^1, W^T = C^K; or layer-wise, one A and one C for all hops and a map H between.
    position_encoding: words count by their place in the sentence; as a bag of words where off (section 4.1).
    """

    sentences: int = 50
    word: int = 20
    hops: int = 3
    tying: Literal["adjacent", "layer-wise"] = "adjacent"
    position_encoding: bool = True


@dataclasses.dataclass(frozen=True)
class StoryState(TensorState):
    """The sentences as word numbers, the newest last; 0 stands for no word, a row of 0 for no sentence."""

    story: Int[Tensor, "*batch sentences words"]


class MemoryNetwork(nn.Module):
    """Answers questions about stories: word numbers in, logits over the vocabulary out.

    >>> network = MemoryNetwork(vocabulary=40)
    >>> logits = network(story, lengths, question)
    """

    def __init__(self, vocabulary: int, config: MemoryNetworkConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or MemoryNetworkConfig()
        adjacent = c.tying == "adjacent"
        tables = c.hops + 1 if adjacent else 2  # A^1, C^1 = A^2, …, C^K; or A, C
        self.embeddings = nn.ModuleList(nn.Embedding(vocabulary, c.word, padding_idx=0) for _ in range(tables))
        self.times = nn.ParameterList(torch.randn(c.sentences, c.word) * 0.1 for _ in range(tables))
        self.question = None if adjacent else nn.Embedding(vocabulary, c.word, padding_idx=0)
        self.between = None if adjacent else nn.Linear(c.word, c.word, bias=False)
        self.answer_words = None if adjacent else nn.Linear(c.word, vocabulary, bias=False)
        for embedding in self.modules():
            if isinstance(embedding, nn.Embedding):
                nn.init.normal_(embedding.weight[1:], std=0.1)

    def initial_state(self, batch: int, words: int) -> StoryState:
        """No sentence yet; each may have `words`."""
        device = self.times[0].device
        return StoryState(torch.zeros(batch, self.config.sentences, words, dtype=torch.long, device=device))

    def write(self, state: StoryState, sentence: Int[Tensor, "batch words"]) -> StoryState:
        """The story and one sentence more; the oldest is forgotten when the memory is full."""
        return StoryState(torch.cat([state.story[:, 1:], sentence.unsqueeze(1)], 1))

    def read(
        self, state: StoryState, question: Int[Tensor, "batch asked"]
    ) -> tuple[Float[Tensor, "batch vocabulary"], Float[Tensor, "batch hops sentences"]]:
        """The answer's logits, and what each hop attended to, in the simplex, or 0 without a story.

        Eqs. 1 to 3: p = softmax(u^T m), o = sum p c, answer W(o + u); between hops eq. 4, u <- u + o.
        """
        u = self._sentence(self.embeddings[0] if self.question is None else self.question, question)
        held = (state.story != 0).any(-1).to(u.dtype)
        attended = []
        for hop in range(self.config.hops):
            a, c = (hop, hop + 1) if self.question is None else (0, 1)
            m = self._memories(a, state)
            similarity = addressing.wide((m @ u.unsqueeze(-1)).squeeze(-1))
            p = addressing.content_weighting(similarity, similarity.new_ones(len(u)), held)
            o = (p.unsqueeze(1) @ self._memories(c, state)).squeeze(1)
            u = o + (u if self.between is None else self.between(u))
            attended.append(p)
        if self.answer_words is None:
            return u @ _weight(self.embeddings[-1]).T, torch.stack(attended, 1)
        logits: Tensor = self.answer_words(u)
        return logits, torch.stack(attended, 1)

    def forward(
        self,
        story: Int[Tensor, "batch sentences words"],
        lengths: Int[Tensor, " batch"],
        question: Int[Tensor, "batch asked"],
    ) -> Float[Tensor, "batch vocabulary"]:
        """Logits of the answer. The first `lengths` sentences count, the newest last; more than fit are forgotten."""
        capacity = self.config.sentences
        place = lengths.unsqueeze(1) - capacity + torch.arange(capacity, device=story.device)
        there = (place >= 0).unsqueeze(-1)
        newest = story.gather(1, place.clamp(min=0).unsqueeze(-1).expand(-1, -1, story.shape[2]))
        return self.read(StoryState(newest.masked_fill(~there, 0)), question)[0]

    def _memories(self, table: int, state: StoryState) -> Float[Tensor, "batch sentences word"]:
        """m_i = sum_j l_j o A x_ij + T(i), T by how long ago (section 4.1, temporal encoding)."""
        by_age: Tensor = self.times[table]
        return self._sentence(self.embeddings[table], state.story) + by_age.flip(0)

    def _sentence(self, embedding: nn.Module, words: Int[Tensor, "*batch words"]) -> Float[Tensor, "*batch word"]:
        embedded: Tensor = embedding(words)
        if self.config.position_encoding:
            embedded = embedded * position_encoding(words, self.config.word, embedded.dtype)
        return embedded.sum(-2)


def position_encoding(
    words: Int[Tensor, "*batch words"], dimensions: int, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "*batch words word"]:
    """l_kj = (1 - j/J) - (k/d) (1 - 2j/J), j the word's place from 1, J the sentence's length, k the dimension from 1.

    Source: section 4.1.
    """
    length = (words != 0).sum(-1, keepdim=True).clamp(min=1).unsqueeze(-1).to(dtype)
    j = torch.arange(1, words.shape[-1] + 1, device=words.device).unsqueeze(-1) / length
    k = torch.arange(1, dimensions + 1, dtype=dtype, device=words.device) / dimensions
    return (1.0 - j) - k * (1.0 - 2.0 * j)


def _weight(embedding: nn.Module) -> Tensor:
    assert isinstance(embedding, nn.Embedding)
    return embedding.weight
