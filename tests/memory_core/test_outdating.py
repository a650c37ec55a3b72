"""What outdates what: which slots may, what is seen of them, and that the classifier learns it from pairs."""

import pytest
import torch

from memory_core import candidate_retrieval, outdating, reading
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.outdating import PAIR, Outdating
from memory_core.training import fit_outdating
from memory_core.training.fit_outdating import Pairs

SAID = (
    ("I have a dog called Rollo.", "user"),
    ("Rollo sounds lovely.", "assistant"),
    ("What do dogs eat?", "user"),
    ("The bus was late again.", "user"),
    ("Rollo died on Sunday.", "user"),
)


def given(memory: EpisodicMemory, encoder: Encoder) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the first message as the earlier one: which others may outdate it, and what is seen of all."""
    state = memory.empty(64)
    for number, (text, role) in enumerate(SAID, 1):
        features = memory.message_features(text, None, role == "assistant")
        state, _ = memory.write_(state, encoder.encode([text])[0], number, 1.0, features)
    of = candidate_retrieval.retrieve(memory, state, encoder.encode(["What pets do I have?"])[0])
    found = reading.found(memory, state, of, candidate_retrieval.cosines([state], [of])[0])
    return outdating.may_outdate(found, 0), outdating.seen(memory, state, of, found, 0).pairs


def test_only_what_a_speaker_told_later_may_outdate(memory: EpisodicMemory, encoder: Encoder) -> None:
    may, _ = given(memory, encoder)
    assert may.tolist() == [False, False, False, False, True]


def test_a_pair_is_seen_by_how_the_later_one_is_told_and_what_it_shares(
    memory: EpisodicMemory, encoder: Encoder
) -> None:
    _, seen = given(memory, encoder)
    bus, died = ({name: float(value) for name, value in zip(PAIR, seen[place], strict=True)} for place in (3, 4))
    assert died["rarest shared"] > bus["rarest shared"] == 0.0
    assert died["later fits earlier"] > bus["later fits earlier"]


def test_a_common_word_is_no_name_however_rare_it_is_in_the_memory(memory: EpisodicMemory, encoder: Encoder) -> None:
    things = (
        "soup",
        "film",
        "walk",
        "train",
        "weather",
        "music",
        "bread",
        "lake",
        "game",
        "wine",
        "road",
        "sea",
        "book",
    )
    others = [f"The {thing} was {how}." for thing in things for how in ("fine", "awful", "strange")]
    said = ["We got Rollo last month.", *others, "The last tenant left a chair.", "Rollo left us."]
    state = memory.empty(64)
    for number, text in enumerate(said, 1):
        state, _ = memory.write_(state, encoder.encode([text])[0], number, 1.0, memory.message_features(text))
    of = candidate_retrieval.retrieve(memory, state, encoder.encode(["What pets do I have?"])[0])
    found = reading.found(memory, state, of, candidate_retrieval.cosines([state], [of])[0])
    seen = outdating.seen(memory, state, of, found, int((found.order == 1).nonzero()))
    named = dict(zip(found.order.tolist(), seen.names_it.tolist(), strict=True))
    assert named[len(said)]
    assert not named[len(said) - 1]
    shared = seen.pairs[found.order == len(said) - 1, PAIR.index("rarest shared")]
    assert float(shared) > 0.7  # as rare here as the name


def test_a_change_of_another_outdates_nothing(memory: EpisodicMemory, encoder: Encoder) -> None:
    said = ["Ingrid's postcode is 5021.", "The soup was fine.", "Omar's postcode has changed, it is 7743 now."]
    state = memory.empty(64)
    for number, text in enumerate(said, 1):
        state, _ = memory.write_(state, encoder.encode([text])[0], number, 1.0, memory.message_features(text))
    said[3:] = ["My sister's number is 0151 555 0101.", "My brother's number has changed, it is 0151 555 0199 now."]
    for number, text in enumerate(said[3:], 4):
        state, _ = memory.write_(state, encoder.encode([text])[0], number, 1.0, memory.message_features(text))
    for name, right in (("sister", 4), ("brother", 5)):
        reading = memory.read([state], encoder.encode([f"What is my {name}'s number?"]))[0]
        assert int(state.source[reading.rows[0]]) == right
    for name, right in (("Ingrid", 1), ("Omar", 3)):
        reading = memory.read([state], encoder.encode([f"What is {name}'s postcode?"]))[0]
        assert int(state.source[reading.rows[0]]) == right


def test_fresh_nothing_outdates_anything() -> None:
    assert not (Outdating()(torch.randn(5, len(PAIR))) > Outdating().threshold).any()


@pytest.mark.parametrize("updates", [True, False])
def test_the_classifier_is_fitted_to_pairs_and_raises_only_what_it_is_sure_of(updates: bool) -> None:
    torch.manual_seed(1)
    seen, question = torch.randn(400, len(PAIR)), torch.arange(400) // 10
    truth = torch.zeros(400)
    if updates:
        truth[::20] = 1.0
        seen[:, 0], seen[::20, 0] = -1.0, 2.0
    classifier = fit_outdating.fit(Pairs(seen, truth, question), seed=1)
    figures = fit_outdating.figures(classifier, Pairs(seen, truth, question))
    assert figures["raised wrongly, %"] == 0.0
    assert figures["raised, %"] == (100.0 if updates else 0.0)
