"""The weights that ship: what `mneme train recall`, `standing` and `babi` made, for one transformer.

README.md beside this tells how.
"""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

RECALL = Path(__file__).with_name("recall.safetensors")
BABI = Path(__file__).with_name("babi.safetensors")  # see `memory_core.stories.answering`
SUCCESSION = Path(__file__).with_name("succession.safetensors")
SCHEMA = "7"


class WeightsError(ValueError):
    """A file of weights that cannot be used; the message says why."""


def metadata(transformer: str, word: int) -> dict[str, str]:
    """What a file of weights says of itself."""
    return {"schema": SCHEMA, "transformer": transformer, "word": str(word)}


def of(transformer: str, word: int, path: Path = RECALL) -> dict[str, Tensor] | None:
    """The weights of the memory's reading, by name.

    Args:
        transformer: the fingerprint of the encoder's transformer.
        word: width of a facet.

    Returns:
        None where the file is of another transformer or width: then the memory works untrained.

    Raises:
        WeightsError: the file is damaged, or of a schema that this version does not know.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(str(path), "pt") as file:
            told = file.metadata() or {}
            if told.get("schema") != SCHEMA:
                raise WeightsError(f"{path}: weights of schema {told.get('schema')}, this version reads {SCHEMA}")
            if (told.get("transformer"), told.get("word")) != (transformer, str(word)):
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a safetensors file ({error}); install Mneme anew") from None
