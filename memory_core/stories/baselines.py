"""What the story reader is held against, with the same sentence vectors and answers: an LSTM, a Transformer, and the
general DNC of this library, whose gates have to learn where to write."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from memory_core.controllers import ControllerConfig
from memory_core.dnc import DNC, DNCConfig, DNCState
from memory_core.stories.corpus import StoryBatch, Vocabulary
from memory_core.stories.reader import ReaderConfig, SentenceEncoder, StoryReader, answer_layers

Read = tuple[Float[Tensor, "batch asked answer words"], Float[Tensor, "batch asked steps heads time"]]
NAMES = ("reader", "dnc", "transformer", "lstm")


class _Baseline(nn.Module):
    """Sentences and questions as vectors; subclasses say what is thought of a question."""

    def __init__(self, vocabulary: Vocabulary, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SentenceEncoder(vocabulary, config.width)
        self.answer = answer_layers(config.width, vocabulary)

    def forward(self, batch: StoryBatch) -> Read:
        encoded = functional.dropout(self.encoder(batch.distinct), self.config.dropout, self.training)
        cue = encoded[batch.question]
        thought, followed = self.think(encoded[batch.story], cue, batch.told)
        return self.answer(torch.cat([thought, cue], -1)), followed

    def think(self, sentences: Tensor, cue: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """What is thought of each question, and the weightings of its reads."""
        raise NotImplementedError


class LSTMReader(_Baseline):
    """An LSTM over the sentences, twice as wide so that it has about as many parameters; it remembers what it can."""

    def __init__(self, vocabulary: Vocabulary, config: ReaderConfig) -> None:
        super().__init__(vocabulary, config)
        self.lstm = nn.LSTM(config.width, 2 * config.width, batch_first=True)
        self.join = nn.Linear(3 * config.width, config.width)

    def think(self, sentences: Tensor, cue: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        hidden, _ = self.lstm(sentences)
        state = hidden.gather(1, told.clamp(min=1).sub(1).unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))
        return torch.relu(self.join(torch.cat([state, cue], -1))), cue.new_zeros(*told.shape, 0, 0, sentences.shape[1])


class TransformerReader(_Baseline):
    """Two causal layers over the sentences and two through which the question looks at them."""

    def __init__(self, vocabulary: Vocabulary, config: ReaderConfig) -> None:
        super().__init__(vocabulary, config)
        width = config.width
        self.sentences = nn.ModuleList(_block(nn.TransformerEncoderLayer, width, config) for _ in range(2))
        self.questions = nn.ModuleList(_block(nn.TransformerDecoderLayer, width, config) for _ in range(2))

    def think(self, sentences: Tensor, cue: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        size, time, width = sentences.shape
        memory = sentences + _sinusoids(time, width).to(sentences)
        later = torch.ones(time, time, dtype=torch.bool, device=told.device).triu(1)
        for layer in self.sentences:
            memory = layer(memory, src_mask=later)
        asked = cue.shape[1]
        alone = ~torch.eye(asked, dtype=torch.bool, device=told.device)
        beyond = torch.arange(time, device=told.device) >= told.clamp(min=1).unsqueeze(-1)
        beyond = beyond.repeat_interleave(self.config.heads, 0)
        thought = cue + _sinusoids(time + 1, width).to(cue)[told]
        for layer in self.questions:
            thought = layer(thought, memory, tgt_mask=alone, memory_mask=beyond)
        return thought, cue.new_zeros(size, asked, 0, 0, time)


class DNCReader(_Baseline):
    """The library's DNC with masked keys and de-allocation: a sentence a step, then the question as often as thought
    takes. As many slots as there are sentences."""

    def __init__(self, vocabulary: Vocabulary, config: ReaderConfig) -> None:
        super().__init__(vocabulary, config)
        controller = ControllerConfig("lstm", hidden=config.width)
        self.dnc = DNC(
            config.width + 1,
            config.width,
            DNCConfig(
                word=2 * config.key, read_heads=config.heads, controller=controller,
                masked=True, deallocate=True, normalised=True, links=config.links,
            ),
        )  # fmt: skip

    def think(self, sentences: Tensor, cue: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        size, time, _ = sentences.shape
        state = self.dnc.initial_state(size, slots=time)
        kept: list[DNCState] = []
        where: list[Tensor] = []
        for t, sentence in enumerate(functional.pad(sentences, (0, 1)).unbind(1), 1):
            _, state = self.dnc.step(sentence, state)
            rows, places = (told.clamp(min=1) == t).nonzero(as_tuple=True)
            if len(rows):
                kept.append(state.index_select(rows))
                where.append(rows * told.shape[1] + places)
        order = torch.cat(where).argsort()
        state = _joined(kept).index_select(order)
        asking = functional.pad(cue.flatten(0, 1), (0, 1), value=1.0)
        followed = []
        for _ in range(self.config.steps):
            thought, state = self.dnc.step(asking, state)
            followed.append(state.read_weighting)
        return thought.view_as(cue), torch.unflatten(torch.stack(followed, 1), 0, told.shape)


def build(model: str, vocabulary: Vocabulary, config: ReaderConfig) -> nn.Module:
    """A network of `NAMES`."""
    kinds: dict[str, Any] = {
        "reader": StoryReader, "dnc": DNCReader, "transformer": TransformerReader, "lstm": LSTMReader,
    }  # fmt: skip
    network: nn.Module = kinds[model](vocabulary, config)
    return network


def _joined(states: list[DNCState]) -> DNCState:
    each = [state.tensors() for state in states]
    return DNCState._of({name: torch.cat([tensors[name] for tensors in each]) for name in each[0]})


def _block(kind: type[nn.Module], width: int, config: ReaderConfig) -> nn.Module:
    return kind(width, config.heads, 4 * width, config.dropout, "gelu", batch_first=True, norm_first=True)


def _sinusoids(time: int, width: int) -> Tensor:
    """Positions as in Vaswani et al. 2017, so that a story may be of any length."""
    angle = torch.arange(time).unsqueeze(1) * 10_000.0 ** (-torch.arange(0, width, 2) / width)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[:, :width]
