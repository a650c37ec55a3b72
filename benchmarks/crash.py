"""Kills a real `mneme serve` with SIGKILL while it writes, again and again, and checks what it kept.

    python -m benchmarks.crash --kills 50

Several users talk at once: turns, streamed and not, imports with external ids that are sent again after a crash, and
deletions; and keys are made and revoked. What the server acknowledged is written down here. After each kill, at a
random moment, it is started again and must have every acknowledged message and reply exactly once, in order, and no
deleted one; every key that it showed must open it, and no revoked one; and `mneme replay --all --check` must find every
memory to be what its log makes of it. The memories are small, so that they fill up and slots are taken over too. With
ENCRYPTION_KEY in the environment all this is encrypted. Ends with status 1 where anything was lost or disagreed.

The replies come from a scripted model (`benchmarks.scripted_model`), because a quick one leaves more of the time to
writing; `--real-generator` takes the packaged one.
"""

import argparse
import asyncio
import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.scripted_model import ScriptedModel
from benchmarks.serving import PROJECT, Server

_MNEME: Final = (sys.executable, "-c", "import sys; sys.argv[0] = 'mneme'; from app.cli import main; main()")
_SLOTS: Final = 32
_LATEST: Final = 2.5  # seconds of writing before a kill
_DELETED: Final = 0.25  # share of imports of which a message is deleted again
_UNANSWERED: Final = 0.2  # share of kills that come before the first acknowledgement
_ADMIN: Final = {"Authorization": f"Bearer mneme_{'c' * 43}"}


class CrashFailed(Exception):
    """The check itself could not go on; the message says why."""


@dataclass
class Session:
    """One session of a user, and what the server said of it.

    Attributes:
        acknowledged: the messages that it said it keeps, in the order of saying: their texts by id.
        deleted: those that it said it deleted.
        doubtful: those whose deletion it was asked for, whether or not it lived to do it.
        unanswered: an import that it died over, to be sent again.
    """

    user: str
    name: str
    acknowledged: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    unanswered: list[dict[str, str]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def text(self) -> str:
        """Something that was never said before."""
        return f"{self.user} noted in {self.name} that parcel {next(self._numbers)} is on shelf {random.randrange(90)}."


@dataclass
class Keys:
    """The keys that the server showed, by their ids, and those of them that it said it revoked, or was asked to."""

    shown: dict[str, str] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)


