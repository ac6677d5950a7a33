"""/v1/rooms: join a room of somebody else's meeting server, see who is there, follow what is said, leave."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Annotated, Any, Literal, TypeAlias, cast

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

from ..errors import Busy, Forbidden, InvalidInput, Unauthorized
from ..ports import AppCall, Caller
from ..rooms.janus import Door, JanusJoin
from ..rooms.livekit import LiveKitDoor, LiveKitJoin
from ..rooms.log import RoomEvent
from ..rooms.ports import Join, Kind, marked
from ..rooms.room import Room
from ..rooms.rooms import Rooms
from ..rooms.wish import AssistantWish, Place, Wish, attentive
from ..settings import Settings
from ..spec import PipelineSpec
from ..transports.webrtc import WebRtc
from .deps import AccountsDep, CallerDep, SettingsDep, needs
from .jobs import Following
from .problems import RESPONSES
from .webrtc import WebRtcDep

router = APIRouter(prefix="/v1/rooms", tags=["rooms"], responses=RESPONSES, dependencies=[needs("media")])

ALIVE = 10.0  # s between signs of life where nothing happens
MOST_FOLLOWERS = 128
CAPTIONS = [{"stage": "asr"}]  # the pipeline where none is said

Server: TypeAlias = Literal["janus", "livekit"]
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NUMBERS = 1 << 64  # of Janus' rooms: one further would wait for an answer that never comes


def _line(text: str) -> str:
    if CONTROL.search(text):
        raise ValueError("it is one line of text, without control characters")
    return text


Text = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_line)]
Secret = Annotated[str, Field(max_length=256), AfterValidator(_line)]


def _room(room: object) -> str:
    """As text, which a room's number may be, too."""
    text = str(room) if isinstance(room, int) and not isinstance(room, bool) and 0 <= room < NUMBERS else room
    if not isinstance(text, str) or not 1 <= len(text) <= 128:
        raise ValueError("a room is a number of at most 64 bits, or a name of 1 to 128 characters")
    return _line(text)


class NewRoom(BaseModel):
    """A room to join, and what to do in it."""

    model_config = ConfigDict(extra="forbid")
    kind: Server = "janus"
    url: str = Field(max_length=500, description="of the signalling: a websocket", examples=["wss://janus.example/ws"])
    room: Annotated[str, PlainValidator(_room, json_schema_input_type=Text | int)] = Field(
        description="its number, or its name where the server has names", examples=[1234])
    name: Text = Field("AI Mass", description="ours in the room; '(AI Mass)' is put behind any other. A token of "
                                              "LiveKit has its own")
    pin: Secret = Field("", description="of a room of Janus")
    token: str = Field("", max_length=8192, description="of Janus or the room, where they ask for one; of LiveKit, one "
                                                        "for this room")
    api_key: Secret = Field("", description="of LiveKit, with `api_secret` in place of a token")
    api_secret: Secret = Field("", description="of Janus, where it asks for one; of LiveKit's `api_key`")
    pipeline: list[Any] | None = Field(None, description="for each participant; captions where nothing is said",
                                       examples=[CAPTIONS])
    app_id: str | None = Field(None, max_length=64, description="the id or slug of an app, in place of a pipeline")
    parameters: dict[str, Any] | None = Field(None, description="of that app, by name")
    participants: list[Text] | None = Field(None, max_length=64, description="ids or names of whom to serve; null: all")
    publish: list[Literal["audio", "video"]] = Field(
        [], max_length=2, description="what of each one's result the room is shown; nothing: captions alone")
    captions: bool = Field(True, description="post them to the room's data channel")
    max_participants: int = Field(8, ge=1, le=64, description="served at once")
    assistant: AssistantWish | None = Field(None, description="in the room, by voice; null: none")
    leave_after: float | None = Field(None, ge=1, le=3600, json_schema_extra={"unit": "s"}, description=
                                      "leave once nobody has followed its events for so long; null: stay")


class ParticipantView(BaseModel):
    id: str
    name: str = Field(description="text as they typed it: no HTML")
    tracks: list[Literal["audio", "video"]] = Field(description="that they publish, and that can be taken")
    state: Literal["idle", "waiting", "served", "ended"] = Field(
        description="idle: nothing is to be done; waiting: there is no room for them now; ended: not tried again")
    detail: str
    session_id: str | None


class AssistantView(BaseModel):
    name: str
    state: Literal["waiting", "listening", "thinking", "speaking", "ended"] = Field(
        description="waiting: it is tried again; ended: not in this stay")
    detail: str
    session_id: str | None
    answered: int = Field(description="questions")
    waiting: int = Field(description="questions that wait for a quiet moment")
    dropped: int = Field(description="questions that were too many, or waited too long")
    echoes: int = Field(description="utterances that were its own voice, come back")


