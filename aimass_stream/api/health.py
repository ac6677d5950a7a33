"""/healthz, /readyz and /metrics, for the things that watch a server."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ..inference.metrics import MODELS
from .deps import CallerDep, NodeDep
from .problems import RESPONSES

router = APIRouter(tags=["health"])


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
