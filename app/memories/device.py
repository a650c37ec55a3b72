"""The one place that computes: a thread that runs the encoder and the memory core, batching over users.

Requests that arrive while a batch runs form the next one; what takes long to encode goes in steps. Other threads
do no more than bookkeeping with torch, so that tensor work never competes with itself for the cores.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

import torch
from prometheus_client import Gauge
from torch import Tensor

from memory_core.encoder import Encoder, Utterance, joined
from memory_core.episodic import EpisodicMemory
from memory_core.meaning import stretches
from memory_core.reading import Reading
from memory_core.state import EpisodicState

WAITING = Gauge("mneme_waiting", "Texts to encode and cues to read that wait for the one thread that computes")
# A long text or import goes in steps of so much, and others' messages go between: some 20 ms on one core, at no cost.
_PIECES_AT_ONCE = 64  # word pieces
_CHARACTERS_AT_ONCE = 128  # for the multilingual encoder
_STEPS_AT_ONCE = 2  # so much in a batch of many callers
_SHORT = 2_000  # characters that are cut into word pieces sooner than another thread is woken for it

Item = TypeVar("Item", bound=Sequence[Any])
Out = TypeVar("Out")


Asked = tuple[Sequence[Any], asyncio.Future[list[Any]]]


class Cue(NamedTuple):
    """What one read needs."""

    state: EpisodicState
    cues: Sequence[Utterance]
    among: Tensor | None
    span: tuple[int, int] | None


class Device:
    """The encoder and the memory core behind an asynchronous, batching front.

    Args:
        load: makes them; it runs in the thread that will use them. A second thread that had ever computed would make
            OpenMP count more threads than cores, and let them sleep between any two operations: a third slower.
    """

    def __init__(self, load: Callable[[], tuple[Encoder, EpisodicMemory]]) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="device")
        self.encoder, self.memory = encoder, memory = self._thread.submit(load).result()
        self.fingerprint = self._thread.submit(memory.fingerprint).result()
        # That thread has its count of cores now; this one, and those to come, form no team with one operation too many.
        torch.set_num_threads(1)
        # Cutting a text into word pieces is no matter of torch, and need not wait for the step that runs.
        self._cutting = ThreadPoolExecutor(1, thread_name_prefix="word pieces")
        self._encoding = Batched(self.run, encoder.encode_windows, _STEPS_AT_ONCE * _PIECES_AT_ONCE)
        languages, most = memory.languages, _STEPS_AT_ONCE * _CHARACTERS_AT_ONCE
        self._telling = Batched(self.run, languages.of_stretches, most) if languages else None
        self._asking = Batched(self.run, languages.of_asked, most) if languages else None
        self._reading = Batched(self.run, lambda cues: memory.read(*map(list, zip(*cues, strict=True))))

    async def encode(self, texts: Sequence[str]) -> list[Utterance]:
        """An utterance a text, in order."""
        if sum(map(len, texts)) <= _SHORT:
            cut = self.encoder.windows(texts)
        else:
            cut = await asyncio.get_running_loop().run_in_executor(self._cutting, self.encoder.windows, texts)
        encoded: list[Utterance] = await _in_steps(self._encoding, chain(*cut), _PIECES_AT_ONCE)
        counts = [len(windows) for windows in cut]
        return encoded if max(counts, default=1) == 1 else await self.run(joined, encoded, counts)

    async def told(self, utterances: Sequence[Utterance], texts: Sequence[str]) -> list[Utterance]:
        """Utterances of messages with the meanings of their texts, where the memory has a use for these."""
        if self._telling is None:
            return list(utterances)
        cut = [stretches(text) for text in texts]
        left = iter(await _in_steps(self._telling, chain(*cut), _CHARACTERS_AT_ONCE))
        meanings = [torch.stack(list(islice(left, len(one)))) for one in cut]
        return [one._replace(meanings=told) for one, told in zip(utterances, meanings, strict=True)]

    async def asked(self, state: EpisodicState, cues: Sequence[Utterance], texts: Sequence[str]) -> list[Utterance]:
        """Cues with the meanings of their texts, where they or the memory are foreign to the encoder."""
        if self._asking is None or not any(self.memory.is_foreign(state, cue) for cue in cues):
            return list(cues)
        return [one._replace(meanings=told) for one, told in zip(cues, await self._asking(texts), strict=True)]

    async def read(
        self,
        state: EpisodicState,
        cues: Sequence[Utterance],
        among: Tensor | None = None,
        span: tuple[int, int] | None = None,
    ) -> Reading:
        """Reads one memory; the caller keeps others from changing it meanwhile.

        Args:
            cues: of one reading, the main one first; see `EpisodicMemory.read`.
        """
        reading: Reading = (await self._reading([Cue(state, cues, among, span)]))[0]
        return reading

    async def run(self, compute: Callable[..., Out], *args: Any) -> Out:
        """Runs a computation where all others run."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, compute, *args)

    def close(self) -> None:
        """Waits for what runs, and takes no more."""
        self._cutting.shutdown()
        self._thread.shutdown()


