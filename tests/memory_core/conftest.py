"""The encoders and memories that these tests share; each is loaded once a session and changed by none."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from memory_core.allocation import EpisodicConfig
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from tests.tiny_transformer import save_tiny_transformer

# Links, candidates and read of the first cut nothing; links and read of the second do.
SMALL = EpisodicConfig(facets=4, sharing=1, word=16, cue=4, links=16, candidates=16, read=16)
TIGHT = EpisodicConfig(facets=4, sharing=1, word=16, cue=4, links=3, candidates=16, read=8)


@pytest.fixture(
    scope="session",
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")],
        ),
    ],
)
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Path:
    """A random transformer of 32 dimensions with the packaged tokenizer, as `transformers` saves one."""
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_transformer(folder, encoder, layers=2)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder(tiny_folder: Path) -> Encoder:
    return Encoder(str(tiny_folder), word=16)


@pytest.fixture(scope="session")
def small(tiny_encoder: Encoder) -> EpisodicMemory:
    """A memory small enough for its dense reference; nothing is truncated at 16 slots."""
    return with_random_prototypes(EpisodicMemory(tiny_encoder, SMALL))


@pytest.fixture(scope="session")
def tight(tiny_encoder: Encoder) -> EpisodicMemory:
    """A memory of three links a slot, so that links give way to each other."""
    return with_random_prototypes(EpisodicMemory(tiny_encoder, TIGHT))


@pytest.fixture(scope="session")
def sized(tiny_encoder: Encoder) -> Callable[[EpisodicConfig], EpisodicMemory]:
    """Small memories of any sizes, with words of 16 dimensions."""
    return lambda config: with_random_prototypes(EpisodicMemory(tiny_encoder, config))


def with_random_prototypes(memory: EpisodicMemory) -> EpisodicMemory:
    """Read modes that random cues tell apart: a random transformer makes all prototypes much alike."""
    random = torch.Generator().manual_seed(7)
    for prototypes in (memory.follow_up_prototypes, memory.look_back_prototypes):
        drawn = torch.randn(prototypes.shape, generator=random)
        prototypes.copy_(torch.nn.functional.normalize(drawn, dim=-1))
    return memory
