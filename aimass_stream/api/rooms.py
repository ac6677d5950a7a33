"""/v1/rooms: join a room of somebody else's meeting server, see who is there, follow what is said, leave."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from ..errors import Busy, InvalidInput, Unauthorized
from ..rooms.janus import Door, JanusJoin
from ..rooms.log import RoomEvent
from ..rooms.ports import Kind
from ..rooms.room import Room
from ..rooms.rooms import Rooms
from ..rooms.wish import Wish
from ..spec import PipelineSpec
from .deps import AccountsDep, CallerDep, SettingsDep, needs
from .jobs import Following
from .problems import RESPONSES
from .webrtc import WebRtcDep

router = APIRouter(prefix="/v1/rooms", tags=["rooms"], responses=RESPONSES, dependencies=[needs("media")])

ALIVE = 10.0  # s between signs of life where nothing happens
MOST_FOLLOWERS = 128
CAPTIONS = [{"stage": "asr"}]  # the pipeline where none is said

Text = Annotated[str, Field(min_length=1, max_length=128)]
Secret = Annotated[str, Field(max_length=256)]


class NewRoom(BaseModel):
    """A room to join, and what to do in it."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["janus"] = "janus"
    url: str = Field(max_length=500, description="of the signalling: a websocket", examples=["wss://janus.example/ws"])
    room: Text | int = Field(description="its number, or its name where Janus has names", examples=[1234])
    name: Text = Field("AI Mass", description="ours in the room; '(AI Mass)' is put behind it")
    pin: Secret = Field("", description="of the room")
    token: Secret = Field("", description="of Janus or the room, where they ask for one")
    api_secret: Secret = Field("", description="of Janus, where it asks for one")
    pipeline: list[Any] | None = Field(None, description="for each participant; captions where nothing is said",
                                       examples=[CAPTIONS])
    participants: list[Text] | None = Field(None, max_length=64, description="ids or names of whom to serve; null: all")
    publish: list[Literal["audio", "video"]] = Field(
        [], max_length=2, description="what of each one's result the room is shown; nothing: captions alone")
    captions: bool = Field(True, description="post them to the room's data channel")
    max_participants: int = Field(8, ge=1, le=64, description="served at once")


class ParticipantView(BaseModel):
    id: str
    name: str = Field(description="text as they typed it: no HTML")
    tracks: list[Literal["audio", "video"]] = Field(description="that they publish, and that can be taken")
    state: Literal["idle", "waiting", "served", "ended"] = Field(
        description="idle: nothing is to be done; waiting: there is no room for them now; ended: not tried again")
    detail: str
    session_id: str | None


class RoomView(BaseModel):
    id: str
    kind: Literal["janus"]
    room: str
    state: Literal["joining", "joined", "waiting", "ended"] = Field(
        description="waiting: it was cut, and is being joined again")
    reason: str = Field(description="why it is waiting or ended")
    created: float = Field(description="seconds since 1970")
    caller: str
    pipeline: list[dict[str, Any]]
    publish: list[Literal["audio", "video"]]
    captions: bool
    max_participants: int
    captions_sent: int
    captions_lost: int = Field(description="that found no open data channel, or one that is not read")
    last_event: int = Field(description="`seq` of the last one")
    participants: list[ParticipantView]


class RoomList(BaseModel):
    rooms: list[RoomView]


class CaptionView(BaseModel):
    at: float = Field(description="seconds since 1970, of its last words")
    participant: str
    name: str
    utterance: str
    text: str
    language: str
    final: bool


class Captions(BaseModel):
    captions: list[CaptionView] = Field(description="whole utterances of everybody, the oldest first; the last 500")


def rooms_of(request: Request) -> Rooms:
    return cast(Rooms, request.app.state.rooms)


RoomsDep = Annotated[Rooms, Depends(rooms_of)]


def room_of(room_id: str, rooms: RoomsDep, caller: CallerDep) -> Room:
    return rooms.get(room_id, caller)


RoomDep = Annotated[Room, Depends(room_of)]


@router.post("", status_code=201)
async def join_room(new: NewRoom, response: Response, rooms: RoomsDep, settings: SettingsDep, webrtc: WebRtcDep,
                    caller: CallerDep) -> RoomView:
    """Join, and answer once we are in. Each participant gets a session with this pipeline, as long as they are there.

    A server in a private network, or without TLS, is joined for an admin, or where the setting `room_private` says so.
    """
    wish = _wish(new, rooms)
    private = settings.room_private or "admin" in caller.scopes
    door = Door(new.url, str(new.room), new.pin, new.token, new.api_secret)
    join = JanusJoin(webrtc, settings, door, new.name, private, new.captions)
    room = await rooms.open(caller, join, wish, kind=new.kind, name=str(new.room))
    response.headers["Location"] = f"/v1/rooms/{room.id}"
    return RoomView(**room.json())


def _wish(new: NewRoom, rooms: Rooms) -> Wish:
    pipeline = PipelineSpec.parse(CAPTIONS if new.pipeline is None else new.pipeline)
    publish = cast(tuple[Kind, ...], tuple(sorted(set(new.publish))))
    kinds = rooms.kinds(pipeline, publish)
    if not kinds:
        raise InvalidInput("this pipeline takes neither sound nor pictures, and nothing is published",
                           field="pipeline")
    return Wish(pipeline, kinds, new.max_participants, frozenset(new.participants or ()), publish, new.captions)


@router.get("")
async def list_rooms(rooms: RoomsDep, caller: CallerDep) -> RoomList:
    """The caller's rooms, also some that are over; all, for who runs the server."""
    return RoomList(rooms=[RoomView(**room.json()) for room in rooms.all(caller)])


@router.get("/{room_id}")
async def show_room(room: RoomDep) -> RoomView:
    return RoomView(**room.json())


@router.get("/{room_id}/captions")
async def list_captions(room: RoomDep) -> Captions:
    """What was said, by whom."""
    return Captions(captions=[CaptionView(**each) for each in room.said])


@router.get("/{room_id}/events", response_class=Response, responses={200: {
    "description": "Events with `seq`, `at`, `type` and what docs/api/rooms.md says of each type; the last one is "
                   "`room.ended`", "content": {"text/event-stream": {}}}})
async def follow_room(room: RoomDep, accounts: AccountsDep, caller: CallerDep,
                      after: Annotated[int, Query(ge=0, description="`seq` of the last one seen")] = 0,
                      last_event_id: Annotated[str | None, Header(max_length=20)] = None) -> Response:
    """Follow a room by server-sent events, from its begin or behind `after` (or `Last-Event-ID`)."""
    if len(Following.at_once) >= MOST_FOLLOWERS:
        raise Busy(f"{MOST_FOLLOWERS} are following already, which is the limit")
    if last_event_id is not None and last_event_id.isdecimal():
        after = int(last_event_id)
    return Following(_events(room, after, lambda: accounts.confirm(caller)))


@router.delete("/{room_id}", status_code=204)
async def leave_room(room_id: str, rooms: RoomsDep, caller: CallerDep) -> Response:
    """Leave it: nothing of ours is in the room when this is answered."""
    await rooms.leave(room_id, caller)
    return Response(status_code=204)


async def _events(room: Room, after: int, confirm: Callable[[], object]) -> AsyncIterator[bytes]:
    async for event in room.log.follow(after, ALIVE):
        try:
            confirm()
        except Unauthorized:
            return
        yield b": alive\n\n" if event is None else _sse(event)


def _sse(event: RoomEvent) -> bytes:
    body = {"seq": event.seq, "at": event.at, "type": event.type, **event.data}
    return f"id: {event.seq}\nevent: {event.type}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()
