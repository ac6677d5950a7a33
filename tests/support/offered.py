"""Small real models behind the protocol's routes, each with the datatypes that a test is about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import uvicorn
from starlette.applications import Starlette

from aimass_stream.api.oip.infer import Infer
from aimass_stream.api.oip.offered import Offered, Served
from aimass_stream.api.oip.routes import routes
from aimass_stream.errors import NotFound
from aimass_stream.inference import Batch, Capabilities, Engine, Entry, Model, TensorSpec
from aimass_stream.ports import SCOPES, Caller
from aimass_stream.usage import Meter
from tests.support.models import Adder, Doubler, Shelf


class Mirror(Doubler):
    """Gives back what it is given, of any datatype and shape."""

    def __init__(self, name: str, dtype: str, shape: tuple[int | None, ...] = (None, None), unit: str = "") -> None:
        super().__init__(name, max_batch=8)
        spec = TensorSpec("x", shape, dtype, unit=unit, example=tuple(axis or 1 for axis in shape))
        self.inputs = (spec,)
        self.outputs = (TensorSpec("y", shape, dtype, unit=unit),)
        self.capabilities = Capabilities(batchable=shape[0] is None, max_batch=8, light=True)

    def warm_up(self) -> None:
        """Has nothing to warm up."""

    def run(self, batch: Batch) -> Batch:
        return {"y": batch["x"]}


class Reciprocal(Mirror):
    """Two outputs, one of them with infinity for a zero."""

    def __init__(self) -> None:
        super().__init__("reciprocal", "float32")
        self.outputs = (TensorSpec("inverse", (None, None)), TensorSpec("rows", (None,), "int64"))

    def run(self, batch: Batch) -> Batch:
        with np.errstate(divide="ignore"):
            return {"inverse": 1 / batch["x"], "rows": np.arange(len(batch["x"]))}


class Pile:
    """A `Catalogue` of these, which the engine has loaded."""

    def __init__(self, *models: Model) -> None:
        self.models = {model.name: model for model in models}

    def names(self) -> list[str]:
        return list(self.models)

    def versions(self, name: str) -> list[str]:
        return [self.models[name].version]

    def resolve(self, name: str, version: str = "", *, caller: Caller | None = None) -> Served:
        if name not in self.models or version not in ("", "1"):
            raise NotFound(f"there is no model {name!r} {version!r}", field="model")
        return Served(name, name, "1")

    def entry(self, served: Served) -> Entry:
        model = self.models[served.name]
        return Entry(Path(), model.name, "1", model.name.title(), "test", "Apache-2.0", (), "", (), model.inputs,
                     model.outputs, model.capabilities)


def models() -> list[Model]:
    kinds = ("bool", "uint8", "uint64", "int32", "int64", "float16", "float64")
    return [Doubler(), Adder(), Reciprocal(), Mirror("one-row", "float32", (4,)),
            Mirror("texts", "object", (None,), "text"), *(Mirror(kind, kind) for kind in kinds)]


class Everybody:
    """Lets everybody in, as often as they like: accounts have tests of their own."""

    def __init__(self) -> None:
        self.parts = SimpleNamespace(allowance=self)

    def authorize(self, authorization: str | None, **_: Any) -> Caller:
        return Caller("anyone", role="admin", scopes=SCOPES)

    async def request(self, caller: Caller) -> None:
        """Nobody counts."""

    async def upload(self, caller: Caller, size: int) -> None:
        """Nobody counts."""


@asynccontextmanager
async def offering(max_infer: int = 1 << 26) -> AsyncIterator[tuple[Offered, httpx.AsyncClient]]:
    """The protocol's routes alone, on a real socket: a whole server takes seconds to start."""
    async with bare(max_infer) as (offered, url), httpx.AsyncClient(base_url=url, timeout=60) as http:
        yield offered, http


@asynccontextmanager
async def bare(max_infer: int) -> AsyncIterator[tuple[Offered, str]]:
    there = models()
    engine = Engine(Shelf())
    offered = Offered(engine, Pile(*there))
    app = Starlette(routes=routes(Infer(offered, max_infer, Meter())))
    app.state.authorizer = app.state.accounts = Everybody()
    app.state.node = SimpleNamespace(draining=False)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off"))
    server.config.load()
    for model in there:
        await engine.add(model)
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    try:
        yield offered, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        await server.shutdown()
        await engine.close()
