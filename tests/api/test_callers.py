"""Live sessions and who opened them: revoked keys, cookies, connect tokens, quotas, and nobody else's sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from aimass_stream import sandbox
from aimass_stream.events import AudioLevel
from aimass_stream.jobs import Work
from tests.support import laborious
from tests.support.accounts import PASSWORD
from tests.support.options import settings
from tests.support.rtc import Camera
from tests.support.server import Running, serve
from tests.support.sockets import HELLO, joined, refusal
from tests.support.waiting import until
from tests.support.whip_client import WhipClient

pytestmark = pytest.mark.anyio

ADMIN = {"Authorization": "Bearer a key for tests"}


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    """A server where everybody signs in, and a client that shows the server's own key."""
    async with serve(settings(accounts=True, api_key="a key for tests", **options)) as server, httpx.AsyncClient(
            base_url=server.url, headers=ADMIN) as http:
        yield server, http


async def keyed(http: httpx.AsyncClient, name: str, **body: Any) -> tuple[str, dict[str, Any]]:
    """Somebody with a key: the key's id, and what a client sends with it."""
    token = (await http.post("/v1/accounts", json={"name": name})).json()["token"]
    answer = await http.post("/v1/accounts/accept", json={"token": token, "password": PASSWORD})
    cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0], "X-CSRF-Token": answer.json()["csrf_token"]}
    async with httpx.AsyncClient(base_url=http.base_url) as own:
        key = (await own.post("/v1/keys", json=body, headers=cookie)).json()
    http.cookies.clear()
    return key["id"], {"Authorization": f"Bearer {key['key']}"}


async def test_a_revoked_key_closes_what_it_has_opened() -> None:
    async with served(resume_seconds=60) as (server, http):
        key, ada = await keyed(http, "ada")
        _, eve = await keyed(http, "eve")
        camera = await asyncio.to_thread(Camera, 320, 240)
        whip = WhipClient(f"{server.url}/v1/whip", camera=camera, token=ada["Authorization"].removeprefix("Bearer "))
        async with (joined(server.ws_url, additional_headers=eve) as other,
                    joined(server.ws_url, additional_headers=ada) as mine, whip):
            await whip.start()
            async with WhipClient(f"{server.url}/v1/whep/{whip.resource.rsplit('/', 1)[1]}", receive=("video",),
                                  token="a key for tests") as viewer:
                await viewer.start()
                assert len(server.node.sessions()) == 3
                secret = (await http.post("/v1/realtime/client_secrets", headers=ada)).json()["value"]
                assert (await http.delete(f"/v1/keys/{key}")).status_code == 200
                ended = await mine.event("session.ended")
                assert ended["data"]["reason"] == "its key is no longer good"
                with pytest.raises(ConnectionClosed):
                    await mine.receive()
                await until(lambda: viewer.peer.pc.connectionState == "closed")
            hers = HELLO | {"resume": {"session_id": mine.hello["session_id"], "token": mine.hello["resume_token"]}}
            assert (await refusal(server.ws_url, hers))[1] == 4404
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{server.ws_url}/v1/realtime", proxy=None,
                              additional_headers={"Authorization": f"Bearer {secret}"})
            assert refused.value.response.status_code == 401
            (left,) = server.node.sessions()
            assert left.id == other.hello["session_id"]  # nobody else notices


async def test_who_only_watches_is_sent_away_as_well() -> None:
    async with served() as (server, http):
        key, ada = await keyed(http, "ada")
        again = await http.post("/v1/keys", json={"title": "another"}, headers=ada)
        camera = await asyncio.to_thread(Camera, 320, 240)
        async with WhipClient(f"{server.url}/v1/whip", camera=camera, token=again.json()["key"]) as publisher:
            await publisher.start()
            path = f"{server.url}/v1/whep/{publisher.resource.rsplit('/', 1)[1]}"
            async with WhipClient(path, receive=("video",),
                                  token=ada["Authorization"].removeprefix("Bearer ")) as viewer:
                await viewer.start()
                await http.delete(f"/v1/keys/{key}")
                await until(lambda: not server.state.webrtc.viewers)
                assert len(server.node.sessions()) == 1


async def test_a_connect_token_opens_one_session_which_goes_on_by_its_own() -> None:
    async with served() as (server, http):
        key, ada = await keyed(http, "ada", scopes=["media", "keys"])
        token = (await http.post("/v1/connect-tokens", headers=ada)).json()["token"]
        shown = {"Authorization": f"Bearer {token}"}
        for method, path in (("GET", "/v1/keys"), ("POST", "/v1/connect-tokens"), ("GET", "/v1/accounts/me"),
                             ("POST", "/v1/realtime/client_secrets")):
            refused = await http.request(method, path, headers=shown)
            assert (refused.status_code, "and nothing else" in refused.text) == (403, True)
        for _ in range(2):  # what has to be known before one opens a session is told, and costs no token
            assert (await http.get("/v1/config", headers=shown)).json()["protocol"] == 1
        async with joined(server.ws_url, HELLO | {"token": token}) as socket:
            hello = socket.hello
            (session,) = server.node.sessions()
            assert session.caller.id == key
            assert (await refusal(server.ws_url, HELLO | {"token": token}))[1] == 4401
            socket.websocket.transport.abort()
        await until(lambda: session.state == "waiting")
        session.event(AudioLevel(rms=-20, peak=-10))
        resume = {"session_id": hello["session_id"], "token": hello["resume_token"]}
        assert (await refusal(server.ws_url, HELLO | {"resume": resume | {"token": "x" * 43}}))[1] == 4404
        async with joined(server.ws_url, HELLO | {"resume": resume}) as back:
            assert back.hello["resumed"]
            path = f"/v1/sessions/{hello['session_id']}"
            assert (await http.delete(path, headers=shown)).status_code == 403
            for wrong, status in (("", 403), ("é", 403), ("x" * 201, 422)):
                assert (await http.delete(path, headers={b"Resume-Token": wrong.encode()})).status_code == status
            async with httpx.AsyncClient(base_url=server.url, headers=shown) as page:
                own = {"Resume-Token": hello["resume_token"]}
                assert [(await page.delete(path, headers=own)).status_code for _ in range(2)] == [204, 404]
            assert (await back.event("session.ended"))["data"]["reason"] == "ended by request"
        for seconds in (0, 61, -1):
            answer = await http.post("/v1/connect-tokens", json={"expires_in": seconds}, headers=ada)
            assert answer.status_code == 422


