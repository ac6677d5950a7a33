"""Text to speech as OpenAI's API has it, and the voices there are.

The answer begins with the first clause: the file is encoded and sent while the rest of the text is being spoken.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, ClassVar, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from ..codecs.speech_files import FILE_RATE, MEDIA_TYPES, SpeechFile, speech_file
from ..errors import AimassError, Busy, TooLarge
from ..frames import Samples
from ..inference.engine import Engine
from ..settings import Settings
from ..speaking.speaker import Piece, Speaker
from ..speaking.voices import ENGINES, OPENAI_NAMES, describe, open_synthesizer, voice_id, voices
from ..speech.contract import Manner
from ..speech.resample import Resampler
from ..stages.tts import TtsParams
from .asked import Asked, AskedDep
from .deps import CallerDep, NodeDep, SettingsDep, needs
from .openai_errors import OpenAiRoute, error_object
from .problems import RESPONSES

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/audio", tags=["speech"], responses=RESPONSES, route_class=OpenAiRoute,
                   dependencies=[needs("media")])

MOST_AT_ONCE = 64  # answers that are being spoken
SEND_SECONDS = 30.0  # for the client to take a piece; one that stops reading is cut
CHARACTERS_A_TOKEN = 4  # about, for the usage figures


class NamedVoice(BaseModel):
    id: str = Field(max_length=128)


class SpeechRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str = Field("auto", max_length=128, description="a voice engine; other names take the settings' own")
    input: str = Field(min_length=1, description="the text")
    voice: str | NamedVoice = Field("", description="an id of GET /v1/audio/voices, or a name of OpenAI's")
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = Field(
        "mp3", description="pcm is s16le at 24 kHz, mono, without a header")
    speed: float = Field(1.0, ge=0.25, le=4.0, description="times the voice's own")
    stream_format: Literal["audio", "sse"] = "audio"
    instructions: str | None = Field(None, max_length=65536, description="taken and not followed: no voice here can")
    # ours
    input_type: Literal["text", "markdown", "ssml"] = "text"
    language: str = Field("en", max_length=35, description="BCP 47, where no voice is named")
    pitch: float = Field(1.0, ge=0.5, le=2.0, description="times the voice's own")
    app_id: str | None = Field(None, max_length=64, description="the id or slug of an app: its stage `tts` says what "
                               "is usual of engine, voice, language, speed and pitch")
    parameters: dict[str, Any] | None = Field(None, description="those that the app exposes")

    @property
    def voice_name(self) -> str:
        return self.voice if isinstance(self.voice, str) else self.voice.id


class VoiceInfo(BaseModel):
    id: str
    name: str
    engine: str
    languages: list[str] = Field(description="BCP 47, the best first")
    gender: str


class VoiceList(BaseModel):
    voices: list[VoiceInfo]
    names: dict[str, str] = Field(description="OpenAI's names, and the voice that each stands for")
    engine: str = Field(description="which engine speaks unless one is named")
    engines: list[dict[str, Any]] = Field(description="every engine: available, why not, its languages")


@router.get("/voices")
async def list_voices(node: NodeDep, settings: SettingsDep, caller: CallerDep) -> VoiceList:
    """The voices of all engines that can be used here."""
    default = await open_synthesizer(node.engine, settings)
    listed = [VoiceInfo(id=voice.id, name=voice.name, engine=voice.engine, languages=list(voice.languages),
                        gender=voice.gender) for voice in await voices(node.engine, settings)]
    return VoiceList(voices=listed, names={name: voice_id(default, name) for name in OPENAI_NAMES},
                     engine=default.name, engines=await asyncio.to_thread(describe, settings))


ANSWER: dict[int | str, dict[str, Any]] = {200: {
    "description": "The sound, as it is made",
    "content": {kind: {} for kind in (*MEDIA_TYPES.values(), "text/event-stream")}}}


@router.post("/speech", response_class=Response, responses=ANSWER)
async def speak(wanted: SpeechRequest, node: NodeDep, settings: SettingsDep, caller: CallerDep,
                asked: AskedDep) -> Response:
    """Speak a text. Sent as it is made, as a file or (`stream_format` "sse") as `speech.audio.delta` events."""
    if len(wanted.input) > settings.max_speech_text:
        raise TooLarge(f"a text has at most {settings.max_speech_text} characters, not {len(wanted.input)}",
                       field="input")
    if len(Speaking.at_once) >= MOST_AT_ONCE:
        raise Busy(f"{MOST_AT_ONCE} texts are being spoken already")
    usual = await asked.usual(wanted.app_id, wanted.parameters, "tts", TtsParams)
    with contextlib.ExitStack() as stack:
        stack.enter_context(asked)
        speaker = await speaker_for(wanted if usual is None else _filled(wanted, usual), node.engine, settings, asked)
        pieces = speaker.pieces()
        try:
            first = await anext(pieces, None)  # what is wrong with voice or text is an answer of its own
            file = await asyncio.to_thread(speech_file, wanted.response_format)
        except BaseException:
            await pieces.aclose()
            raise
        data = _counted(_encoded(speaker, first, pieces, file), stack.pop_all())
    if wanted.stream_format == "sse":
        return Speaking(_events(data, len(wanted.input)), pieces, "text/event-stream")
    return Speaking(data, pieces, MEDIA_TYPES[wanted.response_format])


def _filled(wanted: SpeechRequest, usual: TtsParams) -> SpeechRequest:
    """What the request does not say is as in the app's stage."""
    given: dict[str, Any] = {name: getattr(usual, name) for name in ("language", "speed", "pitch")
                             if name not in wanted.model_fields_set}
    if wanted.model not in ENGINES and usual.engine != "auto":
        given["model"] = usual.engine
    if not wanted.voice_name:
        given["voice"] = usual.voice
    return wanted.model_copy(update=given)


