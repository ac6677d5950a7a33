"""/v1/apps: the app centre."""

from __future__ import annotations

from .apps import router as apps_router
from .review import router as review_router

ROUTERS = (review_router, apps_router)
