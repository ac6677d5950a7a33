"""The stage that tells what has been there for long enough: from a detector's results to an event and a webhook."""

from __future__ import annotations

import base64
import json
from typing import Any

import ai_edge_litert.interpreter  # noqa: F401  its import takes a while: not inside a test
import pytest

import aimass_stream.engines.opencv  # noqa: F401  before the loop runs
from aimass_stream.errors import InvalidPipeline
from aimass_stream.events import RuleFired, RuleOver
from aimass_stream.frames import Picture, VideoFrame
from aimass_stream.stages.rule import RuleStage

from ..support.context import Context, params, started, video
from ..support.options import settings
from ..support.session import open_session, opened_node
from ..support.sights import code, pasted, wall
from ..support.writing import needs_reader, put
from ..test_webhooks import receiving

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
SIGN = Picture.from_i420(Picture.from_bgr(pasted(wall(), code("exit 7"), 400, 100)).i420)
WORDS = Picture.from_i420(Picture.from_bgr(put(wall(), "Way out", 120, 160, 40, ink=(255, 255, 255))).i420)
EMPTY = Picture.from_i420(Picture.from_bgr(wall()).i420)
HALL = {"name": "hall", "points": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}
DETECT = {"stage": "detect", "model": "opencv-codes", "overlay": False, "deadline": 5000, "zones": [HALL]}


def seen(number: int, *things: dict[str, Any]) -> VideoFrame:
    """Ten pictures a second."""
    return video(3 * number, picture=SIGN, notes={"detect": {"detections": list(things)}})


async def test_it_tells_when_it_holds_and_when_it_is_over_with_the_frame() -> None:
    stage, context = await started("rule", when="dog, person", zone="door", seconds=2, patience=0.5, then="loitering")
    person = {"label": "person", "id": 4, "zones": {"door": 0.1}}
    for number in range(60):
        frame = seen(number, *([person] if 5 <= number < 40 else []))
        assert await stage.process(frame) is frame
    [(fired, at), (over, end)] = context.events
    assert fired == RuleFired(rule="loitering", when="dog, person", zone="door", count=1, ids=[4], seconds=2)
    assert at is not None
    assert at.seconds == 2.5
    assert over == RuleOver(rule="loitering", zone="door", seconds=3.4)
    assert end is not None
    assert end.seconds == pytest.approx(4.5, abs=0.11)


async def test_another_condition_begins_anew_and_another_name_does_not() -> None:
    stage, context = await started("rule", seconds=2)
    person = {"label": "person", "id": 4}
    for number in range(30):
        if number == 15:
            stage.update(params("rule", seconds=2, then="other name"))
        await stage.process(seen(number, person))
    assert [data.rule for data, _ in context.events if isinstance(data, RuleFired)] == ["other name"]
    stage.update(params("rule", seconds=2.5))
    for number in range(30, 50):
        await stage.process(seen(number, person))
    assert len(context.events) == 1


async def test_frames_that_nobody_looked_at_pass() -> None:
    stage, context = await started("rule", when="", count=0, seconds=0)
    frame = video()
    assert await stage.process(frame) is frame
    assert context.events == []


@pytest.mark.parametrize(("secret", "url", "told"), [
    (None, "https://example.com/", "AIMASS_WEBHOOK_SECRET"), (SECRET, "http://example.com/", "with https"),
    (SECRET, "https://a:b@example.com/", "without a password")])
async def test_a_webhook_that_is_not_sent_is_refused_at_the_start(secret: str | None, url: str, told: str) -> None:
    context = Context()
    context.settings = settings(webhook_secret=secret)
    stage = RuleStage(params("rule", webhook=url))  # type: ignore[arg-type]
    with pytest.raises(InvalidPipeline, match=told) as refused:
        await stage.start(context)
    assert refused.value.field == "webhook"


async def test_a_thing_in_a_zone_for_a_while_reaches_another_program() -> None:
    async with receiving() as receiver, opened_node(webhook_secret=SECRET, webhook_private=True) as node:
        hook = f"http://127.0.0.1:{receiver.port}/"
        session, sink = await open_session(node, [DETECT, {
            "stage": "rule", "when": "QR code", "zone": "hall", "seconds": 1, "then": "sign", "webhook": hook}])
        for number in range(15):
            session.push(seen(number) if number == 0 else video(3 * number, picture=SIGN, notes={}))
            await sink.until(lambda: len(sink.frames) == number + 1)  # noqa: B023
        [fired] = sink.typed("rule.fired")
        assert fired.pts in {result.pts for result in sink.typed("frame.result")}
        assert (fired.data["rule"], fired.data["ids"], fired.data["webhook"]) == ("sign", [1], hook)
        await session.close("done")  # what it told goes on its way
        await node.webhooks.close()
        [(_, _, body)] = receiver.got
        assert json.loads(body)["data"] | {"webhook": hook} == fired.data | {
            "session": session.id, "seq": fired.seq, "pts": fired.pts, "track": "video-0"}


async def test_words_that_were_read_in_a_picture_before_count_until_the_next_look() -> None:
    stage, context = await started("rule", when='"exit"', seconds=1, patience=0.3, then="way out")
    for number in range(40):
        line = {"line": 1 + number // 10, "text": "EXIT 7"} | ({"predicted": True} if number % 10 else {})
        frame = video(3 * number, picture=SIGN, notes={})
        frame.beside["ocr"] = {"lines": [line] if number < 30 else []}
        assert await stage.process(frame) is frame
        assert frame.notes == {}
    [(fired, at), (over, _)] = context.events
    assert isinstance(fired, RuleFired)
    assert at is not None
    assert (at.seconds, fired.count, fired.when) == (1.0, 1, '"exit"')
    assert isinstance(over, RuleOver)


async def test_a_sign_that_the_stage_ocr_reads_reaches_the_rule() -> None:
    needs_reader()
    async with opened_node() as node:
        session, sink = await open_session(node, [
            {"stage": "ocr", "overlay": False, "deadline": 10_000, "every": 1},
            {"stage": "rule", "when": '"way out"', "seconds": 0, "then": "sign"}])
        for number in range(200):
            session.push(video(3 * number, picture=WORDS, notes={}))
            await sink.until(lambda: len(sink.frames) == number + 1)  # noqa: B023
            if sink.typed("rule.fired"):
                break
            if number == 0:
                await sink.until(lambda: bool(sink.typed("frame.result")))
        [fired] = sink.typed("rule.fired")
        [result, *_] = sink.typed("frame.result")
        assert fired.data["count"] == 1
        assert "ocr" in result.data["notes"]
        assert result.pts == 0  # told of the picture that was read, and of no other
