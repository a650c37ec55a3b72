"""How much a caller may ask for: requests and generated tokens a minute, and replies at once.

They are counted in this process: several servers allow several times as much. Where the service is open nobody is
counted, since nobody is known; only the replies that run are bounded then.
"""

import time
from collections import Counter
from collections.abc import Callable

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from app.access.caller import Caller


class TooMuch(Exception):
    """A caller is over a limit; the same request may be sent again after `seconds`."""

    def __init__(self, detail: str, seconds: int) -> None:
        super().__init__(detail)
        self.seconds = seconds


class Busy(Exception):
    """The service is at a bound that all callers share; the same request may be sent again after `seconds`."""

    def __init__(self, detail: str, seconds: int = 1) -> None:
        super().__init__(detail)
        self.seconds = seconds


class Limits:
    """Limits a minute for each key, and for each user of a key's tokens.

    Args:
        requests: a minute; 0 for no limit.
        tokens: generated ones a minute; 0 for no limit.
    """

    def __init__(self, requests: int, tokens: int) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(requests, namespace="requests") if requests else None
        self._tokens = RateLimitItemPerMinute(tokens, namespace="tokens") if tokens else None

    def take_request(self, caller: Caller) -> None:
        """Counts a request.

        Raises:
            TooMuch: there were too many within a minute.
        """
        item = self._requests
        if item is None or caller.is_anonymous or self._limiter.hit(item, caller.bucket):
            return
        detail = f"more than {item.amount} requests a minute: try again later"
        raise TooMuch(detail, self._seconds(item, caller))

    def check_tokens(self, caller: Caller) -> None:
        """Makes sure that a reply may begin.

        Raises:
            TooMuch: too much was generated within a minute.
        """
        item = self._tokens
        if item is None or caller.is_anonymous or self._limiter.test(item, caller.bucket):
            return
        detail = f"more than {item.amount} generated tokens a minute: try again later"
        raise TooMuch(detail, self._seconds(item, caller))

    def take_tokens(self, caller: Caller, tokens: int) -> None:
        """Counts what was generated. The last reply may go over the limit by its own length; then none begins."""
        item = self._tokens
        if item is None or caller.is_anonymous or tokens <= 0:
            return
        left = self._limiter.get_window_stats(item, caller.bucket).remaining
        self._limiter.hit(item, caller.bucket, cost=min(tokens, left))

    def _seconds(self, item: RateLimitItemPerMinute, caller: Caller) -> int:
        return max(1, round(self._limiter.get_window_stats(item, caller.bucket).reset_time - time.time() + 0.5))


class RunningReplies:
    """Bounds the replies that are generated or wait to be, for each user and in all."""

    def __init__(self, most: int, most_of_a_user: int) -> None:
        self._most, self._most_of_a_user = most, most_of_a_user
        self._running: Counter[str] = Counter()

    def begin(self, user_id: str) -> Callable[[], None]:
        """Counts a reply as running until what is returned is called.

        Raises:
            TooMuch: the user has too many already.
            Busy: there are too many in all.
        """
        if self._running[user_id] >= self._most_of_a_user:
            raise TooMuch(f"this user has {self._most_of_a_user} replies running or waiting", 1)
        if self._running.total() >= self._most:
            self._running += Counter()  # drops the zeros that looking leaves
            raise Busy(f"{self._most} replies are running or waiting: try again later")
        self._running[user_id] += 1

        def end() -> None:
            self._running[user_id] -= 1
            if self._running[user_id] <= 0:
                del self._running[user_id]

        return end
