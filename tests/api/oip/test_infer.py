"""Inference over the Open Inference Protocol: JSON and binary tensors both ways, and every way to get it wrong."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.support.models import Doubler
from tests.support.offered import offering

pytestmark = pytest.mark.anyio

X = {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4.5]}


def url(model: str) -> str:
    return f"/v2/models/{model}/infer"


async def binary(http: httpx.AsyncClient, model: str, request: dict[str, Any], data: bytes,
                 header: int | None = None) -> httpx.Response:
    text = json.dumps(request).encode()
    return await http.post(url(model), content=text + data, headers={
        "Inference-Header-Content-Length": str(len(text) if header is None else header)})


def parted(answer: httpx.Response) -> tuple[dict[str, Any], bytes]:
    size = int(answer.headers["Inference-Header-Content-Length"])
    return json.loads(answer.content[:size]), answer.content[size:]


async def test_json_tensors() -> None:
    async with offering() as (_, http):
        answer = (await http.post(url("doubler"), json={"id": "one", "inputs": [X]})).json()
        assert answer == {"model_name": "doubler", "model_version": "1", "id": "one", "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [2, 4, 6, 9]}]}
        nested = X | {"data": [[1, 2], [3, 4.5]]}
        again = await http.post("/v2/models/doubler/versions/1/infer", json={"inputs": [nested]})
        assert again.json()["outputs"] == answer["outputs"]
        some = (await http.post(url("reciprocal"), json={"inputs": [X | {"data": [1, 0, 2, 4]}], "outputs": [
            {"name": "inverse"}]})).json()["outputs"]
        assert [(each["name"], each["data"]) for each in some] == [("inverse", [1, None, 0.5, 0.25])]
        one = X | {"shape": [4]}
        assert (await http.post(url("one-row"), json={"inputs": [one]})).json()["outputs"][0]["shape"] == [4]


@pytest.mark.parametrize(("model", "kind", "data"), [
    ("bool", "BOOL", [True, False]), ("uint8", "UINT8", [0, 255]), ("uint64", "UINT64", [0, 2**64 - 1]),
    ("int32", "INT32", [-2**31, 2**31 - 1]), ("int64", "INT64", [-2**63, 2**63 - 1]),
    ("float16", "FP16", [0.5, -65504]), ("float64", "FP64", [1e-300, 0.1]), ("texts", "BYTES", ["a 字", ""])])
async def test_every_datatype_both_ways(model: str, kind: str, data: list[Any]) -> None:
    shape = [2] if kind == "BYTES" else [1, 2]
    given = {"name": "x", "shape": shape, "datatype": kind}
    async with offering() as (_, http):
        answer = await http.post(url(model), json={"inputs": [given | {"data": data}],
                                                   "parameters": {"binary_data_output": True}})
        told, raw = parted(answer)
        assert (told["outputs"][0]["datatype"], told["outputs"][0]["shape"]) == (kind, shape)
        assert told["outputs"][0]["parameters"]["binary_data_size"] == len(raw)
        if kind == "BYTES":
            assert raw == b"\x05\0\0\0a " + "字".encode() + b"\0\0\0\0"
        else:
            assert raw == np.array(data, model).tobytes()
        back = await binary(http, model, {"inputs": [given | {"parameters": {"binary_data_size": len(raw)}}]}, raw)
        assert back.json()["outputs"][0]["data"] == data


async def test_a_body_may_be_nothing_but_the_data() -> None:
    row = np.arange(6, dtype=np.float32)
    async with offering() as (_, http):
        answer = await http.post(url("doubler"), content=row.tobytes(), headers={
            "Inference-Header-Content-Length": "0"})
        told, raw = parted(answer)
        assert told["outputs"][0]["shape"] == [1, 6]
        assert np.frombuffer(raw, np.float32).tolist() == (row * 2).tolist()
        text = await http.post(url("texts"), content="雨".encode(), headers={"Inference-Header-Content-Length": "0"})
        assert parted(text)[1] == b"\x03\0\0\0" + "雨".encode()
        odd = await http.post(url("doubler"), content=b"12345", headers={"Inference-Header-Content-Length": "0"})
        assert odd.status_code == 400


async def test_tensors_too_long_for_the_loop_take_the_way_through_a_child() -> None:
    rows = np.random.default_rng(1).normal(size=(4, 5000)).round(3)
    asked = {"name": "x", "shape": [4, 5000], "datatype": "FP64", "data": rows.tolist()}
    async with offering() as (_, http):
        answer = (await http.post(url("float64"), json={"inputs": [asked], "id": "long"})).json()
        assert answer["outputs"][0]["data"] == rows.ravel().tolist()
        assert answer["id"] == "long"
        wrong = await http.post(url("float64"), json={"inputs": [asked | {"shape": [4, 4999]}]})
        assert (wrong.status_code, "x" in wrong.json()["error"]) == (400, True)
        large = np.zeros((2, 1 << 18), np.float64)
        back = await binary(http, "float64", {"inputs": [{
            "name": "x", "shape": [2, 1 << 18], "datatype": "FP64", "parameters": {"binary_data_size": large.nbytes}}],
            "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}, large.tobytes())
        assert parted(back)[1] == large.tobytes()


async def test_a_stream_keeps_its_state_until_it_ends() -> None:
    async with offering() as (offered, http):
        async def add(value: float, **parameters: Any) -> float:
            x = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [value]}
            answer = await http.post(url("adder"), json={"inputs": [x], "parameters": parameters})
            return float(answer.json()["outputs"][0]["data"][0])

        assert [await add(2), await add(3)] == [2, 3]
        assert [await add(2, sequence_id=7, sequence_start=True), await add(3, sequence_id=7)] == [2, 5]
        assert await add(1, sequence_id="other", sequence_end=True) == 1
        assert await add(4, sequence_id=7, sequence_end=True) == 9
        assert await add(4, sequence_id=7, sequence_start=True, sequence_end=True) == 4
        assert offered._streams == {}


WRONG: list[tuple[str, Any]] = [
    ("not an object", []),
    ("no inputs", {}),
    ("empty inputs", {"inputs": []}),
    ("inputs a number", {"inputs": 4}),
    ("an input that is none", {"inputs": [3]}),
    ("no name", {"inputs": [{"shape": [1, 1]}]}),
    ("another name", {"inputs": [X | {"name": "z"}]}),
    ("twice", {"inputs": [X, X]}),
    ("no datatype", {"inputs": [{"name": "x", "shape": [1, 1], "data": [1]}]}),
    ("another datatype", {"inputs": [X | {"datatype": "INT32", "data": [1, 2, 3, 4]}]}),
    ("a datatype that is none", {"inputs": [X | {"datatype": ["FP32"]}]}),
    ("too few", {"inputs": [X | {"shape": [2, 3]}]}),
    ("too many", {"inputs": [X | {"shape": [1, 1]}]}),
    ("a negative axis", {"inputs": [X | {"shape": [-1, 2]}]}),
    ("no rows", {"inputs": [X | {"shape": [0, 2], "data": []}]}),
    ("a fraction of an axis", {"inputs": [X | {"shape": [2.0, 2]}]}),
    ("a huge axis", {"inputs": [X | {"shape": [2**40]}]}),
    ("a huge shape", {"inputs": [X | {"shape": [2**30] * 16}]}),
    ("one axis", {"inputs": [X | {"shape": [4]}]}),
    ("ragged", {"inputs": [X | {"data": [[1, 2], [3]]}]}),
    ("nested too deep", {"inputs": [X | {"data": [[[1], [2]]]}]}),
    ("mixed", {"inputs": [X | {"data": [[1, 2], 3]}]}),
    ("texts", {"inputs": [X | {"data": ["1", "2", "3", "4"]}]}),
    ("null", {"inputs": [X | {"data": [None, 2, 3, 4]}]}),
    ("no number of FP32", {"inputs": [X | {"data": [1e60, 2, 3, 4]}]}),
    ("objects", {"inputs": [X | {"data": [{}, 2, 3, 4]}]}),
    ("data a text", {"inputs": [X | {"data": "1234"}]}),
    ("no data", {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32"}]}),
    ("parameters a list", {"inputs": [X], "parameters": [1]}),
    ("an id of another kind", {"inputs": [X], "id": 4}),
    ("an output that is not there", {"inputs": [X], "outputs": [{"name": "z"}]}),
    ("an output that is none", {"inputs": [X], "outputs": ["y"]}),
    ("classes", {"inputs": [X], "outputs": [{"name": "y", "parameters": {"classification": 2}}]}),
    ("a timeout of another kind", {"inputs": [X], "parameters": {"timeout": "soon"}}),
    ("more bytes than there are", {"inputs": [X | {"parameters": {"binary_data_size": 16}}]}),
    ("less than no bytes", {"inputs": [X | {"parameters": {"binary_data_size": -4}}]}),
    ("more rows than it takes", {"inputs": [X | {"shape": [9, 1], "data": [1] * 9}]}),
]


async def test_what_is_wrong_is_said() -> None:
    async with offering() as (_, http):
        for what, body in WRONG:
            answer = await http.post(url("doubler"), json=body)
            assert answer.status_code == 400, f"{what}: {answer.status_code} {answer.text}"
            assert list(answer.json()) == ["error"], what
            assert answer.json()["error"], what
        for text in (b"", b"{", b"[" * 20_000, b'{"inputs": NaN}', b"\xff", b"9" * 5000,
                     json.dumps({"inputs": [X]}).replace("4.5", "Infinity").encode()):
            answer = await http.post(url("doubler"), content=text)
            assert answer.status_code == 400, text[:20]
        assert (await http.post(url("no-such-model"), json={"inputs": [X]})).status_code == 404
        assert (await http.post("/v2/models/doubler/versions/9/infer", json={"inputs": [X]})).status_code == 404
        assert (await http.post(url("doubler"), json={"inputs": [X]})).status_code == 200


async def test_byte_counts_that_lie() -> None:
    described = {"name": "x", "shape": [1, 4], "datatype": "FP32"}
    async with offering(max_infer=4096) as (_, http):
        for size, data in ((16, b"1" * 15), (16, b"1" * 17), (15, b"1" * 15), (0, b""), (2**62, b"1" * 16)):
            answer = await binary(http, "doubler", {"inputs": [described | {"parameters": {"binary_data_size": size}}]},
                                  data)
            assert answer.status_code == 400, (size, answer.text)
        for header in (10, 10_000, 10**11):
            assert (await binary(http, "doubler", {"inputs": [X]}, b"", header)).status_code == 400
        for length in ("-1", "x", "9" * 4000):
            answer = await http.post(url("doubler"), content=b"{}", headers={"Inference-Header-Content-Length": length})
            assert answer.status_code == 400
        elements = {"name": "x", "shape": [2], "datatype": "BYTES"}
        for data in (b"", b"\1\0\0\0a", b"\xff\xff\xff\xffaaaa", b"\0\0\0\0\0\0\0\0a", b"\1\0\0\0\xff\0\0\0\0"):
            request = {"inputs": [elements | {"parameters": {"binary_data_size": len(data)}}]}
            assert (await binary(http, "texts", request, data)).status_code == 400
        too_large = await http.post(url("doubler"), content=b"1" * 5000)
        assert too_large.status_code == 413

        async def endless() -> Any:
            for _ in range(100):
                yield b"1" * 1000

        assert (await http.post(url("doubler"), content=endless())).status_code == 413
        packed = await http.post(url("doubler"), content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
        assert packed.status_code == 400


async def test_many_callers_are_batched_and_no_more_than_there_is_room_for_are_taken() -> None:
    async with offering() as (offered, http):
        doubler = offered.engine.models()["doubler"]
        assert isinstance(doubler, Doubler)
        doubler.noting = True
        doubler.gate.clear()
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=http.base_url, timeout=60, limits=limits) as many:
            one = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}]}
            asking = [asyncio.create_task(many.post(url("doubler"), json=one)) for _ in range(130)]
            done, _ = await asyncio.wait(asking, timeout=30, return_when=asyncio.FIRST_COMPLETED)
            assert {task.result().status_code for task in done} == {429}
            assert all("retry-after" in task.result().headers for task in done)
            doubler.gate.set()
            codes = [answer.status_code for answer in await asyncio.gather(*asking)]
        assert (codes.count(200), codes.count(429)) == (128, 2)
        assert offered._lanes == {}


@pytest.mark.parametrize(("limit", "runs"), [(8, 3), (1, 16)])
async def test_callers_share_runs_where_a_measurement_said_that_it_pays(limit: int, runs: int) -> None:
    async with offering() as (offered, http):
        doubler = offered.engine.models()["doubler"]
        assert isinstance(doubler, Doubler)
        offered.engine._models["doubler"].limit = limit  # as it was measured while loading
        doubler.noting = True
        doubler.gate.clear()
        limits = httpx.Limits(max_connections=20)
        async with httpx.AsyncClient(base_url=http.base_url, timeout=60, limits=limits) as many:
            def ask(value: int) -> asyncio.Task[httpx.Response]:
                one = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [value]}
                return asyncio.create_task(many.post(url("doubler"), json={"inputs": [one]}))

            first = ask(0)
            await asyncio.to_thread(doubler.entered.wait, 30)
            asking = [first, *(ask(value) for value in range(1, 16))]
            async with asyncio.timeout(30):
                while offered.engine.statistics()["doubler"].waiting < 15:  # noqa: ASYNC110  they are on their way
                    await asyncio.sleep(0.005)
            doubler.gate.set()
            answers = [answer.json()["outputs"][0]["data"] for answer in await asyncio.gather(*asking)]
        assert answers == [[2 * value] for value in range(16)]
        assert len(doubler.seen) == runs
        assert max(map(len, doubler.seen)) == limit
