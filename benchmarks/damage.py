"""Damages a stored memory at random, a cell or a byte at a time, and looks at what the service makes of it.

    python -m benchmarks.damage --damages 10000

What must hold for every damage: no reply is a 500, and no answer is silently another one. A recall, a list or a summary
is the same as before, or a 503, or it differs only in what it shows of the damaged row itself: a message whose text was
damaged is shown with that text. Damage to a memory's state (slots, words, its own row, who owns it) must be the same
answer or a 503, and `mneme replay` must bring back what the log can give. With `--file` bytes of the database's file
are damaged instead, its indices among them, of which SQLite keeps no checksum: what comes of that is counted and told.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from fastapi import FastAPI

from app.main import create_app
from app.memories.memories import Memories
from app.memories.messages import Draft
from app.memories.replay import replay
from app.replay_command import BAD_USER
from app.settings import Settings
from app.store import migration

STATE: Final = ("slots", "words", "memories", "memory_members", "users")
TABLES: Final = (*STATE, "messages", "sessions", "reads", "forgotten")
USERS: Final = ("ada", "bob")
_QUERY: Final = "Where is parcel 3?"
_TEXTS: Final = ("", "garbage", "NaN", "99999999999999999999", "2025-13-45 99:99:99", "{", "[1]", "\x00", b"\xff")
_NUMBERS: Final = (0, -1, 1, 2, 2**31 - 1, 2**31, 2**63 - 1, -(2**63), 1e308, -1e-3, float("inf"), float("-inf"), 0.5)
_REPLAYED: Final = 10  # one in so many damages of a state is replayed
_OK: Final = httpx.codes.OK


@dataclass
class Outcome:
    """What came of the damages; `wrong` and `failed` must stay empty."""

    damages: int = 0
    replies: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    mended: int = 0
    unmended: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether no reply was a server error and no answer silently another."""
        return not (self.wrong or self.failed)

    def lines(self) -> Iterator[str]:
        """For people."""
        counted = ", ".join(f"{count} {what}" for what, count in sorted(self.replies.items()))
        yield f"{self.damages} damages in {self.seconds:.0f} s; replies: {counted}"
        yield f"{len(self.failed)} server errors, {len(self.wrong)} silent wrong answers"
        yield f"replayed: {self.mended} mended, {len(self.unmended)} not"
        for what, found in (("500", self.failed), ("wrong", self.wrong), ("not mended", self.unmended)):
            yield from (f"{what}: {one}" for one in found[:10])


