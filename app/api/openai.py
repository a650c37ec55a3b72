"""OpenAI's interface, so that a program that speaks it gets a memory by a changed address.

The user is the one whom the key is for, else `X-Mneme-User` or the field `user`. The model's name is the caller's to
choose; the generator of the settings replies.
"""

import base64
import struct
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, StreamingResponse

from app import __version__
from app.api.auth import Acting, ActingCaller
from app.api.dependencies import CompletionsDep, MemoriesDep, SettingsDep
from app.api.errors import describe
from app.api.gate import begin_reply, check_text
from app.api.openai_errors import BadRequest, openai_error
from app.api.openai_schemas import HANDED_ON, CompletionRequest, EmbeddingRequest, InputMessage, MemoryChoice
from app.api.presence import while_present
from app.api.schemas import Recollection, UserName
from app.assistant.completion import Completions, Failed, Prepared, spoken_lines
from app.assistant.completion import Request as Asked
from app.assistant.generator import GeneratorError, text_of
from app.settings import Settings

router = APIRouter(tags=["OpenAI's interface"])

UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_TEXT_PARTS = ("text", "input_text", "output_text")
_MODEL = {"id": "mneme", "object": "model", "created": 0, "owned_by": "mneme"}
UserHeader = Annotated[UserName | None, Header(alias="X-Mneme-User", description="whom the request is for")]
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"example": {"error": {"message": text}}}}}
    for status, text in {
        400: "a field is wrong; `error.param` names it",
        401: "send a key: `Authorization: Bearer mneme_…`",
        403: "this key or token is for another user",
        404: "no such model or response",
        408: "the body came too slowly",
        409: "somebody else changed the same memory meanwhile: try again",
        413: "the body is too large",
        421: "this host is not one of the service's",
        422: "never: what is a 422 elsewhere is a 400 here",
        429: "too many requests a minute: try again later",
        502: "the generator failed",
        503: "the database does not answer",
    }.items()
}


@router.get("/v1/models", responses=ERRORS)
async def models(acting: ActingCaller) -> dict[str, Any]:
    """The one model: the generator of the settings, with the memory."""
    return {"object": "list", "data": [_MODEL]}


@router.get("/v1/models/{model}", responses=ERRORS)
async def model(model: str, acting: ActingCaller) -> dict[str, Any]:
    """The model of that name."""
    if model != _MODEL["id"]:
        raise BadRequest(f"no model {model}; there is {_MODEL['id']}", "model", 404)
    return _MODEL


