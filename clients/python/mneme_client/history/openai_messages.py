"""Messages as OpenAI's interfaces have them: a list, an object with `messages` or `data`, or one of these a line."""

from collections.abc import Iterator
from typing import Any

from mneme_client.history.conversation import (
    Conversation,
    a_list,
    a_name,
    an_object,
    id_of,
    moment,
    one_of,
    session_of,
    wrong,
)
from mneme_client.history.files import Document
from mneme_client.messages import Role

_ROLES: dict[str, Role] = {
    "user": "user", "assistant": "assistant", "system": "system", "developer": "system", "tool": "tool",
}  # fmt: skip
_TEXTS = ("text", "input_text", "output_text")


def conversations(document: Document) -> Iterator[Conversation]:
    """Every conversation; one without an id of its own is named after what is said in it."""
    if document.is_lines():
        for where, line in document.lines():
            yield _conversation(line, where)
        return
    parsed = document.json()
    if isinstance(parsed, list) and parsed and all(isinstance(one, dict) and "role" not in one for one in parsed):
        for number, one in enumerate(parsed, 1):
            yield _conversation(one, f"{document.name}, conversation {number}")
    else:
        yield _conversation(parsed, document.name)


def _conversation(given: Any, where: str) -> Conversation:
    one = {"messages": given} if isinstance(given, list) else an_object(given, where)
    said = one.get("messages", one.get("data", one.get("items")))
    if said is None:
        wrong(where, "it has no messages: these are no messages of OpenAI's interfaces")
    every = [an_object(message, f"{where}, message {n}") for n, message in enumerate(a_list(said, where), 1)]
    own = one.get("id")
    began = moment(one.get("created_at", one.get("created")), where)
    read = [(message, *_said(message, f"{where}, message {n}")) for n, message in enumerate(every, 1)]
    name = own if isinstance(own, str) else id_of(*(part for _, role, text, _ in read[:2] for part in (role, text)))
    conversation = Conversation(session_of("openai", name))
    for place, (message, role, text, others) in enumerate(read, 1):
        if message.get("type", "message") != "message":
            conversation.skipped += 1
            continue
        known = message.get("id")
        external_id = f"openai:{known}" if isinstance(known, str) else f"openai:{name}:{place}:{id_of(role, text)}"
        when = moment(message.get("created_at", message.get("created")), where) or began
        name_of = a_name(message.get("name"))
        conversation.add(role, text, external_id, when, {"from": "openai"}, others, name=name_of)
    return conversation


def _said(message: dict[str, Any], where: str) -> tuple[Role, str, list[str]]:
    """Who says it, the text, and the names of what is no text."""
    if message.get("type", "message") != "message":  # a call of a tool, reasoning
        return "tool", "", []
    role = one_of(message.get("role"), _ROLES, f"{where}, role")
    content = message.get("content")
    if content is None or isinstance(content, str):
        return role, content or "", []
    texts, names = [], []
    for part in a_list(content, f"{where}, content"):
        part = an_object(part, f"{where}, content")
        if part.get("type") in _TEXTS and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            file = part.get("file") if isinstance(part.get("file"), dict) else part
            names.append(str((file or {}).get("filename") or part.get("type")))
    return role, "\n".join(texts), names
