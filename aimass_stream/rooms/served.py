"""One participant of a room: their session, what feeds it, what is shown of it, and their captions."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Literal, TypeAlias

from ..errors import AimassError, Busy, Forbidden, Unavailable
from ..events import Event
from ..frames import Frame, now
from ..session import Session
from ..speech.transcript import UNSPACED
from .ear import Ear
from .floor import Floor
from .ports import Line, Participant, Shown, Stay
from .wish import LONGEST_SPEAKER, Wish

log = logging.getLogger(__name__)

State: TypeAlias = Literal["idle", "waiting", "served", "ended"]

TRIES = 5  # in a row without media for `STEADY` seconds
STEADY = 10.0  # s
RETRY = 0.5  # s before the second try; twice as long before each further one
UTTERANCES = 16  # that are being said at once, at most
LONGEST_CAPTION = 2000  # characters

Open = Callable[[Participant], Awaitable[Session]]
Caption = Callable[[Participant, dict[str, Any]], None]


class Captions:
    """A `ports.Sink` of a session: committed words become captions, whole from their utterance's begin."""

    def __init__(self, said: Callable[[dict[str, Any]], None]) -> None:
        self.over = asyncio.Event()  # the session is
        self.reason = ""
        self._said = said
        self._texts: OrderedDict[str, str] = OrderedDict()

    def frame(self, frame: Frame) -> None:
        """Frames are shown by the room's own publisher, if at all."""

    def event(self, event: Event) -> None:
        if event.type != "transcript.committed":
            return
        data = event.data
        before, more = self._texts.pop(data["utterance"], ""), str(data["text"]).strip()
        blank = "" if data["language"] in UNSPACED else " "
        text = f"{before}{blank}{more}".strip()[-LONGEST_CAPTION:]
        if not data["final"]:
            self._texts[data["utterance"]] = text
            while len(self._texts) > UTTERANCES:
                self._texts.popitem(last=False)
        if text:
            self._said({"utterance": data["utterance"], "text": text, "language": data["language"],
                        "final": data["final"]})

    def flush(self, track: str | None = None) -> None:
        """Words that were said stay said."""

    async def close(self, reason: str) -> None:
        self.reason = reason
        self.over.set()


class Served:
    """`run` it in a task; cancelled, it leaves nothing."""

    def __init__(self, participant: Participant, wish: Wish, stay: Stay, opens: Open, caption: Caption,
                 told: Callable[[Served], None], floor: Floor | None = None) -> None:
        """`floor`: of the room's assistant."""
        self.participant = participant
        self.state: State = "waiting"
        self.detail = ""
        self.session: Session | None = None
        self._wish = wish
        self._stay = stay
        self._open = opens
        self._caption = caption
        self._told = told  # of a change of the state
        self._floor = floor
        self._renew = asyncio.Event()
        self._shown: Shown | None = None

    def _become(self, state: State, detail: str = "") -> None:
        if (state, detail) != (self.state, self.detail):
            self.state, self.detail = state, detail
            self._told(self)

    async def changed(self, participant: Participant) -> None:
        """They have another name, or other tracks."""
        old, self.participant = self.participant, participant
        if participant.tracks != old.tracks:
            self._renew.set()
        if participant.name == old.name:
            return
        with suppress(AimassError):
            if self._shown is not None:
                await self._shown.rename(participant.name)
            if self.session is not None:
                for place in self._wish.ears():
                    await self.session.patch_stage(place, {"speaker": participant.name[:LONGEST_SPEAKER]})

    async def run(self) -> None:
        """Returns when there is no more to be done for them."""
        captions = Captions(lambda said: self._caption(self.participant, said))
        try:
            self.session = session = await self._open(self.participant)
            if self._floor is not None:
                session.add_sink(Ear(self._floor, lambda: self.participant))
            session.add_sink(captions)
            await self._serve(session, captions)
        except AimassError as error:
            self._become("waiting" if isinstance(error, Busy) else "ended", error.detail)
        finally:
            if self.session is not None:
                await self.session.close("the participant is no longer served")

    async def _serve(self, session: Session, captions: Captions) -> None:
        failures = 0
        while True:
            begun = now()
            try:
                await self._once(session, captions)
                error: AimassError = Unavailable("the room cut the media")
            except Forbidden:
                raise
            except AimassError as failed:
                error = failed
            if captions.over.is_set():  # which may be told only after its lines have ended, or while one is begun
                self._become("ended", f"the session is over: {captions.reason}")
                return
            if self._renew.is_set() or now() - begun > STEADY:
                failures = 0
            failures += 1
            if failures >= TRIES:
                raise error
            log.info("participant %s: %s", self.participant.id, error.detail)
            self._become("waiting", error.detail)
            if not self._renew.is_set():
                await asyncio.sleep(RETRY * 2 ** (failures - 1))

    async def _once(self, session: Session, captions: Captions) -> None:
        """Media flows until something ends it: the room, the session, or other tracks."""
        self._renew.clear()
        lines: list[Line] = []
        try:
            lines.append(await self._stay.hear(self.participant, session))
            if self._wish.publish:
                self._shown = await self._stay.publish(self.participant.name, session, self._wish.publish)
                lines.append(self._shown)
            self._become("served")
            await first_of(self._renew, captions.over, *(line.ended for line in lines))
            if self._shown is not None and self._shown.shown_out:
                raise Forbidden("what was shown of them was shown out of the room")
        finally:
            self._shown = None
            for line in lines:
                await line.close()


async def first_of(*events: asyncio.Event) -> None:
    """Until one of them is set."""
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
