"""/v1/whip: media in by WHIP (RFC 9725), the way OBS, GStreamer and FFmpeg send. The result is watched by WHEP."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response

from ..accounts.secret import CONNECT
from ..errors import Forbidden, InvalidInput, NotFound, Unauthorized
from ..ports import AppCall, Caller
from ..settings import Settings
from ..spec import PipelineSpec
from ..transports.webrtc import Peer, link_headers
from ..transports.webrtc.sdp import read_fragment, read_offer
from .deps import CallerDep, NodeDep, OpenerDep, SettingsDep, caller_of
from .limits import text_of
from .problems import RESPONSES
from .webrtc import WebRtcDep

router = APIRouter(prefix="/v1/whip", tags=["whip"], responses=RESPONSES)

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
TEXT = {"schema": {"type": "string"}}
SDP_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {SDP: TEXT}}}
FRAGMENT_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {FRAGMENT: TEXT}}}
CREATED: dict[int | str, dict[str, Any]] = {
    201: {"description": "The SDP answer; Location is the resource", "content": {SDP: TEXT}}}

PipelineQuery = Annotated[str | None, Query(description="the pipeline as JSON text",
                                            examples=['[{"stage":"mirror"}]'])]
AppQuery = Annotated[str | None, Query(max_length=64, description="the id or slug of an app, in place of a pipeline")]
ParametersQuery = Annotated[str | None, Query(max_length=16384, description="those that the app exposes, as JSON text",
                                              examples=['{"softness":8}'])]
LatencyQuery = Annotated[int | None, Query(description="ms, 10 to 5000: promised from arrival until departure")]


@router.post("", status_code=201, response_class=Response, responses=CREATED, openapi_extra=SDP_BODY)
async def publish(request: Request, node: NodeDep, settings: SettingsDep, webrtc: WebRtcDep, caller: OpenerDep,
                  pipeline: PipelineQuery = None, sync: Literal["lowest", "lips"] = "lowest",
                  latency_ms: LatencyQuery = None, app_id: AppQuery = None,
                  parameters: ParametersQuery = None) -> Response:
    """Open a session with a WHIP offer. The last part of Location is the session's id, for /v1/whep and REST."""
    offer = read_offer(await text_of(request, SDP, settings.max_sdp_bytes), settings)
    call = AppCall.of(app_id, None if parameters is None else object_of(parameters), pipeline)
    session = await node.open(PipelineSpec.parse(pipeline), caller=caller, transport="whip", sync=sync,
                              latency_ms=latency_ms, app=call)
    try:
        peer, answer = await webrtc.connect(session, offer)
    except BaseException:
        await session.close("the offer could not be answered")
        raise
    return created(answer, f"/v1/whip/{session.id}", peer, settings, caller)


def object_of(text: str) -> dict[str, Any]:
    """Raises `InvalidInput`."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInput("'parameters' is a JSON object", field="parameters")
    return value


@router.options("", status_code=204, response_class=Response)
async def describe_endpoint(request: Request, settings: SettingsDep) -> Response:
    """What may be posted here, and ICE servers for who may post it (RFC 9725 sections 4.2 and 4.6)."""
    return described(request, settings)


@router.options("/{session_id}", status_code=204, response_class=Response)
async def describe_resource(session_id: str) -> Response:
    return Response(status_code=204, headers={"Accept-Patch": FRAGMENT})


@router.patch("/{session_id}", status_code=204, response_class=Response, openapi_extra=FRAGMENT_BODY)
async def trickle(session_id: str, request: Request, node: NodeDep, webrtc: WebRtcDep, caller: CallerDep) -> Response:
    """More ICE candidates. Needs If-Match with the ETag; ICE restarts are not possible: 422."""
    peer = webrtc.peers.get(node.get(session_id, caller).id)
    if peer is None:
        raise NotFound(f"there is no WHIP session {session_id[:64]!r}", field="session_id")
    return await patched(peer, request)


@router.delete("/{session_id}", response_class=Response)
async def unpublish(session_id: str, node: NodeDep, caller: CallerDep) -> Response:
    """End the session."""
    await node.end(session_id, "ended by the WHIP client", caller)
    return Response(status_code=200)


def created(answer: str, location: str, peer: Peer, settings: Settings, caller: Caller) -> Response:
    """201 with all that RFC 9725 section 4.2 wants."""
    response = Response(answer, 201, media_type=SDP)
    response.headers.update({"Location": location, "ETag": peer.etag, "Accept-Patch": FRAGMENT})
    for link in link_headers(settings, caller.user):
        response.headers.append("Link", link)
    return response


def described(request: Request, settings: Settings) -> Response:
    """Servers as well, for clients that want them before they make an offer. A browser's preflight has no key."""
    response = Response(status_code=204, headers={"Accept-Post": SDP})
    shown = request.headers.get("authorization", "").partition(" ")[2].strip()
    if shown.startswith(CONNECT):  # good for one offer: not to be used up here
        return response
    try:
        caller = caller_of(request)
    except (Unauthorized, Forbidden):
        return response
    for link in link_headers(settings, caller.user):
        response.headers.append("Link", link)
    return response


async def patched(peer: Peer, request: Request) -> Response:
    """A trickled fragment (RFC 9725 section 4.3.1): 204, or 412, 422, 428."""
    fragment = read_fragment(await text_of(request, FRAGMENT, 16 * 1024))
    condition = request.headers.get("if-match")
    if condition is None:
        raise HTTPException(428, "send If-Match with the ETag of the session")
    if peer.is_restart(fragment):
        raise HTTPException(422, "ICE restarts are not supported: send a new offer")
    if condition != "*" and peer.etag not in [tag.strip() for tag in condition.split(",")]:
        raise HTTPException(412, "the ETag is of another ICE session")
    await peer.trickle(fragment)
    return Response(status_code=204)
