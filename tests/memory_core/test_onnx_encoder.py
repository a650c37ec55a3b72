"""The transformer as a graph: the states of torch, other files refused, and nobody told of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from memory_core.encoder import Encoder, EncoderError, packaged
from memory_core.onnx_encoder import Graph, GraphError
from memory_core.training.export_onnx import write_graph

TEXTS = ["My dog is called Biscuit", "", "Yes", "We moved to Lisbon in March because of the new job " * 30]


@pytest.fixture(scope="module")
def tiny_graph(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "tiny.onnx"
    write_graph(tiny_folder, path)
    return path


def padded() -> tuple[torch.Tensor, torch.Tensor]:
    """Three rows of word pieces of which the second and third are padded."""
    token_ids = torch.randint(1_000, 20_000, (3, 17), generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(17) < torch.tensor([[17], [9], [1]])).long()
    return token_ids * mask, mask


def test_the_packaged_encoder_runs_as_a_graph_and_gives_the_facets_of_torch(encoder: Encoder) -> None:
    if encoder.device.type != "cpu":
        pytest.skip("the graph is for CPUs")
    by_torch = Encoder(graph=False)
    assert encoder.transformer is None and by_torch.transformer is not None
    assert encoder.fingerprint() == by_torch.fingerprint()
    for ours, theirs in zip(encoder.encode(TEXTS), by_torch.encode(TEXTS), strict=True):
        torch.testing.assert_close(ours.facets, theirs.facets, atol=1e-5, rtol=0)


def test_what_the_command_writes_gives_the_states_of_the_transformer(tiny_folder: Path, tiny_graph: Path) -> None:
    token_ids, mask = padded()
    transformer = AutoModel.from_pretrained(tiny_folder).eval()
    with torch.no_grad():
        expected = transformer(input_ids=token_ids, attention_mask=mask).last_hidden_state
    found = Graph(tiny_folder / "model.safetensors", tiny_graph)(token_ids, mask)
    torch.testing.assert_close(found[mask.bool()], expected[mask.bool()], atol=1e-5, rtol=0)
    assert tiny_graph.stat().st_size < 100_000, "the graph holds no weights"


def test_a_graph_of_other_weights_is_refused(tiny_folder: Path, tiny_graph: Path) -> None:
    with pytest.raises(GraphError, match="no graph of these weights"):
        Graph(tiny_folder / "model.safetensors")  # the packaged transformer's, of more layers
    with pytest.raises(GraphError, match="no graph of these weights"):
        Graph(Path(packaged()[0]) / "model.safetensors", tiny_graph)


def test_a_damaged_or_missing_graph_is_refused(
    tiny_folder: Path, tiny_graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(tiny_graph.read_bytes()[:-1000])
    for path in (damaged, tmp_path / "missing.onnx"):
        with pytest.raises(GraphError, match="install Mneme anew"):
            Graph(tiny_folder / "model.safetensors", path)
    monkeypatch.setattr("memory_core.onnx_encoder.PACKAGED", damaged)
    with pytest.raises(EncoderError, match="install Mneme anew"):
        Encoder()


def test_nobody_is_told_that_it_runs(tmp_path: Path) -> None:
    """onnxruntime reports to its maker unless told not to, and notes the machine's number in the home folder first."""
    run = "from memory_core.encoder import Encoder; Encoder().encode(['Hello there'])"
    told = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", run], env=told | home, check=True)
    assert not [path for path in tmp_path.rglob("*") if "onnx" in str(path).lower()]