async def _counted(data: AsyncGenerator[bytes, None], stack: contextlib.ExitStack) -> AsyncGenerator[bytes, None]:
    """The same; when it is over, so is what `stack` has."""
    with stack:
        async with contextlib.aclosing(data):
            async for piece in data:
                yield piece


async def speaker_for(wanted: SpeechRequest, engine: Engine, settings: Settings,
                      asked: Asked) -> Speaker:
    """A speaker that has been given all of the text. Raises `InvalidInput` for broken SSML."""
    named = wanted.model if wanted.model in ENGINES else ""
    synthesizer = await open_synthesizer(engine, settings, named)
    asked.model = synthesizer.name
    voice = voice_id(synthesizer, wanted.voice_name) or settings.voice
    speaker = Speaker(synthesizer, Manner(voice, wanted.language, wanted.speed, wanted.pitch),
                      markdown=wanted.input_type == "markdown")
    if wanted.input_type == "ssml":
        speaker.read(wanted.input)
    else:
        speaker.say(wanted.input)
    speaker.finish()
    return speaker


async def _encoded(speaker: Speaker, first: Piece | None, rest: AsyncIterator[Piece],
                   file: SpeechFile) -> AsyncGenerator[bytes, None]:
    """The file's bytes. Encoding runs in a thread: a second of speech takes some milliseconds."""
    resample = Resampler(speaker.rate, FILE_RATE)

    def encode(samples: Samples) -> bytes:
        return file.add(resample(samples))

    def end() -> bytes:
        return file.add(resample(np.zeros((0, 1), np.int16), last=True)) + file.finish()

    if first is not None:
        yield await asyncio.to_thread(encode, first.samples)
    async for piece in rest:
        data = await asyncio.to_thread(encode, piece.samples)
        if data:
            yield data
    yield await asyncio.to_thread(end)


async def _events(data: AsyncGenerator[bytes, None], characters: int) -> AsyncGenerator[bytes, None]:
    """Server-sent events: the file in pieces, then the end of it, or what went wrong in the middle."""
    try:
        async with contextlib.aclosing(data):
            async for piece in data:
                yield _event("speech.audio.delta", audio=base64.b64encode(piece).decode())
    except AimassError as error:
        yield _event("error", error=error_object(error.status, error.detail, error.field))
        return
    tokens = max(1, characters // CHARACTERS_A_TOKEN)
    yield _event("speech.audio.done", usage={"input_tokens": tokens, "output_tokens": 0, "total_tokens": tokens})


def _event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


class Speaking(StreamingResponse):
    """A stream whose speaker ends with it, and that does not wait for ever for a client that has stopped reading."""

    at_once: ClassVar[set[Speaking]] = set()

    def __init__(self, content: AsyncIterator[bytes], pieces: AsyncGenerator[Piece, None], media_type: str) -> None:
        super().__init__(content, media_type=media_type, headers={"Cache-Control": "no-store",
                                                                  "X-Accel-Buffering": "no"})
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def punctually(message: Message) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)

        self.at_once.add(self)
        try:
            await super().__call__(scope, receive, punctually)
        except TimeoutError:
            log.info("a client has not read any of its speech for %g s and is cut off", SEND_SECONDS)
        finally:
            self.at_once.discard(self)
            await self._pieces.aclose()
