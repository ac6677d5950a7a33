"""How much a caller may use, counted in memory and in a real Redis."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from limits import RateLimitItemPerSecond

from aimass_stream.accounts import Accounts
from aimass_stream.accounts.allowance import counters_of, network
from aimass_stream.accounts.windows import Windows
from aimass_stream.errors import Busy, Forbidden, InvalidInput
from aimass_stream.ports import Caller
from tests.support.accounts import OWNER, opened, person

pytestmark = pytest.mark.anyio


async def keyed(accounts: Accounts, name: str, address: str = "203.0.113.1", **quotas: int | None) -> Caller:
    """Somebody who shows a key."""
    who = await person(accounts, name)
    _, secret = await accounts.parts.keys.make(who, quotas=quotas)
    return accounts.authorize(None, token=secret, address=address)


async def test_requests_of_one_person_count_together_and_those_of_another_apart(tmp_path: Path) -> None:
    async with opened(tmp_path, limit_requests=3) as accounts:
        allowance = accounts.parts.allowance
        ada, eve = await keyed(accounts, "ada"), await keyed(accounts, "eve", "203.0.113.2")
        more = await keyed(accounts, "bob")
        _, secret = await accounts.parts.keys.make(ada)
        for caller in (ada, ada, accounts.authorize(None, token=secret, address="203.0.113.3")):
            await allowance.request(caller)
        with pytest.raises(Busy, match="3 requests a minute") as busy:
            await allowance.request(ada)
        assert (busy.value.status, busy.value.data["limit"]) == (429, "requests")
        assert 0 < busy.value.retry_after <= 60
        await allowance.request(eve)
        await allowance.request(more)
        for _ in range(50):  # who runs the server has no bounds
            await allowance.request(OWNER)
        assert (await allowance.report(ada))["requests"] == {"limit": 3, "used": 4}
        assert (await allowance.report(OWNER))["requests"] == {"limit": None, "used": None}


async def test_an_address_has_some_times_what_a_person_has(tmp_path: Path) -> None:
    async with opened(tmp_path, limit_requests=2, limit_per_address=2) as accounts:
        people = [await keyed(accounts, f"p{number}") for number in range(3)]
        for caller in people[:2] * 2:
            await accounts.parts.allowance.request(caller)
        with pytest.raises(Busy, match="4 requests"):
            await accounts.parts.allowance.request(people[2])
    assert network("2001:db8:1:2:3:4:5:6") == network("2001:db8:1:2::") != network("2001:db8:1:3::")
    assert network("::ffff:203.0.113.1") == network("203.0.113.1")
    assert network("no address") == "no address"


async def test_a_key_may_have_less_and_a_person_more(tmp_path: Path) -> None:
    async with opened(tmp_path, limit_requests=2, limit_per_address=100) as accounts:
        allowance = accounts.parts.allowance
        little = await keyed(accounts, "ada", requests=1)
        await allowance.request(little)
        with pytest.raises(Busy, match="1 requests"):
            await allowance.request(little)
        eve = await keyed(accounts, "eve")
        await accounts.parts.people.change(OWNER, eve.user, quotas={"requests": 5})
        for _ in range(5):
            await allowance.request(eve)
        with pytest.raises(Busy, match="5 requests"):
            await allowance.request(eve)
        for wrong in ({"requests": -1}, {"requests": 2**60}, {"cake": 1}):
            with pytest.raises(InvalidInput):
                await accounts.parts.people.change(OWNER, eve.user, quotas=wrong)


async def test_a_team_shares_what_it_may_use(tmp_path: Path) -> None:
    async with opened(tmp_path, limit_requests=2, limit_per_address=100) as accounts:
        ada, bob = await person(accounts, "ada"), await person(accounts, "bob")
        team = await accounts.parts.teams.make(ada, "engines")
        await accounts.parts.teams.put(OWNER, team.id, "bob", "member")
        callers = []
        for user in (ada.user, bob.user):
            maker = Caller("", "203.0.113.1", "", user, teams=frozenset({team.id}))
            _, secret = await accounts.parts.keys.make(maker, team=team.id)
            callers.append(accounts.authorize(None, token=secret, address="203.0.113.1"))
        for caller in callers:
            await accounts.parts.allowance.request(caller)
        for caller in callers:
            with pytest.raises(Busy):
                await accounts.parts.allowance.request(caller)
        await accounts.parts.allowance.request(ada)  # what is her own is counted apart


async def test_sessions_are_counted_by_number_rate_and_minutes(tmp_path: Path) -> None:
    async with opened(tmp_path, limit_concurrent_sessions=2, limit_sessions=3, limit_session_minutes=2) as accounts:
        ada, eve = await keyed(accounts, "ada"), await keyed(accounts, "eve", "203.0.113.2")
        live: list[Caller] = []
        accounts.live = lambda: live
        for _ in range(2):
            await accounts.admit(ada)
        live[:] = [ada, ada, eve]
        with pytest.raises(Busy, match="2 sessions at once"):
            await accounts.admit(ada)
        await accounts.admit(eve)
        with pytest.raises(Busy, match="3 new sessions a minute"):
            await accounts.admit(ada)
        ended: list[Caller] = []
        accounts.end = lambda those, reason: ended.extend(caller for caller in live if those(caller))
        await accounts.count(60)  # two sessions of a minute each: that is what she may
        assert ended == []
        await accounts.count(10)
        assert ended == [ada, ada]
        with pytest.raises(Busy, match="2 minutes of sessions a day"):
            await accounts.admit(ada)
        assert (await accounts.parts.allowance.report(eve))["session_minutes"] == {"limit": 2, "used": 1}
        listener = Caller("ada", "", "", ada.user, scopes=frozenset({"models:read"}))
        with pytest.raises(Forbidden, match="'media'"):
            await accounts.admit(listener)


async def test_minutes_of_one_address_are_not_anothers(tmp_path: Path) -> None:
    options: dict[str, Any] = {"host": "0.0.0.0", "insecure": True, "limit_session_minutes": 1, "limit_per_address": 1}
    async with opened(tmp_path, **options) as accounts:
        live = [accounts.authorize(None, address=address) for address in ("203.0.113.1", "203.0.113.1", "203.0.113.2")]
        live.append(OWNER)
        ended: list[Caller] = []
        accounts.end = lambda those, reason: ended.extend(caller for caller in live if those(caller))
        accounts.live = lambda: live
        await accounts.count(50)
        assert ended == live[:2]
        with pytest.raises(Busy):
            await accounts.admit(live[0])
        await accounts.admit(live[2])


async def test_bytes_sent_are_counted(tmp_path: Path) -> None:
    async with opened(tmp_path, limit_upload_bytes=1000) as accounts:
        ada = await keyed(accounts, "ada")
        await accounts.parts.allowance.upload(ada, 600)
        with pytest.raises(Busy) as busy:
            await accounts.parts.allowance.upload(ada, 600)
        assert 86000 < busy.value.retry_after <= 86400
        with pytest.raises(Busy) as busy:  # of unknown length
            await accounts.parts.allowance.upload(ada, 0)
        assert busy.value.retry_after > 86000


def test_windows_end_by_a_clock_that_does_not_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    moment, wall = 50.0, time.time()
    windows = Windows(lambda: moment)
    assert [windows.incr("a", 60), windows.incr("a", 60, 2), windows.incr("b", 60)] == [1, 3, 1]
    for jump in (-86400.0, 86400.0):  # the time of day is not asked
        monkeypatch.setattr(time, "time", lambda jump=jump: wall + jump)
        assert (windows.get("a"), windows.left("a")) == (3, 60)
    moment += 59.9
    assert windows.get("a") == 3
    moment += 0.1
    assert (windows.get("a"), windows.left("a"), windows.incr("a", 60)) == (0, 0, 1)
    assert len(windows) == 1  # what has ended was let go


def test_there_are_so_many_counters_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aimass_stream.accounts.windows.MOST", 100)
    windows = Windows()
    for number in range(1000):
        windows.incr(f"address {number}", 60)
    assert len(windows) == 100
    assert windows.get("address 999") == 1


@asynccontextmanager
async def redis_server() -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    if (program := shutil.which("redis-server")) is None:
        pytest.skip("redis-server is not here")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(program, "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                                                   stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while b"Ready to accept connections" not in await process.stdout.readline():
                pass
        yield f"redis://127.0.0.1:{port}", process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_two_servers_count_in_one_redis_and_alone_without_it() -> None:
    if importlib.util.find_spec("redis") is None:
        pytest.skip("the extra 'redis' is not here")
    item = RateLimitItemPerSecond(3, 60, namespace="test")
    async with redis_server() as (url, process):
        one, two = [await asyncio.to_thread(counters_of, url) for _ in range(2)]
        assert [await one.hit(item, "ada", 1), await two.hit(item, "ada", 1), await one.hit(item, "ada", 1)] == [0] * 3
        assert 0 < await two.hit(item, "ada", 1) <= 60
        assert await one.used(item, "ada") == 4
        await one.clear(item, "ada")
        assert await two.hit(item, "ada", 1) == 0
        process.kill()
        await process.wait()
        begun = time.monotonic()
        assert [await two.hit(item, "eve", 1) for _ in range(3)] == [0] * 3
        assert 0 < await two.hit(item, "eve", 1) <= 60
        assert time.monotonic() - begun < 10  # asked once, and then no more for a while
        await one.close()
        await two.close()


def test_where_limits_can_be_counted() -> None:
    with pytest.raises(InvalidInput, match="redis://"):
        counters_of("mongodb://localhost")
