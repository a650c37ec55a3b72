"""Uses a real server for as long as is asked, restarting it now and then, and looks at what grows and what is lost.

    python -m benchmarks.soak --minutes 60 --plot docs/figures/soak.svg

Several users chat, streamed and not, remember, recall and forget; one is exported, erased and brought back again and
again. The server is stopped and started, and so is the database where `--restart-database COMMAND` says how. Every ten
seconds the server's resident memory and open files are noted, and every call's time. At the end each acknowledged
message must be there exactly once and no deleted one, and `mneme replay --all --check` must find every memory, with
every trace, to be what its log makes of it. Ends with status 1 where not, or where a call failed that should not have:
while something restarts, a call may find nobody or be a 503. What grows is for the reader to judge, by the plot.
"""

import argparse
import asyncio
import functools
import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.crash import Session, read_log, replay_agrees, server_to_kill
from benchmarks.network_plots import figure
from benchmarks.serving import Server
from benchmarks.speed import percentile, resident_mib

_SAMPLED = 10.0  # seconds
_CALLS = ("chat", "streamed chat", "remember", "recall", "forget", "round trip")


@dataclass
class Minute:
    """What was measured in one minute; `process` numbers the server's processes."""

    process: int
    resident_mib: float = 0.0
    descriptors: int = 0
    took_ms: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _CALLS})


@dataclass
class Soak:
    """A run: who talks, what was acknowledged, what was measured."""

    server: Server
    users: int
    restart_every: float
    restart_database: str | None
    sessions: list[Session] = field(default_factory=list)
    minutes: list[Minute] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    excused: int = 0
    restarts: int = 0
    _pause: asyncio.Lock = field(default_factory=asyncio.Lock)
    _restarted: float = 0.0

    async def run(self, seconds: float) -> None:
        """Talks for so long."""
        self._began = time.monotonic()
        await asyncio.to_thread(self.server.start)
        self.minutes.append(Minute(0))
        self.sessions = [Session(f"soak-{user}", "talk") for user in range(self.users)]
        tasks = [asyncio.create_task(self._talk(session, seconds)) for session in self.sessions]
        tasks += [asyncio.create_task(self._round_trips(seconds)), asyncio.create_task(self._restart(seconds))]
        tasks.append(asyncio.create_task(self._measure(seconds)))
        await asyncio.gather(*tasks)

    async def _talk(self, session: Session, seconds: float) -> None:
        choose = random.Random(session.user)
        for call in itertools.cycle(("chat", "recall", "remember", "streamed chat", "recall", "forget")):
            if time.monotonic() - self._began > seconds:
                return
            await asyncio.sleep(choose.uniform(0, 0.2))
            await self._timed(call, getattr(self, "_" + call.replace(" ", "_"))(session))

    async def _timed(self, name: str, call: Any) -> Any:
        began, restarts = time.monotonic(), self.restarts
        try:
            done = await call
        except (httpx.HTTPError, ConnectionError) as error:
            told = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else type(error).__name__
            if self.restarts != restarts or self._pause.locked() or began - self._restarted < 20:
                self.excused += 1
            else:
                self.failures[f"{name}: {told}"] += 1
            await asyncio.sleep(0.5)
            return None
        self.minutes[-1].took_ms[name].append(1000 * (time.monotonic() - began))
        return done

    async def _post(self, path: str, body: Any) -> Any:
        async with httpx.AsyncClient(base_url=self.server.url, timeout=60, trust_env=False) as client:
            return (await client.post(path, json=body)).raise_for_status().json()

    async def _chat(self, session: Session) -> None:
        text = session.text()
        body = {"user_id": session.user, "message": text, "session_id": session.name}
        reply = await self._post("/v1/chat", body)
        session.acknowledged |= {reply["user_message_id"]: text, reply["reply_message_id"]: reply["reply"]}

    async def _streamed_chat(self, session: Session) -> None:
        text, event = session.text(), ""
        body = {"user_id": session.user, "message": text, "session_id": session.name, "stream": True}
        async with (
            httpx.AsyncClient(base_url=self.server.url, timeout=60, trust_env=False) as client,
            client.stream("POST", "/v1/chat", json=body) as response,
        ):
            response.raise_for_status()
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                event = value if name == "event" else event
                if name == "data" and event == "recalled":
                    session.acknowledged[json.loads(value)["user_message_id"]] = text
                elif name == "data" and event == "done":
                    reply = json.loads(value)
                    session.acknowledged[reply["reply_message_id"]] = reply["reply"]

    async def _remember(self, session: Session) -> None:
        text = session.text()
        message = {"role": "user", "content": text, "external_id": text}
        kept = await self._post(
            f"/v1/users/{session.user}/messages", {"session_id": session.name, "messages": [message]}
        )
        session.acknowledged[kept["messages"][0]["id"]] = text

    async def _recall(self, session: Session) -> None:
        if session.acknowledged:
            await self._post(f"/v1/users/{session.user}/memory/recall", {"query": "Which parcel is on shelf 12?"})

    async def _forget(self, session: Session) -> None:
        known = [one for one in session.acknowledged if one not in session.doubtful]
        if not known:
            return
        gone = random.choice(known)
        session.doubtful.add(gone)
        async with httpx.AsyncClient(base_url=self.server.url, timeout=60, trust_env=False) as client:
            (await client.delete(f"/v1/users/{session.user}/messages/{gone}")).raise_for_status()
        session.deleted.add(gone)

    async def _round_trips(self, seconds: float) -> None:
        """One user is exported, erased and brought back, over and over."""
        while time.monotonic() - self._began < seconds:
            await self._timed("round trip", self._round_trip())
            await asyncio.sleep(5)

    async def _round_trip(self) -> None:
        path, texts = "/v1/users/soak-traveller", [f"Stamp {number} is in the album." for number in range(40)]
        async with httpx.AsyncClient(base_url=self.server.url, timeout=60, trust_env=False) as client:
            await client.delete(path)
            messages = [{"role": "user", "content": text} for text in texts]
            (await client.post(f"{path}/messages", json={"messages": messages})).raise_for_status()
            taken = (await client.get(f"{path}/export")).raise_for_status().content
            (await client.delete(path)).raise_for_status()
            lines = {"Content-Type": "application/x-ndjson"}
            (await client.post(f"{path}/import", content=taken, headers=lines)).raise_for_status()

    async def _restart(self, seconds: float) -> None:
        for database in itertools.cycle((False, True) if self.restart_database else (False,)):
            await asyncio.sleep(min(self.restart_every, max(0.0, seconds - (time.monotonic() - self._began))))
            if time.monotonic() - self._began > seconds - 1:
                return
            async with self._pause:
                if database:
                    restart = functools.partial(subprocess.run, self.restart_database, shell=True, check=True)
                    await asyncio.to_thread(restart)
                else:
                    await asyncio.to_thread(self.server.restart)
                self.restarts += 1
                self._restarted = time.monotonic()

    async def _measure(self, seconds: float) -> None:
        for number in itertools.count(1):
            await asyncio.sleep(_SAMPLED)
            over = time.monotonic() - self._began > seconds
            if self.server.running and not self._pause.locked():
                now = self.minutes[-1]
                now.resident_mib = max(now.resident_mib, resident_mib(self.server.pid)[0])
                now.descriptors = max(now.descriptors, len(os.listdir(f"/proc/{self.server.pid}/fd")))
            if over:
                return
            if number % int(60 / _SAMPLED) == 0:
                self.minutes.append(Minute(self.restarts))

    async def lost(self) -> list[str]:
        """What is not as it was acknowledged."""
        found = []
        async with httpx.AsyncClient(base_url=self.server.url, timeout=60, trust_env=False) as client:
            for session in self.sessions:
                log = {entry["id"]: entry["content"] async for entry in read_log(client, session)}
                wanted = {one: text for one, text in session.acknowledged.items() if one not in session.doubtful}
                missing = sum(log.get(one) != text for one, text in wanted.items())
                if missing:
                    found.append(f"{session.user}: {missing} acknowledged messages are lost")
                if back := len(session.deleted & set(log)):
                    found.append(f"{session.user}: {back} deleted messages are back")
        return found


