"""The tables. What was said is in `messages`, verbatim; all else of a memory can be made again from it.

A memory has an owner and members, and every row belongs to one memory: its id leads the primary key of each table of
what memories hold, so that no query finds a row without naming the memory.
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

OWN = "own"  # the name of the memory that a user has from the first message on

metadata = sa.MetaData(
    naming_convention={"ix": "ix_%(column_0_N_label)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s"}
)


class Instant(sa.types.TypeDecorator[datetime]):
    """A moment: aware in Python, UTC in the database, on SQLite too."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def _user(name: str, **options: Any) -> "sa.Column[str]":
    return sa.Column(name, sa.String(128), sa.ForeignKey("users.id", ondelete="CASCADE"), **options)


def _memory() -> "sa.Column[str]":
    return sa.Column("memory_id", sa.String(32), sa.ForeignKey("memories.id", ondelete="CASCADE"), primary_key=True)


def _sealed() -> "sa.Column[bytes]":
    """What of the row is encrypted (see `encryption`), its own columns then being empty; null where nothing is."""
    return sa.Column("sealed", sa.LargeBinary)


users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("created_at", Instant, nullable=False),
)

# A user owns one memory of each name; `OWN` is the one that their first message makes.
memories = sa.Table(
    "memories",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    _user("owner_id", nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("fingerprint", sa.String(32), nullable=False),
    sa.Column("capacity", sa.Integer, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("last_seq", sa.BigInteger, nullable=False),
    sa.Column("precedence", sa.LargeBinary, nullable=False),
    sa.Column("last_read", sa.LargeBinary, nullable=False),
    # A checksum of this row (see `rows`), and how many rows of `slots` belong to it; null in rows from before these.
    sa.Column("checksum", sa.BigInteger),
    sa.Column("held", sa.BigInteger),
    _sealed(),
    sa.UniqueConstraint("owner_id", "name"),
)

# The key of an encrypted memory, wrapped by the operator's key of that id. Whoever erases a memory destroys its key.
memory_keys = sa.Table(
    "memory_keys",
    metadata,
    _memory(),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("wrapped_by", sa.String(16), nullable=False),
)

# Who may use a memory, and as what; its owner is a member too.
memory_members = sa.Table(
    "memory_members",
    metadata,
    _memory(),
    _user("user_id", primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Index("ix_memory_members_user_id", "user_id"),
)

sessions = sa.Table(
    "sessions",
    metadata,
    _memory(),
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("last_at", Instant, nullable=False),
    sa.Column("last_seq", sa.BigInteger, nullable=False),
    sa.Column("messages", sa.Integer, nullable=False),
    sa.Column("title", sa.String(128)),
    _sealed(),
    sa.Index("ix_sessions_memory_id_last_seq", "memory_id", "last_seq"),
)

messages = sa.Table(
    "messages",
    metadata,
    _memory(),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(32), nullable=False),
    sa.Column("external_id", sa.String(256)),
    sa.Column("session_id", sa.String(128), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("speaker", sa.String(128)),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("occurred_at", Instant, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    # How sure the memory was when this message was the cue of a turn; null where it read nothing.
    sa.Column("confidence", sa.Float),
    # Minutes east of UTC where it was said: whose days and hours the text means.
    sa.Column("utc_offset", sa.Integer, nullable=False, server_default="0"),
    sa.Column("name", sa.String(128)),
    sa.Column("metadata", sa.JSON, nullable=False, server_default="{}"),
    # What was decided of the text when it was taken in, such as the time that it names; null where nothing was.
    sa.Column("parsed", sa.JSON(none_as_null=True)),
    _sealed(),
    sa.UniqueConstraint("memory_id", "id"),
    sa.UniqueConstraint("memory_id", "external_id"),
    sa.Index("ix_messages_memory_id_session_id_seq", "memory_id", "session_id", "seq"),
)

# What is left of a deleted message: that slots were taken at its place in the log, and when they were freed. Without
# it a replay would put the later messages into other slots; nothing in it tells what was said, when or by whom.
forgotten = sa.Table(
    "forgotten",
    metadata,
    _memory(),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("parts", sa.Integer, nullable=False),
    sa.Column("gate", sa.Float, nullable=False),
    sa.Column("after_seq", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
)

# A slot's counters and links change often and are small; its word is large and written once: hence two tables.
slots = sa.Table(
    "slots",
    metadata,
    _memory(),
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("source", sa.BigInteger, nullable=False),
    sa.Column("part", sa.Integer, nullable=False),
    sa.Column("touched", sa.BigInteger, nullable=False),
    sa.Column("usage", sa.Float, nullable=False),
    sa.Column("strength", sa.Float, nullable=False),
    sa.Column("reads", sa.BigInteger, nullable=False),
    sa.Column("links", sa.LargeBinary, nullable=False),
    sa.Column("said_at", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("feature_bits", sa.BigInteger, nullable=False, server_default="0"),
    # How surely it holds until revoked; and the time of the event that it tells, from when to when, 0 where none.
    sa.Column("standing", sa.Float, nullable=False, server_default="0"),
    sa.Column("event_from", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("event_to", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("checksum", sa.BigInteger),
    sa.Column("foreign_share", sa.Float, nullable=False, server_default="0"),
    _sealed(),
    sa.Index("ix_slots_memory_id_source", "memory_id", "source"),
)

words = sa.Table(
    "words",
    metadata,
    _memory(),
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("word", sa.LargeBinary, nullable=False),
    sa.Column("token_ids", sa.LargeBinary, nullable=False),
    sa.Column("speaker_tokens", sa.LargeBinary, nullable=False, server_default=""),
    sa.Column("sentence", sa.LargeBinary, nullable=False, server_default=""),
    sa.Column("checksum", sa.BigInteger),
    sa.Column("meaning", sa.LargeBinary, nullable=False, server_default=""),
    _sealed(),
)

# The trace of a turn: one row a slot that its message read.
reads = sa.Table(
    "reads",
    metadata,
    _memory(),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("source", sa.BigInteger, nullable=False),
    sa.Column("weight", sa.Float, nullable=False),
    sa.Column("content", sa.Float, nullable=False),
    sa.Column("forward", sa.Float, nullable=False),
    sa.Column("backward", sa.Float, nullable=False),
    sa.Column("standing", sa.Float, nullable=False, server_default="0"),
    _sealed(),
    sa.Index("ix_reads_memory_id_source", "memory_id", "source"),
)

# Keys of callers (see app.access). Only a key's hash is stored. A revoked key stays, so that the audit log can name it.
access_keys = sa.Table(
    "access_keys",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("prefix", sa.String(16), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("scope", sa.String(16), nullable=False),
    sa.Column("user_id", sa.String(128)),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("last_used_at", Instant),
    sa.Column("revoked_at", Instant),
)

# Secrets that every process of the service shares, such as the one that signs tokens.
access_secrets = sa.Table(
    "access_secrets",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)

# Who did what to whose memory; never what was said.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("key_id", sa.String(16)),
    sa.Column("by_token", sa.Boolean, nullable=False),
    sa.Column("method", sa.String(8), nullable=False),
    sa.Column("route", sa.String(128), nullable=False),
    sa.Column("user_id", sa.String(128)),
    sa.Column("object_id", sa.String(128)),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Index("ix_audit_at", "at"),
    sa.Index("ix_audit_user_id_id", "user_id", "id"),
)
