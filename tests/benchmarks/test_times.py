"""The dated questions: each is about one message, and its words mean the day on which that was said."""

import pytest

from app.memories.trace import Recollection
from app.store.log import Message
from benchmarks.times import EVENTS, NOW, SUBJECTS, by_events, material, messages
from memory_core.language.events import event_named, event_span
from memory_core.language.spans import seconds
from memory_core.language.times import named_span


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_question_names_the_time_of_its_own_message_and_of_no_other_on_the_subject(seed: int) -> None:
    dated = material(seed)
    assert len(dated) == 6 * len(SUBJECTS)
    for start in range(0, len(dated), 6):
        same = dated[start : start + 6]
        for one in same:
            span = named_span(one.question, NOW)
            assert span is not None, one.question
            assert [other for other in same if span[0] <= seconds(other.at) < span[1]] == [one], one.question


def test_what_is_remembered_is_in_the_order_of_time_and_the_same_for_a_seed() -> None:
    events, _ = by_events(material(1), 1)
    told = list(messages(material(1), events, 1))
    assert [each["occurred_at"] for each in told] == sorted(each["occurred_at"] for each in told)
    assert told == list(messages(material(1), events, 1))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_question_by_an_event_names_the_time_of_its_own_message_by_what_is_told_of_the_event(seed: int) -> None:
    dated = material(seed)
    events, questions = by_events(dated, seed)
    assert len(events) == len(questions) == len(EVENTS)
    for (at, text), (place, (question, _)) in zip(events, questions.items(), strict=True):
        event = event_named(question)
        assert event is not None, question
        assert event.name.lower() in text.lower()
        told = Recollection(Message(1, "", "", "user", text, at), 0, 1.0, 1.0, 0.0, 0.0)
        span = event_span(event, [told], NOW)
        assert span is not None, text
        assert span[0] <= seconds(dated[place].at) < span[1], (question, text)
