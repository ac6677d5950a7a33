"""Which recognisers there are, what each could open now, and which one `auto` takes.

A recogniser is a class by the table below: ``available(settings)`` answers its offers and, where there are
none, why; ``open(engine, settings, ...)`` gives a `speech.contract.Recognizer` for one stream. Classes are
imported when they are first asked for.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, NamedTuple, Protocol, cast

from ..errors import InvalidInput, NotFound, Unavailable
from ..inference import Engine, Entry, ModelOf, installed
from ..inference.loader import VERSION
from ..settings import Settings
from ..speech.contract import HearingAbilities, Recognizer
from ..speech.words import Task

log = logging.getLogger(__name__)

# in the order in which `auto` prefers them where no measured word error rate says otherwise
RECOGNIZERS: dict[str, str] = {
    "whisper": "aimass_stream.hearing.whisper:WhisperRecognizer",
    "emformer": "aimass_stream.hearing.emformer:EmformerRecognizer",
    "pocketsphinx": "aimass_stream.hearing.sphinx:SphinxRecognizer",
}
AUTO = "auto"
# whose models they are, by the engine that their manifest names
HEARD_BY = {"aimass_stream.engines.faster_whisper:FasterWhisper": "whisper",
            "aimass_stream.engines.emformer:Emformer": "emformer"}
FORMER = {"en-us": "pocketsphinx-en-us"}  # names that models had; still taken


def _directory(said: str) -> bool:
    return "/" in said or said.startswith((".", "~"))


def _unheard(entry: Entry) -> str:
    if entry.engine not in HEARD_BY:
        return f"speech is recognised by {' and '.join(HEARD_BY.values())}, and {entry.engine} is none of them"
    missing = [item.path for item in entry.files if not (entry.folder / item.path).is_file()]
    return f"{missing[0]} is missing" if missing else ""


HEARS = ModelOf("speech-recognition", own=_directory, unfit=_unheard)


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that could be opened now, without any network."""

    model: str  # what `open` takes as its model: a name or a directory
    abilities: HearingAbilities
    wer: float | None = None  # word error rate on real speech, as measured by whoever made its card; None: not measured
    general: bool = True  # trained for everybody's speech; False: for tests and demonstrations
    rank: float = 0.0  # among offers of one engine without a measured error rate, the higher the better
    title: str = ""  # for people


Offers = tuple[list[Offer], str]  # and why there are none


class Opener(Protocol):
    """The class of a recogniser."""

    @staticmethod
    def available(settings: Settings) -> Offers: ...

    @classmethod
    async def open(cls, engine: Engine, settings: Settings, *, session: str, model: str, language: str | None,
                   task: Task, policy: str, prompt: str, hotwords: tuple[str, ...]) -> Recognizer:
        """Raises `InvalidInput` for what this engine can't do, `NotFound` or `Unavailable` for weights that aren't."""
        ...


class Choice(NamedTuple):
    engine: str
    model: str
    reason: str  # a sentence for the log and the client


async def open_recognizer(engine: Engine, settings: Settings, *, session: str, want: str = "", model: str = "",
                          language: str | None = None, task: Task = "transcribe", policy: str = "alignment",
                          prompt: str = "", hotwords: tuple[str, ...] = (),
                          choice: Choice | None = None) -> Recognizer:
    """A recogniser for one stream. `want` is an engine; "auto" or empty: what the settings say. `choice` is what
    `chosen` answered to a caller that tells its client of it.

    Raises `InvalidInput` or `NotFound`, saying what there is.
    """
    if choice is None:  # in a thread: it imports the engines' libraries and looks at files
        choice = await asyncio.to_thread(chosen, settings, want=want, model=model, language=language, task=task)
    log.info("%s hears with %s: %s", session, named(choice.engine, choice.model), choice.reason)
    return await opener(choice.engine).open(engine, settings, session=session, model=choice.model, language=language,
                                            task=task, policy=policy, prompt=prompt, hotwords=hotwords)


def chosen(settings: Settings, *, want: str = "", model: str = "", language: str | None = None,
           task: Task = "transcribe") -> Choice:
    """Which engine and model would be opened, and why. It looks at files: call it in a thread where that matters.

    Raises `InvalidInput` or `NotFound`, saying what there is.
    """
    asked = want not in ("", AUTO)  # by the caller; a stage that says "auto" leaves it to the settings
    want = want if asked else settings.hearing
    if want != AUTO and want not in RECOGNIZERS:
        raise InvalidInput(f"there is no recogniser {want[:64]!r}; there are: auto, {', '.join(RECOGNIZERS)}",
                           field="engine")
    if VERSION.fullmatch(model):
        return _version(model, want if asked else AUTO)
    every = {name: _offers(name, settings) for name in RECOGNIZERS}
    offers = every if want == AUTO else {want: every[want]}
    if model:
        return _named(model, want, offers if asked else every)
    if settings.hearing_model:
        configured = _named(settings.hearing_model, settings.hearing, every)
        if want in (AUTO, configured.engine):
            return configured._replace(reason="the settings name it")
    found = [(name, offer) for name, (each, _) in offers.items() for offer in each if _can(offer, language, task)]
    if not found:
        if not any(each for each, _ in offers.values()) and want != AUTO:
            raise NotFound(_missing(want, every), field="engine")
        raise NotFound(_nothing(offers, language, task), field="engine")
    found.sort(key=lambda item: _order(*item))
    name, best = found[0]
    return Choice(name, best.model, _reason(want, found))


