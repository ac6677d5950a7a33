"""`ws /v1/realtime`: who may come in, and the session that is opened for them."""

from __future__ import annotations

import json
import logging
from typing import cast

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from ...conversation.tools import Toolbox
from ...errors import AimassError, Forbidden, InvalidInput
from ...node import Node
from ...ports import AppCall, Authorizer, Caller
from ...session import Session
from ...settings import Settings
from ...spec import PipelineSpec
from .connection import Connection
from .conversation import Conversation, stages_of
from .line import Events, Place
from .secrets import PREFIX, Secrets
from .session import Configuration

log = logging.getLogger(__name__)

LONGEST_PARAMETERS = 16384  # characters
PROTOCOL = "realtime"  # subprotocol
KEY_PROTOCOL = "openai-insecure-api-key."  # how a browser says its key


class Realtime:
    """What all connections of a server share: `app.state.realtime`."""

    def __init__(self, toolbox: Toolbox) -> None:
        """`toolbox` is loaded."""
        self.toolbox = toolbox
        self.secrets = Secrets()

    def authorize(self, connection: HTTPConnection, key: str | None = None) -> tuple[Caller, Configuration]:
        """Who calls, by key or client secret, and what their session begins with. Raises `Unauthorized`."""
        authorization = connection.headers.get("authorization")
        scheme, _, given = (authorization or "").partition(" ")
        token = given.strip() if scheme.lower() == "bearer" else key
        authorizer = cast(Authorizer, connection.app.state.authorizer)
        if token is not None and token.startswith(PREFIX):
            secret = self.secrets.get(token)
            return authorizer.confirm(secret.caller), secret.configuration
        headers, address = connection.headers, connection.client.host if connection.client is not None else ""
        return authorizer.authorize(
            authorization, address=address, token=key, cookie=headers.get("cookie"), csrf=headers.get("x-csrf-token"),
            reads=connection.scope["type"] == "websocket"), Configuration()  # whose Origin was looked at


async def realtime(websocket: WebSocket) -> None:
    """One websocket from its handshake to its end."""
    node: Node = websocket.app.state.node
    try:
        session, configuration = await _admit(websocket, node)
    except AimassError as error:
        headers = {"Retry-After": str(error.data["retry_after"])} if "retry_after" in error.data else {}
        await websocket.send_denial_response(JSONResponse(
            {"error": _shown(error), **error.problem()}, error.status, headers))
        return
    try:
        await websocket.accept(PROTOCOL if PROTOCOL in websocket.scope["subprotocols"] else None)
        connection = Connection(websocket, node)
        shared: Realtime = websocket.app.state.realtime
        place = Place(node, session, Events(connection), shared.toolbox, configuration, microphone=False)
        connection.conversation = Conversation(place)
        await connection.conversation.open()
        await session.attach(connection, connection)
        await connection.closed.wait()
    finally:
        await session.close("the client left")


async def _admit(websocket: WebSocket, node: Node) -> tuple[Session, Configuration]:
    """Raises what HTTP answers in place of the handshake."""
    settings: Settings = websocket.app.state.settings
    headers = websocket.headers
    if not settings.allows_host(headers.get("host")):
        raise Forbidden("this server is for its own machine: connect to it as localhost")
    if not settings.allows_origin(headers.get("origin"), headers.get("host")):
        raise Forbidden("this web origin may not use the server; see the setting 'origins'")
    shared: Realtime = websocket.app.state.realtime
    caller, configuration = shared.authorize(websocket, _key(websocket.scope["subprotocols"]))
    configuration = by_query(configuration, websocket.query_params.get("model"), websocket.query_params.get("intent"))
    query = websocket.query_params
    session = await opened(node, configuration, caller, query.get("app_id"), query.get("parameters"))
    return session, configuration


async def opened(node: Node, configuration: Configuration, caller: Caller, app_id: str | None = None,
                 parameters: str | None = None) -> Session:
    """A session for the conversation. An app's pipeline, with these parameters (JSON text), is what the microphone's
    sound goes through; the configuration then has none. Raises as `Node.open`."""
    stages = stages_of(configuration)
    app = AppCall.of(app_id, _object(parameters), stages or None)
    return await node.open(PipelineSpec.parse(stages), caller=caller, transport="realtime", hears=True, app=app)


def _object(text: str | None) -> dict[str, object] | None:
    """Raises `InvalidInput`."""
    if text is None:
        return None
    try:
        value = json.loads(text) if len(text) <= LONGEST_PARAMETERS else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInput("'parameters' is a JSON object", field="parameters")
    return value


def by_query(configuration: Configuration, model: str | None, intent: str | None = None) -> Configuration:
    """`?model=` and `?intent=transcription`. Raises `InvalidInput`."""
    if intent not in (None, "", "conversation", "realtime", "transcription"):
        raise InvalidInput("'intent' is 'transcription' or left out", field="intent")
    if len(model or "") > 256:
        raise InvalidInput("'model' has at most 256 characters", field="model")
    changes = {"model": model} if model and not configuration.model else {}
    if intent == "transcription":
        changes["type"] = "transcription"
    return configuration.model_copy(update=changes)


def _key(protocols: list[str]) -> str | None:
    return next((each.removeprefix(KEY_PROTOCOL) for each in protocols if each.startswith(KEY_PROTOCOL)), None)


def _shown(error: AimassError) -> dict[str, str | None]:
    """Clients of OpenAI's look here for what was wrong."""
    return {"message": error.detail, "type": "invalid_request_error" if error.status < 500 else "server_error",
            "code": "invalid_api_key" if error.status == 401 else None, "param": error.field}
