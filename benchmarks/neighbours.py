"""What others feel: one user's recalls, messages and the liveness of a real server, idle and beside busy neighbours.

    python -m benchmarks.neighbours --messages 50000

Measured alone, beside one and beside two processes that keep a core busy, while another user's export comes in, and
while that user's history is sent in calls of a thousand. Prints the median and the 99th percentile of each call, and
how many messages a second were taken in. ENCODER in the environment takes another encoder, such as one that costs
nothing, which leaves what the service itself costs.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import httpx

from benchmarks.encryption import text
from benchmarks.integrations import running
from benchmarks.scripted_model import ScriptedModel
from benchmarks.serving import Server, told_in_one_line
from benchmarks.speed import percentile

_KNOWN = 300  # messages of the user who is measured
_AT_ONCE = 1_000
_LINES = {"Content-Type": "application/x-ndjson"}


def message_lines(said: list[str]) -> bytes:
    """An export of the format that names no weights, so that it is read anew."""
    counts = {"messages": len(said), "forgotten": 0}
    lines: list[dict[str, object]] = [{"kind": "mneme-export", "format": 2, **counts}]
    same: dict[str, object] = {
        "external_id": None,
        "session_id": "s",
        "role": "user",
        "speaker": None,
        "status": "complete",
        "read": [],
    }
    for number, content in enumerate(said):
        own = {"id": uuid.UUID(int=number).hex, "content": content, "occurred_at": "2026-01-05T08:00:00Z"}
        lines.append({**same, **own, "confidence": None})
    lines.append({"kind": "mneme-export-end", **counts})
    return "\n".join(map(json.dumps, lines)).encode()


class Measured:
    """The user who is measured: recalls, remembers and looks whether the server lives, in turn, with pauses."""

    def __init__(self, client: httpx.Client, questions: list[str], said: list[str]) -> None:
        self._client, self._questions, self._said = client, questions, said
        messages = [{"role": "user", "content": content} for content in said[:_KNOWN]]
        self._post("/v1/users/measured/messages", {"messages": messages})

    def _post(self, path: str, body: object) -> None:
        self._client.post(path, json=body).raise_for_status()

    def calls(self, until: Callable[[], bool]) -> dict[str, list[float]]:
        """What each call took, in ms."""
        took: dict[str, list[float]] = {"recall": [], "remember": [], "live": []}
        number = 0
        while not until():
            query, content = self._questions[number % len(self._questions)], self._said[number % len(self._said)]
            self._timed(took["recall"], partial(self._post, "/v1/users/measured/memory/recall", {"query": query}))
            body = {"messages": [{"role": "user", "content": f"{number}: {content}"}]}
            self._timed(took["remember"], partial(self._post, "/v1/users/measured/messages", body))
            self._timed(took["live"], lambda: self._client.get("/health/live").raise_for_status())
            number += 1
            time.sleep(0.02)
        return took

    @staticmethod
    def _timed(took: list[float], call: Callable[[], object]) -> None:
        began = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - began))


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for one in started:
            one.kill()
            one.wait()


def beside(measured: Measured, work: Callable[[], None]) -> tuple[dict[str, list[float]], float]:
    """What the calls took while work was done, and how long that took."""
    worker, began = threading.Thread(target=work), time.perf_counter()
    worker.start()
    took = measured.calls(lambda: not worker.is_alive())
    return took, time.perf_counter() - began


def line(name: str, took: dict[str, list[float]], more: str = "") -> str:
    """For people."""
    told = "   ".join(f"{call} {percentile(ms, 50):6.0f} / {percentile(ms, 99):6.0f}" for call, ms in took.items())
    return f"{name:28} {told}   ({len(took['recall'])} of each){more}"


def measure(server: Server, messages: int, seconds: float) -> None:
    """Measures and prints."""
    said = [text(number) for number in range(max(messages, _KNOWN))]
    questions = [f"What did I leave at the office on day {number}?" for number in range(400)]

    def take_in() -> None:
        with server.client(timeout=3600) as other:
            other.post("/v1/users/importer/import", content=message_lines(said[:messages]), headers=_LINES)

    def send() -> None:
        with server.client(timeout=3600) as other:
            for start in range(0, messages, _AT_ONCE):
                batch = [{"role": "user", "content": content} for content in said[start : start + _AT_ONCE]]
                other.post("/v1/users/sender/messages", json={"messages": batch}).raise_for_status()

    def so_long() -> Callable[[], bool]:
        end = time.perf_counter() + seconds
        return lambda: time.perf_counter() > end

    with server.client() as client:
        measured = Measured(client, questions, said)
        print("ms, median / 99th percentile")
        for processes in (0, 1, 2):
            with busy(processes):
                print(line(f"beside {processes} busy processes", measured.calls(so_long())), flush=True)
        for name, work in (("an export comes in", take_in), ("a history is sent", send)):
            took, lasted = beside(measured, work)
            print(line(name, took, f"; {messages / lasted:.0f} messages/s"), flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=50_000, help="that come in (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement without (default: %(default)s)")
    given = parser.parse_args()
    model = ScriptedModel()
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    settings: dict[str, str | int] = {"REQUESTS_PER_MINUTE": 0, "SLOTS": 4096, "OMP_NUM_THREADS": threads}
    with told_in_one_line(), running(model) as url, Server({**settings, "GENERATOR_URL": url}) as server:
        measure(server, given.messages, given.seconds)


if __name__ == "__main__":
    main()
