"""Offers and fragments from strangers: what is taken, what is refused and why."""

from __future__ import annotations

import contextlib
import random
import time

import pytest

from aimass_stream.errors import InvalidMedia, TooLarge
from aimass_stream.transports.webrtc.sdp import read_fragment, read_offer, usable
from tests.support.options import settings

SETTINGS = settings()
SESSION = ("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
           "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\na=setup:actpass\r\n"
           "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n")
VIDEO = ("m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n"
         "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n")
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
DATA = ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\na=sctp-port:5000\r\n")
OFFER = SESSION + VIDEO + AUDIO
HOST = "a=candidate:1 1 udp 2130706431 192.0.2.7 40000 typ host\r\n"
LOCAL = "a=candidate:2 1 udp 2130706431 0b2a-77.local 40001 typ host\r\n"
END = "a=end-of-candidates\r\n"


def test_an_offer_is_taken_and_its_candidates_are_taken_out() -> None:
    offer = read_offer(SESSION + VIDEO + HOST + LOCAL + END + AUDIO + HOST, SETTINGS)
    assert [(section.kind, section.mid, section.direction) for section in offer.sections] == [
        ("video", "0", "sendrecv"), ("audio", "1", "sendrecv")]
    assert offer.candidates == ("1 1 udp 2130706431 192.0.2.7 40000 typ host",)
    assert "candidate" not in offer.sdp
    assert (offer.ufrag, offer.password) == ("abcd", "0123456789012345678901")


@pytest.mark.parametrize(("sdp", "words"), [
    ("", "not an SDP"),
    ("hello", "not an SDP"),
    ("v=0\r\n", "no audio or video"),
    (SESSION, "no audio or video"),
    (SESSION.replace("BUNDLE 0 1", "BUNDLE 1") + DATA, "no audio or video"),
    (SESSION + VIDEO.replace("sendrecv", "inactive"), "no audio or video"),
    (SESSION + VIDEO + AUDIO.replace("a=mid:1", "a=mid:0"), "BUNDLE|same mid"),
    (OFFER.replace("BUNDLE 0 1", "BUNDLE 0"), "BUNDLE"),
    (OFFER.replace("a=group:BUNDLE 0 1\r\n", ""), "BUNDLE"),
    (OFFER.replace("a=rtcp-mux\r\n", ""), "rtcp-mux"),
    (OFFER.replace("a=ice-ufrag:abcd\r\n", ""), "ice-ufrag"),
    (OFFER.replace("a=ice-pwd:0123456789012345678901", "a=ice-pwd:a b"), "ice-pwd"),
    (OFFER.replace("sha-256", "md5"), "fingerprint"),
    (OFFER.replace("a=setup:actpass\r\n", ""), "setup"),
    (OFFER.replace("VP8", "AV1"), "VP8, H264"),
    (OFFER.replace("opus", "speex"), "opus"),
    (OFFER.replace("m=audio 9", "m=audio 0"), "switched off"),
    (OFFER.replace("m=audio", "m=text"), "'text'"),
    (OFFER.replace("a=mid:1\r\n", ""), "a=mid"),
    (SESSION + VIDEO * 9, "more than 8 m-sections"),
    (SESSION + VIDEO + "m=audio\r\n", "no formats"),
    (SESSION + VIDEO + DATA + DATA, "data channels"),
    (SESSION + VIDEO + DATA.replace("UDP/DTLS/SCTP", "UDP/TLS"), "data channels"),
    (SESSION + VIDEO + HOST * 65, "64 candidates"),
    (SESSION + VIDEO + "".join(f"a=rtpmap:{n} VP8/90000\r\n" for n in range(130)), "128 codecs"),
    (SESSION + VIDEO + "a=ssrc:1 cname:a\r\n" * 70, "64 ssrc"),
    (SESSION + VIDEO + "a=extmap:x y\r\n" + AUDIO, "can't be read"),
    (SESSION + VIDEO + "a=fmtp:97\r\n" + AUDIO, "can't be read"),
    (OFFER.replace("SAVPF 96 97", "SAVPF 72 97"), "can't be read"),
    ("v=0\r\n" + "a=x\r\n" * 5000, "not an SDP"),
])
def test_what_is_wrong_is_said(sdp: str, words: str) -> None:
    with pytest.raises(InvalidMedia, match=words) as refused:
        read_offer(sdp, SETTINGS)
    assert refused.value.field == "sdp"


