"""Stories of task 3, made: people walk about, take things and put them down; asked is where a thing was before.

For data whose training file of task 3 is missing. The rules are read off the part of it that there is, and off the
other tasks' files: each sentence, somebody at random tries to walk, to take or to put down; what cannot be is tried
anew. After every second sentence a thing may be asked for that was taken or put down within the last five sentences
and was carried to two places since it was taken; the place may be any of these but the first, and means the last time
that it was there. Five questions end a story.
`tests/memory_core/stories/test_carrying.py` compares what comes out with the part that there is.
"""

import random
from collections.abc import Iterator

from memory_core.stories.babi import Asked, Story

TASK = 3
PEOPLE = ("mary", "john", "sandra", "daniel")
PLACES = ("bathroom", "bedroom", "kitchen", "office", "garden", "hallway")
THINGS = ("football", "milk", "apple")
_WALK = ("moved to", "went to", "went back to", "journeyed to", "travelled to")
_TAKE = ("picked up", "got", "took", "grabbed")
_PUT = ("dropped", "left", "put down", "discarded")
_THERE = 0.2  # how often "there" is added
_RECENT = 5  # sentences
_QUESTIONS = 5


class _World:
    """Where everybody and everything is, and since when; where they began is never told."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.place = {each: chance.choice(PLACES) for each in PEOPLE + THINGS}
        self.holder: dict[str, str] = {}
        self.sentences: list[tuple[str, ...]] = []
        self.touched: dict[str, int] = {}  # the sentence in which a thing was last taken or put down
        self.carried: dict[str, list[tuple[int, str]]] = {thing: [] for thing in THINGS}  # since it was taken: to where

    def happens(self) -> None:
        """One sentence more."""
        while not self._tried():
            pass

    def _tried(self) -> bool:
        who, what = self.chance.choice(PEOPLE), self.chance.choice(("walk", "take", "put"))
        if what == "walk":
            return self._walks(who, self.chance.choice(PLACES))
        held = [thing for thing in THINGS if self.holder.get(thing) == who]
        if what == "put":
            return self._says(who, _PUT, self.chance.choice(held)) if held else False
        near = [thing for thing in THINGS if thing not in self.holder and self.place[thing] == self.place[who]]
        return self._says(who, _TAKE, self.chance.choice(near)) if near else False

    def _walks(self, who: str, where: str) -> bool:
        if where == self.place[who]:
            return False
        self.place[who] = where
        for thing in THINGS:
            if self.holder.get(thing) == who:
                self.place[thing] = where
                self.carried[thing].append((len(self.sentences), where))
        self.sentences.append((who, *self.chance.choice(_WALK).split(), "the", where))
        return True

    def _says(self, who: str, verbs: tuple[str, ...], thing: str) -> bool:
        if verbs is _TAKE:
            self.holder[thing] = who
            self.carried[thing] = []
        else:
            del self.holder[thing]
        self.touched[thing] = len(self.sentences)
        there = ("there",) if self.chance.random() < _THERE else ()
        self.sentences.append((who, *self.chance.choice(verbs).split(), "the", thing, *there))
        return True

    def asked(self) -> Asked | None:
        """A question about one of the things that may be asked for; None where there is none."""
        told = len(self.sentences)
        open_to = [
            thing for thing, when in self.touched.items() if told - when <= _RECENT and len(self.carried[thing]) >= 2
        ]
        if not open_to:
            return None
        thing = self.chance.choice(open_to)
        carried = self.carried[thing]
        place = self.chance.choice(carried[1:])[1]
        at = max(number for number, (_, where) in enumerate(carried) if where == place)
        (before, answer), (when, _) = carried[at - 1 : at + 1]
        question = ("where", "was", "the", thing, "before", "the", place)
        return Asked(question, told, (answer,), (self.touched[thing], when, before))


def story(chance: random.Random) -> Story:
    """One story with five questions."""
    world, questions = _World(chance), list[Asked]()
    while len(questions) < _QUESTIONS:
        world.happens()
        world.happens()
        asked = world.asked()
        if asked is not None:
            questions.append(asked)
    return Story(TASK, tuple(world.sentences), tuple(questions))


def stories(seed: int, count: int) -> Iterator[Story]:
    """As many different stories as asked for."""
    chance = random.Random(seed)
    for _ in range(count):
        yield story(chance)
