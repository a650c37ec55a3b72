"""A generator's reply as pieces of text."""

import dataclasses
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from app.assistant.generator import ChatMessage, Generator, text_of


async def streamed(
    generator: Generator, messages: Sequence[ChatMessage], *, max_tokens: int, temperature: float
) -> AsyncGenerator[str, None]:
    """The pieces, as they come."""
    said = [dataclasses.asdict(message) for message in messages]
    request = {"messages": said, "max_tokens": max_tokens, "temperature": temperature}
    async with aclosing(generator.chunks(request)) as chunks:
        async for chunk in chunks:
            if text := text_of(chunk):
                yield text
