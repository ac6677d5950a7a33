"""Many requests for inference in one: /v1/batch at once, /v1/batches (OpenAI's, with /v1/files) as a job."""

from __future__ import annotations

from . import batches, files, together

ROUTERS = (together.router, batches.router, files.router)

__all__ = ["ROUTERS"]
