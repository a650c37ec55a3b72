"""Bounds on connections, which the server library has not: on headers, on waiting, and on how many there are.

uvicorn's httptools protocol keeps headers and trailers of any length, and waits for any time: for a header, for what is
left of a request that has its answer, for a client that does not read. This one counts and clocks what it hands to the
parser and what is not read; the bounds on bodies are `app.api.gate`'s, since they depend on who sends them.
"""

import asyncio
import ipaddress
import logging
import resource
import time
from collections import Counter
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = logging.getLogger("mneme.bounds")

MOST_HEADER_BYTES = 64 * 1024
MOST_HEADERS = 100
HEADER_SECONDS = 10.0
REST_SECONDS = 10.0  # for the rest of a request that has its answer
READING_SECONDS = 30.0
LEAST_READ = 64 * 1024  # bytes in so many seconds
_SAY_EVERY = 10.0  # seconds; an attack must not fill the log
_SPARE_DESCRIPTORS = 128  # for the database, the language model and files
_REFUSALS = {
    "length": b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "time": b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "many": b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
}


def bounded_protocol(most: int, most_of_an_address: int) -> type[HttpToolsProtocol]:
    """A protocol for uvicorn's `http` option.

    Args:
        most: connections in all; fewer where the process may not open so many files.
        most_of_an_address: of one address but loopback, behind which a proxy may stand; 0 for no bound.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    class Bounded(BoundedProtocol):
        most_connections = max(1, min(most, files - _SPARE_DESCRIPTORS))
        most_of_address = most_of_an_address
        addresses: ClassVar[Counter[str]] = Counter()
        last_said: ClassVar[dict[str, float]] = {}

    return Bounded


class BoundedProtocol(HttpToolsProtocol):
    """One connection, bounded; made by `bounded_protocol`."""

    most_connections: ClassVar[int]
    most_of_address: ClassVar[int]
    addresses: ClassVar[Counter[str]]
    last_said: ClassVar[dict[str, float]]

    _beside_body = 0  # bytes of a header, trailer or chunk's line: what came since the last piece of a body
    _in_header = True
    _unread = 0
    _address: str | None = None
    _timer: asyncio.TimerHandle | None = None
    _reading_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else None
        if len(self.connections) > self.most_connections:
            self._refuse("many", f"{self.most_connections} connections are open (CONNECTIONS)")
            return
        if address is not None and self.most_of_address and not _is_loopback(address):
            if self.addresses[address] >= self.most_of_address:
                bound = f"{self.most_of_address} connections of one address are open (CONNECTIONS_PER_ADDRESS)"
                self._refuse("many", bound)
                return
            self._address = address
            self.addresses[address] += 1
        self._await(HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self.resume_writing()
        if self._address is not None:
            self.addresses[self._address] -= 1
            if not self.addresses[self._address]:
                del self.addresses[self._address]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_header and self._timer is None:
            self._await(HEADER_SECONDS)
        self._beside_body += len(data)
        super().data_received(data)
        # What one read brings may hold the end of a header and more: the parser has told us of that by now.
        if self._beside_body > MOST_HEADER_BYTES:
            self._refuse("length", f"a header has more than {MOST_HEADER_BYTES} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_header = True

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MOST_HEADERS:
            self._refuse("length", f"a request has more than {MOST_HEADERS} headers")

    def on_headers_complete(self) -> None:
        self._in_header, self._beside_body = False, 0
        self._stop_timer()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._beside_body = 0
        if self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_header, self._beside_body = True, 0
        self._stop_timer()
        if self.cycle is not None:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._in_header and not self.pipeline:
            self._await(REST_SECONDS)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._await_reader()  # what is not read yet would keep the connection from closing

    def _await_reader(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        if self._unread and self._reading_timer is None:
            self._reading_timer = self.loop.call_later(READING_SECONDS, self._look_at_reader)

    def _look_at_reader(self) -> None:
        self._reading_timer = None
        if self._unread - self.transport.get_write_buffer_size() < min(LEAST_READ, self._unread):
            self._say("reading", f"less than {LEAST_READ} bytes were read in {READING_SECONDS:g} seconds")
            self.transport.abort()
            return
        self._await_reader()

    def _await(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if not self._in_header or self._beside_body == 0:
            self.transport.close()  # has its answer, or connected and said nothing: no line for each
            return
        self._refuse("time", f"a header was not there after {HEADER_SECONDS:g} seconds")

    def _refuse(self, kind: str, bound: str) -> None:
        if self.transport.is_closing():
            return
        self._say(kind, bound)
        self.transport.write(_REFUSALS[kind])
        self.transport.close()

    def _say(self, kind: str, bound: str) -> None:
        now = time.monotonic()
        if now - self.last_said.get(kind, -_SAY_EVERY) >= _SAY_EVERY:
            self.last_said[kind] = now
            logger.warning("closed a connection: %s; such lines come once in %g seconds", bound, _SAY_EVERY)


def _is_loopback(address: Any) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
