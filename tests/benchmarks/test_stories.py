"""The stories that the assistant is asked about: which are taken, and what counts as right."""

import pytest

from benchmarks.stories import questions, right

FILE = """1 Mary went to the garden.
2 Where is Mary?\tgarden\t1
3 John got the milk.
4 What is John carrying?\tmilk\t3
1 John went to the office.
2 Mary got the milk there.
3 Mary went to the office.
4 Where is Mary?\toffice\t3
"""


def test_the_first_question_of_each_short_story_is_taken_as_it_was_written() -> None:
    (one,) = questions(FILE, "1 a kind", most=2)
    assert (one.kind, one.sentences, one.question, one.answers) == (
        "1 a kind",
        ("Mary went to the garden.",),
        "Where is Mary?",
        ("garden",),
    )
    assert [len(one.sentences) for one in questions(FILE, "1 a kind", most=3)] == [1, 3]


@pytest.mark.parametrize(
    ("reply", "answers", "is_right"),
    [
        ("She is in the garden.", ("garden",), True),
        ("I do not know.", ("garden",), False),
        ("Go south, then west.", ("s", "w"), True),
        ("Go south.", ("s", "w"), False),
        ("The milk and an apple", ("milk", "apple"), True),
    ],
)
def test_a_reply_is_right_that_has_every_word_of_the_answer(
    reply: str, answers: tuple[str, ...], is_right: bool
) -> None:
    assert right(reply, answers) is is_right
