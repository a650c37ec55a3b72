"""Writes the graph that `memory_core.multilingual_encoder` runs: `python -m memory_core.training.export_multilingual`.

The order of multilingual-e5-small's operations alone, no data or seed; its weights come from their own package.
"""

import argparse
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from memory_core.e5_weights import BLOCK, E5Weights, Sizes
from memory_core.multilingual_encoder import GRAPH

_FUSED = "com.microsoft"  # onnxruntime's own operations
_EIGHT_BITS = 4  # accuracy level of a product with 4-bit weights: its other side is rounded to 8 bits


class _Builder:
    """The graph as it grows: each method adds operations and returns the name of what they give."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, operation: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operation, inputs, [output], domain=domain, **attributes))
        return output

    def weight(self, name: str, shape: list[int], kind: int = TensorProto.FLOAT) -> str:
        tensor = TensorProto(name=name, data_type=kind, dims=shape, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="e5-small-q4.bin")
        self.weights.append(tensor)
        return name

    def product(self, given: str, name: str, inputs: int, outputs: int) -> str:
        blocks = inputs // BLOCK
        numbers = self.weight(f"{name}.numbers", [outputs, blocks, BLOCK // 2], TensorProto.UINT8)
        scales = self.weight(f"{name}.scales", [outputs * blocks])
        sides = {"K": inputs, "N": outputs, "bits": 4, "block_size": BLOCK, "accuracy_level": _EIGHT_BITS}
        whole = self.add("MatMulNBits", [given, numbers, scales], f"{name}.product", _FUSED, **sides)
        return self.add("Add", [whole, self.weight(f"{name}.bias", [outputs])], f"{name}.out")

    def normalised(self, given: str, name: str) -> str:
        width = [self.sizes.width]
        gain, shift = self.weight(f"{name}.w", width), self.weight(f"{name}.b", width)
        return self.add("LayerNormalization", [given, gain, shift], f"{name}.out", epsilon=self.sizes.epsilon)

    def layer(self, given: str, name: str) -> str:
        width, inner = self.sizes.width, self.sizes.inner
        three = self.product(given, f"{name}.qkv", width, 3 * width)
        parts = [f"{name}.{part}" for part in ("query", "key", "value")]
        self.nodes.append(helper.make_node("Split", [three], parts, axis=-1, num_outputs=3))
        heads = {"num_heads": self.sizes.heads}
        read = self.add("MultiHeadAttention", [*parts, "", "mask"], f"{name}.read", _FUSED, **heads)
        read = self.product(read, f"{name}.ao", width, width)
        given = self.normalised(self.add("Add", [given, read], f"{name}.sum"), f"{name}.aln")
        inside = self.add("Gelu", [self.product(given, f"{name}.fi", width, inner)], f"{name}.inside", _FUSED)
        out = self.product(inside, f"{name}.fo", inner, width)
        return self.normalised(self.add("Add", [given, out], f"{name}.whole"), f"{name}.oln")


def graph(sizes: Sizes) -> onnx.ModelProto:
    """Embedded word pieces and a mask -> the states of the last layer and of the middle one."""
    builder = _Builder(sizes)
    states = builder.normalised("embedded", "emb.ln")
    for number in range(sizes.layers):
        states = builder.layer(states, f"l{number}")
        if number == sizes.layers // 2 - 1:
            states = builder.add("Identity", [states], "middle")
    builder.nodes[-1].output[0] = "states"
    shape: list[str | int | None] = ["batch", "pieces", sizes.width]
    inputs = [
        helper.make_tensor_value_info("embedded", TensorProto.FLOAT, shape),
        helper.make_tensor_value_info("mask", TensorProto.INT32, ["batch", "pieces"]),
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("states", "middle")]
    whole = helper.make_graph(builder.nodes, "multilingual-e5-small", inputs, outputs, builder.weights)
    domains = [helper.make_opsetid("", 18), helper.make_opsetid(_FUSED, 1)]
    return helper.make_model(whole, opset_imports=domains, ir_version=9)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=GRAPH, help="where the graph goes")
    parser.parse_args().out.write_bytes(graph(E5Weights().sizes).SerializeToString(deterministic=True))
