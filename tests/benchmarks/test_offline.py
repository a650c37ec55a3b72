"""A benchmark that runs other packages reaches this machine only."""

import socket
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("host", "ends"), [("127.0.0.1", "ConnectionRefusedError"), ("192.0.2.1", "Elsewhere")])
def test_nothing_reaches_another_machine(host: str, ends: str) -> None:
    with socket.socket() as taken:  # a port of this machine that nobody listens on
        taken.bind(("127.0.0.1", 0))
        script = (
            "import socket; from benchmarks.offline import stay_here; stay_here(); "
            f"socket.create_connection(({host!r}, {taken.getsockname()[1]}), timeout=5)"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode != 0 and ends in done.stderr.splitlines()[-1]
