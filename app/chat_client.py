"""`mneme chat`: a conversation in the terminal with a running server."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.chat_service import Json, Refused, Service
from app.chat_terminal import Lines, lines

_PATIENCE: Final = 60.0  # seconds that a person waits for a server
_SESSIONS: Final = 20
_SAID: Final = 100  # lines of before that the arrow keys bring back
_LONGEST: Final = 200  # characters of a message in a table
_HELP: Final = (
    ("/why", "what the last message recalled, and why"),
    ("/standing", "what holds until you revoke it, and is read at every turn"),
    ("/forget N", "forget the message of line N of the last list, and its quotes if you like"),
    ("/sessions [N]", "your sessions; with N, go on with that one"),
    ("/new", "begin a new session"),
    ("/help", "these lines"),
    ("/quit", "end; so does Ctrl-D. Ctrl-C stops a reply"),
)


def talk(url: str, user: str, session: str | None, why: bool, key: str | None, wait: float | None) -> None:
    """Reads lines until the end of input, and prints each reply as it comes.

    Args:
        why: whether what was recalled is shown after each reply.
        wait: seconds to wait for a server that is starting; None for as long as a person would.
    """
    console = Console()
    source = lines([name.split()[0] for name, _ in _HELP])
    with suppress(KeyboardInterrupt):
        patience = (_PATIENCE if source.is_person else 0.0) if wait is None else wait
        asyncio.run(_talk(console, source, url, user, session, why, key, patience))


async def _talk(
    console: Console, source: Lines, url: str, user: str, session: str | None, why: bool, key: str | None, wait: float
) -> None:
    async with Service(url, user, key) as service:
        chat = Chat(service, console, source, session, why)
        console.print(f"Talking to {url} as [bold]{user}[/]. /help tells the commands.", highlight=False)
        await chat.find_server(wait)
        while (line := await source.line()) is not None:
            if line.strip() in ("/quit", "/exit"):
                return
            if line.strip():
                await chat.take(line.strip())


class Chat:
    """A conversation: what was said last, what was listed last, and where a command finds what it names."""

    def __init__(self, service: Service, console: Console, source: Lines, session: str | None, why: bool) -> None:
        self._service, self._console, self._source = service, console, source
        self._session, self._shows_why = session, why
        self._recalled: list[Json] = []
        self._listed: list[Json] = []
        self._sessions: list[str] = []
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "/why": self._why,
            "/standing": self._standing,
            "/forget": self._forget,
            "/sessions": self._list_sessions,
            "/new": self._begin,
            "/help": self._help,
        }

    async def find_server(self, wait: float) -> None:
        """Waits for a server that is starting, and fetches what was said before."""
        if not await self._service.is_ready():
            if wait:
                self._tell(f"no server at {self._service.url} yet: `make serve` starts one; waiting …")
            if not await self._service.until_ready(wait):
                self._complain(f"no server at {self._service.url}: start one with `make serve`")
                return
            self._tell("it is there")
        if self._source.is_person:
            with suppress(Refused):
                self._source.remember(await self._service.said(_SAID))

    async def take(self, line: str) -> None:
        """Does what a line asks for: a command, or something said to the assistant."""
        name, _, rest = line.partition(" ")
        try:
            if name in self._commands:
                await self._commands[name](rest.strip())
            elif name.startswith("/") and name[1:].isalpha():
                self._complain(f"there is no command {name}; /help lists them")
            else:
                await self._say(line)
        except Refused as error:
            self._complain(str(error))

    async def _say(self, line: str) -> None:
        speaking = asyncio.create_task(self._reply(line))
        with self._source.quiet(speaking.cancel):
            try:
                await speaking
            except (asyncio.CancelledError, KeyboardInterrupt):
                speaking.cancel()
                self._console.print("\n[dim](interrupted)[/]")
                return
        if self._shows_why:
            await self._why("")

    async def _reply(self, line: str) -> None:
        ends_line = True
        async for event, told in self._service.turn(self._session, line):
            if event == "recalled":
                self._recalled, self._session = told["recalled"], told["session_id"]
                self._listed = self._recalled
            elif event == "token":
                self._console.print(told["text"], end="", markup=False, highlight=False, soft_wrap=True)
                ends_line = told["text"].endswith("\n")
            elif event == "error":
                self._console.print() if not ends_line else None
                self._complain(told["detail"])
                return
        self._console.print()

    async def _why(self, _: str) -> None:
        self._listed = self._recalled
        if not self._recalled:
            self._tell("nothing was recalled")
            return
        table = _table("recalled", "weight", "mostly by", "when", "who", "what")
        for number, one in enumerate(self._recalled, 1):
            mode = max(one["modes"], key=one["modes"].get)
            who = one["speaker"] or one["role"]
            table.add_row(str(number), f"{one['weight']:.3f}", mode, _day(one), _plain(who), _plain(one["content"]))
        self._console.print(table)

    async def _standing(self, _: str) -> None:
        self._listed = await self._service.standing()
        if not self._listed:
            self._tell("nothing stands: tell me what to keep in mind, such as “I'm vegetarian” or “call me Sam”")
            return
        table = _table("holds until you revoke it", "sure", "when", "what")
        for number, one in enumerate(self._listed, 1):
            table.add_row(str(number), f"{one['score']:.2f}", _day(one), _plain(one["content"]))
        self._console.print(table)

    async def _forget(self, which: str) -> None:
        if not (which.isdecimal() and 0 < int(which) <= len(self._listed)):
            have = f"1 to {len(self._listed)}" if self._listed else "none yet: /why or /standing lists some"
            self._complain(f"/forget N forgets line N of the last list ({have})")
            return
        one = self._listed[int(which) - 1]
        replies = await self._service.quoting(one["message_id"])
        for reply in replies:
            self._console.print(Text(f"  {_day(reply)} reply: ", "dim") + _plain(reply["content"]))
        ask = f"{len(replies)} replies had recalled it and may quote it. Forget these too?"
        with_replies = bool(replies) and await self._source.confirmed(ask)
        await self._service.forget(one["message_id"], with_replies)
        gone = {one["message_id"], *(reply["id"] for reply in replies if with_replies)}
        self._recalled = [other for other in self._recalled if other["message_id"] not in gone]
        self._listed = [other for other in self._listed if other["message_id"] not in gone]
        self._tell(f"forgotten{f', and {len(replies)} replies' if with_replies else ''}: {one['content'][:_LONGEST]}")

    async def _list_sessions(self, which: str) -> None:
        if which:
            await self._go_on_with(which)
            return
        found = await self._service.sessions(_SESSIONS)
        self._sessions = [one["session_id"] for one in found]
        if not found:
            self._tell("no sessions yet")
            return
        table = _table("sessions", "begun", "last", "messages", "id")
        for number, one in enumerate(found, 1):
            here = " (this one)" if one["session_id"] == self._session else ""
            last, count = one["last_at"][:16].replace("T", " "), str(one["messages"])
            table.add_row(str(number), one["started_at"][:10], last, count, _plain(one["session_id"] + here))
        self._console.print(table)

    async def _go_on_with(self, which: str) -> None:
        if not self._sessions:
            self._sessions = [one["session_id"] for one in await self._service.sessions(_SESSIONS)]
        if not (which.isdecimal() and 0 < int(which) <= len(self._sessions)):
            self._complain(f"/sessions N goes on with session N of the list, 1 to {len(self._sessions)}")
            return
        self._session = self._sessions[int(which) - 1]
        self._tell(f"going on with session {self._session}")

    async def _begin(self, _: str) -> None:
        self._session = None
        self._tell("the next message begins a new session")

    async def _help(self, _: str) -> None:
        for name, does in _HELP:
            self._console.print(f"  [bold]{name:<14}[/] {does}".replace("[N]", r"\[N]"), highlight=False)
        self._tell("anything else is said to the assistant")

    def _tell(self, line: str) -> None:
        self._console.print(Text(line, "dim"))

    def _complain(self, line: str) -> None:
        self._console.print(Text(line, "red"))


def _table(title: str, *columns: str) -> Table:
    table: Any = Table("#", *columns, title=title, title_justify="left")
    return table  # type: ignore[no-any-return]


def _plain(text: str) -> Text:
    return Text(text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + " …")


def _day(one: Json) -> str:
    return str(one["occurred_at"])[:10]
