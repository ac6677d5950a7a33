"""What the hub's routes share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Depends, Path, Request

from ...errors import InvalidInput, NotFound, Unavailable
from ...inference import ModelOf
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


def pinned(request: Request, caller: Caller, form: Form, wanted: ModelOf, field: str = "model") -> Form:
    """A form whose field, where it names a model of the hub, names its version.

    Raises `NotFound`, and `InvalidInput` for a model of another task.
    """
    hub, said = getattr(request.app.state, "hub", None), form.fields.get(field, [""])[-1].strip()
    if said == "auto" and field == "model":
        meant = ""  # each route takes the best
    elif hub is None or not said:
        return form
    else:
        try:
            meant = hub.meant(wanted, said, caller)
        except (InvalidInput, NotFound) as error:
            raise type(error)(error.detail, field=field) from None
    return form if meant == said else replace(form, fields=form.fields | {field: [meant]})
