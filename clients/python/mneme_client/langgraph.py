"""LangGraph's `BaseStore` over Mneme: what a graph puts there is in a user's memory, and recalled by its meaning.

A namespace belongs to one user, so that what a graph keeps of them is theirs: bounded, exported and erased with them,
and recalled in their chats. Which user is the store's to say: one for all namespaces, or one of their labels.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import httpx
from langgraph.store.base import (
    BaseStore,
    GetOp,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchOp,
    TTLConfig,
)

from mneme_client.aio import AsyncMneme
from mneme_client.blocking import run
from mneme_client.connection import TIMEOUT, URL
from mneme_client.errors import NotFound
from mneme_client.retrying import Retries
from mneme_client.store_items import (
    Namespace,
    Stored,
    external_id_of,
    is_store,
    matches,
    namespace_of,
    session_of,
    under,
    user_of,
)
from mneme_client.sync import Mneme

_ASKED_AT_ONCE = 25
_MOST_RECALLED = 100


class MnemeStore(BaseStore):
    """A store whose items are messages of a user's memory.

    Args:
        url, key, timeout, retries: as `Mneme` takes them.
        user_id: the user to whom all namespaces belong.
        user_label: or which label of a namespace names the user, from 0; `("memories", "ada")` with 1 is Ada's. A
            search over namespaces that do not name one asks for all users, for which the key must be an admin's.
        fields: paths of what a query finds an item by, unless the put says so; the whole value by default.
        ttl: how long items live, and whether reading counts.

    Example:
        >>> store = MnemeStore(user_label=1)
        >>> store.put(("memories", "ada"), "dog", {"text": "My dog is called Biscuit."})
        >>> store.search(("memories", "ada"), query="What is my dog called?")[0].key
        'dog'
    """

    supports_ttl = True

    def __init__(
        self,
        url: str = URL,
        key: str | None = None,
        *,
        user_id: str | None = None,
        user_label: int | None = None,
        fields: Sequence[str] = ("$",),
        ttl: TTLConfig | None = None,
        timeout: float | httpx.Timeout = TIMEOUT,
        retries: Retries | None = None,
    ) -> None:
        if (user_id is None) == (user_label is None):
            raise ValueError("give either user_id or user_label")
        self._user_id, self._user_label, self._fields, self.ttl_config = user_id, user_label, fields, ttl
        self._options: dict[str, Any] = {"url": url, "key": key, "timeout": timeout, "retries": retries}
        self._client = Mneme(**self._options)
        self._async: tuple[asyncio.AbstractEventLoop, AsyncMneme] | None = None

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Runs operations: those that read see what was there before, of several puts of a key the last counts."""
        return run(self._run(self._client.twin, list(ops)))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """`batch`, on the running event loop."""
        loop = asyncio.get_running_loop()
        if self._async is None or self._async[0] is not loop:  # connections belong to their loop
            self._async = (loop, AsyncMneme(**self._options))
        return await self._run(self._async[1], list(ops))

    def sweep_ttl(self, user_id: str) -> int:
        """Forgets a user's items whose time is over, and tells how many. Items that are met are forgotten anyway."""
        return run(self._sweep(self._client.twin, user_id))

    def close(self) -> None:
        """Closes the blocking client's connections."""
        self._client.close()

    async def _run(self, client: AsyncMneme, ops: list[Op]) -> list[Result]:
        results: list[Result] = [None] * len(ops)
        gets = {place: op for place, op in enumerate(ops) if isinstance(op, GetOp)}
        results_of_gets = await self._get(client, gets)
        puts: dict[tuple[Namespace, str], PutOp] = {}
        for place, op in enumerate(ops):
            match op:
                case GetOp():
                    found = results_of_gets.get(place)
                    results[place] = found.item() if found is not None else None
                case SearchOp():
                    results[place] = await self._search(client, op)
                case ListNamespacesOp():
                    results[place] = await self._list(client, op)
                case PutOp():
                    puts[op.namespace, op.key] = op
                case _:
                    raise ValueError(f"Unknown operation type: {type(op)}")
        for put in puts.values():
            await self._put(client, put)
        return results

    async def _get(self, client: AsyncMneme, gets: dict[int, GetOp]) -> dict[int, Stored]:
        found: dict[tuple[str, str], Stored] = {}
        wanted: dict[str, set[str]] = {}
        for op in gets.values():
            wanted.setdefault(self._user(op.namespace), set()).add(external_id_of(op.namespace, op.key))
        for user_id, ids in wanted.items():
            for external_id, stored in (await self._known(client, user_id, sorted(ids))).items():
                found[user_id, external_id] = stored
        results: dict[int, Stored] = {}
        for place, op in gets.items():
            known = found.get((self._user(op.namespace), external_id_of(op.namespace, op.key)))
            if known is not None:
                results[place] = known
                await self._use(client, known, op.refresh_ttl)
        return results

    async def _put(self, client: AsyncMneme, op: PutOp) -> None:
        user_id, external_id = self._user(op.namespace), external_id_of(op.namespace, op.key)
        known = (await self._known(client, user_id, [external_id])).get(external_id)
        if op.value is None:
            if known is not None:
                await self._forget(client, user_id, known)
            return
        fields = None if op.index is False else self._fields if op.index is None else op.index
        created_at = known.created_at if known is not None else None
        new = Stored.new(op.namespace, op.key, op.value, fields, op.ttl, created_at)
        await client.put(user_id, new.message(), session_id=session_of(op.namespace))

    async def _search(self, client: AsyncMneme, op: SearchOp) -> Any:
        found: list[tuple[float | None, Stored]] = []
        async for user_id in self._users(client, op.namespace_prefix):
            scores = await self._scores(client, user_id, op) if op.query else {}
            async for stored in self._items(client, user_id, op.namespace_prefix):
                if all(matches(stored.value.get(name), wanted) for name, wanted in (op.filter or {}).items()):
                    found.append((scores.get(stored.message_id) if stored.indexed else None, stored))
        found.sort(key=lambda one: (one[0] is None, -(one[0] or 0.0), -one[1].updated_at.timestamp()))
        page = found[op.offset : op.offset + op.limit]
        for _, stored in page:
            await self._use(client, stored, op.refresh_ttl)
        return [stored.found(score) for score, stored in page]

    async def _scores(self, client: AsyncMneme, user_id: str, op: SearchOp) -> dict[str, float]:
        assert op.query is not None
        try:
            found = await client.recall(user_id, op.query, k=_MOST_RECALLED, metadata=under(op.namespace_prefix))
        except NotFound:
            return {}
        return {one.message_id: one.weight for one in found.recalled}

    async def _list(self, client: AsyncMneme, op: ListNamespacesOp) -> list[Namespace]:
        conditions = op.match_conditions or ()
        named: Namespace = ()
        for condition in conditions:
            if condition.match_type == "prefix" and "*" not in condition.path:
                named = max(named, tuple(condition.path), key=len)
        every = set[Namespace]()
        async for user_id in self._users(client, named):
            every |= {one async for one in self._namespaces(client, user_id)}
        chosen = [one for one in every if all(_fits(condition, one) for condition in conditions)]
        cut = sorted({one[: op.max_depth] for one in chosen})
        return cut[op.offset : op.offset + op.limit]

    async def _namespaces(self, client: AsyncMneme, user_id: str) -> AsyncIterator[Namespace]:
        try:
            async for session in client.sessions(user_id):
                if is_store(session.session_id):
                    named = namespace_of(session.session_id)
                    if named is None:
                        async for entry in client.messages(user_id, session_id=session.session_id, page=1):
                            named = Stored.of(entry).namespace
                            break
                    if named is not None:
                        yield named
        except NotFound:
            return

    async def _items(self, client: AsyncMneme, user_id: str, prefix: Namespace) -> AsyncIterator[Stored]:
        try:
            async for entry in client.messages(user_id, metadata=under(prefix)):
                stored = Stored.of(entry)
                if stored.is_expired:
                    await self._forget(client, user_id, stored)
                else:
                    yield stored
        except NotFound:
            return

    async def _known(self, client: AsyncMneme, user_id: str, external_ids: list[str]) -> dict[str, Stored]:
        found: dict[str, Stored] = {}
        try:
            for start in range(0, len(external_ids), _ASKED_AT_ONCE):
                some = external_ids[start : start + _ASKED_AT_ONCE]
                async for entry in client.messages(user_id, external_ids=some):
                    stored = Stored.of(entry)
                    if stored.is_expired:
                        await self._forget(client, user_id, stored)
                    elif entry.external_id is not None:
                        found[entry.external_id] = stored
        except NotFound:
            return {}
        return found

    async def _use(self, client: AsyncMneme, stored: Stored, refresh: bool) -> None:
        if refresh and stored.ttl is not None:
            message = stored.used_now().message()
            await client.put(self._user(stored.namespace), message, session_id=session_of(stored.namespace))

    async def _forget(self, client: AsyncMneme, user_id: str, stored: Stored) -> None:
        try:
            await client.forget(user_id, stored.message_id)
        except NotFound:
            return

    async def _sweep(self, client: AsyncMneme, user_id: str) -> int:
        expired = []
        async for entry in client.messages(user_id, metadata=under(())):
            stored = Stored.of(entry)
            if stored.is_expired:
                expired.append(stored)
        for stored in expired:
            await self._forget(client, user_id, stored)
        return len(expired)

    def _user(self, namespace: Namespace) -> str:
        if self._user_id is not None:
            return self._user_id
        assert self._user_label is not None
        if len(namespace) <= self._user_label:
            raise ValueError(f"the namespace {namespace} has no label {self._user_label}, which names its user")
        return user_of(namespace[self._user_label])

    async def _users(self, client: AsyncMneme, prefix: Namespace) -> AsyncIterator[str]:
        if self._user_id is not None or len(prefix) > (self._user_label or 0):
            yield self._user(prefix)
        else:
            async for user in client.users():
                yield user.user_id


def _fits(condition: MatchCondition, namespace: Namespace) -> bool:
    path = condition.path
    if len(namespace) < len(path):
        return False
    part = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(label in ("*", own) for label, own in zip(path, part, strict=True))
