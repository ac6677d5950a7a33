"""FastRTC with the style network for its handler of pictures; "newest" sets its own option skip_frames."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path

import numpy as np
from fastrtc import Stream, VideoStreamHandler

sys.path.insert(0, str(Path(__file__).parent.parent))
from painter import Painter
from signalling import Offer, options, run, serve

painter = Painter()
NEWEST = os.environ["STYLE_WAY"] == "newest"


def paint(picture: np.ndarray) -> np.ndarray:
    return painter(picture)


async def main() -> None:
    stream = Stream(VideoStreamHandler(callable=paint, fps=30, skip_frames=NEWEST), modality="video",
                    mode="send-receive", concurrency_limit=1000, allow_extra_tracks=True)

    async def answer(offer: Offer) -> dict:
        name = uuid.uuid4().hex
        body = {"sdp": offer.sdp, "type": offer.type, "webrtc_id": name}
        described = await stream.handle_offer(body, set_outputs=stream.set_additional_outputs(name))
        stream.set_input(name, "")  # without it the handler is never called
        return described

    await serve(options().port, answer)


run(main)
