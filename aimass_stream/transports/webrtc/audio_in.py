"""One received sound track: from RTP payloads to sound for the pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ... import metrics
from ...frames import AUDIO_TIME_BASE, AudioFrame, Frame, now
from ...session import Session
from ...settings import Settings
from .audio_jitter import AudioJitterBuffer, Chunk
from .formats import Format
from .inbound import Inbound
from .sound import SoundDecoder
from .timeline import Timeline

NEVER = float("inf")
EARLY = 0.0005  # s that a timer may fire before its time: loops count in milliseconds

JITTER_DEPTH = metrics.JITTER_DEPTH.labels("audio")
DECODE_TIMES = metrics.DECODE.labels("opus")

Push = Callable[[Frame], None]


class AudioIn:
    """Packets of `inbound` go through the jitter buffer and the decoder, both on the loop.

    libopus takes about 0.04 ms a packet and handing it to a thread and back takes more, on the loop alone.
    """

    def __init__(self, track: str, inbound: Inbound, session: Session, settings: Settings, push: Push) -> None:
        self.track = track
        self.inbound = inbound
        self._session = session
        self._push = push
        self._loop = asyncio.get_running_loop()
        self._timeline = Timeline(48_000)
        self._buffer = AudioJitterBuffer()
        self._decoder = SoundDecoder()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = NEVER
        self._closed = False
        self._origin: int | None = None  # RTP timestamp of the first sample, whose pts is 0
        self._counted: dict[str, int] = {}
        inbound.deliver = self._packet
        inbound.on_restart = self._restart
        inbound.on_sender_report = self._timeline.report

    # packets ---------------------------------------------------------------------------------------

    def _packet(self, form: Format, sequence: int, timestamp: int, marker: bool, payload: bytes,
                arrived: float) -> None:
        if not payload:
            return
        buffer = self._buffer
        chunks = buffer.add(sequence, timestamp, payload, arrived)
        if chunks:
            self._release(chunks)
        self._arm(buffer.wakeup)

    def _restart(self) -> None:
        self._timeline.restart()
        self._buffer.reset()

    def _arm(self, due: float) -> None:
        if due == self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_later(max(0.0, due - now()), self._wake) if due < NEVER else None

    def _wake(self) -> None:
        self._timer = None
        self._timer_due = NEVER
        if self._closed:
            return
        moment = now() + EARLY
        if self._buffer.wakeup <= moment:
            chunks = self._buffer.poll(moment)
            if chunks:
                self._release(chunks)
        self._arm(self._buffer.wakeup)

    # sound -----------------------------------------------------------------------------------------

    def _release(self, chunks: list[Chunk]) -> None:
        meter = self._session.meter
        begun = now()
        for chunk in chunks:
            samples = self._decoder.decode(chunk)
            decoded = now()
            waited = begun - chunk.arrived
            JITTER_DEPTH.observe(waited)
            DECODE_TIMES.observe(decoded - begun)
            meter.hop(self.track, "audio", "jitter", waited)
            meter.hop(self.track, "audio", "decode", decoded - begun)
            if self._origin is None:
                self._origin = chunk.pts
            captured = self._timeline.heard(chunk.rtp_timestamp, chunk.arrived)
            self._push(AudioFrame(pts=chunk.pts - self._origin, time_base=AUDIO_TIME_BASE, track=self.track,
                                  arrived=chunk.arrived, captured=captured, samples=samples, gap=chunk.gap))
            begun = decoded

    # once a second ---------------------------------------------------------------------------------

    def tick(self) -> None:
        """Carry the buffer's counts over into the session's."""
        for reason, count in self._buffer.counts.items():
            news = count - self._counted.get(reason, 0)
            if reason != "received" and news > 0:
                self._counted[reason] = count
                self._session.meter.drop(self.track, "audio", f"packet_{reason}", news)
        for method, samples in self._decoder.made_up.items():
            news = samples - self._counted.get(f"concealed_{method}", 0)
            if news > 0:
                self._counted[f"concealed_{method}"] = samples
                metrics.CONCEALED.labels(method).inc(news)

    def stats(self) -> dict[str, Any]:
        return {**self.inbound.stats(), "codec": "opus", "made_up_samples": dict(self._decoder.made_up),
                "delay_ms": round(self._buffer.delay.target * 1000, 1), "packets_by_fate": dict(self._buffer.counts)}

    def close(self) -> None:
        self._closed = True
        self._decoder.close()
        self.inbound.deliver = lambda *_: None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
