"""Sound and pictures through `/v1/stream`, and everything that is no sound and no picture."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
import pytest

from aimass_stream import clips
from aimass_stream.codecs import Limits, audio_decoder, audio_encoder, video_decoder, video_encoder
from aimass_stream.frames import AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Picture, VideoFrame
from tests.support.options import settings
from tests.support.server import serve
from tests.support.sockets import H264, HELLO, JPEG, OPUS, PCM, VP8, Socket, joined, jpeg
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


def drawn(number: int, width: int = 320, height: int = 240) -> VideoFrame:
    return VideoFrame(pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0",
                      picture=Picture.from_bgr(clips.draw(number, width, height)))


async def test_samples_come_back_as_they_went() -> None:
    async with serve() as server, joined(server.ws_url) as socket:
        samples = clips.tone(0.02, rate=16_000)
        await socket.send(PCM, 0, 1600, samples.astype("<i2").tobytes())
        piece = await socket.piece(0)
        assert (piece.codec, piece.pts, piece.gap) == (PCM, 1600, False)
        assert piece.payload == samples.astype("<i2").tobytes()


async def test_pictures_come_back_through_the_pipeline() -> None:
    async with serve() as server, joined(server.ws_url, HELLO | {"pipeline": [{"stage": "mirror"}]}) as socket:
        for number in range(5):
            await socket.picture(number, 320, 240)
            piece = await socket.piece(1)
            assert (piece.codec, piece.keyframe, piece.pts, piece.number) == (JPEG, True, number * 3000, number)
        picture = cv2.imdecode(np.frombuffer(socket.pieces[-1].payload, np.uint8), cv2.IMREAD_COLOR)
        difference = np.abs(np.asarray(picture, np.int16) - clips.draw(4, 320, 240)[:, ::-1])
        assert difference.mean() < 4


@pytest.mark.parametrize(("codec", "number"), [("vp8", VP8), ("h264", H264)])
async def test_video_codecs_each_way(codec: str, number: int) -> None:
    encoder, decoder = video_encoder(codec, 1_000_000), video_decoder(codec, Limits())
    async with serve() as server, joined(server.ws_url, {"type": "hello", "in": {"video": {"codec": codec}}}) as socket:
        for index in range(12):
            encoded = encoder.encode(drawn(index))
            assert encoded is not None
            await socket.send(number, 1, encoded.pts, encoded.data, flags=int(encoded.keyframe))
            piece = await socket.piece(1)
            assert (piece.codec, piece.pts, piece.keyframe) == (number, index * 3000, index == 0)
            (picture,) = decoder.decode(piece.payload)
            assert clips.read_number(picture.bgr) == index
        await socket.say({"type": "keyframe.request", "track": "video-0"})
        await socket.say({"type": "session.update", "id": "after the request"})
        await socket.event("session.updated")
        encoded = encoder.encode(drawn(12))
        assert encoded is not None
        await socket.send(number, 1, encoded.pts, encoded.data)
        assert (await socket.piece(1)).keyframe


async def test_formats_differ_each_way() -> None:
    hello = HELLO | {"out": {"audio": {"codec": "opus", "channels": 2}, "video": {"codec": "h264"}}}
    async with serve() as server, joined(server.ws_url, hello) as socket:
        tone = clips.tone(1, rate=16_000)
        for start in range(0, 16_000, 320):
            await socket.send(PCM, 0, start, tone[start : start + 320].astype("<i2").tobytes())
        await socket.picture(7)
        video = await socket.piece(1)
        while len([piece for piece in socket.pieces if piece.track == 0]) < 45:
            await socket.piece(0)
    decoder = audio_decoder("opus", 2)
    sound = [piece for piece in socket.pieces if piece.track == 0]
    assert {piece.codec for piece in sound} == {OPUS}
    assert [piece.pts for piece in sound] == list(range(sound[0].pts, sound[0].pts + 960 * len(sound), 960))
    level = np.abs(np.concatenate([decoder.decode(piece.payload) for piece in sound])[9600:]).mean()
    assert level == pytest.approx(np.abs(tone).mean(), rel=0.1)
    (picture,) = video_decoder("h264", Limits()).decode(video.payload)
    assert clips.read_number(picture.bgr) == 7


async def test_opus_to_samples_of_another_rate() -> None:
    hello = {"type": "hello", "in": {"audio": {"codec": "opus"}},
             "out": {"audio": {"codec": "pcm_s16le", "rate": 8_000, "channels": 2}}}
    encoder, tone = audio_encoder("opus", 64_000), clips.tone(0.5)
    async with serve() as server, joined(server.ws_url, hello) as socket:
        for start in range(0, 24_000, 960):
            frame = AudioFrame(pts=start, time_base=AUDIO_TIME_BASE, track="a", samples=tone[start : start + 960])
            for packet in encoder.encode(frame):
                await socket.send(OPUS, 0, packet.pts, packet.data)
        got = 0
        while got < 3600:
            got += len((await socket.piece(0)).payload) // 4
        assert np.abs(np.frombuffer(socket.pieces[-1].payload, "<i2")).mean() > 1000


async def test_a_change_and_a_wrong_change_by_message() -> None:
    async with serve() as server, joined(server.ws_url) as socket:
        await socket.say({"type": "session.update", "id": "a", "pipeline": [{"stage": "delay", "ms": 10}]})
        updated = await socket.event("session.updated")
        assert updated["data"] == {"pipeline": [{"stage": "delay", "ms": 10}], "sync": "lowest", "latency_ms": None,
                                   "request_id": "a"}
        await socket.say({"type": "stage.update", "id": "b", "index": 0, "params": {"ms": "soon"}})
        refused = await socket.event("error")
        assert (refused["data"]["field"], refused["data"]["request_id"]) == ("pipeline[0].ms", "b")


async def test_words_go_through_and_come_back() -> None:
    async with serve() as server, joined(server.ws_url) as socket:
        await socket.say({"type": "text", "text": "hello there", "pts": 1.5})
        while not (said := [text for text in socket.texts if text["type"] == "text"]):
            await socket.receive()
        assert said == [{"type": "text", "text": "hello there", "track": "text-0", "pts": 1.5, "final": True}]


async def test_a_flood_of_words_is_counted_and_ends_nothing() -> None:
    hello = HELLO | {"pipeline": [{"stage": "delay", "ms": 5000, "mode": "busy"}]}
    async with serve() as server, joined(server.ws_url, hello) as socket:
        for number in range(4200):
            await socket.say(f'{{"type":"text","text":"word {number}"}}')
        refused = await socket.event("media.refused", reason="overload")
        assert refused["track"] == "text-0"
        await socket.say({"type": "text", "text": "x", "track": "text-7"})
        assert (await socket.event("error"))["data"]["field"] == "track"
        await socket.say({"type": "session.update", "pipeline": []})
        await socket.event("session.updated")


async def test_a_broken_picture_asks_for_a_key_frame() -> None:
    encoder = video_encoder("vp8", 500_000)
    async with serve() as server, joined(server.ws_url, {"type": "hello", "in": {"video": {"codec": "vp8"}}}) as socket:
        frames = [encoder.encode(drawn(index), keyframe=index == 2) for index in range(3)]
        assert frames[1] is not None
        await socket.send(VP8, 1, 3000, frames[1].data)  # without the key frame it builds on
        refused = await socket.event("media.refused", reason="no_keyframe")
        assert refused["track"] == "video-0"
        if not any(text["type"] == "keyframe.request" for text in socket.texts):
            while (await anything(socket))["type"] != "keyframe.request":
                pass
        assert frames[2] is not None
        await socket.send(VP8, 1, 6000, frames[2].data)
        assert (await socket.piece(1)).pts == 6000


async def anything(socket: Socket) -> dict[str, Any]:
    message = await socket.receive()
    return message if isinstance(message, dict) else {"type": "media"}


def vp8_header(width: int, height: int) -> bytes:
    return b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(112_000)


def h264_of(width: int, height: int) -> bytes:
    encoded = video_encoder("h264", 1_000_000).encode(drawn(0, width, height))
    assert encoded is not None
    return encoded.data


def huge_jpeg() -> bytes:
    """8192x8192 in a few KB: the size stands in the header alone."""
    done, data = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))
    assert done
    small = bytearray(data.tobytes())
    at = small.index(b"\xff\xc0")
    small[at + 5 : at + 9] = struct.pack("!HH", 8192, 8192)
    return bytes(small)


BAD: list[tuple[str, bytes, str]] = [
    ("bytes too short", b"\x01", "unreadable"),
    ("text where bytes belong", b'{"type":"session.update"}', "unreadable"),
    ("no such codec", struct.pack("!BBBxq", 99, 0, 0, 0) + b"x", "unreadable"),
    ("zero-length sound", struct.pack("!BBBxq", PCM, 0, 0, 0), "unreadable"),
    ("pts out of range", struct.pack("!BBBxq", PCM, 0, 0, 2**60) + b"xx", "unreadable"),
    ("half a sample", struct.pack("!BBBxq", PCM, 0, 0, 0) + b"xxx", "garbage"),
    ("two seconds of sound", struct.pack("!BBBxq", PCM, 0, 0, 0) + bytes(64_000), "too_long"),
    ("a track that was not named", struct.pack("!BBBxq", JPEG, 0, 7, 0) + b"x", "unexpected"),
    ("a codec that was not named", struct.pack("!BBBxq", VP8, 0, 1, 0) + b"x", "unexpected"),
    ("sound on the video track", struct.pack("!BBBxq", PCM, 0, 1, 0) + b"xx", "unexpected"),
    ("no JPEG", struct.pack("!BBBxq", JPEG, 0, 1, 0) + b"\x89PNG" + bytes(40), "garbage"),
    ("a JPEG cut short", struct.pack("!BBBxq", JPEG, 0, 1, 0) + b"\xff\xd8\xff\xe0\x00\x10", "garbage"),
    ("a JPEG of 8192x8192", struct.pack("!BBBxq", JPEG, 0, 1, 0) + huge_jpeg(), "picture_size"),
]


async def test_what_is_no_media_is_counted_and_told_and_hurts_nobody() -> None:
    async with serve() as server, joined(server.ws_url) as socket, joined(server.ws_url) as neighbour:
        for name, message, reason in BAD:
            async with joined(server.ws_url) as hostile:
                await hostile.say(message)
                refused = await hostile.event("media.refused")
                assert refused["data"]["reason"] == reason, name
                assert refused["data"]["detail"], name
                await hostile.picture(1)
                assert (await hostile.piece(1)).number == 1, f"after {name}"
                drops = server.node.get(hostile.hello["session_id"]).meter.drops
                assert [key for key in drops if key.endswith(f"/{reason}")], name
        for client in (socket, neighbour):
            await client.picture(9)
            assert (await client.piece(1)).number == 9


@pytest.mark.parametrize("text", ["{", "null", '{"type":3}', '{"type":"no such thing"}', '{"type":"ack"}',
                                  '{"type":"ack","received":1000000}', '{"type":"ack","received":-1}',
                                  '{"type":"stage.update","index":0,"params":{}}', "\x01\x00\x00\x00 bytes as text",
                                  '{"type":"text","text":7}', '{"type":"session.update","sync":"\\ud800"}'])
async def test_text_that_is_no_message_is_an_error_event(text: str) -> None:
    async with serve() as server, joined(server.ws_url) as socket:
        await socket.say(text)
        error = await socket.event("error")
        assert error["data"]["status"] in (400, 422)
        assert error["data"]["detail"]
        await socket.sound(0)
        assert (await socket.piece(0)).pts == 0


@pytest.mark.parametrize(("codec", "number", "data"), [("vp8", VP8, vp8_header(8192, 8192)),
                                                       ("h264", H264, h264_of(1936, 64))])
async def test_a_picture_too_large_never_reaches_a_decoder(codec: str, number: int, data: bytes) -> None:
    async with serve() as server, joined(server.ws_url, {"type": "hello", "in": {"video": {"codec": codec}}}) as socket:
        await socket.send(number, 1, 0, data, flags=1)
        refused = await socket.event("media.refused", reason="picture_size")
        assert "1920x1920" in refused["data"]["detail"]
        small = video_encoder(codec, 500_000).encode(drawn(3))
        assert small is not None
        await socket.send(number, 1, 3000, small.data)
        assert (await socket.piece(1)).pts == 3000


async def test_a_new_resolution_with_every_picture() -> None:
    hello = HELLO | {"out": {"video": {"codec": "vp8"}}}
    decoder = video_decoder("vp8", Limits())
    async with serve() as server, joined(server.ws_url, hello) as socket:
        for number in range(12):
            width, height = 160 + 32 * number, 120 + 16 * (number % 5)
            await socket.picture(number, width, height)
            piece = await socket.piece(1)
            (picture,) = decoder.decode(piece.payload)
            assert (picture.width, picture.height) == (width, height)
            assert clips.read_number(picture.bgr) == number
            assert piece.keyframe


async def test_pts_that_run_backwards_or_leap() -> None:
    async with serve() as server, joined(server.ws_url) as socket:
        session = server.node.get(socket.hello["session_id"])
        for pts in (0, 3000, 6000):
            await socket.picture(1, pts=pts)
            assert (await socket.piece(1)).pts == pts
        await socket.picture(1, pts=3000)
        await until(lambda: session.meter.drops.get("video-0/late") == 1)
        for pts in (9000, 900_000_000, 900_003_000, 12_000, -(2**52), 2**52):
            await socket.picture(1, pts=pts)
            await socket.piece(1)
        times = [piece.pts for piece in socket.pieces]
        assert times[3] == 9000  # sane ones are untouched
        assert times == sorted(times)  # leaps start a new timeline, which is carried on
        assert times[-1] < 60 * 90_000


async def test_more_pictures_than_allowed_are_dropped() -> None:
    async with serve(settings(max_fps=10)) as server, joined(server.ws_url) as socket:
        data = jpeg(1)
        for number in range(40):
            await socket.send(JPEG, 1, number * 3000, data)
        await socket.event("media.refused", reason="frame_rate")
        await socket.say({"type": "session.update"})
        await socket.event("session.updated")
        drops = server.node.get(socket.hello["session_id"]).meter.drops
        assert 25 <= drops["video-0/frame_rate"] <= 32  # the first 8 are a burst
