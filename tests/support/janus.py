"""A Janus of the tests' own (Debian: janus), and people in its rooms: stock aiortc that publishes and subscribes."""

from __future__ import annotations

import asyncio
import atexit
import functools
import itertools
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import av
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from aimass_stream.errors import AimassError
from aimass_stream.rooms.address import target_of
from aimass_stream.rooms.janus.signalling import Handle, Janus
from aimass_stream.rooms.janus.videoroom import PLUGIN

SECRET = "hush"  # of every room: whoever has it may kick

CORE = """general: {{ plugins_folder = "{plugins}"  transports_folder = "{transports}"  events_folder = "{folder}"
 loggers_folder = "{folder}"  log_to_stdout = true  debug_level = 3 {secret} }}
media: {{ ipv6 = false }}
nat: {{ ice_enforce_list = "127.0.0.1" }}
plugins: {{ disable = "{others}" }}
transports: {{ disable = "{unused}" }}
"""
WEBSOCKETS = 'general: {{ ws = true  ws_port = {port}  ws_ip = "127.0.0.1" }}\n'

_rooms = itertools.count(1001)


class Running:
    def __init__(self, api_secret: str = "") -> None:
        """Skips the test where there is none."""
        found = list(Path("/usr/lib").glob("*-linux-gnu/janus/plugins/libjanus_videoroom.so*"))
        if shutil.which("janus") is None or not found:
            pytest.skip("Janus is not installed: apt-get install janus")
        self.api_secret = api_secret
        self._home = found[0].parent.parent
        self.folder = Path(tempfile.mkdtemp(prefix="aimass-janus-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"
        self._configure()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def _configure(self) -> None:
        plugins, transports = self._home / "plugins", self._home / "transports"
        others = ",".join(sorted(each.name for each in plugins.glob("*.so") if "videoroom" not in each.name))
        unused = ",".join(sorted(each.name for each in transports.glob("*.so") if "websockets" not in each.name))
        (self.folder / "janus.jcfg").write_text(CORE.format(
            plugins=plugins, transports=transports, folder=self.folder, others=others, unused=unused,
            secret=f'api_secret = "{self.api_secret}"' if self.api_secret else ""))
        (self.folder / "janus.transport.websockets.jcfg").write_text(WEBSOCKETS.format(port=self.port))

    def start(self) -> None:
        """Begin, or begin again with all rooms forgotten."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(["janus", "-F", self.folder, "-C", self.folder / "janus.jcfg"],
                                             stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"Janus did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.01)

    def revive(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            self.start()

    def freeze(self) -> None:
        """It keeps its connections, and does nothing any more."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """As a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def connect(self) -> Janus:
        return await Janus.connect(await target_of(self.url, private=True), api_secret=self.api_secret)


@functools.cache
def _shared() -> Running:
    running = Running()
    atexit.register(running.close)
    return running


def server() -> Running:
    """One for all tests, each of which has rooms of its own; begun again where it crashed, as 1.1.2 does at times."""
    running = _shared()
    running.revive()
    return running


class Guest:
    """A person at a room: `publish` tracks, `subscribe` to others' streams, look at what is told."""

    def __init__(self, janus: Janus, room: int) -> None:
        self.room = room
        self.name = ""
        self.number = 0
        self.told: list[dict[str, Any]] = []  # by the room
        self.texts: list[tuple[float, str]] = []  # by data channels: when, s monotonic, and what
        self.pictures = 0
        self.sounds = 0
        self.hears: Callable[[av.AudioFrame], None] = lambda frame: None  # every piece of sound that comes
        self._janus = janus
        self._handle: Handle
        self._handles: list[Handle] = []
        self._peers: list[RTCPeerConnection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    def _happened(self, message: dict[str, Any]) -> None:
        if message["janus"] == "event":
            self.told.append(message["plugindata"]["data"])
        self._news.set()

    async def enter(self, name: str, **given: Any) -> Self:
        self.name = name
        self._handle = await self._janus.attach(PLUGIN, self._happened)
        data, _ = await self._handle.ask({"request": "join", "ptype": "publisher", "room": self.room, "display": name,
                                          **given})
        self.number = data["id"]
        self.told.append(data)
        return self

    async def ask(self, **body: Any) -> dict[str, Any]:
        data, _ = await self._handle.ask({"room": self.room, **body})
        return data

    async def others(self) -> dict[str, dict[str, Any]]:
        """Who is there now, by name."""
        listed = (await self.ask(request="listparticipants"))["participants"]
        return {each["display"]: each for each in listed if each["id"] != self.number}

    async def alone(self) -> None:
        """Until nobody else is listed: who has left is, for a moment."""
        async with asyncio.timeout(30):
            while await self.others():  # noqa: ASYNC110  Janus is asked each time
                await asyncio.sleep(0.02)

    async def publish(self, *tracks: MediaStreamTrack) -> None:
        self._peers.append(RTCPeerConnection(RTCConfiguration(iceServers=[])))
        await self.publish_more(*tracks, request="publish")

    async def publish_more(self, *tracks: MediaStreamTrack, request: str = "configure") -> None:
        """Beside what was published first."""
        peer = self._peers[0]
        for track in tracks:
            peer.addTrack(track)
        await peer.setLocalDescription(await peer.createOffer())
        _, jsep = await self._handle.ask({"request": request}, {"type": "offer", "sdp": peer.localDescription.sdp})
        assert jsep is not None
        await peer.setRemoteDescription(RTCSessionDescription(jsep["sdp"], "answer"))

    async def subscribe(self, name: str) -> None:
        """To all streams of somebody, once they publish. A guest who publishes does that first."""
        def publisher() -> int | None:
            return next((each["id"] for data in reversed(self.told) for each in data.get("publishers", ())
                         if each["display"] == name), None)

        await self.until(lambda: publisher() is not None)
        number = publisher()
        handle = await self._janus.attach(PLUGIN, lambda message: None)
        self._handles.append(handle)
        _, jsep = await handle.ask({"request": "join", "ptype": "subscriber", "room": self.room,
                                    "streams": [{"feed": number}]})
        assert jsep is not None
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        opened = asyncio.Event()
        peer.on("track", self._came)
        peer.on("datachannel", lambda channel: channel.on("message", self._said))
        await peer.setRemoteDescription(RTCSessionDescription(jsep["sdp"], "offer"))
        if "m=application" in jsep["sdp"]:  # as janus.js does: Janus sends nothing before a channel is open
            channel = peer.createDataChannel("JanusDataChannel")
            channel.on("message", self._said)
            channel.on("open", opened.set)
        else:
            opened.set()
        await peer.setLocalDescription(await peer.createAnswer())
        await handle.ask({"request": "start"}, {"type": "answer", "sdp": peer.localDescription.sdp})
        async with asyncio.timeout(60):
            await opened.wait()

    def _came(self, track: MediaStreamTrack) -> None:
        task = asyncio.create_task(self._follow(track))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if track.kind == "video":
                    self.pictures += 1
                else:
                    self.sounds += 1
                    self.hears(frame)
                self._news.set()

    def _said(self, text: str | bytes) -> None:
        self.texts.append((time.monotonic(), text if isinstance(text, str) else text.decode()))
        self._news.set()

    async def until(self, condition: Any, seconds: float = 60) -> None:
        """Wait until something that came makes `condition` true."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def leave(self) -> None:
        for handle in (self._handle, *self._handles):
            await handle.close()
        for peer in self._peers:
            await peer.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


class Meeting:
    """A room of a test's own."""

    def __init__(self, running: Running, janus: Janus, room: int) -> None:
        self.running, self.janus, self.room = running, janus, room
        self.guests: list[Guest] = []

    @property
    def url(self) -> str:
        return self.running.url

    async def guest(self, name: str, *tracks: MediaStreamTrack, **given: Any) -> Guest:
        """Somebody who comes in, and publishes these."""
        guest = await Guest(self.janus, self.room).enter(name, **given)
        self.guests.append(guest)
        if tracks:
            await guest.publish(*tracks)
        return guest


@asynccontextmanager
async def meeting(running: Running | None = None, *, room: int = 0, **options: Any) -> AsyncIterator[Meeting]:
    """An empty room, with these options of `create`; everybody leaves at the end."""
    there = running if running is not None else await asyncio.to_thread(server)
    janus = await there.connect()
    held = Meeting(there, janus, room or next(_rooms))
    try:
        maker = await janus.attach(PLUGIN, lambda message: None)
        await maker.ask({"request": "create", "room": held.room, "secret": SECRET, "publishers": 200,
                         "notify_joining": True, **options})
        yield held
        await asyncio.gather(*(guest.leave() for guest in held.guests))
        with suppress(AimassError):
            await maker.ask({"request": "destroy", "room": held.room, "secret": SECRET})
    finally:
        await janus.close()
