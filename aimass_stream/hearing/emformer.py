"""Emformer RNN-T as a recogniser: true streaming, a token once said is never changed."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import itertools
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..errors import InvalidInput, NotFound, Unavailable
from ..inference import Engine, installed
from ..inference.loader import named as by_name
from ..settings import Settings
from ..speech.contract import Heard, HearingAbilities
from ..speech.words import Task, Waveform, Word
from .recognizers import Offer, Offers

MODULE = "aimass_stream.engines.emformer"
CLASS = f"{MODULE}:Emformer"
ABILITIES = HearingAbilities(languages=("en",), word_times=True, confidence=True, batching=True, hotwords=False,
                             translation=False)
LEAD = 200  # samples of silence before the first: the features' windows stand around their moments
CLOSED = 12  # encoded frames without a token, after which a word has all of its tokens

_numbers = itertools.count(1)


class EmformerRecognizer:
    engine = "emformer"

    def __init__(self, engine: Engine, name: str, *, title: str, session: str) -> None:
        self.model = title
        self.abilities = ABILITIES
        self._engine = engine
        self._name = name
        self._session = session
        self._loaded = cast(Any, engine.models()[name])
        self._state = f"{session} {next(_numbers)}"
        self._words = TokenWords(self._loaded.vocabulary, self._loaded.frame)
        self._sound: Waveform = np.zeros(0, np.float32)
        self._began = 0.0

    @staticmethod
    def available(settings: Settings) -> Offers:
        missing = [name for name in ("torch", "torchaudio") if importlib.util.find_spec(name) is None]
        if missing:
            return [], f"{' and '.join(missing)} can't be found: install the extra 'torch'"
        offers = [Offer(entry.name, ABILITIES, title=entry.title, wer=_number(entry.card.get("wer_real")),
                        general=bool(entry.card.get("general", False)))
                  for entry in installed().entries() if entry.engine == CLASS]
        module = importlib.import_module(MODULE)
        if module.cached() is not None:
            offers.append(Offer(module.BUNDLE, ABILITIES, title="torchaudio's Emformer RNN-T, trained on LibriSpeech"))
        return offers, "" if offers else "no trained weights are here: name their directory as the model"

    @classmethod
    async def open(cls, engine: Engine, settings: Settings, *, session: str, model: str = "",
                   language: str | None = None, task: Task = "transcribe", policy: str = "", prompt: str = "",
                   hotwords: tuple[str, ...] = ()) -> EmformerRecognizer:
        """`model`: a name out of `available`, or a directory. Raises `InvalidInput`, `NotFound` or `Unavailable`."""
        if language not in (None, "", "en"):
            raise InvalidInput(f"this Emformer hears English only, not {language!r}", field="language")
        if task == "translate":
            raise InvalidInput("an Emformer does not translate", field="task")
        return cls(engine, await _load(engine, model), title=Path(model).name, session=session)

    async def begin(self, at: float) -> None:
        self._engine.forget(self._name, self._state)
        self._words = TokenWords(self._loaded.vocabulary, self._loaded.frame)
        self._sound = np.zeros(LEAD, np.float32)
        self._began = at

    async def accept(self, audio: Waveform) -> Heard | None:
        self._sound = np.concatenate([self._sound, audio])
        changed = False
        while len(self._sound) >= self._loaded.samples:
            changed |= await self._step()
        if not changed:
            return None
        committed, partial = self._words.take()
        return Heard(self._moved(committed), self._moved(partial), "en") if committed or partial else None

    async def finish(self) -> Heard:
        rest = self._loaded.samples + self._loaded.advance - 1  # until the last sample lies in a segment
        self._sound = np.concatenate([self._sound, np.zeros(rest, np.float32)])
        while len(self._sound) >= self._loaded.samples:
            await self._step()
        self._engine.forget(self._name, self._state)
        return Heard(self._moved(self._words.end()), (), "en")

    async def close(self) -> None:
        self._engine.forget(self._name, self._state)

    async def _step(self) -> bool:
        """One segment; whether something may be told."""
        sound = np.ascontiguousarray(self._sound[None, : self._loaded.samples])
        self._sound = self._sound[self._loaded.advance :]
        answer = await self._engine.submit(self._name, {"sound": sound}, session=self._session, state=self._state)
        return self._words.feed(answer["tokens"][0].tolist(), answer["probabilities"][0].tolist())

    def _moved(self, words: list[Word]) -> tuple[Word, ...]:
        return tuple(word.moved(self._began) for word in words)


class TokenWords:
    """Words out of tokens: one is whole when the next begins, or when nothing has been said for a while."""

    def __init__(self, vocabulary: list[str], frame: float) -> None:
        """`frame`: s of an encoded frame."""
        self._vocabulary = vocabulary
        self._frame = frame
        self._frames = 0
        self._last = 0  # the frame of the last token
        self._whole: list[Word] = []
        self._open: Word | None = None

    def feed(self, tokens: list[list[int]], probabilities: list[list[float]]) -> bool:
        """The tokens of each frame. True if there is something new."""
        changed = False
        for frame, sure in zip(tokens, probabilities, strict=True):
            for token, probability in zip(frame, sure, strict=True):
                if token >= 0:
                    self._add(self._vocabulary[token], probability)
                    changed = True
            self._frames += 1
            if self._open is not None and self._frames - self._last > CLOSED:
                self._close()
                changed = True
        return changed

    def take(self) -> tuple[list[Word], list[Word]]:
        """Whole words, each once, and the one that may still grow."""
        whole, self._whole = self._whole, []
        return whole, [self._open] if self._open is not None else []

    def end(self) -> list[Word]:
        self._close()
        return self.take()[0]

    def _add(self, token: str, probability: float) -> None:
        text = token.lstrip("\u2581").lower()
        if token.startswith("\u2581"):
            self._close()
        if not text or text.startswith("<"):
            return
        self._last = self._frames
        end = (self._frames + 1) * self._frame
        if self._open is None:
            self._open = Word(text, self._frames * self._frame, end, probability)
        else:
            least = min(self._open.confidence or 0.0, probability)
            self._open = Word(self._open.text + text, self._open.start, end, least)

    def _close(self) -> None:
        if self._open is not None:
            self._whole.append(self._open)
            self._open = None


async def _load(engine: Engine, model: str) -> str:
    """Make sure that it is loaded; its name in the engine."""
    if model in engine.models():
        return model
    try:
        module = importlib.import_module(MODULE)
        importlib.import_module("safetensors")
    except ImportError as error:
        raise Unavailable(f"an Emformer can't be loaded: {error}") from error
    if any(entry.name == model and entry.engine == CLASS for entry in by_name(installed(), model)):
        await engine.load(model)
        return model
    folder = await asyncio.to_thread(_folder, model)
    if model != module.BUNDLE and not await asyncio.to_thread(folder.is_dir):
        raise NotFound(f"there is no Emformer {model[:200]!r}: neither a model nor a directory", field="model")
    name = model if model == module.BUNDLE else f"emformer {folder}"
    await engine.load(name, lambda: module.Emformer.from_folder(name, folder, engine.device))
    return name


def _folder(model: str) -> Path:
    return Path(model).expanduser().resolve()


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
