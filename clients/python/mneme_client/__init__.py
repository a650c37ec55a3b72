"""A typed client of Mneme.

Example:
    >>> from mneme_client import Mneme
    >>> with Mneme("http://127.0.0.1:8000") as mneme:
    ...     mneme.remember("ada", ["My dog is called Biscuit."])
    ...     mneme.recall("ada", "What is my dog called?").recalled[0].content
    'My dog is called Biscuit.'
"""

from mneme_client.aio import AsyncMneme
from mneme_client.errors import (
    ApiError,
    Conflict,
    ConnectionFailed,
    DifferentText,
    Forbidden,
    GeneratorFailed,
    Invalid,
    MnemeError,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from mneme_client.events import ChatEvent, Recalling, Token
from mneme_client.messages import Message
from mneme_client.models import ChatReply, LogEntry, Recall, Recollection, Remembered, TimelineEntry
from mneme_client.retrying import Retries
from mneme_client.sync import Mneme

__version__ = "0.1.0"

__all__ = [
    "ApiError",
    "AsyncMneme",
    "ChatEvent",
    "ChatReply",
    "Conflict",
    "ConnectionFailed",
    "DifferentText",
    "Forbidden",
    "GeneratorFailed",
    "Invalid",
    "LogEntry",
    "Message",
    "Mneme",
    "MnemeError",
    "NotFound",
    "RateLimited",
    "Recall",
    "Recalling",
    "Recollection",
    "Remembered",
    "Retries",
    "TimelineEntry",
    "Token",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "__version__",
]
