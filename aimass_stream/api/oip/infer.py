"""POST /v2/models/{name}/infer, as plain ASGI."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from ...errors import AimassError
from ...inference import Model
from ...ports import Caller
from ...usage import Meter
from ..deps import admit
from ..problems import headers_of
from . import messages
from .bodies import VALUES_HERE, Body, Desk, Disconnected, body_of, respond, status_of
from .messages import Asked
from .offered import SERVED, Offered, Served, who

log = logging.getLogger(__name__)


class Infer:
    """One for the server: it keeps what all requests share."""

    def __init__(self, offered: Offered, most: int, meter: Meter) -> None:
        """`most` is how many bytes a request may have; `meter` counts who asked for what."""
        self.offered, self.most, self.meter = offered, most, meter
        self.desk = Desk()
        self.watched: Callable[[str, float, BaseException | None], None] | None = None  # by the version's name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        except Disconnected:
            log.debug("a client left before it had sent its request")
        except AimassError as error:
            await fail(send, error)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = await admit(scope)
        caller.need("media")
        begun = time.perf_counter()
        body = await body_of(scope, receive, self.most)
        path = scope["path_params"]
        served, model = await self.offered.ready(path["name"], path.get("version", ""), caller, scope.get(SERVED))
        counts = self.offered.count(served)
        try:
            read = time.perf_counter()
            asked = await self.desk.read(body, model)
            ready = time.perf_counter()
            results = await self.offered.run(served, model, asked.inputs, caller=who(caller), timeout=asked.timeout,
                                             stream=asked.stream)
            done = time.perf_counter()
            order = tuple(spec.name for spec in model.outputs)
            text, parts = await self.desk.written(served, asked, results, order)
        except BaseException as error:
            counts.failed += 1
            counts.failing += time.perf_counter() - begun
            self.asked(caller, served, time.perf_counter() - begun, error)
            raise
        self._succeeded(caller, served, model, asked, (begun, read, ready, done))
        await respond(send, 200, text, parts)

    def at_once(self, caller: Caller, served: Served, body: Body, begun: float) -> tuple[bytes, list[bytes]] | None:
        """The answer's JSON and its binary tensors, where `Offered.at_hand`. None, or an error, where it takes the
        usual way: nothing was counted then."""
        engine = self.offered.engine
        model = engine.model(served.engine)
        if model is None:
            return None
        asked = messages.raw(model, memoryview(body.data)) if body.header == 0 else messages.read(
            memoryview(body.data), body.header)
        ready = time.perf_counter()
        results = engine.at_once(served.engine, asked.inputs)
        done = time.perf_counter()
        if results is None or sum([values.size for values in results.values()]) > VALUES_HERE:
            return None
        order = tuple([spec.name for spec in model.outputs])
        written = messages.written(served.name, served.version, asked, results, order, served.reason)
        self._succeeded(caller, served, model, asked, (begun, begun, ready, done))
        return written

    def _succeeded(self, caller: Caller, served: Served, model: Model, asked: Asked,
                   moments: tuple[float, float, float, float]) -> None:
        """`moments`: it began, was read, was ready to run, had run."""
        begun, read, ready, done = moments
        now, counts = time.perf_counter(), self.offered.count(served)
        self.asked(caller, served, now - begun)
        counts.succeeded += 1
        counts.whole += now - begun
        counts.reading += ready - read
        counts.running += done - ready
        counts.writing += now - done
        counts.last = time.time()
        counts.rows += next(iter(asked.inputs.values())).shape[0] if model.capabilities.batchable else 1

    def asked(self, caller: Caller, served: Served, seconds: float, error: BaseException | None = None) -> None:
        """Somebody asked for that, and got an answer, or this error."""
        self.meter.request(caller, served.name, seconds, failed=error is not None)
        if self.watched is not None:
            self.watched(served.engine, seconds, error)


async def fail(send: Send, error: AimassError) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in headers_of(error).items()]
    await respond(send, status_of(error), json.dumps({"error": error.detail}).encode(), None, headers)
