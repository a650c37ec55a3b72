"""One request of a client that speaks OpenAI's interface: find the conversation, recall, hand on to the generator,
remember.

The client's own messages, instructions and options go to the generator; what is added are the recollections. With the
memory off nothing is read or written. Nothing that was recalled, and no system message, is ever remembered.
"""

import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from app.assistant.note_check import NoteCheck
from app.assistant.prompt import build_prompt
from app.assistant.runner import Reply, Runner, Running
from app.memories.continuing import go_on_after, go_on_in
from app.memories.conversations import REPLY, Line, Placement, external_id, place
from app.memories.live import NotFound
from app.memories.memories import AlreadyKnown, Memories
from app.memories.messages import DifferentText, Draft
from app.memories.recalled import Recalled
from app.memories.validation import MOST_CHARACTERS
from app.settings import Settings
from app.store.log import Message

_TRIES = 5


@dataclasses.dataclass(frozen=True)
class Request:
    """What a client asks.

    Attributes:
        messages: as the generator takes them, instructions among them; at least one is the user's.
        options: what else the generator gets.
        remembers: whether the conversation is remembered.
        recalls: whether the memory is read.
        after: the user's message whose turn came before, where the client names that instead of sending what was said.
        appends: whether what was said in the session stands before the messages.
    """

    user_id: str
    messages: Sequence[Mapping[str, Any]]
    options: Mapping[str, Any]
    session_id: str | None
    occurred_at: datetime
    k: int
    max_tokens: int
    recalls: bool = True
    remembers: bool = True
    after: str | None = None
    appends: bool = False


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The generator is about to be asked. Without a memory there is no session and nothing recalled."""

    session_id: str | None = None
    user_message_id: str | None = None
    recalled: Recalled | None = None


@dataclasses.dataclass(frozen=True)
class Failed:
    """Generating failed; what there was of a reply is remembered as interrupted."""

    reason: str


Event = Prepared | Failed | dict[str, Any]


@dataclasses.dataclass(frozen=True)
class _Turn:
    prepared: Prepared
    user: Message | None = None
    earlier: Sequence[Message] = ()  # what the client goes on after


class Completions:
    """Requests, over the memories and a runner of replies."""

    def __init__(self, memories: Memories, runner: Runner, settings: Settings) -> None:
        self._memories, self._runner, self._settings = memories, runner, settings
        self._check = NoteCheck(settings)

    def run(self, request: Request) -> AsyncIterator[Event]:
        """`Prepared`, then the generator's chunks; `Failed` where they end too early.

        Closing the iterator stops the generator; what had come of the reply is remembered as interrupted.

        Raises:
            StoreUnavailable, ForeignMemory: the memory cannot be used.
            NoSuchTurn: there is no turn to go on after.
        """
        has_memory = request.recalls or request.remembers

        async def work(running: Running[Event]) -> None:
            turn = await self._prepare(request) if has_memory else _Turn(Prepared())
            running.emit(turn.prepared)
            messages = await self._prompt(request, turn, running) if has_memory else request.messages
            asked = {"messages": [dict(one) for one in messages], **request.options}
            reply = await running.generate(asked, running.emit)
            if turn.user is not None and reply.text.strip():
                await self._remember_reply(request, turn.user, reply)
            if reply.failure:
                running.emit(Failed(reply.failure))

        return self._runner.run(request.user_id if has_memory else None, work)

    async def _prepare(self, request: Request) -> _Turn:
        said = spoken_lines(request.messages)
        while said and said[-1].role != "user":  # after a call of a tool the reply still belongs to what the user said
            said = said[:-1]
        if not said or not request.remembers:
            goes_on = request.after is not None or request.appends
            earlier = (await self._place(request, said)).earlier if goes_on else ()
            query = said[-1].content if said else ""
            recalled = await self._recall(request, query, [*_lines(earlier), *said]) if query.strip() else None
            return _Turn(Prepared(request.session_id, None, recalled), None, earlier)
        for _ in range(_TRIES):
            where = await self._place(request, said)
            try:
                return await self._write(request, [*_lines(where.earlier), *said], where)
            except AlreadyKnown:  # another process was faster; look again
                continue
        raise AlreadyKnown("the conversation is being changed elsewhere")

    async def _place(self, request: Request, said: Sequence[Line]) -> Placement:
        if request.after is not None:
            return await go_on_after(self._memories, request.user_id, said, request.after)
        if request.appends and request.session_id is not None:
            return await go_on_in(self._memories, request.user_id, said, request.session_id)
        return await place(self._memories, request.user_id, said, request.session_id, request.occurred_at)

    async def _write(self, request: Request, said: Sequence[Line], where: Placement) -> _Turn:
        for message in where.replaced:
            try:
                await self._memories.forget(request.user_id, message.id)
            except NotFound:
                continue
        drafts = [
            Draft(
                line.role,
                line.content,
                where.session_id,
                request.occurred_at,
                external_id=external_id(where.session_id, said[: place + 1]),
                metadata=where.marks if place == len(where.earlier) else {},
            )
            for place, line in enumerate(said)
        ]
        pairs = zip(drafts, where.known, strict=True)
        fresh = [draft for draft, known in pairs if known is None and draft.content.strip()]
        user = where.known[-1]
        if user is not None:
            recalled = await self._recall(request, said[-1].content, said)
            return _Turn(Prepared(where.session_id, user.id, recalled), user, where.earlier)
        if fresh[:-1]:
            await self._memories.remember(request.user_id, fresh[:-1])
        k = request.k + len(said) if request.recalls else 1
        heard = await self._memories.recall_and_store(request.user_id, fresh[-1], min(k, 100), 0)
        user, _ = heard.remembered.messages[0]
        recalled = _others(heard.recalled, said, request.k) if request.recalls else None
        return _Turn(Prepared(where.session_id, user.id, recalled), user, where.earlier)

    async def _recall(self, request: Request, query: str, said: Sequence[Line]) -> Recalled | None:
        if not request.recalls:
            return None
        try:
            k = min(request.k + len(said), 100)
            return _others(await self._memories.recall(request.user_id, query, k, as_turn=True), said, request.k)
        except NotFound:
            return None

    async def _prompt(self, request: Request, turn: _Turn, running: Running[Event]) -> Sequence[Mapping[str, Any]]:
        """The client's messages with the recollections, which stand where the generator uses them best."""
        recalled = turn.prepared.recalled
        messages = [*({"role": one.role, "content": one.content} for one in turn.earlier), *request.messages]
        *earlier, last = messages
        instructions = [_text(one["content"]) for one in messages if one["role"] in ("system", "developer")]
        others = [one for one in earlier if one["role"] not in ("system", "developer")]
        found = recalled.recollections if recalled else []
        is_plain = last["role"] == "user" and all(
            isinstance(one["content"], str) and one["role"] in ("user", "assistant") for one in [*others, last]
        )
        history = [_Said(one["role"], one["content"], request.occurred_at) for one in others] if is_plain else []
        message = last["content"] if is_plain else ""
        sure = 1.0  # what stands in a conversation that is not remembered, the memory cannot be sure of
        if recalled is not None and (request.remembers or not others):
            sure = await self._check.confidence(running, recalled, history, message)
        built = build_prompt(
            found,
            history,
            message,
            request.occurred_at,
            context=self._settings.generator_context,
            max_tokens=request.max_tokens,
            doubtful=sure < self._settings.doubt_below,
            tells=recalled is not None and recalled.of_statement,
            of_world=recalled.of_world if recalled else None,
            instructions=instructions,
            standing=recalled.standing if recalled else [],
            outdated=recalled.outdated if recalled else {},
        )
        if is_plain:
            return [dataclasses.asdict(one) for one in built]
        shown = [dict(one) for one in messages if one["role"] not in ("system", "developer")]
        return [dataclasses.asdict(built[0]), *shown]

    async def _remember_reply(self, request: Request, user: Message, reply: Reply) -> None:
        # Of two replies to one message, from two processes at once, the first is kept.
        draft = Draft(
            "assistant",
            reply.text[:MOST_CHARACTERS],
            user.session_id,
            request.occurred_at,
            external_id=REPLY + user.id,
            status=reply.status,
        )
        with suppress(DifferentText):
            await self._memories.remember(request.user_id, [draft])


@dataclasses.dataclass(frozen=True)
class _Said:
    role: str
    content: str
    occurred_at: datetime
    speaker: str | None = None


def spoken_lines(messages: Sequence[Mapping[str, Any]]) -> list[Line]:
    """What of a request is conversation: the texts of the user and of the assistant."""
    lines = [Line(one["role"], _text(one["content"])) for one in messages if one["role"] in ("user", "assistant")]
    return [line for line in lines if line.content.strip()]


def _lines(stored: Sequence[Message]) -> list[Line]:
    return [Line(message.role, message.content) for message in stored]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    texts = [part.get("text") for part in content or [] if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _others(recalled: Recalled, said: Sequence[Line], k: int) -> Recalled:
    """What was recalled but is no part of the conversation, which the generator sees anyhow; and what stands."""
    shown = {(line.role, line.content.strip()) for line in said}
    found = [one for one in recalled.recollections if (one.message.role, one.message.content.strip()) not in shown]
    standing = [one for one in recalled.standing if one not in found[:k]]
    return dataclasses.replace(recalled, recollections=found[:k] + standing)
