"""/v1/hub and /v1/uploads: the model hub over REST."""

from __future__ import annotations

from . import conversions, deployments, image, models, opinions, quarantine, uploads, versions, watch

ROUTERS = (uploads.router, models.router, versions.router, deployments.router, opinions.router, quarantine.router,
           conversions.router, watch.router, image.router)

__all__ = ["ROUTERS"]
