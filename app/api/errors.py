"""The one place that turns errors into problem+json (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from app.access.keys import CannotMint, NoSuchKey
from app.access.limits import Busy, TooMuch
from app.api.openai_errors import BadRequest, openai_error, speaks_openai
from app.api.presence import ClientLeft
from app.assistant.generator import GeneratorError
from app.memories.live import ForeignMemory, NotFound
from app.memories.messages import DifferentText
from app.memories.serialization import DamagedMemory
from app.memories.transfer import BadImport, UserExists
from app.store.database import Conflict, StoreUnavailable

logger = logging.getLogger(__name__)
_CLIENT_CLOSED_REQUEST = 499  # no standard status; the one that nginx writes into its log

Problem = dict[str, Any]

# What the OpenAPI page shows beside every route.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {
            "application/problem+json": {
                "example": {
                    "type": "about:blank",
                    "title": HTTPStatus(status).phrase,
                    "status": status,
                    "detail": detail,
                    "instance": "/v1/…",
                }
            }
        },
    }
    for status, detail in {
        401: "send a key: `Authorization: Bearer mneme_…`",
        403: "this key or token is for another user",
        404: "no user ada",
        408: "the body came too slowly",
        409: "somebody else changed the same memory meanwhile: try again",
        413: "the body has more than 67108864 bytes",
        421: "this host is not one of the service's: name it in ALLOWED_HOSTS if it is",
        422: "message: must not be blank",
        429: "more than 3000 requests a minute: try again later",
        503: "the database does not answer",
    }.items()
}

_STATUS: dict[type[Exception], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    NoSuchKey: HTTPStatus.NOT_FOUND,
    CannotMint: HTTPStatus.FORBIDDEN,
    UserExists: HTTPStatus.CONFLICT,
    Conflict: HTTPStatus.CONFLICT,
    GeneratorError: HTTPStatus.BAD_GATEWAY,
    ForeignMemory: HTTPStatus.SERVICE_UNAVAILABLE,
    DamagedMemory: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Busy: HTTPStatus.SERVICE_UNAVAILABLE,
    TooMuch: HTTPStatus.TOO_MANY_REQUESTS,
}


class TurnFailed(Exception):
    """A turn whose message was kept but got no whole reply; `extra` tells which messages are in the log."""

    def __init__(self, error: GeneratorError, extra: dict[str, Any]) -> None:
        super().__init__(str(error))
        self.extra = extra


def bad_field(why: str, *where: str | int) -> RequestValidationError:
    """What a request is refused with where no schema could tell: what is wrong, and in which part and field."""
    return RequestValidationError([{"type": "value_error", "loc": where, "msg": why}])


def problem(status: HTTPStatus, detail: str, instance: str, **extra: Any) -> Problem:
    """The body of an error reply."""
    plain = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail}
    return {**plain, "instance": instance, **extra}


def describe(error: Exception, instance: str) -> Problem:
    """The problem that a typed error of the service is; an unknown one is our fault and tells nothing."""
    if isinstance(error, TurnFailed):
        return problem(HTTPStatus.BAD_GATEWAY, str(error), instance, **error.extra)
    if isinstance(error, DifferentText):
        return problem(HTTPStatus.CONFLICT, str(error), instance, message_id=error.message_id, digests=error.digests)
    if isinstance(error, BadImport):
        entry = {"pointer": error.pointer, "in": "body", "detail": str(error)}
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error.where}: {error}", instance, errors=[entry])
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return problem(status, str(error), instance)
    logger.exception("unexpected error", exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error; the server's log tells more", instance)


def install(app: FastAPI) -> None:
    """Makes every error of the application a problem+json reply."""
    for kind in (*_STATUS, TurnFailed, DifferentText, BadImport, Exception):
        app.add_exception_handler(kind, _on_error)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ClientLeft, _on_departure)


def _reply(body: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    if body["status"] == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {"Retry-After": "1", **(headers or {})}
    if speaks_openai(body["instance"]):
        status, shown = openai_error(body, body.get("param"))
        return JSONResponse(shown, status, headers)
    return JSONResponse(body, body["status"], headers, "application/problem+json")


async def _on_error(request: Request, error: Exception) -> JSONResponse:
    seconds = getattr(error, "seconds", None)  # of limits, which say when to come again
    headers = {"Retry-After": str(seconds)} if seconds is not None else None
    return _reply(describe(error, request.url.path), headers)


async def _on_departure(request: Request, error: Exception) -> Response:
    return Response(status_code=_CLIENT_CLOSED_REQUEST)  # nobody hears it; the log does


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    if isinstance(error.__cause__, UnicodeDecodeError):
        entry = {"pointer": "#", "in": "body", "detail": "not UTF-8"}
        detail = "body: not UTF-8"
        return _reply(problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, request.url.path, errors=[entry]))
    detail = error.detail if error.detail != status.phrase else f"{request.method} {request.url.path}: {error.detail}"
    extra = {"param": error.param, "code": error.code} if isinstance(error, BadRequest) else {}
    return _reply(problem(status, str(detail), request.url.path, **extra), dict(error.headers or {}))


async def _on_bad_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    entries = []
    for found in error.errors():
        where, *path = found["loc"]
        if found["type"] == "json_invalid":
            path = []
        pointer = "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
        said = found["msg"].removeprefix("Value error, ")
        if found["type"] == "model_attributes_type" and not path:
            said = "must be a JSON object, sent with Content-Type: application/json"
        entries.append({"pointer": pointer, "in": where, "detail": said})
    first = entries[0]
    detail = f"{first['pointer'][2:] or first['in']}: {first['detail']}"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return _reply(jsonable_encoder(problem(status, detail, request.url.path, errors=entries[:100])))
