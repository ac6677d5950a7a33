"""Handles on the process that makes the load, and what its figures say."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..driver import Child
from ..servers import Server
from ..speech.section import NONE, Result

JSON = {"Content-Type": "application/json"}
FULL = 0.9  # of a core: a load that takes more may be what is measured


@dataclass(frozen=True)
class Request:
    """What every caller asks, again and again."""

    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    method: str = "POST"
    paths: tuple[str, ...] = ()  # in place of `path`, one after the other

    @classmethod
    def of(cls, path: str, content: Any) -> Request:
        return cls(path, json.dumps(content, separators=(",", ":")).encode())


class Load(Child):
    """A process of callers; `measure` has them ask one server."""

    def __init__(self) -> None:
        super().__init__("platform.load")

    def measure(self, server: Server, request: Request, callers: int, seconds: float, *, warm: float = 0.5,
                rate: float = 0.0) -> Result:
        """Raises `ConnectionError` where nobody listens, `TimeoutError` where it does not end."""
        answer: Result = self.ask(
            seconds + warm + 90, host="127.0.0.1", port=server.port, path=request.path, method=request.method,
            body=base64.b64encode(request.body).decode(), headers=request.headers, callers=callers, seconds=seconds,
            warm=warm, rate=rate, paths=list(request.paths))
        return answer


def figures(parts: Sequence[Result]) -> Result:
    """Of measurements of one thing, one after the other: rate, and latencies in ms of all together."""
    points = np.concatenate([np.array(part["points"]) for part in parts]) * 1000
    took = sum(part["seconds"] for part in parts)
    told: Result = {"per_s": round(sum(part["count"] for part in parts) / took, 1),
                    "errors": sum(part["errors"] for part in parts),
                    "load_cpu": round(max(part["cpu"] for part in parts), 2)}
    error = next((part["first_error"] for part in parts if part["first_error"]), "")
    told |= {"error": error} if error else {}
    for name, share in (("p50", 50), ("p95", 95), ("p99", 99)):
        told[name] = round(float(np.percentile(points, share)), 3) if len(points) else None
    return told


def fine(one: Result | None) -> bool:
    """Whether these figures count: something was answered, and nothing refused."""
    return one is not None and not one.get("errors") and one.get("p50") is not None


def brief(one: Result) -> str:
    if "per_s" not in one:
        return str(one.get("error", NONE))[:200]
    told = f"{one['per_s']:.0f}/s, p50 / p95 / p99 {exact(one['p50'])} / {exact(one['p95'])} / {exact(one['p99'])} ms"
    return told + (f", {one['errors']} errors: {one.get('error', '')[:120]!r}" if one["errors"] else "")


def exact(value: float | None) -> str:
    """ms, with as many digits as mean something."""
    if value is None:
        return NONE
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def times(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}x"
