"""The memory that infers relations: what it reads, and that it learns what a relation is made of."""

import torch

from memory_core.relation_memory import RelationMemory, RelationMemoryConfig
from memory_core.tasks.families import DIRECT, LONGEST, RELATIONS, random_family, relatives
from memory_core.training.families import FamilyTraining, draw, measure, pack, train

NAMES = tuple(RELATIONS)


def taught() -> RelationMemory:
    """Parameters set by hand to the definitions: what learning can come to."""
    torch.manual_seed(1)
    network = RelationMemory(RelationMemoryConfig(len(NAMES), len(DIRECT), LONGEST))
    follow = torch.full_like(network.follow, -30.0)
    for relation, hops in enumerate(RELATIONS.values()):
        for hop in range(LONGEST):
            follow[relation, hop, list(hops[hop]) if hop < len(hops) else -1] = 30.0
    network.follow.data = follow
    return network.eval()


def test_the_definitions_can_be_represented() -> None:
    network, generator = taught(), torch.Generator().manual_seed(2)
    for _ in range(4):
        family = random_family(generator)
        for relation, hops in enumerate(RELATIONS.values()):
            related = relatives(family, hops)
            for person in related.any(1).nonzero().flatten().tolist()[:2]:
                asked = pack([(family, person, relation, related[person])])
                state = asked.state(network)
                named = network.named(state, network(state, asked.person, asked.relation))
                assert torch.equal(named > 0.1 * named.max(), asked.right), (NAMES[relation], named)


def test_an_answer_does_not_depend_on_the_order_of_telling_or_on_padding() -> None:
    network = taught()
    asked = draw(torch.Generator().manual_seed(3), families=3, people=15)
    state = asked.state(network)
    read = network(state, asked.person, asked.relation)
    assert not read[~asked.told].any()
    order = torch.randperm(asked.edges.shape[1], generator=torch.Generator().manual_seed(4))
    state = network.names.describe(asked.edges[:, order], asked.told[:, order])
    assert torch.allclose(network(state, asked.person, asked.relation), read[:, order], atol=1e-5)


def test_relations_are_learned_from_answers_alone() -> None:
    lines: list[float] = []
    training = FamilyTraining(steps=50, batch=3, rate=0.1, people=18)
    network = train(training, lambda _, measured: lines.append(measured["loss"]))
    assert sum(lines[-5:]) < 0.5 * sum(lines[:5])
    measured = measure(network, seed=9, people=20, questions=4)
    assert sum(shares["named"] for shares in measured.values()) / len(measured) > 0.8
