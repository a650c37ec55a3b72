"""What a run measured, one JSON object a line, in the order of its steps."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Figures = Mapping[str, int | float]  # what was measured, by name


class Metrics:
    """A file of measurements that is added to; every line has its `step`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, step: int, **figures: Any) -> None:
        """Adds a line. JSON has no NaN and no infinity: they become null."""
        finite = {name: None if _endless(figure) else figure for name, figure in figures.items()}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step} | finite, allow_nan=False) + "\n")

    def rewind(self, step: int) -> None:
        """Drops what was measured after `step`, and a last line that was never finished: a run resumes from there."""
        kept = "".join(json.dumps(line) + "\n" for line in self.read() if line["step"] <= step)
        self._path.write_text(kept, encoding="utf-8")

    def read(self) -> list[dict[str, Any]]:
        """The lines so far."""
        if not self._path.is_file():
            return []
        lines = self._path.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines[:-1]]  # what follows the last line break was never finished


def _endless(figure: Any) -> bool:
    return isinstance(figure, float) and not math.isfinite(figure)