async def test_a_page_that_is_signed_in_opens_a_websocket_and_no_other_page_does() -> None:
    async with served(sign_up=True) as (server, http):
        answer = await http.post("/v1/accounts/sign-up", json={"name": "ada", "password": PASSWORD})
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        for path in ("/v1/stream", "/v1/realtime"):
            for origin in ("https://evil.example", "null"):
                with pytest.raises(InvalidStatus) as refused:
                    await connect(server.ws_url + path, proxy=None, origin=Origin(origin), additional_headers=cookie)
                assert refused.value.response.status_code == 403
        async with joined(server.ws_url, origin=server.url, additional_headers=cookie) as socket:
            (session,) = server.node.sessions()
            assert session.caller.name == "ada"
            script = cookie | {"X-CSRF-Token": answer.json()["csrf_token"]}
            async with httpx.AsyncClient(base_url=server.url) as page:
                assert (await page.post("/v1/accounts/sign-out", headers=script)).status_code == 204
            await socket.event("session.ended")
        assert (await refusal(server.ws_url, HELLO, origin=server.url, additional_headers=cookie))[1] == 4401


async def test_sessions_are_their_callers_own() -> None:
    async with served() as (server, http):
        _, ada = await keyed(http, "ada")
        _, eve = await keyed(http, "eve")
        async with joined(server.ws_url, additional_headers=ada) as socket:
            path = f"/v1/sessions/{socket.hello['session_id']}"
            assert (await http.get("/v1/sessions", headers=eve)).json() == {"sessions": []}
            for method, rest in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/stats"), ("GET", "/transcript"),
                                 ("GET", "/tracks.csv"), ("GET", "/counts"), ("GET", "/attendance")):
                answer = await http.request(method, path + rest, headers=eve, json={} if method == "PATCH" else None)
                assert answer.status_code == 404, (method, rest)
            for method, other in (("POST", "whep"), ("DELETE", "whip"), ("PATCH", "whip")):
                answer = await http.request(method, path.replace("sessions", other), headers=eve)
                assert answer.status_code == 404, other
            hang_up = f"/v1/realtime/calls/{socket.hello['session_id']}/hangup"
            assert (await http.post(hang_up, headers=eve)).status_code == 404
            for headers in (ada, ADMIN):
                assert len((await http.get("/v1/sessions", headers=headers)).json()["sessions"]) == 1
                assert (await http.get(path, headers=headers)).json()["caller"] == "ada"
            await until(lambda: len(server.node.sessions()) == 1)
            assert (await http.delete(path, headers=ada)).status_code == 204


async def test_how_many_sessions_one_may_have_and_for_how_long() -> None:
    async with served(limit_concurrent_sessions=1, limit_session_minutes=1) as (server, http):
        _, ada = await keyed(http, "ada")
        _, reader = await keyed(http, "reader", scopes=["models:read"])
        data, code, _ = await refusal(server.ws_url, HELLO, additional_headers=reader)
        assert (code, "'media'" in data["detail"]) == (4403, True)
        async with joined(server.ws_url, additional_headers=ada) as socket:
            data, code, _ = await refusal(server.ws_url, HELLO, additional_headers=ada)
            assert (code, "1 sessions at once" in data["detail"], data["retry_after"] > 0) == (4429, True, True)
            await server.state.accounts.count(50)
            await server.state.accounts.count(20)
            ended = await socket.event("session.ended")
            assert ended["data"]["reason"] == "the minutes of sessions for today are used up"
        data, code, _ = await refusal(server.ws_url, HELLO, additional_headers=ada)
        assert (code, "minutes" in data["detail"]) == (4429, True)
        assert (await http.get("/v1/sessions", headers=ada)).status_code == 200


async def test_who_follows_a_job_hears_no_more_of_it_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aimass_stream.api.jobs.ALIVE", 0.05)
    async with served() as (server, http):
        jobs = server.state.jobs
        jobs.register("waits", lambda payload: Work(laborious.waits, (), sandbox.Limits(seconds=30)))
        key, ada = await keyed(http, "ada")
        owner = (await http.get("/v1/accounts/me", headers=ada)).json()["user"]["id"]
        job = await jobs.begin("waits", {}, owner=owner)
        async with http.stream("GET", f"/v1/jobs/{job.id}/events", headers=ada) as events:
            lines = events.aiter_lines()
            assert await anext(lines) == "event: job"
            await http.delete(f"/v1/keys/{key}")
            async with asyncio.timeout(30):
                async for _ in lines:
                    pass
        still = (await http.get(f"/v1/jobs/{job.id}")).json()
        assert still["state"] in ("queued", "running")
