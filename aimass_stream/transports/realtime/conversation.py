"""One client's conversation: its events in, ours out, whatever line carries them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from ...conversation.brain import open_brain
from ...conversation.tools import Surroundings, Toolbox
from ...errors import AimassError
from ...events import Event
from ...frames import AudioFrame, Frame
from ...hearing.recognizers import open_recognizer
from ...speaking.speaker import Speaker
from ...speaking.voices import OPENAI_NAMES, open_synthesizer, voice_id
from ...speech.audio import to_hearing
from ...speech.contract import Manner, Synthesizer
from ...speech.transcript import line
from ...speech.words import HEARING_RATE
from .errors import Refused, ours, shown
from .input_audio import TRACK, Asked, InputAudio, Turn
from .items import Items
from .line import Place, new_id
from .output_audio import Cut, Player, refuse_clear
from .response import Mind, Order, Responses
from .session import Configuration, Extensions
from .sound import Decoder

log = logging.getLogger(__name__)

LIFETIME = 3600  # s that ``session.created`` announces; nothing ends then
MAX_EVENT_ID = 512  # characters
MAX_ANNOUNCEMENTS = 4  # that wait for the reply before them
SILENT = "The user has said nothing for a while. Ask in a few words whether they are still there."

Handler = Callable[[dict[str, Any]], Awaitable[None]]


class Conversation:
    """`open` it, hand it every message of the client by `handle`, and `close` it.

    It is a `ports.Sink`: what the pipeline makes of the microphone comes by `frame`.
    """

    def __init__(self, place: Place, make_player: Callable[[], Player] | None = None) -> None:
        """`make_player`: the server itself plays replies (WebRTC); else they are sent as events."""
        self.place = place
        self.player = make_player() if make_player is not None else None
        self.items = Items(place, self._hear_item)
        self.input = InputAudio(place, self.items, spoke=self._interrupted, finished=self._finished)
        if self.player is not None:
            self.player.changed, self.input.own_words = self.input.played_to, self.player.echo.guard.own_words
        self.responses = Responses(place, self.items, self, self.player)
        self._id = new_id("sess")
        self._expires = int(time.time()) + LIFETIME
        self._mind: Mind | None = None
        self._synthesizer: Synthesizer | None = None  # the engine's own, shared
        self._announcements: deque[str] = deque(maxlen=MAX_ANNOUNCEMENTS)
        self._handlers: dict[str, Handler] = {
            "session.update": self._update,
            "input_audio_buffer.append": self.input.append,
            "input_audio_buffer.commit": self.input.commit,
            "input_audio_buffer.clear": self.input.clear,
            "output_audio_buffer.clear": self._clear_output if self.player is not None else refuse_clear,
            "conversation.item.create": self.items.create,
            "conversation.item.retrieve": self.items.retrieve,
            "conversation.item.truncate": self.items.truncate,
            "conversation.item.delete": self.items.delete,
            "response.create": self.responses.create,
            "response.cancel": self.responses.cancel,
        }

    # life ------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Greet the client."""
        self.place.events.send("session.created", session=self._shape())
        if self.player is not None:
            self.player.start()
        if self.place.microphone:
            await self.input.ready()

    async def close(self, reason: str) -> None:
        """Nothing is left of it afterwards but tasks of the session, which end with that."""
        self.responses.interrupt("client_cancelled")
        await self.input.close()
        mind, self._mind = self._mind, None
        if mind is not None:
            await mind.brain.close()

    async def handle(self, text: str | bytes) -> None:
        """One event of the client. What is wrong with it is answered with an ``error`` event."""
        event_id: str | None = None
        try:
            event = _parsed(text)
            given = event.get("event_id")
            event_id = given[:MAX_EVENT_ID] if isinstance(given, str) else None
            await self._handler(event)(event)
        except Refused as refused:
            self.place.events.refuse(refused, event_id)
        except AimassError as error:
            self.place.events.refuse(ours(error), event_id)

    def _handler(self, event: dict[str, Any]) -> Handler:
        kind = event.get("type")
        if kind is None:
            raise Refused("Missing required parameter: 'type'.", code="missing_required_parameter", param="type")
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            known = ", ".join(repr(name) for name in self._handlers)
            raise Refused(f"Invalid value: {shown(kind)}. Supported values are: {known}.", code="invalid_value",
                          param="type")
        return handler

    # session ---------------------------------------------------------------------------------------

    def _shape(self) -> dict[str, Any]:
        return self.place.configuration.shown(self._id, self._expires)

    async def _update(self, event: dict[str, Any]) -> None:
        """``session.update``: applied whole or not at all."""
        old = self.place.configuration
        if event.get("session") is None:
            raise Refused("Missing required parameter: 'session'.", code="missing_required_parameter",
                          param="session")
        new = old.merged(event["session"])
        voice = new.audio.output.voice
        if voice != old.audio.output.voice and voice:
            await self._check_voice(voice)
        stages, before = stages_of(new), stages_of(old)
        if stages != before:
            await self.place.session.update(pipeline=stages)
        self.place.configuration = new
        if self.input.ears is not None:
            try:
                await self.input.ready()
            except Refused:
                self.place.configuration = old
                if stages != before:
                    await self.place.session.update(pipeline=before)
                raise
        if _skills(new, self.place) != _skills(old, self.place):
            await self._forget_mind()
        self.place.events.send("session.updated", session=self._shape())

    async def _forget_mind(self) -> None:
        mind, self._mind = self._mind, None
        if mind is not None:
            await mind.brain.close()

    # response.Company ------------------------------------------------------------------------------

    def mind(self) -> Mind:
        if self._mind is None:
            place = self.place
            session = place.session
            skills = _skills(place.configuration, place)
            toolbox = place.toolbox if skills != "none" else Toolbox()  # not loaded: empty
            around = Surroundings(session=session.id, record=self.items.record, pipeline=lambda: session.spec.json(),
                                  steer=self._steer, stages=place.node.stages.describe, kinds=session.pipeline.kinds,
                                  announce=self._announce, spawn=session.spawn)
            self._mind = Mind(open_brain(place.settings, toolbox, around, reserve=skills == "reserve"), around,
                              toolbox, offered=skills != "reserve")
        return self._mind

    async def _steer(self, pipeline: list[dict[str, Any]]) -> None:
        await self.place.session.update(pipeline=pipeline)

    async def speaker(self, config: Configuration) -> Speaker:
        synthesizer, output = await self._voice(), config.audio.output
        voice = voice_id(synthesizer, output.voice or self.place.settings.voice)
        return Speaker(synthesizer, Manner(voice=voice, speed=output.speed))

    async def _voice(self) -> Synthesizer:
        if self._synthesizer is None:
            self._synthesizer = await open_synthesizer(self.place.node.engine, self.place.settings)
        return self._synthesizer

    async def _check_voice(self, name: str) -> None:
        """Raises `Refused`. The names of OpenAI's voices are known to every engine."""
        known = (voice.id for voice in (await self._voice()).voices())
        if name.lower() not in OPENAI_NAMES and name not in known:
            raise Refused(f"There is no voice {shown(name)}. GET /v1/audio/voices lists them.", code="invalid_value",
                          param="session.audio.output.voice")

    async def settled(self) -> None:
        await self.input.settled()

    def begun(self) -> None:
        self.input.stop_idling()

    def answered(self, seconds: float) -> None:
        """A reply is over: what waited for that is said now, and the user's silence begins to count."""
        if self._announcements:
            asyncio.get_running_loop().call_soon(self._say_announcement)
            return
        self.input.idle(self.player.remaining if self.player is not None else seconds)

    # what happens ----------------------------------------------------------------------------------

    def _interrupted(self) -> None:
        """The user speaks."""
        detection = self.place.configuration.audio.input.turn_detection
        if detection is not None and detection.interrupt_response:
            self.responses.interrupt("turn_detected")
            self._silence()

    def _silence(self) -> None:
        """Play no further; what was not heard is taken out of the conversation."""
        cut = self.player.clear() if self.player is not None else None
        if cut is not None and self.items.has(cut.item):
            self._cut(cut)

    def _cut(self, cut: Cut) -> None:
        end = min(cut.seconds, self.items.details(cut.item).seconds)
        self.items.cut(cut.item, end)
        self.place.events.send("conversation.item.truncated", item_id=cut.item, content_index=0,
                               audio_end_ms=round(end * 1000))

    async def _clear_output(self, event: dict[str, Any]) -> None:
        """``output_audio_buffer.clear``."""
        if self.responses.active is not None:
            self.responses.interrupt("client_cancelled")
        self._silence()

    def _finished(self, heard: bool, silent: bool, asked: Asked | None) -> None:
        """A turn is over. One without words (a cough) is not answered, one of long silence is."""
        config = self.place.configuration
        detection = config.audio.input.turn_detection
        if not (heard or silent) or config.type != "realtime" or detection is None or not detection.create_response:
            self.input.idle(0.0)
            return
        if self.responses.active is None:
            self.responses.begin(Order(config, hint=SILENT if silent else "", asked=asked))

    def _announce(self, text: str) -> None:
        """A skill has something to say: a timer went off."""
        self._announcements.append(text)
        if self.responses.active is None:
            self._say_announcement()

    def _say_announcement(self) -> None:
        if self._announcements and self.responses.active is None:
            text = self._announcements.popleft()
            self.responses.begin(Order(self.place.configuration, say=text))

    async def _hear_item(self, item_id: str, data: bytes) -> None:
        """Sound in an item that a client made: its words are there before anybody answers it."""
        turn = Turn(item_id=item_id, utterance=item_id, committed=True, by_client=True)
        self.input.expect(turn)
        decoder = Decoder(self.place.configuration.audio.input.format)
        wave = await asyncio.to_thread(to_hearing, decoder(data), decoder.rate)

        async def recognize() -> None:
            place = self.place
            try:
                recognizer = await open_recognizer(place.node.engine, place.settings, session=place.session.id)
                try:
                    await recognizer.begin(0.0)
                    heard = await recognizer.accept(wave)
                    rest = await recognizer.finish()
                finally:
                    await recognizer.close()
                text = line([*(heard.committed if heard is not None else ()), *rest.committed], rest.language)
            except AimassError as error:
                log.warning("session %s: the sound of an item was not understood: %s", place.session.id, error.detail)
                text = ""
            self.input.settle(turn, text, len(wave) / HEARING_RATE)

        self.place.session.spawn(recognize(), "item")

    # ports.Sink ------------------------------------------------------------------------------------

    def frame(self, frame: Frame) -> None:
        if isinstance(frame, AudioFrame) and frame.track == TRACK:
            clean = self.player.echo.clean(frame) if self.player is not None else frame
            if clean is not None:
                self.input.hear(clean)

    def event(self, event: Event) -> None:
        """Our own events, for a client that asked for them."""
        extensions = self.place.configuration.aimass
        if extensions is not None and extensions.events:
            self.place.events.send("aimass.event", event=event.json())

    def flush(self, track: str | None = None) -> None:
        """Replies don't come through the pipeline."""


def stages_of(config: Configuration) -> list[Any]:
    """The pipeline that the microphone's sound goes through."""
    own = list((config.aimass or Extensions()).pipeline)
    return own if config.audio.input.noise_reduction is None else [{"stage": "denoise"}, *own]


def _skills(config: Configuration, place: Place) -> Literal["all", "reserve", "none"]:
    """How this server's own skills are used: as the client says; else by the built-in brain, which is in reserve
    where there is a language model."""
    if config.aimass is not None and config.aimass.skills is not None:
        return "all" if config.aimass.skills else "none"
    return "all" if place.settings.brain == "offline" else "reserve"


def _parsed(text: str | bytes) -> dict[str, Any]:
    try:
        event = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        raise Refused("This is not JSON.", code="invalid_json") from None
    if not isinstance(event, dict):
        raise Refused("An event is a JSON object in a text message.", code="invalid_json")
    return event
