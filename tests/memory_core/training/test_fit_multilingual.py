"""What teaches the multilingual encoder: its network is the graph's; no right answer counts as a wrong one."""

import random

import pytest
import torch
from safetensors.numpy import load_file

from memory_core.multilingual_encoder import TUNED, MultilingualEncoder
from memory_core.training import language_facts
from memory_core.training.fit_multilingual import Pair, drawn_batch, ranks, vectors
from memory_core.training.multilingual_network import Network

TEXTS = ["Wie heißt mein Hund?", "今日は雨", "Each Thursday I sing in a choir, and after that we have a drink."]


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


def test_the_network_that_learns_gives_the_vectors_of_the_graph_that_ships(network: Network) -> None:
    ours, theirs = vectors(network, network.lower(TEXTS, True, 6)), MultilingualEncoder(tuned=False).encode(TEXTS, True)
    assert ((ours * theirs).sum(1) > 0.999).all()


def test_the_weights_that_ship_are_of_the_upper_layers_and_make_another_encoder(network: Network) -> None:
    learned = load_file(TUNED)
    assert {name: tensor.shape for name, tensor in learned.items()} == {
        name: tuple(parameter.shape) for name, parameter in network.learning(6).items()
    }
    plain, tuned = MultilingualEncoder(tuned=False), MultilingualEncoder()
    assert plain.fingerprint() != tuned.fingerprint()
    assert ((plain.encode(TEXTS, True) * tuned.encode(TEXTS, True)).sum(1) < 0.99).all()


def test_the_same_fact_in_another_language_is_no_wrong_answer() -> None:
    own = language_facts.read()
    names = sorted(own["en"].facts)[:3]
    batch = drawn_batch(own, names, [Pair("Who?", "Me."), Pair("Why?", "So.")], random.Random(1))
    facts = {fact.text: name for each in own.values() for name, fact in each.facts.items()}
    questions = {fact.question: name for each in own.values() for name, fact in each.facts.items()}
    messages = [text for text, _ in batch.answers + batch.others]
    spared = batch.no_rivals()
    for row, (cue, _) in enumerate(batch.cues):
        for column, message in enumerate(messages):
            same = cue in questions and facts.get(message) == questions[cue]
            assert bool(spared[row, column]) == (same and column != row)


def test_every_fact_is_told_in_every_language_and_none_is_held_back_and_learned() -> None:
    own, held = language_facts.read(), language_facts.read(language_facts.HELD)
    for each in (own, held):
        with_facts = [here for here in each.values() if here.facts]
        assert len(with_facts) == 11
        assert all(list(here.facts) == list(each["en"].facts) for here in with_facts)
    assert not set(own["en"].facts) & set(held["en"].facts)


def test_a_rank_is_the_number_of_texts_that_are_likelier() -> None:
    told = torch.eye(3)
    assert ranks(torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.3, 0.1]]), told).tolist() == [0, 1]
