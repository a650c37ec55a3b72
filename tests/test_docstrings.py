"""What a docstring says of an argument or an attribute is said of one that there is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [path for folder in ("app", "memory_core", "benchmarks", "clients") for path in (ROOT / folder).rglob("*.py")]
_SECTION, _ENTRY = re.compile(r"(\w+):"), re.compile(r"    (\w[\w, *]*):( |$)")


def described(docstring: str) -> Iterator[str]:
    """The names under Args and Attributes."""
    section = ""
    for line in docstring.splitlines():
        if heading := _SECTION.fullmatch(line):
            section = heading.group(1)
        elif section in ("Args", "Attributes") and (entry := _ENTRY.match(line)):
            yield from (name.strip(" *") for name in entry.group(1).split(","))


def there_are(node: ast.AST) -> set[str]:
    """The names of a function's arguments, or of a class's fields, methods and what its `__init__` takes and sets."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
    assert isinstance(node, ast.ClassDef)
    names = {one.target.id for one in node.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)}
    for one in node.body:
        if isinstance(one, ast.FunctionDef):
            names.add(one.name)
        if isinstance(one, ast.FunctionDef) and one.name == "__init__":
            names |= there_are(one) | {each.attr for each in ast.walk(one) if isinstance(each, ast.Attribute)}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_docstring_names_what_is_there(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            assert set(described(ast.get_docstring(node) or "")) <= there_are(node), node.name
