"""The batching front: what is asked meanwhile is computed at once, and nobody suffers for another's fate."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import torch

from app.memories.device import _CHARACTERS_AT_ONCE, _PIECES_AT_ONCE, Batched, Device
from memory_core.encoder import Encoder, Utterance
from memory_core.episodic import EpisodicMemory
from memory_core.meaning import stretches


class Slow:
    """A computation that waits to be let go, and notes what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()
        self.go.set()

    async def run(self, compute: Callable[[list[int]], list[int]], items: list[int]) -> list[int]:
        await self.go.wait()
        return compute(items)

    def compute(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        if any(item < 0 for item in items):
            raise ValueError("negative")
        return [item * item for item in items]


@pytest.fixture
async def slow() -> Slow:
    return Slow()


@pytest.fixture
async def batched(slow: Slow) -> Batched:
    return Batched(slow.run, slow.compute)


async def together(slow: Slow, *calls: Coroutine[Any, Any, list[Any]]) -> list[asyncio.Task[list[Any]]]:
    """Starts the first call alone; the others arrive while it runs."""
    slow.go.clear()
    tasks = []
    for call in calls:
        tasks.append(asyncio.create_task(call))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return tasks


async def test_what_is_asked_while_one_runs_is_one_batch_and_each_gets_its_own(slow: Slow, batched: Batched) -> None:
    tasks = await together(slow, batched([1]), batched([2, 3]), batched([]), batched([4]))
    slow.go.set()
    assert await asyncio.gather(*tasks) == [[1], [4, 9], [], [16]]
    assert slow.batches == [[1], [2, 3, 4]]


async def test_a_failure_is_the_items_own_and_no_one_elses_of_its_batch(slow: Slow, batched: Batched) -> None:
    tasks = await together(slow, batched([1]), batched([2]), batched([-3, 4]), batched([5]))
    slow.go.set()
    first, second, failed, last = await asyncio.gather(*tasks, return_exceptions=True)
    assert [first, second, last] == [[1], [4], [25]]
    assert str(failed) == "negative"
    assert await batched([5]) == [25]


async def test_a_batch_is_bounded_and_steps_of_long_work_keep_nobody_waiting_for_more_than_one(slow: Slow) -> None:
    batches = list[list[str]]()

    def compute(texts: list[str]) -> list[str]:
        batches.append(texts)
        return texts

    of = Batched(slow.run, compute, most=10)
    step, large, small, one = ["a" * 8], ["b" * 12], ["c"], ["d" * 2]
    calls = of(step, yields=True), of(step, yields=True), of(step, yields=True), of(large), of(small), of(one), of(one)
    tasks = await together(slow, *calls)
    slow.go.set()
    assert await asyncio.gather(*tasks) == [step, step, step, large, small, one, one]
    assert batches == [step, large, step, [*small, *one, *one], step]


async def test_a_caller_that_leaves_harms_nobody(slow: Slow, batched: Batched) -> None:
    tasks = await together(slow, batched([1]), batched([2]), batched([3]))
    tasks[0].cancel()
    tasks[1].cancel()
    await asyncio.sleep(0)
    slow.go.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in ended[:2]] == [asyncio.CancelledError] * 2
    assert ended[2] == [9]
    assert await batched([4]) == [16]


async def test_callers_that_all_leave_a_failing_batch_are_not_missed(slow: Slow, batched: Batched) -> None:
    tasks = await together(slow, batched([-1]))
    tasks[0].cancel()
    slow.go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await batched([2]) == [4]


async def test_all_computing_is_done_by_one_thread_that_is_not_the_event_loops(small_device: Device) -> None:
    names = await asyncio.gather(*(small_device.run(lambda: threading.current_thread().name) for _ in range(20)))
    assert len(set(names)) == 1
    assert names[0] != threading.current_thread().name


async def test_the_other_threads_compute_alone(encoder: Encoder) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        device = Device(lambda: (encoder, EpisodicMemory(encoder)))
        assert await device.run(torch.get_num_threads) == 2
        assert [torch.get_num_threads(), await asyncio.to_thread(torch.get_num_threads)] == [1, 1]
        device.close()
    finally:
        torch.set_num_threads(before)


