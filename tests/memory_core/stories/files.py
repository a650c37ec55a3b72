"""A small folder of the twenty tasks' files, for tests that must not need the real ones."""

import random
from pathlib import Path

from memory_core.stories import babi, carrying
from memory_core.stories.babi import Story
from memory_core.stories.corpus import Vocabulary

TWO_STORIES = """\
1 Mary went to the garden.
2 Where is Mary? \tgarden\t1
3 Mary took the milk.
4 Mary got the apple there.
5 What is Mary carrying? \tmilk,apple\t3 4
1 John moved to the office.
2 Where is John? \toffice\t1
"""
HERE = Path(__file__).parents[4] / "shared/data/babi"


def written(folder: Path, partial: bool = True, stories: int = 6) -> Path:
    """A folder `en-10k` with files of short stories, all like those of task 3, under the names of all tasks."""
    (folder / babi.FOLDER).mkdir(parents=True)
    for task in babi.TASKS:
        for kind in ("train", "test"):
            part = "_PARTIAL" if partial and task == carrying.TASK and kind == "train" else ""
            made = [short(1_000 * task + 100 * len(kind) + number) for number in range(stories)]
            path = folder / babi.FOLDER / f"qa{task}_some-name_{kind}{part}.txt"
            path.write_text("".join(_lines(story) for story in made), encoding="utf-8")
    return folder


def some(count: int, seed: int = 1) -> tuple[list[Story], Vocabulary]:
    """Made stories and their words."""
    made = list(carrying.stories(seed, count))
    return made, Vocabulary.of(made)


def short(seed: int, sentences: int = 7) -> Story:
    """The beginning of a made story, with a question after the whole of it and one after its first three sentences."""
    made = carrying.story(random.Random(seed))
    asked = made.questions[0]
    early = babi.Asked(asked.question, 3, asked.answer, ())
    whole = babi.Asked(asked.question, sentences, asked.answer, (1, 2))
    return Story(3, made.sentences[:sentences], (early, whole))


def _lines(story: Story) -> str:
    lines, number, place = [], 0, {}
    for told, sentence in enumerate(story.sentences, 1):
        number += 1
        place[told - 1] = number
        lines.append(f"{number} {' '.join(sentence).capitalize()}.")
        for asked in story.questions:
            if asked.told == told:
                number += 1
                follows = " ".join(str(place[fact]) for fact in asked.supporting)
                lines.append(f"{number} {' '.join(asked.question).capitalize()}? \t{','.join(asked.answer)}\t{follows}")
    return "\n".join(lines) + "\n"
