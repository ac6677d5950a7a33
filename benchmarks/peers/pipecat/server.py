"""Pipecat's SmallWebRTC transport with a processor that turns what came in into what goes out."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputImageRawFrame,
    OutputAudioRawFrame,
    OutputImageRawFrame,
    UserImageRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import SmallWebRTCRequest, SmallWebRTCRequestHandler
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner

sys.path.insert(0, str(Path(__file__).parent.parent))
from signalling import Offer, options, run, serve

RATE = 48_000  # Hz both ways, so that nothing is resampled


class Echo(FrameProcessor):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await self.push_frame(OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels))
        elif isinstance(frame, UserImageRawFrame | InputImageRawFrame):
            if self.seconds:
                await asyncio.sleep(self.seconds)
            await self.push_frame(OutputImageRawFrame(image=frame.image, size=frame.size, format=frame.format))
        else:
            await self.push_frame(frame, direction)


async def main() -> None:
    chosen = options()
    handler = SmallWebRTCRequestHandler()
    tasks: set[asyncio.Task] = set()

    async def session(connection: SmallWebRTCConnection, seconds: float) -> None:
        transport = SmallWebRTCTransport(connection, TransportParams(
            audio_in_enabled=True, audio_in_sample_rate=RATE, audio_out_enabled=True, audio_out_sample_rate=RATE,
            video_in_enabled=True, video_out_enabled=True, video_out_is_live=True, video_out_framerate=30,
            video_out_width=chosen.width, video_out_height=chosen.height))
        worker = PipelineWorker(
            Pipeline([transport.input(), Echo(seconds), transport.output()]), cancel_on_idle_timeout=False,
            enable_rtvi=False, params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE))

        @transport.event_handler("on_client_connected")
        async def connected(transport: SmallWebRTCTransport, client: SmallWebRTCConnection) -> None:
            await transport.capture_participant_video(transport.get_client_id(client), None)

        @transport.event_handler("on_client_disconnected")
        async def disconnected(transport: SmallWebRTCTransport, client: SmallWebRTCConnection) -> None:
            await worker.cancel()

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

    async def answer(offer: Offer) -> dict:
        async def start(connection: SmallWebRTCConnection) -> None:
            task = asyncio.create_task(session(connection, offer.handler_ms / 1000))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        described = await handler.handle_web_request(SmallWebRTCRequest(offer.sdp, offer.type), start)
        return {"sdp": described["sdp"], "type": described["type"]}

    await serve(chosen.port, answer)


logger.remove()
logger.add(sys.stderr, level="WARNING")
run(main)
