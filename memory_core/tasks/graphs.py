"""Graphs, told edge by edge, and questions about them: walk along given labels, find a shortest path.

The random graphs are those of Graves et al. 2016 (Methods, "Graph task descriptions"): points in the unit square, each
joined to its nearest neighbours, nodes and labels named by random numbers of three digits, the labels of the edges that
leave a node all different. Real networks are read from a list of edges; training must never see them.
"""

import csv
import dataclasses
import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

CODES = 1_000  # names of three digits
UNDERGROUND = Path(__file__).with_name("networks") / "underground.csv"


class GraphError(ValueError):
    """A list of edges that is no graph, or a question that it cannot answer; the message says why."""


@dataclasses.dataclass(frozen=True)
class Graph:
    """A directed graph with names of three digits.

    Attributes:
        edges: from, label, to, an edge a row, as numbers of nodes and of labels.
        nodes: the code of each node.
        labels: the code of each label.
    """

    edges: Int[Tensor, "edges 3"]
    nodes: Int[Tensor, " nodes"]
    labels: Int[Tensor, " labels"]

    @property
    def coded(self) -> Int[Tensor, "edges 3"]:
        """The edges in codes: what a network is told."""
        start, label, end = self.edges.unbind(1)
        return torch.stack([self.nodes[start], self.labels[label], self.nodes[end]], 1)

    def leaving(self) -> list[list[int]]:
        """The edges that leave each node, by number."""
        found: list[list[int]] = [[] for _ in range(len(self.nodes))]
        for number, start in enumerate(self.edges[:, 0].tolist()):
            found[start].append(number)
        return found

    def distances_to(self, goal: int) -> list[int]:
        """Edges on a shortest path from each node to the goal; -1 where there is none."""
        entering: list[list[int]] = [[] for _ in range(len(self.nodes))]
        for start, _, end in self.edges.tolist():
            entering[end].append(start)
        found = [-1] * len(self.nodes)
        found[goal] = 0
        waiting = deque([goal])
        while waiting:
            node = waiting.popleft()
            for before in entering[node]:
                if found[before] < 0:
                    found[before] = found[node] + 1
                    waiting.append(before)
        return found


def random_graph(generator: torch.Generator, nodes: int, nearest: int = 3) -> Graph:
    """Points in the unit square, joined both ways to 1 to `nearest` of their nearest neighbours.

    Raises:
        GraphError: fewer than two nodes, or more than there are codes.
    """
    if not 2 <= nodes <= CODES:
        raise GraphError(f"a graph has 2 to {CODES} nodes, not {nodes}")
    points = torch.rand(nodes, 2, generator=generator)
    apart = torch.cdist(points, points).fill_diagonal_(torch.inf)
    degrees = torch.randint(1, nearest + 1, (nodes,), generator=generator).tolist()
    pairs = set()
    for node, near in enumerate(apart.argsort(1).tolist()):
        pairs |= {(min(node, other), max(node, other)) for other in near[: min(degrees[node], nodes - 1)]}
    order = [*sorted(pairs), *((end, start) for start, end in sorted(pairs))]
    order = [order[place] for place in torch.randperm(len(order), generator=generator).tolist()]
    given = [0] * nodes
    edges = []
    for start, end in order:  # the labels of what leaves a node: 0, 1, …, which the codes make random
        edges.append((start, given[start], end))
        given[start] += 1
    return Graph(torch.tensor(edges), _codes(generator, nodes), _codes(generator, max(given)))


def _codes(generator: torch.Generator, count: int) -> Int[Tensor, " count"]:
    if count > CODES:
        raise GraphError(f"{count} names are more than the {CODES} of three digits")
    return torch.randperm(CODES, generator=generator)[:count]


