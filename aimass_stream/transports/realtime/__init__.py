"""The OpenAI Realtime protocol (GA), by websocket and, with `api.realtime`, by WebRTC; see docs/api/realtime.md.

One module for each family of events: `session`, `input_audio`, `items` (``conversation.item``), `response` (its
output by `writing`), `output_audio`, `errors`. `conversation` hands each event to its family; `line` is what they
share. `connection` and `endpoint` carry it over a websocket, `secrets` lets web pages in.
"""

from .conversation import Conversation
from .endpoint import Realtime, by_query, opened, realtime
from .errors import Refused
from .line import Events, Line, Place
from .output_audio import TRACK, Player
from .secrets import LONGEST, PREFIX, SHORTEST, USUAL
from .session import Configuration

__all__ = ["LONGEST", "PREFIX", "SHORTEST", "TRACK", "USUAL", "Configuration", "Conversation", "Events", "Line",
           "Place", "Player", "Realtime", "Refused", "by_query", "opened", "realtime"]
