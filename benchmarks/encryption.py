"""What encryption costs: turns and recalls of two memories in one process, one encrypted, one not, the two by turns.

Both hold the same texts, on SQLite files of their own, with the encoders that the settings want. Each pair meets the
machine as it is then, and CPU time is told beside it, so that the ratios hold where the times do not. Loading a memory
that is not in the cache is told apart.

    python -m benchmarks.encryption
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from app.main import open_device
from app.memories.device import Device
from app.memories.memories import Memories
from app.memories.messages import Draft
from app.settings import Settings
from app.store import sealing
from app.store.database import Database
from app.store.encryption import KeyRing
from app.store.migration import migrate

K, HISTORY, USER = 8, 6, "ada"
_PLACES = ("harbour", "library", "kitchen", "garden", "station", "market", "bridge", "office")
_THINGS = ("kettle", "anchor", "ticket", "ladder", "letter", "violin", "lantern", "parcel", "bicycle")


def text(number: int) -> str:
    """One of many sentences, each another one."""
    place, thing = _PLACES[number % len(_PLACES)], _THINGS[number % len(_THINGS)]
    return f"On day {number} I left the {thing} at the {place}, near table {number % 97}."


def draft(content: str) -> Draft:
    """A message of now."""
    return Draft("user", content, "s", datetime.now(UTC))


async def opened(folder: Path, device: Device, ring: KeyRing | None, messages: int) -> Memories:
    """Memories over a new file, with so many messages of one user."""
    url = f"sqlite:///{folder}/{'encrypted' if ring else 'plain'}.db"
    await migrate(url)
    database = Database(url, ring=ring)
    await sealing.check(database)
    of = Memories(database, device, 4096, 256 * 2**20)
    for start in range(0, messages, 100):
        await of.remember(USER, [draft(text(number)) for number in range(start, min(start + 100, messages))])
    return of


async def milliseconds(call: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """How long a call takes, and the CPU time of all threads meanwhile."""
    began, computed = time.perf_counter(), time.process_time()
    await call()
    return 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - computed)


async def measure(messages: int, pairs: int) -> None:
    """Measures and prints."""
    device = open_device(Settings(_env_file=None))
    with tempfile.TemporaryDirectory() as folder:
        both = [await opened(Path(folder), device, ring, messages) for ring in (None, KeyRing([os.urandom(32)]))]

        def turn(of: Memories, number: int) -> Awaitable[object]:
            return of.recall_and_store(USER, draft(f"Where did I leave the thing of day {number}?"), K, HISTORY)

        def recall(of: Memories, number: int) -> Awaitable[object]:
            return of.recall(USER, f"Where was the {_THINGS[number % len(_THINGS)]} on day {number}?", K)

        def load(of: Memories, number: int) -> Awaitable[object]:
            of.live.cache.drop(USER)
            return recall(of, number)

        for name, act in (("a turn", turn), ("a recall", recall), ("a recall, memory loaded first", load)):
            times: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
            for number in range(-2, pairs):
                for place in (0, 1) if number % 2 else (1, 0):  # each is as often the first of the two
                    took = await milliseconds(partial(act, both[place], number % messages))
                    if number >= 0:
                        times[place].append(took)
            for kind, of_kind in (("", 0), (", CPU time", 1)):
                one, other = ([took[of_kind] for took in each] for each in times)
                plain, encrypted = statistics.median(one), statistics.median(other)
                ratio = statistics.median(b / a for a, b in zip(one, other, strict=True))
                told = f"{plain:8.2f} ms plain {encrypted:8.2f} ms encrypted   median of ratios {ratio:.3f}"
                print(f"{name + kind:42} {told}", flush=True)
        for of in both:
            await of.database.close()
    device.close()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=100)
    given = parser.parse_args()
    asyncio.run(measure(given.messages, given.pairs))


if __name__ == "__main__":
    main()
