"""Peers where our side offers: what a session gives is sent to somebody else's server, or texts alone are."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from typing import Any

from aiortc import RTCRtpCodecCapability, RTCRtpSender, RTCSessionDescription
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError

from ...errors import InvalidMedia
from ...settings import Settings
from . import private
from .peer import REPORT_SECONDS, Peer, close
from .sdp import Offer

CROWDED = 256 * 1024  # bytes on their way, from which texts are left out

_REFUSALS = (OperationError, InternalError, InvalidAccessError, InvalidStateError, ValueError, AttributeError)


class Offerer(Peer):
    """`offer` once, then `accept` what is answered; `run` lasts until the other side is gone. It receives nothing."""

    async def offer(self, kinds: Sequence[str]) -> str:
        """The SDP, with all candidates; of each kind the session's first track."""
        connection = self._connection
        for kind in kinds:
            transceiver = connection.addTransceiver(kind, direction="sendonly")
            transceiver.setCodecPreferences(_capabilities(kind, self._settings))
            outbound, track = transceiver.sender.outbound, f"{kind}-0"
            self._sections.append((transceiver.receiver.inbound, outbound))
            self._sent[track] = outbound
            outbound.on_open = functools.partial(self._output.add, track, outbound)
        await connection.setLocalDescription(await connection.createOffer())
        return str(connection.localDescription.sdp)

    async def accept(self, answer: Offer) -> None:
        """Raises `InvalidMedia`; close the peer then."""
        await _accept(self._connection, answer)
        self._timer = self._loop.call_later(REPORT_SECONDS / 4, self._tick)


class Texts:
    """A peer with nothing but one data channel of ours."""

    def __init__(self, connection: private.PeerConnection, label: str) -> None:
        self.ended = asyncio.Event()
        self.dropped = 0  # texts that found no open channel, or one that is not read
        self._connection = connection
        self._channel: Any = connection.createDataChannel(label)
        connection.on("connectionstatechange", self._state_changed)

    def _state_changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self.ended.set()

    async def offer(self) -> str:
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return str(self._connection.localDescription.sdp)

    async def accept(self, answer: Offer) -> None:
        """Raises `InvalidMedia`; close the peer then."""
        await _accept(self._connection, answer)

    def send(self, text: str) -> bool:
        """False where it could not be sent."""
        if self._channel.readyState != "open" or self._channel.bufferedAmount > CROWDED:
            self.dropped += 1
            return False
        self._channel.send(text)
        return True

    async def close(self) -> None:
        """May be called again, and cancelled."""
        self.ended.set()
        await close(self._connection, "texts")


async def _accept(connection: private.PeerConnection, answer: Offer) -> None:
    try:
        await connection.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        await connection.add_candidates(list(answer.candidates))
    except _REFUSALS as error:
        raise InvalidMedia(f"the answer can't be used: {error}", field="sdp") from error


def _capabilities(kind: str, settings: Settings) -> list[RTCRtpCodecCapability]:
    """Codecs in our order, and retransmission."""
    wanted = ["opus"] if kind == "audio" else [*(name.lower() for name in settings.video_codecs), "rtx"]
    there = RTCRtpSender.getCapabilities(kind).codecs
    return [each for name in wanted for each in there if each.mimeType.lower() == f"{kind}/{name}"]
