"""A peer with nothing but a data channel, which is closed by somebody who is cancelled meanwhile."""

from __future__ import annotations

import asyncio

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from aimass_stream.transports.webrtc.offering import Texts
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


async def connected() -> tuple[Texts, RTCPeerConnection]:
    ours, theirs = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    texts = Texts(ours, "words")
    await ours.setLocalDescription(await ours.createOffer())
    await theirs.setRemoteDescription(ours.localDescription)
    await theirs.setLocalDescription(await theirs.createAnswer())
    await ours.setRemoteDescription(theirs.localDescription)
    await until(lambda: texts.send("there"))
    return texts, theirs


@pytest.mark.parametrize("turns", range(5))
async def test_who_closes_can_be_cancelled_and_others_still_see_it_close(turns: int) -> None:
    texts, theirs = await connected()

    async def keep() -> None:
        await texts.close()
        await asyncio.Event().wait()

    keeping = asyncio.create_task(keep())
    for _ in range(turns):  # of the loop, into the close
        await asyncio.sleep(0)
    keeping.cancel()
    _, pending = await asyncio.wait([keeping], timeout=10)
    assert not pending
    async with asyncio.timeout(30):
        await texts.close()
    assert texts._connection.connectionState == "closed"
    await theirs.close()
