"""Conversions without a server around them."""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from aimass_stream.hub.conversions.child import convert
from aimass_stream.hub.conversions.kinds import KINDS
from aimass_stream.hub.conversions.orders import Conversions
from aimass_stream.hub.examine import examine
from aimass_stream.hub.hub import Hub
from aimass_stream.jobs import Job, Jobs
from aimass_stream.store import Blobs
from aimass_stream.store import Jobs as Table

from .options import settings


@asynccontextmanager
async def converting(hub: Hub, folder: Path) -> AsyncIterator[tuple[Conversions, Jobs]]:
    """Of this hub, with jobs in its own database."""
    blobs = await asyncio.to_thread(Blobs, folder / "jobs")
    jobs = Jobs(settings(data_dir=folder), Table(hub.catalogue._database, blobs), blobs)
    conversions = Conversions(hub, jobs)
    await jobs.start()
    try:
        yield conversions, jobs
    finally:
        await jobs.close()


async def over(jobs: Jobs, job: Job) -> Job:
    """As it is when it has ended."""
    async with asyncio.timeout(120):
        async for news in jobs.watch(job, 10):
            job = news or job
    return job


def layers(seed: int = 1, *, scale: float = 1.0) -> bytes:
    """ONNX: y (n, 8) of pictures x (n, 3, 8, 8): a convolution, and a hidden layer of 64."""
    rng = np.random.default_rng(seed)
    weights = {"kernel": (4, 3, 3, 3), "hidden": (256, 64), "last": (64, 8), "bias": (8,)}
    nodes = [helper.make_node("Conv", ["x", "kernel"], ["seen"], pads=[1, 1, 1, 1]),
             helper.make_node("Relu", ["seen"], ["bright"]), helper.make_node("Flatten", ["bright"], ["flat"]),
             helper.make_node("MatMul", ["flat", "hidden"], ["within"]), helper.make_node("Tanh", ["within"], ["bent"]),
             helper.make_node("MatMul", ["bent", "last"], ["made"]), helper.make_node("Add", ["made", "bias"], ["y"])]
    tensors = [numpy_helper.from_array((scale * rng.normal(size=shape) / shape[0] ** 0.5).astype(np.float32), name)
               for name, shape in weights.items()]
    graph = helper.make_graph(
        nodes, "layers", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])], tensors)
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def laid_out(folder: Path, files: dict[str, bytes], **told: Any) -> tuple[Path, dict[str, Any]]:
    """A version's folder and its manifest, as the check leaves them."""
    place = folder / "fish@1"
    place.mkdir()
    for name, content in files.items():
        (place / name).write_bytes(content)
    *_, last = examine(str(place), "", told, 1 << 30)
    manifest: dict[str, Any] = json.loads(last)["result"]["manifest"]
    return place, manifest


def converted(folder: Path, place: Path, kind: str, told: dict[str, Any], format: str = "onnx", **options: Any
              ) -> tuple[dict[str, Any], Path]:
    """What is told of the result, and the folder with its files. The working folder is to be an empty one."""
    chosen = KINDS[kind].chosen(options)  # type: ignore[index]
    archive = folder / "made.tar"
    with archive.open("wb") as file:
        *_, last = convert(file.fileno(), str(place), kind, chosen, format, told)
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "result", filter="data")
    report: dict[str, Any] = json.loads(last)["facts"]["conversion"]
    return report, folder / "result"