class Patient:
    """A service with two users in an SQLite file that is damaged and made whole again.

    Args:
        app: the application, started.
        client: of it; must not raise what the application raises.
        file: of its database.
    """

    def __init__(self, app: FastAPI, client: httpx.AsyncClient, file: Path) -> None:
        self._client, self._file = client, file
        self._memories: Memories = app.state.memories
        self._raw = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._whole = sqlite3.connect(":memory:", check_same_thread=False)
        self._before: dict[tuple[str, str], Any] = {}
        self._routes: list[tuple[str, str, Any]] = []

    async def begin(self) -> None:
        """Fills the memories, and notes how every route answers while all is whole."""
        at = datetime(2025, 3, 1, 9, tzinfo=UTC)
        for user in USERS:
            for number in range(10):
                text = f"{user.title()} put parcel {number} on shelf {number * 7 % 13}."
                session = "monday" if number < 6 else "friday"
                draft = Draft("user", text, session, at + timedelta(hours=number), speaker=user if number % 3 else None)
                done = await self._memories.remember(user, [draft])
                if number == 4:
                    await self._memories.forget(user, done.messages[0][0].id)
            asked = Draft("user", _QUERY, "friday", at + timedelta(days=1))
            heard = await self._memories.recall_and_store(user, asked, 3, 0)
            base, message = f"/v1/users/{user}", heard.remembered.messages[0][0].id
            asking = {"query": _QUERY, "asked_at": "2025-03-09T10:00:00Z"}
            self._routes += [("POST", f"{base}/memory/recall", asking), ("GET", f"{base}/memory", None)]
        trace = f"/messages/{message}/trace"
        for path in ("/memory/slots", "/sessions", "/sessions/monday/messages", "/export", trace):
            self._routes.append(("GET", base + path, None))
        _remember_encodings(self._memories)
        self._routes += [("GET", "/v1/users", None), ("GET", "/health/ready", None)]
        self._raw.backup(self._whole)
        for method, path, body in self._routes:
            status, self._before[method, path] = await self._ask(method, path, body)
            assert status in (_OK, 503 if path.endswith("ready") else _OK), (path, status)

    async def fuzz(self, damages: int, seed: int, in_file: bool = False) -> Outcome:
        """Damages, asks, compares and makes whole, so many times."""
        choose, outcome, began = random.Random(seed), Outcome(), time.monotonic()
        while outcome.damages < damages:
            what = await self._damage_file(choose) if in_file else self._damage_cell(choose)
            if what is None:
                continue
            outcome.damages += 1
            self._forget_what_is_kept()
            table = what.partition(".")[0]
            for method, path, body in self._routes:
                status, now = await self._ask(method, path, body)
                outcome.replies[str(status)] += 1
                if status >= 500 and status != 503:
                    outcome.failed.append(f"{what}: {method} {path}: {now}")
                elif not self._is_honest(table, method, path, status, now):
                    apart = _difference(self._before[method, path], now)
                    outcome.wrong.append(f"{what}: {method} {path}: {status} {apart}")
            if not in_file:
                await self._write(what, outcome)
                if table in STATE and outcome.damages % _REPLAYED == 0:
                    await self._mend(what, outcome)
            await self._make_whole(in_file)
        outcome.seconds = time.monotonic() - began
        return outcome

    async def _ask(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        reply = await self._client.request(method, path, json=body)
        try:
            shown = [json.loads(line) for line in reply.text.splitlines()] if "export" in path else reply.json()
        except ValueError:
            shown = reply.text
        return reply.status_code, _lasting(shown)

    def _is_honest(self, table: str, method: str, path: str, status: int, now: Any) -> bool:
        before = self._before[method, path]
        if status == 503 or now == before or path.endswith("ready"):
            return True
        if path == "/v1/users":
            return True  # lists the rows that are there
        if table in STATE:
            return False
        if not path.endswith(("/recall", "/memory")):
            return True  # lists the rows that are there, or shows them beside the memory
        if table != "messages" or status != _OK:
            return False
        if path.endswith("/memory"):
            return True  # shows the first and last time
        apart = [one for one in now["recalled"] if one not in before["recalled"]]
        weights = [[one["weight"] for one in found["recalled"]] for found in (before, now)]
        return len(apart) <= 1 and weights[0] == weights[1]

    def _damage_cell(self, choose: random.Random) -> str | None:
        table = choose.choice(TABLES)
        rows = self._raw.execute(f"SELECT rowid, * FROM {table}").fetchall()  # noqa: S608
        names = [column[1] for column in self._raw.execute(f"PRAGMA table_info({table})")]
        row, place = choose.choice(rows), choose.randrange(len(names))
        old = row[1 + place]
        new: Any
        if isinstance(old, (str, bytes)) and old and choose.random() < 0.6:
            raw = bytearray(old.encode() if isinstance(old, str) else old)
            raw[choose.randrange(len(raw))] ^= 1 << choose.randrange(8)
            new = bytes(raw) if isinstance(old, bytes) else _text(bytes(raw))
        elif isinstance(old, (int, float)) and choose.random() < 0.4:
            new = old + choose.choice((1, -1, 0.25, 1e-7))
        else:
            text: Any = old
            cut = (text[: len(text) // 2], text + text[:1]) if isinstance(old, (str, bytes)) else ()
            new = choose.choice((*_TEXTS, *_NUMBERS, *cut, None))
        if new == old and type(new) is type(old):
            return None
        self._raw.execute("PRAGMA foreign_keys=OFF")
        try:
            self._raw.execute(f"UPDATE {table} SET {names[place]} = ? WHERE rowid = ?", (new, row[0]))  # noqa: S608
        except (sqlite3.IntegrityError, OverflowError):
            return None
        return f"{table}.{names[place]} {old!r:.60} -> {new!r:.60}"

    async def _damage_file(self, choose: random.Random) -> str | None:
        await self._close()
        raw = bytearray(self._file.read_bytes())
        place, bit = choose.randrange(len(raw)), 1 << choose.randrange(8)
        raw[place] ^= bit
        self._file.write_bytes(raw)
        return f"file.byte {place} of {len(raw)}, bit {bit}"

    async def _write(self, what: str, outcome: Outcome) -> None:
        body = {"messages": [{"role": "user", "content": "Parcel 99 came today.", "external_id": "99"}]}
        status, told = await self._ask("POST", f"/v1/users/{USERS[0]}/messages", body)
        outcome.replies[f"{status} (writing)"] += 1
        if status not in (201, 503):
            outcome.failed.append(f"{what}: writing: {status} {told}")

    async def _mend(self, what: str, outcome: Outcome) -> None:
        self._forget_what_is_kept()
        of, broken = self._memories, []
        for user in USERS:
            try:
                done = await replay(of.database, of.device, user, write=True, slots=of.slots)
                again = await replay(of.database, of.device, user, write=False, slots=of.slots)
                if done is None or again is None or again.differences:
                    broken.append(f"{user}: {again.differences if again else 'no such user'}")
            except BAD_USER as error:
                broken.append(f"{user}: {error}")
        outcome.mended += not broken
        outcome.unmended += [f"{what}: {one}" for one in broken]

    def _forget_what_is_kept(self) -> None:
        for user in USERS:
            self._memories.live.cache.drop(user)
        self._memories.database.damage = None

    async def _close(self) -> None:
        await self._memories.database.close()
        self._raw.close()

    async def _make_whole(self, in_file: bool) -> None:
        if in_file:
            await self._memories.database.close()
            self._file.write_bytes(self._whole.serialize())
            self._raw = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
            self._raw.execute("PRAGMA journal_mode=WAL")
        else:
            await asyncio.to_thread(self._whole.backup, self._raw)  # the service may hold the write lock
        self._forget_what_is_kept()


def _remember_encodings(memories: Memories) -> None:
    """The same few texts are encoded over and over; what is damaged is not in the encoder."""
    real, known = memories.device.encode, dict[str, Any]()

    async def encode(texts: Sequence[str]) -> list[Any]:
        new = [text for text in texts if text not in known]
        known.update(zip(new, await real(new), strict=True) if new else ())
        return [known[text] for text in texts]

    memories.device.encode = encode  # type: ignore[method-assign]


def _text(raw: bytes) -> str | bytes:
    """A text, or bytes where these are of none."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _lasting(shown: Any) -> Any:
    """A reply without what differs from call to call."""
    if isinstance(shown, dict):
        return {name: _lasting(value) for name, value in shown.items() if name not in ("timings_ms", "exported_at")}
    return [_lasting(one) for one in shown] if isinstance(shown, list) else shown


def _difference(before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict) and before.keys() == now.keys():
        return next(f"{name}: {_difference(before[name], now[name])}" for name in before if before[name] != now[name])
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return next(_difference(one, other) for one, other in zip(before, now, strict=True) if one != other)
    return f"{before!r:.80} became {now!r:.80}"


async def _main(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="mneme-damage-") as folder:
        file = Path(folder) / "mneme.db"
        settings = Settings(
            _env_file=None, database_url=f"sqlite:///{file}", generator_url="http://127.0.0.1:9/v1", slots=64,
            requests_per_minute=0, audit_days=0,
        )  # fmt: skip
        await migration.migrate(settings.database_url)
        app = create_app(settings)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                patient = Patient(app, client, file)
                await patient.begin()
                outcome = await patient.fuzz(arguments.damages, arguments.seed, arguments.file)
    print("\n".join(outcome.lines()))
    return 0 if outcome.good else 1


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damages", type=int, default=1000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the choices (default: %(default)s)")
    parser.add_argument("--file", action="store_true", help="damage bytes of the file instead of cells")
    return asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
