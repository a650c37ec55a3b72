"""Stories as compact arrays of whole numbers, and batches of stories of about one length drawn from them."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from memory_core.stories.babi import Story

LONGEST_ANSWER = 3  # words


class UnknownWords(ValueError):
    """Words that a vocabulary has not; `words` are they, in order."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(f"words that the network never saw: {', '.join(words)}")
        self.words = tuple(words)


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Words of sentences and questions (number 0: no word) and words of answers (number 0: no more words)."""

    words: tuple[str, ...]
    answers: tuple[str, ...]
    longest: int  # words of the longest sentence

    @classmethod
    def of(cls, stories: Sequence[Story]) -> "Vocabulary":
        """All words of some stories, by the alphabet."""
        said = {sentence for story in stories for sentence in story.sentences}
        said |= {asked.question for story in stories for asked in story.questions}
        answers = {word for story in stories for asked in story.questions for word in asked.answer}
        return cls(
            tuple(sorted({word for sentence in said for word in sentence})),
            tuple(sorted(answers)),
            max(map(len, said)),
        )

    def unknown(self, sentence: Sequence[str]) -> list[str]:
        """The words of a sentence that are not here, each once."""
        known = set(self.words)
        return list(dict.fromkeys(word for word in sentence if word not in known))

    def numbers(self, sentences: Sequence[Sequence[str]]) -> Int[Tensor, "sentences words"]:
        """Sentences as word numbers, 0 after the last.

        Raises:
            UnknownWords: there are such.
        """
        unknown = list(dict.fromkeys(word for sentence in sentences for word in self.unknown(sentence)))
        if unknown:
            raise UnknownWords(unknown)
        number = {word: n for n, word in enumerate(self.words, 1)}
        table = np.zeros((len(sentences), max([self.longest, *map(len, sentences)])), np.int64)
        for row, sentence in enumerate(sentences):
            table[row, : len(sentence)] = [number[word] for word in sentence]
        return torch.from_numpy(table)


@dataclasses.dataclass(frozen=True)
class StoryBatch:
    """Stories side by side: `distinct` sentences and questions as word numbers, all else as places among them."""

    distinct: Int[Tensor, "distinct words"]
    story: Int[Tensor, "batch time"]
    question: Int[Tensor, "batch asked"]
    told: Int[Tensor, "batch asked"]
    answer: Int[Tensor, "batch asked answer"]
    there: Bool[Tensor, "batch asked"]  # false: padding
    task: Int[Tensor, "batch asked"]
    supporting: Bool[Tensor, "batch asked time"]


class Corpus:
    """Stories packed: every distinct sentence once, stories and questions as numbers of 32 bits or less."""

    def __init__(self, stories: Sequence[Story], vocabulary: Vocabulary) -> None:
        place: dict[tuple[str, ...], int] = {}
        answer = {word: n for n, word in enumerate(vocabulary.answers, 1)}
        said, asked = [], []
        for number, story in enumerate(stories):
            said.append([place.setdefault(sentence, len(place)) for sentence in story.sentences])
            for one in story.questions:
                known = [answer.get(word, -1) for word in one.answer[:LONGEST_ANSWER]]
                question = place.setdefault(one.question, len(place))
                known += [0] * (LONGEST_ANSWER - len(known))
                asked.append((number, question, one.told, story.task, *known))
        self._words = len(vocabulary.words)
        self.distinct = vocabulary.numbers(list(place)).to(torch.int16)
        self.lengths = np.array([len(one) for one in said], np.int32)
        self.tasks = np.array([story.task for story in stories], np.int8)
        self.asked = np.array([len(story.questions) for story in stories], np.int32)
        self._begins = np.concatenate([[0], np.cumsum(self.lengths)])
        self._said = np.array([number for one in said for number in one], np.int32)
        self._asked = np.array(asked, np.int32).reshape(len(asked), 4 + LONGEST_ANSWER)
        self._asked_begins = np.searchsorted(self._asked[:, 0], np.arange(len(stories) + 1))
        self._supporting = [one.supporting for story in stories for one in story.questions]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def questions(self) -> int:
        """How many questions there are."""
        return len(self._asked)

    def told(self) -> Float[Tensor, "words"]:
        """Of the sentences of the stories that have a word, the share that have it; 0 for one that no story has."""
        story, shares = np.repeat(np.arange(len(self)), self.lengths), torch.zeros(self._words + 1)
        for word in range(1, self._words + 1):
            having = (self.distinct == word).any(1).numpy()[self._said]
            shares[word] = having.sum() / max(1, int(self.lengths[np.unique(story[having])].sum()))
        return shares

    def batches(
        self, random: np.random.Generator | None, size: int, rows: np.ndarray | None = None
    ) -> Iterator[StoryBatch]:
        """Stories once each, side by side with others of about their length and number of questions.

        Args:
            random: decides which stories come together and in which order; None: by length.
            size: of a batch: sentences, and five times its questions, at most about so many.
            rows: which stories; all of them where None.
        """
        for group in self.grouped(random, size, rows):
            yield self.batch(group)

    def grouped(
        self, random: np.random.Generator | None, size: int, rows: np.ndarray | None = None, most: int | None = None
    ) -> list[np.ndarray]:
        """The stories of each batch; see `batches`. At most `most` of them."""
        rows = np.arange(len(self)) if rows is None else rows
        asked = self.asked[rows]
        groups: list[np.ndarray] = []
        for picked in (rows[asked <= 2], rows[asked > 2]):  # padding of questions costs more than that of sentences
            lengths = self.lengths[picked]
            noise = 0.0 if random is None else random.random(len(picked))
            order = picked[np.argsort(lengths * (1.0 + 0.1 * noise) + noise, kind="stable")]
            begin = longest = asking = 0
            for end, story in enumerate(order):
                longest, asking = max(longest, int(self.lengths[story])), max(asking, int(self.asked[story]))
                count = end + 1 - begin
                if count > 1 and (count * max(longest, 5 * asking) > size or (most is not None and count > most)):
                    groups.append(order[begin:end])
                    begin, longest, asking = end, int(self.lengths[story]), int(self.asked[story])
            if len(order):
                groups.append(order[begin:])
        if random is not None:
            random.shuffle(groups)
        return groups

    def batch(self, rows: np.ndarray) -> StoryBatch:
        """These stories side by side."""
        asked = [self._asked[self._asked_begins[row] : self._asked_begins[row + 1]] for row in rows]
        longest, most = int(self.lengths[rows].max()), max(1, max(len(one) for one in asked))
        story = np.zeros((len(rows), longest), np.int64)
        table = np.zeros((len(rows), most, 4 + LONGEST_ANSWER), np.int64)
        there = np.zeros((len(rows), most), bool)
        supporting = np.zeros((len(rows), most, longest), bool)
        for place, row in enumerate(rows):
            story[place, : self.lengths[row]] = self._said[self._begins[row] : self._begins[row + 1]]
            table[place, : len(asked[place])] = asked[place]
            there[place, : len(asked[place])] = True
            for number in range(len(asked[place])):
                supporting[place, number, list(self._supporting[self._asked_begins[row] + number])] = True
        used, inverse = np.unique(np.concatenate([story.ravel(), table[..., 1].ravel()]), return_inverse=True)
        placed = torch.from_numpy(inverse)
        return StoryBatch(
            distinct=self.distinct[torch.from_numpy(used)].long(),
            story=placed[: story.size].reshape(story.shape),
            question=placed[story.size :].reshape(there.shape),
            told=torch.from_numpy(table[..., 2]),
            answer=torch.from_numpy(table[..., 4:]),
            there=torch.from_numpy(there),
            task=torch.from_numpy(table[..., 3]),
            supporting=torch.from_numpy(supporting),
        )
