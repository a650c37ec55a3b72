"""Calling the asynchronous client without an event loop, so that every operation is written once.

A coroutine over the blocking transport never waits: it runs to its end when it is first sent into. So a method of the
asynchronous client becomes a blocking one by running it here, with its types and its documentation.
"""

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

Parameters = ParamSpec("Parameters")
Of = TypeVar("Of")
Twin = TypeVar("Twin", covariant=True)
Done = TypeVar("Done")


class Blocking(Protocol[Twin]):
    """What has an asynchronous twin over a blocking transport."""

    @property
    def twin(self) -> Twin: ...


def run(coroutine: Coroutine[Any, Any, Done]) -> Done:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Done = done.value
        return result
    coroutine.close()
    raise AssertionError("the blocking transport waited for an event loop")


def blocking(
    method: Callable[Concatenate[Of, Parameters], Coroutine[Any, Any, Done]],
) -> Callable[Concatenate[Blocking[Of], Parameters], Done]:
    """The blocking twin of an asynchronous method."""

    @functools.wraps(method)
    def call(self: Blocking[Of], /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Done:
        return run(method(self.twin, *args, **kwargs))

    return call


def blocking_iterator(
    method: Callable[Concatenate[Of, Parameters], AsyncIterator[Done]],
) -> Callable[Concatenate[Blocking[Of], Parameters], Iterator[Done]]:
    """The blocking twin of an asynchronous generator."""

    @functools.wraps(method)
    def call(self: Blocking[Of], /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Iterator[Done]:
        generator: Any = method(self.twin, *args, **kwargs)
        try:
            while True:
                try:
                    yield run(generator.__anext__())
                except StopAsyncIteration:
                    return
        finally:
            run(generator.aclose())

    return call
