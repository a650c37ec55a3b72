"""Memories of texts in any language, and what is read of them: what the fits of the second key look at."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from torch import Tensor

from memory_core import candidate_retrieval, reading, writing
from memory_core.candidate_retrieval import Candidates
from memory_core.encoder import Encoder, Utterance
from memory_core.episodic import EpisodicMemory
from memory_core.language.header import header
from memory_core.reranker import RerankerInput, RerankerOutput
from memory_core.state import EpisodicState

_AT = datetime(2026, 11, 20, tzinfo=UTC)


class Once:
    """An encoder that encodes each text once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self._known = encoder, dict[str, Utterance]()

    def encode(self, texts: Sequence[str]) -> list[Utterance]:
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(fresh, self._encoder.encode(fresh), strict=True))
        return [self._known[text] for text in texts]


def remembered(encoder: Once, memory: EpisodicMemory, texts: Sequence[str]) -> EpisodicState:
    """A memory of texts, told in order; sources are counted from 1 on."""
    assert memory.languages is not None
    said = encoder.encode([header(None, _AT) + text for text in texts])
    state = memory.empty(capacity=1024)
    for source, (text, one, told) in enumerate(zip(texts, said, memory.languages.of_said(texts), strict=True), 1):
        features = memory.message_features(text, at=_AT)
        gate = writing.precedence_gate(memory.config, text, False)
        state, _ = memory.write_(state, one._replace(meanings=told), source, gate, features)
    return state


def answered(
    encoder: Once, memory: EpisodicMemory, state: EpisodicState, asked: Sequence[str]
) -> Iterator[tuple[Candidates, RerankerInput, Tensor, RerankerOutput]]:
    """Of each question the candidates, what was found in them, their log weights, and what the reranker told."""
    assert memory.languages is not None
    for cue, told in zip(encoder.encode(asked), memory.languages.of_asked(asked), strict=True):
        of = candidate_retrieval.retrieve(memory, state, cue._replace(meanings=told))
        given = reading.found(memory, state, of, candidate_retrieval.cosines([state], [of])[0])
        yield of, given, *reading.rerank(memory, state, of, given)
