"""`mneme train everyday`: what everyday use needs beside the reader, fitted to the everyday conversations that ship.

Which later statement outdates an earlier one. The reader and all else stay as the weights that ship have them: a matter
of minutes, where `mneme train recall` makes all anew.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.training import fit_outdating
from memory_core.training.datasets import RecallTraining, datasets, written
from memory_core.training.everyday import EVERYDAY


def run(folder: Path, seed: int, watch: Callable[[str, int, int, float], None]) -> dict[str, Any]:
    """Fits, and writes `everyday.safetensors` and `result.json` into a folder.

    One conversation in `RecallTraining.held` is kept out, for the figures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    encoder = Encoder()
    memory = EpisodicMemory(encoder)
    assert memory.reranker is not None
    training = RecallTraining(seed=seed)
    each = []
    for dataset in datasets(Path(), EVERYDAY, training):
        each.append((dataset, written(memory, encoder, dataset)))
        watch("writing", len(each), len(each), 0.0)
    kept, held = [one for place, one in enumerate(each) if place % training.held], each[:: training.held]
    pairs = fit_outdating.pairs_of(memory, encoder, kept)
    classifier = fit_outdating.fit(pairs, seed)
    result = {
        "seed": seed, "seconds": round(time.perf_counter() - began),
        "pairs": len(pairs.truth), "threshold": round(float(classifier.threshold), 3),
        "trained on": fit_outdating.figures(classifier, pairs),
        "held": fit_outdating.figures(classifier, fit_outdating.pairs_of(memory, encoder, held)),
    }  # fmt: skip
    tensors = fit_outdating.tensors_of(classifier)
    save_file(tensors, folder / "everyday.safetensors", {"transformer": encoder.transformer_fingerprint()})
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result
