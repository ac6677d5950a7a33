"""Our own protocol over one websocket, `/v1/stream`; see docs/api/websocket.md and wire.py.

`endpoint` lets a client in, `connection` is its source and sink, `receive` and `send` turn media messages into
frames and back, `flow` knows how far behind the client is, `protocol` is what uvicorn has to run it on.
"""

from .endpoint import stream
from .protocol import Protocol

__all__ = ["Protocol", "stream"]
