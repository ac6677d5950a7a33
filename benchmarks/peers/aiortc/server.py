"""aiortc as it comes: what its examples do, a MediaRelay that hands both tracks back."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

sys.path.insert(0, str(Path(__file__).parent.parent))
from signalling import Offer, options, run, serve


class Handled(MediaStreamTrack):
    """The transform track of aiortc's server example, with a handler that takes its time."""

    kind = "video"

    def __init__(self, track: MediaStreamTrack, seconds: float) -> None:
        super().__init__()
        self.track = track
        self.seconds = seconds

    async def recv(self):
        frame = await self.track.recv()
        await asyncio.sleep(self.seconds)
        return frame


async def main() -> None:
    relay = MediaRelay()
    peers: set[RTCPeerConnection] = set()

    async def answer(offer: Offer) -> dict:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peers.add(peer)

        @peer.on("connectionstatechange")
        async def changed() -> None:
            if peer.connectionState in ("failed", "closed"):
                await peer.close()
                peers.discard(peer)

        @peer.on("track")
        def track(track: MediaStreamTrack) -> None:
            back = relay.subscribe(track)
            if track.kind == "video" and offer.handler_ms:
                back = Handled(back, offer.handler_ms / 1000)
            peer.addTrack(back)

        await peer.setRemoteDescription(RTCSessionDescription(offer.sdp, offer.type))
        await peer.setLocalDescription(await peer.createAnswer())
        return {"sdp": peer.localDescription.sdp, "type": peer.localDescription.type}

    await serve(options().port, answer)


run(main)
