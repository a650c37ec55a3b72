"""Keeps a process that runs other people's packages on this machine: no telemetry, no download, no model's service."""

import ipaddress
import os
import socket
import sys
from typing import Any

_QUIET = {
    "MEM0_TELEMETRY": "False",
    "ANONYMIZED_TELEMETRY": "False",
    "LANGSMITH_TRACING": "false",
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime's, which Chroma and fastembed bring along
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}


class Elsewhere(Exception):
    """A package wanted to talk to another machine."""


def stay_here() -> None:
    """Turns the packages' telemetry off, and every connection to another machine that Python code makes into an error.

    Native code opens its connections unseen: there only the settings hold (`strace -f -e connect` shows whether they
    do). It must be called before any of the packages is imported, and holds until the process ends.
    """
    os.environ.update(_QUIET)

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            host = arguments[0]
        elif event in ("socket.connect", "socket.sendto") and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
            host = arguments[1][0]
        else:
            return
        if not _local(host.decode() if isinstance(host, bytes) else host):
            raise Elsewhere(f"a package wanted to reach {host}")

    sys.addaudithook(refuse)


def _local(host: str | None) -> bool:
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host).split("%")[0]).is_loopback
    except ValueError:
        return False
