"""The websocket messages: what is written can be read again, what can't be read is refused in one way."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass_stream import wire
from aimass_stream.errors import InvalidMessage

PAGE = Path(__file__).parent.parent / "docs" / "api" / "websocket.md"

media = st.builds(
    wire.Media,
    codec=st.sampled_from(list(wire.Codec)),
    track=st.integers(0, 255),
    pts=st.integers(-wire.MAX_PTS, wire.MAX_PTS),
    payload=st.binary(min_size=1, max_size=64),
    keyframe=st.booleans(),
    gap=st.booleans(),
    rotation=st.sampled_from([0, 90, 180, 270]),
)
audio = st.one_of(
    st.builds(wire.AudioFormat, codec=st.just("pcm_s16le"), rate=st.integers(4_000, 192_000),
              channels=st.integers(1, 2), bitrate=st.none()),
    st.builds(wire.AudioFormat, codec=st.just("opus"), channels=st.integers(1, 2), bitrate=st.none() | st.just(24_000)),
)
video = st.builds(wire.VideoFormat, codec=st.sampled_from(["jpeg", "vp8", "h264"]), bitrate=st.none() | st.just(10**6))
formats = st.builds(wire.Formats, audio=st.none() | audio, video=st.none() | video)
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
                           lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
                           max_leaves=10)
messages = st.one_of(
    st.builds(wire.Hello, formats_in=formats, out=st.none() | formats, token=st.none() | words,
              sync=st.sampled_from([None, "lips"]), pipeline=st.none() | st.just([{"stage": "mirror"}])),
    st.builds(wire.Hello, resume=st.builds(wire.Resume, session_id=words, token=words, last_seq=st.integers(0, 9))),
    st.builds(wire.Welcome, session_id=words, resume_token=words, formats_in=formats, out=formats,
              missed_events=st.integers(0, 9), resume_seconds=st.just(30.0)),
    st.builds(wire.Track, number=st.integers(0, 255), track=words, kind=st.sampled_from(["audio", "video"])),
    st.builds(wire.Ack, received=st.integers(0, wire.MAX_PTS)),
    st.builds(wire.KeyframeRequest, track=st.none() | words),
    st.builds(wire.Text, text=words, pts=st.none() | st.floats(allow_nan=False, allow_infinity=False)),
)


@given(media)
def test_media_comes_back_as_it_was(message: wire.Media) -> None:
    assert wire.Media.decode(message.encode()) == message


@given(messages)
def test_text_messages_come_back_as_they_were(message: wire.Message) -> None:
    assert type(message).decode(wire.load(message.encode())) == message


@given(st.binary(max_size=200) | st.builds(lambda head, rest: bytes([head]) + rest, st.sampled_from([1, 2, 16, 17, 18]),
                                           st.binary(min_size=11, max_size=60)))
@settings(max_examples=300, deadline=None)
def test_garbage_bytes_are_refused_in_one_way(data: bytes) -> None:
    with contextlib.suppress(InvalidMessage):
        assert wire.Media.decode(data).encode() == data


@given(st.text(max_size=200))
def test_garbage_text_is_refused_in_one_way(text: str) -> None:
    with contextlib.suppress(InvalidMessage):
        assert isinstance(wire.load(text)["type"], str)


@given(st.dictionaries(st.sampled_from(["type", "version", "in", "out", "pipeline", "resume", "received", "token",
                                        "text", "pts", "number", "track", "kind", "last_seq"]), json_values),
       st.sampled_from([wire.Hello, wire.Welcome, wire.Ack, wire.KeyframeRequest, wire.Text, wire.Track]))
@settings(max_examples=150, deadline=None)
def test_objects_of_the_wrong_shape_are_refused_in_one_way(value: dict[str, Any], kind: type[wire.Message]) -> None:
    with contextlib.suppress(InvalidMessage):
        message = kind.decode(value)
        assert kind.decode(wire.load(message.encode())) == message


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"hello"', "{}", '{"type":3}', '{"type":"a","x":NaN}',
                                  '{"type":"a","x":-Infinity}', "[" * 100_000, '{"type":"\\ud800"}',
                                  '{"type":"a","x":' + "9" * 5000 + "}", '{"type":"a"}' + " " * wire.MAX_TEXT])
def test_text_that_is_no_message(text: str) -> None:
    with pytest.raises(InvalidMessage):
        wire.load(text)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", None),
        (b"{}", None),
        (b'{"type":"hello"}', "codec"),
        (bytes([99]) + bytes(11) + b"x", "codec"),
        (bytes([17, 0x10]) + bytes(10) + b"x", "flags"),
        (bytes([17, 0, 0, 1]) + bytes(8) + b"x", "flags"),
        (bytes([17, 0, 1, 0, 0x7F]) + bytes(7) + b"x", "pts"),
        (bytes([1]) + bytes(11), "payload"),
    ],
)
def test_bytes_that_are_no_media_name_what_is_wrong(data: bytes, field: str | None) -> None:
    with pytest.raises(InvalidMessage) as refused:
        wire.Media.decode(data)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("hello", "field"),
    [
        ({"type": "hello", "version": 2}, "version"),
        ({"type": "hello", "in": {"video": {"codec": "av1"}}}, "in.video.codec"),
        ({"type": "hello", "in": {"audio": {"codec": "opus", "rate": 16000}}}, "in.audio"),
        ({"type": "hello", "in": {"audio": {"rate": 1}}}, "in.audio.rate"),
        ({"type": "hello", "in": {"audio": {"rate": float("inf")}}}, "in.audio.rate"),
        ({"type": "hello", "in": {"smell": {}}}, "in.smell"),
        ({"type": "hello", "pipeline": "mirror"}, "pipeline"),
        ({"type": "hello", "resume": {"session_id": "s_1", "token": "t"}, "pipeline": []}, None),
    ],
)
def test_a_wrong_hello_names_the_field(hello: dict[str, Any], field: str | None) -> None:
    with pytest.raises(InvalidMessage) as refused:
        wire.Hello.decode(hello)
    assert refused.value.field == field


def test_what_comes_out_is_what_went_in_unless_said() -> None:
    hello = wire.Hello.decode({"type": "hello", "in": {"video": {"codec": "vp8"}}})
    assert hello.answered.video == wire.VideoFormat(codec="vp8")
    quiet = wire.Hello.decode({"type": "hello", "in": {"video": {"codec": "vp8"}}, "out": {}})
    assert quiet.answered == wire.Formats()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_a_key_travels_as_a_subprotocol(key: str) -> None:
    protocol = wire.key_protocol(key)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", protocol)  # a token of RFC 9110 §5.6.2
    assert wire.key_of([wire.PROTOCOL, protocol]) == key


def test_a_key_that_can_not_be_read() -> None:
    assert wire.key_of([wire.PROTOCOL]) is None
    for broken in ("aimass.key.***", "aimass.key.A", "aimass.key._w"):
        with pytest.raises(InvalidMessage):
            wire.key_of([broken])


def test_the_byte_example_of_the_documentation() -> None:
    page = PAGE.read_text()
    rows = re.findall(r"^\| `([0-9a-f ]+)` \|", page, re.MULTILINE)
    example = bytes.fromhex("".join(rows))
    message = wire.Media(wire.Codec.PCM_S16LE, wire.AUDIO_TRACK, 1600, b"\x00\x00\xe8\x03\x18\xfc", gap=True)
    assert message.encode() == example
    assert wire.Media.decode(example) == message
    samples = [int.from_bytes(example[at : at + 2], "little", signed=True) for at in range(wire.HEADER.size, 18, 2)]
    assert samples == [0, 1000, -1000]


def test_the_json_examples_of_the_documentation() -> None:
    hellos = re.findall(r'^\{"type": ?"hello".*?^\}$', PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(hellos) == 3
    asked, answered, resumed = (wire.load(text) for text in hellos)
    assert wire.Hello.decode(asked).formats_in.audio == wire.AudioFormat(rate=16_000)
    assert wire.Welcome.decode(answered).tracks[1].track == "video-0"
    resume = wire.Hello.decode(resumed).resume
    assert resume is not None
    assert resume.last_seq == 41
