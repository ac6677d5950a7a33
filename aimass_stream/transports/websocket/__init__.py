"""Our own protocol over one websocket, `/v1/stream`; see docs/api/websocket.md and wire.py.

`endpoint` lets a client in, `connection` is its source and sink, `receive` and `send` turn media messages into
frames and back, `flow` knows how far behind the client is.
"""

from .endpoint import stream

__all__ = ["stream"]
