"""The ears of an assistant: a recogniser that may still be loading, or change, behind one steady interface."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import AimassError
from ..events import (
    AssistantUnderstood,
    EventData,
    HearingReady,
    SpeechStarted,
    SpeechStopped,
    SpokenWord,
    TranscriptCommitted,
    TranscriptPartial,
)
from ..frames import AudioFrame, now
from ..hearing.commands import CommandEar
from ..hearing.ears import (
    Committed,
    EarEvent,
    Ears,
    EarSettings,
    HearingTrouble,
    Partial,
    SpeechBegan,
    SpeechEnded,
    TurnEnded,
)
from ..hearing.recognizers import chosen, open_recognizer
from ..inference import Engine
from ..settings import Settings
from ..speech.contract import Recognizer
from ..speech.grammar import Phrase
from ..speech.transcript import line
from ..speech.words import Waveform, Word
from .watch import CommandWatch

log = logging.getLogger(__name__)

# engines that get so many words wrong that these don't tell whether a sentence is finished
GUESSING = frozenset({"pocketsphinx"})
EARLY = 250  # frames that wait for the first recogniser: 5 s; older ones ask for an answer no more


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which recogniser."""

    engine: str = "auto"
    model: str = ""
    language: str = "en"


class Listener:
    """Give it frames by `hear`; it tells what it hears by `output`, and events for the client by `event`."""

    def __init__(self, engine: Engine, settings: Settings, *, session: str, track: str,
                 output: Callable[[EarEvent], None], event: Callable[[EventData], None],
                 text: Callable[[tuple[Word, ...], str], None], phrases: Callable[[], Sequence[Phrase]],
                 spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
                 trouble: Callable[[str], None]) -> None:
        """`text` gets words that stay, with their language; `phrases` are the commands that may be said; `trouble` gets
        why hearing failed."""
        self._engine, self._settings, self._session, self._track = engine, settings, session, track
        self._output, self._event, self._text, self._phrases = output, event, text, phrases
        self._spawn, self._trouble = spawn, trouble
        self._ears: Ears | None = None
        self._recognizer: Recognizer | None = None
        self._early: deque[AudioFrame] = deque(maxlen=EARLY)
        self._opening: asyncio.Task[None] | None = None
        self.opened = asyncio.Event()  # there are ears, or there is no way to have any
        self._commands: CommandWatch | None = None
        self._sure = False  # the turn that is being told was heard as a command
        self._begun: set[str] = set()  # utterances of which words were told and whose end was not

    def open(self, wanted: Wanted, settings: EarSettings) -> None:
        """Begin to listen, or change the recogniser; what hears goes on until the new one does."""
        if self._opening is not None:
            self._opening.cancel()
        self._opening = self._spawn(self._open(wanted, settings), "open ears")

    def update(self, settings: EarSettings) -> None:
        if self._ears is not None and self._recognizer is not None:
            self._ears.update(_suited(settings, self._recognizer))

    def hear(self, frame: AudioFrame) -> None:
        if self._ears is not None:
            self._ears.hear(frame)
            if self._commands is not None:
                self._commands.hear(frame, self._ears.silence if self._ears.speaking else None)
        else:
            self._early.append(frame)

    @property
    def ready(self) -> bool:
        return self._ears is not None

    @property
    def model(self) -> str:
        return self._recognizer.model if self._recognizer is not None else ""

    @property
    def guessing(self) -> bool:
        """The recogniser hears words in any noise, and what is told now was not heard as a command."""
        return self._recognizer is not None and self._recognizer.engine in GUESSING and not self._sure

    @property
    def speaking(self) -> bool:
        return self._ears is not None and self._ears.speaking

    @property
    def silence(self) -> float:
        return 0.0 if self._ears is None else self._ears.silence

    @property
    def voiced_until(self) -> float:
        return 0.0 if self._ears is None else self._ears.voiced_until

    @property
    def position(self) -> float:
        return 0.0 if self._ears is None else self._ears.position

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._commands is not None:
            self._commands.close()
        if self._ears is not None:
            await self._ears.close()

    async def _open(self, wanted: Wanted, settings: EarSettings) -> None:
        language = wanted.language.partition("-")[0].lower() or None
        try:
            choice = await asyncio.to_thread(chosen, self._settings, want=wanted.engine, model=wanted.model,
                                             language=language)
            recognizer = await open_recognizer(self._engine, self._settings, session=self._session, choice=choice,
                                               language=language)
        except AimassError as error:
            self._trouble(error.detail)
            self.opened.set()
            return
        ears = Ears(self._engine, recognizer, _suited(settings, recognizer), session=self._session, output=self._tell,
                    spawn=self._spawn)
        await ears.start()
        old, self._ears, self._recognizer = self._ears, ears, recognizer
        self.opened.set()
        while self._early:
            ears.hear(self._early.popleft())
        if old is not None:
            await old.close()
        self._event(HearingReady(engine=recognizer.engine, model=recognizer.model, reason=choice.reason,
                                 languages=list(recognizer.abilities.languages)))
        await self._open_commands(recognizer)

    async def _open_commands(self, recognizer: Recognizer) -> None:
        """Beside a recogniser that guesses: a grammar of what can be commanded, which hears that much better."""
        if self._commands is not None:
            self._commands.close()
            self._commands = None
        if recognizer.engine in GUESSING:
            try:
                ear = await CommandEar.open(self._engine, self._settings, self._phrases())
                self._commands = CommandWatch(ear, self._spawn)
            except AimassError as error:
                log.info("%s: no ear for commands: %s", self._session, error.detail)

    # what is heard ---------------------------------------------------------------------------------

    def _tell(self, event: EarEvent) -> None:
        recognizer = self._recognizer
        if recognizer is not None:
            match event:
                case SpeechBegan():
                    if self._commands is not None:
                        self._commands.begin(event.at)
                    self._event(SpeechStarted(at=event.at))
                case SpeechEnded():
                    self._event(SpeechStopped(at=event.at, duration=event.duration))
                case Partial():
                    self._event(TranscriptPartial(
                        utterance=event.utterance, text=line(event.words, event.language), words=spoken(event.words),
                        engine=recognizer.engine, language=event.language))
                case Committed():
                    self._commit(recognizer, event)
                case TurnEnded() if self._commands is not None and event.audio is not None:
                    self._spawn(self._decide(self._commands, event, event.audio), "command")
                    return
                case HearingTrouble():
                    self._trouble(event.detail)
                case _:
                    pass
        self._output(event)

    async def _decide(self, commands: CommandWatch, turn: TurnEnded, audio: Waveform) -> None:
        """The turn's end is told with the command that it was, if it was one."""
        command = await commands.decided(audio)
        turn = replace(turn, text=turn.text if command is None else command.text, recognized=now())
        self._sure = command is not None
        if command is not None:
            self._event(AssistantUnderstood(utterance=turn.utterance, text=command.text))
        self._output(turn)
        self._sure = False

    def _commit(self, recognizer: Recognizer, heard: Committed) -> None:
        if heard.words:
            self._begun.add(heard.utterance)
        if heard.utterance not in self._begun:
            return  # nobody said a word
        if heard.final:
            self._begun.discard(heard.utterance)
        self._event(TranscriptCommitted(
            utterance=heard.utterance, text=line(heard.words, heard.language), words=spoken(heard.words),
            engine=recognizer.engine, model=recognizer.model, language=heard.language, speaker=self._track,
            final=heard.final))
        if heard.words:
            self._text(heard.words, heard.language)


def _suited(settings: EarSettings, recognizer: Recognizer) -> EarSettings:
    guessing = recognizer.engine in GUESSING
    return replace(settings, semantic=settings.semantic and not guessing, keep_audio=guessing)


def spoken(words: tuple[Word, ...]) -> list[SpokenWord]:
    return [SpokenWord(**word.json()) for word in words]
