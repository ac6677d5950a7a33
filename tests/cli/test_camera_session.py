"""A virtual camera outlasts its server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aimass_stream import errors
from aimass_stream.cli import camera_session
from aimass_stream.cli.camera_session import LastingSession
from aimass_stream.cli.camera_sinks import CameraWriter, writer_to
from aimass_stream.cli.camera_sources import Pattern
from aimass_stream.cli.relay import ANEW, LOST, Relay
from aimass_stream.cli.stream import report
from aimass_stream.client import Client, StreamSession
from aimass_stream.errors import AimassError, InvalidInput
from aimass_stream.frames import Pixels
from tests.support.options import settings
from tests.support.server import serve
from tests.support.waiting import until

MIRROR = [{"stage": "mirror"}]


class Device:
    """What a program sees that looks at the camera."""

    dropped, live = 0, True

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def write(self, planes: Pixels) -> None:
        self.seen.append(planes.tobytes())

    def close(self) -> None:
        """There is nothing to close."""


class Sessions:
    """Of a client, and what happens to the last one."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.last: StreamSession

    def __call__(self) -> StreamSession:
        self.last = self._client.stream(pipeline=MIRROR, video="jpeg")
        return self.last

    def cut(self) -> None:
        assert self.last._websocket is not None
        self.last._websocket.transport.abort()


def relayed(sessions: Sessions, writer: CameraWriter) -> Relay:
    return Relay(LastingSession(sessions), Silent("test", 64, 48, 30, None), writer, hold=writer.hold)


class Silent(Pattern):
    audio = False


@pytest.mark.anyio
async def test_a_server_that_is_started_again_gets_a_new_session_and_the_picture_stays_meanwhile() -> None:
    device = Device()
    writer = CameraWriter(device, None, 64, 48, 30)
    async with serve() as server:
        port = server.server.bound_port
        client = Client(server.url)
        sessions = Sessions(client)
        relay = relayed(sessions, writer)
        await relay.open()
        running = asyncio.create_task(relay.run())
        await until(lambda: writer.written["video"] > 3)
        sessions.cut()
    await until(lambda: relay.cut)
    news = relay.news()
    assert news[0] == LOST
    assert relay.note() == "no connection"
    shown, came = len(device.seen), writer.written["video"]
    await until(lambda: len(device.seen) > shown + 2)
    assert writer.written["video"] == came
    assert len(set(device.seen[shown:])) == 1
    async with serve(settings(port=port)) as server:
        await until(lambda: not relay.cut and writer.written["video"] > came + 3)
        assert relay.news()[-1] == ANEW
        (session,) = server.node.sessions()
        assert session.pipeline.spec.json() == MIRROR
        relay.stop()
        await running
    summary = relay.summary()
    assert summary["drops"]["video-0/cut"] > 0
    assert (summary["resumed"] >= 1, summary["cut"]) == (True, False)
    await client.close()


@pytest.mark.anyio
async def test_one_that_ends_without_a_server_tells_what_is_lost(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.y4m"
    writer = writer_to(str(out), "", "", width=64, height=48, fps=30)
    async with serve() as server:
        client = Client(server.url)
        sessions = Sessions(client)
        relay = relayed(sessions, writer)
        await relay.open()
        running = asyncio.create_task(relay.run())
        await until(lambda: writer.written["video"] > 3)
        sessions.cut()
    await until(lambda: relay.cut and relay.summary()["drops"].get("video-0/cut", 0) > 3)
    relay.stop()
    await running
    writer.close(relay.position)
    assert report(relay, {"out": str(out)}, as_json=False) == 1
    told = capsys.readouterr()
    assert "of video-0 (there was no connection)" in " ".join(told.out.split())
    assert "no connection to the server at the end" in " ".join(told.err.split())
    assert abs(out.stat().st_size // (64 * 48 * 3 // 2 + len("FRAME\n")) - 30 * relay.position) < 2
    await client.close()


@pytest.mark.anyio
async def test_a_session_that_somebody_ends_is_over() -> None:
    async with serve() as server, Client(server.url) as client:
        relay = relayed(Sessions(client), CameraWriter(Device(), None, 64, 48, 30))
        await relay.open()
        running = asyncio.create_task(relay.run())
        await server.node.end(relay.session.id, "enough of it")
        with pytest.raises(InvalidInput, match="somebody ended the session: enough of it"):
            await running


def test_what_another_try_mends() -> None:
    for mends in (None, errors.Unavailable("away"), errors.Busy("full"), AimassError("a proxy's 502"),
                  errors.NotFound("gone", field="resume"), errors.NotFound("gone", field="session_id")):
        camera_session._judge(mends)
    for stays in (errors.NotFound("no such app", field="app_id"), errors.Unauthorized("who?"),
                  errors.InvalidPipeline("no such stage", field="pipeline[0]")):
        with pytest.raises(type(stays)):
            camera_session._judge(stays)
