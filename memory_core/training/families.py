"""Teaching `RelationMemory` which direct relations make up a cousin or a great-aunt, on random family trees.

Every family is drawn anew, so those that are measured on, and larger ones, were in no training.
"""

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from memory_core.graph_memory import GraphState
from memory_core.relation_memory import RelationMemory, RelationMemoryConfig, loss_of
from memory_core.tasks.families import DIRECT, LONGEST, RELATIONS, question, random_family
from memory_core.tasks.graphs import Graph

Watch = Callable[[int, dict[str, float]], None]
_NAMES = tuple(RELATIONS)
_EACH = 8  # questions about a family
Asked = tuple[Graph, int, int, Tensor]  # a family, whose relatives, the number of the relation, who of it is right


@dataclasses.dataclass(frozen=True)
class FamilyTraining:
    """How to train: updates, families an update, step size, and the seed of parameters, families and questions."""

    seed: int = 1
    steps: int = 400
    batch: int = 8
    rate: float = 0.03
    people: int = 27


@dataclasses.dataclass(frozen=True)
class Questions:
    """Families, padded, each with questions side by side.

    Attributes:
        edges: in codes. `told` is False where a row only fills up.
        person, relation: what is asked; `right` the slots that end in somebody who is an answer.
    """

    edges: Int[Tensor, "batch edges 3"]
    told: Bool[Tensor, "batch edges"]
    person: Int[Tensor, " batch"]
    relation: Int[Tensor, " batch"]
    right: Bool[Tensor, "batch edges"]

    def state(self, network: RelationMemory) -> GraphState:
        """A memory that was told them."""
        return network.names.describe(self.edges, self.told)


def pack(asked: list[Asked]) -> Questions:
    """Questions side by side."""
    longest = max(len(family.edges) for family, *_ in asked)
    edges = torch.zeros(len(asked), longest, 3, dtype=torch.long)
    told, right = torch.zeros(2, len(asked), longest, dtype=torch.bool)
    for row, (family, _, _, who) in enumerate(asked):
        count = len(family.edges)
        edges[row, :count], told[row, :count], right[row, :count] = family.coded, True, who[family.edges[:, 2]]
    people = torch.stack([family.nodes[person] for family, person, _, _ in asked])
    return Questions(edges, told, people, torch.tensor([relation for _, _, relation, _ in asked]), right)


def draw(generator: torch.Generator, families: int, people: int) -> Questions:
    """Random families with questions of all relations alike, as far as a family has them."""
    asked: list[Asked] = []
    for _ in range(families):
        family = random_family(generator, people=people)
        for relation in torch.randperm(len(_NAMES), generator=generator)[:_EACH].tolist():
            found = question(family, generator, _NAMES[relation])
            if found is not None:
                asked.append((family, found[0], relation, found[1]))
    return pack(asked)


def train(training: FamilyTraining, watch: Watch = lambda step, measured: None) -> RelationMemory:
    """Trains from random parameters."""
    torch.manual_seed(training.seed)
    generator = torch.Generator().manual_seed(training.seed)
    network = RelationMemory(RelationMemoryConfig(len(_NAMES), len(DIRECT), LONGEST))
    optimiser = torch.optim.Adam([network.follow], training.rate)
    for step in range(training.steps):
        asked = draw(generator, training.batch, training.people)
        state = asked.state(network)
        named = network.named(state, network(state, asked.person, asked.relation))
        loss = loss_of(named, asked.right)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        right = asked.right.gather(1, named.argmax(1, keepdim=True))
        watch(step + 1, {"loss": float(loss.detach()), "right": float(right.float().mean())})
    return network.eval()


@torch.no_grad()
def measure(
    network: RelationMemory, seed: int, people: int, questions: int, generations: int = 4
) -> dict[str, dict[str, float]]:
    """Of each relation, over questions about families of their own: `named`, the share in which the person named is a
    right answer, and `all`, in which those read at least a tenth as much are just the right answers."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, dict[str, float]] = {}
    for relation, name in enumerate(_NAMES):
        named = exact = asked = 0
        while asked < questions:
            family = random_family(generator, generations, people)
            one = question(family, generator, name)
            if one is None:
                continue
            packed = pack([(family, one[0], relation, one[1])])
            state = packed.state(network)
            weight, right = network.named(state, network(state, packed.person, packed.relation))[0], packed.right[0]
            named += int(right[weight.argmax()])
            exact += int(torch.equal(weight > 0.1 * weight.max(), right))
            asked += 1
        found[name] = {"named": named / questions, "all": exact / questions}
    return found


def run(folder: Path, training: FamilyTraining, watch: Watch, questions: int = 100) -> dict[str, Any]:
    """Trains, and measures on families of the trained size and on larger ones; writes `result.json`."""
    began = time.perf_counter()
    network = train(training, watch)
    seconds = time.perf_counter() - began
    seed = training.seed + 1_000
    sizes = {
        f"{people} people, {generations} generations": measure(network, seed, people, questions, generations)
        for people, generations in ((training.people, 4), (108, 7))
    }
    result = {"training": dataclasses.asdict(training), "seconds": round(seconds), "measured": sizes}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result
