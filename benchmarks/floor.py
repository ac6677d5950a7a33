"""What the codecs alone take on this machine: the part of an echo's delay that nobody can take away."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import av
import numpy as np

from . import media


def measure(width: int, height: int, frames: int = 200) -> dict[str, float]:
    """ms, medians: decode and encode as the server does, decode as the client does, and their sum."""
    decoder: Any = av.CodecContext.create("libvpx", "r")
    client: Any = av.CodecContext.create("libvpx", "r")
    decoder.thread_count = client.thread_count = 1
    encoder = media.encoder(width, height)
    decode, encode, show = [], [], []
    for number, data in enumerate(media.video(width, height)[:frames]):
        begun = time.perf_counter()
        frame = decoder.decode(av.Packet(data))[0]
        decoded = time.perf_counter()
        frame.pts, frame.time_base = number * 3000, media.VIDEO_BASE
        sent = b"".join(bytes(packet) for packet in encoder.encode(frame))
        encoded = time.perf_counter()
        media.number_of(client.decode(av.Packet(sent))[0])
        decode.append(decoded - begun)
        encode.append(encoded - decoded)
        show.append(time.perf_counter() - encoded)
    parts = {"decode": decode, "encode": encode, "show": show}
    medians = {name: round(float(np.median(values)) * 1000, 2) for name, values in parts.items()}
    return {**medians, "total": round(sum(medians.values()), 2)}


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    print(json.dumps({f"{height}p": measure(width, height) for width, height in ((640, 480), (1280, 720))}))
