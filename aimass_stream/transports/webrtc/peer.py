"""One WebRTC peer: the source and the sink of a session, or one of its viewers."""

from __future__ import annotations

import asyncio
import functools
import logging
import random
from collections.abc import Callable
from typing import Any

from aiortc import RTCSessionDescription
from aiortc import rtp as rtcp
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError

from ...errors import InvalidMedia
from ...events import Event
from ...frames import Frame, now
from ...ports import Caller
from ...session import Session
from ...settings import Settings
from . import private
from .audio_in import AudioIn
from .channel import Channel, Foreign
from .inbound import Inbound
from .outbound import Outbound
from .output import Output
from .sdp import Fragment, Offer
from .video_in import VideoIn

log = logging.getLogger(__name__)

CONNECT_SECONDS = 15.0  # from the answer until media could flow
REPORT_SECONDS = 1.0  # between our RTCP reports, plus or minus a fifth (RFC 3550 section 6.2)
FIRST_REPORTS = 4  # that come four times as fast, so that a receiver can align our tracks soon
FAREWELL_SECONDS = 0.3  # for the last events to leave
CLOSE_SECONDS = 3.0

Push = Callable[[Frame], None]

# what aiortc raises for an offer that it can't answer
_REFUSALS = (OperationError, InternalError, InvalidAccessError, InvalidStateError, ValueError, AttributeError)


