"""Writes the graph that `memory_core.onnx_encoder` runs: `python -m memory_core.training.export_onnx`, no data or seed.

The transformer is traced by torch's exporter for ONNX. Its weights are taken out again, all but their names and shapes,
so that what ships is the order of operations alone.
"""

import argparse
import warnings
from pathlib import Path

import onnx
import torch
from transformers import AutoModel

from memory_core import encoder, onnx_encoder


def write_graph(folder: Path, path: Path) -> None:
    """Traces the transformer in `folder`, a BERT as `transformers` saves one, and writes its graph to `path`."""
    transformer = AutoModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager").eval()
    token_ids, mask = torch.zeros(2, 30, dtype=torch.long), torch.ones(2, 30, dtype=torch.long)
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("token_ids")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about names of sizes
        program = torch.onnx.export(
            transformer,
            kwargs={"input_ids": token_ids, "attention_mask": mask},
            dynamic_shapes={"input_ids": sizes, "attention_mask": sizes},
            output_names=["states"],
            optimize=False,  # onnxruntime does, for the machine at hand
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:
        node.ClearField("metadata_props")
    del model.graph.value_info[:]
    for weight in model.graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT:
            weight.ClearField("raw_data")
            weight.data_location = onnx.TensorProto.EXTERNAL
            weight.external_data.add(key="location", value="model.safetensors")
    path.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=onnx_encoder.PACKAGED, help="where the graph goes")
    write_graph(Path(encoder.packaged()[0]), parser.parse_args().out)
