"""The multilingual encoder: a text in any of a hundred languages -> what it means and how it is said, a vector each.

multilingual-e5-small (Wang et al. 2024), 4 bits a weight, run by onnxruntime, with gains and biases of its upper layers
that were learned here (`training.fit_multilingual`). It is what the memory knows of texts that the first encoder, which
has late interaction and knows English, was never taught. The meaning is of the last layer; the middle one, which
nothing learned here changes, tells better whether a text asks, denies or tells a change. It must not know what is
remembered.
"""

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from jaxtyping import Float, Int
from safetensors.numpy import load
from torch import Tensor
from torch.nn import functional

from memory_core.e5_weights import SHA256, E5Weights, Floats
from memory_core.unigram import Unigram

GRAPH = Path(__file__).parent / "weights" / "multilingual.onnx"
TUNED = GRAPH.with_name("multilingual.safetensors")
MEANING, FORM = 0, 1  # the rows of a text
_SPACE = "▁"  # stands for a space before a word
_PREFIX = {True: "query: ", False: "passage: "}  # it was trained with these before a question, and before what answers


class MultilingualEncoder:
    """Turns texts into two vectors each, of which the first has length 1.

    Args:
        tuned: whether the gains and biases that were learned here take the place of the package's.

    Raises:
        MissingWeights: the package with its weights is not installed.

    Example:
        >>> cue, said = encoder.encode(["Wie heißt mein Hund?"], True), encoder.encode(["My dog is Biscuit"], False)
    """

    def __init__(self, tuned: bool = True) -> None:
        held = E5Weights()
        learned = TUNED.read_bytes() if tuned else b""
        self._fingerprint = hashlib.sha256(SHA256.encode() + learned).hexdigest()[:16]
        pieces = held.pieces
        self.width, self._most = held.sizes.width, held.sizes.positions - 2
        self._cut = Unigram(pieces.names, pieces.scores, pieces.unknown).numbers
        self._start, self._end, self._replaced = pieces.start, pieces.end, pieces.replaced
        self._words = held.blocks("emb.word", self.width)
        self._places = held.tensor("emb.pos").reshape(-1, self.width) + held.tensor("emb.type")[: self.width]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.force_spinning_stop", "1")  # torch needs the cores between
        tensors = _initializers(held)
        tensors |= {name: tensor.astype(np.float32) for name, tensor in load(learned).items()} if learned else {}
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(tensor) for tensor in tensors.values()]
        options.add_external_initializers(list(tensors), values)
        self._session = onnxruntime.InferenceSession(str(GRAPH), options, providers=["CPUExecutionProvider"])

    def fingerprint(self) -> str:
        """Names the weights: equal exactly where the vectors are, but for rounding."""
        return self._fingerprint

    def encode(self, texts: Sequence[str], asking: bool, pieces_at_once: int = 1024) -> Float[Tensor, "texts 2 width"]:
        """Of each text what it means, and how it is said.

        Args:
            asking: whether they are cues, not what is remembered.
            pieces_at_once: padded word pieces that one pass may take.
        """
        vectors = torch.zeros(len(texts), 2, self.width)
        pieces = [self.pieces(_PREFIX[asking] + text) for text in texts]
        for places in _batches(pieces, pieces_at_once):
            vectors[places] = self._encode([pieces[place] for place in places])
        return vectors

    def embedded(self, texts: Sequence[str], asking: bool) -> tuple[Floats, Int[np.ndarray, "texts pieces"]]:
        """What the transformer is given of texts, padded, and where there is a piece."""
        return self._padded([self.pieces(_PREFIX[asking] + text) for text in texts])

    def pieces(self, text: str) -> list[int]:
        """The word pieces of a text, as many as the transformer takes at once, framed."""
        # Unpaired surrogates are no text; normal forms first, for the table knows few characters that are not in one.
        valid = unicodedata.normalize("NFKC", text.encode(errors="replace").decode()).translate(self._replaced)
        return [self._start, *self._cut(_SPACE + _SPACE.join(valid.split()))[: self._most], self._end]

    def _padded(self, batch: list[list[int]]) -> tuple[Floats, Int[np.ndarray, "texts pieces"]]:
        longest = max(map(len, batch))
        ids = np.full((len(batch), longest), 1, np.int64)
        mask = np.zeros((len(batch), longest), np.int32)
        for row, pieces in enumerate(batch):
            ids[row, : len(pieces)], mask[row, : len(pieces)] = pieces, 1
        return self._embedded(ids) + self._places[:longest], mask

    def _encode(self, batch: list[list[int]]) -> Float[Tensor, "texts 2 width"]:
        embedded, mask = self._padded(batch)
        given = {"embedded": embedded, "mask": mask}
        states, middle = map(torch.from_numpy, self._session.run(["states", "middle"], given))
        held = torch.from_numpy(mask).unsqueeze(-1)
        meanings = functional.normalize((states * held).sum(1), dim=-1)
        return torch.stack([meanings, (middle * held).sum(1) / held.sum(1)], 1)

    def _embedded(self, ids: Int[np.ndarray, "texts pieces"]) -> Float[np.ndarray, "texts pieces width"]:
        packed, scales = self._words.numbers[ids], self._words.scales[ids]
        numbers = np.concatenate([packed & 15, packed >> 4], -1).astype(np.float32) - 8.0
        rows: Floats = (numbers * scales.astype(np.float32)[..., None]).reshape(*ids.shape, self.width)
        return rows


def _initializers(held: E5Weights) -> dict[str, Floats]:
    """The tensors that the graph names; query, key and value are one product."""
    width, inner = held.sizes.width, held.sizes.inner
    tensors = {name: held.tensor(name).copy() for name in ("emb.ln.w", "emb.ln.b")}
    for number in range(held.sizes.layers):
        layer = f"l{number}"
        for norm in ("aln.w", "aln.b", "oln.w", "oln.b"):
            tensors[f"{layer}.{norm}"] = held.tensor(f"{layer}.{norm}").copy()
        for name, parts, columns in (
            ("qkv", ("q", "k", "v"), width),
            ("ao", ("ao",), width),
            ("fi", ("fi",), width),
            ("fo", ("fo",), inner),
        ):
            matrices = [held.matrix(f"{layer}.{part}.w", columns) for part in parts]
            numbers = np.concatenate([each.numbers for each in matrices])
            tensors[f"{layer}.{name}.numbers"] = np.ascontiguousarray(numbers)
            tensors[f"{layer}.{name}.scales"] = np.concatenate([each.scales for each in matrices]).flatten()
            tensors[f"{layer}.{name}.bias"] = np.concatenate([held.tensor(f"{layer}.{part}.b") for part in parts])
    return tensors


def _batches(pieces: Sequence[Sequence[int]], most: int) -> Iterator[list[int]]:
    """The places of texts, the similar in length together, as many as one pass takes."""
    batch: list[int] = []
    for place in sorted(range(len(pieces)), key=lambda place: len(pieces[place])):
        if batch and (len(batch) + 1) * len(pieces[place]) > most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
