"""How fast the service is, and what it takes, as an application meets it: a real server, one keep-alive connection.

Three users' memories are filled by import to 100, 1,000 and 10,000 slots; then single messages are remembered and
recalled, the users in turn, so that whatever else the machine does meets all of them alike and the ratios show whether
cost grows with history. Then come whole turns, many users at once, resident memory and bytes. The figures are printed
beside their targets; none of them decides about anything (exit status 0).
"""

import argparse
import json
import lzma
import math
import random
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serving import Server, ServerFailed, told_in_one_line
from memory_core.training.conversations import DATA

LEVELS = (100, 1_000, 10_000)
CAPACITY = 20_000
A_USER = 4_096  # slots at which a user's part of the database is taken
BATCH = 1_000
K = 8
WARM_UP = 5
MEASURED_BYTES = 50
TURNS_AMONG = 1_000
USERS_AT_ONCE = 16
MIB = 2**20
_FIRST_SAID = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Material:
    """What is said and what is asked; `source` says where it comes from."""

    source: str
    messages: list[str]
    questions: list[str]


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be at most, or at least."""

    name: str
    figure: float
    bound: float
    unit: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.figure >= self.bound if self.at_least else self.figure <= self.bound


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def material(data: Path) -> Material:
    """User turns of about 30 words out of the set `realmem`, or made-up sentences where it is not there."""
    path = data / "recall" / "realmem.jsonl.xz"
    if not path.is_file():
        return Material(f"made-up sentences ({path} is missing; --data says where it is)", *made_up(12_000, 400))
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    said = [turn["text"] for row in rows for turn in row["turns"] if turn["role"] == "user"]
    messages = list(dict.fromkeys(text for text in said if 20 <= len(text.split()) <= 40))
    asked = [question["question"] for row in rows for question in row["questions"]]
    questions = list(dict.fromkeys(text for text in asked if len(text.split()) <= 40))
    random.Random(7).shuffle(messages)
    words = sum(len(text.split()) for text in messages) / len(messages)
    return Material(
        f"RealMemBench: {len(messages)} user turns of 20 to 40 words ({words:.0f} on average), repeated as needed, "
        f"and {len(questions)} questions",
        messages,
        questions,
    )


def made_up(messages: int, questions: int) -> tuple[list[str], list[str]]:
    """Sentences of a small vocabulary: messages of about 30 words, and questions about them."""
    choose = random.Random(7)
    who = ("my sister", "Tom", "our neighbour", "the new colleague", "my old teacher", "Priya", "the landlord", "Jan")
    did = ("called about", "wants to sell", "asked me to repair", "brought back", "forgot", "painted", "paid for")
    what = ("the blue bicycle", "a piano", "the garden fence", "two concert tickets", "the boiler", "an old camera")
    when = ("on Monday", "last night", "before lunch", "during the storm", "after the meeting", "early this morning")
    why = ("because the holidays begin soon", "although nobody expected it", "so that we could leave in time")
    then = ("I made a note of it", "we had coffee together", "it took most of the afternoon", "I still have to answer")

    def sentence() -> str:
        parts = [choose.choice(of) for of in (who, did, what, when, why, then)]
        text = f"{parts[0]} {parts[1]} {parts[2]} {parts[3]} {parts[4]}, and {parts[5]}."
        return text[0].upper() + text[1:]

    def question() -> str:
        return f"What did {choose.choice(who)} say about {choose.choice(what)} {choose.choice(when)}?"

    return [f"{sentence()} {sentence()}" for _ in range(messages)], [question() for _ in range(questions)]


class Talker:
    """A user who says one message after the other over one connection."""

    def __init__(self, client: httpx.Client, user: str, chosen: Material) -> None:
        self.client, self.user = client, user
        self._messages, self._questions = cycle(chosen.messages), cycle(chosen.questions)
        self._said = 0
        self.imported, self.import_seconds = 0, 0.0

    def fill(self, slots: int) -> None:
        """Imports until at least so many slots are used; calls of `BATCH` messages count as bulk import."""
        used = self.slots_used
        while used < slots:
            batch = [self._message() for _ in range(min(BATCH, slots - used))]
            began = time.perf_counter()
            used = self._remember(batch)["memory"]["slots_used"]
            if len(batch) == BATCH:
                self.imported += len(batch)
                self.import_seconds += time.perf_counter() - began
            print(f"\r{self.user}: {used} slots used ", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)

    @property
    def slots_used(self) -> int:
        """Slots that hold something; 0 for a user not known yet."""
        reply = self.client.get(f"/v1/users/{self.user}/memory")
        if reply.status_code == httpx.codes.NOT_FOUND:
            return 0
        return int(reply.raise_for_status().json()["slots_used"])

    def remember(self) -> float:
        """Remembers one message; returns the milliseconds."""
        message = self._message()
        began = time.perf_counter()
        self._remember([message])
        return 1000 * (time.perf_counter() - began)

    def recall(self) -> float:
        """Recalls with one question; returns the milliseconds."""
        body = {"query": next(self._questions), "k": K}
        began = time.perf_counter()
        self.client.post(f"/v1/users/{self.user}/memory/recall", json=body).raise_for_status()
        return 1000 * (time.perf_counter() - began)

    def turn(self) -> dict[str, float]:
        """One turn whose reply is a token long; returns the server's own timings."""
        message = self._message()
        body = {
            "user_id": self.user,
            "session_id": "turns",
            "message": message["content"],
            "occurred_at": message["occurred_at"],
            "max_tokens": 1,
        }
        timings: dict[str, float] = self.client.post("/v1/chat", json=body).raise_for_status().json()["timings_ms"]
        return timings

    def _message(self) -> dict[str, str]:
        self._said += 1
        at = _FIRST_SAID + timedelta(minutes=17 * self._said)
        return {"role": "user", "content": next(self._messages), "occurred_at": at.isoformat()}

    def _remember(self, messages: Sequence[dict[str, str]]) -> dict[str, Any]:
        body = {"session_id": "told", "messages": messages}
        reply = self.client.post(f"/v1/users/{self.user}/messages", json=body).raise_for_status()
        done: dict[str, Any] = reply.json()
        return done


