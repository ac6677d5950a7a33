"""Wyoming over TCP, the protocol of Home Assistant's voice: recognition, voices, and when somebody speaks.

An event is a line of JSON (`type`, `data`, `data_length`, `payload_length`), then so many bytes of further data as
JSON, then so many bytes of payload (https://github.com/OHF-Voice/wyoming). There is no key in it: it listens on the
server's own address, and on a public one only with `insecure`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from .. import __version__
from ..conversation.listener import spoken
from ..errors import AimassError, InvalidInput, InvalidMessage, TooLarge
from ..events import Event as OurEvent
from ..events import TranscriptCommitted
from ..frames import AudioFrame, Frame, Samples, now
from ..hearing import recognizers
from ..hearing.ears import Committed, EarEvent, Ears, EarSettings, SpeechBegan, SpeechEnded
from ..node import Node
from ..ports import Caller
from ..session import Session
from ..settings import Settings
from ..speaking.speaker import Piece, Speaker
from ..speaking.voices import open_synthesizer, voice_id, voices
from ..spec import PipelineSpec
from ..speech.contract import Manner, Recognizer
from ..speech.transcript import UNSPACED

log = logging.getLogger(__name__)

TRACK = "audio-0"
MAX_LINE = 64 * 1024  # bytes of an event's line
MAX_DATA = 256 * 1024  # bytes of its further data
MAX_CONNECTIONS = 64
STALL = 10.0  # s that the client may not read for
CHUNK = 0.1  # s of sound in one event
UNHEARD = 4.0  # s of sound that nobody has listened to yet, then reading stops
HURRY = 0.01  # s between looks whether it was
ABOUT = {"attribution": {"name": "AI Mass Stream", "url": ""}, "installed": True, "version": __version__}


@dataclass(frozen=True, slots=True)
class Event:
    type: str
    data: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def encode(self) -> bytes:
        head: dict[str, Any] = {"type": self.type, "version": "1.8.0"}
        data = json.dumps(self.data, ensure_ascii=False).encode() if self.data else b""
        if data:
            head["data_length"] = len(data)
        if self.payload:
            head["payload_length"] = len(self.payload)
        return json.dumps(head).encode() + b"\n" + data + self.payload


async def read_event(reader: asyncio.StreamReader, max_payload: int) -> Event | None:
    """The next event, None at the end. Raises `InvalidMessage` or `TooLarge`: then nobody knows where the next is."""
    try:
        line = await reader.readline()
    except ValueError:
        raise TooLarge(f"the line of an event has at most {MAX_LINE} bytes") from None
    if not line.strip():
        return None
    head = _object(line)
    kind, data = head.get("type"), head.get("data") or {}
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise InvalidMessage("an event has a 'type', and its 'data' is an object")
    try:
        length = _length(head, "data_length", MAX_DATA)
        if length:
            data = data | _object(await reader.readexactly(length))
        length = _length(head, "payload_length", max_payload)
        return Event(kind, data, await reader.readexactly(length) if length else b"")
    except asyncio.IncompleteReadError:
        return None


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise InvalidMessage("an event begins with a line of JSON") from None
    if not isinstance(value, dict):
        raise InvalidMessage("an event is a JSON object")
    return value


def _length(head: dict[str, Any], name: str, most: int) -> int:
    value = head.get(name) or 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidMessage(f"{name!r} is a number of bytes")
    if value > most:
        raise TooLarge(f"{name!r} is at most {most}")
    return value


class Wyoming:
    """The server; `start` it after the node and `close` it before."""

    def __init__(self, node: Node) -> None:
        """Raises `InvalidInput` where it would be open to the world by accident."""
        self._node = node
        self._server: asyncio.Server | None = None
        self._links: set[Link] = set()
        settings = node.settings
        if settings.wyoming_port is not None and settings.public and not settings.insecure:
            raise InvalidInput(f"Wyoming has no keys, and {settings.host} can be reached from other machines: "
                               "leave wyoming_port unset, or allow everybody with --insecure", field="wyoming_port")
        if settings.wyoming_port is not None and settings.accounts:
            raise InvalidInput("Wyoming has no keys, and everybody is to sign in: leave wyoming_port unset, or run "
                               "without --accounts", field="wyoming_port")

    @property
    def port(self) -> int:
        """The TCP port in use, also where the settings said 0; 0 while it is off."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server is not None else 0

    async def start(self) -> None:
        settings = self._node.settings
        if settings.wyoming_port is not None:
            self._server = await asyncio.start_server(self._connected, settings.host, settings.wyoming_port,
                                                      limit=MAX_LINE)
            log.info("Wyoming is at %s:%d", settings.host, self.port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for link in list(self._links):
                link.end()
            await self._server.wait_closed()
        while self._links:
            await asyncio.wait([link.done for link in self._links])

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self._node, reader, writer)
        if len(self._links) >= MAX_CONNECTIONS:
            writer.write(problem("there are too many connections", "busy").encode())
            writer.close()
            return
        self._links.add(link)
        try:
            await link.serve()
        finally:
            self._links.discard(link)
            link.done.set_result(None)


