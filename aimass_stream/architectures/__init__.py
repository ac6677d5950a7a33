"""Our own torch networks, one file each, named by a model's manifest; torch is imported by those files only."""

from __future__ import annotations

# what a manifest of the engine torch may name; called with its arguments, each is a network (torch.nn.Module)
ARCHITECTURES = {
    "style": "aimass_stream.architectures.style:StyleNetwork",
}
