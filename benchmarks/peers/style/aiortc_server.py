"""aiortc's server example with the style network for its transform: on the event loop as there, or in a thread."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from av import VideoFrame

sys.path.insert(0, str(Path(__file__).parent.parent))
from painter import Painter
from signalling import Offer, options, run, serve

paint = Painter()
IN_THREAD = os.environ["STYLE_WAY"] == "thread"


class VideoTransformTrack(MediaStreamTrack):
    kind = "video"

    def __init__(self, track: MediaStreamTrack) -> None:
        super().__init__()
        self.track = track

    async def recv(self) -> VideoFrame:
        frame = await self.track.recv()
        return await asyncio.to_thread(transformed, frame) if IN_THREAD else transformed(frame)


def transformed(frame: VideoFrame) -> VideoFrame:
    made = VideoFrame.from_ndarray(paint(frame.to_ndarray(format="bgr24")), format="bgr24")
    made.pts, made.time_base = frame.pts, frame.time_base
    return made


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
            if track.kind == "video":
                peer.addTrack(VideoTransformTrack(relay.subscribe(track)))

        await peer.setRemoteDescription(RTCSessionDescription(offer.sdp, offer.type))
        await peer.setLocalDescription(await peer.createAnswer())
        return {"sdp": peer.localDescription.sdp, "type": peer.localDescription.type}

    await serve(options().port, answer)


run(main)
