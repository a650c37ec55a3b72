"""What a memory finds in everyday use, among chatter: asked again, beside something alike, after it has changed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, cycle, islice

import pytest
import torch

from memory_core import writing
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.language.header import header
from memory_core.reading import Reading

CHATTER = (
    "The bus was late again this morning.", "I had leftover soup for lunch.", "It rained all afternoon here.",
    "The cat knocked over a vase in the living room.", "My neighbour is repainting her fence.",
    "I went for a run along the canal.", "There was a power cut for an hour.", "We played cards until midnight.",
    "The printer at the office is broken again.", "I baked banana bread and it came out well.",
    "A parcel came for the people next door.", "I saw a heron by the pond.", "My bike has a flat tyre.",
)  # fmt: skip


class Told:
    """A memory that somebody tells things."""

    def __init__(self, memory: EpisodicMemory, encoder: Encoder) -> None:
        self.memory, self.encoder, self.state = memory, encoder, memory.empty(256)
        self.texts: list[str] = []
        self._chatter, self._at = cycle(CHATTER), datetime(2026, 11, 2, 9, tzinfo=UTC)

    def say(self, *texts: str, role: str = "user", chatter: int = 6) -> "Told":
        for text, by in chain(((text, role) for text in texts), ((c, "user") for c in islice(self._chatter, chatter))):
            self._at += timedelta(hours=2)
            reply = by == "assistant"
            said = self.encoder.encode([header(None, self._at) + text])[0]
            features = self.memory.message_features(text, None, reply, self._at)
            gate = writing.precedence_gate(self.memory.config, text, reply)
            self.texts.append(text)
            self.state, _ = self.memory.write_(self.state, said, len(self.texts), gate, features)
        return self

    def read(self, cue: str) -> Reading:
        return self.memory.read([self.state], [self.encoder.encode([cue])[0]])[0]

    def found(self, cue: str, most: int = 3) -> list[str]:
        sources = self.state.source[self.read(cue).rows].tolist()
        return [self.texts[source - 1] for source in dict.fromkeys(sources)][:most]


@pytest.fixture
def told(memory: EpisodicMemory, encoder: Encoder) -> Told:
    return Told(memory, encoder).say()


def test_a_fact_stays_first_however_often_it_is_asked_for(told: Told) -> None:
    told.say("I work as a beekeeper.")
    for _ in range(10):
        told.say("What do I do for a living?", chatter=0).say("You are a beekeeper.", role="assistant", chatter=1)
    assert told.found("What do I do for a living?")[0] == "I work as a beekeeper."


def test_what_was_never_told_does_not_become_known_by_asking(told: Told) -> None:
    question = "What is my blood type?"
    before = told.read(question).confidence
    for _ in range(3):
        told.say(question, chatter=0).say(
            "I don't remember you telling me your blood type.", role="assistant", chatter=0
        )
    assert told.read(question).confidence <= before + 0.02


def test_what_was_asked_is_found_when_the_conversation_is_asked_for(told: Told) -> None:
    told.say("Do I need a visa for Georgia?").say()
    assert "Do I need a visa for Georgia?" in told.found("What did I ask you about visas?")


@pytest.mark.parametrize(
    ("fact", "cue"),
    [
        ("I've been a structural engineer for nine years.", "What do I do for a living?"),
        ("I can't stand heights.", "What am I afraid of?"),
    ],
)
def test_a_question_whose_words_are_no_one_else_s_finds_what_it_means(told: Told, fact: str, cue: str) -> None:
    assert told.say(fact, chatter=20).found(cue)[0] == fact


@pytest.mark.parametrize(("asked", "right"), [("sister", "0151 555 0101"), ("brother", "0151 555 0199")])
def test_the_one_that_the_cue_names_comes_first(told: Told, asked: str, right: str) -> None:
    told.say("My sister's phone number is 0151 555 0101.").say("My brother's phone number is 0151 555 0199.")
    assert right in told.found(f"What is my {asked}'s phone number?")[0]


@pytest.mark.parametrize(
    ("before", "now", "cue"),
    [
        ("I love Chinese food.", "I hate Chinese food now, it makes me ill.", "Do I like Chinese food?"),
        (
            "I drink coffee every morning.",
            "I quit coffee, only green tea from now on.",
            "What do I drink in the morning?",
        ),
        ("I have a dog called Rollo.", "Rollo died on Sunday.", "What pets do I have?"),
        ("I live in Leeds.", "I moved to Lisbon last week.", "Where do I live?"),
    ],
)
def test_what_changed_comes_before_what_it_changed(told: Told, before: str, now: str, cue: str) -> None:
    told.say(before).say(now)
    found = told.found(cue, 5)
    assert found[0] == now
    assert before in found


def test_a_possessive_asks_of_the_past_where_the_verb_does(told: Told) -> None:
    told.say("Somebody stole Bob's car.").say("Bob's car is a green Volvo.")
    assert told.found("What happened to Bob's car?")[0] == "Somebody stole Bob's car."


@pytest.mark.parametrize(
    ("others", "own", "cue"),
    [
        (["My boss has a new Volvo car."], "I drive a Fiat Panda.", "What car do I have?"),
        (["I like carrots and peas."], "I do not like aubergines.", "Which vegetables do I not like?"),
    ],
)
def test_whose_it_is_and_what_is_denied_decide(told: Told, others: Sequence[str], own: str, cue: str) -> None:
    told.say(own).say(*others)
    assert told.found(cue)[0] == own


def test_text_in_an_unknown_script_finds_itself(told: Told) -> None:
    thai = "ฉันทำงานเป็นคนเลี้ยงผึ้ง"
    told.say(thai).say("Good game 👍")
    assert told.found(thai)[0] == thai


def test_each_weight_is_the_sum_of_its_parts_and_a_lone_message_owes_none_to_neighbours(
    memory: EpisodicMemory, encoder: Encoder
) -> None:
    alone = Told(memory, encoder).say("I work as a beekeeper.", chatter=0).read("What is my job?")
    assert float(alone.forward.sum() + alone.backward.sum()) == pytest.approx(0.0, abs=1e-6)
    told = Told(memory, encoder).say("Where shall we eat with my parents?", "At the Lotus Garden.").say()
    reading = told.read("Where did I eat with my parents?")
    parts = torch.stack([reading.content, reading.forward, reading.backward])
    torch.testing.assert_close(parts.sum(0), reading.weights)


def test_of_several_cues_the_question_decides(told: Told) -> None:
    told.say("My passport expires on 4 March 2028.").say("I found a coin from 1951.")
    long = "The sun is out. I had two pancakes and walked to the lake. My shoes are wet. When does my passport expire?"
    question, whole = told.encoder.encode(["When does my passport expire?", long])
    mixed, alone = (told.memory.read([told.state], [cues])[0] for cues in ([question, whole], [question]))
    assert told.texts[int(told.state.source[mixed.rows[0]]) - 1].startswith("My passport")
    assert mixed.confidence >= alone.confidence


def test_requests_do_not_make_their_words_common(told: Told) -> None:
    before = told.state.piece_counts.clone()
    told.say("What is my blood type?", chatter=0)
    assert torch.equal(told.state.piece_counts, before)