class Disk:
    """What a server has written: its SQLite file, its WAL, and the kernel's count of bytes sent to storage."""

    def __init__(self, server: Server) -> None:
        self._database, self._io = server.database, Path(f"/proc/{server.pid}/io")

    def settled_bytes(self) -> int:
        """Size of the file once all of the WAL has gone into it."""
        connection = sqlite3.connect(self._database, timeout=30)
        try:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.close()
        if busy:
            raise ServerFailed("the database could not be checkpointed: somebody else holds it")
        return self._database.stat().st_size

    def wal_bytes(self) -> int:
        """Size of the WAL."""
        wal = self._database.with_name(f"{self._database.name}-wal")
        return wal.stat().st_size if wal.exists() else 0

    def written_bytes(self) -> int:
        """`write_bytes` of the process: 0 on a file system in memory."""
        lines = self._io.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))


def resident_mib(pid: int) -> tuple[float, float]:
    """A process's resident memory now and at its peak."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return found["VmRSS"], found["VmHWM"]


def spread(values: Sequence[float]) -> dict[str, float]:
    """p50 and p95."""
    return {"p50": percentile(values, 50), "p95": percentile(values, 95)}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Runs the benchmark and returns its figures."""
    chosen = material(options.data)
    figures: dict[str, Any] = {"material": chosen.source, "calls": options.calls, "turns": options.turns}
    with Server({"SLOTS": CAPACITY}) as server, server.client() as client:
        disk = Disk(server)
        figures["resident_mib_at_start"] = resident_mib(server.pid)[0]
        empty = disk.settled_bytes()
        talkers = {level: Talker(client, f"of-{level}", chosen) for level in options.levels}
        largest = talkers[max(options.levels)]
        if max(options.levels) >= A_USER:
            largest.fill(A_USER)
            figures["user_bytes"], figures["user_slots"] = disk.settled_bytes() - empty, largest.slots_used
        for level, talker in talkers.items():
            talker.fill(level)
        figures["levels"] = _at_levels(talkers, disk, options.calls)
        figures["message_bytes"] = _message_bytes(largest, disk)
        if imported := sum(talker.imported for talker in talkers.values()):
            figures["import_messages_a_second"] = imported / sum(talker.import_seconds for talker in talkers.values())

        among = Talker(client, "turns", chosen)
        among.fill(TURNS_AMONG)
        figures["turn_overhead_ms"] = _turn_overhead(among, options.turns)
        figures["many_users"] = _many_users(server, chosen)
        figures["resident_mib"], figures["peak_mib"] = resident_mib(server.pid)
    return figures


def _at_levels(talkers: dict[int, Talker], disk: Disk, calls: int) -> dict[int, dict[str, Any]]:
    used = {level: talker.slots_used for level, talker in talkers.items()}
    remember: dict[int, list[float]] = {level: [] for level in talkers}
    recall: dict[int, list[float]] = {level: [] for level in talkers}
    written: dict[int, list[int]] = {level: [] for level in talkers}
    for _ in range(WARM_UP + calls):
        for level, talker in talkers.items():
            before = disk.written_bytes()
            remember[level].append(talker.remember())
            written[level].append(disk.written_bytes() - before)
            recall[level].append(talker.recall())
    return {
        level: {
            "slots_used": used[level],
            "remember_ms": spread(remember[level][WARM_UP:]),
            "recall_ms": spread(recall[level][WARM_UP:]),
            "storage_bytes_a_message": sum(written[level]) / len(written[level]),
        }
        for level in talkers
    }


