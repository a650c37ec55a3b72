"""A language model that says what a script says, behind the OpenAI-compatible interface.

It stands for a remote model where what matters is the service around it: it takes no time, and it fails, stalls, breaks
off or hangs when its script does. What the service asked of it is kept, to be looked at.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Self

from app.assistant.prompt import IN_ENGLISH

Prompt = list[dict[str, str]]
Script = Callable[[Prompt], AsyncGenerator[str, None]]

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class Refusal(Exception):
    """A script raises it before its first word: the model answers with an error status."""


class BreakOff(Exception):
    """A script raises it anywhere: the connection ends there, without the end of a reply."""


async def echo(prompt: Prompt) -> AsyncGenerator[str, None]:
    """Says back what the user says, word by word."""
    for word in f"You said: {asked(prompt)}".split(" "):
        yield word + " "


def asked(prompt: Prompt) -> str:
    """What the user says now, without the notes before it."""
    return message_of(prompt[-1]["content"]).removeprefix("Question: ")


def message_of(content: str) -> str:
    """The last line of what the user said, without the notes before it and what stands behind it."""
    return content.split(f"\n\n({IN_ENGLISH.keep} ")[0].rsplit("\n", 1)[-1]


class ScriptedModel:
    """The model, listening on a free port of 127.0.0.1 while its context is open.

    Attributes:
        script: what it says; may be changed at any time.
        prompts: the messages of every request, in order of arrival.
        speaking: replies that are being given at this moment.
        hung_up_on: replies that the client did not wait for.
    """

    def __init__(self, script: Script = echo) -> None:
        self.script = script
        self.prompts: list[Prompt] = []
        self.speaking = self.hung_up_on = 0
        self._serving: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def until(self, *, speaking: int) -> None:
        """Waits until so many replies are being given."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.speaking == speaking)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            if head.startswith("get"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                return
            length = head.partition("content-length:")[2].split("\r\n")[0]
            prompt: Prompt = json.loads(await reader.readexactly(int(length)))["messages"]
            self.prompts.append(prompt)
            await self._count(1)
            speaking, gone = asyncio.create_task(self._speak(prompt, writer)), asyncio.create_task(reader.read())
            try:
                await asyncio.wait({speaking, gone}, return_when=asyncio.FIRST_COMPLETED)
                self.hung_up_on += not speaking.done()
            finally:
                speaking.cancel()
                gone.cancel()
                await asyncio.gather(speaking, gone, return_exceptions=True)
                await self._count(-1)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def _count(self, change: int) -> None:
        async with self._changed:
            self.speaking += change
            self._changed.notify_all()

    async def _speak(self, prompt: Prompt, writer: asyncio.StreamWriter) -> None:
        began = False
        try:
            async for text in self.script(prompt):
                writer.write((b"" if began else _HEAD) + _chunk(text))
                began = True
                await writer.drain()
        except Refusal as refusal:
            body = json.dumps({"error": {"message": str(refusal)}}).encode()
            writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
            return
        except BreakOff:
            return
        writer.write((b"" if began else _HEAD) + _chunk(None) + b"data: [DONE]\n\n")
        await writer.drain()


def _chunk(text: str | None) -> bytes:
    ends = text is None
    choice = {"index": 0, "delta": {} if ends else {"content": text}, "finish_reason": "stop" if ends else None}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()
