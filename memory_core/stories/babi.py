"""The bAbI tasks (Weston et al. 2015, v1.2): twenty kinds of question about short stories, read from their files.

The format: a numbered line a sentence, numbers beginning again at 1 with every story; a line with tabs is a question,
its answer and the numbers of the lines that it follows from. Answers of several words are separated by commas.
"""

import dataclasses
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

TASKS = {
    1: "single supporting fact", 2: "two supporting facts", 3: "three supporting facts", 4: "two-argument relations",
    5: "three-argument relations", 6: "yes/no questions", 7: "counting", 8: "lists and sets", 9: "simple negation",
    10: "indefinite knowledge", 11: "basic coreference", 12: "conjunction", 13: "compound coreference",
    14: "time reasoning", 15: "basic deduction", 16: "basic induction", 17: "positional reasoning",
    18: "size reasoning", 19: "path finding", 20: "agents' motivations",
}  # fmt: skip
ARCHIVE = "babi-en-10k.tar.xz"
FOLDER = "en-10k"
_WORD = re.compile(r"[a-z0-9]+(?:['-][a-z]+)*")
_NAMED = re.compile(r"qa(\d+)_.*_(train|test)(_PARTIAL)?\.txt")


class MissingStories(ValueError):
    """A folder without the tasks, or a file that is none of theirs; the message says what is missing and where it is
    to be had."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """A question after the first `told` sentences of a story; `supporting` are the places of sentences, from 0."""

    question: tuple[str, ...]
    told: int
    answer: tuple[str, ...]
    supporting: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Story:
    """Sentences as words, and what is asked on the way."""

    task: int
    sentences: tuple[tuple[str, ...], ...]
    questions: tuple[Asked, ...]


@dataclasses.dataclass(frozen=True)
class Files:
    """The text of the tasks' files by task; of task 3 the training file may be a part (`partial`)."""

    train: dict[int, str]
    test: dict[int, str]
    partial: frozenset[int]


def words(text: str) -> tuple[str, ...]:
    """The words of a sentence, in small letters, without punctuation."""
    return tuple(_WORD.findall(text.lower()))


def parse(text: str, task: int) -> list[Story]:
    """The stories of one file.

    Raises:
        MissingStories: a line is not of the format; the message has its number.
    """
    stories: list[Story] = []
    sentences: list[tuple[str, ...]] = []
    questions: list[Asked] = []
    place: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        mark, _, rest = line.strip().partition(" ")
        if not mark.isdigit() or not rest:
            raise MissingStories(f"line {number} of task {task} is not a number and a sentence: {line[:60]!r}")
        if mark == "1" and sentences:
            stories.append(Story(task, tuple(sentences), tuple(questions)))
            sentences, questions, place = [], [], {}
        if "\t" not in rest:
            place[mark] = len(sentences)
            sentences.append(words(rest))
            continue
        question, answer, supporting, *_ = [*rest.split("\t"), ""]
        follows = tuple(place[fact] for fact in supporting.split() if fact in place)
        questions.append(Asked(words(question), len(sentences), tuple(answer.lower().split(",")), follows))
    if sentences:
        stories.append(Story(task, tuple(sentences), tuple(questions)))
    return stories


def read(folder: Path) -> Files:
    """The files of a folder: an archive as it was published, or its files unpacked.

    Raises:
        MissingStories: the folder has not all of the tasks.
    """
    train: dict[int, str] = {}
    test: dict[int, str] = {}
    partial: set[int] = set()
    for name, text in _texts(folder):
        found = _NAMED.fullmatch(name)
        if found is None:
            continue
        task, kind = int(found[1]), found[2]
        (train if kind == "train" else test)[task] = text
        if found[3]:
            partial.add(task)
    missing = [f"{kind} {task}" for kind, of in (("train", train), ("test", test)) for task in TASKS if task not in of]
    if missing:
        what = "the bAbI tasks" if len(missing) == 2 * len(TASKS) else ", ".join(missing[:6]) + " of the bAbI tasks"
        raise MissingStories(
            f"{folder} lacks {what}: it needs {ARCHIVE} or a folder {FOLDER}/ with qa1_…_train.txt to qa20_…_test.txt"
            " (bAbI v1.2, en-10k, CC BY 3.0; facebook.com/research/babi)"
        )
    return Files(train, test, frozenset(partial))


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    if (archive := folder / ARCHIVE).is_file():
        try:
            with tarfile.open(archive) as packed:
                for member in packed:
                    stream = packed.extractfile(member) if Path(member.name).parent.name == FOLDER else None
                    if stream is not None:
                        yield Path(member.name).name, stream.read().decode("utf-8")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise MissingStories(f"{archive} cannot be read: {error}") from None
        return
    inner = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    for path in sorted(inner.glob("qa*.txt")):
        yield path.name, path.read_text(encoding="utf-8")
