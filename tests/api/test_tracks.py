"""What was followed in a session, as a table."""

from __future__ import annotations

import csv
import io

import ai_edge_litert.interpreter  # noqa: F401  its import takes a while: not inside a test
import cv2
import httpx
import numpy as np
import pytest

from aimass_stream.frames import Picture, Pixels, VideoFrame

from ..support.context import video
from ..support.options import settings
from ..support.server import serve
from ..support.session import open_session
from ..support.sights import code, pasted, wall

pytestmark = pytest.mark.anyio

CODE = code("exit 7")  # its modules begin 16 px inside
PICTURES = [Picture.from_i420(Picture.from_bgr(pasted(wall(), CODE, 160 + 20 * number, 100)).i420)
            for number in range(12)]
WATCHED = {"stage": "detect", "engine": "opencv", "model": "opencv-codes", "overlay": False, "deadline": 5000,
           "zones": [{"name": "hall", "points": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}]}


def frame(number: int) -> VideoFrame:
    """Ten pictures a second."""
    return video(3 * number, picture=PICTURES[number], notes={})


async def test_places_and_zones_during_a_session_and_after_its_end() -> None:
    async with serve(settings()) as server, httpx.AsyncClient(base_url=server.url) as http:
        session, sink = await open_session(server.node, [WATCHED])
        for number in range(len(PICTURES)):
            session.push(frame(number))
            await sink.until(lambda: len(sink.frames) == number + 1)  # noqa: B023
        path = f"/v1/sessions/{session.id}/tracks.csv"
        answer = await http.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="tracks.csv"'
        assert answer.headers["x-dropped-rows"] == "0"
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        seen = [row for row in rows if row["what"] == "seen"]
        assert {(row["track"], row["id"], row["label"]) for row in seen} == {("video-0", "1", "QR code")}
        assert [float(row["pts"]) for row in seen] == pytest.approx([number / 10 for number in range(0, 12, 2)])
        assert [float(row["x"]) for row in seen] == pytest.approx([176 + 20 * number for number in range(0, 12, 2)],
                                                                 abs=3)
        [entered] = sink.typed("zone.entered")
        [row] = [row for row in rows if row["what"] == "zone.entered"]
        assert (row["name"], row["id"]) == ("hall", "1")
        assert float(row["pts"]) == pytest.approx(entered.pts, abs=0.001)
        assert entered.pts in {result.pts for result in sink.typed("frame.result")}
        await session.close("done")
        assert (await http.get(path)).text == answer.text
        assert (await http.get("/v1/sessions/s_nobody/tracks.csv")).status_code == 404


def pixels(answer: httpx.Response) -> Pixels:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    made = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(made, np.uint8)


async def test_where_things_stood_and_how_many_came() -> None:
    gate = {"name": "gate", "start": [0.4, 0], "end": [0.4, 1]}
    async with serve(settings()) as server, httpx.AsyncClient(base_url=server.url) as http:
        session, sink = await open_session(server.node, [WATCHED | {"lines": [gate]}])
        path = f"/v1/sessions/{session.id}"
        assert pixels(await http.get(f"{path}/heatmap.png")).max() < 20  # nobody yet
        for number in range(len(PICTURES)):
            session.push(frame(number))
            await sink.until(lambda: len(sink.frames) == number + 1)  # noqa: B023
        over, plain = [pixels(await http.get(f"{path}/heatmap.png?over={how}")) for how in ("picture", "plain")]
        assert over.shape == plain.shape == (480, 640, 3)
        low, high = 160 + CODE.shape[1] // 2, 160 + 20 * 11 + CODE.shape[1] // 2  # where the code's middle was
        feet = plain[100 + CODE.shape[0] - 16]
        assert feet[low + 20 : high - 20, 2].min() > 100
        assert plain[40].max() < 20
        np.testing.assert_allclose(over[40], PICTURES[-1].bgr[40] * 0.45, atol=3)
        told = (await http.get(f"{path}/counts")).json()
        [zone], [line] = told["zones"], told["lines"]
        assert zone | {"dwell": None, "longest": 0} == {
            "track": "video-0", "model": "opencv-codes", "zone": "hall", "inside": 1, "most": 1, "entered": 1,
            "left": 0, "dwell": None, "longest": 0, "labels": {"QR code": 1}}
        assert (line["line"], line["in"], line["out"], line["labels"]) == ("gate", 0, 1, {"QR code": 1})
        for query, field in (("track=video-7", "track"), ("label=cat", "label"), ("over=all", "over")):
            wrong = await http.get(f"{path}/heatmap.png?{query}")
            assert (wrong.status_code, field in wrong.json()["field"]) == (422, True)
        assert (await http.get(f"{path}/heatmap.png?track=video-0&label=QR%20code")).status_code == 200
        await session.update(pipeline=[WATCHED, {"stage": "mirror"}])
        assert pixels(await http.get(f"{path}/heatmap.png"))[40].max() < 20  # over no picture that is turned
        await session.close("done")
        np.testing.assert_array_equal(pixels(await http.get(f"{path}/heatmap.png")), plain)
        assert (await http.get(f"{path}/counts")).json()["zones"][0]["entered"] == 1
        assert (await http.get("/v1/sessions/s_nobody/heatmap.png")).status_code == 404


async def test_a_session_in_which_nothing_was_followed() -> None:
    async with serve(settings()) as server, httpx.AsyncClient(base_url=server.url) as http:
        session, _ = await open_session(server.node, [])
        path = f"/v1/sessions/{session.id}/tracks.csv"
        assert (await http.get(path)).text.count("\r\n") == 1
        await session.close("done")
        assert (await http.get(path)).status_code == 404
