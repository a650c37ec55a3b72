"""The route of routes: maps as text or as lists, and bad input by field."""

from typing import Any

import pytest

from app.reasoning.routes import find_route
from tests.api.service import Service, problem

MAP = [["Mill", "red", "Pond"], ["Pond", "Hill"]]


async def test_it_tells_what_the_network_found(service: Service) -> None:
    told = await service.post("/v1/route", {"question": "From Mill to Hill", "graph": MAP})
    found = find_route("From Mill to Hill", [("Mill", "red", "Pond"), ("Pond", "", "Hill")])
    assert told["stations"] == ["Mill", "Pond", "Hill"] and told["lines"] == ["red", ""]
    assert told["shortest"] and told["text"] == found.text
    assert told["probability"] == pytest.approx(found.probability, abs=1e-3)
    assert (
        await service.post("/v1/route", {"question": "From Mill to Hill", "graph": "Mill,red,Pond\nPond,Hill"}) == told
    )


async def test_without_a_map_it_is_the_underground(service: Service) -> None:
    told = await service.post("/v1/route", {"question": "How do I get from Oxford Circus to Baker Street?"})
    assert told["stations"][0] == "Oxford Circus" and told["stations"][-1] == "Baker Street"
    assert told["shortest"] and len(told["stations"]) == 3


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ({"question": "From Oxford Circus to Backer Street"}, "#/question", "Baker Street"),
        ({"question": "Mill to Hill", "graph": "Mill,Pond\nHill"}, "#/graph", "row 2"),
        ({"question": "Mill to Hill", "graph": []}, "#/graph", "at least one edge"),
        ({"question": "Mill to Hill", "graph": [["Mill"]]}, "#/graph", "edge 1: an edge is"),
        ({"question": ""}, "#/question", "at least 1"),
    ],
)
async def test_what_is_wrong_is_told_by_field(
    service: Service, body: dict[str, Any], pointer: str, detail: str
) -> None:
    told = problem(await service.call("POST", "/v1/route", json=body), 422)
    assert any(one["pointer"].startswith(pointer) and detail in one["detail"] for one in told["errors"]), told
