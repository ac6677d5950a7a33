"""People enrolled, listed and deleted over REST, and who was there in a session."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401  their imports take a while: not inside a test
import httpx
import onnxruntime  # noqa: F401
import pytest

from aimass_stream.frames import Picture, VideoFrame
from aimass_stream.inference import installed
from tests.support import small_networks
from tests.support.context import video
from tests.support.drawn_faces import portrait
from tests.support.mediapipe import needs
from tests.support.options import settings
from tests.support.picture_files import bomb, file
from tests.support.server import Running, serve
from tests.support.session import open_session
from tests.support.sights import wall

pytestmark = pytest.mark.anyio

CONSENT = "I want to be greeted by name in room 7, until I say otherwise."
ADA = [file(portrait(1, take)) for take in range(3)]
BOB, NOBODY, BOMB = file(portrait(2)), file(wall()), bomb(8192, 8192)
PICTURES = [Picture.from_i420(Picture.from_bgr(portrait(1, 10 + number) if number < 8 else wall(320, 240)).i420)
            for number in range(30)]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    needs("mediapipe-faces")
    small_networks.embedder(tmp_path)
    store, before = installed(), installed().folders
    try:
        async with serve(settings(data_dir=tmp_path / "data", model_dirs=[tmp_path])) as running:
            yield running
    finally:
        store.folders = before


@pytest.fixture
async def http(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        yield client


async def enrol(http: httpx.AsyncClient, images: list[bytes], **fields: str) -> httpx.Response:
    files = [("image", (f"{number}.png", image)) for number, image in enumerate(images)]
    return await http.post("/v1/faces", files=files, data={"name": "Ada", "consent": CONSENT} | fields)


async def test_enrolled_listed_and_deleted(http: httpx.AsyncClient, tmp_path: Path) -> None:
    empty = (await http.get("/v1/faces")).json()
    assert (empty["model"], empty["tier"], empty["people"], empty["names"]) == ("cells", "weights", [], False)
    answer = await enrol(http, ADA, consent_by="Ada's guardian")
    assert answer.status_code == 201, answer.text
    ada = answer.json()
    assert answer.headers["location"] == f"/v1/faces/{ada['id']}"
    assert (ada["name"], ada["pictures"]) == ("Ada", 3)
    assert (ada["consent"]["by"], ada["consent"]["words"]) == ("Ada's guardian", CONSENT)
    assert ada["consent"]["when"].endswith("+00:00")
    listed = (await http.get("/v1/faces")).json()
    assert (listed["people"], listed["names"], listed["threshold"]) == ([ada], True, 0.92)
    assert (await http.delete(f"/v1/faces/{ada['id']}")).status_code == 204
    assert (await http.get("/v1/faces")).json()["people"] == []
    assert (await http.delete(f"/v1/faces/{ada['id']}")).status_code == 404
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("faces*"))
    assert b"guardian" not in kept
    assert b"IHDR" not in kept


REFUSED: list[tuple[list[bytes], dict[str, str], str, str]] = [
    (ADA[:1], {"consent": ""}, "consent", "nobody is enrolled without consent"),
    (ADA[:1], {"consent": "  "}, "consent", "nobody is enrolled without consent"),
    (ADA[:1], {"name": ""}, "name", "whose face is it"),
    (ADA[:1], {"name": "x" * 81}, "name", "at most 80 letters"),
    (ADA[:1], {"name": "Ada\u202eadA"}, "name", "in one line"),
    (ADA[:1], {"colour": "blue"}, "colour", "there is no field"),
    (ADA[:1] * 13, {}, "image", "send one to 12 pictures"),
    ([NOBODY], {}, "image", "no face is found in 0.png"),
    ([ADA[0], NOBODY], {}, "image", "no face is found in 1.png"),
    ([b"no picture"], {}, "image", "0.png"),
]


async def test_what_is_refused_leaves_nothing(http: httpx.AsyncClient) -> None:
    for images, fields, field, told in REFUSED:
        answer = await enrol(http, images, **fields)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
        assert told in answer.json()["detail"]
    assert (await http.get("/v1/faces")).json()["people"] == []


async def test_a_bomb_is_refused(http: httpx.AsyncClient) -> None:
    assert (await enrol(http, [BOMB])).status_code == 413


async def test_who_was_there_in_a_session(server: Running, http: httpx.AsyncClient) -> None:
    ada = (await enrol(http, ADA)).json()["id"]
    session, sink = await open_session(server.node, [{"stage": "faces", "every": 1, "gone": 1, "deadline": 5000}])
    for number, picture in enumerate(PICTURES):
        session.push(frame(number, picture))
        await sink.until(lambda: len(sink.frames) == number + 1)  # noqa: B023
    [arrived], [left] = sink.typed("person.arrived"), sink.typed("person.left")
    results = {result.pts for result in sink.typed("frame.result")}
    assert {arrived.pts, left.pts} <= results
    path = f"/v1/sessions/{session.id}/attendance"
    [visit] = (await http.get(path)).json()["visits"]
    assert (visit["name"], visit["person"], visit["track"]) == ("Ada", ada, "video-0")
    assert visit["left_pts"] == pytest.approx(0.7)
    table = await http.get(f"{path}.csv")
    assert table.headers["content-disposition"] == 'attachment; filename="attendance.csv"'
    [row] = csv.DictReader(io.StringIO(table.text))
    assert (row["name"], row["arrived"], row["stayed"]) == ("Ada", visit["arrived"], str(visit["stayed"]))
    await session.close("done")
    assert (await http.get(path)).json()["visits"] == [visit]  # also after its end
    await http.delete(f"/v1/faces/{ada}")
    [erased] = (await http.get(path)).json()["visits"]
    assert erased == visit | {"name": "", "person": ""}
    assert "Ada" not in (await http.get(f"{path}.csv")).text
    assert (await http.get("/v1/sessions/s_nobody/attendance")).status_code == 404


def frame(number: int, picture: Picture) -> VideoFrame:
    """Ten pictures a second."""
    given: dict[str, Any] = {"picture": picture, "notes": {}}
    return video(3 * number, **given)
