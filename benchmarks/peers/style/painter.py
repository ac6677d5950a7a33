"""A picture through the style network, as one would write it for a handler: OpenCV, NumPy and onnxruntime.

With the same options of onnxruntime as in our engine, and what belongs around the graph done in the same quick way.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

MARGIN, GRID = 16, 8  # px of continued border, and what the network's pictures are a multiple of

cv2.setNumThreads(1)


class Painter:
    def __init__(self) -> None:
        with np.load(os.environ["STYLE_WEIGHTS"]) as stored:
            self.parts = {name: stored[name] for name in stored.files}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ["STYLE_THREADS"])
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_external_initializers(
            list(self.parts), [onnxruntime.OrtValue.ortvalue_from_numpy(part) for part in self.parts.values()])
        self.session = onnxruntime.InferenceSession(Path(os.environ["STYLE_GRAPH"]).read_bytes(), options,
                                                    providers=["CPUExecutionProvider"])
        before = next(one for one in self.session.get_inputs() if one.name == "before")
        self.before, self.share = np.zeros(before.shape, np.float32), np.ones(1, np.float32)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """(h, w, 3) BGR of the same."""
        height, width = picture.shape[:2]
        framed = cv2.copyMakeBorder(picture, MARGIN, MARGIN + -height % GRID, MARGIN, MARGIN + -width % GRID,
                                    cv2.BORDER_REPLICATE)
        image = np.empty((1, 3, *framed.shape[:2]), np.float32)
        for plane, pixels in zip(image[0], reversed(cv2.split(framed)), strict=True):
            np.multiply(pixels, np.float32(1 / 255), out=plane)
        [styled] = self.session.run(["styled"], {"image": image, "before": self.before, "share": self.share})
        planes = styled[0, :, MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        return cv2.merge([cv2.convertScaleAbs(plane, alpha=255) for plane in planes[::-1]])
