"""A stand-in for LiveKit's server with one room: its signalling by LiveKit's own messages, its media by stock aiortc.

Whoever joins is a real client; guests are in the room as the server tells of them, and it sends their media.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import websockets.asyncio.server as web
from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp
from livekit.protocol import models, rtc
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

KEY, SECRET = "devkey", "a secret of thirty-two letters at least"
ROOM = "standup"
AUDIO, VIDEO = models.TrackType.AUDIO, models.TrackType.VIDEO
MICROPHONE, CAMERA, SCREEN = (models.TrackSource.MICROPHONE, models.TrackSource.CAMERA,
                              models.TrackSource.SCREEN_SHARE)

_numbers = itertools.count(1)


def claims_of(token: str) -> dict[str, Any] | None:
    """RFC 7515 and 7519 by hand: what is signed with the secret and not out of date."""
    head, _, signature = token.rpartition(".")
    wanted = hmac.digest(SECRET.encode(), head.encode(), hashlib.sha256)
    if head.count(".") != 1 or not hmac.compare_digest(wanted, _decoded(signature)):
        return None
    header, claims = (json.loads(_decoded(part)) for part in head.split("."))
    good = header["alg"] == "HS256" and claims["iss"] == KEY and claims["nbf"] <= time.time() < claims["exp"]
    return dict(claims) if good else None


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Guest:
    """A person of whom the server tells."""

    def __init__(self, room: LiveKit, name: str) -> None:
        self.info = models.ParticipantInfo(sid=f"PA_g{next(_numbers)}", identity=f"id of {name}"[:32], name=name,
                                           state=models.ParticipantInfo.ACTIVE)
        self.media: dict[str, MediaStreamTrack] = {}
        self._room = room

    async def publish(self, track: MediaStreamTrack, source: Any = None, **told: Any) -> str:
        audio = track.kind == "audio"
        info = models.TrackInfo(sid=f"TR_g{next(_numbers)}", type=AUDIO if audio else VIDEO, name=track.kind,
                                source=source if source is not None else MICROPHONE if audio else CAMERA,
                                mime_type="audio/opus" if audio else "video/VP8", **told)
        self.info.tracks.append(info)
        self.media[info.sid] = track
        await self.tell()
        return str(info.sid)

    async def unpublish(self, sid: str) -> None:
        kept = [each for each in self.info.tracks if each.sid != sid]
        del self.info.tracks[:]
        self.info.tracks.extend(kept)
        await self.tell()
        for visitor in self._room.visitors:
            visitor.drop(sid)

    async def rename(self, name: str) -> None:
        self.info.name = name
        await self.tell()

    async def leave(self) -> None:
        self.info.state = models.ParticipantInfo.DISCONNECTED
        self._room.guests.remove(self)
        await self.tell()

    async def tell(self) -> None:
        self.info.version += 1
        await self._room.tell_of(self.info)


class Visitor:
    """A real client: a connection for what it is sent (we offer), and one for what it publishes (it offers)."""

    def __init__(self, room: LiveKit, socket: web.ServerConnection, claims: dict[str, Any]) -> None:
        kind = models.ParticipantInfo.AGENT if claims.get("kind") == "agent" else models.ParticipantInfo.STANDARD
        self.info = models.ParticipantInfo(
            sid=f"PA_v{next(_numbers)}", identity=claims["sub"], name=claims.get("name", ""), kind=kind,
            state=models.ParticipantInfo.ACTIVE, permission=_permission(True))
        self.asked: dict[str, models.TrackInfo] = {}  # to publish, by the client's id
        self.sends: set[str] = set()  # of those, what its last offer has
        self.packets: list[models.DataPacket] = []
        self.frames: dict[str, list[Any]] = {"audio": [], "video": []}  # the last of each kind
        self.counts = {"audio": 0, "video": 0}
        self.subscribed: set[str] = set()
        self.polite = False  # it said goodbye
        self._room = room
        self._socket = socket
        together = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)  # as LiveKit has it
        self._down, self._up = RTCPeerConnection(together), RTCPeerConnection(together)
        self._senders: dict[str, Any] = {}
        self._answered = asyncio.Event()
        self._offering = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def shown(self) -> list[tuple[str, str]]:
        """Name and kind of what it publishes."""
        sent = [info for cid, info in self.asked.items() if cid in self.sends]
        return sorted((info.name, "audio" if info.type == AUDIO else "video") for info in sent)

    @property
    def told(self) -> list[dict[str, Any]]:
        """JSON objects that it published for everybody."""
        return [json.loads(each.user.payload) for each in self.packets
                if each.WhichOneof("value") == "user" and each.user.topic == "aimass"]

    @property
    def texts(self) -> list[tuple[str, dict[str, str], str]]:
        """Whole text streams on LiveKit's topic for captions: in whose name, attributes, text."""
        begun: dict[str, tuple[str, dict[str, str], str]] = {}
        whole = []
        for each in self.packets:
            if each.WhichOneof("value") == "stream_header" and each.stream_header.topic == "lk.transcription":
                header = each.stream_header
                begun[header.stream_id] = each.participant_identity, dict(header.attributes), ""
            elif each.WhichOneof("value") == "stream_chunk" and each.stream_chunk.stream_id in begun:
                who, attributes, text = begun[each.stream_chunk.stream_id]
                begun[each.stream_chunk.stream_id] = who, attributes, text + each.stream_chunk.content.decode()
            elif each.WhichOneof("value") == "stream_trailer" and each.stream_trailer.stream_id in begun:
                whole.append(begun.pop(each.stream_trailer.stream_id))
        return whole

    async def tell(self, **response: Any) -> None:
        with suppress(ConnectionClosed):
            await self._socket.send(rtc.SignalResponse(**response).SerializeToString())

    async def run(self) -> None:
        try:
            await self.tell(join=rtc.JoinResponse(
                room=models.Room(sid="RM_1", name=ROOM), participant=self.info, server_version="1.9.0",
                other_participants=[guest.info for guest in self._room.guests], subscriber_primary=True,
                server_info=models.ServerInfo(version="1.9.0", protocol=15), ping_timeout=15, ping_interval=5))
            for label in ("_reliable", "_lossy"):
                self._down.createDataChannel(label)
            self._up.on("datachannel", lambda channel: channel.on("message", self._packet))
            self._up.on("track", lambda track: self._later(self._follow(track)))
            self._later(self._offer())
            async for message in self._socket:
                assert isinstance(message, bytes)
                await self._asked(rtc.SignalRequest.FromString(message))
        finally:
            for task in self._tasks:
                task.cancel()
            await self._down.close()
            await self._up.close()

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _asked(self, request: rtc.SignalRequest) -> None:
        kind = request.WhichOneof("message")
        if kind == "answer":
            await self._down.setRemoteDescription(RTCSessionDescription(request.answer.sdp, "answer"))
            self._answered.set()
        elif kind == "offer":
            await self._up.setRemoteDescription(RTCSessionDescription(request.offer.sdp, "offer"))
            await self._up.setLocalDescription(await self._up.createAnswer())
            self.sends = _sent(request.offer.sdp)
            self._room.news()
            await self.tell(answer=rtc.SessionDescription(type="answer", sdp=self._up.localDescription.sdp,
                                                          id=request.offer.id))
        elif kind == "trickle":
            await self._trickle(request.trickle)
        elif kind == "add_track":
            wanted = request.add_track
            info = self.asked[wanted.cid] = models.TrackInfo(
                sid=f"TR_v{next(_numbers)}", name=wanted.name, type=wanted.type, source=wanted.source,
                width=wanted.width, height=wanted.height, simulcast=len(wanted.layers) > 1)
            await self.tell(track_published=rtc.TrackPublishedResponse(cid=wanted.cid, track=info))
        elif kind == "subscription":
            self._room.news()
            sids = set(request.subscription.track_sids)
            self.subscribed = self.subscribed | sids if request.subscription.subscribe else self.subscribed - sids
            self._later(self._offer())
        elif kind == "ping_req":
            await self.tell(pong_resp=rtc.Pong(last_ping_timestamp=request.ping_req.timestamp))
        elif kind == "leave":
            self.polite = True

    async def _trickle(self, trickle: rtc.TrickleRequest) -> None:
        given = json.loads(trickle.candidateInit)
        if not given["candidate"]:
            return
        candidate = candidate_from_sdp(given["candidate"].removeprefix("candidate:"))
        candidate.sdpMid, candidate.sdpMLineIndex = given["sdpMid"], given["sdpMLineIndex"]
        peer = self._up if trickle.target == rtc.SignalTarget.PUBLISHER else self._down
        await peer.addIceCandidate(candidate)

    async def _offer(self) -> None:
        """What the client is subscribed to is what we send."""
        async with self._offering:
            if self._down.signalingState == "closed":
                return  # who leaves ends this, too, and may be done with it before what it still says here is read
            media = {sid: (guest, track) for guest in self._room.guests for sid, track in guest.media.items()}
            for sid in self.subscribed - set(self._senders):
                guest, track = media[sid]
                sender = self._senders[sid] = self._down.addTrack(track)
                sender._stream_id = f"{guest.info.sid}|{sid}"
            for sid in set(self._senders) - self.subscribed:
                sender = self._senders.pop(sid)
                for transceiver in self._down.getTransceivers():
                    if transceiver.sender is sender:
                        transceiver.direction = "inactive"
                sender.replaceTrack(None)
            self._answered.clear()
            await self._down.setLocalDescription(await self._down.createOffer())
            await self.tell(offer=rtc.SessionDescription(type="offer", sdp=self._down.localDescription.sdp))
            await self._answered.wait()

    async def _follow(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                self.frames[track.kind] = [await track.recv()]
                self.counts[track.kind] += 1
                self._room.news()

    def _packet(self, data: str | bytes) -> None:
        assert isinstance(data, bytes)
        self.packets.append(models.DataPacket.FromString(data))
        self._room.news()

    async def cut(self) -> None:
        """As a network does it; who resumes is told to join anew."""
        self._socket.transport.abort()

    def drop(self, sid: str) -> None:
        """A track that is no longer there."""
        self.subscribed.discard(sid)
        self._later(self._offer())

    async def allow(self, publish: bool) -> None:
        self.info.permission.CopyFrom(_permission(publish))
        self.info.version += 1
        await self.tell(update=rtc.ParticipantUpdate(participants=[self.info]))

    async def dismiss(self, reason: models.DisconnectReason) -> None:
        with suppress(ConnectionClosed):
            await self._socket.send(_leave(reason, rtc.LeaveRequest.DISCONNECT))


def _leave(reason: Any, action: Any) -> bytes:
    return rtc.SignalResponse(leave=rtc.LeaveRequest(reason=reason, action=action)).SerializeToString()


def _permission(publish: bool) -> models.ParticipantPermission:
    return models.ParticipantPermission(can_subscribe=True, can_publish=publish, can_publish_data=True)


def _sent(sdp: str) -> set[str]:
    """Ids of the tracks that an offer sends (RFC 8830: the second word of a=msid)."""
    sections = sdp.split("\nm=")[1:]
    return {line.split()[1] for section in sections if "a=inactive" not in section and "a=recvonly" not in section
            for line in section.splitlines() if line.startswith("a=msid:")}


class LiveKit:
    """The server with its room. `refuses` with a status, or `hangs`: says nothing to who comes until it
    shall `go_on`."""

    def __init__(self) -> None:
        self.url = ""
        self.guests: list[Guest] = []
        self.visitors: list[Visitor] = []
        self.refuses: HTTPStatus | None = None
        self.hangs = False
        self.go_on = asyncio.Event()  # lets in who is hanging
        self.resuming = False  # who comes next
        self.tokens: list[dict[str, Any]] = []
        self._news = asyncio.Event()

    async def guest(self, name: str, *tracks: MediaStreamTrack) -> Guest:
        guest = Guest(self, name)
        self.guests.append(guest)
        await guest.tell()
        for track in tracks:
            await guest.publish(track)
        return guest

    async def tell_of(self, participant: models.ParticipantInfo) -> None:
        for visitor in self.visitors:
            await visitor.tell(update=rtc.ParticipantUpdate(participants=[participant]))

    def news(self) -> None:
        self._news.set()

    async def until(self, condition: Any, seconds: float = 60) -> None:
        """Wait until something that came makes `condition` true."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def admit(self, connection: web.ServerConnection, request: Request) -> Response | None:
        url = urlsplit(request.path)
        if self.refuses is not None:
            return connection.respond(self.refuses, "what nobody else may read")
        if url.path not in ("/rtc", "/rtc/validate"):  # as servers do that have no /rtc/v1: clients fall back
            return connection.respond(HTTPStatus.NOT_FOUND, "404 page not found")
        authorization = request.headers.get("Authorization", "").removeprefix("Bearer ")
        claims = claims_of(authorization or parse_qs(url.query).get("access_token", [""])[0])
        if claims is None or not claims["video"]["roomJoin"] or claims["video"]["room"] != ROOM:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "invalid token")
        if url.path == "/rtc/validate":  # asked by who could not connect, for the reason
            return connection.respond(HTTPStatus.OK, "success")
        self.resuming = "reconnect" in parse_qs(url.query)
        self.tokens.append(claims)
        return None

    async def serve(self, socket: web.ServerConnection) -> None:
        if self.hangs:
            await self.go_on.wait()
        if self.resuming:  # whoever was cut off is forgotten here
            await socket.send(_leave(models.DisconnectReason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT))
            return
        visitor = Visitor(self, socket, self.tokens[-1])
        self.visitors.append(visitor)
        self.news()
        try:
            with suppress(ConnectionClosed):
                await visitor.run()
        finally:
            self.visitors.remove(visitor)
            self.news()


@asynccontextmanager
async def livekit() -> AsyncIterator[LiveKit]:
    there = LiveKit()
    async with web.serve(there.serve, "127.0.0.1", 0, process_request=there.admit, compression=None) as server:
        there.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield there
