"""/v1/hub/models/{name}/aliases: which version a name means, and going back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ...errors import NotFound
from ...hub.records import Deployment
from ..deps import CallerDep, accounts_of
from ..etags import IfMatch, revision, seen, tagged
from ..limits import LimitedRoute
from ..problems import RESPONSES
from .parts import HubDep, Name

router = APIRouter(prefix="/v1/hub/models/{name}/aliases", tags=["models"], responses=RESPONSES,
                   route_class=LimitedRoute)

Alias = Annotated[str, Path(max_length=32, description="production is what the bare name means")]


class DeploymentView(BaseModel):
    alias: str
    version: int
    canary: int | None = Field(description="the version that gets `share` % of what is new")
    share: int
    shadow: int | None = Field(description="the version that is asked, too, and not heard")
    at: float = Field(description="s since the epoch")
    by: str = Field("", description="a user's id")
    by_name: str = Field("", description="of the history: what people call them")


class ShadowView(BaseModel):
    model: str
    asked: int
    agreed: int
    failed: int
    left_out: int = Field(description="requests that came while too many were on their way")
    difference: float = Field(description="the largest between two numbers")


class AliasList(BaseModel):
    aliases: list[DeploymentView]
    shadows: list[ShadowView] = Field(description="what came of shadows since the server began")


class History(BaseModel):
    deployments: list[DeploymentView] = Field(description="the newest first")


class NewDeployment(BaseModel):
    model_config = ConfigDict(extra="forbid")
    version: int = Field(ge=1, le=999_999_999)
    canary: int | None = Field(None, ge=1, le=999_999_999, description="another version, to be tried on some")
    share: int = Field(0, ge=0, le=100, description="% of new sessions and requests that go to the canary")
    shadow: int | None = Field(None, ge=1, le=999_999_999, description="a version to be compared, which nobody hears")


@router.get("")
async def list_aliases(name: Name, hub: HubDep, caller: CallerDep) -> AliasList:
    caller.need("models:read")
    await hub.catalogue.get(caller, name)
    found = hub.deployments.models.get(name)
    aliases = [] if found is None else [_view(each) for each in found.aliases.values()]
    shadows = [ShadowView(model=model, asked=seen.asked, agreed=seen.agreed, failed=seen.failed, left_out=seen.left_out,
                          difference=seen.difference)
               for model, seen in hub.shadows.seen.items() if model.partition("@")[0] == name]
    return AliasList(aliases=aliases, shadows=shadows)


@router.get("/{alias}", response_model=DeploymentView)
async def get_alias(name: Name, alias: Alias, request: Request, response: Response, hub: HubDep,
                    caller: CallerDep) -> Any:
    caller.need("models:read")
    await hub.catalogue.get(caller, name)
    model = hub.deployments.models.get(name)
    if model is None or alias not in model.aliases:
        raise NotFound(f"{name} has no alias {alias!r}", field="alias")
    found = model.aliases[alias]
    return seen(request, response, hub.deployments.moment(found), _view(found))


@router.put("/{alias}")
async def deploy(name: Name, alias: Alias, new: NewDeployment, response: Response, hub: HubDep, caller: CallerDep,
                 if_match: IfMatch = None) -> DeploymentView:
    """Have the alias lead to a version, which is loaded first. What is new gets it; live sessions keep theirs."""
    caller.need("models:deploy")
    wanted = Deployment(alias, new.version, new.canary, new.share, new.shadow)
    made = await hub.deployments.deploy(caller, name, wanted, revision(if_match))
    await hub.audit(caller, "model.deployed", name, alias=alias, **new.model_dump(exclude_none=True))
    return tagged(response, hub.deployments.moment(made), _view(made))


@router.post("/{alias}/rollback")
async def roll_back(name: Name, alias: Alias, hub: HubDep, caller: CallerDep) -> DeploymentView:
    """To where the alias led before; with a canary or a shadow, that ends first."""
    caller.need("models:deploy")
    made = await hub.deployments.roll_back(caller, name, alias)
    await hub.audit(caller, "model.rolled-back", name, alias=alias, version=made.number)
    return _view(made)


@router.delete("/{alias}", status_code=204)
async def withdraw(name: Name, alias: Alias, hub: HubDep, caller: CallerDep) -> Response:
    """Have it lead nowhere. Live sessions go on."""
    caller.need("models:deploy")
    await hub.deployments.withdraw(caller, name, alias)
    await hub.audit(caller, "model.withdrawn", name, alias=alias)
    return Response(status_code=204)


@router.get("/{alias}/history")
async def history(name: Name, alias: Alias, request: Request, hub: HubDep, caller: CallerDep) -> History:
    """Every deployment of the alias, for who may change it."""
    caller.need("models:deploy")
    found = await hub.deployments.history(caller, name, alias)
    if not found:
        raise NotFound(f"{name} has no alias {alias!r}", field="alias")
    called = accounts_of(request).directory.called
    return History(deployments=[_view(each).model_copy(update={"by_name": called(each.by)}) for each in found])


def _view(each: Any) -> DeploymentView:
    return DeploymentView(alias=each.alias, version=each.number, canary=each.canary, share=each.share,
                          shadow=each.shadow, at=each.at, by=each.by)
