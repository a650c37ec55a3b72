"""A memory's state as database rows, and back, exactly: what is loaded equals what was stored, tensor by tensor."""

import dataclasses
import struct
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from app.store.database import Row
from app.store.memories import MemoryRecord
from app.store.rows import slot_checksum, word_checksum
from memory_core.binary_codes import count_pieces, slot_keys
from memory_core.episodic import EpisodicMemory
from memory_core.message_features import only_requests
from memory_core.state import EpisodicState

_COUNTERS = (
    "source", "part", "touched", "said_at", "event_from", "event_to", "feature_bits", "usage", "strength", "standing",
    "foreign_share", "reads",
)  # fmt: skip
_LINKS = ("forward_slots", "forward_weights", "backward_slots", "backward_weights")

_SLACK = 1e-3
_MOST_SLOTS = 1_000_000


class DamagedMemory(Exception):
    """Stored rows that are of no state; a replay of the log makes the memory anew."""


def changed_rows(state: EpisodicState, changed: Iterable[int]) -> tuple[list[Row], list[int]]:
    """The rows of changed slots, and which of them are free now."""
    every = sorted(changed)
    index = torch.tensor(every, dtype=torch.int64, device=state.source.device)
    counters = {name: getattr(state, name)[index].tolist() for name in _COUNTERS}
    links = _links(state, index)
    rows = [
        {"slot": slot, **{name: values[place] for name, values in counters.items()}, "links": links[place]}
        for place, slot in enumerate(every)
    ]
    return [row for row in rows if row["source"]], [row["slot"] for row in rows if not row["source"]]


def _links(state: EpisodicState, index: Tensor) -> list[bytes]:
    parts = []
    for name in _LINKS:
        column = getattr(state, name)[index]
        parts.append((column.to(torch.int32) if column.dtype == torch.int64 else column).cpu().numpy().view("<i4"))
    packed = np.ascontiguousarray(np.stack(parts, 1))
    return [one.tobytes() for one in packed]


def word_rows(state: EpisodicState, written: Iterable[int]) -> list[Row]:
    """The words of slots, without their padding."""
    every = sorted(written)
    index = torch.tensor(every, dtype=torch.int64, device=state.source.device)
    words, sentences, meanings = (
        getattr(state, name)[index].cpu().numpy() for name in ("words", "sentence", "meaning")
    )
    token_ids, voices = (
        getattr(state, name)[index].to(torch.int32).cpu().numpy().astype("<i4", copy=False)
        for name in ("token_ids", "speaker_tokens")
    )
    held = (token_ids >= 0).sum(1).tolist()
    return [
        {
            "slot": slot,
            "word": words[place, : held[place]].tobytes(),
            "token_ids": token_ids[place, : held[place]].tobytes(),
            "speaker_tokens": voices[place].tobytes(),
            "sentence": sentences[place].tobytes(),
            "meaning": meanings[place].tobytes(),
        }
        for place, slot in enumerate(every)
    ]


def new_head(old: MemoryRecord, state: EpisodicState, last_seq: int) -> MemoryRecord:
    """The memory's row after a change."""
    return dataclasses.replace(
        old,
        version=old.version + 1,
        rows=state.rows,
        last_seq=last_seq,
        precedence=_bytes(state.precedence_slots, state.precedence_weights),
        last_read=_bytes(state.read_slots, state.read_weights),
        held=int((state.source > 0).sum()),
    )


def load_state(memory: EpisodicMemory, head: MemoryRecord, rows: Sequence[Row], verified: bool = True) -> EpisodicState:
    """The state that was stored.

    Args:
        verified: whether rows that do not agree with their checksums are refused.

    Raises:
        DamagedMemory: these rows are of no state.
    """
    try:
        if verified:
            compare_checksums(head, rows)
        state = _loaded(memory, head, rows)
        _check(state, head, memory.vocabulary)
    except (ValueError, IndexError, TypeError, OverflowError, RuntimeError, struct.error) as error:
        told = str(error).splitlines()[0]
        raise DamagedMemory(f"the stored memory cannot be read, run `mneme replay`: {told}") from error
    return state


def compare_checksums(head: MemoryRecord, rows: Sequence[Row]) -> None:
    """Makes sure that rows are what was written.

    Raises:
        ValueError, TypeError, struct.error: they are not.
    """
    if head.held is not None and len(rows) != head.held:
        raise ValueError(f"{len(rows)} of {head.held} rows are there")
    for row in rows:
        for stored, computed in ((row["checksum"], slot_checksum), (row["word_checksum"], word_checksum)):
            if stored is not None and stored != computed(head.id, row):
                raise ValueError("a row does not agree with its checksum")


def _check(state: EpisodicState, head: MemoryRecord, vocabulary: int) -> None:
    """Refuses what no write or reading gives: checked once here, so that no later computation meets it."""
    used, rows, last = state.source > 0, state.rows, head.last_seq
    bounds: dict[str, tuple[float, float]] = {
        "source": (0, last), "touched": (0, last), "part": (0, 2**31), "reads": (0, 2**62), "feature_bits": (0, 2**62),
        "usage": (-_SLACK, 1 + _SLACK), "strength": (-_SLACK, 1 + _SLACK),
        "foreign_share": (0, 1),
        "forward_slots": (-1, rows - 1), "backward_slots": (-1, rows - 1), "precedence_slots": (-1, rows - 1),
        "read_slots": (-1, rows - 1), "forward_weights": (0, 1 + _SLACK), "backward_weights": (0, 1 + _SLACK),
        "precedence_weights": (0, 1 + _SLACK), "read_weights": (0, 1 + _SLACK),
        "token_ids": (-1, vocabulary - 1), "speaker_tokens": (-1, vocabulary - 1),
    }  # fmt: skip
    for name, (least, most) in bounds.items():
        tensor = getattr(state, name)
        if not bool(((tensor >= least) & (tensor <= most)).all()):  # what is not a number is neither
            raise ValueError(f"{name} lies outside of {least:g} to {most:g}")
    for name in ("forward_slots", "backward_slots", "precedence_slots"):
        linked = getattr(state, name)
        if not bool(used[linked[linked >= 0]].all()):
            raise ValueError(f"{name} names a slot that holds nothing")


def _loaded(memory: EpisodicMemory, head: MemoryRecord, rows: Sequence[Row]) -> EpisodicState:
    if not 0 < head.capacity <= _MOST_SLOTS or not 0 <= head.rows <= head.capacity * memory.config.sharing:
        raise ValueError(f"{head.rows} rows in {head.capacity} slots")
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
    sentences = np.frombuffer(b"".join(row["sentence"] for row in rows), np.int8).reshape(len(rows), -1)
    state.sentence[index] = torch.from_numpy(sentences.copy()).to(device)
    meanings = np.frombuffer(b"".join(row["meaning"] for row in rows), np.int8)
    state.meaning[index] = torch.from_numpy(meanings.reshape(len(rows), memory.config.meaning).copy()).to(device)
    state.keys[index] = slot_keys(state.words[index], state.token_ids[index])
    state.piece_counts.copy_(count_pieces(state.token_ids, len(state.piece_counts), ~only_requests(state.feature_bits)))
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
