"""The sections of the report, in its order."""

from __future__ import annotations

from ..speech.section import Section
from . import background, detection, exact, faces, governor, gpu, painting, peers, steady, swaps

SECTIONS = (
    Section("style", "Style transfer", 2, painting.run, painting.tell, painting.aims, painting.plots),
    Section("peers", "The same network in other servers", 6, peers.run, peers.tell, peers.aims, peers.plots),
    Section("steady", "Steady pictures", 1.5, steady.run, steady.tell, steady.aims, steady.plots),
    Section("detection", "Detection", 2, detection.run, detection.tell, detection.aims, detection.plots),
    Section("background", "Background", 1, background.run, background.tell, background.aims),
    Section("faces", "Faces", 0.5, faces.run, faces.tell, faces.aims),
    Section("exact", "Frame-exact results", 1, exact.run, exact.tell, exact.aims),
    Section("swaps", "Swaps", 3, swaps.run, swaps.tell, swaps.aims, swaps.plots),
    Section("governor", "Promised latency", 1.5, governor.run, governor.tell, governor.aims, governor.plots),
    Section("gpu", "Batches on a GPU", 0, gpu.run, gpu.tell, gpu.aims),
)
