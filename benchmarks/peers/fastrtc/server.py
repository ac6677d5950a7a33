"""FastRTC with a handler that hands back what it got.

`audio-video` is its AsyncAudioVideoStreamHandler, the only way it carries both tracks in one session;
`video` is its plain function handler (VideoCallback). The queues between receive and emit are those of
its own audio-video examples.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

import numpy as np
from fastrtc import AsyncAudioVideoStreamHandler, Stream

sys.path.insert(0, str(Path(__file__).parent.parent))
from signalling import Offer, options, run, serve

RATE = 48_000


class Echo(AsyncAudioVideoStreamHandler):
    def __init__(self, seconds: float = 0) -> None:
        super().__init__(expected_layout="mono", output_sample_rate=RATE, input_sample_rate=RATE, fps=30)
        self.seconds = seconds
        self.sound: asyncio.Queue = asyncio.Queue()
        self.pictures: asyncio.Queue = asyncio.Queue()

    def copy(self) -> Echo:
        return Echo(self.seconds)

    async def start_up(self) -> None:
        return None

    async def receive(self, frame: tuple[int, np.ndarray]) -> None:
        self.sound.put_nowait(frame)

    async def emit(self) -> tuple[int, np.ndarray]:
        return await self.sound.get()

    async def video_receive(self, frame: np.ndarray) -> None:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        self.pictures.put_nowait(frame)

    async def video_emit(self) -> np.ndarray:
        return await self.pictures.get()


async def main() -> None:
    chosen = options()
    streams: list[Stream] = []

    async def answer(offer: Offer) -> dict:
        # a handler belongs to a Stream, so a session with another handler_ms is another Stream
        for stream in streams:
            if stream.handler_ms == offer.handler_ms:
                break
        else:
            handler = Echo(offer.handler_ms / 1000) if chosen.modality == "audio-video" else lambda picture: picture
            stream = Stream(handler, modality=chosen.modality, mode="send-receive", concurrency_limit=1000,
                            allow_extra_tracks=True)
            stream.handler_ms = offer.handler_ms
            streams.append(stream)
        name = uuid.uuid4().hex
        body = {"sdp": offer.sdp, "type": offer.type, "webrtc_id": name}
        described = await stream.handle_offer(body, set_outputs=stream.set_additional_outputs(name))
        if chosen.modality == "video":
            stream.set_input(name, "")  # without it VideoCallback never calls its handler
        return described

    await serve(chosen.port, answer)


run(main)