def problem(text: str, code: str) -> Event:
    return Event("error", {"text": text, "code": code})


class Link:
    """One connection. Where it hears or speaks it is a session, as its `ports.Source` and `ports.Sink`."""

    def __init__(self, node: Node, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._node, self._reader, self._writer = node, reader, writer
        self._settings: Settings = node.settings
        self._session: Session | None = None
        self._over = asyncio.Event()
        self._push: Callable[[Frame], None] = lambda frame: None
        self._asked: dict[str, Any] = {}  # of `transcribe`
        self._ears: list[Ears] = []  # for the words, and for who speaks when
        self._recognizer: Recognizer | None = None
        self._rate = 0  # Hz of the sound that comes; 0: none does
        self._format = (2, 1)  # bytes a sample, channels
        self._clock = 0.0  # s of sound of all utterances: the session's time runs on from one to the next
        self._began: float | None = None  # s of the session: the first sound of this utterance
        self._words = ""  # of this utterance that were sent
        self._language = ""
        self._speaker: Speaker | None = None  # of a text that is still coming
        self._speaking: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        try:
            while (event := await read_event(self._reader, self._settings.max_message)) is not None:
                await self._handle(event)
                if self._over.is_set():
                    break
        except AimassError as error:
            await self._send(problem(error.detail, "invalid"))
        except (ConnectionError, TimeoutError) as error:
            log.debug("a Wyoming client left: %r", error)
        finally:
            await self._shut()

    def end(self) -> None:
        """The server stops."""
        self._over.set()
        self._writer.close()

    async def _shut(self) -> None:
        self._over.set()
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.wait([self._speaking])
        if self._session is not None:
            await self._session.close("the client left")
        self._writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(1):
                await self._writer.wait_closed()

    async def _send(self, *events: Event) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._writer.write(b"".join(event.encode() for event in events))
        async with asyncio.timeout(STALL):
            await self._writer.drain()

    async def _handle(self, event: Event) -> None:
        try:
            match event.type:
                case "describe":
                    await self._send(Event("info", await self._info()))
                case "ping":
                    await self._send(Event("pong", {"text": event.data.get("text")}))
                case "transcribe":
                    self._asked = event.data
                case "audio-start":
                    await self._begin(event.data)
                case "audio-chunk":
                    await self._hear(event)
                case "audio-stop":
                    await self._stop()
                case "synthesize" if self._speaker is None:  # else it repeats what came in pieces
                    await self._synthesize(event.data)
                case "synthesize-start":
                    await self._begin_text(event.data)
                case "synthesize-chunk" if self._speaker is not None:
                    self._speaker.say(_text(event.data))
                case "synthesize-stop" if self._speaker is not None:
                    await self._end_text()
                case _:
                    pass  # the protocol grows, and much of it is between other parties
        except AimassError as error:
            await self._send(problem(error.detail, "busy" if error.status in (429, 503) else "invalid"))

    async def _open(self) -> Session:
        """This connection's session. Raises `Busy` or `Unavailable`."""
        if self._session is None:
            address = str((self._writer.get_extra_info("peername") or ("",))[0])
            self._session = await self._node.open(PipelineSpec(), caller=Caller("wyoming", address),
                                                  transport="wyoming", hears=True)
            await self._session.attach(self, self)
        return self._session

    # what there is ---------------------------------------------------------------------------------

    async def _info(self) -> dict[str, Any]:
        hearing = await asyncio.to_thread(recognizers.describe, self._settings)
        asr = [{"name": each["engine"], "description": f"speech to text by {each['engine']}", **ABOUT,
                "supports_transcript_streaming": True,
                "models": [{"name": model["name"], "description": model["title"] or model["name"], **ABOUT,
                            "languages": list(model["abilities"]["languages"])} for model in each["models"]]}
               for each in hearing if each["available"]]
        spoken = await voices(self._node.engine, self._settings)
        tts = [{"name": engine, "description": f"text to speech by {engine}", **ABOUT,
                "supports_synthesize_streaming": True,
                "voices": [{"name": voice.id, "description": voice.name, **ABOUT,
                            "languages": list(voice.languages), "speakers": None}
                           for voice in spoken if voice.engine == engine]}
               for engine in dict.fromkeys(voice.engine for voice in spoken)]
        return {"asr": asr, "tts": tts, "handle": [], "intent": [], "wake": [], "mic": [], "snd": []}

    # hearing ---------------------------------------------------------------------------------------

    async def _begin(self, data: dict[str, Any]) -> None:
        """``audio-start``: a new utterance, heard from its first sample to ``audio-stop``."""
        self._rate, self._format = read_format(data)
        self._began, self._words, self._language = None, "", ""
        session = await self._open()
        await self._close_ears()
        asked = self._asked
        language, terms = asked.get("language"), asked.get("transcript_names") or asked.get("transcript_terms") or []
        recognizer = await recognizers.open_recognizer(
            self._node.engine, self._settings, session=session.id, model=str(asked.get("name") or ""),
            language=language.partition("-")[0].partition("_")[0] if isinstance(language, str) else None,
            hotwords=tuple(str(term)[:128] for term in terms[:256]) if isinstance(terms, list) else ())
        self._recognizer = recognizer
        self._ears = [Ears(self._node.engine, recognizer, EarSettings(manual=True, keep_audio=False),
                           session=session.id, output=self._heard, spawn=session.spawn),
                      Ears(self._node.engine, None, EarSettings(keep_audio=False), session=session.id,
                           output=self._voiced, spawn=session.spawn)]
        for ears in self._ears:
            await ears.start()
        self._asked = {}

    async def _hear(self, event: Event) -> None:
        """``audio-chunk``. One without ``audio-start`` before it begins an utterance."""
        if not self._ears:
            await self._begin(event.data)
        samples = as_samples(event.payload, *self._format)
        if not len(samples):
            return
        self._push(AudioFrame(samples=samples, rate=self._rate, pts=round(self._clock * self._rate),
                              time_base=Fraction(1, self._rate), track=TRACK))
        self._clock += len(samples) / self._rate
        while any(ears.backlog > UNHEARD for ears in self._ears):  # noqa: ASYNC110  seldom; nobody tells of it
            await asyncio.sleep(HURRY)

    async def _stop(self) -> None:
        """``audio-stop``: the words of the utterance, whole."""
        if not self._ears:
            raise InvalidMessage("'audio-stop' came without 'audio-start'")
        turn = await self._ears[0].commit()
        await self._ears[1].commit()  # whoever still speaks stops here
        text = turn.text if turn is not None else ""
        language = (turn.language if turn is not None else "") or self._language
        about = {"language": language} if language else {}
        if not self._words:
            await self._send(Event("transcript-start", about))
        await self._send(Event("transcript", {"text": text, **about}), Event("transcript-stop"))
        await self._close_ears()

    async def _close_ears(self) -> None:
        ears, self._ears = self._ears, []
        for each in ears:
            await each.close()

    def _heard(self, event: EarEvent) -> None:
        """Words leave as soon as they are sure."""
        if not isinstance(event, Committed) or not event.words:
            return
        self._language = event.language
        if not self._words:
            self._tell(Event("transcript-start", {"language": event.language} if event.language else {}))
        spaced = self._words and event.language not in UNSPACED
        self._tell(Event("transcript-chunk", {"text": f" {event.text}" if spaced else event.text}))
        self._words += event.text
        if self._session is not None and self._recognizer is not None:
            self._session.event(TranscriptCommitted(
                utterance=event.utterance, text=event.text, words=spoken(event.words), engine=self._recognizer.engine,
                model=self._recognizer.model, language=event.language, speaker=TRACK, final=event.final))

    def _voiced(self, event: EarEvent) -> None:
        if isinstance(event, SpeechBegan | SpeechEnded):
            kind = "voice-started" if isinstance(event, SpeechBegan) else "voice-stopped"
            at = max(0.0, event.at - (self._began or 0.0))
            self._tell(Event(kind, {"timestamp": round(at * 1000)}))

    def _tell(self, event: Event) -> None:
        """A few bytes, as often as words are spoken: they need not wait for the client."""
        if not self._writer.is_closing():
            self._writer.write(event.encode())

    # speaking --------------------------------------------------------------------------------------

    async def _new_speaker(self, data: dict[str, Any], *, ssml: bool = False) -> Speaker:
        await self._open()
        synthesizer = await open_synthesizer(self._node.engine, self._settings)
        asked = data.get("voice") or {}
        asked = asked if isinstance(asked, dict) else {}
        name, language = str(asked.get("name") or ""), str(asked.get("language") or "")
        manner = Manner(voice=voice_id(synthesizer, name) if name else "" if language else self._settings.voice)
        manner = Manner(voice=manner.voice, language=language) if language else manner
        return Speaker(synthesizer, manner, markdown=not ssml)

    async def _synthesize(self, data: dict[str, Any]) -> None:
        """``synthesize``: a whole text."""
        text, ssml = _text(data), data.get("text_format") == "ssml"
        if len(text) > self._settings.max_speech_text:
            raise TooLarge(f"a text has at most {self._settings.max_speech_text} characters", field="text")
        speaker = await self._new_speaker(data, ssml=ssml)
        if ssml:
            speaker.read(text)
        else:
            speaker.say(text)
        speaker.finish()
        await self._speak(speaker)

    async def _begin_text(self, data: dict[str, Any]) -> None:
        """``synthesize-start``: a text in pieces, spoken while it comes."""
        if self._speaker is not None:
            raise InvalidMessage("a second 'synthesize-start' before 'synthesize-stop'")
        self._speaker = await self._new_speaker(data)
        self._speaking = asyncio.create_task(self._speak_on(self._speaker), name="wyoming voice")

    async def _speak_on(self, speaker: Speaker) -> None:
        try:
            await self._speak(speaker)
        except AimassError as error:
            await self._send(problem(error.detail, "invalid"))
        except (ConnectionError, TimeoutError):
            self._over.set()

    async def _end_text(self) -> None:
        speaker, self._speaker = self._speaker, None
        assert speaker is not None
        assert self._speaking is not None
        speaker.finish()
        await asyncio.wait([self._speaking])
        await self._send(Event("synthesize-stopped"))

    async def _speak(self, speaker: Speaker) -> None:
        form = {"rate": speaker.rate, "width": 2, "channels": 1}
        await self._send(Event("audio-start", {**form, "timestamp": 0}))
        at, begun = 0, now()
        async with contextlib.aclosing(_pieces(speaker)) as pieces:
            async for piece in pieces:
                step = int(CHUNK * speaker.rate)
                for begin in range(0, len(piece.samples), step):
                    part = piece.samples[begin : begin + step]
                    await self._send(Event("audio-chunk", {**form, "timestamp": at * 1000 // speaker.rate},
                                           part.astype("<i2").tobytes()))
                    at += len(part)
        await self._send(Event("audio-stop", {"timestamp": at * 1000 // speaker.rate}))
        log.debug("%.2f s of speech in %.2f s", at / speaker.rate, now() - begun)

    # ports.Source and ports.Sink -------------------------------------------------------------------

    async def run(self, push: Callable[[Frame], None]) -> None:
        self._push = push
        await self._over.wait()

    def stats(self) -> dict[str, Any]:
        return {}

    def frame(self, frame: Frame) -> None:
        if isinstance(frame, AudioFrame):
            self._began = frame.seconds if self._began is None else self._began
            for ears in self._ears:
                ears.hear(frame)

    def event(self, event: OurEvent) -> None:
        """The protocol has no place for them."""

    def flush(self, track: str | None = None) -> None:
        """Speech does not come through the pipeline."""

    async def close(self, reason: str) -> None:
        await self._close_ears()
        self.end()


async def _pieces(speaker: Speaker) -> AsyncGenerator[Piece, None]:
    async for piece in speaker.pieces():
        yield piece


def _text(data: dict[str, Any]) -> str:
    text = data.get("text")
    if not isinstance(text, str):
        raise InvalidMessage("'text' is missing", field="text")
    return text


def read_format(data: dict[str, Any]) -> tuple[int, tuple[int, int]]:
    """Rate, and bytes a sample with channels. Raises `InvalidMessage`."""
    rate, width, channels = data.get("rate"), data.get("width"), data.get("channels")
    if not isinstance(rate, int) or not 4000 <= rate <= 192_000:
        raise InvalidMessage("'rate' is from 4000 to 192000 Hz", field="rate")
    if width not in (1, 2, 4) or channels not in (1, 2):
        raise InvalidMessage("'width' is 1, 2 or 4 bytes, 'channels' 1 or 2", field="width")
    return rate, (width, channels)


def as_samples(data: bytes, width: int, channels: int) -> Samples:
    """PCM of 8 (unsigned), 16 or 32 bits as (n, channels) int16; a rest that is no whole sample is left out."""
    data = data[: len(data) // (width * channels) * width * channels]
    if width == 1:
        samples = (np.frombuffer(data, np.uint8).astype(np.int16) - 128) << 8
    elif width == 2:
        samples = np.frombuffer(data, "<i2").astype(np.int16)
    else:
        samples = (np.frombuffer(data, "<i4") >> 16).astype(np.int16)
    shaped: Samples = samples.reshape(-1, channels)
    return shaped


