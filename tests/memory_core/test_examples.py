"""The pages with examples: what they show runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

# What is tried is ours: a backend without a C++ compiler is ready in seconds.
EAGER = 'import functools, torch; torch.compile = functools.partial(torch.compile, backend="aot_eager")\n'


@pytest.mark.slow
@pytest.mark.parametrize("page", ["examples.md", "networks.md"])
def test_the_examples_of_a_page_run_in_their_order(page: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    assert blocks
    program = EAGER
    for block in blocks:  # each in the line where it stands in the page
        program += "\n" * (text[: block.start(1)].count("\n") - program.count("\n")) + block[1]
    (tmp_path / "page.py").write_text(program, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
