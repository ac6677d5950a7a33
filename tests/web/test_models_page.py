"""The pages of models: one is uploaded, checked, tried, deployed, used by somebody else, and rolled back."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import httpx
import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal
from onnx import TensorProto, helper
from playwright.sync_api import FilePayload, expect

from aimass_stream.api.site.kinds import STAGES, live, sound_of
from aimass_stream.inference import installed
from aimass_stream.stages import Registry

from ..support import small_networks
from ..support.axe import faults
from ..support.model_files import linear
from ..support.options import settings
from ..support.picture_files import file
from ..support.server import Running, serve
from ..support.speech import speak, write_wav
from .conftest import Visit

pytestmark = pytest.mark.browser

SECONDS = 30_000  # ms; the machine may be busy
SEA: FilePayload = {"name": "sea.png", "mimeType": "image/png",
                    "buffer": file(np.full((40, 60, 3), (200, 40, 30), np.uint8))}  # BGR


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """On loopback without accounts: who comes is the machine's owner. One model that names colours is built in."""
    folder = tmp_path_factory.mktemp("models")
    small_networks.colours(folder, "colours")
    store, before = installed(), installed().folders
    store.folders = (folder,)
    with (start_blocking_portal() as portal,
          portal.wrap_async_context_manager(serve(settings())) as running):
        yield running
    store.folders = before


def onnx(bias: float) -> FilePayload:
    return {"name": "model.onnx", "mimeType": "application/octet-stream", "buffer": linear(bias=bias)}


def test_from_a_file_to_answers_and_back(place: Running, visit: Visit) -> None:
    page = visit().page
    page.goto(f"{place.url}/models/new")
    page.fill("[name=name]", "fish")
    page.fill("[name=title]", "Fish <i>by the sea</i>")
    page.fill("[name=tags]", "Sea, small")
    page.fill("#example", "not JSON")
    page.set_input_files("#files", [onnx(1)])
    page.click("main .primary")
    expect(page.locator(".wrong")).to_contain_text("no JSON object", timeout=SECONDS)
    page.fill("#example", '{"x": [[1, 2, 3]]}')
    page.click("main .primary")
    expect(page.locator("#verdict")).to_contain_text("can be deployed", timeout=2 * SECONDS)
    expect(page.locator("#verdict")).to_have_attribute("data-tone", "good")
    assert not faults(page)
    page.click("#verdict a")
    expect(page.locator("h1")).to_have_text("Fish <i>by the sea</i>")
    page.click("#try button")  # before it is deployed
    expect(page.locator("#answer .bar-row span:last-child")).to_have_text(["23", "29"], timeout=SECONDS)
    page.click("#graph summary")
    expect(page.locator("#graph .tag")).to_have_text(["MatMul", "Add"], timeout=SECONDS)
    expect(page.locator("#graph svg text")).to_have_text(["x", "float32 n×3", "MatMul", "3×2", "Add", "1", "y",
                                                          "float32 n×2"])
    page.click("#deploy button")
    expect(page.locator("aside .deployed")).to_contain_text("production → 1", timeout=SECONDS)
    assert httpx.post(f"{place.url}/predict/fish", json={"input": [1, 1, 1]}).json() == {"output": [10, 13]}

    page.goto(f"{place.url}/models/fish/upload")
    page.set_input_files("#files", [onnx(2)])
    page.fill("#example", '{"x": [[1, 2, 3]]}')
    page.click("main .primary")
    page.click("#verdict a", timeout=2 * SECONDS)
    page.select_option("#deploy [name=version]", "2")
    page.click("#deploy > .primary")
    expect(page.locator("aside .deployed")).to_contain_text("production → 2", timeout=SECONDS)
    page.click("#try button")
    expect(page.locator("#answer .bar-row")).to_have_count(2, timeout=SECONDS)
    page.click("aside [data-act=rollback]")
    expect(page.locator("aside .deployed")).to_contain_text("production → 1", timeout=SECONDS)
    page.click("#deploy details summary")
    page.select_option("#deploy [name=canary]", "2")
    page.fill("#deploy [name=share]", "50")
    page.select_option("#deploy [name=version]", "1")
    page.click("#deploy > .primary")
    expect(page.locator("aside .deployed")).to_contain_text("50 % to 2", timeout=SECONDS)
    page.click("text=All to 2")
    expect(page.locator("aside .deployed")).to_contain_text("production → 2", timeout=SECONDS)
    page.click("text=What production has been")
    expect(page.locator(".past li")).to_have_count(5)
    assert not faults(page)
    page.click("text=Compare two")
    expect(page.locator("h1")).to_have_text("Compare versions")
    expect(page.locator("section:has(#figures-title) .lines li")).to_have_text(re.compile("y.*1"))
    expect(page.locator("section:has(#changed-Files) tbody tr")).to_have_count(1)
    page.emulate_media(color_scheme="dark")
    assert not faults(page)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{place.url}/models/fish")
    page.fill("[name=text]", "<script>alert(1)</script>")
    page.click("text=Send")
    expect(page.locator(".said li")).to_contain_text("<script>alert(1)</script>", timeout=SECONDS)
    page.emulate_media(color_scheme="dark")
    assert not faults(page)


