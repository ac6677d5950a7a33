"""A conversation whose microphone's sound goes through an app."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.realtime import talking
from tests.transports.realtime.place import server
from tests.transports.realtime.test_session import refused

pytestmark = pytest.mark.anyio

APP = {"name": "Quiet", "pipeline": [{"stage": "gain", "id": "level", "db": -3}],
       "parameters": {"level": {"path": "level.db", "minimum": -20, "maximum": 0}}, "permissions": ["microphone"]}


def query(app_id: str, **more: Any) -> str:
    return "?" + "&".join(f"{key}={quote(value)}" for key, value in ({"app_id": app_id} | more).items())


async def test_an_app_brings_the_pipeline_and_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch) as (running, _), httpx.AsyncClient(base_url=running.url) as http:
        made = await http.post("/v1/apps", json={"manifest": APP})
        assert made.status_code == 201, made.text
        app = made.json()["app_id"]
        async with talking(running.ws_url, query(app, parameters=json.dumps({"level": -6}))) as talk:
            [session] = running.node.sessions()
            assert session.app is not None
            assert (session.app.id, session.spec.json()) == (app, [{"stage": "gain", "id": "level", "db": -6}])
            error = await talk.error("session.update", session={"type": "realtime", "aimass": {
                "pipeline": [{"stage": "gain", "db": 20}]}})
            assert "app" in error["message"]
            await talk.send("session.update", session={"type": "realtime", "instructions": "Be kind."})
            assert (await talk.until("session.updated"))["session"]["instructions"] == "Be kind."
            assert session.spec.json()[0]["db"] == -6
        url = f"{running.ws_url}/v1/realtime"
        for wrong, field in ((query("app_nobody"), "app_id"), (query(app, parameters="{"), "parameters"),
                             (query(app, parameters='{"level": 7}'), "parameters.level"),
                             ("?parameters={}", "parameters")):
            status, _, body = await refused(url + wrong)
            assert (status, json.loads(body)["field"]) == (404 if field == "app_id" else 422, field)
        call = await http.post("/v1/realtime/calls", params={"app_id": "app_nobody"}, content=b"v=0",
                               headers={"Content-Type": "application/sdp"})
        assert call.status_code in (404, 422)
