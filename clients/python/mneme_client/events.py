"""A streamed reply: server-sent events as typed ones."""

import json
from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel, ConfigDict

from mneme_client.models import ChatReply, Recollection


class Recalling(BaseModel):
    """What the message recalled; the message is in the memory by now."""

    model_config = ConfigDict(extra="ignore")

    session_id: str
    user_message_id: str
    recalled: list[Recollection]


class Token(BaseModel):
    """The next piece of the reply."""

    text: str


ChatEvent = Recalling | Token | ChatReply  # in this order; the last one is the whole reply


async def events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The events of a stream of lines, by name."""
    name, data = "", list[str]()
    async for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line and data:
            yield name, json.loads("\n".join(data))
            name, data = "", []
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
