"""The memory of graphs: what it writes, what planning finds, and that it learns."""

from pathlib import Path

import pytest
import torch

from memory_core.graph_memory import FROM, TO, GraphMemory, GraphMemoryConfig, answer_path, answer_walk
from memory_core.tasks import graphs
from memory_core.tasks.graphs import is_shortest
from memory_core.training.graphs import GraphTraining, draw, report, train
from memory_core.weights import WeightsError

SMALL = GraphMemoryConfig(part=128)
RING = [("A", "1", "B"), ("B", "1", "C"), ("C", "1", "D"), ("D", "1", "A"), ("C", "2", "E")]


def test_a_description_at_once_writes_what_its_steps_write() -> None:
    network, edges = GraphMemory(SMALL), graphs.random_graph(torch.Generator().manual_seed(1), 8).coded.unsqueeze(0)
    state = network.initial_state(1, edges.shape[1])
    for edge in edges.unbind(1):
        state = network.write(edge, state)
    whole = network.describe(edges)
    torch.testing.assert_close(state.memory, whole.memory)
    torch.testing.assert_close(state.usage, whole.usage)


def test_what_fills_up_a_batch_is_never_read() -> None:
    network, asked = GraphMemory(SMALL), draw(torch.Generator().manual_seed(1), 4, 9, 2)
    state = network.plan(network.describe(asked.edges, asked.told), asked.goal, 4)
    weighting = network.next_edge(state, asked.path[:, 0]).exp()
    torch.testing.assert_close(weighting.sum(1), torch.ones(4))
    assert weighting[~asked.told].sum() == 0


def test_each_step_of_planning_finds_the_edges_that_are_one_step_farther() -> None:
    network, named = GraphMemory.load(), graphs.NamedGraph.of(RING)
    goal = named.nodes.index("E")
    distances = named.graph.distances_to(goal)
    state = network.plan(network.describe(named.graph.coded.unsqueeze(0)), named.graph.nodes[[goal]], 6)
    found = (-state.planned[0] / network.haste).round().long().tolist()
    assert found == [distances[end] for end in named.graph.edges[:, 2].tolist()]


def test_from_and_to_of_one_node_are_one_vector() -> None:
    memory = GraphMemory(SMALL).describe(torch.tensor([[[12, 7, 345], [345, 8, 12]]])).memory
    torch.testing.assert_close(memory[0, 0, TO], memory[0, 1, FROM])


def test_a_short_training_learns_goes_on_where_it_ended_and_is_saved(tmp_path: Path) -> None:
    training = GraphTraining(steps=40, batch=4, config=SMALL)
    losses: list[float] = []
    train(tmp_path / "whole", training, lambda _, measured: losses.append(measured["loss"]))
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", training, _stop_at(30))
    network = train(tmp_path / "broken", training, lambda *_: None)
    result = report(tmp_path / "broken", training, network, questions=3)
    assert set(result["measured"]["underground"]) == {"traversal", "path"}
    again = GraphMemory.load(tmp_path / "broken" / "graphs.safetensors")
    torch.testing.assert_close(again.state_dict(), network.state_dict())


def _stop_at(last: int):  # type: ignore[no-untyped-def]
    def watch(step: int, _: object) -> None:
        if step == last:
            raise KeyboardInterrupt

    return watch


def test_a_file_of_other_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="cannot be used"):
        GraphMemory.load(tmp_path / "no.safetensors")
    with pytest.raises(WeightsError, match="cannot be used"):
        GraphMemory.load(tmp_path / "missing.safetensors")


def test_with_the_weights_that_ship_it_finds_its_way_on_a_map_that_it_never_saw() -> None:
    network, graph = GraphMemory.load(), graphs.underground().graph
    state = network.describe(graph.coded.unsqueeze(0))
    generator = torch.Generator().manual_seed(7)
    walk = graphs.walk(graph, generator, 7)
    labels = graph.coded[walk, 1].tolist()
    assert answer_walk(network, state, int(graph.coded[walk[0], 0]), labels) == graph.coded[walk, 2].tolist()
    right: list[bool] = []
    while len(right) < 10:
        pair = graphs.far_pair(graph, generator, 4)
        if pair is not None:
            start, goal = (int(graph.nodes[node]) for node in pair)
            edges, _ = answer_path(network, state, start, goal, 8)
            right.append(is_shortest(graph, pair[0], pair[1], edges))
    assert sum(right) >= 8


def test_a_path_that_jumps_or_is_too_long_is_not_shortest() -> None:
    graph = graphs.NamedGraph.of(RING).graph
    start, goal = 0, 2
    (first,) = [n for n, (s, _, e) in enumerate(graph.edges.tolist()) if (s, e) == (0, 1)]
    (second,) = [n for n, (s, _, e) in enumerate(graph.edges.tolist()) if (s, e) == (1, 2)]
    assert is_shortest(graph, start, goal, [first, second])
    assert not is_shortest(graph, start, goal, [second])
    assert not is_shortest(graph, start, goal, [first, second, second])
