"""What a stage that listens and speaks needs of its session: a count of listeners, steering, and a quick stop."""

from __future__ import annotations

from typing import ClassVar

import pytest

from aimass_stream import pipeline as pipelines
from aimass_stream.errors import Busy
from aimass_stream.frames import AudioFrame, Kind
from aimass_stream.stage import Result
from aimass_stream.stage_base import AUDIO, BaseStage, NoParams
from aimass_stream.stages import Registry
from tests.support.session import Collector, open_session, opened_node, picture, sound
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


class Ear(BaseStage[NoParams]):
    """Listens; its first frame makes it mirror the picture, its second stops what is on its way out."""

    accepts: ClassVar[frozenset[Kind]] = AUDIO
    listens: ClassVar[bool] = True

    async def process(self, frame: AudioFrame) -> Result:
        if frame.pts == 0:
            self.context.spawn(self._steer(), "steer")
        elif frame.pts == 960:
            self.context.flush()
        return frame

    async def _steer(self) -> None:
        await self.context.steer([*self.context.pipeline(), {"stage": "mirror"}])


def with_ear() -> Registry:
    registry = Registry(entries=[])
    registry.add("ear", Ear)
    return registry


class Stopped(Collector):
    """Notes which tracks were to be silent at once."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[str | None] = []

    def flush(self, track: str | None = None) -> None:
        self.flushed.append(track)


EARS = [{"stage": "ear"}]


async def test_as_many_sessions_listen_as_may_and_the_rest_is_told_when_to_come_back() -> None:
    async with opened_node(with_ear(), max_listeners=2) as node:
        first, _ = await open_session(node, EARS)
        await open_session(node, hears=True)  # a transport that has speech recognised itself
        with pytest.raises(Busy) as refused:
            await open_session(node, EARS)
        assert refused.value.retry_after == 5
        assert "already listens to as many sessions as it may (2)" in refused.value.detail
        silent, sink = await open_session(node, [{"stage": "gray"}])
        await silent.control({"type": "session.update", "id": "late", "pipeline": EARS})
        await sink.until(lambda: sink.typed("error"))
        assert sink.typed("error")[0].data["status"] == 429
        assert silent.spec.json() == [{"stage": "gray"}]
        await first.close("enough")
        await silent.update(pipeline=EARS)
        await silent.update(pipeline=[*EARS, {"stage": "gray"}])  # it listens already: nothing to ask for


async def test_a_stage_knows_what_comes_in_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "PRESENT", 0.1)
    async with opened_node(with_ear()) as node:
        session, _ = await open_session(node, EARS)
        assert session.pipeline.kinds() == set()
        session.push(sound(0))
        assert session.pipeline.kinds() == {"audio"}
        session.push(picture(0))
        assert session.pipeline.kinds() == {"audio", "video"}
        await until(lambda: not session.pipeline.kinds())  # a camera that was switched off is no picture any more


async def test_a_stage_changes_the_pipeline_it_is_part_of() -> None:
    async with opened_node(with_ear()) as node:
        session, sink = await open_session(node, EARS)
        session.push(sound(0))
        await sink.until(lambda: sink.typed("session.updated"))
        assert session.spec.json() == [{"stage": "ear"}, {"stage": "mirror"}]


async def test_a_stage_stops_the_sound_on_its_way_out_and_no_picture() -> None:
    async with opened_node(with_ear()) as node:
        session, _ = await open_session(node, EARS)
        sink = Stopped()
        session.add_sink(sink)
        session.push(sound(1))
        session.push(picture(0))
        await sink.until(lambda: sink.of("audio") and sink.of("video"))
        assert sink.flushed == ["audio-0"]
