"""The video jitter buffer, packet by packet and over a wire that loses and shuffles them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimass_stream.codecs import Limits
from aimass_stream.transports.webrtc.jitter import (
    HOLD,
    OCTETS,
    PACKETS,
    EncodedFrame,
    VideoJitterBuffer,
)
from aimass_stream.transports.webrtc.payload import vp8_payloads
from tests.support.video_link import KEY_HEADER, Link, number_of, picture
from tests.support.wire_loss import Wire

Packet = tuple[int, int, bool, bytes]


def stream(pictures: int, *, sequence: int = 100, timestamp: int = 5000, keys: tuple[int, ...] = (0,),
           size: int = 2500) -> list[list[Packet]]:
    """Packets of each picture; 2500 bytes make three."""
    result = []
    for number in range(pictures):
        payloads = vp8_payloads(picture(number, number in keys, size), number)
        result.append([((sequence + index) & 0xFFFF, (timestamp + number * 3000) & 0xFFFFFFFF,
                        index == len(payloads) - 1, payload) for index, payload in enumerate(payloads)])
        sequence += len(payloads)
    return result


def feed(buffer: VideoJitterBuffer, packets: list[Packet], now: float = 10.0) -> list[int]:
    return numbers([frame for packet in packets for frame in buffer.add(*packet, now)])


def numbers(frames: list[EncodedFrame]) -> list[int]:
    return [number_of(frame) for frame in frames]


def test_a_picture_leaves_with_its_last_packet() -> None:
    buffer = VideoJitterBuffer("VP8")
    for number, packets in enumerate(stream(5)):
        assert feed(buffer, packets[:-1]) == []
        [frame] = buffer.add(*packets[-1], 10.0 + number)
        assert number_of(frame) == number
        assert frame.keyframe == (number == 0)
        assert frame.rtp_timestamp == 5000 + number * 3000
        assert (frame.first_arrived, frame.arrived) == (10.0, 10.0 + number)
        assert frame.data == picture(number, number == 0, 2500)


def test_a_gap_holds_back_what_follows_and_its_repair_lets_it_all_go() -> None:
    buffer = VideoJitterBuffer("VP8")
    first, second, third = stream(3)
    assert feed(buffer, first) == [0]
    lost = second.pop(1)
    assert feed(buffer, second + third, 10.0) == []
    assert buffer.wakeup == pytest.approx(10.003)
    assert buffer.poll(10.004).nacks == [lost[0]]
    assert feed(buffer, [lost], 10.02) == [1, 2]
    assert buffer.missing.rtt == pytest.approx(0.016)


def test_it_asks_again_until_the_deadline_and_then_for_a_key_frame() -> None:
    buffer = VideoJitterBuffer("VP8", deadline=0.15)
    first, second, third = stream(3)
    feed(buffer, first + second[:1] + second[2:] + third)
    asked, plis = [], []
    now = 10.0
    while now < 11.0:
        now = buffer.wakeup
        actions = buffer.poll(now)
        asked += [round(now - 10, 4)] * len(actions.nacks)
        plis += [round(now - 10, 4)] * actions.pli
    assert asked == pytest.approx([0.003 + 0.035 * tries for tries in range(12)])
    assert plis == pytest.approx([0.15, 0.35, 0.55, 0.75, 0.95, 1.15])
    assert buffer.given_up == 1


def test_the_missing_packet_still_helps_after_the_deadline() -> None:
    buffer = VideoJitterBuffer("VP8")
    first, second, third = stream(3)
    feed(buffer, first + second[1:] + third)
    assert buffer.poll(10.16).pli
    assert feed(buffer, second[:1], 10.2) == [1, 2]
    assert not buffer.poll(10.5).pli


def test_a_key_frame_behind_the_gap_is_jumped_to() -> None:
    buffer = VideoJitterBuffer("VP8")
    first, second, third, key, after = stream(5, keys=(0, 3))
    feed(buffer, first + second[1:] + third)
    assert buffer.poll(10.2).pli
    assert feed(buffer, key, 10.3) == [3]
    assert feed(buffer, after, 10.3) == [4]
    assert buffer.dropped == {"skipped": 2}
    assert feed(buffer, second[:1], 10.4) == []
    assert buffer.dropped_packets == {"late_or_duplicate": 1}


def test_a_key_frame_does_not_push_aside_what_was_only_overtaken() -> None:
    buffer = VideoJitterBuffer("VP8")
    first, second, key = stream(3, keys=(0, 2))
    feed(buffer, first)
    assert feed(buffer, second[:2] + key, 10.0) == []
    assert feed(buffer, second[2:], 10.002) == [1, 2]
    assert buffer.dropped == {}


def test_nothing_before_the_first_key_frame() -> None:
    buffer = VideoJitterBuffer("VP8")
    deltas = stream(4, keys=(2,))
    assert feed(buffer, deltas[0] + deltas[1]) == []
    assert not buffer.poll(10.0).pli
    assert buffer.wakeup == pytest.approx(10.05)
    assert buffer.poll(10.051).pli
    assert feed(buffer, deltas[2] + deltas[3]) == [2, 3]
    assert buffer.dropped == {"undecodable": 2}


def test_a_stream_may_begin_out_of_order() -> None:
    buffer = VideoJitterBuffer("VP8")
    [key] = stream(1)
    assert feed(buffer, [key[2], key[0], key[1]]) == [0]


def test_the_last_packet_of_a_picture_is_asked_for_before_the_next_one_shows_that_it_is_missing() -> None:
    buffer = VideoJitterBuffer("VP8")
    first, second = stream(2)
    feed(buffer, first + second[:-1])
    assert buffer.wakeup == pytest.approx(10.008)
    assert buffer.poll(10.008).nacks == [second[-1][0]]
    assert feed(buffer, second[-1:], 10.01) == [1]


def test_the_last_packet_is_not_asked_for_twice_when_the_gap_shows() -> None:
    buffer = VideoJitterBuffer("VP8")
    first, second, third = stream(3)
    feed(buffer, first + second[:-1])
    buffer.poll(10.008)
    feed(buffer, third, 10.02)
    assert buffer.poll(10.03).nacks == []
    assert buffer.poll(10.044).nacks == [second[-1][0]]


def test_the_decoder_can_ask_for_a_key_frame() -> None:
    buffer = VideoJitterBuffer("VP8")
    first, second, key = stream(3, keys=(0, 2))
    assert feed(buffer, first) == [0]
    buffer.request_keyframe(10.0)
    assert buffer.wakeup <= 10.0
    assert buffer.poll(10.0).pli
    assert feed(buffer, second) == []
    assert feed(buffer, key) == [2]


def test_a_key_frame_on_its_way_is_not_asked_for_again() -> None:
    buffer = VideoJitterBuffer("VP8")
    delta, key = stream(2, keys=(1,), size=12_000)
    feed(buffer, delta)
    assert buffer.poll(10.051).pli
    for step in range(10):  # a slow link: 25 ms a packet
        feed(buffer, [key[step]], 10.1 + step * 0.025)
        assert not buffer.poll(10.1 + step * 0.025).pli


def test_padding_is_passed_over() -> None:
    buffer = VideoJitterBuffer("VP8")
    first, second = stream(2, sequence=0)
    padding = [(3, 5000, False, b""), (4, 5000, False, b"")]
    second = [(sequence + 2, timestamp, marker, payload) for sequence, timestamp, marker, payload in second]
    assert feed(buffer, first + padding) == [0]
    assert feed(buffer, second) == [1]
    assert buffer.wakeup == float("inf")


def test_a_sender_without_markers() -> None:
    buffer = VideoJitterBuffer("VP8")
    packets = [(sequence, timestamp, False, payload) for each in stream(3) for sequence, timestamp, _, payload in each]
    assert feed(buffer, packets) == [0, 1]


def test_copies_are_ignored() -> None:
    buffer = VideoJitterBuffer("VP8")
    packets = [packet for each in stream(3) for packet in each for _ in range(3)]
    assert feed(buffer, packets) == [0, 1, 2]
    assert buffer.dropped_packets == {"late_or_duplicate": 18}


def test_sequence_numbers_and_timestamps_wrap() -> None:
    buffer = VideoJitterBuffer("VP8")
    pictures = stream(30, sequence=65_500, timestamp=(1 << 32) - 20_000)
    frames = [frame for packets in pictures for packet in packets for frame in buffer.add(*packet, 10.0)]
    assert numbers(frames) == list(range(30))
    assert {after.timestamp - before.timestamp for before, after in itertools.pairwise(frames)} == {3000}
    assert frames[-1].rtp_timestamp < 1 << 20


def test_times_rise_even_when_the_senders_do_not() -> None:
    buffer = VideoJitterBuffer("VP8")
    frames: list[EncodedFrame] = []
    for number, (packets, timestamp) in enumerate(zip(stream(6), [0, 3000, 1000, 4000, 1 << 31, 7000], strict=True)):
        for sequence, _, marker, payload in packets:
            frames += buffer.add(sequence, timestamp, marker, payload, 10 + number / 30)
    steps = [after.timestamp - before.timestamp for before, after in itertools.pairwise(frames)]
    assert steps == [3000] * 5
    assert buffer.timestamp_steps == 3
    assert [frame.rtp_timestamp for frame in frames] == [0, 3000, 1000, 4000, 1 << 31, 7000]


def test_a_restarted_sender_is_followed() -> None:
    buffer = VideoJitterBuffer("VP8")
    assert feed(buffer, stream(2)[0]) == [0]
    again = stream(2, sequence=40_000, timestamp=77)
    first, rest = again[0][:1], again[0][1:]
    assert feed(buffer, first, 10.5) == []
    assert buffer.dropped_packets == {"out_of_range": 1}
    assert feed(buffer, rest + again[1], 10.5) == []  # its first packet was not believed: it is asked for again
    assert buffer.poll(10.504).nacks == [40_000]
    assert feed(buffer, first, 10.52) == [0, 1]


def test_a_single_stray_packet_is_not_followed() -> None:
    buffer = VideoJitterBuffer("VP8")
    first, second = stream(2)
    feed(buffer, first)
    assert feed(buffer, [(30_000, 1, True, b"\x10stray")]) == []
    assert feed(buffer, second) == [1]


def test_after_an_outage_it_goes_on_with_what_comes() -> None:
    buffer = VideoJitterBuffer("VP8")
    pictures = stream(200, keys=(0, 199))
    feed(buffer, pictures[0])
    assert feed(buffer, pictures[198], 16.0) == []
    assert buffer.poll(16.0).pli
    assert buffer.poll(16.0).nacks == []
    assert feed(buffer, pictures[199], 16.1) == [199]


def test_large_pictures_are_refused_before_they_are_decoded() -> None:
    buffer = VideoJitterBuffer("VP8", limits=Limits(640, 480))
    huge = vp8_payloads(KEY_HEADER[:6] + (8192).to_bytes(2, "little") * 2 + bytes(112_000), 1)
    last = len(huge) - 1
    assert feed(buffer, [(number, 0, number == last, payload) for number, payload in enumerate(huge)]) == []
    assert buffer.dropped == {"picture_size": 1}
    assert buffer.poll(10.0).pli
    assert not buffer.poll(11.0).pli  # it would only be refused again: seldom asked for
    assert feed(buffer, stream(1, sequence=last + 1)[0], 11.0) == [0]


def test_too_many_pictures_are_dropped_up_to_a_key_frame() -> None:
    buffer = VideoJitterBuffer("VP8", max_fps=20)
    pictures = stream(60, size=100, keys=(0, 59))
    shown = [number for index, packets in enumerate(pictures) for number in feed(buffer, packets, 10 + index / 1000)]
    assert shown == [*range(20), 59]
    assert buffer.dropped["fps"] >= 1


def test_garbage_payloads_are_counted() -> None:
    buffer = VideoJitterBuffer("VP8")
    assert buffer.add(1, 0, True, b"\x90", 10.0) == []
    assert buffer.dropped_packets == {"garbage": 1}


@settings(max_examples=150, deadline=None)
@given(data=st.data(), start=st.integers(0, 65_535))
def test_any_order_within_a_window_gives_every_picture_once_in_order(data: st.DataObject, start: int) -> None:
    packets = [packet for each in stream(12, sequence=start) for packet in each]
    window = 16
    shuffled: list[Packet] = []
    while packets:  # the first of the window is taken in the end, so none is more than a window late
        at = data.draw(st.integers(0, min(window, len(packets)) - 1))
        shuffled.append(packets.pop(at))
    buffer = VideoJitterBuffer("VP8")
    assert feed(buffer, shuffled) == list(range(12))
    assert buffer.poll(10.0001).pli is False
    assert buffer.stats()["packets_held"] == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, (1 << 32) - 1), st.booleans(),
                          st.binary(max_size=12), st.floats(0, 0.5)), max_size=80))
def test_no_packets_break_it(packets: list[tuple[int, int, bool, bytes, float]]) -> None:
    buffer, now = VideoJitterBuffer("VP8"), 10.0
    for sequence, timestamp, marker, payload, pause in packets:
        now += pause
        buffer.add(sequence, timestamp, marker, payload, now)
        for _ in range(4):
            if buffer.wakeup <= now:
                buffer.poll(now)
        assert buffer._octets == sum(len(packet.data) for packet in buffer._packets.values())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 30), loss=st.sampled_from([0.02, 0.2, 0.6]), jitter=st.sampled_from([0, 0.04]),
       retransmits=st.booleans())
def test_any_loss_ends_in_moving_pictures(seed: int, loss: float, jitter: float, retransmits: bool) -> None:
    """Two seconds of a bad link, then a good one: half a second later every picture comes again."""
    there: Wire[Packet] = Wire(seed=seed, loss=loss, delay=0.05, jitter=jitter, copies=0.05)
    link = Link(VideoJitterBuffer("VP8"), there, Wire(seed=seed + 1, loss=loss, delay=0.05), retransmits=retransmits)
    link.run(2)
    there.loss = there.jitter = link.back.loss = 0
    shown = len(link.shown)
    link.run(2.5, start=102.0)
    moving = [each.at for each in link.shown[shown:] if each.at > 102.5 + HOLD]
    assert len(moving) >= 26
    assert numbers([each.frame for each in link.shown]) == sorted({each.number for each in link.shown})


def test_memory_is_bounded() -> None:
    buffer = VideoJitterBuffer("VP8")
    for number in range(20_000):  # one picture that never ends
        buffer.add(number & 0xFFFF, 0, False, b"\x10" + bytes(1000), 10 + number / 10_000)
        assert len(buffer._packets) <= PACKETS
        assert buffer._octets <= OCTETS
    assert buffer.dropped == {}
    assert len(buffer.missing) == 0


@pytest.mark.parametrize(("loss", "rtt", "p50", "p95", "frozen"), [
    (0.0, 0.0, 0.002, 0.005, 0.0),
    (0.01, 0.02, 0.002, 0.025, 0.005),
    (0.05, 0.002, 0.002, 0.02, 0.0),
    (0.05, 0.02, 0.002, 0.04, 0.02),
    (0.10, 0.002, 0.002, 0.04, 0.01),
])
def test_loss_costs_little_time(loss: float, rtt: float, p50: float, p95: float, frozen: float) -> None:
    there, back = (Wire[Any](seed=seed, loss=loss, delay=rtt / 2) for seed in (3, 4))
    link = Link(VideoJitterBuffer("VP8"), there, back)
    link.run(30)
    delays = link.delays(rtt / 2)
    assert delays[len(delays) // 2] < p50
    assert delays[int(len(delays) * 0.95)] < p95
    assert link.frozen() <= frozen
    assert len(link.shown) >= link.sent - 2
    assert link.plis == 0


def test_jitter_neither_freezes_nor_asks_for_key_frames() -> None:
    """100 ± 30 ms each way, packets overtaking each other: a picture waits for its slowest packet and no longer."""
    link = Link(VideoJitterBuffer("VP8"), Wire(seed=3, delay=0.1, jitter=0.03), Wire(seed=4, delay=0.1, jitter=0.03))
    link.run(30)
    delays = link.delays(0.1)
    assert delays[len(delays) // 2] < 0.025
    assert delays[-1] < 0.04
    assert link.frozen() == 0
    assert link.plis == 0
    assert link.nacks < 0.1 * link.there.sent
