"""Lines of JSON, a message each, with the fields of a message to remember and `session_id`."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from mneme_client.history.conversation import Conversation, a_name, a_text, an_object, id_of, session_of, wrong
from mneme_client.history.files import Document
from mneme_client.messages import Message


def conversations(document: Document) -> Iterator[Conversation]:
    """The messages by session. One without an external id is known by what it says and how often that was said."""
    found: dict[str, Conversation] = {}
    times = Counter[str]()
    for where, line in document.lines():
        given = dict(an_object(line, where))
        if given.get("kind") == "mneme-export":
            wrong(where, "this is an export of Mneme: send it to POST /v1/users/USER/import")
        session = a_text(given.pop("session_id", None), f"{where}, session_id") or "import"
        external_id = given.pop("external_id", None) or given.pop("id", None)
        try:
            message = Message.model_validate({"metadata": {}, **given})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            wrong(f"{where}, {'/'.join(map(str, first['loc']))}", first["msg"])
        if external_id is None:
            said = id_of(session, message.role, message.content, str(message.occurred_at))
            times[said] += 1
            external_id = f"jsonl:{said}:{times[said]}"
        name = session if session_of("", session)[1:] == session else session_of("jsonl", session)
        conversation = found.setdefault(name, Conversation(name))
        more: dict[str, Any] = {"speaker": a_name(message.speaker), "name": a_name(message.name)}
        text = a_text(external_id, f"{where}, external_id")
        conversation.add(message.role, message.content, text, message.occurred_at, message.metadata, **more)
    yield from found.values()
