"""The voice engines there are, which one `auto` takes, and the names that clients of OpenAI's know."""

from __future__ import annotations

import asyncio
import importlib
import logging
from typing import Any, Protocol, cast

from ..errors import AimassError, NotFound, Unavailable
from ..inference.engine import Engine
from ..settings import Settings
from ..speech.contract import Synthesizer, Voice

log = logging.getLogger(__name__)

# the better ones first: `auto` takes the first that is really there. Adding one is a file or folder in engines/ and
# a line here
ENGINES = {
    "piper": "aimass_stream.engines.piper:Piper",
    "tacotron2": "aimass_stream.engines.tacotron2:Tacotron2",
    "espeak": "aimass_stream.engines.espeak:Espeak",
}

# of each engine: a voice for each name of OpenAI's, as near in pitch as there is one
OPENAI_NAMES = {
    "alloy": "en-us+f2", "ash": "en-us+m3", "ballad": "en-gb+m7", "coral": "en-us+f4", "echo": "en-us+m1",
    "fable": "en-gb", "nova": "en-us+f3", "onyx": "en-us+m5", "sage": "en-us+f5", "shimmer": "en-us+f1",
    "verse": "en-us", "marin": "en-gb+f3", "cedar": "en-gb+m1",
}


class Factory(Protocol):
    """The class of an engine."""

    async def open(self, engine: Any, settings: Settings) -> Synthesizer: ...

    def unavailable(self, settings: Settings) -> str:
        """Why it can't be used here, in a sentence; empty if it can. Looks at files, loads nothing."""
        ...

    def languages(self, settings: Settings) -> list[str]: ...


def factory(name: str) -> Factory:
    """Raises `NotFound` naming the engines there are."""
    if name not in ENGINES:
        raise NotFound(f"there is no voice engine {name[:64]!r}; there are: auto, {', '.join(ENGINES)}",
                       field="engine")
    module, _, attribute = ENGINES[name].partition(":")
    return cast(Factory, getattr(importlib.import_module(module), attribute))


async def open_synthesizer(engine: Engine, settings: Settings, want: str = "") -> Synthesizer:
    """The voice engine of this name, shared by all sessions; empty for the settings' own, "auto" for the best there is.

    Raises `NotFound`, or `Unavailable` with the reason.
    """
    want = want or settings.voice_engine
    if want != "auto":
        return await _open(engine, settings, want)
    reasons = []
    for name in ENGINES:
        try:
            return await _open(engine, settings, name)
        except AimassError as error:
            reasons.append(f"{name}: {error.detail}")
    raise Unavailable(f"there is no voice: {'; '.join(reasons)}")


async def _open(engine: Engine, settings: Settings, name: str) -> Synthesizer:
    made = await asyncio.to_thread(factory, name)  # an import may take long
    reason = await asyncio.to_thread(made.unavailable, settings)
    if reason:
        raise Unavailable(reason)
    return await engine.share(f"voice {name}", lambda: made.open(engine, settings))


def describe(settings: Settings) -> list[dict[str, Any]]:
    """Every engine: whether it can be used, why not, and the languages that it says it speaks. Looks at files."""
    found = []
    for name in ENGINES:
        try:
            made = factory(name)
            reason = made.unavailable(settings)
            languages = [] if reason else made.languages(settings)
        except ImportError as error:
            reason, languages = str(error), []
        found.append({"engine": name, "available": not reason, "reason": reason, "languages": languages})
    return found


async def voices(engine: Engine, settings: Settings) -> list[Voice]:
    """The voices of every engine that can be used, the engine that `auto` would take first."""
    found: list[Voice] = []
    for name in ENGINES:
        try:
            found += (await _open(engine, settings, name)).voices()
        except AimassError as error:
            log.debug("no voices of %s: %s", name, error)
    return found


def voice_id(synthesizer: Synthesizer, name: str) -> str:
    """A voice's id, of that id or of a name of OpenAI's; empty for the engine's default. Others pass unchanged."""
    known = OPENAI_NAMES.get(name.lower())
    if known is None:
        return name
    listed = synthesizer.voices()
    if any(voice.id == known for voice in listed):
        return known
    place = list(OPENAI_NAMES).index(name.lower())  # other engines: spread over the voices they have
    return listed[place % len(listed)].id if listed else ""
