from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from pydantic import ValidationError

from aimass_stream.clips import read_number, tone
from aimass_stream.events import AudioLevel
from aimass_stream.frames import Picture
from aimass_stream.functions import (
    AudioFrame,
    Caption,
    Context,
    Field,
    Frame,
    Person,
    Room,
    Rung,
    TextFrame,
    VideoFrame,
    stage,
)
from aimass_stream.stages import Factory, Registry, as_factory

from .support.context import Context as Surroundings
from .support.context import audio, silence, video

GREY = Picture.from_bgr(np.full((48, 64, 3), 100, np.uint8))


async def running(function: Callable[..., Any], **given: Any) -> tuple[Any, Surroundings]:
    factory: Factory = as_factory(function)
    made, context = factory(factory.Params(**given)), Surroundings()
    await made.start(context)
    return made, context


async def answered(function: Callable[..., Any], frame: Frame, **given: Any) -> Any:
    made, _ = await running(function, **given)
    return await made.process(frame)


def word(text: str) -> TextFrame:
    return TextFrame(pts=0, time_base=Fraction(1, 1000), track="text-0", text=text)


@stage
def dim(frame: VideoFrame, light: Annotated[float, Field(ge=0, le=1, description="how much stays")] = 0.5,
        *, mode: Literal["all", "none"] = "all", times: int = 1) -> VideoFrame:
    """Makes it darker."""
    return frame.with_bgr((frame.bgr * light**times).astype(np.uint8)) if mode == "all" else frame


# what a function becomes ------------------------------------------------------------------------------------


def test_parameters_and_kind_come_from_the_signature() -> None:
    registry = Registry(entries=[])
    registry.add("dim", dim)
    described = registry.describe()[-1]
    assert (described["name"], described["title"], described["doc"]) == ("dim", "Dim", "Makes it darker.")
    assert described["accepts"] == ["video"]
    properties = described["params"]["properties"]
    assert properties["light"] == {"default": 0.5, "description": "how much stays", "maximum": 1, "minimum": 0,
                                   "title": "Light", "type": "number"}
    assert properties["mode"]["enum"] == ["all", "none"]
    assert properties["times"]["type"] == "integer"
    with pytest.raises(ValidationError):
        as_factory(dim).Params(light=2)
    with pytest.raises(ValidationError):
        as_factory(dim).Params(brightness=1)


def test_the_function_stays_a_function() -> None:
    assert dim(video(picture=GREY), 0.1).bgr.max() == 10


def test_kinds() -> None:
    @stage
    def everything(frame: Frame) -> Frame:
        return frame

    @stage
    async def two(frame: AudioFrame | TextFrame) -> None: ...

    assert as_factory(everything).accepts == {"audio", "video", "text"}
    assert as_factory(two).accepts == {"audio", "text"}


def test_a_default_alone_is_type_enough() -> None:
    @stage
    def plain(frame: VideoFrame, strength=0.5, on=True) -> None: ...  # type: ignore[no-untyped-def]

    model = as_factory(plain).Params
    assert {name: item.annotation for name, item in model.model_fields.items()} == {"strength": float, "on": bool}


