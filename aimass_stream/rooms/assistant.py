"""The one assistant of a room: it is there while we are, and remembers what was said through a stay that was cut."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

from ..conversation.addressing import Name
from ..conversation.record import Record
from ..conversation.tools import Surroundings
from ..errors import AimassError, Forbidden, Unavailable
from ..events import AssistantInterrupted, AssistantReply, AssistantResumed, AssistantState, EventData
from ..node import Node
from ..session import Session
from .floor import Floor, Tell
from .ports import Line, Participant, Stay
from .served import Caption, first_of
from .talk import Talk, Told
from .wish import AssistantWish

log = logging.getLogger(__name__)

State: TypeAlias = Literal["waiting", "listening", "thinking", "speaking", "ended"]

ASSISTANT = "assistant"  # its id among the participants
RETRY, LONGEST_PAUSE = 0.5, 30.0  # s before it is tried again; twice as long each time
MOST_SAID, MOST_CHARACTERS = 60, 20_000  # of what was said, that a brain is told of


class Assistant:
    """`run` it in a task during each stay; cancelled, it leaves nothing in the room."""

    def __init__(self, node: Node, wish: AssistantWish, opens: Callable[[], Awaitable[Session]], tell: Tell,
                 caption: Caption) -> None:
        """`opens` a session for it; `caption` gets its words."""
        self.state: State = "waiting"
        self.detail = ""
        self._node, self._wish, self._opens, self._tell, self._caption = node, wish, opens, tell, caption
        self._me = Participant(ASSISTANT, wish.name)
        self._around = Surroundings(language=wish.language,
                                    record=Record(max_items=MOST_SAID, max_characters=MOST_CHARACTERS))
        self.floor = Floor(Name(wish.name), wish.follow_up, tell, self._around.record)
        self._session: Session | None = None
        self._greeted = False
        self._turn = ""  # that is being said
        self._said: list[str] = []  # its clauses that were begun
        self._heard: str | None = None  # what was heard of it, where it was interrupted
        self._trouble = ""  # why it could not be said

    async def run(self, stay: Stay) -> None:
        """Returns when it is not tried again in this stay."""
        try:
            await self._stay(stay)
        finally:
            if self.state != "ended":
                self._become("waiting", "we are not in the room")

    async def _stay(self, stay: Stay) -> None:
        pause = RETRY
        while True:
            try:
                await self._once(stay)
                return
            except Forbidden as error:
                self._become("ended", error.detail)
                return
            except AimassError as error:
                log.info("the assistant: %s", error.detail)
                self._become("waiting", error.detail)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _once(self, stay: Stay) -> None:
        """Until its session is over. Raises `AimassError` when the room or the network ends it."""
        self._session = session = await self._opens()
        talk = Talk(session, self._node, self._wish, self.floor, self._around,
                    Told(self._happened, self._began, self._failed))
        lines: list[Line] = []
        try:
            manager = await talk.open()
            shown = await stay.publish(self._wish.name, session, ("audio",))
            lines.append(shown)
            await session.attach(talk, talk)
            self._become("listening")
            if self._wish.greeting and not self._greeted:
                self._greeted = True
                manager.announce(self._wish.greeting)
            await first_of(talk.over, shown.ended)
            if shown.shown_out:
                raise Forbidden("the assistant was shown out of the room")
            if not talk.over.is_set():
                raise Unavailable("the room cut the assistant's sound")
            self._become("ended", f"the session is over: {talk.reason}")
        finally:
            for line in lines:
                await line.close()
            await session.close("the assistant is no longer in the room")
            await talk.close("the assistant is no longer in the room")
            self._session = None

    def _become(self, state: State, detail: str = "") -> None:
        if (state, detail) != (self.state, self.detail):
            self.state, self.detail = state, detail
            self._tell("assistant.state", state=state, detail=detail,
                       session_id=None if self._session is None else self._session.id)

    # what it says ----------------------------------------------------------------------------------

    def _happened(self, data: EventData) -> None:
        match data:
            case AssistantReply():
                self._begin(data.turn)
            case AssistantInterrupted():
                self._heard = data.heard
                voice = self.floor.voices.into
                self._tell("assistant.interrupted", None if voice is None else voice.participant, heard=data.heard)
            case AssistantResumed():
                self._tell("assistant.resumed")
            case AssistantState():
                if data.state == "thinking":
                    self._trouble = ""
                self._become(data.state, self._trouble)
                if data.state == "listening":
                    self._finish()
            case _:
                pass

    def _begin(self, turn: str) -> None:
        if turn != self._turn:
            self._turn, self._said, self._heard = turn, [], None

    def _began(self, turn: str, text: str) -> None:
        """A clause begins to be heard."""
        self._begin(turn)
        self._said.append(text)
        self._show(" ".join(self._said), final=False)

    def _failed(self, detail: str) -> None:
        """What it was about to say could not be thought or said: told until it is asked anew."""
        log.warning("the assistant: %s", detail)
        self._trouble = detail
        self._become(self.state, detail)

    def _finish(self) -> None:
        """The reply is over, or it was cut."""
        cut = self._heard is not None
        text = self._heard if self._heard is not None else " ".join(self._said)
        asked = self.floor.asked
        self._tell("assistant.reply", asked, text=text, cut=cut)
        if text:
            self._show(text, final=True)
        self.floor.replied(cut=cut)
        self._turn = ""

    def _show(self, text: str, *, final: bool) -> None:
        self._caption(self._me, {"utterance": self._turn, "text": text, "language": self._wish.language,
                                 "final": final})

    def json(self) -> dict[str, Any]:
        """No secrets."""
        floor = self.floor
        return {"name": self._wish.name, "state": self.state, "detail": self.detail,
                "session_id": None if self._session is None else self._session.id, "answered": floor.answered,
                "waiting": floor.waiting, "dropped": floor.dropped, "echoes": floor.echoes}
