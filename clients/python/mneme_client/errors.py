"""What can go wrong, as exceptions: each error status of the service is one, with what its problem says (RFC 9457)."""

from typing import Any

import httpx


class MnemeError(Exception):
    """Whatever goes wrong in a call."""


class ConnectionFailed(MnemeError):
    """The service cannot be reached, or broke off before its answer was whole."""


class ApiError(MnemeError):
    """The service refused or failed a request.

    Attributes:
        status: the HTTP status.
        title, detail: what the problem says, in short and in a sentence.
        problem: the whole problem, as it came.
        request_id: finds the request in the service's log.
        retry_after: seconds after which to try again, where the service says so.
    """

    def __init__(self, status: int, problem: dict[str, Any], request_id: str | None, retry_after: float | None) -> None:
        self.status, self.problem, self.request_id, self.retry_after = status, problem, request_id, retry_after
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", "")) or f"status {status}"
        super().__init__(self.detail)


class Unauthorized(ApiError):
    """401: no key, or one that is not valid."""


class Forbidden(ApiError):
    """403: the key does not reach that far."""


class NotFound(ApiError):
    """404: no such user, session, message or slot."""


class Conflict(ApiError):
    """409: a user that exists already, or too many writers for one user at once."""


class DifferentText(Conflict):
    """409: a message came again, under the external id of another text.

    Attributes:
        message_id: of the message that is known by that external id.
    """

    @property
    def message_id(self) -> str:
        return str(self.problem["message_id"])


class TooLarge(ApiError):
    """413: the body, or its text, is longer than the service takes at once."""


class Invalid(ApiError):
    """422: a field is wrong.

    Attributes:
        errors: each wrong field, as `{"pointer", "in", "detail"}`.
    """

    @property
    def errors(self) -> list[dict[str, str]]:
        return list(self.problem.get("errors", []))


class RateLimited(ApiError):
    """429: too many requests, or too many replies running; `retry_after` says when to come again."""


class GeneratorFailed(ApiError):
    """502: the language model failed. The user's message is kept, and so is what there was of a reply."""

    @property
    def user_message_id(self) -> str | None:
        return self.problem.get("user_message_id")

    @property
    def reply_message_id(self) -> str | None:
        return self.problem.get("reply_message_id")


class Unavailable(ApiError):
    """503: the service is busy, its database does not answer, or the memory must be replayed. Nothing was changed."""


_KINDS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Invalid,
    429: RateLimited,
    502: GeneratorFailed,
    503: Unavailable,
}


def error_of(status: int, problem: dict[str, Any], headers: httpx.Headers | None = None) -> ApiError:
    """The exception that a problem is."""
    kind = DifferentText if status == 409 and "digests" in problem else _KINDS.get(status, ApiError)
    headers = httpx.Headers() if headers is None else headers
    return kind(status, problem, headers.get("X-Request-ID"), _seconds(headers.get("Retry-After")))


def error_of_response(response: httpx.Response) -> ApiError:
    """The exception that an error reply is, after its body was read."""
    try:
        problem = response.json()
    except ValueError:  # not of the service: a proxy's page
        problem = None
    if not isinstance(problem, dict):
        problem = {"title": response.reason_phrase, "detail": f"{response.status_code}: {response.text[:200]}"}
    return error_of(response.status_code, problem, response.headers)


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and value.isdigit() else None
