"""The newer interface of OpenAI: a client goes on by naming the last response instead of sending the conversation.

A response is named after the user's message that it answers. So it needs no table of its own, is found again after a
restart and by every replica, and is gone when the message is forgotten.
"""

import dataclasses
import itertools
import re
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, StreamingResponse

from app.api.auth import Acting, ActingCaller
from app.api.dependencies import CompletionsDep, MemoriesDep, SettingsDep
from app.api.errors import describe
from app.api.gate import begin_reply
from app.api.openai import ERRORS, UNBUFFERED, UserHeader, counted, extension, prepare, user_of
from app.api.openai_errors import BadRequest, openai_error
from app.api.openai_input import messages_of, options_of
from app.api.openai_schemas import MemoryChoice, ResponseRequest
from app.api.presence import while_present
from app.assistant.completion import Failed, Prepared
from app.assistant.generator import GeneratorError, text_of
from app.memories.continuing import NoSuchTurn, Turn, turn_of
from app.memories.memories import Memories

router = APIRouter(tags=["OpenAI's interface"])
_ID: Final = re.compile(r"resp_([0-9a-f]{32})")
ResponseId = Annotated[str, Path(max_length=64, description="as the response told it")]


@router.post("/v1/responses", response_model=None, responses=ERRORS)
async def respond(
    body: ResponseRequest,
    request: Request,
    acting: ActingCaller,
    completions: CompletionsDep,
    settings: SettingsDep,
    named: UserHeader = None,
) -> Any:
    """Replies to what is new in a conversation, with what the memory recalls; both are remembered.

    `previous_response_id` goes on after that response, in its session; after one that is not the last, in a session of
    its own. `conversation` (or `metadata.session_id`) goes on at the end of a session. Without them the input is the
    whole conversation, as for chat/completions. With `store: false` the memory is read, and nothing is remembered.
    """
    longest = body.max_output_tokens or settings.max_tokens
    options = {"temperature": settings.temperature, **options_of(body), "max_tokens": longest}
    user_id = user_of(acting, body.user, named, body.memory)
    memory = body.memory if body.store is not False else body.memory.model_copy(update={"read_only": True})
    messages = messages_of(body)
    asked = prepare(settings, user_id, messages, options, longest, memory, session_of(body), "input")
    if body.instructions:
        instructions = {"role": "system", "content": body.instructions}
        asked = dataclasses.replace(asked, messages=[instructions, *asked.messages])
    if body.previous_response_id is not None:
        if memory.off:
            raise BadRequest("cannot be combined with memory.off", "previous_response_id")
        asked = dataclasses.replace(asked, after=message_of(body.previous_response_id, "previous_response_id"))
    elif asked.session_id is not None:
        is_new = not any(message["role"] == "assistant" for message in messages)
        asked = dataclasses.replace(asked, appends=is_new)
    begin_reply(request.scope, user_id)
    events = _found(counted(completions, asked, request, acting), body)
    reply = _Reply(body, options)
    if body.stream:
        first = await anext(events)  # what fails before is an ordinary error
        stream = _stream(reply, first, events, request.url.path)
        return StreamingResponse(stream, media_type="text/event-stream", headers=UNBUFFERED)
    return JSONResponse(await while_present(request, _whole(reply, events)))


@router.get("/v1/responses/{response_id}", responses=ERRORS)
async def retrieve(
    response_id: ResponseId, acting: ActingCaller, memories: MemoriesDep, named: UserHeader = None
) -> dict[str, Any]:
    """A response as the log holds it: the text, the session, and what came before."""
    return stored(await _turn(memories, acting, named, response_id))


@router.delete("/v1/responses/{response_id}", responses=ERRORS)
async def delete(
    response_id: ResponseId, acting: ActingCaller, memories: MemoriesDep, named: UserHeader = None
) -> dict[str, Any]:
    """Forgets a response and the message of the user's that it answers."""
    turn = await _turn(memories, acting, named, response_id)
    user_id = user_of(acting, None, named, MemoryChoice())
    if turn.reply is not None:
        await memories.forget(user_id, turn.reply.id)
    await memories.forget(user_id, turn.user.id)
    return {"id": response_id, "object": "response", "deleted": True}


