"""What `aimass stream` says while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aimass_stream.cli.relay import TOLD, Relay, why
from aimass_stream.cli.stream import watched
from aimass_stream.client import MediaSession
from aimass_stream.events import EVENTS
from aimass_stream.frames import AudioFrame, Frame, VideoFrame
from tests.support.session import picture

SAID: list[tuple[str, dict[str, Any], str]] = [
    ("media.refused", {"reason": "no_keyframe", "detail": "a vp8 frame without the key frame it builds on"},
     "The server can't use some of what is sent: a vp8 frame without the key frame it builds on"),
    ("media.dropped", {"frames": 7, "reason": "slow_client"},
     "7 of those sent were left out: they are not taken fast enough"),
    ("latency.missed", {"latency_ms": 60, "p95_ms": 617.4, "why": "every stage works with as little as it can"},
     "60 ms can't be kept (617 ms): every stage works with as little as it can"),
]


@pytest.mark.parametrize(("kind", "data", "line"), SAID, ids=[kind for kind, _, _ in SAID])
def test_events_are_sentences(kind: str, data: dict[str, Any], line: str) -> None:
    assert TOLD[kind](EVENTS[kind](**data).model_dump()) == line


def test_drops_are_told_in_words() -> None:
    assert why("relink") == "the pipeline was changed just then"
    assert why("style:overload") == "style is too slow"
    assert why("style:deadline") == "style was late"
    assert why("pts_jump") == "pts jump"
    assert TOLD.keys() <= EVENTS.keys()


class Mirror(MediaSession):
    """What is sent comes back."""

    async def open(self) -> None:
        """There is nobody to connect to."""

    async def send(self, frame: Frame) -> None:
        await self._deliver(frame)

    async def control(self, message: dict[str, Any]) -> None:
        raise AssertionError(message)

    async def close(self) -> None:
        self._ended()


class Pictures:
    """A file of five pictures, a quarter of a second long."""

    path, audio, video = "five.mp4", False, True
    duration: float | None = 0.25

    def pictures(self) -> Iterator[VideoFrame]:
        return (picture(number, 20) for number in range(5))

    def sound(self) -> Iterator[AudioFrame]:
        return iter(())


class Count:
    def __init__(self) -> None:
        self.written = {"video": 0}

    def write(self, frame: AudioFrame | VideoFrame) -> None:
        self.written["video"] += 1


@pytest.mark.anyio
@pytest.mark.parametrize("stopped", [False, True])
async def test_a_file_that_came_back_whole_is_all_of_it(capsys: pytest.CaptureFixture[str], stopped: bool) -> None:
    relay = Relay(Mirror(), Pictures(), Count())
    if stopped:
        relay.stop()
    await watched(relay, quiet=False)
    assert relay.through is not stopped
    assert (" 100 %" in capsys.readouterr().err) is not stopped
    assert stopped or relay.writer.written == {"video": 5}
