"""The file of an SQLite database: how it is opened, whether it is still the one that was opened, what its errors mean.

A file that is deleted or replaced under a running server would go on taking commits that nobody finds again: the open
connections write to a file without a name. So each connection remembers which files it opened, and is held against the
names when it is taken from the pool and after each commit.
"""

import os
import sqlite3
from typing import Any

BUSY_SECONDS = 30
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_UNUSABLE = {
    sqlite3.SQLITE_READONLY: "the database file cannot be written: give it and its folder to the user that runs Mneme",
    sqlite3.SQLITE_PERM: "the database file cannot be read: give it and its folder to the user that runs Mneme",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened: is its folder there, and can it be written?",
}
_LEAST_ROOM = 16 * 2**20

Identity = tuple[int, int]


class StoreUnavailable(Exception):
    """The database does not answer; nothing was changed, and the same call may succeed later."""


class StoreUnusable(StoreUnavailable):
    """The database does not answer, and waiting alone will not help; the message says what to do."""


class StoreDamaged(StoreUnusable):
    """What is stored cannot be read."""


def unavailable(error: BaseException | None) -> StoreUnavailable | None:
    """What an error of SQLite says of the file; None where the file has no part in it."""
    if not isinstance(error, sqlite3.Error):
        return None
    code, said = getattr(error, "sqlite_errorcode", 0) & 0xFF, (str(error).splitlines() or ["no answer"])[0]
    if code in _DAMAGED:
        return StoreDamaged(f"the database file is damaged ({said}): restore a backup, see docs/operations.md")
    if code in _UNUSABLE:
        return StoreUnusable(f"{_UNUSABLE[code]} ({said})")
    return None


class WatchedFile:
    """The file behind a pool of connections; its methods are listeners of SQLAlchemy's pool events."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._first: Identity | None = None
        self._log_lost = False

    def before_connect(self, *_: Any) -> None:
        """SQLite would make a new, empty file where ours is gone."""
        if self._log_lost or (self._first is not None and _identity(self._path) != self._first):
            raise self._gone()

    def connected(self, connection: Any, record: Any) -> None:
        """Prepares a new connection, and remembers its files."""
        prepare(connection)
        opened = _identity(self._path)
        self._first = self._first or opened
        if opened != self._first:
            raise self._gone()
        record.info["files"] = (opened, _identity(self._log))

    def checked_out(self, _: Any, record: Any, __: Any) -> None:
        """Makes sure that a connection is one to the file of that name."""
        self.check(record.info)

    def check(self, info: Any) -> None:
        """Makes sure that the files that a connection opened still bear their names.

        Raises:
            StoreUnusable: they do not.
        """
        file, log = info["files"]
        here = _identity(self._path) == file
        # A new log in place of ours would hide that commits are lost: that is not forgotten.
        self._log_lost |= here and _identity(self._log) != log
        if not here or self._log_lost:
            raise self._gone()

    def check_room(self) -> None:
        """Makes sure that the disk has room for turns to come: a small write may succeed where the next turn fails.

        Raises:
            StoreUnavailable: it is full.
        """
        disk = os.statvfs(os.path.dirname(self._path))
        if disk.f_bavail * disk.f_frsize < _LEAST_ROOM:
            raise StoreUnavailable(f"the database's disk has less than {_LEAST_ROOM >> 20} MiB left: make room")

    @property
    def _log(self) -> str:
        return f"{self._path}-wal"

    @staticmethod
    def _gone() -> StoreUnusable:
        return StoreUnusable(
            "the database file was deleted or replaced while it was in use: stop Mneme, put the file back"
        )


def prepare(connection: Any) -> None:
    """Sets a new connection up: transactions begin where we say, commits last, what is deleted is overwritten."""
    connection.isolation_level = None
    connection.create_function("lower", 1, _lower, deterministic=True)  # its own knows a to z only
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        f"busy_timeout={BUSY_SECONDS * 1000}",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute("SELECT 1 FROM sqlite_schema LIMIT 1")  # opens the write-ahead log
    cursor.fetchall()
    cursor.close()


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
