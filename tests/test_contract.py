"""The OpenAPI document against the running service: generated requests, every check of schemathesis.

What must hold: no server error, no status that the document does not name, replies as their schemas say, what the
schema forbids is refused, and no route can be used without its key. One check is left out: that whatever the schema
allows is accepted. A blank text and a cursor that no page ended with are refused, which JSON Schema cannot say.
MNEME_CONTRACT_EXAMPLES in the environment asks for more than the few requests a route that there is time for here.
"""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from benchmarks.scripted_model import ScriptedModel
from benchmarks.serving import Server

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("MNEME_CONTRACT_EXAMPLES", "6"))
KEY = "mneme_" + "k" * 43


@schemathesis.serializer("application/x-ndjson")
def as_lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """A body of JSON lines: the text that was generated."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    """A scripted language model in a thread of its own."""
    loop, model = asyncio.new_event_loop(), ScriptedModel()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(model.__aenter__(), loop).result(10)
    yield model.url
    asyncio.run_coroutine_threadsafe(model.__aexit__(None, None, None), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@pytest.fixture(scope="module")
def server(model_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    chosen: dict[str, str | int] = {"GENERATOR_URL": model_url, "MNEME_ADMIN_KEY": KEY, "OMP_NUM_THREADS": "1"}
    server = Server({**chosen, "REQUESTS_PER_MINUTE": 0, "TOKENS_PER_MINUTE": 0}, tmp_path_factory.mktemp("contract"))
    server.start()
    yield server
    server.stop()


def test_generated_requests_meet_the_document(server: Server) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    failures: dict[str, str] = {}
    statuses: Counter[int] = Counter()
    kinds = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    for result in schemathesis.openapi.from_url(f"{server.url}/openapi.json").get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()

        @given(case=st.one_of(*(operation.as_strategy(generation_mode=kind) for kind in kinds)))
        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def meets(case: Any) -> None:
            response = case.call_and_validate(headers=headers, timeout=30, excluded_checks=[positive_data_acceptance])
            statuses[response.status_code] += 1

        try:
            meets()
        except BaseException as error:  # schemathesis raises groups of failures
            failures[operation.label] = str(error)[:1500]
    assert not failures, "\n\n".join(f"{label}: {what}" for label, what in failures.items())
    assert {200, 404, 422} <= set(statuses), statuses
    assert "Traceback" not in Path(server.log).read_text()
    print(f"{statuses.total()} requests: {sorted(statuses.items())}")
