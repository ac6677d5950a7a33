import asyncio

import pytest

from aimass_stream.queues import BoundedQueue

pytestmark = pytest.mark.anyio


async def test_keep_newest_drops_the_oldest_and_counts_it() -> None:
    dropped: list[int] = []
    queue: BoundedQueue[int] = BoundedQueue(2, "keep_newest", on_drop=dropped.append)
    for item in range(5):
        queue.put_nowait(item)
    assert dropped == [0, 1, 2]
    assert queue.statistics().dropped == 3
    assert [(await queue.get())[0], (await queue.get())[0]] == [3, 4]


async def test_block_waits_for_room_and_loses_nothing() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1, "block")
    await queue.put(0)
    with pytest.raises(asyncio.QueueFull):
        queue.put_nowait(1)
    writers = [asyncio.create_task(queue.put(item)) for item in (1, 2, 3)]
    assert [(await queue.get())[0] for _ in range(4)] == [0, 1, 2, 3]
    await asyncio.gather(*writers)
    assert queue.dropped == 0


async def test_get_waits_for_an_item_and_says_how_long_it_lay_there() -> None:
    queue: BoundedQueue[str] = BoundedQueue(1, "block")
    reader = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put_nowait("hello")
    item, waited = await reader
    assert item == "hello"
    assert 0 <= waited < 1


async def test_a_closed_queue_gives_what_is_left_and_then_ends() -> None:
    queue: BoundedQueue[int] = BoundedQueue(2, "block")
    queue.put_nowait(1)
    queue.close()
    queue.put_nowait(2)
    assert (await queue.get())[0] == 1
    with pytest.raises(EOFError):
        await queue.get()


async def test_close_wakes_a_waiting_reader() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1, "block")
    reader = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.close()
    with pytest.raises(EOFError):
        await reader


async def test_a_cancelled_reader_leaves_the_item_for_the_next() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1, "block")
    reader = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.wait([reader])
    queue.put_nowait(7)
    assert (await queue.get())[0] == 7
