"""Lip sync end to end: a picture that takes 80 ms longer than its sound, over real WebRTC."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator

import pytest

from tests.support.rtc import Camera, Client, Microphone
from tests.support.server import served

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[str]:
    with served() as (url, _):
        yield url


def offset(client: Client) -> float:
    """s the picture comes after its sound, by the latest of both."""
    return statistics.median(client.video_delays()[-30:]) - statistics.median(client.audio_delays()[-4:])


async def heard(client: Client, seconds: float) -> None:
    """Go on until this much more sound came back."""
    seen = len(client.sounds)
    await client.until(lambda: len(client.sounds) >= seen + seconds * 50, seconds + 15)


async def test_lips_holds_sound_back_to_a_slow_picture_and_lowest_lets_it_go(server: str) -> None:
    slow = [{"stage": "delay", "ms": 80, "track": "video-0"}]
    camera = await asyncio.to_thread(Camera, 320, 240)
    async with Client(server, camera=camera, microphone=Microphone()) as client:
        await client.connect(slow, sync="lips")
        await heard(client, 4)
        assert abs(offset(client)) <= 0.02
        client.send({"type": "session.update", "id": "quick", "sync": "lowest"})
        await client.until(lambda: client.event("session.updated"))
        await heard(client, 2.2)
        assert offset(client) > 0.06
        client.send({"type": "session.update", "sync": "lips"})
        await heard(client, 4)
        assert abs(offset(client)) <= 0.02
