"""Single pictures over REST: what is found in them, files of all kinds, what is drawn, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401  its import takes a while: not inside a test
import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from aimass_stream import fonts
from aimass_stream.api import pictures, vision
from aimass_stream.engines import rapidocr
from aimass_stream.inference import CpuDevice, FolderStore, installed
from aimass_stream.weights import npm
from tests.support import detectors as made
from tests.support.mediapipe import needs
from tests.support.options import settings
from tests.support.picture_files import bomb, file
from tests.support.server import Running, serve
from tests.support.shelves import shelved
from tests.support.sights import code, pasted, person, wall
from tests.support.writing import needs_reader, put

pytestmark = pytest.mark.anyio

fonts.available()
CODES = {"model": "opencv-codes"}
SIGN = file(pasted(wall(), code("exit 7"), 300, 100))  # its modules begin at (316, 116)
DARK, TINY, ONE = (file(Image.new("RGB", (side, side))) for side in (320, 8, 1))
NEAR = file(person(wall(), 320, 240, 90))
NEAR_AND_FAR = file(person(person(wall(), 180, 200, 90), 560, 300, 14))
BOMB = bomb(8192, 8192)


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderStore]:
    """The installed models, one that finds a thing at (32, 40) of 64x32 px, and one that finds thousands."""
    folder = tmp_path_factory.mktemp("detectors")
    one, many = np.zeros((1, 6, 20), np.float32), np.zeros((1, 5, 30_000), np.float32)
    one[0, :, 3] = [64, 56, 64, 32, 0.9, 0.1]
    many[0] = np.random.default_rng(1).random((5, 30_000)) * [[320], [320], [40], [40], [1]]
    made.constant(folder, "thing", one, {"head": "yolo", "labels": ["thing", "other"]})
    made.constant(folder, "crowd", many, {"head": "yolo", "labels": ["one"]})
    with shelved(*installed().folders, folder) as store:
        yield store


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    async with serve(settings(max_upload=48 << 20)) as running:
        yield running


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


async def ask(http: httpx.AsyncClient, image: bytes, to: str = "detect", accept: str = "*/*",
              **fields: str) -> httpx.Response:
    return await http.post(f"/v1/vision/{to}", files={"image": ("my picture", image)}, data=fields,
                           headers={"accept": accept})


def told(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


# what is found -------------------------------------------------------------------------------------------


async def test_a_code_is_found_where_it_is_and_read(http: httpx.AsyncClient) -> None:
    found = told(await ask(http, SIGN, **CODES))
    assert set(found) == {"model", "tier", "width", "height", "detections"}
    assert (found["model"], found["tier"], found["width"], found["height"]) == ("opencv-codes", "no-weights", 640, 480)
    [sign] = found["detections"]
    assert set(sign) == {"label", "score", "box", "points", "text"}
    assert (sign["label"], sign["text"], sign["score"]) == ("QR code", "exit 7", 1)
    assert sign["box"][:2] == pytest.approx([316, 116], abs=3)
    assert len(sign["points"]) == 4


async def test_the_best_detector_is_taken_by_itself_and_the_threshold_is_kept(http: httpx.AsyncClient) -> None:
    found = told(await ask(http, DARK, model="thing"))
    assert found["detections"] == [{"label": "thing", "score": 0.9, "box": [32, 40, 64, 32]}]
    assert told(await ask(http, DARK, model="thing", threshold="0.95"))["detections"] == []
    assert told(await ask(http, DARK))["tier"] == "weights"  # what has weights comes first


async def test_single_pictures_are_not_followed(http: httpx.AsyncClient) -> None:
    """They may be anybody's: nothing of one is told with another, and no doubtful thing for the sake of a track."""
    first, second = [told(await ask(http, picture, **CODES))["detections"] for picture in (SIGN, SIGN)]
    assert first == second
    assert set(first[0]) == {"label", "score", "box", "points", "text"}
    assert told(await ask(http, DARK, **CODES))["detections"] == []


async def test_faces_near_and_far_with_their_points(http: httpx.AsyncClient) -> None:
    needs("mediapipe-faces")
    found = told(await ask(http, NEAR_AND_FAR, "faces"))
    assert (found["model"], len(found["points"])) == ("mediapipe-faces", 6)
    near, far = sorted(found["detections"], key=lambda face: face["box"][0])
    for face, x, y, within in ((near, 180, 200, 30), (far, 560, 300, 8)):
        left, top, width, height = face["box"]
        assert (left + width / 2, top + height / 2) == pytest.approx((x, y), abs=within)
        assert len(face["points"]) == 6
    assert near["points"][0] == pytest.approx((180 - 0.32 * 90, 200 - 0.15 * 90), abs=12)
    whole = told(await ask(http, NEAR_AND_FAR, "faces", tiles="1"))
    assert len(whole["detections"]) == 1  # the far one is large enough in parts of the picture only


