"""Graphs: what is drawn, what is read, and which paths are shortest."""

import pytest
import torch

from memory_core.tasks import graphs
from memory_core.tasks.graphs import GraphError, NamedGraph


def _drawn(seed: int, nodes: int = 20) -> graphs.Graph:
    return graphs.random_graph(torch.Generator().manual_seed(seed), nodes)


@pytest.mark.parametrize("seed", range(5))
def test_a_random_graph_leads_both_ways_and_its_labels_tell_the_edges_of_a_node_apart(seed: int) -> None:
    graph = _drawn(seed)
    edges = graph.edges.tolist()
    assert {(start, end) for start, _, end in edges} == {(end, start) for start, _, end in edges}
    assert len({(start, label) for start, label, _ in edges}) == len(edges)
    assert len(set(graph.nodes.tolist())) == 20
    assert torch.equal(graph.coded, _drawn(seed).coded)


@pytest.mark.parametrize("seed", range(5))
def test_distances_are_those_of_powers_of_the_adjacency_matrix(seed: int) -> None:
    graph, goal = _drawn(seed), 3
    near = torch.zeros(20, 20).index_put((graph.edges[:, 0], graph.edges[:, 2]), torch.tensor(1.0))
    reached = torch.eye(20)
    expected = [-1] * 20
    for distance in range(20):
        for node in range(20):
            if expected[node] < 0 and reached[node, goal] > 0:
                expected[node] = distance
        reached = reached @ near
    assert graph.distances_to(goal) == expected


def test_a_walk_goes_from_edge_to_edge() -> None:
    graph = _drawn(1)
    edges = graph.edges[graphs.walk(graph, torch.Generator().manual_seed(1), 12)]
    assert torch.equal(edges[1:, 0], edges[:-1, 2])


def test_the_underground_is_whole() -> None:
    named = graphs.underground()
    assert (len(named.nodes), len(named.graph.edges)) == (302, 812)
    assert min(named.graph.distances_to(named.nodes.index("Oxford Circus"))) == 0
    assert named.graph.distances_to(named.nodes.index("Oxford Circus"))[named.nodes.index("Baker Street")] == 2


def test_edges_are_read_from_csv_with_or_without_lines_and_heading() -> None:
    assert graphs.read_edges("from,line,to\nA,1,B\n\n B , 2 , C\n") == [("A", "1", "B"), ("B", "2", "C")]
    assert graphs.read_edges("A,B\nB,C\n") == [("A", "", "B"), ("B", "", "C")]


@pytest.mark.parametrize(("text", "row"), [("A,1,B\nA\n", 2), ("A,,B,C\n", 1), ("A,1,\n", 1)])
def test_a_row_that_is_no_edge_is_named(text: str, row: int) -> None:
    with pytest.raises(GraphError, match=f"^row {row}: "):
        graphs.read_edges(text)


def test_a_graph_without_edges_or_with_too_many_names_is_refused() -> None:
    with pytest.raises(GraphError, match="at least one edge"):
        NamedGraph.of([])
    with pytest.raises(GraphError, match="1001 names"):
        NamedGraph.of([(str(n), "", str(n + 1)) for n in range(1000)])
