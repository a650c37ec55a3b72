"""The OpenAPI document under version control is the code's."""

import json
from pathlib import Path

from app.openapi_document import as_text
from tests.api.service import Service

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "openapi.json"


async def test_the_document_is_the_codes(service: Service) -> None:
    written = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    served = await service.get("/openapi.json")
    assert written == served, "run `make openapi`, and look at what changed for clients"
    assert DOCUMENT.read_text(encoding="utf-8") == as_text(served)


async def test_every_operation_has_a_name_of_its_own_for_generated_clients(service: Service) -> None:
    names = [
        one["operationId"] for item in (await service.get("/openapi.json"))["paths"].values() for one in item.values()
    ]
    assert len(names) == len(set(names))