def test_a_picture_is_asked_about_on_a_phone(place: Running, visit: Visit) -> None:
    visitor = visit(viewport={"width": 390, "height": 844})
    page = visitor.page
    page.goto(f"{place.url}/models?q=colours")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert not faults(page)
    page.click("text=colours >> nth=0")
    page.set_input_files("#try input", SEA)
    page.click("#try button")
    expect(page.locator(".bar-row").first).to_contain_text("blue", timeout=SECONDS)
    page.set_input_files("#try input", {"name": "notes.py", "mimeType": "text/plain", "buffer": b"no picture"})
    page.click("#try button")
    expect(page.locator("#try .wrong")).to_contain_text("no picture", timeout=SECONDS)
    expect(page.locator("#answer")).to_be_hidden()  # it was the answer to the picture before
    expect(page.locator("#judge")).to_be_hidden()
    visitor.complaints.clear()  # Chromium logs the 422
    page.set_input_files("#try input", SEA)
    page.click("#try button")
    expect(page.locator("#answer")).to_be_visible(timeout=SECONDS)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert not faults(page)


def test_sound_is_recorded_and_asked_about(place: Running, visit: Visit, tmp_path: Path) -> None:
    """By a model that says how loud each window of 800 samples is; of a file, and of the microphone."""
    loud = helper.make_node("ReduceMax", ["sound"], ["loudness"], axes=[1], keepdims=0)
    graph = helper.make_graph([loud], "loud", [helper.make_tensor_value_info("sound", TensorProto.FLOAT, ["n", 800])],
                              [helper.make_tensor_value_info("loudness", TensorProto.FLOAT, ["n"])])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    with httpx.Client(base_url=place.url) as http:
        http.post("/v1/hub/models", json={"name": "loud", "task": "loudness"})
        upload = http.post("/v1/uploads", json={"name": "model.onnx", "size": len(made)}).json()["id"]
        http.patch(f"/v1/uploads/{upload}", content=made, headers={
            "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"})
        inputs = [{"name": "sound", "shape": ["n", 800], "dtype": "float32", "unit": "16 kHz, -1 to 1"}]
        version = http.post("/v1/hub/models/loud/versions", json={
            "uploads": {"model.onnx": upload}, "manifest": {"inputs": inputs, "example": {"sound": [[0.0] * 800]}}})
        assert version.status_code == 202, version.text
        end = time.monotonic() + SECONDS / 1000
        while http.get("/v1/hub/models/loud/versions/1").json()["state"] == "checking":
            assert time.monotonic() < end
        http.put("/v1/hub/models/loud/aliases/production", json={"version": 1}).raise_for_status()
    voice = tmp_path / "voice.wav"
    write_wav(voice, speak())
    page = visit(permissions=["microphone"]).page
    page.goto(f"{place.url}/models/loud")
    page.click("#try .primary")
    expect(page.locator("#try .wrong")).to_contain_text("Record something")
    page.set_input_files(".hear input", voice)
    expect(page.locator(".hear [role=status]")).to_contain_text("s of sound", timeout=SECONDS)
    page.click("#try .primary")
    expect(page.locator("#answer .chart .line")).to_be_visible(timeout=SECONDS)
    assert not faults(page)
    page.click("[data-record]")
    expect(page.locator("[data-record]")).to_have_text("Stop", timeout=SECONDS)
    expect(page.locator(".hear [role=status]")).to_have_text("recording …")
    page.click("[data-record]")
    expect(page.locator("[data-record]")).to_have_text("Record", timeout=SECONDS)


@pytest.mark.parametrize(("unit", "shape", "found"), [
    ("16 kHz, -1 to 1", [None], (16000, 0, 1)), ("22050 Hz", [1, 512], (22050, 512, 2)), ("RGB", [512], None),
    ("16 kHz", [2, 512], None), ("1 Hz", [512], None), ("", [], None)])
def test_which_inputs_are_sound(unit: str, shape: list[int | None], found: tuple[int, int, int] | None) -> None:
    sound = sound_of(unit, shape)
    assert (tuple(sound.values()) if sound else None) == found


def test_what_is_shown_live() -> None:
    assert live("style-transfer", "style-great-wave", False).endswith("%22name%22%3A%22great-wave%22%7D%5D")
    assert unquote(live("style-transfer", "style-my@2", False)) == '/#pipeline=[{"stage":"style","name":"style-my@2"}]'
    stages = Registry([])
    for task, (stage, parameter) in STAGES.items():  # as the stages themselves say
        assert task in stages.models(stage)[parameter].tasks
    assert unquote(live("detection", "fish@2", True)) == '/#pipeline=[{"stage":"detect","model":"fish@2"}]'
    assert live("detection", "fish@2", False) == live("counting", "fish", True) == ""


def test_lists_are_searched_and_come_in_pages(place: Running) -> None:
    with httpx.Client(base_url=place.url) as http:
        for number in range(26):
            made = http.post("/v1/hub/models", json={"name": f"many-{number}", "task": "counting", "tags": ["many"]})
            assert made.status_code == 201, made.text
        first = http.get("/models", params={"tag": "many", "sort": "name"}).text
        names = re.findall(r'href="/models/(many-\d+)"', first)
        following = re.search(r'href="(/models\?[^"]+)" rel="next"', first)
        assert following is not None
        second = http.get(following[1].replace("&amp;", "&")).text
        assert sorted(names + re.findall(r'href="/models/(many-\d+)"', second)) == sorted(
            f"many-{number}" for number in range(26))
        assert "many-7" in http.get("/models", params={"q": "many-7", "task": "counting"}).text
        assert "There is no such model" in http.get("/models", params={"q": "nothing of the kind"}).text


@pytest.mark.parametrize("path", ["/models/none", "/models/fish?version=99", "/models/colours/upload",
                                  "/models?cursor=x", "/models?sort=x", "/models/..%2fx"])
def test_what_is_not_there_is_told_by_a_page(place: Running, path: str) -> None:
    answer = httpx.get(place.url + path)
    assert answer.status_code in (404, 409, 422)
    if "%2f" not in path:  # which no route is for
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "<h1>" in answer.text
