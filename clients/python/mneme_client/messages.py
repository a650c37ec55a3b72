"""Messages as a caller gives them."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["user", "assistant", "system", "tool"]


class Message(BaseModel):
    """A message to remember.

    Attributes:
        role: who says it.
        content: the text.
        name: the author's name in the interface that it comes from.
        speaker: who said it, where several people take part.
        occurred_at: when it was said, if not now.
        external_id: your own id; a message that is known by it is not added again.
        metadata: a small JSON object of your own; lists and recalls filter by it.
    """

    model_config = ConfigDict(extra="forbid")

    role: Role = "user"
    content: str
    name: str | None = None
    speaker: str | None = None
    occurred_at: datetime | None = None
    external_id: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


def as_sent(messages: Iterable[Message | str]) -> list[dict[str, Any]]:
    """Messages as JSON. One without an external id gets one, so that a request that is repeated adds nothing twice."""
    sent = []
    for message in messages:
        given = Message(content=message) if isinstance(message, str) else message
        plain = given.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        own = {"role": given.role, "external_id": given.external_id or f"client:{uuid.uuid4().hex}"}
        sent.append({**plain, **own})
    return sent
