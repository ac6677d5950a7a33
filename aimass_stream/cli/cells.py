"""How models that are code are closed off on this machine."""

from __future__ import annotations

from ..settings import Settings
from .checks import Finding


def cells(_: Settings) -> Finding:
    """Starts a cell, and looks at what it has."""
    from ..errors import Unavailable
    from ..sandbox.cells import ways

    try:
        found = ways()
    except Unavailable as error:
        return Finding("warn", error.detail, "models that are code (TorchScript, pickles) will be refused")
    text = f"models that are code run alone: {', '.join(found)}"
    return Finding("ok", text if "mounts" in found else f"{text}; without a scratch folder")
