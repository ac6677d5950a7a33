"""`aimass models upload --from URL`: a file that another server has becomes a version."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.api.test_hub_jobs import opened
from tests.support.command import Done, here
from tests.support.hub import hub_with
from tests.support.model_files import linear

pytestmark = pytest.mark.anyio


async def test_the_server_fetches_checks_and_deploys_it(tmp_path: Path) -> None:
    with hub_with({"model.onnx": linear(bias=1), "broken.onnx": b"no model"}) as there:
        async with opened(tmp_path / "data") as (server, _):
            def upload(address: str, *more: str) -> Done:
                return here("models", "upload", "fish", *more, "--from", address, AIMASS_URL=server.url, COLUMNS="500")

            def commands() -> None:
                told = upload(f"{there.url}/plain/model.onnx", "--note", "from afar", "--deploy", "--json")
                assert told.code == 0, told.err
                version = json.loads(told.out)
                assert (version["model"], version["state"], version["note"]) == ("fish@1", "ready", "from afar")
                shown = json.loads(here("models", "show", "fish", "--json", AIMASS_URL=server.url).out)
                assert "fish@1" in json.dumps(shown)
                refused = upload(f"{there.url}/plain/broken.onnx")
                assert (refused.code, "fish@2 is refused" in refused.out) == (1, True), refused.out + refused.err
                missing = upload(f"{there.url}/plain/nowhere.onnx")
                assert (missing.code, "404" in missing.err) == (1, True), missing.err
                both = upload(f"{there.url}/plain/model.onnx", str(tmp_path))
                assert (both.code, "--from" in both.err) == (2, True), both.err

            await asyncio.to_thread(commands)


async def test_what_is_not_of_the_internet_is_refused(tmp_path: Path) -> None:
    with hub_with({"model.onnx": linear(bias=1)}) as there:
        async with opened(tmp_path / "data", fetch_private=False) as (server, _):
            for address, why in ((f"{there.url}/plain/model.onnx", "https"),
                                 (f"{there.url}/plain/model.onnx".replace("http:", "https:"), "private network")):
                told = await asyncio.to_thread(here, "models", "upload", "fish", "--from", address,
                                               AIMASS_URL=server.url, COLUMNS="500")
                assert (told.code, why in told.err) == (1, True), told.err
            assert there.asked == []
            shown = await asyncio.to_thread(here, "models", "show", "fish", AIMASS_URL=server.url)
            assert shown.code == 1
