import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jsonschema
import pytest

from aimass_stream import events
from tests.support.options import settings
from tests.support.server import Running, serve
from tests.support.session import Collector, Idle, open_session, picture

pytestmark = pytest.mark.anyio

KEY = "a key for tests"


@asynccontextmanager
async def served(*, described: bool = False, **options: Any) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    async with (serve(settings(**options), described=described) as server,
                httpx.AsyncClient(base_url=server.url, verify=False) as http):
        yield server, http


async def test_sessions_are_listed_shown_changed_and_ended() -> None:
    async with served() as (server, http):
        session, sink = await open_session(server.node, [{"stage": "blur", "sigma": 2}])
        (listed,) = (await http.get("/v1/sessions")).json()["sessions"]
        shown = (await http.get(f"/v1/sessions/{session.id}")).json()
        assert listed == shown
        assert shown["pipeline"] == [{"stage": "blur", "sigma": 2}]
        assert "token" not in str(shown)
        changed = await http.patch(f"/v1/sessions/{session.id}", json={"stage": {"index": 0, "params": {"sigma": 4}}})
        assert changed.json()["pipeline"] == [{"stage": "blur", "sigma": 4}]
        changed = await http.patch(f"/v1/sessions/{session.id}", json={"pipeline": [], "sync": "lips"})
        assert (changed.json()["pipeline"], changed.json()["sync"]) == ([], "lips")
        session.push(picture(0))
        stats = await http.get(f"/v1/sessions/{session.id}/stats")
        assert stats.json()["drops"] == {}
        assert (await http.delete(f"/v1/sessions/{session.id}")).status_code == 204
        assert sink.closed == "ended by request"
        assert (await http.get("/v1/sessions")).json() == {"sessions": []}


@pytest.mark.parametrize(("change", "field"), [
    ({"pipeline": [{"stage": "blur", "sigma": -1}]}, "pipeline[0].sigma"),
    ({"pipeline": [{"stage": "no such"}]}, "pipeline[0].stage"),
    ({"pipeline": "mirror"}, "pipeline"),
    ({"sync": "eyes"}, "sync"),
    ({"stage": {"index": 5, "params": {}}}, "index"),
    ({"stage": {"index": 0}}, "stage.params"),
    ({"stages": []}, "stages"),
])
async def test_a_wrong_change_is_a_problem_that_names_the_field(change: dict[str, Any], field: str) -> None:
    async with served() as (server, http):
        session, _ = await open_session(server.node, [{"stage": "mirror"}])
        answer = await http.patch(f"/v1/sessions/{session.id}", json=change)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["field"] == field
        assert answer.json()["detail"]
        assert session.spec.json() == [{"stage": "mirror"}]


@pytest.mark.parametrize("name", ["nothing", "s_" + "x" * 22, "%00", "..%2f..", "a" * 2000])
async def test_a_session_id_that_is_none_is_not_found(name: str) -> None:
    async with served() as (_, http):
        for method in ("GET", "DELETE"):
            answer = await http.request(method, f"/v1/sessions/{name}")
            assert answer.status_code in (404, 422)
            assert answer.headers["content-type"] == "application/problem+json"
            assert len(answer.text) < 500


async def test_a_wrong_parameter_is_named_as_the_caller_wrote_it() -> None:
    async with served() as (server, http):
        session, _ = await open_session(server.node)
        answer = await http.get(f"/v1/sessions/{session.id}/transcript", params={"format": "xml"})
        assert (answer.status_code, answer.json()["field"]) == (422, "format")


async def test_text_where_json_belongs_is_a_clear_error() -> None:
    async with served() as (server, http):
        session, _ = await open_session(server.node)
        for body in (b"", b"{", b"\xff\x00", b"[" * 100_000):
            answer = await http.patch(f"/v1/sessions/{session.id}", content=body,
                                      headers={"content-type": "application/json"})
            assert answer.status_code in (400, 422), body[:10]
            assert answer.headers["content-type"] == "application/problem+json"
        broken = await http.patch(f"/v1/sessions/{session.id}", content=b"{bad",
                                  headers={"content-type": "application/json"})
        assert "not JSON" in broken.json()["detail"]
        assert broken.json()["field"] is None
        form = await http.patch(f"/v1/sessions/{session.id}", content=b'{"sync": "lips"}',
                                headers={"content-type": "application/x-www-form-urlencoded"})
        assert form.status_code == 415
        assert "Content-Type: application/json" in form.json()["detail"]
        assert (await http.get("/v1/stream")).status_code == 426