async def _in_steps(
    compute: Callable[[Sequence[Any], bool], Coroutine[Any, Any, list[Any]]], items: Iterable[Item], most: int
) -> list[Any]:
    """What is computed of items, so much of them at a time; where that takes several steps, they yield to all else."""
    steps, found = list(_steps(items, most)), list[Any]()
    for step in steps:
        found += await compute(step, len(steps) > 1)
    return found


def _steps(items: Iterable[Item], most: int) -> Iterator[list[Item]]:
    step, size = list[Item](), 0
    for item in items:
        if step and size + len(item) > most:
            yield step
            step, size = [], 0
        step.append(item)
        size += len(item)
    if step:
        yield step


class Batched:
    """Gathers what is asked while the last batch runs, and computes it at once, in the order in which it came.

    What is one of many steps yields to all else: such a step is a batch of its own, and comes after every other batch.

    Args:
        most: length that the items of a batch have together, where that is bounded.
    """

    def __init__(
        self,
        run: Callable[..., Coroutine[Any, Any, list[Any]]],
        compute: Callable[[list[Any]], list[Any]],
        most: int | None = None,
    ) -> None:
        self._run, self._compute, self._most = run, compute, most
        self._waiting, self._steps, self._step_is_next = deque[Asked](), deque[Asked](), False
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, items: Sequence[Any], yields: bool = False) -> list[Any]:
        result: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        (self._steps if yields else self._waiting).append((items, result))
        WAITING.inc(len(items))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return await result

    async def _work(self) -> None:
        while self._waiting or self._steps:
            batch = self._next()
            WAITING.dec(sum(len(items) for items, _ in batch))
            await self._answer(batch)

    def _next(self) -> list[Asked]:
        """A step, or whoever has waited longest and the next ones as far as they fit."""
        self._step_is_next &= bool(self._steps)
        if self._step_is_next or not self._waiting:
            self._step_is_next = False
            return [self._steps.popleft()]
        self._step_is_next = True
        batch = [self._waiting.popleft()]
        while self._waiting and self._fits([*batch, self._waiting[0]]):
            batch.append(self._waiting.popleft())
        return batch

    def _fits(self, batch: Sequence[Asked]) -> bool:
        return self._most is None or sum(len(item) for items, _ in batch for item in items) <= self._most

    async def _answer(self, batch: Sequence[Asked]) -> None:
        """Computes a batch; where that fails, each caller's items by themselves, so that errors are the item's own."""
        try:
            done = await self._run(self._compute, [item for items, _ in batch for item in items])
        except Exception as error:
            if len(batch) > 1:
                for one in batch:
                    if not one[1].done():  # whoever asked may have gone
                        await self._answer([one])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for items, result in batch:
            mine, done = done[: len(items)], done[len(items) :]
            if not result.done():
                result.set_result(mine)
