"""Every private name of aiortc and aioice that we touch, in one file; `moved` says which of them are gone.

aiortc keeps what it does well: SDP, ICE, DTLS, SCTP. Media goes past it. A datagram is looked at in
`Socket.datagram_received`; what is SRTP goes, in the same call, through `Dtls` to an `Inbound`, without a
queue or a task on the way, and what an `Outbound` sends goes straight to the socket. aiortc's receivers and
senders, with their threads and unbounded queues, are never made: `ReceiverPort` and `SenderPort` stand there.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pylibsrtp
from aioice import ice as aioice
from aioice import stun
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aiortc import RTCCertificate, RTCConfiguration, RTCPeerConnection
from aiortc import rtp as rtcp
from aiortc.exceptions import InvalidStateError
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceGatherer, RTCIceTransport, connection_kwargs
from aiortc.rtcpeerconnection import and_direction
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.stats import RTCStatsReport

from . import formats, rtp
from .inbound import Inbound
from .outbound import Outbound
from .udp import Ports

log = logging.getLogger(__name__)

ADDRESSES = 32  # of the other side that passed a connectivity check
WAITING_DATAGRAMS = 128  # DTLS datagrams not yet read
Gate: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]
"""Entered for a DTLS handshake: a few at once, so that their cryptography does not hold up the media."""

STREAMS = 64  # SSRCs learned from packets
# aiortc's, and the same for peers with an RSA certificate, as GStreamer makes them (RFC 8827 section 6.5)
CIPHERS = b":".join(b"ECDHE-%s-%s" % (key, cipher) for key in (b"ECDSA", b"RSA") for cipher in (
    b"AES128-GCM-SHA256", b"CHACHA20-POLY1305", b"AES128-SHA", b"AES256-SHA"))
GATHER_SECONDS = 1.5  # for STUN and TURN servers; an answer waits for them


class Certificate(RTCCertificate):  # type: ignore[misc]
    """A certificate shared by all peers, with its OpenSSL context made once."""

    _context: Any = None

    @classmethod
    def generateCertificate(cls) -> Certificate:
        """About 0.1 ms."""
        made: Certificate = super().generateCertificate()
        return made

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> Any:
        if self._context is None:
            self._context = super()._create_ssl_context(srtp_profiles)
            self._context.set_cipher_list(CIPHERS)
        return self._context


class Socket(aioice.StunProtocol):  # type: ignore[misc]
    """Sorts datagrams by their first byte (RFC 7983) and drops what has no business here."""

    receiver: Ice

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        ice = self.receiver
        if not 0 < len(data) <= rtp.LARGEST:
            ice.refused += 1
            return
        if len(addr) != 2:
            addr = addr[:2]
        first = data[0]
        if first < 4:
            self._stun(data, addr)
            return
        if addr not in ice.validated:
            ice.refused += 1
        elif 127 < first < 192:
            ice.heard = now = time.monotonic()
            ice.on_media(data, now)
        elif 19 < first < 64 and ice._queue.qsize() < WAITING_DATAGRAMS:
            ice.heard = time.monotonic()
            ice.data_received(data, self.local_candidate.component)
        else:
            ice.refused += 1

    def _stun(self, data: bytes, addr: tuple[Any, ...]) -> None:
        try:
            stun.parse_message(data)
        except (ValueError, IndexError, KeyError, struct.error):
            self.receiver.refused += 1
            return
        if addr in self.receiver.validated:
            self.receiver.heard = time.monotonic()
        super().datagram_received(data, addr)


class Ice(aioice.Connection):  # type: ignore[misc]
    """Binds in the port range, puts the advertised address into candidates, remembers who may talk to us."""

    def __init__(self, ports: Ports, **arguments: Any) -> None:
        super().__init__(ice_controlling=False, **arguments)
        self.ports = ports
        self.validated: set[tuple[Any, ...]] = set()
        self.heard = time.monotonic()  # when the last datagram from a validated address came
        self.refused = 0  # datagrams dropped: empty, garbage, from strangers
        self.on_media: Callable[[bytes, float], None] = self._no_media
        self._bound: list[int] = []

    def _no_media(self, data: bytes, now: float) -> None:
        self.refused += 1

    def check_incoming(self, message: Any, addr: tuple[Any, ...], protocol: Any) -> None:
        """An authenticated check came from `addr` (RFC 8445 section 7.3)."""
        if "PRIORITY" not in message.attributes:
            return
        self._validate(addr)
        super().check_incoming(message, addr, protocol)

    def check_complete(self, pair: Any) -> None:
        if pair.state is aioice.CandidatePair.State.SUCCEEDED:
            self._validate(pair.remote_addr)
        super().check_complete(pair)

    def _validate(self, addr: tuple[Any, ...]) -> None:
        if len(self.validated) < ADDRESSES:
            self.validated.add(tuple(addr[:2]))
        self.heard = time.monotonic()

    def send_now(self, data: bytes) -> bool:
        """Send on the nominated pair without an await; False when there is none."""
        pair = self._nominated.get(1)
        if pair is None:
            return False
        pair.protocol.transport.sendto(data, pair.remote_addr)
        return True

    async def get_component_candidates(self, component: int, addresses: list[str], timeout: float = 0) -> list[Any]:
        candidates, sockets = [], []
        for address in self.ports.addresses(addresses):
            try:
                port, socket = await self.ports.bind(address, lambda: Socket(self))
            except OSError as error:
                log.info("no UDP socket on %s: %s", address, error)
                continue
            self._bound.append(port)
            host = self.ports.advertised(address)
            socket.local_candidate = Candidate(
                foundation=candidate_foundation("host", "udp", host), component=component, transport="udp",
                priority=candidate_priority(component, "host"), host=host, port=port, type="host")
            candidates.append(socket.local_candidate)
            sockets.append(socket)
        self._protocols += sockets
        return candidates + await self._ask_servers(component, sockets)

    async def _ask_servers(self, component: int, sockets: list[Socket]) -> list[Any]:
        """Server-reflexive and relayed candidates, from the servers in the settings."""
        asked = []
        if self.stun_server is not None:
            asked += [aioice.server_reflexive_candidate(socket, self.stun_server) for socket in sockets
                      if ":" not in socket.local_candidate.host]
        if self.turn_server is not None:
            asked.append(aioice.relayed_candidate(
                component=component, hide_related_address=False, protocol_factory=lambda: Socket(self),
                turn_server=self.turn_server, turn_username=self.turn_username, turn_password=self.turn_password,
                turn_ssl=self.turn_ssl, turn_transport=self.turn_transport))
        if not asked:
            return []
        tasks = [asyncio.ensure_future(each) for each in asked]
        done, pending = await asyncio.wait(tasks, timeout=GATHER_SECONDS)
        for task in pending:
            task.cancel()
        candidates = []
        for task in done:
            if task.exception() is None:
                candidate, relay = task.result()
                candidates.append(candidate)
                if relay is not None:
                    self._protocols.append(relay)
            else:
                log.warning("a STUN or TURN server did not help: %r", task.exception())
        return candidates

    async def close(self) -> None:
        await super().close()
        self.on_media = self._no_media
        self.ports.release(self._bound)
        self._bound = []


class Dtls(RTCDtlsTransport):  # type: ignore[misc]
    """DTLS for keys and data channels as aiortc does it; SRTP past its queue and task."""

    def __init__(self, transport: Any, certificates: list[Any], gate: Gate) -> None:
        super().__init__(transport, certificates)
        self.ice: Ice = transport._connection
        self._gate = gate
        self._inbounds: list[Inbound] = []
        self._outbounds: dict[int, Outbound] = {}
        self._by_ssrc: dict[int, Inbound] = {}
        self._mid_id = 0
        self.received = 0  # SRTP and SRTCP packets that were whole
        self.broken = 0

    async def start(self, remoteParameters: Any) -> None:
        async with self._gate():
            await super().start(remoteParameters)
        if self.state == "connected":
            self.ice.on_media = self._media

    def send_rtp(self, packet: bytes) -> bool:
        return self._tx_srtp is not None and self.ice.send_now(self._tx_srtp.protect(packet))

    def send_rtcp(self, packet: bytes) -> bool:
        return self._tx_srtp is not None and self.ice.send_now(self._tx_srtp.protect_rtcp(packet))

    def add_inbound(self, inbound: Inbound, parameters: formats.Formats) -> None:
        self._inbounds.append(inbound)
        self._mid_id = parameters.mid_id or self._mid_id
        for ssrc in (parameters.ssrc, parameters.rtx_ssrc):
            if ssrc is not None:
                self._by_ssrc[ssrc] = inbound
        inbound.open(parameters, self.send_rtcp)

    def add_outbound(self, outbound: Outbound, parameters: formats.Formats, cname: str) -> None:
        self._outbounds[outbound.ssrc] = outbound
        outbound.open(parameters, cname, self.send_rtp)

    def remove(self, stream: Inbound | Outbound) -> None:
        stream.close()
        if isinstance(stream, Outbound):
            self._outbounds.pop(stream.ssrc, None)
        elif stream in self._inbounds:
            self._inbounds.remove(stream)
            self._by_ssrc = {ssrc: other for ssrc, other in self._by_ssrc.items() if other is not stream}

    def _media(self, data: bytes, now: float) -> None:
        try:
            if len(data) > 1 and data[1] in rtp.RTCP_TYPES:
                self._rtcp(self._rx_srtp.unprotect_rtcp(data), now)
                return
            packet = self._rx_srtp.unprotect(data)
        except pylibsrtp.Error:
            self.broken += 1
            return
        if len(packet) < rtp.HEADER_SIZE:
            return
        self.received += 1
        _, second, sequence, timestamp, ssrc = rtp.HEADER.unpack_from(packet)
        inbound = self._by_ssrc.get(ssrc)
        if inbound is None:
            inbound = self._learn(packet, second & 0x7F, ssrc)
            if inbound is None:
                return
        inbound.rtp(packet, second, sequence, timestamp, ssrc, now)

    def _learn(self, packet: bytes, payload_type: int, ssrc: int) -> Inbound | None:
        """Whose an SSRC is that no SDP named: by its MID, else by its payload type (RFC 9143 section 9.2)."""
        mid = rtp.extension(packet, self._mid_id)
        fitting = [inbound for inbound in self._inbounds if inbound.formats is not None
                   and payload_type in inbound.formats.by_payload_type
                   and (mid is None or inbound.formats.mid.encode() == mid)]
        if len(fitting) != 1 or len(self._by_ssrc) >= STREAMS:
            self.broken += 1
            return None
        self._by_ssrc[ssrc] = fitting[0]
        return fitting[0]

    def _rtcp(self, data: bytes, now: float) -> None:
        try:
            packets = rtcp.RtcpPacket.parse(data)
        except (ValueError, IndexError, struct.error):
            self.broken += 1
            return
        self.received += 1
        for packet in packets:
            if isinstance(packet, rtcp.RtcpSrPacket | rtcp.RtcpRrPacket):
                for block in packet.reports:
                    if block.ssrc in self._outbounds:
                        self._outbounds[block.ssrc].report(block, time.time())
            if isinstance(packet, rtcp.RtcpSrPacket):
                if packet.ssrc in self._by_ssrc:
                    self._by_ssrc[packet.ssrc].sender_report(packet, now)
            elif isinstance(packet, rtcp.RtcpByePacket):
                for source in packet.sources:
                    inbound = self._by_ssrc.get(source)
                    if inbound is not None and inbound.ssrc == source:
                        inbound.on_goodbye()
            elif isinstance(packet, rtcp.RtcpPsfbPacket | rtcp.RtcpRtpfbPacket):
                self._feedback(packet)

    def _feedback(self, packet: Any) -> None:
        if isinstance(packet, rtcp.RtcpPsfbPacket) and packet.fmt == rtcp.RTCP_PSFB_APP:
            try:
                bitrate, ssrcs = rtcp.unpack_remb_fci(packet.fci)
            except (ValueError, IndexError, struct.error):
                return
            for ssrc in ssrcs:
                if ssrc in self._outbounds:
                    self._outbounds[ssrc].on_estimate(bitrate)
            return
        ssrc = packet.media_ssrc
        if isinstance(packet, rtcp.RtcpPsfbPacket) and packet.fmt == rtcp.RTCP_PSFB_FIR and len(packet.fci) >= 8:
            ssrc = int.from_bytes(packet.fci[:4], "big")  # RFC 5104 section 4.3.1.1
        if ssrc in self._outbounds:
            self._outbounds[ssrc].feedback(packet)


class _Port:
    """What aiortc sees where it expects a receiver or a sender."""

    def __init__(self, kind: str, transport: Dtls) -> None:
        self.kind = kind
        self.transport = transport
        self._enabled = True

    def setTransport(self, transport: Dtls) -> None:
        self.transport = transport

    async def getStats(self) -> Any:
        return RTCStatsReport()


class ReceiverPort(_Port):
    def __init__(self, kind: str, transport: Dtls) -> None:
        super().__init__(kind, transport)
        self.inbound = Inbound(kind)
        self._track: Any = None

    @property
    def track(self) -> Any:
        return self._track

    def _set_rtcp_ssrc(self, ssrc: int) -> None:
        self.inbound.rtcp_ssrc = ssrc

    async def receive(self, parameters: Any) -> None:
        if self.inbound.formats is None:
            self.transport.add_inbound(self.inbound, _formats(parameters))

    async def stop(self) -> None:
        self.transport.remove(self.inbound)


class SenderPort(_Port):
    def __init__(self, kind: str, transport: Dtls) -> None:
        super().__init__(kind, transport)
        self.outbound = Outbound(kind)
        self.track = None
        self._ssrc = self.outbound.ssrc
        self._rtx_ssrc = self.outbound.rtx_ssrc
        self._stream_id = self._track_id = str(uuid.uuid4())

    def replaceTrack(self, track: Any) -> None:
        raise InvalidStateError("this sender has no track")

    async def send(self, parameters: Any) -> None:
        if self.outbound.format is None:
            self.transport.add_outbound(self.outbound, _formats(parameters), parameters.rtcp.cname or "")

    async def stop(self) -> None:
        farewell = self.outbound.goodbye() if self.outbound.is_open else b""
        if farewell:
            self.transport.send_rtcp(farewell)
        self.transport.remove(self.outbound)


class PeerConnection(RTCPeerConnection):  # type: ignore[misc]
    """One transport for everything, our ports at every m-section, and a certificate that is shared."""

    def __init__(self, configuration: RTCConfiguration, certificate: Certificate, ports: Ports, gate: Gate) -> None:
        super().__init__(configuration)
        self._RTCPeerConnection__certificates = [certificate]
        self._ports = ports
        self._gate = gate
        self.dtls: Dtls | None = None

    def _RTCPeerConnection__createDtlsTransport(self) -> Dtls:
        if self.dtls is not None:
            return self.dtls
        gatherer = RTCIceGatherer(iceServers=[])
        servers = self._RTCPeerConnection__configuration.iceServers or []
        gatherer._connection = Ice(self._ports, **connection_kwargs(servers))
        gatherer.on("statechange", self._RTCPeerConnection__updateIceGatheringState)
        transport = RTCIceTransport(gatherer)
        transport.on("statechange", self._RTCPeerConnection__updateIceConnectionState)
        transport.on("statechange", self._RTCPeerConnection__updateConnectionState)
        self._RTCPeerConnection__iceTransports.add(transport)
        self.dtls = Dtls(transport, self._RTCPeerConnection__certificates, self._gate)
        self.dtls.on("statechange", self._RTCPeerConnection__updateConnectionState)
        self._RTCPeerConnection__dtlsTransports.add(self.dtls)
        return self.dtls

    def _RTCPeerConnection__createTransceiver(self, direction: str, kind: str, sender_track: Any = None) -> Any:
        bundled = self.dtls is not None
        transport = self._RTCPeerConnection__createDtlsTransport()
        receiver, sender = ReceiverPort(kind, transport), SenderPort(kind, transport)
        receiver._set_rtcp_ssrc(sender._ssrc)
        sender._stream_id = self._RTCPeerConnection__stream_id
        transceiver = RTCRtpTransceiver(direction=direction, kind=kind, sender=sender, receiver=receiver)
        transceiver._bundled = bundled
        self._RTCPeerConnection__transceivers.append(transceiver)
        return transceiver

    async def _RTCPeerConnection__connect(self) -> None:
        """aiortc runs this as a task of its own that nobody awaits."""
        try:
            await super()._RTCPeerConnection__connect()
        except (InvalidStateError, ConnectionError) as error:
            log.debug("a peer was closed while it connected: %s", error)

    async def add_candidates(self, lines: list[str]) -> None:
        """Candidates of the other side, as in SDP without "candidate:"; they were checked before."""
        if self.dtls is not None:
            for line in lines:
                await self.dtls.ice.add_remote_candidate(Candidate.from_sdp(line))


def negotiate(transceiver: Any, preference: list[str], parameters: dict[str, dict[str, Any]]) -> bool:
    """Keep and order the codecs of an m-section by name, and set their SDP parameters; False if none is left."""
    wanted = [name.lower() for name in preference]
    apt = {codec.payloadType: codec for codec in transceiver._codecs if codec.name.lower() != "rtx"}
    kept = sorted((codec for codec in apt.values() if codec.name.lower() in wanted),
                  key=lambda codec: wanted.index(codec.name.lower()))
    ordered = []
    for codec in kept:
        codec.parameters.update(parameters.get(codec.name.lower(), {}))
        ordered.append(codec)
        ordered += [rtx for rtx in transceiver._codecs
                    if rtx.name.lower() == "rtx" and rtx.parameters.get("apt") == codec.payloadType]
    transceiver._codecs = ordered
    return bool(ordered)


def common_direction(transceiver: Any) -> str:
    """Of our side, as both the offer and we allow: "sendrecv", "sendonly", "recvonly", "inactive"."""
    return str(and_direction(transceiver.direction, transceiver._offerDirection))


def ice_parameters(connection: PeerConnection) -> tuple[str, str]:
    """Our ICE user fragment and password."""
    assert connection.dtls is not None
    return connection.dtls.ice.local_username, connection.dtls.ice.local_password


def _formats(parameters: Any) -> formats.Formats:
    retransmit = {codec.parameters.get("apt"): codec.payloadType for codec in parameters.codecs
                  if codec.name.lower() == "rtx"}
    codecs = tuple(formats.Format(codec.payloadType, codec.name, codec.clockRate, retransmit.get(codec.payloadType))
                   for codec in parameters.codecs if codec.name.lower() != "rtx")
    numbers = {each.uri: each.id for each in parameters.headerExtensions}
    encoding = parameters.encodings[0] if getattr(parameters, "encodings", None) else None
    return formats.Formats(
        codecs, parameters.muxId or "", encoding.ssrc if encoding else None,
        encoding.rtx.ssrc if encoding and encoding.rtx else None,
        numbers.get(formats.MID, 0), numbers.get(formats.SEND_TIME, 0))


# what this file relies on: (owner, names). Instances are looked at where the names are made in __init__.
_CLASSES: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (RTCPeerConnection, (
        "_RTCPeerConnection__createDtlsTransport", "_RTCPeerConnection__createTransceiver",
        "_RTCPeerConnection__connect", "_RTCPeerConnection__updateIceGatheringState",
        "_RTCPeerConnection__updateIceConnectionState", "_RTCPeerConnection__updateConnectionState")),
    (RTCCertificate, ("_create_ssl_context",)),
    (RTCDtlsTransport, ("start", "_recv_next", "_send_data", "_setup_srtp")),
    (aioice.StunProtocol, ("datagram_received", "request")),
    (aioice.Connection, ("check_incoming", "check_complete", "get_component_candidates", "data_received",
                         "add_remote_candidate", "close")),
    (aioice, ("server_reflexive_candidate", "relayed_candidate", "CandidatePair")),
    (pylibsrtp.Session, ("protect", "protect_rtcp", "unprotect", "unprotect_rtcp")),
)
_CONNECTION = ("_RTCPeerConnection__certificates", "_RTCPeerConnection__configuration",
               "_RTCPeerConnection__iceTransports", "_RTCPeerConnection__dtlsTransports",
               "_RTCPeerConnection__transceivers", "_RTCPeerConnection__stream_id")
_ICE = ("_nominated", "_protocols", "_queue", "_check_list", "stun_server", "turn_server", "turn_username",
        "turn_password", "turn_ssl", "turn_transport", "local_username", "local_password")
_DTLS = ("_rx_srtp", "_tx_srtp", "_state", "_transport", "_rtp_router")
_TRANSCEIVER = ("_codecs", "_headerExtensions", "_offerDirection", "_bundled", "direction", "receiver", "sender")


def moved(connection: PeerConnection) -> list[str]:
    """The names above that the installed aiortc, aioice and pylibsrtp no longer have, given one fresh connection."""
    transceiver = connection._RTCPeerConnection__createTransceiver("sendrecv", "audio")
    owners = [*_CLASSES, (connection, _CONNECTION), (connection.dtls, _DTLS), (transceiver, _TRANSCEIVER)]
    if connection.dtls is not None:
        owners.append((connection.dtls.ice, _ICE))
    return [f"{getattr(owner, '__name__', type(owner).__name__)}.{name}"
            for owner, names in owners for name in names if not hasattr(owner, name)]
