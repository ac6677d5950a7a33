"""A stay in a Janus VideoRoom (plugin ``janus.plugin.videoroom``, with its multistream API of Janus 1.x).

We are one participant, whose data channel carries captions to all who subscribe to it. Each of the others is heard by
a subscriber handle: Janus offers, our peer of the session answers. What comes out of a session is shown by a
publisher handle with a peer that offers. Where a handle ends, so does what it had in the room.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ...errors import AimassError, InvalidMedia, Unavailable
from ...session import Session
from ...settings import Settings
from ...transports.webrtc import WebRtc
from ...transports.webrtc.offering import Texts
from ...transports.webrtc.peer import Peer
from ...transports.webrtc.sdp import read_answer, read_fragment, read_offer
from ..address import target_of
from ..ports import MOST, Kind, Participant, firsts, marked, named, ours
from .signalling import Handle, Janus

log = logging.getLogger(__name__)

PLUGIN = "janus.plugin.videoroom"
LABEL = "aimass"
CODECS = {"audio": ("opus",), "video": ("vp8", "h264")}  # that we take
AGAIN, LONGEST_PAUSE = 0.5, 30.0  # s before a data channel that was cut is opened again
MAX_TRACKS = 8  # streams of one participant that are looked at


@dataclass(frozen=True, slots=True, repr=False)
class Door:
    """Where a room is, and what opens it."""

    url: str
    room: str
    pin: str = ""
    token: str = ""
    api_secret: str = ""


@dataclass(frozen=True, slots=True)
class JanusJoin:
    """Join that room as `name`. `private`: its address may be in a private network. `captions`: with a data channel."""

    webrtc: WebRtc
    settings: Settings
    door: Door
    name: str
    private: bool
    captions: bool

    async def __call__(self, changed: Callable[[], None]) -> VideoRoom:
        target = await target_of(self.door.url, private=self.private)
        janus = await Janus.connect(target, api_secret=self.door.api_secret, token=self.door.token)
        room = VideoRoom(janus, self, changed)
        try:
            await room.enter()
        except BaseException:
            await room.leave()
            raise
        return room


class Heard:
    """`ports.Line` of a participant: a subscriber handle, and the peer that feeds the session."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.handle: Handle | None = None
        self.peer: Peer | None = None

    def happened(self, message: dict[str, Any]) -> None:
        kind = message["janus"]
        if kind in ("hangup", "detached"):
            self.ended.set()
        elif kind == "trickle" and self.peer is not None:
            candidate = message.get("candidate")
            line = candidate.get("candidate") if isinstance(candidate, dict) else None
            if isinstance(line, str) and line:
                _spawn(_trickle(self.peer, line))

    async def close(self) -> None:
        self.ended.set()
        if self.peer is not None:
            self.peer.end("the room has no more of it")
        if self.handle is not None:
            await self.handle.close()


class Published:
    """`ports.Shown`: a publisher handle, and the peer that sends."""

    def __init__(self, peer: Peer) -> None:
        self.ended = asyncio.Event()
        self.shown_out = False
        self.handle: Handle | None = None
        self._peer = peer
        self._running: asyncio.Task[None] | None = None

    def happened(self, message: dict[str, Any]) -> None:
        self.shown_out = self.shown_out or _shown_out(message)
        if message["janus"] in ("hangup", "detached") or self.shown_out:
            self.ended.set()

    async def rename(self, name: str) -> None:
        if self.handle is not None:
            await self.handle.ask({"request": "configure", "display": marked(name)})

    def run(self) -> None:
        self._running = asyncio.create_task(self._run(), name="published")

    async def _run(self) -> None:
        try:
            await self._peer.run(lambda frame: None)
        finally:
            self.ended.set()

    async def close(self) -> None:
        self.ended.set()
        await self._peer.close("published no longer")
        if self._running is not None:
            await asyncio.wait([self._running])
        if self.handle is not None:
            await self.handle.close()


