"""Piper's voices: VITS networks on onnxruntime, in a process of their own (`child.py`). Needs the extra `piper`.

A voice is two files, ``NAME.onnx`` and ``NAME.onnx.json``, anywhere in a folder of `model_dirs`, or in ``voices`` or
``models`` of the data directory. Speed and volume follow the manner; pitch can't, and word times are estimates.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import sys
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InvalidInput, Unavailable
from ...inference.device import cores
from ...inference.loader import check_listed
from ...settings import Settings
from ...speech import mouth_wire
from ...speech.contract import Manner, Spoken, Voice
from ...speech.mouths import Desk, Job
from ...speech.plain import parts
from ...speech.words import Word

RATE = 22_050  # Hz, which most of these voices have
USUAL_RATE, SLOWEST, FASTEST = 100, 25, 400  # hundredths of the voice's own speed
PART = 300  # characters: a network says a sentence as a whole, and shorter ones worse
DEPTH = 2  # parts that the process has: one at work, one next
CONFIG_BYTES = 1 << 20
MOST_VOICES = 1024
DEEPEST = 4  # folders inside each other


@dataclass(frozen=True, slots=True)
class Found:
    """A voice in a folder."""

    voice: Voice
    path: str  # as the process wants it


class Piper:
    """A `Synthesizer`. Made by `open`."""

    name = "piper"
    rate = RATE

    def __init__(self, desk: Desk, found: list[Found]) -> None:
        self._desk = desk
        self._found = {each.voice.id: each for each in found}
        self._checked: dict[Path, tuple[int, int]] = {}  # size and date of files that were what they should be

    @classmethod
    async def open(cls, engine: Any, settings: Settings) -> Piper:
        """Raises `Unavailable` when there is no voice, or the process does not start."""
        reason = cls.unavailable(settings)
        if reason:
            raise Unavailable(reason)
        argv = [sys.executable, "-I", "-B", str(Path(__file__).with_name("child.py")),
                str(Path(mouth_wire.__file__).parent), str(RATE), str(max(1, cores() // 2))]
        desk = Desk(cls.name, argv, processes=1, depth=DEPTH)
        await desk.open()
        return cls(desk, look(settings))

    @staticmethod
    def unavailable(settings: Settings) -> str:
        """Why it can't be used here; empty if it can."""
        if importlib.util.find_spec("piper") is None:
            return "the package piper-tts is not installed: the extra `piper` brings it"
        if not look(settings):
            return f"there is no Piper voice (.onnx with .onnx.json) in {', '.join(map(str, folders(settings)))}"
        return ""

    @staticmethod
    def languages(settings: Settings) -> list[str]:
        """What the voices that are here say of themselves."""
        return sorted({language for found in look(settings) for language in found.voice.languages})

    def voices(self) -> list[Voice]:
        return [found.voice for found in self._found.values()]

    async def speak(self, text: str, manner: Manner) -> AsyncGenerator[Spoken, None]:
        path = self._path(manner)
        await self._check(Path(path.partition("#")[0]))
        speed = round(min(max(USUAL_RATE * manner.speed, SLOWEST), FASTEST))
        volume = round(100 * min(max(manner.volume, 0.0), 2.0))
        said = 0  # samples
        for part, _ in parts(text, PART, PART):
            job = Job(path, part, speed, 0, volume, pause=False, first=said == 0)
            begin = said
            async with contextlib.aclosing(self._desk.speak(job)) as pieces:
                async for piece in pieces:
                    words = tuple(Word(part[first:last].strip(), (begin + start) / RATE, (begin + end) / RATE)
                                  for first, last, start, end in piece.words)
                    yield Spoken(piece.samples, words)
                    said += len(piece.samples)

    async def close(self) -> None:
        await self._desk.close()

    async def _check(self, model: Path) -> None:
        """That a voice is still what was pulled, when the process is going to load it. Raises `InvalidInput`."""
        for path in (model, model.with_name(f"{model.name}.json")):
            seen = _seen(path)
            if seen is None or self._checked.get(path) != seen:
                await asyncio.to_thread(check_listed, path)
                self._checked |= {path: seen} if seen is not None else {}

    def _path(self, manner: Manner) -> str:
        """Raises `InvalidInput`."""
        if manner.voice:
            if manner.voice not in self._found:
                raise InvalidInput(f"Piper has no voice {manner.voice[:64]!r} here; there are: "
                                   f"{', '.join(list(self._found)[:16])}", field="voice")
            return self._found[manner.voice].path
        main = manner.language.lower().partition("-")[0]
        for found in self._found.values():
            if found.voice.languages[0].lower().partition("-")[0] == {"cmn": "zh"}.get(main, main):
                return found.path
        raise InvalidInput(f"no Piper voice here speaks {manner.language[:35]!r}", field="language")


def _seen(path: Path) -> tuple[int, int] | None:
    """Size and date; None if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def folders(settings: Settings) -> list[Path]:
    return [*settings.model_dirs, settings.data_dir / "voices", settings.data_dir / "models"]


def look(settings: Settings) -> list[Found]:
    """The voices that there are, by name; what can't be read is left out."""
    found: dict[str, Found] = {}
    for folder in folders(settings):
        for config in _configs(folder):
            for each in read(config):
                found.setdefault(each.voice.id, each)
            if len(found) > MOST_VOICES:
                break
    return [found[name] for name in sorted(found)]


def _configs(folder: Path, depth: int = 0) -> Iterator[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return
    for path in inside:
        if path.name.endswith(".onnx.json"):
            yield path
        elif depth < DEEPEST and path.is_dir() and not path.is_symlink():
            yield from _configs(path, depth + 1)


def read(config: Path) -> list[Found]:
    """The voice that a ``.onnx.json`` describes, or one for each of its speakers; none if it is no voice of Piper's."""
    model = config.with_suffix("")
    try:
        if config.stat().st_size > CONFIG_BYTES or not model.is_file():
            return []
        table = json.loads(config.read_text("utf-8"))
        espeak, rate = table["espeak"]["voice"], int(table["audio"]["sample_rate"])
        language = str(table.get("language", {}).get("code") or espeak).replace("_", "-")
        speakers = {str(name): int(number) for name, number in table.get("speaker_id_map", {}).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    if rate <= 0:
        return []
    name = model.parent.name if model.stem == "voice" else model.stem
    if len(speakers) < 2:
        return [Found(Voice(name, name, "piper", (language,)), str(model))]
    return [Found(Voice(f"{name}#{speaker}", f"{name}, {speaker}", "piper", (language,)), f"{model}#{number}")
            for speaker, number in speakers.items()]
