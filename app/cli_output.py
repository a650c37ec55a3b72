"""What commands tell the person at the terminal: errors are one line on standard error, without a traceback."""

import sys
from typing import NoReturn

import typer


def tell(line: str) -> None:
    """Says what happens."""
    print(f"mneme: {line}", file=sys.stderr, flush=True)


def fail(line: str) -> NoReturn:
    """Says what is wrong, and ends with status 1."""
    tell(line)
    raise typer.Exit(1)


class exit_on_error:
    """Turns errors that a person can mend into one line and status 1."""

    def __init__(self, *kinds: type[Exception]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, self._kinds):
            fail(str(error))
