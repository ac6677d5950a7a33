"""Write down what is said."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from fractions import Fraction
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from ..errors import AimassError, Unavailable
from ..events import HearingReady, SpokenWord, TranscriptCommitted, TranscriptPartial
from ..frames import AudioFrame, TextFrame
from ..hearing.ears import Committed, EarEvent, Ears, EarSettings, HearingTrouble, Partial, SpeechBegan
from ..hearing.first_words import FirstWords
from ..hearing.recognizers import HEARS, Choice, chosen, open_recognizer
from ..hearing.whisper import WhisperRecognizer
from ..speech.captions import board
from ..speech.contract import Recognizer
from ..speech.endpoint import EndpointSettings
from ..speech.transcript import line
from ..speech.words import Word
from ..stage import Context, Result
from ..stage_base import AUDIO, BaseStage, Params

log = logging.getLogger(__name__)

EARLY = 1500  # frames that wait while a model is loaded: 30 s
SWITCH = 15.0  # s that a change of engine waits at most for a pause in the speech
LAST_WORDS = 2.0  # s that the end waits for what was being said
TEXT_TIME = Fraction(1, 1000)


class AsrParams(Params):
    engine: Literal["auto", "whisper", "emformer", "pocketsphinx"] = Field(
        "auto", description="which recogniser; auto: the best that is really there")
    model: Annotated[str, HEARS] = Field("", max_length=500,
                                         description="its model, by name or directory; empty: the best there is")
    language: str = Field("", max_length=16, description="such as en (ISO 639-1); empty: found out by the model")
    task: Literal["transcribe", "translate"] = Field("transcribe", description="translate: into English")
    policy: Literal["alignment", "local_agreement"] = Field(
        "alignment", description="whisper: when words stay. alignment: as soon as they lie clear of the end of the "
        "sound, nearer to it when a second pass has them; local_agreement: when two passes in a row agree")
    hotwords: str = Field("", max_length=500, description="names and rare words to expect")
    prompt: str = Field("", max_length=500, description="what this is about, as text that might have gone before")
    silence_ms: int = Field(500, ge=100, le=5000, description="silence that ends an utterance; the words may say "
                            "otherwise", json_schema_extra={"unit": "ms", "step": 50})
    speaker: str = Field("", max_length=64, description="whose words these are; empty: the track")
    partials: bool = Field(True, description="also tell words that may still change")


class Asr(BaseStage[AsrParams]):
    """Recognises speech: events `transcript.partial` and `transcript.committed`, and text. Sound passes untouched."""

    title = "Speech to text"
    accepts = AUDIO
    Params = AsrParams
    listens = True  # counts among the node's listeners

    def __init__(self, params: AsrParams) -> None:
        super().__init__(params)
        self._early: deque[AudioFrame] = deque(maxlen=EARLY)
        self._ears: Ears | None = None
        self._recognizer: Recognizer | None = None
        self._opening: asyncio.Task[None] | None = None
        self._failure: AimassError | None = None
        self._talking: set[str] = set()  # utterances that have begun and whose last words were not told
        self._begun: set[str] = set()  # those of them of which words were told
        self._first = FirstWords()
        self._quiet = asyncio.Event()  # there are none
        self._quiet.set()

    async def start(self, context: Context) -> None:
        """Raises `InvalidInput` or `NotFound` for what can't be had; the model itself is loaded beside the frames."""
        await super().start(context)
        self._board = board(context.session)
        choice = await context.run(self._chosen, self.params)
        self._board.listen(context.track)
        self._opening = context.spawn(self._open(self.params, choice), "open")

    async def process(self, frame: AudioFrame) -> Result:
        if self._ears is not None:
            self._ears.hear(frame)
        else:
            self._early.append(frame)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure  # the client is told, the sound goes on
        return frame

    def update(self, params: AsrParams) -> None:
        """Raises `InvalidInput`; a change of engine or model takes place in the next pause of the speech."""
        before = self.params
        super().update(params)
        heard_alike = {"language", "policy", "prompt", "hotwords", "silence_ms", "speaker", "partials"}
        same = before.model_dump(exclude=heard_alike) == params.model_dump(exclude=heard_alike)
        recognizer = self._recognizer
        if self._ears is not None:
            self._ears.update(_settings(params))
        if same and isinstance(recognizer, WhisperRecognizer) and self._settled:
            recognizer.tune(language=params.language or None, policy=params.policy, prompt=params.prompt,
                            hotwords=_hotwords(params))
        elif not same or before.language != params.language or not self._settled:
            opening, self._opening = self._opening, self.context.spawn(self._reopen(params), "reopen")
            if opening is not None:
                opening.cancel()

    async def close(self) -> None:
        self._board.leave(self.context.track)
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._ears is not None:
            try:
                async with asyncio.timeout(LAST_WORDS):
                    await self._ears.commit()
                    await self._quiet.wait()
            except TimeoutError:
                log.info("%s ended before its last words were recognised", self.context.session)
            await self._ears.close()

    # the recogniser --------------------------------------------------------------------------------

    @property
    def _settled(self) -> bool:
        return self._opening is None or self._opening.done()

    def _chosen(self, params: AsrParams) -> Choice:
        return chosen(self.context.settings, want=params.engine, model=params.model, language=params.language or None,
                      task=params.task)

    async def _reopen(self, params: AsrParams) -> None:
        try:
            choice = await self.context.run(self._chosen, params)
        except AimassError as error:
            self._failure = error
            return
        await self._open(params, choice)

    async def _open(self, params: AsrParams, choice: Choice) -> None:
        try:
            recognizer = await open_recognizer(
                self.context.engine, self.context.settings, session=self.context.session, choice=choice,
                language=params.language or None, task=params.task, policy=params.policy,
                prompt=params.prompt, hotwords=_hotwords(params))
        except AimassError as error:  # what hears already goes on hearing
            self._failure = error
            return
        ears = Ears(self.context.engine, recognizer, _settings(params), session=self.context.session,
                    output=partial(self._tell, recognizer), spawn=self.context.spawn)
        try:
            await ears.start()
            await self._switch(ears, recognizer)
        finally:
            if self._ears is not ears:  # another change came before this one took place
                await ears.close()
        self.context.event(HearingReady(engine=recognizer.engine, model=recognizer.model, reason=choice.reason,
                                        languages=list(recognizer.abilities.languages)))

    async def _switch(self, ears: Ears, recognizer: Recognizer) -> None:
        old = self._ears
        try:
            async with asyncio.timeout(SWITCH):
                await self._quiet.wait()
        except TimeoutError:
            log.info("%s: the recogniser changes in the middle of speech", self.context.session)
        self._ears, self._recognizer = ears, recognizer
        while self._early:
            ears.hear(self._early.popleft())
        if old is not None:
            await old.commit()
            await old.close()

    # what is heard ---------------------------------------------------------------------------------

    def _tell(self, recognizer: Recognizer, event: EarEvent) -> None:
        seconds = self._first.of(event)
        if seconds is not None:
            self.context.first_words(seconds, recognizer.model)
        if isinstance(event, Committed):
            self._commit(recognizer, event)
            if event.final:
                self._finished(event.utterance)
        elif isinstance(event, Partial):
            self._suggest(recognizer, event)
        elif isinstance(event, SpeechBegan):
            self._talking.add(event.utterance)
            self._quiet.clear()
        elif isinstance(event, HearingTrouble) and event.part == "recognizer":
            self._failure = Unavailable(event.detail)

    def _suggest(self, recognizer: Recognizer, heard: Partial) -> None:
        self._board.suggest(self._speaker, heard.words, heard.language)
        if heard.words:
            self._begun.add(heard.utterance)
        if self.params.partials:
            text = self._text(heard)
            self.context.event(TranscriptPartial(
                utterance=heard.utterance, text=text.text, words=_spoken(heard.words), engine=recognizer.engine,
                language=heard.language), text if heard.words else None)

    def _commit(self, recognizer: Recognizer, heard: Committed) -> None:
        if heard.words:
            self._begun.add(heard.utterance)
        if heard.utterance not in self._begun:
            return  # nobody said a word
        self._board.commit(self._speaker, heard.words, heard.language)
        text = self._text(heard)
        self.context.event(TranscriptCommitted(
            utterance=heard.utterance, text=text.text, words=_spoken(heard.words), engine=recognizer.engine,
            model=recognizer.model, language=heard.language, speaker=self._speaker, final=heard.final),
            text if heard.words else None)
        if heard.words:
            self.context.emit(text)

    def _finished(self, utterance: str) -> None:
        self._begun.discard(utterance)
        self._talking.discard(utterance)
        if not self._talking:
            self._quiet.set()

    def _text(self, heard: Committed | Partial) -> TextFrame:
        """At the begin of its first word."""
        begin = heard.words[0].start if heard.words else 0.0
        return TextFrame(text=line(heard.words, heard.language), pts=round(begin / TEXT_TIME), time_base=TEXT_TIME,
                         track=self.context.track, final=isinstance(heard, Committed))

    @property
    def _speaker(self) -> str:
        return self.params.speaker or self.context.track


def _settings(params: AsrParams) -> EarSettings:
    return EarSettings(endpoint=EndpointSettings(silence_ms=params.silence_ms), keep_audio=False)


def _hotwords(params: AsrParams) -> tuple[str, ...]:
    return tuple(word for word in params.hotwords.replace(",", " ").split() if word)


def _spoken(words: tuple[Word, ...]) -> list[SpokenWord]:
    return [SpokenWord(**word.json()) for word in words]
