"""GET /v1/models: OpenAI's list, and ours beside it."""

from __future__ import annotations

import httpx
import pytest

from tests.support.options import settings
from tests.support.server import serve

pytestmark = pytest.mark.anyio


async def test_models_are_listed_as_openais_clients_read_them() -> None:
    async with serve(settings(hearing="pocketsphinx")) as server, httpx.AsyncClient(base_url=server.url) as http:
        listed = (await http.get("/v1/models")).json()
        assert listed["object"] == "list"
        assert all(model["object"] == "model" and isinstance(model["created"], int) and model["owned_by"]
                   for model in listed["data"])
        by_id = {model["id"]: model for model in listed["data"]}
        assert (by_id["whisper-1"]["engine"], by_id["whisper-1"]["purpose"]) == ("pocketsphinx", "hearing")
        assert by_id["whisper-1"]["languages"] == ["en"]
        assert by_id["pocketsphinx-en-us"]["engine"] == "pocketsphinx"
        assert by_id["tts-1"]["purpose"] == "voice"
        assert by_id["tts-1"]["title"]
        engines = {engine["engine"]: engine for engine in listed["engines"]}
        assert engines["pocketsphinx"]["available"]
        assert all(engine["available"] or engine["reason"] for engine in listed["engines"])
        assert {"whisper-base.en", "piper-en-us-ljspeech"} <= {each["name"] for each in listed["weights"]}
        brief = (await http.get("/v1/models?only=weights")).json()
        assert (brief["data"], brief["weights"]) == ([], listed["weights"])
        assert (await http.get("/v1/models/whisper-1")).json() == by_id["whisper-1"]
        missing = await http.get("/v1/models/gpt-9")
        assert (missing.status_code, missing.json()["error"]["param"]) == (404, "model")


async def test_the_key_is_asked_for() -> None:
    async with serve(settings(api_key="a key for tests")) as server, httpx.AsyncClient(base_url=server.url) as http:
        assert (await http.get("/v1/models")).status_code == 401
        assert (await http.post("/v1/models/whisper-base.en/pull")).status_code == 401