def session_of(body: ResponseRequest) -> str | None:
    """The session whose end a request goes on at.

    Raises:
        BadRequest: it names two, or one and a response.
    """
    named = body.metadata.session_id if body.metadata else None
    conversation = body.conversation
    if conversation is not None:
        conversation = conversation if isinstance(conversation, str) else conversation.id
        if named is not None and named != conversation:
            raise BadRequest("conversation and metadata.session_id name different sessions", "conversation")
        if body.previous_response_id is not None:
            raise BadRequest("cannot be combined with previous_response_id", "conversation")
    return conversation or named


def message_of(response_id: str, param: str | None, status: int = 400) -> str:
    """The user's message that a response answers.

    Raises:
        BadRequest: no response has such a name.
    """
    found = _ID.fullmatch(response_id)
    if found is None:
        raise _no_such(response_id, param, status)
    return found[1]


def stored(turn: Turn) -> dict[str, Any]:
    """A response out of the log."""
    before = next((one for one in reversed(turn.earlier) if one.role == "user"), None)
    is_whole = turn.reply is not None and turn.reply.status == "complete"
    name, text = turn.user.id, turn.reply.content if turn.reply else ""
    head = _head(f"resp_{name}", turn.user.occurred_at.timestamp(), "mneme")
    return {
        **head,
        "status": "completed" if is_whole else "incomplete",
        "output": [_message(f"msg_{name}", text, "completed" if is_whole else "incomplete")] if turn.reply else [],
        "previous_response_id": f"resp_{before.id}" if before else None,
        "conversation": {"id": turn.user.session_id},
        "store": True,
    }


async def _turn(memories: Memories, acting: Acting, named: str | None, response_id: str) -> Turn:
    user_id = user_of(acting, None, named, MemoryChoice())
    try:
        return await turn_of(memories, user_id, message_of(response_id, None, 404))
    except NoSuchTurn:
        raise _no_such(response_id, None, 404) from None


def _no_such(response_id: str, param: str | None, status: int) -> BadRequest:
    code = "previous_response_not_found" if status == 400 else None
    return BadRequest(f"this user has no response {response_id}", param, status, code)


async def _found(events: AsyncGenerator[Any], body: ResponseRequest) -> AsyncGenerator[Any]:
    """The events of a request; a response before it that there is not is the client's error."""
    async with aclosing(events):
        try:
            async for event in events:
                yield event
        except NoSuchTurn:
            raise _no_such(str(body.previous_response_id), "previous_response_id", 400) from None


def _head(name: str, created: float, model: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "response",
        "created_at": int(created),
        "model": model,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "tool_choice": "auto",
        "tools": [],
        "text": {"format": {"type": "text"}},
        "truncation": "disabled",
        "usage": None,
        "metadata": {},
    }


def _message(name: str, text: str, status: str) -> dict[str, Any]:
    return {"id": name, "type": "message", "role": "assistant", "status": status, "content": [_part(text)]}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


