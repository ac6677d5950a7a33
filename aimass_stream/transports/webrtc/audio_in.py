"""One received sound track: from RTP payloads to sound for the pipeline."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from ... import codecs, metrics
from ...codecs import AudioDecoder
from ...codecs.opus import packet_channels
from ...errors import AimassError
from ...frames import AUDIO_TIME_BASE, AudioFrame, Frame, Samples, now
from ...session import Session
from ...settings import Settings
from .audio_jitter import AudioJitterBuffer, Chunk
from .formats import Format
from .inbound import Inbound
from .timeline import Timeline

log = logging.getLogger(__name__)

PENDING = 100  # orders that wait for the decoder: 2 s, which only a machine at its end ever reaches

Push = Callable[[Frame], None]


class AudioIn:
    """Packets of `inbound` go through the jitter buffer on the loop and are decoded in the session's executor."""

    def __init__(self, track: str, inbound: Inbound, session: Session, settings: Settings, push: Push) -> None:
        self.track = track
        self.inbound = inbound
        self._session = session
        self._push = push
        self._loop = asyncio.get_running_loop()
        self._timeline = Timeline(48_000)
        self._buffer = AudioJitterBuffer()
        self._decoder: AudioDecoder | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = float("inf")
        self._pending: deque[Chunk] = deque(maxlen=PENDING)
        self._missing = 0  # samples of orders that were thrown away
        self._busy = False
        self._closed = False
        self._counted: dict[str, int] = {}
        self.concealed: dict[str, int] = {}  # samples, by how
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
        if buffer.wakeup < self._timer_due:
            self._arm(buffer.wakeup)

    def _restart(self) -> None:
        self._timeline.restart()
        self._buffer.reset()

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_later(max(0.0, due - now()), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._timer_due = float("inf")
        if self._closed:
            return
        moment = now() + 0.0005
        if self._buffer.wakeup <= moment:
            chunks = self._buffer.poll(moment)
            if chunks:
                self._release(chunks)
        if self._buffer.wakeup < self._timer_due:
            self._arm(self._buffer.wakeup)

    # sound -----------------------------------------------------------------------------------------

    def _release(self, chunks: list[Chunk]) -> None:
        moment, meter = now(), self._session.meter
        for chunk in chunks:
            waited = moment - chunk.arrived
            meter.hop(self.track, "audio", "jitter", waited)
            metrics.JITTER_DEPTH.labels("audio").observe(waited)
            if len(self._pending) == PENDING:
                lost = self._pending.popleft()
                self._missing += lost.samples + lost.gap
                meter.drop(self.track, "audio", "decoder_busy")
            self._pending.append(chunk)
        if not self._busy:
            self._decode()

    def _decode(self) -> None:
        chunks = list(self._pending)
        self._pending.clear()
        self._busy = True
        try:
            self._session.executor.submit(self._work, chunks, now())
        except RuntimeError:  # the session is closing
            self._busy = False

    def _work(self, chunks: list[Chunk], since: float) -> None:
        """In a thread of the session."""
        decoded: list[tuple[Chunk, Samples]] = []
        failures = 0
        for chunk in chunks:
            try:
                decoded.append((chunk, self._sound(chunk)))
            except AimassError as error:
                failures += 1
                log.debug("%s of session %s: %s", self.track, self._session.id, error)
        try:
            self._loop.call_soon_threadsafe(self._done, decoded, failures, since, now())
        except RuntimeError:  # the loop is closed
            return

    def _sound(self, chunk: Chunk) -> Samples:
        """(n, channels) int16. Raises `InvalidMedia`."""
        decoder = self._decoder
        channels = packet_channels(chunk.data) if chunk.data else 1
        if decoder is None or channels > decoder.channels:
            decoder = self._decoder = codecs.audio_decoder("opus", channels)
        if chunk.method == "decode":
            return decoder.decode(chunk.data)
        if chunk.method == "fec":
            recovered = decoder.recover(chunk.data, chunk.samples)
            if recovered is not None:
                self.concealed["fec"] = self.concealed.get("fec", 0) + len(recovered)
                return recovered
        method = "dtx" if chunk.method == "dtx" else "plc"
        self.concealed[method] = self.concealed.get(method, 0) + chunk.samples
        return decoder.conceal(chunk.samples)

    def _done(self, decoded: list[tuple[Chunk, Samples]], failures: int, since: float, ended: float) -> None:
        self._busy = False
        if self._closed:
            return
        if self._pending:
            self._decode()
        meter = self._session.meter
        if failures:
            meter.drop(self.track, "audio", "garbage", failures)
        metrics.DECODE.labels("opus").observe(ended - since)
        meter.hop(self.track, "audio", "decode", ended - since)
        for chunk, samples in decoded:
            gap, self._missing = chunk.gap + self._missing, 0
            self._push(AudioFrame(pts=chunk.pts, time_base=AUDIO_TIME_BASE, track=self.track, arrived=chunk.arrived,
                                  captured=self._timeline.captured(chunk.rtp_timestamp), samples=samples, gap=gap))

    # once a second ---------------------------------------------------------------------------------

    def tick(self) -> None:
        """Carry the buffer's counts over into the session's."""
        for reason, count in self._buffer.counts.items():
            news = count - self._counted.get(reason, 0)
            if reason != "received" and news > 0:
                self._counted[reason] = count
                self._session.meter.drop(self.track, "audio", f"packet_{reason}", news)
        for method, samples in self.concealed.items():
            news = samples - self._counted.get(f"concealed_{method}", 0)
            if news > 0:
                self._counted[f"concealed_{method}"] = samples
                metrics.CONCEALED.labels(method).inc(news)

    def stats(self) -> dict[str, Any]:
        return {**self.inbound.stats(), "codec": "opus", "concealed_samples": dict(self.concealed),
                "delay_ms": round(self._buffer.delay.target * 1000, 1), "packets_by_fate": dict(self._buffer.counts)}

    def close(self) -> None:
        self._closed = True
        self._pending.clear()
        self.inbound.deliver = lambda *_: None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
