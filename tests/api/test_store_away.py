"""The database goes away and comes back: 503 meanwhile, nothing half done, no restart."""

from collections.abc import AsyncGenerator
from pathlib import Path

from benchmarks.scripted_model import Prompt, ScriptedModel
from tests.api.conftest import started
from tests.api.service import problem


async def test_without_its_database_every_route_is_503_and_then_all_is_as_before(
    one_encoder: None, tmp_path: Path
) -> None:
    file = tmp_path / "store" / "mneme.db"
    async with ScriptedModel() as model, started(model, database_url=f"sqlite:///{file}") as service:
        await service.remember("ada", "My dog is called Biscuit.")
        await service.app.state.memories.database.close()
        (tmp_path / "store").rename(tmp_path / "away")

        for method, path, body in [
            ("POST", "/v1/chat", {"user_id": "ada", "message": "Hello there."}),
            ("POST", "/v1/chat", {"user_id": "ada", "message": "Hello there.", "stream": True}),
            ("POST", "/v1/users/ada/messages", {"messages": [{"role": "user", "content": "Hello there."}]}),
            ("POST", "/v1/users/ada/memory/recall", {"query": "Who?"}),
            ("GET", "/v1/users/ada/memory", None),
            ("GET", "/v1/users/ada/memory/slots", None),
            ("GET", "/v1/users/ada/sessions", None),
            ("GET", "/v1/users/ada/export", None),
            ("DELETE", "/v1/users/ada", None),
        ]:
            response = await service.call(method, path, json=body)
            problem(response, 503)
            assert response.headers["retry-after"]
        assert model.prompts == []
        assert (await service.call("GET", "/health/live")).status_code == 200
        ready = await service.call("GET", "/health/ready")
        assert ready.status_code == 503
        assert ready.json()["parts"] == {"database": False, "generator": True}

        (tmp_path / "away").rename(tmp_path / "store")
        assert (await service.call("GET", "/health/ready")).status_code == 200
        assert await service.recalled("ada", "What is my dog called?") == ["My dog is called Biscuit."]
        assert len(await service.log("ada", "monday")) == 1


async def test_a_database_that_goes_away_while_the_model_speaks_is_told_in_the_stream(
    one_encoder: None, tmp_path: Path
) -> None:
    async with ScriptedModel() as model, started(model, database_url=f"sqlite:///{tmp_path}/store/mneme.db") as service:
        await service.remember("ada", "My dog is called Biscuit.")

        async def goes_away(_: Prompt) -> AsyncGenerator[str, None]:
            await service.app.state.memories.database.close()
            (tmp_path / "store").rename(tmp_path / "away")
            yield "Biscuit."

        model.script = goes_away
        streamed = await service.streamed("ada", "What is my dog called?", session_id="s1")
        assert [name for name, _ in streamed] == ["recalled", "token", "error"]
        assert streamed[-1][1]["status"] == 503
        (tmp_path / "away").rename(tmp_path / "store")
        assert [one["content"] for one in await service.log("ada", "s1")] == ["What is my dog called?"]
