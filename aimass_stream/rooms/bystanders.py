"""Participants who are not served, while there is an assistant: that they speak is noticed, and not what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ..node import Node
from ..ports import Caller
from ..session import Session
from ..spec import PipelineSpec
from .floor import Floor
from .ports import Participant, Stay
from .served import Served, end_all
from .wish import NOTICES, Wish

MOST = 16  # at once
WISH = Wish(PipelineSpec((NOTICES,)), frozenset({"audio"}), MOST)


class Bystanders:
    """`look` whenever others may be bystanders, and `close` with the stay."""

    def __init__(self, node: Node, caller: Caller, kind: str, floor: Floor) -> None:
        self._node, self._caller, self._kind, self._floor = node, caller, kind, floor
        self._noticed: dict[str, tuple[Served, asyncio.Task[None]]] = {}

    async def look(self, stay: Stay, there: Mapping[str, Participant]) -> None:
        """Notice those of them who send sound, and nobody else."""
        wanted = {each.id: each for each in map(WISH.takes, there.values()) if each is not None}
        await self._dismiss([number for number, (noticed, _) in self._noticed.items()
                             if number not in wanted or noticed.participant.tracks != wanted[number].tracks])
        for participant in wanted.values():
            if participant.id in self._noticed:
                await self._noticed[participant.id][0].changed(participant)
            elif len(self._noticed) < MOST:
                self._notice(stay, participant)

    def _notice(self, stay: Stay, participant: Participant) -> None:
        noticed = Served(participant, WISH, stay, self._open, lambda *said: None, lambda noticed: None, self._floor)
        task = asyncio.create_task(noticed.run(), name=f"bystander {participant.id}")
        self._noticed[participant.id] = noticed, task

    async def _open(self, participant: Participant) -> Session:
        """One that is nobody's: listed nowhere, and it takes no place, for nothing is recognised and nothing made."""
        session = Session(WISH.pipeline, registry=self._node.stages, engine=self._node.engine, caller=self._caller,
                          transport=self._kind, settings=self._node.settings)
        await session.start()
        return session

    async def _dismiss(self, numbers: list[str]) -> None:
        await end_all([self._noticed.pop(number)[1] for number in numbers])

    async def close(self) -> None:
        await self._dismiss(list(self._noticed))
