"""What people ask the operator for, and who sees and answers it."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimass_stream.apps import requests
from aimass_stream.errors import Busy, Conflict, Forbidden, InvalidInput, NotFound
from tests.support.apps import ADA, ADMIN, BOB, opened

pytestmark = pytest.mark.anyio


async def test_asked_and_answered_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as centre:
        found = centre.apps.requests
        mine = await found.ask(BOB, "model", "Number plates <b>", "'; DROP TABLE requests;\nplease")
        theirs = await found.ask(ADA, "quota", "More minutes", "")
        assert [each.id for each in await found.find(BOB, None, False, 9)] == [mine.id]
        assert [each.id for each in await found.find(ADMIN, "open", True, 9)] == [theirs.id, mine.id]
        with pytest.raises(NotFound):
            await found.get(BOB, theirs.id)
        with pytest.raises(Forbidden):
            await found.answer(BOB, mine.id, "granted", "")
        with pytest.raises(InvalidInput):
            await found.answer(ADMIN, mine.id, "declined", " ")
        answered = await found.answer(ADMIN, mine.id, "granted", "it is here")
        assert (answered.state, answered.answer, answered.answered_by) == ("granted", "it is here", "usr_admin")
        with pytest.raises(Conflict):
            await found.answer(ADMIN, mine.id, "declined", "no")
        with pytest.raises(Conflict):
            await found.withdraw(BOB, mine.id)
        await found.withdraw(ADA, theirs.id)
        assert await centre.steps(mine.id) == ["request.made", "request.granted"]


async def test_who_asks_too_much_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_OPEN", 1)
    async with opened(tmp_path) as centre:
        await centre.apps.requests.ask(BOB, "other", "One", "")
        with pytest.raises(Busy):
            await centre.apps.requests.ask(BOB, "other", "Two", "")
        for kind, subject in (("nonsense", "a"), ("model", ""), ("model", "a\nb")):
            with pytest.raises(InvalidInput):
                await centre.apps.requests.ask(ADA, kind, subject, "")