@dataclasses.dataclass(frozen=True)
class NamedGraph:
    """A network of the world: a graph with names. An edge leads both ways.

    `labels` name a line and, where more than one edge of it leaves a node, which of them: "Central 2".
    """

    graph: Graph
    nodes: tuple[str, ...]
    lines: tuple[str, ...]  # of each label
    labels: tuple[str, ...]

    @classmethod
    def of(cls, triples: Iterable[Sequence[str]], seed: int = 1, both_ways: bool = True) -> "NamedGraph":
        """The graph of triples from, line, to.

        Args:
            seed: of the codes that nodes and labels get.

        Raises:
            GraphError: no edges, or more names than there are codes.
        """
        found = list(dict.fromkeys((start.strip(), line.strip(), end.strip()) for start, line, end in triples))
        back = [(end, line, start) for start, line, end in found] if both_ways else []
        told = dict.fromkeys(edge for pair in itertools.zip_longest(found, back) for edge in pair if edge is not None)
        if not told:
            raise GraphError("a graph has at least one edge")
        nodes = {name: number for number, name in enumerate(dict.fromkeys(n for s, _, e in told for n in (s, e)))}
        labels: dict[tuple[str, int], int] = {}
        given: dict[tuple[str, str], int] = {}
        edges = []
        for start, line, end in told:
            turn = given[start, line] = given.get((start, line), 0) + 1
            edges.append((nodes[start], labels.setdefault((line, turn), len(labels)), nodes[end]))
        generator = torch.Generator().manual_seed(seed)
        graph = Graph(torch.tensor(edges), _codes(generator, len(nodes)), _codes(generator, len(labels)))
        lines = tuple(line for line, _ in labels)
        return cls(graph, tuple(nodes), lines, tuple(f"{line} {turn}" for line, turn in labels))


def read_edges(text: str) -> list[tuple[str, str, str]]:
    """The edges of a CSV text: from, line, to, or from, to. A first row of exactly these words is a heading.

    Raises:
        GraphError: a row has another number of fields or an empty one; the message names the row.
    """
    found = []
    for number, row in enumerate(csv.reader(text.splitlines()), 1):
        fields = [field.strip() for field in row]
        if not any(fields) or (number == 1 and [field.lower() for field in fields] in _HEADINGS):
            continue
        if len(fields) not in (2, 3) or not all(fields):
            raise GraphError(f"row {number}: an edge is from,line,to or from,to, not {','.join(row)!r}")
        found.append((fields[0], fields[1] if len(fields) == 3 else "", fields[-1]))
    return found


_HEADINGS = (["from", "line", "to"], ["from", "to"])


def underground() -> NamedGraph:
    """The London Underground, Overground and DLR: 302 stations, 406 connections (Wikimedia Commons' data set)."""
    return NamedGraph.of(read_edges(UNDERGROUND.read_text(encoding="utf-8")))


def walk(graph: Graph, generator: torch.Generator, length: int) -> list[int]:
    """Edges of a random walk that turns back only where it must."""
    leaving = graph.leaving()
    node, last, edges = _drawn(generator, len(graph.nodes)), -1, []
    for _ in range(length):
        choices = [edge for edge in leaving[node] if int(graph.edges[edge, 2]) != last] or leaving[node]
        edge = choices[_drawn(generator, len(choices))]
        edges.append(edge)
        last, node = node, int(graph.edges[edge, 2])
    return edges


def far_pair(graph: Graph, generator: torch.Generator, steps: int) -> tuple[int, int] | None:
    """Two nodes that a shortest path of so many edges joins; None where one drawn goal has none."""
    goal = _drawn(generator, len(graph.nodes))
    at = [node for node, distance in enumerate(graph.distances_to(goal)) if distance == steps]
    return (at[_drawn(generator, len(at))], goal) if at else None


def _drawn(generator: torch.Generator, below: int) -> int:
    return int(torch.randint(0, below, (), generator=generator))


def is_shortest(graph: Graph, start: int, goal: int, edges: list[int]) -> bool:
    """Whether the edges are a path from start to goal, and none is shorter."""
    at = start
    for edge in edges:
        if int(graph.edges[edge, 0]) != at:
            return False
        at = int(graph.edges[edge, 2])
    return at == goal and len(edges) == graph.distances_to(goal)[start]
