"""The one place that computes: a thread that runs the encoder and the memory core, batching over users.

Requests that arrive while a batch runs form the next one; what takes long to encode goes in steps. Other threads
do no more than bookkeeping with torch, so that tensor work never competes with itself for the cores.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import torch
from prometheus_client import Gauge
from torch import Tensor

from memory_core.encoder import Encoder, Utterance, joined
from memory_core.episodic import EpisodicMemory
from memory_core.reading import Reading
from memory_core.state import EpisodicState

WAITING = Gauge("mneme_waiting", "Texts to encode and cues to read that wait for the one thread that computes")
_PIECES_AT_ONCE = 512  # a long text or import goes in steps of so many word pieces, and others' messages go between
_MEANINGS_AT_ONCE = 8  # messages, likewise
_SHORT = 2_000  # characters that are cut into word pieces sooner than another thread is woken for it

In = TypeVar("In")
Out = TypeVar("Out")


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
        self._encoding = Batched(self.run, encoder.encode_windows)
        languages = memory.languages
        self._telling = Batched(self.run, languages.of_said) if languages else None
        self._asking = Batched(self.run, languages.of_asked) if languages else None
        self._reading = Batched(self.run, lambda cues: memory.read(*map(list, zip(*cues, strict=True))))

    async def encode(self, texts: Sequence[str]) -> list[Utterance]:
        """An utterance a text, in order."""
        if sum(map(len, texts)) <= _SHORT:
            cut = self.encoder.windows(texts)
        else:
            cut = await asyncio.get_running_loop().run_in_executor(self._cutting, self.encoder.windows, texts)
        encoded: list[Utterance] = []
        for step in _steps(list(chain(*cut))):
            encoded += await self._encoding(step)
        counts = [len(windows) for windows in cut]
        return encoded if max(counts, default=1) == 1 else await self.run(joined, encoded, counts)

    async def told(self, utterances: Sequence[Utterance], texts: Sequence[str]) -> list[Utterance]:
        """Utterances of messages with the meanings of their texts, where the memory has a use for these."""
        if self._telling is None:
            return list(utterances)
        meanings: list[Tensor] = []
        for start in range(0, len(texts), _MEANINGS_AT_ONCE):
            meanings += await self._telling(texts[start : start + _MEANINGS_AT_ONCE])
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


def _steps(windows: list[list[int]]) -> Iterator[list[list[int]]]:
    step: list[list[int]] = []
    for window in windows:
        if step and sum(map(len, step)) + len(window) > _PIECES_AT_ONCE:
            yield step
            step = []
        step.append(window)
    if step:
        yield step


class Batched:
    """Gathers what is asked while the last batch runs, and computes it at once."""

    def __init__(
        self, run: Callable[..., Coroutine[Any, Any, list[Any]]], compute: Callable[[list[Any]], list[Any]]
    ) -> None:
        self._run, self._compute = run, compute
        self._waiting: list[tuple[Sequence[Any], asyncio.Future[list[Any]]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, items: Sequence[Any]) -> list[Any]:
        result: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, result))
        WAITING.inc(len(items))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return await result

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            WAITING.dec(sum(len(items) for items, _ in batch))
            await self._answer(batch)

    async def _answer(self, batch: Sequence[tuple[Sequence[Any], asyncio.Future[list[Any]]]]) -> None:
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