@pytest.mark.parametrize(("source", "told"), [
    ("def f(): ...", "takes no frame: write def f(frame: VideoFrame)"),
    ("def f(*frames: VideoFrame): ...", "takes no frame"),
    ("def f(frame): ...",
     "say what 'frame' is, a VideoFrame, AudioFrame, TextFrame or Frame: def f(frame: VideoFrame)"),
    ("def f(frame: int): ...", "say what 'frame' is"),
    ("def f(frame: VideoFrame | None): ...", "say what 'frame' is"),
    ("def f(frame: 'Vidoeframe'): ...", "an annotation can't be read: name 'Vidoeframe' is not defined"),
    ("def f(frame: VideoFrame, light: float): ...", "'light' needs a default"),
    ("def f(frame: VideoFrame, light=None): ...", "'light' needs an annotation"),
    ("def f(frame: VideoFrame, *rest: int): ...", "can't be set by name"),
    ("def f(frame: VideoFrame, **rest: int): ...", "can't be set by name"),
    ("def f(frame: VideoFrame, track: str = ''): ...", "'track' can't be the name of a parameter"),
    ("def f(frame: VideoFrame, copy: bool = True): ...", "'copy' can't be the name of a parameter"),
    ("def f(frame: VideoFrame, _x: int = 1): ...", "'_x' can't be the name of a parameter"),
    ("def f(frame: VideoFrame, light: Annotated[float, Field(le=1)] = 5): ...", "the default of 'light' is outside"),
    ("def f(frame: VideoFrame, context: Context): ...", "only an async def can take a Context"),
    ("def f(frame: VideoFrame, room: Room): ...", "'room' is None in a session that is of no room: write"),
    ("def f(frame: VideoFrame):\n    yield frame", "return a list"),
    ("async def f(frame: VideoFrame):\n    yield frame", "return a list"),
])
def test_what_the_signature_lacks_is_said(source: str, told: str) -> None:
    names = {"stage": stage, "VideoFrame": VideoFrame, "Annotated": Annotated, "Field": Field, "Context": Context,
             "Room": Room}
    with pytest.raises(TypeError) as refused:
        exec(f"@stage\n{source}", names)
    assert told in str(refused.value)


# running ----------------------------------------------------------------------------------------------------

on_the_loop = pytest.mark.anyio


@on_the_loop
async def test_a_def_runs_in_a_thread_and_an_async_def_on_the_loop() -> None:
    seen: dict[str, int] = {}

    @stage
    def plain(frame: VideoFrame) -> None:
        seen["plain"] = threading.get_ident()

    @stage
    async def waiting(frame: VideoFrame) -> None:
        await asyncio.sleep(0)
        seen["waiting"] = threading.get_ident()

    await answered(plain, video(picture=GREY))
    await answered(waiting, video(picture=GREY))
    assert seen["plain"] != threading.get_ident() == seen["waiting"]


@on_the_loop
async def test_parameters_arrive_and_change_live() -> None:
    made, _ = await running(dim, light=0.5)
    frame = video(picture=GREY)
    assert (await made.process(frame)).bgr.max() == 50
    made.update(as_factory(dim).Params(light=0.2, times=2))
    assert (await made.process(frame)).bgr.max() == 4
    made.update(as_factory(dim).Params(mode="none"))
    assert await made.process(frame) is frame


@on_the_loop
async def test_a_context_for_events_and_later_frames() -> None:
    @stage
    async def tells(frame: AudioFrame, context: Context, offset: float = 1) -> AudioFrame:
        context.event(AudioLevel(rms=-offset, peak=0), frame)
        context.emit(frame.replace(pts=frame.pts + 1))
        return frame

    assert list(as_factory(tells).Params.model_fields) == ["offset"]
    made, context = await running(tells, offset=3)
    await made.process(audio(silence()))
    assert [data for data, _ in context.events] == [AudioLevel(rms=-3, peak=0)]
    assert [frame.pts for _, frame in context.emitted] == [1]


@on_the_loop
async def test_a_def_sees_the_room_as_it_is_at_each_frame() -> None:
    @stage
    def last_words(frame: TextFrame, room: Room | None, otherwise: str = "no room") -> str:
        return otherwise if room is None else room.captions[-1].text

    assert list(as_factory(last_words).Params.model_fields) == ["otherwise"]
    made, context = await running(last_words)
    assert (await made.process(word("x"))).text == "no room"
    context.room = Room("standup", "1", (Person("1", "Ann"),), (Caption("1", "Ann", "Nine boats.", 1.0),))
    assert (await made.process(word("x"))).text == "Nine boats."


@on_the_loop
async def test_pictures_as_arrays() -> None:
    @stage
    def negative(frame: VideoFrame) -> Any:
        return 255 - frame.bgr

    @stage
    def half(frame: VideoFrame) -> Any:
        return frame.bgr * 0.5

    @stage
    def bright(frame: VideoFrame) -> Any:
        return frame.bgr * 9.0

    @stage
    async def one_plane(frame: VideoFrame) -> Any:
        return frame.bgr[:, :, :1]

    frame = video(picture=GREY, captured=3.0)
    assert (await answered(negative, frame)).bgr.max() == 155
    assert (await answered(half, frame)).bgr.max() == 50
    assert (await answered(bright, frame)).bgr.min() == 255  # clipped, not wrapped
    grey = await answered(one_plane, frame)
    assert (grey.bgr == 100).all()
    assert (grey.pts, grey.captured, grey.width) == (frame.pts, 3.0, 64)


