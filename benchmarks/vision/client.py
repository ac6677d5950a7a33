"""The client of these measurements: that of the other benchmarks, sending a walker, and knowing it painted over, too.

All servers here send a picture with the time stamp that it came with, but for a constant. What numbers can still be
read in a session's pictures give that constant; so a picture is known, too, in which a style has covered its number.
Of our own server the client also hears the results.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .. import client, media
from . import scenes

OURS = "/v1/webrtc/offer"
TICKS = 90_000 // media.FPS  # of the RTP clock, from one picture to the next
WRAP = 1 << 32
SLACK = 10  # ticks by which a server may round a time stamp
VOTES = 3  # pictures that have to agree on the constant


class Sight(client.Session):
    """As everywhere. `report` has besides: "stamps", number and RTP time stamp of every picture that could be read;
    "decoded", time stamp and moment of every picture; "results", pts and notes."""

    def __init__(self, order: client.Order) -> None:
        super().__init__(order)
        self.stamps: list[tuple[int, int]] = []
        self.decoded: list[tuple[int, float]] = []
        self.results: list[tuple[float, dict[str, Any]]] = []
        self._stamp = 0
        if order.url.endswith(OURS):
            self.pc.createDataChannel("aimass").on("message", self._told)

    def _told(self, message: str | bytes) -> None:
        event = json.loads(message)
        if event["type"] == "frame.result":
            self.results.append((event["pts"], event["data"]["notes"]))

    def _video_packet(self, packet: Any) -> None:
        self._stamp = packet.timestamp  # on a link that loses nothing, a picture is shown with its last packet
        super()._video_packet(packet)

    def _show(self, data: bytes) -> None:
        before = len(self.shown)
        super()._show(data)
        self.decoded.append((self._stamp, client.now()))
        self.stamps += [(number, self._stamp) for number, _ in self.shown[before:]]

    def report(self, since: float, until: float, audio: bool) -> dict[str, Any]:
        report = super().report(since, until, audio)
        sent = self.picture.sent
        origin = constant(sent, self.stamps)
        if origin is not None:
            report["video"] = recognised(sent, self.decoded, origin, since, until)
        return report | {"stamps": self.stamps, "decoded": self.decoded, "results": self.results}


def constant(sent: Sequence[tuple[int, float]], stamps: Sequence[tuple[int, int]]) -> int | None:
    """What a time stamp has besides TICKS for each picture sent before, where most that could be read agree."""
    places: dict[int, list[int]] = {}
    for place, (number, _) in enumerate(sent):
        places.setdefault(number, []).append(place)
    votes = Counter((stamp - TICKS * place) % WRAP for number, stamp in stamps for place in places.get(number, ()))
    [(best, count)] = votes.most_common(1) or [(0, 0)]
    return best if count >= VOTES else None


def recognised(sent: Sequence[tuple[int, float]], decoded: Sequence[tuple[int, float]], origin: int, since: float,
               until: float) -> dict[str, list[float]]:
    """Moment, delay and number of the pictures that were shown between two moments."""
    found: dict[str, list[float]] = {"at": [], "delay": [], "number": []}
    for stamp, at in decoded:
        place, rest = divmod((stamp - origin + SLACK) % WRAP, TICKS)
        if since <= at < until and rest <= 2 * SLACK and place < len(sent) and sent[place][1] <= at:
            found["at"].append(round(at, 5))
            found["delay"].append(round(at - sent[place][1], 5))
            found["number"].append(sent[place][0])
    return found


if __name__ == "__main__":
    media.video, media.number_of = scenes.clip, scenes.number_of
    client.Session = Sight  # type: ignore[misc]
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    asyncio.run(client.main())
