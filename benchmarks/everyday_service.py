"""The service as the benchmarks of everyday use meet it: a server of their own, or the same routes in this process.

The language model is a script: it answers each turn with the reply that the case gives, so that nothing depends on a
model. In the process, word pieces encoded once are not encoded again, which makes a kind a matter of seconds.
"""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import torch
from torch import Tensor

from benchmarks.everyday_cases import Action, Said, Timed
from benchmarks.scripted_model import Prompt, ScriptedModel
from benchmarks.serving import Server
from memory_core.encoder import Encoder, Utterance
from memory_core.multilingual_encoder import MultilingualEncoder

MOST_MESSAGES = 1_000  # of one request


class Refused(Exception):
    """The service answered a call otherwise than expected; the message says which and how."""


class Service:
    """One service and the users in it.

    Args:
        client: of the service.
        model: its language model, whose replies are set before each turn.
    """

    def __init__(self, client: httpx.AsyncClient, model: ScriptedModel) -> None:
        self.client, self._model = client, model

    async def tell(self, user: str, timed: Sequence[Timed]) -> dict[str, str]:
        """Remembers messages in order; returns the name of each by its id."""
        names: dict[str, str] = {}
        batch: list[Timed] = []
        for one in timed:
            if batch and (one.said.turn or len(batch) == MOST_MESSAGES or _session(one.at) != _session(batch[-1].at)):
                names |= await self._remember(user, batch)
                batch = []
            if one.said.turn:
                names |= await self._turn(user, one)
            else:
                batch.append(one)
        return names | await self._remember(user, batch)

    async def _remember(self, user: str, batch: Sequence[Timed]) -> dict[str, str]:
        if not batch:
            return {}
        body = {"session_id": _session(batch[0].at), "messages": [_message(one) for one in batch]}
        reply = await self.call("POST", f"/v1/users/{user}/messages", body)
        pairs = zip(reply["messages"], batch, strict=True)
        return {message["id"]: one.name for message, one in pairs if one.name is not None}

    async def _turn(self, user: str, one: Timed) -> dict[str, str]:
        self._model.script = _saying(one.said.reply)
        body = {"user_id": user, "session_id": _session(one.at), "message": one.said.content}
        reply = await self.call("POST", "/v1/chat", {**body, "occurred_at": one.at.isoformat()})
        name = one.name or ""
        return {reply["user_message_id"]: name, reply["reply_message_id"]: f"{name}.reply"}

    async def recall(self, user: str, query: str, at: datetime, k: int, more: dict[str, Any]) -> dict[str, Any]:
        """What `memory/recall` answers."""
        body = {"query": query, "asked_at": at.isoformat(), "k": k, **more}
        return await self.call("POST", f"/v1/users/{user}/memory/recall", body)

    async def act(self, user: str, action: Action, said: dict[str, Said], names: dict[str, str]) -> None:
        """Does to a message what `action` says.

        Raises:
            Refused: the service does not answer as it should.
        """
        name = action.delete or action.edit or action.resend or ""
        path = f"/v1/users/{user}/messages"
        message_id = next((message_id for message_id, its in names.items() if its == name), None)
        if message_id is None:
            raise Refused(f"no message {name} was remembered")
        one = f"{path}/{message_id}"
        if action.delete is not None:
            await self.call("DELETE", one + ("?with_replies=true" if action.with_replies else ""), None, action.status)
        elif action.edit is not None:
            await self.call("PATCH", one, {"content": action.content}, action.status)
        else:
            again = {"role": said[name].role, "content": action.content, "external_id": name}
            await self.call("POST", path, {"messages": [again]}, action.status)

    async def call(
        self, method: str, path: str, body: dict[str, Any] | None, status: int | None = None
    ) -> dict[str, Any]:
        """One request; its answer.

        Args:
            status: that it must have; any success, unless given.

        Raises:
            Refused: it has another.
        """
        reply = await self.client.request(method, path, json=body)
        if reply.status_code != status if status is not None else not reply.is_success:
            raise Refused(
                f"{method} {path.partition('?')[0].rpartition('/users/')[2]}: {reply.status_code}, {reply.text[:160]}"
            )
        answer: dict[str, Any] = reply.json() if reply.content else {}
        return answer


@asynccontextmanager
async def serving(in_process: bool) -> AsyncIterator[Service]:
    """A service over a database of its own, which is removed at the end."""
    async with ScriptedModel() as model:
        settings: dict[str, str | int] = {"GENERATOR_URL": model.url, "CACHE_MB": 64}
        if in_process:
            async with _here(model.url) as client:
                yield Service(client, model)
        else:
            server = Server(settings)
            await asyncio.to_thread(server.__enter__)  # it asks the model whether it is there, which answers meanwhile
            try:
                async with httpx.AsyncClient(base_url=server.url, timeout=300, trust_env=False) as client:
                    yield Service(client, model)
            finally:
                await asyncio.to_thread(server.__exit__, None, None, None)


@asynccontextmanager
async def _here(model_url: str) -> AsyncIterator[httpx.AsyncClient]:
    from app.main import create_app
    from app.settings import Settings
    from app.store.migration import migrate

    _remember_what_was_encoded()
    with tempfile.TemporaryDirectory(prefix="mneme-everyday-") as folder:
        url = f"sqlite:///{Path(folder) / 'mneme.db'}"
        await migrate(url)
        settings = Settings(_env_file=None, database_url=url, generator_url=model_url)
        app = create_app(settings, tell=lambda line: None)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://mneme", timeout=300) as client:
                yield client


def _remember_what_was_encoded() -> None:
    encode = Encoder.encode_windows
    known: dict[tuple[int, ...], Utterance] = {}

    def cached(self: Encoder, windows: Sequence[list[int]], pieces_at_once: int = 2048) -> list[Utterance]:
        fresh = [window for window in windows if tuple(window) not in known]
        known.update(zip(map(tuple, fresh), encode(self, fresh, pieces_at_once), strict=True))
        return [known[tuple(window)] for window in windows]

    Encoder.encode_windows = cached  # type: ignore[method-assign]
    meaning = MultilingualEncoder.encode
    meant: dict[tuple[str, bool], Tensor] = {}

    def cached_meaning(
        self: MultilingualEncoder, texts: Sequence[str], asking: bool, pieces_at_once: int = 1024
    ) -> Tensor:
        fresh = [text for text in dict.fromkeys(texts) if (text, asking) not in meant]
        meant.update({(text, asking): one for text, one in zip(fresh, meaning(self, fresh, asking), strict=True)})
        return torch.stack([meant[text, asking] for text in texts])

    MultilingualEncoder.encode = cached_meaning  # type: ignore[method-assign]


def _message(one: Timed) -> dict[str, str]:
    message = {"role": one.said.role, "content": one.said.content, "occurred_at": one.at.isoformat()}
    if one.said.speaker is not None:
        message["speaker"] = one.said.speaker
    if one.name is not None and one.said.times == 1:
        message["external_id"] = one.name
    return message


def _session(at: datetime) -> str:
    return f"{at:%G-W%V}"


def _saying(text: str) -> Any:
    async def script(prompt: Prompt) -> AsyncGenerator[str, None]:
        yield text

    return script
