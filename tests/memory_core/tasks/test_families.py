"""Family trees: what is drawn, and who is related to whom."""

import pytest
import torch

from memory_core.tasks import families
from memory_core.tasks.families import DIRECT, RELATIONS, random_family, relatives
from memory_core.tasks.graphs import Graph, GraphError

MOTHER, FATHER, DAUGHTER, SON, WIFE, HUSBAND = range(6)
# 0 Ann and 1 Bob have 2 Carl and 3 Dora; Carl and 4 Eve have 5 Finn; Dora and 6 Gus have 7 Hope
FAMILY = [
    (child, label, other)
    for child, label, other in [
        (0, HUSBAND, 1), (1, WIFE, 0), (2, WIFE, 4), (4, HUSBAND, 2), (3, HUSBAND, 6), (6, WIFE, 3),
        *((child, MOTHER, mother) for child, mother in ((2, 0), (3, 0), (5, 4), (7, 3))),
        *((child, FATHER, father) for child, father in ((2, 1), (3, 1), (5, 2), (7, 6))),
        *((parent, SON, 2) for parent in (0, 1)), *((parent, DAUGHTER, 3) for parent in (0, 1)),
        *((parent, SON, 5) for parent in (2, 4)), *((parent, DAUGHTER, 7) for parent in (3, 6)),
    ]
]  # fmt: skip


@pytest.mark.parametrize(
    ("person", "relation", "who"),
    [
        (2, "sister", {3}), (2, "brother", set()), (5, "aunt", {3}), (7, "uncle", {2}), (5, "cousin", {7}),
        (7, "grandmother", {0}), (7, "maternal grandmother", {0}), (5, "maternal grandmother", set()),
        (0, "grandson", {5}), (2, "niece", {7}), (6, "mother-in-law", {0}), (1, "daughter-in-law", {4}),
        (4, "sister-in-law", {3}), (5, "paternal uncle", set()),
    ],
)  # fmt: skip
def test_relations_are_those_that_one_knows(person: int, relation: str, who: set[int]) -> None:
    family = Graph(torch.tensor(FAMILY), torch.arange(8), torch.arange(6))
    assert set(relatives(family, RELATIONS[relation])[person].nonzero().flatten().tolist()) == who


@pytest.mark.parametrize("seed", range(8))
def test_a_family_is_told_from_both_ends_and_nobody_marries_their_kin(seed: int) -> None:
    family = random_family(torch.Generator().manual_seed(seed))
    told = {tuple(edge) for edge in family.edges.tolist()}
    assert len(told) == len(family.edges)
    parents = {(child, parent) for child, label, parent in told if label in (MOTHER, FATHER)}
    assert parents == {(child, parent) for parent, label, child in told if label in (DAUGHTER, SON)}
    couples = {(one, other) for one, label, other in told if label in (WIFE, HUSBAND)}
    assert couples == {(other, one) for one, other in couples}
    siblings = relatives(family, RELATIONS["sister"]) | relatives(family, RELATIONS["brother"])
    assert not any(siblings[one, other] for one, other in couples)
    for label in (MOTHER, FATHER):
        assert all(sum(edge[:2] == (child, label) for edge in told) == 1 for child, _ in parents)
    again = random_family(torch.Generator().manual_seed(seed))
    assert torch.equal(family.coded, again.coded)


def test_a_question_has_an_answer_or_is_none() -> None:
    generator = torch.Generator().manual_seed(1)
    family = random_family(generator)
    found = families.question(family, generator, "grandmother")
    assert found is not None and found[1].any() and not found[1][found[0]]
    couple = Graph(torch.tensor([[0, HUSBAND, 1], [1, WIFE, 0]]), torch.arange(2), torch.arange(len(DIRECT)))
    assert families.question(couple, generator, "cousin") is None


def test_a_family_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(GraphError, match="0 generations"):
        random_family(torch.Generator(), generations=0)
