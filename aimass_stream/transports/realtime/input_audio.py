"""The family ``input_audio_buffer``, and what becomes of it: turns, their transcripts, and replies to them.

A turn is one user message. With turn detection it begins when somebody speaks and ends after the silence that the
session's configuration asks for; without, it is what lies between two commits. Words are sent while they are
spoken (``conversation.item.input_audio_transcription.delta``), each once and for good.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...conversation.listener import spoken
from ...conversation.record import Item
from ...errors import AimassError
from ...events import HearingReady, TranscriptCommitted
from ...frames import AudioFrame, Frame, Samples, now
from ...hearing.ears import (
    Committed,
    EarEvent,
    Ears,
    EarSettings,
    HearingTrouble,
    SpeechBegan,
    SpeechEnded,
    TurnEnded,
)
from ...hearing.first_words import FirstWords
from ...hearing.recognizers import HEARS, chosen, open_recognizer
from ...inference.loader import VERSION
from ...speech.contract import Recognizer
from ...speech.endpoint import EndpointSettings
from ...speech.transcript import UNSPACED
from ...speech.words import HEARING_RATE, Waveform
from .errors import Refused
from .items import Details, Items, decoded
from .line import Place, new_id
from .session import AudioInput as AudioIn
from .session import Configuration, SemanticVad, ServerVad
from .sound import TICKS, TIME_BASE, Decoder

TRACK = "audio-0"
PIECE = 0.02  # s of a frame for the pipeline
AHEAD = 0.1  # s of sound inside the pipeline, then further sound waits
UNHEARD = 4.0  # s of sound that nobody has listened to yet, then further sound waits
LEAST = 0.1  # s that can be committed
PATIENCE = 5.0  # s that sound may take through the pipeline
TURNS = 64  # whose words are not there yet
SURE = 0.7  # the least threshold of speech while this server plays a reply: not for what is left of an echo
MOMENTS = 3000  # frames whose arrival is remembered: a minute
SILENCES = {"low": 1500.0, "medium": 700.0, "high": 350.0, "auto": 700.0}  # ms, where the words say nothing else


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn that is answered, and when its speech was over (s, monotonic)."""

    heard: TurnEnded
    ended: float


@dataclass(eq=False)
class Turn:
    """One user message on its way."""

    item_id: str = field(default_factory=lambda: new_id("item"))
    utterance: str = ""
    committed: bool = False
    by_client: bool = False
    words: int = 0  # that were sent
    done: asyncio.Event = field(default_factory=asyncio.Event)


