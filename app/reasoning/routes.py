"""How to get from one station to another: a question in words, the map told to a network, its path put into words.

The network decides every step. What is checked beside it, against the true shortest path, is told and changes nothing.
"""

import dataclasses
import difflib
import functools
import itertools
import math
import re
import unicodedata
from collections.abc import Sequence

import torch

from app.reasoning import BadQuestion
from memory_core.graph_memory import GraphMemory, answer_path
from memory_core.tasks.graphs import Graph, GraphError, NamedGraph, is_shortest, underground

MOST_EDGES = 4_000
MOST_STEPS = 40  # that planning looks ahead
_ALIKE = 0.72  # of two names; below, one is no misspelling of the other
_NEAREST = 3
_FROM, _TO = {"from", "von", "de", "da", "desde"}, {"to", "nach", "a", "hasta", "zu"}


@dataclasses.dataclass(frozen=True)
class Route:
    """A path, a station and the line to it at a time.

    Attributes:
        lines: to each station but the first.
        probabilities: the network's of each step; their product is `probability`.
        shortest: whether it ends where it should, and no path has fewer stops.
    """

    stations: tuple[str, ...]
    lines: tuple[str, ...]
    probabilities: tuple[float, ...]
    probability: float
    text: str
    shortest: bool


@functools.lru_cache(maxsize=1)
def network() -> GraphMemory:
    """The network with the weights that ship.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    return GraphMemory.load()


@functools.lru_cache(maxsize=1)
def _underground() -> NamedGraph:
    return underground()


def find_route(question: str, edges: Sequence[Sequence[str]] | None = None) -> Route:
    """Answers a question that names two stations.

    Args:
        edges: the map as from, line, to; None for the London Underground. An edge leads both ways.

    Raises:
        BadQuestion: the question does not name two stations of the map, the map is no graph or too large, or no way
            leads from the one station to the other.
    """
    if edges is not None and len(edges) > MOST_EDGES:
        raise BadQuestion("graph", f"a map has at most {MOST_EDGES} edges, not {len(edges)}")
    try:
        named = _underground() if edges is None else NamedGraph.of(edges)
    except GraphError as error:
        raise BadQuestion("graph", str(error)) from None
    start, goal = stations_of(question, named.nodes)
    graph = named.graph
    distance = graph.distances_to(goal)[start]
    if distance < 0:
        raise BadQuestion("question", f"no way leads from {named.nodes[start]} to {named.nodes[goal]}")
    with torch.inference_mode():
        state = network().describe(graph.coded.unsqueeze(0))
        taken, probabilities = answer_path(
            network(), state, int(graph.nodes[start]), int(graph.nodes[goal]), MOST_STEPS
        )
    return _told(named, start, goal, _as_far_as_joined(graph, start, taken), probabilities, distance)


def _as_far_as_joined(graph: Graph, start: int, taken: Sequence[int]) -> list[int]:
    """The steps up to the first that does not begin where the one before ends."""
    at, joined = start, []
    for edge in taken:
        if int(graph.edges[edge, 0]) != at:
            break
        joined.append(edge)
        at = int(graph.edges[edge, 2])
    return joined


def _told(
    named: NamedGraph, start: int, goal: int, edges: list[int], probabilities: Sequence[float], distance: int
) -> Route:
    stations = [named.nodes[start], *(named.nodes[int(named.graph.edges[edge, 2])] for edge in edges)]
    lines = [named.lines[int(named.graph.edges[edge, 1])] for edge in edges]
    arrives, best = stations[-1] == named.nodes[goal], is_shortest(named.graph, start, goal, edges)
    parts = []
    for line, stretch in itertools.groupby(zip(lines, stations[1:], strict=True), key=lambda step: step[0]):
        stops = list(stretch)
        ride = f"{_stops(len(stops))} to {stops[-1][1]}"
        parts.append(f"{line}, {ride}" if line else ride)
    if best:
        verdict = "No way has fewer stops." if edges else "You are there."
    elif arrives:
        verdict = f"There is a shorter way, of {_stops(distance)}."
    else:
        verdict = f"The network lost its way there; {named.nodes[goal]} can be reached in {_stops(distance)}."
    text = f"From {stations[0]}: " + "; then ".join(parts) + f". {verdict}" if parts else f"{stations[0]}. {verdict}"
    steps = tuple(probabilities[: len(edges)])
    return Route(tuple(stations), tuple(lines), steps, math.prod(steps), text, best)


def _stops(count: int) -> str:
    return f"{count} stop{'s' if count != 1 else ''}"


def stations_of(question: str, names: Sequence[str]) -> tuple[int, int]:
    """The numbers of the two stations that a question names: from the first to the second, unless it says otherwise.

    Raises:
        BadQuestion: it does not name two; the message gives the nearest names.
    """
    words = _words(question)
    by_words = {tuple(_words(name)): number for number, name in enumerate(names)}
    longest = max(map(len, by_words))
    found: list[tuple[int, int]] = []  # place, number
    rest: list[list[str]] = [[]]  # runs of words that name no station
    place = 0
    while place < len(words):
        for length in range(min(longest, len(words) - place), 0, -1):
            number = by_words.get(tuple(words[place : place + length]))
            if number is not None:
                found.append((place, number))
                rest.append([])
                place += length
                break
        else:
            rest[-1].append(words[place])
            place += 1
    distinct = list(dict(reversed([(number, place) for place, number in found])).items())
    if len(distinct) != 2:
        raise BadQuestion("question", _unknown(rest, by_words, names, len(distinct)))
    (start, first), (goal, second) = sorted(distinct, key=lambda pair: pair[1])
    before = [words[place - 1] if place else "" for place in (first, second)]
    turned = before[1] in _FROM or (before[0] in _TO and before[1] not in _TO)
    return (goal, start) if turned else (start, goal)


def _unknown(
    rest: Sequence[Sequence[str]], by_words: dict[tuple[str, ...], int], names: Sequence[str], count: int
) -> str:
    if count > 2:
        return "the question names more than two stations"
    spelled = {" ".join(words): names[number] for words, number in by_words.items()}
    longest = max(map(len, by_words))
    likely: dict[str, float] = {}
    for run in rest:
        for start, end in itertools.combinations(range(len(run) + 1), 2):
            if end - start > longest:
                continue
            said = " ".join(run[start:end])
            for close in difflib.get_close_matches(said, spelled, n=_NEAREST, cutoff=_ALIKE):
                alike = difflib.SequenceMatcher(None, said, close).ratio()
                likely[spelled[close]] = max(alike, likely.get(spelled[close], 0.0))
    nearest = sorted(likely, key=lambda name: -likely[name])[:_NEAREST]
    told = "the question must name two stations of the map"
    if count:
        told += ", and names one"
    return f"{told}; the nearest names: {', '.join(nearest)}" if nearest else told


def _words(text: str) -> list[str]:
    """The words of a text without case, accents, apostrophes and punctuation; "St." and "&" as written out."""
    plain = unicodedata.normalize("NFKD", text.casefold()).replace("&", " and ")
    plain = "".join(each for each in plain if not unicodedata.combining(each) and each not in "'’.")
    return re.findall(r"\w+", plain)