class Peer:
    """`answer` an offer once, then hand it to `Session.attach` as source and sink.

    With `viewer` it neither feeds nor steers the session: it only gets its tracks, and the one who made it
    awaits `run` and closes it. With `foreign` its data channel and the sound it gets are another protocol's.
    """

    def __init__(self, session: Session, settings: Settings, output: Output, connection: private.PeerConnection, *,
                 viewer: bool = False, foreign: Foreign | None = None) -> None:
        self.session = session
        self.viewer = viewer
        self.watcher: Caller | None = None  # who watches
        self.etag = ""
        self._settings = settings
        self._output = output
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._push: Push = lambda frame: None
        self._inputs: list[VideoIn | AudioIn] = []
        self._sections: list[tuple[Inbound, Outbound]] = []
        self._sent: dict[str, Outbound] = {}
        self._foreign = foreign
        self._channel = Channel(session, self._forward, foreign)
        self._gone = asyncio.Event()
        self._reason = "closed"
        self._closing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ticks = 0
        self._begun = now()
        self._offer: Offer | None = None
        self.connected_after: float | None = None  # s from the offer
        connection.on("connectionstatechange", self._state_changed)
        if not viewer:
            connection.on("datachannel", self._channel.opened)

    # the offer -------------------------------------------------------------------------------------

    async def answer(self, offer: Offer) -> str:
        """The SDP to answer with. Raises `InvalidMedia`; close the peer then."""
        self._offer = offer
        connection = self._connection
        try:
            await connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            self._assign()
            await connection.add_candidates(list(offer.candidates))
            await connection.setLocalDescription(await connection.createAnswer())
        except _REFUSALS as error:
            log.info("session %s: an offer could not be answered: %r", self.session.id, error)
            raise InvalidMedia(f"the offer can't be answered: {error}", field="sdp") from error
        self.etag = f'"{private.ice_parameters(connection)[0]}"'
        self._timer = self._loop.call_later(REPORT_SECONDS / 4, self._tick)
        return str(connection.localDescription.sdp)

    def _assign(self) -> None:
        """Say for each m-section what it carries, in its own order: its n-th sound is "audio-n", and so on."""
        received: dict[str, list[str]] = {"audio": [], "video": []}
        sending: list[tuple[Outbound, str | None]] = []
        for transceiver in self._connection.getTransceivers():
            kind = transceiver.kind
            allowed = "sendonly" if self.viewer else "sendrecv"
            transceiver.direction = allowed
            if not private.negotiate(transceiver, *_preference(kind, self._settings)):
                raise InvalidMedia(f"no {kind} codec in common", field="sdp")
            direction = private.common_direction(transceiver)
            track: str | None = None
            if direction in ("sendrecv", "recvonly"):
                track = f"{kind}-{len(received[kind])}"
                received[kind].append(track)
                self._receive(track, kind, transceiver.receiver.inbound)
            if direction in ("sendrecv", "sendonly"):
                if kind == "audio" and self._foreign is not None:
                    track = self._foreign.track
                sending.append((transceiver.sender.outbound, track))
            self._sections.append((transceiver.receiver.inbound, transceiver.sender.outbound))
        self._sent = _ways_back(sending, received)
        for track, outbound in self._sent.items():
            outbound.on_open = functools.partial(self._output.add, track, outbound)

    def _receive(self, track: str, kind: str, inbound: Inbound) -> None:
        make = VideoIn if kind == "video" else AudioIn
        self._inputs.append(make(track, inbound, self.session, self._settings, self._forward))

    def _forward(self, frame: Frame) -> None:
        self._push(frame)

    async def trickle(self, fragment: Fragment) -> None:
        """More candidates of the other side."""
        await self._connection.add_candidates(list(fragment.candidates))

    def is_restart(self, fragment: Fragment) -> bool:
        """True when the fragment belongs to other ICE credentials than the offer's."""
        assert self._offer is not None
        return bool(fragment.ufrag) and fragment.ufrag != self._offer.ufrag

    # life ------------------------------------------------------------------------------------------

    async def run(self, push: Push) -> None:
        """Feed the session until the peer is gone; cancelled, close it."""
        self._push = push
        controls = asyncio.create_task(self._channel.run(), name=f"{self.session.id[:8]} control")
        try:
            await self._gone.wait()
        finally:
            self._push = lambda frame: None
            controls.cancel()
            await self.close(self._reason)

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and self.connected_after is None:
            self.connected_after = now() - self._begun
        elif state in ("failed", "closed"):
            self.end("the connection failed" if state == "failed" else "the peer closed the connection")

    def end(self, reason: str) -> None:
        """Let `run` return."""
        if not self._gone.is_set():
            self._reason = reason
            log.info("session %s: %s", self.session.id, reason)
            self._gone.set()
            if self._foreign is not None:
                self._foreign.gone(reason)

    async def close(self, reason: str) -> None:
        """Nothing is left of the peer afterwards: no task, socket or timer. May be called again."""
        if self._closing is None:
            self._reason = reason
            self._closing = asyncio.create_task(self._close(), name=f"{self.session.id[:8]} close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._gone.set()
        if self._timer is not None:
            self._timer.cancel()
        for source in self._inputs:
            source.close()
        for _, outbound in self._sections:
            outbound.on_open = lambda: None
            self._output.remove(outbound)
        await self._channel.drain(FAREWELL_SECONDS)
        await close(self._connection, f"session {self.session.id}")

    # ports.Sink ------------------------------------------------------------------------------------

    def frame(self, frame: Frame) -> None:
        """Frames leave through the session's `Output`, encoded once for everybody."""

    def event(self, event: Event) -> None:
        self._channel.send(event)

    def flush(self, track: str | None = None) -> None:
        """As for `frame`."""

    # once a second ---------------------------------------------------------------------------------

    def _tick(self) -> None:
        moment = now()
        self._ticks += 1
        early = self._ticks < FIRST_REPORTS
        pause = REPORT_SECONDS * (0.25 if early else random.uniform(0.8, 1.2))
        self._timer = self._loop.call_later(pause, self._tick)
        dtls = self._connection.dtls
        if dtls is None:
            return
        if self.connected_after is None:
            if moment - self._begun > CONNECT_SECONDS:
                self.end(f"no connection within {CONNECT_SECONDS:g} s")
            return
        if moment - dtls.ice.heard > self._settings.peer_silence:
            self.end(f"nothing was heard of the peer for {self._settings.peer_silence:g} s")
            return
        for inbound, outbound in self._sections:
            blocks = inbound.blocks(moment)
            report = outbound.sender_report(blocks)
            if not report and blocks:
                report = bytes(rtcp.RtcpRrPacket(ssrc=inbound.rtcp_ssrc, reports=blocks))
            if report:
                dtls.send_rtcp(report)
        for source in self._inputs:
            source.tick()

    def stats(self) -> dict[str, Any]:
        """What the transport measures, by track."""
        dtls = self._connection.dtls
        rtts = [outbound.rtt for _, outbound in self._sections if outbound.rtt is not None]
        return {
            "connected_ms": None if self.connected_after is None else round(self.connected_after * 1000, 1),
            "rtt_ms": round(min(rtts) * 1000, 2) if rtts else None,
            "in": {source.track: source.stats() for source in self._inputs},
            "out": self._output.stats(),
            "sent": {track: outbound.stats() for track, outbound in self._sent.items()},
            "datagrams_refused": dtls.ice.refused if dtls is not None else 0,
            "packets_broken": dtls.broken if dtls is not None else 0,
            "events_dropped": self._channel.dropped,
        }


async def close(connection: private.PeerConnection, whose: str) -> None:
    """May be called again, and cancelled.

    aiortc closes in a task of its own that nobody cancels: aioice swallows a cancellation there, and aiortc's future
    of the end would pass it on to everybody else who waits for it.
    """
    closing = asyncio.create_task(connection.close(), name="close of a connection")
    done, _ = await asyncio.wait([closing], timeout=CLOSE_SECONDS)
    if not done:
        log.warning("%s: its connection took over %g s to close", whose, CLOSE_SECONDS)
    connection.remove_all_listeners()


def _preference(kind: str, settings: Settings) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Codec names in our order, and parameters for the answer's fmtp lines."""
    if kind == "audio":
        return ["opus"], {"opus": {"minptime": 10, "useinbandfec": 1}}  # RFC 7587 section 6.1
    # libwebrtc starts at 300 kbit/s and shrinks the picture to fit, unless it is told what we can take
    start = {"x-google-start-bitrate": settings.start_bitrate // 1000}
    return settings.video_codecs, {name.lower(): start for name in settings.video_codecs}


def _ways_back(sending: list[tuple[Outbound, str | None]], received: dict[str, list[str]]) -> dict[str, Outbound]:
    """Which track each sending m-section carries: its own, else one that has no way back yet, else a new one."""
    taken = {track for _, track in sending if track is not None}
    ways: dict[str, Outbound] = {}
    for outbound, own in sending:
        track = own
        if track is None:
            free = [name for name in received[outbound.kind] if name not in taken]
            number = 0
            while f"{outbound.kind}-{number}" in taken:
                number += 1
            track = free[0] if free else f"{outbound.kind}-{number}"
            taken.add(track)
        ways[track] = outbound
    return ways
