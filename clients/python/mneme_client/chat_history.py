"""LangChain's `BaseChatMessageHistory` over Mneme: a session of a user, whose messages are remembered."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import httpx
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage, message_to_dict, messages_from_dict

from mneme_client.aio import AsyncMneme
from mneme_client.blocking import run
from mneme_client.connection import TIMEOUT, URL
from mneme_client.errors import NotFound
from mneme_client.messages import Message, Role
from mneme_client.models import LogEntry
from mneme_client.retrying import Retries
from mneme_client.sync import Mneme

_ROLES: dict[str, Role] = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "tool"}
_TYPES = {"user": "human", "assistant": "ai", "system": "system", "tool": "tool"}
_MOST = 3_800  # bytes of JSON that go along in the metadata
_AT_ONCE = 100


class MnemeChatMessageHistory(BaseChatMessageHistory):
    """The messages of one session.

    What a message has besides its text, such as calls of tools, goes along up to 3.8 KB; beyond that the text stays.

    Args:
        user_id, session_id: whose session, and which.
        url, key, timeout, retries: as `Mneme` takes them.
    """

    def __init__(
        self,
        user_id: str,
        session_id: str,
        url: str = URL,
        key: str | None = None,
        *,
        timeout: float | httpx.Timeout = TIMEOUT,
        retries: Retries | None = None,
    ) -> None:
        self._user_id, self._session_id = user_id, session_id
        self._options: dict[str, Any] = {"url": url, "key": key, "timeout": timeout, "retries": retries}
        self._client = Mneme(**self._options)
        self._async: tuple[asyncio.AbstractEventLoop, AsyncMneme] | None = None

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """What was said, in order."""
        return run(self._read(self._client.twin))

    async def aget_messages(self) -> list[BaseMessage]:
        return await self._read(self._here())

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        run(self._add(self._client.twin, messages))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        await self._add(self._here(), messages)

    def clear(self) -> None:
        run(self._clear(self._client.twin))

    async def aclear(self) -> None:
        await self._clear(self._here())

    def _here(self) -> AsyncMneme:
        loop = asyncio.get_running_loop()
        if self._async is None or self._async[0] is not loop:
            self._async = (loop, AsyncMneme(**self._options))
        return self._async[1]

    async def _read(self, client: AsyncMneme) -> list[BaseMessage]:
        try:
            return [_message(entry) async for entry in client.session_messages(self._user_id, self._session_id)]
        except NotFound:
            return []

    async def _add(self, client: AsyncMneme, messages: Sequence[BaseMessage]) -> None:
        for start in range(0, len(messages), _AT_ONCE):
            sent = [self._sent(one) for one in messages[start : start + _AT_ONCE]]
            await client.remember(self._user_id, sent, session_id=self._session_id)

    async def _clear(self, client: AsyncMneme) -> None:
        try:
            await client.forget_session(self._user_id, self._session_id)
        except NotFound:
            return

    def _sent(self, message: BaseMessage) -> Message:
        whole = message_to_dict(message)
        text = str(message.text)
        content = text if text.strip() else json.dumps(message.content or getattr(message, "tool_calls", None) or [])
        if message.content == content:  # the text need not stand twice
            whole["data"].pop("content")
        plain = json.dumps(whole)
        metadata = {"langchain": plain} if len(json.dumps(plain).encode()) <= _MOST and "\\u0000" not in plain else {}
        # LangChain's own ids need not be of this session alone.
        external_id = f"langchain:{self._session_id}:{message.id}" if message.id else None
        role = _ROLES.get(message.type, "user")
        return Message(
            role=role, content=content, name=message.name or None, external_id=external_id, metadata=metadata
        )


def _message(entry: LogEntry) -> BaseMessage:
    plain = entry.metadata.get("langchain")
    if isinstance(plain, str):
        whole = json.loads(plain)
        whole["data"].setdefault("content", entry.content)
    else:
        more = {"tool_call_id": entry.id} if entry.role == "tool" else {}
        whole = {"type": _TYPES[entry.role], "data": {"content": entry.content, "name": entry.name, **more}}
    [message] = messages_from_dict([whole])
    return message
