"""Accounts over HTTP: signing in by cookie, what a cookie alone does not do, keys, teams and the log."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.support.accounts import PASSWORD
from tests.support.options import settings
from tests.support.server import Running, serve

pytestmark = pytest.mark.anyio

KEY = "a key for tests"
ADMIN = {"Authorization": f"Bearer {KEY}"}
GIVEN: dict[str, Any] = {"accounts": True, "sign_up": True, "api_key": KEY}
_numbers = itertools.count()
HOSTILE = ["Robert'); DROP TABLE users;--", "<script>alert(1)</script>", "' OR '1'='1", "%_\\", "🦄 名前"]


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[Running]:
    """A server where everybody signs in: one for all tests that need no other, each with people of its own."""
    async with serve(settings(**GIVEN)) as server:
        yield server


@pytest.fixture
async def server(shared: Running) -> Running:
    return shared


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A client that shows the server's own key."""
    async with httpx.AsyncClient(base_url=server.url, headers=ADMIN) as client:
        yield client


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    """Another one."""
    async with serve(settings(**(GIVEN | options))) as server, httpx.AsyncClient(
            base_url=server.url, headers=ADMIN) as http:
        yield server, http


class Browser(httpx.AsyncClient):
    """Keeps cookies, sends its Origin, and tells a page's script what the page would know."""

    name = csrf = ""

    @property
    def script(self) -> dict[str, str]:
        return {"X-CSRF-Token": self.csrf}


