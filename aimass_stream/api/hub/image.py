"""/v1/hub/models/{name}/versions/{which}/image: a folder that a container is built from, which serves one version."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from ...hub.records import Version
from ...settings import Settings
from ..deps import CallerDep, SettingsDep
from ..problems import RESPONSES
from .parts import HubDep, Name, Which

router = APIRouter(prefix="/v1/hub/models/{name}", tags=["models"], responses=RESPONSES)


@router.get("/versions/{which}/image", response_class=StreamingResponse, responses={
    200: {"content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}}}})
async def get_image(name: Name, which: Which, request: Request, hub: HubDep, settings: SettingsDep, caller: CallerDep
                    ) -> Response:
    """A Dockerfile and what it needs, as a tar file: the model, this package, and the settings that serve just that.

    409 for what is not ready, code, or built in."""
    from ...hub import image  # reads manifests as imports do, with all that needs

    caller.need("models:read")
    wanted = "latest" if (await hub.catalogue.get(caller, name)).built_in else which  # those have no aliases
    version = cast(Version, await hub.catalogue.version(caller, name, await hub.catalogue.number(caller, name, wanted)))
    parts = await image.parts(version, _wheel(request, settings), hub.plain)
    await hub.catalogue.downloaded(version.model)
    return StreamingResponse(image.packed(parts, version, hub.plain), media_type="application/x-tar", headers={
        "Content-Length": str(image.size_of(parts, version)), "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f'attachment; filename="{name}-{version.number}.tar"'})


def _wheel(request: Request, settings: Settings) -> Any:
    """One for the server, so that it is built once."""
    from ...hub.image import Wheel

    state = request.app.state
    if getattr(state, "wheel", None) is None:
        state.wheel = Wheel(settings.data_dir / "hub" / "new" / "wheel")
    return state.wheel
