"""Single pictures over REST: painted by name or after another picture; files of all kinds, and those that are none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from aimass_stream import clips
from aimass_stream.api import pictures
from aimass_stream.frames import Pixels
from aimass_stream.inference import FolderStore
from aimass_stream.painting.paintings import paintings
from aimass_stream.painting.upsample import upsampled
from tests.support import styles
from tests.support.options import settings
from tests.support.picture_files import bomb, file
from tests.support.server import Running, serve
from tests.support.shelves import shelved

pytestmark = pytest.mark.anyio

SCENE = clips.draw(40, 128, 96)
RGB = np.ascontiguousarray(SCENE[:, :, ::-1])


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderStore]:
    with shelved(styles.library(tmp_path_factory.mktemp("styles"))) as store:
        yield store


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    async with serve(settings(max_upload=48 << 20)) as running:
        yield running


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


LARGE = file(Image.fromarray(RGB).resize((2000, 1500)), "JPEG")
BOMB = bomb(8192, 8192)


async def ask(http: httpx.AsyncClient, image: bytes, style_image: bytes | None = None, **fields: str) -> httpx.Response:
    files = [("image", ("my picture", image))] + ([("style_image", ("its style", style_image))] if style_image else [])
    return await http.post("/v1/images/style", files=files, data=fields)


def read(answer: httpx.Response) -> NDArray[np.uint8]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    found = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return np.asarray(found, np.uint8)


def gap(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.abs(one.astype(float) - other).mean())


async def test_a_picture_is_painted_by_name(http: httpx.AsyncClient) -> None:
    png = file(Image.fromarray(RGB))
    answer = await ask(http, png, style="星空")
    assert answer.headers["x-style"] == "starry-night"
    painted = read(answer)
    assert painted.shape == SCENE.shape
    assert gap(painted, SCENE) > 10
    other = read(await ask(http, png, style="the udni"))
    assert gap(painted, other) > 10
    quarter = read(await ask(http, png, style="starry-night", strength="0.25"))
    assert gap(quarter, 0.25 * painted.astype(float) + 0.75 * SCENE) < 1
    assert np.array_equal(read(await ask(http, png, style="starry-night", strength="0")), SCENE)


ODD, ONE = file(Image.fromarray(RGB[:91, :123])), file(Image.new("RGB", (1, 1), "red"))
CLEAR = Image.fromarray(np.dstack([RGB, np.arange(128, dtype=np.uint8)[None].repeat(96, 0)]))


async def test_odd_pictures_keep_their_size_and_their_transparency(http: httpx.AsyncClient) -> None:
    """What else a file may be is tested where it is read."""
    assert read(await ask(http, ONE, style="udnie")).shape == (1, 1, 3)
    clear = read(await ask(http, file(CLEAR), style="udnie"))
    assert np.array_equal(clear[:, :, 3], np.asarray(CLEAR)[:, :, 3])


TURNED = Image.Exif()
TURNED[0x0112] = 6  # a camera that was held upright
GREY = Image.fromarray(RGB).convert("L")
KINDS: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "grey": (file(GREY), (96, 128, 3)),
    "grey and alpha": (file(Image.fromarray(RGB).convert("LA")), (96, 128, 4)),
    "16 bits": (file(Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)), (96, 128, 3)),
    "CMYK": (file(Image.fromarray(RGB).convert("CMYK"), "JPEG"), (96, 128, 3)),
    "animated": (file(Image.fromarray(RGB), "GIF", save_all=True, append_images=[Image.new("RGB", (128, 96), "blue")]),
                 (96, 128, 3)),
    "turned": (file(Image.fromarray(RGB), "JPEG", exif=TURNED, quality=95), (128, 96, 3)),
    "odd": (ODD, (91, 123, 3))}


@pytest.mark.parametrize("kind", KINDS)
async def test_files_of_all_kinds_are_painted(http: httpx.AsyncClient, kind: str) -> None:
    """As large as they are seen, and as the same picture in a plain file is."""
    data, shape = KINDS[kind]
    painted, untouched = [read(await ask(http, data, style="udnie", strength=strength)) for strength in "10"]
    assert painted.shape == untouched.shape == shape
    plain = np.rot90(SCENE, -1) if kind == "turned" else SCENE[: shape[0], : shape[1]]
    luma = [np.asarray(cv2.cvtColor(np.ascontiguousarray(each[:, :, :3]), cv2.COLOR_BGR2GRAY))
            for each in (untouched, plain)]
    assert gap(*luma) < 8
    assert gap(painted[:, :, :3], untouched[:, :, :3]) > 5


async def test_styles_are_listed_and_meant(http: httpx.AsyncClient, shelf: FolderStore) -> None:
    listed = (await http.get("/v1/images/styles")).json()
    assert [each["name"] for each in listed["styles"]] == ["starry-night", "udnie"]
    assert listed["meant"] == ""
    starry = listed["styles"][0]
    assert (starry["title"], starry["painter"], starry["sample"]) == ("The Starry Night", "Vincent van Gogh", False)
    assert "星空" in starry["names"]
    for said, meant in (("梵高", "starry-night"), ("the udni", "udnie"), ("Mona Lisa", ""), ("  ", "")):
        answer = await http.get("/v1/images/styles", params={"said": said})
        assert answer.json()["meant"] == meant
    assert (await http.get("/v1/images/styles", params={"said": "x" * 201})).status_code == 422
    for name in ("udnie", "none", "..%2f..%2fpyproject.toml"):
        assert (await http.get(f"/v1/images/styles/{name}/sample")).status_code == 404
    sample = file(Image.fromarray(RGB), "JPEG")
    await asyncio.to_thread((shelf.get("style-udnie").folder / "sample.jpg").write_bytes, sample)
    answer = await http.get("/v1/images/styles/udnie/sample")
    assert (answer.headers["content-type"], answer.content) == ("image/jpeg", sample)


async def test_bad_files_are_told(http: httpx.AsyncClient) -> None:
    for data, status, told in ((ODD[:-2000], 422, "my picture is cut off or broken"),
                               (BOMB, 413, "my picture has 8192x8192 px; 16,777,216 are the most")):
        answer = await ask(http, data, style="udnie")
        assert answer.status_code == status, answer.text
        assert told in answer.json()["detail"]
        assert answer.json()["field"] == "image"
    for data in (ODD[:300], BOMB):
        assert (await ask(http, ONE, data)).json()["field"] == "style_image"
        assert (await http.post("/v1/images/style/match", files={"image": data})).json()["field"] == "image"


async def test_uploads_that_are_too_long_are_not_read_to_their_end(server: Running) -> None:
    for size, told in ((pictures.MOST_BYTES + 1, "more than 32 MiB"), (49 << 20, "at most")):
        answer = await asyncio.to_thread(httpx.post, f"{server.url}/v1/images/style", files={"image": bytes(size)},
                                         data={"style": "udnie"}, timeout=60)
        assert answer.status_code == 413
        assert told in answer.json()["detail"]


WRONG: list[tuple[dict[str, str], int, str, str]] = [
    ({"style": "Mona Lisa"}, 404, "style", "there are: starry-night, udnie"),
    ({}, 422, "style", "there are: starry-night, udnie"),
    ({"style": "udnie", "strength": "2"}, 422, "strength", "from 0 to 1"),
    ({"style": "udnie", "strength": "nan"}, 422, "strength", "from 0 to 1"),
    ({"style": "udnie", "strength": "much"}, 422, "strength", "from 0 to 1"),
    ({"style": "udnie", "size": "2"}, 422, "size", "there are: image, style, style_image, by, strength"),
]


async def test_wrong_fields_are_named(http: httpx.AsyncClient) -> None:
    data = ONE
    for fields, status, field, told in WRONG:
        answer = await ask(http, data, None, **fields)
        assert (answer.status_code, answer.json()["field"]) == (status, field)
        assert told in answer.json()["detail"]
    both = await ask(http, data, data, style="udnie")
    assert "either style" in both.json()["detail"]
    none = await http.post("/v1/images/style", files={"style_image": data})
    assert none.json()["field"] == "image"
    other = await http.post("/v1/images/style", files={"picture": data}, data={"style": "udnie"})
    assert "a part named image or style_image" in other.json()["detail"]
    assert (await http.post("/v1/images/style", json={})).status_code == 415


async def test_the_style_of_another_picture(http: httpx.AsyncClient) -> None:
    """Flat colour, and a picture that is as colourful as a painting."""
    blue = file(Image.new("RGB", (64, 48), (40, 60, 120)))
    answer = await ask(http, ODD, blue, by="nearest")
    assert answer.headers["x-style"] in ("starry-night", "udnie")
    assert float(answer.headers["x-style-distance"]) > 0
    named = await ask(http, ODD, style=answer.headers["x-style"])
    assert np.array_equal(read(answer), read(named))


async def test_painting_after_another_picture(http: httpx.AsyncClient) -> None:
    """Any file will do: grey, clear, CMYK, flat, a single pixel, a large one; each has a style of its own."""
    noise = np.asarray(np.random.default_rng(5).integers(0, 256, (80, 70, 3)), np.uint8)
    examples = [file(Image.fromarray(noise)), file(Image.fromarray(noise[:, :, 0])), file(CLEAR),
                file(Image.fromarray(noise).convert("CMYK"), "JPEG"), ONE, LARGE]
    found: list[NDArray[np.uint8]] = []
    for example in examples:
        answer = await ask(http, ODD, example)
        assert answer.headers["x-style"] == "picture"
        assert answer.headers["x-style-nearest"] in ("starry-night", "udnie")
        assert float(answer.headers["x-style-distance"]) > 0
        made = read(answer)
        assert made.shape == (91, 123, 3)
        assert not any(np.array_equal(made, other) for other in found)
        found.append(made)
    assert np.array_equal(read(await ask(http, ODD, examples[0], by="picture")), found[0])
    half = read(await ask(http, ODD, examples[0], strength="0.5"))
    assert gap(half, 0.5 * found[0].astype(float) + 0.5 * SCENE[:91, :123]) < 1
    assert (await ask(http, ODD, examples[0], by="chance")).json()["field"] == "by"
    assert (await ask(http, ODD, None, style="udnie", by="picture")).json()["field"] == "by"
    bad = await ask(http, ODD, ODD[:-2000])
    assert (bad.status_code, bad.json()["field"]) == (422, "style_image")


async def test_without_the_network_the_nearest_style_is_taken(
        http: httpx.AsyncClient, shelf: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    styles.write(tmp_path, "style-udnie", seed=2, title="Udnie")
    monkeypatch.setattr(shelf, "folders", (tmp_path,))
    assert (await ask(http, ODD, ONE)).headers["x-style"] == "udnie"
    told = await ask(http, ODD, ONE, by="picture")
    assert (told.status_code, "no network is installed" in told.json()["detail"]) == (503, True)


async def test_how_far_pictures_are(http: httpx.AsyncClient) -> None:
    files = [("image", ("one.png", ODD)), ("image", ("two.gif", file(Image.fromarray(RGB), "GIF")))]
    answer = await http.post("/v1/images/style/match", files=files)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    first, second = told["pictures"]
    assert (first["file"], first["width"], first["height"]) == ("one.png", 123, 91)
    assert {each["name"] for each in first["distances"]} == set(paintings())
    distances = [each["distance"] for each in second["distances"]]
    assert distances == sorted(distances)
    assert first["nearest"] in ("starry-night", "udnie")  # those that are installed
    assert {each["name"] for each in first["distances"] if each["installed"]} == {"starry-night", "udnie"}
    assert len(first["palette"]) == 6
    assert told["between"][0][0] == told["between"][1][1] == 0
    assert told["between"][0][1] == told["between"][1][0] > 0
    assert (await http.post("/v1/images/style/match", files={"image": b""})).status_code == 422
    assert (await http.post("/v1/images/style/match", data={"a": "b"}, files={"image": b""})).json()["field"] == "a"


async def test_a_large_picture_keeps_its_size(http: httpx.AsyncClient) -> None:
    answer = await ask(http, LARGE, style="udnie")
    assert (await asyncio.to_thread(read, answer)).shape == (1500, 2000, 3)


def test_upsampling_of_any_factor() -> None:
    full = np.asarray(cv2.resize(SCENE, (301, 211), interpolation=cv2.INTER_NEAREST), np.uint8)
    toned: Pixels = np.asarray(255 - full // 2, np.uint8)
    small, seen = (np.asarray(cv2.resize(each, (128, 90), interpolation=cv2.INTER_AREA), np.uint8)
                   for each in (toned, full))
    made = upsampled(np.ascontiguousarray(small.transpose(2, 0, 1)[::-1] / 255, np.float32), seen, full)
    plain = cv2.resize(small, (301, 211), interpolation=cv2.INTER_LINEAR)
    assert made.shape == full.shape
    assert gap(made, toned) < 0.7 * gap(np.asarray(plain), toned)


async def test_too_many_at_once_are_refused(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures.Place, "taken", pictures.MOST_AT_ONCE)
    answer = await ask(http, ONE, style="udnie")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_without_styles_that_is_told(http: httpx.AsyncClient, shelf: FolderStore,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "folders", ())
    answer = await ask(http, ONE, style="udnie")
    assert answer.status_code == 503
    assert "no style is installed" in answer.json()["detail"]
