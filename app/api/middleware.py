"""What every request gets: an id, a line in the log, its place in the metrics."""

import logging
import re
import time
import uuid

from fastapi import FastAPI
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("mneme.requests")

_SANE = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
REQUESTS = Counter("mneme_requests", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram("mneme_request_seconds", "Time to the end of the reply", ["route"])


class Requests:
    """ASGI middleware: takes or makes `X-Request-ID`, and sends it back with every reply."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _SANE.match(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.perf_counter(), 500

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            await send(message)

        try:
            await self._app(scope, receive, with_id)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "none")
            REQUESTS.labels(scope["method"], route, status).inc()
            SECONDS.labels(route).observe(seconds)
            # The route's pattern, not the path: a path names a user.
            logger.info("%s %s %d %.1f ms %s", scope["method"], route, status, 1000 * seconds, request_id)


class Application(FastAPI):
    """FastAPI with `Requests` around all of it, so that replies to unexpected errors carry an id too."""

    def build_middleware_stack(self) -> ASGIApp:
        return Requests(super().build_middleware_stack())