class _Reply:
    """One response while it is made, and the events that tell of it."""

    def __init__(self, body: ResponseRequest, options: dict[str, Any]) -> None:
        self._texts: list[str] = []
        self._finish: str | None = None
        self._usage: dict[str, Any] | None = None
        self._numbers = itertools.count()
        self._state = _head("", time.time(), body.model) | {
            "instructions": body.instructions,
            "previous_response_id": body.previous_response_id,
            "max_output_tokens": body.max_output_tokens,
            "temperature": options["temperature"],
            "top_p": options.get("top_p"),
            "metadata": body.metadata.model_dump(exclude_none=True) if body.metadata else {},
            "user": body.user,
        }

    def begin(self, prepared: Prepared) -> None:
        """The message is remembered, and the generator is about to be asked."""
        name = prepared.user_message_id or uuid.uuid4().hex
        self._item = f"msg_{name}"
        self._state |= {
            "id": f"resp_{name}",
            "store": prepared.user_message_id is not None,
            "conversation": {"id": prepared.session_id} if prepared.session_id else None,
            "mneme": extension(prepared),
        }

    def add(self, chunk: dict[str, Any]) -> str:
        """Takes a chunk of the generator's; the text in it."""
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk["choices"][:1]:
            self._finish = choice.get("finish_reason") or self._finish
        text = text_of(chunk)
        if text:
            self._texts.append(text)
        return text

    def whole(self, failure: str | None = None) -> dict[str, Any]:
        """The response as it ended."""
        reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(self._finish or "")
        status = "failed" if failure else "incomplete" if reason else "completed"
        message = _message(self._item, "".join(self._texts), "completed" if status == "completed" else "incomplete")
        return self._state | {
            "status": status,
            "error": {"code": "server_error", "message": failure} if failure else None,
            "incomplete_details": {"reason": reason} if reason and not failure else None,
            "output": [message] if self._texts or not failure else [],
            "usage": self._counted(),
        }

    def opening(self) -> list[bytes]:
        part = {"item_id": self._item, "output_index": 0, "content_index": 0, "part": _part("")}
        item = {**_message(self._item, "", "in_progress"), "content": []}
        return [
            self._event("response.created", response=self._state),
            self._event("response.in_progress", response=self._state),
            self._event("response.output_item.added", output_index=0, item=item),
            self._event("response.content_part.added", **part),
        ]

    def delta(self, text: str) -> bytes:
        where = {"item_id": self._item, "output_index": 0, "content_index": 0}
        return self._event("response.output_text.delta", **where, delta=text, logprobs=[])

    def closing(self) -> list[bytes]:
        whole, text = self.whole(), "".join(self._texts)
        where = {"item_id": self._item, "output_index": 0, "content_index": 0}
        return [
            self._event("response.output_text.done", **where, text=text, logprobs=[]),
            self._event("response.content_part.done", **where, part=_part(text)),
            self._event("response.output_item.done", output_index=0, item=whole["output"][0]),
            self._event(f"response.{whole['status']}", response=whole),
        ]

    def failing(self, failure: str) -> bytes:
        return self._event("response.failed", response=self.whole(failure))

    def _event(self, kind: str, **data: Any) -> bytes:
        shown = JSONResponse({"type": kind, "sequence_number": next(self._numbers), **data})
        return f"event: {kind}\ndata: ".encode() + bytes(shown.body) + b"\n\n"

    def _counted(self) -> dict[str, Any]:
        """As the generator counted; where it does not, the pieces of the reply and 0 for the prompt."""
        counted = self._usage or {"prompt_tokens": 0, "completion_tokens": len(self._texts)}
        came, went = counted.get("prompt_tokens") or 0, counted.get("completion_tokens") or 0
        cached = (counted.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        thought = (counted.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
        return {
            "input_tokens": came,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
            "output_tokens": went,
            "output_tokens_details": {"reasoning_tokens": thought},
            "total_tokens": came + went,
        }


async def _whole(reply: _Reply, events: AsyncGenerator[Any]) -> dict[str, Any]:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Failed):
                raise GeneratorError(event.reason)
            if isinstance(event, Prepared):
                reply.begin(event)
            else:
                reply.add(event)
    return reply.whole()


async def _stream(reply: _Reply, first: Prepared, events: AsyncIterator[Any], instance: str) -> AsyncIterator[bytes]:
    reply.begin(first)
    for event in reply.opening():
        yield event
    try:
        async for came in events:
            if isinstance(came, Failed):
                raise GeneratorError(came.reason)
            if text := reply.add(came):
                yield reply.delta(text)
    except Exception as error:
        yield reply.failing(str(openai_error(describe(error, instance))[1]["error"]["message"]))
    else:
        for event in reply.closing():
            yield event
