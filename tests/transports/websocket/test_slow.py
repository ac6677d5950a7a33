"""Clients that read slowly, late or never: each costs only itself."""

from __future__ import annotations

import asyncio
import json
import socket as sockets

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from aimass_stream import clips, events
from aimass_stream.codecs import Limits, video_decoder
from aimass_stream.frames import now
from tests.support.server import Running, serve
from tests.support.sockets import HELLO, Piece, Socket, joined, jpeg
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

PICTURES = [jpeg(number, 320, 240) for number in range(60)]


async def play(socket: Socket, seconds: float) -> None:
    """Sound and pictures in real time, without listening."""
    begun = now()
    for number in range(round(seconds * 30)):
        await asyncio.sleep(max(0.0, begun + number / 30 - now()))
        await socket.send(16, 1, number * 3000, PICTURES[number % 60])
        if number % 3 == 0:
            await socket.sound(number // 3 * 1600, samples=1600)


async def echo_times(server: Running, until_done: asyncio.Task[None]) -> list[float]:
    """Seconds from picture to picture of a neighbour, for as long as the task runs."""
    times: list[float] = []
    async with joined(server.ws_url) as neighbour:
        while not until_done.done():
            sent = now()
            await neighbour.send(16, 1, len(times) * 3000, PICTURES[len(times) % 60])
            assert (await neighbour.piece(1)).pts == len(times) * 3000
            times.append(now() - sent)
            await asyncio.sleep(0.02)
    return times


async def everything(socket: Socket) -> None:
    """Read until the connection is closed."""
    try:
        while True:
            await socket.receive()
    except ConnectionClosed:
        return


async def test_one_that_never_reads_is_bounded_told_and_at_last_closed() -> None:
    async with serve() as server, joined(server.ws_url, acknowledge=False, max_queue=4) as dead:
        session = server.node.get(dead.hello["session_id"])
        playing = asyncio.create_task(play(dead, 3))
        times = sorted(await echo_times(server, playing))
        await playing
        assert times[len(times) // 2] < 0.1
        stats = session.stats()
        assert stats.transport["unacknowledged_bytes"] < 600_000
        assert stats.drops["video-0/slow_client"] > 20
        assert stats.drops["audio-0/slow_client"] >= 1
        names = [event.type for event in session.events_after(0)]
        assert {"media.dropped", "bitrate.changed"} <= set(names)
        dropped = sum(event.data["frames"] for event in session.events_after(0) if event.type == "media.dropped")
        assert dropped > 20
        for _ in range(1600):
            session.event(events.AudioLevel(rms=-20, peak=-10))
        await until(lambda: session.state == "waiting")
        await everything(dead)
        assert dead.websocket.close_code == 1013
        assert len(dead.texts) < 1000
        seen = dead.seqs[-1]
        back = HELLO | {"resume": {"session_id": session.id, "token": session.resume_token, "last_seq": seen}}
        async with joined(server.ws_url, back) as alive:
            while not alive.seqs or alive.seqs[-1] < 1600:
                await alive.receive()
            assert alive.seqs == list(range(seen + 1, alive.seqs[-1] + 1))


async def test_a_socket_that_takes_nothing_is_cut_when_its_session_ends() -> None:
    async with serve() as server:
        stuck = sockets.socket()
        stuck.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", server.server.bound_port))
        stuck.setblocking(False)
        async with connect(server.ws_url + "/v1/stream", sock=stuck, proxy=None, compression=None, max_queue=1,
                           close_timeout=0.1) as websocket:
            socket = Socket(websocket, acknowledge=False)
            await socket.say(HELLO)
            answer = await socket.receive()
            assert isinstance(answer, dict)
            session = server.node.get(answer["session_id"])
            large = {"stage": {"text": "x" * 20_000}}
            for _ in range(400):  # 8 MB: more than the kernel holds
                session.event(events.FrameResult(notes=large))
            await asyncio.sleep(0.2)
            await session.close("the test is over")
            connections = server.server.server_state.connections
            await until(lambda: not connections)


async def test_a_slow_reader_gets_what_it_can_take_and_late_by_less_than_a_second() -> None:
    hello = HELLO | {"out": {"video": {"codec": "vp8"}, "audio": {"codec": "pcm_s16le", "rate": 16_000}}}
    async with serve() as server, joined(server.ws_url, hello, acknowledge=False) as slow:
        session = server.node.get(slow.hello["session_id"])
        began = now()
        playing = asyncio.create_task(play(slow, 4))
        decoder, lates, taken, shown = video_decoder("vp8", Limits()), [], 0.0, []
        while not playing.done():
            message = await slow.receive()
            size = len(message.payload) if isinstance(message, Piece) else len(json.dumps(message))
            taken = max(taken, now() - began) + size / 60_000  # a line of 480 kbit/s; sound alone is 256
            await asyncio.sleep(max(0.0, began + taken - now()))
            await slow.say({"type": "ack", "received": slow.received})
            if isinstance(message, Piece) and message.track == 1:
                lates.append(now() - began - message.pts / 90_000)
                shown += [clips.read_number(picture.bgr) for picture in decoder.decode(message.payload)]
        await playing
        assert max(lates) < 1.0
        assert len(shown) > 12  # of 120, and every one could be decoded
        assert None not in shown
        assert session.meter.drops["video-0/slow_client"] > 0
        assert session.stats().transport["video_bitrate"] < 600_000
        sound = [piece for piece in slow.pieces if piece.track == 0]
        assert not any(piece.gap for piece in sound)  # pictures gave way, sound did not
        assert [piece.pts for piece in sound] == [index * 1600 for index in range(len(sound))]
        assert len(sound) >= 32


async def test_sound_that_had_to_be_skipped_leaves_a_marked_gap() -> None:
    async with serve() as server, joined(server.ws_url, acknowledge=False) as late:
        session = server.node.get(late.hello["session_id"])
        for index in range(40):
            await late.sound(index * 1600, samples=1600)  # 0.1 s each
            await asyncio.sleep(0.08)
        skipped = session.meter.drops["audio-0/slow_client"]
        assert 5 < skipped < 28
        late.acknowledge = True
        while not late.pieces or late.pieces[-1].pts < 39 * 1600:
            await late.piece(0)
        marked = [index for index, piece in enumerate(late.pieces) if piece.gap]
        assert len(marked) == 1
        before, after = late.pieces[marked[0] - 1], late.pieces[marked[0]]
        assert after.pts - before.pts == (skipped + 1) * 1600