def _message_bytes(talker: Talker, disk: Disk) -> dict[str, float]:
    begin, wal = disk.settled_bytes(), 0
    for _ in range(MEASURED_BYTES):
        talker.remember()
        wal += disk.wal_bytes()
        disk.settled_bytes()
    return {"file": (disk.settled_bytes() - begin) / MEASURED_BYTES, "wal": wal / MEASURED_BYTES}


def _turn_overhead(talker: Talker, turns: int) -> dict[str, float]:
    timings = [talker.turn() for _ in range(turns + WARM_UP)][WARM_UP:]
    overheads = [timing["total"] - timing["generate"] for timing in timings]
    parts = {name: percentile([timing[name] for timing in timings], 50) for name in timings[0]}
    return {**spread(overheads), **parts}


def _many_users(server: Server, chosen: Material, calls: int = 15) -> dict[str, float]:
    def talk(number: int) -> list[float]:
        with server.client() as client:
            talker = Talker(client, f"many-{number}", chosen)
            return [took for _ in range(calls) for took in (talker.remember(), talker.recall())]

    with ThreadPoolExecutor(USERS_AT_ONCE) as dataset:
        list(dataset.map(talk, range(USERS_AT_ONCE)))  # connections, sessions and memories begin here
        began = time.perf_counter()
        values = [value for of_one in dataset.map(talk, range(USERS_AT_ONCE)) for value in of_one]
        seconds = time.perf_counter() - began
    return {"users": USERS_AT_ONCE, "calls_a_second": len(values) / seconds, "p95_ms": percentile(values, 95)}


def targets(figures: dict[str, Any]) -> Iterator[Target]:
    """The figures that have a target, as far as they were measured."""
    levels = figures["levels"]
    if 1_000 in levels:
        for call in ("remember", "recall"):
            p50 = levels[1_000][f"{call}_ms"]["p50"]
            yield Target(f"{call} p50 at 1,000 slots", p50, 20, "ms")
            if 10_000 in levels:
                yield Target(f"{call} p50, 10,000 : 1,000", levels[10_000][f"{call}_ms"]["p50"] / p50, 1.5, "")
    if "import_messages_a_second" in figures:
        speed = figures["import_messages_a_second"]
        yield Target(f"import, {BATCH:,} messages a call", speed, 120, "messages/s", at_least=True)
    yield Target("turn without generating, p50", figures["turn_overhead_ms"]["p50"], 40, "ms")
    yield Target("resident memory", figures["resident_mib"] * MIB / 1e9, 1.5, "GB")


def report(figures: dict[str, Any]) -> str:
    """The figures as text, those with a target first."""
    lines = [f"material: {figures['material']}", ""]
    lines.append(f"{'with a target':<36}{'measured':>12}{'target':>12}")
    for target in targets(figures):
        bound = f"{'>=' if target.at_least else '<='} {target.bound:g}"
        met = "met" if target.met else "missed"
        lines.append(f"{target.name:<36}{target.figure:>12.2f}{bound:>12}  {target.unit:<11}{met}")
    lines += ["", f"{'ms over HTTP, ' + str(figures['calls']) + ' calls each':<36}{'p50':>12}{'p95':>12}"]
    for at in figures["levels"].values():
        for call in ("remember", "recall"):
            name = f"{call} from {at['slots_used']:,} slots on"
            lines.append(f"{name:<36}{at[f'{call}_ms']['p50']:>12.2f}{at[f'{call}_ms']['p95']:>12.2f}")
    turn, many = figures["turn_overhead_ms"], figures["many_users"]
    lines.append(f"{'turn without generating':<36}{turn['p50']:>12.2f}{turn['p95']:>12.2f}")
    parts = ", ".join(f"{name} {turn[name]:.1f}" for name in turn if name not in ("p50", "p95"))
    lines += [
        "",
        f"a turn's parts, p50 ms over {figures['turns']} turns: {parts}",
        f"{many['users']} users at once: {many['calls_a_second']:.0f} calls/s, p95 {many['p95_ms']:.0f} ms",
        f"resident memory: {figures['resident_mib']:.0f} MiB, at start {figures['resident_mib_at_start']:.0f} MiB, "
        f"peak {figures['peak_mib']:.0f} MiB",
    ]
    message = figures["message_bytes"]
    lines.append(f"a message in the database: file +{message['file']:,.0f} bytes, WAL {message['wal']:,.0f} bytes")
    for level, at in figures["levels"].items():
        lines.append(f"sent to storage a message from {level:,} slots: {at['storage_bytes_a_message']:,.0f} bytes")
    if "user_bytes" in figures:
        lines.append(
            f"a user in the database: {figures['user_bytes'] / MIB:.1f} MiB at {figures['user_slots']:,} slots"
        )
    return "\n".join(lines)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=150, help="timed calls of a kind (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=50, help="timed turns (default: %(default)s)")
    parser.add_argument("--levels", type=int, nargs="+", default=LEVELS, help="slots to fill to (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark and prints its figures."""
    options = _options(arguments)
    with told_in_one_line():
        figures = measure(options)
    print(report(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
