"""Work that ends when its client hangs up: nobody would hear of it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

Done = TypeVar("Done")


class ClientLeft(Exception):
    """The client hung up before its request was done."""


async def while_present(request: Request, work: Coroutine[Any, Any, Done]) -> Done:
    """Does the work, and cancels it when the client hangs up. The body must have been read.

    Raises:
        ClientLeft: the client hung up.
    """
    working, leaving = asyncio.create_task(work), asyncio.create_task(_departure(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientLeft
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _departure(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
