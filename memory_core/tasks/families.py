"""Family trees, told relation by relation, and who is somebody's cousin or grandmother: relations to be inferred.

After the inference task of Graves et al. 2016 ("Graph task descriptions"): told are the direct relations alone, as
triples person, relation, person; asked is for a person by a relation that takes up to four of them. Trees are random,
people have random names of three digits, and which relations make up a cousin is never told.
"""

import dataclasses

import torch
from jaxtyping import Bool
from torch import Tensor

from memory_core.tasks.graphs import CODES, Graph, GraphError

DIRECT = ("mother", "father", "daughter", "son", "wife", "husband")  # their numbers are the labels' codes
_PARENT, _CHILD, _SPOUSE = (0, 1), (2, 3), (4, 5)
_MOTHER, _FATHER, _DAUGHTER, _SON = ((number,) for number in range(4))

Hops = tuple[tuple[int, ...], ...]
RELATIONS: dict[str, Hops] = {
    "sister": (_PARENT, _DAUGHTER),
    "brother": (_PARENT, _SON),
    "grandmother": (_PARENT, _MOTHER),
    "grandfather": (_PARENT, _FATHER),
    "maternal grandmother": (_MOTHER, _MOTHER),
    "paternal grandfather": (_FATHER, _FATHER),
    "granddaughter": (_CHILD, _DAUGHTER),
    "grandson": (_CHILD, _SON),
    "mother-in-law": (_SPOUSE, _MOTHER),
    "father-in-law": (_SPOUSE, _FATHER),
    "daughter-in-law": (_CHILD, (4,)),
    "son-in-law": (_CHILD, (5,)),
    "aunt": (_PARENT, _PARENT, _DAUGHTER),
    "uncle": (_PARENT, _PARENT, _SON),
    "maternal aunt": (_MOTHER, _PARENT, _DAUGHTER),
    "paternal uncle": (_FATHER, _PARENT, _SON),
    "niece": (_PARENT, _CHILD, _DAUGHTER),
    "nephew": (_PARENT, _CHILD, _SON),
    "great-grandmother": (_PARENT, _PARENT, _MOTHER),
    "great-grandson": (_CHILD, _CHILD, _SON),
    "sister-in-law": (_SPOUSE, _PARENT, _DAUGHTER),
    "cousin": (_PARENT, _PARENT, _CHILD, _CHILD),
    "great-aunt": (_PARENT, _PARENT, _PARENT, _DAUGHTER),
    "maternal great-uncle": (_MOTHER, _PARENT, _PARENT, _SON),
    "grandniece": (_PARENT, _CHILD, _CHILD, _DAUGHTER),
}
LONGEST = max(map(len, RELATIONS.values()))


@dataclasses.dataclass
class _Born:
    """What a tree is grown of: who is a woman, who is married to whom, who are the parents."""

    women: list[bool] = dataclasses.field(default_factory=list)
    spouse: dict[int, int] = dataclasses.field(default_factory=dict)
    parents: dict[int, tuple[int, int]] = dataclasses.field(default_factory=dict)

    def person(self, woman: bool) -> int:
        self.women.append(woman)
        return len(self.women) - 1

    def marry(self, one: int, other: int) -> None:
        self.spouse[one], self.spouse[other] = other, one


def random_family(generator: torch.Generator, generations: int = 4, people: int = 27) -> Graph:
    """A tree of people and their direct relations, each told from both ends, in random order.

    Two couples begin. Of each later generation most marry: somebody who is no relation of theirs, of the tree where
    there is one, or from elsewhere; a couple has one to three children.

    Args:
        people: no couple has children once there are so many, so that there are a few more at most.

    Raises:
        GraphError: no generation, or more people than there are names.
    """
    if generations < 1 or people > CODES - 8:
        raise GraphError(f"{generations} generations of {people} people: there are {CODES} names")
    born = _Born()
    couples = []
    for _ in range(2):
        couple = born.person(True), born.person(False)
        born.marry(*couple)
        couples.append(couple)
    for _ in range(generations - 1):
        children = []
        for mother, father in couples:
            for _ in range(1 + _drawn(generator, 3)):
                if len(born.women) < people:
                    children.append(born.person(bool(_drawn(generator, 2))))
                    born.parents[children[-1]] = mother, father
        couples = []
        for child in children:
            if child in born.spouse or not _drawn(generator, 5):
                continue
            others = [one for one in children if _may_marry(born, child, one)]
            other = others[_drawn(generator, len(others))] if others else born.person(not born.women[child])
            born.marry(child, other)
            couples.append((child, other) if born.women[child] else (other, child))
    return _told(generator, born)


def _may_marry(born: _Born, one: int, other: int) -> bool:
    may = born.women[one] != born.women[other] and other not in born.spouse
    return may and not _forebears(born, one) & _forebears(born, other)


def _forebears(born: _Born, person: int) -> set[int]:
    found = set(born.parents.get(person, ()))
    return found.union(*(_forebears(born, parent) for parent in found))


def _told(generator: torch.Generator, born: _Born) -> Graph:
    edges = [[one, 4 if born.women[other] else 5, other] for one, other in born.spouse.items()]
    for child, parents in born.parents.items():
        edges += [[child, 0 if born.women[parent] else 1, parent] for parent in parents]
        edges += [[parent, 2 if born.women[child] else 3, child] for parent in parents]
    order = torch.randperm(len(edges), generator=generator)
    names = torch.randperm(CODES, generator=generator)[: len(born.women)]
    return Graph(torch.tensor(edges)[order], names, torch.arange(len(DIRECT)))


def relatives(family: Graph, hops: Hops) -> Bool[Tensor, "people people"]:
    """Who is so related to whom: whose relative, and who. Nobody that the way there came by before counts: one is not
    one's own brother."""
    people = len(family.nodes)
    start, label, end = family.edges.unbind(1)
    at = torch.eye(people, dtype=torch.bool)
    passed = at
    for hop in hops:
        follows = torch.isin(label, torch.tensor(hop))
        leads = torch.zeros(people, people).index_put((start[follows], end[follows]), torch.tensor(1.0))
        at = (at.float() @ leads > 0) & ~passed
        passed = passed | at
    return at


def question(family: Graph, generator: torch.Generator, relation: str) -> tuple[int, Bool[Tensor, " people"]] | None:
    """Somebody who has such relatives, and which; None where nobody of the family has."""
    related = relatives(family, RELATIONS[relation])
    who = related.any(1).nonzero().flatten().tolist()
    if not who:
        return None
    person = who[_drawn(generator, len(who))]
    return person, related[person]


def _drawn(generator: torch.Generator, below: int) -> int:
    return int(torch.randint(0, below, (), generator=generator))
