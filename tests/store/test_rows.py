"""Checksums: over every column of a memory's state, so that none can be damaged unseen."""

from typing import Any

import pytest
import sqlalchemy as sa

from app.store import rows, tables

CHECKED = {tables.slots: rows.slot_checksum, tables.words: rows.word_checksum}


def row_of(table: sa.Table) -> dict[str, Any]:
    kinds = {sa.LargeBinary: b"\x01\x02", sa.Float: 0.5}
    return {column.name: kinds.get(type(column.type), 7) for column in table.columns}


@pytest.mark.parametrize(
    ("table", "name"),
    [
        pytest.param(table, column.name, id=f"{table.name}.{column.name}")
        for table in CHECKED
        for column in table.columns
        if column.name not in ("memory_id", "checksum", "sealed")
    ],
)
def test_the_checksum_covers_every_column(table: sa.Table, name: str) -> None:
    checksum, row = CHECKED[table], row_of(table)
    before = checksum("memory", row)
    other = row[name] + (b"\x00" if isinstance(row[name], bytes) else 1)
    assert checksum("memory", {**row, name: other}) != before
    assert checksum("another", row) != before


def test_values_of_another_type_have_no_checksum() -> None:
    with pytest.raises(rows.DamagedRow), rows.readable("a row"):
        rows.slot_checksum("memory", {**row_of(tables.slots), "usage": "a lot"})