@router.post("/v1/embeddings", responses=ERRORS)
async def embeddings(
    body: EmbeddingRequest, request: Request, acting: ActingCaller, memories: MemoriesDep, settings: SettingsDep
) -> dict[str, Any]:
    """Vectors of texts: the mean of the encoder's facets, of length 1."""
    acting.user(body.user)
    texts = [body.input] if isinstance(body.input, str) else body.input
    check_text(settings, sum(map(len, texts)))
    encoded = await while_present(request, memories.device.encode(texts))
    data = []
    for place, utterance in enumerate(encoded):
        vector = utterance.pooled.tolist()
        packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        shown = packed if body.encoding_format == "base64" else vector
        data.append({"object": "embedding", "index": place, "embedding": shown})
    tokens = sum(len(utterance.token_ids) for utterance in encoded)
    return {
        "object": "list",
        "data": data,
        "model": body.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


@router.post("/v1/chat/completions", response_model=None, responses=ERRORS)
async def completions(
    body: CompletionRequest,
    request: Request,
    acting: ActingCaller,
    completions: CompletionsDep,
    settings: SettingsDep,
    named: UserHeader = None,
) -> Any:
    """Continues a conversation, with what the memory recalls; the user's messages and the reply are remembered.

    Clients may send the whole conversation each time: what is known is not written again, and a turn that was edited or
    asked anew takes the place of the old one. `metadata.session_id` names the session; without it, it is found. The
    extra field `memory` says how the memory is used, and the reply's `mneme` what was recalled.
    """
    given = body.model_dump(exclude_unset=True)
    longest = body.max_completion_tokens or body.max_tokens or settings.max_tokens
    options = {name: given[name] for name in HANDED_ON if given.get(name) is not None}
    options = {"temperature": settings.temperature, **options, "max_tokens": longest}
    user_id = user_of(acting, body.user, named, body.memory)
    session_id = body.metadata.session_id if body.metadata else None
    asked = prepare(settings, user_id, given["messages"], options, longest, body.memory, session_id)
    begin_reply(request.scope, user_id)
    events = counted(completions, asked, request, acting)
    reply = _Reply(body.model, bool(body.stream_options and body.stream_options.include_usage))
    if body.stream:
        first = await anext(events)  # what fails before is an ordinary error
        stream = _stream(reply, first, events, request.url.path)
        return StreamingResponse(stream, media_type="text/event-stream", headers=UNBUFFERED)
    return JSONResponse(await while_present(request, _whole(reply, events)))


def user_of(acting: Acting, named: str | None, header: str | None, memory: MemoryChoice) -> str:
    """The user whom a request is for.

    Raises:
        BadRequest: nobody is named.
        NotAllowed: somebody else than the key is for.
    """
    if header is not None and named is not None and header != named:
        raise BadRequest("X-Mneme-User and user name different users", "user")
    found = acting.user(header if header is not None else named)
    if found is None:
        if memory.off:
            return "-"
        raise BadRequest("name the user: in the field user, in X-Mneme-User, or by a key that is for one", "user")
    return found


def prepare(
    settings: Settings,
    user_id: str,
    messages: list[dict[str, Any]],
    options: dict[str, Any],
    longest: int,
    memory: MemoryChoice,
    session_id: str | None,
    field: str = "messages",
) -> Asked:
    """A checked request for the generator and the memory.

    Args:
        field: where the client wrote the messages.

    Raises:
        BadRequest: a part that the generator does not take.
    """
    for place, message in enumerate(messages):
        InputMessage.model_validate(message)
        content = message.get("content")
        for part in content if isinstance(content, list) else []:
            if part.get("type") not in _TEXT_PARTS and settings.generator_url is None:
                detail = f"the packaged language model takes no {part.get('type')}; set GENERATOR_URL to one that does"
                raise BadRequest(detail, f"{field}[{place}].content")
        if isinstance(content, list) and all(part.get("type") in _TEXT_PARTS for part in content):
            message["content"] = "\n".join(str(part.get("text", "")) for part in content)
        message.setdefault("content", None)
    check_text(settings, sum(len(str(message["content"])) for message in messages))
    has_other_parts = any(isinstance(message["content"], list) for message in messages)
    if not has_other_parts and not any(line.role == "user" for line in spoken_lines(messages)):
        raise BadRequest("the user's message must not be blank", field)
    return Asked(
        user_id=user_id,
        messages=messages,
        options={**options, "stream_options": {"include_usage": True}},
        session_id=session_id,
        occurred_at=datetime.now(UTC),
        k=memory.k or settings.recalled,
        max_tokens=longest,
        recalls=not memory.off,
        remembers=not (memory.off or memory.read_only),
    )


async def counted(completions: Completions, asked: Asked, request: Request, acting: Acting) -> AsyncGenerator[Any]:
    """The events of a request; what is generated counts towards the caller's limit."""
    tokens = 0
    try:
        async with aclosing(completions.run(asked)) as events:  # type: ignore[type-var]
            async for event in events:
                tokens += isinstance(event, dict)
                yield event
    finally:
        request.app.state.limits.take_tokens(acting.caller, tokens)


def extension(prepared: Prepared) -> dict[str, Any]:
    """What a reply tells beside what OpenAI's interface has."""
    found = prepared.recalled.recollections if prepared.recalled else []
    return {
        "session_id": prepared.session_id,
        "user_message_id": prepared.user_message_id,
        "recalled": [Recollection.of(one).model_dump(mode="json") for one in found],
        "confidence": prepared.recalled.confidence if prepared.recalled else None,
        "version": __version__,
    }


class _Reply:
    """One reply, chunk by chunk, under one id."""

    def __init__(self, model: str, tells_usage: bool) -> None:
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}
        self._tells_usage = tells_usage
        self._usage: dict[str, Any] | None = None
        self._pieces = 0

    def first(self, prepared: Prepared) -> dict[str, Any]:
        delta = {"role": "assistant", "content": ""}
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        return {**self._of("chat.completion.chunk"), "choices": [choice], "mneme": extension(prepared)}

    def next(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        self._usage = chunk.get("usage") or self._usage
        if not chunk["choices"]:
            return None
        self._pieces += bool(text_of(chunk))
        choices = [{"index": 0, "finish_reason": None, "delta": {}, **choice} for choice in chunk["choices"]]
        return {**self._of("chat.completion.chunk"), "choices": choices}

    def last(self) -> dict[str, Any] | None:
        if not self._tells_usage:
            return None
        return {**self._of("chat.completion.chunk"), "choices": [], "usage": self.usage}

    def whole(self, prepared: Prepared, chunks: list[dict[str, Any]]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
        finish, logprobs, calls = "stop", list[Any](), dict[int, dict[str, Any]]()
        for chunk in chunks:
            choice = chunk["choices"][0]
            delta = choice.get("delta") or {}
            if delta.get("content"):
                message["content"] = (message["content"] or "") + delta["content"]
            for call in delta.get("tool_calls") or []:
                _add_call(calls.setdefault(call.get("index", 0), {"type": "function", "function": {}}), call)
            logprobs += (choice.get("logprobs") or {}).get("content") or []
            finish = choice.get("finish_reason") or finish
        if calls:
            message["tool_calls"] = [calls[place] for place in sorted(calls)]
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        if logprobs:
            choice["logprobs"] = {"content": logprobs, "refusal": None}
        head = self._of("chat.completion")
        return {**head, "choices": [choice], "usage": self.usage, "mneme": extension(prepared)}

    @property
    def usage(self) -> dict[str, Any]:
        """As the generator counted; where it does not, the pieces of the reply and 0 for the prompt."""
        counted = {"prompt_tokens": 0, "completion_tokens": self._pieces, "total_tokens": self._pieces}
        return self._usage or counted

    def _of(self, kind: str) -> dict[str, Any]:
        return {**self._head, "object": kind}


def _add_call(call: dict[str, Any], more: dict[str, Any]) -> None:
    for name in ("id", "type"):
        if more.get(name):
            call[name] = more[name]
    for name, text in (more.get("function") or {}).items():
        if text:
            call["function"][name] = call["function"].get(name, "") + text
    call["function"].setdefault("arguments", "")


async def _whole(reply: _Reply, events: AsyncGenerator[Any]) -> dict[str, Any]:
    prepared, chunks = Prepared(), []
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Failed):
                raise GeneratorError(event.reason)
            if isinstance(event, Prepared):
                prepared = event
            elif (chunk := reply.next(event)) is not None:
                chunks.append(chunk)
    return reply.whole(prepared, chunks)


async def _stream(reply: _Reply, first: Any, events: AsyncIterator[Any], instance: str) -> AsyncIterator[bytes]:
    yield _event(reply.first(first))
    try:
        async for event in events:
            if isinstance(event, Failed):
                raise GeneratorError(event.reason)
            if (chunk := reply.next(event)) is not None:
                yield _event(chunk)
    except Exception as error:
        yield _event(openai_error(describe(error, instance))[1])
    else:
        if (last := reply.last()) is not None:
            yield _event(last)
    yield b"data: [DONE]\n\n"


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + bytes(JSONResponse(data).body) + b"\n\n"
