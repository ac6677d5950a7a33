"""Manners: when the assistant of a room is called, whose turn it is, and who spoke into what it says.

The sessions that hear the participants tell what each says. The turn manager is asked one question at a time, when
nobody speaks, and is told of who speaks into a reply; our own voice, come back out of a loudspeaker, is nobody's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from ..conversation.addressing import Name
from ..conversation.echo import EchoGuard
from ..conversation.listener import GUESSING
from ..conversation.manager import TurnManager
from ..conversation.record import Item, Record
from ..frames import AudioFrame, now
from ..hearing.events import Committed, Partial, SpeechBegan, SpeechEnded, TurnEnded
from .log import Type
from .ports import Participant
from .voices import NOTICED, Span, Voice, Voices
from .wish import PAUSE

NAMED = 6.0  # s in which a question follows a name that was said alone
QUESTIONS = 4  # that wait
STALE = 15.0  # s, then a question that waits is of no use


Again: TypeAlias = Callable[[Sequence[AudioFrame], Callable[[str | None], None]], None]
"""Gets the sound of a question, and tells later which command that was, None for none."""


class Tell(Protocol):
    """An event of the room."""

    def __call__(self, type: Type, participant: Participant | None = None, **data: Any) -> object: ...


@dataclass(frozen=True, slots=True)
class Question:
    participant: Participant
    text: str
    language: str
    asked: float  # s, monotonic


class Floor:
    """Of one room. `begin` with a turn manager, `tick` it every 20 ms, `end`; what is said meanwhile is kept."""

    def __init__(self, name: Name, follow_up: float, tell: Tell, record: Record) -> None:
        """`follow_up`: s after a reply in which who was answered may ask on without the name."""
        self.voices = Voices()
        self.guard = EchoGuard()
        self.asked: Participant | None = None  # who was asking last
        self.answered = self.dropped = self.echoes = 0  # questions, questions not answered, utterances that were ours
        self._name, self._follow_up, self._tell, self._record = name, follow_up, tell, record
        self._manager: TurnManager | None = None
        self._again: Again | None = None
        self._questions: deque[Question] = deque()
        self._expected: tuple[str, float] = "", 0.0  # whose words are a question without the name, and until when

    @property
    def waiting(self) -> int:
        return len(self._questions)

    def begin(self, manager: TurnManager, again: Again | None = None) -> None:
        """`again` hears anew what a recogniser that guesses made a question of."""
        self._manager, self._again = manager, again

    def end(self) -> None:
        self._manager = self._again = None
        self.voices.into = None

    # what the sessions tell ------------------------------------------------------------------------

    def sound(self, participant: Participant, frame: AudioFrame) -> None:
        self.voices.of(participant).hear(frame)

    def started(self, participant: Participant, at: float) -> None:
        """`at`: s of media time."""
        voice = self.voices.of(participant)
        voice.spans.append(Span(at, None, now() - NOTICED, voice.sound.steps))
        if self._manager is not None and self._manager.held and voice is self.voices.into:
            self._interject(self._manager, voice, voice.spans[-1])  # who coughed, and now speaks

    def stopped(self, participant: Participant, at: float, duration: float) -> None:
        voice = self.voices.of(participant)
        span = voice.speech
        if span is None:
            return
        span.end, voice.ended = at, max(span.since, now() - PAUSE)
        if self._manager is not None and span.into:
            self._manager.hear(SpeechEnded(voice.ended, now(), participant.id, span.since, voiced=duration))

    def words(self, participant: Participant, heard: Partial | Committed, engine: str) -> None:
        voice = self.voices.of(participant)
        if isinstance(heard, Committed):
            voice.words(heard.utterance, heard.words, engine)
        if self._manager is not None and self._manager.held and voice is self.voices.into:
            self._manager.hear(heard)

    def said(self, participant: Participant, utterance: str, text: str, language: str, final: bool) -> bool:
        """Whether somebody said this: what is our own voice nobody did."""
        voice = self.voices.of(participant)
        span = voice.span_of(utterance)
        own = (span is not None and span.echo) or self.guard.own_words(text)
        if own:
            self.echoes += final
        elif final:
            self._heard(voice, span, utterance, text, language)
        if final:
            voice.utterances.pop(utterance, None)
        return not own

    def left(self, participant: Participant) -> None:
        """They are heard no more; what they asked is dropped."""
        voice = self.voices.forget(participant.id)
        if voice is not None and voice.speech is not None:
            voice.ended = now()
            voice.speech.end = voice.speech.begin
        for question in [each for each in self._questions if each.participant.id == participant.id]:
            self._drop(question, "who asked has left")

    # what is made of it ----------------------------------------------------------------------------

    def played(self, frame: AudioFrame) -> None:
        """20 ms of what we say, or of silence; then it is time to decide."""
        self.voices.played(frame)
        manager = self._manager
        if manager is None:
            return
        saying = manager.state == "speaking"
        manager.options.interruptions = saying
        self.voices.look(saying)
        if saying:
            self._listen(manager)
        manager.tick()
        self._next(manager)

    def _listen(self, manager: TurnManager) -> None:
        if manager.held and self.voices.speaking:
            return
        voice = self.voices.stranger()
        if voice is not None and voice.speech is not None:
            self._interject(manager, voice, voice.speech)

    def _interject(self, manager: TurnManager, voice: Voice, span: Span) -> None:
        span.into, self.voices.into = True, voice
        manager.hear(SpeechBegan(span.since, now(), voice.participant.id))

    def _heard(self, voice: Voice, span: Span | None, utterance: str, text: str, language: str) -> None:
        participant = voice.participant
        if self._manager is not None and span is not None and span.into:
            self._manager.settle(_turn(participant, text, language, span.since, voice.ended))
        question = self._question(participant, text, now() if span is None else span.since)
        if question is None:
            self._record.add(Item(text=text, spoken=True, speaker=participant.name))
            return
        sound = voice.sound_of(utterance, question) if voice.engine in GUESSING else []
        if self._again is not None and sound:
            self._again(sound, lambda command: self._asked(participant, command or question, language))
        else:
            self._asked(participant, question, language)

    def _asked(self, participant: Participant, question: str, language: str) -> None:
        self._tell("assistant.addressed", participant, text=question)
        if not question:
            self._expected = participant.id, now() + NAMED
        elif len(self._questions) < QUESTIONS:
            self._questions.append(Question(participant, question, language, now()))
        else:
            self._drop(Question(participant, question, language, now()), "too many questions are waiting")

    def _question(self, participant: Participant, text: str, since: float) -> str | None:
        """What they ask; empty where they only called, None where they talk to others. `since`: they speak."""
        question = self._name.question(text)
        expected, until = self._expected
        if question is None and participant.id == expected and since <= until:
            question = text
        if question is not None:
            self._expected = "", 0.0
        return question

    def _next(self, manager: TurnManager) -> None:
        while self._questions and now() - self._questions[0].asked > STALE:
            self._drop(self._questions[0], "it waited too long for a quiet moment")
        if not self._questions or manager.state != "listening" or not self.voices.quiet:
            return
        question = self._questions.popleft()
        self.asked, self.voices.into = question.participant, None
        self.answered += 1
        manager.ask(_turn(question.participant, question.text, question.language, question.asked, question.asked))

    def _drop(self, question: Question, reason: str) -> None:
        if question in self._questions:
            self._questions.remove(question)
        self.dropped += 1
        self._tell("assistant.dropped", question.participant, text=question.text, reason=reason)

    def replied(self, *, cut: bool) -> None:
        """The reply is over: who was answered may go on."""
        asked, self.asked = self.asked, None
        if asked is not None and self._follow_up and not cut:
            self._expected = asked.id, now() + self._follow_up


def _turn(participant: Participant, text: str, language: str, began: float, ended: float) -> TurnEnded:
    return TurnEnded(participant.id, (), text, began, ended, now(), now(), language, None, participant.name)
