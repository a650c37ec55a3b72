"""`mneme import`: a history from another assistant, sent to a running server with progress.

Nothing is noted on this side: what was sent before an interruption is known to the server by its external ids, so that
the same command goes on where it ended.
"""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli_output import fail, tell
from mneme_client import ApiError, ConnectionFailed, Mneme, Retries, Unauthorized
from mneme_client.history import BadHistory, Conversation, read, send

_PATIENT = Retries(times=6)  # about twelve seconds: a server that is started anew is waited for


def import_history(kind: str, file: Path, user: str, url: str, key: str | None, dry_run: bool) -> None:
    """Reads a file whole, so that a damaged one sends nothing, and sends what it holds."""
    try:
        conversations = read(kind, file)
    except BadHistory as error:
        fail(str(error))
    messages = sum(len(one.messages) for one in conversations)
    skipped = sum(one.skipped for one in conversations)
    held = f"{messages:,} messages in {sum(bool(one.messages) for one in conversations):,} conversations"
    left_out = f"; {skipped:,} entries without words of anybody left out" if skipped else ""
    if dry_run:
        tell(f"{file.name} holds {held}{left_out}; nothing was sent")
        return
    try:
        changed = _send(conversations, messages, user, url, key)
    except KeyboardInterrupt:
        fail("stopped; the same command goes on from here")
    except Unauthorized as error:
        fail(f"{error}; give --key, or set MNEME_KEY")
    except ApiError as error:
        fail(f"{error} (what was sent before is kept; the same command goes on from here)")
    except ConnectionFailed as error:
        fail(f"no server at {url} ({error}): start one with `mneme serve`; the same command goes on from here")
    except ValueError as error:
        fail(f"--user {user}: {error}")
    kept = f"; {changed:,} of them were changed here, and stay so" if changed else ""
    tell(f"{held} are in the memory of {user}{kept}{left_out}")


def _send(conversations: list[Conversation], messages: int, user: str, url: str, key: str | None) -> int:
    console = Console(stderr=True)
    columns = (TextColumn("mneme: remembering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Mneme(url, key, retries=_PATIENT) as client,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("", total=messages)
        return send(client, user, conversations, lambda done: progress.advance(task, done)).changed_here
