"""A small language model for the tests that need a real one."""

from collections.abc import Iterator

import pytest

from app.assistant.embedded import EmbeddedModel
from app.assistant.models import TINY, installed


@pytest.fixture(scope="module")
def model() -> Iterator[EmbeddedModel]:
    model = EmbeddedModel(installed(TINY), context=1024, parallel=1, threads=1)
    yield model
    model.close()
