"""The learned reading: its laws, its equations in plain loops, and the chain of links that it is given."""

import copy
import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from memory_core import candidate_retrieval
from memory_core import reading as readings_of
from memory_core.encoder import Encoder, Utterance
from memory_core.episodic import EpisodicMemory
from memory_core.message_features import FEATURE_NAMES, FEATURES, LEARNED, MessageFeatures, feature_bits
from memory_core.reranker import NEIGHBOURS, SIGNALS, WINDOW, Reranker, RerankerInput, evidence
from memory_core.state import EpisodicState
from tests.memory_core.factories import saying


def reader(seed: int = 0) -> Reranker:
    """One whose every parameter matters."""
    made = Reranker(hidden=4)
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=drawn) * 0.3)
        made.recency_override.fill_(0.4)
    return made


def found(seed: int, slots: int = 9, readings: int = 2) -> RerankerInput:
    """Slots in the order of writing, some of which a reading may not address; every other cue asks of now."""
    drawn = torch.Generator().manual_seed(seed)
    places = torch.arange(slots).unsqueeze(1)
    away = torch.cat([-torch.arange(1, WINDOW + 1), torch.arange(1, WINDOW + 1)])
    chain = places + away
    chain = torch.where((chain < 0) | (chain >= slots), slots, chain)
    allowed = torch.rand(readings, slots, generator=drawn) > 0.2
    allowed[:, 0] = True
    features = torch.rand(slots, FEATURES, generator=drawn)
    features[:, : len(FEATURE_NAMES)] = features[:, : len(FEATURE_NAMES)].round()
    return RerankerInput(
        content=torch.randn(readings, slots, generator=drawn) * 3,
        signals=torch.rand(readings, slots, len(SIGNALS), generator=drawn),
        topic=torch.rand(readings, slots, generator=drawn),
        now=torch.arange(readings) % 2 == 0,
        features=features,
        speaker=torch.randint(2, (slots,), generator=drawn),
        order=torch.arange(slots) // 2,
        keys=functional.normalize(torch.randn(slots, 6, generator=drawn), dim=-1),
        chain=chain,
        allowed=allowed,
    )


def by_loops(of: Reranker, given: RerankerInput, reading: int) -> list[float]:
    """Log weights of one reading, a slot and a neighbour at a time."""
    slots = given.content.shape[1]
    may, signals, features = given.allowed[reading], given.signals[reading], given.features
    here = [s for s in range(slots) if may[s]]
    content = [
        float(given.content[reading, s])
        + 3 * ((signals[s] * of.signals).sum() + (features[s] * of.features).sum()).item()
        for s in range(slots)
    ]  # fmt: skip

    def above(values: list[float]) -> list[float]:
        best = max(values[s] for s in here)
        return [max(values[s] - best, -12.0) / 12 + 1 if may[s] else 0.0 for s in range(slots)]

    read, logits = above(content), list(content)
    for s in range(slots):
        for place, away in enumerate([*range(NEIGHBOURS), *range(WINDOW, WINDOW + NEIGHBOURS)]):
            other = int(given.chain[s, away])
            there = read[other] if other < slots else 0.0
            its = features[other] if other < slots else torch.zeros(FEATURES)
            direction = torch.zeros(2 * NEIGHBOURS)
            direction[place] = 1
            before = int(given.chain[s, 0])
            same = float(before < slots and given.speaker[s] == given.speaker[before])
            cue = torch.stack([signals[s, 5], signals[s, 6], torch.tensor(same)])
            seen = torch.cat([features[s], its, torch.tensor([read[s], there]), cue, direction])
            logits[s] += math.log1p(math.exp(float(of.gates(seen)))) * there * 12
    read = above(logits)
    total = sum(math.exp(logits[s]) for s in here)
    weights = [math.exp(logits[s]) / total if may[s] else 0.0 for s in range(slots)]
    first = sorted(range(slots), key=lambda s: -weights[s])[:8]
    vector = functional.normalize(sum((weights[s] * given.keys[s] for s in first), torch.zeros(6)), dim=0)
    out = []
    for s in range(slots):
        around = [read[o] if o < slots else 0.0 for o in given.chain[s].tolist()]
        near = [weights[o] if o < slots else 0.0 for o in given.chain[s].tolist()]
        matched = [
            float(signals[o, 1]) if (o := int(given.chain[s, w])) < slots and may[o] else 0.0 for w in (0, WINDOW)
        ]
        again = float(vector @ given.keys[s])
        best = torch.stack([signals[o] if may[o] else torch.zeros(len(SIGNALS)) for o in range(slots)]).amax(0)
        second = [again, again - float(signals[s, 4])]
        seen = torch.cat([
            torch.tensor([read[s], *second, max([read[s], *around]), weights[s] + sum(near)]),
            torch.tensor([around[w] for w in (0, 1, WINDOW, WINDOW + 1)] + matched),
            signals[s], signals[s] - best, features[s],
        ])  # fmt: skip
        out.append(logits[s] + 12 * float(of.rerank_head(seen)))
    return renewed_by_loops(of, given, reading, out) if given.now[reading] else out


