"""`/v1/stream`: who may come in, the hello, a new session or one that is resumed."""

from __future__ import annotations

import asyncio
import logging

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from ... import wire
from ...errors import AimassError, Forbidden, InvalidMessage, NotFound
from ...events import ErrorEvent, Event
from ...frames import now
from ...node import Node
from ...ports import AppCall, Authorizer, Caller
from ...session import Session
from ...settings import Settings
from ...spec import PipelineSpec
from .connection import Connection
from .flow import Flow

log = logging.getLogger(__name__)

HELLO_TIMEOUT = 5.0  # s


class HelloTimeout(AimassError):
    status, title = 408, "No hello"


async def stream(websocket: WebSocket) -> None:
    """One websocket from its handshake to its end. `app.state` has the node, the settings and the authorizer."""
    try:
        caller = _admit(websocket)
    except AimassError as error:
        await websocket.send_denial_response(JSONResponse(error.problem(), error.status,
                                                          media_type="application/problem+json"))
        return
    await websocket.accept(wire.PROTOCOL if wire.PROTOCOL in websocket.scope["subprotocols"] else None)
    try:
        await _serve(websocket, caller)
    except (WebSocketDisconnect, WebSocketDisconnected):
        log.debug("a websocket left before its session began")


async def _serve(websocket: WebSocket, caller: Caller | None) -> None:
    node: Node = websocket.app.state.node
    session = None
    try:
        hello = await _hello(websocket)
        if hello.resume is None:
            caller = caller or _authorize(websocket, None, hello.token)
            session = await _begin(node, hello, caller)
        else:
            session = _resumed(node, hello.resume, websocket.app.state.authorizer)
        connection = await _join(websocket, session, hello, node)
    except BaseException as error:
        if session is not None and not session.sinks:
            await session.close("its client did not get in")
        if not isinstance(error, AimassError):
            raise
        await _refuse(websocket, error)
        return
    await connection.closed.wait()
    if connection.close_code == 1000:
        await session.close("closed by the client", "client")


async def _join(websocket: WebSocket, session: Session, hello: wire.Hello, node: Node) -> Connection:
    """Welcome the client and let it feed the session. Raises `Unavailable` where a codec is missing."""
    flow = Flow()
    connection = Connection(websocket, session, hello, node, flow)
    last_seq = hello.resume.last_seq if hello.resume is not None else 0
    welcome = _welcome(session, hello, _missed(session, last_seq), node.settings.resume_seconds).encode()
    flow.send(len(welcome), "text", now())
    await websocket.send_text(welcome)
    await session.attach(connection, connection, last_seq=last_seq)
    return connection


def _admit(websocket: WebSocket) -> Caller | None:
    """The caller by header or subprotocol; None where the hello still has to say. Raises what HTTP answers."""
    settings: Settings = websocket.app.state.settings
    headers = websocket.headers
    if not settings.allows_host(headers.get("host")):
        raise Forbidden("this server is for its own machine: connect to it as localhost")
    if not settings.allows_origin(headers.get("origin"), headers.get("host")):
        raise Forbidden("this web origin may not use the server; see the setting 'origins'")
    authorization, key = headers.get("authorization"), wire.key_of(websocket.scope["subprotocols"])
    if authorization is None and key is None:
        return None
    return _authorize(websocket, authorization, key)


def _authorize(websocket: WebSocket, authorization: str | None, token: str | None) -> Caller:
    authorizer: Authorizer = websocket.app.state.authorizer
    address = websocket.client.host if websocket.client is not None else ""
    # that this is no other page's doing was looked at by its Origin
    return authorizer.authorize(authorization, address=address, token=token, cookie=websocket.headers.get("cookie"),
                                reads=True)


async def _hello(websocket: WebSocket) -> wire.Hello:
    try:
        async with asyncio.timeout(HELLO_TIMEOUT):
            message = await websocket.receive()
    except TimeoutError:
        raise HelloTimeout(f"no hello within {HELLO_TIMEOUT:g} s") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    if text is None:
        raise InvalidMessage("the first message is a hello: text, not bytes")
    value = wire.load(text)
    if value["type"] != "hello":
        raise InvalidMessage(f"the first message is a hello, not {value['type'][:64]!r}", field="type")
    return wire.Hello.decode(value)


async def _begin(node: Node, hello: wire.Hello, caller: Caller) -> Session:
    return await node.open(PipelineSpec.parse(hello.pipeline), caller=caller, transport="websocket",
                           sync=hello.sync or "lowest", latency_ms=hello.latency_ms,
                           app=AppCall.of(hello.app_id, hello.parameters, hello.pipeline))


def _resumed(node: Node, resume: wire.Resume, authorizer: Authorizer) -> Session:
    """By its own token: what it was opened with may be good only once. Raises `NotFound` or `Unauthorized`."""
    unknown = NotFound("there is no such session, or this is not its token", field="resume")
    try:
        session = node.get(resume.session_id)
    except NotFound:
        raise unknown from None
    if session.state == "closed" or not session.resumes_by(resume.token):
        raise unknown
    authorizer.confirm(session.caller)
    return session


def _missed(session: Session, last_seq: int) -> int:
    """How many events after `last_seq` are no longer in the session's log."""
    known = session.events_after(last_seq)
    return known[0].seq - last_seq - 1 if known else 0


def _welcome(session: Session, hello: wire.Hello, missed: int, resume_seconds: float) -> wire.Welcome:
    tracks = []
    if hello.answered.audio is not None:
        tracks.append(wire.Track(number=wire.AUDIO_TRACK, track="audio-0", kind="audio"))
    if hello.answered.video is not None:
        tracks.append(wire.Track(number=wire.VIDEO_TRACK, track="video-0", kind="video"))
    return wire.Welcome(session_id=session.id, resume_token=session.resume_token, resumed=hello.resume is not None,
                        missed_events=missed, resume_seconds=resume_seconds, formats_in=hello.formats_in,
                        formats_out=hello.answered, tracks=tracks)


async def _refuse(websocket: WebSocket, error: AimassError) -> None:
    """Say what is wrong as an event that belongs to no session, and close."""
    data = ErrorEvent(status=error.status, title=error.title, detail=error.detail, field=error.field)
    extra = {key: value for key, value in error.data.items() if key == "retry_after"}
    event = Event("error", 0, None, None, data.model_dump(mode="json") | extra)
    await websocket.send_text(wire.dump(event.json()))
    await websocket.close(wire.CLOSE_BASE + error.status, error.detail.encode()[:120].decode(errors="ignore"))
