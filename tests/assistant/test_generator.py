"""The generator's client against llama.cpp's own server with the packaged model, and against servers that misbehave."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.assistant.embedded import EmbeddedModel, ModelError
from app.assistant.generator import ChatMessage, Generator, GeneratorError
from app.assistant.models import TINY, installed
from tests.assistant.streaming import streamed

HELLO = [ChatMessage("user", "Say hello.")]
TINY_PATH = installed(TINY)
KEY = "key-that-nobody-may-see"
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def model() -> Iterator[EmbeddedModel]:
    model = EmbeddedModel(TINY_PATH, context=512, parallel=1, threads=1)
    yield model
    model.close()


@pytest.fixture
def restless() -> Iterator[EmbeddedModel]:
    """A model whose process a test may end."""
    model = EmbeddedModel(TINY_PATH, context=512, parallel=2, threads=1)
    yield model
    model.close()


def die(model: EmbeddedModel) -> None:
    model._process.kill()
    model._process.wait()


def dead_from_birth(pipes: dict[str, Any], popen: type = subprocess.Popen) -> Any:
    """A process that has ended already."""
    process = popen([sys.executable, "-c", ""], **pipes)
    process.wait()
    return process


@asynccontextmanager
async def client_of(model: EmbeddedModel, key: str | None = None) -> AsyncIterator[Generator]:
    generator = Generator(model.url, key or model.api_key, "default", 60, model.revive)
    yield generator
    await generator.aclose()


@asynccontextmanager
async def served(answer: Answer, patience: float = 5) -> AsyncIterator[Generator]:
    """A client of a local server that reads each request and then does what `answer` does."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        await reader.readexactly(int(length.split(b":")[1]))
        try:
            await answer(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    generator = Generator(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", KEY, "default", patience)
    yield generator
    await generator.aclose()
    server.close()


def chunk(text: str | None, finish: str | None = None) -> bytes:
    body = {"choices": [{"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}]}
    return f"data: {json.dumps(body)}\n\n".encode()


def saying(*parts: bytes) -> Answer:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return answer


def refusing(status: str, body: bytes) -> Answer:
    return saying(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


async def reply_of(generator: Generator, max_tokens: int = 16) -> str:
    return "".join([text async for text in streamed(generator, HELLO, max_tokens=max_tokens, temperature=0)])


async def failure_of(generator: Generator) -> str:
    with pytest.raises(GeneratorError) as failure:
        await reply_of(generator)
    message = str(failure.value)
    assert "\n" not in message
    assert KEY not in message
    return message


async def test_the_packaged_model_streams_a_reply_in_pieces(model: EmbeddedModel) -> None:
    async with client_of(model) as generator:
        assert await generator.ready()
        pieces = [text async for text in streamed(generator, HELLO, max_tokens=16, temperature=0)]
    assert len(pieces) > 2
    assert "hello" in "".join(pieces).lower()


async def test_at_temperature_zero_a_reply_repeats_itself(model: EmbeddedModel) -> None:
    async with client_of(model) as generator:
        assert await reply_of(generator) == await reply_of(generator)


async def test_the_odds_of_two_words_are_those_of_the_reply(model: EmbeddedModel) -> None:
    def messages(said: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": f"Repeat this word, and nothing else: {said}"}]

    generator = Generator(model.url, model.api_key, "default", 60, parallel=model.parallel)
    yes, no = [await generator.odds(messages(said), "yes", "no") for said in ("yes", "no")]
    assert yes is not None and no is not None and yes > no
    assert await generator.odds(messages("yes"), "no", "yes") == pytest.approx(-yes, abs=0.1)
    await generator.aclose()


async def test_a_server_that_tells_no_probabilities_tells_no_odds() -> None:
    async with served(saying(HEAD, chunk("yes"), chunk(None, "stop"))) as generator:
        assert await generator.odds([{"role": "user", "content": "Is it?"}], "yes", "no") is None


async def test_more_replies_than_there_are_places_for_wait_for_each_other(restless: EmbeddedModel) -> None:
    generator = Generator(restless.url, restless.api_key, "default", 60, parallel=1)
    first = streamed(generator, HELLO, max_tokens=200, temperature=0)
    assert await anext(first)
    second = asyncio.create_task(reply_of(generator))
    assert await generator.odds([{"role": "user", "content": "Is it?"}], "yes", "no") is not None
    assert not second.done()
    await first.aclose()
    assert await second
    await generator.aclose()


async def test_replies_wait_until_what_they_begin_with_is_computed(restless: EmbeddedModel) -> None:
    generator = Generator(restless.url, restless.api_key, "default", 60, parallel=2)
    begin = [{"role": "system", "content": "Be kind. " * 60}]
    computing = asyncio.create_task(generator.compute([*begin, {"role": "user", "content": "Hello!"}]))
    await asyncio.sleep(0)
    assert await reply_of(generator)
    assert computing.done() and computing.exception() is None
    await generator.aclose()


async def test_hanging_up_stops_the_generation(model: EmbeddedModel) -> None:
    """With one slot, the next reply would otherwise wait until the long one is done."""
    async with client_of(model) as generator:
        stream = streamed(generator, [ChatMessage("user", "Tell me a very long story.")], max_tokens=400, temperature=0)
        assert await anext(stream)
        await stream.aclose()
        begin = time.perf_counter()
        await reply_of(generator, max_tokens=1)
        assert time.perf_counter() - begin < 2


async def test_a_wrong_key_is_refused_in_one_line(model: EmbeddedModel) -> None:
    async with client_of(model, key=KEY) as generator:
        assert not await generator.ready()
        assert "401" in await failure_of(generator)


async def test_a_prompt_that_does_not_fit_is_refused_in_one_line(model: EmbeddedModel) -> None:
    async with client_of(model) as generator:
        with pytest.raises(GeneratorError, match=r"400.*exceeds the available context"):
            async for _ in streamed(generator, [ChatMessage("user", "word " * 2000)], max_tokens=1, temperature=0):
                pass


async def test_the_embedded_server_shows_nothing_but_the_model(model: EmbeddedModel) -> None:
    base = model.url.removesuffix("/v1")
    assert base.startswith("http://127.0.0.1:")
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {model.api_key}"}) as client:
        assert (await client.get("/")).status_code == 404
        for path in ("/metrics", "/slots"):
            assert (await client.get(path)).status_code == 501
        assert (await client.post("/props", json={})).status_code == 501
        assert str(model.path.parent) not in (await client.get("/v1/models")).text
    async with httpx.AsyncClient(base_url=base) as stranger:
        for path in ("/metrics", "/slots", "/props", "/v1/models"):
            assert (await stranger.get(path)).status_code == 401


async def test_a_closed_model_cannot_be_reached() -> None:
    model = EmbeddedModel(TINY_PATH, context=256, parallel=1, threads=1)
    model.close()
    model.close()
    async with client_of(model) as generator:
        assert not await generator.ready()
        assert "cannot be reached" in await failure_of(generator)


async def test_closing_the_model_ends_the_replies_under_way() -> None:
    model = EmbeddedModel(TINY_PATH, context=1024, parallel=1, threads=1)
    async with client_of(model) as generator:
        stream = streamed(generator, [ChatMessage("user", "Tell me a very long story.")], max_tokens=900, temperature=0)
        assert await anext(stream)
        begin = time.perf_counter()
        await asyncio.to_thread(model.close)
        assert time.perf_counter() - begin < 3
        with pytest.raises(GeneratorError):
            async for _ in stream:
                pass


def test_a_model_may_be_closed_as_soon_as_it_runs() -> None:
    """xllamacpp's server, left to stop itself, hangs for ever when its loop has not begun."""
    for _ in range(3):
        begin = time.perf_counter()
        EmbeddedModel(TINY_PATH, context=256, parallel=1, threads=1).close()
        assert time.perf_counter() - begin < 15


async def test_a_model_that_died_is_started_anew_by_the_next_reply_once(restless: EmbeddedModel) -> None:
    async with client_of(restless) as generator:
        stream = streamed(generator, [ChatMessage("user", "Tell me a very long story.")], max_tokens=400, temperature=0)
        assert await anext(stream)
        die(restless)
        with pytest.raises(GeneratorError, match=r"^generator at 127\.0\.0\.1:\d+ (broke off|ended the stream)"):
            async for _ in stream:
                pass
        assert not await generator.ready()
        first, second = await asyncio.gather(reply_of(generator), reply_of(generator))
        assert first == second != ""
        process = restless._process
        assert await generator.ready()
        assert await reply_of(generator) == first
        assert restless._process is process


async def test_a_model_that_does_not_come_back_fails_each_reply_after_one_try_and_may_come_back_later(
    restless: EmbeddedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = list[Any]()

    def fail(*_: Any, **pipes: Any) -> Any:
        tried.append(dead_from_birth(pipes))
        return tried[-1]

    async with client_of(restless) as generator:
        die(restless)
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", fail)
            for tries in (1, 2):
                assert "llama.cpp ended before it served this file" in await failure_of(generator)
                assert len(tried) == tries
                assert not await generator.ready()
        assert await reply_of(generator)


def test_a_process_that_dies_before_it_reads_its_order_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **pipes: dead_from_birth(pipes))
    with pytest.raises(ModelError, match=r"^[^\n]*llama.cpp ended before it served this file[^\n]*$"):
        EmbeddedModel(TINY_PATH)


def test_loading_a_model_prints_nothing() -> None:
    code = (
        "import pathlib, sys; from app.assistant.embedded import EmbeddedModel;"
        "EmbeddedModel(pathlib.Path(sys.argv[1]), context=256, parallel=1, threads=1).close()"
    )
    command = [sys.executable, "-c", code, str(TINY_PATH)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == ""
    assert done.stderr == ""


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.gguf: No such file"):
        EmbeddedModel(tmp_path / "nowhere.gguf")


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(ModelError, match="not a GGUF file"):
        EmbeddedModel(path)


@pytest.mark.parametrize("kept", [4, 100, 1_000_000])
def test_a_model_that_was_cut_off_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(TINY_PATH.read_bytes()[:kept])
    with pytest.raises(ModelError, match="damaged or not supported"):
        EmbeddedModel(path)


async def test_pieces_arrive_as_they_were_sent() -> None:
    parts = [
        b": ping\n\n",
        chunk(""),
        chunk("Grüße"),
        chunk(", you"),
        b'data: {"choices": []}\n\n',
        chunk(None, "stop"),
    ]
    async with served(saying(HEAD, *parts, b"data: [DONE]\n\n")) as generator:
        assert await reply_of(generator) == "Grüße, you"


async def test_a_reply_that_says_it_is_finished_needs_no_done_mark() -> None:
    async with served(saying(HEAD, chunk("Hi", "stop"))) as generator:
        assert await reply_of(generator) == "Hi"


async def test_a_server_that_dies_midway_leaves_no_whole_reply() -> None:
    async def die(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD.replace(b"Connection: close", b"Content-Length: 10000") + chunk("Half a"))
        await writer.drain()
        writer.transport.abort()

    async with served(die) as generator:
        assert "broke off" in await failure_of(generator)


async def test_a_stream_without_an_end_mark_is_no_whole_reply() -> None:
    async with served(saying(HEAD, chunk("Half a"))) as generator:
        assert "before the reply was complete" in await failure_of(generator)


async def test_a_server_that_never_answers_is_given_up() -> None:
    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served(hang, patience=0.2) as generator:
        assert "no token for 0.2 seconds" in await failure_of(generator)


async def test_keep_alive_comments_are_no_progress() -> None:
    async def ping(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk("One"))
        while not writer.is_closing():
            writer.write(b": ping\n\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with served(ping, patience=0.3) as generator:
        assert "no token for 0.3 seconds" in await failure_of(generator)


async def test_hanging_up_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def watch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + chunk("One"))
        await reader.read()
        closed.set()

    async with served(watch) as generator:
        stream = streamed(generator, HELLO, max_tokens=8, temperature=0)
        assert await anext(stream) == "One"
        await stream.aclose()
        await asyncio.wait_for(closed.wait(), 5)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        ("500 Internal Server Error", b'{"error": {"message": "out of\\nmemory"}}', "answered 500: out of memory"),
        ("404 Not Found", b'{"error": "model not found"}', "answered 404: model not found"),
        ("502 Bad Gateway", b"<html>bad gateway</html>", "answered 502: <html>bad gateway</html>"),
        ("503 Service Unavailable", b"", "answered 503"),
        ("401 Unauthorized", f'{{"error": {{"message": "bad key {KEY}"}}}}'.encode(), "answered 401: bad key ***"),
    ],
)
async def test_a_refusal_gives_the_servers_reason(status: str, body: bytes, expected: str) -> None:
    async with served(refusing(status, body)) as generator:
        assert (await failure_of(generator)).endswith(expected)
        assert not await generator.ready()


@pytest.mark.parametrize(
    "data", [b"not json", b"[1]", b'{"choices": 3}', b"{}", b'{"choices": [{"delta": {"content": 3}}]}']
)
async def test_a_malformed_chunk_fails_the_reply(data: bytes) -> None:
    async with served(saying(HEAD, b"data: " + data + b"\n\n")) as generator:
        assert "not of the OpenAI interface" in await failure_of(generator)


async def test_an_error_within_the_stream_fails_the_reply() -> None:
    async with served(saying(HEAD, chunk("Half"), b'data: {"error": {"message": "slot lost"}}\n\n')) as generator:
        assert (await failure_of(generator)).endswith("failed: slot lost")


async def test_something_that_speaks_no_http_fails_the_reply() -> None:
    async with served(saying(b"SSH-2.0-OpenSSH_9.6\r\n")) as generator:
        assert "broke off" in await failure_of(generator)


async def test_a_server_that_is_not_there_cannot_be_reached() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    generator = Generator(f"http://user:{KEY}@127.0.0.1:{port}/v1", KEY, "default", 5)
    assert not await generator.ready()
    assert f"generator at 127.0.0.1:{port} cannot be reached" in await failure_of(generator)
    await generator.aclose()
