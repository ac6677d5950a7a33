"""The protocol's routes: health, metadata, statistics, the repository; `infer` has a file of its own."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ... import __version__
from ...errors import AimassError, InvalidMessage, TooLarge, Unavailable
from ...inference import ModelStatistics
from ...ports import Caller
from ..deps import admitted
from ..problems import headers_of
from .bodies import status_of
from .infer import Infer
from .messages import load
from .offered import Counts, Offered, Served, metadata

EXTENSIONS = ("binary_tensor_data", "sequence", "statistics", "model_repository")
MOST = 64 * 1024  # bytes of what the repository is told

Handler: TypeAlias = Callable[[Request, Caller], Awaitable[Any]]


def routes(infer: Infer) -> list[BaseRoute]:
    protocol = Protocol(infer.offered)
    models = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
    listed: list[BaseRoute] = [Route(f"{model}/infer", infer, methods=["POST"]) for model in models]

    def get(path: str, handler: Handler, scope: str = "models:read", method: str = "GET") -> None:
        listed.append(Route(path, _endpoint(handler, scope), methods=[method]))

    get("/v2/models/stats", protocol.statistics)  # before a model of that name
    for model in models:
        get(f"{model}/ready", protocol.model_ready)
        get(f"{model}/stats", protocol.model_statistics)
        get(model, protocol.model)
    get("/v2/health/live", protocol.live, "")
    get("/v2/health/ready", protocol.ready, "")
    get("/v2/repository/index", protocol.index, method="POST")
    get("/v2/repository/models/{name}/load", protocol.load, "models:deploy", "POST")
    get("/v2/repository/models/{name}/unload", protocol.unload, "models:deploy", "POST")
    get("/v2", protocol.server)
    return listed


def _endpoint(handler: Handler, scope: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            if scope:
                caller = await admitted(request)
                caller.need(scope)
            else:  # probes of whoever watches the server have no key
                caller = Caller("probe")
            answer = await handler(request, caller)
        except AimassError as error:
            return Response(json.dumps({"error": error.detail}), status_of(error), headers_of(error),
                            "application/json")
        return Response(json.dumps(answer), media_type="application/json")

    return endpoint


class Protocol:
    """Each method answers what becomes JSON, or raises."""

    def __init__(self, offered: Offered) -> None:
        self.offered = offered

    async def server(self, request: Request, caller: Caller) -> dict[str, Any]:
        return {"name": "aimass-stream", "version": __version__, "extensions": list(EXTENSIONS)}

    async def live(self, request: Request, caller: Caller) -> dict[str, Any]:
        return {"live": True}

    async def ready(self, request: Request, caller: Caller) -> dict[str, Any]:
        if request.app.state.node.draining:
            raise Unavailable("the server is stopping")
        return {"ready": True}

    async def model(self, request: Request, caller: Caller) -> dict[str, Any]:
        served = self._served(request, caller)
        catalogue = self.offered.catalogue
        return metadata(served, catalogue.entry(served), catalogue.versions(request.path_params["name"]))

    async def model_ready(self, request: Request, caller: Caller) -> dict[str, Any]:
        """Also for a model that the first request will load. Raises `Unavailable`."""
        served, why = self.offered.state(request.path_params["name"], request.path_params.get("version", ""))
        if why:
            raise Unavailable(f"{served.name} is not ready: {why}")
        return {"name": served.name, "ready": True}

    async def model_statistics(self, request: Request, caller: Caller) -> dict[str, Any]:
        return {"model_stats": [self._statistics(self._served(request, caller), self.offered.engine.statistics())]}

    async def statistics(self, request: Request, caller: Caller) -> dict[str, Any]:
        ran, catalogue = self.offered.engine.statistics(), self.offered.catalogue
        return {"model_stats": [self._statistics(catalogue.resolve(name), ran) for name in catalogue.names()]}

    async def index(self, request: Request, caller: Caller) -> list[dict[str, Any]]:
        asked = await _object(request)
        loaded, found = self.offered.engine.models(), []
        for name in self.offered.catalogue.names():
            served, why = self.offered.state(name)
            cold = not why and served.engine not in loaded
            if not asked.get("ready") or not (cold or why):
                found.append({"name": name, "version": served.version,
                              "state": "UNAVAILABLE" if cold or why else "READY",
                              "reason": "the first request loads it" if cold else why})
        return found

    async def load(self, request: Request, caller: Caller) -> dict[str, Any]:
        asked = await _object(request)
        if asked.get("parameters"):
            raise InvalidMessage("models are loaded as they are deployed: there are no parameters for it")
        await self.offered.load(request.path_params["name"])
        return {}

    async def unload(self, request: Request, caller: Caller) -> dict[str, Any]:
        await _object(request)
        await self.offered.unload(request.path_params["name"])
        return {}

    def _served(self, request: Request, caller: Caller) -> Served:
        path = request.path_params
        return self.offered.catalogue.resolve(path["name"], path.get("version", ""), caller=caller)

    def _statistics(self, served: Served, ran: dict[str, ModelStatistics]) -> dict[str, Any]:
        return statistics(served, self.offered.counts.get(f"{served.name} {served.version}", Counts()),
                          ran.get(served.engine))


async def _object(request: Request) -> dict[str, Any]:
    """The body, where there is one. Raises `InvalidMessage` or `TooLarge`."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST:
            raise TooLarge(f"a request has at most {MOST} bytes here")
    return load(bytes(body)) if body else {}


def statistics(served: Served, counts: Counts, ran: ModelStatistics | None) -> dict[str, Any]:
    """Triton's extension ``statistics``; times in nanoseconds. What a request waited is in ``compute_infer``."""
    def spent(seconds: float, count: int = counts.succeeded) -> dict[str, int]:
        return {"count": count, "ns": round(seconds * 1e9)}

    return {
        "name": served.name, "version": served.version, "last_inference": round(counts.last * 1000),
        "inference_count": counts.rows, "execution_count": ran.runs if ran else 0,
        "inference_stats": {
            "success": spent(counts.whole), "fail": spent(counts.failing, counts.failed), "queue": spent(0, 0),
            "compute_input": spent(counts.reading), "compute_infer": spent(counts.running),
            "compute_output": spent(counts.writing), "cache_hit": spent(0, 0), "cache_miss": spent(0, 0)},
        "batch_stats": [], "memory_usage": [{"type": "CPU", "id": 0, "byte_size": ran.memory}] if ran else []}
