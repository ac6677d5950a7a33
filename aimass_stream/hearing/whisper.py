"""Whisper as a recogniser of one stream: passes over a window that moves with the words that are settled."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AimassError, Busy, DeadlineMissed, InvalidInput, NotFound
from ..frames import now
from ..inference import Engine, installed
from ..settings import Settings
from ..speech.commit import POLICIES, Policy, believable, loudness, place_to_cut, unrepeated
from ..speech.contract import Heard, HearingAbilities
from ..speech.transcript import line
from ..speech.words import HEARING_RATE, HearRequest, Hypothesis, Task, Waveform, Word
from .recognizers import Offer, Offers

log = logging.getLogger(__name__)

MODULE = "aimass_stream.engines.faster_whisper"
CLASS = "FasterWhisper"

CHUNK = 0.25  # s of new sound that a pass is worth; more where passes take long
LONGEST_CHUNK = 3.0  # s, when the device is busy
BUSY = 1.5  # new sound to wait for, in times of how long the last pass took with its waiting
WINDOW = 8.0  # s; a longer one is cut where it is settled
KEPT = 2.5  # s of settled sound that stay in the window, so that words at the cut are not heard in halves
LONGEST = 20.0  # s of one pass
BEAM, QUICK = 5, 0.15  # hypotheses of a pass that follows one which took less than so many s; else one
PATIENCE = 20.0  # s a pass may wait for its turn; sound gathers meanwhile and none is lost
MEMORY = 40  # words that are remembered as context
CONTEXT = 10.0  # s after which what was said before is no context any more
PROMPT = 200  # characters of what was said before
QUIET = 0.06  # loudness that is silence, in parts of the loudest in the window (-24 dB)
HUSH = 0.2  # s of silence before the last pass's end that show that no word was cut
CERTAIN = 0.6  # probability from which a detected language is kept for the utterance
CPU_BYTES = 80e6  # of weights that one core hears with in real time; the rule of thumb behind `auto`
RANKS = ("tiny", "base", "small", "medium", "turbo", "large")  # in model names, the better the later


class WhisperRecognizer:
    """One model run at a time. Its passes take longer when many listen; the sound waits and is heard in one piece."""

    engine = "whisper"

    def __init__(self, models: Engine, name: str, *, model: str, abilities: HearingAbilities, session: str,
                 language: str | None = None, task: Task = "transcribe", policy: str = "alignment", prompt: str = "",
                 hotwords: tuple[str, ...] = (), source: str = "") -> None:
        """`name` is the loaded model in the inference engine, `model` what people call it.

        With its `source`, what `open` takes as model, it is loaded anew if the engine has lost it.
        """
        self.model = model
        self._source = source
        self.abilities = abilities
        self.language = language
        self.task = task
        self._models, self._name, self._session = models, name, session
        self._prompt, self._hotwords = prompt, " ".join(hotwords)
        self._policy = _policy(policy)
        self._said: list[Word] = []  # settled words that have left the window, the last ones
        self._before = ""  # the language detected last
        self._begin_window(0.0)

    def _begin_window(self, at: float) -> None:
        self._audio: Waveform = np.zeros(0, np.float32)
        self._start = at  # s of the stream: where the window begins
        self._settled: list[Word] = []  # in the window
        self._words: tuple[Word, ...] = ()  # of the last pass, behind the settled ones
        self._heard = 0  # samples of the window that the last pass knew
        self._chunk = CHUNK
        self._beam = BEAM
        self._detected = ""
        self._told = ""  # the partial that the caller knows

    # the contract ----------------------------------------------------------------------------------

    async def begin(self, at: float) -> None:
        said = [*self._said, *self._settled]
        self._said = said[-MEMORY:] if said and at - said[-1].end < CONTEXT else []
        self._policy.forget()
        self._begin_window(at)
        if self._source and self._name not in self._models.models():  # unloaded, or taken out for failing
            await _load(self._models, self._source)

    async def accept(self, audio: Waveform) -> Heard | None:
        """Raises `ModelFailed` when the model does; the sound is kept for the next call."""
        self._audio = np.concatenate([self._audio, audio])
        committed: list[Word] = []
        while len(self._audio) > LONGEST * HEARING_RATE:  # without a deadline: the caller's backlog is bounded
            committed += await self._pass(round(LONGEST * HEARING_RATE), None)
            committed += self._cut(must=True)
        if len(self._audio) - self._heard >= self._chunk * HEARING_RATE:
            if self._hushed():
                committed += self._settle(len(self._audio))
            else:
                committed += await self._try()
            if self._heard > WINDOW * HEARING_RATE:
                committed += self._cut(must=self._heard > 1.5 * WINDOW * HEARING_RATE)
        return self._news(committed)

    async def pause(self) -> Heard | None:
        """The speaker is silent: all that was said is heard, and words that have ended are whole."""
        committed: list[Word] = []
        if len(self._audio) > self._heard and not self._hushed():
            committed += await self._try(pause=True)
        else:
            committed += self._settle(len(self._audio), pause=True)
        return self._news(committed)

    async def finish(self) -> Heard:
        """What the last pass heard is committed if the model can't hear it once more."""
        settled: list[Word] = []
        try:
            if len(self._audio) > self._heard and not self._hushed():
                settled = await self._pass(len(self._audio), now() + PATIENCE)
        except AimassError as error:
            log.warning("%s: the end of an utterance was not heard once more: %s", self._session, error)
        self._settled += self._words
        committed = (*settled, *self._words)
        self._words, self._audio, self._heard = (), self._audio[:0], 0
        return Heard(committed, (), self._language)

    async def close(self) -> None:
        self._begin_window(0.0)

    def tune(self, *, language: str | None, policy: str, prompt: str, hotwords: tuple[str, ...]) -> None:
        """Change these from the next pass on; nothing that was heard is lost. Raises `InvalidInput`."""
        if language is not None and language not in self.abilities.languages:
            raise InvalidInput(f"{self.model} does not hear {language!r}", field="language")
        self._policy = _policy(policy)
        self.language, self._prompt, self._hotwords = language, prompt, " ".join(hotwords)
        self._detected = ""

    async def whole(self, audio: Waveform, *, prompt: str = "", word_times: bool = True, beam: int = 5,
                    temperature: float = 0.0, retries: int = 3) -> Hypothesis:
        """A piece of at most 30 s that is all there, in one careful pass; streams in between get their turns."""
        request = HearRequest(audio, language=self.language, task=self.task, prompt=(prompt or self._prompt)[-PROMPT:],
                              hotwords=self._hotwords, word_times=word_times, beam=beam, temperature=temperature,
                              retries=retries)
        return await self._submit(request, None)

    # passes ----------------------------------------------------------------------------------------

    async def _try(self, pause: bool = False) -> list[Word]:
        try:
            return await self._pass(len(self._audio), now() + PATIENCE, pause)
        except (DeadlineMissed, Busy):  # the sound stays for a pass over more of it
            self._chunk = LONGEST_CHUNK
            return []

    async def _pass(self, count: int, deadline: float | None, pause: bool = False) -> list[Word]:
        """Hear the first `count` samples of the window; the words that are settled by it."""
        audio = self._audio[:count]
        begun = now()
        request = HearRequest(audio, language=self._language or None, task=self.task, prompt=self._context(),
                              prefix=line(self._settled, self._language), hotwords=self._hotwords, beam=self._beam)
        heard = await self._submit(request, deadline)
        took = now() - begun
        self._chunk = min(max(CHUNK, BUSY * took), LONGEST_CHUNK)
        self._beam = BEAM if took < QUICK else 1
        self._notice(heard)
        words = [word.moved(self._start) for word in believable(heard, audio)]
        self._words = _in_order(unrepeated(words, self._said, self._start) if not self._settled else words,
                                self._settled)
        return self._settle(count, pause)

    async def _submit(self, request: HearRequest, deadline: float | None) -> Hypothesis:
        row = np.empty(1, object)
        row[0] = request
        answer = await self._models.submit(self._name, {"request": row}, session=self._session, deadline=deadline)
        hypothesis: Hypothesis = answer["hypothesis"][0]
        return hypothesis

    def _settle(self, count: int, pause: bool = False) -> list[Word]:
        """Ask the policy about the last pass's words, the sound being known up to `count` samples."""
        self._heard = count
        end = self._start + count / HEARING_RATE
        settled = self._policy.settled(self._words, end, pause)
        words, self._words = list(self._words[:settled]), self._words[settled:]
        self._settled += words
        return words

    def _hushed(self) -> bool:
        """Only silence came since the last pass, which had heard some of it: another pass would tell nothing new."""
        if not self._heard:
            return False
        tail = self._audio[max(0, self._heard - round(HUSH * HEARING_RATE)) :]
        return _loudest(tail) < QUIET * _loudest(self._audio)

    def _cut(self, must: bool) -> list[Word]:
        """Let go of sound whose words are settled. `must`: of some in any case, whose words are settled by that."""
        end = self._start + self._heard / HEARING_RATE
        forced: list[Word] = []
        place = place_to_cut(self._settled, self._start + 0.5, end - KEPT)
        if place is None and must:
            forced = [word for word in self._words if word.end <= end - KEPT]
            self._settled += forced
            self._words = self._words[len(forced) :]
            self._policy.forget()
            last = self._settled[-1].end if self._settled else self._start
            place = len(self._settled), max(end - KEPT, last)
        if place is not None:
            self._let_go(*place)
        return forced

    def _let_go(self, count: int, moment: float) -> None:
        """Of the first `count` settled words and the sound before `moment` (s)."""
        self._said = [*self._said, *self._settled[:count]][-MEMORY:]
        self._settled = self._settled[count:]
        dropped = min(round((moment - self._start) * HEARING_RATE), self._heard)
        self._audio = self._audio[dropped:]
        self._start += dropped / HEARING_RATE
        self._heard -= dropped
        self._detected = ""  # somebody may go on in another language: look again

    # what it knows ---------------------------------------------------------------------------------

    @property
    def _language(self) -> str:
        return self.language or self._detected

    def _notice(self, heard: Hypothesis) -> None:
        if not self._language and heard.language_probability >= CERTAIN and heard.words:
            if heard.language != self._before:
                self._said = []  # context in another language would mislead
            self._detected = self._before = heard.language

    def _context(self) -> str:
        """What was said before the window, for the model."""
        said = line(self._said, self._language)
        return (f"{self._prompt} {said}" if len(said) < PROMPT // 2 else said)[-PROMPT:].strip()

    def _news(self, committed: list[Word]) -> Heard | None:
        told = line(self._words, self._language)
        if not committed and told == self._told:
            return None
        self._told = told
        return Heard(tuple(committed), self._words, self._language)

    # opening ---------------------------------------------------------------------------------------

    @staticmethod
    def available(settings: Settings) -> Offers:
        """Models with a manifest, and those of faster-whisper's that lie in the hub's cache."""
        module = importlib.import_module(MODULE)
        offers = []
        for entry in installed().entries():
            if entry.engine == f"{MODULE}:{CLASS}":
                if not (entry.folder / "model.bin").is_file():
                    continue  # a folder whose model is still to be trained
                wer = entry.card.get("wer_real")
                offers.append(Offer(entry.name, _abilities(module.languages(entry.folder)), title=entry.title,
                                    wer=float(wer) if isinstance(wer, int | float) else None,
                                    general=bool(entry.card.get("general", False)),
                                    rank=_rank(entry.name, entry.folder)))
        for name, folder in module.cached().items():
            offers.append(Offer(name, _abilities(module.languages(folder)), rank=_rank(name, folder),
                                title=f"Whisper {name}"))
        return offers, "" if offers else "no Whisper model is here: fetch one with 'aimass models pull'"

    @classmethod
    async def open(cls, engine: Engine, settings: Settings, *, session: str, model: str, language: str | None,
                   task: Task, policy: str, prompt: str, hotwords: tuple[str, ...]) -> WhisperRecognizer:
        """`model`: a name out of `available`, or a directory. Raises `InvalidInput`, `NotFound` or `Unavailable`."""
        _policy(policy)
        name = await _load(engine, model)
        loaded: Any = engine.models()[name]
        abilities = _abilities(loaded.languages, batching=engine.statistics()[name].batch_limit > 1)
        if language is not None and language not in abilities.languages:
            raise InvalidInput(f"{model} does not hear {language[:16]!r}; it hears {', '.join(abilities.languages)}",
                               field="language")
        if task == "translate" and not abilities.translation:
            raise InvalidInput(f"{model} hears English only and so translates nothing", field="task")
        return cls(engine, name, model=Path(model).name, abilities=abilities, session=session, language=language,
                   task=task, policy=policy, prompt=prompt, hotwords=hotwords, source=model)


async def _load(engine: Engine, model: str) -> str:
    """Make sure that it is loaded; its name in the engine."""
    folder = await asyncio.to_thread(_folder, model)
    if folder is None:
        await engine.load(model)
        return model
    module = importlib.import_module(MODULE)
    name = f"whisper {folder}"
    await engine.load(name, lambda: module.FasterWhisper(module.entry(name, folder), engine.device))
    return name


def _folder(model: str) -> Path | None:
    """Where a model without a manifest lies; None for one that has one."""
    try:
        if installed().get(model).engine != f"{MODULE}:{CLASS}":
            raise InvalidInput(f"{model!r} is no Whisper model", field="model")
        return None
    except NotFound:
        cached: dict[str, Path] = importlib.import_module(MODULE).cached()
        return cached.get(model) or Path(model).expanduser().resolve()


def _policy(name: str) -> Policy:
    if name not in POLICIES:
        raise InvalidInput(f"there is no policy {name[:64]!r}; there are: {', '.join(POLICIES)}", field="policy")
    return POLICIES[name]()


def _abilities(languages: tuple[str, ...], batching: bool = False) -> HearingAbilities:
    return HearingAbilities(languages, word_times=True, confidence=True, batching=batching, hotwords=True,
                            translation=len(languages) > 1)


def _rank(name: str, folder: Path) -> float:
    """The larger the better, as far as this machine hears with it in real time; beyond that the smaller the better."""
    place = next((index + 1.0 for index, each in enumerate(RANKS) if each in name), 1.0)
    module = importlib.import_module(MODULE)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fits = module.accelerated() or (folder / "model.bin").stat().st_size <= CPU_BYTES * cores
    return place if fits else -place


def _loudest(audio: Waveform) -> float:
    """Of its pieces of 20 ms."""
    piece = HEARING_RATE // 50
    whole = audio[: len(audio) // piece * piece].reshape(-1, piece)
    return float(np.sqrt((whole * whole).mean(axis=1).max())) if len(whole) else loudness(audio)


def _in_order(words: list[Word] | tuple[Word, ...], settled: list[Word]) -> tuple[Word, ...]:
    """None begins before the one before it has ended: settled times stay, though a new pass may see them otherwise."""
    ordered = []
    last = settled[-1].end if settled else 0.0
    for word in words:
        start = max(word.start, last)
        last = max(word.end, start)
        ordered.append(Word(word.text, start, last, word.confidence))
    return tuple(ordered)
