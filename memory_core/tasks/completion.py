"""Pattern completion: can a memory restore an image that it holds from a damaged copy? Source: Hopfield 1982;
Ramsauer et al. 2020, section 3, images half masked."""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from memory_core.tasks.task import Batch, Task, TaskError

IMAGES_FILE = "omniglot_28.npz"
INK = 128  # of 255; from here on a pixel is ink


@dataclass(frozen=True)
class Completion(Task):
    """Images one a step, then a damaged copy of one of them with a flag; the answer, in that same step, is the image.

    In the inputs ink is 1, paper -1, and what is not known 0. `damage` is "half" (the lower half unknown) or "noise"
    (every pixel turned over with probability `noise`). Size: the number of images held.
    """

    images: Bool[Tensor, "images pixels"] = field(repr=False)
    damage: Literal["half", "noise"] = "half"
    noise: float = 0.2
    full: int = 10

    @property
    def inputs(self) -> int:
        return self.images.shape[1] + 1

    @property
    def outputs(self) -> int:
        return self.images.shape[1]

    def compose(self, generator: torch.Generator, sizes: Int[Tensor, " batch"]) -> Batch:
        batch, most, each = len(sizes), int(sizes.max()), torch.arange(len(sizes))
        if most > len(self.images):
            raise TaskError(f"completion: {most} different images asked for, of {len(self.images)}")
        chosen = torch.rand(batch, len(self.images), generator=generator).topk(most).indices
        held = self.images[chosen]
        wanted = held[each, (torch.rand(batch, generator=generator) * sizes).long()]
        inputs = torch.zeros(batch, most + 1, self.inputs)
        inputs[:, :most, :-1] = _signs(held) * (torch.arange(most) < sizes.unsqueeze(1)).unsqueeze(2)
        inputs[each, sizes, :-1] = self.damaged(generator, _signs(wanted))
        inputs[each, sizes, -1] = 1.0
        targets = torch.zeros(batch, most + 1, self.outputs)
        targets[each, sizes] = wanted.float()
        return Batch(inputs, targets, torch.arange(most + 1) == sizes.unsqueeze(1), sizes + 1)

    def damaged(
        self, generator: torch.Generator, patterns: Float[Tensor, "batch pixels"]
    ) -> Float[Tensor, "batch pixels"]:
        """A damaged copy of patterns of signs."""
        if self.damage == "half":
            return patterns * (torch.arange(patterns.shape[1]) < patterns.shape[1] // 2)
        turned = torch.rand(patterns.shape, generator=generator) < self.noise
        return torch.where(turned, -patterns, patterns)


def load_characters(folder: Path | None) -> Bool[Tensor, "images pixels"]:
    """The Omniglot characters, 28 x 28 pixels, ink or not, row by row.

    Raises:
        TaskError: no folder is named, or it holds no such file; the message says what is missing.
    """
    if folder is None:
        raise TaskError(f"completion needs images: name the folder that holds {IMAGES_FILE} with --data")
    path = folder / IMAGES_FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            images = file["images"]
    except FileNotFoundError:
        raise TaskError(f"completion needs images: there is no {path}; --data says where it is") from None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise TaskError(f"{path} is not an archive with `images`: {error}") from None
    return torch.from_numpy(images.reshape(len(images), -1) >= INK)


def _signs(patterns: Bool[Tensor, "..."]) -> Float[Tensor, "..."]:
    return patterns.float() * 2.0 - 1.0
