"""What is code: who may decide on it, what an approval is of, and what is read of it before."""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass_stream.errors import Conflict, Forbidden, InvalidInput, Unavailable
from aimass_stream.hub.examine import examine
from aimass_stream.hub.formats import recognise
from aimass_stream.hub.quarantine import approved, digest, is_own
from aimass_stream.hub.records import Change, Deployment, File, HubModel, Version
from aimass_stream.ports import SCOPES, Caller
from aimass_stream.sandbox.cells import ways
from aimass_stream.spec import PipelineSpec
from tests.support.hostile import pickled
from tests.support.model_hub import ADA, ADMIN, BOB, TEAM, checked, opened, submitted

X = {"x": np.ones((1, 2), np.float32)}
TOLD: dict[str, Any] = {"inputs": [{"name": "x", "shape": ["n", 2]}], "example": {"x": [[1, 2]]},
                        "task": "noise-suppression", "capabilities": {"batchable": False}}
TWICE = pickled("def f(x): return 2 * x")
MODEL = HubModel("mdl_1", "fish", "usr_ada", "public", False, "", "", "", (), "", 1, 0, 0, 0, None, 0)
VERSION = Version("ver_1", "mdl_1", "fish", 1, "quarantined", "it acts", "", 0, "usr_ada", "pickle", "", 5,
                  files=(File("m.pkl", "a" * 64, 5), File("model.toml", "b" * 64, 5)))


@pytest.mark.parametrize(("caller", "owner", "creator", "own"), [
    (ADA, "usr_ada", "usr_ada", True), (BOB, "usr_ada", "usr_ada", False), (ADA, "team_1", "usr_ada", True),
    (TEAM, "team_1", "usr_ada", True), (ADMIN, "usr_ada", "usr_ada", False),
    (Caller("anyone", role="admin", scopes=SCOPES), "", "", False),
    (Caller("api-key", role="admin", scopes=SCOPES), "", "", True),
    (Caller("anyone", user="usr_x", scopes=SCOPES), "usr_x", "usr_x", True)])
def test_whose_own_it_is(caller: Caller, owner: str, creator: str, own: bool) -> None:
    assert is_own(caller, replace(MODEL, owner=owner), replace(VERSION, creator=creator)) is own


def test_an_approval_is_of_its_files() -> None:
    assert not approved(VERSION)
    good = replace(VERSION, facts={"code": {"approved": 1.0, "files": digest(VERSION.files)}})
    assert approved(good)
    assert approved(replace(good, files=good.files[:1]))  # the manifest is ours
    for files in ((File("m.pkl", "c" * 64, 5),), (File("n.pkl", "a" * 64, 5),), ()):
        with pytest.raises(Conflict, match="not those that were approved"):
            approved(replace(good, files=files))


def told(place: Path, approved: bool = False, **said: Any) -> dict[str, Any]:
    [*_, last] = examine(str(place), "", said, 1 << 30, approved)
    result: dict[str, Any] = json.loads(last)["result"]
    return result


def test_a_manifest_in_the_folder_waits_with_it(tmp_path: Path) -> None:
    place = tmp_path / "fish@1"
    place.mkdir()
    (place / "m.pkl").write_bytes(TWICE)
    (place / "model.toml").write_text('title = "Fish"\ncard = {accuracy = 0.9}\n')
    assert told(place)["state"] == "quarantined"
    result = told(place, True)
    assert (result["state"], result["engine"]) == ("approved", "aimass_stream.engines.code:CodeModel")
    manifest = result["manifest"]
    assert (manifest["title"], manifest["card"], manifest["inputs"]) == ("Fish", {"accuracy": 0.9}, [])
    assert manifest["options"] == {"format": "pickle", "file": "m.pkl"}


def test_of_several_files_one_is_the_model(tmp_path: Path) -> None:
    place = tmp_path / "fish@1"
    place.mkdir()
    for name in ("a.pkl", "b.pkl", "c.py"):
        (place / name).write_bytes(TWICE)
    reason = told(place)["reason"]
    assert "a.pkl: it is a pickle that calls" in reason
    assert "modules of Python with it: c.py" in reason
    with pytest.raises(InvalidInput, match=r"which one is the model: a\.pkl, b\.pkl"):
        told(place, True)
    assert told(place, True, options={"file": "b.pkl"})["manifest"]["options"]["file"] == "b.pkl"
    with pytest.raises(InvalidInput, match="which one"):
        told(place, True, options={"file": "../../m.pkl"})