def test_a_huge_offer_is_not_even_read() -> None:
    with pytest.raises(TooLarge) as refused:
        read_offer("v=0\r\n" + "a" * 70_000, SETTINGS)
    assert refused.value.field == "sdp"
    with pytest.raises(TooLarge):
        read_offer("v=0\r\n" + "ü" * 40_000, SETTINGS)  # bytes count, not characters


def test_an_offer_at_the_limit_is_read_quickly() -> None:
    """Whatever is allowed in must not hold the event loop."""
    sections = "".join(
        VIDEO.replace("a=mid:0", f"a=mid:{mid}")
        + "".join(f"a=rtpmap:{100 + n} H264/90000\r\na=fmtp:{100 + n} profile-level-id=42e01f\r\n"
                  f"a=rtcp-fb:{100 + n} nack\r\n" for n in range(14)) + "a=rtcp-fb:* nack pli\r\n" * 20
        for mid in range(8))
    session = SESSION.replace("BUNDLE 0 1", "BUNDLE 0 1 2 3 4 5 6 7")
    times = []
    for _ in range(3):  # the test process's garbage may be collected meanwhile
        begun = time.thread_time()
        assert len(read_offer(session + sections, SETTINGS).sections) == 8
        times.append(time.thread_time() - begun)
    assert min(times) < 0.1


def test_damaged_offers_raise_nothing_else() -> None:
    rng = random.Random(5)
    lines = (OFFER + HOST + END).split("\r\n")
    for _ in range(400):
        damaged = list(lines)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(damaged))
            line = damaged[place]
            damaged[place] = rng.choice([
                "", line[: rng.randint(0, len(line))], line + line, "a=" + chr(rng.randint(1, 0x10FF)) * 3,
                line.replace(":", " "), "m=video 9 UDP/TLS/RTP/SAVPF x"])
        with contextlib.suppress(InvalidMedia):
            read_offer("\r\n".join(damaged), SETTINGS)


@pytest.mark.parametrize(("candidate", "good"), [
    ("1 1 udp 2130706431 192.0.2.7 40000 typ host", True),
    ("1 1 UDP 2130706431 2001:db8::1 40000 typ srflx raddr 10.0.0.1 rport 9", True),
    ("1 1 udp 1 192.0.2.7 40000 typ relay", True),
    ("1 1 tcp 1 192.0.2.7 9 typ host tcptype active", False),
    ("1 2 udp 1 192.0.2.7 40000 typ host", False),
    ("1 1 udp 1 abc.local 40000 typ host", False),
    ("1 1 udp 1 example.com 40000 typ host", False),
    ("1 1 udp 1 224.0.0.1 40000 typ host", False),
    ("1 1 udp 1 0.0.0.0 40000 typ host", False),
    ("1 1 udp 1 192.0.2.7 0 typ host", False),
    ("1 1 udp 1 192.0.2.7 70000 typ host", False),
    ("1 1 udp x 192.0.2.7 40000 typ host", False),
    ("1 1 udp 1 192.0.2.7 40000 typ host rport", False),
    ("1 1 udp 1 192.0.2.7 40000 typ prflx", False),
    ("", False),
])
def test_which_candidates_are_used(candidate: str, good: bool) -> None:
    assert usable(candidate) is good


def test_fragments() -> None:
    fragment = read_fragment("a=ice-ufrag:abcd\r\na=ice-pwd:pw\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
                             + HOST + LOCAL + END)
    assert fragment.ufrag == "abcd"
    assert fragment.candidates == ("1 1 udp 2130706431 192.0.2.7 40000 typ host",)
    for wrong in ("", "hello", "a=mid:0\r\n", HOST * 65):
        with pytest.raises(InvalidMedia):
            read_fragment(wrong)
    with pytest.raises(TooLarge):
        read_fragment("a=x:" + "y" * 20_000)
