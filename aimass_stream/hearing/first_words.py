"""How long after somebody began to speak the first words of it are told."""

from __future__ import annotations

import time
from collections import OrderedDict

from .events import Committed, EarEvent, Partial, SpeechBegan

MOST = 8  # utterances that are waited for: what was cleared never ends


class FirstWords:
    """Of a pair of ears, whose events it is given."""

    def __init__(self) -> None:
        self._since: OrderedDict[str, float] = OrderedDict()  # s, monotonic, by utterance

    def of(self, event: EarEvent) -> float | None:
        """s, with the first words of an utterance."""
        now = time.monotonic()
        if isinstance(event, SpeechBegan):
            self._since[event.utterance] = now - max(0.0, event.noticed - event.at)
            if len(self._since) > MOST:
                self._since.popitem(last=False)
        elif isinstance(event, Partial | Committed) and event.words:
            since = self._since.pop(event.utterance, None)
            return None if since is None else now - since
        return None
