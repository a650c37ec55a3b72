"""The packaged transformer as a graph for onnxruntime, which runs it on a CPU in half of torch's time (decision 0010).

The graph that ships holds no weights: it names them as their own file does, and they are read from there.
It must not know of words or facets.
"""

import os
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.numpy import load_file
from torch import Tensor

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read once, at the import; unless set, it reports its use to its maker
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as refusals

PACKAGED = Path(__file__).parent / "weights" / "transformer.onnx"


class GraphError(Exception):
    """The graph cannot be read, or is not of these weights."""


class Graph:
    """A transformer's graph with its weights: padded word pieces -> the last layer's states.

    Args:
        weights: the transformer's safetensors file; what belongs to its pooler is not used.
        path: the graph, as `memory_core.training.export_onnx` writes it; the packaged one unless given.

    Raises:
        GraphError: see there.
        SafetensorError: the weights cannot be read.
    """

    def __init__(self, weights: Path, path: Path | None = None) -> None:
        path = path or PACKAGED
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.force_spinning_stop", "1")  # torch needs the cores between
        held = load_file(weights)
        names = [name for name in held if held[name].dtype == np.float32 and not name.startswith("pooler.")]
        options.add_external_initializers(names, [onnxruntime.OrtValue.ortvalue_from_numpy(held[n]) for n in names])
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except (refusals.Fail, refusals.InvalidGraph, refusals.InvalidProtobuf, refusals.NoSuchFile) as error:
            raise GraphError(f"{path}: no graph of these weights ({error}); install Mneme anew") from None

    def __call__(
        self, input_ids: Int[Tensor, "batch pieces"], attention_mask: Int[Tensor, "batch pieces"]
    ) -> Float[Tensor, "batch pieces hidden"]:
        fed = {"input_ids": input_ids.numpy(), "attention_mask": attention_mask.numpy()}
        return torch.from_numpy(self._session.run(["states"], fed)[0])
