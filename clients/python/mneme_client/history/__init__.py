"""Bringing a history along from another assistant: what its export holds, as conversations of messages to remember.

Each kind of export has a module. External ids follow from the export's own ids, so that a history that is sent again,
whole or after an interruption, adds nothing twice.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from mneme_client.history import chatgpt, claude, mem0, openai_messages, own_lines
from mneme_client.history.conversation import BadHistory, Conversation
from mneme_client.history.files import Document, documents
from mneme_client.history.sending import Sent, send

__all__ = ["KINDS", "BadHistory", "Conversation", "Sent", "read", "send"]

KINDS: dict[str, Callable[[Document], Iterator[Conversation]]] = {
    "chatgpt": chatgpt.conversations,
    "claude": claude.conversations,
    "openai": openai_messages.conversations,
    "mem0": mem0.conversations,
    "jsonl": own_lines.conversations,
}


def read(kind: str, file: Path) -> list[Conversation]:
    """The conversations of an export, the earliest first.

    Args:
        kind: one of `KINDS`.
        file: as it was downloaded: a zip file, the folder or the file that was in it.

    Raises:
        BadHistory: it is no such export, or it is damaged; says where.
    """
    found = [one for document in documents(file) for one in KINDS[kind](document)]
    if not any(one.messages for one in found):
        raise BadHistory(file.name, f"there is no message to remember in it: is it an export of the kind {kind}?")
    return sorted(found, key=lambda one: one.began)
