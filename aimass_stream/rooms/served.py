"""One participant of a room: their session, what feeds it, what is shown of it, and their captions."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Literal, TypeAlias

from ..errors import AimassError, Busy, Forbidden, Unavailable
from ..events import Event
from ..frames import Frame, now
from ..session import Session
from ..speech.transcript import UNSPACED
from .ear import Ear
from .floor import Floor
from .ports import Participant, Shown, Stay
from .wish import LONGEST_SPEAKER, Wish

log = logging.getLogger(__name__)

State: TypeAlias = Literal["idle", "waiting", "served", "ended"]

TRIES = 5  # in a row without media for `STEADY` seconds
STEADY = 10.0  # s
RETRY = 0.5  # s before the second try; twice as long before each further one
LONGEST_PAUSE = 30.0  # s between tries to show what is made of them
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
        self._texts: OrderedDict[str, tuple[str, str]] = OrderedDict()  # utterance -> its language and words so far

    def frame(self, frame: Frame) -> None:
        """Frames are shown by the room's own publisher, if at all."""

    def event(self, event: Event) -> None:
        if event.type != "transcript.committed":
            return
        data = event.data
        (_, before), more = self._texts.pop(data["utterance"], ("", "")), str(data["text"]).strip()
        blank = "" if data["language"] in UNSPACED else " "
        text = f"{before}{blank}{more}".strip()[-LONGEST_CAPTION:]
        if not data["final"]:
            self._texts[data["utterance"]] = data["language"], text
            while len(self._texts) > UTTERANCES:
                self._texts.popitem(last=False)
        self._tell(data["utterance"], text, data["language"], final=data["final"])

    def _tell(self, utterance: str, text: str, language: str, *, final: bool) -> None:
        if text:
            self._said({"utterance": utterance, "text": text, "language": language, "final": final})

    def flush(self, track: str | None = None) -> None:
        """Words that were said stay said."""

    async def close(self, reason: str) -> None:
        """What was being said ends with the words it has."""
        while self._texts:
            utterance, (language, text) = self._texts.popitem(last=False)
            self._tell(utterance, text, language, final=True)
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
        try:
            await self._run()
        except AimassError as error:
            self._become("waiting" if isinstance(error, Busy) else "ended", error.detail)

    async def _run(self) -> None:
        captions = Captions(lambda said: self._caption(self.participant, said))
        try:
            self.session = session = await self._open(self.participant)
            if self._floor is not None:
                session.add_sink(Ear(self._floor, lambda: self.participant))
            session.add_sink(captions)
            await self._serve(session, captions)
        finally:
            if self.session is not None:
                await self.session.close("the participant is no longer served")
                if self._floor is not None:
                    self._floor.left(self.participant)

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
        line = await self._stay.hear(self.participant, session)
        showing: list[asyncio.Task[None]] = []
        shown_out = asyncio.Event()
        try:
            if self._wish.publish:
                showing.append(asyncio.create_task(self._show(session), name="showing"))
                showing[0].add_done_callback(lambda _: shown_out.set())
            else:
                self._become("served")
            await first_of(self._renew, captions.over, line.ended, shown_out)
            if shown_out.is_set():
                showing[0].result()
        finally:
            await asyncio.shield(asyncio.gather(line.close(), *map(_end, showing)))

    async def _show(self, session: Session) -> None:
        """What comes out of the session, again and again: where it can't be, they are heard all the same.

        Raises `Forbidden` once it was shown out.
        """
        pause = RETRY
        while True:
            begun = now()
            try:
                shown_out = await self._show_once(session)
                detail = "the room cut it"
            except AimassError as error:
                shown_out, detail = False, error.detail
            if shown_out:
                raise Forbidden("what was shown of them was shown out of the room")
            log.info("participant %s is not shown: %s", self.participant.id, detail)
            self._become("served", f"not shown: {detail}")
            if now() - begun > STEADY:
                pause = RETRY
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _show_once(self, session: Session) -> bool:
        """Until it is over: whether somebody of the room ended it."""
        self._shown = shown = await self._stay.publish(self.participant.name, session, self._wish.publish)
        try:
            self._become("served")
            await shown.ended.wait()
            return shown.shown_out
        finally:
            self._shown = None
            await asyncio.shield(shown.close())


async def end_all(tasks: Sequence[asyncio.Task[None]]) -> None:
    """At once; what failed in one before is logged."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def first_of(*events: asyncio.Event) -> None:
    """Until one of them is set."""
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
