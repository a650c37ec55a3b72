"""Which messages of a log are wanted."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.tables import messages


@dataclasses.dataclass(frozen=True)
class Filter:
    """Which messages are wanted; what is None does not matter.

    Attributes:
        since, until: when it was said, `until` excluded.
        contains: letters that the text contains, in capitals or not.
        metadata: values by key: the text itself, or how JSON writes a number, true or false.
        external_ids: ids of the caller's; none for any.
    """

    session_id: str | None = None
    role: str | None = None
    speaker: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    contains: str | None = None
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    external_ids: Sequence[str] = ()

    @property
    def is_open(self) -> bool:
        """Whether every message is wanted."""
        return self == Filter()

    def conditions(self, dialect: str) -> list[sa.ColumnElement[bool]]:
        """What the rows of `messages` must fulfil.

        Args:
            dialect: the database's name for its own; the two write paths into JSON differently.
        """
        found: list[sa.ColumnElement[bool]] = []
        for column in (messages.c.session_id, messages.c.role, messages.c.speaker):
            if (wanted := getattr(self, column.name)) is not None:
                found.append(column == wanted)
        if self.since is not None:
            found.append(messages.c.occurred_at >= self.since)
        if self.until is not None:
            found.append(messages.c.occurred_at < self.until)
        if self.contains is not None:
            found.append(messages.c.content.icontains(self.contains, autoescape=True))
        if self.external_ids:
            found.append(messages.c.external_id.in_(self.external_ids))
        for key, value in self.metadata.items():
            path = f'$."{key}"' if dialect == "sqlite" else key
            at = sa.type_coerce(messages.c.metadata, sa.String).op("->", return_type=sa.String)(path)
            found.append(sa.cast(at, sa.String).in_([json.dumps(value), value]))
        return found


async def seqs(connection: AsyncConnection, memory_id: str, which: Filter) -> list[int]:
    """The numbers of the messages that are wanted."""
    chosen = sa.select(messages.c.seq).where(
        messages.c.memory_id == memory_id, *which.conditions(connection.dialect.name)
    )
    return list((await connection.scalars(chosen)).all())
