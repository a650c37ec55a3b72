"""multilingual-e5-small in torch, with the 4-bit weights unpacked: what `fit_multilingual` learns through.

The same arithmetic as the graph that ships, but for the rounding of activations to 8 bits. Only the gains and biases
of its upper layers are parameters; they are named as the graph names them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from memory_core.e5_weights import Blocks, E5Weights
from memory_core.multilingual_encoder import MultilingualEncoder

LEARNED = ("qkv.bias", "ao.bias", "fi.bias", "fo.bias", "aln.w", "aln.b", "oln.w", "oln.b")  # of a layer
States = tuple[Float[Tensor, "texts pieces width"], Bool[Tensor, "texts pieces"]]


class Layer(nn.Module):
    """One layer of the transformer.

    Args:
        number: of the layer, from 0 on.
    """

    def __init__(self, held: E5Weights, number: int) -> None:
        super().__init__()
        self.heads, self.epsilon, self.name = held.sizes.heads, held.sizes.epsilon, f"l{number}"
        width, inner = held.sizes.width, held.sizes.inner
        matrices = {
            "qkv": [held.blocks(f"{self.name}.{part}.w", width) for part in "qkv"],
            "ao": [held.blocks(f"{self.name}.ao.w", width)],
            "fi": [held.blocks(f"{self.name}.fi.w", width)],
            "fo": [held.blocks(f"{self.name}.fo.w", inner)],
        }
        self.matrices = {name: torch.cat([_unpacked(each) for each in parts]) for name, parts in matrices.items()}
        initial = {f"{part}.bias": _tensors(held, [f"{self.name}.{part}.b"]) for part in ("ao", "fi", "fo")}
        initial["qkv.bias"] = _tensors(held, [f"{self.name}.{part}.b" for part in "qkv"])
        initial |= {name: _tensors(held, [f"{self.name}.{name}"]) for name in LEARNED if name not in initial}
        self.learned = {name: nn.Parameter(initial[name], requires_grad=False) for name in LEARNED}

    def forward(self, given: Float[Tensor, "texts pieces width"], held: Bool[Tensor, "texts pieces"]) -> Tensor:
        """The states after this layer."""
        query, key, value = torch.unflatten(self._product(given, "qkv"), -1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        read = functional.scaled_dot_product_attention(query, key, value, attn_mask=held[:, None, None, :])
        given = self._normalised(given + self._product(read.transpose(1, 2).flatten(2), "ao"), "aln")
        inside = functional.gelu(self._product(given, "fi"))
        return self._normalised(given + self._product(inside, "fo"), "oln")

    def _product(self, given: Tensor, name: str) -> Tensor:
        return functional.linear(given, self.matrices[name], self.learned[f"{name}.bias"])

    def _normalised(self, given: Tensor, name: str) -> Tensor:
        gain, shift = self.learned[f"{name}.w"], self.learned[f"{name}.b"]
        return functional.layer_norm(given, (given.shape[-1],), gain, shift, self.epsilon)


class Network(nn.Module):
    """The transformer as it is when unpacked: texts -> unit vectors, through gains and biases that may learn."""

    def __init__(self) -> None:
        super().__init__()
        held = E5Weights()
        self._encoder = MultilingualEncoder(tuned=False)
        self._first = _tensors(held, ["emb.ln.w"]), _tensors(held, ["emb.ln.b"]), held.sizes.epsilon
        self.layers = nn.ModuleList(Layer(held, number) for number in range(held.sizes.layers))

    def learning(self, upper: int) -> dict[str, nn.Parameter]:
        """The gains and biases of so many of the last layers, by the graph's names."""
        return {
            f"{layer.name}.{name}": parameter
            for layer in self.layers[-upper:]
            if isinstance(layer, Layer)
            for name, parameter in layer.learned.items()
        }

    @torch.no_grad()
    def lower(self, texts: Sequence[str], asking: bool, upper: int) -> list[Float[Tensor, "pieces width"]]:
        """The states of texts before so many of the last layers: all that never changes as these learn."""
        embedded, mask = self._encoder.embedded(texts, asking)
        gain, shift, epsilon = self._first
        held = torch.from_numpy(mask) > 0
        states = functional.layer_norm(torch.from_numpy(embedded), gain.shape, gain, shift, epsilon)
        for layer in self.layers[:-upper]:
            states = layer(states, held)
        return [row[there] for row, there in zip(states, held, strict=True)]

    def vectors(self, lower: Sequence[Float[Tensor, "_ width"]], upper: int) -> Float[Tensor, "texts width"]:
        """The vectors of texts whose lower states are known."""
        states = nn.utils.rnn.pad_sequence(list(lower), batch_first=True)
        held = torch.arange(states.shape[1]) < torch.tensor([[len(each)] for each in lower])
        for layer in self.layers[-upper:]:
            states = layer(states, held)
        return functional.normalize((states * held.unsqueeze(-1)).sum(1), dim=-1)


def _unpacked(blocks: Blocks) -> Float[Tensor, "outputs inputs"]:
    numbers = np.concatenate([blocks.numbers & 15, blocks.numbers >> 4], -1).astype(np.float32) - 8.0
    whole: Tensor = torch.from_numpy(numbers * blocks.scales.astype(np.float32)[..., None]).flatten(1)
    return whole


def _tensors(held: E5Weights, names: Sequence[str]) -> Tensor:
    return torch.from_numpy(np.concatenate([held.tensor(name) for name in names]))
