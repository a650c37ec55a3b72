"""Claude's export: `conversations.json`, each conversation a list of messages.

Newer exports name each message's parent, and an edit leaves the old branch in the list: the branch that ends in the
current or the newest message is the conversation. A long paste is an attachment, whose text stands for a message that
has none.
"""

from collections.abc import Iterator
from typing import Any

from mneme_client.history.conversation import (
    Conversation,
    a_list,
    a_text,
    an_object,
    moment,
    one_of,
    session_of,
    titled,
    wrong,
)
from mneme_client.history.files import Document
from mneme_client.messages import Role

_ROLES: dict[str, Role] = {"human": "user", "user": "user", "assistant": "assistant"}


def conversations(document: Document) -> Iterator[Conversation]:
    """Every conversation."""
    parsed = document.json()
    every = parsed.get("conversations") if isinstance(parsed, dict) else parsed
    for number, one in enumerate(a_list(every, document.name), 1):
        where = titled(document.name, number, one.get("name") if isinstance(one, dict) else None)
        yield _conversation(an_object(one, where), where)


def _conversation(one: dict[str, Any], where: str) -> Conversation:
    own = one.get("uuid")
    if not isinstance(own, str) or "chat_messages" not in one:
        wrong(where, "it has no uuid or no chat_messages: this is no export of Claude")
    conversation = Conversation(session_of("claude", own))
    every = a_list(one["chat_messages"], f"{where}, chat_messages")
    said = [an_object(message, f"{where}, message {place}") for place, message in enumerate(every, 1)]
    when = moment(one.get("created_at"), f"{where}, created_at")
    for place, message in enumerate(_shown(said, one.get("current_leaf_message_uuid")), 1):
        name = message.get("uuid")
        at = f"{where}, message {name if isinstance(name, str) else place}"
        role = one_of(message.get("sender"), _ROLES, f"{at}, sender")
        when = moment(message.get("created_at"), f"{at}, created_at") or when
        text, names = _text(message, at), _attached(message)
        if not text.strip():
            pasted = [a_text(one.get("extracted_content"), at) for one in _objects(message.get("attachments"))]
            text = "\n\n".join(filter(None, pasted))
        external_id = f"claude:{name}" if isinstance(name, str) else f"claude:{own}:{place}"
        conversation.add(role, text, external_id, when, {"from": "claude", "title": one.get("name")}, names)
    return conversation


def _shown(said: list[dict[str, Any]], leaf: Any) -> list[dict[str, Any]]:
    by_id = {one["uuid"]: one for one in said if isinstance(one.get("uuid"), str)}
    parents = {name for one in said if isinstance(name := one.get("parent_message_uuid"), str)}
    if len(by_id) < len(said) or not parents & set(by_id):  # an older export: a plain list
        return said
    if not isinstance(leaf, str) or leaf not in by_id:
        ends = [one for one in said if one["uuid"] not in parents]
        leaf = max(ends, key=lambda one: str(one.get("created_at")))["uuid"] if ends else said[-1]["uuid"]
    path: list[dict[str, Any]] = []
    while isinstance(leaf, str) and leaf in by_id:
        path.append(by_id.pop(leaf))
        leaf = path[-1].get("parent_message_uuid")
    return path[::-1]


def _text(message: dict[str, Any], where: str) -> str:
    blocks = _objects(message.get("content"))
    texts = [a_text(one.get("text"), where) for one in blocks if one.get("type") == "text"]
    return "\n\n".join(filter(None, texts)) or a_text(message.get("text"), where)


def _attached(message: dict[str, Any]) -> list[str]:
    files = [*_objects(message.get("attachments")), *_objects(message.get("files"))]
    names = [one.get("file_name") or one.get("file_uuid") for one in files]
    return [name for name in names if isinstance(name, str) and name]


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