def renewed_by_loops(of: Reranker, given: RerankerInput, reading: int, logits: list[float]) -> list[float]:
    """Each slot, raised above the earlier ones of its speaker that tell what is asked as well."""

    def tells(s: int) -> float:
        if not given.allowed[reading, s] or given.features[s, FEATURE_NAMES.index("reply")]:
            return 0.0
        return float(torch.sigmoid((given.signals[reading, s, 0] - of.recency_override) / 0.03))

    slots = range(len(logits))
    return [
        logits[s] + max([
            tells(s) * tells(o) * max(logits[o] - logits[s] + 0.5, 0.0)
            for o in slots if given.order[o] < given.order[s] and given.speaker[o] == given.speaker[s]
        ], default=0.0)
        for s in slots
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_the_reading_is_that_of_the_equations(seed: int) -> None:
    of, given_ = reader(seed), found(seed)
    ours = of(given_).logits
    for reading in range(len(ours)):
        expected = torch.tensor(by_loops(of, given_, reading))
        torch.testing.assert_close(ours[reading], expected, atol=1e-4, rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20))
def test_what_the_links_lent_is_a_share(seed: int, slots: int) -> None:
    weighed = reader(seed)(found(seed, slots))
    assert torch.isfinite(weighed.logits).all()
    assert (weighed.forward >= 0).all() and (weighed.backward >= 0).all()
    assert (weighed.forward + weighed.backward <= 1 + 1e-6).all()
    assert ((evidence(found(seed, slots), weighed)).isfinite()).all()


def test_a_reading_does_not_depend_on_those_beside_it() -> None:
    of, given_ = reader(), found(3, readings=3)
    for one in range(3):
        alone = given_._replace(**{
            name: getattr(given_, name)[one : one + 1] for name in ("content", "signals", "topic", "now", "allowed")
        })  # fmt: skip
        torch.testing.assert_close(of(given_).logits[one : one + 1], of(alone).logits)


