"""Runs gathered into a table: one row a task, member and configuration, over its seeds."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from memory_core.tasks import MULTIPLES

_HEAD = (
    "| task | model | seeds | solved | sequences to solve | seconds | bits a sequence (least) |"
    + "".join(f" bit error {multiple}× |" for multiple in MULTIPLES)
    + " restores | command, then `--seed` |"
)


class ResultsError(ValueError):
    """Results that cannot be read, or a document without a place for the table."""


def gather(folder: Path) -> list[dict[str, Any]]:
    """The results of all finished runs under a folder.

    Raises:
        ResultsError: there are none, or one cannot be read.
    """
    results = []
    for path in sorted(folder.rglob("result.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            result["run"]["task"], result["sizes"][0]["bits"]
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise ResultsError(f"{path} is not the result of a run ({type(error).__name__}: {error})") from None
        results.append(result)
    if not results:
        raise ResultsError(f"there is no finished run in {folder}: no result.json")
    return results


def table(results: Sequence[dict[str, Any]], standing: str = "") -> str:
    """A Markdown table. Figures are medians over the seeds; a range is from the least to the greatest seed.

    Args:
        standing: the table as it stood; its rows of other commands stay.
    """
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in results:
        runs.setdefault((result["run"]["task"], f"`{result['command']}`"), []).append(result)
    cells = [[cell.strip() for cell in line.split("|")] for line in standing.splitlines()[2:]]
    rows = {(row[1], row[-2]): f"| {' | '.join(row[1:-1])} |" for row in cells if len(row) == _HEAD.count("|") + 1}
    rows |= {key: _row(of) for key, of in runs.items()}
    rule = "|" + "---|" * (_HEAD.count("|") - 1)
    return "\n".join([_HEAD, rule, *(rows[key] for key in sorted(rows))])


def rewrite(document: Path, name: str, change: Callable[[str], str]) -> None:
    """Changes the text between the markers `<!-- table:name -->` and `<!-- /table:name -->` of a document.

    Raises:
        ResultsError: no such document, or not exactly one such pair of markers in it.
    """
    begin, end = f"<!-- table:{name} -->", f"<!-- /table:{name} -->"
    try:
        before = document.read_text(encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{document} cannot be read: {error.strerror}") from None
    if before.count(begin) != 1 or before.count(end) != 1 or before.index(end) < before.index(begin):
        raise ResultsError(f"{document} has no place for the table: {begin} … {end}, once")
    start, stop = before.index(begin) + len(begin), before.index(end)
    document.write_text(f"{before[:start]}\n{change(before[start:stop].strip())}\n{before[stop:]}", encoding="utf-8")


def _row(results: list[dict[str, Any]]) -> str:
    results = sorted(results, key=lambda result: int(result["run"]["seed"]))
    run, solved = results[0]["run"], [result for result in results if result["solved"]]
    model = f"{run['model']} ({run['controller']})" if run["controller"] else run["model"]
    first = [result["sizes"][0] for result in results]
    cells = [
        run["task"],
        model,
        ", ".join(str(result["run"]["seed"]) for result in results),
        f"{len(solved)} of {len(results)}",
        _range([result["sequences"] for result in solved]),
        f"{median(result['seconds'] for result in results):.0f}",
        f"{median(one['bits'] for one in first):.2f} ({median(one['least'] for one in first):.2f})",
        *(_percent([result["sizes"][place]["bit_error"] for result in results]) for place in range(len(MULTIPLES))),
        str(sum(result["restores"] for result in results)),
        f"`{results[0]['command']}`",
    ]
    return "| " + " | ".join(cells) + " |"


def _range(values: list[int]) -> str:
    if not values:
        return "–"
    return f"{median(values):,.0f}" + (f" ({min(values):,}–{max(values):,})" if len(values) > 1 else "")


def _percent(shares: list[float]) -> str:
    return f"{100 * median(shares):.2f} %" + (f" (≤ {100 * max(shares):.2f})" if len(shares) > 1 else "")
