"""The number of a pipe is closed once: a second time it may be a file that another thread has just opened."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial

import pytest
import uvloop

from aimass_stream.children import PipeEnd


@pytest.mark.parametrize("make", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_the_number_of_a_pipe_is_closed_once(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    reopened = []

    class Watched(PipeEnd):
        def close(self) -> None:
            """What comes to the same number while the loop is closing the pipe has to stay open."""
            try:
                os.fstat(self.fileno())
            except OSError:
                reopened.append(os.open(os.devnull, os.O_RDONLY))  # the lowest number that is free
            super().close()

    async def read() -> int:
        loop = asyncio.get_running_loop()
        ours, theirs = os.pipe()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(partial(asyncio.StreamReaderProtocol, reader), Watched(ours, loop))
        os.write(theirs, b"said")
        os.close(theirs)
        assert await reader.read() == b"said"
        transport.close()
        for _ in range(5):
            await asyncio.sleep(0)
        return ours

    with asyncio.Runner(loop_factory=make) as runner:
        number = runner.run(read())
    assert bool(reopened) == (make is uvloop.new_event_loop), "uvloop closes it before it says so"
    for each in reopened:
        assert each == number
        os.close(each)  # raises where it was closed a second time
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
