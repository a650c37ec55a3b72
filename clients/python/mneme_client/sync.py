"""The client without an event loop: the same operations, each running its asynchronous twin to its end."""

from types import TracebackType
from typing import Self

import httpx

from mneme_client.aio import AsyncMneme
from mneme_client.blocking import blocking, blocking_iterator
from mneme_client.connection import TIMEOUT, URL, options
from mneme_client.retrying import Retries
from mneme_client.transport import BlockingTransport


class Mneme:
    """A connection to the service; see `AsyncMneme`, whose methods these are.

    Args:
        url: where it is.
        key: a key or token, where the service wants one.
        timeout: in seconds, or httpx's own kind.
        retries: how often a request is sent again that may succeed then.
    """

    def __init__(
        self,
        url: str = URL,
        key: str | None = None,
        *,
        timeout: float | httpx.Timeout = TIMEOUT,
        retries: Retries | None = None,
    ) -> None:
        transport = BlockingTransport(httpx.Client(**options(url, key, timeout)))
        self._twin = AsyncMneme(transport=transport, retries=retries)

    @property
    def twin(self) -> AsyncMneme:
        """The asynchronous client whose coroutines never wait: the blocking transport is under it."""
        return self._twin

    chat = blocking(AsyncMneme.chat)
    stream_chat = blocking_iterator(AsyncMneme.stream_chat)
    remember = blocking(AsyncMneme.remember)
    put = blocking(AsyncMneme.put)
    recall = blocking(AsyncMneme.recall)
    edit = blocking(AsyncMneme.edit)
    forget = blocking(AsyncMneme.forget)
    forget_session = blocking(AsyncMneme.forget_session)
    erase = blocking(AsyncMneme.erase)
    messages = blocking_iterator(AsyncMneme.messages)
    session_messages = blocking_iterator(AsyncMneme.session_messages)
    sessions = blocking_iterator(AsyncMneme.sessions)
    users = blocking_iterator(AsyncMneme.users)
    slots = blocking_iterator(AsyncMneme.slots)
    memory = blocking(AsyncMneme.memory)
    standing = blocking(AsyncMneme.standing)
    trace = blocking(AsyncMneme.trace)
    export_user = blocking_iterator(AsyncMneme.export_user)
    import_user = blocking(AsyncMneme.import_user)
    create_key = blocking(AsyncMneme.create_key)
    list_keys = blocking(AsyncMneme.list_keys)
    revoke_key = blocking(AsyncMneme.revoke_key)
    mint_token = blocking(AsyncMneme.mint_token)
    version = blocking(AsyncMneme.version)
    close = blocking(AsyncMneme.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
