"""streamlit-webrtc's asynchronous track without a browser.

The page of a Streamlit script only shows a widget and carries the offer to `WebRtcWorker.process_offer`;
from there on everything is the library's own. That call is made here directly, with the worker's own
seams for a loop and a relay, so what runs is AsyncVideoProcessTrack exactly as
`webrtc_streamer(queued_video_frames_callback=..., async_processing=True)` runs it; sound has no callback and
goes straight back, its better case. What Streamlit adds (script runs, its websocket) is not measured.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import av
from aiortc import RTCConfiguration
from aiortc.contrib.media import MediaRelay
from streamlit_webrtc import WebRtcMode
from streamlit_webrtc.webrtc import WebRtcWorker

sys.path.insert(0, str(Path(__file__).parent.parent))
from signalling import Offer, options, run, serve


async def main() -> None:
    loop = asyncio.get_running_loop()
    relay = MediaRelay()
    workers: list[WebRtcWorker] = []

    def worker(seconds: float) -> WebRtcWorker:
        async def pictures(frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
            if seconds:
                await asyncio.sleep(seconds)
            return frames[-1:]

        return WebRtcWorker(
            mode=WebRtcMode.SENDRECV, rtc_configuration=RTCConfiguration(iceServers=[]), source_video_track=None,
            source_audio_track=None, sink_video_track=None, sink_audio_track=None, player_factory=None,
            in_recorder_factory=None, out_recorder_factory=None, video_frame_callback=None,
            audio_frame_callback=None, queued_video_frames_callback=pictures, queued_audio_frames_callback=None,
            on_video_ended=None, on_audio_ended=None, video_processor_factory=None, audio_processor_factory=None,
            async_processing=True, video_receiver_size=4, audio_receiver_size=4, sendback_video=True,
            sendback_audio=True, loop=loop, relay=relay)

    async def answer(offer: Offer) -> dict:
        made = worker(offer.handler_ms / 1000)
        workers.append(made)
        described = await asyncio.to_thread(made.process_offer, offer.sdp, offer.type, 10)
        return {"sdp": described.sdp, "type": described.type}

    await serve(options().port, answer)


run(main)
