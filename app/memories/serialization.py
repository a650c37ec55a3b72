"""A memory's state as database rows, and back, exactly: what is loaded equals what was stored, tensor by tensor."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from app.store.database import Row
from app.store.memories import MemoryRecord
from memory_core.binary_codes import count_pieces, slot_keys
from memory_core.episodic import EpisodicMemory
from memory_core.state import EpisodicState

_COUNTERS = ("source", "part", "touched", "said_at", "feature_bits", "usage", "strength", "reads")
_LINKS = ("forward_slots", "forward_weights", "backward_slots", "backward_weights")


class DamagedMemory(Exception):
    """Stored rows that are of no state; a replay of the log makes the memory anew."""


def changed_rows(state: EpisodicState, changed: Iterable[int]) -> tuple[list[Row], list[int]]:
    """The rows of changed slots, and which of them are free now."""
    every = sorted(changed)
    index = torch.tensor(every, dtype=torch.int64, device=state.source.device)
    counters = {name: getattr(state, name)[index].tolist() for name in _COUNTERS}
    links = [_bytes(*(getattr(state, name)[slot] for name in _LINKS)) for slot in every]
    rows = [
        {"slot": slot, **{name: values[place] for name, values in counters.items()}, "links": links[place]}
        for place, slot in enumerate(every)
    ]
    return [row for row in rows if row["source"]], [row["slot"] for row in rows if not row["source"]]


def word_rows(state: EpisodicState, written: Iterable[int]) -> list[Row]:
    """The words of slots, without their padding."""
    rows = []
    for slot in sorted(written):
        token_ids = state.token_ids[slot]
        held = int((token_ids >= 0).sum())
        word, speaker_tokens = state.words[slot, :held], state.speaker_tokens[slot]
        rows.append(
            {
                "slot": slot,
                "word": _bytes(word),
                "token_ids": _bytes(token_ids[:held]),
                "speaker_tokens": _bytes(speaker_tokens),
            }
        )
    return rows


def new_head(old: MemoryRecord, state: EpisodicState, last_seq: int) -> MemoryRecord:
    """The memory's row after a change."""
    return dataclasses.replace(
        old,
        version=old.version + 1,
        rows=state.rows,
        last_seq=last_seq,
        precedence=_bytes(state.precedence_slots, state.precedence_weights),
        last_read=_bytes(state.read_slots, state.read_weights),
    )


def load_state(memory: EpisodicMemory, head: MemoryRecord, rows: Sequence[Row]) -> EpisodicState:
    """The state that was stored.

    Raises:
        DamagedMemory: these rows are of no state.
    """
    try:
        return _loaded(memory, head, rows)
    except (ValueError, IndexError) as error:
        raise DamagedMemory(f"the stored memory cannot be read, run `mneme replay`: {error}") from error


def _loaded(memory: EpisodicMemory, head: MemoryRecord, rows: Sequence[Row]) -> EpisodicState:
    state = memory.empty(head.capacity, head.rows)
    device = memory.device
    state.clock.fill_(head.last_seq)
    _fill_(head.precedence, state.precedence_slots, state.precedence_weights)
    _fill_(head.last_read, state.read_slots, state.read_weights)
    if not rows:
        return state
    if max(row["slot"] for row in rows) >= state.rows:
        raise ValueError(f"rows beyond the {state.rows} held")
    index = torch.tensor([row["slot"] for row in rows], device=device)
    for name in _COUNTERS:
        column = getattr(state, name)
        column[index] = torch.tensor([row[name] for row in rows], dtype=column.dtype, device=device)
    links = memory.config.links
    packed = np.frombuffer(b"".join(row["links"] for row in rows), dtype="<i4").reshape(len(rows), 4, links)
    for place, name in enumerate(_LINKS):
        column = getattr(state, name)
        values = np.ascontiguousarray(packed[:, place]).view("<f4" if name.endswith("weights") else "<i4")
        column[index] = torch.from_numpy(values.copy()).to(device, column.dtype)
    words, token_ids = _words(memory, rows)
    state.words[index], state.token_ids[index] = words.to(device), token_ids.to(device)
    voices = np.frombuffer(b"".join(row["speaker_tokens"] for row in rows), dtype="<i4").reshape(len(rows), -1)
    state.speaker_tokens[index] = torch.from_numpy(voices.copy()).to(device, state.speaker_tokens.dtype)
    state.keys[index] = slot_keys(state.words[index], state.token_ids[index])
    state.piece_counts.copy_(count_pieces(state.token_ids, len(state.piece_counts)))
    return state


def _words(memory: EpisodicMemory, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    facets, word = memory.config.facets, memory.config.word // 8
    words, token_ids = np.zeros((len(rows), facets, word), np.uint8), np.full((len(rows), facets), -1, np.int32)
    for place, row in enumerate(rows):
        held = np.frombuffer(row["token_ids"], "<i4")
        token_ids[place, : len(held)] = held
        words[place, : len(held)] = np.frombuffer(row["word"], np.uint8).reshape(-1, word)
    return torch.from_numpy(words), torch.from_numpy(token_ids)


def _bytes(*tensors: Tensor) -> bytes:
    """Little-endian, slots and pieces as 32-bit integers, weights as fp32, words as they are."""
    parts = []
    for tensor in tensors:
        narrow = tensor.to(torch.int32) if tensor.dtype == torch.int64 else tensor
        parts.append(narrow.cpu().contiguous().numpy().tobytes())
    return b"".join(parts)


def _fill_(stored: bytes, slots: Tensor, weights: Tensor) -> None:
    halves = np.frombuffer(stored, "<i4").reshape(2, len(slots))
    slots.copy_(torch.from_numpy(halves[0].copy()))
    weights.copy_(torch.from_numpy(halves[1].view("<f4").copy()))
