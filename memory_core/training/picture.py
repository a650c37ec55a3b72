"""A picture of what a memory did over one sequence. Needs matplotlib, which is installed with the extra `train`."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from memory_core.recurrent import Recurrent
from memory_core.tasks import Task
from memory_core.training.curriculum import device_of, eager

_SEED = 11


class NoMatplotlib(RuntimeError):
    """Pictures are asked for, but matplotlib is not installed."""


def canvas(width: float, height: float) -> Any:
    """An empty figure, in inches.

    Raises:
        NoMatplotlib: it is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise NoMatplotlib("no picture: matplotlib is not installed (pip install 'mneme[train]')") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@torch.no_grad()
def draw(network: Recurrent[Any], task: Task, path: Path) -> None:
    """Writes a PNG: inputs, targets, outputs, and the write and read weightings of every head, time from left to right.

    Raises:
        NoMatplotlib: it is not installed.
    """
    panels = followed(network, task)
    figure = canvas(10.0, 1.2 + 1.8 * len(panels))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (title, rows) in zip(axes, panels.items(), strict=True):
        image = axis.imshow(rows.T.numpy(), aspect="auto", interpolation="nearest", cmap="viridis")
        axis.set_ylabel(title)
        axis.set_yticks([])
        figure.colorbar(image, ax=axis, pad=0.01)
    axes[-1].set_xlabel("step")
    figure.savefig(path, dpi=100)


@eager()
def followed(network: Recurrent[Any], task: Task) -> dict[str, Tensor]:
    """One sequence of the full size, step by step: each panel's rows are `[time, channels or slots]`.

    Outputs are probabilities where answers count, else 0. A network without a memory has no weightings.
    """
    network.eval()
    batch = task.sample(torch.Generator().manual_seed(_SEED), 1, task.full, exactly=True).to(device_of(network))
    state: Any = network.initial_state(1)
    said: list[Tensor] = []
    weightings: dict[str, list[Tensor]] = {}
    for step in batch.inputs.unbind(1):
        logits, state = network.step(step, state)
        said.append(logits[0].float().sigmoid())
        for kind in ("write", "read"):
            for head, weighting in enumerate(getattr(state, f"{kind}_weighting")[0]):
                weightings.setdefault(f"{kind} {head + 1}", []).append(weighting.float())
    outputs = torch.stack(said) * batch.mask[0].unsqueeze(1)
    panels = {"inputs": batch.inputs[0], "targets": batch.targets[0], "outputs": outputs}
    return {name: rows.cpu() for name, rows in (panels | {k: torch.stack(v) for k, v in weightings.items()}).items()}
