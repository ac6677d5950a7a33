"""One room that this server is in: who is there, who of them is served, what was said. It outlives a cut stay."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import secrets
import time
from collections import deque
from typing import Any, Literal, TypeAlias

from .. import stage
from ..client import reconnect
from ..errors import AimassError, Conflict, Forbidden, Unavailable
from ..node import Node
from ..ports import Caller
from ..session import Session
from ..spec import PipelineSpec
from .assistant import ASSISTANT, Assistant
from .bystanders import Bystanders
from .log import RoomLog
from .ports import Join, Participant, Stay
from .served import Served, end_all
from .wish import Place, Wish

log = logging.getLogger(__name__)

State: TypeAlias = Literal["joining", "joined", "waiting", "ended"]

JOIN_SECONDS = 15.0
RETURN_SECONDS = 60.0  # that a cut stay is tried to be taken up again
CLOSE_SECONDS = 20.0  # that are waited for a room to be left
LOOK_SECONDS = 5.0  # between looks at whether there is room for who waits
SAID = 500  # captions that are kept,
SEEN = 60  # and that stages see


class Room:
    """`start` it, and `close` it. All calls are made on the loop."""

    def __init__(self, node: Node, caller: Caller, join: Join, wish: Wish, place: Place) -> None:
        self.id = "room_" + secrets.token_urlsafe(12)
        self.caller = caller
        self.wish = wish
        self.place = place
        self.state: State = "joining"
        self.reason = ""  # why it is not joined, or over
        self._asked = ""  # why it is to be left
        self.created = time.time()
        self.log = RoomLog()
        self.said: deque[dict[str, Any]] = deque(maxlen=SAID)  # final captions of all, in their order: the context
        self.captions = self.captions_lost = 0
        self._node = node
        self._join = join
        self._stay: Stay | None = None
        self._roster: dict[str, Participant] = {}
        self._seen = stage.Room(place.room, "", (), ())  # by stages
        self._served: dict[str, tuple[Served, asyncio.Task[None]]] = {}
        self._told: dict[str, tuple[str, str, str | None]] = {}  # of each one's state, last
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self._assistant = None if wish.assistant is None else Assistant(
            node, wish.assistant, self._open_assistant, self.log.tell, self._show)
        self._bystanders = None if self._assistant is None else Bystanders(
            node, caller, place.kind, self._assistant.floor)

    # life ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Joined when it returns. Raises `AimassError`; then nothing is left of it."""
        try:
            stay = await self._enter()
        except BaseException:
            self._end("it could not be joined")
            raise
        self._begin(stay)
        self._main = asyncio.create_task(self._run(stay), name=self.id)

    async def _enter(self) -> Stay:
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                return await self._join(self._changed.set)
        except TimeoutError:
            raise Unavailable(f"the room could not be joined within {JOIN_SECONDS:g} s", field="url") from None

    async def _run(self, stay: Stay | None) -> None:
        try:
            while stay is not None:
                await self._attend(stay)
                self.reason = stay.reason
                if stay.final or self._closing.is_set():
                    return
                log.info("%s: %s", self.id, self.reason)
                self.state = "waiting"
                self.log.tell("room.waiting", reason=self.reason)
                stay = await self._return()
                if stay is not None:
                    self._begin(stay)
        except Exception:
            log.exception("%s failed", self.id)
        finally:
            self._end(self._asked or self.reason or "an internal error")

    async def _return(self) -> Stay | None:
        """A new stay after one that was cut, or None. A room that is not found may be made again."""
        for delay in reconnect.delays(RETURN_SECONDS):
            try:
                async with asyncio.timeout(delay):
                    await self._closing.wait()
                return None
            except TimeoutError:
                pass
            try:
                return await self._enter()
            except AimassError as error:
                log.info("%s: %s", self.id, error.detail)
                self.reason = error.detail
                if isinstance(error, (Forbidden, Conflict)):  # that will not change by asking again
                    return None
        return None

    def _end(self, reason: str) -> None:
        if self.state != "ended":
            self.state, self.reason = "ended", reason
            self.log.tell("room.ended", reason=reason)

    def _give_up(self, reason: str) -> None:
        if not self._closing.is_set():
            self._asked = reason
            self._closing.set()
            self._changed.set()

    async def close(self, reason: str) -> None:
        """Leave, and wait until nothing is left in the room, but not for ever. May be called again."""
        self._give_up(reason)
        if self._main is not None:
            _, pending = await asyncio.wait([self._main], timeout=CLOSE_SECONDS)
            if pending:
                log.error("%s could not be left within %g s", self.id, CLOSE_SECONDS)
                self._main.cancel()

    # a stay ----------------------------------------------------------------------------------------

    def _begin(self, stay: Stay) -> None:
        self._stay, self.state, self.reason = stay, "joined", ""
        self.log.tell("room.joined")
        self._tell_who(dict(stay.roster))

    async def _attend(self, stay: Stay) -> None:
        assistant = None if self._assistant is None else asyncio.create_task(
            self._assistant.run(stay), name=f"{self.id} assistant")
        try:
            while not (stay.left.is_set() or self._closing.is_set()):
                self._changed.clear()
                await self._look(stay)
                if self.wish.leave_after is not None and self.log.unfollowed > self.wish.leave_after:
                    self._give_up(f"nobody has followed it for {self.wish.leave_after:g} s")
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    continue
        finally:
            self._stay = None
            await end_all([] if assistant is None else [assistant])
            await self._dismiss(list(self._served))
            if self._bystanders is not None:
                await self._bystanders.close()
            await stay.leave()
            self._tell_who({})

    async def _look(self, stay: Stay) -> None:
        """Make of who is served what it should be."""
        roster = dict(stay.roster)
        self._tell_who(roster)
        wanted = {each.id: each for each in map(self.wish.takes, roster.values()) if each is not None}
        gone = [each for each in self._served if each not in wanted]
        await self._dismiss(gone)
        for number, (served, task) in list(self._served.items()):
            if served.participant != wanted[number]:
                if served.state == "ended" and served.participant.tracks != wanted[number].tracks:
                    await self._dismiss([number])
                else:
                    await served.changed(wanted[number])
            elif task.done() and served.state == "waiting":
                await self._dismiss([number])  # there may be room for them by now
        for participant in wanted.values():
            if participant.id not in self._served and self._count() < self.wish.most:
                self._serve(stay, participant)
        if self._bystanders is not None:
            await self._bystanders.look(stay, {each: roster[each] for each in roster if self._unserved(each)})

    def _unserved(self, number: str) -> bool:
        """Whoever begins to be served is not, unless they had to wait before."""
        state, _, session = self._told.get(number, ("", "", ""))
        return number not in self._served or state == "ended" or (state == "waiting" and session is None)

    def _count(self) -> int:
        return sum(not task.done() for _, task in self._served.values())

    def _tell_who(self, roster: dict[str, Participant]) -> None:
        before, self._roster = self._roster, roster
        people = tuple(stage.Person(each.id, each.name) for each in roster.values())
        self._seen = dataclasses.replace(self._seen, people=people)
        for number, participant in roster.items():
            if number not in before:
                self.log.tell("participant.joined", participant)
            elif participant.name != before[number].name:
                self.log.tell("participant.renamed", participant, before=before[number].name)
        for number, participant in before.items():
            if number not in roster:
                self._told.pop(number, None)
                self.log.tell("participant.left", participant)

    def _serve(self, stay: Stay, participant: Participant) -> None:
        floor = None if self._assistant is None else self._assistant.floor
        served = Served(participant, self.wish, stay, self._open, self._caption, self._tell_state, floor)
        task = asyncio.create_task(served.run(), name=f"{self.id} {participant.id}")
        task.add_done_callback(lambda _: self._changed.set() if served.state == "ended" else None)
        self._served[participant.id] = served, task

    async def _dismiss(self, numbers: list[str]) -> None:
        await end_all([self._served.pop(number)[1] for number in numbers])

    async def _open(self, participant: Participant) -> Session:
        return await self._node.open(self.wish.pipeline_for(participant.name), caller=self.caller,
                                     transport=self.place.kind, app=self.wish.app,
                                     room=lambda: self._seen_by(participant.id))

    async def _open_assistant(self) -> Session:
        return await self._node.open(PipelineSpec(), caller=self.caller, transport=self.place.kind,
                                     room=lambda: self._seen_by(ASSISTANT))

    def _seen_by(self, number: str) -> stage.Room:
        return dataclasses.replace(self._seen, me=number)

    def _tell_state(self, served: Served) -> None:
        session = None if served.session is None else served.session.id
        told = served.state, served.detail, session
        if self._told.get(served.participant.id) != told:  # who waits for room is looked at again and again
            self._told[served.participant.id] = told
            self.log.tell("participant.state", served.participant, state=served.state, detail=served.detail,
                          session_id=session)
            if served.state == "served":
                self._changed.set()  # they are no bystander any more

    def _caption(self, participant: Participant, said: dict[str, Any]) -> None:
        if self._assistant is None or self._assistant.floor.said(participant, **said):
            self._show(participant, said)

    def _show(self, participant: Participant, said: dict[str, Any]) -> None:
        event = self.log.tell("caption", participant, **said)
        if said["final"]:
            self.said.append({"at": event.at, **event.data})
            caption = stage.Caption(participant.id, participant.name, said["text"], event.at)
            self._seen = dataclasses.replace(self._seen, captions=(*self._seen.captions, caption)[-SEEN:])
        if self.wish.captions and self._stay is not None:
            self.captions += 1
            message = {"type": "caption", "at": event.at, **event.data}
            if not self._stay.say(json.dumps(message, ensure_ascii=False, separators=(",", ":"))):
                self.captions_lost += 1

    # what REST shows -------------------------------------------------------------------------------

    def json(self) -> dict[str, Any]:
        """No secrets."""
        return {"id": self.id, "kind": self.place.kind, "room": self.place.room, "state": self.state,
                "reason": self.reason, "created": self.created, "caller": self.caller.name,
                "pipeline": self.wish.pipeline.json(),
                "app_id": None if self.wish.app is None else self.wish.app.id,
                "publish": list(self.wish.publish), "captions": self.wish.captions,
                "max_participants": self.wish.most, "leave_after": self.wish.leave_after,
                "captions_sent": self.captions - self.captions_lost,
                "captions_lost": self.captions_lost, "last_event": self.log.seq,
                "assistant": None if self._assistant is None else self._assistant.json(),
                "participants": [self._shown(each) for each in self._roster.values()]}

    def _shown(self, participant: Participant) -> dict[str, Any]:
        served = self._served.get(participant.id)
        shown: dict[str, Any] = {"id": participant.id, "name": participant.name, "state": "idle", "detail": "",
                                 "session_id": None, "tracks": [kind for _, kind in participant.tracks]}
        if served is not None:
            session = served[0].session
            return shown | {"state": served[0].state, "detail": served[0].detail,
                            "session_id": None if session is None else session.id}
        if self._stay is None or self.wish.takes(participant) is None:
            return shown
        full = self._count() >= self.wish.most
        return shown | {"state": "waiting",
                        "detail": f"at most {self.wish.most} participants are served at once" if full else ""}
