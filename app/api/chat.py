"""One turn of conversation, at once or as it is generated."""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, format_sse_event
from pydantic import BaseModel

from app.access.caller import Caller
from app.api.auth import ActingCaller
from app.api.dependencies import AssistantDep, SettingsDep
from app.api.errors import RESPONSES, TurnFailed, describe
from app.api.gate import begin_reply
from app.api.presence import while_present
from app.api.schemas import ChatReply, ChatRequest, Recollection, WrittenMemory
from app.assistant.generator import GeneratorError
from app.assistant.turn import Answered, Ask, Broken, Recalling, Token
from app.memories.memories import TurnContext
from app.memories.validation import in_zone_or_now

router = APIRouter(tags=["chat"], responses=RESPONSES)

# A proxy must hand each token on as it comes.
_UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_FAILED = {"description": "the reply could not be generated; the message is kept (`user_message_id`)"}


@router.post("/v1/chat", response_model=ChatReply, responses={502: _FAILED})
async def chat(
    body: ChatRequest, request: Request, acting: ActingCaller, assistant: AssistantDep, settings: SettingsDep
) -> Any:
    """Recalls, replies, remembers.

    With `stream: true` the reply comes as server-sent events: `recalled` (what the memory found), `token` (`{"text"}`,
    many), then `done` (the same object as without streaming) or `error` (a problem).
    """
    acting.user(body.user_id)
    begin_reply(request.scope, body.user_id)
    ask = Ask(
        user_id=body.user_id,
        message=body.message,
        session_id=body.session_id or uuid.uuid4().hex,
        occurred_at=in_zone_or_now(body.occurred_at, settings.zone),
        k=body.k or settings.recalled,
        max_tokens=body.max_tokens or settings.max_tokens,
        temperature=settings.temperature if body.temperature is None else body.temperature,
    )
    events = _counted(assistant.turn(ask), request, acting.caller)
    if body.stream:
        first = await anext(events)  # an error before anything was kept is an ordinary error reply
        return EventSourceResponse(_stream(first, events, request.url.path), headers=_UNBUFFERED)
    answered = await while_present(request, _whole(events))
    return JSONResponse(_reply(answered).model_dump(mode="json"), HTTPStatus.OK)


async def _whole(events: AsyncGenerator[Any]) -> Answered:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Broken):
                raise _failed(event)
            if isinstance(event, Answered):
                return event
    raise AssertionError("a turn ends answered or broken")


async def _counted(events: AsyncIterator[Any], request: Request, caller: Caller) -> AsyncGenerator[Any]:
    """The turn's events; what is generated counts towards the caller's limit."""
    tokens = 0
    try:
        async for event in events:
            tokens += isinstance(event, Token)
            yield event
    finally:
        request.app.state.limits.take_tokens(caller, tokens)


async def _stream(first: Any, events: AsyncIterator[Any], instance: str) -> AsyncIterator[bytes]:
    yield _event(first, instance)
    try:
        async for event in events:
            yield _event(event, instance)
    except Exception as error:
        yield _sse("error", describe(error, instance))


def _event(event: Any, instance: str) -> bytes:
    match event:
        case Recalling(heard):
            message, _ = heard.remembered.messages[0]
            return _sse("recalled", {
                "session_id": message.session_id,
                "user_message_id": message.id,
                "recalled": [one.model_dump(mode="json") for one in _recalled(heard)],
            })  # fmt: skip
        case Token(text):
            return _sse("token", {"text": text})
        case Answered():
            return _sse("done", _reply(event))
        case Broken():
            return _sse("error", describe(_failed(event), instance))
        case _:
            raise AssertionError(event)


def _sse(name: str, data: Any) -> bytes:
    encoded = data.model_dump_json() if isinstance(data, BaseModel) else _json(data)
    return format_sse_event(event=name, data_str=encoded)


def _json(data: Any) -> str:
    return JSONResponse(data).body.decode()  # type: ignore[union-attr]


def _failed(event: Broken) -> TurnFailed:
    message, _ = event.heard.remembered.messages[0]
    extra: dict[str, Any] = {"session_id": message.session_id, "user_message_id": message.id}
    if event.partial is not None:
        extra["reply_message_id"] = event.partial.messages[0][0].id
    return TurnFailed(GeneratorError(event.reason), extra)


def _recalled(heard: TurnContext) -> list[Recollection]:
    return [Recollection.of(one) for one in heard.recalled.recollections]


def _reply(event: Answered) -> ChatReply:
    asked, slots_asked = event.heard.remembered.messages[0]
    replied, slots_replied = event.replied.messages[0]
    head = event.replied.head
    return ChatReply(
        session_id=asked.session_id,
        user_message_id=asked.id,
        reply_message_id=replied.id,
        reply=replied.content,
        recalled=_recalled(event.heard),
        memory=WrittenMemory(
            version=head.version,
            slots=head.capacity,
            slots_used=event.replied.slots_used,
            written=slots_asked + slots_replied,
        ),
        timings_ms=event.timings_ms,
        finish_reason=event.finish_reason,
    )