async def test_faces_without_npm(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(npm, "folders", lambda: [tmp_path])
    found = told(await ask(http, NEAR, "faces"))
    assert found["model"] == "opencv-faces"
    assert found["detections"]
    refused = await ask(http, SIGN, "faces", model="opencv-codes")
    assert (refused.status_code, refused.json()["field"]) == (404, "model")
    assert "there are: mediapipe-faces, opencv-faces" in refused.json()["detail"]


async def test_thousands_of_boxes_are_cut_to_a_hundred(http: httpx.AsyncClient) -> None:
    found = told(await ask(http, DARK, model="crowd", threshold="0.01"))
    assert len(found["detections"]) == 100


# files ---------------------------------------------------------------------------------------------------

UPRIGHT = pasted(wall(320, 240), code("ab"), 120, 60)  # its modules begin at (136, 76)
RGB = np.ascontiguousarray(UPRIGHT[:, :, ::-1])
GREY = Image.fromarray(RGB).convert("L")
EXIF = Image.Exif()
EXIF[0x0112] = 6  # to be turned clockwise by 90 degrees
FILES: dict[str, bytes] = {
    "turned": file(np.asarray(np.rot90(UPRIGHT), np.uint8), "JPEG", exif=EXIF, quality=95),
    "grey": file(GREY, "JPEG", quality=95),
    "16 bits": file(Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)),
    "CMYK": file(Image.fromarray(RGB).convert("CMYK"), "JPEG", quality=95),
    "alpha": file(Image.fromarray(np.dstack([RGB, np.full((240, 320), 255, np.uint8)]))),
    "animated": file(UPRIGHT, "GIF", save_all=True, append_images=[Image.new("RGB", (320, 240), "blue")]),
    "odd": file(UPRIGHT[:239, :319]),
}
UNSEEN = file(Image.fromarray(np.dstack([RGB, np.zeros((240, 320), np.uint8)])))


async def test_files_of_all_kinds(http: httpx.AsyncClient) -> None:
    for name, data in FILES.items():
        found = told(await ask(http, data, **CODES))
        assert [sign["text"] for sign in found["detections"]] == ["ab"], name
        assert found["detections"][0]["box"][:2] == pytest.approx([136, 76], abs=3)  # of the picture as it is seen
        assert (found["width"], found["height"]) == ((319, 239) if name == "odd" else (320, 240))
    # what is transparent is not seen
    assert told(await ask(http, UNSEEN, **CODES))["detections"] == []


async def test_one_pixel(http: httpx.AsyncClient) -> None:
    for model in ("opencv-codes", "opencv-faces", "thing"):
        found = told(await ask(http, ONE, model=model, tiles="4"))
        assert (found["width"], found["height"]) == (1, 1)
    assert read(await ask(http, ONE, accept="image/png", **CODES)).shape == (1, 1, 3)


async def test_bad_files_are_told(http: httpx.AsyncClient) -> None:
    for data, status, words in ((SIGN[:-2000], 422, "my picture is cut off or broken"),
                                (b"", 422, "is empty"), (bytes(1000), 422, "no picture that is read here"),
                                (BOMB, 413, "my picture has 8192x8192 px; 16,777,216 are the most")):
        answer = await ask(http, data, **CODES)
        assert answer.status_code == status, answer.text
        assert words in answer.json()["detail"]
        assert answer.json()["field"] == "image"


# what is drawn -------------------------------------------------------------------------------------------


def read(answer: httpx.Response) -> NDArray[np.uint8]:
    assert answer.status_code == 200, answer.text
    found = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return np.asarray(found, np.uint8)


async def test_the_picture_with_what_was_found_drawn_in(http: httpx.AsyncClient) -> None:
    odd = UPRIGHT[:239, :319]
    answer = await ask(http, FILES["odd"], accept="text/html, image/*;q=0.8", **CODES)
    assert (answer.headers["content-type"], answer.headers["x-model"]) == ("image/png", "opencv-codes")
    shown = read(answer)
    rows, columns = np.nonzero((shown != odd).any(axis=2))
    assert columns.min() == pytest.approx(135, abs=5)
    assert rows.max() < 200  # the rest is as it was
    small = await ask(http, FILES["odd"], accept="image/jpeg", **CODES)
    assert small.headers["content-type"] == "image/jpeg"
    assert read(small).shape == (239, 319, 3)


@pytest.mark.parametrize(("accept", "kind"), [
    (None, "json"), ("", "json"), ("*/*", "json"), ("application/json", "json"), ("text/html", "json"),
    ("image/*", "png"), ("image/png", "png"), ("image/jpeg", "jpeg"), ("image/webp, */*;q=0.1", "json"),
    ("application/json;q=0.2, image/jpeg;q=0.9", "jpeg"), ("image/*;q=0.3, application/json", "json"),
    ("image/png;q=0, image/*", "jpeg"), ("image/*;q=0", "json"), ("IMAGE/JPEG; q=1.000", "jpeg"),
    ("image/png;q=nan", "png"), (";,;q=,image/jpeg,", "jpeg"),
])
def test_what_a_client_wants(accept: str | None, kind: str) -> None:
    assert pictures.wanted(accept).endswith(kind)


# what is refused -----------------------------------------------------------------------------------------

