"""Which messages of a log are wanted."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.store.encryption import RowCipher
from app.store.tables import messages


@dataclasses.dataclass(frozen=True)
class Filter:
    """Which messages are wanted; what is None does not matter.

    Attributes:
        since, until: when it was said, `until` excluded.
        contains: letters that the text contains, in capitals or not, of any script.
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

    @property
    def reads_texts(self) -> bool:
        """Whether it asks for what is sealed in an encrypted row, and not looked up by a hash."""
        return self.speaker is not None or self.contains is not None or bool(self.metadata)

    def conditions(self, dialect: str, cipher: RowCipher | None) -> list[sa.ColumnElement[bool]]:
        """What the rows of `messages` must fulfil; of encrypted ones, as far as that can be asked of rows as stored.

        Args:
            dialect: the database's name for its own; the two write paths into JSON differently.
            cipher: what the rows are sealed with; `lets_through` then tells the rest.
        """
        column, found = messages.c, list[sa.ColumnElement[bool]]()
        if self.session_id is not None:
            found.append(column.session_id == (cipher.name(self.session_id) if cipher else self.session_id))
        if self.role is not None:
            found.append(column.role == self.role)
        if self.since is not None:
            found.append(column.occurred_at >= self.since)
        if self.until is not None:
            found.append(column.occurred_at < self.until)
        if self.external_ids:
            found.append(column.external_id.in_([cipher.name(one) if cipher else one for one in self.external_ids]))
        if cipher is not None:
            return found
        if self.speaker is not None:
            found.append(column.speaker == self.speaker)
        if self.contains is not None:
            found.append(column.content.icontains(self.contains, autoescape=True))
        for key, value in self.metadata.items():
            path = f'$."{key}"' if dialect == "sqlite" else key
            at = sa.type_coerce(column.metadata, sa.String).op("->", return_type=sa.String)(path)
            found.append(sa.cast(at, sa.String).in_([json.dumps(value), value]))
        return found

    def lets_through(self, content: str, speaker: str | None, metadata: Mapping[str, Any]) -> bool:
        """Whether an opened message fulfils what `conditions` cannot ask of sealed rows."""
        return (
            (self.speaker is None or speaker == self.speaker)
            and (self.contains is None or self.contains.lower() in content.lower())
            and all(
                key in metadata and json.dumps(metadata[key]) in (json.dumps(value), value)
                for key, value in self.metadata.items()
            )
        )
