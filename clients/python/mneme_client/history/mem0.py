"""mem0's memories, as `get_all` or an export gives them: each is one message of the user's."""

from collections.abc import Iterator

from mneme_client.history.conversation import Conversation, a_list, a_text, an_object, moment, session_of, wrong
from mneme_client.history.files import Document


def conversations(document: Document) -> Iterator[Conversation]:
    """The memories, by the run that they come from."""
    parsed = document.json()
    every = parsed.get("results", parsed.get("memories")) if isinstance(parsed, dict) else parsed
    found: dict[str, Conversation] = {}
    for number, one in enumerate(a_list(every, document.name), 1):
        where = f"{document.name}, memory {number}"
        memory = an_object(one, where)
        own = memory.get("id")
        if not isinstance(own, str) or "memory" not in memory:
            wrong(where, "it has no id or no memory: these are no memories of mem0")
        session = session_of("mem0", str(memory.get("run_id") or memory.get("user_id") or "memories"))
        # An update puts another text in a memory's place: what it says now was said then.
        when = moment(memory.get("updated_at") or memory.get("created_at"), where)
        kept = {"from": "mem0", "categories": memory.get("categories"), "metadata": memory.get("metadata")}
        conversation = found.setdefault(session, Conversation(session))
        conversation.add("user", a_text(memory["memory"], f"{where}, memory"), f"mem0:{own}", when, kept)
    for conversation in found.values():
        conversation.messages.sort(key=lambda one: (one.occurred_at is None, str(one.occurred_at)))
        yield conversation
