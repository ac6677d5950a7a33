"""What goes on where its caller is cancelled, as by a client that hangs up: nobody can cancel a thread."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Closes(Protocol):
    def close(self) -> object: ...


Opened = TypeVar("Opened", bound=int | Closes)


async def opened(opening: Callable[[], Opened]) -> Opened:
    """What `opening` gives, in a thread: a file, or the number of one. Where the caller is cancelled meanwhile, it is
    closed as soon as it is there.
    """
    making = asyncio.ensure_future(asyncio.to_thread(opening))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        making.add_done_callback(_forget)
        raise


async def to_the_end(doing: Coroutine[Any, Any, T]) -> T:
    """What it comes to. Where the caller is cancelled meanwhile, it is cancelled once this is done."""
    task = asyncio.ensure_future(doing)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # which somebody has seen then
        raise cancelled
    return task.result()


def _forget(making: asyncio.Future[Opened]) -> None:
    if making.cancelled() or making.exception():
        return
    made = making.result()
    if isinstance(made, int):
        os.close(made)
    else:
        made.close()
