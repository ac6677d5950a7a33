"""Who of a room speaks, and which of their voices is only what we say, come back out of a loudspeaker.

Times are s, monotonic, but for `Span.begin` and `end`, which are media time of the session that hears the participant.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..conversation.likeness import STEPS, Outline
from ..conversation.listener import GUESSING
from ..frames import AudioFrame, now
from ..speech.words import Word
from .ports import Participant

NOTICED = 0.1  # s of speech before it is told
DOUBT = 0.5  # s of a speech in which it can't be told yet whether it is an echo,
UNLIKE = 0.4  # and s in which it does not resemble what we say: then it is somebody's
ECHO = 0.3  # of the looks at an echo find it alike: hardly one of those at its begin; of a person's at most one in 20
TAIL = 1.5  # s for which a reply that is over may come back
AT_ONCE = 4  # voices that are compared with what we say in one step; further ones in the next
SPANS = 16  # of a participant that are remembered
UTTERANCES = 16  # of a participant whose last words were not told
KEPT = 600  # frames of a participant's last sound, 12 s of usual ones
BEFORE, AFTER = 0.2, 0.5  # s of sound around words that are heard anew


@dataclass(eq=False, slots=True)
class Span:
    """Speech without a pause."""

    begin: float
    end: float | None  # None: it goes on
    since: float
    first: int  # step of the sound (`conversation.likeness`) in which it was noticed,
    last: int = 0  # in which it was last compared with what we say,
    alike: int = 0  # and in which it last resembled that
    looks: int = 0  # times that it was compared,
    resembled: int = 0  # and did
    into: bool = False  # it was spoken into a reply, and is somebody's

    def compare(self, sound: Outline, played: Outline) -> None:
        """Once a step: sound that is late tells nothing new."""
        if sound.steps == self.last:
            return
        self.last, self.looks = sound.steps, self.looks + 1
        if sound.echoes(played):
            self.alike, self.resembled = sound.steps, self.resembled + 1

    @property
    def strange(self) -> bool:
        """Not what we say, as far as can be told by now."""
        return self.last - self.first >= DOUBT * STEPS and self.last - self.alike >= UNLIKE * STEPS

    @property
    def echo(self) -> bool:
        return not self.into and self.looks > 0 and self.resembled >= ECHO * self.looks


@dataclass(eq=False, slots=True)
class Voice:
    """One participant's."""

    participant: Participant
    engine: str = ""  # that recognises their words
    ended: float = 0.0  # of the last speech
    sound: Outline = field(default_factory=Outline)
    spans: deque[Span] = field(default_factory=lambda: deque(maxlen=SPANS))
    kept: deque[AudioFrame] = field(default_factory=lambda: deque(maxlen=KEPT))
    utterances: OrderedDict[str, tuple[Word, ...]] = field(default_factory=OrderedDict)  # in media time

    @property
    def speech(self) -> Span | None:
        """That goes on."""
        return self.spans[-1] if self.spans and self.spans[-1].end is None else None

    def words(self, utterance: str, words: tuple[Word, ...], engine: str) -> None:
        """Further ones that stay."""
        self.engine = engine
        if words:
            self.utterances[utterance] = (*self.utterances.get(utterance, ()), *words)
            while len(self.utterances) > UTTERANCES:
                self.utterances.popitem(last=False)

    def span_of(self, utterance: str) -> Span | None:
        """The speech that most of the utterance lies in."""
        words = self.utterances.get(utterance, ())
        begin, end = (words[0].start, words[-1].end) if words else (0.0, 0.0)
        shares = [(min(end, end if span.end is None else span.end) - max(begin, span.begin), at)
                  for at, span in enumerate(self.spans)]
        share, at = max(shares, default=(0.0, 0))
        return self.spans[at] if share > 0 else None

    def sound_of(self, utterance: str, question: str) -> list[AudioFrame]:
        """Of what was asked in it, without the name before or behind; what is not kept any more is left out."""
        words = self.utterances.get(utterance, ())
        count = min(len(words), len(question.split()))
        first = len(words) - count
        if first and " ".join(word.text for word in words[first:]) != question:  # the name is behind it
            begin, end = words[0].start - BEFORE, words[count].start
        elif count:
            begin = words[first - 1].end if first else words[0].start - BEFORE
            end = words[-1].end + AFTER
        else:
            return []
        return [frame for frame in self.kept if begin <= frame.seconds < end]

    def hear(self, frame: AudioFrame) -> None:
        self.sound.add(frame)
        self.kept.append(frame)


class Voices:
    """`conversation.manager.Hearing` of a whole room. `look` every 20 ms."""

    def __init__(self) -> None:
        self.into: Voice | None = None  # who speaks into a reply, or did last
        self._voices: dict[str, Voice] = {}
        self._played = Outline()
        self._said = -TAIL  # when we last said something

    def of(self, participant: Participant) -> Voice:
        voice = self._voices.setdefault(participant.id, Voice(participant))
        voice.participant = participant
        return voice

    def forget(self, number: str) -> Voice | None:
        return self._voices.pop(number, None)

    def played(self, frame: AudioFrame) -> None:
        self._played.add(frame)

    def look(self, saying: bool) -> None:
        """Compare who speaks with what we say. Costs 0.4 ms for each of them, `AT_ONCE` at most."""
        if saying:
            self._said = now()
        if now() - self._said > TAIL:
            return
        unsure = [(voice, span) for voice, span in self._speeches() if not span.into]
        for voice, span in sorted(unsure, key=lambda each: each[1].looks)[:AT_ONCE]:
            span.compare(voice.sound, self._played)

    def stranger(self) -> Voice | None:
        """Somebody who speaks into what we say, and it is not that."""
        return next((voice for voice, span in self._speeches() if not span.into and span.strange), None)

    @property
    def quiet(self) -> bool:
        """Nobody speaks."""
        return all(span.echo for _, span in self._speeches())

    def _speeches(self) -> Iterator[tuple[Voice, Span]]:
        for voice in self._voices.values():
            if voice.speech is not None:
                yield voice, voice.speech

    # of who speaks into a reply --------------------------------------------------------------------

    @property
    def speaking(self) -> bool:
        return not self.quiet if self.into is None else self.into.speech is not None

    @property
    def silence(self) -> float:
        return 0.0 if self.into is None or self.speaking else now() - self.into.ended

    @property
    def voiced_until(self) -> float:
        return now() if self.into is None or self.speaking else self.into.ended

    @property
    def position(self) -> float:
        return now()

    @property
    def guessing(self) -> bool:
        return self.into is not None and self.into.engine in GUESSING
