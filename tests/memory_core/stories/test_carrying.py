"""The made stories of task 3: their answers follow, and they are distributed as the real ones."""

import random
from collections import Counter

import numpy as np
import pytest

from memory_core.stories import babi, carrying
from memory_core.stories.babi import Asked, Story
from tests.memory_core.stories.files import HERE

REAL = pytest.mark.skipif(not HERE.is_dir(), reason=f"the bAbI tasks are not in {HERE}")
TAKEN = {"picked", "got", "took", "grabbed"}


def been(story: Story, asked: Asked) -> list[str]:
    """To where the thing was carried, one place after the other, found out by a reader of its own."""
    thing = asked.question[3]
    at, held, been = dict[str, str](), dict[str, str](), list[str]()
    for sentence in story.sentences[: asked.told]:
        who = sentence[0]
        if sentence[-1] in carrying.PLACES:
            at[who] = sentence[-1]
            if held.get(thing) == who:
                been.append(at[who])
        elif sentence[1] in TAKEN:
            held[next(word for word in sentence if word in carrying.THINGS)] = who
        else:
            held.pop(next(word for word in sentence if word in carrying.THINGS))
    return been


def later(story: Story, asked: Asked) -> int:
    """How often the thing was carried on from the place that is asked about."""
    return been(story, asked)[::-1].index(asked.question[-1])


def test_every_answer_follows_from_the_sentences() -> None:
    for story in carrying.stories(5, 40):
        assert len(story.questions) == 5
        for asked in story.questions:
            assert asked.answer == (been(story, asked)[-2 - later(story, asked)],)
            latest, at, before = asked.supporting
            assert before < at < asked.told and latest < asked.told
            assert (story.sentences[at][-1], story.sentences[before][-1]) == (asked.question[-1], asked.answer[0])


def test_nobody_takes_what_is_not_there_or_puts_down_what_they_do_not_hold() -> None:
    for story in carrying.stories(6, 40):
        at, lies, held = dict[str, str](), dict[str, str](), dict[str, str]()
        for sentence in story.sentences:
            who = sentence[0]
            if sentence[-1] in carrying.PLACES:
                assert at.get(who) != sentence[-1]
                at[who] = sentence[-1]
                continue
            thing = next(word for word in sentence if word in carrying.THINGS)
            if sentence[1] in TAKEN:
                assert thing not in held
                assert who not in at or lies.get(thing, at[who]) == at[who]
                held[thing] = who
            else:
                assert held.pop(thing) == who
                lies.pop(thing, None)
                if who in at:
                    lies[thing] = at[who]


def test_a_seed_gives_the_same_stories_again() -> None:
    assert list(carrying.stories(7, 5)) == list(carrying.stories(7, 5))
    assert carrying.story(random.Random(7)) != carrying.story(random.Random(8))


@pytest.fixture(scope="module")
def made() -> list[Story]:
    return list(carrying.stories(1, 1_000))


@REAL
@pytest.mark.parametrize("kind", ["train", "test"])  # the part of the training file, and the official test file
def test_made_stories_are_distributed_as_the_real_ones(kind: str, made: list[Story]) -> None:
    files = babi.read(HERE)
    theirs = babi.parse((files.train if kind == "train" else files.test)[3], 3)
    assert {word for story in made for one in story.sentences for word in one} == {
        word for story in theirs for one in story.sentences for word in one
    }
    lengths, their_lengths = ([len(story.sentences) for story in of] for of in (made, theirs))
    assert np.mean(lengths) == pytest.approx(np.mean(their_lengths), rel=0.08)
    deciles = [np.percentile(of, range(10, 100, 10)) for of in (lengths, their_lengths)]
    assert deciles[0] == pytest.approx(deciles[1], rel=0.15)
    for shares in (kinds_of_sentences, words_of_sentences, answers, distances, carried_on):
        ours, other = shares(made), shares(theirs)
        apart = sum(abs(ours.get(name, 0.0) - other.get(name, 0.0)) for name in ours | other) / 2
        assert apart < 0.1, (shares.__name__, ours, other)


def shares(counted: Counter[str]) -> dict[str, float]:
    return {name: count / counted.total() for name, count in counted.items()}


def kinds_of_sentences(stories: list[Story]) -> dict[str, float]:
    """Walking, taking and putting down: the last two distract where they concern another thing."""
    return shares(
        Counter(
            "walk" if one[-1] in carrying.PLACES else "take" if one[1] in TAKEN else "put"
            for story in stories
            for one in story.sentences
        )
    )


def words_of_sentences(stories: list[Story]) -> dict[str, float]:
    return shares(Counter(word for story in stories for one in story.sentences for word in one))


def answers(stories: list[Story]) -> dict[str, float]:
    return shares(Counter(asked.answer[0] for story in stories for asked in story.questions))


def distances(stories: list[Story]) -> dict[str, float]:
    """How far back the oldest fact of a question lies, in sentences."""
    far = (asked.told - min(asked.supporting) for story in stories for asked in story.questions)
    return shares(Counter("1–5" if one <= 5 else "6–10" if one <= 10 else "further" for one in far))


def carried_on(stories: list[Story]) -> dict[str, float]:
    """Whether the place asked about is where the thing is now, or how many places ago it was there."""
    return shares(Counter(str(min(later(story, asked), 3)) for story in stories for asked in story.questions))