class InputAudio:
    """Made for one connection. What stages make of its sound comes back by `hear`."""

    def __init__(self, place: Place, items: Items, *, spoke: Callable[[], None],
                 finished: Callable[[bool, bool, Asked | None], None]) -> None:
        """`spoke`: somebody began to speak. `finished`: a turn is over: whether there were words in it, or none
        because the user says nothing any more; and what was heard."""
        self.push: Callable[[Frame], None] = lambda frame: None
        self.own_words: Callable[[str], bool] = lambda text: False  # what a reply just said, heard again
        self.ears: Ears | None = None
        self._recognizer: Recognizer | None = None  # of `ears`
        self._first = FirstWords()
        self._place, self._items, self._spoke, self._finished = place, items, spoke, finished
        self._events = place.events
        self._decoder = Decoder(self._config.format)
        self._written = 0  # ticks that were appended
        self._through = 0  # ticks that came out of the pipeline
        self._moments: deque[tuple[float, float]] = deque(maxlen=MOMENTS)  # s of the stream, and when they arrived
        self._news = asyncio.Event()
        self._uncommitted = 0.0  # s
        self._current: Turn | None = None  # being spoken
        self._turns: deque[Turn] = deque(maxlen=TURNS)  # committed, their words are not all there
        self._trouble = ""
        self._opened_for: tuple[object, ...] | None = None
        self._opening = asyncio.Lock()
        self._playing = False
        self._idle: asyncio.TimerHandle | None = None
        self._idle_from = 0.0  # s of the stream

    @property
    def _config(self) -> AudioIn:
        return self._place.configuration.audio.input

    @property
    def position(self) -> float:
        """Seconds of sound that were heard."""
        return self._through / TICKS

    # ears ------------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Have ears for the configuration as it is. Raises `Refused` where nothing here can hear that."""
        async with self._opening:
            asked = self._config.transcription
            wanted: tuple[object, ...] = ("",) if asked is None else (
                asked.language, asked.prompt, tuple(asked.keywords or ()), asked.model)
            if self.ears is not None and wanted == self._opened_for:
                self.ears.update(self._settings())
                return
            await self._open(wanted)

    async def _open(self, wanted: tuple[object, ...]) -> None:
        asked = self._config.transcription
        place, session = self._place, self._place.session
        language = asked.language if asked else None
        try:
            model = self._model(asked.model if asked else None)
            choice = await asyncio.to_thread(chosen, place.settings, model=model, language=language)
            recognizer = await open_recognizer(
                place.node.engine, place.settings, session=session.id, choice=choice, language=language,
                prompt=(asked.prompt or "") if asked else "",
                hotwords=tuple(asked.keywords or ()) if asked else ())
        except AimassError as error:
            raise Refused(error.detail, code="invalid_value", param="session.audio.input.transcription") from None
        old, self.ears = self.ears, None
        if old is not None:
            await old.close()
            self._abandon()
        ears = Ears(place.node.engine, recognizer, self._settings(), session=session.id,
                    output=self._heard, spawn=session.spawn)
        await ears.start()
        self.ears, self._recognizer, self._opened_for = ears, recognizer, wanted
        session.event(HearingReady(engine=recognizer.engine, model=recognizer.model, reason=choice.reason,
                                   languages=list(recognizer.abilities.languages)))

    def _model(self, said: str | None) -> str:
        """The version of the hub that is meant, which the session holds from then on; of any other name nothing."""
        node, session = self._place.node, self._place.session
        said = (said or "").strip()
        kept = next((each for each in session.held if said in (each, each.partition("@")[0])), "")
        meant = said if said == "auto" else node.meant(HEARS, said, session.caller, kept)
        session.held = (meant,) if VERSION.fullmatch(meant) else ()
        return meant if session.held else ""

    def _settings(self) -> EarSettings:
        settings = ear_settings(self._place.configuration)
        if not self._playing:
            return settings
        return replace(settings, endpoint=replace(settings.endpoint, threshold=max(settings.endpoint.threshold, SURE)))

    def played_to(self, playing: bool) -> None:
        """This server plays a reply from now on, or no more."""
        self._playing = playing
        if self.ears is not None:
            self.ears.update(self._settings())

    def _abandon(self) -> None:
        """The ears that would have told of these turns are gone."""
        for turn in [turn for turn in self._turns if turn.utterance != turn.item_id]:
            turn.by_client = True  # nobody answers it
            self.settle(turn, "", 0.0)
        self._current = None

    async def close(self) -> None:
        self.stop_idling()
        for turn in [*self._turns, *([self._current] if self._current else [])]:
            turn.done.set()
        ears, self.ears = self.ears, None
        if ears is not None:
            await ears.close()

    # sound -----------------------------------------------------------------------------------------

    async def append(self, event: dict[str, Any]) -> None:
        """``input_audio_buffer.append``. Waits while what came before has not been heard."""
        if self._place.microphone:
            raise Refused("This connection has a microphone of its own: sound comes by WebRTC.",
                          code="invalid_value", param="type")
        data = decoded(event.get("audio"), "audio")
        form = self._config.format
        if form != self._decoder.form:
            self._decoder = Decoder(form)
        await self.ready()
        samples, rate = self._decoder(data), self._decoder.rate
        step = int(PIECE * rate)
        for begin in range(0, len(samples), step):
            piece = samples[begin : begin + step]
            await self._room()
            self.push(AudioFrame(samples=piece, pts=self._written, time_base=TIME_BASE, track=TRACK, rate=rate))
            self._written += len(piece) * TICKS // rate
            self._uncommitted += len(piece) / rate

    async def _room(self) -> None:
        """Returns when the pipeline and the ears can take more."""
        while self._written - self._through > AHEAD * TICKS or (self.ears is not None
                                                               and self.ears.backlog > UNHEARD):
            if not await self._wait_for_news(PATIENCE if self._written - self._through > AHEAD * TICKS else 0.02):
                self._through = max(self._through, self._written - int(AHEAD * TICKS))  # it was lost on the way

    async def _wait_for_news(self, seconds: float) -> bool:
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def hear(self, frame: AudioFrame) -> None:
        """Sound of the user, out of the pipeline. Its times count what was heard, without pauses of the client."""
        gap = frame.gap * TICKS // frame.rate
        if self.ears is not None:
            self.ears.hear(frame.replace(pts=self._through + gap, time_base=TIME_BASE))
        self._through += gap + len(frame.samples) * TICKS // frame.rate
        self._moments.append((self.position, frame.arrived))
        if self._place.microphone:
            self._written = self._through
            self._uncommitted += frame.duration
        self._news.set()

    async def _passed(self) -> None:
        """Returns when all that was appended is out of the pipeline."""
        while self._through < self._written and await self._wait_for_news(0.5):
            pass
        self._through = self._written

    async def clear(self, event: dict[str, Any]) -> None:
        """``input_audio_buffer.clear``."""
        await self._passed()
        if self.ears is not None:
            self.ears.clear()
        self._uncommitted = 0.0
        if self._current is not None:
            self._current.done.set()
            self._current = None
        self._events.send("input_audio_buffer.cleared")

    async def commit(self, event: dict[str, Any]) -> None:
        """``input_audio_buffer.commit``: what was appended is a user message, also amid a word."""
        if self._uncommitted < LEAST:
            raise Refused(
                f"Error committing input audio buffer: buffer too small. Expected at least {LEAST * 1000:.0f}ms of "
                f"audio, but buffer only has {self._uncommitted * 1000:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty")
        await self._passed()
        turn, self._current = self._current or Turn(), None
        turn.by_client = True
        self._commit(turn)
        self._place.session.spawn(self._recognize(turn), "commit")

    async def _recognize(self, turn: Turn) -> None:
        ended = await self.ears.commit() if self.ears is not None else None
        if not turn.done.is_set():
            self._settle(turn, ended)

    # turns -----------------------------------------------------------------------------------------

    def _heard(self, event: EarEvent) -> None:
        seconds = self._first.of(event)
        if seconds is not None and self._recognizer is not None:
            self._place.session.meter.first_words(seconds, self._recognizer.model)
        match event:
            case SpeechBegan():
                self._begin(event)
            case SpeechEnded():
                self._end(event)
            case Committed() if event.words:
                self._keep(event)
                turn = self._of(event.utterance) or self._spoken_into(event.utterance)
                if turn is not None:
                    self._tell_words(turn, event.text, len(event.words), event.language)
            case TurnEnded():
                turn = self._of(event.utterance)
                if turn is not None and turn.committed:
                    self._settle(turn, event)
            case HearingTrouble() if event.part == "recognizer":
                self._trouble = event.detail
            case _:
                pass

    def _keep(self, heard: Committed) -> None:
        """For the session's transcript, and for clients that asked for our own events."""
        if self._recognizer is not None:
            self._place.session.event(TranscriptCommitted(
                utterance=heard.utterance, text=heard.text, words=spoken(heard.words),
                engine=self._recognizer.engine, model=self._recognizer.model, language=heard.language, speaker=TRACK,
                final=heard.final))

    def _begin(self, event: SpeechBegan) -> None:
        self.stop_idling()
        turn = self._current = Turn(utterance=event.utterance)
        prefix = getattr(self._config.turn_detection, "prefix_padding_ms", 0)
        self._events.send("input_audio_buffer.speech_started", item_id=turn.item_id,
                          audio_start_ms=max(0, round(event.at * 1000) - prefix))
        self._spoke()

    def _end(self, event: SpeechEnded) -> None:
        turn = self._of(event.utterance)
        if turn is None:
            return
        self._events.send("input_audio_buffer.speech_stopped", item_id=turn.item_id,
                          audio_end_ms=round(event.noticed * 1000))
        if turn is self._current:
            self._current = None
        if not turn.committed:
            self._commit(turn)

    def _of(self, utterance: str) -> Turn | None:
        """The turn this utterance belongs to. Without turn detection utterances are named when words come."""
        turns = [*self._turns, *([self._current] if self._current is not None else [])]
        for turn in turns:
            if turn.utterance == utterance:
                return turn
        for turn in turns:
            if not turn.utterance:
                turn.utterance = utterance
                return turn
        return None

    def _spoken_into(self, utterance: str) -> Turn | None:
        """Words of what has not been committed yet, where the client alone says when a turn ends."""
        if self._config.turn_detection is None:
            self._current = Turn(utterance=utterance)
            return self._current
        return None

    def _commit(self, turn: Turn) -> None:
        turn.committed = True
        self._uncommitted = 0.0
        self._turns.append(turn)
        previous = self._items.last
        self._events.send("input_audio_buffer.committed", item_id=turn.item_id, previous_item_id=previous)
        content = [{"type": "input_audio", "transcript": None}]
        self._items.add(Item(role="user", id=turn.item_id, spoken=True), Details(content))
        self._items.announce(turn.item_id, previous)

    def _tell_words(self, turn: Turn, text: str, count: int, language: str) -> None:
        if self._config.transcription is None:
            return
        delta = f" {text}" if turn.words and language not in UNSPACED else text
        turn.words += count
        self._events.send("conversation.item.input_audio_transcription.delta", item_id=turn.item_id,
                          content_index=0, delta=delta)

    def expect(self, turn: Turn) -> None:
        """Sound that came by another way is being recognised: `settle` follows."""
        self._turns.append(turn)

    def _settle(self, turn: Turn, ended: TurnEnded | None) -> None:
        if ended is None:
            self.settle(turn, "", 0.0)
            return
        if ended.audio is not None and self._items.has(turn.item_id):
            self._items.keep_sound(turn.item_id, as_samples(ended.audio), HEARING_RATE)
        asked = Asked(ended, self._arrival(ended.ended))
        text = "" if self.own_words(ended.text) else ended.text
        self.settle(turn, text, max(0.0, ended.ended - ended.began), asked)

    def _arrival(self, at: float) -> float:
        """When the sound of this moment of the stream came; a client may send faster than it was spoken."""
        return next((moment for position, moment in self._moments if position >= at), now())

    def settle(self, turn: Turn, text: str, seconds: float, asked: Asked | None = None) -> None:
        """The words of a committed turn are there."""
        if turn in self._turns:
            self._turns.remove(turn)
        self._items.change(turn.item_id, text=text)
        if self._items.has(turn.item_id):
            self._items.details(turn.item_id).seconds = seconds
        self._tell_transcript(turn, text, seconds)
        turn.done.set()
        if not turn.by_client:
            self._finished(bool(text.strip()), False, asked)

    def _tell_transcript(self, turn: Turn, text: str, seconds: float) -> None:
        if self._config.transcription is None:
            return
        name, trouble = "conversation.item.input_audio_transcription", self._trouble
        if trouble and not text:
            self._trouble = ""
            error = {"type": "server_error", "code": "transcription_failed", "message": trouble, "param": None}
            self._events.send(f"{name}.failed", item_id=turn.item_id, content_index=0, error=error)
            return
        if self._items.has(turn.item_id):
            self._items.details(turn.item_id).content[0]["transcript"] = text
        self._events.send(f"{name}.completed", item_id=turn.item_id, content_index=0, transcript=text,
                          usage={"type": "duration", "seconds": round(seconds, 3)})

    async def settled(self) -> None:
        """Returns when the words of everything that was committed are there."""
        for turn in list(self._turns):
            await turn.done.wait()

    # idle ------------------------------------------------------------------------------------------

    def idle(self, playing: float) -> None:
        """A reply is over; its sound still plays for so many seconds. From then on the user's silence counts."""
        self.stop_idling()
        detection = self._config.turn_detection
        if isinstance(detection, ServerVad) and detection.idle_timeout_ms is not None:
            self._idle_from = self.position + playing
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(playing + detection.idle_timeout_ms / 1000, self._idled)

    def _idled(self) -> None:
        self._idle = None
        if self._current is not None or self._turns:
            return
        turn = Turn()
        self._events.send("input_audio_buffer.timeout_triggered", item_id=turn.item_id,
                          audio_start_ms=round(min(self._idle_from, self.position) * 1000),
                          audio_end_ms=round(self.position * 1000))
        self._commit(turn)
        self._turns.remove(turn)
        turn.done.set()
        self._finished(False, True, None)

    def stop_idling(self) -> None:
        """Somebody speaks, or begins to: the user's silence does not count."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None


def as_samples(audio: Waveform) -> Samples:
    samples: Samples = (audio * 32767).astype(np.int16)[:, None]
    return samples


def ear_settings(config: Configuration) -> EarSettings:
    """What the configuration's turn detection means for the ears."""
    detection = config.audio.input.turn_detection
    if detection is None:
        return EarSettings(manual=True)
    if isinstance(detection, SemanticVad):
        return EarSettings(EndpointSettings(silence_ms=SILENCES[detection.eagerness]))
    release = max(0.01, detection.threshold - 0.15)
    return EarSettings(EndpointSettings(threshold=max(detection.threshold, 0.01), release=release,
                                        silence_ms=detection.silence_duration_ms,
                                        pre_roll_ms=detection.prefix_padding_ms), semantic=False)
