"""/v1/realtime/calls and /v1/realtime/client_secrets: OpenAI's Realtime protocol by WebRTC, and keys for web pages.

The protocol is `transports.realtime`, the peer is `transports.webrtc`; neither knows the other. Here they meet.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile

from ..errors import InvalidInput, TooLarge
from ..frames import AudioFrame
from ..node import Node
from ..ports import Caller
from ..session import Session
from ..settings import Settings
from ..transports.realtime import (
    LONGEST,
    SHORTEST,
    TRACK,
    USUAL,
    Configuration,
    Conversation,
    Events,
    Place,
    Player,
    Realtime,
    Refused,
    by_query,
    opened,
)
from ..transports.webrtc import Channel, Foreign, WebRtc
from ..transports.webrtc.sdp import read_offer
from .deps import CallerDep, NodeDep, SettingsDep
from .limits import LimitedRoute, text_of
from .problems import RESPONSES
from .webrtc import WebRtcDep
from .whip import AppQuery, ParametersQuery

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/realtime", tags=["realtime"], responses=RESPONSES, route_class=LimitedRoute)

SDP = "application/sdp"
LABEL = "oai-events"
MAX_WAITING = 64  # events of the client that are not dealt with yet
MAX_EARLY = 256  # events of ours before the channel is open
HOPELESS = 2 * 1024 * 1024  # bytes on their way to the client, above which the call ends
MAX_SESSION = 256 * 1024  # characters of a session's JSON

BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {
    SDP: {"schema": {"type": "string"}},
    "multipart/form-data": {"schema": {"type": "object", "required": ["sdp"], "properties": {
        "sdp": {"type": "string"}, "session": {"type": "string", "description": "a session's configuration as JSON"}}}},
}}}
CREATED: dict[int | str, dict[str, Any]] = {
    201: {"description": "The SDP answer; Location is the call", "content": {SDP: {"schema": {"type": "string"}}}}}


def realtime_of(request: Request) -> Realtime:
    return cast(Realtime, request.app.state.realtime)


RealtimeDep = Annotated[Realtime, Depends(realtime_of)]


# client secrets -----------------------------------------------------------------------------------------


class ExpiresAfter(BaseModel):
    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(USUAL, ge=SHORTEST, le=LONGEST)


class SecretBody(BaseModel):
    expires_after: ExpiresAfter = ExpiresAfter()
    session: dict[str, Any] = Field(default={}, description="the configuration that its sessions begin with")


class SecretAnswer(BaseModel):
    value: str = Field(description="a key for a web page, instead of the server's own")
    expires_at: int = Field(description="s since the epoch")
    session: dict[str, Any]


@router.post("/client_secrets")
async def make_secret(caller: CallerDep, shared: RealtimeDep, body: SecretBody | None = None) -> SecretAnswer:
    """A key that a web page may have: it opens Realtime sessions of this configuration until it expires."""
    caller.need("media")
    asked = body or SecretBody()
    secret = shared.secrets.make(configured(Configuration(), asked.session), caller, asked.expires_after.seconds)
    expires_at = int(secret.expires_at)
    return SecretAnswer(value=secret.value, expires_at=expires_at,
                        session=secret.configuration.shown(f"sess_{secret.value[-12:]}", expires_at))


def configured(configuration: Configuration, part: object) -> Configuration:
    """Raises `InvalidInput`."""
    try:
        return configuration.merged(part)
    except Refused as refused:
        raise InvalidInput(refused.message, field=refused.param) from None


# calls --------------------------------------------------------------------------------------------------


@router.post("/calls", status_code=201, response_class=Response, responses=CREATED, openapi_extra=BODY)
async def answer_call(request: Request, node: NodeDep, settings: SettingsDep, webrtc: WebRtcDep,
                      shared: RealtimeDep, model: str | None = None, app_id: AppQuery = None,
                      parameters: ParametersQuery = None) -> Response:
    """Open a Realtime session with a WebRTC offer: raw SDP, or a form with `sdp` and `session`.

    The events of the protocol go through a data channel labelled `oai-events` that the client opens.
    """
    caller, configuration = shared.authorize(request)
    sdp, part = await _read(request, settings)
    configuration = by_query(configuration, model)
    if part is not None:
        configuration = configured(configuration, part)
    call = await _open(sdp, configuration, caller, node, webrtc, shared, (app_id, parameters))
    return Response(call.answer, 201, {"Location": f"/v1/realtime/calls/{call.session.id}"}, media_type=SDP)


@router.post("/calls/{call_id}/hangup", status_code=200, response_class=Response)
async def hang_up(call_id: str, node: NodeDep, caller: CallerDep) -> Response:
    """End the call."""
    await node.end(call_id, "hung up", caller)
    return Response(status_code=200)


async def _read(request: Request, settings: Settings) -> tuple[str, object]:
    """The offer, and the session's configuration where one came with it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        return await text_of(request, SDP, settings.max_sdp_bytes), None
    async with request.form(max_files=2, max_fields=4, max_part_size=MAX_SESSION) as form:
        parts = {}
        for name in ("sdp", "session"):
            value = form.get(name)
            parts[name] = (await value.read()).decode(errors="replace") if isinstance(value, UploadFile) else value
    sdp, session = parts["sdp"], parts["session"]
    if sdp is None:
        raise InvalidInput("the form has no part 'sdp'", field="sdp")
    if len(sdp) > settings.max_sdp_bytes:
        raise TooLarge(f"an offer has at most {settings.max_sdp_bytes} bytes", field="sdp")
    try:
        return sdp, json.loads(session) if session is not None else None
    except (ValueError, RecursionError):
        raise InvalidInput("'session' is not JSON", field="session") from None


