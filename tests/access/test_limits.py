"""Limits: each caller has its own, they end with the minute, and what is running is given back."""

import pytest

from app.access.caller import ANYBODY, Caller, Grant
from app.access.limits import Busy, Limits, RunningReplies, TooMuch

ONE, OTHER = Caller(Grant("service"), "one"), Caller(Grant("service"), "other")


def test_a_caller_s_requests_are_bounded_and_no_other_s() -> None:
    limits = Limits(requests=3, tokens=0)
    for _ in range(3):
        limits.take_request(ONE)
    with pytest.raises(TooMuch) as caught:
        limits.take_request(ONE)
    assert 1 <= caught.value.seconds <= 60
    limits.take_request(OTHER)


def test_each_user_of_a_key_s_tokens_is_counted_apart() -> None:
    limits = Limits(requests=1, tokens=0)
    for user in ("ada", "bob"):
        limits.take_request(Caller(Grant("user", user), "one", by_token=True))
    limits.take_request(ONE)
    with pytest.raises(TooMuch):
        limits.take_request(Caller(Grant("user", "ada"), "one", by_token=True))


def test_no_reply_begins_once_the_minute_s_tokens_are_spent() -> None:
    limits = Limits(requests=0, tokens=10)
    limits.check_tokens(ONE)
    limits.take_tokens(ONE, 9)
    limits.check_tokens(ONE)
    limits.take_tokens(ONE, 500)
    with pytest.raises(TooMuch):
        limits.check_tokens(ONE)
    limits.check_tokens(OTHER)


def test_where_nobody_is_known_nobody_is_counted() -> None:
    limits = Limits(requests=1, tokens=1)
    for _ in range(5):
        limits.take_request(ANYBODY)
        limits.check_tokens(ANYBODY)
        limits.take_tokens(ANYBODY, 100)


def test_running_replies_are_bounded_for_a_user_and_in_all_and_given_back() -> None:
    replies = RunningReplies(most=3, most_of_a_user=2)
    first, _ = replies.begin("ada"), replies.begin("ada")
    with pytest.raises(TooMuch):
        replies.begin("ada")
    replies.begin("bob")
    with pytest.raises(Busy):
        replies.begin("cleo")
    first()
    replies.begin("cleo")
