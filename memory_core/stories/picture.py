"""A picture of how an answer was found: what each step of thinking read. Needs matplotlib (extra `train`)."""

from collections.abc import Sequence
from pathlib import Path

from memory_core.stories.answering import Answer
from memory_core.training.picture import canvas

_LONGEST = 60  # characters of a sentence that are shown


def draw(answer: Answer, story: Sequence[str], question: str, path: Path) -> None:
    """Writes a PNG: the story from top to bottom, the steps of thinking from left to right, a column a read head.

    Raises:
        NoMatplotlib: it is not installed.
    """
    steps, heads, sentences = answer.read.shape
    figure = canvas(4.0 + 0.25 * steps * heads, 1.5 + 0.28 * sentences)
    axis = figure.subplots()
    image = axis.imshow(
        answer.read.flatten(0, 1).T.numpy(), aspect="auto", interpolation="nearest", cmap="viridis", vmin=0.0, vmax=1.0
    )
    axis.set_yticks(range(sentences), [f"{n}  {text[:_LONGEST]}" for n, text in enumerate(story, 1)])
    axis.set_xticks([heads * step + (heads - 1) / 2 for step in range(steps)], [f"{step + 1}" for step in range(steps)])
    for step in range(1, steps):
        axis.axvline(heads * step - 0.5, color="white", linewidth=0.8)
    axis.set_xlabel("step of thinking")
    axis.set_title(f"{question}  {answer.answer} ({answer.probability:.0%})")
    figure.colorbar(image, ax=axis, pad=0.01)
    figure.savefig(path, dpi=100)
