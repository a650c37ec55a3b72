"""The cache keeps its bound and never gives what is out of date; the locks let a user's callers in as they came."""

import asyncio
import dataclasses

import pytest

from app.memories.cache import Cache, CachedMemory, Locks
from app.memories.device import Device
from app.store.memories import MemoryRecord
from tests.memories.conftest import Another
from tests.memories.histories import History, assert_whole, differing, live_state, said

HEAD = MemoryRecord("a" * 32, 1, "f" * 16, 64, 16, 3, b"", b"")


@pytest.fixture
def live(small_device: Device) -> CachedMemory:
    return CachedMemory(HEAD, small_device.memory.empty(64))


def kept(cache: Cache) -> list[str]:
    return [user for user in map(str, range(100)) if cache.get(user, HEAD)]


def test_the_bound_holds_and_the_least_recently_used_go_first(live: CachedMemory) -> None:
    size = live.state.nbytes
    cache = Cache(3 * size + 1)
    for number in range(3):
        cache.put(str(number), live)
    cache.get("0", HEAD)
    cache.put("3", live)
    assert (len(cache), cache.bytes) == (3, 3 * size)
    assert kept(cache) == ["0", "2", "3"]


def test_a_memory_larger_than_the_bound_is_kept_alone(live: CachedMemory) -> None:
    cache = Cache(1)
    for number in range(3):
        cache.put(str(number), live)
        assert (len(cache), cache.bytes) == (1, live.state.nbytes)
    assert kept(cache) == ["2"]


def test_what_a_memory_grew_by_is_counted(live: CachedMemory, small_device: Device) -> None:
    cache = Cache(10**9)
    cache.put("ada", live)
    grown = CachedMemory(HEAD, small_device.memory.empty(64, 64))
    cache.put("ada", grown)
    assert cache.bytes == grown.state.nbytes > live.state.nbytes
    cache.drop("ada")
    cache.drop("ada")
    assert (len(cache), cache.bytes) == (0, 0)


@pytest.mark.parametrize("other", [{"version": 2}, {"version": 0}, {"id": "b" * 32}])
def test_a_memory_of_another_version_or_begun_anew_is_dropped(live: CachedMemory, other: dict[str, int]) -> None:
    cache = Cache(10**9)
    cache.put("ada", live)
    assert cache.get("ada", HEAD) is live
    assert cache.get("ada", dataclasses.replace(HEAD, **other)) is None  # type: ignore[arg-type]
    assert (len(cache), cache.bytes) == (0, 0)


async def test_memories_that_fit_no_cache_are_the_same_memories(another: Another) -> None:
    of, bound = another(cache_bytes=1), another()
    histories = [History(of, f"user{number}", number) for number in range(3)]
    for _ in range(4):
        await asyncio.gather(*(history.go_on(2) for history in histories))
        assert len(of.live.cache) == 1
    for history in histories:
        await assert_whole(of, history.user_id)
        assert differing(await live_state(of, history.user_id), await live_state(bound, history.user_id)) == []
    assert len(bound.live.cache) == 3
    assert bound.live.cache.bytes == sum([(await live_state(bound, one.user_id)).nbytes for one in histories])


async def test_a_memory_evicted_while_its_user_speaks_loses_nothing(another: Another) -> None:
    of = another(cache_bytes=1)
    await of.remember("ada", [said("a river")])
    entered, released = asyncio.Event(), asyncio.Event()

    async def view(_: CachedMemory) -> None:
        entered.set()
        await released.wait()

    looking = asyncio.create_task(of.inspect("ada", view))
    await entered.wait()
    await of.remember("bob", [said("a valley")])
    speaking = asyncio.create_task(of.remember("ada", [said("a forest")]))
    released.set()
    await asyncio.gather(looking, speaking)
    await assert_whole(of, "ada")
    await assert_whole(of, "bob")


async def test_callers_of_one_user_enter_in_the_order_in_which_they_came() -> None:
    locks, entered, inside = Locks(), list[int](), 0

    async def enter(number: int) -> None:
        nonlocal inside
        async with locks.holding("ada"):
            inside += 1
            assert inside == 1
            entered.append(number)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(enter(number) for number in range(20)))
    assert entered == list(range(20))
    assert not locks._locks


async def test_a_caller_that_leaves_the_queue_or_fails_blocks_nobody() -> None:
    locks, entered = Locks(), list[int]()

    async def enter(number: int) -> None:
        async with locks.holding("ada"):
            entered.append(number)
            await asyncio.sleep(0.01)
            if number == 0:
                raise ZeroDivisionError

    tasks = [asyncio.create_task(enter(number)) for number in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert entered == [0, 2, 3]
    assert [type(one) for one in ended[:2]] == [ZeroDivisionError, asyncio.CancelledError]
    assert not locks._locks


async def test_users_do_not_wait_for_each_other() -> None:
    locks = Locks()
    async with locks.holding("ada"), asyncio.timeout(1), locks.holding("bob"):
        assert set(locks._locks) == {"ada", "bob"}
    assert not locks._locks