@dataclass
class Result:
    """What came of it all."""

    kills: int = 0
    keys: int = 0
    keys_wrong: int = 0
    acknowledged: int = 0
    deleted: int = 0
    lost: int = 0
    twice: int = 0
    disordered: int = 0
    undead: int = 0
    disagreed: int = 0
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether nothing was lost and every memory agreed with its log."""
        wrong = (self.lost, self.twice, self.disordered, self.undead, self.disagreed, self.keys_wrong)
        return not any(wrong)

    def line(self) -> str:
        """For people."""
        return (
            f"crash: {self.kills} kills, {self.acknowledged} messages acknowledged, {self.deleted} deletions: "
            f"{self.lost} lost, {self.twice} twice, {self.disordered} sessions out of order, "
            f"{self.undead} deleted ones back, {self.disagreed} replays that disagreed; "
            f"{self.keys_wrong} of {self.keys} keys wrong; {self.seconds:.0f} s"
        )


async def crash(server: Server, kills: int, seed: int, users: int = 3, minutes: float = math.inf) -> Result:
    """Runs the rounds, none after so many minutes; the server is started and killed here.

    Raises:
        CrashFailed: the server answered what it never should.
        ServerFailed: it did not start again.
    """
    began, result, chance = time.monotonic(), Result(), random.Random(seed)
    run = f"crash-{seed}-{time.time_ns():x}"
    sessions = [Session(f"{run}-{user}", kind) for user in range(users) for kind in ("talk", "import", "brief")]
    keys = Keys()
    server.settings["MNEME_ADMIN_KEY"] = _ADMIN["Authorization"].removeprefix("Bearer ")
    server.settings |= {"REQUESTS_PER_MINUTE": "0", "TOKENS_PER_MINUTE": "0"}
    await asyncio.to_thread(server.start)
    for number in range(1, kills + 1):
        if time.monotonic() - began > 60 * minutes:
            break
        delay, patient = chance.uniform(0, _LATEST), chance.random() > _UNANSWERED
        await _write_until_killed(server, sessions, keys, delay, patient)
        _, agreed = await asyncio.gather(asyncio.to_thread(server.start), asyncio.to_thread(replay_agrees, server))
        result.kills, result.disagreed = number, result.disagreed + (not agreed)
        await _check(server, sessions, result)
        await _check_keys(server, keys, result)
        result.seconds = time.monotonic() - began
        print(
            f"kill {number}/{kills} after {delay:.2f} s of writing: {result.acknowledged} acknowledged so far, "
            f"{result.lost} lost, memories {'agree' if agreed else 'DISAGREE'} with their logs",
            flush=True,
        )
    return result


async def _write_until_killed(
    server: Server, sessions: list[Session], keys: Keys, seconds: float, patient: bool
) -> None:
    """Kills the server after so much writing; a patient one begins to count at the first acknowledgement."""
    answered = asyncio.Event()
    async with _client(server) as client:
        writers = [
            asyncio.create_task((_talk if session.name == "talk" else _import)(client, session, answered))
            for session in sessions
        ]
        writers.append(asyncio.create_task(_make_keys(client, keys)))
        if patient:
            async with asyncio.timeout(60):
                await answered.wait()
        done, _ = await asyncio.wait(writers, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        server.kill()
        await asyncio.gather(*writers, return_exceptions=True)
    for writer in writers:
        if not isinstance(writer.exception(), httpx.HTTPError) or writer in done:
            raise CrashFailed(f"a writer ended for another reason than the kill: {writer.exception()!r}")


def _acknowledged(sessions: list[Session]) -> int:
    return sum(len(session.acknowledged) for session in sessions)


async def _talk(client: httpx.AsyncClient, session: Session, answered: asyncio.Event) -> None:
    """Turns, every other one streamed, until the server is gone."""
    for streamed in itertools.cycle((False, True)):
        text = session.text()
        body = {"user_id": session.user, "message": text, "session_id": session.name, "stream": streamed}
        async with client.stream("POST", "/v1/chat", json=body) as response:
            if not streamed:
                reply = _expect(200, response, await response.aread())
                session.acknowledged[reply["user_message_id"]] = text
                session.acknowledged[reply["reply_message_id"]] = reply["reply"]
                answered.set()
                continue
            _expect(200, response)
            event = ""
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event == "recalled":
                    session.acknowledged[json.loads(value)["user_message_id"]] = text
                elif name == "data" and event == "done":
                    reply = json.loads(value)
                    session.acknowledged[reply["reply_message_id"]] = reply["reply"]
                elif name == "data" and event == "error":
                    raise CrashFailed(f"a turn failed: {value}")


async def _import(client: httpx.AsyncClient, session: Session, answered: asyncio.Event) -> None:
    """Imports a few messages at a time and deletes one now and then, until the server is gone.

    The brief session gets one at a time and loses it at once, and itself with it.
    """
    path, brief = f"/v1/users/{session.user}/messages", session.name == "brief"
    while True:
        if not session.unanswered:
            texts = [session.text() for _ in range(1 if brief else random.randint(1, 4))]
            session.unanswered = [{"role": "user", "content": text, "external_id": text} for text in texts]
        response = await client.post(path, json={"session_id": session.name, "messages": session.unanswered})
        kept = _expect(201, response, response.content)["messages"]
        session.acknowledged |= {one["id"]: one["external_id"] for one in kept}
        session.unanswered = []
        answered.set()
        if brief or random.random() < _DELETED:
            gone = kept[0]["id"]
            session.doubtful.add(gone)
            _expect(204, await client.delete(f"{path}/{gone}"))
            session.deleted.add(gone)


async def _make_keys(client: httpx.AsyncClient, keys: Keys) -> None:
    """Makes keys and revokes every other one, until the server is gone."""
    for revoked in itertools.cycle((False, True)):
        response = await client.post("/v1/keys", json={"name": "crash", "scope": "service"})
        made = _expect(201, response, response.content)
        keys.shown[made["id"]] = made["key"]
        if revoked:
            keys.doubtful.add(made["id"])
            _expect(204, await client.delete(f"/v1/keys/{made['id']}"))
            keys.revoked.add(made["id"])
        await asyncio.sleep(0.1)


async def _check_keys(server: Server, keys: Keys, result: Result) -> None:
    result.keys, result.keys_wrong = len(keys.shown), 0
    async with _client(server) as client:
        for name, key in keys.shown.items():
            opened = await client.get("/v1/models", headers={"Authorization": f"Bearer {key}"})
            wanted = {200} if name not in keys.doubtful else {401} if name in keys.revoked else {200, 401}
            result.keys_wrong += opened.status_code not in wanted


def _client(server: Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False, headers=_ADMIN)


def _expect(status: int, response: httpx.Response, content: bytes = b"{}") -> dict[str, Any]:
    if response.status_code != status:
        raise CrashFailed(f"{response.request.url.path} answered {response.status_code}: {content[:500]!r}")
    return dict(json.loads(content))


async def _check(server: Server, sessions: list[Session], result: Result) -> None:
    """Compares the logs with what was acknowledged, all of it from the first round on."""
    result.acknowledged = _acknowledged(sessions)
    result.deleted = sum(len(session.deleted) for session in sessions)
    result.lost = result.twice = result.disordered = result.undead = 0
    async with _client(server) as client:
        for session in sessions:
            log = [entry async for entry in read_log(client, session)]
            found = {entry["id"]: entry["content"] for entry in log}
            said = [entry["content"] for entry in log if entry["role"] == "user"]
            wanted = {id: text for id, text in session.acknowledged.items() if id not in session.doubtful}
            result.lost += sum(found.get(id) != text for id, text in wanted.items())
            result.twice += len(said) - len(set(said))
            result.disordered += [id for id in found if id in wanted] != [id for id in wanted if id in found]
            result.undead += len(session.deleted & set(found))


async def read_log(client: httpx.AsyncClient, session: Session) -> AsyncIterator[dict[str, Any]]:
    path, cursor = f"/v1/users/{session.user}/sessions/{session.name}/messages", ""
    while True:
        response = await client.get(path, params={"limit": 1000, **({"cursor": cursor} if cursor else {})})
        if response.status_code == httpx.codes.NOT_FOUND and session.acknowledged.keys() <= session.doubtful:
            return  # it has had no message yet, or lost its last one
        page = _expect(200, response, response.content)
        for entry in page["messages"]:
            yield entry
        if page["next_cursor"] is None:
            return
        cursor = page["next_cursor"]


def replay_agrees(server: Server) -> bool:
    environment = {**os.environ, **server.settings, "PYTHONPATH": str(PROJECT)}
    ended = subprocess.run(
        [*_MNEME, "replay", "--all", "--check"], cwd=server.folder, env=environment, capture_output=True, text=True
    )
    if ended.returncode == 0:
        return True
    if "DIFFERS" not in ended.stdout:
        raise CrashFailed(f"mneme replay ended with status {ended.returncode}:\n{ended.stderr}")
    print(ended.stdout, flush=True)
    return False


@asynccontextmanager
async def server_to_kill(database_url: str | None, real_generator: bool) -> AsyncIterator[Server]:
    """The server, not yet started, with the model that it talks to; killed and gone afterwards.

    Args:
        database_url: None takes SQLite in a temporary folder.
    """
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(ScriptedModel())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mneme-crash-"))
        # One computing thread: the replay runs beside the server, and OpenMP's workers would spin against each other.
        settings: dict[str, str | int] = {"SLOTS": _SLOTS, "MAX_TOKENS": 16, "OMP_NUM_THREADS": 1}
        settings |= {} if real_generator else {"GENERATOR_URL": model.url}
        settings |= {} if database_url is None else {"DATABASE_URL": database_url}
        server = Server(settings, Path(folder))
        stack.callback(server.kill)
        yield server


async def _main(arguments: argparse.Namespace) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # so that the server goes too
    async with server_to_kill(arguments.database_url, arguments.real_generator) as server:
        kind = server.settings["DATABASE_URL"].partition(":")[0]
        print(f"crash: {arguments.kills} kills on {kind}, seed {arguments.seed}", flush=True)
        result = await crash(server, arguments.kills, arguments.seed, minutes=arguments.minutes)
    print(result.line(), flush=True)
    return 0 if result.good else 1


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="how often (default: 50)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="no further kill after so many")
    parser.add_argument("--database-url", help="an empty database; default: SQLite in a temporary folder")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills (default: 1)")
    parser.add_argument("--real-generator", action="store_true", help="replies by the packaged model, not by a script")
    try:
        return asyncio.run(_main(parser.parse_args()))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM


if __name__ == "__main__":
    sys.exit(main())
