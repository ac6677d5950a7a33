"""Talk with the user."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Annotated, Literal

from pydantic import Field

from ..conversation.brain import Brain
from ..conversation.brains import open_brain
from ..conversation.echo import EchoGuard
from ..conversation.listener import Listener, Wanted
from ..conversation.manager import TurnManager, TurnOptions, media_words
from ..conversation.player import Clause, Player, Utterance
from ..conversation.tools import Surroundings, Toolbox
from ..errors import AimassError
from ..events import EventData, SpeechSpoken, SpokenWord, StageFailed
from ..frames import AudioFrame, TextFrame
from ..hearing.ears import EarEvent, EarSettings
from ..hearing.first_words import FirstWords
from ..hearing.recognizers import HEARS
from ..speaking.speaker import Speaker
from ..speaking.voices import open_synthesizer, voice_id
from ..speech.captions import board
from ..speech.contract import Manner, Synthesizer
from ..speech.endpoint import EndpointSettings
from ..speech.grammar import Phrase
from ..speech.transcript import line
from ..speech.words import Word
from ..stage import Context, Result
from ..stage_base import AUDIO, BaseStage, Params

log = logging.getLogger(__name__)

SPEAKER = "assistant"  # whose the words of the reply are, in captions
GREETING_WAITS = 4.0  # s for a recogniser that is still being loaded
TEXT_TIME = Fraction(1, 1000)
# ms of speech, and how sure it has to be, to hold a reply: soon, but not for what is left of an echo
QUICK, SURE = 64.0, 0.6


class SpokenParams(Params):
    """Who answers, and with which voice."""

    brain: Literal["default", "offline"] = Field(
        "default", description="who answers. default: what the operator set; offline: the built-in commands alone")
    instructions: str = Field("", max_length=8000, description="for a language model: who it is and what it should do")
    greeting: str = Field("", max_length=500, description="what it says first; empty: it waits to be spoken to")
    language: str = Field("en", max_length=16, description="that is spoken, such as en (ISO 639-1)")
    voice: str = Field("", max_length=128, description="an id of GET /v1/audio/voices, or a name such as alloy; empty: "
                       "the language's own")
    speed: float = Field(1.0, ge=0.25, le=4, description="of the voice",
                         json_schema_extra={"unit": "times its own", "step": 0.05})


class AssistantParams(SpokenParams):
    silence_ms: int = Field(500, ge=100, le=5000, description="silence that ends the user's turn; the words may say "
                            "otherwise", json_schema_extra={"unit": "ms", "step": 50})
    interruptions: bool = Field(True, description="the user may speak into a reply, which then stops")
    engine: Literal["auto", "whisper", "emformer", "pocketsphinx"] = Field(
        "auto", description="which recogniser hears; auto: the best that is really there")
    model: Annotated[str, HEARS] = Field("", max_length=500,
                                         description="its model, by name or directory; empty: the best there is")


class Assistant(BaseStage[AssistantParams]):
    """Listens, thinks and answers by voice. The sound that goes back is the reply, which stops when the user speaks."""

    accepts = AUDIO
    Params = AssistantParams
    listens = True  # counts among the node's listeners

    def __init__(self, params: AssistantParams) -> None:
        super().__init__(params)
        self._synthesizer: Synthesizer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._flushing = False  # by ourselves
        self._first = FirstWords()

    async def start(self, context: Context) -> None:
        """The recogniser and the voice are opened beside the frames; why one can't be had is told with a frame."""
        await super().start(context)
        self._board = board(context.session)
        self._board.listen(context.track)
        self._guard = EchoGuard()
        self._player = Player(context.emit, on_clause=self._clause, on_over=self._over)
        self._listener = Listener(context.engine, context.settings, session=context.session, track=context.track,
                                  output=self._heard, event=context.event, text=self._text, spawn=context.spawn,
                                  phrases=self._phrases, trouble=self._trouble)
        around = Surroundings(
            session=context.session, language=self.params.language, pipeline=context.pipeline, steer=context.steer,
            stages=context.stages, kinds=context.kinds, announce=self._announce, spawn=context.spawn)
        self._toolbox = await context.run(toolbox)
        await context.run(context.stages)  # described once a process, which takes a while
        self._around = around
        self._manager = TurnManager(
            brain=self._brain(), toolbox=self._toolbox, around=around, options=_options(self.params),
            player=self._player, guard=self._guard, ears=self._listener, speaker=self._speaker, event=self._event,
            flush=self._flush, spawn=context.spawn, trouble=self._trouble)
        self._listener.open(_wanted(self.params), self._ear_settings())
        self._tasks = [context.spawn(self._open_voice(), "voice"), context.spawn(self._player.run(), "player")]

    async def process(self, frame: AudioFrame) -> Result:
        played = self._player.answer(frame)
        clean = self._guard.clean(frame, self._player.beside(frame, played))
        if clean is not None:
            self._listener.hear(clean)
        self._manager.tick()
        return played

    def update(self, params: AssistantParams) -> None:
        """From the next turn on; a change of recogniser when the new one is ready."""
        before = self.params
        super().update(params)
        self._manager.options = _options(params)
        self._around.language = params.language
        if before.brain != params.brain:
            old, self._manager.brain = self._manager.brain, self._brain()
            self.context.spawn(old.close(), "close brain")
        if _wanted(before) != _wanted(params):
            self._listener.open(_wanted(params), self._ear_settings())
        else:
            self._listener.update(self._ear_settings())

    def flushed(self) -> None:
        """The client wants silence: the reply ends here, as if the user had spoken."""
        if not self._flushing:
            self._manager.stop()

    def _flush(self) -> None:
        self._flushing = True
        try:
            self.context.flush()
        finally:
            self._flushing = False

    async def close(self) -> None:
        self._board.leave(self.context.track)
        for task in self._tasks:
            task.cancel()
        await self._manager.close()
        await self._listener.close()
        await self._manager.brain.close()

    # sound -----------------------------------------------------------------------------------------

    async def _open_voice(self) -> None:
        try:
            self._synthesizer = await open_synthesizer(self.context.engine, self.context.settings)
        except AimassError as error:
            self._trouble(error.detail)
        if self.params.greeting:
            with contextlib.suppress(TimeoutError):  # who greets should listen, too
                async with asyncio.timeout(GREETING_WAITS):
                    await self._listener.opened.wait()
            self._manager.announce(self.params.greeting)

    def _speaker(self) -> Speaker | None:
        synthesizer, params = self._synthesizer, self.params
        if synthesizer is None:
            return None
        voice = voice_id(synthesizer, params.voice) or self.context.settings.voice
        return Speaker(synthesizer, Manner(voice, params.language, params.speed))

    # what happens ----------------------------------------------------------------------------------

    def _heard(self, event: EarEvent) -> None:
        seconds = self._first.of(event)
        if seconds is not None:
            self.context.first_words(seconds, self._listener.model)
        self._manager.hear(event)

    def _announce(self, text: str) -> None:
        self._manager.announce(text)

    def _event(self, event: EventData) -> None:
        self.context.event(event)
        if event.type == "assistant.state":
            self._listener.update(self._ear_settings())

    def _clause(self, utterance: Utterance, clause: Clause, begins: float) -> None:
        words = media_words(clause, begins)
        engine = self._synthesizer.name if self._synthesizer is not None else ""
        self.context.event(SpeechSpoken(text=clause.text, voice=self.params.voice, engine=engine,
                                        words=[SpokenWord(**word) for word in words]))
        self.context.emit(_text_frame(clause.text, begins, SPEAKER))
        self._manager.clause(utterance, clause)

    def _over(self, utterance: Utterance) -> None:
        self._manager.over(utterance)

    def _text(self, words: tuple[Word, ...], language: str) -> None:
        self._board.commit(self.context.track, words, language)
        self.context.emit(_text_frame(line(words, language), words[0].start, self.context.track))

    def _phrases(self) -> tuple[Phrase, ...]:
        found: tuple[Phrase, ...] = self._toolbox.phrases(self._around)
        return found

    def _trouble(self, detail: str) -> None:
        """Something is missing or failed; the conversation goes on without it."""
        log.warning("%s: the assistant: %s", self.context.session, detail)
        index = next((index for index, stage in enumerate(self.context.pipeline()) if stage["stage"] == "assistant"), 0)
        self.context.event(StageFailed(index=index, stage="assistant", detail=detail, failures=1))

    def _brain(self) -> Brain:
        return open_brain(self.context.settings, self._toolbox, self._around, choice=self.params.brain)

    def _ear_settings(self) -> EarSettings:
        endpoint = EndpointSettings(silence_ms=self.params.silence_ms)
        if self._manager.state == "speaking":
            endpoint = replace(endpoint, min_speech_ms=QUICK, threshold=SURE)
        return EarSettings(endpoint, keep_audio=False)


@cache
def toolbox() -> Toolbox:
    """The tools of this process, loaded once. The first call imports them: make it in a thread."""
    return Toolbox().load()


def _options(params: AssistantParams) -> TurnOptions:
    return TurnOptions(params.instructions, params.language, params.interruptions)


def _wanted(params: AssistantParams) -> Wanted:
    return Wanted(params.engine, params.model, params.language)


def _text_frame(text: str, seconds: float, track: str) -> TextFrame:
    return TextFrame(text=text, pts=round(seconds / TEXT_TIME), time_base=TEXT_TIME, track=track)
