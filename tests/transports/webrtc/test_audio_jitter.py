"""The audio jitter buffer: nothing waits on a clean link, nothing is made of zeros, nothing stays late."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass_stream.codecs.opus import packet_samples
from aimass_stream.transports.webrtc.audio_jitter import (
    MADE_UP,
    PACKETS,
    AudioJitterBuffer,
    Chunk,
    signed,
)
from aimass_stream.transports.webrtc.delay import LONGEST, PlayoutDelay
from tests.support.audio_link import FRAME, INTERVAL, START, AudioLink, packets
from tests.support.wire_loss import Wire

PACKET = b"\x78" + bytes(20)  # hybrid, 20 ms, mono
SILENCE = b"\x78"


def feed(buffer: AudioJitterBuffer, *numbers: int, now: float | None = None, payload: bytes = PACKET) -> list[Chunk]:
    """Packets by number; each arrives in its turn unless all come `now`."""
    return [chunk for number in numbers for chunk in buffer.add(
        number & 0xFFFF, number * FRAME & 0xFFFFFFFF, payload, 10 + number * INTERVAL if now is None else now)]


def methods(chunks: list[Chunk]) -> list[str]:
    return [chunk.method for chunk in chunks]


def test_on_a_clean_link_a_packet_is_decoded_when_it_comes() -> None:
    buffer = AudioJitterBuffer()
    for number in range(100):
        [chunk] = feed(buffer, number)
        assert (chunk.method, chunk.data, chunk.samples, chunk.pts) == ("decode", PACKET, FRAME, number * FRAME)
        assert chunk.arrived == pytest.approx(10 + number * INTERVAL)
        assert buffer.wakeup == float("inf")


def test_a_lost_packet_is_made_from_the_next_one() -> None:
    buffer = AudioJitterBuffer()
    feed(buffer, 0, 1)
    lost, received = feed(buffer, 3)
    assert (lost.method, lost.data, lost.pts, lost.samples) == ("fec", PACKET, 2 * FRAME, FRAME)
    assert (received.method, received.pts) == ("decode", 3 * FRAME)
    assert methods(feed(buffer, 4)) == ["decode"]


def test_of_several_the_last_is_a_copy_and_the_others_are_made_up() -> None:
    buffer = AudioJitterBuffer()
    feed(buffer, 0)
    chunks = feed(buffer, 4)
    assert methods(chunks) == ["plc", "plc", "fec", "decode"]
    assert [chunk.pts for chunk in chunks] == [FRAME, 2 * FRAME, 3 * FRAME, 4 * FRAME]
    assert buffer.counts["lost"] == 3


def test_a_hole_too_long_to_make_up_is_said() -> None:
    buffer = AudioJitterBuffer()
    feed(buffer, 0)
    [chunk] = feed(buffer, 100)
    assert (chunk.method, chunk.gap, chunk.pts) == ("decode", 99 * FRAME, 100 * FRAME)
    assert buffer.gaps == 1
    assert buffer.counts["lost"] == 99


def test_a_stall_makes_nothing_up_and_delays_nothing_after_it() -> None:
    buffer = AudioJitterBuffer()
    feed(buffer, *range(50))
    assert methods(feed(buffer, *range(50, 60), now=11.2)) == ["decode"] * 10
    for number in range(61, 200):
        assert methods(feed(buffer, number))[-1:] == ["decode"]
    assert buffer.delay.target == 0


def test_what_comes_after_it_was_made_up_is_late() -> None:
    buffer = AudioJitterBuffer()
    feed(buffer, 0, 2)
    assert feed(buffer, 1, now=10.05) == []
    assert feed(buffer, 2, now=10.06) == []
    assert buffer.counts["late"] == 1
    assert buffer.counts["duplicate"] == 1


def test_numbers_and_timestamps_wrap() -> None:
    buffer = AudioJitterBuffer()
    chunks = [chunk for number in range(200) for chunk in buffer.add(
        65_500 + number & 0xFFFF, (1 << 32) - 48_000 + number * FRAME & 0xFFFFFFFF, PACKET, 10 + number * INTERVAL)]
    assert [chunk.pts - chunks[0].pts for chunk in chunks] == [number * FRAME for number in range(200)]


def test_a_restarted_sender_goes_on_in_time() -> None:
    buffer = AudioJitterBuffer()
    feed(buffer, *range(10))
    chunks = []
    for number in range(5):  # 1 s later, with other numbers
        chunks += buffer.add(30_000 + number, 5_000_000 + number * FRAME, PACKET, 11.18 + number * INTERVAL)
    assert buffer.counts["out_of_range"] == 1
    assert methods(chunks) == ["decode"] * 4
    assert chunks[0].pts == 10 * FRAME + chunks[0].gap
    assert chunks[0].gap == pytest.approx(48_000, abs=2 * FRAME)
    assert all(after.pts == before.pts + FRAME for before, after in itertools.pairwise(chunks))


@pytest.mark.parametrize("leap", [-48_000, 480_000, 1 << 31])
def test_a_senders_clock_that_was_set_makes_no_hole(leap: int) -> None:
    buffer = AudioJitterBuffer()
    feed(buffer, *range(10))
    chunks = [chunk for number in range(10, 20) for chunk in buffer.add(
        number, number * FRAME + leap & 0xFFFFFFFF, PACKET, 10 + number * INTERVAL)]
    assert [chunk.pts for chunk in chunks] == [number * FRAME for number in range(10, 20)]
    assert buffer.restarts == 1
    assert chunks[0].rtp_timestamp == 10 * FRAME + leap & 0xFFFFFFFF


def test_timestamps_that_are_a_little_off_are_followed() -> None:
    buffer = AudioJitterBuffer()
    chunks = [chunk for number in range(30) for chunk in buffer.add(
        number, number * FRAME + (-1) ** number * 40 + 100, PACKET, 10 + number * INTERVAL)]
    assert len(chunks) == 30 + methods(chunks).count("plc")
    assert all(after.pts == before.pts + before.samples for before, after in itertools.pairwise(chunks))


def test_silence_is_filled_in_while_the_speaker_says_nothing() -> None:
    buffer = AudioJitterBuffer()
    feed(buffer, *range(10))
    feed(buffer, 10, payload=SILENCE)
    chunks: list[Chunk] = []
    while buffer.wakeup < 10.5:
        chunks += buffer.poll(buffer.wakeup)
    assert set(methods(chunks)) == {"dtx"}
    assert len(chunks) == 14
    rest = buffer.add(11, 30 * FRAME, PACKET, 10.6)
    assert methods(rest) == ["dtx"] * 5 + ["decode"]
    assert buffer.wakeup == float("inf")


def test_silence_ends_when_nobody_comes_back() -> None:
    buffer = AudioJitterBuffer()
    feed(buffer, 0, payload=SILENCE)
    chunks: list[Chunk] = []
    while buffer.wakeup < 100:
        chunks += buffer.poll(buffer.wakeup)
    assert 45 < len(chunks) < 51


def test_garbage_is_counted_and_lost() -> None:
    buffer = AudioJitterBuffer()
    feed(buffer, 0)
    assert feed(buffer, 1, payload=b"") == []
    assert feed(buffer, 2, payload=b"\x03") == []
    assert methods(feed(buffer, 3)) == ["plc", "fec", "decode"]
    assert buffer.counts["garbage"] == 2


def test_other_packet_lengths() -> None:
    """60 ms packets: the copy is of 60 ms, too."""
    long = b"\x18" + bytes(30)
    assert packet_samples(long) == 2880
    buffer = AudioJitterBuffer()
    chunks: list[Chunk] = []
    for number in (0, 1, 3, 4):
        chunks += buffer.add(number, number * 2880, long, 10 + number * 0.06)
    assert methods(chunks) == ["decode", "decode", "fec", "decode", "decode"]
    assert [chunk.pts for chunk in chunks] == [number * 2880 for number in range(5)]


# over a wire -----------------------------------------------------------------------------------------


def test_delay_grows_with_jitter_and_goes_when_it_goes() -> None:
    wire: Wire[tuple[int, int, bytes]] = Wire(seed=5, delay=0.1, jitter=0.03)
    link = AudioLink(wire)
    send, sent = wire.send, itertools.count()

    def fading(item: tuple[int, int, bytes], now: float) -> None:
        if next(sent) == 250:
            wire.jitter = 0
        send(item, now)

    wire.send = fading  # type: ignore[method-assign]
    link.run(packets(10.0))
    link.check_continuous()
    shaken = [heard.delay - 0.1 for heard in link.heard if START + 1 < heard.at < START + 5]
    assert min(shaken) > 0.02
    assert max(shaken) < 0.04
    assert max(link.delays(after=8)) == pytest.approx(0.1, abs=0.001)
    assert link.share("plc") + link.share("fec") < 0.02


@pytest.mark.parametrize(("loss", "fec", "most"), [(0.05, True, 0.01), (0.05, False, 0.055), (0.3, True, 0.12)])
def test_loss_is_made_up_and_delays_nothing(loss: float, fec: bool, most: float) -> None:
    link = AudioLink(Wire(seed=11, loss=loss, delay=0.02))
    link.run(packets(20.0, fec=fec))
    link.check_continuous()
    quiet = link.decoder.quiet / link.decoder.samples
    assert link.share("plc") - quiet <= most
    assert quiet <= (loss / 2 if fec else 0)
    assert link.delays()[-1] == pytest.approx(0.02, abs=0.001)
    assert link.share("plc") + link.share("fec") == pytest.approx(loss, abs=0.02)


def test_jitter_of_less_than_a_packet_costs_nothing() -> None:
    link = AudioLink(Wire(seed=5, delay=0.02, jitter=0.005))
    link.run(packets(10.0))
    assert link.delays()[-1] < 0.0251
    assert link.decoder.made_up == {"fec": 0, "plc": 0, "dtx": 0}


def test_a_heap_after_a_stall_counts_once() -> None:
    delay = PlayoutDelay()
    for number in range(400):
        sent = number * INTERVAL
        arrived = max(sent, 4.3) if sent > 4.0 else sent
        delay.add(sent, 10 + arrived, in_order=True)
        assert delay.target == 0


def test_the_delay_is_bounded() -> None:
    delay = PlayoutDelay()
    for number in range(400):
        delay.add(number * INTERVAL, 10 + number * INTERVAL + number % 3, in_order=False)
        assert delay.target <= LONGEST


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 1 << 30), loss=st.sampled_from([0, 0.1, 0.5]), jitter=st.sampled_from([0, 0.015, 0.06]),
       copies=st.sampled_from([0, 0.2]))
def test_whatever_the_wire_does_the_sound_is_without_holes(seed: int, loss: float, jitter: float,
                                                           copies: float) -> None:
    wire: Wire[int] = Wire(seed=seed, loss=loss, delay=0.06, jitter=jitter, copies=copies)
    buffer, chunks = AudioJitterBuffer(), []
    for number in range(150):
        wire.send(number, 10 + number * INTERVAL)
    while wire.next_arrival < float("inf") or buffer.wakeup < float("inf"):
        now = min(wire.next_arrival, buffer.wakeup)
        for arrival, number in wire.take(now):
            chunks += feed(buffer, number, now=arrival)
        if buffer.wakeup <= now:
            chunks += buffer.poll(now)
    assert all(after.pts == before.pts + before.samples + after.gap for before, after in itertools.pairwise(chunks))
    assert all(chunk.gap > MADE_UP for chunk in chunks if chunk.gap)
    played = [chunk.pts // FRAME for chunk in chunks if chunk.method == "decode"]
    assert played == sorted(set(played))
    assert buffer.depth == 0


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, (1 << 32) - 1), st.binary(max_size=4),
                          st.floats(0, 3)), max_size=60))
def test_no_packets_break_it(wild: list[tuple[int, int, bytes, float]]) -> None:
    buffer, now, chunks = AudioJitterBuffer(), 10.0, []
    for sequence, timestamp, payload, pause in wild:
        now += pause
        chunks += buffer.add(sequence, timestamp, payload, now)
        if buffer.wakeup <= now:
            chunks += buffer.poll(now)
        assert len(buffer._packets) <= PACKETS
    chunks += buffer.poll(now + 1)
    assert buffer.depth == 0
    assert all(0 < chunk.samples <= 5760 for chunk in chunks)
    assert all(after.pts == before.pts + before.samples + after.gap for before, after in itertools.pairwise(chunks))


def test_signed_steps() -> None:
    assert [signed(step, 16) for step in (0, 1, 65_535, 32_768, -65_535)] == [0, 1, -1, -32_768, 1]
