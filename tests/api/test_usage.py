"""GET /v1/usage: what inference and sessions cost, told by model and time, and only to those whose it is."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from aimass_stream.api.usage import _called, _scope
from aimass_stream.errors import Forbidden
from aimass_stream.ports import SCOPES, Caller
from tests.support.accounts import opened, person
from tests.support.apps import manifest
from tests.support.options import settings
from tests.support.server import serve

pytestmark = pytest.mark.anyio


async def test_keys_of_others_are_told_with_whose_they_are(tmp_path: Path) -> None:
    async with opened(tmp_path) as accounts:
        ada, bob = await person(accounts, "ada"), await person(accounts, "bob")
        mine, his = [(await accounts.parts.keys.make(who, "laptop"))[0].id for who in (ada, bob)]
        told = [_called(accounts.directory, one, ada) for one in (mine, his, "key_none")]
        assert told == ["laptop", "laptop, bob", ""]


async def test_what_was_asked_is_told_by_model_and_time(tmp_path: object) -> None:
    async with (serve(settings(data_dir=tmp_path)) as server,
                httpx.AsyncClient(base_url=server.url, timeout=60) as http):
        for _ in range(3):
            assert (await http.post("/predict/sign-digits", json={"input": [0.5] * 42})).status_code == 200
        assert (await http.post("/predict/sign-digits", json={"input": [0.5]})).status_code == 422
        points = {"inputs": [{"name": "points", "shape": [1, 42], "datatype": "FP32", "data": [0] * 42}]}
        assert (await http.post("/v2/models/sign-digits/infer", json=points)).status_code == 200
        await server.state.usage.write()
        told = (await http.get("/v1/usage?by=model")).json()
        assert (told["span"], told["next"]) == ("hour", None)
        [row] = told["rows"]
        assert (row["value"], row["requests"], row["errors"]) == ("sign-digits", 5, 1)
        assert 0 < row["latency"]["p50"] <= row["latency"]["p95"] <= row["latency"]["p99"]
        times = (await http.get(f"/v1/usage?by=time&from=0&to={time.time() + 10}")).json()
        assert (times["span"], [each["requests"] for each in times["rows"]]) == ("day", [5])
        assert (await http.get("/v1/usage?from=0&to=10")).json()["rows"] == []
        for wrong in ("from=2&to=1", "from=nan", "to=inf", "from=-1", "by=secret", "cursor=x", "limit=0",
                      "by=time&cursor=WyJ4Il0", "to=1e300"):
            assert (await http.get(f"/v1/usage?{wrong}")).status_code == 422, wrong


async def test_apps_are_told_by_name(tmp_path: Path) -> None:
    async with (serve(settings(data_dir=tmp_path)) as server,
                httpx.AsyncClient(base_url=server.url, timeout=60) as http):
        catalogue, ada = server.state.apps.catalogue, Caller("ada", user="usr_ada")
        one, two = [(await catalogue.create(ada, manifest()))[0] for _ in range(2)]
        for seconds, app in enumerate((one.id, two.id, "app_gone")):
            server.state.usage.meter.request(ada, "", seconds / 100, app=app)
        await server.state.usage.write()
        rows = (await http.get("/v1/usage?by=app")).json()["rows"]
        assert {row["value"]: row["title"] for row in rows} == {
            one.id: "Soft focus", two.id: f"Soft focus ({two.slug})", "app_gone": ""}
        page = (await http.get("/usage")).text
        for app, name in ((one.id, "Soft focus"), (two.id, f"Soft focus ({two.slug})")):
            assert f'<a href="/apps/{app}">{name}</a>' in page
        assert "<td>app_gone</td>" in page
        assert "Of Soft focus alone." in (await http.get(f"/usage?of={one.id}")).text
        stranger = Caller("bob", user="usr_bob")
        assert await catalogue.called(stranger, [one.id, two.id]) == {}  # a draft's name is not theirs to see


def test_others_do_not_see_it() -> None:
    ada = Caller("ada", id="key_1", user="usr_ada", team="team_1")
    assert [_scope(ada, of) for of in (None, "usr_ada", "team_1", "key_1")] == ["usr_ada", "usr_ada", "team_1", "key_1"]
    for of in ("usr_bob", "", "key_2"):
        with pytest.raises(Forbidden):
            _scope(ada, of)
    admin = Caller("root", role="admin", scopes=SCOPES)
    assert [_scope(admin, of) for of in (None, "usr_ada")] == ["", "usr_ada"]
