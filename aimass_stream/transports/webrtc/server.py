"""What all WebRTC peers of a server share: a certificate, sockets, the pace of handshakes, encodings."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiortc import RTCConfiguration, RTCIceServer
from aiortc.rtcconfiguration import RTCBundlePolicy

from ...errors import Conflict
from ...ports import Caller
from ...session import Session
from ...settings import Settings
from . import turn
from .channel import Foreign
from .offering import Offerer, Texts
from .output import Outputs
from .peer import Peer
from .private import Certificate, PeerConnection
from .sdp import Offer
from .udp import Ports

log = logging.getLogger(__name__)

HANDSHAKES = 2  # at once: each holds the loop for some milliseconds at a time
HANDSHAKE_SECONDS = 1.0  # after which a slow one no longer keeps others waiting
CERTIFICATE_SECONDS = 24 * 3600.0  # a certificate is used for new peers


class Turnstile:
    """Lets `count` in at once; whoever stays longer than `seconds` makes room for the next."""

    def __init__(self, count: int, seconds: float) -> None:
        self._places = asyncio.Semaphore(count)
        self._seconds = seconds

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        await self._places.acquire()
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._places.release()

        timer = asyncio.get_running_loop().call_later(self._seconds, leave)
        try:
            yield
        finally:
            timer.cancel()
            leave()


class WebRtc:
    """Made once by the server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.outputs = Outputs(settings, self._session_closed)
        self.viewers: dict[str, Peer] = {}  # resource name -> a WHEP viewer
        self.peers: dict[str, Peer] = {}  # session id -> the peer that feeds it
        self._ports = Ports(settings.udp_ports, settings.advertised_address)
        self._offers = Turnstile(HANDSHAKES, HANDSHAKE_SECONDS)
        self._handshakes = Turnstile(HANDSHAKES, HANDSHAKE_SECONDS)
        self._certificate: Certificate | None = None
        self._certificate_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._get_certificate()

    async def _get_certificate(self) -> Certificate:
        certificate = self._certificate
        if certificate is None or time.monotonic() - self._certificate_at > CERTIFICATE_SECONDS:
            certificate = await asyncio.to_thread(Certificate.generateCertificate)
            self._certificate, self._certificate_at = certificate, time.monotonic()
        return certificate

    def ice_servers(self) -> list[RTCIceServer]:
        """For our own gathering; what a client asks for is never used."""
        return [RTCIceServer(**server) for server in turn.ice_servers(self.settings, turn.OURSELVES)]

    async def connect(self, session: Session, offer: Offer, *, last_seq: int = 0,
                      foreign: Foreign | None = None) -> tuple[Peer, str]:
        """A peer that feeds the session, and the SDP to answer with. Raises `InvalidMedia`.

        Its client is sent every event after `last_seq`, or speaks another protocol (`foreign`).
        """
        peer, answer = await self._answer(session, offer, viewer=False, foreign=foreign)
        self.peers[session.id] = peer
        await session.attach(peer, peer, last_seq=last_seq)
        _check(session)
        return peer, answer

    async def watch(self, session: Session, offer: Offer, name: str, caller: Caller | None = None) -> tuple[Peer, str]:
        """A peer that only watches. Raises `InvalidMedia`."""
        peer, answer = await self._answer(session, offer, viewer=True)
        peer.watcher = caller
        self.viewers[name] = peer
        task = asyncio.create_task(self._run_viewer(peer, name), name=f"viewer of {session.id[:8]}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return peer, answer

    async def _run_viewer(self, peer: Peer, name: str) -> None:
        try:
            await peer.run(lambda frame: None)
        finally:
            self.viewers.pop(name, None)

    def end_those(self, those: Callable[[Caller], bool], reason: str) -> None:
        """End the watching of these callers."""
        for viewer in self.viewers.values():
            if viewer.watcher is not None and those(viewer.watcher):
                viewer.end(reason)

    def _session_closed(self, session: Session) -> None:
        self.peers.pop(session.id, None)
        for viewer in self.viewers.values():
            if viewer.session is session:
                viewer.end("the session is over")

    async def publisher(self, session: Session) -> Offerer:
        """A peer that offers what comes out of the session. Who asks for it awaits its `run`, and closes it."""
        return Offerer(session, self.settings, self.outputs.of(session), await self._connection(), viewer=True)

    async def texts(self, label: str) -> Texts:
        """A peer that offers one data channel. Who asks for it closes it."""
        return Texts(await self._connection(), label)

    async def _connection(self) -> PeerConnection:
        configuration = RTCConfiguration(iceServers=self.ice_servers(), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        return PeerConnection(configuration, await self._get_certificate(), self._ports, self._handshakes)

    async def _answer(self, session: Session, offer: Offer, *, viewer: bool, foreign: Foreign | None = None
                      ) -> tuple[Peer, str]:
        async with self._offers():
            _check(session)
            peer = Peer(session, self.settings, self.outputs.of(session), await self._connection(), viewer=viewer,
                        foreign=foreign)
            try:
                answer = await peer.answer(offer)
                _check(session)
                return peer, answer
            except BaseException:
                await peer.close("the offer could not be answered")
                raise

    async def close(self) -> None:
        """End every viewer; the sessions end their own peers."""
        for peer in list(self.viewers.values()):
            await peer.close("the server stopped")
        if self._tasks:
            await asyncio.wait(self._tasks)


def _check(session: Session) -> None:
    """Raises `Conflict` when the session ended while its peer was being made."""
    if session.state == "closed":
        raise Conflict("the session ended meanwhile", field="session_id")
