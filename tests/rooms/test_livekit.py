"""This server in a room of LiveKit: LiveKit's own client library, against a stand-in of its server."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import jwt
import pytest
from livekit.protocol import models

from aimass_stream.client import Client
from aimass_stream.errors import AimassError, Forbidden, InvalidInput, NotFound, Unavailable
from aimass_stream.events import TranscriptCommitted
from aimass_stream.rooms.livekit import LiveKitDoor, LiveKitJoin
from tests.api.test_callers import keyed, served
from tests.support.apps import manifest
from tests.support.command import here
from tests.support.followed import Followed
from tests.support.livekit import KEY, ROOM, SCREEN, SECRET, LiveKit, livekit
from tests.support.meeting import Voice
from tests.support.options import settings
from tests.support.rtc import Camera
from tests.support.server import Running as Server
from tests.support.server import serve
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

MIRROR = [{"stage": "mirror"}]
LEVEL = [{"stage": "level"}]
MARKUP = '<b onclick="x">Ann</b> [red]\x1b[31m'
SHOWN_MARKUP = '<b onclick="x">Ann</b> [red] [31m'
OPEN: dict[str, Any] = {"kind": "livekit", "room": ROOM, "api_key": KEY, "api_secret": SECRET}
Reason = models.DisconnectReason


@pytest.fixture
def drawn() -> Camera:
    """Its pictures, drawn before a loop runs."""
    return Camera(160, 120, cycle=10)


@asynccontextmanager
async def both(**options: Any) -> AsyncIterator[tuple[Server, LiveKit, Client]]:
    async with livekit() as there, serve(settings(**options)) as server, Client(server.url) as client:
        yield server, there, client


async def joined(there: LiveKit, client: Client, **wanted: Any) -> Followed:
    return Followed(client, await client.rooms.join(there.url, **OPEN | wanted))


async def test_captions_are_json_and_livekit_s_own_with_the_speaker_s_name() -> None:
    async with both() as (server, there, client):
        ann = await there.guest(MARKUP, Voice())
        room = await joined(there, client, pipeline=LEVEL, name="Scribe")
        claims = there.tokens[0]
        assert (claims["name"], claims["kind"]) == ("Scribe (AI Mass)", "agent")
        assert claims["video"] == {"room": ROOM, "roomJoin": True, "canSubscribe": True, "canPublish": True,
                                   "canPublishData": True}
        served = await room.until("participant.state", state="served", name=SHOWN_MARKUP)
        session = server.node.get(served["session_id"])
        assert session.transport == "livekit"
        await until(lambda: bool(session.meter.summary()))  # sound comes
        for text, final in (("nine boats", False), ("left", True)):
            session.event(TranscriptCommitted(utterance="u1", text=text, final=final, language="en", words=[],
                                              engine="e", model="m", speaker="Ann"))
        (visitor,) = there.visitors
        await there.until(lambda: len(visitor.texts) == 2)
        assert [(each["type"], each["name"], each["participant"], each["text"], each["final"])
                for each in visitor.told] == [("caption", SHOWN_MARKUP, ann.info.identity, text, final)
                                              for text, final in (("nine boats", False), ("nine boats left", True))]
        assert [(who, text) for who, _, text in visitor.texts] == [
            (ann.info.identity, "nine boats"), (ann.info.identity, "nine boats left")]
        assert [attributes for _, attributes, _ in visitor.texts] == [
            {"lk.segment_id": "u1", "lk.transcription_final": final, "lk.transcribed_track_id": ann.info.tracks[0].sid}
            for final in ("false", "true")]
        assert [each["text"] for each in await client.rooms.captions(room.id)] == ["nine boats left"]
        assert (await client.rooms.show(room.id))["captions_lost"] == 0
        await client.rooms.leave(room.id)
        assert await room.over() == "ended by request"
        assert visitor.polite
        await until(lambda: not there.visitors and not server.node.sessions())


async def test_what_comes_of_each_is_shown_as_tracks_of_their_name(drawn: Camera) -> None:
    async with both() as (server, there, client):
        ann = await there.guest("Ann", drawn, Voice())
        await there.guest("Another server (AI Mass)", Voice())
        room = await joined(there, client, pipeline=MIRROR, publish=["video", "audio"], captions=False)
        await room.until("participant.state", state="served", name="Ann")
        (visitor,) = there.visitors
        await there.until(lambda: visitor.counts["audio"] > 3 and visitor.counts["video"] > 3)
        assert (visitor.frames["video"][0].width, visitor.frames["video"][0].height) == (160, 120)
        assert visitor.shown == [("Ann (AI Mass)", "audio"), ("Ann (AI Mass)", "video")]
        assert set(await room.show()) == {"Ann"}
        await ann.rename("Anna")
        await room.until("participant.renamed", name="Anna", before="Ann")
        await there.until(lambda: visitor.shown == [("Anna (AI Mass)", "audio"), ("Anna (AI Mass)", "video")])
        (session,) = server.node.sessions()
        assert session.meter.drops.get("video-0/garbage") is None
        await ann.leave()
        await room.until("participant.left", name="Anna")
        await there.until(lambda: visitor.shown == [])
        await until(lambda: not server.node.sessions())
        await client.rooms.leave(room.id)


async def test_a_camera_that_comes_later_keeps_the_session_and_screens_are_not_taken(drawn: Camera) -> None:
    async with both() as (server, there, client):
        ann = await there.guest("Ann", Voice())
        room = await joined(there, client, pipeline=[*LEVEL, *MIRROR], captions=False)
        first = await room.until("participant.state", state="served")
        session = server.node.get(first["session_id"])
        await ann.publish(Camera(64, 48, cycle=1), SCREEN)
        await ann.publish(Camera(64, 48, cycle=1), encryption=models.Encryption.GCM)
        camera = await ann.publish(drawn)
        await until(lambda: bool(session.shown))
        assert (session.shown["video-0"].width, session.shown["video-0"].height) == (160, 120)
        shown = (await room.show())["Ann"]
        assert (shown["session_id"], sorted(shown["tracks"])) == (session.id, ["audio", "video"])
        ann.info.tracks[-1].muted = True
        await ann.tell()
        await room.until("participant.state", 2, state="served")
        await ann.unpublish(camera)
        await room.until("participant.state", 3, state="served")
        assert (server.node.sessions(), (await room.show())["Ann"]["tracks"]) == ([session], ["audio"])
        await ann.unpublish(ann.info.tracks[0].sid)
        await until(lambda: not server.node.sessions())
        assert (await room.show())["Ann"]["state"] == "idle"
        await client.rooms.leave(room.id)


async def test_only_those_who_were_named_are_subscribed_to() -> None:
    async with both() as (_, there, client):
        guests = [await there.guest(name, Voice()) for name in ("Ann", "Bob")]
        room = await joined(there, client, pipeline=LEVEL, participants=["Bob"])
        await room.until("participant.state", state="served", name="Bob")
        (visitor,) = there.visitors
        await there.until(lambda: visitor.subscribed)
        assert visitor.subscribed == {guests[1].info.tracks[0].sid}
        await client.rooms.leave(room.id)


@pytest.mark.parametrize(("reason", "told"), [
    (Reason.PARTICIPANT_REMOVED, "we were shown out of the room"), (Reason.ROOM_DELETED, "the room was closed"),
    (Reason.DUPLICATE_IDENTITY, "somebody else came with our token")])
async def test_what_is_over_for_good(reason: Any, told: str) -> None:
    async with both() as (server, there, client):
        await there.guest("Ann", Voice())
        room = await joined(there, client, pipeline=LEVEL)
        await room.until("participant.state", state="served")
        await there.visitors[0].dismiss(reason)
        assert await room.over() == told
        assert server.node.sessions() == []
        await until(lambda: not there.visitors)


async def test_a_server_that_stops_is_joined_again() -> None:
    async with both() as (_, there, client):
        await there.guest("Ann", Voice())
        room = await joined(there, client, pipeline=LEVEL)
        await room.until("participant.state", state="served")
        await there.visitors[0].dismiss(Reason.SERVER_SHUTDOWN)
        assert (await room.until("room.waiting"))["reason"] == "LiveKit is stopping"
        await room.until("participant.state", 2, state="served")
        assert len({claims["sub"] for claims in there.tokens}) == 2
        await client.rooms.leave(room.id)
        await until(lambda: not there.visitors)


async def test_the_library_mends_a_cut_and_the_session_goes_on() -> None:
    async with both() as (server, there, client):
        await there.guest("Ann", Voice())
        room = await joined(there, client, pipeline=LEVEL, captions=False)
        served = await room.until("participant.state", state="served")
        (visitor,) = there.visitors
        await there.until(lambda: visitor.subscribed)
        await visitor.cut()
        await there.until(lambda: any(each is not visitor and each.subscribed for each in there.visitors))
        session = server.node.get(served["session_id"])
        await until(lambda: bool(session.meter.summary()))  # sound comes
        before = session.meter.summary()["audio-0"]["level"].count
        await until(lambda: session.meter.summary()["audio-0"]["level"].count > before)
        assert room.of("room.waiting") == room.of("participant.left") == []
        assert server.node.sessions() == [session]
        assert len({claims["sub"] for claims in there.tokens}) == 1
        await client.rooms.leave(room.id)
        await until(lambda: not there.visitors)


async def test_who_may_publish_no_longer_is_not_shown_again(drawn: Camera) -> None:
    async with both() as (server, there, client):
        await there.guest("Ann", drawn)
        room = await joined(there, client, pipeline=MIRROR, publish=["video"], captions=False)
        (visitor,) = there.visitors
        await there.until(lambda: visitor.shown != [])
        await visitor.allow(publish=False)
        assert "shown out" in (await room.until("participant.state", state="ended"))["detail"]
        await until(lambda: not server.node.sessions())
        await client.rooms.leave(room.id)


async def test_a_token_that_was_given_opens_its_room_alone() -> None:
    async with both() as (_, there, client):
        claims = {"iss": KEY, "sub": "scribe", "nbf": int(time.time()) - 5, "exp": int(time.time()) + 60,
                  "video": {"room": ROOM, "roomJoin": True}}
        token = jwt.encode(claims, SECRET, "HS256")
        with pytest.raises(InvalidInput, match="for the room 'standup'") as refused:
            await client.rooms.join(there.url, "retro", kind="livekit", token=token)
        assert refused.value.field == "room"
        room = Followed(client, await client.rooms.join(there.url, ROOM, kind="livekit", token=token))
        assert there.tokens == [claims]
        assert token not in str(await client.rooms.show(room.id))
        await client.rooms.leave(room.id)


async def test_what_can_not_be_joined() -> None:
    async with both() as (_, there, client):
        late = jwt.encode({"iss": KEY, "sub": "x", "nbf": 0, "exp": 1, "video": {"room": ROOM, "roomJoin": True}},
                          SECRET)
        refusals: tuple[tuple[type[AimassError], str, dict[str, Any]], ...] = (
            (Forbidden, "token", {"api_secret": "another secret of thirty-two letters"}),
            (Forbidden, "token", {"token": late, "api_key": "", "api_secret": ""}),
            (InvalidInput, "token", {"token": "garbage", "api_key": "", "api_secret": ""}),
            (InvalidInput, "token", {"token": late}), (InvalidInput, "token", {"api_key": "", "api_secret": ""}),
            (InvalidInput, "api_secret", {"api_secret": ""}), (InvalidInput, "api_key", {"api_key": ""}),
            (InvalidInput, "pin", {"pin": "1111"}), (InvalidInput, "url", {"url": "http://127.0.0.1"}),
            (InvalidInput, "api_key", {"kind": "janus"}), (Unavailable, "url", {"url": "ws://127.0.0.1:9"}),
            (NotFound, "app_id", {"app_id": "none"}), (InvalidInput, "parameters", {"parameters": {"x": 1}}),
            (InvalidInput, "pipeline", {"app_id": "none", "pipeline": LEVEL}))
        for kind, field, wanted in refusals:
            with pytest.raises(kind) as refused:
                await client.request("POST", "/v1/rooms", {"url": there.url} | OPEN | wanted)
            assert refused.value.field == field
        for status, kind in ((HTTPStatus.FORBIDDEN, Forbidden), (HTTPStatus.BAD_GATEWAY, Unavailable)):
            there.refuses = status
            with pytest.raises(kind) as refused:
                await joined(there, client)
            assert "nobody else may read" not in refused.value.detail
        assert (there.visitors, await client.rooms.find()) == ([], [])


async def test_who_gives_up_leaves_no_ghost() -> None:
    async with livekit() as there:
        there.hangs = True
        door = LiveKitDoor(there.url, ROOM, api_key=KEY, api_secret=SECRET)
        joining = asyncio.create_task(LiveKitJoin(door, "Scribe", captions=True)(lambda: None))
        await until(lambda: bool(there.tokens))
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining
        there.go_on.set()
        await there.until(lambda: bool(there.visitors))
        (visitor,) = there.visitors
        await there.until(lambda: not there.visitors)
        assert visitor.polite


async def test_the_command_joins_and_leaves() -> None:
    async with livekit() as there, serve(settings()) as server:
        async def command(*arguments: str) -> tuple[int, str]:
            done = await asyncio.to_thread(here, *arguments, "--server", server.url)
            return done.code, done.out + done.err

        keys = ("--livekit-key", KEY, "--livekit-secret", SECRET)
        code, out = await command("join", "livekit", there.url, ROOM, *keys, "-p", '[{"stage": "level"}]', "--detach",
                                  "--json")
        assert code == 0, out
        assert there.tokens[0]["name"] == "AI Mass"
        assert f"livekit {ROOM}" in (await command("rooms", "list"))[1]
        assert (await command("rooms", "leave", json.loads(out)["id"]))[0] == 0
        await until(lambda: not there.visitors)
        for wrong in ((), (*keys, "--app", "soft", "-p", "[]", "--publish", "smell"), (*keys, "--set", "softness=8")):
            assert (await command("join", "livekit", there.url, ROOM, *wrong))[0] == 2


async def test_without_the_library_there_is_a_word_on_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("aimass_stream.rooms.livekit.")]:
        if not name.endswith(".join"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "livekit", None)
    async with serve(settings()) as server, Client(server.url) as client:
        with pytest.raises(Unavailable, match=r"pip install 'aimass-stream\[livekit\]'") as refused:
            await client.rooms.join("ws://127.0.0.1:9", **OPEN)
        assert (refused.value.status, refused.value.field) == (503, "kind")


async def test_only_admins_join_and_an_app_brings_its_pipeline(drawn: Camera) -> None:
    async with livekit() as there, served() as (server, http):
        await there.guest("Ann", drawn)
        body = {"url": there.url} | OPEN
        _, ada = await keyed(http, "ada")
        refused = await http.post("/v1/rooms", json=body | {"url": "wss://livekit.example"}, headers=ada)
        assert (refused.status_code, refused.json()["field"]) == (403, "kind")
        assert "room_private" in refused.json()["detail"]
        made = await http.post("/v1/apps", json={"slug": "soft", "manifest": manifest()})
        app = made.headers["location"].rpartition("/")[2]
        wrong = await http.post("/v1/rooms", json=body | {"app_id": f"{app}@1", "parameters": {"softness": 100}})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "parameters.softness")
        room = await http.post("/v1/rooms", json=body | {"app_id": f"{app}@1", "parameters": {"softness": 7}})
        assert room.status_code == 201, room.text
        assert (room.json()["app_id"], room.json()["pipeline"][0]["sigma"]) == (f"{app}@1", 7)
        assert SECRET not in room.text
        await until(lambda: bool(server.node.sessions()))
        (session,) = server.node.sessions()
        assert (session.json()["app_id"], session.json()["pipeline"][0]["sigma"]) == (app, 7)
        assert (await http.delete(room.headers["location"])).status_code == 204
        await until(lambda: not there.visitors)
