"""Problems in the shape that OpenAI's clients expect."""

import itertools
import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import HTTPException

PATHS: Final = ("/v1/chat/completions", "/v1/responses", "/v1/models", "/v1/embeddings")
_NAME: Final = re.compile(r"[a-z_]+|\d+")
_TYPES: Final = {
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", None),
    404: ("not_found_error", "not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


class BadRequest(HTTPException):
    """A request that is well formed but asks for what cannot be; names the field.

    Args:
        param: the field, as OpenAI writes it: `messages[0].content`.
        code: what programs tell the problem by.
    """

    def __init__(self, detail: str, param: str | None, status: int = 400, code: str | None = None) -> None:
        super().__init__(status, detail)
        self.param, self.code = param, code


def speaks_openai(path: str) -> bool:
    """Whether the clients of that route expect OpenAI's errors."""
    return path in PATHS or path.startswith(("/v1/models/", "/v1/responses/"))


def openai_error(problem: Mapping[str, Any], param: str | None = None) -> tuple[int, dict[str, Any]]:
    """A problem's status and body for OpenAI's clients, which know 400 for what is a 422 elsewhere."""
    status = 400 if problem["status"] == 422 else int(problem["status"])
    kind, code = _TYPES.get(status, ("invalid_request_error" if status < 500 else "server_error", None))
    if param is None and problem.get("errors"):
        parts = problem["errors"][0]["pointer"].lstrip("#/").split("/")
        # behind the name of a field that takes several types stands which of them was tried
        first, *rest = [parts[0], *itertools.takewhile(_NAME.fullmatch, parts[1:])]
        param = (first + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in rest)) or None
    extra = {name: problem[name] for name in ("session_id", "user_message_id") if name in problem}
    code = problem.get("code") or code
    error = {"message": problem["detail"], "type": kind, "param": param, "code": code}
    return status, {"error": error, **({"mneme": extra} if extra else {})}
