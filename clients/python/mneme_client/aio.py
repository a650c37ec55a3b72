"""The client. Each operation of the service is written here once; `sync.Mneme` runs the same code without a loop."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx

from mneme_client.connection import TIMEOUT, URL, Connection, options, path
from mneme_client.errors import ConnectionFailed, error_of
from mneme_client.events import ChatEvent, Recalling, Token, events
from mneme_client.messages import Message, Role, as_sent
from mneme_client.models import (
    ChatReply,
    CreatedKey,
    ForgetReply,
    Imported,
    KeyEntry,
    LogEntry,
    MemorySummary,
    Recall,
    Remembered,
    Reply,
    SessionEntry,
    Slot,
    StandingEntry,
    TimelineEntry,
    Trace,
    UserEntry,
    UserToken,
)
from mneme_client.retrying import Retries
from mneme_client.transport import AsyncTransport, Transport

Entry = TypeVar("Entry", bound=Reply)
Given = Mapping[str, Any]
_PAGE = 200  # entries that a list asks for at once
_USER = "/v1/users/{user_id}"


class AsyncMneme:
    """A connection to the service.

    Args:
        url: where it is.
        key: a key or token, where the service wants one.
        timeout: in seconds, or httpx's own kind.
        retries: how often a request is sent again that may succeed then.
        transport: another way to send requests; `url`, `key` and `timeout` are then its own matter.

    Example:
        >>> async with AsyncMneme() as mneme:
        ...     await mneme.remember("ada", ["My dog is called Biscuit."])
    """

    def __init__(
        self,
        url: str = URL,
        key: str | None = None,
        *,
        timeout: float | httpx.Timeout = TIMEOUT,
        retries: Retries | None = None,
        transport: Transport | None = None,
    ) -> None:
        if transport is None:
            transport = AsyncTransport(httpx.AsyncClient(**options(url, key, timeout)))
        self._connection = Connection(transport, retries or Retries())

    async def chat(
        self,
        user_id: str,
        message: str,
        *,
        session_id: str | None = None,
        k: int | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        occurred_at: datetime | None = None,
    ) -> ChatReply:
        """One turn: recalls, replies, remembers.

        Args:
            session_id: continues that session; else a new one begins.
            k: how many messages to recall.

        Raises:
            GeneratorFailed: the language model failed; the message is kept.
        """
        body = _chat(user_id, message, session_id, k, max_tokens, temperature, occurred_at)
        return _as(ChatReply, await self._connection.call("POST", "/v1/chat", repeatable=False, json=body))

    async def stream_chat(
        self,
        user_id: str,
        message: str,
        *,
        session_id: str | None = None,
        k: int | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        occurred_at: datetime | None = None,
    ) -> AsyncIterator[ChatEvent]:
        """One turn as it comes: `Recalling`, then the `Token`s, then the whole `ChatReply`.

        Leaving the loop stops the reply; what there was of it is kept.

        Raises:
            GeneratorFailed: the language model failed; the message is kept, and what there was of a reply.
        """
        body = {**_chat(user_id, message, session_id, k, max_tokens, temperature, occurred_at), "stream": True}
        async with self._connection.stream("POST", "/v1/chat", repeatable=False, json=body) as lines:
            async for name, data in events(lines):
                if name == "recalled":
                    yield Recalling.model_validate(data)
                elif name == "token":
                    yield Token.model_validate(data)
                elif name == "done":
                    yield ChatReply.model_validate(data)
                    return
                elif name == "error":
                    raise error_of(int(data.get("status", 500)), data)
        raise ConnectionFailed("the reply broke off")

    async def remember(
        self, user_id: str, messages: Iterable[Message | str], *, session_id: str | None = None
    ) -> Remembered:
        """Remembers messages, in the order given, without replying: all of them or none.

        Each gets an external id if it has none, so that a request which is repeated adds nothing twice.

        Raises:
            DifferentText: an external id is known with another text.
        """
        body = _given({"session_id": session_id, "messages": as_sent(messages)})
        where = path(f"{_USER}/messages", user_id=user_id)
        return _as(Remembered, await self._connection.call("POST", where, repeatable=True, json=body))

    async def put(self, user_id: str, message: Message, *, session_id: str | None = None) -> Remembered:
        """Remembers a message in place of the one that is known by its external id, if there is one.

        Raises:
            ValueError: it has no external id.
        """
        if message.external_id is None:
            raise ValueError("external_id: a message that is put has one")
        body = _given({"session_id": session_id, "message": as_sent([message])[0]})
        where = path(f"{_USER}/messages", user_id=user_id)
        return _as(Remembered, await self._connection.call("PUT", where, repeatable=True, json=body))

    async def recall(
        self,
        user_id: str,
        query: str,
        *,
        k: int | None = None,
        session_id: str | None = None,
        role: Role | None = None,
        speaker: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        metadata: Mapping[str, str | bool | int | float] | None = None,
        asked_at: datetime | None = None,
        min_confidence: float | None = None,
        min_weight: float | None = None,
    ) -> Recall:
        """Reads with a cue, changing nothing.

        Args:
            k: how many messages to recall.
            session_id, role, speaker, since, until, metadata: recall only what they let through.
            asked_at: what "last week" in the query is relative to; now, if not given.
        """
        body = {
            **_filter(session_id, role, speaker, since, until),
            "query": query,
            "k": k,
            "asked_at": _moment(asked_at),
            "metadata": dict(metadata) if metadata else None,
            "min_confidence": min_confidence,
            "min_weight": min_weight,
        }
        where = path(f"{_USER}/memory/recall", user_id=user_id)
        return _as(Recall, await self._connection.call("POST", where, repeatable=True, json=_given(body)))

    async def edit(
        self, user_id: str, message_id: str, content: str, *, metadata: Mapping[str, Any] | None = None
    ) -> Remembered:
        """Puts another text in a message's place; it counts as remembered last."""
        body = _given({"content": content, "metadata": None if metadata is None else dict(metadata)})
        where = path(f"{_USER}/messages/{{message_id}}", user_id=user_id, message_id=message_id)
        return _as(Remembered, await self._connection.call("PATCH", where, repeatable=True, json=body))

    async def forget(self, user_id: str, message_id: str, *, with_replies: bool = False) -> ForgetReply:
        """Forgets a message: its text, its slots, its links, and its place in every trace.

        Args:
            with_replies: the replies that recalled it go too.
        """
        where = path(f"{_USER}/messages/{{message_id}}", user_id=user_id, message_id=message_id)
        reply = await self._connection.delete(where, params={"with_replies": "true"} if with_replies else {})
        if reply is not None and with_replies:
            return _as(ForgetReply, reply)
        told = reply.headers.get("X-Recalled-By", "") if reply is not None else ""
        return ForgetReply(forgotten=[message_id], replies_that_recalled=told.split(", ") if told else [])

    async def forget_session(self, user_id: str, session_id: str) -> None:
        """Forgets a session's messages and all that they wrote."""
        await self._connection.delete(path(f"{_USER}/sessions/{{session_id}}", user_id=user_id, session_id=session_id))

    async def erase(self, user_id: str) -> None:
        """Erases the user: log, memory, traces."""
        await self._connection.delete(path(_USER, user_id=user_id))

    async def messages(
        self,
        user_id: str,
        *,
        session_id: str | None = None,
        role: Role | None = None,
        speaker: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        contains: str | None = None,
        metadata: Mapping[str, str | bool | int | float] | None = None,
        external_ids: Sequence[str] | None = None,
        page: int = _PAGE,
    ) -> AsyncIterator[TimelineEntry]:
        """What was said in all sessions, the last remembered first, page after page as you go on.

        Args:
            session_id, role, speaker, since, until, contains, metadata: which messages.
            external_ids: up to 100 ids of yours.
            page: entries that are asked for at once.
        """
        chosen = {**_filter(session_id, role, speaker, since, until), "contains": contains, **_by_key(metadata)}
        chosen["external_id"] = external_ids
        async for entry in self._pages(
            TimelineEntry, path(f"{_USER}/messages", user_id=user_id), "messages", page, chosen
        ):
            yield entry

    async def session_messages(self, user_id: str, session_id: str, *, page: int = _PAGE) -> AsyncIterator[LogEntry]:
        """What was said in a session, in order."""
        where = path(f"{_USER}/sessions/{{session_id}}/messages", user_id=user_id, session_id=session_id)
        async for entry in self._pages(LogEntry, where, "messages", page, {}):
            yield entry

    async def sessions(self, user_id: str, *, page: int = _PAGE) -> AsyncIterator[SessionEntry]:
        """The user's sessions, the last used first."""
        where = path(f"{_USER}/sessions", user_id=user_id)
        async for entry in self._pages(SessionEntry, where, "sessions", page, {}):
            yield entry

    async def users(self, *, page: int = _PAGE) -> AsyncIterator[UserEntry]:
        """Every user; for a key of scope admin."""
        async for entry in self._pages(UserEntry, "/v1/users", "users", page, {}):
            yield entry

    async def slots(
        self,
        user_id: str,
        *,
        order: Literal["slot", "usage", "reads", "strength", "written"] = "slot",
        page: int = _PAGE,
    ) -> AsyncIterator[Slot]:
        """The used slots, by number or the greatest first."""
        where = path(f"{_USER}/memory/slots", user_id=user_id)
        async for entry in self._pages(Slot, where, "slots", page, {"order": order}):
            yield entry

    async def memory(self, user_id: str) -> MemorySummary:
        """The memory at a glance."""
        where = path(f"{_USER}/memory", user_id=user_id)
        return _as(MemorySummary, await self._connection.call("GET", where, repeatable=True))

    async def standing(self, user_id: str) -> list[StandingEntry]:
        """What holds until it is revoked, and is read at every turn."""
        where = path(f"{_USER}/memory/standing", user_id=user_id)
        reply = await self._connection.call("GET", where, repeatable=True)
        return [StandingEntry.model_validate(one) for one in reply.json()["standing"]]

    async def trace(self, user_id: str, message_id: str) -> Trace:
        """What the turn of a message read, by mode, and what it wrote."""
        where = path(f"{_USER}/messages/{{message_id}}/trace", user_id=user_id, message_id=message_id)
        return _as(Trace, await self._connection.call("GET", where, repeatable=True))

    async def export_user(self, user_id: str) -> AsyncIterator[str]:
        """The user as JSON lines, each with its line break."""
        where = path(f"{_USER}/export", user_id=user_id)
        async with self._connection.stream("GET", where, repeatable=True) as lines:
            async for line in lines:
                yield line + "\n"

    async def import_user(self, user_id: str, lines: Sequence[str]) -> Imported:
        """Brings an export back, as a user that does not exist yet.

        Raises:
            Conflict: there is such a user.
        """
        sent = {"content": "".join(lines).encode(), "headers": {"Content-Type": "application/x-ndjson"}}
        where = path(f"{_USER}/import", user_id=user_id)
        return _as(Imported, await self._connection.call("POST", where, repeatable=False, **sent))

    async def create_key(
        self,
        name: str,
        scope: Literal["admin", "service", "user"],
        *,
        user_id: str | None = None,
        expires_in_days: int | None = None,
    ) -> CreatedKey:
        """Makes a key, which is shown this once; for a key of scope admin."""
        body = _given({"name": name, "scope": scope, "user_id": user_id, "expires_in_days": expires_in_days})
        return _as(CreatedKey, await self._connection.call("POST", "/v1/keys", repeatable=False, json=body))

    async def list_keys(self) -> list[KeyEntry]:
        """Every key that was made; for a key of scope admin."""
        reply = await self._connection.call("GET", "/v1/keys", repeatable=True)
        return [KeyEntry.model_validate(one) for one in reply.json()["keys"]]

    async def revoke_key(self, key_id: str) -> None:
        """Makes a key and the tokens that it minted invalid; for a key of scope admin."""
        await self._connection.delete(path("/v1/keys/{key_id}", key_id=key_id))

    async def mint_token(self, user_id: str, *, ttl: int = 900) -> UserToken:
        """A token with which its holder is that user, for so many seconds; for a key of scope service."""
        body = {"user_id": user_id, "ttl": ttl}
        return _as(UserToken, await self._connection.call("POST", "/v1/tokens", repeatable=True, json=body))

    async def version(self) -> dict[str, str]:
        """The version of the service, and the fingerprint of the weights that write memories."""
        reply = await self._connection.call("GET", "/version", repeatable=True)
        return dict(reply.json())

    async def close(self) -> None:
        """Closes the connections."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _pages(
        self, kind: type[Entry], where: str, member: str, page: int, chosen: Given
    ) -> AsyncIterator[Entry]:
        cursor: str | None = None
        while True:
            asked = _given({**chosen, "limit": page, "cursor": cursor})
            body = (await self._connection.call("GET", where, repeatable=True, params=asked)).json()
            for entry in body[member]:
                yield kind.model_validate(entry)
            cursor = body["next_cursor"]
            if cursor is None:
                return


def _as(kind: type[Entry], response: httpx.Response) -> Entry:
    return kind.model_validate_json(response.content)


def _given(fields: Given) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _moment(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def _filter(
    session_id: str | None, role: str | None, speaker: str | None, since: datetime | None, until: datetime | None
) -> dict[str, Any]:
    chosen = {"session_id": session_id, "role": role, "speaker": speaker}
    return {**chosen, "since": _moment(since), "until": _moment(until)}


def _by_key(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        f"metadata.{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in (metadata or {}).items()
    }


def _chat(
    user_id: str,
    message: str,
    session_id: str | None,
    k: int | None,
    max_tokens: int | None,
    temperature: float | None,
    occurred_at: datetime | None,
) -> dict[str, Any]:
    body = {"user_id": user_id, "message": message, "session_id": session_id, "k": k, "max_tokens": max_tokens}
    return _given({**body, "temperature": temperature, "occurred_at": _moment(occurred_at)})
