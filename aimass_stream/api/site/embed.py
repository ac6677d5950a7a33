"""/embed: a processed camera for other people's pages, in a frame; /embed-code: what to write into such a page."""

from __future__ import annotations

from fastapi import Request, Response

from ...apps.manifests import ORIGIN
from ...settings import Settings
from ..deps import SettingsDep
from .drawn import draw, visitor
from .drawn import router as page_router

router = page_router()


def origins_of(settings: Settings) -> list[str]:
    """Those whose pages may hold the frame: extensions have none, and a header takes no address of IPv6."""
    return [each for each in settings.origins if ORIGIN.fullmatch(each)]


@router.get("/embed")
async def frame(request: Request, settings: SettingsDep) -> Response:
    """For whoever comes: it acts by the tokens alone that it is given."""
    origins = origins_of(settings)
    return await draw(request, "embed.html", frames=origins, origins=origins)


@router.get("/embed-code")
async def code(request: Request, settings: SettingsDep) -> Response:
    """For whoever comes, as the page `/` is: what takes a key asks for one."""
    return await draw(request, "embed-code.html", visitor(request), origins=origins_of(settings),
                      guarded=settings.accounts or settings.api_key is not None)
