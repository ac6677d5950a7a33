"""/v1/rooms: who may join what, and whose rooms are seen by whom."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.test_callers import keyed, served
from tests.support.janus import meeting

pytestmark = pytest.mark.anyio


async def test_private_addresses_are_for_admins() -> None:
    async with served() as (_, http):
        _, ada = await keyed(http, "ada")
        body = {"url": "ws://127.0.0.1:9", "room": 1}
        refused = await http.post("/v1/rooms", json=body, headers=ada)
        assert (refused.status_code, refused.json()["field"]) == (422, "url")
        refused = await http.post("/v1/rooms", json=body | {"url": "wss://127.0.0.1:9"}, headers=ada)
        assert (refused.status_code, "room_private" in refused.json()["detail"]) == (422, True)
        assert (await http.post("/v1/rooms", json=body)).status_code == 503  # nobody is there
        _, bob = await keyed(http, "bob", scopes=["models:read"])
        refused = await http.post("/v1/rooms", json=body, headers=bob)
        assert (refused.status_code, refused.json()["scope"]) == (403, "media")
        assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("wanted", "field"), [
    ({"room": 1 << 64}, "room"), ({"room": -1}, "room"), ({"room": "9" * 128}, "room"), ({"room": "a\0b"}, "room"),
    ({"room": []}, "room"), ({"room": ""}, "room"), ({"room": True}, "room"), ({"name": "Scribe\n"}, "name"),
    ({"pin": "\x1b[31m"}, "pin"), ({"url": "ws://127.0.0.1:9/#there"}, "url"),
    ({"assistant": {"name": "Computer", "voice": "nosuch"}}, "assistant.voice"),
    ({"assistant": {"name": "Computer", "language": "xx-nosuch"}}, "assistant.language")])
async def test_what_makes_no_sense_is_refused_at_once(wanted: dict[str, Any], field: str) -> None:
    async with served() as (_, http):
        refused = await http.post("/v1/rooms", json={"url": "ws://127.0.0.1:9", "room": 1} | wanted)
        assert (refused.status_code, refused.json()["field"]) == (422, field)


async def test_rooms_are_their_callers_and_end_with_the_key() -> None:
    async with meeting() as held, served(room_private=True) as (_, http):
        guest = await held.guest("Guest")
        key, ada = await keyed(http, "ada")
        _, eve = await keyed(http, "eve")
        joined = await http.post("/v1/rooms", json={"url": held.url, "room": held.room}, headers=ada)
        assert joined.status_code == 201
        assert joined.headers["location"] == f"/v1/rooms/{joined.json()['id']}"
        assert "pin" not in joined.text
        for method, path in (("GET", ""), ("GET", "/captions"), ("GET", "/events"), ("DELETE", "")):
            answer = await http.request(method, joined.headers["location"] + path, headers=eve)
            assert answer.status_code == 404
        assert await listed(http, eve) == []
        assert await listed(http, ada) == await listed(http, {}) == ["joined"]
        for who, code in ((ada, 409), ({}, 409), (eve, 201)):
            again = await http.post("/v1/rooms", json={"url": held.url, "room": held.room}, headers=who)
            assert (again.status_code, joined.json()["id"] in again.text) == (code, code == 409)
        assert (await http.delete(again.headers["location"], headers=eve)).is_success
        assert set(await guest.others()) == {"AI Mass"}
        assert (await http.delete(f"/v1/keys/{key}")).is_success
        await guest.until(lambda: any("leaving" in told for told in guest.told))
        assert await guest.others() == {}


async def listed(http: httpx.AsyncClient, headers: dict[str, Any]) -> list[str]:
    """The states of the rooms that are seen."""
    return [room["state"] for room in (await http.get("/v1/rooms", headers=headers)).json()["rooms"]]
