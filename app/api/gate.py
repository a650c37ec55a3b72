"""What stands between the network and the routes: where a request comes from, who sends it, how much is under way.

A request passes in this order: is its host ours and its page not foreign; is there room for one more; then the routes.
Who calls is found out when a route asks or when the body is about to be read, whichever comes first: strangers cannot
make us hold a body. Whatever a request took is given back when it ends, and the audit log gets its entry.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.limits import TooMuch
from app.access.origins import Hosts, is_foreign
from app.api.auth import Authentication
from app.api.errors import problem
from app.memories.validation import readable
from app.settings import Settings
from app.store.audit import Act
from app.store.database import StoreUnavailable

logger = logging.getLogger("mneme.bounds")

_UNHURRIED_SECONDS = 10.0  # a body may take so long, and longer
_SLOWEST_BYTES = 16_384  # if so many bytes come a second
_OBJECTS = ("message_id", "response_id", "session_id", "key_id", "slot")
_BOUNDED = ("/v1/", "/mcp")  # health and documentation answer however busy the service is


class Gate:
    """ASGI middleware around all routes; see the module."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._hosts = Hosts(settings.allowed_hosts.split(","))
        self._running = 0
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        refused = self._refused(scope, headers)
        if refused is not None:
            await refused(scope, receive, send)
            return
        state = scope["app"].state
        given = headers.get(b"authorization")
        authentication = Authentication(
            state.keys, state.limits, self._settings.auth == "off", given.decode("latin-1") if given else None
        )
        ends: list[Callable[[], None]] = []
        scope.setdefault("state", {}).update(authentication=authentication, ends=ends)
        body = _Body(self, authentication, receive, headers.get(b"content-length", b"0"))
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._running += 1
        try:
            await self._app(scope, body, noting)
        finally:
            self._running -= 1
            self._bytes -= body.size
            for end in ends:
                end()
            _note(scope, authentication, status)

    def _refused(self, scope: Scope, headers: dict[bytes, bytes]) -> JSONResponse | None:
        host = headers.get(b"host")
        address = (scope.get("server") or (None,))[0]
        if not self._hosts.allow(host.decode("latin-1") if host is not None else None, address):
            detail = "this host is not one of the service's: name it in ALLOWED_HOSTS if it is"
            return _problem(HTTPStatus.MISDIRECTED_REQUEST, detail, scope["path"])
        if is_foreign(headers):
            return _problem(HTTPStatus.FORBIDDEN, "a page of another site sent this request", scope["path"])
        if self._running >= self._settings.requests_at_once and scope["path"].startswith(_BOUNDED):
            logger.warning("refused a request: %d are under way (REQUESTS_AT_ONCE)", self._running)
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests are under way", scope["path"])
        return None

    def hold(self, size: int) -> None:
        """Counts bytes of a body that is held until its request ends.

        Raises:
            HTTPException: 503, all bodies together are too large.
        """
        most = self._settings.max_bodies_bytes
        if self._bytes + size > most:
            logger.warning("refused a body: those under way have more than %d bytes (MAX_BODIES_BYTES)", most)
            detail = "the bodies of the requests under way are too large together: try again later"
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "1"})
        self._bytes += size

    @property
    def most_of_a_body(self) -> int:
        """The largest body, in bytes."""
        return self._settings.max_body_bytes


class _Body:
    """A request's body: handed on only for a known caller, in time, and within the bounds."""

    def __init__(self, gate: Gate, authentication: Authentication, receive: Receive, told: bytes) -> None:
        self._gate, self._authentication, self._receive, self._told = gate, authentication, receive, told
        self._began: float | None = None
        self._whole = False
        self.size = 0

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()  # waits for the client to leave
        if self._began is None:
            await self._know()
            most = self._gate.most_of_a_body
            if not self._told.isdigit() or int(self._told) > most:
                raise _too_large(most)
            self._began = time.monotonic()
        left = self._began + _UNHURRIED_SECONDS + self.size / _SLOWEST_BYTES - time.monotonic()
        try:
            async with asyncio.timeout(max(left, 0.0)):
                message = await self._receive()
        except TimeoutError:
            logger.warning("gave up a request whose body came too slowly")
            detail = "the body came too slowly"
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail, {"Connection": "close"}) from None
        came = len(message.get("body", b""))
        if self.size + came > self._gate.most_of_a_body:
            raise _too_large(self._gate.most_of_a_body)
        self._gate.hold(came)
        self.size += came
        self._whole = not message.get("more_body", False)
        return message

    async def _know(self) -> None:
        # FastAPI makes a 400 of whatever is raised while a body is read, unless it is an HTTPException.
        try:
            await self._authentication.caller()
        except StoreUnavailable as error:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": "1"}) from error
        except TooMuch as error:
            raise HTTPException(
                HTTPStatus.TOO_MANY_REQUESTS, str(error), {"Retry-After": str(error.seconds)}
            ) from error


def _too_large(most: int) -> HTTPException:
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {most} bytes")


def _problem(status: HTTPStatus, detail: str, path: str) -> JSONResponse:
    headers = {"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return JSONResponse(problem(status, detail, path), status, headers, "application/problem+json")


def _note(scope: Scope, authentication: Authentication, status: int) -> None:
    route = getattr(scope.get("route"), "path", None)
    if route is None or not route.startswith("/v1/"):
        return
    named: dict[str, Any] = scope.get("path_params", {})
    state, caller = scope["state"], authentication.known
    user_id = state.get("user_id") or named.get("user_id")
    scope["app"].state.audit.note(
        Act(
            at=datetime.now(UTC),
            key_id=caller.key_id if caller is not None else None,
            by_token=caller is not None and caller.by_token,
            method=scope["method"],
            route=route[:128],
            user_id=_as_kept(user_id) if user_id is not None else None,
            object_id=next((_as_kept(str(named[name])) for name in _OBJECTS if name in named), None),
            status=status,
            request_id=state.get("request_id", "")[:64],
        )
    )


def _as_kept(name: str) -> str:
    """A name out of a path, as the audit log keeps it: PostgreSQL takes no NUL, and refused names are listed too."""
    return readable(name)[:128]


def until_the_end(scope: Scope, end: Callable[[], None]) -> None:
    """Calls `end` when the request is over, however it ends."""
    scope["state"]["ends"].append(end)


def begin_reply(scope: Scope, user_id: str) -> None:
    """Counts a reply as running until the request is over.

    Raises:
        TooMuch: the caller had too many tokens, or the user has too many replies running.
        Busy: too many replies run.
    """
    state, authentication = scope["app"].state, scope["state"]["authentication"]
    caller = authentication.known
    assert caller is not None, "a route whose signature names its caller"
    state.limits.check_tokens(caller)
    until_the_end(scope, state.replies.begin(user_id))


def check_text(settings: Settings, characters: int) -> None:
    """Makes sure that a request has no more text than the machine encodes in seconds.

    Raises:
        HTTPException: 413, it has more.
    """
    most = settings.max_text_characters
    if characters > most:
        detail = f"the messages have more than {most} characters together: send fewer at once"
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
