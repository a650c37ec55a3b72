"""Connections: a header that is too long, too slow or too manifold, and more of them than there is room for."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from app import connections
from app.connections import MOST_HEADER_BYTES, MOST_HEADERS, bounded_protocol

LARGE = 24 * 2**20
ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


async def application(
    scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    size = 0
    more = scope["path"] != "/early"
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"x" * LARGE if scope["path"] == "/large" else str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(most: int = 10, most_of_an_address: int = 0) -> AsyncIterator[int]:
    """A server with bounds. Yields its port."""
    http = bounded_protocol(most, most_of_an_address)
    config = uvicorn.Config(
        application, port=0, log_config=None, lifespan="off", http=http, ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await running


async def answer(port: int, *parts: bytes) -> bytes:
    """All that the server says to these bytes until it closes the connection, or the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(65536), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_ordinary_requests_are_served_on_one_connection_again_and_again() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for size in (0, 5, 300_000, 1):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert head.startswith(b"HTTP/1.1 200")
            assert int(await reader.readexactly(len(str(size)))) == size
        writer.close()


async def test_a_header_that_is_too_long_is_refused_and_said(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as port:
        with caplog.at_level(logging.WARNING, "mneme.bounds"):
            said = await answer(port, ASK + b"X: ", *[b"a" * 8192] * (MOST_HEADER_BYTES // 8192 + 2))
        assert said.startswith(b"HTTP/1.1 431") or said == b""
        assert f"more than {MOST_HEADER_BYTES} bytes" in caplog.text
        assert b"200" in await answer(port, ASK + b"X: " + b"a" * 1000 + b"\r\n\r\n")


async def test_too_many_headers_are_refused() -> None:
    async with serving() as port:
        many = b"".join(b"X-%d: a\r\n" % number for number in range(MOST_HEADERS + 1))
        assert (await answer(port, ASK + many + b"\r\n")).startswith(b"HTTP/1.1 431")
        some = b"".join(b"X-%d: a\r\n" % number for number in range(MOST_HEADERS - 5))
        assert b"200" in await answer(port, ASK + some + b"\r\n")


async def test_a_header_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.1)
    async with serving() as port:
        assert (await answer(port, ASK)).startswith(b"HTTP/1.1 408")
        assert await answer(port) == b""  # connects and says nothing


async def test_a_trailer_or_a_chunk_s_line_without_end_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as port:
        for begun in (b"1\r\nx\r\n0\r\nX: ", b"1;a="):
            chunked = ASK.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\n" + begun
            said = await answer(port, chunked, *[b"a" * 65536] * 16)
            assert said.startswith(b"HTTP/1.1 431") or said == b""
        assert f"more than {MOST_HEADER_BYTES} bytes" in caplog.text
        many = b"".join(b"%x\r\n%s\r\n" % (size, b"x" * size) for size in (1, 300_000, 1, 70_000))
        whole = ASK.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\n" + many + b"0\r\nX: y\r\n\r\n"
        assert (await answer(port, whole)).endswith(b"370002")


async def test_the_rest_of_a_request_that_has_its_answer_is_not_awaited_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "REST_SECONDS", 0.3)
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(65536), 5)).startswith(b"HTTP/1.1 200")
        with pytest.raises(ConnectionError):
            for _ in range(100):  # a byte now and then, which keeps the server from closing an idle connection
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        for _ in range(2):  # one that goes on in time is served again
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
            await asyncio.wait_for(reader.read(65536), 5)
            writer.write(b"x" * 1000 + ASK + b"\r\n")
            assert (await asyncio.wait_for(reader.read(65536), 5)).startswith(b"HTTP/1.1 200")
            writer.close()


async def test_a_client_that_does_not_read_is_given_up_and_one_that_reads_slowly_is_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "READING_SECONDS", 0.5)
    async with serving() as port:
        loop = asyncio.get_running_loop()
        for reads in (True, False):
            client = socket.socket()
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", port))
            await loop.sock_sendall(client, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            got, began = 0, loop.time()
            while got < LARGE and loop.time() - began < 5 and "were read" not in caplog.text:
                await asyncio.sleep(0.01)
                while reads and got < min((loop.time() - began) * LARGE / 2, LARGE):
                    piece = await loop.sock_recv(client, 65536)
                    assert piece
                    got += len(piece)
            client.close()
            assert reads == (got >= LARGE)
            assert reads != ("were read" in caplog.text)


async def test_no_more_connections_than_there_is_room_for_and_others_again_afterwards(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(most=3) as port:
        waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert (await answer(port)).startswith(b"HTTP/1.1 503")
        assert "CONNECTIONS" in caplog.text
        for _, writer in waiting:
            writer.close()
        await asyncio.sleep(0.05)
        assert b"200" in await answer(port, ASK + b"\r\n")


async def test_one_address_cannot_take_all_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_is_loopback", lambda _: False)
    async with serving(most=10, most_of_an_address=2) as port:
        waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert (await answer(port)).startswith(b"HTTP/1.1 503")
        for _, writer in waiting:
            writer.close()
        await asyncio.sleep(0.05)
        assert b"200" in await answer(port, ASK + b"\r\n")