WRONG: list[tuple[dict[str, str], int, str, str]] = [
    ({"model": "dragons"}, 404, "model", "there is no detector 'dragons'"),
    ({"threshold": "2"}, 422, "threshold", "from 0.01 to 1"),
    ({"threshold": "nan"}, 422, "threshold", "from 0.01 to 1"),
    ({"threshold": "much"}, 422, "threshold", "from 0.01 to 1"),
    ({"tiles": "5"}, 422, "tiles", "from 1 to 4"),
    ({"tiles": "1.5"}, 422, "tiles", "whole number"),
    ({"size": "2"}, 422, "size", "there are: image, model, threshold, tiles"),
]


async def test_wrong_fields_are_named(http: httpx.AsyncClient) -> None:
    for fields, status, field, words in WRONG:
        for to in ("detect", "faces"):
            answer = await ask(http, TINY, to, **fields)
            assert (answer.status_code, answer.json()["field"]) == (status, field)
            assert words in answer.json()["detail"]
    none = await http.post("/v1/vision/detect", files={"picture": TINY})
    assert "a part named image" in none.json()["detail"]
    two = await http.post("/v1/vision/detect", files=[("image", ("a", TINY)), ("image", ("b", TINY))])
    assert "one picture as a part named image, not 2" in two.json()["detail"]
    assert (await http.post("/v1/vision/detect", json={})).status_code == 415


async def test_too_many_at_once_are_refused(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures.Place, "taken", pictures.MOST_AT_ONCE)
    answer = await ask(http, TINY)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


class Held:
    """A model whose runs wait for a gate."""

    def __init__(self, store: FolderStore, gate: threading.Event) -> None:
        self._model = store.open("thing", CpuDevice(threads=1))
        self._gate = gate
        self.capabilities = replace(self._model.capabilities, beside=False)  # one that hangs has all others wait

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def run(self, batch: Any) -> Any:
        assert self._gate.wait(20)
        return self._model.run(batch)


async def test_a_model_that_hangs_is_told(server: Running, http: httpx.AsyncClient, shelf: FolderStore,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    gate.set()
    await server.node.engine.load("thing", partial(Held, shelf, gate))
    monkeypatch.setattr(vision, "DEADLINE", 0.2)
    monkeypatch.setattr(vision, "HANGS", 0.2)
    gate.clear()
    try:
        hanging = await ask(http, TINY, model="thing")
        assert (hanging.status_code, hanging.json()["title"]) == (503, "Model failed")
        late = await ask(http, TINY, model="thing")  # its turn does not come
        assert (late.status_code, late.json()["title"]) == (503, "Deadline missed")
    finally:
        gate.set()
    monkeypatch.setattr(vision, "DEADLINE", 10)
    assert told(await ask(http, TINY, model="thing"))["model"] == "thing"


async def test_the_interface_is_described() -> None:
    async with (serve(settings(), described=True) as running,
                httpx.AsyncClient(base_url=running.url, timeout=60) as http):
        paths = (await http.get("/openapi.json")).json()["paths"]
    for to in ("detect", "faces"):
        operation = paths[f"/v1/vision/{to}"]["post"]
        content = operation["responses"]["200"]["content"]
        assert set(content) == {"application/json", "image/png", "image/jpeg"}
        assert content["application/json"]["schema"]["$ref"].endswith("Detections")
        [form] = operation["requestBody"]["content"].values()
        assert form["schema"]["required"] == ["image"]
        assert {"image", "model", "threshold", "tiles"} <= set(form["schema"]["properties"])

# what is read --------------------------------------------------------------------------------------------

PAGE = put(put(np.full((300, 500, 3), 235, np.uint8), "Timetable", 40, 40, 36), "Platform 12", 40, 160, 36)
PAGE_FILE = file(PAGE)
PAGE_TURNED = file(np.asarray(np.rot90(PAGE), np.uint8), "JPEG", exif=EXIF, quality=95)


async def test_lines_are_read_in_their_order(http: httpx.AsyncClient) -> None:
    needs_reader()
    for data in (PAGE_FILE, PAGE_TURNED):
        found = told(await ask(http, data, "ocr"))
        assert (found["width"], found["height"]) == (500, 300)
        assert [line["text"] for line in found["lines"]] == ["Timetable", "Platform 12"]
        first = found["lines"][0]
        assert first["score"] > 0.8
        assert first["polygon"][0] == pytest.approx([40, 46], abs=12)
        assert first["polygon"][2][0] > first["polygon"][0][0] + 120
    assert told(await ask(http, ONE, "ocr"))["lines"] == []
    shown = read(await ask(http, PAGE_FILE, "ocr", accept="image/png"))
    assert (shown != PAGE).any(axis=2).sum() > 300
    wrong = await ask(http, PAGE_FILE, "ocr", model="any")
    assert (wrong.status_code, wrong.json()["field"]) == (422, "model")


async def test_reading_without_its_wheel(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rapidocr, "find_spec", lambda name: None)
    answer = await ask(http, TINY, "ocr")
    assert answer.status_code == 503
    assert "pip install rapidocr-onnxruntime" in answer.json()["detail"]
