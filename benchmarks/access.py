"""What asking for a key, limits and the audit log cost a recall: `python -m benchmarks.access`.

Two applications in this process, over databases and memories alike, answer recalls in turn: one asks nobody and counts
nothing, the other asks for a key, counts requests and keeps an audit log. No network lies between.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from typing import Any

import httpx

from app.access.caller import Grant
from app.main import create_app
from app.settings import Settings
from app.store import migration

_MESSAGES = 200


async def measure(recalls: int) -> None:
    """Prints the medians."""
    with tempfile.TemporaryDirectory(prefix="mneme-access-") as folder:
        plain: dict[str, Any] = {"auth": "off", "audit_days": 0, "requests_per_minute": 0}
        asking: dict[str, Any] = {"requests_per_minute": 1_000_000}
        times: dict[str, list[tuple[float, float]]] = {"open": [], "asking": []}
        apps = {}
        for name, chosen in (("open", plain), ("asking", asking)):
            url = f"sqlite:///{folder}/{name}.db"
            # A generator that is not asked: recalls need none, and none is loaded.
            settings = Settings(_env_file=None, database_url=url, generator_url="http://127.0.0.1:9", **chosen)
            await migration.migrate(url)
            apps[name] = create_app(settings)
        one, other = apps["open"], apps["asking"]
        async with one.router.lifespan_context(one), other.router.lifespan_context(other):
            key = (await other.state.keys.create("bench", Grant("service"))).key
            clients = {
                name: httpx.AsyncClient(
                    transport=httpx.ASGITransport(app),
                    base_url="http://localhost",
                    headers={"Authorization": f"Bearer {key}"},
                    timeout=60,
                )
                for name, app in apps.items()
            }
            said = [
                {"role": "user", "content": f"Box {number} is in room {number % 7}."} for number in range(_MESSAGES)
            ]
            for client in clients.values():
                (await client.post("/v1/users/ada/messages", json={"messages": said})).raise_for_status()
            for number in range(recalls + 10):
                for name, client in list(clients.items())[:: 1 if number % 2 else -1]:  # each is as often the first
                    began, computed = time.perf_counter(), time.process_time()
                    body = {"query": f"Where is box {number % _MESSAGES}?"}
                    (await client.post("/v1/users/ada/memory/recall", json=body)).raise_for_status()
                    if number >= 10:  # the first ones warm up
                        took = time.perf_counter() - began, time.process_time() - computed
                        times[name].append((1000 * took[0], 1000 * took[1]))
            for client in clients.values():
                await client.aclose()
    for kind, of_kind in (("", 0), (", CPU time", 1)):
        unasked, asked = [[took[of_kind] for took in times[name]] for name in ("open", "asking")]
        open_ms, asking_ms = statistics.median(unasked), statistics.median(asked)
        pairs = statistics.median(b - a for a, b in zip(unasked, asked, strict=True))
        print(f"a recall{kind}, median of {recalls}: {open_ms:.2f} ms; with key, limits, audit: {asking_ms:.2f} ms")
        print(f"the difference of pairs{kind}, median: {pairs:.2f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recalls", type=int, default=500)
    asyncio.run(measure(parser.parse_args().recalls))
