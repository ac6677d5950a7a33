"""/v1/whep/{session}: watch a session's result by WHEP. All viewers of a session share one encoding."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request, Response

from ..errors import Busy, NotFound
from ..ports import Caller
from ..transports.webrtc import Peer, WebRtc
from ..transports.webrtc.sdp import read_offer
from .deps import CallerDep, NodeDep, SettingsDep, needs
from .limits import text_of
from .problems import RESPONSES
from .webrtc import WebRtcDep
from .whip import CREATED, FRAGMENT, FRAGMENT_BODY, SDP, SDP_BODY, created, described, patched

router = APIRouter(prefix="/v1/whep", tags=["whep"], responses=RESPONSES)
MEDIA = [needs("media")]  # of all but OPTIONS: a preflight has no key


@router.post("/{session_id}", status_code=201, response_class=Response, responses=CREATED, openapi_extra=SDP_BODY,
             dependencies=MEDIA)
async def watch(session_id: str, request: Request, node: NodeDep, settings: SettingsDep, webrtc: WebRtcDep,
                caller: CallerDep) -> Response:
    """Answer a viewer's offer. Its n-th video m-section gets `video-n`, and so on."""
    session = node.get(session_id, caller)
    offer = read_offer(await text_of(request, SDP, settings.max_sdp_bytes), settings)
    if len(webrtc.viewers) >= settings.max_viewers:
        raise Busy(f"all {settings.max_viewers} places for viewers are taken", retry_after=5)
    name = secrets.token_urlsafe(16)
    peer, answer = await webrtc.watch(session, offer, name, caller)
    return created(answer, f"/v1/whep/{session.id}/{name}", peer, settings, caller)


@router.options("/{session_id}", status_code=204, response_class=Response)
async def describe_endpoint(session_id: str, request: Request, settings: SettingsDep) -> Response:
    """What may be posted here; as for WHIP."""
    return described(request, settings)


@router.options("/{session_id}/{viewer}", status_code=204, response_class=Response)
async def describe_resource(session_id: str, viewer: str) -> Response:
    return Response(status_code=204, headers={"Accept-Patch": FRAGMENT})


@router.patch("/{session_id}/{viewer}", status_code=204, response_class=Response, openapi_extra=FRAGMENT_BODY,
              dependencies=MEDIA)
async def trickle(session_id: str, viewer: str, request: Request, webrtc: WebRtcDep, caller: CallerDep) -> Response:
    """More ICE candidates; as for WHIP."""
    return await patched(_viewer(webrtc, session_id, viewer, caller), request)


@router.delete("/{session_id}/{viewer}", response_class=Response, dependencies=MEDIA)
async def leave(session_id: str, viewer: str, webrtc: WebRtcDep, caller: CallerDep) -> Response:
    """Stop watching; the session goes on."""
    await _viewer(webrtc, session_id, viewer, caller).close("ended by the WHEP client")
    return Response(status_code=200)


def _viewer(webrtc: WebRtc, session_id: str, name: str, caller: Caller) -> Peer:
    peer = webrtc.viewers.get(name)
    if peer is None or peer.session.id != session_id or (
            peer.watcher is not None and not caller.owns(peer.watcher.owner) and peer.watcher.owner):
        raise NotFound("there is no such viewer", field="viewer")
    return peer
