"""The stages there are: ours by the table below, others by entry points, both loaded in the same way.

A package offers stages by naming them in its `pyproject.toml`::

    [project.entry-points."aimass_stream.stages"]
    glow = "my_package:glow"

What such a name leads to is a class as `stage.Stage` describes it, made with its checked parameters, or a
function under `functions.stage`. One that can't be loaded is listed with its error and harms no other.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, cast

from pydantic import BaseModel

from ..errors import InvalidPipeline
from ..frames import KINDS, Kind
from ..inference import ModelOf, model_fields
from ..stage import Stage

log = logging.getLogger(__name__)

GROUP = "aimass_stream.stages"

# in the order the page offers them; adding a stage is one file beside this one and one line here
BUILT_IN = {
    "mirror": "mirror:Mirror",
    "rotate": "rotate:Rotate",
    "crop": "crop:Crop",
    "gray": "gray:Gray",
    "edges": "edges:Edges",
    "cartoon": "cartoon:Cartoon",
    "blur": "blur:Blur",
    "style": "style:Style",
    "colour": "colour:Colour",
    "text": "text:Text",
    "captions": "captions:Captions",
    "model": "model:ImageModel",
    "detect": "detect:Detect",
    "classify": "classify:Classify",
    "ocr": "ocr:Ocr",
    "background": "background:Background",
    "faces": "faces:Faces",
    "hands": "hands:Hands",
    "motion": "motion:Motion",
    "rule": "rule:RuleStage",
    "fps": "fps:Fps",
    "denoise": "denoise:Denoise",
    "agc": "agc:Agc",
    "gain": "gain:Gain",
    "level": "level:Level",
    "mute": "mute:Mute",
    "delay": "delay:Delay",
    "vad": "vad:Vad",
    "asr": "asr:Asr",
    "tts": "tts:Tts",
    "assistant": "assistant:Assistant",
}


class Factory(Protocol):
    """What makes a stage of checked parameters; most often the stage's class."""

    accepts: frozenset[Kind]
    Params: type[BaseModel]

    def __call__(self, params: Any, /) -> Stage: ...


