"""Any Python function is a stage.

    from aimass_stream.functions import VideoFrame, stage

    @stage
    def dim(frame: VideoFrame, light: float = 0.5) -> VideoFrame:
        return frame.with_bgr((frame.bgr * light).astype("uint8"))

The first parameter's annotation says what it takes: `VideoFrame`, `AudioFrame`, `TextFrame`, several of them
with ``|``, or `Frame` for all. Every other parameter becomes a parameter of the stage: it needs a default, its
annotation is its type, and ``Annotated[float, Field(ge=0, le=1)]`` gives it a range. One annotated `Context`
gets the stage's context (in an ``async def`` only, because a context belongs to the event loop). One annotated
``Room | None`` gets what is to be seen of the room of a meeting that the session is of, None outside rooms.

It answers a frame, an array (BGR or grey pixels, or samples; other number types are rounded and clipped), a
text for a text frame, a list of these, or None to drop the frame.

A plain ``def`` runs in one of the session's threads, so a slow one holds up neither the loop nor sound. It
still shares Python's interpreter lock: native code (NumPy, OpenCV, ONNX) lets go of it, a loop in Python does
not and slows every session of the process. An ``async def`` runs on the loop and may await; it must not
compute for more than 2 ms a frame. The decorated function stays what it was and can be called in a test.

A stage that can do with less says so, and keeps a promised latency that way. Here the server shrinks and enlarges::

    @stage(ladder=[Rung("whole"), Rung("half size", "works on half the size", scale=0.5)])

and one that goes down in its own way takes a parameter `rung`, the number of the rung that is wanted now::

    @stage(ladder=[Rung("fine"), Rung("coarse", "fewer rounds", cost=0.3)])
    def etch(frame: VideoFrame, rung: int = 0) -> VideoFrame: ...
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints, overload

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from .frames import AudioFrame, Frame, Kind, TextFrame, VideoFrame
from .stage import Caption, Context, Person, Result, Room, Rung
from .stage_base import BaseStage, Params

__all__ = ["AudioFrame", "Caption", "Context", "Field", "Frame", "Person", "Room", "Rung", "TextFrame", "VideoFrame",
           "stage"]

F = TypeVar("F", bound=Callable[..., Any])

KIND_OF: dict[object, Kind] = {VideoFrame: "video", AudioFrame: "audio", TextFrame: "text"}
TAKEN = ("stage", "id", "track")  # names with a meaning of their own in a pipeline
RUNG = "rung"  # the parameter of a function with a ladder that says where on it to work


class FunctionParams(Params):
    model_config = ConfigDict(validate_default=True, arbitrary_types_allowed=False)


class FunctionStage(BaseStage[BaseModel]):
    """The stage made of a function; `stage` derives one class for each."""

    function: ClassVar[Callable[..., Any]]
    context_name: ClassVar[str | None] = None
    room_name: ClassVar[str | None] = None
    takes_rung: ClassVar[bool] = False

    async def process(self, frame: Frame) -> Result:
        arguments = {name: getattr(self.params, name) for name in type(self.params).model_fields}
        if self.takes_rung:
            arguments[RUNG] = self.rung
        if self.room_name is not None:
            arguments[self.room_name] = self.context.room
        if not inspect.iscoroutinefunction(self.function):
            called: Result = await self.context.run(self._call, frame, arguments)
            return called
        if self.context_name is not None:
            arguments[self.context_name] = self.context
        answer = await self.function(frame, **arguments)
        if answer is None or isinstance(answer, VideoFrame | AudioFrame | TextFrame):
            return answer
        converted: Result = await self.context.run(as_result, answer, frame)  # of arrays, that takes milliseconds
        return converted

    def _call(self, frame: Frame, arguments: dict[str, Any]) -> Result:
        return as_result(self.function(frame, **arguments), frame)


@overload
def stage(function: F, /) -> F: ...
@overload
def stage(*, ladder: Sequence[Rung]) -> Callable[[F], F]: ...
def stage(function: F | None = None, /, *, ladder: Sequence[Rung] = ()) -> F | Callable[[F], F]:
    """Make a function a stage; `ladder` says how it can do with less. Raises `TypeError` that says what is wrong."""
    sound = all(isinstance(rung, Rung) for rung in ladder)  # whatever somebody's file has there
    if not sound or len({rung.name for rung in ladder}) != len(ladder):
        raise TypeError("a ladder is a list of rungs with names of their own, the first of which is all of it")

    def make(function: F) -> F:
        return _staged(function, tuple(ladder))

    return make if function is None else make(function)


def _staged(function: F, ladder: tuple[Rung, ...]) -> F:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{_name(function)} is a generator; to answer several frames, return a list")
    first, *rest = _parameters(function)
    hints = _hints(function)
    kinds = _kinds(function, first.name, hints.get(first.name))
    context_name = next((item.name for item in rest if hints.get(item.name) is Context), None)
    if context_name is not None and not inspect.iscoroutinefunction(function):
        raise TypeError(f"{_name(function)}: only an async def can take a Context, it belongs to the event loop")
    room_name = next((item.name for item in rest if hints.get(item.name) == Room | None), None)
    takes_rung = bool(ladder) and any(item.name == RUNG for item in rest)
    own = {context_name, room_name, RUNG if takes_rung else None}
    fields = {item.name: _field(function, item, hints) for item in rest if item.name not in own}
    params = create_model(_name(function), __base__=FunctionParams, **fields)  # type: ignore[call-overload]
    try:
        params()
    except ValidationError as error:
        first_error = error.errors()[0]
        raise TypeError(f"{_name(function)}: the default of {first_error['loc'][0]!r} is outside its own range: "
                        f"{first_error['msg']}") from None
    made = types.new_class(_name(function), (FunctionStage,), exec_body=lambda body: body.update({
        "accepts": kinds, "Params": params, "function": staticmethod(function), "context_name": context_name,
        "room_name": room_name,
        "ladder": ladder, "takes_rung": takes_rung,
        "__doc__": function.__doc__, "__module__": function.__module__,
    }))
    function.__aimass_stage__ = made  # type: ignore[attr-defined]
    return function


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in (inspect.Parameter.POSITIONAL_ONLY,
                                                    inspect.Parameter.POSITIONAL_OR_KEYWORD):
        raise TypeError(f"{_name(function)} takes no frame: write def {_name(function)}(frame: VideoFrame)")
    for item in parameters[1:]:
        if item.kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            raise TypeError(f"{_name(function)}: {str(item)!r} can't be set by name, as a stage's parameters are")
    return parameters


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(f"{_name(function)}: an annotation can't be read: {error}") from None


def _kinds(function: Callable[..., Any], name: str, annotation: object) -> frozenset[Kind]:
    wanted = get_args(annotation) if get_origin(annotation) in (types.UnionType, Union) else (annotation,)
    if not all(item in KIND_OF for item in wanted):
        raise TypeError(f"{_name(function)}: say what {name!r} is, a VideoFrame, AudioFrame, TextFrame or Frame: "
                        f"def {_name(function)}({name}: VideoFrame)")
    return frozenset(KIND_OF[item] for item in wanted)


def _field(function: Callable[..., Any], item: inspect.Parameter, hints: dict[str, Any]) -> tuple[Any, Any]:
    where = f"{_name(function)}: {item.name!r}"
    if item.name in TAKEN or item.name.startswith("_") or hasattr(BaseModel, item.name):
        raise TypeError(f"{where} can't be the name of a parameter; choose another")
    if hints.get(item.name) is Room:
        raise TypeError(f"{where} is None in a session that is of no room: write {item.name}: Room | None")
    if item.default is inspect.Parameter.empty:
        raise TypeError(f"{where} needs a default, so that the stage can be added without parameters")
    if item.name not in hints and item.default is None:
        raise TypeError(f"{where} needs an annotation")
    return hints.get(item.name, type(item.default)), item.default


def as_result(answer: object, frame: Frame) -> Result:
    """What a function answered for `frame`, as a stage answers it. Raises `TypeError` for anything else."""
    if isinstance(answer, list | tuple):
        return [_as_frame(item, frame) for item in answer]
    return None if answer is None else _as_frame(answer, frame)


def _as_frame(answer: object, frame: Frame) -> Frame:
    if isinstance(answer, VideoFrame | AudioFrame | TextFrame):
        return answer
    if isinstance(answer, str) and isinstance(frame, TextFrame):
        return frame.replace(text=answer)
    if isinstance(answer, np.ndarray) and answer.dtype.kind in "uif" and answer.size:
        if isinstance(frame, VideoFrame):
            return _with_pixels(answer, frame)
        if isinstance(frame, AudioFrame) and answer.ndim in (1, 2):
            return frame.replace(samples=_clipped(answer, np.int16).reshape(len(answer), -1))
    shown = f"{answer.dtype} {answer.shape}" if isinstance(answer, np.ndarray) else type(answer).__name__
    raise TypeError(f"a stage can't answer {shown} for a {type(frame).__name__}; it answers a frame, "
                    "(h, w, 3) or (h, w) pixels, (n, channels) samples, a list of these, or None")


def _with_pixels(pixels: np.ndarray[Any, Any], frame: VideoFrame) -> VideoFrame:
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3) or min(pixels.shape[:2]) < 2:
        raise TypeError(f"a picture has the shape (h, w, 3) or (h, w), at least 2 px each way, not {pixels.shape}")
    whole = _clipped(pixels, np.uint8)
    return frame.with_bgr(whole if whole.ndim == 3 else np.asarray(cv2.cvtColor(whole, cv2.COLOR_GRAY2BGR), np.uint8))


def _clipped(values: np.ndarray[Any, Any], wanted: type[np.uint8] | type[np.int16]) -> np.ndarray[Any, Any]:
    """Rounded to whole numbers inside the range of `wanted`; no copy where it is that already."""
    if values.dtype == wanted:
        return values
    limits = np.iinfo(wanted)
    return np.asarray(np.clip(np.rint(values), limits.min, limits.max), wanted)
