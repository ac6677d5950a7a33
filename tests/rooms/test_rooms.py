"""This server in a room of the real Janus: captions, shown video, and whatever ends one or the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets.asyncio.client  # noqa: F401  here, and not on the loop

from aimass_stream.client import Client
from aimass_stream.errors import AimassError, Busy, Conflict, Forbidden, InvalidInput, InvalidPipeline, NotFound
from aimass_stream.events import Event
from aimass_stream.frames import Samples, now
from aimass_stream.ports import Caller
from aimass_stream.rooms import room as rooms_room
from aimass_stream.rooms.janus import signalling
from aimass_stream.rooms.served import Captions
from tests.support.followed import Followed
from tests.support.janus import SECRET, Meeting, Running, meeting
from tests.support.meeting import Voice
from tests.support.options import settings
from tests.support.rtc import Camera
from tests.support.server import Running as Server
from tests.support.server import serve
from tests.support.speech import speak
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

MIRROR = [{"stage": "mirror"}]
LEVEL = [{"stage": "level"}]
MARKUP = '<b onclick="x">Ann</b> [red]\x1b[31m'
SHOWN_MARKUP = '<b onclick="x">Ann</b> [red] [31m'


@pytest.fixture(scope="module")
def clip() -> Samples:
    return speak()


@pytest.fixture
def drawn() -> Camera:
    """Its pictures, drawn before a loop runs."""
    return Camera(160, 120, cycle=10)


@asynccontextmanager
async def both(**options: Any) -> AsyncIterator[tuple[Server, Meeting, Client]]:
    async with serve(settings(**options)) as server, meeting() as held, Client(server.url) as client:
        yield server, held, client


async def joined(held: Meeting, client: Client, **wanted: Any) -> Followed:
    return Followed(client, await client.rooms.join(held.url, held.room, **wanted))


async def test_captions_come_by_the_room_s_data_channel_with_the_speaker_s_name(clip: Samples) -> None:
    async with both() as (server, held, client):
        voice = Voice()
        ann = await held.guest(MARKUP, voice)
        bob = await held.guest("Bob")
        room = await joined(held, client, name="Scribe")
        await bob.subscribe("Scribe (AI Mass)")
        served = await room.until("participant.state", state="served", name=SHOWN_MARKUP)
        voice.say(clip)
        await bob.until(lambda: any('"final":true' in text for _, text in bob.texts))
        captions = [json.loads(text) for _, text in bob.texts]
        assert {(each["type"], each["name"]) for each in captions} == {("caption", SHOWN_MARKUP)}
        whole = [each["text"] for each in captions if each["final"]]
        assert len(whole[0].split()) > 3
        assert (await room.until("caption", final=True))["text"] == whole[0]
        kept = await client.rooms.captions(room.id)
        assert [(each["name"], each["text"]) for each in kept][:1] == [(SHOWN_MARKUP, whole[0])]
        words = server.node.get(served["session_id"]).transcript
        assert len(words)
        assert server.node.get(served["session_id"]).transport == "janus"
        await ann.ask(request="configure", display="Anna")
        await room.until("participant.renamed", name="Anna")
        await until(lambda: server.node.get(served["session_id"]).spec.stages[0].params["speaker"] == "Anna")
        shown = await client.rooms.show(room.id)
        assert shown["captions_sent"] >= len(captions)
        await client.rooms.leave(room.id)
        assert await room.over() == "ended by request"
        await bob.until(lambda: any("leaving" in told for told in bob.told))  # a moment after Janus has said so
        assert set(await bob.others()) == {"Anna"}
        assert server.node.sessions() == []
        with pytest.raises(NotFound):
            await client.rooms.show(room.id)


async def test_what_comes_of_each_is_shown_by_a_publisher_of_its_own(drawn: Camera) -> None:
    async with both() as (server, held, client):
        ann, bob = await held.guest("Ann", drawn, Voice()), await held.guest("Bob")
        room = await joined(held, client, pipeline=MIRROR, publish=["video", "audio"], captions=False)
        await room.until("participant.state", state="served", name="Ann")
        await bob.subscribe("Ann (AI Mass)")
        await bob.until(lambda: bob.pictures > 3 and bob.sounds > 3)
        assert set(await room.show()) == {"Ann", "Bob"}  # our own are nobody
        await ann.ask(request="configure", display="Anna")
        await room.until("participant.renamed", name="Anna", before="Ann")
        await bob.until(lambda: any(told.get("display") == "Anna (AI Mass)" for told in bob.told))
        assert (await room.show())["Anna"]["state"] == "served"
        assert len(server.node.sessions()) == 1
        await ann.leave()
        held.guests.remove(ann)
        await room.until("participant.left", name="Anna")
        await bob.until(lambda: len([told for told in bob.told if "leaving" in told]) >= 2)
        assert set(await bob.others()) == {"AI Mass"}
        await until(lambda: not server.node.sessions())
        await client.rooms.leave(room.id)


async def test_who_mutes_and_comes_back_keeps_their_session(drawn: Camera) -> None:
    async with both() as (server, held, client):
        ann = await held.guest("Ann", Voice())
        room = await joined(held, client, pipeline=[*LEVEL, *MIRROR], captions=False)
        first = await room.until("participant.state", state="served")
        await ann.publish_more(drawn)
        session = server.node.get(first["session_id"])
        await until(lambda: bool(session.shown))
        assert (await room.show())["Ann"]["session_id"] == first["session_id"]
        assert sorted((await room.show())["Ann"]["tracks"]) == ["audio", "video"]
        await ann.ask(request="unpublish")
        await until(lambda: not server.node.sessions())
        assert (await room.show())["Ann"]["state"] == "idle"
        await client.rooms.leave(room.id)


async def test_a_hundred_who_are_idle_and_more_who_speak_than_are_served() -> None:
    async with both() as (server, held, client):
        await asyncio.gather(*(held.guest(f"idle {number}") for number in range(100)))
        for name in ("Ann", "Bob", "Cyd"):
            await held.guest(name, Voice())
        room = await joined(held, client, pipeline=LEVEL, max_participants=2)
        await room.until("participant.state", 2, state="served")
        shown = await room.show()
        assert len(shown) == 103
        assert {each["state"] for name, each in shown.items() if "idle" in name} == {"idle"}
        assert sorted(shown[name]["state"] for name in ("Ann", "Bob", "Cyd")) == ["served", "served", "waiting"]
        gone = next(guest for guest in held.guests[100:] if guest.name == room.of("participant.state")[0]["name"])
        await gone.leave()
        held.guests.remove(gone)
        await room.until("participant.state", 3, state="served")
        assert len(server.node.sessions()) == 2
        await client.rooms.leave(room.id)


async def test_only_those_who_were_named_and_only_while_there_is_room() -> None:
    async with both(max_sessions=1) as (_, held, client):
        for name in ("Ann", "Bob", "Cyd"):
            await held.guest(name, Voice())
        room = await joined(held, client, pipeline=LEVEL, participants=["Ann", "Cyd"])
        served = await room.until("participant.state", state="served")
        await room.until("participant.state", state="waiting", detail="all 1 sessions are taken")
        shown = await room.show()
        assert shown["Bob"]["state"] == "idle"
        assert {shown["Ann"]["state"], shown["Cyd"]["state"]} == {"served", "waiting"}
        await client.delete(served["session_id"])
        ended = await room.until("participant.state", state="ended")
        assert "ended by request" in ended["detail"]
        await client.rooms.leave(room.id)


async def test_what_is_shown_and_was_shown_out_is_not_shown_again(drawn: Camera) -> None:
    async with both() as (server, held, client):
        ann = await held.guest("Ann", drawn)
        room = await joined(held, client, pipeline=MIRROR, publish=["video"], captions=False)
        await room.until("participant.state", state="served")
        await ann.ask(request="kick", secret=SECRET, id=(await ann.others())["Ann (AI Mass)"]["id"])
        assert "shown out" in (await room.until("participant.state", state="ended"))["detail"]
        assert set(await ann.others()) == {"AI Mass"}
        assert server.node.sessions() == []
        await client.rooms.leave(room.id)


async def test_a_data_channel_that_is_cut_is_opened_again() -> None:
    async with both() as (server, held, client):
        bob = await held.guest("Bob")
        room = await joined(held, client, name="Scribe")
        await bob.subscribe("Scribe (AI Mass)")
        stay = server.state.rooms.get(room.id, Caller("anyone"))._stay
        before = stay._texts
        await until(lambda: before._connection.connectionState == "connected")
        await before._connection.close()
        await until(lambda: stay._texts is not before and stay._texts._connection.connectionState == "connected")
        bob.told.clear()
        carl = await held.guest("Carl")
        await carl.subscribe("Scribe (AI Mass)")
        await until(lambda: stay.say("still here") and carl.texts)
        assert {text for _, text in carl.texts} == {"still here"}
        await client.rooms.leave(room.id)


async def test_shown_out_and_closed(drawn: Camera) -> None:
    async with both() as (server, held, client):
        ann = await held.guest("Ann", drawn)
        room = await joined(held, client, pipeline=MIRROR, publish=["video"])
        await room.until("participant.state", state="served")
        await ann.ask(request="kick", secret=SECRET, id=(await ann.others())["AI Mass"]["id"])
        assert await room.over() == "we were shown out of the room"
        await ann.alone()
        assert server.node.sessions() == []
        assert (await client.rooms.find())[0]["state"] == "ended"
        room = await joined(held, client, pipeline=MIRROR)
        await room.until("participant.state", state="served")
        await ann.ask(request="destroy", secret=SECRET)
        assert await room.over() == "the room was closed"
        assert server.node.sessions() == []
        held.guests.clear()
        await ann.leave()


async def test_janus_dies_and_comes_back() -> None:
    running = await asyncio.to_thread(Running)
    try:
        async with serve(settings()) as server, Client(server.url) as client:
            async with meeting(running) as held:
                ann = await held.guest("Ann", Voice())
                room = await joined(held, client, pipeline=LEVEL, publish=["audio"])
                await room.until("participant.state", state="served")
                await asyncio.to_thread(running.kill)
                cut = await room.until("room.waiting")
                assert "cut" in cut["reason"]
                assert server.node.sessions() == []
                held.guests.clear()
                await ann.leave()
            await asyncio.to_thread(running.start)
            ours = server.state.rooms.get(room.id, Caller("anyone"))
            await until(lambda: "No such room" in ours.reason)
            async with meeting(running, room=held.room) as again:
                await room.until("room.joined", 2)
                await again.guest("Ann", Voice())
                await room.until("participant.state", 2, state="served")
                await client.rooms.leave(room.id)
                await again.guests[0].alone()
    finally:
        await asyncio.to_thread(running.close)


async def test_a_janus_that_hangs_is_left_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signalling, "FAREWELL_SECONDS", 0.1)
    running = await asyncio.to_thread(Running)
    try:
        async with serve(settings()) as server, meeting(running) as held, Client(server.url) as client:
            ann = await held.guest("Ann", Voice())
            room = await joined(held, client, pipeline=LEVEL, publish=["audio"])
            await room.until("participant.state", state="served")
            running.freeze()
            begun = now()
            await client.rooms.leave(room.id)
            assert now() - begun < signalling.ANSWER_SECONDS  # nobody waited for an answer
            assert await room.over() == "ended by request"
            assert server.node.sessions() == []
            await asyncio.to_thread(running.kill)
            held.guests.clear()
            await ann.leave()
    finally:
        await asyncio.to_thread(running.close)


async def test_a_room_that_can_not_be_left_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms_room, "CLOSE_SECONDS", 0.1)
    async with both() as (server, held, client):
        room = await joined(held, client, pipeline=LEVEL)
        stay = server.state.rooms.get(room.id, Caller("anyone"))._stay
        leave = stay.leave
        monkeypatch.setattr(stay, "leave", asyncio.Event().wait)
        await client.rooms.leave(room.id)
        assert await room.over() == "ended by request"
        await leave()


async def test_who_can_not_be_shown_is_heard_all_the_same_and_shown_later() -> None:
    async with both() as (_, held, client):
        ann = await held.guest("Ann", Voice())
        await ann.ask(request="edit", secret=SECRET, new_publishers=1)
        room = await joined(held, client, pipeline=LEVEL, publish=["audio"], captions=False)
        served = await room.until("participant.state", state="served")
        assert "not shown: Janus refused: Maximum number of publishers" in served["detail"]
        await ann.ask(request="edit", secret=SECRET, new_publishers=5)
        assert (await room.until("participant.state", state="served", detail=""))["session_id"] == served["session_id"]
        assert "Ann (AI Mass)" in await ann.others()
        assert [each["state"] for each in room.of("participant.state")] == ["served", "served"]
        await client.rooms.leave(room.id)


async def test_what_we_show_is_kicked_and_the_room_destroyed() -> None:
    async with serve(settings()) as server, Client(server.url) as client:
        for _ in range(3):
            async with meeting() as held:
                await held.guest("Ann", Voice())
                room = await joined(held, client, pipeline=LEVEL, publish=["audio"])
                await room.until("participant.state", state="served", detail="")
                bob = await held.guest("Bob")
                await bob.subscribe("Ann (AI Mass)")
                await bob.ask(request="kick", secret=SECRET, id=(await bob.others())["Ann (AI Mass)"]["id"])
                await room.until("participant.state", state="ended")
                await bob.ask(request="destroy", secret=SECRET)
                assert await room.over() == "the room was closed"
                assert {each["name"] for each in room.of("participant.left")} == {"Ann", "Bob"}
                assert await room.show() == {}
                await client.rooms.leave(room.id)
        assert server.node.sessions() == []


async def test_words_that_were_being_said_end_with_the_session() -> None:
    said: list[dict[str, Any]] = []
    captions = Captions(said.append)
    for text in ("good", "morning"):
        captions.event(Event("transcript.committed", 1, None, "audio-0", {
            "utterance": "u1", "text": text, "language": "en", "final": False}))
    await captions.close("the room was cut")
    await captions.close("again")
    assert [(each["text"], each["final"]) for each in said] == [
        ("good", False), ("good morning", False), ("good morning", True)]


async def test_what_can_not_be_joined() -> None:
    async with serve(settings(max_rooms=1)) as server, meeting(pin="1111") as held, Client(server.url) as client:
        refusals: tuple[tuple[type[AimassError], dict[str, Any]], ...] = (
            (NotFound, {"room": 99, "pin": "1111"}), (Forbidden, {"pin": "2222"}), (InvalidInput, {}),
            (InvalidInput, {"url": "http://127.0.0.1"}), (InvalidPipeline, {"pipeline": [{"stage": "nothing"}]}),
            (InvalidInput, {"pipeline": []}), (InvalidInput, {"publish": ["smell"]}), (InvalidInput, {"kind": "zoom"}))
        for kind, wanted in refusals:
            given: dict[str, Any] = {"url": held.url, "room": held.room} | wanted
            with pytest.raises(kind):
                await client.rooms.join(**given)
        for room_number, field in ((held.room, "pin"), (99, "room")):
            with pytest.raises(AimassError) as refused:
                await client.rooms.join(held.url, room_number)
            assert refused.value.field == field
        ann = await held.guest("Ann", pin="1111")
        await ann.alone()
        assert await client.rooms.find() == []
        room = await joined(held, client, pin="1111")
        with pytest.raises(Busy):
            await joined(held, client, pin="1111", name="Scribe")
        server.node.draining = True
        await client.rooms.leave(room.id)
        with pytest.raises(AimassError, match="stopping"):
            await joined(held, client, pin="1111")
        server.node.draining = False


async def test_a_room_that_nobody_follows_any_more_is_left_where_that_was_asked_for(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms_room, "LOOK_SECONDS", 0.1)
    async with both() as (server, held, client):
        ann = await held.guest("Ann")
        stays = await client.rooms.join(held.url, held.room, name="Stays", pipeline=LEVEL)
        room = await joined(held, client, pipeline=LEVEL, leave_after=1)
        await room.until("participant.joined", name="Ann")
        assert (await client.rooms.show(room.id))["leave_after"] == 1
        await room.vanish()
        await until(lambda: server.state.rooms.get(room.id, Caller("anyone")).state == "ended")
        assert (await client.rooms.show(room.id))["reason"] == "nobody has followed it for 1 s"
        await ann.until(lambda: any("leaving" in told for told in ann.told))
        assert set(await ann.others()) == {"Stays (AI Mass)"}
        assert (await client.rooms.show(stays["id"]))["leave_after"] is None
        await client.rooms.leave(stays["id"])


async def test_the_same_room_is_joined_once_under_a_name() -> None:
    async with both() as (_, held, client):
        ann = await held.guest("Ann")
        answers = await asyncio.gather(
            *(client.rooms.join(f"{held.url}{more}", held.room, pipeline=LEVEL) for more in ("", "/", "")),
            return_exceptions=True)
        (first,) = [each for each in answers if isinstance(each, dict)]
        refusals = [each for each in answers if isinstance(each, Conflict)]
        assert len(refusals) == 2
        for refused in refusals:
            assert (refused.data["room_id"], refused.field) == (first["id"], "name")
            assert f"aimass rooms leave {first['id']}" in refused.detail
        assert list(await ann.others()) == ["AI Mass"]
        scribe = await client.rooms.join(held.url, held.room, pipeline=LEVEL, name="Scribe")
        with pytest.raises(Conflict):
            await client.rooms.join(held.url, held.room, name="Scribe (AI Mass)")
        await client.rooms.leave(scribe["id"])
        await client.rooms.leave((await client.rooms.join(held.url, held.room, name="Scribe"))["id"])
        await client.rooms.leave(first["id"])


async def test_a_server_that_stops_leaves() -> None:
    async with meeting() as held:
        ann = await held.guest("Ann", Voice())
        async with serve(settings()) as server, Client(server.url) as client:
            room = await joined(held, client, pipeline=LEVEL)
            await room.until("participant.state", state="served")
            assert len(await ann.others()) == 1
            await server.state.rooms.close()
            assert await room.over() == "the server stopped"
            await ann.alone()
