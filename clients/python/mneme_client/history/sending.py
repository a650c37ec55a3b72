"""Sending a history: some messages at a time, in order, each once however often it is sent."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from mneme_client.errors import DifferentText, TooLarge
from mneme_client.history.conversation import Conversation
from mneme_client.messages import Message
from mneme_client.sync import Mneme

_AT_ONCE = 100
_ASKED_AT_ONCE = 25  # their ids stand in an address
_CHARACTERS_AT_ONCE = 100_000


@dataclasses.dataclass
class Sent:
    """What came of it.

    Attributes:
        messages: how many are in the memory now, those included that were there.
        changed_here: how many are known with another text, which stays.
    """

    messages: int = 0
    changed_here: int = 0


def send(
    client: Mneme, user_id: str, conversations: Sequence[Conversation], progress: Callable[[int], None] = lambda n: None
) -> Sent:
    """Remembers conversations; what is known by its external id is not added again.

    Args:
        progress: is told how many messages were dealt with, after each request.
    """
    sent = Sent()
    for conversation in conversations:
        for batch in _batches(conversation.messages):
            _remember(client, user_id, conversation.session_id, batch, sent)
            progress(len(batch))
    return sent


def _batches(messages: Sequence[Message]) -> Iterator[list[Message]]:
    batch: list[Message] = []
    characters = 0
    for message in messages:
        if batch and (len(batch) == _AT_ONCE or characters + len(message.content) > _CHARACTERS_AT_ONCE):
            yield batch
            batch, characters = [], 0
        batch.append(message)
        characters += len(message.content)
    if batch:
        yield batch


def _remember(client: Mneme, user_id: str, session_id: str, batch: list[Message], sent: Sent) -> None:
    while batch:
        try:
            client.remember(user_id, batch, session_id=session_id)
        except DifferentText as different:
            kept = _without(client, user_id, batch, different.message_id)
            sent.changed_here += len(batch) - len(kept)
            batch = kept  # as it was, if that message was forgotten meanwhile: then once more
        except TooLarge:
            if len(batch) == 1:
                raise
            half = len(batch) // 2
            _remember(client, user_id, session_id, batch[:half], sent)
            batch = batch[half:]
        else:
            sent.messages += len(batch)
            return


def _without(client: Mneme, user_id: str, batch: list[Message], message_id: str) -> list[Message]:
    for start in range(0, len(batch), _ASKED_AT_ONCE):
        ids = [message.external_id or "" for message in batch[start : start + _ASKED_AT_ONCE]]
        for one in client.messages(user_id, external_ids=ids):
            if one.id == message_id:
                return [message for message in batch if message.external_id != one.external_id]
    return batch
