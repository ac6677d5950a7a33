"""WebRTC: browsers, and by WHIP and WHEP whatever speaks those. A datagram's way through it: see `private`."""

from __future__ import annotations

from .channel import Channel, Foreign
from .peer import Peer
from .server import WebRtc
from .turn import ice_servers, link_headers

__all__ = ["Channel", "Foreign", "Peer", "WebRtc", "ice_servers", "link_headers"]
