"""Where `mneme chat` reads its lines from: a person's terminal, or a file or pipe.

While a reply comes, what is typed must not stand in it: a terminal shows no keys then, keeps them for the next line,
and hands on Ctrl-C alone.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

_PROMPT = ANSI("\x1b[1;36m> \x1b[0m")


class Lines(Protocol):
    """Gives the lines that a person says."""

    is_person: bool

    async def line(self) -> str | None:
        """The next line; None at the end."""

    async def confirmed(self, question: str) -> bool:
        """Whether a question is answered with yes."""

    def remember(self, said: Sequence[str]) -> None:
        """Takes what was said before, the oldest first, for the arrow keys."""

    def quiet(self, interrupt: Callable[[], object]) -> AbstractContextManager[None]:
        """While a reply comes: keys are kept for the next line, and Ctrl-C interrupts."""


def lines(commands: Sequence[str]) -> Lines:
    """The lines of standard input.

    Args:
        commands: what the tab key completes.
    """
    return Typed(commands) if sys.stdin.isatty() else Piped()


class Typed:
    """Lines typed at a terminal, with editing, history by the arrow keys, and completion of commands."""

    is_person = True

    def __init__(self, commands: Sequence[str]) -> None:
        self._history = InMemoryHistory()
        completer = WordCompleter(list(commands), sentence=True)
        self._session: PromptSession[str] = PromptSession(
            history=self._history, completer=completer, complete_while_typing=False, enable_history_search=True
        )
        self._asking: PromptSession[str] = PromptSession()

    async def line(self) -> str | None:
        while True:
            try:
                return await self._session.prompt_async(_PROMPT)
            except KeyboardInterrupt:  # as in a shell: the line is dropped
                continue
            except EOFError:
                return None

    async def confirmed(self, question: str) -> bool:
        try:
            return (await self._asking.prompt_async(f"{question} [y/N] ")).strip().lower() in ("y", "yes")
        except (KeyboardInterrupt, EOFError):
            return False

    def remember(self, said: Sequence[str]) -> None:
        for line in said:
            self._history.append_string(line)

    @contextmanager
    def quiet(self, interrupt: Callable[[], object]) -> Iterator[None]:
        keyboard = self._session.input
        typed: list[KeyPress] = []

        def keep() -> None:
            for press in keyboard.read_keys():
                if press.key == Keys.ControlC:
                    typed.clear()
                    interrupt()
                else:
                    typed.append(press)

        with keyboard.raw_mode(), keyboard.attach(keep):
            yield
        _keep_for_later(keyboard, typed)


class Piped:
    """Lines of a file or pipe, as they are; a question is answered with no."""

    is_person = False

    async def line(self) -> str | None:
        line = sys.stdin.readline()
        return line.rstrip("\n") if line else None

    async def confirmed(self, question: str) -> bool:
        return False

    def remember(self, said: Sequence[str]) -> None:
        pass

    @contextmanager
    def quiet(self, interrupt: Callable[[], object]) -> Iterator[None]:
        yield


def _keep_for_later(keyboard: Input, typed: list[KeyPress]) -> None:
    if typed:
        store_typeahead(keyboard, typed)