async def test_texts_encoded_together_come_back_in_order_each_to_its_caller(small_device: Device) -> None:
    texts = [[f"caller {caller} said {number} things" for number in range(1 + 3 * caller)] for caller in range(8)]
    done = await asyncio.gather(*(small_device.encode(mine) for mine in texts))
    for mine, utterances in zip(texts, done, strict=True):
        alone = small_device.encoder.encode(mine)
        assert len(utterances) == len(alone)
        for got, expected in zip(utterances, alone, strict=True):
            assert torch.equal(got.token_ids, expected.token_ids)
            torch.testing.assert_close(got.facets, expected.facets, atol=1e-4, rtol=0)
    assert await small_device.encode([]) == []


@pytest.mark.parametrize("texts", [[f"text {number}" for number in range(1000)], ["猫" * 8000]], ids=["many", "one"])
async def test_long_texts_and_imports_let_others_in_between(
    small_device: Device, monkeypatch: pytest.MonkeyPatch, texts: list[str]
) -> None:
    steps, begun = list[int](), threading.Event()
    real = small_device.encoder.encode_windows

    def encode_windows(windows: list[list[int]]) -> list[Utterance]:
        steps.append(sum(map(len, windows)))
        begun.set()
        return real(windows)

    monkeypatch.setattr(small_device._encoding, "_compute", encode_windows)
    long = asyncio.create_task(small_device.encode(texts))
    await asyncio.to_thread(begun.wait, 10)
    before = len(steps)
    await small_device.encode(["text"])
    assert len(steps) <= before + 2
    assert not long.done()
    assert sum(len(utterance.token_ids) for utterance in await long) == sum(steps) - 1
    assert len(steps) > 3 and max(steps) <= _PIECES_AT_ONCE + 1


async def test_a_text_that_was_encoded_in_steps_is_whole(small_device: Device) -> None:
    texts = ["a river", "", "猫" * 3000, " ".join(f"valley {number}" for number in range(700)), "\n"]
    for got, alone in zip(await small_device.encode(texts), map(small_device.encoder.encode, zip(texts)), strict=True):
        assert torch.equal(got.token_ids, alone[0].token_ids)
        torch.testing.assert_close(got.facets, alone[0].facets, atol=1e-4, rtol=0)


async def test_memories_read_together_are_read_as_if_alone(small_device: Device) -> None:
    memory, encoder = small_device.memory, small_device.encoder
    cues = encoder.encode(["which river?", "And after that?", "a b c", "the valley by the lake in the north"])
    states = []
    for number in range(4):
        state = memory.empty(64)
        for source in range(1, 3 + 5 * number):
            (said,) = encoder.encode([f"in year {source} we saw river {number * source}"])
            state, _ = memory.write_(state, said, source)
        states.append(state)
    before = [state.clone() for state in states]
    together = await asyncio.gather(*(small_device.read(state, [cue]) for state, cue in zip(states, cues, strict=True)))
    for state, copy, cue, got in zip(states, before, cues, together, strict=True):
        (alone,) = memory.read([state], [cue])
        assert torch.equal(got.rows, alone.rows)
        torch.testing.assert_close(got.weights, alone.weights, atol=1e-5, rtol=0)
        assert all(torch.equal(one, other) for one, other in zip(
            state.tensors().values(), copy.tensors().values(), strict=True))  # fmt: skip


async def test_a_long_text_lets_others_in_between_while_its_meaning_is_told(
    small_device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = list[int]()

    def told(texts: list[str]) -> list[torch.Tensor]:
        steps.append(sum(map(len, texts)))
        return [torch.full((2, 3), float(len(text))) for text in texts]

    monkeypatch.setattr(small_device, "_telling", Batched(small_device.run, told, 2 * _CHARACTERS_AT_ONCE))
    texts = ["a short one", "One that is long. " * 1000, "one more"]
    utterances = await small_device.told(await small_device.encode(texts), texts)
    assert max(steps) <= 400, "a stretch by itself, or several short ones"
    for text, utterance in zip(texts, utterances, strict=True):
        assert utterance.meanings is not None
        assert utterance.meanings[:, 0, 0].tolist() == [len(one) for one in stretches(text)]
