"""A stay in a LiveKit room, as one participant. LiveKit's library speaks to the server and mends short cuts.

Imports that library: only `join` imports this.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from livekit import rtc
from livekit.rtc.data_stream import StreamError
from livekit.rtc.participant import PublishDataError

from ...errors import AimassError, Forbidden, NotFound, Unavailable
from ...queues import BoundedQueue
from ...session import Session
from ..ports import MOST, Kind, Participant, firsts, named, ours
from .heard import Heard
from .shown import Published

log = logging.getLogger(__name__)

TOPIC = "aimass"  # of our JSON
TRANSCRIPTION = "lk.transcription"  # of LiveKit's own captions, as text streams
ATTEMPT_SECONDS = 3.0  # of which the library makes four
FAREWELL_SECONDS = 5.0
SEND_SECONDS = 5.0
MEND_SECONDS = 8.0  # that the library may take for a cut: sessions wait for 10 at least
MOST_TEXTS = 64  # that wait to be sent
MAX_TRACKS = 8  # of one participant that are looked at

KINDS: dict[int, Kind] = {rtc.TrackKind.KIND_AUDIO: "audio", rtc.TrackKind.KIND_VIDEO: "video"}
OWN = (rtc.TrackSource.SOURCE_MICROPHONE, rtc.TrackSource.SOURCE_CAMERA, rtc.TrackSource.SOURCE_UNKNOWN)
REASONS: dict[int, tuple[str, bool]] = {  # why it is over, and whether for good
    rtc.DisconnectReason.PARTICIPANT_REMOVED: ("we were shown out of the room", True),
    rtc.DisconnectReason.ROOM_DELETED: ("the room was closed", True),
    rtc.DisconnectReason.ROOM_CLOSED: ("the room was closed", True),
    rtc.DisconnectReason.DUPLICATE_IDENTITY: ("somebody else came with our token", True),
    rtc.DisconnectReason.SERVER_SHUTDOWN: ("LiveKit is stopping", False)}
REFUSALS: dict[str, tuple[type[AimassError], str]] = {
    "401": (Forbidden, "LiveKit refused the token: it is wrong, or too old"),
    "403": (Forbidden, "LiveKit refused us: this token does not open the room"),
    "404": (NotFound, "LiveKit has no such room")}


async def enter(url: str, token: str, changed: Callable[[], None], *, captions: bool) -> LiveKitRoom:
    """Raises `Forbidden`, `NotFound` or `Unavailable`."""
    room = rtc.Room()
    stay = LiveKitRoom(room, changed)
    options = rtc.RoomOptions(auto_subscribe=False, connect_timeout=ATTEMPT_SECONDS)
    connecting = asyncio.create_task(room.connect(url, token, options), name="livekit connect")
    try:
        await asyncio.shield(connecting)
    except rtc.ConnectError as error:
        raise _refusal(url, error) from None
    except asyncio.CancelledError:
        _abandon(stay, connecting)
        raise
    stay.begin(captions=captions)
    return stay


class LiveKitRoom:
    """`ports.Stay`."""

    def __init__(self, room: rtc.Room, changed: Callable[[], None]) -> None:
        self.left = asyncio.Event()
        self.reason = "left"
        self.final = False
        self.roster: dict[str, Participant] = {}
        self._room = room
        self._changed = changed
        self._back = asyncio.Event()  # cleared while the library mends a cut
        self._back.set()
        self._mending: asyncio.TimerHandle | None = None
        self._texts: BoundedQueue[str] = BoundedQueue(MOST_TEXTS, "block")
        self._sending: asyncio.Task[None] | None = None
        room.on("participant_connected", self._know)
        room.on("participant_disconnected", self._forget)
        room.on("participant_name_changed", lambda participant, before, name: self._know(participant))
        room.on("track_published", lambda publication, participant: self._know(participant))
        room.on("track_unpublished", lambda publication, participant: self._know(participant))
        room.on("reconnecting", self._cut)
        room.on("reconnected", self._mended)
        room.on("moved", lambda: self._over("we were moved to another room", final=True))
        room.on("disconnected", self._disconnected)

    def begin(self, *, captions: bool) -> None:
        for participant in self._room.remote_participants.values():
            self._know(participant)
        if captions:
            self._sending = asyncio.create_task(self._send(), name="livekit captions")

    # what happens ----------------------------------------------------------------------------------

    def _know(self, participant: rtc.Participant) -> None:
        """As they are now."""
        number = participant.identity
        if not self._back.is_set():
            return
        if number not in self._room.remote_participants or (number not in self.roster and len(self.roster) >= MOST):
            return
        name = named(participant.name or number)
        if ours(name):  # no person: another server of this kind
            self.roster.pop(number, None)
        else:
            self.roster[number] = Participant(number, name, _tracks(participant))
        self._changed()

    def _forget(self, participant: rtc.RemoteParticipant) -> None:
        if self._back.is_set():
            self.roster.pop(participant.identity, None)
            self._changed()

    def _cut(self) -> None:
        """While it is mended, everybody seems to leave and to come back: the roster stays as it was."""
        self._back.clear()
        if self._mending is None:
            self._mending = asyncio.get_running_loop().call_later(
                MEND_SECONDS, lambda: self._over("the connection to LiveKit was cut", final=False))

    def _mended(self) -> None:
        self._back.set()
        if self._mending is not None:
            self._mending.cancel()
            self._mending = None
        for number in set(self.roster) - set(self._room.remote_participants):
            del self.roster[number]
        for participant in self._room.remote_participants.values():
            self._know(participant)
        self._changed()

    def _disconnected(self, reason: int = rtc.DisconnectReason.UNKNOWN_REASON) -> None:
        told, final = REASONS.get(reason, ("the connection to LiveKit was cut", False))
        self._over(told, final=final)

    def _over(self, reason: str, *, final: bool) -> None:
        if not self.left.is_set():
            self.reason, self.final = reason, final
            self.left.set()
            self._changed()

    # media -----------------------------------------------------------------------------------------

    async def hear(self, participant: Participant, session: Session) -> Heard:
        await self._back.wait()
        there = self._room.remote_participants.get(participant.id)
        sids = [sid for sid, _ in firsts(participant)]
        if there is None or any(sid not in there.track_publications for sid in sids):
            raise Unavailable("their tracks are no longer in the room")
        line = Heard(self._room, [there.track_publications[sid] for sid in sids], session.meter)
        await session.attach(line, line)
        return line

    async def publish(self, name: str, session: Session, kinds: Sequence[Kind]) -> Published:
        return Published(self._room, name, session, kinds)

    # captions --------------------------------------------------------------------------------------

    def say(self, text: str) -> bool:
        if self._sending is None or self.left.is_set() or not self._back.is_set():
            return False
        try:
            self._texts.put_nowait(text)
        except asyncio.QueueFull:
            return False
        return True

    async def _send(self) -> None:
        while True:
            text, _ = await self._texts.get()
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await self._room.local_participant.publish_data(text, topic=TOPIC)
                    await self._transcribe(json.loads(text))
            except (PublishDataError, StreamError, TimeoutError) as error:
                log.info("a caption could not be sent to LiveKit: %s", str(error) or "no answer")

    async def _transcribe(self, said: dict[str, Any]) -> None:
        """The same as LiveKit's clients show it: each text in place of the one before of its segment."""
        there = self._room.remote_participants.get(said.get("participant", ""))
        if said.get("type") != "caption" or there is None:
            return
        attributes = {"lk.segment_id": str(said["utterance"]), "lk.transcription_final": str(said["final"]).lower()}
        sound = next((sid for sid, kind in _tracks(there) if kind == "audio"), None)
        if sound is not None:
            attributes["lk.transcribed_track_id"] = sound
        writer = await self._room.local_participant.stream_text(
            topic=TRANSCRIPTION, attributes=attributes, sender_identity=there.identity)
        await writer.write(said["text"])
        await writer.aclose()

    async def leave(self) -> None:
        self._over("left", final=True)
        if self._mending is not None:
            self._mending.cancel()
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._room.disconnect()
        except TimeoutError:
            log.warning("LiveKit did not say goodbye within %g s", FAREWELL_SECONDS)


