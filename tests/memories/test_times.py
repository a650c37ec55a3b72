"""What a time that a text names does to a recall."""

from datetime import UTC, datetime, timedelta

import pytest

from app.memories.memories import Memories
from app.memories.messages import Draft

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)  # a Sunday


async def test_what_was_said_then_is_found_before_what_was_said_at_other_times(memories: Memories) -> None:
    for day in range(30, 0, -1):
        draft = Draft("user", "I worked in the garden and planted things", "s", NOW - timedelta(days=day))
        await memories.remember("ada", [draft])
    plain = await memories.recall("ada", "What did I plant in the garden?", 3, asked_at=NOW)
    dated = await memories.recall("ada", "What did I plant in the garden 3 days ago?", 3, asked_at=NOW)
    assert dated.recollections[0].occurred_at == NOW - timedelta(days=3)
    assert plain.recollections[0].occurred_at != NOW - timedelta(days=3)
    later = await memories.recall(
        "ada", "What did I plant in the garden 3 days ago?", 3, asked_at=NOW + timedelta(days=-10)
    )
    assert later.recollections[0].occurred_at == NOW - timedelta(days=13)
    assert dated.confidence == pytest.approx(later.confidence)
