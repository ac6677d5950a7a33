"""/sign-in, /sign-up, /invitation: the way in; /language: which one the pages are in."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request, Response
from starlette.responses import RedirectResponse

from ..deps import SettingsDep
from ..sign_in import local
from .drawn import draw, visitor
from .drawn import router as page_router
from .words import COOKIE

router = page_router()

YEAR = 365 * 86400  # s
Next = Annotated[str, Query(max_length=2000)]


@router.get("/sign-in")
async def sign_in(request: Request, settings: SettingsDep, next: Next = "/models") -> Response:
    return await draw(request, "sign-in.html", visitor(request), next=local(next), sign_up=settings.sign_up)


@router.get("/sign-up")
async def sign_up(request: Request, settings: SettingsDep, next: Next = "/models") -> Response:
    """Also where the link of the first admin leads."""
    return await draw(request, "sign-up.html", visitor(request), next=local(next), sign_up=settings.sign_up)


@router.get("/invitation")
async def invitation(request: Request) -> Response:
    """Where somebody who was invited, or has forgotten the password, sets one."""
    return await draw(request, "invitation.html", visitor(request))


@router.get("/language/{language}")
async def choose_language(language: Annotated[str, Path(pattern="^(en|zh)$")], request: Request, next: Next = "/models"
                          ) -> Response:
    """Kept in a cookie that says nothing else."""
    response = RedirectResponse(local(next), 303)
    response.set_cookie(COOKIE, language, max_age=YEAR, secure=request.url.scheme == "https", samesite="lax",
                        httponly=True)
    return response
