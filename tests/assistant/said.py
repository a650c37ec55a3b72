"""Messages and recollections as the prompts take them."""

from dataclasses import dataclass
from datetime import UTC, datetime

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Said:
    """A message of the log."""

    content: str
    role: str = "user"
    speaker: str | None = None
    occurred_at: datetime = NOW
    seq: int = 1


@dataclass(frozen=True)
class Recalled:
    """A message that was recalled."""

    message: Said
    weight: float = 1.0
