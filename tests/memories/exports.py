"""A written export, line by line."""

import json
from typing import Any

HEADING = {"kind": "mneme-export", "format": 1, "user_id": "ada", "fingerprint": "f" * 16}
LINE: dict[str, Any] = {
    "id": "a" * 32,
    "external_id": None,
    "session_id": "s",
    "role": "user",
    "speaker": None,
    "content": "We saw a river.",
    "occurred_at": "2025-03-01T12:00:00+00:00",
    "status": "complete",
    "confidence": None,
    "read": [],
}


def body(*lines: Any) -> bytes:
    """Lines after a heading; those that are no objects are taken as they are."""
    return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in (HEADING, *lines)).encode()
