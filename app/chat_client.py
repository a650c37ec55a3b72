"""`mneme chat`: a conversation in the terminal with a running server."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

_HELP = "/why shows what the last message recalled and why, /quit ends; anything else is said to the assistant."


def talk(url: str, user: str, session: str | None, why: bool) -> None:
    """Reads lines until the end of input, and prints each reply as it comes."""
    console = Console()
    console.print(f"Talking to {url} as [bold]{user}[/]. {_HELP}", highlight=False)
    recalled: list[dict[str, Any]] = []
    with httpx.Client(base_url=url, timeout=httpx.Timeout(10, read=None)) as client:
        while True:
            try:
                line = console.input("[bold cyan]> [/]").strip()
            except (EOFError, KeyboardInterrupt):
                console.print()
                return
            if line in ("/quit", "/exit"):
                return
            if line == "/why":
                console.print(_table(recalled))
            elif line:
                try:
                    session, recalled = _turn(client, console, user, session, line, recalled)
                except KeyboardInterrupt:
                    console.print("\n[dim](interrupted)[/]")
                except httpx.HTTPError as error:
                    console.print(f"[red]no server at {url} ({type(error).__name__}): start one with `make serve`[/]")
                else:
                    if why:
                        console.print(_table(recalled))


def _turn(
    client: httpx.Client, console: Console, user: str, session: str | None, line: str, before: list[dict[str, Any]]
) -> tuple[str | None, list[dict[str, Any]]]:
    body = {"user_id": user, "message": line, "stream": True, **({"session_id": session} if session else {})}
    recalled = before
    with client.stream("POST", "/v1/chat", json=body) as response:
        if response.status_code != 200:
            problem = json.loads(response.read())
            console.print(f"[red]{problem['detail']}[/]", highlight=False)
            return session, before
        for event, data in _events(response):
            if event == "recalled":
                recalled, session = data["recalled"], data["session_id"]
            elif event == "token":
                console.print(data["text"], end="", markup=False, highlight=False)
            elif event == "error":
                console.print(f"\n[red]{data['detail']}[/]", end="", highlight=False)
    console.print()
    return session, recalled


def _events(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def _table(recalled: list[dict[str, Any]]) -> Table | str:
    if not recalled:
        return "[dim]nothing was recalled[/]"
    table = Table("weight", "mostly by", "when", "who", "what", title="recalled", title_justify="left")
    for one in recalled:
        mode = max(one["modes"], key=one["modes"].get)
        when, who = one["occurred_at"][:10], one["speaker"] or one["role"]
        table.add_row(f"{one['weight']:.3f}", mode, when, who, one["content"][:200])
    return table