@asynccontextmanager
async def signed_in(server: Running) -> AsyncIterator[Browser]:
    """Somebody new."""
    async with Browser(base_url=server.url, headers={"Origin": server.url}) as browser:
        browser.name = f"ada{next(_numbers)}"
        token = (await browser.post("/v1/accounts", json={"name": browser.name}, headers=ADMIN)).json()["token"]
        answer = await browser.post("/v1/accounts/accept", json={"token": token, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        browser.csrf = answer.json()["csrf_token"]
        yield browser


async def test_a_person_signs_up_signs_in_and_out(server: Running) -> None:
    async with Browser(base_url=server.url) as browser:
        assert (await browser.get("/v1/sessions")).status_code == 401
        body = {"name": "Ada", "password": PASSWORD, "title": "Ada L."}
        made = await browser.post("/v1/accounts/sign-up", json=body)
        assert made.status_code == 201
        assert made.json()["user"]["name"] == "ada"
        assert PASSWORD not in made.text
        kept = made.headers.get_list("set-cookie")
        assert [line.split("=")[0] for line in kept] == ["aimass_session", "aimass_csrf"]
        assert "HttpOnly" in kept[0]
        assert all("SameSite=lax" in line and "Secure" not in line and "Path=/" in line for line in kept)
        assert (await browser.get("/v1/sessions")).status_code == 200
        me = (await browser.get("/v1/accounts/me")).json()
        assert (me["name"], me["signed_in"]) == ("ada", True)
        assert me["csrf_token"] == made.json()["csrf_token"] == browser.cookies["aimass_csrf"]
        script = {"X-CSRF-Token": me["csrf_token"]}
        assert (await browser.post("/v1/accounts/sign-out", headers=script)).status_code == 204
        assert (await browser.get("/v1/sessions")).status_code == 401
        wrong = await browser.post("/v1/accounts/sign-in", json={"name": "ada", "password": "not hers"})
        assert wrong.status_code == 401
        again = await browser.post("/v1/accounts/sign-in", json={"name": "ada", "password": PASSWORD})
        assert again.status_code == 200


async def test_a_stolen_cookie_without_its_token_changes_nothing(server: Running) -> None:
    async with signed_in(server) as browser:
        assert (await browser.post("/v1/keys", json={}, headers=browser.script)).status_code == 201
        before = (await browser.get("/v1/keys")).json()
        other = {"X-CSRF-Token": "x" * 64}
        for method, path, body in (
            ("POST", "/v1/keys", {}), ("DELETE", f"/v1/keys/{before['keys'][0]['id']}", None),
            ("POST", "/v1/teams", {"name": "x"}), ("PATCH", "/v1/accounts/me", {"title": "x"}),
            ("POST", "/v1/connect-tokens", {}), ("POST", "/v1/accounts/sign-out", None),
            ("POST", "/v1/realtime/client_secrets", {}), ("POST", "/v1/realtime/calls", {}),
            ("POST", "/v1/webrtc/offer", {"sdp": ""}), ("DELETE", "/v1/sessions/s_x", None),
        ):
            for headers in ({}, other):
                answer = await browser.request(method, path, json=body, headers=headers)
                assert (answer.status_code, "X-CSRF-Token" in answer.text) == (403, True), (path, answer.text)
        form = {"content-type": "application/x-www-form-urlencoded"}
        guessed = await browser.post("/v1/accounts/sign-out", content="csrf_token=wrong", headers=form)
        assert guessed.status_code == 403
        assert (await browser.get("/v1/keys")).json() == before
        foreign = await browser.post("/v1/keys", json={}, headers=browser.script | {"Origin": "https://evil.example"})
        assert foreign.status_code == 403
        # a form of a page without scripts has it in a field
        done = await browser.post("/v1/accounts/sign-out", content=f"csrf_token={browser.csrf}", headers=form)
        assert done.status_code == 204


async def test_a_form_signs_in_and_goes_on_to_a_page_here(server: Running) -> None:
    async with Browser(base_url=server.url) as browser:
        await browser.post("/v1/accounts/sign-up", json={"name": "grace", "password": PASSWORD})
        for following, status in (("/apps?x=1", 303), ("//evil.example", 422), ("https://evil.example", 422),
                                  ("/\\evil.example", 422), ("/a\r\nSet-Cookie: x=y", 422)):
            answer = await browser.post("/v1/accounts/sign-in", data={"name": "grace", "password": PASSWORD,
                                                                      "next": following})
            assert answer.status_code == status, answer.text
            assert answer.headers.get("location") == (following if status == 303 else None)


async def test_over_tls_cookies_are_for_tls_and_this_host_alone(server: Running) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers={"X-Forwarded-Proto": "https"}) as behind_a_proxy:
        made = await behind_a_proxy.post("/v1/accounts/sign-up", json={"name": "tess", "password": PASSWORD})
        kept = made.headers.get_list("set-cookie")
        assert [line.split("=")[0] for line in kept] == ["__Host-aimass_session", "aimass_csrf"]
        assert all("Secure" in line and "Path=/" in line and "Domain" not in line for line in kept)
        shown = {"Cookie": f"aimass_session=ase_planted; {kept[0].partition(';')[0]}"}
        behind_a_proxy.cookies.clear()
        assert (await behind_a_proxy.get("/v1/accounts/me", headers=shown)).json()["name"] == "tess"


async def test_keys_are_made_shown_once_used_and_revoked(server: Running) -> None:
    async with signed_in(server) as browser, httpx.AsyncClient(base_url=server.url) as http:
        made = await browser.post("/v1/keys", json={"title": "ci", "scopes": ["media", "models:read"]},
                                  headers=browser.script)
        assert made.headers["cache-control"] == "no-store"
        key = made.json()
        http.headers["Authorization"] = f"Bearer {key['key']}"
        me = (await http.get("/v1/accounts/me")).json()
        assert (me["name"], me["scopes"], me["csrf_token"]) == (browser.name, ["media", "models:read"], None)
        refused = await http.get("/v1/keys")
        assert (refused.status_code, refused.json()["scope"]) == (403, "keys")
        shown = await browser.get(made.headers["location"])
        assert key["key"] not in shown.text + (await browser.get("/v1/keys")).text
        assert shown.json()["used"] is not None
        more = [(await browser.post("/v1/keys", json={}, headers=browser.script)).json()["id"] for _ in range(2)]
        first = (await browser.get("/v1/keys", params={"limit": 2})).json()
        last = (await browser.get("/v1/keys", params={"limit": 2, "cursor": first["next"]})).json()
        assert [one["id"] for one in first["keys"] + last["keys"]] == [*reversed(more), key["id"]]
        gone = await browser.delete(f"/v1/keys/{key['id']}", headers=browser.script)
        assert gone.json()["revoked"] is not None
        assert (await http.get("/v1/accounts/me")).status_code == 401
        for body in ({"scopes": ["admin"]}, {"scopes": ["x"]}, {"expires_in": -1}, {"quotas": {"x": 1}},
                     {"quotas": {"requests": -1}}, {"team": "team_x"}, {"no": 1}, {"title": "a\0"}):
            assert (await browser.post("/v1/keys", json=body, headers=browser.script)).status_code in (404, 422), body


async def test_too_many_requests_are_told_when_to_come_again() -> None:
    async with served(limit_requests=12) as (server, http), signed_in(server) as browser:
        answers = [await browser.get("/v1/accounts/me") for _ in range(13)]
        assert [answer.status_code for answer in answers[:12]] == [200] * 12
        assert answers[12].status_code == 429
        assert answers[12].json()["limit"] == "requests"
        assert 0 < int(answers[12].headers["retry-after"]) <= 60
        assert (await http.get("/v1/accounts/me")).status_code == 200  # the server's own key
        changed = await http.patch(f"/v1/accounts/{answers[0].json()['user']['id']}",
                                   json={"quotas": {"requests": 1000}})
        assert changed.json()["quotas"] == {"requests": 1000}
        limits = (await browser.get("/v1/accounts/me/limits")).json()
        assert limits["requests"]["limit"] == 1000


async def test_bytes_that_are_sent_count() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        for _ in range(9):
            yield b"x" * 10_000
        yield b"\r\n--x--\r\n"

    async with served(limit_upload_bytes=80_000) as (server, _):
        async with signed_in(server) as browser:  # what says how long it is, is counted before it is read
            answer = await browser.post("/v1/vision/detect", content=b"x" * 90_000, headers=browser.script)
            assert (answer.status_code, answer.json()["limit"]) == (429, "upload_bytes")
        async with signed_in(server) as browser:  # the rest once it has come
            form = browser.script | {"content-type": "multipart/form-data; boundary=x"}
            for status in (422, 429):  # no picture; and then not even looked at
                answer = await browser.post("/v1/vision/detect", content=pieces(), headers=form)
                assert answer.status_code == status, answer.text


async def test_an_admin_looks_after_people_and_others_do_not(server: Running, http: httpx.AsyncClient) -> None:
    async with signed_in(server) as browser:
        ada = (await browser.get("/v1/accounts/me")).json()["user"]["id"]
        for method, path in (("GET", "/v1/accounts"), ("POST", "/v1/accounts"), ("GET", f"/v1/accounts/{ada}"),
                             ("PATCH", f"/v1/accounts/{ada}"), ("DELETE", f"/v1/accounts/{ada}"),
                             ("POST", f"/v1/accounts/{ada}/link"), ("GET", f"/v1/accounts/{ada}/export")):
            body = {"name": "eve"} if method == "POST" and path.endswith("s") else {"role": "admin"}
            answer = await browser.request(method, path, json=body, headers=browser.script)
            assert (answer.status_code, answer.json()["scope"]) == (403, "admin"), path
        assert (await http.patch(f"/v1/accounts/{ada}", json={"role": "developer"})).json()["role"] == "developer"
        assert (await http.patch(f"/v1/accounts/{ada}", json={"role": "king"})).status_code == 422
        found = (await http.get("/v1/accounts", params={"q": browser.name.upper()})).json()["accounts"]
        assert [one["id"] for one in found] == [ada]
        assert (await http.get("/v1/accounts", params={"q": "' OR 1=1"})).json()["accounts"] == []
        assert (await http.get("/v1/accounts", params={"cursor": "x"})).status_code == 422
        link = (await http.post(f"/v1/accounts/{ada}/link")).json()["token"]
        reset = await browser.post("/v1/accounts/accept", json={"token": link, "password": "another good one"})
        assert reset.status_code == 200
        assert (await http.patch(f"/v1/accounts/{ada}", json={"state": "disabled"})).status_code == 200
        assert (await browser.get("/v1/accounts/me")).status_code == 401
        assert (await http.delete(f"/v1/accounts/{ada}")).status_code == 204
        assert (await http.get(f"/v1/accounts/{ada}")).status_code == 404


async def test_teams_over_http(server: Running, http: httpx.AsyncClient) -> None:
    async with signed_in(server) as ada, signed_in(server) as bob:
        made = await ada.post("/v1/teams", json={"name": "engines", "title": HOSTILE[1]}, headers=ada.script)
        team = made.json()
        assert (team["title"], made.headers["location"]) == (HOSTILE[1], f"/v1/teams/{team['id']}")
        path = f"/v1/teams/{team['id']}"
        assert (await bob.get(path)).status_code == 404
        added = await ada.put(f"{path}/members/{bob.name}", json={"role": "member"}, headers=ada.script)
        assert {one["name"] for one in added.json()["members"]} == {ada.name, bob.name}
        assert (await bob.get(path)).json() == added.json()
        assert (await bob.patch(path, json={"title": "x"}, headers=bob.script)).status_code == 403
        key = (await bob.post("/v1/keys", json={"team": team["id"]}, headers=bob.script)).json()
        seen = (await ada.get("/v1/keys", params={"team": team["id"]})).json()["keys"]
        assert [one["id"] for one in seen] == [key["id"]]
        me = (await http.get("/v1/accounts/me", headers={"Authorization": f"Bearer {key['key']}"})).json()
        assert (me["name"], me["team"]) == ("@engines", team["id"])
        assert (await http.post("/v1/teams", json={"name": "x"})).status_code == 403  # nobody's team
        member = next(one["user"] for one in added.json()["members"] if one["name"] == bob.name)
        assert (await bob.delete(f"{path}/members/{member}", headers=bob.script)).status_code == 200
        assert (await ada.get("/v1/keys", params={"team": team["id"]})).json()["keys"][0]["revoked"] is not None
        assert (await ada.delete(path, headers=ada.script)).status_code == 204
        assert (await ada.get("/v1/teams")).json() == {"teams": []}


async def test_the_log_is_searched_by_an_admin_and_each_sees_their_own(server: Running, http: httpx.AsyncClient
                                                                      ) -> None:
    async with signed_in(server) as browser:
        await browser.post("/v1/keys", json={}, headers=browser.script)
        every = (await http.get("/v1/audit", params={"limit": 4})).json()["entries"]
        assert [entry["what"] for entry in every] == ["key.made", "user.signed_in", "user.accepted", "user.invited"]
        assert [entry["name"] for entry in every] == [browser.name] * 3 + [""]
        assert every[3]["who"] == "api-key"
        assert every[0]["address"] == "127.0.0.1"
        page, seen = await http.get("/v1/audit", params={"limit": 2}), []
        seen += page.json()["entries"]
        assert 'rel="next"' in page.headers["link"]
        seen += (await http.get("/v1/audit", params={"limit": 2, "cursor": page.json()["next"]})).json()["entries"]
        assert seen == every
        mine = {"what": "key.", "q": f"127.0 {every[0]['object']}"}
        assert (await http.get("/v1/audit", params=mine)).json()["entries"] == every[:1]
        for text in HOSTILE:
            for name in ("q", "who", "what", "object"):
                assert (await http.get("/v1/audit", params={name: text})).json()["entries"] == []
        assert (await http.get("/v1/audit", params={"q": "a\0b"})).status_code == 422
        own = (await browser.get("/v1/audit")).json()["entries"]
        assert {entry["who"] for entry in own} == {every[0]["who"]}
        assert (await browser.get("/v1/audit", params={"who": "api-key"})).status_code == 403


async def test_a_person_takes_what_is_theirs_and_goes(server: Running, http: httpx.AsyncClient) -> None:
    async with signed_in(server) as browser:
        title = await browser.patch("/v1/accounts/me", json={"title": HOSTILE[0]}, headers=browser.script)
        assert title.json()["title"] == HOSTILE[0]
        half = await browser.patch("/v1/accounts/me", content=b'{"title": "\\ud800"}',
                                   headers=browser.script | {"content-type": "application/json"})
        assert (half.status_code, half.json()["field"]) == (422, "title")
        signs = (await browser.get("/v1/accounts/me/sign-ins")).json()["sign_ins"]
        assert [one["this"] for one in signs] == [True]
        export = await browser.get("/v1/accounts/me/export")
        assert export.json()["user"]["title"] == HOSTILE[0]
        assert "attachment" in export.headers["content-disposition"]
        body = {"old": "wrong", "new": "another good one"}
        assert (await browser.post("/v1/accounts/me/password", json=body, headers=browser.script)).status_code == 403
        wrong = await browser.post("/v1/accounts/me/erase", json={"password": "wrong"}, headers=browser.script)
        assert (wrong.status_code, wrong.json()["field"]) == (403, "password")
        done = await browser.post("/v1/accounts/me/erase", json={"password": PASSWORD}, headers=browser.script)
        assert done.status_code == 204
        assert (await browser.get("/v1/accounts/me")).status_code == 401
        assert (await http.get("/v1/accounts", params={"q": browser.name})).json()["accounts"] == []
        assert (await http.get("/v1/accounts/me/export")).status_code == 409  # the server's key is nobody


async def test_this_machines_owner_needs_nothing_and_others_are_themselves() -> None:
    async with served(accounts=False, api_key=None) as (server, _), httpx.AsyncClient(base_url=server.url) as http:
        me = (await http.get("/v1/accounts/me")).json()
        assert (me["name"], me["user"], me["role"]) == ("anyone", None, "admin")
        key = (await http.post("/v1/keys", json={"scopes": ["media"]})).json()["key"]
        lesser = (await http.get("/v1/accounts/me", headers={"Authorization": f"Bearer {key}"})).json()
        assert (lesser["name"], lesser["scopes"]) == ("server", ["media"])
        await http.post("/v1/accounts/sign-up", json={"name": "ada", "password": PASSWORD})
        assert (await http.get("/v1/accounts/me")).json()["name"] == "ada"


async def test_forms_that_are_too_long_or_wrong_are_refused(server: Running) -> None:
    async with signed_in(server) as browser:
        form = {"content-type": "application/x-www-form-urlencoded"}
        long = await browser.post("/v1/accounts/sign-out", content=b"a=" + b"b" * 70_000, headers=form)
        assert long.status_code == 413
        for content in (b"", b"{", b"[]", b'{"name": 1}', b'{"name": "ada"}', json.dumps({"name": "x" * 300}).encode(),
                        b'{"name": "ada", "password": "\\ud800"}'):
            answer = await browser.post("/v1/accounts/sign-in", content=content)
            assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), content
            assert PASSWORD not in answer.text
        huge = await browser.post("/v1/accounts/sign-in", content=b" " * (2 << 20))
        assert huge.status_code == 413


async def test_many_at_once_neither_fail_nor_hold_the_loop(server: Running, http: httpx.AsyncClient) -> None:
    async with signed_in(server) as browser:
        made = await asyncio.gather(*(browser.post("/v1/keys", json={}, headers=browser.script) for _ in range(10)))
        assert len({answer.json()["key"] for answer in made}) == 10
        names = await asyncio.gather(*(http.post("/v1/accounts", json={"name": "same"}) for _ in range(5)))
        assert sorted(answer.status_code for answer in names) == [201, 409, 409, 409, 409]