def _tracks(participant: rtc.Participant) -> tuple[tuple[str, Kind], ...]:
    """Microphones and cameras, also muted ones; not what is shown of a screen, encrypted end to end, or ours."""
    found: list[tuple[str, Kind]] = []
    for sid, each in participant.track_publications.items():
        kind = KINDS.get(each.kind)
        open_to_us = each.encryption_type == rtc.EncryptionType.NONE
        if kind is not None and each.source in OWN and open_to_us and not ours(named(each.name)):
            found.append((sid, kind))
    return tuple(found[:MAX_TRACKS])


def _refusal(url: str, error: rtc.ConnectError) -> AimassError:
    """Never with what the server wrote: the library asks again by HTTP, and goes wherever that is redirected."""
    status = re.search(r"client error: (\d{3})\b", error.message)
    if status is not None and status[1] in REFUSALS:
        kind, detail = REFUSALS[status[1]]
        return kind(detail, field="room" if kind is NotFound else "token")
    log.info("LiveKit at %s: %s", url, error.message[:300])
    return Unavailable(f"no LiveKit answers at {url}", field="url")


_abandoned: set[asyncio.Task[None]] = set()


def _abandon(stay: LiveKitRoom, connecting: asyncio.Task[None]) -> None:
    """The library goes on connecting whoever waits: leave as soon as it is in."""
    async def leave() -> None:
        with suppress(rtc.ConnectError):
            await connecting
        await stay.leave()

    task = asyncio.create_task(leave(), name="livekit abandoned")
    _abandoned.add(task)
    task.add_done_callback(_abandoned.discard)