def table(minutes: list[Minute]) -> list[str]:
    """The figures by minute."""
    lines = [f"{'minute':>6} {'MiB':>6} {'files':>6} " + " ".join(f"{name:>14}" for name in _CALLS)]
    for number, minute in enumerate(minutes, 1):
        times = [f"{percentile(took, 99):9.0f} ({len(took)})" if took else "-" for took in minute.took_ms.values()]
        lines.append(
            f"{number:>6} {minute.resident_mib:6.0f} {minute.descriptors:6} " + " ".join(f"{one:>14}" for one in times)
        )
    return lines


def draw(minutes: list[Minute], path: Path) -> None:
    """Memory, open files and p99 by minute, as SVG. Needs matplotlib, which comes with the extra `train`."""
    numbers = range(1, len(minutes) + 1)
    with figure(path, 3) as (memory, files, times):
        memory.plot(numbers, [minute.resident_mib for minute in minutes])
        memory.set(title="resident memory, MiB", xlabel="minute", ylim=(0, None))
        files.plot(numbers, [minute.descriptors for minute in minutes])
        files.set(title="open files", xlabel="minute", ylim=(0, None))
        for name in _CALLS:
            known = [(n, percentile(one.took_ms[name], 99)) for n, one in zip(numbers, minutes, strict=True)
                     if one.took_ms[name]]  # fmt: skip
            times.plot(*zip(*known, strict=True), label=name) if known else None
        times.set(title="p99, ms", xlabel="minute", ylim=(0, None))
        times.legend()


async def _main(arguments: argparse.Namespace) -> int:
    async with server_to_kill(arguments.database_url, real_generator=False) as server:
        soak = Soak(server, arguments.users, 60 * arguments.restart_every, arguments.restart_database)
        await soak.run(60 * arguments.minutes)
        wrong = await soak.lost()
        if not await asyncio.to_thread(replay_agrees, server):
            wrong.append("a memory is not what its log makes of it")
        await asyncio.to_thread(server.stop)
    acknowledged = sum(len(session.acknowledged) for session in soak.sessions)
    deleted = sum(len(session.deleted) for session in soak.sessions)
    print("\n".join(table(soak.minutes)))
    print(f"{acknowledged} messages acknowledged, {deleted} deleted, {soak.restarts} restarts, {soak.excused} calls "
          f"that met one; failed: {dict(soak.failures) or 'none'}; wrong: {wrong or 'nothing'}")  # fmt: skip
    if arguments.plot:
        draw(soak.minutes, arguments.plot)
    return 1 if wrong or soak.failures else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: %(default)s)")
    parser.add_argument("--users", type=int, default=4, help="who talk at once (default: %(default)s)")
    parser.add_argument("--restart-every", type=float, default=3, help="minutes (default: %(default)s)")
    parser.add_argument("--restart-database", metavar="COMMAND", help="restarts the database, in turn with the server")
    parser.add_argument("--database-url", help="an empty database; default: SQLite in a temporary folder")
    parser.add_argument("--plot", type=Path, help="an SVG of the figures by minute")
    return asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
