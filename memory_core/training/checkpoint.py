"""Checkpoints: all that a run needs to go on as if it had never stopped, in one safetensors file, read without running
code.

A file holds the network's parameters and buffers, the optimiser's state, the generators' states, and notes as JSON. It
appears whole or not at all: whoever is killed while writing leaves the one before.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

Notes = dict[str, Any]  # what JSON can hold

_KIND = {"kind": "checkpoint", "schema": "2"}


class CheckpointError(ValueError):
    """A file that is no checkpoint, or one of another network or optimiser."""


def save(
    path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, generator: torch.Generator, notes: Notes
) -> None:
    """Writes a checkpoint in place of the one before."""
    state = optimiser.state_dict()
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for index, moments in state["state"].items():
        tensors |= {f"optimiser.{index}.{name}": tensor for name, tensor in moments.items()}
    tensors |= {"random.own": generator.get_state()} | _global_random()
    metadata = _KIND | {"groups": json.dumps(state["param_groups"]), "notes": json.dumps(notes)}
    unfinished = path.with_suffix(".unfinished")
    save_file(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, unfinished, metadata
    )
    os.replace(unfinished, path)


def load(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, generator: torch.Generator) -> Notes:
    """Puts a checkpoint into a network, an optimiser and a generator like those that were saved, and into PyTorch's own
    generators.

    Returns:
        The notes.

    Raises:
        CheckpointError: no such file, not a checkpoint, or one of another network or optimiser.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None
    if any(metadata.get(key) != value for key, value in _KIND.items()):
        raise CheckpointError(f"{path} is no checkpoint of schema {_KIND['schema']}: {metadata}")
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("optimiser.", tensors).items():
        index, _, key = name.partition(".")
        moments.setdefault(int(index), {})[key] = tensor
    try:
        network.load_state_dict(_under("network.", tensors))
        optimiser.load_state_dict({"state": moments, "param_groups": json.loads(metadata["groups"])})
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} is of another network or optimiser: {error}") from None
    generator.set_state(tensors["random.own"])
    torch.set_rng_state(tensors["random.cpu"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    notes: Notes = json.loads(metadata["notes"])
    return notes


def _global_random() -> dict[str, Tensor]:
    """PyTorch's own generators, from which dropout draws."""
    states = {"random.cpu": torch.get_rng_state()}
    return states | ({"random.cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
