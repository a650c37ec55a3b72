"""What the log may say: no text of a user and no secret, not even by way of an error that quotes one.

Libraries put what they were given into their errors, and some, such as SQLite's driver, log it when asked for much. So
an error is logged with where it arose and of which kind it is, without its message; and the level that is chosen is
that of our own loggers, all others say no more than warnings.
"""

import copy
import logging
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO

_OURS = ("app", "mneme", "memory_core")
_Info = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def install(level: str, stream: TextIO = sys.stderr) -> logging.Handler:
    """Makes every logger write such lines.

    Args:
        level: of our own loggers.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())
    return handler


class Lines(logging.Formatter):
    """A formatter that leaves the messages of errors out."""

    def format(self, record: logging.LogRecord) -> str:
        ours = copy.copy(record)
        ours.exc_text = None  # as another formatter may have left it
        return super().format(ours)

    def formatException(self, ei: _Info) -> str:
        error = ei[1]
        return "" if error is None else "\n".join(_told(error, set()))

    def formatMessage(self, record: logging.LogRecord) -> str:
        if record.name == "asyncio":  # its further lines show the task, with the error that it ended with
            record.message = record.message.partition("\n")[0]
        return super().formatMessage(record)


def _told(error: BaseException, seen: set[int]) -> Iterator[str]:
    """Where an error arose and of which kind it is, those that led to it first."""
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _told(before, seen)
        yield "which led to:"
    for place in traceback.extract_tb(error.__traceback__):
        yield f'  File "{place.filename}", line {place.lineno}, in {place.name}'
    yield f"{type(error).__module__}.{type(error).__qualname__}"
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            if id(one) not in seen:
                yield from _told(one, seen)
