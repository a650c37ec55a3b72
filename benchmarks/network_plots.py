"""Small figures of the network benchmarks; the same numbers give the same file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def figure(path: Path, panels: int) -> Iterator[Any]:
    """A row of panels, saved as an SVG when the block ends."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "mneme"
    from matplotlib import pyplot

    drawn, axes = pyplot.subplots(1, panels, figsize=(5 * panels, 3.6), squeeze=False, layout="constrained")
    try:
        yield axes[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(path, metadata={"Date": None})
    finally:
        pyplot.close(drawn)
