"""What the hub's routes share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Depends, Path, Request

from ...errors import Unavailable
from ...ports import Caller
from ..uploads import Form

if TYPE_CHECKING:
    from ...hub.hub import Hub

Name = Annotated[str, Path(max_length=64, description="of a model")]
Which = Annotated[str, Path(max_length=64, description="a number, an alias, or latest: the newest that is ready")]
Number = Annotated[int, Path(ge=1, le=999_999_999)]


def hub_of(request: Request) -> Any:
    """Raises `Unavailable` while the server starts or stops."""
    hub = getattr(request.app.state, "hub", None)
    if hub is None:
        raise Unavailable("the hub is not open", retry_after=2)
    return cast("Hub", hub)


HubDep = Annotated[Any, Depends(hub_of)]  # a Hub, whose module imports the database


def pinned(request: Request, caller: Caller, form: Form) -> Form:
    """A form whose field `model`, where it names a model of the hub, names its version. Raises `NotFound`."""
    hub, said = getattr(request.app.state, "hub", None), form.fields.get("model", [""])[-1].strip()
    if said == "auto":
        meant = ""  # each route takes the best
    elif hub is not None and ("@" in said or said in hub.deployments.models):
        meant = hub.deployments.resolve(said, caller).served
    else:
        return form
    return replace(form, fields=form.fields | {"model": [meant]})
