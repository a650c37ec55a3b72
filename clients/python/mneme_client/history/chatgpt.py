"""ChatGPT's export: `conversations.json`, each conversation a tree of messages.

Edits and answers that were asked for anew are branches. `current_node` is the last message of the branch that was
shown; its ancestors are the conversation. What the user wrote about themselves for all conversations comes once.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from mneme_client.history.conversation import (
    Conversation,
    a_list,
    a_text,
    an_object,
    id_of,
    moment,
    session_of,
    titled,
    wrong,
)
from mneme_client.history.files import Document

_SAID = ("text", "multimodal_text")
_ABOUT = "user_editable_context"
_CITATION = re.compile("\ue200[^\ue201]*\ue201")  # shown as a link, and no text


def conversations(document: Document) -> Iterator[Conversation]:
    """Every conversation, and before them what the user wrote about themselves."""
    parsed = document.json()
    every = parsed.get("conversations") if isinstance(parsed, dict) else parsed
    about = Conversation("chatgpt:about-the-user")
    found = []
    for number, one in sorted(enumerate(a_list(every, document.name), 1), key=lambda pair: _begun(pair[1])):
        where = titled(document.name, number, one.get("title") if isinstance(one, dict) else None)
        found.append(_conversation(an_object(one, where), where, about))
    yield about
    yield from found


def _begun(one: Any) -> float:
    time = one.get("create_time") if isinstance(one, dict) else None
    return time if isinstance(time, int | float) else 0.0


def _conversation(one: dict[str, Any], where: str, about: Conversation) -> Conversation:
    own = one.get("conversation_id") or one.get("id")
    if not isinstance(own, str):
        wrong(where, "it has no id: this is no export of ChatGPT")
    conversation = Conversation(session_of("chatgpt", own))
    when = moment(one.get("create_time"), f"{where}, create_time")
    for node_id, message in _shown(one, where):
        at = f"{where}, message {node_id}"
        when = moment(message.get("create_time"), f"{at}, create_time") or when
        _message(message, node_id, at, when, (own, one.get("title")), conversation, about)
    return conversation


def _shown(one: dict[str, Any], where: str) -> list[tuple[str, dict[str, Any]]]:
    """The messages of the branch that was shown, in order."""
    mapping = an_object(one.get("mapping"), f"{where}, mapping")
    nodes = {name: an_object(node, f"{where}, message {name}") for name, node in mapping.items()}
    name = one.get("current_node")
    if not isinstance(name, str) or name not in nodes:
        name = _newest_leaf(nodes)
    path: list[tuple[str, dict[str, Any]]] = []
    seen = set[str]()
    while isinstance(name, str) and name in nodes and name not in seen:
        seen.add(name)
        message = nodes[name].get("message")
        if message is not None:
            path.append((name, an_object(message, f"{where}, message {name}")))
        name = nodes[name].get("parent")
    return path[::-1]


def _newest_leaf(nodes: dict[str, dict[str, Any]]) -> str | None:
    def written(name: str) -> float:
        message = nodes[name].get("message")
        time = message.get("create_time") if isinstance(message, dict) else None
        return time if isinstance(time, int | float) else 0.0

    leaves = [name for name, node in nodes.items() if not node.get("children")]
    return max(leaves, key=written, default=None)


def _message(
    message: dict[str, Any],
    node_id: str,
    where: str,
    when: datetime | None,
    of: tuple[str, Any],
    conversation: Conversation,
    about: Conversation,
) -> None:
    role = an_object(message.get("author"), f"{where}, author").get("role")
    content = an_object(message.get("content"), f"{where}, content")
    told = an_object(message.get("metadata") or {}, f"{where}, metadata")
    kind = content.get("content_type")
    if kind == _ABOUT:
        _about_the_user(content, where, when, about)
    elif (
        role not in ("user", "assistant")
        or kind not in _SAID
        or message.get("recipient") not in (None, "all")
        or told.get("is_visually_hidden_from_conversation")
    ):
        conversation.skipped += 1
    else:
        text, names = _parts(content, f"{where}, content")
        attached = a_list(told.get("attachments") or [], f"{where}, attachments")
        named = [one.get("name") for one in attached if isinstance(one, dict)]
        names = [name for name in named if isinstance(name, str)] or names
        kept = {"from": "chatgpt", "title": of[1], "model": told.get("model_slug")}
        own = message.get("id") if isinstance(message.get("id"), str) else node_id
        conversation.add(role, text, f"chatgpt:{of[0]}:{own}", when, kept, names)


def _about_the_user(content: dict[str, Any], where: str, when: datetime | None, about: Conversation) -> None:
    known = {message.external_id for message in about.messages}
    for field in ("user_profile", "user_instructions"):
        text = a_text(content.get(field), f"{where}, {field}").strip()
        name = f"chatgpt:{field}:{id_of(text)}"
        if text and name not in known:
            about.add("user", text, name, when, {"from": "chatgpt", "field": field})


def _parts(content: dict[str, Any], where: str) -> tuple[str, list[str]]:
    """The text of a message, and the names of what is no text."""
    texts, names = [], []
    for part in a_list(content.get("parts", []), f"{where}, parts"):
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and isinstance(part.get("text"), str):  # such as what was said aloud
            texts.append(part["text"])
        elif isinstance(part, dict):
            pointer = part.get("asset_pointer")
            names.append(pointer.rpartition("/")[2] if isinstance(pointer, str) else str(part.get("content_type")))
        elif part is not None:
            wrong(f"{where}, parts", "a part must be a text or an object")
    return _CITATION.sub("", "\n".join(text for text in texts if text)), names
