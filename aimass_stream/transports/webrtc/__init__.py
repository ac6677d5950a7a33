"""WebRTC: browsers, and by WHIP and WHEP whatever speaks those. A datagram's way through it: see `private`."""

from __future__ import annotations

from .peer import Peer
from .server import WebRtc, link_headers

__all__ = ["Peer", "WebRtc", "link_headers"]
