"""/healthz, /readyz and /metrics, for the things that watch a server."""

from __future__ import annotations

import platform
import sys
from typing import Any, Literal

import psutil
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from .. import __version__
from ..inference.metrics import MODELS
from .deps import CallerDep, NodeDep
from .problems import RESPONSES

router = APIRouter(tags=["health"])


class LoadedModel(BaseModel):
    name: str
    version: str
    device: str
    state: str = Field(description="ready or failed")
    memory: int = Field(description="bytes that the process has grown by while it was loaded: about")
    occupancy: float = Field(description="share of its device's time in the last seconds")
    runs: int
    failures: int
    waiting: int = Field(description="requests now")
    run_p50_ms: float
    run_p95_ms: float


class Memory(BaseModel):
    process: int = Field(description="bytes that this process has")
    total: int = Field(description="bytes of the machine")
    available: int


class Gpu(BaseModel):
    name: str
    total: int = Field(description="bytes")
    free: int


class NodeView(BaseModel):
    version: str
    host: str
    process: int
    started: float = Field(description="s since the epoch")
    state: Literal["ready", "full", "draining"]
    reason: str | None = Field(description="why nobody is admitted")
    sessions: int
    max_sessions: int
    promised: int = Field(description="sessions with a promised latency")
    load: float = Field(description="share of all cores that this process uses, over some seconds")
    cores: int
    loop_lag_ms: float = Field(description="how late the loop is, over some seconds")
    memory: Memory
    gpus: list[Gpu] = Field(description="those that models run on")
    models: list[LoadedModel] = Field(description="that are in memory")


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """200 while the process and its event loop live."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "Draining or full"}})
async def readyz(node: NodeDep, response: Response) -> dict[str, Any]:
    """200 while a session would be admitted, else 503 with the reason."""
    state = node.json()
    if state["state"] != "ready":
        response.status_code = 503
    return state


@router.get("/metrics", responses=RESPONSES, response_class=Response)
async def metrics(node: NodeDep, caller: CallerDep) -> Response:
    """Prometheus text format. For admins, or a key of theirs with the scope `admin` alone."""
    caller.need("admin")
    MODELS.take(node.engine.statistics())
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/node", responses=RESPONSES)
async def show_node(node: NodeDep, caller: CallerDep) -> NodeView:
    """How this server does: sessions, load, memory, and the models that are loaded. For admins."""
    caller.need("admin")
    models = [LoadedModel(name=name, version=each.version, device=each.device, state=each.state, memory=each.memory,
                          occupancy=round(each.occupancy, 3), runs=each.runs, failures=each.failures,
                          waiting=each.waiting, run_p50_ms=round(each.run_p50 * 1000, 3),
                          run_p95_ms=round(each.run_p95 * 1000, 3))
              for name, each in sorted(node.engine.statistics().items())]
    state = node.json()
    return NodeView(**{**state, "reason": state["reason"] or None}, models=models, version=__version__,
                    **await run_in_threadpool(_machine))


def _machine() -> dict[str, Any]:
    process, memory = psutil.Process(), psutil.virtual_memory()
    return {"host": platform.node(), "process": process.pid, "started": process.create_time(),
            "cores": len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else psutil.cpu_count() or 1,
            "memory": Memory(process=process.memory_info().rss, total=memory.total, available=memory.available),
            "gpus": _gpus()}


def _gpus() -> list[Gpu]:
    """Of torch, where something has imported it: for this alone it is too large."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    found = []
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        found.append(Gpu(name=torch.cuda.get_device_name(number), total=total, free=free))
    return found
