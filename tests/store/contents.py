"""What a database holds, table by table, whatever the schema: read with SQL of its own, not by the code under test."""

from typing import Any

import sqlalchemy as sa

from app.store.database import Database

Tables = dict[str, list[dict[str, Any]]]


async def tables(database: Database) -> Tables:
    """Every row of every table, in no matter what order, sorted."""
    async with database.reading() as connection:
        names = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
        found: Tables = {}
        for name in sorted(names):
            rows = await connection.execute(sa.select(sa.text("*")).select_from(sa.table(name)))
            found[name] = sorted((dict(row._mapping) for row in rows), key=repr)
    return found


def of_user(everything: Tables, user_id: str) -> Tables:
    """The rows that name the user, or a memory of theirs, in any column."""
    named = {user_id, *(row["id"] for row in everything["memories"] if row["owner_id"] == user_id)}
    return {
        name: kept
        for name, rows in everything.items()
        if (kept := [row for row in rows if any(value in named for value in row.values() if isinstance(value, str))])
    }


def holding(everything: Tables, needle: str | bytes) -> list[str]:
    """The columns in which a text or a sequence of bytes stands, as `table.column`."""
    return sorted({
        f"{table}.{column}"
        for table, rows in everything.items()
        for row in rows
        for column, value in row.items()
        if isinstance(value, str | bytes) and _within(needle, value)
    })  # fmt: skip


def _within(needle: str | bytes, value: str | bytes) -> bool:
    as_bytes = needle.encode() if isinstance(needle, str) else needle
    return as_bytes in (value.encode() if isinstance(value, str) else value)
