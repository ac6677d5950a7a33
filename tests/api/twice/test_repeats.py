"""Idempotency keys over HTTP: the same request twice is done once, whoever and whatever it creates."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

import aimass_stream.hub.hub
import aimass_stream.store.repeats  # noqa: F401
from tests.support.accounts import PASSWORD
from tests.support.server import Running

pytestmark = pytest.mark.anyio


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


async def test_the_same_request_again_has_the_first_answer(http: httpx.AsyncClient) -> None:
    body = {"name": "perch", "title": "Perch"}
    first = await http.post("/v1/hub/models", json=body, headers=key("a"))
    again = await http.post("/v1/hub/models", json=body, headers=key("a"))
    assert (first.status_code, again.status_code) == (201, 201), again.text
    assert again.content == first.content
    assert {name: again.headers[name] for name in ("location", "etag", "content-type")} == {
        name: first.headers[name] for name in ("location", "etag", "content-type")}
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert (await http.post("/v1/hub/models", json=body)).status_code == 409  # without it: the name is taken
    other = await http.post("/v1/hub/models", json=body | {"title": "Pike"}, headers=key("a"))
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")
    elsewhere = await http.post("/v1/uploads", json=body, headers=key("a"))
    assert elsewhere.status_code == 422


@pytest.mark.parametrize(("path", "body"), [
    ("/v1/hub/models/roach/comments", {"text": "good"}), ("/v1/uploads", {"name": "model.onnx", "size": 10}),
    ("/v1/requests", {"kind": "model", "subject": "Fish"}),
    ("/v1/apps", {"manifest": {"name": "Soft", "pipeline": [{"stage": "blur"}]}})])
async def test_whatever_it_creates(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    if "roach" in path:
        assert (await http.post("/v1/hub/models", json={"name": "roach"})).status_code == 201
    answers = [await http.post(path, json=body, headers=key(path)) for _ in range(3)]
    assert [each.status_code for each in answers] == [201] * 3, answers[0].text
    assert len({each.content for each in answers}) == 1
    assert (await http.post(path, json=body, headers=key("another"))).content != answers[0].content


async def test_of_many_at_once_one_is_done(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.post("/v1/hub/models", json={"name": "carp"}, headers=key("many"))
                                     for _ in range(6)))
    done = [each for each in answers if each.status_code == 201]
    assert done
    assert len({each.content for each in done}) == 1
    for each in answers:
        if each.status_code != 201:
            assert (each.status_code, each.headers["retry-after"]) == (409, "1")


async def test_a_refusal_is_not_kept(http: httpx.AsyncClient) -> None:
    assert (await http.post("/v1/hub/models", json={"name": "No!"}, headers=key("refused"))).status_code == 422
    assert (await http.post("/v1/hub/models", json={"name": "tench"}, headers=key("refused"))).status_code == 201


async def test_a_secret_is_answered_once_and_kept_nowhere(http: httpx.AsyncClient, server: Running) -> None:
    first = await http.post("/v1/keys", json={"title": "mine"}, headers=key("secret"))
    again = await http.post("/v1/keys", json={"title": "mine"}, headers=key("secret"))
    assert first.status_code == 201
    assert again.status_code == 409
    assert (again.json()["field"], again.json()["location"]) == ("Idempotency-Key", first.headers["location"])
    assert first.json()["key"] not in again.text
    files = [file.read_bytes() for file in server.node.settings.data_dir.iterdir() if file.is_file()]
    assert not any(first.json()["key"].encode() in content for content in files)
    assert len((await http.get("/v1/keys")).json()["keys"]) == 1


async def test_a_key_is_its_callers_own(http: httpx.AsyncClient, server: Running) -> None:
    tokens = {}
    for name in ("ann", "ben"):
        async with httpx.AsyncClient(base_url=server.url) as browser:
            signed = await browser.post("/v1/accounts/sign-up", json={"name": name, "password": PASSWORD})
            assert signed.status_code == 201, signed.text
            script = {"X-CSRF-Token": signed.json()["csrf_token"]}
            assert (await browser.post("/v1/keys", json={}, headers=key("x"))).status_code == 403  # without the token
            made = await browser.post("/v1/keys", json={}, headers=key("x") | script)
            tokens[name] = {"Authorization": f"Bearer {made.json()['key']}"}
    asked = [await http.post("/v1/requests", json={"kind": "other", "subject": "More"}, headers=key("mine") | token)
             for token in tokens.values()]
    assert [each.status_code for each in asked] == [201, 201]
    assert asked[0].json()["user"] != asked[1].json()["user"]
    token = (await http.post("/v1/connect-tokens", headers=tokens["ann"])).json()["token"]
    refused = await http.post("/v1/requests", json={"kind": "other", "subject": "More"},
                              headers=key("mine") | {"Authorization": f"Bearer {token}"})
    assert refused.status_code == 403


@pytest.mark.parametrize("given", ["", "x" * 256, "tab\there", "caf\u00e9"])
async def test_what_is_no_key(http: httpx.AsyncClient, given: str) -> None:
    answer = await http.post("/v1/hub/models", json={"name": "eel"}, headers={
        b"idempotency-key": given.encode("latin-1")})
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")


async def test_long_bodies_and_json_that_is_none(http: httpx.AsyncClient) -> None:
    for size, status in ((1024 * 1024 + 1, 413), (10, 422)):
        answer = await http.post("/v1/hub/models", content=b"{" * size, headers=key("long") | {
            "Content-Type": "application/json"})
        assert answer.status_code == status
