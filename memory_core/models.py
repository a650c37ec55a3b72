"""Every recurrent member by its name, for those who choose one in a configuration."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args

from memory_core.controllers import ControllerConfig, Kind, Plain, PlainConfig
from memory_core.dnc import DNC, DNCConfig
from memory_core.ntm import NTM, NTMConfig
from memory_core.recurrent import Recurrent
from memory_core.sparse_dnc import SparseDNC, SparseDNCConfig

Name = Literal["ntm", "dnc", "dnc-mds", "sdnc", "sam", "feedforward", "rnn", "gru", "lstm", "transformer"]
NAMES: tuple[Name, ...] = get_args(Name)

_MEMBERS: dict[str, tuple[Callable[..., Recurrent[Any]], Any]] = {
    "ntm": (NTM, NTMConfig()),
    "dnc": (DNC, DNCConfig()),
    "dnc-mds": (DNC, DNCConfig(masked=True, deallocate=True, link_sharpness=True)),  # Csordas & Schmidhuber 2019
    "sdnc": (SparseDNC, SparseDNCConfig()),
    "sam": (SparseDNC, SparseDNCConfig(temporal=False)),
} | {kind: (Plain, PlainConfig(ControllerConfig(kind))) for kind in get_args(Kind)}


def build(name: str, inputs: int, outputs: int, **overrides: Any) -> Recurrent[Any]:
    """A member with its default configuration, changed where `overrides` names a field of it.

    Args:
        name: one of `NAMES`: of a member with a memory, or of a kind of controller, which is then alone (`Plain`).

    Raises:
        ValueError: no such member.
        TypeError: its configuration has no such field.

    >>> build("dnc", 8, 8, slots=32, controller=ControllerConfig("gru", hidden=64))
    """
    if name not in _MEMBERS:
        raise ValueError(f"no member {name!r}; there are {', '.join(NAMES)}")
    member, config = _MEMBERS[name]
    config = dataclasses.replace(config, **overrides)
    if member is Plain:
        config = dataclasses.replace(config, controller=dataclasses.replace(config.controller, kind=name))
    return member(inputs, outputs, config)
