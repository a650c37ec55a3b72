"""The dated questions: each is about one message, and its words mean the day on which that was said."""

import pytest

from app.memories.times import seconds, span_named
from benchmarks.times import NOW, SUBJECTS, material, messages


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_question_names_the_time_of_its_own_message_and_of_no_other_on_the_subject(seed: int) -> None:
    dated = material(seed)
    assert len(dated) == 6 * len(SUBJECTS)
    for start in range(0, len(dated), 6):
        same = dated[start : start + 6]
        for one in same:
            span = span_named(one.question, NOW)
            assert span is not None, one.question
            assert [other for other in same if span[0] <= seconds(other.at) < span[1]] == [one], one.question


def test_what_is_remembered_is_in_the_order_of_time_and_the_same_for_a_seed() -> None:
    told = list(messages(material(1), 1))
    assert [each["occurred_at"] for each in told] == sorted(each["occurred_at"] for each in told)
    assert told == list(messages(material(1), 1))