def test_the_order_in_which_slots_are_held_tells_nothing() -> None:
    of, given_, slots = reader(), found(5), 9
    order = torch.randperm(slots, generator=torch.Generator().manual_seed(1))
    place = torch.cat([torch.argsort(order), torch.tensor([slots])])
    moved = RerankerInput(
        given_.content[:, order], given_.signals[:, order], given_.topic[:, order], given_.now,
        given_.features[order], given_.speaker[order], given_.order[order], given_.keys[order],
        place[given_.chain[order]], given_.allowed[:, order],
    )  # fmt: skip
    for ours, theirs in zip(of(given_)[:3], of(moved)[:3], strict=True):
        torch.testing.assert_close(ours[:, order], theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(evidence(given_, of(given_)), evidence(moved, of(moved)), atol=1e-5, rtol=1e-5)


def test_a_slot_that_may_not_be_addressed_tells_nothing() -> None:
    of, given_ = reader(), found(7)
    other = given_._replace(
        content=torch.where(given_.allowed, given_.content, 99.0),
        signals=torch.where(given_.allowed.unsqueeze(-1), given_.signals, 9.0),
        topic=torch.where(given_.allowed, given_.topic, 9.0),
    )
    ours, theirs = of(given_).logits, of(other).logits
    torch.testing.assert_close(ours[given_.allowed], theirs[given_.allowed])
    torch.testing.assert_close(evidence(given_, of(given_)), evidence(other, of(other)))


def telling(similar: list[float], order: list[int], now: bool = True) -> RerankerInput:
    """Slots of one speaker, read the more the more similar they are."""
    similarity, slots = torch.tensor([similar]), len(similar)
    signals = torch.zeros(1, slots, len(SIGNALS))
    signals[..., 0] = similarity
    return RerankerInput(
        12 * similarity, signals, similarity, torch.tensor([now]), torch.zeros(slots, FEATURES),
        torch.zeros(slots, dtype=torch.int64), torch.tensor(order), torch.zeros(slots, 6),
        torch.full((slots, 2 * WINDOW), slots), torch.ones(1, slots, dtype=torch.bool),
    )  # fmt: skip


def test_how_something_stands_now_was_told_last() -> None:
    of = Reranker()
    of.recency_override.fill_(0.4)
    older, newer, other = 0, 1, 2  # the other one is later still, but does not tell what is asked
    of_now = of(telling([0.7, 0.6, 0.2], [1, 2, 3])).logits[0]
    assert of_now[newer] > of_now[older] > of_now[other]
    then, fresh = (
        of(telling([0.7, 0.6, 0.2], [1, 2, 3], now=False)),
        Reranker()(telling([0.7, 0.6, 0.2], [1, 2, 3])),
    )
    for logits in (then.logits[0], fresh.logits[0]):
        assert logits[older] > logits[newer] > logits[other]
    torch.testing.assert_close(of_now[[older, other]], then.logits[0, [older, other]], atol=0.02, rtol=0)


def test_who_answers_is_not_taken_for_who_did_it() -> None:
    given_ = telling([0.5, 0.8, 0.6], [1, 2, 3])
    spoke, others = SIGNALS.index("speaker_tokens"), SIGNALS.index("other voice")
    given_.signals[0, [0, 1], spoke] = 1.0  # the one named; what fits best is said of another
    given_.signals[0, 2, others] = 1.0
    given_.features[[0, 2], FEATURE_NAMES.index("first person")] = 1.0
    named, told = evidence(given_, Reranker()(given_))[0, [2, 4]].tolist()
    assert (named, told) == (1.0, pytest.approx(0.5 - 0.6))
    given_.features[1, FEATURE_NAMES.index("first person")] = 1.0
    assert float(evidence(given_, Reranker()(given_))[0, 4]) == pytest.approx(0.8 - 0.6)
    given_.features[1, FEATURE_NAMES.index("ends asking")] = 1.0
    assert float(evidence(given_, Reranker()(given_))[0, 4]) == pytest.approx(0.5 - 0.6)


def test_gradients_reach_every_part() -> None:
    of = reader()
    weighed = of(found(2))
    (weighed.logits.square().mean() + of.confidence(found(2), weighed).sum()).backward()
    for name, parameter in of.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


# What the memory gives it


def test_the_chain_leads_to_what_was_written_before_and_after(small: EpisodicMemory) -> None:
    state = small.empty(64)
    for source in range(1, 10):
        state, _ = small.write_(state, saying(source, 3 + source % 4), source, gate=[1.0, 0.1, 0.05][source % 3])
    given_ = what_is_found(small, state, saying(99, 3))
    order = sorted(range(state.slots_used), key=lambda slot: (int(state.source[slot]), int(state.part[slot])))
    for place, slot in enumerate(order):
        before = [order[place - k] if place >= k else len(order) for k in range(1, WINDOW + 1)]
        after = [order[place + k] if place + k < len(order) else len(order) for k in range(1, WINDOW + 1)]
        assert given_.chain[slot].tolist() == before + after


def test_the_chain_closes_over_what_was_forgotten(small: EpisodicMemory) -> None:
    state = small.empty(64)
    for source in range(1, 6):
        state, _ = small.write_(state, saying(source, 3), source)
    small.forget_(state, 3)
    given_ = what_is_found(small, state, saying(99, 3))  # slots 0, 1, 3, 4, at the places 0 to 3
    assert given_.chain[:, 0].tolist() == [4, 0, 1, 2]
    assert given_.chain[:, WINDOW].tolist() == [1, 2, 3, 4]


def test_what_slots_within_reach_match_together_is_seen(small: EpisodicMemory) -> None:
    """Three of the cue's pieces, told in the 1st, 3rd and 8th of nine messages; what was not, in none."""
    state, cue, places = small.empty(64), saying(50, 4), {1: 0, 3: 1, 8: 2}
    for source in range(1, 10):
        other = saying(source, 1)._replace(token_ids=torch.tensor([100 + source], dtype=torch.int32))
        place = places.get(source)
        said = other if place is None else Utterance(cue.facets[[place]], cue.token_ids[[place]])
        state, _ = small.write_(state, said, source)
    signals = what_is_found(small, state, cue).signals[0]
    exact, in_two, in_six = (signals[:, SIGNALS.index(name)] for name in ("exact", "exact within 2", "exact within 6"))
    one = float(exact[0])
    torch.testing.assert_close(exact / one, torch.tensor([1.0, 0, 1, 0, 0, 0, 0, 1, 0]))
    torch.testing.assert_close(in_two / one, torch.tensor([2.0, 2, 2, 1, 1, 1, 1, 1, 1]))
    torch.testing.assert_close(in_six / one, torch.tensor([2.0, 3, 3, 3, 3, 3, 3, 2, 2]))
    alike, alike_in_two = signals[:, SIGNALS.index("similarity")], signals[:, SIGNALS.index("similarity within 2")]
    assert (alike_in_two >= alike).all() and alike_in_two[1] > alike[:3].max()


def test_a_cue_that_names_a_speaker_tells_who_spoke(small: EpisodicMemory) -> None:
    state, cue = small.empty(64), saying(50, 4)
    voices = [tuple(cue.token_ids[:2].tolist()), (999_999,), ()]
    for source, speaker_tokens in enumerate(voices, 1):
        state, _ = small.write_(state, saying(source, 3), source, message_features=MessageFeatures(0, speaker_tokens))
    signals = what_is_found(small, state, cue).signals[0]
    assert signals[:, 5].tolist() == [1.0, 0.0, 0.0]
    assert signals[:, 6].tolist() == [0.0, 1.0, 1.0]


def test_traits_are_seen_as_they_were_written(small: EpisodicMemory) -> None:
    state, _ = small.write(small.empty(16), saying(1, 10), 1, message_features=MessageFeatures(0b1000101, ()))
    seen = what_is_found(small, state, saying(2, 3)).features
    assert seen[:, : len(FEATURE_NAMES)].tolist() == [[1, 0, 1, 0, 0, 0, 1] + [0] * len(LEARNED)] * 3
    assert seen[:, -2].tolist() == [0.0, 1.0, 1.0]
    torch.testing.assert_close(seen[:, -1], torch.log1p(torch.tensor([4.0, 4.0, 2.0])))


def test_the_topic_is_what_is_asked_of_names_apart(small: EpisodicMemory) -> None:
    state, cue = small.empty(64), saying(50, 4)
    name, rest = cue.token_ids[:1], cue.token_ids[1:]
    for source, token_ids in enumerate((name, rest), 1):
        place = [int((cue.token_ids == piece).nonzero()[0, 0]) for piece in token_ids]
        said = Utterance(cue.facets[place], token_ids)
        state, _ = small.write_(state, said, source, message_features=MessageFeatures(0, (int(name[0]),)))
    found_ = what_is_found(small, state, cue)
    assert found_.signals[0, :, 1].tolist()[0] > 0.0
    assert found_.topic[0, 1] > found_.topic[0, 0] + 0.2
    assert found_.order.tolist() == [1, 2]
    assert found_.speaker[0] == found_.speaker[1]


@pytest.mark.parametrize(
    ("cue", "expected"),
    [
        ("What's my phone number?", True),
        ("How many plants do I have?", True),
        ("When is the meeting?", True),
        ("How many cards are in my gallery?", True),
        ("When did I buy the bicycle?", False),
        ("What was my first phone number?", False),
        ("How many days are there between the two meetings?", False),
        ("My phone number is new", False),
        ("Tell me about Ben", False),
        ("Where does Ann live?", False),  # Ann speaks in this memory, Ben does not
        ("Where does Ann live now?", True),
        ("What is Ann's current job?", True),
        ("Where does Ben live?", True),
    ],
)
def test_a_cue_that_asks_how_something_stands_now(
    memory: EpisodicMemory, encoder: Encoder, cue: str, expected: bool
) -> None:
    told, asked = encoder.encode(["Ann: I moved to Leeds", cue])
    state, _ = memory.write(
        memory.empty(16), told, 1, message_features=memory.message_features("I moved to Leeds", "Ann")
    )
    assert bool(what_is_found(memory, state, asked).now) is expected
    assert not what_is_found(memory, state, asked, span=(0, 1)).now


@pytest.mark.parametrize(
    ("text", "speaker", "reply", "expected"),
    [
        ("Where did I go on Monday?", None, False, {"asks", "ends asking", "time", "first person"}),
        ("Why? It was 1999.", "Ann", False, {"asks", "number", "named"}),
        ("Certainly", None, True, {"reply"}),
        ("", None, False, set()),
    ],
)
def test_traits_of_a_text(text: str, speaker: str | None, reply: bool, expected: set[str]) -> None:
    bits = feature_bits(text, speaker, reply)
    assert {name for place, name in enumerate(FEATURE_NAMES) if bits >> place & 1} == expected


def test_a_memory_reads_by_its_reader(small: EpisodicMemory) -> None:
    trained = copy.deepcopy(small)
    trained.reranker = reader(3)
    trained.link_share.data.zero_()
    state, cue = small.empty(64), saying(50, 4)
    for source in range(1, 9):
        state, _ = small.write_(state, saying(source, 3), source)
    reading = trained.read([state], [cue])[0]
    weighed = trained.reranker(what_is_found(trained, state, cue))
    weights: Tensor = torch.softmax(weighed.logits[0], -1)
    content = float(readings_of.read_modes(trained, cue.pooled)[2])
    for slot, weight, forward in zip(reading.rows, reading.weights, reading.forward, strict=True):
        assert float(weight) >= content * float(weights[slot]) - 1e-6
        assert float(forward) >= content * float(weights[slot] * weighed.forward[0, slot]) - 1e-6


def what_is_found(
    memory: EpisodicMemory, state: EpisodicState, cue: Utterance, span: tuple[int, int] | None = None
) -> RerankerInput:
    """What the memory found for its reader."""
    stage = candidate_retrieval.retrieve(memory, state, cue, None, span)
    return readings_of.found(memory, state, stage, candidate_retrieval.cosines([state], [stage])[0])


def test_of_messages_all_but_the_same_the_one_that_equals_the_cue_is_found(
    encoder: Encoder, memory: EpisodicMemory
) -> None:
    """Four count to twelve, in turns as they come; the neighbours of one that matches whole must not outdo it."""
    turns = [writer for writer in range(4) for _ in range(12)]
    random.Random(1).shuffle(turns)
    texts = [f"Writer {writer} counts to {turns[:place].count(writer)}." for place, writer in enumerate(turns)]
    state, said = memory.empty(1_024), encoder.encode(texts)
    for source, (text, utterance) in enumerate(zip(texts, said, strict=True), 1):
        state, _ = memory.write_(state, utterance, source, message_features=memory.message_features(text))
    readings = memory.read([state] * len(said), said)
    ranks = [state.source[one.rows].tolist().index(source) for source, one in enumerate(readings, 1)]
    assert max(ranks) < 8
    assert ranks.count(0) > 36
