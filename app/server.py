"""Running the service under uvicorn, and saying when and where it is ready."""

import asyncio
import logging
import sys
from collections.abc import Callable

import uvicorn

from app.assistant.runner import Runner
from app.connections import bounded_protocol
from app.main import create_app
from app.settings import Settings

_STOPPING_SECONDS = 7  # Docker kills what has not ended 10 seconds after it was told to
_READY = """
Mneme is ready on {url} (documentation: {url}/docs)

  curl -s {url}/v1/chat -H 'Content-Type: application/json' \\
    -d '{{"user_id": "me", "message": "My dog is called Biscuit."}}'
  curl -s {url}/v1/users/me/memory/recall -H 'Content-Type: application/json' \\
    -d '{{"query": "What is my dog called?"}}'
  curl -s '{url}/v1/users/me/memory/slots?limit=10'
"""


def run(settings: Settings, tell: Callable[[str], None]) -> None:
    """Serves until it is told to stop.

    Raises:
        Whatever keeps the parts from starting: `SchemaError`, `StoreUnavailable`, `EncoderError`, `ModelError`.
        OSError: the port is taken.
    """
    failures: list[BaseException] = []
    app = create_app(settings, tell)
    starting = app.router.lifespan_context

    def lifespan(of: object) -> object:
        return _Recording(starting(of), failures)

    app.router.lifespan_context = lifespan  # type: ignore[assignment]
    config = uvicorn.Config(
        app,
        settings.host,
        settings.port,
        log_level="warning",
        log_config=None,  # its lines go the way of ours
        access_log=False,
        timeout_graceful_shutdown=_STOPPING_SECONDS,
        http=bounded_protocol(settings.connections, settings.connections_per_address),
        ws="none",
    )
    server = _Server(config)
    # What keeps it from starting is told once, by whoever called; uvicorn would tell it too.
    logging.getLogger("uvicorn.error").addFilter(lambda record: not failures and not isinstance(record.msg, OSError))
    try:
        server.run()
    except SystemExit:
        if not failures:
            where = f"{settings.host}:{settings.port}"
            raise OSError(f"cannot listen on {where}: is another server running there?") from None
    if failures:
        raise failures[0]


class _Server(uvicorn.Server):
    async def startup(self, sockets: object = None) -> None:
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started and self.servers:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            print(_READY.format(url=f"http://{host}:{port}"), file=sys.stderr, flush=True)

    async def shutdown(self, sockets: object = None) -> None:
        # Replies under way end with what they have: uvicorn would wait for them, and then drop them.
        runner: Runner = self.config.app.state.runner  # type: ignore[union-attr]
        await asyncio.gather(runner.close(), super().shutdown(sockets))  # type: ignore[arg-type]


class _Recording:
    """A lifespan that keeps what made it fail: uvicorn itself only logs that."""

    def __init__(self, lifespan: object, failures: list[BaseException]) -> None:
        self._lifespan, self._failures = lifespan, failures

    async def __aenter__(self) -> object:
        try:
            return await self._lifespan.__aenter__()  # type: ignore[attr-defined]
        except Exception as error:
            self._failures.append(error)
            raise

    async def __aexit__(self, *error: object) -> object:
        return await self._lifespan.__aexit__(*error)  # type: ignore[attr-defined]
