"""What takes long runs beside the event loop, so that others are served meanwhile."""

import asyncio
import dataclasses
import time

import pytest
import sqlalchemy as sa

from app.memories.memories import Memories
from app.memories.transfer import export
from app.store import log, tables
from tests.conftest import ON_SQLITE
from tests.memories.histories import logged, memory_id, said

MESSAGES = 6_000
_LONGEST = 0.01  # of the loop's computing in one of its steps; a ratio, for machines differ


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The computing time of each step of the event loop; of its thread alone, for other processes share the cores."""
    found: list[float] = []
    real = asyncio.Handle._run

    def run(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        real(handle)
        found.append(time.thread_time() - began)

    monkeypatch.setattr(asyncio.Handle, "_run", run)
    return found


@ON_SQLITE
async def test_nobody_waits_for_an_export_of_six_thousand_messages(memories: Memories, steps: list[float]) -> None:
    await memories.remember("ada", [said("The garden was lovely, and we stayed until the evening came.")])
    (first,) = await logged(memories, "ada")
    more = [dataclasses.replace(first, seq=n, id=f"{n:032x}") for n in range(2, MESSAGES + 1)]
    async with memories.database.writing() as connection:
        await log.append(connection, await memory_id(memories), more)
        await connection.execute(sa.update(tables.memories).values(last_seq=MESSAGES, checksum=None))
    steps.clear()
    lines = 0
    async for part in await export(memories, "ada"):
        lines += part.count("\n")
    assert lines == MESSAGES + 2  # and a heading and an end
    assert max(steps) < _LONGEST * sum(steps)
