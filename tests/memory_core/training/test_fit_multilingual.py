"""What teaches the multilingual encoder: its network is the graph's; no right answer counts as a wrong one."""

import random

import pytest
import torch
from safetensors.numpy import load_file

from memory_core.multilingual_encoder import FORM, MEANING, TUNED, MultilingualEncoder
from memory_core.training import fit_forms, intent_sentences, language_facts
from memory_core.training.fit_multilingual import Pair, drawn_batch, ranks, vectors
from memory_core.training.multilingual_network import Network

TEXTS = ["Wie heißt mein Hund?", "今日は雨", "Each Thursday I sing in a choir, and after that we have a drink."]


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


def test_the_network_that_learns_gives_the_vectors_of_the_graph_that_ships(network: Network) -> None:
    lower = network.lower(TEXTS, True, 6)
    theirs = MultilingualEncoder(tuned=False).encode(TEXTS, True)
    assert ((vectors(network, lower) * theirs[:, MEANING]).sum(1) > 0.999).all()
    forms = torch.stack([states.mean(0) for states in lower])
    assert (torch.nn.functional.cosine_similarity(forms, theirs[:, FORM]) > 0.999).all()


def test_the_weights_that_ship_are_of_the_upper_layers_and_make_another_encoder(network: Network) -> None:
    learned = load_file(TUNED)
    assert {name: tensor.shape for name, tensor in learned.items()} == {
        name: tuple(parameter.shape) for name, parameter in network.learning(6).items()
    }
    plain, tuned = MultilingualEncoder(tuned=False), MultilingualEncoder()
    assert plain.fingerprint() != tuned.fingerprint()
    one, other = plain.encode(TEXTS, True), tuned.encode(TEXTS, True)
    assert ((one[:, MEANING] * other[:, MEANING]).sum(1) < 0.99).all()
    assert torch.allclose(one[:, FORM], other[:, FORM], atol=1e-5)


def test_the_same_fact_in_another_language_is_no_wrong_answer() -> None:
    own = language_facts.read()
    names = sorted(own["en"].facts)[:3]
    batch = drawn_batch(own, names, [Pair("Who?", "Me."), Pair("Why?", "So.")], random.Random(1))
    facts = {fact.text: name for each in own.values() for name, fact in each.facts.items()}
    questions = {
        question: name for each in own.values() for name, fact in each.facts.items() for question in fact.questions
    }
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


def test_no_update_and_no_sentence_that_things_are_measured_with_is_learned_from() -> None:
    updates = [language_facts.read_updates(path) for path in (language_facts.UPDATES, language_facts.UPDATES_HELD)]
    assert all(len(each) == 11 and len({tuple(here) for here in each.values()}) == 1 for each in updates)
    assert not set(updates[0]["en"]) & set(updates[1]["en"])
    learned = {pattern.text for pattern in intent_sentences.shipped()}
    held = intent_sentences.read([fit_forms.HELD])
    assert len({pattern.language for pattern in held}) == 10
    assert not learned & {pattern.text for pattern in held}


def test_a_rank_is_the_number_of_texts_that_are_likelier() -> None:
    told = torch.eye(3)
    assert ranks(torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.3, 0.1]]), told).tolist() == [0, 1]
