"""A stage of your own: `aimass dev examples/my_stage.py`, then change something here and save."""

import cv2

from aimass_stream.functions import VideoFrame, stage


@stage
def glow(frame: VideoFrame, strength: float = 0.5) -> VideoFrame:
    """Light spills over its edges."""
    light = cv2.blur(frame.bgr, (41, 41))
    return frame.with_bgr(cv2.addWeighted(frame.bgr, 1.0, light, strength, 0))