class VideoRoom:
    """`ports.Stay`."""

    def __init__(self, janus: Janus, join: JanusJoin, changed: Callable[[], None]) -> None:
        self.left = asyncio.Event()
        self.reason = "left"
        self.final = False
        self.roster: dict[str, Participant] = {}
        self._janus = janus
        self._join = join
        self._changed = changed
        self._me: Handle | None = None
        self._feeds: dict[str, Any] = {}  # participant's id -> as Janus writes it, a number or a text
        self._private_id: Any = None
        self._texts: Texts | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def _room(self) -> int | str:
        room = self._join.door.room
        return int(room) if room.isdecimal() else room

    async def enter(self) -> None:
        """Raises `AimassError`."""
        self._me = await self._janus.attach(PLUGIN, self._happened)
        data = await self._enter(self._me, self._join.name)
        self._private_id = data.get("private_id")
        for each in (*_objects(data, "attendees"), *_objects(data, "publishers")):
            self._know(each)
        if self._join.captions:
            await self._open_channel(self._me)
            self._keeping = asyncio.create_task(self._keep_channel(self._me), name="captions")
        self._changed()

    async def _enter(self, handle: Handle, name: str) -> dict[str, Any]:
        door = self._join.door
        body = {"request": "join", "ptype": "publisher", "room": self._room, "display": marked(name)}
        body |= {key: value for key, value in (("pin", door.pin), ("token", door.token)) if value}
        data, _ = await handle.ask(body)
        if data.get("videoroom") != "joined":
            raise Unavailable("Janus did not let us in")
        return data

    async def _open_channel(self, me: Handle) -> None:
        self._texts = texts = await self._join.webrtc.texts(LABEL)
        try:
            await self._publish(me, await texts.offer(), texts.accept)
        except AimassError:
            texts.ended.set()
            raise

    async def _keep_channel(self, me: Handle) -> None:
        """Open it anew when it was cut, with ever longer pauses."""
        pause = AGAIN
        while self._texts is not None:
            await self._texts.ended.wait()
            await self._texts.close()
            log.info("the room's data channel was cut, and is opened again")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            with suppress(AimassError):
                await self._open_channel(me)

    async def _publish(self, handle: Handle, sdp: str, accept: Callable[[Any], Any]) -> None:
        _, jsep = await handle.ask({"request": "publish"}, {"type": "offer", "sdp": sdp})
        await accept(read_answer(_sdp(jsep, "answer"), self._join.settings))

    # what happens ----------------------------------------------------------------------------------

    def _happened(self, message: dict[str, Any]) -> None:
        if message["janus"] == "detached":
            self._over(self._janus.reason if self._janus.gone.is_set() else "Janus ended our stay", final=False)
        elif message["janus"] == "hangup" and self._texts is not None:
            self._texts.ended.set()
        elif _shown_out(message):
            self._over("we were shown out of the room", final=True)
        elif message["janus"] == "event":
            self._told(message["plugindata"]["data"])

    def _told(self, data: dict[str, Any]) -> None:
        if data.get("videoroom") == "destroyed":
            self._over("the room was closed", final=True)
            return
        for each in _objects(data, "publishers"):
            self._know(each)
        if isinstance(data.get("joining"), dict):
            self._know(data["joining"])
        if str(data.get("unpublished")) in self.roster:
            self._know({"id": data["unpublished"], "streams": []})
        for key in ("leaving", "kicked"):
            if key in data and data[key] != "ok":
                self._forget(str(data[key]))
        if "display" in data and str(data.get("id")) in self.roster:
            self._know({"id": data["id"], "display": data["display"]})
        self._changed()

    def _know(self, told: dict[str, Any]) -> None:
        """What is told of a participant; what is not told of stays."""
        number = str(told.get("id"))
        known = self.roster.get(number)
        if number == "ok" or (known is None and len(self.roster) >= MOST):
            return
        name = named(told["display"]) if "display" in told else known.name if known is not None else named(None)
        if ours(name):  # no person: what we publish, or another server of this kind
            self._forget(number)
            return
        tracks = _tracks(told) if "streams" in told else known.tracks if known is not None else ()
        self.roster[number] = Participant(number, name, tracks)
        self._feeds[number] = told["id"]

    def _forget(self, number: str) -> None:
        self.roster.pop(number, None)
        self._feeds.pop(number, None)

    def _over(self, reason: str, *, final: bool) -> None:
        if not self.left.is_set():
            self.reason, self.final = reason, final
            self.left.set()
            self._changed()

    # media -----------------------------------------------------------------------------------------

    async def hear(self, participant: Participant, session: Session) -> Heard:
        line = Heard()
        try:
            line.handle = await self._janus.attach(PLUGIN, line.happened)
            feed = self._feeds.get(participant.id)
            body = {"request": "join", "ptype": "subscriber", "room": self._room, "streams": [
                {"feed": feed, "mid": mid} for mid, _ in firsts(participant)]}
            body |= {key: value for key, value in (("private_id", self._private_id), ("pin", self._join.door.pin),
                                                   ("token", self._join.door.token)) if value}
            _, jsep = await line.handle.ask(body)
            offer = read_offer(_sdp(jsep, "offer"), self._join.settings)
            line.peer, answer = await self._join.webrtc.connect(session, offer)
            await line.handle.ask({"request": "start"}, {"type": "answer", "sdp": answer})
        except BaseException:
            await line.close()
            raise
        return line

    async def publish(self, name: str, session: Session, kinds: Sequence[Kind]) -> Published:
        peer = await self._join.webrtc.publisher(session)
        line = Published(peer)
        try:
            line.handle = await self._janus.attach(PLUGIN, line.happened)
            await self._enter(line.handle, name)
            await self._publish(line.handle, await peer.offer(kinds), peer.accept)
        except BaseException:
            await line.close()
            raise
        line.run()
        return line

    def say(self, text: str) -> bool:
        return self._texts is not None and self._texts.send(text)

    async def leave(self) -> None:
        self._over("left", final=True)
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        await self._janus.close()
        if self._texts is not None:
            await self._texts.close()


def _objects(data: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    listed = data.get(key)
    if not isinstance(listed, list):
        return []
    return [each for each in listed[:MOST] if isinstance(each, dict) and "id" in each]


def _tracks(told: Mapping[str, Any]) -> tuple[tuple[str, Kind], ...]:
    """What of a publisher's streams we can take."""
    listed = told.get("streams")
    found: list[tuple[str, Kind]] = []
    for each in listed[:MAX_TRACKS] if isinstance(listed, list) else []:
        if not isinstance(each, dict) or each.get("type") not in CODECS or each.get("disabled"):
            continue
        if str(each.get("codec", "")).lower() in CODECS[each["type"]]:
            found.append((str(each.get("mid")), each["type"]))
    return tuple(found)


def _sdp(jsep: Mapping[str, Any] | None, kind: str) -> str:
    if jsep is None or jsep.get("type") != kind or not isinstance(jsep.get("sdp"), str):
        raise InvalidMedia(f"Janus sent no {kind}", field="sdp")
    return str(jsep["sdp"])


def _shown_out(message: Mapping[str, Any]) -> bool:
    """Whether this tells that the participant of the handle was kicked."""
    if message.get("janus") != "event":
        return False
    data = message["plugindata"]["data"]
    return bool(data.get("leaving") == "ok" and data.get("reason") == "kicked")


_tasks: set[asyncio.Task[None]] = set()


def _spawn(work: Any) -> None:
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _trickle(peer: Peer, line: str) -> None:
    with suppress(AimassError):
        await peer.trickle(read_fragment(f"a={line}"))
