"""Parts of the weights that ship, fitted alone and put into the file, whose other tensors stay as they are."""

from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save

from memory_core import weights


def add_to(path: Path, fitted: Path) -> None:
    """Puts what was fitted into a file of weights, in the place of the tensors of the same names.

    Raises:
        weights.WeightsError: the two are for different encoders.
    """
    with safe_open(str(path), "pt") as file, safe_open(str(fitted), "pt") as new:
        metadata, mine = file.metadata() or {}, new.metadata() or {}
    if metadata.get("transformer") != mine.get("transformer"):
        raise weights.WeightsError(f"{path} and {fitted} are for different encoders")
    path.write_bytes(save(load_file(path) | load_file(fitted), metadata))  # the file keeps its mode