class RoomView(BaseModel):
    id: str
    kind: Server
    room: str
    state: Literal["joining", "joined", "waiting", "ended"] = Field(
        description="waiting: it was cut, and is being joined again")
    reason: str = Field(description="why it is waiting or ended")
    created: float = Field(description="seconds since 1970")
    caller: str
    pipeline: list[dict[str, Any]]
    app_id: str | None = Field(description="of the app that the pipeline is of; null: of none")
    publish: list[Literal["audio", "video"]]
    captions: bool
    max_participants: int
    leave_after: float | None = Field(description="s without a follower; null: it stays")
    captions_sent: int
    captions_lost: int = Field(description="that found no open data channel, or one that is not read")
    last_event: int = Field(description="`seq` of the last one")
    assistant: AssistantView | None
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

    A server in a private network, or without TLS, is joined for an admin, or where the setting `room_private` says so;
    and so is any LiveKit.
    """
    wish = await _wish(new, rooms, caller)
    private = settings.room_private or "admin" in caller.scopes
    join = _livekit(new, private) if new.kind == "livekit" else _janus(new, private, webrtc, settings)
    name = new.token if new.kind == "livekit" and new.token else marked(new.name)
    room = await rooms.open(caller, join, wish, Place.of(new.kind, new.url, new.room, name))
    response.headers["Location"] = f"/v1/rooms/{room.id}"
    return RoomView(**room.json())


def _janus(new: NewRoom, private: bool, webrtc: WebRtc, settings: Settings) -> Join:
    if new.api_key:
        raise InvalidInput("Janus has no 'api_key': where it asks for a secret, that is 'api_secret'", field="api_key")
    if new.room.isdecimal() and int(new.room) >= NUMBERS:
        raise InvalidInput("the number of a room of Janus has at most 64 bits", field="room")
    door = Door(new.url, new.room, new.pin, new.token, new.api_secret)
    return JanusJoin(webrtc, settings, door, new.name, private, new.captions)


def _livekit(new: NewRoom, private: bool) -> Join:
    if not private:
        raise Forbidden("LiveKit's library goes wherever a server sends it, to private addresses too: only an admin "
                        "joins its rooms, and everybody where the setting room_private says so", field="kind")
    if new.pin:
        raise InvalidInput("a room of LiveKit has no 'pin': give a 'token', or 'api_key' and 'api_secret'", field="pin")
    if new.token and (new.api_key or new.api_secret):
        raise InvalidInput("give either a 'token', or 'api_key' and 'api_secret'", field="token")
    if not new.token and not (new.api_key and new.api_secret):
        raise InvalidInput("LiveKit wants a 'token' for the room, or 'api_key' and 'api_secret' to make one with",
                           field="token" if new.api_key == new.api_secret == "" else
                           "api_secret" if new.api_key else "api_key")
    return LiveKitJoin(LiveKitDoor(new.url, new.room, new.token, new.api_key, new.api_secret), new.name,
                       new.captions)


async def _wish(new: NewRoom, rooms: Rooms, caller: Caller) -> Wish:
    app = AppCall.of(new.app_id, new.parameters, new.pipeline)
    pipeline = (PipelineSpec.parse(CAPTIONS if new.pipeline is None else new.pipeline) if app is None else
                await rooms.pipeline_of(caller, app))
    publish = cast(tuple[Kind, ...], tuple(sorted(set(new.publish))))
    kinds = rooms.kinds(pipeline, publish)
    if not kinds:
        raise InvalidInput("this pipeline takes neither sound nor pictures, and nothing is published",
                           field="pipeline" if app is None else "app_id")
    if new.assistant is not None:
        if app is not None:
            raise InvalidInput("an assistant hears by a pipeline, and an app brings its own: give one of the two",
                               field="assistant")
        pipeline = attentive(pipeline, new.assistant.name)
    return Wish(pipeline, kinds, new.max_participants, frozenset(new.participants or ()), publish, new.captions, app,
                new.assistant, new.leave_after)


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
    async with aclosing(room.log.follow(after, ALIVE)) as events:
        async for event in events:
            try:
                confirm()
            except Unauthorized:
                return
            yield b": alive\n\n" if event is None else _sse(event)


def _sse(event: RoomEvent) -> bytes:
    body = {"seq": event.seq, "at": event.at, "type": event.type, **event.data}
    return f"id: {event.seq}\nevent: {event.type}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n".encode()
