"""/v1/accounts/sign-up, sign-in, sign-out: how a browser gets the cookie of a session, and gives it back.

What comes from a page's script is JSON, and JSON is answered; what comes from a form is answered by the way to `next`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from starlette.responses import JSONResponse, RedirectResponse

from ..accounts import COOKIES, Accounts, csrf_of
from ..accounts.directory import SIGN_IN
from ..errors import Conflict, Forbidden, InvalidInput
from ..ports import Caller
from .accounts import AccountView, shown
from .deps import FORM, AccountsDep, CallerDep, address_of
from .limits import LimitedRoute
from .problems import RESPONSES

if TYPE_CHECKING:
    from ..accounts.people import SignedIn

router = APIRouter(prefix="/v1/accounts", tags=["accounts"], responses=RESPONSES, route_class=LimitedRoute)

CSRF_COOKIE = "aimass_csrf"

T = TypeVar("T", bound=BaseModel)


class SignInBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=200)
    password: SecretStr
    next: str = Field("/", max_length=2000, description="for forms: where the browser goes then, a path on this server")


class SignUpBody(SignInBody):
    title: str = Field("", description="what people call you")
    token: str = Field("", max_length=200, description="of the link that the server printed for its first admin")


class AcceptBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    token: str = Field(max_length=200, description="of the link that an admin gave")
    password: SecretStr
    next: str = Field("/", max_length=2000)


class SignedInView(BaseModel):
    user: AccountView
    csrf_token: str = Field(description="for the header X-CSRF-Token of all that the page changes, or a form's field "
                                        "`csrf_token`; also in the cookie aimass_csrf")
    expires: float = Field(description="s since the epoch")


def _body(model: type[BaseModel]) -> dict[str, Any]:
    schema = {"schema": model.model_json_schema()}
    return {"requestBody": {"required": True, "content": {"application/json": schema, FORM: schema}}}


async def _read(request: Request, model: type[T]) -> T:
    """JSON or a form. Raises what FastAPI raises for a wrong body."""
    is_form = request.headers.get("content-type", "").startswith(FORM)
    try:
        if is_form:
            return model.model_validate(dict(await request.form(max_fields=16, max_files=0)))
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError([{**one, "input": None, "ctx": {}} for one in error.errors(
            include_input=False, include_url=False, include_context=False)]) from None


@router.post("/sign-up", status_code=201, response_model=SignedInView, openapi_extra=_body(SignUpBody))
async def sign_up(request: Request, accounts: AccountsDep) -> Response:
    """Make an account and sign in: where the server lets people (the setting `sign_up`), or with the token of the link
    that it printed at its first start, which makes the first admin.
    """
    body, address, people = await _read(request, SignUpBody), await _visitor(request, accounts), accounts.parts.people
    password = body.password.get_secret_value()
    if body.token:
        user = await people.begin(body.token, body.name, password, body.title, address=address)
    elif accounts.settings.sign_up:
        user = await people.sign_up(body.name, password, body.title, address=address)
    else:
        raise Forbidden("accounts are made by an admin here: ask for an invitation")
    done = await people.signed_in(user, address=address, agent=request.headers.get("user-agent", ""))
    return _signed_in(request, accounts, done, body.next, 201)


@router.post("/sign-in", response_model=SignedInView, openapi_extra=_body(SignInBody))
async def sign_in(request: Request, accounts: AccountsDep) -> Response:
    """A cookie session. 429 after too many tries."""
    body, address = await _read(request, SignInBody), await _visitor(request, accounts)
    done = await accounts.parts.people.sign_in(body.name, body.password.get_secret_value(), address=address,
                                               agent=request.headers.get("user-agent", ""))
    return _signed_in(request, accounts, done, body.next)


@router.post("/accept", response_model=SignedInView, openapi_extra=_body(AcceptBody))
async def accept(request: Request, accounts: AccountsDep) -> Response:
    """Set a password by the token of an invitation, or of a link for who forgot theirs, and sign in."""
    body, address, people = await _read(request, AcceptBody), await _visitor(request, accounts), accounts.parts.people
    user = await people.accept(body.token, body.password.get_secret_value(), address=address)
    if user.state != "active":
        raise Forbidden("this account is disabled")
    done = await people.signed_in(user, address=address, agent=request.headers.get("user-agent", ""))
    return _signed_in(request, accounts, done, body.next)


@router.post("/sign-out", status_code=204)
async def sign_out(request: Request, accounts: AccountsDep, caller: CallerDep) -> Response:
    """End this cookie session, and what was opened with it."""
    if not caller.id.startswith(SIGN_IN):
        raise Conflict("you are not signed in by a cookie")
    await accounts.parts.people.sign_out(caller, caller.id)
    response = Response(status_code=204)
    for name in (*COOKIES, CSRF_COOKIE):
        response.delete_cookie(name, secure=request.url.scheme == "https", samesite="lax")
    return response


async def _visitor(request: Request, accounts: Accounts) -> str:
    """The address of one who is nobody yet; counted as such. Raises `Busy`."""
    address = address_of(request)
    await accounts.parts.allowance.request(Caller("visitor", address))
    return address


def _signed_in(request: Request, accounts: Accounts, done: SignedIn, following: str, status: int = 200) -> Response:
    view = SignedInView(user=shown(done.user), csrf_token=csrf_of(done.cookie), expires=done.sign_in.expires)
    is_form = request.headers.get("content-type", "").startswith(FORM)
    response: Response = (RedirectResponse(local(following), 303) if is_form
                          else JSONResponse(view.model_dump(mode="json"), status))
    secure, seconds = request.url.scheme == "https", round(accounts.settings.sign_in_days * 86400)
    response.set_cookie(COOKIES[0] if secure else COOKIES[1], done.cookie, max_age=seconds, secure=secure,
                        httponly=True, samesite="lax")
    response.set_cookie(CSRF_COOKIE, view.csrf_token, max_age=seconds, secure=secure, samesite="lax")
    response.headers["Cache-Control"] = "no-store"
    return response


def local(path: str) -> str:
    """A path on this server, whatever a browser makes of it. Raises `InvalidInput`."""
    if not path.startswith("/") or path[1:2] in ("/", "\\") or not path.isprintable():
        raise InvalidInput("'next' is a path on this server", field="next")
    return path