def test_arrays_of_joblib_hide_no_steps(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")

    class Acting:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return open, (str(tmp_path / "touched"), "w")

    content = io.BytesIO()
    joblib.dump([np.zeros((3, 4)), np.array([{"a": Acting()}], object), np.ones(5, "f4"), Acting()], content)
    (tmp_path / "m.joblib").write_bytes(content.getvalue())
    code = recognise(tmp_path).code
    assert "io.open" in code
    assert "NumpyArrayWrapper" in code
    assert not (tmp_path / "touched").exists()
    for cut in (100, len(content.getvalue()) - 2):
        (tmp_path / "m.joblib").write_bytes(content.getvalue()[:cut])
        with pytest.raises(InvalidInput, match="broken"):
            recognise(tmp_path)


@pytest.mark.anyio
async def test_the_longest_wait_comes_first(tmp_path: Path) -> None:
    async with opened(tmp_path, sandboxed=False) as hub:
        await hub.catalogue.create(ADA, "fish", Change())
        for number in range(1, 4):
            version = await hub.catalogue.add_version(ADA, "fish", {}, [File("m.pkl", "a" * 64, 5)])
            await hub.catalogue.settle(version.id, None, state="quarantined", reason=f"acts {number}")
        with pytest.raises(Forbidden, match="admin"):
            await hub.quarantine.waiting(ADA, 5)
        first = await hub.quarantine.waiting(ADMIN, 2)
        assert [(each.version.number, each.own) for each in first] == [(1, False), (2, False)]
        last = first[-1].version
        [rest] = await hub.quarantine.waiting(ADMIN, 2, (last.created, last.id))
        assert (rest.version.number, rest.version.reason) == (3, "acts 3")
        seen = await hub.quarantine.reject(ADMIN, "fish", 2, "it acts")
        assert seen.facts["code"] | {"rejected": 0} == {
            "why": "acts 2", "reason": "it acts", "rejected_by": "usr_admin", "rejected": 0}
        assert 0 <= time.time() - seen.facts["code"]["rejected"] < 60
        assert len(await hub.quarantine.waiting(ADMIN, 5)) == 2


@pytest.mark.anyio
async def test_a_canary_and_the_way_back_as_with_every_other_model(tmp_path: Path) -> None:
    """Two versions, each in its own cell; a session has the one that it began with, whatever is deployed meanwhile."""
    try:
        ways()
    except Unavailable as error:
        pytest.skip(error.detail)
    specs: dict[str, PipelineSpec] = {}
    async with opened(tmp_path, specs, sandboxed=False) as hub:
        for factor in (2, 3):
            sent = await submitted(hub, "times", {"m.pkl": pickled(f"def f(x): return {factor} * x")}, **TOLD)
            assert sent.state == "quarantined", sent.reason
            with pytest.raises(Conflict, match="quarantined"):
                await hub.deployments.deploy(ADA, "times", Deployment("production", 1, sent.number, 10))
            await hub.quarantine.approve(ADMIN, "times", sent.number, "read it")
            ready = await checked(hub, sent)
            assert ready.state == "ready", ready.reason
            if factor == 2:
                await hub.deployments.deploy(ADA, "times", Deployment("production", 1))

        async def answers(count: int) -> Counter[float]:
            found = [hub.resolve("times", ADA).served for _ in range(count)]
            asked = [await hub.engine.submit(name, X, session="test") for name in found]
            return Counter(float(made["output"][0, 0]) for made in asked)

        await hub.deployments.deploy(ADA, "times", Deployment("production", 1, 2, 25))
        assert await answers(20) == {2: 15, 3: 5}
        specs["s_1"] = hub.pin(PipelineSpec.parse([{"stage": "denoise", "model": "times@2"}]), ADA, PipelineSpec())
        assert (await hub.deployments.roll_back(ADA, "times")).numbers == {1}
        assert await answers(4) == {2: 4}
        await hub.deployments.deploy(ADA, "times", Deployment("production", 2))
        assert await answers(4) == {3: 4}
        assert (await hub.deployments.roll_back(ADA, "times")).numbers == {1}
        assert await answers(4) == {2: 4}
        with pytest.raises(Conflict, match="times@2 is in use: by session s_1"):
            await hub.delete_version(ADA, "times", 2)
        specs.clear()
        await hub.delete_version(ADA, "times", 2)
        assert await answers(4) == {2: 4}
