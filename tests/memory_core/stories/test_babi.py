"""The tasks' files as stories, and stories as arrays."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from memory_core.stories import babi
from memory_core.stories.babi import MissingStories
from memory_core.stories.corpus import Corpus, UnknownWords, Vocabulary
from tests.memory_core.stories.files import TWO_STORIES, some, written


def test_lines_become_sentences_and_questions_with_their_facts() -> None:
    first, second = babi.parse(TWO_STORIES, 8)
    assert first.sentences == (
        ("mary", "went", "to", "the", "garden"),
        ("mary", "took", "the", "milk"),
        ("mary", "got", "the", "apple", "there"),
    )
    where, what = first.questions
    assert (where.question, where.told, where.answer, where.supporting) == (
        ("where", "is", "mary"),
        1,
        ("garden",),
        (0,),
    )
    assert (what.told, what.answer, what.supporting) == (3, ("milk", "apple"), (1, 2))
    assert [len(second.sentences), second.task] == [1, 8]


def test_a_line_that_is_none_is_told_by_its_number() -> None:
    with pytest.raises(MissingStories, match="line 2 of task 1 "):
        babi.parse("1 Mary went home.\nWhere?\n", 1)


def test_a_folder_without_the_tasks_says_what_is_missing_and_where_it_is_to_be_had(tmp_path: Path) -> None:
    with pytest.raises(
        MissingStories, match=r"lacks the bAbI tasks: it needs babi-en-10k.tar.xz .*facebook.com"
    ) as error:
        babi.read(tmp_path)
    assert "\n" not in str(error.value)
    written(tmp_path)
    (tmp_path / babi.FOLDER / "qa7_some-name_test.txt").unlink()
    with pytest.raises(MissingStories, match="lacks test 7 of the bAbI tasks"):
        babi.read(tmp_path)


def test_an_archive_reads_as_its_files_do(tmp_path: Path) -> None:
    folder = written(tmp_path / "files")
    (tmp_path / "packed").mkdir()
    with tarfile.open(tmp_path / "packed" / babi.ARCHIVE, "w:xz") as archive:
        archive.add(folder / babi.FOLDER, babi.FOLDER)
    files = babi.read(tmp_path / "packed")
    assert files == babi.read(folder)
    assert (set(files.train), set(files.partial)) == (set(babi.TASKS), {3})
    (tmp_path / "packed" / babi.ARCHIVE).write_bytes(b"no archive")
    with pytest.raises(MissingStories, match="cannot be read"):
        babi.read(tmp_path / "packed")


def test_a_batch_holds_what_the_stories_say() -> None:
    stories = babi.parse(TWO_STORIES, 8)
    vocabulary = Vocabulary.of(stories)
    corpus = Corpus(stories, vocabulary)
    assert (len(corpus), corpus.questions, corpus.distinct.dtype) == (2, 3, torch.int16)
    batch = corpus.batch(np.array([1, 0]))

    def said(numbers: torch.Tensor) -> list[str]:
        return [vocabulary.words[n - 1] for n in numbers.tolist() if n]

    assert said(batch.distinct[batch.story[1, 2]]) == ["mary", "got", "the", "apple", "there"]
    assert said(batch.distinct[batch.question[0, 0]]) == ["where", "is", "john"]
    assert batch.there.tolist() == [[True, False], [True, True]]
    assert batch.told[1].tolist() == [1, 3]
    assert [vocabulary.answers[n - 1] for n in batch.answer[1, 1].tolist() if n] == ["milk", "apple"]
    assert batch.supporting[1].tolist() == [[True, False, False], [False, True, True]]


def test_batches_have_every_story_once_and_keep_to_their_size() -> None:
    stories, vocabulary = some(40)
    corpus = Corpus(stories, vocabulary)
    groups = corpus.grouped(np.random.default_rng(1), 400)
    assert sorted(np.concatenate(groups).tolist()) == list(range(40))
    for group in groups:
        assert len(group) == 1 or len(group) * max(corpus.lengths[group].max(), 25) <= 400
    again = corpus.grouped(np.random.default_rng(1), 400)
    assert all(np.array_equal(one, other) for one, other in zip(groups, again, strict=True))
    assert max(map(len, corpus.grouped(None, 4_000, most=3))) == 3 < max(map(len, corpus.grouped(None, 4_000)))
    picked = corpus.grouped(None, 400, np.array([3, 5]))
    assert sorted(np.concatenate(picked).tolist()) == [3, 5]


def test_unknown_words_are_named() -> None:
    _, vocabulary = some(3)
    with pytest.raises(UnknownWords) as error:
        vocabulary.numbers([("mary", "ate", "the", "pizza"), ("pizza",)])
    assert error.value.words == ("ate", "pizza")
