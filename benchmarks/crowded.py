"""Whether a conversation is still found in a memory of 100,000 slots, and what a reading costs there.

The slots around each conversation are those that a training's run folder holds, noised, so that they are as many as are
asked for and none is there twice. Recall with as many candidates as the memory has by default is set beside recall with
twenty times as many; the time is that of a reading in the process, its cue encoded before.
"""

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.bounded import KEPT, recalled
from benchmarks.serving import told_in_one_line
from memory_core.binary_codes import count_pieces, slot_keys
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.state import EpisodicState, StateError
from memory_core.training.conversations import DATA, MissingData
from memory_core.training.datasets import RecallTraining, datasets, written

WIDER = 20  # times the candidates
_FLIPPED = 0.12  # of the bits of a slot that is put in again
_OF_A_SLOT = ("words", "token_ids", "feature_bits", "speaker_tokens", "strength", "said_at")


def crowd(run: Path) -> dict[str, torch.Tensor]:
    """What the slots of a training's memories hold."""
    paths = [path for path in sorted(run.glob("*-*.safetensors")) if _is_other(path.name)]
    states = [EpisodicState.load(path) for path in paths]
    return {name: torch.cat([getattr(one, name)[one.source > 0] for one in states]) for name in _OF_A_SLOT}


def _is_other(name: str) -> bool:
    return not name.startswith(("dev", "locomo", "longmemeval"))


def amid(
    memory: EpisodicMemory, state: EpisodicState, crowd: dict[str, torch.Tensor], slots: int, seed: int
) -> EpisodicState:
    """A memory of so many slots: those of `state` first, then others, each tied to the one before it."""
    drawn, held = torch.Generator().manual_seed(seed), state.slots_used
    full = memory.empty(slots, slots)
    for name, tensor in state.tensors().items():
        ours = getattr(full, name)
        if tensor.dim():
            ours[: len(tensor)] = tensor[: len(ours)]
    chosen = torch.randperm(slots - held, generator=drawn) % len(crowd["words"])
    for name, column in crowd.items():
        getattr(full, name)[held:] = column[chosen]
    order = torch.sort(full.token_ids[held:], dim=1, descending=True, stable=True).indices
    full.token_ids[held:] = full.token_ids[held:].gather(1, order)
    full.words[held:] = full.words[held:].gather(1, order.unsqueeze(2).expand(-1, -1, full.words.shape[2]))
    for words in torch.split(full.words[held:], 5_000):
        for bit in range(8):
            words ^= (torch.rand(words.shape, generator=drawn) < _FLIPPED).to(torch.uint8) << bit
    full.keys.copy_(slot_keys(full.words, full.token_ids))
    full.piece_counts.copy_(count_pieces(full.token_ids, memory.vocabulary))
    full.source.copy_(torch.arange(1, slots + 1))
    full.clock.fill_(slots)
    later = torch.arange(held + 1, slots)
    full.backward_slots[later, 0], full.backward_weights[later, 0] = later - 1, 1.0
    full.forward_slots[later - 1, 0], full.forward_weights[later - 1, 0] = later, 1.0
    return full


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowded", description=__doc__)
    parser.add_argument("run", type=Path, help="the folder of a finished `mneme train recall`")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets (default: %(default)s)")
    parser.add_argument("--set", default="locomo-dev", help="which of them (default: %(default)s)")
    parser.add_argument("--slots", type=int, nargs="+", default=[1_000, 100_000], help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with told_in_one_line(MissingData, StateError):
        gathered, others = datasets(options.data, options.set, RecallTraining()), crowd(options.run)
    encoder = Encoder()
    memory = EpisodicMemory(encoder)
    default, questions = memory.config, sum(len(dataset.questions) for dataset in gathered)
    wider = dataclasses.replace(default, candidates=WIDER * default.candidates)
    kinds = {f"{config.candidates:,} candidates": config for config in (default, wider)}
    print(f"{options.set}, {questions} questions; {len(others['words']):,} other slots\n")
    print(f"| slots | read with | R@{KEPT} | p50 of a reading, ms of CPU time |\n| ---: | --- | ---: | ---: |")
    alone = [written(memory, encoder, dataset) for dataset in gathered]
    for slots in options.slots:
        found, took = dict.fromkeys(kinds, 0.0), {name: list[float]() for name in kinds}
        for number, (dataset, state) in enumerate(zip(gathered, alone, strict=True)):
            full = amid(memory, state, others, slots, number)
            cues = encoder.encode([question.text for question, _, _ in dataset.questions])
            for name, config in kinds.items():
                memory.config = config
                found[name] += len(dataset.questions) / questions * recalled(memory, encoder, dataset, full)
                for cue in cues:
                    began = time.process_time()
                    memory.read([full], [cue])
                    took[name].append(1e3 * (time.process_time() - began))
            print(f"{dataset.name}, {slots:,} slots", file=sys.stderr, flush=True)
        for name in kinds:
            print(f"| {slots:,} | {name} | {found[name]:.1f} | {sorted(took[name])[len(took[name]) // 2]:.1f} |")


if __name__ == "__main__":
    main()