def describe(settings: Settings) -> list[dict[str, Any]]:
    """Every engine: whether it is available, if not why, its models, and what they can do, asked of the engine."""
    described = []
    for name in RECOGNIZERS:
        offers, reason = _offers(name, settings)
        languages = sorted({language for offer in offers for language in offer.abilities.languages})
        models = [{"name": offer.model, "title": offer.title, "wer_real": offer.wer, "general": offer.general,
                   "abilities": asdict(offer.abilities)} for offer in offers]
        described.append({"engine": name, "available": bool(offers), "reason": reason, "languages": languages,
                          "models": models})
    return described


def named(engine: str, model: str) -> str:
    """Both for people: the engine is not said twice."""
    return model if model.startswith(engine) else f"{engine} {model}"


@cache
def opener(name: str) -> Opener:
    module, _, attribute = RECOGNIZERS[name].partition(":")
    return cast(Opener, getattr(importlib.import_module(module), attribute))


def _offers(name: str, settings: Settings) -> Offers:
    try:
        return opener(name).available(settings)
    except ImportError as error:
        return [], f"can't be loaded: {error}"
    except Unavailable as error:
        return [], error.detail


def _can(offer: Offer, language: str | None, task: Task) -> bool:
    spoken = language is None or language in offer.abilities.languages
    return spoken and (task == "transcribe" or offer.abilities.translation)


def _order(name: str, offer: Offer) -> tuple[Any, ...]:
    """Sorts the best to the front: weights that somebody fetched, then what comes with the package by its WER."""
    measured = offer.wer is not None
    if offer.general and not measured:
        return 0, list(RECOGNIZERS).index(name), -offer.rank
    return 1, not measured, offer.wer or 0.0, list(RECOGNIZERS).index(name)


def _reason(want: str, found: Sequence[tuple[str, Offer]]) -> str:
    best = found[0][1]
    others = [f"{named(other, offer.model)} {_rate(offer)}" for other, offer in found[1:] if offer.wer is not None]
    if len(found) == 1:
        return "the only one that is here" if want == AUTO else "asked for, with its only model"
    if best.wer is None:
        return "the best of the trained weights that are here"
    told = f"the fewest wrong words on real speech of what is here: {_rate(best)}"
    return f"{told} ({', '.join(others)})" if others else told


def _rate(offer: Offer) -> str:
    return "not measured" if offer.wer is None else f"WER {offer.wer:.0%}"


def _named(model: str, want: str, offers: dict[str, Offers]) -> Choice:
    model = FORMER.get(model, model)
    for name, (each, _) in offers.items():
        if any(offer.model == model for offer in each):
            return Choice(name, model, "asked for by name")
    if want != AUTO:  # its own words say what is wrong with a directory
        return Choice(want, model, "asked for by name")
    if _directory(model):
        return Choice("whisper", model, "a directory was given")
    there = sorted({offer.model for each, _ in offers.values() for offer in each})
    raise NotFound(f"there is no model {model[:200]!r} to hear with; there are: {', '.join(there) or 'none'}",
                   field="model")


def _version(model: str, want: str) -> Choice:
    """Of the hub: in no list, and found by its name."""
    try:
        entry = installed().get(model)
    except NotFound:
        raise NotFound(f"there is no model {model} to hear with", field="model") from None
    HEARS.check(entry)
    engine = HEARD_BY[entry.engine]
    if want not in (AUTO, engine):
        raise InvalidInput(f"{model} is a model of {engine}, not of {want}", field="engine")
    return Choice(engine, model, "asked for by name")


def _missing(want: str, every: dict[str, Offers]) -> str:
    there = [name for name, (each, _) in every.items() if each]
    return f"{want} can't be used here ({every[want][1]}); there are: {', '.join([AUTO, *there])}"


def _nothing(offers: dict[str, Offers], language: str | None, task: Task) -> str:
    asked = [f"hears {language!r}"] if language else []
    asked += ["translates"] if task == "translate" else []
    reasons = [f"{name}: {reason or 'its models do not'}" for name, (_, reason) in offers.items()]
    return f"nothing that is here {' and '.join(asked) or 'recognises speech'} ({'; '.join(reasons)})"
