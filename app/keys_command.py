"""`mneme keys`: making, listing and revoking keys, on the database itself, so that it works before the first start."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app import settings
from app.access.caller import BadScope, Grant
from app.cli_output import exit_on_error, fail

if TYPE_CHECKING:
    from app.access.keys import Keys

keys = typer.Typer(no_args_is_help=True, help="Keys that open the service to callers.")
Done = TypeVar("Done")
_LONGEST_NAME = 128


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="what the key is for")],
    scope: Annotated[str, typer.Option(help="admin, service (every user's data) or user:ID (one user's)")],
    expires: Annotated[str | None, typer.Option(help="when it stops, such as 90d or 12h; never, unless given")] = None,
) -> None:
    """Make a key and print it. It is shown this once."""
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        fail(f"NAME must be 1 to {_LONGEST_NAME} printable characters")
    try:
        grant = Grant.parse(scope)
    except BadScope as error:
        fail(f"--scope {scope}: {error}")
    lifetime = _lifetime(expires) if expires is not None else None
    made = _on_keys(lambda keys: keys.create(name, grant, lifetime))
    print(made.key)


@keys.command("list")
def list_keys() -> None:
    """List every key that was made."""
    for key in _on_keys(lambda keys: keys.all()):
        now = datetime.now(UTC)
        state = "valid" if key.is_valid(now) else "revoked" if key.revoked_at is not None else "expired"
        used = f"last used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at is not None else "never used"
        until = f", expires {key.expires_at:%Y-%m-%d}" if key.expires_at is not None and state == "valid" else ""
        scope = Grant(key.scope, key.user_id)  # type: ignore[arg-type]  # one of the three
        print(f"{key.id}  {key.prefix}…  {scope}  {key.name}  ({state}{until}, {used})")


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="as `mneme keys list` shows it")]) -> None:
    """Make a key and the tokens that it minted invalid; running servers know within a second."""
    _on_keys(lambda keys: keys.revoke(key_id))


_UNITS = {"d": "days", "h": "hours"}


def _lifetime(text: str) -> timedelta:
    found = re.fullmatch(r"([1-9]\d{0,4})([dh])", text)
    if found is None or not (lifetime := timedelta(**{_UNITS[found[2]]: int(found[1])})) <= timedelta(days=3650):
        fail(f"--expires {text}: write a number of days or hours, such as 90d or 12h, ten years at most")
    return lifetime


def _on_keys(ask: "Callable[[Keys], Awaitable[Done]]") -> Done:
    try:
        chosen = settings.load()
    except settings.SettingsError as error:
        fail(str(error))
    from app.access.keys import Keys, NoSuchKey
    from app.store import migration
    from app.store.database import Database, StoreUnavailable

    async def run() -> Done:
        database = Database(chosen.database_url)
        try:
            await migration.check(database)
            return await ask(Keys(database))
        finally:
            await database.close()

    with exit_on_error(StoreUnavailable, migration.SchemaError, NoSuchKey, OSError):
        return asyncio.run(run())
    raise AssertionError("unreachable")
