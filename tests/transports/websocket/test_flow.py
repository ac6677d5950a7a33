"""How far behind a client is and what that does to it; on a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimass_stream.errors import InvalidMessage
from aimass_stream.transports.websocket.flow import MAX_BYTES, MAX_TEXTS, Flow, Rate


def test_a_prompt_client_is_never_behind_however_far_away() -> None:
    flow = Flow()
    for index in range(100):  # one message every 33 ms, acknowledged 300 ms later
        at = index / 30
        flow.send(1000, "video", at)
        if index >= 9:
            flow.acknowledge(index - 8, at)
        if index > 20:
            assert flow.behind(at) < 0.05
            assert flow.video_may(at)
    assert 0.25 < flow.base < 0.32


def test_a_client_that_stops_gets_first_no_pictures_then_no_sound() -> None:
    flow = Flow()
    flow.send(1000, "video", 0)
    flow.acknowledge(1, 0.02)
    flow.send(1000, "video", 10)
    assert flow.video_may(10.3)
    assert not flow.video_may(10.5)
    assert flow.audio_may(10.5)
    assert not flow.audio_may(11.1)
    flow.acknowledge(2, 11.2)
    assert flow.video_may(11.2)


def test_too_much_on_the_way_stops_media_whatever_its_age() -> None:
    flow = Flow()
    flow.send(MAX_BYTES + 1, "video", 0)
    assert not flow.audio_may(0)
    for _ in range(MAX_TEXTS):
        assert flow.text_may
        flow.send(10, "text", 0)
    assert not flow.text_may


@given(st.lists(st.tuples(st.integers(1, 1000), st.booleans()), max_size=50), st.data())
def test_acknowledgements_add_up(messages: list[tuple[int, bool]], data: st.DataObject) -> None:
    flow = Flow()
    for size, text in messages:
        flow.send(size, "text" if text else "audio", 0)
    done = data.draw(st.integers(0, len(messages)))
    flow.acknowledge(done, 1)
    assert flow.bytes == sum(size for size, _ in messages[done:])
    assert flow.texts == sum(text for _, text in messages[done:])
    for wrong in (done - 1, len(messages) + 1):
        with pytest.raises(InvalidMessage):
            flow.acknowledge(wrong, 2)


def test_the_bitrate_falls_to_what_is_taken_and_rises_slowly_after() -> None:
    rate, at, changes = Rate(1_000_000, 150_000, 3_000_000), 0.0, []
    while at < 4:
        if rate.look(0.3, 300_000, at):
            changes.append(rate.bitrate)
        at += 1 / 30
    assert changes == [500_000, 270_000, 216_000]  # half at most, then nine tenths of what was taken, then a step
    while at < 80:
        rate.look(0.0, 3e6, at)
        at += 1 / 30
    assert rate.bitrate == 3_000_000


def test_dropping_lowers_the_bitrate_once_a_second_down_to_the_floor() -> None:
    rate = Rate(1_000_000, 150_000, 3_000_000)
    assert rate.fall(0, 10)
    assert not rate.fall(0, 10.5)
    for second in range(11, 20):
        rate.fall(0, second)
    assert rate.bitrate == 150_000
    assert not rate.fall(0, 40)  # nothing changed: nothing to tell


def test_what_is_delivered_is_measured_over_the_last_second() -> None:
    flow = Flow()
    for index in range(60):
        flow.send(1250, "video", index / 30)
        flow.send(500, "audio", index / 30)
        flow.acknowledge(2 * index + 2, index / 30)
    assert 290_000 < flow.video_rate(2) < 310_000
    assert flow.video_rate(4) == 0