@on_the_loop
async def test_real_pictures_keep_their_number() -> None:
    assert read_number((await answered(dim, video(1234), light=0.9)).bgr) == 1234


@on_the_loop
async def test_samples_as_arrays() -> None:
    @stage
    def louder(frame: AudioFrame, factor: float = 2.0) -> Any:
        return frame.samples * factor

    @stage
    def flat(frame: AudioFrame) -> Any:
        return frame.samples[:, 0]

    samples = tone(0.02)
    np.testing.assert_array_equal((await answered(louder, audio(samples))).samples, samples * 2)
    clipped = (await answered(louder, audio(samples), factor=1000.0)).samples
    assert (clipped.min(), clipped.max(), clipped.dtype) == (-32768, 32767, np.int16)
    assert (await answered(flat, audio(samples))).samples.shape == samples.shape


@on_the_loop
async def test_text_lists_and_nothing() -> None:
    @stage
    async def shout(frame: TextFrame) -> str:
        return frame.text.upper()

    @stage
    def twice(frame: Frame) -> list[Frame]:
        return [frame, frame.replace(pts=frame.pts + 1)]

    @stage
    def nothing(frame: Frame) -> None: ...

    assert (await answered(shout, word("hello"))).text == "HELLO"
    assert [frame.pts for frame in await answered(twice, word("a"))] == [0, 1]
    assert await answered(nothing, word("a")) is None


@on_the_loop
@pytest.mark.parametrize(("answer", "told"), [
    (7, "can't answer int for a VideoFrame"), ("text", "can't answer str"), ([None], "can't answer NoneType"),
    (np.zeros((0, 0, 3), np.uint8), "can't answer uint8 (0, 0, 3)"),
    (np.zeros((4, 4, 4), np.uint8), "not (4, 4, 4)"), (np.zeros(5), "not (5,)"), (np.zeros((1, 9, 3)), "not (1, 9, 3)"),
    (np.zeros((4, 4), np.complex64), "complex64"), (np.array(["a"]), "<U1"),
])
async def test_an_answer_that_makes_no_sense_is_said(answer: object, told: str) -> None:
    @stage
    def odd(frame: VideoFrame) -> Any:
        return answer

    @stage
    async def odd_too(frame: VideoFrame) -> Any:
        return answer

    for function in (odd, odd_too):
        with pytest.raises(TypeError) as refused:
            await answered(function, video(picture=GREY))
        assert told in str(refused.value)


@on_the_loop
async def test_what_it_raises_comes_out() -> None:
    @stage
    def fails(frame: VideoFrame) -> None:
        raise ZeroDivisionError("by purpose")

    with pytest.raises(ZeroDivisionError, match="by purpose"):
        await answered(fails, video(picture=GREY))


@on_the_loop
async def test_a_function_with_a_ladder_is_told_its_rung() -> None:
    @stage(ladder=[Rung("fine"), Rung("coarse", "fewer levels", cost=0.3)])
    def levels(frame: VideoFrame, shade: int = 7, rung: int = 0) -> VideoFrame:
        return frame.with_bgr(np.full_like(frame.bgr, shade + 100 * rung))

    made, context = await running(levels)
    assert list(made.Params.model_fields) == ["shade"]
    assert [rung.name for rung in made.ladder] == ["fine", "coarse"]
    for rung, shade in ((0, 7), (1, 107), (9, 107)):
        context.rung = rung
        assert int((await made.process(video(picture=GREY))).bgr[0, 0, 0]) == shade
    assert levels(video(picture=GREY)).bgr[0, 0, 0] == 7

    @stage
    def plain(frame: VideoFrame, rung: int = 3) -> VideoFrame:
        return frame

    assert list(as_factory(plain).Params.model_fields) == ["rung"]


def test_a_ladder_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(TypeError, match="names of their own"):
        stage(ladder=[Rung("one"), Rung("one")])
    with pytest.raises(TypeError, match="list of rungs"):
        stage(ladder=["whole", "half"])  # type: ignore[list-item]
