"""What was seen already is not sent again, and what somebody else changed meanwhile is not overwritten: everywhere."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

import aimass_stream.apps.apps
import aimass_stream.hub.hub  # noqa: F401
from aimass_stream.client import Client
from aimass_stream.errors import Stale
from tests.support import model_hub
from tests.support.accounts import OWNER, PASSWORD
from tests.support.model_files import linear
from tests.support.server import Running

pytestmark = pytest.mark.anyio

MANIFEST = {"name": "Soft", "pipeline": [{"stage": "blur", "sigma": 4}]}


async def signed_in(http: httpx.AsyncClient, name: str) -> dict[str, str]:
    made = await http.post("/v1/accounts/sign-up", json={"name": name, "password": PASSWORD},
                           headers={"Authorization": ""})
    assert made.status_code == 201, made.text
    http.cookies.clear()
    cookies = "; ".join(f"{key}={value}" for key, value in made.cookies.items())
    return {"Authorization": "", "Cookie": cookies, "X-CSRF-Token": made.json()["csrf_token"]}


async def held(http: httpx.AsyncClient, where: str, method: str, bodies: list[dict[str, Any]],
               by: dict[str, str] | None = None) -> None:
    """A resource with what two people change: the second one has not seen the first one's change."""
    first = await http.get(where, headers=by)
    assert first.status_code == 200, first.text
    tag = first.headers["etag"]
    same = await http.get(where, headers=(by or {}) | {"If-None-Match": f'"other", {tag}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)

    async def change(body: dict[str, Any], seen: str) -> httpx.Response:
        return await http.request(method, where, json=body, headers=(by or {}) | {"If-Match": seen})

    mine, theirs = await asyncio.gather(*(change(body, tag) for body in bodies))
    assert sorted((mine.status_code, theirs.status_code)) == [200, 412], (mine.text, theirs.text)
    won, lost = (mine, theirs) if theirs.status_code == 412 else (theirs, mine)
    assert lost.json()["field"] == "If-Match"
    assert won.headers["etag"] != tag
    again = await http.get(where, headers=(by or {}) | {"If-None-Match": tag})
    assert (again.status_code, again.headers["etag"].partition("-")[0]) == (200, won.headers["etag"].partition("-")[0])
    body = bodies[0]
    assert (await change(body, won.headers["etag"])).status_code == 200
    assert (await change(body, '"foreign"')).status_code == 412
    assert (await change(body, "*")).status_code == 200
    for wrong in ("abc", '"1", "2"', '"half'):
        refused = await change(body, wrong)
        assert (refused.status_code, refused.json()["field"]) == (422, "If-Match")


TITLES = [{"title": "One"}, {"title": "Two"}]


async def test_models(http: httpx.AsyncClient) -> None:
    assert (await http.post("/v1/hub/models", json={"name": "pike"})).status_code == 201
    await held(http, "/v1/hub/models/pike", "PATCH", TITLES)


async def test_deployments(http: httpx.AsyncClient, server: Running) -> None:
    server.state.hub.importer._examined = model_hub._examined  # which is not what is tested here
    await model_hub.submitted(server.state.hub, "roach", {"model.onnx": linear(bias=1)}, OWNER)
    where = "/v1/hub/models/roach/aliases/production"
    assert (await http.get(where)).status_code == 404
    assert (await http.put(where, json={"version": 1}, headers={"If-Match": '"1"'})).status_code == 412
    assert (await http.put(where, json={"version": 1})).status_code == 200
    await held(http, where, "PUT", [{"version": 1}, {"version": 1}])


async def test_drafts_of_apps(http: httpx.AsyncClient) -> None:
    made = await http.post("/v1/apps", json={"manifest": MANIFEST})
    assert made.status_code == 201, made.text
    where, tag = made.headers["location"], made.headers["etag"]
    draft = f"{where}/versions/1"
    page = (await http.get(where)).headers["etag"]  # of the page, which shows the same and more
    assert (await http.get(where, headers={"If-None-Match": page})).status_code == 304
    change = {"manifest": MANIFEST | {"summary": "1"}}
    assert (await http.put(draft, json=change, headers={"If-Match": page})).status_code == 200
    for seen in (page, tag, '"2000001"'):
        assert (await http.put(draft, json=change, headers={"If-Match": seen})).status_code == 412


async def test_teams_keys_and_accounts(http: httpx.AsyncClient) -> None:
    zoe = await signed_in(http, "zoe")
    team = (await http.post("/v1/teams", json={"name": "anglers"}, headers=zoe)).headers["location"]
    await held(http, team, "PATCH", TITLES, zoe)
    key = (await http.post("/v1/keys", json={}, headers=zoe)).headers["location"]
    await held(http, key, "PATCH", TITLES, zoe)
    await held(http, f"/v1/accounts/{(await http.get('/v1/accounts/me', headers=zoe)).json()['user']['id']}", "PATCH",
               TITLES)
    await held(http, "/v1/accounts/me", "PATCH", TITLES, zoe)


async def test_sessions(http: httpx.AsyncClient, server: Running) -> None:
    async with Client(server.url, server.node.settings.api_key) as client, client.stream(video="jpeg") as session:
        await held(http, f"/v1/sessions/{session.id}", "PATCH", [
            {"pipeline": [{"stage": "blur", "sigma": 2}]}, {"pipeline": [{"stage": "mirror"}]}])


async def test_the_client_says_stale(server: Running) -> None:
    async with Client(server.url, server.node.settings.api_key) as client:
        first = await client.models.create("bream")
        await client.models.change("bream", title="Bream", revision=first.revision)
        with pytest.raises(Stale):
            await client.models.change("bream", title="Bird", revision=first.revision)
