"""The way from one station to another, told by a network that reads the map."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api.auth import ActingCaller
from app.api.dependencies import MemoriesDep
from app.api.errors import RESPONSES, bad_field
from app.api.schemas import Request
from app.reasoning import BadQuestion, routes
from memory_core.tasks.graphs import GraphError, read_edges

router = APIRouter(prefix="/v1", tags=["reasoning"], responses=RESPONSES)
Part = Annotated[str, Field(max_length=100)]


class RouteRequest(Request):
    """A question that names two stations; the map is the London Underground unless `graph` gives another."""

    question: Annotated[str, Field(min_length=1, max_length=500)]
    graph: Annotated[
        str | list[list[Part]] | None,
        Field(description="edges, which lead both ways: CSV of `from,line,to`, or a list of [from, line, to]"),
    ] = None


class RouteReply(BaseModel):
    """The way. `lines` has the line to each station but the first; `steps` the probability of each step."""

    stations: list[str]
    lines: list[str]
    text: str
    probability: float
    steps: list[float]
    shortest: Annotated[bool, Field(description="checked against the true shortest path")]


@router.post("/route")
async def route(body: RouteRequest, acting: ActingCaller, memories: MemoriesDep) -> RouteReply:
    """The way from one station to another. The network is told the map, plans, and says the stations one by one."""
    try:
        found = await memories.device.run(routes.find_route, body.question, _edges(body.graph))
    except BadQuestion as error:
        raise bad_field(str(error), "body", error.field) from None
    return RouteReply(
        stations=list(found.stations),
        lines=list(found.lines),
        text=found.text,
        probability=found.probability,
        steps=list(found.probabilities),
        shortest=found.shortest,
    )


def _edges(graph: str | list[list[str]] | None) -> list[Sequence[str]] | None:
    if isinstance(graph, str):
        try:
            return [*read_edges(graph)]
        except GraphError as error:
            raise BadQuestion("graph", str(error)) from None
    for number, edge in enumerate(graph or [], 1):
        if len(edge) not in (2, 3) or not (edge[0].strip() and edge[-1].strip()):
            raise BadQuestion("graph", f"edge {number}: an edge is [from, line, to] or [from, to]")
    return None if graph is None else [edge if len(edge) == 3 else (edge[0], "", edge[1]) for edge in graph]