async def _open(sdp: str, configuration: Configuration, caller: Caller, node: Node, webrtc: WebRtc,
                shared: Realtime, app: tuple[str | None, str | None]) -> Call:
    offer = read_offer(sdp, node.settings)
    if not any(section.kind == "audio" for section in offer.sections):
        raise InvalidInput("a Realtime call needs an audio track", field="sdp")
    session = await opened(node, configuration, caller, *app)
    try:
        call = Call(session, node, webrtc, shared, configuration)
        await call.conversation.open()
        _, call.answer = await webrtc.connect(session, offer, foreign=call.foreign)
        session.add_sink(call)
        session.spawn(call.run(), "call")
        return call
    except Refused as refused:
        await session.close("the call could not be answered")
        raise InvalidInput(refused.message, field=refused.param) from None
    except BaseException:
        await session.close("the call could not be answered")
        raise


class Call:
    """One call: the line of its conversation, and a `ports.Sink` of its session."""

    def __init__(self, session: Session, node: Node, webrtc: WebRtc, shared: Realtime,
                 configuration: Configuration) -> None:
        self.session = session
        self.answer = ""
        self.foreign = Foreign(LABEL, TRACK, self._received, self._opened, self._end)
        self._output = webrtc.outputs.of(session)
        self._channel: Channel | None = None
        self._early: deque[str] = deque(maxlen=MAX_EARLY)
        self._inbox: asyncio.Queue[str | bytes] = asyncio.Queue(MAX_WAITING)
        self._ending: asyncio.Task[None] | None = None
        place = Place(node, session, Events(self), shared.toolbox, configuration, microphone=True)
        self.conversation = Conversation(
            place, lambda: Player(place.events, self._play, lambda: self._output.flush(TRACK), session.spawn))

    def _play(self, frame: AudioFrame) -> None:
        self._output.frame(frame)

    # the data channel ------------------------------------------------------------------------------

    def _opened(self, channel: Channel) -> None:
        self._channel = channel
        while self._early:
            channel.send_text(self._early.popleft())

    def _received(self, message: str | bytes) -> None:
        if len(message) > self.conversation.place.settings.max_message:
            self._end("a message of its client is too long")
            return
        try:
            self._inbox.put_nowait(message)
        except asyncio.QueueFull:
            self._end(f"more than {MAX_WAITING} events of its client wait")

    async def run(self) -> None:
        """Deal with the client's events, one after the other."""
        while True:
            await self.conversation.handle(await self._inbox.get())

    # line.Line -------------------------------------------------------------------------------------

    def send(self, text: str) -> None:
        if self._channel is None:
            self._early.append(text)
        elif self._channel.waiting > HOPELESS:
            self._end("its client reads no events")
        else:
            self._channel.send_text(text)

    async def room(self) -> None:
        """Sound does not come this way."""

    def _end(self, reason: str) -> None:
        if self._ending is None:
            log.info("call %s ends: %s", self.session.id, reason)
            self._ending = asyncio.create_task(self.session.close(reason), name="end of a call")

    # ports.Sink ------------------------------------------------------------------------------------

    def frame(self, frame: Any) -> None:
        self.conversation.frame(frame)

    def event(self, event: Any) -> None:
        self.conversation.event(event)

    def flush(self, track: str | None = None) -> None:
        """Replies don't come through the pipeline."""

    async def close(self, reason: str) -> None:
        await self.conversation.close(reason)


