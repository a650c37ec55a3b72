"""A memory is an entity of its own, with an owner and members; messages and slots hold more of what is known.

Every table of what a memory holds gets the memory's id in place of its user's. The id is what was the incarnation,
which a memory begun anew never shared with the one before. The offset that messages were sent with was not kept until
now: theirs is 0, UTC.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Column = sa.Column[Any]
_RECORD = "version, fingerprint, capacity, rows, last_seq, precedence, last_read"
_COLUMNS = {
    "sessions": "id, started_at, last_at, last_seq, messages",
    "messages": "seq, id, external_id, session_id, role, speaker, content, occurred_at, status, confidence",
    "forgotten": "seq, parts, gate, after_seq, version",
    "slots": "slot, source, part, touched, usage, strength, reads, links, said_at, feature_bits",
    "words": "slot, word, token_ids, speaker_tokens",
    "reads": "seq, slot, source, weight, content, forward, backward",
}
_INDEXED = {
    "sessions": ("last_seq",),
    "messages": ("session_id", "seq"),
    "slots": ("source",),
    "reads": ("source",),
}


def upgrade() -> None:
    _set_aside("memories", *_COLUMNS)
    op.create_table(
        "memories",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner_id", sa.String(128), _of_user(), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        *_record(),
        sa.UniqueConstraint("owner_id", "name", name="uq_memories_owner_id_name"),
    )
    op.create_table(
        "memory_members",
        _memory_id(),
        sa.Column("user_id", sa.String(128), _of_user(), primary_key=True),
        sa.Column("role", sa.String(16), nullable=False),
    )
    op.create_index("ix_memory_members_user_id", "memory_members", ["user_id"])
    _copy("memories", f"id, owner_id, name, {_RECORD}", f"incarnation, user_id, 'own', {_RECORD} FROM old_memories")
    _copy("memory_members", "memory_id, user_id, role", "id, owner_id, 'owner' FROM memories")
    for table, columns in _COLUMNS.items():
        _create(table, _memory_id, _ADDED.get(table, tuple)())
        of_old = f"FROM old_{table} o JOIN old_memories m ON m.user_id = o.user_id"
        _copy(table, f"memory_id, {columns}", f"m.incarnation, {_from_old(columns)} {of_old}")
        op.drop_table(f"old_{table}")
        _index(table, "memory_id")
    op.drop_table("old_memories")


def downgrade() -> None:
    _set_aside("memories", *_COLUMNS)
    op.create_table("memories", _user_id(), sa.Column("incarnation", sa.String(32), nullable=False), *_record())
    own = f"owner_id, id, {_RECORD} FROM old_memories WHERE name = 'own'"
    _copy("memories", f"user_id, incarnation, {_RECORD}", own)
    for table, columns in _COLUMNS.items():
        _create(table, _user_id, ())
        of_own = f"FROM old_{table} o JOIN old_memories m ON m.id = o.memory_id WHERE m.name = 'own'"
        _copy(table, f"user_id, {columns}", f"m.owner_id, {_from_old(columns)} {of_own}")
        op.drop_table(f"old_{table}")
        _index(table, "user_id")
    op.drop_table("memory_members")
    op.drop_table("old_memories")


def _copy(table: str, columns: str, selected: str) -> None:
    op.execute(f"INSERT INTO {table} ({columns}) SELECT {selected}")


def _from_old(columns: str) -> str:
    return ", ".join(f"o.{column}" for column in columns.split(", "))


def _set_aside(*tables: str) -> None:
    """Renames tables, and their keys where these have names that the tables in their place would want."""
    for table in tables:
        op.rename_table(table, f"old_{table}")
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"ALTER INDEX {table}_pkey RENAME TO old_{table}_pkey")


def _of_user() -> sa.ForeignKey:
    return sa.ForeignKey("users.id", ondelete="CASCADE")


def _memory_id() -> Column:
    return sa.Column("memory_id", sa.String(32), sa.ForeignKey("memories.id", ondelete="CASCADE"), primary_key=True)


def _user_id() -> Column:
    return sa.Column("user_id", sa.String(128), _of_user(), primary_key=True)


def _record() -> tuple[Column, ...]:
    return (
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(32), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("precedence", sa.LargeBinary(), nullable=False),
        sa.Column("last_read", sa.LargeBinary(), nullable=False),
    )


def _key(name: str, kind: Any = None) -> Column:
    return sa.Column(name, kind or sa.BigInteger(), primary_key=True, autoincrement=False)


def _need(name: str, kind: Any, default: str | None = None) -> Column:
    return sa.Column(name, kind, nullable=False, server_default=default)


def _index(table: str, owner: str) -> None:
    if table in _INDEXED:
        columns = [owner, *_INDEXED[table]]
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)


def _create(table: str, owner: Callable[[], Column], added: tuple[Column, ...]) -> None:
    key = owner()
    unique = (
        [sa.UniqueConstraint(key.name, name, name=f"uq_messages_{key.name}_{name}") for name in ("id", "external_id")]
        if table == "messages"
        else []
    )
    op.create_table(table, key, *_TABLES[table](), *added, *unique)


_ADDED: dict[str, Callable[[], tuple[Column, ...]]] = {
    "messages": lambda: (
        _need("utc_offset", sa.Integer(), "0"),
        sa.Column("name", sa.String(128)),
        _need("metadata", sa.JSON(), "{}"),
        sa.Column("parsed", sa.JSON()),
    ),
    "slots": lambda: (
        _need("standing", sa.Float(), "0"),
        _need("event_from", sa.BigInteger(), "0"),
        _need("event_to", sa.BigInteger(), "0"),
    ),
}
_TABLES: dict[str, Callable[[], tuple[Column, ...]]] = {
    "sessions": lambda: (
        sa.Column("id", sa.String(128), primary_key=True),
        _need("started_at", sa.DateTime()),
        _need("last_at", sa.DateTime()),
        _need("last_seq", sa.BigInteger()),
        _need("messages", sa.Integer()),
    ),
    "messages": lambda: (
        _key("seq"),
        _need("id", sa.String(32)),
        sa.Column("external_id", sa.String(256)),
        _need("session_id", sa.String(128)),
        _need("role", sa.String(16)),
        sa.Column("speaker", sa.String(128)),
        _need("content", sa.Text()),
        _need("occurred_at", sa.DateTime()),
        _need("status", sa.String(16)),
        sa.Column("confidence", sa.Float()),
    ),
    "forgotten": lambda: (
        _key("seq"),
        _need("parts", sa.Integer()),
        _need("gate", sa.Float()),
        _need("after_seq", sa.BigInteger()),
        _need("version", sa.BigInteger()),
    ),
    "slots": lambda: (
        _key("slot", sa.Integer()),
        _need("source", sa.BigInteger()),
        _need("part", sa.Integer()),
        _need("touched", sa.BigInteger()),
        _need("usage", sa.Float()),
        _need("strength", sa.Float()),
        _need("reads", sa.BigInteger()),
        _need("links", sa.LargeBinary()),
        _need("said_at", sa.BigInteger(), "0"),
        _need("feature_bits", sa.BigInteger(), "0"),
    ),
    "words": lambda: (
        _key("slot", sa.Integer()),
        _need("word", sa.LargeBinary()),
        _need("token_ids", sa.LargeBinary()),
        _need("speaker_tokens", sa.LargeBinary(), ""),
    ),
    "reads": lambda: (
        _key("seq"),
        _key("slot", sa.Integer()),
        _need("source", sa.BigInteger()),
        _need("weight", sa.Float()),
        _need("content", sa.Float()),
        _need("forward", sa.Float()),
        _need("backward", sa.Float()),
    ),
}
