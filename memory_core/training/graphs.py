"""Teaching `GraphMemory` to walk and to plan, on random graphs alone, with lessons that grow by success.

A lesson has graphs of a size and questions of a length; nine right answers in ten open the next one (Graves et al. 2016
use such a curriculum). Real networks are measured on, never trained on.
"""

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from memory_core.graph_memory import TO, GraphMemory, GraphMemoryConfig, answer_path, answer_walk
from memory_core.tasks import graphs
from memory_core.tasks.graphs import Graph, is_shortest
from memory_core.training import checkpoint

KINDS: Final = ("traversal", "path")
_LESSONS: Final = tuple((6 + 3 * lesson, 1 + lesson // 2) for lesson in range(20))  # nodes, steps of a question
_PASSED: Final = 0.9
_FADE: Final = 0.98  # of the running share of right answers
_LONGEST_GRADIENT: Final = 1.0
Watch = Callable[[int, dict[str, float]], None]


@dataclasses.dataclass(frozen=True)
class GraphTraining:
    """How to train: updates, graphs an update, step size, and the seed of parameters, graphs and questions."""

    seed: int = 1
    steps: int = 600
    batch: int = 4
    rate: float = 1e-3
    config: GraphMemoryConfig = dataclasses.field(default_factory=GraphMemoryConfig)


@dataclasses.dataclass(frozen=True)
class Questions:
    """A batch of graphs, padded, with a walk and a path through each.

    Attributes:
        edges: in codes. `told` is False where a row only fills up.
        walk: at each step the code where it stands and of the label to take; `walked` the edge to take.
        path: at each step the code where it stands; `right` every edge that begins a shortest rest of the way.
        goal: the code where the path ends. A step counts where `right` has any edge.
    """

    edges: Int[Tensor, "batch edges 3"]
    told: Bool[Tensor, "batch edges"]
    walk: Int[Tensor, "batch steps 2"]
    walked: Int[Tensor, "batch steps"]
    goal: Int[Tensor, " batch"]
    path: Int[Tensor, "batch steps"]
    right: Bool[Tensor, "batch steps edges"]


def draw(generator: torch.Generator, batch: int, nodes: int, steps: int) -> Questions:
    """Random graphs of half to the full number of nodes, walks of `steps` edges, paths of up to as many."""
    drawn: list[tuple[Graph, list[int], int, int]] = []
    while len(drawn) < batch:
        size = int(torch.randint(max(4, nodes // 2), nodes + 1, (), generator=generator))
        graph = graphs.random_graph(generator, size, 4)
        length = int(torch.randint(1, steps + 1, (), generator=generator))
        pair = graphs.far_pair(graph, generator, length)
        if pair is not None:
            drawn.append((graph, graphs.walk(graph, generator, steps), *pair))
    longest = max(len(graph.edges) for graph, *_ in drawn)
    edges, told = torch.zeros(batch, longest, 3, dtype=torch.long), torch.zeros(batch, longest, dtype=torch.bool)
    walk, walked = torch.zeros(batch, steps, 2, dtype=torch.long), torch.zeros(batch, steps, dtype=torch.long)
    path, goals = torch.zeros(batch, steps, dtype=torch.long), torch.zeros(batch, dtype=torch.long)
    right = torch.zeros(batch, steps, longest, dtype=torch.bool)
    for row, (graph, taken, start, goal) in enumerate(drawn):
        edges[row, : len(graph.edges)], told[row, : len(graph.edges)] = graph.coded, True
        walk[row], walked[row] = graph.coded[taken, :2], torch.tensor(taken)
        goals[row] = graph.nodes[goal]
        for step, (at, good) in enumerate(shortest(graph, start, goal, generator)):
            path[row, step] = graph.nodes[at]
            right[row, step, good] = True
    return Questions(edges, told, walk, walked, goals, path, right)


def shortest(graph: Graph, start: int, goal: int, generator: torch.Generator) -> list[tuple[int, list[int]]]:
    """One of the shortest paths: at each step the node, and all edges that lead on along a shortest path."""
    distance, leaving = graph.distances_to(goal), graph.leaving()
    node, found = start, []
    while node != goal:
        good = [edge for edge in leaving[node] if distance[int(graph.edges[edge, 2])] == distance[node] - 1]
        found.append((node, good))
        node = int(graph.edges[good[int(torch.randint(0, len(good), (), generator=generator))], 2])
    return found


def losses(network: GraphMemory, asked: Questions, plan: int) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """The loss, and the share of steps whose strongest slot is right, by kind of question."""
    state = network.describe(asked.edges, asked.told)
    planned = network.plan(state, asked.goal, plan)
    steps = asked.path.shape[1]
    walks = torch.stack([network.next_edge(state, asked.walk[:, t, 0], asked.walk[:, t, 1]) for t in range(steps)], 1)
    paths = torch.stack([network.next_edge(planned, asked.path[:, t]) for t in range(steps)], 1)
    counts = asked.right.any(2)
    path = torch.logsumexp(paths.masked_fill(~asked.right, -1e9), 2)[counts]
    walk = -walks.gather(2, asked.walked.unsqueeze(2)).squeeze(2)
    spelled = functional.nll_loss(network.spell(state.memory[:, :, TO][asked.told]), asked.edges[..., TO][asked.told])
    chosen = asked.right.gather(2, paths.argmax(2, keepdim=True)).squeeze(2)[counts]
    correct = {
        "traversal": float((walks.argmax(2) == asked.walked).float().mean()),
        "path": float(chosen.float().mean()),
    }
    return walk.mean() - path.mean() + spelled, correct


def train(folder: Path, training: GraphTraining, watch: Watch) -> GraphMemory:
    """Trains, or goes on with the run in the folder."""
    torch.manual_seed(training.seed)
    network, generator = GraphMemory(training.config), torch.Generator().manual_seed(training.seed)
    scalars = [each for each in network.parameters() if each.dim() < 2]
    others = [each for each in network.parameters() if each.dim() >= 2]
    groups: list[dict[str, Any]] = [{"params": scalars, "lr": 10 * training.rate}, {"params": others}]
    optimiser = torch.optim.Adam(groups, training.rate)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "checkpoint.safetensors"
    notes: dict[str, Any] = {"step": 0, "lesson": 0, "right": 0.0, "seconds": 0.0}
    if path.is_file():
        notes = checkpoint.load(path, network, optimiser, generator)
    began = time.monotonic() - notes["seconds"]
    for step in range(notes["step"], training.steps):
        for group, faster in zip(optimiser.param_groups, (10.0, 1.0), strict=True):  # falls to 0 in the last fifth
            group["lr"] = faster * training.rate * min(1.0, 5.0 * (training.steps - step) / training.steps)
        lesson = notes["lesson"] if step % 4 else int(torch.randint(0, notes["lesson"] + 1, (), generator=generator))
        nodes, length = _LESSONS[lesson]
        loss, correct = losses(network, draw(generator, training.batch, nodes, length), length + 2)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), _LONGEST_GRADIENT)
        optimiser.step()
        if lesson == notes["lesson"]:
            notes["right"] = _FADE * notes["right"] + (1.0 - _FADE) * min(correct.values())
        if notes["right"] > _PASSED and notes["lesson"] + 1 < len(_LESSONS):
            notes["lesson"], notes["right"] = notes["lesson"] + 1, _PASSED - 0.1
        notes["step"], notes["seconds"] = step + 1, time.monotonic() - began
        watch(step + 1, {"loss": float(loss.detach()), "lesson": float(notes["lesson"]), **correct})
        if (step + 1) % 250 == 0 or step + 1 == training.steps:
            checkpoint.save(path, network, optimiser, generator, notes)
    return network.eval()


def measure(network: GraphMemory, graph: Graph, seed: int, questions: int) -> dict[str, dict[int, float]]:
    """The share of questions about a graph that are answered right in every step, by kind and by length."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        state = network.describe(graph.coded.unsqueeze(0))
    found: dict[str, dict[int, float]] = {"traversal": {}, "path": {}}
    for length in (1, 7, 15):
        right = 0
        for _ in range(questions):
            edges = graphs.walk(graph, generator, length)
            start, labels = int(graph.coded[edges[0], 0]), graph.coded[edges, 1].tolist()
            right += answer_walk(network, state, start, labels) == graph.coded[edges, 2].tolist()
        found["traversal"][length] = right / questions
    for length in (3, 4, 5, 8, 12, 20):
        right, asked = 0, 0
        for _ in range(20 * questions):
            pair = graphs.far_pair(graph, generator, length)
            if pair is None:
                continue
            edges, _ = answer_path(network, state, int(graph.nodes[pair[0]]), int(graph.nodes[pair[1]]), length)
            right += is_shortest(graph, *pair, edges)
            asked += 1
            if asked == questions:
                break
        if asked:
            found["path"][length] = right / asked
    return found


def report(folder: Path, training: GraphTraining, network: GraphMemory, questions: int = 200) -> dict[str, Any]:
    """Measures on the Underground and on larger random graphs than any in training; writes weights and result.json."""
    measured = {"underground": measure(network, graphs.underground().graph, training.seed, questions)}
    for nodes in (20, 60, 120, 240):
        graph = graphs.random_graph(torch.Generator().manual_seed(training.seed + nodes), nodes, 4)
        measured[f"random, {nodes} nodes"] = measure(network, graph, training.seed, questions)
    network.save(folder / "graphs.safetensors")
    result = {"training": dataclasses.asdict(training), "measured": measured}
    (folder / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result
