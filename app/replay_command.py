"""`mneme replay`: the fold over one user's log, or everybody's, reported a line each."""

from collections.abc import Callable

from app.main import open_database, open_device
from app.memories.device import Device
from app.memories.replay import Replayed, replay
from app.memories.serialization import DamagedMemory
from app.settings import Settings
from app.store import users
from app.store.database import Conflict, Database
from app.store.rows import DamagedRow

_TRIES = 5
# What damaged rows of one user raise, and a user who does not stop talking.
BAD_USER = (
    Conflict,
    DamagedMemory,
    DamagedRow,
    ValueError,
    TypeError,
    IndexError,
    OverflowError,
    RuntimeError,
    KeyError,
)


async def replay_users(settings: Settings, user: str | None, check: bool, tell: Callable[[str], None]) -> bool:
    """Replays and reports.

    Args:
        user: whose memory; None for everybody's.
        check: compare only.

    Returns:
        Whether every memory now is what its log makes of it.

    Raises:
        LookupError: no such user.
    """
    database = await open_database(settings)
    try:
        device = open_device(settings)
        try:
            async with database.reading() as connection:
                names = await users.every(connection) if user is None else [user]
            good = True
            for place, one in enumerate(names, 1):
                try:
                    done = await _patiently(database, device, one, not check, settings)
                except BAD_USER as error:  # the others' memories are replayed all the same
                    told = (str(error).splitlines() or [type(error).__name__])[0]
                    tell(f"[{place}/{len(names)}] {one}: CANNOT be replayed: {told}")
                    good = False
                    continue
                if done is None:
                    if user is not None:
                        raise LookupError(f"no user {user}")
                    continue
                tell(f"[{place}/{len(names)}] {_report(done)}")
                good &= done.written or not (done.foreign or done.differences)
            return good
        finally:
            device.close()
    finally:
        await database.close()


async def _patiently(database: Database, device: Device, user: str, write: bool, settings: Settings) -> Replayed | None:
    for attempt in range(_TRIES):
        try:
            return await replay(database, device, user, write, standing=settings.standing, slots=settings.slots)
        except Conflict:  # the user went on talking; take the log as it is now
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _report(done: Replayed) -> str:
    if done.foreign:
        found = "was written by other weights"
    elif done.differences:
        found = "DIFFERS from its log: " + "; ".join(done.differences)
    else:
        found = "agrees with its log"
    return f"{done.user_id}: {done.messages} messages, the memory {found}{', now replayed' if done.written else ''}"
