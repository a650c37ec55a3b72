"""When a request is sent again, and how long to wait before.

A request is repeated only where that changes nothing twice: the service says that it changed nothing (429, 503, and a
409 of writers that were in each other's way), or it was never reached, or the request can be repeated by its nature:
reading, forgetting, and remembering under external ids.
"""

import dataclasses
import random

import httpx

from mneme_client.errors import ApiError, Conflict, DifferentText, RateLimited, Unavailable

_BEFORE_IT_WAS_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclasses.dataclass(frozen=True)
class Retries:
    """How often and how patiently.

    Attributes:
        times: tries after the first; 0 for none.
        first: seconds before the second try; each further wait is twice as long.
        longest: seconds of one wait. A service that asks for more patience than this gets no further try.
    """

    times: int = 3
    first: float = 0.25
    longest: float = 60.0

    def wait(self, error: Exception, tries: int, repeatable: bool) -> float | None:
        """Seconds to wait before the next try; None where the error is final.

        Args:
            tries: how often the request was sent by now.
            repeatable: whether sending it twice is as good as once.
        """
        if tries > self.times or not _may_succeed(error, repeatable):
            return None
        asked = error.retry_after if isinstance(error, ApiError) else None
        if asked is not None:
            return asked if asked <= self.longest else None
        return min(self.first * 2.0 ** (tries - 1) * random.uniform(0.5, 1.0), self.longest)


def _may_succeed(error: Exception, repeatable: bool) -> bool:
    match error:
        case RateLimited() | Unavailable():
            return True
        case DifferentText():
            return False
        case Conflict():
            return repeatable
        case ApiError():
            return False
        case httpx.TransportError():
            return repeatable or isinstance(error, _BEFORE_IT_WAS_SENT)
    return False
