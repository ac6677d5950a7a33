"""The turn manager: listening, thinking, speaking, and what happens when somebody speaks into a reply.

It is told what the ears hear and which clauses begin to be heard, and decides: when to ask the brain (also before
the turn is surely over, in silence), when to hold a reply, drop it, or let it go on, and what of it the record keeps.
All of it happens on one event loop; only replies run in tasks of their own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from .. import metrics
from ..events import (
    AssistantAction,
    AssistantInterrupted,
    AssistantReply,
    AssistantResumed,
    AssistantState,
    EventData,
)
from ..frames import AUDIO_RATE, now
from ..hearing.events import (
    Committed,
    EarEvent,
    Partial,
    SpeechBegan,
    SpeechEnded,
    TurnEnded,
    TurnLikely,
    TurnResumed,
)
from ..speech.words import Word, joined
from .brain import Brain, BrainRequest, Canned
from .echo import EchoGuard
from .latency import told
from .player import Clause, Player, Utterance
from .record import Item, Record, new_id
from .reply import Action, Delta, Done, Reply, Sound, Speaking
from .tools import Surroundings, Toolbox
from .turns import Interjection, same_words, surest, verdict

log = logging.getLogger(__name__)

State: TypeAlias = Literal["listening", "thinking", "speaking"]
ANNOUNCEMENTS = 16  # that may wait for a quiet moment
DELTAS = 4096  # pieces of a reply that is not confirmed yet


class Hearing(Protocol):
    """What the manager asks of the ears."""

    @property
    def speaking(self) -> bool: ...
    @property
    def silence(self) -> float: ...
    @property
    def voiced_until(self) -> float: ...
    @property
    def position(self) -> float: ...
    @property
    def guessing(self) -> bool: ...


@dataclass(slots=True)
class TurnOptions:
    instructions: str = ""
    language: str = "en"
    interruptions: bool = True
    preemptive: bool = True


@dataclass(eq=False, slots=True)
class Turn:
    """One reply, from the question to its last sound."""

    id: str
    text: str  # of the user; empty for what is said unasked
    reply: Reply
    utterance: Utterance
    user: Item | None
    item: Item  # the assistant's
    ended: float = 0.0  # s, monotonic: the end of the user's speech
    heard: TurnEnded | None = None
    pending: deque[EventData | Item] = field(default_factory=lambda: deque(maxlen=DELTAS))  # until it is confirmed
    task: asyncio.Task[None] | None = None
    done: bool = False  # the brain and the voice are

    def end(self) -> None:
        """Think and speak no further."""
        self.reply.cancel()
        self.utterance.finish()


@dataclass(slots=True)
class Held:
    """A reply that waits for the decision whether it was interrupted."""

    since: float  # s, monotonic
    began: float  # s of media time
    utterance: str  # of the ears
    words: tuple[Word, ...] = ()
    partial: tuple[Word, ...] = ()
    voiced: float | None = None  # s, once the speech has ended


class TurnManager:
    """Call `hear` with what the ears tell, `tick` with every frame of the microphone."""

    def __init__(self, *, brain: Brain, toolbox: Toolbox, around: Surroundings, options: TurnOptions, player: Player,
                 guard: EchoGuard, ears: Hearing, speaker: Callable[[], Speaking | None],
                 event: Callable[[EventData], None], flush: Callable[[], None],
                 spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
                 trouble: Callable[[str], None] = log.warning) -> None:
        """`speaker` makes a voice for one reply, None while there is none; `flush` throws away sound that is on its way
        to the client; `trouble` is told why a reply failed."""
        self.brain, self.toolbox, self.around, self.options = brain, toolbox, around, options
        self.player, self.guard, self.ears = player, guard, ears
        self._speaker, self._event, self._flush, self._spawn = speaker, event, flush, spawn
        self._trouble = trouble
        self.state: State = "listening"
        self._turn: Turn | None = None
        self._likely: Turn | None = None
        self._held: Held | None = None
        self._announcements: deque[str] = deque(maxlen=ANNOUNCEMENTS)

    @property
    def record(self) -> Record:
        return self.around.record

    @property
    def held(self) -> bool:
        """A reply waits for the decision whether it was interrupted."""
        return self._held is not None

    def announce(self, text: str) -> None:
        """Say this as soon as nobody speaks."""
        self._announcements.append(text)
        self.tick()

    def tick(self) -> None:
        """Decide what only time decides. Costs microseconds."""
        if self._held is not None:
            self._decide()
        if self._announcements and self._turn is None and not self.ears.speaking:
            text = self._announcements.popleft()
            self._begin(self._made("", brain=Canned(text)))

    def stop(self) -> None:
        """End the reply here, as if the user had spoken."""
        if self._turn is not None:
            self._interrupt()

    async def close(self) -> None:
        self.player.stop()
        for turn in (self._turn, self._likely):
            if turn is not None:
                turn.end()
                await turn.reply.close()
        self._turn = self._likely = self._held = None

    # what is heard ---------------------------------------------------------------------------------

    def hear(self, event: EarEvent) -> None:
        match event:
            case SpeechBegan():
                self._spoke(event)
            case SpeechEnded() if self._held is not None and event.utterance == self._held.utterance:
                self._held.voiced = event.voiced
            case Partial() | Committed() if self._held is not None:
                if isinstance(event, Committed):
                    self._held.words += event.words
                    self._held.partial = ()
                else:
                    self._held.partial = event.words
                self._decide()
            case TurnLikely():
                self._expect(event)
            case TurnResumed():
                self._drop_likely()
            case TurnEnded():
                self._ended(event)
            case _:
                pass

    def _spoke(self, event: SpeechBegan) -> None:
        self._drop_likely()
        if self._turn is None or not self.options.interruptions:
            return
        if self._held is None:
            self.player.pause()
            self._flush()
            self._held = Held(now(), event.at, event.utterance)
        elif self._held.voiced is not None:  # somebody who coughed, and now speaks
            self._held = Held(now(), event.at, event.utterance, self._held.words)

    def _decide(self, final: str | None = None) -> None:
        held, ears = self._held, self.ears
        assert held is not None
        voiced = held.voiced
        if voiced is None:
            voiced = max(0.0, ears.voiced_until - held.began)
        words = (*held.words, *held.partial)
        text = joined(words) if final is None else final
        if self.guard.own_words(text):
            text = ""
        match verdict(Interjection(
                text, voiced, now() - held.since, ears.speaking and not ears.silence, final is not None,
                ears.guessing, surest(words), ears.silence)):
            case "interrupt":
                self._interrupt()
            case "resume":
                self._resume()

    def _interrupt(self) -> None:
        turn, self._held = self._turn, None
        utterance = self.player.stop()
        if turn is None:
            return
        heard = utterance.heard() if utterance is not None else ""
        self._flush()
        self._turn = None
        turn.end()
        self._keep(turn, heard, status="incomplete")
        metrics.INTERRUPTIONS.labels("interrupted").inc()
        self._event(AssistantInterrupted(turn=turn.id, heard=heard))
        self._go("listening")

    def _resume(self) -> None:
        turn, self._held = self._turn, None
        self.player.resume()
        if turn is not None:
            metrics.INTERRUPTIONS.labels("resumed").inc()
            self._event(AssistantResumed(turn=turn.id))

    # turns -----------------------------------------------------------------------------------------

    def _expect(self, event: TurnLikely) -> None:
        """The user may be done: think ahead, in silence."""
        if self._turn is not None or not self.options.preemptive or self.guard.own_words(event.text):
            return
        self._drop_likely()
        self._likely = self._made(event.text, confirmed=False)
        self._start(self._likely)

    def _drop_likely(self) -> None:
        likely, self._likely = self._likely, None
        if likely is not None:
            likely.end()

    def _ended(self, event: TurnEnded) -> None:
        text = event.text.strip()
        self.settle(event)
        if not text or self._turn is not None or self.guard.own_words(text):
            self._drop_likely()
        else:
            self.ask(event)

    def settle(self, event: TurnEnded) -> None:
        """All that was said is known, whomever it was meant for: decide about the reply that it was said into."""
        if self._held is not None:
            self._decide(final=event.text.strip())
        elif self._turn is not None and self.options.interruptions and self._interrupts_late(event):
            self._interrupt()

    def ask(self, event: TurnEnded) -> None:
        """Answer this. It is nobody's turn, and the text is not empty."""
        text = event.text.strip()
        likely, self._likely = self._likely, None
        if likely is not None and not same_words(likely.text, text):
            likely.end()
            likely = None
        turn = likely or self._made(text, said_by=event.speaker)
        turn.heard, turn.ended = event, now() - (self.ears.position - event.ended)
        self._begin(turn)

    def _interrupts_late(self, event: TurnEnded) -> bool:
        """Words that came after the reply was let go on, or for a speech that had begun before the reply did."""
        own = self.guard.own_words(event.text)
        heard = Interjection("" if own else event.text, event.ended - event.began, 0.0, False, final=True,
                             guessed=self.ears.guessing, confidence=surest(event.words))
        return verdict(heard) == "interrupt"

    def _made(self, text: str, *, confirmed: bool = True, brain: Brain | None = None, said_by: str = "") -> Turn:
        user = Item(role="user", text=text, spoken=True, speaker=said_by) if text else None
        options = self.options
        request = BrainRequest(
            (*self.record.for_brain(), *((user,) if user is not None else ())), options.instructions,
            self.toolbox.for_models(), language=options.language, session=self.around.session)
        speaker = self._speaker()
        reply = Reply(brain or self.brain, request, around=self.around, toolbox=self.toolbox, speaker=speaker,
                      confirmed=confirmed)
        turn_id = new_id("turn")
        return Turn(turn_id, text, reply, Utterance(turn_id, speaker.rate if speaker is not None else AUDIO_RATE), user,
                    Item(role="assistant", status="in_progress", spoken=True))

    def _begin(self, turn: Turn) -> None:
        """It is the assistant's turn."""
        self._turn = turn
        if turn.user is not None:
            self.record.add(turn.user)
        self._go("thinking")
        for waiting in turn.pending:
            self._tell(waiting)
        turn.pending.clear()
        self.record.add(turn.item)
        turn.reply.confirm()
        self.player.play(turn.utterance)
        if turn.task is None:
            self._start(turn)
        elif turn.done:
            self._all_there(turn)

    def _start(self, turn: Turn) -> None:
        turn.task = self._spawn(self._follow(turn), f"reply {turn.id}")

    async def _follow(self, turn: Turn) -> None:
        async for event in turn.reply.events():
            match event:
                case Delta():
                    self._tell(AssistantReply(turn=turn.id, delta=event.text), turn)
                case Action():
                    for item in event.items:
                        self._tell(item, turn)
                    self._tell(AssistantAction(name=event.name, arguments=event.arguments, result=event.result.text,
                                               ok=event.result.ok), turn)
                case Sound():
                    piece = event.piece
                    turn.utterance.add(piece.samples, piece.text, tuple(piece.words), first=piece.first)
                    await turn.utterance.room()
                case Done():
                    if event.error:
                        self._trouble(event.error)
                    self._tell(AssistantReply(turn=turn.id, delta="", final=True), turn)
        turn.utterance.finish()
        turn.done = True
        if self._turn is turn:
            self._all_there(turn)

    def _all_there(self, turn: Turn) -> None:
        self._keep(turn, turn.reply.text.strip(), status="completed")
        if turn.utterance.over and self.player.utterance is turn.utterance:  # not a sound
            self.player.stop()
            self.over(turn.utterance)

    def _keep(self, turn: Turn, text: str, *, status: Literal["completed", "incomplete"]) -> None:
        """What the record has of a reply: all of it, or what was heard."""
        if turn.reply.text.strip():
            self.around.memory["last_reply"] = turn.reply.text.strip()
        if all(item.id != turn.item.id for item in self.record.items):
            return  # forgotten meanwhile
        if text:
            self.record.change(Item(role="assistant", text=text, id=turn.item.id, status=status, spoken=True))
        else:
            self.record.delete(turn.item.id)

    def _tell(self, news: EventData | Item, turn: Turn | None = None) -> None:
        if turn is not None and turn is not self._turn:
            if turn is self._likely:
                turn.pending.append(news)
        elif not isinstance(news, Item):
            self._event(news)
        elif turn is None:
            self.record.add(news)
        else:
            self.record.add(news, after=self.record.before(turn.item.id))

    # what is played --------------------------------------------------------------------------------

    def clause(self, utterance: Utterance, clause: Clause) -> None:
        """A clause begins to be heard."""
        turn = self._turn
        if turn is None or turn.utterance is not utterance:
            return
        self.guard.said(clause.text)
        if self.state != "speaking":
            self._go("speaking")
            self._tell_latency(turn)

    def over(self, utterance: Utterance) -> None:
        """The last sound of a reply has left."""
        if self._turn is not None and self._turn.utterance is utterance:
            self._turn = self._held = None
            self._go("listening")

    def _go(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._event(AssistantState(state=state))

    def _tell_latency(self, turn: Turn) -> None:
        played = turn.utterance.first_played
        if turn.heard is not None and played is not None:
            self._event(told(turn.id, turn.heard, ended=turn.ended, moments=turn.reply.moments, played=played))


def media_words(clause: Clause, begins: float) -> list[dict[str, Any]]:
    """The clause's words in media time, where the clause begins at `begins` (s)."""
    return [word.moved(begins - clause.begin / AUDIO_RATE).json() for word in clause.words]
