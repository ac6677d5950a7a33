"""What is code: who may decide on it, what an approval is of, and what is read of it before."""

from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass_stream.errors import Conflict, Forbidden, InvalidInput
from aimass_stream.hub.examine import examine
from aimass_stream.hub.formats import recognise
from aimass_stream.hub.quarantine import approved, digest, is_own
from aimass_stream.hub.records import Change, File, HubModel, Version
from aimass_stream.ports import SCOPES, Caller
from tests.support.hostile import pickled
from tests.support.model_hub import ADA, ADMIN, BOB, TEAM, opened

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
