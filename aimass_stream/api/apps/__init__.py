"""/v1/apps and /v1/requests: the app centre."""

from __future__ import annotations

from .apps import router as apps_router
from .health import router as health_router
from .requests import router as requests_router
from .review import router as review_router

ROUTERS = (review_router, health_router, apps_router, requests_router)
