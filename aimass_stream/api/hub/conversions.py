"""/v1/hub/conversions: what versions can be turned into, as jobs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from ...errors import Unavailable
from ...hub.conversions.kinds import KINDS, Kind
from ...hub.imports import kinds
from ..deps import CallerDep
from ..jobs import JobInfo, OrderDep, accepted
from ..limits import LimitedRoute
from ..problems import RESPONSES
from .parts import HubDep, Name, Which

router = APIRouter(prefix="/v1/hub", tags=["models"], responses=RESPONSES, route_class=LimitedRoute)


class OptionView(BaseModel):
    name: str
    type: str = Field(description="number, integer, boolean or string")
    default: Any
    description: str
    choices: list[str] = Field(description="one of these, where there are some")


class FormatView(BaseModel):
    format: str
    here: bool = Field(description="whether all that it needs is installed on this server")
    install: str = Field(description="what has to be done first: the command that brings what is missing")


class KindView(BaseModel):
    kind: str
    description: str
    takes: list[FormatView]
    options: list[OptionView]


class ImportView(BaseModel):
    format: str
    files: str
    here: bool
    install: str


class KindList(BaseModel):
    conversions: list[KindView]
    imports: list[ImportView] = Field(description="what becomes ONNX when it is uploaded")


class NewConversion(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: str = Field(max_length=40, description="one that GET /v1/hub/conversions names", examples=["int8"])
    options: dict[str, Any] = Field(default={}, max_length=16, examples=[{"per_channel": True}])


def conversions_of(request: Request) -> Any:
    """Raises `Unavailable` while the server starts or stops."""
    found = getattr(request.app.state, "conversions", None)
    if found is None:
        raise Unavailable("the hub is not open", retry_after=2)
    return found


ConversionsDep = Annotated[Any, Depends(conversions_of)]  # Conversions, whose module imports the database


@router.get("/conversions")
async def list_conversions(hub: HubDep, conversions: ConversionsDep, caller: CallerDep) -> KindList:
    """The kinds of conversion: formats that each takes, its options, and whether what it needs is here."""
    caller.need("models:read")
    converters = hub.importer.converters
    return await run_in_threadpool(lambda: KindList(
        conversions=[_view(conversions, kind) for kind in KINDS.values()],
        imports=[ImportView(**each, here=not each["install"]) for each in kinds(converters)]))


@router.post("/models/{name}/versions/{which}/conversions", status_code=202)
async def convert_version(name: Name, which: Which, new: NewConversion, response: Response,
                          conversions: ConversionsDep, caller: CallerDep, order: OrderDep) -> JobInfo:
    """Begin a job that makes another version of the model, and measures it against this one, which stays as it is.
    `facts.version` of the job is the new one's number, `facts.conversion` what was measured."""
    caller.need("models:write")
    job = await conversions.begin(caller, name, which, new.kind, new.options, key=order.key, webhook=order.webhook)
    return accepted(job, response)


def _view(conversions: Any, kind: Kind) -> KindView:
    takes = [(each, conversions.install(kind, each)) for each in kind.takes]
    return KindView(
        kind=kind.name, description=kind.description,
        takes=[FormatView(format=each, here=not command, install=command) for each, command in takes],
        options=[OptionView(name=each.name, type=each.type, default=each.default, description=each.description,
                            choices=list(each.choices)) for each in kind.options])