async def test_a_key_is_asked_for_where_one_is_set() -> None:
    async with served(api_key=KEY) as (_, http):
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": KEY}, {"authorization": "Bearer"}):
            answer = await http.get("/v1/sessions", headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/v1/stages", "/v1/config", "/v1/events", "/metrics"):
            assert (await http.get(path)).status_code == 401
            assert (await http.get(path, headers={"authorization": f"Bearer {KEY}"})).status_code == 200
        assert (await http.get("/healthz")).status_code == 200


async def test_other_peoples_pages_are_kept_out() -> None:
    async with served(origins=["https://friend.example"]) as (server, http):
        session, _ = await open_session(server.node)
        path = f"/v1/sessions/{session.id}"
        for origin, status in (
            ("https://evil.example", 403), ("null", 403), ("http://127.0.0.1:1", 403),
            (server.url, 200), ("https://friend.example", 200),
        ):
            answer = await http.patch(path, json={"sync": "lips"}, headers={"origin": origin})
            assert answer.status_code == status, origin
        rebound = await http.get("/v1/sessions", headers={"host": "evil.example"})
        assert rebound.status_code == 403
        preflight = await http.options(path, headers={"origin": "https://friend.example",
                                                      "access-control-request-method": "DELETE",
                                                      "access-control-request-headers": "resume-token"})
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://friend.example"


async def test_stages_are_listed_with_their_schemas() -> None:
    async with served() as (_, http):
        stages = {stage["name"]: stage for stage in (await http.get("/v1/stages")).json()["stages"]}
        assert {"mirror", "rotate", "crop", "gray", "edges", "cartoon", "blur", "text", "gain", "mute", "level",
                "delay", "fps"} <= set(stages)
        for stage in stages.values():
            await asyncio.to_thread(jsonschema.Draft202012Validator.check_schema, stage["params"])
            assert stage["title"]
            assert stage["doc"]
            for name, parameter in stage["params"].get("properties", {}).items():
                assert "default" in parameter, (stage["name"], name)


async def test_events_match_the_schemas_that_are_told() -> None:
    async with served() as (server, http):
        schemas = (await http.get("/v1/events")).json()
        assert set(schemas) == set(events.EVENTS)
        session, sink = await open_session(server.node)
        await session.update(sync="lips")
        await session.control({"type": "no such"})
        session.event(session.stats())
        await session.close("done")
        assert {"session.created", "session.updated", "error", "session.stats", "session.ended"} <= {
            event.type for event in sink.events}
        for event in sink.events:
            jsonschema.validate(event.data, schemas[event.type])


async def test_health_ready_and_metrics() -> None:
    async with served(max_sessions=1) as (server, http):
        assert (await http.get("/readyz")).json()["state"] == "ready"
        session = await server.node.open(_empty(), caller=_caller(), transport="test")
        await session.attach(Idle(), Collector())
        session.push(picture(0))
        full = await http.get("/readyz")
        assert (full.status_code, full.json()["state"]) == (503, "full")
        text = (await http.get("/metrics")).text
        assert 'aimass_sessions{transport="test"} 1.0' in text
        for name in ("hop_seconds", "queue_age_seconds", "drops_total", "jitter_buffer_seconds", "loop_lag_seconds",
                     "concealed_samples_total", "rtcp_total", "encode_seconds", "decode_seconds", "memory_bytes"):
            assert f"aimass_{name}" in text


async def test_the_interface_is_described() -> None:
    async with served(described=True) as (_, http):
        described = (await http.get("/openapi.json")).json()
        assert described["openapi"].startswith("3.1")
        paths = described["paths"]
        for path in ("/v1/webrtc/offer", "/v1/sessions", "/v1/sessions/{session_id}", "/v1/stages", "/v1/whip",
                     "/v1/whep/{session_id}"):
            assert path in paths
        for path, methods in paths.items():
            for method, operation in methods.items():
                assert operation["responses"], (path, method)
        unknown = await http.get("/v1/nothing")
        assert unknown.status_code == 404
        assert unknown.headers["content-type"] == "application/problem+json"


def _empty() -> Any:
    from aimass_stream.spec import PipelineSpec

    return PipelineSpec()


def _caller() -> Any:
    from tests.support.session import CALLER

    return CALLER
