"""What routes ask for: the node, the settings, and who is calling."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Security
from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection

from ..node import Node
from ..ports import Authorizer, Caller
from ..settings import Settings

_bearer = HTTPBearer(auto_error=False, description="The server's API key, where one is set")


def node_of(connection: HTTPConnection) -> Node:
    return cast(Node, connection.app.state.node)


def settings_of(connection: HTTPConnection) -> Settings:
    return cast(Settings, connection.app.state.settings)


def caller_of(connection: HTTPConnection) -> Caller:
    """Who is calling; raises `Unauthorized`."""
    authorizer = cast(Authorizer, connection.app.state.authorizer)
    address = connection.client.host if connection.client is not None else ""
    return authorizer.authorize(connection.headers.get("authorization"), address=address)


def _caller(connection: HTTPConnection, _: Annotated[object, Security(_bearer)] = None) -> Caller:
    return caller_of(connection)


NodeDep = Annotated[Node, Depends(node_of)]
SettingsDep = Annotated[Settings, Depends(settings_of)]
CallerDep = Annotated[Caller, Depends(_caller)]
