"""A conversation with the language model that is installed along, none of it scripted."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from benchmarks.scripted_model import ScriptedModel
from tests.api.conftest import started
from tests.api.service import Service
from tests.api.test_chat import check_reply

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def real(one_encoder: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    url = f"sqlite:///{tmp_path_factory.mktemp('real')}/mneme.db"
    async with (
        ScriptedModel() as unused,
        started(unused, generator_url=None, database_url=url, generator_context=1024) as service,
    ):
        yield service
        assert not unused.prompts


async def test_the_assistant_replies_with_what_was_said_in_an_earlier_session_before_it(
    real: Service, user: str
) -> None:
    """What the model makes of it is measured in benchmarks.answers: the tiny one here makes little."""
    await real.chat(user, "My dog is called Biscuit.", max_tokens=24)
    reply = await real.chat(user, "What is my dog called?", max_tokens=24)
    check_reply(reply)
    assert reply["recalled"][0]["content"] == "My dog is called Biscuit."


async def test_the_reply_comes_token_by_token(real: Service, user: str) -> None:
    await real.remember(user, "The ferry leaves at noon.")
    streamed = await real.streamed(user, "When does the ferry leave?", max_tokens=24)
    assert [name for name, _ in streamed].count("token") > 2
    done = streamed[-1][1]
    assert "".join(data["text"] for name, data in streamed if name == "token") == done["reply"]


async def test_a_short_limit_cuts_the_reply(real: Service, user: str) -> None:
    reply = await real.chat(user, "Tell me a long story about the sea.", max_tokens=1)
    assert len(reply["reply"].split()) <= 2


async def test_a_message_longer_than_the_models_context_is_answered(real: Service, user: str) -> None:
    for text in ("The quick brown fox. " * 1523 + "Was it?", "猫" * 4_000):
        check_reply(await real.chat(user, text, max_tokens=8))


async def test_the_service_is_ready_when_its_model_is(real: Service) -> None:
    assert (await real.get("/health/ready"))["parts"] == {"database": True, "generator": True}
