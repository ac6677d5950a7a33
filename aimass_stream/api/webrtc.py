"""POST /v1/webrtc/offer: a browser's offer in, our answer out."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Request, Security
from pydantic import BaseModel, Field
from starlette.requests import HTTPConnection

from ..accounts import Accounts
from ..errors import Forbidden, InvalidInput
from ..node import Node
from ..ports import AppCall, Caller
from ..session import Session
from ..spec import PipelineSpec
from ..transports.webrtc import WebRtc
from ..transports.webrtc.sdp import read_offer
from .deps import NodeDep, SettingsDep, accounts_of, admitted, bearer
from .limits import LimitedRoute
from .problems import RESPONSES

router = APIRouter(prefix="/v1/webrtc", tags=["webrtc"], responses=RESPONSES, route_class=LimitedRoute)


def webrtc_of(connection: HTTPConnection) -> WebRtc:
    return cast(WebRtc, connection.app.state.webrtc)


WebRtcDep = Annotated[WebRtc, Depends(webrtc_of)]


class OfferBody(BaseModel):
    """An offer. With `session_id` and `resume_token` it goes on with a running session, its pipeline and events."""

    sdp: str
    type: Literal["offer"] = "offer"
    pipeline: list[Any] | None = Field(None, examples=[[{"stage": "mirror"}]])
    sync: Literal["lowest", "lips"] | None = Field(None, description="'lowest' where nothing is said")
    latency_ms: int | None = Field(None, description="ms, 10 to 5000: promised from arrival until departure; 0: none")
    app_id: str | None = Field(None, max_length=64, description="the id or slug of an app, in place of a pipeline")
    parameters: dict[str, Any] | None = Field(None, max_length=64, description="those that the app exposes, by name")
    session_id: str | None = None
    resume_token: str | None = None
    last_seq: int = Field(0, ge=0, description="the last event seen: the data channel goes on behind it")


class AnswerBody(BaseModel):
    sdp: str
    type: Literal["answer"] = "answer"
    session_id: str
    resume_token: str = Field(description="a secret: whoever has it may go on with the session")


@router.post("/offer", status_code=201, dependencies=[Security(bearer)])
async def answer_offer(body: OfferBody, request: Request, node: NodeDep, settings: SettingsDep,
                       webrtc: WebRtcDep) -> AnswerBody:
    """Open a session, or resume one, with a WebRTC offer. To resume, the session's own token is enough.

    The tracks are named in the order of the m-sections: `audio-0`, `video-0`, `video-1`. What the pipeline makes of
    them comes back in the same m-sections, or in receive-only ones. Events and control messages go through a data
    channel labelled `aimass` that the client opens.
    """
    caller = await admitted(request, opens=True) if body.session_id is None else None
    offer = read_offer(body.sdp, settings)
    session, fresh = await _session(body, node, caller, accounts_of(request))
    try:
        _, answer = await webrtc.connect(session, offer, last_seq=body.last_seq)
    except BaseException:
        if fresh:
            await session.close("the offer could not be answered")
        raise
    if fresh and await request.is_disconnected():
        await session.close("its client left before it was answered")
    return AnswerBody(sdp=answer, session_id=session.id, resume_token=session.resume_token)


async def _session(body: OfferBody, node: Node, caller: Caller | None, accounts: Accounts) -> tuple[Session, bool]:
    """The session to attach to, and whether it is new, which it is for a caller."""
    if caller is not None:
        if body.resume_token is not None:
            raise InvalidInput("'resume_token' needs a 'session_id'", field="session_id")
        spec = PipelineSpec.parse(body.pipeline)
        return await node.open(spec, caller=caller, transport="webrtc", sync=body.sync or "lowest",
                               latency_ms=body.latency_ms,
                               app=AppCall.of(body.app_id, body.parameters, body.pipeline)), True
    session = node.get(body.session_id or "")
    if not session.resumes_by(body.resume_token):
        raise Forbidden("the resume token does not belong to this session", field="resume_token")
    accounts.confirm(session.caller)
    if body.app_id is not None:
        raise InvalidInput("a session that is resumed stays what it is", field="app_id")
    if any(each is not None for each in (body.pipeline, body.sync, body.latency_ms, body.parameters)):
        await session.update(pipeline=body.pipeline, sync=body.sync, latency_ms=body.latency_ms,
                             parameters=body.parameters)
    return session, False
