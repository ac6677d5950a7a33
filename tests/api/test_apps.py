"""The app centre over HTTP, and sessions that are begun by an app's id on every transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from aimass_stream.ports import ROLES, Caller
from tests.support.apps import REVIEWER, manifest
from tests.support.options import settings
from tests.support.rtc import Camera, Client
from tests.support.server import Running, serve
from tests.support.sockets import HELLO, joined, refusal
from tests.support.waiting import until
from tests.support.whip_client import WhipClient

pytestmark = pytest.mark.anyio

ADA = Caller("ada", user="usr_ada", role="developer", scopes=ROLES["developer"])
BOB = Caller("bob", user="usr_bob", scopes=ROLES["user"])
PEOPLE = {"ada": ADA, "bob": BOB, "rita": REVIEWER}


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    """A server that knows three people by the word that they show as their key."""
    async with serve(settings(**options)) as server, httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        authorize = server.state.accounts.authorize

        def known(authorization: str | None, **rest: Any) -> Caller:
            caller = PEOPLE.get((authorization or rest.get("token") or "").removeprefix("Bearer "))
            return caller if caller is not None else authorize(authorization, **rest)

        server.state.accounts.authorize = known
        yield server, http


def by(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


async def publish(http: httpx.AsyncClient, slug: str = "soft", **changes: Any) -> str:
    """By ada and rita; its id."""
    made = await http.post("/v1/apps", json={"slug": slug, "manifest": manifest(**changes)}, headers=by("ada"))
    assert made.status_code == 201, made.text
    where = made.headers["location"]
    for step, who in (("submit", "ada"), ("approve", "rita"), ("publish", "ada")):
        answer = await http.post(f"{where}/versions/1/{step}", headers=by(who),
                                 json={} if step == "approve" else None)
        assert answer.status_code == 200, answer.text
    return where.rpartition("/")[2]


async def test_the_way_of_an_app_over_http() -> None:
    async with served() as (_, http):
        made = await http.post("/v1/apps", json={"manifest": manifest()}, headers=by("ada"))
        where, tag = made.headers["location"], made.headers["etag"]
        assert (await http.get(where, headers=by("bob"))).status_code == 404
        draft = f"{where}/versions/1"
        changed = await http.put(draft, json={"manifest": manifest(name="Softer")}, headers=by("ada") | {
            "If-Match": tag})
        assert changed.json()["manifest"]["name"] == "Softer"
        stale = await http.put(draft, json={"manifest": manifest()}, headers=by("ada") | {"If-Match": tag})
        assert (stale.status_code, stale.json()["field"]) == (412, "If-Match")
        for path, who, status in (("submit", "bob", 403), ("submit", "ada", 200), ("publish", "ada", 409),
                                  ("approve", "ada", 403)):
            answer = await http.post(f"{draft}/{path}", headers=by(who), json={} if path == "approve" else None)
            assert answer.status_code == status, (path, answer.text)
        (waiting,) = (await http.get("/v1/apps/queue", headers=by("rita"))).json()["waiting"]
        assert (waiting["app"]["name"], waiting["own"]) == ("Softer", False)
        rejected = await http.post(f"{draft}/reject", headers=by("rita"), json={"reason": "say what it is for"})
        assert rejected.json()["state"] == "rejected"
        assert (await http.get(where, headers=by("ada"))).json()["reason"] == "say what it is for"
        for path, who in (("submit", "ada"), ("approve", "rita"), ("publish", "ada")):
            await http.post(f"{draft}/{path}", headers=by(who), json={} if path == "approve" else None)
        shown = (await http.get("/v1/apps/soft-focus", headers=by("bob"))).json()
        assert (shown["state"], shown["mine"], shown["permissions"]) == ("published", False, ["camera"])
        assert shown["schema"]["properties"]["softness"]["maximum"] == 20
        assert [app["slug"] for app in (await http.get("/v1/apps", headers=by("bob"))).json()["apps"]] == ["soft-focus"]
        assert (await http.delete(where, headers=by("ada"))).status_code == 409
        assert (await http.post(f"{where}/unpublish", headers=by("ada"))).json()["state"] == "retired"
        assert (await http.delete(where, headers=by("ada"))).status_code == 204
        entries = (await http.get("/v1/audit", params={"what": "app."})).json()["entries"]
        assert [entry["what"] for entry in entries][:3] == ["app.deleted", "app.unpublished", "app.published"]


async def test_a_websocket_session_by_an_app() -> None:
    async with served() as (server, http):
        app = await publish(http)
        hello = HELLO | {"app_id": "soft", "parameters": {"softness": 7}}
        async with joined(server.ws_url, hello, additional_headers=by("bob")) as socket:
            created = await socket.event("session.created")
            assert [stage.get("sigma") for stage in created["data"]["pipeline"]] == [7, None]
            session = server.node.get(socket.hello["session_id"])
            assert session.json()["app_id"] == app
            await socket.say({"type": "session.update", "id": "1", "parameters": {"words": "EXIT"}})
            updated = await socket.event("session.updated")
            assert [stage.get("text") for stage in updated["data"]["pipeline"]] == [None, "EXIT"]
            for message in ({"type": "session.update", "pipeline": []}, {"type": "stage.update", "index": 0,
                            "params": {"sigma": 100}}, {"type": "session.update", "parameters": {"sigma": 1}},
                            {"type": "session.update", "parameters": {"softness": 100}}):
                await socket.say(message)
                assert (await socket.event("error"))["data"]["status"] in (403, 422)
            path = f"/v1/sessions/{session.id}"
            patched = await http.patch(path, json={"parameters": {"softness": 3}})
            assert patched.json()["pipeline"][0]["sigma"] == 3
            assert (await http.patch(path, json={"pipeline": []})).status_code == 403
            await socket.picture(1)
            assert session.spec.json()[1]["text"] == "EXIT"
        for wrong, code in ((hello | {"app_id": "none"}, 4404), (hello | {"parameters": {"x": 1}}, 4422),
                            (hello | {"pipeline": []}, 4422), (HELLO | {"parameters": {}}, 4422)):
            assert (await refusal(server.ws_url, wrong))[1] == code


async def test_a_draft_is_its_makers_and_reviewers_and_lists_go_on_where_they_ended() -> None:
    async with served() as (server, http):
        where = (await http.post("/v1/apps", json={"manifest": manifest()}, headers=by("ada"))).headers["location"]
        hello = HELLO | {"app_id": where.rpartition("/")[2]}
        for who in ("ada", "rita"):
            async with joined(server.ws_url, hello, additional_headers=by(who)) as socket:
                assert (await socket.event("session.created"))["data"]["pipeline"][0]["stage"] == "blur"
        assert (await refusal(server.ws_url, hello | {"token": "bob"}))[1] == 4404
        for number in range(3):
            await publish(http, f"app{number}", name=f"App {number}")
        for sort in ("new", "used", "name"):
            seen, cursor = [], None
            for _ in range(3):
                page = (await http.get("/v1/apps", params={"sort": sort, "limit": 1} | (
                    {"cursor": cursor} if cursor else {}))).json()
                seen += [app["slug"] for app in page["apps"]]
                cursor = page["next"]
            assert (sorted(seen), cursor) == (["app0", "app1", "app2"], None)


async def test_webrtc_and_whip_sessions_by_an_app() -> None:
    async with served() as (server, http):
        await publish(http)
        async with Client(server.url, receive=("video",)) as client:
            await client.connect(None, app_id="soft", parameters={"softness": 5})
            (session,) = server.node.sessions()
            assert session.spec.json()[0]["sigma"] == 5
        whip = WhipClient(f"{server.url}/v1/whip?app_id=soft&parameters=%7B%22softness%22%3A6%7D",
                          camera=await asyncio.to_thread(Camera, 160, 120))
        async with whip:
            await whip.start()
            session = server.node.get(whip.resource.rsplit("/", 1)[1])
            assert session.spec.json()[0]["sigma"] == 6
        refused = await http.post("/v1/whip?app_id=soft&parameters=[]", content="v=0", headers={
            "Content-Type": "application/sdp"})
        assert refused.status_code == 422


async def test_an_app_is_asked_probed_and_looked_after_and_so_is_the_operator() -> None:
    async with served() as (_, http):
        await publish(http)
        answer = await http.post("/v1/apps/soft/run", headers=by("bob"), json={
            "input": {"picture": {"draw": "EXIT"}, "count": 1}, "parameters": {"softness": 9}})
        assert answer.status_code == 200, answer.text
        assert answer.json()["frames"] == {"video": 1}
        wrong = await http.post("/v1/apps/soft/run", headers=by("bob"), json={"input": {"text": "a"},
                                                                             "parameters": {"sigma": 9}})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "parameters.sigma")
        assert (await http.post("/v1/apps/soft/probe", headers=by("ada"))).json()["passed"]
        health = (await http.get("/v1/apps/soft/health", headers=by("ada"))).json()
        assert (health["runs"], health["failed"], health["probe"]) == (1, 0, None)
        assert (await http.get("/v1/apps/soft/health", headers=by("bob"))).status_code == 403

        made = await http.post("/v1/requests", headers=by("bob"), json={"kind": "quota", "subject": "More minutes"})
        where = made.headers["location"]
        assert (await http.get("/v1/requests", headers=by("ada"))).json()["requests"] == []
        assert (await http.get("/v1/requests?all=true", headers=by("bob"))).status_code == 403
        (asked,) = (await http.get("/v1/requests?all=true")).json()["requests"]
        assert asked["subject"] == "More minutes"
        answered = await http.post(f"{where}/answer", json={"state": "granted", "answer": "you have them"})
        assert answered.status_code == 200, answered.text
        assert (await http.get(where, headers=by("bob"))).json()["answer"] == "you have them"
        assert (await http.delete(where, headers=by("bob"))).status_code == 409


async def test_a_new_server_has_the_apps_to_start_from() -> None:
    async with served(builtin_apps=True) as (_, http):
        await until(lambda: "apps to start from" not in {task.get_name() for task in asyncio.all_tasks()}, 60)
        assert len((await http.get("/v1/apps")).json()["apps"]) == 6
        (first, *_) = (await http.get("/v1/apps?sort=featured")).json()["apps"]
        shown = (await http.get(f"/v1/apps/{first['slug']}")).json()
        assert (shown["state"], shown["embed"]) == ("published", [])
        assert shown["schema"]["properties"]


async def test_what_is_no_text_or_no_app_is_refused_in_words() -> None:
    async with served() as (_, http):
        await publish(http)
        half = '"\\ud800"'
        for path, content, status in (
                ("/v1/apps", f'{{"manifest": {{"name": {half}}}}}', 422),
                ("/v1/apps", '{"manifest": {"name": "a", "pipeline": [{"stage": "text", "text": ' + half + "}]}}", 422),
                ("/v1/apps", f'{{"manifest": {{{half}: 1}}}}', 422),
                ("/v1/apps", '{"manifest": ' + '{"pipeline": ' * 900 + "1" + "}" * 901, 422),
                ("/v1/apps", '{"manifest": {"name": "a", "latency_ms": 1e400}}', 422),
                ("/v1/apps/soft/run", f'{{"input": {{"text": "a"}}, "parameters": {{{half}: 1}}}}', 422),
                ("/v1/apps/soft/run", f'{{"input": {{{half}: 1}}}}', 422),
                ("/v1/apps/soft@x/run", '{"input": {"text": "a"}}', 422),
                ("/v1/apps/soft%00/run", '{"input": {"text": "a"}}', 404),
                ("/v1/apps/soft@999/run", '{"input": {"text": "a"}}', 404),
                ("/v1/requests", f'{{"kind": "model", "subject": {half}}}', 422),
                ("/v1/requests/req%00_1/answer", '{"state": "granted"}', 404)):
            answer = await http.post(path, content=content, headers={"Content-Type": "application/json"})
            assert answer.status_code == status, (path, content[:60], answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
        for query in ("q=%00'%25", "cursor=bm8", "sort=used&cursor=WzEsMl0"):
            assert (await http.get(f"/v1/apps?{query}")).status_code in (200, 422)