class Registry:
    """Stages by name. Nothing is imported before it is asked for; `load` does it all, for use off the loop."""

    def __init__(self, entries: Iterable[EntryPoint] | None = None) -> None:
        """`entries` are those of other packages: None takes what is installed."""
        self._entries = {name: EntryPoint(name, f"{__name__}.{value}", GROUP) for name, value in BUILT_IN.items()}
        self._factories: dict[str, Factory] = {}
        self._errors: dict[str, str] = {}
        self._described: dict[str, dict[str, Any]] = {}
        installed = entry_points(group=GROUP) if entries is None else entries
        for entry in sorted(installed, key=lambda entry: entry.name):
            if entry.name in self._entries:
                log.warning("stage %r of %s is left out: there is one of that name", entry.name, entry.value)
            else:
                self._entries[entry.name] = entry

    def names(self) -> list[str]:
        return [*self._entries, *(name for name in self._factories if name not in self._entries)]

    def load(self) -> None:
        """Import and describe all of them, which takes long: call this before the loop runs, or in a thread."""
        self.describe()

    def params(self, name: str) -> type[BaseModel] | None:
        """The parameters of a stage, None if there is none of this name. Raises `InvalidPipeline` if it is broken."""
        factory = self._factory(name)
        if factory is None and name in self._errors:
            raise InvalidPipeline(f"stage {name!r} can't be used: {self._errors[name]}")
        return None if factory is None else factory.Params

    def listens(self, name: str) -> bool:
        """True for a stage that has speech recognised: sessions with one are admitted by a count of their own."""
        return bool(getattr(self._factory(name), "listens", False))

    def models(self, name: str) -> Mapping[str, ModelOf]:
        """Which of its parameters name models; none of a stage that is not there."""
        factory = self._factory(name)
        return {} if factory is None else model_fields(factory.Params)

    def load_of(self, name: str) -> float:
        """Cores that a stage says it takes for 640x480 pictures, 30 a second; 0 if it does not say."""
        return float(getattr(self._factory(name), "load", 0.0))

    def create(self, name: str, params: BaseModel) -> Stage:
        """A new stage with parameters that `params(name)` has checked. Raises what the stage raises."""
        factory = self._factory(name)
        if factory is None:
            raise InvalidPipeline(f"there is no stage {name!r} that can be used")
        return factory(params)

    def add(self, name: str, stage: object) -> None:
        """Offer a stage's class, or a function under `functions.stage`, in place of any other of this name.

        Raises `TypeError` that says what is missing.
        """
        factory = as_factory(stage)
        self.remove(name)
        self._factories[name] = factory

    def remove(self, name: str) -> None:
        """Offer it no longer; a stage that runs goes on."""
        for table in (self._entries, self._factories, self._errors, self._described):
            table.pop(name, None)

    def describe(self) -> list[dict[str, Any]]:
        """What ``GET /v1/stages`` lists: name, title, doc, accepts and the JSON Schema of the parameters.

        A broken one has an ``error``, accepts nothing and has no parameters.
        """
        return [self._describe(name) for name in self.names()]

    def _describe(self, name: str) -> dict[str, Any]:
        factory = self._factory(name)
        if factory is None:
            return {"name": name, "title": name, "doc": "", "accepts": [], "params": {}, "error": self._errors[name]}
        if name not in self._described:
            self._described[name] = _description(name, factory)
        return self._described[name]

    def refresh(self) -> None:
        """Describe all of them anew, for what is installed has changed; in a thread, for it takes long."""
        factories = {name: self._factory(name) for name in self.names()}
        self._described = {name: _description(name, factory) for name, factory in factories.items() if factory}

    def _factory(self, name: str) -> Factory | None:
        if name not in self._factories and name in self._entries and name not in self._errors:
            try:
                self._factories[name] = as_factory(self._entries[name].load())
            except (Exception, SystemExit) as error:  # whatever another package's import may raise
                log.warning("stage %r can't be loaded", name, exc_info=error)
                self._errors[name] = f"{type(error).__name__}: {error}"
        return self._factories.get(name)


def _description(name: str, factory: Factory) -> dict[str, Any]:
    title = getattr(factory, "title", None) or name.replace("_", " ").replace("-", " ").capitalize()
    return {
        "name": name, "title": title, "doc": inspect.cleandoc(factory.__doc__ or ""),
        "accepts": [kind for kind in KINDS if kind in factory.accepts],
        "params": factory.Params.model_json_schema(),
        "phrases": dict(getattr(factory, "phrases", {})),
        "ladder": [{"name": rung.name, "says": rung.says} for rung in getattr(factory, "ladder", ())],
    }


def as_factory(value: object) -> Factory:
    """The stage's class behind a class or a decorated function. Raises `TypeError` that says what is missing."""
    factory = getattr(value, "__aimass_stage__", value)
    named = getattr(factory, "__name__", repr(factory))
    if not callable(factory):
        raise TypeError(f"{named} is neither a stage's class nor a function under @stage")
    accepts, params = getattr(factory, "accepts", None), getattr(factory, "Params", None)
    if inspect.isroutine(value) and not hasattr(value, "__aimass_stage__"):
        raise TypeError(f"{named} is a function without @stage")
    if not isinstance(accepts, frozenset | set) or not accepts or not accepts <= set(KINDS):
        raise TypeError(f"{named}.accepts must be a set of some of {', '.join(KINDS)}")
    if not isinstance(params, type) or not issubclass(params, BaseModel):
        raise TypeError(f"{named}.Params must be a pydantic model")
    for method in ("start", "process", "close"):
        if isinstance(factory, type) and not inspect.iscoroutinefunction(getattr(factory, method, None)):
            raise TypeError(f"{named}.{method} must be an async method")
    if isinstance(factory, type) and not callable(getattr(factory, "update", None)):
        raise TypeError(f"{named}.update must be a method")
    return cast(Factory, factory)
